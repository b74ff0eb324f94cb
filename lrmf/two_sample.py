"""Two-sample tests: could two samples come from one distribution? One interface for five tests.

Each gives a `TwoSampleTest`: a statistic, a p-value, and how that was found. By default all are
calibrated by relabelling the points (`lrmf.distances.permutation_test`), so P(p ≤ α) ≤ α at every
sample size, whatever the distributions are. They differ in what they see.

    mmd_test, energy_test       a distance of the samples
    classifier_test             what a classifier of one half of the points says of the other
    likelihood_ratio_test       what one family of densities gains by two models for one
    score_test                  the same to second order, from gradients at the shared model

A p-value says whether a difference was seen, not how large it is: that is `lrmf.lrd`'s business.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .checks import check_fraction, check_seed
from .distances import energy_distance, mmd2, permutation_test
from .points import check_features, check_points
from .scores import scores, standardized, whitened
from .specs import FlowSpec, Gaussian
from .theory import gaussian

__all__ = [
    "TwoSampleTest",
    "classifier_test",
    "energy_test",
    "likelihood_ratio_test",
    "mmd_test",
    "score_test",
    "scores",
]

Array = NDArray[np.float64]
Null = Literal["permutation", "chi2"]


class TwoSampleTest(NamedTuple):
    """A statistic, larger where the samples differ more, its p-value, and how that was found.

    >>> found = mmd_test([0.0] * 20, [1.0] * 20, n_permutations=99)
    >>> found.statistic > 0, found.pvalue <= 0.05, found.how
    (True, True, 'MMD², 99 relabellings')
    """

    statistic: float
    pvalue: float
    how: str


def mmd_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    bandwidth: float | Literal["median"] = "median",
    n_permutations: int = 999,
    seed: int = 0,
) -> TwoSampleTest:
    """Test by the maximum mean discrepancy with a Gaussian kernel, `lrmf.distances.mmd2`.

    Args:
        x, y: samples ``(m, d)`` and ``(n, d)``, or ``(m,)`` and ``(n,)``; two points at least.
        bandwidth: of the kernel, in units of the data.
        n_permutations: how many relabellings.
        seed: of the relabellings.

    Raises the errors of `lrmf.distances.permutation_test`.

    >>> rng = np.random.default_rng(0)
    >>> mmd_test(rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + 1.0).pvalue
    0.001
    """
    statistic = functools.partial(mmd2, bandwidth=bandwidth)
    return _permuted(statistic, x, y, n_permutations, seed, "MMD²")


def energy_test(
    x: ArrayLike, y: ArrayLike, *, n_permutations: int = 999, seed: int = 0
) -> TwoSampleTest:
    """Test by the energy distance, `lrmf.distances.energy_distance`; arguments as in `mmd_test`.

    >>> import numpy as np
    >>> import lrmf
    >>> points = np.random.default_rng(0).normal(size=(2, 50, 2))
    >>> lrmf.two_sample.energy_test(points[0], points[1] + 1.0, n_permutations=99).pvalue
    0.01
    """
    return _permuted(energy_distance, x, y, n_permutations, seed, "energy distance")


def classifier_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    classifier: Any = None,
    held_out: float = 0.5,
    n_permutations: int = 999,
    seed: int = 0,
) -> TwoSampleTest:
    """Test by a classifier (C2ST): it learns on one part of the points and is asked about the rest.

    The statistic is the mean probability of "from y" on held-out points of y minus that on those of
    x. Held-out labels are exchangeable whatever was learned, so relabelling them alone calibrates
    the test, and the classifier learns once.

    Args:
        x, y: samples ``(m, d)`` and ``(n, d)``, or ``(m,)`` and ``(n,)``; four points at least.
        classifier: one of scikit-learn with ``predict_proba``; by default boosted trees.
        held_out: share of each sample that is held out.
        n_permutations: how many relabellings.
        seed: of the split, the default classifier and the relabellings.

    Source: Lopez-Paz and Oquab, Revisiting classifier two-sample tests (2017), with a mean
    difference in the place of the accuracy.

    Raises:
        TypeError: a classifier without ``predict_proba``.
        ValueError: a split that leaves fewer than two points of a sample on either side; data as
            in `mmd_test`.

    >>> import numpy as np
    >>> import lrmf
    >>> points = np.random.default_rng(0).normal(size=(2, 50, 2))
    >>> lrmf.two_sample.classifier_test(points[0], points[1] + 1.0, n_permutations=99).pvalue < 0.05
    True
    """
    first, second = _samples(x, y)
    check_fraction("held_out", held_out)
    check_seed(seed)
    if classifier is None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        classifier = HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=8, min_samples_leaf=5, random_state=seed % 2**32
        )
    if not hasattr(classifier, "predict_proba"):
        raise TypeError(
            "classifier must have fit and predict_proba, as LogisticRegression() has, got "
            f"{type(classifier).__name__}"
        )
    from sklearn.base import clone

    rng = np.random.default_rng(seed)
    train, test = [], []
    for name, points in (("x", first), ("y", second)):
        count = round(held_out * len(points))
        if not 2 <= count <= len(points) - 2:
            raise ValueError(
                f"held_out={held_out} splits the {len(points)} points of {name} into "
                f"{len(points) - count} and {count}; both parts need two or more"
            )
        rows = rng.permutation(len(points))
        test.append(points[rows[:count]])
        train.append(points[rows[count:]])
    labels = np.repeat([0, 1], [len(points) for points in train])
    learned = clone(classifier).fit(np.concatenate(train), labels)
    of_x, of_y = (learned.predict_proba(points)[:, 1] for points in test)

    def gap(a: Array, b: Array) -> float:
        return float(b.mean() - a.mean())

    name = type(classifier).__name__
    return _permuted(gap, of_x, of_y, n_permutations, seed, f"held-out scores of {name}")


def likelihood_ratio_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    density: Any = Gaussian(),
    null: Null = "permutation",
    n_permutations: int = 999,
    seed: int = 0,
) -> TwoSampleTest:
    """Test by the likelihood-ratio distance of normal densities, in closed form.

    The statistic is max log P(x) + max log P(y) - max log P(x and y together), summed over points,
    times two: Wilks' statistic, 2n times the distance for n points a side.

    Args:
        x, y: samples ``(m, d)`` and ``(n, d)``; more than d points a side.
        density: the family. Only `lrmf.Gaussian` has a maximum in closed form; of a flow,
            `score_test` takes one fit where this would take two for each relabelling.
        null: ``"permutation"``, or ``"chi2"`` with d + d(d+1)/2 degrees of freedom, which holds for
            many points of normal data alone.
        n_permutations, seed: as in `mmd_test`.

    Raises:
        TypeError: another family.
        ValueError: as many features as points, features that are functions of others; an unknown
            null; data as in `mmd_test`.

    >>> import numpy as np
    >>> import lrmf
    >>> points = np.random.default_rng(0).normal(size=(2, 50, 2))
    >>> lrmf.two_sample.likelihood_ratio_test(points[0], points[1] + 1.0, n_permutations=99).pvalue
    0.01
    """
    if not isinstance(density, Gaussian):
        raise TypeError(
            f"likelihood_ratio_test refits the family for each relabelling, which takes a closed "
            f"form: density=Gaussian(), got {density!r}; score_test takes flows"
        )
    _check_null(null)
    first, second = _samples(x, y)
    d = first.shape[1]
    for name, points in (("x", first), ("y", second)):
        if len(points) <= d:
            raise ValueError(
                f"{name} has {len(points)} points of {d} features, and the likelihood of a normal "
                "density has no maximum; give more points, or project them to fewer features"
            )
    pooled = standardized(np.concatenate([first, second]))
    first, second = pooled[: len(first)], pooled[len(first) :]
    for name, points in (("x", first), ("y", second)):
        if np.linalg.matrix_rank(points - points.mean(axis=0)) < d:
            raise ValueError(f"a feature of {name} is a function of others, or constant; drop it")

    def highest(z: Array) -> float:
        """The largest log-likelihood of points that may lie in a plane, where none is largest."""
        if np.linalg.matrix_rank(z - z.mean(axis=0)) < d:
            return 1e300  # above all others, and finite
        return float(len(z) * gaussian.max_log_likelihood(np.cov(z.T, bias=True).reshape(d, d)))

    shared = highest(pooled)

    def statistic(a: Array, b: Array) -> float:
        return float(2.0 * (highest(a) + highest(b) - shared))

    if null == "chi2":
        value, k = statistic(first, second), d + d * (d + 1) // 2
        return TwoSampleTest(value, float(stats.chi2(k).sf(value)), f"chi-squared law, {k} degrees")
    return _permuted(statistic, first, second, n_permutations, seed, "normal likelihood ratio")


def score_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    density: Any = Gaussian(),
    null: Null = "permutation",
    steps: int = 1000,
    ridge: float = 1e-3,
    n_permutations: int = 999,
    seed: int = 0,
) -> TwoSampleTest:
    """Test by the gradients of log-densities at one model that was fitted to all points.

    The statistic is (mn/(m+n)) g' (K + εI)⁻¹ g with the difference g of the mean gradients of x and
    of y, with respect to all parameters of the shared model, and their covariance K: the
    likelihood ratio to second order (Rao's score test). One fit serves all relabellings, since the
    shared model is that of all points, whatever their labels.

    Args:
        x, y: samples ``(m, d)`` and ``(n, d)``; two points at least.
        density: the family: `lrmf.Gaussian`, fitted in closed form, or the spec of a flow, fitted
            in JAX.
        null: ``"permutation"``, or ``"chi2"``, with as many degrees of freedom as K has ranks;
            refused for flows, whose parameters are not identified.
        steps: optimiser steps, for a flow.
        ridge: ε, as a share of the largest eigenvalue of K; the chi-squared law takes none.
        n_permutations, seed: as in `mmd_test`; the seed is also that of the fit.

    Warns:
        DivergenceWarning: the fit of a flow diverged; its last good arrays are used.

    Raises:
        TypeError: a density that is no spec of a flow or `lrmf.Gaussian`.
        ValueError: an unknown null, or ``"chi2"`` for a flow or for no more points than parameters;
            a ridge that is no share; data as in `mmd_test`.

    >>> import numpy as np
    >>> import lrmf
    >>> points = np.random.default_rng(0).normal(size=(2, 50, 2))
    >>> lrmf.two_sample.score_test(points[0], points[1] + 1.0, n_permutations=99).pvalue
    0.01
    """
    _check_null(null)
    check_fraction("ridge", ridge)
    check_seed(seed)
    first, second = _samples(x, y)
    m, n = len(first), len(second)
    if null == "chi2" and isinstance(density, FlowSpec):
        raise ValueError(
            "no chi-squared law holds for a flow, whose parameters are not identified and whose "
            "fit is not at its maximum; set null='permutation'"
        )
    pooled = np.concatenate([first, second])
    gradients = scores(pooled, density=density, steps=steps, seed=seed)
    if null == "chi2" and m + n <= gradients.shape[1]:
        raise ValueError(
            f"null='chi2' needs more points than the {gradients.shape[1]} parameters, got {m + n}; "
            "set null='permutation'"
        )
    # The law is that of the statistic without a ridge.
    white, rank = whitened(gradients, 0.0 if null == "chi2" else ridge)

    def from_rows(a: Array, b: Array) -> float:
        gap = white[a[:, 0].astype(int)].mean(axis=0) - white[b[:, 0].astype(int)].mean(axis=0)
        return float(m * n / (m + n) * gap @ gap)

    rows = np.arange(m + n, dtype=float)[:, None]
    if null == "chi2":
        value = from_rows(rows[:m], rows[m:])
        pvalue = float(stats.chi2(rank).sf(value))
        return TwoSampleTest(value, pvalue, f"chi-squared law, {rank} degrees")
    name = f"scores of {type(density).__name__}"
    return _permuted(from_rows, rows[:m], rows[m:], n_permutations, seed, name)


def _permuted(
    statistic: Any, x: ArrayLike, y: ArrayLike, n_permutations: int, seed: int, name: str
) -> TwoSampleTest:
    found = permutation_test(statistic, x, y, n_permutations=n_permutations, seed=seed)
    count = len(found.null_distribution)
    return TwoSampleTest(found.statistic, found.pvalue, f"{name}, {count} relabellings")


def _is_flat(x: ArrayLike) -> bool:
    try:
        return np.ndim(x) == 1
    except ValueError:  # rows of different lengths, which `check_points` refuses in words
        return False


def _samples(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Both samples ``(n, d)``."""
    first, second = (np.reshape(z, (-1, 1)) if _is_flat(z) else z for z in (x, y))
    first = check_points(first, "x", minimum=2)
    second = check_points(second, "y", minimum=2)
    check_features(second, "y", first.shape[1:], "x")
    return first.reshape(len(first), -1), second.reshape(len(second), -1)


def _check_null(null: object) -> None:
    if not isinstance(null, str) or null not in ("permutation", "chi2"):
        raise ValueError(f"null must be 'permutation' or 'chi2', got {null!r}")
