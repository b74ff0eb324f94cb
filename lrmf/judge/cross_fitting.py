"""The distance J of two sides by a cross-fitted classifier that no point judges itself with.

The points of either side are dealt into `FOLDS` folds. For every two folds j and k the experts
learn from the other three, which gives logits in j that have not seen k, and logits in k that have
not seen j. For fold k, the slopes that weigh the experts are learned from these logits in all the
other folds; its own points are judged with these slopes and the mean of the experts that have not
seen them. So the classifier of a fold has seen none of its sides, and each fold's J is at most
2·JSD in expectation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special
from threadpoolctl import ThreadpoolController

from .classifiers import EXPERTS

__all__ = ["FOLDS", "Measured", "distance", "measure", "shrink"]

FOLDS = 5

# Points that experts learn from, of more.
_ENOUGH = 30_000

# What a slope must earn, in standard deviations of what noise earns by chance.
_PRICE = 1.0


@dataclass(frozen=True)
class Measured:
    """J in nats, its standard error, and the log-ratio at every point by the others' classifier."""

    value: float
    stderr: float
    log_ratio: np.ndarray


def measure(
    views: Sequence[np.ndarray],
    is_a: np.ndarray,
    weight: np.ndarray,
    seed: np.random.SeedSequence,
) -> Measured:
    """J = 2 log 2 - (cross-entropy on A + cross-entropy on B), in nats.

    The variance is the mean of two: that of the terms of the points, which takes the classifier as
    given and is too small, and the jackknife's over the folds, which learns anew without each and
    is too large.

    Args:
        views: what each of `EXPERTS` sees of the points, each ``(n, d)``.
        is_a: their sides ``(n,)``; `FOLDS` points or more on both.
        weight: their positive weights ``(n,)``; both sides count equally, whatever their sums.
        seed: of the folds and the experts.
    """
    weight = weight.astype(np.float64)
    fold = np.empty(len(is_a), dtype=int)
    first, *seeds = seed.spawn(1 + FOLDS * (FOLDS - 1) // 2)
    rng = np.random.default_rng(first)
    for side in (is_a, ~is_a):
        weight[side] *= 0.5 * len(weight) / weight[side].sum()
        fold[side] = rng.permutation(np.arange(side.sum()) % FOLDS)

    def learn(pair: tuple[int, int], own: np.random.SeedSequence) -> tuple[np.ndarray, np.ndarray]:
        train = np.flatnonzero(~np.isin(fold, pair))
        if len(train) > _ENOUGH:
            train = np.random.default_rng(own).choice(train, _ENOUGH, replace=False)
        columns: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for expert, x, child in zip(EXPERTS.values(), views, own.spawn(len(EXPERTS)), strict=True):
            logits = expert(x[train], is_a[train], weight[train], np.random.default_rng(child))
            for found, k in zip(columns, pair, strict=True):
                found.append(logits(x[fold == k]))
        return np.concatenate(columns[0], axis=1), np.concatenate(columns[1], axis=1)

    logits = {}  # of fold j by experts that saw neither j nor k
    # On a busy machine the libraries' threads wait for each other, for minutes. Threads of our own
    # are no way out: scikit-learn's trees set the filters of warnings, which threads share.
    with ThreadpoolController().limit(limits=1):
        for (j, k), own in zip(itertools.combinations(range(FOLDS), 2), seeds, strict=True):
            logits[j, k], logits[k, j] = learn((j, k), own)

        log_ratio, jackknife = np.empty(len(is_a)), []
        for k in range(FOLDS):
            others = [j for j in range(FOLDS) if j != k]
            rows = np.concatenate([np.flatnonzero(fold == j) for j in others])
            unseen = np.concatenate([logits[j, k] for j in others])
            slopes = shrink(unseen, is_a[rows], weight[rows])
            log_ratio[fold == k] = np.mean([logits[k, j] for j in others], axis=0) @ slopes
            jackknife.append(distance(unseen @ slopes, is_a[rows], weight[rows])[0])
    value, stderr = distance(log_ratio, is_a, weight)
    variance = (stderr**2 + (FOLDS - 1) * np.var(jackknife)) / 2.0
    return Measured(value, float(np.sqrt(variance)), log_ratio)


def distance(log_ratio: np.ndarray, is_a: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """J of given logits in nats, and its standard error from the terms of the points."""
    gain = np.log(2.0) - np.logaddexp(0.0, np.where(is_a, -log_ratio, log_ratio))
    value, variance = 0.0, 0.0
    for side in (is_a, ~is_a):
        share = weight[side] / weight[side].sum()
        mean = share @ gain[side]
        value += mean
        variance += share**2 @ (gain[side] - mean) ** 2 / (1.0 - share @ share)
    return float(value), float(np.sqrt(variance))


def shrink(logits: np.ndarray, is_a: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Slopes of zero or more that add the columns ``(n, k)`` up to one calibrated logit.

    They minimise the cross-entropy and a price, the standard deviation of its derivative where
    nothing can be told, so that most are zero there. With all of them zero, J is zero.
    """
    scale = logits.std(axis=0)
    scale[scale == 0.0] = np.inf
    x = logits / scale
    share = weight / weight.sum()
    price = _PRICE * 0.5 * np.sqrt(share @ share)
    sign = np.where(is_a, 1.0, -1.0)

    def loss(slopes: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ slopes)
        value = share @ np.logaddexp(0.0, -margin) + price * slopes.sum()
        return float(value), price - x.T @ (share * sign * special.expit(-margin))

    found = optimize.minimize(
        loss,
        np.zeros(x.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * x.shape[1],
    )
    return np.asarray(found.x / scale)
