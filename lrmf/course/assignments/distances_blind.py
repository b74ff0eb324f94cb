"""Assignment 1, the samples that a normal density cannot tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lrmf.course.containment import Failed
from lrmf.course.tasks import Construction, Requirement
from lrmf.course.values import as_numbers, pair

__all__ = ["BLIND"]

Array = NDArray[np.float64]


def _two_samples(answer: Any) -> tuple[Array, Array]:
    first, second = pair(answer, ("a", "b"), rows=True)
    arrays = []
    for value, name in ((first, "a"), (second, "b")):
        try:
            size = np.shape(value) if not isinstance(value, str) else ()
        except ValueError:  # rows of unequal length
            size = ()
        if len(size) != 1:
            raise Failed(
                "shape", f"{name} should be points on the line, of shape (n,), not {size}."
            )
        arrays.append(as_numbers(value, size, name))
    if not all(np.isfinite(x).all() for x in arrays):
        raise Failed("not a number", "all points must be finite.")
    return arrays[0], arrays[1]


def _near(first: float, second: float) -> bool:
    return abs(first - second) < 1e-6


BLIND = Construction(
    name="distances.blind",
    level="judge",
    read=_two_samples,
    requirements=(
        Requirement(
            "size",
            "Use 4 to 1000 points on each side.",
            lambda s: all(4 <= len(x) <= 1000 for x in s),
        ),
        Requirement(
            "means differ",
            "The means differ: a normal density sees that.",
            lambda s: _near(s[0].mean(), s[1].mean()),
        ),
        Requirement(
            "not of spread one",
            "The first sample should have the standard deviation 1, so that 0.4 means something.",
            lambda s: _near(s[0].std(), 1.0),
        ),
        Requirement(
            "spreads differ",
            "The standard deviations differ (divide by n, not n − 1): a normal density sees that.",
            lambda s: _near(s[0].std(), s[1].std()),
        ),
        Requirement(
            "equal samples",
            "These are the same points. The samples should differ, and a normal density should not "
            "see it.",
            lambda s: stats.wasserstein_distance(*s) > 1e-9,
        ),
        Requirement(
            "too close",
            "Mean and spread agree. But W1 is below 0.4: the shapes are still too much alike. Try "
            "few values, or a lopsided sample.",
            lambda s: stats.wasserstein_distance(*s) >= 0.4,
        ),
    ),
    hints=(
        "Which shapes have the same mean and spread? Two values, three values, a lopsided pair ...",
        "Start from any two different shapes and standardise both: (x − x.mean()) / x.std().",
        "A sample with the values ±1 only, against one with many equal values and a few far out.",
    ),
)
