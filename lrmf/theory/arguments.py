"""Checks of what theory functions take: numbers, moments and maps, refused with cause and cure."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf.checks import check_broadcast, check_numbers

__all__ = [
    "affine",
    "covariance",
    "finite",
    "moments",
    "positive",
    "same_features",
    "square",
    "vector",
]

Array = NDArray[np.float64]

# A product of four such numbers or their inverses lies within float64.
_LARGEST = 1e75


def finite(values: ArrayLike, *, name: str) -> Array:
    """Numbers of any shape, finite and of a magnitude whose powers float64 holds."""
    array = check_numbers(name, values)
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} has {int((~np.isfinite(array)).sum())} of {array.size} values that are not "
            "finite; remove rows with missing values before computing moments."
        )
    largest = np.max(np.abs(array), initial=0.0)
    if largest > _LARGEST:
        raise ValueError(
            f"{name} has values up to {largest:.3g}, whose powers are too large for float64; take "
            f"units in which they lie below {_LARGEST:g}."
        )
    return array


def positive(values: ArrayLike, *, name: str) -> Array:
    """Standard deviations of any shape."""
    array = finite(values, name=name)
    if (array <= 0).any():
        raise ValueError(
            f"{name} must be positive, got {array.min():g}; it is a standard deviation, e.g. "
            "x.std(), and data that never vary have no normal density."
        )
    if (array < 1 / _LARGEST).any():
        raise ValueError(
            f"{name} has values down to {array.min():.3g}, whose powers vanish in float64; take "
            f"units in which they lie above {1 / _LARGEST:g}."
        )
    return array


def square(values: ArrayLike, *, name: str) -> Array:
    """Square matrices ``(..., d, d)``."""
    array = finite(values, name=name)
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.shape[-1] == 0:
        raise ValueError(
            f"{name} must be a square matrix of shape (..., d, d), got {array.shape}; on the real "
            "line use the functions ending in _1d, or pass [[variance]]."
        )
    return array


def covariance(values: ArrayLike, *, name: str) -> Array:
    """Covariances ``(..., d, d)``, symmetric and positive definite."""
    array = square(values, name=name)
    scale = np.abs(array).max(axis=(-1, -2), keepdims=True)
    if (np.abs(array - np.swapaxes(array, -1, -2)) > 1e-8 * scale).any():
        raise ValueError(f"{name} must be symmetric; pass a covariance, e.g. np.cov(x.T).")
    smallest = np.linalg.eigvalsh(array)[..., 0]
    # Below this the determinant is rounding noise, and so is every likelihood.
    if (smallest <= 1e-14 * scale[..., 0, 0]).any():
        raise ValueError(
            f"{name} must be positive definite, but its smallest eigenvalue is "
            f"{smallest.min():.3g}; use more points than features, drop features that are "
            "functions of others, or add a small multiple of the identity."
        )
    return array


def same_features(arrays: dict[str, Array]) -> None:
    """Refuse arrays, given by name, whose last axes differ."""
    sizes = {name: array.shape[-1] for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(
            "all arguments must have the same number of features, got "
            + ", ".join(f"{size} in {name}" for name, size in sizes.items())
            + "."
        )


def vector(values: ArrayLike, *, name: str) -> Array:
    """Vectors ``(..., d)``."""
    array = finite(values, name=name)
    if array.ndim < 1:
        raise ValueError(
            f"{name} must be a vector of shape (..., d), got a scalar; on the real line use the "
            "functions ending in _1d, or pass [value]."
        )
    return array


def moments(
    mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    """Means and covariances of two domains that fit each other."""
    m_a, m_b = vector(mean_a, name="mean_a"), vector(mean_b, name="mean_b")
    s_a, s_b = covariance(cov_a, name="cov_a"), covariance(cov_b, name="cov_b")
    same_features({"mean_a": m_a, "cov_a": s_a, "mean_b": m_b, "cov_b": s_b})
    check_broadcast(
        mean_a=m_a[..., 0], cov_a=s_a[..., 0, 0], mean_b=m_b[..., 0], cov_b=s_b[..., 0, 0]
    )
    return m_a, s_a, m_b, s_b


def affine(matrix: ArrayLike, shift: ArrayLike, *, features: int) -> tuple[Array, Array]:
    """An invertible affine map of so many features."""
    linear, offset = square(matrix, name="matrix"), vector(shift, name="shift")
    same_features({"matrix": linear, "shift": offset, "cov_a": np.empty(features)})
    stretch = np.linalg.svd(linear, compute_uv=False)
    # A singular matrix of rounded entries has a tiny determinant, seldom one that is zero.
    if (stretch[..., -1] <= np.finfo(float).eps * features * stretch[..., 0]).any():
        raise ValueError("matrix must not be singular: T(x) = K x + b has to be invertible.")
    return linear, offset
