"""The losses, written once: pure functions of models and a batch, for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .models import Density, Flow

__all__ = ["alignment_loss", "likelihood_ratio", "lrmf_loss", "negative_log_likelihood"]


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


def likelihood(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    """`negative_log_likelihood` in the form that `lrmf.fitting.fit` takes."""
    return negative_log_likelihood(models["density"], batch["data"])
