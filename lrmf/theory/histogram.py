r"""The histogram densities on a grid: a family M that is convex, and its closed forms (nats).

A histogram density has the constant value w_i / |C_i| in each cell C_i of a grid, with weights
w_i ≥ 0 that sum to one. The equal mixture of two of them is one more: the family is closed under
mixtures, *convex* in the sense of the paper (section "Relation to Jensen–Shannon divergence").
With p_i = A(C_i) and q_i = B(C_i),

    log P_M(A; w) = Σ p_i log(w_i / |C_i|),        largest at w = p,
    d_Λ(A, B; M)  = Σ p_i log p_i + Σ q_i log q_i − Σ (p_i + q_i) log((p_i + q_i)/2),

which is 2·JSD(p, q), twice the Jensen–Shannon divergence of the binned data, whatever A and B are.

The family as a spec is :class:`Histogram`, with ``logits`` whose softmax is w; ``edges`` stands for
what it takes: increasing edges, one sequence per feature (for one feature also the sequence
itself). Cells hold their left edges, the last one of each feature its right edge too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from lrmf.checks import check_positive_int
from lrmf.specs import Histogram
from lrmf.theory.arguments import finite
from lrmf.theory.divergences import histogram_jsd

__all__ = [
    "Histogram",
    "density_arrays",
    "distance",
    "fit",
    "max_log_likelihood",
    "plug_in_bias",
]

Array = NDArray[np.float64]

# As far as a sum of probabilities may miss one.
_TOLERANCE = 1e-8


def fit(x: ArrayLike, edges: ArrayLike) -> Array:
    """Probabilities of the histogram density that fits data best: the shares of points in cells.

    They maximise the likelihood. ``x`` is ``(n, d)``, or ``(n,)`` for one feature; the result is
    ``(bins_1, …, bins_d)`` and sums to one. Raises ``ValueError`` for edges that do not increase,
    points of another number of features, no points, points that are not finite, and points outside
    the edges.

    >>> fit([0.1, 0.2, 0.3, 1.0], [0.0, 0.25, 0.5, 1.0]).tolist()
    [0.5, 0.25, 0.25]
    """
    spec = Histogram(edges=edges)  # type: ignore[arg-type]
    points = finite(x, name="x")
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or points.shape[1] != len(spec.edges) or not len(points):
        raise ValueError(
            f"x must hold points of shape (n, {len(spec.edges)}), as many features as there are "
            f"sequences of edges, got {np.shape(x)}."
        )
    spec.check_points(points, "x")
    counts, _ = np.histogramdd(points, bins=[np.array(values) for values in spec.edges])
    return np.asarray(counts / len(points))


def distance(p: ArrayLike, q: ArrayLike) -> Array:
    """Log-likelihood-ratio distance d_Λ(A, B; M) for the histogram family, in [0, 2 log 2] nats.

    2·JSD(p, q), where ``p`` and ``q`` are the probabilities that A and B give to the cells, of one
    shape ``(bins_1, …, bins_d)``: from :func:`fit` for data, exact ones for a known law. Neither
    needs to have a histogram density itself. Raises ``ValueError`` for probabilities that are
    negative or do not sum to one, and for grids that differ. (For a table of many pairs call
    :func:`lrmf.theory.divergences.histogram_jsd`, which broadcasts, and double it.)

    >>> float(distance([0.5, 0.5, 0.0], [0.0, 0.0, 1.0]).round(4))  # 2 log 2
    1.3863
    """
    first, second = _pair(p, q)
    return 2.0 * histogram_jsd(first.ravel(), second.ravel())


def max_log_likelihood(p: ArrayLike, edges: ArrayLike) -> Array:
    """Return the expected log-likelihood of data under the best histogram density (nats).

    max over w of log P_M(X; w) = Σ p_i log(p_i / |C_i|), the negative entropy of the binned data.
    ``p`` is ``(bins_1, …, bins_d)``, the probabilities of the cells. Raises ``ValueError`` as
    :func:`distance` does, and for edges of another grid.

    >>> float(max_log_likelihood([0.5, 0.5], [0.0, 1.0, 2.0]).round(4))
    -0.6931
    """
    shares, spec = _probabilities(p, name="p"), Histogram(edges=edges)  # type: ignore[arg-type]
    if shares.shape != spec.bins:
        raise ValueError(
            f"p must have one entry for each cell, shape {spec.bins}, got {shares.shape}; make it "
            "with fit(x, edges)."
        )
    log_volume = np.zeros(())
    for values in spec.edges:
        log_volume = np.add.outer(log_volume, np.log(np.diff(values)))
    return np.asarray(np.sum(xlogy(shares, shares) - shares * log_volume))


def density_arrays(p: ArrayLike) -> dict[str, Array]:
    """Arrays of the spec :class:`Histogram` for given probabilities of the cells.

    ``logits`` = log p, −∞ for an empty cell: good for computing, while a fit needs finite ones to
    start from. Raises ``ValueError`` as :func:`distance` does.

    >>> density_arrays([1.0, 0.0])["logits"].tolist()
    [0.0, -inf]
    """
    with np.errstate(divide="ignore"):
        return {"logits": np.log(_probabilities(p, name="p"))}


def plug_in_bias(p: ArrayLike, q: ArrayLike, n_a: int, n_b: int) -> Array:
    """Bias of the distance between two samples' histograms, to first order (nats).

    E[d(p̂, q̂)] − d(p, q) = Σ q_i (1 − p_i) / (2 n_a (p_i + q_i))
                          + Σ p_i (1 − q_i) / (2 n_b (p_i + q_i)) + o(1/n)

    over the cells that both laws fill, for samples of sizes ``n_a`` and ``n_b``: the second-order
    term of the delta method. For n_a = n_b = n and K such cells it lies between (K − 1)/(2n), its
    value for p = q and what Wilks' theorem says, and K/(2n); on disjoint cells it is zero. It needs
    a few points in each cell. Raises ``ValueError`` as :func:`distance` does, and for sizes that
    are no positive integers.

    >>> float(plug_in_bias(np.full(11, 1 / 11), np.full(11, 1 / 11), 100, 100).round(6))
    0.05
    """
    check_positive_int("n_a", n_a)
    check_positive_int("n_b", n_b)
    first, second = _pair(p, q)
    both = (first > 0) & (second > 0)
    first, second = first[both], second[both]
    terms = second * (1 - first) / n_a + first * (1 - second) / n_b
    return np.asarray(0.5 * np.sum(terms / (first + second)))


def _pair(p: ArrayLike, q: ArrayLike) -> tuple[Array, Array]:
    first, second = _probabilities(p, name="p"), _probabilities(q, name="q")
    if first.shape != second.shape:
        raise ValueError(
            f"p and q must have the same cells, got {first.shape} and {second.shape}; count both "
            "with the same edges."
        )
    return first, second


def _probabilities(values: ArrayLike, *, name: str) -> Array:
    array = finite(values, name=name)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(
            f"{name} must hold one probability for each cell, got shape {array.shape}; make it "
            "with fit(x, edges)."
        )
    if (array < 0).any():
        raise ValueError(
            f"{name} must not be negative, got {array.min():g}; it holds shares of counts."
        )
    if abs(array.sum() - 1.0) > _TOLERANCE:
        raise ValueError(
            f"{name} must sum to one, got {array.sum():.10g}; divide counts by their sum."
        )
    return array
