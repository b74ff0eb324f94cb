"""Find what can be referred to, and number it as Sphinx does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from book.machinery.config import Book, BookError, Page
from book.machinery.markdown import Directive, make_parser, walk

__all__ = ["STATEMENTS", "Label", "Labels"]

STATEMENTS = {
    name: name.capitalize()
    for name in (
        "algorithm",
        "assumption",
        "axiom",
        "conjecture",
        "corollary",
        "criterion",
        "definition",
        "example",
        "lemma",
        "notation",
        "observation",
        "property",
        "proposition",
        "remark",
        "theorem",
    )
}


@dataclass(frozen=True)
class Label:
    """Something with a name, and how a reference to it reads.

    ``kind`` is section, figure, table, equation, exercise, solution or the kind of a statement;
    ``title`` is Markdown as the author wrote it.
    """

    name: str
    page: Page
    kind: str
    number: str
    title: str
    line: int

    @property
    def text(self) -> str:
        """How a reference reads that gives no text of its own."""
        if self.kind == "section":
            return self.title
        if self.kind == "equation":
            return f"({self.number})"
        if self.kind == "solution":
            return f"Solution to {self.title}"
        word = {"figure": "Fig."}.get(self.kind, self.kind.capitalize())
        return f"{word} {self.number}"


class Labels:
    """The labels of the whole book, and the numbers of what stands at a given line."""

    def __init__(self, book: Book) -> None:
        self.by_name: dict[str, Label] = {}
        self.by_place: dict[tuple[str, int], Label] = {}
        self._counts: Counter[tuple[int | None, str]] = Counter()
        parser = make_parser(book.extensions)
        for page in book.pages:
            for label in _labels(parser, page):
                self._add(label)
        self._name_solutions()

    def __getitem__(self, name: str) -> Label:
        if name not in self.by_name:
            raise BookError(f"nothing in the book has the label '{name}'")
        return self.by_name[name]

    def at(self, page: Page, line: int) -> Label:
        """Return what stands at a line of a page (from 0)."""
        return self.by_place[page.name, line]

    def _add(self, label: Label) -> None:
        if label.number == "?":
            key = (label.page.number, label.kind)
            self._counts[key] += 1
            chapter = "" if label.page.number is None else f"{label.page.number}."
            label = _replace(label, number=f"{chapter}{self._counts[key]}")
        self.by_place[label.page.name, label.line] = label
        if not label.name:
            return
        if label.name in self.by_name:
            first = self.by_name[label.name]
            raise BookError(
                f"{label.page.name}.md, line {label.line + 1}: the label '{label.name}' was given "
                f"before, in {first.page.name}.md, line {first.line + 1}"
            )
        self.by_name[label.name] = label

    def _name_solutions(self) -> None:
        """A solution is called after its exercise, which may stand anywhere."""
        for place, label in self.by_place.items():
            if label.kind == "solution":
                exercise = self[label.title]
                title = exercise.text + (f" ({exercise.title})" if exercise.title else "")
                named = _replace(label, title=title)
                self.by_place[place] = named
                if named.name:
                    self.by_name[named.name] = named


def _replace(label: Label, **changes: Any) -> Label:
    return Label(**{**label.__dict__, **changes})


def _labels(parser: MarkdownIt, page: Page) -> Iterator[Label]:
    """Yield a page's labels in order; a number still to be given is a question mark."""
    target: tuple[str, int] | None = None
    in_heading = False
    for token, directive, line in walk(parser, page.source.read_text(encoding="utf8")):
        if token.type == "myst_target":
            target = (token.content, line)
        elif token.type == "heading_open":
            in_heading = True
        elif in_heading and token.type == "inline":
            if target:
                yield Label(target[0], page, "section", "", token.content, target[1])
            target, in_heading = None, False
        elif target:
            raise BookError(
                f"{page.name}.md, line {target[1] + 1}: the target '{target[0]}' must stand "
                "right before a heading; other things have a label of their own"
            )
        elif token.type == "math_block_label":
            yield Label(token.info, page, "equation", "?", "", line)
        elif directive:
            yield from _directive_labels(page, token, directive, line)


def _directive_labels(page: Page, token: Token, directive: Directive, line: int) -> Iterator[Label]:
    kind = directive.name.removeprefix("prf:")
    name = directive.label or ""
    numbered = "" if "nonumber" in directive.options else "?"
    if directive.name.startswith("prf:") and kind in STATEMENTS:
        yield Label(name, page, kind, numbered, directive.argument, line)
    elif directive.name in ("exercise", "exercise-start"):
        yield Label(name, page, "exercise", numbered, directive.argument, line)
    elif directive.name in ("solution", "solution-start"):
        yield Label(name, page, "solution", "", directive.argument, line)
    elif directive.name == "figure":
        yield Label(name, page, "figure", "?", "", line)
    elif directive.name in ("table", "list-table") and directive.argument:
        yield Label(name, page, "table", "?", directive.argument, line)
    elif directive.name == "math" and name:
        yield Label(name, page, "equation", "?", "", line)
    elif directive.name == "code-cell":
        figure = directive.options.get("mystnb", {}).get("figure", {})
        if figure.get("caption"):
            yield Label(figure.get("name", ""), page, "figure", "?", figure["caption"], line)
