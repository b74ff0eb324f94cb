"""Read what an answer gave, compare it with what it should be, and write values as words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrmf.course.containment import Failed, Opaque

__all__ = ["as_numbers", "close", "in_words", "pair"]


def as_numbers(value: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """Return a value as an array of finite floats of this shape.

    Raises ``Failed`` with what is wrong with it.
    """
    if value is None:
        raise Failed("unanswered", "not answered yet: the function returns nothing.")
    if isinstance(value, str):
        raise Failed("text", f"{name} should be a number or an array, not the text {value!r:.60}.")
    if isinstance(value, Opaque):
        hint = ": write list(...) around it" if value.kind == "generator" else ""
        raise Failed(
            "no number", f"{name} should be a number or an array, not a {value.kind}{hint}."
        )
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError
        array = array.astype(float)
    except (ValueError, TypeError):
        raise Failed(
            "no number", f"{name} should be a number or an array of real numbers."
        ) from None
    if array.shape != shape:
        raise Failed(
            "shape", f"{name} has the shape {array.shape}, it should have {_shape(shape)}."
        )
    if np.isnan(array).any():
        raise Failed("not a number", f"{name} is not a number (NaN) for some inputs.")
    return array


def pair(value: Any, names: tuple[str, str], *, rows: bool = False) -> tuple[Any, Any]:
    """Return the two parts of a result; raises ``Failed`` where there are not two.

    One array counts as two numbers, or, with ``rows``, as its two rows.
    """
    if value is None:
        raise Failed("unanswered", "not answered yet: the function returns nothing.")
    if isinstance(value, np.ndarray) and value.ndim == 1 + rows and len(value) == 2:
        return value[0], value[1]
    if not isinstance(value, tuple) or len(value) != 2:
        raise Failed("no pair", f"the function should return two things: {names[0]}, {names[1]}.")
    if any(part is None for part in value):
        missing = names[0] if value[0] is None else names[1]
        raise Failed("unanswered", f"not answered yet: there is nothing for {missing}.")
    return value


def close(got: Any, wanted: Any, tolerance: float) -> bool:
    """Say whether two values agree, to a relative error or an absolute one for small values."""
    try:
        got, wanted = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    except (TypeError, ValueError):
        return False
    if got.shape != wanted.shape or np.isnan(got).any() or np.isnan(wanted).any():
        return False
    with np.errstate(invalid="ignore"):
        near = np.abs(got - wanted) <= tolerance * np.maximum(1, np.abs(wanted))
        same = (got == wanted) | (near & np.isfinite(wanted))
    return bool(same.all())


def in_words(value: Any) -> str:
    """Write a number, an array or a function shortly."""
    if isinstance(value, np.ndarray):
        clean = np.where(np.abs(value) < 1e-12, 0.0, value) if value.dtype.kind == "f" else value
        text = np.array2string(clean, precision=4, separator=", ", threshold=24, edgeitems=2)
        return " ".join(text.split())
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape}" if shape else "() (one number)"
