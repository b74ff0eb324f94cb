r"""Distances between two samples, and two-sample tests built on them: NumPy in, floats out.

Samples are ``(n, d)``, one point a row, or ``(n,)`` for numbers on the line; points of more axes,
such as images, are flattened. The two samples need not be of equal size. What is computed, for
X, X' from the source and Y, Y' from the target:

    energy distance     𝓔 = 2 E|X − Y| − E|X − X'| − E|Y − Y'|
    MMD², kernel k      E k(X, X') + E k(Y, Y') − 2 E k(X, Y)
    W_p                 (min over couplings E|X − Y|^p)^(1/p)
    sliced W_p          (mean over directions u of W_p(u·X, u·Y)^p)^(1/p)

with Euclidean lengths |·|. The energy distance here is the *squared* one: with d = 1 its square
root is :func:`scipy.stats.energy_distance`. With the triangular-gap kernel
½ (|x| + |y| − |x − y|) the MMD² is exactly half of it.

Optimal transport is computed by POT, which is imported when it is first used. POT imports every
array library it finds. To spare the seconds this can take, set the environment variables
``POT_BACKEND_DISABLE_JAX``, ``..._TENSORFLOW`` or ``..._PYTORCH`` to 1 before.

Sources: Gretton et al., A kernel two-sample test (2012); Székely and Rizzo, Energy statistics
(2013); Sejdinovic et al., Equivalence of distance-based and RKHS-based statistics (2013); Peyré
and Cuturi, Computational optimal transport (2019).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial import distance as pairwise

from lrmf.checks import check_positive_int, check_seed
from lrmf.extras import import_pot
from lrmf.kernels import (
    BLOCK,
    from_matrix,
    kernel_function,
    kernel_statistic,
    median_distance,
    triangular_gap,
)
from lrmf.points import check_features, check_points
from lrmf.units import back, exponent, scaled

__all__ = [
    "PermutationTest",
    "energy_distance",
    "median_bandwidth",
    "mmd2",
    "permutation_test",
    "sliced_wasserstein",
    "wasserstein",
]

Array = NDArray[np.float64]
Kernel = Literal["gaussian", "triangular_gap"]
Statistic = Callable[[Array, Array], float]

# POT stops after 100,000 pivots unless told otherwise, too few for some thousands of points.
_PIVOTS = 10_000_000


def mmd2(
    x: ArrayLike,
    y: ArrayLike,
    *,
    kernel: Kernel = "gaussian",
    bandwidth: float | Literal["median"] | None = None,
    unbiased: bool = True,
) -> float:
    """Squared maximum mean discrepancy of two samples.

    E k(X, X') + E k(Y, Y') − 2 E k(X, Y). The unbiased estimate leaves the pairs of a point with
    itself out of the first two means (a U-statistic): right on average, so it is often negative
    when X and Y have one distribution. The biased one keeps them (a V-statistic): it is the MMD² of
    the two empirical distributions, never negative, and too large on average, by
    (1/m + 1/n) E[k(X, X) − k(X, X')] when X and Y have one distribution.

    Raises ``TypeError`` for samples that are not numbers; ``ValueError`` for samples of different
    features, with values that are not finite, or with too few points (the unbiased estimate needs
    two a side), for an unknown kernel, and for a bandwidth that is not positive or that the kernel
    does not take.

    Args:
        x, y: (m, d) and (n, d), or (m,) and (n,).
        kernel: ``"gaussian"``, exp(−|x − y|² / (2 h²)) with the bandwidth h; or
            ``"triangular_gap"``, ½ (|x| + |y| − |x − y|), which makes MMD² half the energy
            distance.
        bandwidth: h, in the units of the data, or ``"median"``, which is also what None means for
            the Gaussian kernel: see :func:`median_bandwidth`.
        unbiased: which of the two estimates.

    >>> x, y = [[0.0], [1.0]], [[0.0], [3.0]]
    >>> round(mmd2(x, y, kernel="triangular_gap", unbiased=False), 10)
    0.5
    >>> energy_distance(x, y)
    1.0
    >>> round(mmd2(x, y, bandwidth=1.0), 4)
    -0.2588
    """
    _check_unbiased(unbiased)
    first, second, by = _samples(x, y, at_least=2 if unbiased else 1)
    function = kernel_function(kernel, bandwidth, first, second, by)
    value = kernel_statistic(function, first, second, unbiased)
    return value if kernel == "gaussian" else float(back("MMD²", value, by))


def energy_distance(x: ArrayLike, y: ArrayLike, *, unbiased: bool = False) -> float:
    """Energy distance 2 E|X − Y| − E|X − X'| − E|Y − Y'| of two samples.

    This is the squared form, in the units of the data. On the line it is 2 ∫ (F − G)² for the
    distribution functions F and G, the square of :func:`scipy.stats.energy_distance`. It is twice
    :func:`mmd2` with the triangular-gap kernel. By default the distance of the two empirical
    distributions (a V-statistic, never negative); ``unbiased=True`` leaves the pairs of a point
    with itself out.

    Raises the errors of :func:`mmd2` for samples.

    Args:
        x, y: (m, d) and (n, d), or (m,) and (n,).
        unbiased: which of the two estimates.

    >>> energy_distance([0.0], [2.0])
    4.0
    >>> round(float(stats.energy_distance([0.0], [2.0])) ** 2, 10)
    4.0
    """
    _check_unbiased(unbiased)
    first, second, by = _samples(x, y, at_least=2 if unbiased else 1)
    value = 2 * kernel_statistic(triangular_gap, first, second, unbiased)
    return float(back("energy distance", value, by))


def wasserstein(x: ArrayLike, y: ArrayLike, *, order: Literal[1, 2] = 1) -> float:
    """Wasserstein distance W_p of two samples, p = ``order``, in the units of the data.

    (min E|X − Y|^p)^(1/p) over all couplings of the two empirical distributions, exact: by sorting
    where d = 1, else by POT's network simplex. The latter needs memory for the m × n costs and
    takes about a tenth of a second for 1,000 points a side, and four times that for 2,000.

    Raises the errors of :func:`mmd2` for samples; ``ValueError`` for an order other than 1 and 2;
    ``ImportError`` without POT.

    Args:
        x, y: (m, d) and (n, d), or (m,) and (n,).
        order: 1 (cost |x − y|) or 2 (cost |x − y|²).

    >>> round(wasserstein([[0.0, 0.0], [1.0, 0.0]], [[3.0, 4.0], [4.0, 4.0]]), 10)
    5.0
    """
    first, second, by = _samples(x, y)
    _check_order(order)
    pot = import_pot()
    if first.shape[1] == 1:
        cost = pot.wasserstein_1d(first[:, 0], second[:, 0], p=order)
    else:
        costs = pairwise.cdist(first, second, "euclidean" if order == 1 else "sqeuclidean")
        # POT takes differences of costs below some absolute size for zero.
        size = exponent(costs)
        cost = pot.emd2([], [], scaled(costs, -size), numItermax=_PIVOTS)
        cost = float(back("distance", cost, size))
    return float(back("Wasserstein distance", max(float(cost), 0.0) ** (1 / order), by))


def sliced_wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    *,
    order: Literal[1, 2] = 1,
    n_projections: int = 200,
    seed: int = 0,
) -> float:
    """Sliced Wasserstein distance of two samples, in the units of the data.

    (mean over u of W_p(u·X, u·Y)^p)^(1/p), with random directions u, uniform on the sphere. It is
    at most W_p and costs no more than sorting. Computed by POT.

    Raises the errors of :func:`wasserstein`; ``ValueError`` for a number of projections that is
    not a positive integer, and a seed that is not a non-negative one.

    Args:
        x, y: (m, d) and (n, d), or (m,) and (n,).
        order: 1 or 2.
        n_projections: how many directions.
        seed: of the directions.

    >>> round(sliced_wasserstein([0.0, 1.0], [3.0, 4.0]), 10)
    3.0
    """
    first, second, by = _samples(x, y)
    _check_order(order)
    check_positive_int("n_projections", n_projections)
    check_seed(seed)
    seed = _short(seed)
    value = import_pot().sliced_wasserstein_distance(
        first, second, n_projections=n_projections, p=order, seed=seed
    )
    return float(back("sliced Wasserstein distance", float(value), by))


def _short(seed: int) -> int:
    """A seed of 32 bits, which is all that NumPy's old generators take."""
    return seed if seed < 2**32 else int(np.random.SeedSequence(seed).generate_state(1)[0])


def median_bandwidth(x: ArrayLike, y: ArrayLike) -> float:
    """The median heuristic: the median distance between two points of the pooled sample.

    A scale for the Gaussian kernel. Pooling makes it the same for every relabelling of the points,
    as a permutation test needs. Memory for (m + n)²/2 distances. Raises the errors of :func:`mmd2`
    for samples; ``ValueError`` where the median is zero.

    >>> median_bandwidth([0.0, 1.0], [3.0])
    2.0
    """
    first, second, by = _samples(x, y)
    return float(back("median distance", median_distance(first, second), by))


class PermutationTest(NamedTuple):
    """What :func:`permutation_test` returns.

    The statistic of the two samples, its p-value, and the statistics of the shuffled samples.

    >>> x, y = np.zeros((20, 1)), np.ones((20, 1))
    >>> statistic, pvalue, null = permutation_test(energy_distance, x, y, n_permutations=99)
    >>> float(statistic), float(pvalue), null.shape
    (2.0, 0.01, (99,))
    """

    statistic: float
    pvalue: float
    null_distribution: Array

    def __repr__(self) -> str:
        return (
            f"PermutationTest(statistic={self.statistic:.6g}, pvalue={self.pvalue:.6g}, "
            f"null_distribution=<{len(self.null_distribution)} statistics>)"
        )


def permutation_test(
    statistic: Statistic,
    x: ArrayLike,
    y: ArrayLike,
    *,
    n_permutations: int = 999,
    seed: int = 0,
) -> PermutationTest:
    """Two-sample test: could X and Y come from one distribution?

    Under that hypothesis the labels source and target are exchangeable. The test computes the
    statistic again with the labels shuffled, and its p-value is

        p = (1 + number of shuffles with a statistic at least as large) / (1 + n_permutations),

    for which P(p ≤ α) ≤ α holds at every sample size, whatever the distribution and the
    statistic. Where there are at most ``n_permutations`` different relabellings, all of them take
    the place of the shuffles, and p is the share that is at least as large. By
    :func:`scipy.stats.permutation_test`.

    For :func:`mmd2` and :func:`energy_distance` (or :func:`functools.partial` of them) one matrix
    of the pooled sample serves all shuffles, which makes them fast. The bandwidth of the median
    heuristic is the same for all of them.

    Raises the errors of :func:`mmd2` for samples (two points a side are the least); ``TypeError``
    for a statistic that cannot be called; ``ValueError`` for one that does not return a finite
    number, a number of permutations that is not a positive integer, and a seed that is not a
    non-negative one.

    Args:
        statistic: function of two ``(n, d)`` samples, larger where they differ more.
        x, y: (m, d) and (n, d), or (m,) and (n,).
        n_permutations: how many shuffles; the smallest p-value is 1/(1 + n_permutations).
        seed: of the shuffles.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(50, 2)), rng.normal(loc=1.0, size=(50, 2))
    >>> permutation_test(energy_distance, x, y).pvalue
    0.001
    """
    if not callable(statistic):
        raise TypeError(
            "statistic must be a function of two samples, got "
            f"{type(statistic).__name__}; pass e.g. lrmf.distances.energy_distance."
        )
    check_positive_int("n_permutations", n_permutations)
    check_seed(seed)
    first, second, by = _samples(x, y, at_least=2)
    pooled = np.concatenate([first, second])
    on_rows = _on_rows_of(pooled, statistic, len(first), by)
    if on_rows is None:
        pooled = scaled(pooled, by)  # as they came, for a statistic that we do not know

    def from_points(rows: Array, others: Array) -> float:
        i, j = rows.astype(int), others.astype(int)
        value = np.asarray(statistic(pooled[i], pooled[j]), dtype=float)
        if value.size != 1 or not np.isfinite(value).all():
            raise ValueError(
                "the statistic must return one finite number, got "
                f"{value if value.size == 1 else f'an array of shape {value.shape}'}; wrap it in a "
                "function that does."
            )
        return float(value.reshape(()))

    # SciPy shuffles numbers along an axis. We let it shuffle the row numbers of the points.
    result = stats.permutation_test(
        (np.arange(len(first)), np.arange(len(first), len(pooled))),
        from_points if on_rows is None else on_rows,
        vectorized=on_rows is not None,
        n_resamples=n_permutations,
        batch=None if on_rows is None else max(1, BLOCK // len(pooled)),
        alternative="greater",
        axis=-1,
        random_state=np.random.default_rng(seed),
    )
    return PermutationTest(float(result.statistic), float(result.pvalue), result.null_distribution)


def _samples(x: ArrayLike, y: ArrayLike, *, at_least: int = 1) -> tuple[Array, Array, int]:
    """Both samples ``(n, d)`` in units of 2^e, and e."""
    first, second = (_column(sample) for sample in (x, y))
    first = check_points(first, "x", minimum=at_least)
    second = check_points(second, "y", minimum=at_least)
    check_features(second, "y", first.shape[1:], "x")
    first, second = first.reshape(len(first), -1), second.reshape(len(second), -1)
    by = exponent(first, second)
    return scaled(first, -by), scaled(second, -by), by


def _column(sample: ArrayLike) -> ArrayLike:
    """Numbers on the line as a column; anything else as it came."""
    try:
        return np.reshape(sample, (-1, 1)) if np.ndim(sample) == 1 else sample
    except ValueError:  # lists of different lengths, which are refused
        return sample


def _check_unbiased(unbiased: object) -> None:
    if not isinstance(unbiased, (bool, np.bool_)):
        raise ValueError(f"unbiased must be True or False, got {unbiased!r}; it picks an estimate.")


def _check_order(order: object) -> None:
    if isinstance(order, bool) or not np.isscalar(order) or order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}; W_1 is the earth mover's distance.")


def _on_rows_of(
    pooled: Array, statistic: Statistic, m: int, by: int
) -> Callable[..., Array] | None:
    """A kernel statistic as a function of which rows are the source; None for other statistics."""
    function, keywords = statistic, {}
    if isinstance(statistic, functools.partial) and not statistic.args:
        function, keywords = statistic.func, statistic.keywords
    if function is not mmd2 and function is not energy_distance:
        return None
    x, y = pooled[:m], pooled[m:]
    call = inspect.signature(function).bind(x, y, **keywords)  # a TypeError for unknown options
    call.apply_defaults()
    options = call.arguments
    _check_unbiased(options["unbiased"])
    if function is mmd2:
        matrix = kernel_function(options["kernel"], options["bandwidth"], x, y, by)(pooled, pooled)
        by = 0 if options["kernel"] == "gaussian" else by
    else:
        matrix = 2 * triangular_gap(pooled, pooled)

    def on_rows(rows: Array, _: Array, axis: int = -1) -> Array:
        return back("statistic", from_matrix(matrix, rows, bool(options["unbiased"])), by)

    return on_rows
