"""Checks of what describes two mixtures: their distance μ, the offset δ and the scale σ₀."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf.checks import check_broadcast
from lrmf.theory.arguments import finite, positive

__all__ = ["mixture", "offset", "parameters", "with_model_variance"]

Array = NDArray[np.float64]

_LARGEST_RATIO = 1e7


def parameters(mu: ArrayLike, delta: ArrayLike, sigma0: ArrayLike) -> tuple[Array, Array, Array]:
    """Check μ, δ and σ₀, and broadcast them against each other."""
    m, d, s = finite(mu, name="mu"), offset(delta), positive(sigma0, name="sigma0")
    check_broadcast(mu=m, delta=d, sigma0=s)
    m, d, s = np.broadcast_arrays(m, d, s)
    ratio = np.max(np.maximum(np.abs(m), d) / s, initial=0.0)
    if ratio > _LARGEST_RATIO:
        raise ValueError(
            f"mu and delta are up to {ratio:.3g} times sigma0, above {_LARGEST_RATIO:g}, where "
            "float64 has no digits left for the modes; take a larger sigma0."
        )
    return m, d, s


def with_model_variance(
    mu: ArrayLike, delta: ArrayLike, sigma0: ArrayLike, model_variance: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    """Check like :func:`parameters`, and append the variance of the model, σ₀² + δ² by default."""
    m, d, s = parameters(mu, delta, sigma0)
    if model_variance is None:
        return m, d, s, s**2 + d**2
    w = finite(model_variance, name="model_variance")
    if (w <= 0).any():
        raise ValueError(
            f"model_variance must be positive, got {w.min():g}; pass None for sigma0² + delta²."
        )
    check_broadcast(mu=m, model_variance=w)
    ratio = np.max(np.maximum(s / np.sqrt(w), np.sqrt(w) / s), initial=0.0)
    if ratio > _LARGEST_RATIO:
        raise ValueError(
            f"model_variance is up to {ratio:.3g}² times or a part of sigma0²; above "
            f"{_LARGEST_RATIO:g}² float64 has no digits left for the smaller one."
        )
    m, d, s, w = np.broadcast_arrays(m, d, s, w)
    return m, d, s, w


def mixture(delta: ArrayLike, sigma0: ArrayLike) -> tuple[Array, Array]:
    """Check δ and σ₀, and broadcast them against each other."""
    _, d, s = parameters(0.0, delta, sigma0)
    return d, s


def offset(delta: ArrayLike) -> Array:
    """Refuse a negative δ."""
    array = finite(delta, name="delta")
    if (array < 0).any():
        raise ValueError(
            f"delta must not be negative, got {array.min():g}; the mixture has the modes ±delta, "
            "pass abs(delta)."
        )
    return array
