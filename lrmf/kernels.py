"""Kernels of two samples and what their matrices give: the MMD², by blocks or for relabellings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import distance as pairwise

from lrmf.checks import check_positive_number
from lrmf.units import scaled

__all__ = [
    "BLOCK",
    "from_matrix",
    "kernel_function",
    "kernel_statistic",
    "median_distance",
    "triangular_gap",
]

Array = NDArray[np.float64]

_KERNELS = ("gaussian", "triangular_gap")
#: Entries of a kernel matrix held at once where only its sum is asked for (32 MB).
BLOCK = 2**22


def kernel_function(
    kernel: object, bandwidth: object, x: Array, y: Array, by: int
) -> Callable[[Array, Array], Array]:
    """The kernel as a function of two samples, in units of 2^by, that makes their matrix."""
    if not isinstance(kernel, str) or kernel not in _KERNELS:
        raise ValueError(f"unknown kernel {kernel!r}; choose one of {_KERNELS}")
    if kernel == "triangular_gap":
        if bandwidth is not None:
            raise ValueError(
                f"the triangular-gap kernel has no bandwidth, got {bandwidth!r}; leave it out, or "
                "choose kernel='gaussian'."
            )
        return triangular_gap
    if bandwidth is None or (isinstance(bandwidth, str) and bandwidth == "median"):
        return functools.partial(_gaussian, bandwidth=median_distance(x, y))
    if isinstance(bandwidth, str):
        raise ValueError(f"bandwidth must be a positive number or 'median', got {bandwidth!r}")
    check_positive_number("bandwidth", bandwidth)
    h = float(scaled(np.float64(bandwidth), -by))  # type: ignore[arg-type]
    return functools.partial(_gaussian, bandwidth=max(h, np.nextafter(0.0, 1.0)))


def median_distance(x: Array, y: Array) -> float:
    """The median distance between two points of the pooled sample; refused where it is zero."""
    median = float(np.median(pairwise.pdist(np.concatenate([x, y]))))
    if median == 0:
        raise ValueError(
            "the median heuristic gives bandwidth 0, because more than half of the pairs of points "
            "coincide; pass a positive bandwidth."
        )
    return median


def _gaussian(x: Array, y: Array, *, bandwidth: float) -> Array:
    with np.errstate(over="ignore"):  # exp(-inf) is 0
        return np.asarray(np.exp(-0.5 * (pairwise.cdist(x, y) / bandwidth) ** 2))


def triangular_gap(x: Array, y: Array) -> Array:
    """The matrix of -½ |x - y|, up to what drops out of an MMD."""
    # The terms |x| and |y| of the kernel drop out of every MMD, so they are left out here: far
    # from the origin they would cost digits.
    return np.asarray(-0.5 * pairwise.cdist(x, y))


def kernel_statistic(
    kernel: Callable[[Array, Array], Array], x: Array, y: Array, unbiased: bool
) -> float:
    """The MMD² of two samples with this kernel, summed up block by block."""

    def mean(a: Array, b: Array) -> float:
        return sum(float(block.sum()) for block in _blocks(kernel, a, b)) / (len(a) * len(b))

    def mean_within(a: Array) -> float:
        if not unbiased:
            return mean(a, a)
        diagonal = float(kernel(a[:1], a[:1])[0, 0])  # the same for all points
        return (mean(a, a) * len(a) - diagonal) / (len(a) - 1)

    value = mean_within(x) + mean_within(y) - 2 * mean(x, y)
    return value if unbiased else max(value, 0.0)  # below zero by rounding only


def _blocks(kernel: Callable[[Array, Array], Array], x: Array, y: Array) -> Iterator[Array]:
    rows = max(1, BLOCK // len(y))
    for start in range(0, len(x), rows):
        yield kernel(x[start : start + rows], y)


def from_matrix(matrix: Array, rows: Array, unbiased: bool) -> Array:
    """The MMD² of the points in ``rows`` (..., m) against all others, from the pooled matrix."""
    size, m = len(matrix), rows.shape[-1]
    n = size - m
    chosen = np.zeros((*rows.shape[:-1], size))
    np.put_along_axis(chosen, rows.astype(int), 1.0, axis=-1)
    within_x = np.sum((chosen @ matrix) * chosen, axis=-1)
    across = chosen @ matrix.sum(axis=1) - within_x
    within_y = matrix.sum() - 2 * across - within_x
    pairs_x, pairs_y = m * m, n * n
    if unbiased:
        diagonal = matrix[0, 0]  # the same for all points
        within_x, within_y = within_x - m * diagonal, within_y - n * diagonal
        pairs_x, pairs_y = m * (m - 1), n * (n - 1)
    value = within_x / pairs_x + within_y / pairs_y - 2 * across / (m * n)
    # Equal statistics must compare as equal, so what is below the rounding of the sums is dropped.
    unit = 1e-12 * max(float(np.abs(matrix).mean()), 1e-280)
    return np.asarray(np.round(value / unit) * unit)
