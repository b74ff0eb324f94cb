"""Checks of parameters: plain refusals that name the parameter and what it got."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

__all__ = [
    "check_bool",
    "check_broadcast",
    "check_fraction",
    "check_non_negative_int",
    "check_non_negative_number",
    "check_numbers",
    "check_positive_int",
    "check_positive_number",
    "check_seed",
    "plain",
]


def check_bool(name: str, value: object) -> None:
    """Refuse anything but True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def check_positive_int(name: str, value: object) -> None:
    """Refuse anything but a positive integer, of 64 bits."""
    if not _is_integer(value) or not 1 <= value < 2**63:  # type: ignore[operator]
        raise ValueError(f"{name} must be a positive integer, got {value!r}")


def check_non_negative_int(name: str, value: object) -> None:
    """Refuse anything but zero or a positive integer, of 64 bits."""
    if not _is_integer(value) or not 0 <= value < 2**63:  # type: ignore[operator]
        raise ValueError(f"{name} must be zero or a positive integer, got {value!r}")


def check_seed(value: object) -> None:
    """Refuse anything but a non-negative integer."""
    if not _is_integer(value) or value < 0:  # type: ignore[operator]
        raise ValueError(f"seed must be a non-negative integer, got {value!r}")


def check_positive_number(name: str, value: object, *, infinite: bool = False) -> None:
    """Refuse anything but a positive number; infinity only where it is allowed."""
    # A comparison with NaN is false.
    if not _is_number(value) or not value > 0 or (math.isinf(value) and not infinite):  # type: ignore
        raise ValueError(f"{name} must be a positive number, got {value!r}")


def check_non_negative_number(name: str, value: object) -> None:
    """Refuse anything but a number of zero or more."""
    if not _is_number(value) or not 0.0 <= value < math.inf:  # type: ignore[operator]
        raise ValueError(f"{name} must be zero or a positive number, got {value!r}")


def check_fraction(name: str, value: object) -> None:
    """Refuse anything but a number in [0, 1)."""
    if not _is_number(value) or not 0.0 <= value < 1.0:  # type: ignore[operator]
        raise ValueError(f"{name} must lie in [0, 1), got {value!r}")


def plain(value: Any) -> Any:
    """A NumPy scalar, or data type, as what it stands for in plain Python, also within a sequence.

    Anything else comes back as it is.

    >>> plain((np.int64(250), np.float32(0.5), np.dtype("float32"), "jax"))
    (250, 0.5, 'float32', 'jax')
    """
    if isinstance(value, np.floating):
        return float(value)  # `item` would leave a long double as it is
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value


def check_numbers(name: str, values: object) -> np.ndarray:
    """Real numbers as a float64 array of any shape.

    Numbers of other libraries, such as decimal ones, are converted, and so are arrays of objects.

    Raises:
        TypeError: values that are no real numbers.
        ValueError: values that make no array, masked values, and numbers too large for float64.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(
            f"{name} must be a number or an array of numbers, and this is none: its parts differ "
            "in length"
        ) from None
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} has masked values, which no formula can leave out; drop them, or fill them"
        )
    if array.dtype.kind == "O" and all(isinstance(v, (Real, Decimal)) for v in array.flat):
        try:
            array = array.astype(np.float64)
        except OverflowError:
            raise ValueError(
                f"{name} holds integers too large for float64 (1.8e308); take other units"
            ) from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    with np.errstate(over="ignore"):  # longdouble has more; infinity is refused where it matters
        return array.astype(np.float64)


def check_broadcast(**arrays: np.ndarray) -> None:
    """Refuse arrays, given by name, whose shapes do not broadcast."""
    try:
        np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{a.shape} in {name}" for name, a in arrays.items())
        raise ValueError(
            f"the arguments must broadcast against each other, got {shapes}; add an axis with "
            "values[:, None] for a table."
        ) from None


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    if _is_integer(value):
        return bool(abs(value) <= sys.float_info.max)  # type: ignore[arg-type]
    return isinstance(value, (float, np.floating))
