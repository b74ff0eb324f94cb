"""Data of any magnitude, in units near their own: no square overflows or vanishes.

The units are powers of two, so going to them and back is exact, but for entries some 290 orders of
magnitude below the largest, and what is computed does not depend on the magnitude of the data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["back", "exponent", "scaled"]

Array = NDArray[np.float64]


def exponent(*arrays: Array) -> int:
    """The e for which the largest magnitude in the arrays lies in [1/2, 1) · 2^e; 0 for zeros."""
    return int(np.frexp(max(float(np.max(np.abs(x), initial=0.0)) for x in arrays))[1])


def scaled(x: Array, by: int) -> Array:
    """Give x · 2^by; infinite where that is too large for float64."""
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(x, by))


def back(name: str, value: Array | float, by: int) -> Array:
    """Give value · 2^by, what was asked for in the units of the data.

    Raises ``ValueError`` where that is too large for float64.
    """
    found = scaled(np.asarray(value, dtype=np.float64), by)
    if not np.isfinite(found).all():
        raise ValueError(
            f"the {name} of these points is too large for float64 (1.8e308); divide the points by "
            "a scale first"
        )
    return found
