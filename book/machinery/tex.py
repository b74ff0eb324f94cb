"""Write the book's MathJax macros out, because not every notebook reader keeps definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping

from book.machinery.config import BookError

__all__ = ["expand_macros"]

_COMMAND = re.compile(r"\\([A-Za-z]+)")


def expand_macros(tex: str, macros: Mapping[str, tuple[str, int]]) -> str:
    r"""Return ``tex`` with every macro replaced by its definition, also inside definitions.

    >>> expand_macros(r"A^\T \E[x] \EE", {"T": (r"\mathsf{T}", 0), "E": (r"\mathbb{E}", 0)})
    'A^{\\mathsf{T}} \\mathbb{E}[x] \\EE'
    """
    return _expand(tex, macros, depth=0)


def _expand(tex: str, macros: Mapping[str, tuple[str, int]], depth: int) -> str:
    if depth > 20:
        raise BookError("a macro in _config.yml is defined by itself")
    parts: list[str] = []
    position = 0
    while match := _COMMAND.search(tex, position):
        parts.append(tex[position : match.start()])
        position = match.end()
        if match[1] not in macros:
            parts.append(match[0])
            continue
        definition, count = macros[match[1]]
        for index in range(1, count + 1):
            argument, position = _argument(tex, position, match[0])
            definition = definition.replace(f"#{index}", argument)
        expanded = _expand(definition, macros, depth + 1)
        if parts[-1].rstrip().endswith(("^", "_")):
            expanded = f"{{{expanded}}}"  # a script is one token or one group
        elif position < len(tex) and tex[position].isalpha() and expanded[-1].isalpha():
            expanded += " "
        parts.append(expanded)
    return "".join(parts) + tex[position:]


def _argument(tex: str, position: int, command: str) -> tuple[str, int]:
    """Return the group or the single character after a command, and where it ends."""
    while position < len(tex) and tex[position].isspace():
        position += 1
    if position == len(tex):
        raise BookError(f"{command} lacks an argument")
    if tex[position] != "{":
        return tex[position], position + 1
    depth = 0
    for end in range(position, len(tex)):
        depth += {"{": 1, "}": -1}.get(tex[end], 0)
        if depth == 0:
            return tex[position + 1 : end], end + 1
    raise BookError(f"the argument of {command} has no closing brace")
