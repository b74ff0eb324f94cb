"""The losses, written once: pure functions of models and a batch, for every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .models import Composed, Density, Flow

__all__ = [
    "Alignment",
    "Chain",
    "LabelledAlignment",
    "MeanDiscrepancy",
    "TransportCost",
    "alignment_loss",
    "chained",
    "likelihood",
    "likelihood_ratio",
    "lrmf_loss",
    "negative_log_likelihood",
]

#: Roles of models that are applied one after the other, each with whether it is inverted.
Chain = tuple[tuple[str, bool], ...]


def mean(backend: Any, values: Any, weights: Any = None) -> Any:
    """The mean of numbers ``(n,)``, or Σ w_i x_i for weights that sum to one."""
    numpy = backend.namespace(values)
    return numpy.mean(values) if weights is None else numpy.sum(weights * values)


def negative_log_likelihood(density: Density, x: Any, weights: Any = None) -> Any:
    """-E[log p(x)] over the batch, a scalar in nats; weights ``(n,)`` sum to one.

    >>> import lrmf
    >>> spec, backend = lrmf.Gaussian(), lrmf.get_backend("jax")
    >>> density = backend.density(spec, spec.init((1,), np.random.default_rng(0)))
    >>> loss = negative_log_likelihood(density, np.zeros((5, 1)))
    >>> bool(abs(loss - 0.5 * np.log(2 * np.pi)) < 1e-6)  # of N(0, 1) at its mean
    True
    """
    return -mean(density.backend, density.log_prob(x), weights)


def alignment_loss(
    maps: Sequence[Flow | None],
    density: Density,
    batches: Sequence[Any],
    *,
    weights: Sequence[float] | None = None,
    sample_weights: Sequence[Any] | None = None,
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
        sample_weights: for each batch the weights of its points ``(n_j,)``, which sum to one, or
            ``None``.

    Raises:
        ValueError: numbers of maps, batches and weights differ, batches have different event
            shapes, or one is empty.

    >>> import lrmf
    >>> backend, rng = lrmf.get_backend("jax"), np.random.default_rng(0)
    >>> flow = backend.flow(lrmf.Affine(), lrmf.Affine().init((2,), rng))
    >>> density = backend.density(lrmf.Gaussian(), lrmf.Gaussian().init((2,), rng))
    >>> a, b = rng.normal(size=(2, 100, 2))
    >>> ours = alignment_loss([flow, None], density, [a, b])
    >>> bool(ours == lrmf_loss(flow, density, a, b))  # LRMF: the target has no map
    True
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
    shares = sample_weights or [None] * len(batches)
    for flow, batch, weight, share in zip(maps, batches, weights, shares, strict=True):
        if flow is None:
            mapped.append(batch)
        else:
            image, log_det = flow.forward(batch)
            mapped.append(image)
            total = total - weight * mean(backend, log_det, share)
    log_prob = density.log_prob(backend.namespace(*mapped).concatenate(mapped))
    start = 0
    for batch, weight, share in zip(batches, weights, shares, strict=True):
        stop = start + batch.shape[0]
        total = total - weight * mean(backend, log_prob[start:stop], share)
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

    >>> import lrmf
    >>> import numpy as np
    >>> backend, rng = lrmf.get_backend("jax"), np.random.default_rng(0)
    >>> flow = backend.flow(lrmf.Affine(), lrmf.Affine().init((2,), rng))
    >>> density = backend.density(lrmf.Gaussian(), lrmf.Gaussian().init((2,), rng))
    >>> a, b = rng.normal(size=(2, 100, 2))
    >>> loss = lrmf_loss(flow, density, a, b)
    >>> -float(density.log_prob(a).mean() + density.log_prob(b).mean()) - float(loss) < 1e-5
    True
    """
    return alignment_loss([transform, None], density, [a, b]) + constant


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """`alignment_loss` of a batch of several domains, in the form that `lrmf.fitting.fit` takes.

    Args:
        maps: for each domain its name in the batch and its map, a chain of models by role, each
            of them forwards or inverted; no models for the identity.
        density: the role of the shared density.

    >>> source, target = ("source", (("transform", False),)), ("target", ())
    >>> Alignment(maps=(source, target)) == likelihood_ratio
    True
    """

    maps: tuple[tuple[str, Chain], ...]
    density: str = "density"

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        return alignment_loss(
            [chained(models, chain) for _, chain in self.maps],
            models[self.density],
            [batch[domain] for domain, _ in self.maps],
            sample_weights=[batch.get(f"{domain}_weight") for domain, _ in self.maps],
        )


#: The LRMF loss: the source has a map, the target none.
likelihood_ratio = Alignment(maps=(("source", (("transform", False),)), ("target", ())))


@dataclass(frozen=True, kw_only=True)
class LabelledAlignment:
    """The LRMF losses of source and target and of their points of each label, with one map.

    Σ_u w_u { -E_u[log|det ∇T(a)|] - E_u[log P_u(T(a))] - E_u[log P_u(b)] }

    over the pair of all points, ``source`` and ``target`` of the batch under ``density`` with the
    weight 1, and the pairs ``source_<u>`` and ``target_<u>`` of the points with label u under
    ``density_<u>`` with the weights ``label_weights`` ``(labels,)`` of the batch. T is evaluated
    once. A batch without labelled points, as that of held-out ones, has the loss of the first pair.

    Args:
        labels: how many.

    >>> import lrmf
    >>> backend, rng = lrmf.get_backend("jax"), np.random.default_rng(0)
    >>> flow, density = (
    ...     make(spec, spec.init((2,), rng))
    ...     for make, spec in ((backend.flow, lrmf.Affine()), (backend.density, lrmf.Gaussian()))
    ... )
    >>> models = {"transform": flow, "density": density, "density_0": density}
    >>> a, b = rng.normal(size=(2, 100, 2)).astype(np.float32)
    >>> batch = {"source": a, "target": b, "source_0": a, "target_0": b, "label_weights": [1.0]}
    >>> twice = LabelledAlignment(labels=1)(models, batch)  # all points have the one label
    >>> bool(abs(twice - 2 * likelihood_ratio(models, batch)) < 1e-4)
    True
    """

    labels: int

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        flow = models["transform"]
        numbers = ["", *(f"_{u}" for u in range(self.labels) if f"source_{u}" in batch)]
        sources = [batch[f"source{u}"] for u in numbers]
        numpy = flow.backend.namespace(*sources)
        images, log_dets = flow.forward(numpy.concatenate(sources))
        losses: list[Any] = []
        start = 0
        for u, source in zip(numbers, sources, strict=True):
            own = slice(start, start := start + source.shape[0])
            density, target = models[f"density{u}"], batch[f"target{u}"]
            log_prob = density.log_prob(numpy.concatenate([images[own], target]))
            ours, theirs = log_prob[: source.shape[0]], log_prob[source.shape[0] :]
            losses.append(
                -mean(flow.backend, log_dets[own] + ours, batch.get(f"source{u}_weight"))
                - mean(flow.backend, theirs, batch.get(f"target{u}_weight"))
            )
        total, *others = losses
        for k, loss in enumerate(others):
            total = total + batch["label_weights"][k] * loss
        return total


def chained(models: Mapping[str, Any], chain: Chain) -> Flow | None:
    """The flow that a chain of roles amounts to; ``None`` for the identity.

    >>> import lrmf
    >>> backend, rng = lrmf.get_backend("jax"), np.random.default_rng(0)
    >>> spec = lrmf.Affine()
    >>> models = {"transform": backend.flow(spec, spec.init((1,), rng))}  # the identity
    >>> chained(models, ()) is None
    True
    >>> there_and_back = chained(models, (("transform", False), ("transform", True)))
    >>> there_and_back.forward(np.ones((5, 1)))[0].shape
    (5, 1)
    """
    if not chain:
        return None
    flows, inverted = [models[role] for role, _ in chain], [back for _, back in chain]
    return flows[0] if inverted == [False] else Composed(flows, inverted=inverted)


def likelihood(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    """`negative_log_likelihood` in the form that `lrmf.fitting.fit` takes.

    >>> import lrmf
    >>> spec, backend = lrmf.Gaussian(), lrmf.get_backend("jax")
    >>> density = backend.density(spec, spec.init((1,), np.random.default_rng(0)))
    >>> x = np.zeros((5, 1))
    >>> bool(likelihood({"density": density}, {"data": x}) == negative_log_likelihood(density, x))
    True
    """
    return negative_log_likelihood(models["density"], batch["data"], batch.get("data_weight"))


@dataclass(frozen=True, kw_only=True)
class MeanDiscrepancy:
    """Squared maximum mean discrepancy of T(a) and b, the unbiased estimate from two batches.

    mean_{i≠j} k(T(a_i), T(a_j)) + mean_{i≠j} k(b_i, b_j) - 2 mean_{i,j} k(T(a_i), b_j)

    with the kernels of `lrmf.distances.mmd2`; of several bandwidths h the mean kernel,
    k(x, y) = mean_h exp(-|x - y|² / 2h²). It takes two points a side. Weights in the batch,
    ``source_weight`` and ``target_weight``, give weighted means, still without the pairs of a
    point with itself.

    Args:
        kernel: ``"gaussian"`` or ``"triangular_gap"``, with which this is half the energy
            distance.
        bandwidths: h, in units of the data, for the Gaussian kernel; or they are ``bandwidths``
            ``(k,)`` of the batch.

    >>> import lrmf
    >>> backend, rng = lrmf.get_backend("jax"), np.random.default_rng(0)
    >>> spec = lrmf.Affine()
    >>> models = {"transform": backend.flow(spec, spec.init((1,), rng))}  # the identity
    >>> batch = {"source": np.zeros((5, 1)), "target": np.ones((4, 1))}
    >>> loss = MeanDiscrepancy(kernel="triangular_gap")(models, batch)
    >>> float(loss)  # half the energy distance of two points, one apart
    1.0
    """

    kernel: Literal["gaussian", "triangular_gap"]
    bandwidths: tuple[float, ...] = ()

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        flow = models["transform"]
        x, y = flow.forward(batch["source"])[0], batch["target"]
        numpy = flow.backend.namespace(x, y)

        v, w = batch.get("source_weight"), batch.get("target_weight")
        diagonal = 1.0 if self.kernel == "gaussian" else 0.0
        given = batch.get("bandwidths")
        widths = self.bandwidths if given is None else [given[k] for k in range(given.shape[0])]

        def within(x: Any, w: Any) -> Any:
            matrix, n = self._matrix(numpy, x, x, widths), x.shape[0]
            if w is None:
                return (numpy.sum(matrix) - n * diagonal) / (n * (n - 1))
            squares = numpy.sum(w * w)
            total = numpy.sum(w[:, None] * w[None] * matrix)
            return (total - diagonal * squares) / (1.0 - squares)

        if v is None and w is None:
            across = numpy.mean(self._matrix(numpy, x, y, widths))
        else:
            rows = self._matrix(numpy, x, y, widths)
            rows = numpy.mean(rows, axis=1) if w is None else numpy.sum(w[None] * rows, axis=1)
            across = mean(flow.backend, rows, v)
        return within(x, v) + within(y, w) - 2.0 * across

    def _matrix(self, numpy: Any, x: Any, y: Any, widths: Sequence[Any]) -> Any:
        squares = squared_distances(numpy, x, y)
        if self.kernel == "triangular_gap":
            # The terms |x| and |y| of the kernel drop out of the discrepancy.
            return -0.5 * safe_sqrt(numpy, squares)
        matrices = [numpy.exp(-0.5 / h**2 * squares) for h in widths]
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

    >>> import lrmf
    >>> backend, rng = lrmf.get_backend("jax"), np.random.default_rng(0)
    >>> spec = lrmf.Affine()
    >>> models = {"transform": backend.flow(spec, spec.init((1,), rng))}  # the identity
    >>> batch = {"source": np.zeros((2, 1)), "target": np.full((2, 1), 3.0), "plan": np.eye(2) / 2}
    >>> float(TransportCost(cost="sqeuclidean")(models, batch))
    9.0
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
