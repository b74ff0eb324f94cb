"""Assignment 3, the maps of loss zero that are not the optimal transport map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrmf.course.containment import Failed
from lrmf.course.tasks import Construction, Requirement
from lrmf.course.values import as_numbers, pair
from lrmf.theory import gaussian

__all__ = ["ROTATION"]

Array = NDArray[np.float64]
SOURCE = np.array([1.0, 0.0]), np.array([[4.0, 0.0], [0.0, 1.0]])
TARGET = np.array([0.0, 2.0]), np.array([[2.0, 1.0], [1.0, 2.0]])


def _affine(answer: Any) -> tuple[Array, Array]:
    matrix, shift = pair(answer, ("the matrix", "the shift"))
    found = as_numbers(matrix, (2, 2), "the matrix"), as_numbers(shift, (2,), "the shift")
    if not all(np.isfinite(x).all() for x in found):
        raise Failed("not a number", "all numbers must be finite.")
    return found


def _same(first: Array, second: Array, tolerance: float = 1e-6) -> bool:
    return bool(np.abs(first - second).max() < tolerance)


def _carried(matrix: Array, cov: Array) -> Array:
    return np.asarray(matrix @ cov @ matrix.T)


OPTIMAL = gaussian.monge_map(*SOURCE, *TARGET)[0]

ROTATION = Construction(
    name="gaussian.rotation",
    level="judge",
    read=_affine,
    requirements=(
        Requirement(
            "singular",
            "The matrix is singular: the map cannot be undone, and its log-determinant is −∞.",
            lambda s: abs(np.linalg.det(s[0])) > 1e-9,
        ),
        Requirement(
            "inverse",
            "This matrix carries the covariance of B to that of A.",
            lambda s: not _same(_carried(s[0], TARGET[1]), SOURCE[1]),
        ),
        Requirement(
            "ratio of covariances",
            "This is Σ_B Σ_A⁻¹. A covariance is hit by the matrix twice, K Σ_A Kᵀ: take roots.",
            lambda s: not _same(s[0], TARGET[1] @ np.linalg.inv(SOURCE[1])),
        ),
        Requirement(
            "variances only",
            "The variances agree, the covariance does not.",
            lambda s: (
                not _same(np.diag(_carried(s[0], SOURCE[1])), np.diag(TARGET[1]))
                or _same(_carried(s[0], SOURCE[1]), TARGET[1])
            ),
        ),
        Requirement(
            "covariance differs",
            "The covariance of T(A), K Σ_A Kᵀ, is not Σ_B.",
            lambda s: _same(_carried(s[0], SOURCE[1]), TARGET[1]),
        ),
        Requirement(
            "mean differs",
            "The covariances agree; the mean of T(A) is not that of B.",
            lambda s: _same(s[0] @ SOURCE[0] + s[1], TARGET[0]),
        ),
        Requirement(
            "optimal map",
            (
                "This map has loss zero, and it is the optimal transport map, the one that moves "
                "points least. Look for one that is far from it and has loss zero all the same."
            ),
            lambda s: not _same(s[0], OPTIMAL, 0.5),
        ),
    ),
    hints=(
        "Whiten A, do something that leaves white data white, then colour as B.",
        "K = L_B Q L_A⁻¹ with L Lᵀ = Σ, and any orthogonal Q.",
        "Turn by 90 degrees: Q = [[0, -1], [1, 0]]. The shift follows from the means.",
    ),
)
