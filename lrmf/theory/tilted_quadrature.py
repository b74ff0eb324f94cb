"""Means of functions that bend like a logistic, under a normal density, in log space.

Mixtures lead to E[h(X)], X ~ N(δ, σ²), where h falls off exponentially on one side of a point and
not on the other. Such a mean may be as small as exp(−10,000) and owe everything to a region far
out in the tail, which general-purpose quadrature never visits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["log_mean"]

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
# A normal density has fallen by exp(−50) here, far below double precision.
_REACH = 10.0
# Parameter sets handled at once: some 4,000 quadrature nodes each.
_CHUNK = 256


def log_mean(
    log_h: Callable[[Array, Array, Array], tuple[Array, Array]],
    delta: Array,
    sigma: Array,
    k: Array,
    x0: Array,
    *,
    power: float = 1.0,
) -> tuple[Array, Array]:
    """Log-size and sign of E[h(X)], X ~ N(δ, σ²).

    ``log_h(x, k, x0)`` returns the log-size and the sign of h, which bends at ±x0 within a width
    1/|k| and grows no faster than expit(k(±x − x0)) ** power, times a polynomial.
    """
    shape = np.broadcast_shapes(delta.shape, sigma.shape, k.shape, x0.shape)
    flat = [np.broadcast_to(a, shape).reshape(-1, 1) for a in (delta, sigma, k, x0)]
    values, sign = np.empty(flat[0].shape[0]), np.empty(flat[0].shape[0])
    for start in range(0, len(values), _CHUNK):
        part = slice(start, start + _CHUNK)
        d, s, slope, center = (a[part] for a in flat)
        x, log_weight = _quadrature(d, s, slope, center, power)
        logs, signs = log_h(x, slope, center)
        logs = logs + log_weight - 0.5 * ((x - d) / s) ** 2 - np.log(s)
        top = logs.max(axis=-1, keepdims=True)
        top = np.where(np.isfinite(top), top, 0.0)
        total = np.sum(signs * np.exp(logs - top), axis=-1)
        with np.errstate(divide="ignore"):
            values[part] = np.log(np.abs(total)) + top[:, 0] - 0.5 * np.log(2 * np.pi)
        sign[part] = np.sign(total)
    return values.reshape(shape), sign.reshape(shape)


def _quadrature(d: Array, s: Array, k: Array, x0: Array, power: float) -> tuple[Array, Array]:
    """Nodes and log-weights, ``(n, nodes)``, for normal densities times logistic functions.

    The integrand N(x; δ, σ²) expit(k(±x − x0)) ** power is log-concave with one peak per sign,
    near which it lives on the scale σ. Around ±x0 it also lives on the scale 1/|k|, which may be
    far smaller; its nearest singularity is π/|k| off the real line. Panels that double in width
    away from ±x0 keep their distance to it in proportion.
    """
    peaks = [_peak(d, s, side * k, side * x0, power) for side in (1.0, -1.0)]
    low = np.minimum(*peaks) - _REACH * s
    high = np.maximum(*peaks) + _REACH * s
    width = 1.0 / np.maximum(np.abs(k), 1.0 / (2 * _REACH * s))
    doublings = 1 + int(np.ceil(np.log2(np.max((high - low) / width))))
    graded = width * 2.0 ** np.arange(max(doublings, 1))
    even = s * np.arange(-_REACH, _REACH + 1, 2.0)
    bends = [c + sign * graded for c in (x0, -x0) for sign in (1.0, -1.0)]
    edges = np.concatenate([*bends, *(p + even for p in peaks), low, high], axis=-1)
    edges = np.sort(np.clip(edges, low, high), axis=-1)
    half, middle = 0.5 * np.diff(edges, axis=-1), 0.5 * (edges[:, 1:] + edges[:, :-1])
    x = middle[..., None] + half[..., None] * _NODES
    with np.errstate(divide="ignore"):
        log_weight = np.log(half[..., None] * _WEIGHTS)
    return x.reshape(len(x), -1), log_weight.reshape(len(x), -1)


def _peak(d: Array, s: Array, k: Array, x0: Array, power: float) -> Array:
    """Where N(x; δ, σ²) expit(k(x − x0)) ** power is largest, by bisection (log-concave)."""
    reach = power * np.abs(k) * s**2
    low, high = d - reach, d + reach
    for _ in range(60):
        middle = 0.5 * (low + high)
        falls = (middle - d) / s**2 > power * k * special.expit(-k * (middle - x0))
        low, high = np.where(falls, low, middle), np.where(falls, middle, high)
    return 0.5 * (low + high)
