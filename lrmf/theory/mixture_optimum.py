"""Example 2.2 with its exact shared model, and its extension to several dimensions.

:mod:`lrmf.theory.mixtures` puts the paper's θ* in the place of the best shared model, which is
right for a large μ. Here the best one is computed at every μ, so that a descent can be followed
until the mixtures meet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from lrmf.theory.arguments import finite
from lrmf.theory.mixture_arguments import parameters
from lrmf.theory.mixtures import loss_limit

__all__ = ["Projection", "SharedOptimum", "project", "shared_optimum"]

Array = NDArray[np.float64]

# How many steps of the quadrature's grid may lie between the mixtures.
_LARGEST = 2_000_000


class SharedOptimum(NamedTuple):
    """The best shared model at a distance μ, and the loss there.

    The model's components are N(μ/2 ± ``half_distance``, ``variance``). ``loss`` is in nats, with
    its constant; ``log_gradient`` is log |∂/∂μ min_θ L|.
    """

    half_distance: float
    variance: float
    loss: float
    log_gradient: float


def shared_optimum(
    mu: float, *, delta: float, sigma0: float, min_variance: float = 0.0
) -> SharedOptimum:
    """Return the best symmetric shared model of Example 2.2 at any distance μ (paper, Example 2.2).

    With y = x − μ/2 for x ~ B, the components' means are μ/2 ± a and their variance is w, where

        a = E[y tanh(a y / w)],    w = μ²/4 + σ₀² + δ² − a²,
        |∂/∂μ min_θ L| = (2/w) E[r(x) (|μ|/2 + a − x)],    r(x) = 1/(1 + exp(−2a(x − |μ|/2)/w)).

    The expectations are trapezoidal sums on a grid that resolves σ₀ and w/a, and so accurate to
    about 1e-10; the relative error of the gradient stays below 1e-6 up to |μ| = 120 σ₀. Of the
    solutions the one with the largest a is taken.

    Args:
        mu: distance of the mixtures.
        delta, sigma0: offset and scale of their components.
        min_variance: a lower end for w. A large one tempers the model: from w ≥ μ²/4 + σ₀² + δ²
            on, both components lie at μ/2.

    Raises ``ValueError`` for arguments that are not numbers or not finite, a ``sigma0`` that is
    not positive, a negative ``delta`` or ``min_variance``, and a ``mu`` beyond some hundred times
    √(σ₀² + δ²), where the grid would be too long.

    >>> best = shared_optimum(16.0, delta=1.0, sigma0=0.5)
    >>> round(best.half_distance, 6), round(best.variance, 6)
    (8.0, 1.25)
    """
    m, d, s = (float(value) for value in _numbers(mu, delta, sigma0))
    floor = finite(min_variance, name="min_variance")
    if floor.ndim or floor < 0:
        raise ValueError(f"min_variance must be a number and not negative, got {min_variance!r}.")
    m = abs(m)
    x, log_weights = _grid(m, d, s)
    weights = np.exp(log_weights)
    y = x - m / 2
    total = m**2 / 4 + s**2 + d**2

    def variance(a: float) -> float:
        return max(total - a**2, float(floor))

    # a − E[y tanh(a y/w)] is negative below the root and positive above it.
    low, high = 1e-3 * np.sqrt(total), np.sqrt(total) * (1 - 1e-12)
    if np.sum(weights * y * np.tanh(low * y / variance(low))) <= low:
        low = high = 0.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if np.sum(weights * y * np.tanh(middle * y / variance(middle))) > middle:
            low = middle
        else:
            high = middle
    a = 0.5 * (low + high)
    w = variance(a)
    z = np.abs(a * y / w)
    log_cosh = np.sum(weights * (z + np.log1p(np.exp(-2 * z)) - np.log(2.0)))
    limit = float(loss_limit(delta=d, sigma0=s))
    # c(A, B) is what the plateau has beyond two separate normal densities.
    constant = limit - np.log(2 * np.pi * (s**2 + d**2)) - 1 - 2 * np.log(2.0)
    loss = np.log(2 * np.pi * w) + (total + a**2) / w - 2 * log_cosh + constant
    terms = log_weights + special.log_expit(2 * a * y / w)
    log_size, sign = special.logsumexp(terms, b=m / 2 + a - x, return_sign=True)
    # At μ = 0 the terms cancel, up to rounding.
    log_gradient = log_size + np.log(2 / w) if m > 0 and sign > 0 else -np.inf
    return SharedOptimum(float(a), float(w), float(loss), float(log_gradient))


class Projection(NamedTuple):
    """The problem on the line to which one in d dimensions comes down; see :func:`project`."""

    mu: float
    delta: float
    sigma0: float


def project(
    shift: ArrayLike,
    *,
    offset: ArrayLike,
    covariance: ArrayLike,
    model_covariance: ArrayLike | None = None,
) -> Projection:
    """Reduce Example 2.2 in d dimensions to the line.

    Let B be the equal mixture of N(±u, S) with u = ``offset`` (d,), S = ``covariance`` (d, d), let
    A be B moved by Δ = ``shift`` (d,), and W = ``model_covariance`` (d, d) that of the shared
    model's components at Δ and 0, S + uuᵀ by default. The loss depends on

        μ = √(ΔᵀW⁻¹Δ),    δ = |ΔᵀW⁻¹u| / μ,    σ₀ = √(ΔᵀW⁻¹SW⁻¹Δ) / μ

    alone, up to a constant, and is that on the line with ``model_variance=1``. With the default W,
    δ² + σ₀² = 1. Raises ``ValueError`` for a shift of zero, shapes that do not fit, and
    covariances that are not symmetric and positive definite.

    >>> project([3.0, 4.0], offset=[0.0, 0.0], covariance=[[1.0, 0.0], [0.0, 1.0]])
    Projection(mu=5.0, delta=0.0, sigma0=1.0)
    """
    by, u = finite(shift, name="shift"), finite(offset, name="offset")
    if by.ndim != 1 or by.shape != u.shape:
        raise ValueError(
            f"shift and offset must be of one shape (d,), got {by.shape} and {u.shape}."
        )
    if not by.any():
        raise ValueError("shift must not be zero: it has no direction to project on.")
    s = _definite(covariance, len(by), name="covariance")
    w = s + np.outer(u, u)
    if model_covariance is not None:
        w = _definite(model_covariance, len(by), name="model_covariance")
    direction = np.linalg.solve(w, by)
    mu = np.sqrt(by @ direction)
    sigma0 = np.sqrt(direction @ s @ direction) / mu
    return Projection(float(mu), float(abs(direction @ u) / mu), float(sigma0))


def _numbers(mu: float, delta: float, sigma0: float) -> tuple[Array, Array, Array]:
    m, d, s = parameters(mu, delta, sigma0)
    if m.ndim:
        raise ValueError("mu, delta and sigma0 must be numbers here: one model is fitted a call.")
    return m, d, s


def _grid(m: float, d: float, s: float) -> tuple[Array, Array]:
    """Points and log-probabilities of B, out to where the gradient lives."""
    step = min(s, (s**2 + d**2) / max(m, s)) / 7
    if m > _LARGEST * step:
        raise ValueError(
            f"mu is too large for sigma0={s:g} and delta={d:g}, got {m:g}: the grid would need "
            "millions of points. The model is the one of mixtures.shared_parameters there."
        )
    x = np.arange(-d - 10 * s, max(d, m / 2) + 10 * s + step, step)
    log_p = np.logaddexp(-0.5 * ((x - d) / s) ** 2, -0.5 * ((x + d) / s) ** 2)
    return x, log_p + np.log(step / (2 * s * np.sqrt(2 * np.pi)))


def _definite(values: ArrayLike, d: int, *, name: str) -> Array:
    matrix = finite(values, name=name)
    if matrix.shape != (d, d):
        raise ValueError(f"{name} must be of shape ({d}, {d}) like the shift, got {matrix.shape}.")
    if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] <= 0:
        raise ValueError(f"{name} must be symmetric and positive definite.")
    return matrix
