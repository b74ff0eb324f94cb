"""Check the built pages: what Sphinx lets pass, and a reader would stumble over."""

from __future__ import annotations

import argparse
import pickle
import re
import sys
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag

from book.machinery import backends
from book.machinery.config import ROOT, Book, BookError, Page
from book.machinery.course import SOURCES, assignments, fingerprints
from book.machinery.labels import STATEMENTS, Labels

__all__ = ["main", "problems", "sphinx_numbers"]

_TAG = re.compile(r"<[^<>]*>")
PAGE_BUDGET = 1_000_000  # bytes, the pictures of the page included


def problems(book: Book, output: Path) -> Iterator[str]:
    """Yield what is wrong with the pages built into ``output``, one sentence each."""
    environment = pickle.loads((output / ".doctrees" / "environment.pickle").read_bytes())
    yield from _wrong_numbers(book, environment)
    if (output / "html" / "_sources").exists():
        yield "the sources are published: they show the solutions"
    yield from _solutions(book, output / "html")
    for page in book.pages:
        file = output / "html" / f"{page.name}.html"
        soup = BeautifulSoup(file.read_text(encoding="utf8"), "html.parser")
        article = soup.find("article")
        if not isinstance(article, Tag):
            yield f"{page.name}: the page has no article"
            continue
        for problem in (
            *_missing_alt(article),
            *_too_large(file, article),
            *_wrong_launch(book, page, soup),
            *_wrong_switch(article),
        ):
            yield f"{page.name}: {problem}"


def sphinx_numbers(environment: Any) -> dict[str, str]:
    """Return the number that Sphinx gave to each label, as text: 2.1."""
    numbers = {}
    for by_kind in environment.toc_fignumbers.values():
        for by_id in by_kind.values():
            for name, number in by_id.items():
                numbers[name.removeprefix("equation-")] = ".".join(map(str, number))
    return numbers


def execution_seconds(output: Path) -> dict[str, float]:
    """Return how long each executed chapter took, in seconds."""
    environment = pickle.loads((output / ".doctrees" / "environment.pickle").read_bytes())
    seconds = {}
    for name, metadata in environment.nb_metadata.items():
        data = metadata.get("exec_data")
        if data and data.get("runtime") is not None:
            seconds[name] = float(data["runtime"])
    return seconds


def _wrong_numbers(book: Book, environment: Any) -> Iterator[str]:
    """The notebooks number statements, figures and equations themselves: compare."""
    theirs = sphinx_numbers(environment)
    for name, label in Labels(book).by_name.items():
        if not label.number or label.kind in ("section", "solution"):
            continue
        if label.page.number is None and label.kind in STATEMENTS:
            continue
        # Sphinx writes the underscores of a label as hyphens in the page.
        number = theirs.get(name) or theirs.get(name.replace("_", "-"))
        if number != label.number:
            yield (
                f"{label.page.name}: {name} is {label.kind} {number} on the page, "
                f"{label.number} in the notebook"
            )


def _solutions(book: Book, html: Path) -> Iterator[str]:
    """Nothing that is published may hold a solution of the course, the search index included."""
    lines = fingerprints(book.root)
    if not lines:
        return
    sources = [f'"{(SOURCES / one.name).as_posix()}"' for one in assignments(book.root)]
    for file in sorted(html.rglob("*")):
        ours = "mathjax" not in file.parts
        if ours and file.suffix in (".html", ".js", ".json", ".ipynb", ".md", ".txt"):
            text = unescape(file.read_text(encoding="utf8", errors="replace"))
            if file.suffix == ".html":
                text += _TAG.sub("", text)  # highlighted code has a tag around each word
            for line in lines:
                if line in text:
                    yield f"{file.relative_to(html)} holds a line of a solution: {line}"
        if file.name == "searchindex.js":  # which holds words, not lines
            for source in sources:
                if source in text:
                    yield f"the search index knows {source}, which holds solutions"


def _missing_alt(article: Tag) -> Iterator[str]:
    for picture in article.find_all("img"):
        if picture.find_parent(attrs={"role": "img", "aria-label": True}):
            continue  # which is read as one picture, with a text of its own
        alt = str(picture.get("alt") or "").strip()
        # Without a text of its own a picture gets its path for one.
        if not alt or alt == picture.get("src") or "_images/" in alt or alt.endswith(".png"):
            yield f"a picture has no alt text: {str(picture.get('src'))[:80]}"


def _too_large(file: Path, article: Tag) -> Iterator[str]:
    size = file.stat().st_size
    for picture in article.find_all("img"):
        address = str(picture["src"])
        if address.startswith("data:"):  # it is in the page
            continue
        path = file.parent / address
        size += path.stat().st_size if path.is_file() else 0
    if size > PAGE_BUDGET:
        yield f"the page has {size / 1e6:.2f} MB; the budget is {PAGE_BUDGET / 1e6:.0f} MB"


def _wrong_launch(book: Book, page: Page, soup: BeautifulSoup) -> Iterator[str]:
    """The Colab button must open the notebook, not the source."""
    if not page.is_notebook:
        return
    links = [str(link["href"]) for link in soup.find_all("a", href=True)]
    colab = [link for link in links if link.startswith("https://colab.")]
    if colab != [book.colab(page)]:
        yield f"the Colab button leads to {colab}, not to {book.colab(page)}"
    if not page.notebook.is_file():
        yield f"there is no {page.notebook.name} for the Colab button to open"


def _wrong_switch(article: Tag) -> Iterator[str]:
    """A page with cells for one backend has one switch, and says how far the backends differ."""
    cells = article.select(", ".join(f".cell.tag_{tag}" for tag in backends.TAGS))
    switches = article.select("fieldset.lrmf-backends")
    if len(switches) != int(bool(cells)):
        yield f"there are {len(switches)} switches for {len(cells)} cells for one backend"
    if cells and not article.select(f".lrmf-agreement a[href='#{backends.AGREEMENT}']"):
        yield "nothing beside the switch says how far the backends differ"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 where a page has a problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "_build", help="the build's folder")
    options = parser.parse_args(arguments)
    try:
        found = list(problems(Book.read(ROOT), options.output))
    except (BookError, FileNotFoundError) as error:
        found = [str(error)]
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    if found:
        return 1
    for name, seconds in sorted(execution_seconds(options.output).items()):
        print(f"{name} executed in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
