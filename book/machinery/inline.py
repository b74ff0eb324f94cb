"""Replace roles, links and macros inside a paragraph."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from book.machinery.citations import Citations
from book.machinery.config import Book, BookError, Page
from book.machinery.labels import STATEMENTS, Label, Labels
from book.machinery.markdown import parse, span
from book.machinery.tex import expand_macros

__all__ = ["Inline"]

_WITH_TEXT = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)


class Inline:
    """Renders the inline content of one page, and remembers what it cites."""

    def __init__(
        self,
        book: Book,
        labels: Labels,
        citations: Citations,
        page: Page,
        parser: MarkdownIt,
        footnotes: Sequence[str],
    ) -> None:
        self.cited: set[str] = set()
        self._book, self._labels, self._citations, self._page = book, labels, citations, page
        self._parser, self._footnotes = parser, list(footnotes)
        self._pages = {page.name: page for page in book.pages}
        self._roles: dict[str, Callable[[str], str]] = {
            "ref": self._ref,
            "numref": self._numref,
            "eq": self._eq,
            "prf:ref": self._statement,
            "cite": self._cite_parenthetical,
            "cite:p": self._cite_parenthetical,
            "cite:t": self._cite_textual,
            "doc": self._doc,
            "math": lambda tex: f"${expand_macros(tex, book.macros)}$",
        }

    def text(self, markdown: str) -> str:
        """Render a title or another piece of one line."""
        tokens = parse(self._parser, markdown, self._footnotes)
        return " ".join(self.render(token) for token in tokens if token.type == "inline")

    def footnote_mark(self, label: str) -> str:
        """Return the raised number of a footnote."""
        return f"<sup>{self._footnotes.index(label) + 1}</sup>"

    def render(self, token: Token) -> str:
        """Return the source of an inline token with everything replaced that is not plain."""
        source = token.content
        parts: list[str] = []
        position = 0
        opened: Token | None = None
        for child in token.children or []:
            if child.type == "link_open":
                opened = child
            if "span" not in child.meta:
                continue
            start, end = span(child)
            if start < position:
                continue  # inside something already replaced
            new = self._link(source, opened, start, end) if child is opened else self._child(child)
            if new is not None:
                parts += [source[position:start], new]
                position = end
        return "".join(parts) + source[position:]

    def _child(self, token: Token) -> str | None:
        if token.type == "myst_role":
            name = token.meta["name"]
            if name not in self._roles:
                raise BookError(
                    f"the notebooks know no role {{{name}}}; teach it to book/machinery/inline.py"
                )
            return self._roles[name](token.content)
        if token.type == "math_inline":
            return f"${expand_macros(token.content, self._book.macros)}$"
        if token.type == "math_inline_double":
            return f"$${expand_macros(token.content, self._book.macros)}$$"
        if token.type == "footnote_ref":
            return self.footnote_mark(token.meta["label"])
        if token.type == "html_inline":
            raise BookError(f"raw HTML does not show in every notebook: {token.content}")
        if token.type == "image":
            raise BookError("use a {figure} with :alt: and a caption instead of an image")
        return None

    def _link(self, source: str, token: Token | None, start: int, end: int) -> str | None:
        href = str(token.attrs["href"]) if token else ""
        if re.match(r"^[a-z]+:", href):
            return None
        whole = source[start:end]
        text = whole[1 : whole.rindex("](")]
        if href.startswith("#"):
            label = self._labels[href[1:]]
            return self._to(label.page, self.text(text or label.text))
        return self._to(self._page_at(href.removesuffix(".md")), self.text(text))

    def _to(self, page: Page, text: str) -> str:
        """Return a text, with a link where it is about another page that has a notebook."""
        if page == self._page or not page.is_notebook:
            return text
        return f"[{text}]({self._book.colab(page)})"

    def _page_at(self, path: str) -> Page:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(self._page.name), path))
        if path.startswith("/"):
            name = path[1:]
        if name not in self._pages:
            raise BookError(f"no page of the book is at {path}")
        return self._pages[name]

    def _ref(self, content: str) -> str:
        text, label = self._split(content)
        if label.kind in ("figure", "table") and not text:
            raise BookError(
                f"refer to {label.name} with {{numref}}: {{ref}} would show its caption"
            )
        return self._to(label.page, self.text(text or label.text))

    def _numref(self, content: str) -> str:
        text, label = self._split(content)
        if label.kind not in ("figure", "table", "exercise"):
            raise BookError(f"{{numref}} is for figures, tables and exercises, not {label.name}")
        text = text.replace("%s", label.number).replace("{number}", label.number)
        return self._to(label.page, self.text(text or label.text))

    def _eq(self, content: str) -> str:
        label = self._labels[content]
        if label.kind != "equation":
            raise BookError(f"{{eq}} is for equations, not {label.name}")
        return self._to(label.page, label.text)

    def _statement(self, content: str) -> str:
        text, label = self._split(content)
        if label.kind not in STATEMENTS:
            raise BookError(f"{{prf:ref}} is for statements, not {label.name}")
        return self._to(label.page, self.text(text or label.text))

    def _split(self, content: str) -> tuple[str, Label]:
        match = _WITH_TEXT.match(content)
        if match:
            return match["text"], self._labels[match["target"]]
        return "", self._labels[content]

    def _keys(self, content: str) -> list[str]:
        keys = [key.strip() for key in content.split(",")]
        self.cited.update(keys)
        return keys

    def _cite_parenthetical(self, content: str) -> str:
        return self._citations.parenthetical(self._keys(content))

    def _cite_textual(self, content: str) -> str:
        return self._citations.textual(self._keys(content))

    def _doc(self, content: str) -> str:
        match = _WITH_TEXT.match(content)
        page = self._page_at(match["target"] if match else content)
        return self._to(page, match["text"] if match else _title(page))


def _title(page: Page) -> str:
    for line in page.source.read_text(encoding="utf8").split("\n"):
        if line.startswith("# "):
            return line[2:].strip()
    raise BookError(f"{page.name}.md has no title")
