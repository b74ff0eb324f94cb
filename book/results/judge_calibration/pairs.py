"""Pairs of distributions whose 2·JSD is known, by the kind of their difference.

Each function takes the dimension d and the wanted 2·JSD in nats, and returns a function that draws
n and m points of the two sides. Truths come from quadrature over the quantiles of the one number on
which the likelihood ratio depends, or from a fixed sample where it depends on more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

__all__ = ["KINDS", "Draw"]

Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]

_LEVELS = (np.arange(20_000) + 0.5) / 20_000
_NORMAL = stats.norm.ppf(_LEVELS)
_HEAVY = 1.5  # degrees of freedom: no variance


def _twice_jsd(ratio_a: np.ndarray, ratio_b: np.ndarray) -> float:
    """2·JSD from log p_A/p_B at points of A and at points of B."""
    terms = np.mean(np.logaddexp(0.0, -ratio_a)) + np.mean(np.logaddexp(0.0, ratio_b))
    return float(2.0 * np.log(2.0) - terms)


def _solve(distance: Callable[[float], float], low: float, high: float, truth: float) -> float:
    return float(optimize.brentq(lambda size: distance(size) - truth, low, high))


def _direction(d: int) -> np.ndarray:
    return np.ones(d) / np.sqrt(d)


def shift(d: int, truth: float) -> Draw:
    """Two normal distributions, shifted a little in every feature."""

    def distance(size: float) -> float:
        return _twice_jsd(*((size**2 / 2.0 - size * x) for x in (_NORMAL, _NORMAL + size)))

    size = _solve(distance, 0.0, 8.0, truth) if truth else 0.0

    def draw(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + size * _direction(d)

    return draw


def scale(d: int, truth: float) -> Draw:
    """Two normal distributions, one wider in every feature."""
    squares = stats.chi2(d).ppf(_LEVELS)

    def distance(size: float) -> float:
        ratios = (
            q * (0.5 / size**2 - 0.5) + d * np.log(size) for q in (squares, size**2 * squares)
        )
        return _twice_jsd(*ratios)

    size = _solve(distance, 1.0, 20.0, truth)
    return lambda rng, n, m: (rng.normal(size=(n, d)), size * rng.normal(size=(m, d)))


def rotation(d: int, truth: float) -> Draw:
    """Correlated pairs of features, turned by 90 degrees: all correlations change their sign."""
    pairs = d // 2
    fixed = np.random.default_rng(0).normal(size=(2, 40_000, pairs))

    def points(first: np.ndarray, second: np.ndarray, size: float) -> np.ndarray:
        return size * first + np.sqrt(1.0 - size**2) * second

    def distance(size: float) -> float:
        ratios = (
            2.0 * size / (1.0 - size**2) * np.sum(fixed[0] * points(*fixed, sign * size), axis=1)
            for sign in (1.0, -1.0)
        )
        return _twice_jsd(*ratios)

    size = _solve(distance, 0.0, 0.99, truth)

    def draw(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        sides = []
        for count, sign in ((n, 1.0), (m, -1.0)):
            x = rng.normal(size=(count, d))
            even = x[:, 0 : 2 * pairs : 2]
            x[:, 1 : 2 * pairs : 2] = points(even, x[:, 1 : 2 * pairs : 2], sign * size)
            sides.append(x)
        return sides[0], sides[1]

    return draw


def cluster(d: int, truth: float) -> Draw:
    """A normal distribution, and the same with a second cluster four deviations away."""

    def ratio(x: np.ndarray, share: float) -> np.ndarray:
        return -np.logaddexp(np.log1p(-share), np.log(share) + 4.0 * x - 8.0)

    def distance(share: float) -> float:
        on_a, there = (np.logaddexp(0.0, ratio(x, share)) for x in (_NORMAL, _NORMAL + 4.0))
        missed = np.mean(np.logaddexp(0.0, -ratio(_NORMAL, share)))
        missed += (1.0 - share) * np.mean(on_a) + share * np.mean(there)
        return float(2.0 * np.log(2.0) - missed)

    share = _solve(distance, 1e-9, 0.9, truth)

    def draw(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        b = rng.normal(size=(m, d))
        b[rng.random(m) < share] += 4.0 * _direction(d)
        return rng.normal(size=(n, d)), b

    return draw


def heavy(d: int, truth: float) -> Draw:
    """Features without a variance, one of them shifted."""
    law = stats.t(_HEAVY)
    quantiles = law.ppf(_LEVELS)

    def distance(size: float) -> float:
        ratios = (law.logpdf(x) - law.logpdf(x - size) for x in (quantiles, quantiles + size))
        return _twice_jsd(*ratios)

    size = _solve(distance, 0.0, 20.0, truth) if truth else 0.0

    def draw(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        b = rng.standard_t(_HEAVY, size=(m, d))
        b[:, 0] += size
        return rng.standard_t(_HEAVY, size=(n, d)), b

    return draw


def tails(d: int, truth: float) -> Draw:
    """Normal features against features of Student's t with the same variance."""
    rng = np.random.default_rng(0)
    normal, levels = rng.normal(size=(10_000, d)), rng.random((10_000, d))

    def deviation(freedom: float) -> float:
        return float(np.sqrt(freedom / (freedom - 2.0)))

    def distance(freedom: float) -> float:
        unit = deviation(freedom)
        student = stats.t.ppf(levels, freedom) / unit
        ratios = (
            np.sum(stats.norm.logpdf(x) - stats.t.logpdf(x * unit, freedom) - np.log(unit), axis=1)
            for x in (normal, student)
        )
        return _twice_jsd(*ratios)

    freedom = _solve(distance, 2.05, 100.0, truth)
    unit = deviation(freedom)
    return lambda rng, n, m: (rng.normal(size=(n, d)), rng.standard_t(freedom, size=(m, d)) / unit)


def counts(d: int, truth: float) -> Draw:
    """Poisson counts of mean 3, and of a larger mean."""

    def distance(size: float) -> float:
        k = np.arange(int(stats.poisson.ppf(1.0 - 1e-12, 3.0 * (1.0 + size) * d)) + 2)
        a, b = (stats.poisson.pmf(k, 3.0 * d * (1.0 + s)) for s in (0.0, size))
        ratio = 3.0 * d * size - k * np.log1p(size)
        return float(
            2.0 * np.log(2.0) - a @ np.logaddexp(0.0, -ratio) - b @ np.logaddexp(0.0, ratio)
        )

    size = _solve(distance, 0.0, 3.0, truth) if truth else 0.0
    return lambda rng, n, m: (
        rng.poisson(3.0, size=(n, d)),
        rng.poisson(3.0 * (1.0 + size), size=(m, d)),
    )


KINDS: dict[str, Callable[[int, float], Draw]] = {
    "shift": shift,
    "scale": scale,
    "rotation": rotation,
    "cluster": cluster,
    "heavy": heavy,
    "tails": tails,
    "counts": counts,
}
