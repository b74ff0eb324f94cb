"""What recipes consist of: models, densities fitted by themselves, and what a map minimises."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backends.base import Game, Loss
from ..fitting import FitConfig
from ..minibatches import Weights
from ..models import Density, Flow, Map, Model
from ..points import Rows
from ..specs import Chain, Spec
from ..standardization import Standardization
from ..stepwise import Assistant

__all__ = ["DensityFit", "Objective", "Part", "flows", "pushed"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A model of a recipe.

    Attributes:
        kind: `Flow`, `Map`, `Density` or `Classifier`.
        spec: what to build, or an object of the backend's library.
        parameter: the aligner's parameter that holds it; ``None`` for a part that is fixed.
        attribute: the aligner's attribute for the fitted model, if it has one.
        of_noise: whether it is a flow of N(0, I), not of data.
        domain: whose points a model takes that belongs to no map; by default those of all domains
            where these meet.
        image: in whose units such a model gives points, if not in those that it takes.
    """

    kind: type[Model]
    spec: Any
    parameter: str | None = None
    attribute: str | None = None
    of_noise: bool = False
    domain: str | None = None
    image: str | None = None

    def standardized(self, units: Standardization | None) -> Part:
        """The part of a recipe for standardised points."""
        if units is None or not isinstance(self.spec, Spec):
            return self
        spec = self.spec.standardized(units.location, units.scale)
        return dataclasses.replace(self, spec=spec)

    def restored(
        self, model: Any, before: Standardization | None, after: Standardization | None
    ) -> Any:
        """The model of points in units of the data that a model of standardised points makes.

        Args:
            model: of standardised points.
            before: how what it takes is standardised.
            after: how what it gives is, of a flow or another map.
        """
        options = {"dtype": model.dtype, "event_shape": model.event_shape, "before": before}
        if self.kind in (Flow, Map):
            options["after"] = after
        return self.kind(model.spec, model.native_arrays, model.backend, **options)


@dataclass(frozen=True, kw_only=True)
class DensityFit:
    """A density that is fitted by itself, by maximum likelihood.

    Attributes:
        stage: its name, on the progress bar and in a checkpoint.
        attribute: the aligner's attribute for the fitted model.
        part: the part whose spec and arrays it starts from.
        domain: whose points it is fitted to.
        config: how.
    """

    stage: str
    attribute: str
    part: str
    domain: str
    config: FitConfig


@dataclass(frozen=True)
class Objective:
    """What a map minimises on given data.

    Attributes:
        loss: a loss or a game, which compiled code is kept for: data are no part of it.
        assistant: computes further arrays of each batch.
        facts: attributes of the aligner.
        constants: further arrays of every batch, taken from the data.
        log_densities: for columns of the history how many mean log-densities, in nats, they add
            (or subtract, below zero): so often log|det S| of the standardisation is missing. By
            domain, or one number for densities of points where all domains meet.
        annealed: constants that are multiplied by a factor, which falls from 1 to 0 in half of the
            steps.
        data: further data sets, parts of those to learn from, and their weights and batch sizes.
    """

    loss: Loss | Game
    assistant: Assistant | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    log_densities: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)
    annealed: Mapping[str, np.ndarray] = field(default_factory=dict)
    data: Mapping[str, Rows] = field(default_factory=dict)
    weights: Weights = field(default_factory=dict)
    batch_sizes: Mapping[str, int] = field(default_factory=dict)


def flows(
    roles: Sequence[str],
    attributes: Sequence[str],
    spec: Any,
    last: Any,
    *,
    of_noise: bool = False,
) -> dict[str, Part]:
    """A flow for each domain: all of one spec but the last, where it has its own."""
    parts = {}
    for role, attribute in zip(roles, attributes, strict=True):
        own = role == roles[-1] and last is not None
        parts[role] = Part(
            kind=Flow,
            spec=last if own else spec,
            parameter="target_transform" if own else "transform",
            attribute=attribute,
            of_noise=of_noise,
        )
    return parts


def pushed(*flows: Flow) -> Density:
    """The density of the images of N(0, I) under flows, the first of which is applied first.

    Of more than one flow each has a spec of this package.
    """
    flow, spec, arrays = flows[-1], flows[-1].spec, flows[-1].native_arrays
    if len(flows) > 1:
        spec = Chain(flows=tuple(flow.spec for flow in flows))
        arrays = {
            f"{k}/{name}": value
            for k, flow in enumerate(flows)
            for name, value in flow.native_arrays.items()
        }
    return Density(
        spec,
        arrays,
        flow.backend,
        dtype=flow.dtype,
        event_shape=flow.event_shape,
        before=flow.after,
    )
