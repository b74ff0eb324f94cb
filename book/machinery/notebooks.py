"""Write the plain notebook beside each chapter: ``python -m book.machinery.notebooks``.

A chapter's source is MyST Markdown, which Colab would show as raw markup. The notebook holds the
same cells in plain Markdown, without outputs, after a cell that installs the library where it is
missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

from book.machinery import backends
from book.machinery.citations import Citations
from book.machinery.config import ROOT, Book, BookError, Page
from book.machinery.course import write_pages
from book.machinery.labels import Labels
from book.machinery.plain import Renderer

__all__ = ["chapters", "main", "notebook", "read_source", "without_heading", "write_notebooks"]

INSTALL = """\
# @title Install the library (does nothing where it is installed)
import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

if importlib.util.find_spec("lrmf") is None:
    # LRMF_INSTALL_SOURCE may name another place, for example file:///path/to/a/checkout.
    source = os.environ.get("LRMF_INSTALL_SOURCE", "{source}")
    requirement = f"lrmf[jax,tfp,notebook] @ {{source}}"
    # These stay as they are. Left alone, pip would take parts that need a newer JAX and replace it.
    kept = [
        "{kept}",
    ]
    found = [d for name in kept for d in [*importlib.metadata.distributions(name=name)][:1]]
    with tempfile.TemporaryDirectory() as folder:
        versions = pathlib.Path(folder) / "versions.txt"
        versions.write_text("".join(f"{{d.name}}=={{d.version}}\\n" for d in found))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(versions)]
        subprocess.run([*pip, requirement], check=True)
    importlib.invalidate_caches()
"""
# What a runtime has loaded, or what its own parts are built for; the versions of Colab are in
# constraints/colab.txt.
KEPT = (
    "ipykernel", "ipython", "ipywidgets", "jax", "jaxlib", "matplotlib", "numpy", "scikit-learn",
    "scipy", "tensorflow", "tensorflow-probability", "tf-keras",
)  # fmt: skip

# The first line of a folded cell: in Colab, its form's title.
TITLE = "# @title "
# A folded cell: Colab goes by the form and its title, JupyterLab by source_hidden.
FOLDED: dict[str, Any] = {"cellView": "form", "jupyter": {"source_hidden": True}}
TAGS = {
    "hide-input", "hide-output", "hide-cell", "remove-output", "remove-cell", "remove-stderr",
    *backends.TAGS, backends.AGREEMENT,
}  # fmt: skip


def chapters(book: Book) -> list[Page]:
    """Return the pages that are notebooks."""
    return [page for page in book.pages if page.is_notebook]


def notebook(book: Book, labels: Labels, citations: Citations, page: Page) -> str:
    """Return the text of a page's notebook."""
    lines = page.source.read_text(encoding="utf8").split("\n")
    source = read_source(book, page)
    renderer = Renderer(book, labels, citations, page)
    cells = [
        _code(
            INSTALL.format(source=book.requirement_source, kept='",\n        "'.join(KEPT)), FOLDED
        )
    ]
    in_solution = False
    starts = source.metadata["source_map"]
    try:
        backends.check(source.cells, starts)
    except BookError as error:
        raise BookError(f"{page.name}.md: {error}") from error
    introduced = False
    for cell, line in zip(source.cells, starts, strict=True):
        if cell.cell_type == "markdown":
            while not lines[line].strip():
                line += 1
            markdown = renderer.cell(cell.source, line)
            in_solution = _in_solution(cell.source, in_solution)
            if markdown:
                cells.append(_markdown(markdown, renderer.attachments))
            continue
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if backends.backend_of(cell) and not introduced:
            cells.append(_markdown(backends.INTRODUCTION, {}))
            introduced = True
        try:
            cells.append(_code_cell(cell, in_solution))
        except BookError as error:
            raise BookError(f"{page.name}.md, line {line}: {error}") from error
        if figure.get("caption"):
            cells.append(_markdown(renderer.caption(figure["caption"], line - 1), {}))
    if renderer.inline.cited:
        references = citations.reference_list(renderer.inline.cited)
        cells.append(_markdown(f"## References\n\n{references}", {}))
    return _text(cells)


def read_source(book: Book, page: Page) -> Any:
    """Return a chapter as Jupyter Book reads it: a notebook whose text is still MyST."""
    config = MdParserConfig(enable_extensions=set(book.extensions))
    text = page.source.read_text(encoding="utf8")
    return read_myst_markdown_notebook(text, config=config, add_source_map=True)


def without_heading(source: str) -> str:
    """Return a notebook's cell as its chapter has it, without the line that says what it is."""
    first, _, rest = source.partition("\n")
    heading = first.startswith(TITLE) or first in {f"# {name}" for name in backends.TAGS.values()}
    return rest if heading else source


def write_notebooks(root: Path = ROOT, *, check: bool = False) -> list[Path]:
    """Write the notebooks that differ from their sources; with check, only name them."""
    changed = write_pages(root, check=check)
    book = Book.read(root)
    labels, citations = Labels(book), Citations(book.bibliographies)
    pages = chapters(book)
    for page in pages:
        text = notebook(book, labels, citations, page)
        path = page.notebook
        if not path.is_file() or path.read_text(encoding="utf8") != text:
            changed.append(path)
            if not check:
                path.write_text(text, encoding="utf8")
    wanted = {page.notebook for page in pages}
    orphans = [path for path in (root / "book").rglob("*.ipynb") if path not in wanted]
    if orphans:
        raise BookError(f"notebooks without a chapter: {', '.join(map(str, orphans))}")
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 where --check finds stale notebooks."""
    parser = argparse.ArgumentParser(description=__doc__)
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--check", action="store_true", help="write nothing, fail where one is stale"
    )
    group.add_argument("--list", action="store_true", help="print the paths of all notebooks")
    options = parser.parse_args(arguments)
    try:
        if options.list:
            for page in chapters(Book.read(ROOT)):
                print(page.notebook.relative_to(ROOT))
            return 0
        changed = write_notebooks(check=options.check)
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in changed:
        print(("stale: " if options.check else "wrote ") + str(path.relative_to(ROOT)))
    return 1 if options.check and changed else 0


def _in_solution(text: str, before: bool) -> bool:
    """Say whether the cells after a Markdown cell belong to a solution with code."""
    start, end = text.rfind("{solution-start}"), text.rfind("{solution-end}")
    return before if start == end == -1 else start > end


def _code_cell(cell: Any, in_solution: bool) -> dict[str, Any]:
    tags = list(cell.metadata.get("tags", []))
    unknown = set(tags) - TAGS
    if unknown:
        raise BookError(
            f"unknown tag {', '.join(sorted(unknown))}: the tags are {', '.join(sorted(TAGS))}"
        )
    if "remove-stderr" in tags and not cell.source.rstrip().endswith(".notice"):
        raise BookError("only a cell that ends in the notice of a stand-in may hide its warnings")
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    picture = cell.metadata.get("mystnb", {}).get("image", {})
    # A player of training, or a turntable, has its own text, and refuses to be without one.
    spoken = any(f"player.{name}(" in cell.source for name in ("Player", "Turntable"))
    if figure and not picture.get("alt") and not spoken:
        raise BookError("a figure needs a text that says what one sees: mystnb, image, alt")
    if figure and not (figure.get("caption") and figure.get("name")):
        raise BookError("a figure needs a caption and a name")
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    source = cell.source
    backend = backends.TAGS.get(backends.backend_of(cell) or "")
    if in_solution or {"hide-input", "hide-cell", "remove-cell"} & set(tags):
        title = "Solution" if in_solution else "Code of the figure" if figure else "Code"
        source = f"{TITLE}{title}{f', {backend}' if backend else ''}\n{source}"
        metadata |= FOLDED
    elif backend:
        source = f"# {backend}\n{source}"
    return _code(source, metadata)


def _code(source: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata,
        "outputs": [],
        "source": source.rstrip("\n"),
    }


def _markdown(source: str, attachments: dict[str, Any]) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": "markdown", "metadata": {}, "source": source}
    return cell | ({"attachments": attachments} if attachments else {})


def _text(cells: list[dict[str, Any]]) -> str:
    # Numbers as ids: the same source gives the same file, and a diff shows only what changed.
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index:03d}"
    document = nbformat.from_dict(
        {
            "cells": cells,
            "metadata": {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )
    nbformat.validate(document)
    return nbformat.writes(document, indent=1, ensure_ascii=False).rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.exit(main())
