"""Checks of what describes two mixtures: their distance μ, the offset δ and the scale σ₀."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf.theory.gaussian import _finite, _positive

__all__ = ["check_broadcast", "mixture", "offset", "parameters", "with_model_variance"]

Array = NDArray[np.float64]


def parameters(mu: ArrayLike, delta: ArrayLike, sigma0: ArrayLike) -> tuple[Array, Array, Array]:
    """Check μ, δ and σ₀, and broadcast them against each other."""
    m, d, s = _finite(mu, name="mu"), offset(delta), _positive(sigma0, name="sigma0")
    check_broadcast(mu=m, delta=d, sigma0=s)
    m, d, s = np.broadcast_arrays(m, d, s)
    return m, d, s


def with_model_variance(
    mu: ArrayLike, delta: ArrayLike, sigma0: ArrayLike, model_variance: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    """Check like :func:`parameters`, and append the variance of the model, σ₀² + δ² by default."""
    m, d, s = parameters(mu, delta, sigma0)
    if model_variance is None:
        return m, d, s, s**2 + d**2
    w = _finite(model_variance, name="model_variance")
    if (w <= 0).any():
        raise ValueError(
            f"model_variance must be positive, got {w.min():g}; pass None for sigma0² + delta²."
        )
    check_broadcast(mu=m, model_variance=w)
    m, d, s, w = np.broadcast_arrays(m, d, s, w)
    return m, d, s, w


def check_broadcast(**arrays: Array) -> None:
    """Refuse arrays, given by name, whose shapes do not broadcast."""
    try:
        np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{a.shape} in {name}" for name, a in arrays.items())
        raise ValueError(
            f"the arguments must broadcast against each other, got {shapes}; add an axis with "
            "values[:, None] for a table."
        ) from None


def mixture(delta: ArrayLike, sigma0: ArrayLike) -> tuple[Array, Array]:
    """Check δ and σ₀, and broadcast them against each other."""
    _, d, s = parameters(0.0, delta, sigma0)
    return d, s


def offset(delta: ArrayLike) -> Array:
    """Refuse a negative δ."""
    array = _finite(delta, name="delta")
    if (array < 0).any():
        raise ValueError(
            f"delta must not be negative, got {array.min():g}; the mixture has the modes ±delta, "
            "pass abs(delta)."
        )
    return array
