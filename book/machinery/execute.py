"""Run the chapters' notebooks under nbval, and give the book their outputs.

``python -m book.machinery.execute`` runs those that changed since the last time, or whose library,
results or data did; ``... execute book/experiments/affine`` that one only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.displayhook import DisplayHook
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

from book.machinery.cache import clear_if_stale
from book.machinery.config import ROOT, Book, BookError, Page
from book.machinery.notebooks import chapters, read_source, without_heading, write_notebooks
from book.machinery.recorder import OPTION

__all__ = ["fill_cache", "main", "outdated", "run"]

# Where the notebooks with outputs lie below the build's folder, and the cache of Jupyter Book.
EXECUTED, CACHE = "executed", ".jupyter_cache"
CELL_SECONDS, START_SECONDS = 600, 120
# What the extensions in book/_ext tell the kernels of a build: a page shows pictures in place of
# sliders, and loads the player's scripts itself.
FOR_PAGES = {"LRMF_STATIC_WIDGETS": "1", "LRMF_PLAYER_ON_PAGE": "1"}


def outdated(book: Book, pages: Sequence[Page], output: Path) -> list[Page]:
    """Return the pages of which no executed notebook with the same cells is at hand."""
    return [page for page in pages if _with_outputs(book, page, output) is None]


def fill_cache(book: Book, pages: Sequence[Page], output: Path) -> int:
    """Put executed notebooks where Jupyter Book looks before it runs a chapter; returns how many.

    Jupyter Book reads the chapter's source: the same cells as in the notebook, without the one
    that installs the library and without the comments in their first lines.
    """
    cache = get_cache(str(output / CACHE))
    filled = 0
    for page in pages:
        executed = _with_outputs(book, page, output)
        if executed is None:
            continue
        cache.cache_notebook_bundle(
            CacheBundleIn(
                executed,
                str(page.source),
                data={"execution_seconds": executed.metadata.pop("execution_seconds")},
            ),
            check_validity=False,
            overwrite=True,
        )
        filled += 1
    return filled


def run(book: Book, pages: Sequence[Page], output: Path, *, workers: int) -> int:
    """Run the pages' notebooks under nbval and keep them with outputs; returns pytest's status."""
    command = [
        *(sys.executable, "-m", "pytest", "-p", "book.machinery.recorder"),
        *("--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}"),
        f"--nbval-kernel-startup-timeout={START_SECONDS}",
        f"--rootdir={book.root}",
        *("-n", str(min(workers, len(pages))), "--dist", "loadscope", "--durations=5"),
        f"{OPTION}={output / EXECUTED}",
        *(str(page.notebook.relative_to(book.root)) for page in pages),
    ]
    for page in pages:  # a chapter that fails now must not live on the run before
        (output / EXECUTED / page.notebook.relative_to(book.root)).unlink(missing_ok=True)
    environment = {**os.environ, **FOR_PAGES}
    environment.pop("MPLBACKEND", None)  # the kernel draws into the page
    return subprocess.run(command, cwd=book.root, env=environment, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns pytest's exit status, 0 where nothing was to be run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PAGE", help="as in _toc.yml; all by default")
    parser.add_argument("--output", type=Path, default=ROOT / "_build", help="the build's folder")
    parser.add_argument("--again", action="store_true", help="run what is executed already, too")
    parser.add_argument("--workers", type=int, default=2, help="notebooks at a time")
    options = parser.parse_args(arguments)
    output = options.output.absolute()
    try:
        for path in write_notebooks(ROOT):
            print(f"wrote {path.relative_to(ROOT)}, which was stale; commit it")
        book = Book.read(ROOT)
        known = [page.name for page in book.pages]
        unknown = sorted(set(options.names) - set(known))
        if unknown:
            raise BookError(f"no page {', '.join(unknown)}; there are: {', '.join(known)}")
        names = options.names or known
        chosen = [page for page in chapters(book) if page.name in names]
        if clear_if_stale(output, data=_data_at_hand()):
            print("Library, results or data changed: every chapter is executed again.")
        due = chosen if options.again else outdated(book, chosen, output)
        print(f"Chapters: {len(chosen) - len(due)} are executed already, {len(due)} to run.")
        status = run(book, due, output, workers=options.workers) if due else 0
        fill_cache(book, chosen, output)
        if due:  # Sphinx reads a page again where its source changed, not where its outputs did
            shutil.rmtree(output / ".doctrees", ignore_errors=True)
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return status


def _data_at_hand() -> str:
    """Name the digits that the chapters will find; prints why, where it is the stand-in."""
    import lrmf

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pair = lrmf.data.digits_pair()
    for warning in caught:
        print(f"note: {warning.message}", file=sys.stderr)
    return f"{pair.name} {pair.reason}"


def _with_outputs(book: Book, page: Page, output: Path) -> Any | None:
    """Return the chapter's cells with the outputs of its executed notebook, None if there is none.

    The notebook is generated from the source, so cells correspond one to one.
    """
    path = output / EXECUTED / page.notebook.relative_to(book.root)
    try:
        executed = nbformat.read(path, as_version=4)
    except (FileNotFoundError, ValueError):  # ... or a damaged one
        return None
    current = nbformat.read(page.notebook, as_version=4)
    ran = [cell for cell in executed.cells if cell.cell_type == "code"]
    if [cell.source for cell in ran] != [c.source for c in current.cells if c.cell_type == "code"]:
        return None
    source = read_source(book, page)
    cells = [cell for cell in source.cells if cell.cell_type == "code"]
    if [c.source.rstrip("\n") for c in cells] != [without_heading(c.source) for c in ran[1:]]:
        raise BookError(f"{page.notebook.name} is stale; run make notebooks")
    for cell, done in zip(cells, ran[1:], strict=True):
        cell.outputs, cell.execution_count = _shown(done), done.execution_count
    source.metadata["execution_seconds"] = executed.metadata["execution_seconds"]
    return source


def _shown(cell: Any) -> list[Any]:
    """The outputs without the value that a semicolon at the end silences.

    IPython looks for the semicolon in its history, in which nbval leaves no trace.
    """
    silent = DisplayHook.semicolon_at_end_of_expression(cell.source)
    return [out for out in cell.outputs if not (silent and out.output_type == "execute_result")]


if __name__ == "__main__":
    sys.exit(main())
