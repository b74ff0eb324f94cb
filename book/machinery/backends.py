"""Cells for one backend: how they stand in a chapter, and how its notebook shows them.

On a page a switch shows the cells of one backend (``book/_ext/backend_switch.py``). A notebook has
no switch: it holds and runs all of them, and their first line says which backend they are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from book.machinery.config import BookError

__all__ = ["AGREEMENT", "INTRODUCTION", "TAGS", "backend_of", "check"]

TAGS = {"backend-jax": "JAX", "backend-tfp": "TensorFlow Probability"}
AGREEMENT = "backend-agreement"
INTRODUCTION = (
    "*Some of the code below is written for both backends. Their cells come in pairs, "
    "the first line says for which, and both are run: their results are compared.*"
)


def backend_of(cell: Any) -> str | None:
    """Return the tag of a cell that belongs to one backend, or None."""
    tags = [tag for tag in cell.metadata.get("tags", []) if tag in TAGS]
    if len(tags) > 1:
        raise BookError("a cell belongs to one backend or to both, then it needs no tag")
    return tags[0] if tags else None


def check(cells: Sequence[Any], lines: Sequence[int]) -> None:
    """Raise BookError where a chapter's cells would leave the readers of a backend without one.

    Args:
        cells: The cells of the chapter, text and code.
        lines: The line of the chapter that each begins at, from 1.
    """
    expected: str | None = None
    agreement = []
    for cell, line in zip(cells, lines, strict=True):
        code = cell.cell_type == "code"
        tag = backend_of(cell) if code else None
        if AGREEMENT in cell.metadata.get("tags", []):
            agreement.append(line)
        if tag and cell.metadata.get("mystnb", {}).get("figure"):
            raise BookError(
                f"line {line}: a figure must be there for both backends, or its number is missing "
                "for some readers; draw it in a cell of its own"
            )
        if tag == (expected or "backend-jax"):
            expected = "backend-tfp" if expected is None else None
        elif tag or expected:
            raise BookError(
                f"line {line}: a cell with the tag backend-jax is followed at once by one with "
                "backend-tfp, without text between them"
            )
    if expected:
        raise BookError("the last cell has the tag backend-jax, and none with backend-tfp follows")
    paired = any(backend_of(cell) for cell in cells if cell.cell_type == "code")
    if len(agreement) != int(paired):
        raise BookError(
            f"{'one cell' if paired else 'no cell'} must have the tag {AGREEMENT} where there are "
            f"{'' if paired else 'no '}cells for one backend, found {len(agreement)}"
        )
