"""The losses, written once: pure functions of models and a batch, for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .models import Composed, Density, Flow

__all__ = [
    "MeanDiscrepancy",
    "TransportCost",
    "alignment_loss",
    "likelihood_ratio",
    "lrmf_loss",
    "negative_log_likelihood",
]


def negative_log_likelihood(density: Density, x: Any) -> Any:
    """-E[log p(x)] over the batch, a scalar in nats."""
    return -density.backend.mean(density.log_prob(x))


def alignment_loss(
    maps: Sequence[Flow | None],
    density: Density,
    batches: Sequence[Any],
    *,
    weights: Sequence[float] | None = None,
) -> Any:
    """Σ_j w_j E[-log|det ∇T_j(x_j)| - log Q(T_j(x_j))], a scalar in nats.

    The form behind several methods: LRMF (the target's map is the identity), alignment of many
    domains to a shared density (every domain has a map), and maximum likelihood of flows with a
    common prior (Q = N(0, I)). Q is evaluated once, on the concatenated batch.

    Args:
        maps: one flow per domain; ``None`` is the identity.
        density: the shared density Q.
        batches: one array ``(n_j, *event_shape)`` per domain.
        weights: w_j, ones by default.

    Raises:
        ValueError: numbers of maps, batches and weights differ, batches have different event
            shapes, or one is empty.
    """
    if not len(maps) == len(batches) > 0:
        raise ValueError(
            f"expected one batch per map and at least one: {len(maps)} maps, {len(batches)} batches"
        )
    if weights is None:
        weights = [1.0] * len(maps)
    elif len(weights) != len(maps):
        raise ValueError(f"expected one weight per map: {len(maps)} maps, {len(weights)} weights")
    backend = density.backend
    batches = [x if backend.is_native(x) else np.asarray(x) for x in batches]
    shapes = [tuple(x.shape) for x in batches]
    if any(len(shape) < 2 or shape[1:] != shapes[0][1:] for shape in shapes):
        raise ValueError(
            f"expected batches of shape (n, *event_shape) with one event shape, got {shapes}"
        )
    if any(shape[0] == 0 for shape in shapes):
        raise ValueError(f"a batch is empty, so it has no mean: the shapes are {shapes}")
    mapped = []
    total: Any = 0.0
    for flow, batch, weight in zip(maps, batches, weights, strict=True):
        if flow is None:
            mapped.append(batch)
        else:
            image, log_det = flow.forward(batch)
            mapped.append(image)
            total = total - weight * backend.mean(log_det)
    log_prob = density.log_prob(backend.concatenate(mapped))
    start = 0
    for batch, weight in zip(batches, weights, strict=True):
        stop = start + batch.shape[0]
        total = total - weight * backend.mean(log_prob[start:stop])
        start = stop
    return total


def lrmf_loss(transform: Flow, density: Density, a: Any, b: Any, *, constant: float = 0.0) -> Any:
    """The LRMF loss on a batch (paper, Definition 2.2, equation 3), a scalar in nats.

    -E[log|det ∇T(a)|] - E[log P_S(T(a))] - E[log P_S(b)] + c(A, B). With the constant
    c(A, B) = max log P_M(A) + max log P_M(B) its minimum over the shared density bounds the
    likelihood-ratio distance d(T(A), B) from above, up to E_bias, and zero is its lower bound.

    Args:
        transform: the flow T.
        density: the shared density S.
        a: source batch ``(n_a, *event_shape)``.
        b: target batch ``(n_b, *event_shape)``.
        constant: c(A, B).
    """
    return alignment_loss([transform, None], density, [a, b]) + constant


def likelihood_ratio(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    """`lrmf_loss` in the form that `lrmf.fitting.fit` takes: roles by name."""
    return lrmf_loss(models["transform"], models["density"], batch["source"], batch["target"])


def upper_bound(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    """`alignment_loss` of two domains that both have a map, for `lrmf.fitting.fit`."""
    maps = [models["transform"], models["target_transform"]]
    return alignment_loss(maps, models["density"], [batch["source"], batch["target"]])


def back_to_back(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    """-E[log p_G(a)] - E[log p_F(b)] for flows G and F from one prior, for `lrmf.fitting.fit`.

    It is `alignment_loss` with the maps G⁻¹ and F⁻¹ and the prior for the shared density.
    """
    maps = [Composed([models[name]], inverted=[True]) for name in ("transform", "target_transform")]
    return alignment_loss(maps, models["prior"], [batch["source"], batch["target"]])


def likelihood(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    """`negative_log_likelihood` in the form that `lrmf.fitting.fit` takes."""
    return negative_log_likelihood(models["density"], batch["data"])


@dataclass(frozen=True, kw_only=True)
class MeanDiscrepancy:
    """Squared maximum mean discrepancy of T(a) and b, the unbiased estimate from two batches.

    mean_{i≠j} k(T(a_i), T(a_j)) + mean_{i≠j} k(b_i, b_j) - 2 mean_{i,j} k(T(a_i), b_j)

    with the kernels of `lrmf.distances.mmd2`; of several bandwidths h the mean kernel,
    k(x, y) = mean_h exp(-|x - y|² / 2h²). It takes two points a side.

    Args:
        kernel: ``"gaussian"`` or ``"triangular_gap"``, with which this is half the energy
            distance.
        bandwidths: h, in units of the data, for the Gaussian kernel.
    """

    kernel: Literal["gaussian", "triangular_gap"]
    bandwidths: tuple[float, ...] = ()

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        flow = models["transform"]
        x, y = flow.forward(batch["source"])[0], batch["target"]
        numpy = flow.backend.namespace(x, y)

        def within(x: Any) -> Any:
            n = x.shape[0]
            diagonal = 1.0 if self.kernel == "gaussian" else 0.0
            return (numpy.sum(self._matrix(numpy, x, x)) - n * diagonal) / (n * (n - 1))

        return within(x) + within(y) - 2.0 * numpy.mean(self._matrix(numpy, x, y))

    def _matrix(self, numpy: Any, x: Any, y: Any) -> Any:
        squares = squared_distances(numpy, x, y)
        if self.kernel == "triangular_gap":
            # The terms |x| and |y| of the kernel drop out of the discrepancy.
            return -0.5 * safe_sqrt(numpy, squares)
        matrices = [numpy.exp(-0.5 / h**2 * squares) for h in self.bandwidths]
        return sum(matrices[1:], matrices[0]) / len(matrices)


@dataclass(frozen=True, kw_only=True)
class TransportCost:
    """What it costs to move T(a) to b by given plans P and, for a Sinkhorn divergence, P'.

    Σ_ij P_ij c(T(a_i), b_j) - ½ Σ_ij P'_ij c(T(a_i), T(a_j)) + offset

    The batch holds ``plan`` P ``(n, m)`` and, if any, ``source_plan`` P' ``(n, n)`` and the scalar
    ``offset``. Where the plans are optimal for the batch, its gradient is that of the optimal
    cost, although the plans are constants to it: an optimum does not change to first order with
    what attains it (the envelope theorem; for exact transport where one plan is optimal).

    Args:
        cost: c, ``"sqeuclidean"`` for |x - y|², ``"euclidean"`` for |x - y|.
    """

    cost: Literal["sqeuclidean", "euclidean"]

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        flow = models["transform"]
        x, y = flow.forward(batch["source"])[0], batch["target"]
        numpy = flow.backend.namespace(x, y)
        total = numpy.sum(batch["plan"] * self._costs(numpy, x, y))
        if "source_plan" in batch:
            total = total - 0.5 * numpy.sum(batch["source_plan"] * self._costs(numpy, x, x))
        return total + batch["offset"] if "offset" in batch else total

    def _costs(self, numpy: Any, x: Any, y: Any) -> Any:
        squares = squared_distances(numpy, x, y)
        return squares if self.cost == "sqeuclidean" else safe_sqrt(numpy, squares)


def squared_distances(numpy: Any, x: Any, y: Any) -> Any:
    """|x_i - y_j|², shape ``(n, m)``, by the functions of a `Backend.namespace`.

    From differences: products would be faster where points have many features, and lose the
    digits of small distances.
    """
    x, y = (numpy.reshape(points, (points.shape[0], -1)) for points in (x, y))
    return numpy.sum((x[:, None] - y[None]) ** 2, axis=-1)


def safe_sqrt(numpy: Any, x: Any) -> Any:
    """√x, with gradient 0 instead of ∞ where x is 0, as for a point and itself."""
    positive = x > 0
    return numpy.where(
        positive, numpy.sqrt(numpy.where(positive, x, numpy.ones_like(x))), numpy.zeros_like(x)
    )
