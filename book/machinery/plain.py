"""Rewrite MyST Markdown as plain Markdown that every notebook reader shows.

The text is parsed, and only what plain Markdown lacks is replaced in the author's own lines:
directives, roles, labels, macros. What this module does not know stops the generator, so that no
raw markup appears in a notebook.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Callable
from typing import Any

from markdown_it.token import Token

from book.machinery.citations import Citations
from book.machinery.config import Book, BookError, Page
from book.machinery.inline import Inline
from book.machinery.labels import STATEMENTS, Labels
from book.machinery.markdown import Directive, directive_of, make_parser, parse, walk
from book.machinery.tex import expand_macros

__all__ = ["Renderer"]

ADMONITIONS = {
    "attention": "Attention",
    "caution": "Caution",
    "danger": "Danger",
    "error": "Error",
    "hint": "Hint",
    "important": "Important",
    "note": "Note",
    "seealso": "See also",
    "tip": "Tip",
    "warning": "Warning",
    "margin": "Aside",
}


class Renderer:
    """Renders the Markdown cells of one page, and remembers what they cite."""

    def __init__(self, book: Book, labels: Labels, citations: Citations, page: Page) -> None:
        self.book, self.page, self.labels = book, page, labels
        self.attachments: dict[str, dict[str, str]] = {}
        self._parser = make_parser(book.extensions)
        text = page.source.read_text(encoding="utf8")
        footnotes = [
            token.meta["label"]
            for token, _, _ in walk(self._parser, text)
            if token.type == "footnote_reference_open"
        ]
        self.inline = Inline(book, labels, citations, page, self._parser, footnotes)
        self._footnotes = footnotes

    def cell(self, text: str, line: int) -> str:
        """Render one Markdown cell that starts at a line of the page (from 0)."""
        self.attachments = {}
        return self._blocks(text, line).strip("\n")

    def caption(self, text: str, line: int) -> str:
        """Render the caption of a figure that a code cell draws."""
        label = self.labels.at(self.page, line)
        return f"**{label.text}.** {self._blocks(text, line).strip()}"

    def _blocks(self, text: str, line: int) -> str:
        lines = text.split("\n")
        tokens = parse(self._parser, text, self._footnotes)
        replaced: list[tuple[int, int, list[str]]] = []
        columns: dict[int, int] = {}
        in_term = False
        for token in tokens:
            if token.map is None:
                continue
            start, end = token.map
            try:
                if token.type == "inline":
                    self._inline(token, lines, columns, bold=in_term)
                elif token.type == "dt_open":
                    in_term = True
                elif token.type == "dd_open":
                    in_term = False
                    lines[start] = lines[start].replace(":", "–", 1)
                elif token.type == "footnote_reference_open":
                    label = token.meta["label"]
                    mark = self.inline.footnote_mark(label)
                    lines[start] = lines[start].replace(f"[^{label}]:", mark, 1)
                elif (block := self._block(token, line + start)) is not None:
                    prefix = _prefix(lines[start], token)
                    rows = [(prefix + row).rstrip() for row in block.split("\n")] if block else []
                    replaced.append((start, end, rows))
            except BookError as error:
                if getattr(error, "placed", False):
                    raise
                placed = BookError(f"{self.page.name}.md, line {line + start + 1}: {error}")
                placed.placed = True  # type: ignore[attr-defined]
                raise placed from error
        for start, end, rows in sorted(replaced, reverse=True):
            # A directive in a list reaches over the blank lines after it.
            while end > start + 1 and not lines[end - 1].strip():
                end -= 1
            if rows and end < len(lines) and lines[end].strip():
                rows = [*rows, ""]
            if rows and start > 0 and lines[start - 1].strip():
                rows = ["", *rows]
            lines[start:end] = rows
        return "\n".join(lines)

    def _inline(self, token: Token, lines: list[str], columns: dict[int, int], bold: bool) -> None:
        """Put the rendered content of an inline token where its source stands."""
        start = token.map[0] if token.map else 0
        rendered = self.inline.render(token)
        if bold:
            rendered = f"**{rendered}**"
        if rendered == token.content:
            return
        old, new = token.content.split("\n"), rendered.split("\n")
        if len(old) != len(new):
            raise BookError("a role must not change the number of lines of its paragraph")
        for offset, (before, after) in enumerate(zip(old, new, strict=True)):
            row = start + offset
            column = lines[row].find(before, columns.get(row, 0))
            if column < 0:
                raise BookError(
                    f"cannot find {before!r} in its line; in a table, write \\Vert instead of a bar"
                )
            lines[row] = lines[row][:column] + after + lines[row][column + len(before) :]
            columns[row] = column + len(after)

    def _block(self, token: Token, line: int) -> str | None:
        """Return what replaces a block, or None where it stays as it is."""
        if token.type == "math_block":
            return self._math(token.content)
        if token.type == "math_block_label":
            return self._math(token.content, self.labels[token.info].number)
        if token.type in ("myst_target", "myst_line_comment"):
            return ""
        if token.type == "amsmath":
            raise BookError(
                "a bare LaTeX environment does not show in every notebook; write "
                "$$ \\begin{aligned} ... \\end{aligned} $$"
            )
        if token.type == "html_block":
            raise BookError("raw HTML does not show in every notebook")
        directive = directive_of(token)
        if directive is not None:
            return self._directive(directive, line, line + directive.line - (token.map or [0])[0])
        return None

    def _math(self, content: str, number: str | None = None) -> str:
        tag = f"\n\\tag{{{number}}}" if number else ""
        return f"$$\n{expand_macros(content.strip(), self.book.macros)}{tag}\n$$"

    def _directive(self, directive: Directive, line: int, body_line: int) -> str:
        name = directive.name
        if name == "prf:proof":
            # The tombstone shows where the proof ends: a notebook has no box around it.
            head = f"*Proof.* {self.inline.text(directive.argument)}".rstrip()
            return f"{head}\n\n{self._body(directive, body_line)}\n\n$\\square$"
        if name.startswith("prf:") and name[4:] in STATEMENTS:
            return self._numbered(directive, line, body_line)
        if name in ADMONITIONS or name in ("admonition", "dropdown"):
            return self._admonition(directive, body_line)
        known: dict[str, Callable[[Directive, int, int], str]] = {
            "exercise": self._numbered,
            "exercise-start": self._numbered,
            "solution": self._solution,
            "solution-start": self._solution_start,
            "exercise-end": lambda *_: "",
            "solution-end": lambda *_: "",
            "figure": self._figure,
            "list-table": self._list_table,
            "table": self._table,
            "math": self._math_directive,
            "epigraph": self._epigraph,
        }
        if name not in known:
            raise BookError(
                f"the notebooks know no directive {{{name}}}; teach it to book/machinery/plain.py"
            )
        return known[name](directive, line, body_line)

    def _body(self, directive: Directive, body_line: int) -> str:
        return self._blocks(directive.body, body_line).strip("\n")

    def _numbered(self, directive: Directive, line: int, body_line: int) -> str:
        label = self.labels.at(self.page, line)
        head = f"**{label.text}.**"
        if directive.argument:
            head = f"**{label.text}** ({self.inline.text(directive.argument)})."
        return f"{head}\n\n{self._body(directive, body_line)}".rstrip("\n")

    def _solution(self, directive: Directive, line: int, body_line: int) -> str:
        title = self.labels.at(self.page, line).text
        return _details(title, self._body(directive, body_line))

    def _solution_start(self, directive: Directive, line: int, body_line: int) -> str:
        return f"**{self.inline.text(self.labels.at(self.page, line).text)}.**"

    def _admonition(self, directive: Directive, body_line: int) -> str:
        body = self._body(directive, body_line)
        if directive.name in ("admonition", "dropdown"):
            title = self.inline.text(directive.argument)
        else:
            title = ADMONITIONS[directive.name]
            # Sphinx takes text on the first line of a note as its beginning.
            body = "\n\n".join(filter(None, [self.inline.text(directive.argument), body]))
        classes = str(directive.options.get("class", "")).split()
        if directive.name == "dropdown" or "dropdown" in classes:
            return _details(title, body)
        return f"**{title}.**\n\n{body}"

    def _figure(self, directive: Directive, line: int, body_line: int) -> str:
        alt = str(directive.options.get("alt", "")).strip()
        caption = self._body(directive, body_line)
        if not alt or not caption:
            raise BookError("a figure needs :alt: and a caption")
        file = self.page.source.parent / directive.argument
        if not file.is_file():
            raise BookError(f"there is no file {directive.argument}")
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self.attachments[file.name] = {kind: base64.b64encode(file.read_bytes()).decode("ascii")}
        number = self.labels.at(self.page, line).text
        return f"![{alt}](attachment:{file.name})\n\n**{number}.** {caption}"

    def _table(self, directive: Directive, line: int, body_line: int) -> str:
        return f"{self._table_caption(directive, line)}{self._body(directive, body_line)}"

    def _table_caption(self, directive: Directive, line: int) -> str:
        if not directive.argument:
            return ""
        number = self.labels.at(self.page, line).text
        return f"**{number}.** {self.inline.text(directive.argument)}\n\n"

    def _list_table(self, directive: Directive, line: int, body_line: int) -> str:
        rows: list[list[str]] = []
        depth = 0
        for token in parse(self._parser, directive.body, self._footnotes):
            if token.type == "bullet_list_open":
                depth += 1
            elif token.type == "bullet_list_close":
                depth -= 1
            elif token.type == "list_item_open":
                if depth == 1:
                    rows.append([])
                else:
                    rows[-1].append("")
            elif token.type == "inline":
                if rows[-1][-1]:
                    raise BookError("a cell of a list-table must be one paragraph")
                rows[-1][-1] = self.inline.render(token).replace("\n", " ").replace("|", "\\|")
            elif token.type not in ("paragraph_open", "paragraph_close", "list_item_close"):
                raise BookError(f"a cell of a list-table must be one paragraph, not {token.type}")
        if int(directive.options.get("header-rows", 0)) != 1:
            raise BookError("a list-table needs :header-rows: 1, as Markdown's tables do")
        table = [f"| {' | '.join(row)} |" for row in rows]
        table.insert(1, "|" + " --- |" * len(rows[0]))
        return self._table_caption(directive, line) + "\n".join(table)

    def _math_directive(self, directive: Directive, line: int, body_line: int) -> str:
        label = directive.label
        return self._math(directive.body, self.labels[label].number if label else None)

    def _epigraph(self, directive: Directive, line: int, body_line: int) -> str:
        return "\n".join(
            f"> {row}".rstrip() for row in self._body(directive, body_line).split("\n")
        )


def _details(title: str, body: str) -> str:
    """Fold a text; the blank lines make the notebook read it as Markdown."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def _prefix(line: str, token: Token) -> str:
    """Return what stands before a block in its line: the indentation inside a list or a quote."""
    marks: dict[str, Any] = {"fence": token.markup, "colon_fence": token.markup}
    mark = marks.get(token.type, line.lstrip()[:1])
    prefix = line[: line.index(mark)] if mark and mark in line else ""
    if prefix.strip(" >"):
        raise BookError("start the block on a line of its own, not behind a list mark")
    return prefix
