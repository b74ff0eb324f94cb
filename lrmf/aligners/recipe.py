"""Recipes: what an aligner fits, when and to what; and the one function that carries them out."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backends.base import Backend, Game, Loss, Role
from ..checkpoints import Checkpoint
from ..fitting import FitConfig
from ..minibatches import Weights, whole
from ..models import Density, Flow, Model
from ..objectives import Chain, chained
from ..points import Rows
from ..specs import Arrays, Spec
from ..stepwise import Assistant
from .stages import Stage, Stages, density_stage

__all__ = [
    "DensityFit",
    "Objective",
    "Part",
    "Recipe",
    "Result",
    "between",
    "flows",
    "mean_log_prob",
    "run",
]

#: What draws at random in most recipes, in the order in which its seeds are spawned.
DRAWS = (
    "transform",
    "density",
    "split",
    "private source",
    "private target",
    "flow",
    "refit source",
    "refit target",
    "target_transform",
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A model of a recipe.

    Attributes:
        kind: `Flow`, `Density` or `Classifier`.
        spec: what to build, or an object of the backend's library.
        parameter: the aligner's parameter that holds it; ``None`` for a part that is fixed.
        attribute: the aligner's attribute for the fitted model, if it has one.
    """

    kind: type[Model]
    spec: Any
    parameter: str | None = None
    attribute: str | None = None


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
        annealed: the same, but multiplied by a factor that falls from 1 to 0 in half of the steps.
        data: further data sets, parts of those to learn from, and their weights and batch sizes.
    """

    loss: Loss | Game
    assistant: Assistant | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    annealed: Mapping[str, np.ndarray] = field(default_factory=dict)
    data: Mapping[str, Rows] = field(default_factory=dict)
    weights: Weights = field(default_factory=dict)
    batch_sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An aligner as data.

    Attributes:
        parts: the models by role.
        maps: for each domain the chain of roles that takes its points to where all domains meet.
        objective: what the map minimises, or a function that derives it from the points to learn
            from, held-out points (to refuse those that won't do), weights and a seed.
        config: how the map is fitted.
        private: densities fitted beside the map, each to a domain's own points. The sum of their
            mean log-densities is the constant of the loss.
        refitted: copies of a part, fitted further to a domain's images after the map.
        pushed: attributes for the densities of a part's images of N(0, I).
        absent: attributes that other settings of the aligner would fill; they are ``None``.
        snapshot: the attribute of the density that belongs in a snapshot.
        draws: what draws at random, in the order in which its seeds are spawned.
    """

    parts: Mapping[str, Part]
    maps: Mapping[str, Chain]
    objective: (
        Objective
        | Callable[
            [Mapping[str, Rows], Mapping[str, Rows], Weights, np.random.SeedSequence], Objective
        ]
    )
    config: FitConfig
    private: Sequence[DensityFit] = ()
    refitted: Sequence[DensityFit] = ()
    pushed: Mapping[str, str] = field(default_factory=dict)
    absent: Sequence[str] = ()
    snapshot: str = ""
    draws: Sequence[str] = DRAWS

    def models(self) -> dict[str, Part]:
        """The part behind each attribute that holds a fitted model."""
        own = {p.attribute: p for p in self.parts.values() if p.attribute is not None}
        return own | {f.attribute: self.parts[f.part] for f in (*self.private, *self.refitted)}

    def attributes(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """What fitted parts amount to: themselves, the map between domains, pushed densities."""
        found = {p.attribute: parts[r] for r, p in self.parts.items() if p.attribute is not None}
        found |= dict.fromkeys(self.absent)
        first, *_, last = self.maps
        found["transform_"] = between(self, parts, first, last)
        for attribute, role in self.pushed.items():
            flow = parts[role]
            found[attribute] = Density(
                flow.spec,
                flow.native_arrays,
                flow.backend,
                dtype=flow.dtype,
                event_shape=flow.event_shape,
            )
        return found

    def seeds(self, seed: int) -> dict[str, np.random.SeedSequence]:
        """A seed for everything that draws at random, by name."""
        spawned = np.random.SeedSequence(seed).spawn(len(self.draws))
        return dict(zip(self.draws, spawned, strict=True))


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that a fit gives, at once.

    Attributes:
        models: fitted models by the aligner's attribute.
        facts: numbers and words by attribute.
        history: of the map's losses, with the constant.
        snapshots: steps, each with the map and the density, if any, that it had.
    """

    models: dict[str, Model]
    facts: dict[str, Any]
    history: dict[str, np.ndarray]
    snapshots: list[tuple[int, Flow, Density | None]]

    def attributes(self) -> dict[str, Any]:
        """What an aligner has after the fit."""
        return {
            **self.models,
            **self.facts,
            "history_": self.history,
            "snapshots_": self.snapshots,
        }


def run(
    recipe: Recipe,
    domains: Mapping[str, Rows],
    *,
    backend: Backend,
    seed: int,
    dtype: str,
    weights: Weights,
    arguments: Mapping[str, str],
    validation_fraction: float,
    checkpoint: Callable[[Mapping[str, Arrays]], Checkpoint | None],
    progress: bool,
    devices: int | None,
) -> Result:
    """Carry out a recipe on checked points of each domain.

    Check, initialise, split, fit the map and densities beside it, map the points, refit, and
    give one result. Whatever fails, nothing outside has changed.

    Args:
        recipe: what is fitted when.
        domains: the points of each domain.
        backend: computes.
        seed: of everything drawn at random.
        dtype: ``"float32"`` or ``"float64"``.
        weights: of the points of each domain, ``(n,)``, or ``None``.
        arguments: what the user calls each domain.
        validation_fraction: share of each domain that is held out.
        checkpoint: the file to go on from, given the initial arrays.
        progress: whether to show progress bars.
        devices: over how many each batch is divided.
    """
    began, seeds = time.perf_counter(), recipe.seeds(seed)
    event_shape = next(iter(domains.values())).shape[1:]

    # Check and initialise.
    roles: dict[str, Role] = {}
    initial: dict[str, Arrays] = {}
    for name, part in recipe.parts.items():
        rng = np.random.default_rng(seeds.get(name, 0))
        role, initial[name] = backend.init(part.kind, part.spec, event_shape, rng)
        roles[name] = dataclasses.replace(role, name=name)
        if part.kind is Density and isinstance(part.spec, Spec):
            for domain, x in domains.items():
                for chunk in x.chunks():
                    part.spec.check_points(chunk, arguments[domain])

    # Split.
    rng = np.random.default_rng(seeds["split"])
    data, held_out, weights, held_weights = _split(domains, weights, validation_fraction, rng)
    objective = recipe.objective
    if not isinstance(objective, Objective):
        objective = objective(data, held_out, weights, seeds["objective"])
    if objective.assistant is not None and held_out:
        # What an assistant computes knows no weights: points are drawn in their proportion.
        held_out, held_weights = _drawn(held_out, held_weights, rng), {}
    validation = whole(held_out, held_weights) | dict(objective.constants) if held_out else None

    def model(name: str, arrays: Arrays) -> Any:
        return backend.model(roles[name], arrays, dtype)

    def snapshot(step: int, arrays: Mapping[str, Arrays]) -> tuple[int, Flow, Density | None]:
        found = recipe.attributes({name: model(name, own) for name, own in arrays.items()})
        return step, found["transform_"], found.get(recipe.snapshot)

    def fits(
        kind: Sequence[DensityFit], arrays: Mapping[str, Arrays], points: Mapping[str, Any]
    ) -> list[Any]:
        return [
            density_stage(
                fit.stage,
                roles[fit.part],
                arrays[fit.part],
                points[fit.domain],
                fit.config,
                seeds[fit.stage],
                weights[fit.domain],
            )
            for fit in kind
        ]

    stages = Stages(
        backend,
        checkpoint=checkpoint(initial),
        dtype=dtype,
        progress=progress,
        devices=devices,
    )
    with stages:
        # Fit the map, and densities beside it.
        fitted, *private = stages.run(
            Stage(
                "flow",
                objective.loss,
                tuple(roles.values()),
                initial,
                {**data, **objective.data},
                recipe.config,
                seeds["flow"],
                {**weights, **objective.weights},
                validation,
                objective.assistant,
                objective.constants,
                objective.batch_sizes,
                objective.annealed,
            ),
            *fits(recipe.private, initial, data),
        )
        parts = {name: model(name, arrays) for name, arrays in fitted.arrays.items()}

        # Map the points, and refit densities to their images.
        images: Mapping[str, Any] | None = None
        if recipe.refitted:
            images = stages.evaluate("flow", _images, recipe, parts, data)
        refitted = stages.run(*fits(recipe.refitted, fitted.arrays, images or data))

        # The constant of the loss.
        models = recipe.attributes(parts)
        constant = 0.0
        for fit, result in zip(recipe.private, private, strict=True):
            models[fit.attribute] = density = model(fit.part, result.arrays["density"])
            points, own = data[fit.domain], weights[fit.domain]
            found = stages.evaluate(fit.stage, mean_log_prob, density, points, own)
            constant += np.nan if found is None else found
        for fit, result in zip(recipe.refitted, refitted, strict=True):
            models[fit.attribute] = model(fit.part, result.arrays["density"])
        snapshots = [snapshot(step, arrays) for step, arrays in fitted.snapshots]
        for domain, x in domains.items():
            x.check_unchanged(arguments[domain])

    name, failed = stages.failure or ("flow", fitted)
    facts = {
        **objective.facts,
        "complete_": stages.failure is None,
        "outcome_": failed.outcome,
        "status_": failed.status if name == "flow" else f"{name}: {failed.status}",
        "n_steps_": fitted.steps,
        "seconds_": time.perf_counter() - began,
    }
    if recipe.private:
        facts["constant_"] = constant
    return Result(
        models=models,
        facts=facts,
        history=_with_constant(fitted.history, constant),
        snapshots=snapshots,
    )


def flows(roles: Sequence[str], attributes: Sequence[str], spec: Any, last: Any) -> dict[str, Part]:
    """A flow for each domain: all of one spec but the last, where it has its own."""
    parts = {}
    for role, attribute in zip(roles, attributes, strict=True):
        own = role == roles[-1] and last is not None
        parts[role] = Part(
            kind=Flow,
            spec=last if own else spec,
            parameter="target_transform" if own else "transform",
            attribute=attribute,
        )
    return parts


def between(recipe: Recipe, parts: Mapping[str, Any], source: str, target: str) -> Flow:
    """The map from one domain to another: by its chain, then back by the other's."""
    back = tuple((role, not inverted) for role, inverted in recipe.maps[target][::-1])
    flow = chained(parts, (*recipe.maps[source], *back))
    if flow is None:
        raise ValueError("two domains without a map are one: there is no flow between them")
    return flow


def mean_log_prob(density: Density, x: Rows, weights: np.ndarray | None = None) -> float:
    """The mean log-density of points, in nats."""
    found = np.concatenate([density.log_prob(chunk) for chunk in x.chunks()])
    return float(np.mean(found) if weights is None else np.average(found, weights=weights))


def _images(recipe: Recipe, parts: Mapping[str, Any], data: Mapping[str, Rows]) -> dict[str, Rows]:
    """The points of each domain where all domains meet."""
    images = dict(data)
    for domain, chain in recipe.maps.items():
        if flow := chained(parts, chain):
            images[domain] = data[domain].through(functools.partial(_image, flow))
    return images


def _image(flow: Flow, points: np.ndarray) -> np.ndarray:
    image: np.ndarray = flow.forward(points)[0]
    return image


def _split(
    domains: Mapping[str, Rows], weights: Weights, fraction: float, rng: np.random.Generator
) -> tuple[Mapping[str, Rows], dict[str, Rows], Weights, Weights]:
    """Points to learn from and points to validate with, if any, and the weights of both."""
    if not fraction:
        return domains, {}, weights, {}
    data: dict[str, Rows] = {}
    held_out: dict[str, Rows] = {}
    kept: dict[str, np.ndarray | None] = {}
    held: dict[str, np.ndarray | None] = {}
    for domain, x in domains.items():
        count = max(1, round(fraction * len(x)))
        if len(x) - count < 2:
            raise ValueError(
                f"validation_fraction={fraction} leaves {len(x) - count} of {len(x)} {domain} "
                "points to learn from; lower it"
            )
        rows = rng.permutation(len(x))
        for points, shares, some in (
            (held_out, held, rows[:count]),
            (data, kept, rows[count:]),
        ):
            points[domain], own = x.subset(some), weights[domain]
            shares[domain] = None if own is None else own[some]
    return data, held_out, kept, held


def _drawn(data: Mapping[str, Rows], weights: Weights, rng: np.random.Generator) -> dict[str, Rows]:
    """As many points of each domain, weighted ones drawn in proportion to their weights."""
    return {
        domain: x
        if (own := weights.get(domain)) is None
        else x.subset(rng.choice(len(x), size=len(x), p=own / own.sum()))
        for domain, x in data.items()
    }


def _with_constant(history: Mapping[str, np.ndarray], constant: float) -> dict[str, np.ndarray]:
    """A history with a constant in the map's losses, as it was where that is unknown (NaN)."""
    shift = 0.0 if np.isnan(constant) else constant
    return {
        name: values + shift if name in ("loss", "validation_loss") else values
        for name, values in history.items()
    }
