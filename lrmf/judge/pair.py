"""Two samples, made ready to be judged, and what is measured on them and on their controls."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg, stats

from ..checks import check_numbers
from ..points import check_pair
from .controls import SHAPES, Control, coin, coin_distance
from .cross_fitting import FOLDS, Measured, measure

__all__ = ["MAXIMUM", "MINIMUM", "Pair"]

#: Points a side: fewer are refused, of more this many are drawn.
MINIMUM, MAXIMUM = 4 * FOLDS, 50_000

# Of more features, two of the three experts see this many principal components.
_COMPONENTS = 128


class Pair:
    """Points of both sides, checked, flattened and standardised.

    Args and errors are those of `lrmf.lrd`.
    """

    def __init__(
        self,
        Xs: Any,
        Xt: Any,
        *,
        sample_weight_s: Any = None,
        sample_weight_t: Any = None,
        seed: int = 0,
    ) -> None:
        source, target = check_pair(Xs, Xt)
        self._seed = seed
        rng = self._rng(0)
        self._sides = (
            _Side(source, sample_weight_s, "s", rng),
            _Side(target, sample_weight_t, "t", rng),
        )
        self.n_source, self.n_target = (len(side.rows) for side in self._sides)
        self._is_a = np.arange(self.n_source + self.n_target) < self.n_source
        self._weight = np.concatenate([side.weight for side in self._sides])
        self.constant = _constant(*(side.points for side in self._sides))
        self._points = _standardised(np.concatenate([side.points for side in self._sides]))
        self._views = _views(self._points)

    def measure(self) -> Measured:
        """Measure the distance of the two sides."""
        return measure(self._views, self._is_a, self._weight, self._seeds(1))

    def control(self, shape: str, distance: float) -> Control:
        """Measure a pair of pseudo-domains at this distance, 0 with the shape "none"."""
        key = (2, ("none", *SHAPES).index(shape), round(distance * 1e6))
        rng = self._rng(*key, 0)
        share = self.n_source / len(self._is_a)
        coins = coin(self._points, self._weight, share, shape, distance, rng)
        found = measure(self._views, _thrown(coins, rng), self._weight, self._seeds(*key, 1))
        truth = coin_distance(coins, self._weight) if distance else 0.0
        return Control(shape=shape, truth=truth, lrd=found.value, lrd_stderr=found.stderr)

    def log_ratios(self, found: Measured) -> tuple[np.ndarray, np.ndarray]:
        """The log-ratio of every point of either side, NaN where it was not judged."""
        parts = found.log_ratio[self._is_a], found.log_ratio[~self._is_a]
        first, second = (
            side.spread_out(part) for side, part in zip(self._sides, parts, strict=True)
        )
        return first, second

    def _seeds(self, *key: int) -> np.random.SeedSequence:
        return np.random.SeedSequence([self._seed, *key])

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(self._seeds(*key))


class _Side:
    """The points of one side that are judged: those with a weight, up to a maximum."""

    def __init__(self, x: np.ndarray, weight: Any, side: str, rng: np.random.Generator) -> None:
        self.n = len(x)
        weights = _checked(weight, len(x), f"sample_weight_{side}")
        rows = np.flatnonzero(weights)
        if len(rows) < MINIMUM:
            raise ValueError(
                f"X{side} has {len(rows)} points{'' if weight is None else ' with a weight'}; the "
                f"judge needs {MINIMUM} or more a side, and hundreds to decide"
            )
        if len(rows) > MAXIMUM:
            rows = np.sort(rng.choice(rows, MAXIMUM, replace=False))
        self.rows = rows
        self.points = x[rows].reshape(len(rows), -1)
        self.weight = weights[rows] / weights[rows].mean()

    def spread_out(self, values: np.ndarray) -> np.ndarray:
        """Values of the judged points at their rows, NaN elsewhere."""
        full = np.full(self.n, np.nan)
        full[self.rows] = values
        return full


def _checked(weight: Any, n: int, name: str) -> np.ndarray:
    if weight is None:
        return np.ones(n)
    array = check_numbers(name, weight)
    if array.shape != (n,):
        raise ValueError(f"expected {name} of shape ({n},), one weight a point, got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any() or not array.any():
        raise ValueError(
            f"{name} must be finite and zero or more, and not all zero; remove such points"
        )
    return array


def _constant(a: np.ndarray, b: np.ndarray) -> tuple[int, ...]:
    """The features that are constant on one side or both, at different values."""
    flat = [np.ptp(x, axis=0) == 0 for x in (a, b)]
    return tuple(
        map(int, np.flatnonzero((flat[0] | flat[1]) & ~(flat[0] & (a[0] == b[0]) & flat[1])))
    )


def _standardised(x: np.ndarray) -> np.ndarray:
    """Normal scores of the ranks of each feature that varies ``(n, d)``; ties share a rank."""
    x = x[:, np.ptp(x, axis=0) > 0]
    if x.shape[1] == 0:
        raise ValueError(
            "all points of both sides are equal, so there is nothing to judge; pass the features "
            "in which they differ"
        )
    scores = stats.norm.ppf((stats.rankdata(x, axis=0) - 0.5) / len(x))
    return scores / scores.std(axis=0)


def _views(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each expert sees: of many features, the first two only the principal components."""
    if x.shape[1] <= _COMPONENTS:
        return x, x, x
    centred = x - x.mean(axis=0)
    _, vectors = linalg.eigh(
        centred.T @ centred, subset_by_index=(x.shape[1] - _COMPONENTS, x.shape[1] - 1)
    )
    components = centred @ vectors[:, ::-1]
    return components, components, x


def _thrown(probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One throw for each point; again should a side be too small for the folds."""
    while True:
        thrown = rng.random(len(probability)) < probability
        if FOLDS <= thrown.sum() <= len(thrown) - FOLDS:
            return thrown
