"""What a model needs to see of its data before it can compute: the one hook for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from .backends import get_backend
from .backends.base import Backend, Role
from .minibatches import Weights
from .objectives import Chain
from .points import check_points
from .specs import Arrays, FlowSpec
from .specs.base import fits

__all__ = ["from_data"]

#: So many points are enough for the moments of channels.
_POINTS = 1024


def from_data(
    spec: FlowSpec,
    arrays: Mapping[str, np.ndarray],
    x: Any,
    *,
    kind: Literal["density", "flow"] = "density",
    backend: Literal["jax", "tfp"] = "jax",
) -> Arrays:
    """The arrays of ``spec.init``, completed by points, in float64.

    `lrmf.specs.ActNorm` with ``start="data"`` takes its scale and shift from the first points that
    reach it (Kingma and Dhariwal, 2018); arrays of other specs come back as they are. Aligners call
    this before a fit; whoever uses models by themselves does it once.

    Args:
        spec: a flow.
        arrays: as ``spec.init`` made them.
        x: points ``(n, *event_shape)``, of which a thousand are enough.
        kind: ``"density"``, where points go through the inverse, towards noise, or ``"flow"``.
        backend: computes.

    Raises:
        ValueError, TypeError: bad points; another event shape; a channel that is constant.

    >>> from lrmf.specs import ActNorm
    >>> spec = ActNorm(start="data")
    >>> arrays = spec.init((2, 2, 1), np.random.default_rng(0))
    >>> from_data(spec, arrays, np.arange(8.0).reshape(2, 2, 2, 1))["shift"]
    array([3.5])
    """
    if not isinstance(spec, FlowSpec):
        raise TypeError(f"spec must be a flow such as lrmf.Glow(), got {type(spec).__name__}")
    if not isinstance(kind, str) or kind not in ("density", "flow"):
        raise ValueError(f"kind must be 'density' or 'flow', got {kind!r}")
    points = check_points(x, "x")
    event_shape = spec.check_arrays(arrays)
    if not fits(points.shape[1:], event_shape):
        raise ValueError(f"the arrays are for event shape {event_shape}, got {points.shape[1:]}")
    spec.shapes(points.shape[1:])
    return _completed(spec, arrays, points, get_backend(backend), inverse=kind == "density")


def completed(
    roles: Mapping[str, Role],
    initial: Mapping[str, Arrays],
    maps: Mapping[str, Chain],
    data: Mapping[str, Any],
    weights: Weights,
    backend: Backend,
) -> dict[str, Arrays]:
    """The initial arrays of a fit by role, those completed that need points.

    A map takes those of the domains whose chain holds it, as they come out of the maps before it;
    a density takes those of all domains, by the inverse, towards noise. Points of weight zero are
    left out.

    Args:
        roles: the models of a recipe.
        initial: their arrays.
        maps: the chain of roles of each domain that has points.
        data, weights: the points of each domain, and their weights or ``None``.
        backend: computes.
    """
    found = dict(initial)
    lacking = {
        name
        for name, role in roles.items()
        if isinstance(role.spec, FlowSpec) and role.spec.needs_data
    }
    if not lacking:
        return found
    count = _POINTS // len(maps)
    points = {domain: _some(data[domain], weights.get(domain), count) for domain in maps}

    def complete(name: str, domains: Iterable[str], *, inverse: bool) -> None:
        pool = np.concatenate([points[domain] for domain in domains])
        found[name] = _completed(roles[name].spec, initial[name], pool, backend, inverse=inverse)

    for name in sorted(lacking - {role for chain in maps.values() for role, _ in chain}):
        complete(name, maps, inverse=True)
    for k in range(max(map(len, maps.values()))):
        takers: dict[tuple[str, bool], list[str]] = {}
        for domain, chain in maps.items():
            if k < len(chain):
                takers.setdefault(chain[k], []).append(domain)
        for (name, inverted), domains in takers.items():
            if name in lacking:
                complete(name, domains, inverse=inverted)
            for domain in domains:
                if k + 1 < len(maps[domain]):
                    flow = backend.model(roles[name], found[name], "float64")
                    moved = flow.inverse if inverted else flow.forward
                    points[domain] = moved(points[domain])[0]
    return found


def _completed(
    spec: FlowSpec,
    arrays: Mapping[str, np.ndarray],
    points: np.ndarray,
    backend: Backend,
    *,
    inverse: bool,
) -> Arrays:
    def apply(
        spec: FlowSpec, arrays: Mapping[str, Any], x: np.ndarray, inverse: bool
    ) -> np.ndarray:
        flow = backend.flow(spec, arrays, dtype="float64")
        return (flow.inverse(x) if inverse else flow.forward(x))[0]

    return spec.from_data(arrays, points, apply, inverse=inverse)


def _some(x: Any, weights: np.ndarray | None, count: int) -> np.ndarray:
    """So many rows that have a weight, evenly spaced, or all of fewer."""
    rows = np.arange(len(x)) if weights is None else np.flatnonzero(weights)
    return np.asarray(x[rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))]])
