"""What the docstrings mean in the pages of the interface.

They are written for readers of the source: a bar is an absolute value, where reStructuredText takes
it for a substitution. And a constant has no text of its own, so that its type's would be shown.
"""

from __future__ import annotations

from typing import Any

__all__ = ["escaped", "setup"]


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.connect("autodoc-process-docstring", _prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _prepare(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [] if what in ("data", "attribute") else escaped(lines)


def escaped(lines: list[str]) -> list[str]:
    r"""The same lines with bars escaped, but for those in literals and in doctests.

    >>> escaped(["|x| of ``a | b``", ">>> 1 | 2", "3"])
    ['\\\\|x\\\\| of ``a | b``', '>>> 1 | 2', '3']
    """
    found, literal, doctest = [], False, False
    for line in lines:
        if not line.strip():
            literal = doctest = False  # literals end with their paragraph
        doctest = doctest or line.lstrip().startswith(">>>")
        if doctest:
            found.append(line)
            continue
        parts = line.split("``")
        for i, part in enumerate(parts):
            if not literal:
                parts[i] = part.replace("|", r"\|")
            if i < len(parts) - 1:
                literal = not literal
        found.append("``".join(parts))
    return found
