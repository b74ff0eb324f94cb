"""Parse the book's MyST Markdown with the parser that builds it, and keep the positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.directives import parse_directive_text
from myst_parser.parsers.mdit import create_md_parser

from book.machinery.config import BookError

__all__ = ["CODE_DIRECTIVES", "Directive", "directive_of", "make_parser", "parse", "span", "walk"]

# Directives whose body is not Markdown.
CODE_DIRECTIVES = ("code-cell", "code-block", "code", "math", "bibliography", "image")


@dataclass(frozen=True)
class Directive:
    """A directive taken apart; ``line`` is the line of the body in the text around it."""

    name: str
    argument: str
    options: dict[str, Any]
    body: str
    line: int

    @property
    def label(self) -> str | None:
        """The name that references use for it."""
        return self.options.get("label") or self.options.get("name")


class _AnyDirective:
    """What myst-parser needs to know of a directive: one argument, options, a body."""

    option_spec: dict[str, Any] = field(default_factory=dict)
    required_arguments = 0
    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True


def make_parser(extensions: Iterable[str]) -> MarkdownIt:
    """Return the parser of the book, changed so that each inline token knows where it stood."""
    config = MdParserConfig(enable_extensions=set(extensions))
    parser = create_md_parser(config, RendererHTML)
    # Typography replaces characters, so a token's text would no longer be found in the source.
    parser.options["typographer"] = False
    for rule in parser.inline.ruler.__rules__:
        rule.fn = _keep_span(rule.fn)
    parser.inline.ruler.__cache__ = None
    return parser


def _keep_span(
    rule: Callable[[StateInline, bool], bool],
) -> Callable[[StateInline, bool], bool]:
    """Wrap a rule of the inline parser: the tokens it makes carry start and end in their meta."""

    def wrapped(state: StateInline, silent: bool) -> bool:
        start, known = state.pos, len(state.tokens)
        matched = rule(state, silent)
        if matched and not silent:
            for token in state.tokens[known:]:
                # Inner rules of a link ran first and know better.
                token.meta.setdefault("span", (start, state.pos))
        return matched

    return wrapped


def span(token: Token) -> tuple[int, int]:
    """Return where an inline token starts and ends in the content of its parent."""
    start, end = token.meta["span"]
    return start, end


def parse(parser: MarkdownIt, text: str, footnotes: Iterable[str] = ()) -> list[Token]:
    """Parse one piece of a page; footnotes defined in its other pieces count as defined."""
    refs = {f":{label}": -1 for label in footnotes}
    return parser.parse(text, {"footnotes": {"refs": refs}})


def directive_of(token: Token) -> Directive | None:
    """Return the directive that a fence holds, or None for a plain code block."""
    if token.type not in ("fence", "colon_fence") or not token.info.strip().startswith("{"):
        return None
    name, _, argument = token.info.strip()[1:].partition("}")
    result = parse_directive_text(
        _AnyDirective,
        argument.strip(),
        token.content,
        validate_options=False,
    )
    start = token.map[0] if token.map else 0
    if result.warnings:
        raise BookError(f"line {start + 1}: {{{name}}}: {result.warnings[0]}")
    return Directive(
        name=name,
        argument=argument.strip(),
        options=dict(result.options),
        body="\n".join(result.body),
        line=start + 1 + result.body_offset,
    )


def walk(
    parser: MarkdownIt, text: str, line: int = 0
) -> Iterator[tuple[Token, Directive | None, int]]:
    """Yield block tokens in the order of the page, those inside directives included.

    Each comes with its directive, if it is one, and its line in the page (from 0).
    """
    for token in parse(parser, text):
        here = line + (token.map[0] if token.map else 0)
        directive = directive_of(token)
        yield token, directive, here
        if directive and directive.name not in CODE_DIRECTIVES:
            yield from walk(parser, directive.body, line + directive.line)
