"""Recipes: what an aligner fits, when and to what; and the one function that carries them out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..backends.base import Backend, Role
from ..checkpoints import Checkpoint
from ..degenerate import LOOKS, warn_of_degenerate
from ..fitting import FitConfig
from ..minibatches import Weights, whole
from ..models import Composed, Density, Flow, Model
from ..objectives import Chain, chained
from ..points import Rows
from ..specs import Arrays, Histogram, Spec
from ..standardization import Standardization, Standardize, moments
from ..starting import completed
from .held_out import drawn_by_weight, split
from .parts import DensityFit, Objective, Part, pushed
from .stages import Stage, Stages, density_stage
from .units import Units, restored_history

__all__ = [
    "Recipe",
    "Result",
    "between",
    "mean_log_prob",
    "run",
]

#: Arrays of some roles to start from, of points, their weights and how they are standardised.
Start = Callable[
    [Mapping[str, Rows], Weights, Mapping[str, Standardization] | None], Mapping[str, Arrays]
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
        pushed: attributes for the densities of N(0, I) mapped by parts, one after the other.
        noise: domains that are N(0, I), not data: they are not standardised.
        absent: attributes that other settings of the aligner would fill; they are ``None``.
        snapshot: the attribute of the density that belongs in a snapshot.
        start: gives arrays of some roles to start from, by the (standardised) points.
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
    pushed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    noise: Sequence[str] = ()
    absent: Sequence[str] = ()
    snapshot: str = ""
    start: Start | None = None
    draws: Sequence[str] = DRAWS

    def models(self) -> dict[str, str]:
        """The role of the part behind each attribute that holds a fitted model."""
        own = {p.attribute: r for r, p in self.parts.items() if p.attribute is not None}
        return own | {f.attribute: f.part for f in (*self.private, *self.refitted)}

    def attributes(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """What fitted parts amount to: themselves, the map between domains, pushed densities."""
        found = {p.attribute: parts[r] for r, p in self.parts.items() if p.attribute is not None}
        found |= dict.fromkeys(self.absent)
        first, *_, last = self.maps
        found["transform_"] = between(self, parts, first, last)
        return found | {name: self._pushed(parts, name) for name in self.pushed}

    def frame(self, parts: Mapping[str, Any]) -> tuple[Flow, Density | None]:
        """What a snapshot holds of parts: the map between domains, and a density, if any."""
        first, *_, last = self.maps
        flow = between(self, parts, first, last)
        if self.snapshot in self.pushed:
            return flow, self._pushed(parts, self.snapshot)
        return flow, next((parts[role] for role in self._shown), None)

    def frame_arrays(self, flow: Flow, density: Density | None) -> dict[str, Arrays]:
        """The arrays, by role, of the parts in a `frame`."""
        first, *_, last = self.maps
        flows = [f for f, _ in flow.parts] if isinstance(flow, Composed) else [flow]
        roles = [role for role, _ in self.path(first, last)]
        shown = {role: density.arrays for role in self._shown if density is not None}
        if density is not None and len(chain := self.pushed.get(self.snapshot, ())) > 1:
            shown = {
                role: {
                    name.removeprefix(f"{k}/"): array
                    for name, array in density.arrays.items()
                    if name.startswith(f"{k}/")
                }
                for k, role in enumerate(chain)
            }
        return shown | {role: f.arrays for role, f in zip(roles, flows, strict=True)}

    def path(self, source: str, target: str) -> Chain:
        """The roles on the way from one domain to another; what both chains end with cancels."""
        there, back = list(self.maps[source]), list(self.maps[target])
        # But the first: from a domain to itself there is a flow, too.
        while len(there) > 1 and len(back) > 1 and there[-1] == back[-1]:
            there.pop()
            back.pop()
        return (*there, *((role, not inverted) for role, inverted in back[::-1]))

    def _pushed(self, parts: Mapping[str, Any], name: str) -> Density:
        return pushed(*(parts[role] for role in self.pushed[name]))

    @property
    def _shown(self) -> list[str]:
        """The role of the density in a snapshot, unless it is a pushed one."""
        return [r for r, part in self.parts.items() if part.attribute == self.snapshot]

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
    names: Sequence[str] | None,
    standardize: Standardize,
    validation_fraction: float,
    checkpoint: Callable[[Mapping[str, Arrays]], Checkpoint | None],
    progress: bool,
    devices: int | None,
) -> Result:
    """Carry out a recipe on checked points of each domain.

    Check, standardise, initialise, split, fit the map and densities beside it, map the points,
    refit, and give one result. Whatever fails, nothing outside has changed.

    Args:
        recipe: what is fitted when.
        domains: the points of each domain.
        backend: computes.
        seed: of everything drawn at random.
        dtype: ``"float32"`` or ``"float64"``.
        weights: of the points of each domain, ``(n,)``, or ``None``.
        arguments: what the user calls each domain.
        names: of the features, if they have some.
        standardize: whether to learn from standardised points, and by which moments.
        validation_fraction: share of each domain that is held out.
        checkpoint: the file to go on from, given the initial arrays.
        progress: whether to show progress bars.
        devices: over how many each batch is divided.
    """
    began, seeds = time.perf_counter(), recipe.seeds(seed)
    event_shape = next(iter(domains.values())).shape[1:]

    # Check.
    for part in recipe.parts.values():
        if (part.kind is Density or part.of_noise) and isinstance(part.spec, Spec):
            for domain, x in domains.items():
                for chunk in () if domain in recipe.noise else x.chunks():
                    part.spec.check_points(chunk, arguments[domain])

    # Standardise: from here to the restored models, points are standardised ones.
    given = domains
    measured = {domain: moments(x, weights[domain]) for domain, x in given.items()}
    units = Units.choose(recipe, measured, standardize, event_shape)
    if units.domains is not None:
        domains = {
            j: x if j in recipe.noise else x.seen_through(units.domains[j].apply)
            for j, x in given.items()
        }
    # Without a density none grows without bound, and that of a histogram can't.
    densities = [part.spec for part in recipe.parts.values() if part.kind is Density]
    unbounded = not all(isinstance(spec, Histogram) for spec in densities)
    warn_of_degenerate(
        {domain: x for domain, x in given.items() if domain not in recipe.noise},
        measured,
        arguments,
        looks=LOOKS if unbounded else ("extreme",),
        names=names,
        units=units.domains,
        dtype=dtype,
    )

    # Initialise.
    roles: dict[str, Role] = {}
    initial: dict[str, Arrays] = {}
    for name, part in recipe.parts.items():
        rng = np.random.default_rng(seeds.get(name, 0))
        role, initial[name] = backend.init(part.kind, units.spec(name), event_shape, rng)
        roles[name] = dataclasses.replace(role, name=name)

    # Split.
    rng = np.random.default_rng(seeds["split"])
    data, held_out, weights, held_weights = split(domains, weights, validation_fraction, rng)
    drawn = dict(initial)  # a start follows from the data, but for the last digits of BLAS
    if recipe.start is not None:
        initial |= recipe.start(data, weights, units.domains)
    maps = {domain: chain for domain, chain in recipe.maps.items() if domain not in recipe.noise}
    initial = completed(roles, initial, maps, data, weights, backend)
    objective = recipe.objective
    if not isinstance(objective, Objective):
        objective = objective(data, held_out, weights, seeds["objective"])
    if objective.assistant is not None and held_out:
        # What an assistant computes knows no weights: points are drawn in their proportion.
        held_out, held_weights = drawn_by_weight(held_out, held_weights, rng), {}
    validation = whole(held_out, held_weights) | dict(objective.constants) if held_out else None

    def model(name: str, arrays: Arrays) -> Any:
        return backend.model(roles[name], arrays, dtype)

    def restored(name: str, arrays: Arrays, domain: str | None = None) -> Any:
        return units.restored(name, model(name, arrays), domain)

    def snapshot(step: int, arrays: Mapping[str, Arrays]) -> tuple[int, Flow, Density | None]:
        return step, *recipe.frame({name: restored(name, own) for name, own in arrays.items()})

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
        checkpoint=checkpoint(drawn),
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
        models = recipe.attributes({n: restored(n, own) for n, own in fitted.arrays.items()})
        constant = sum(units.log_det(fit.domain, event_shape) for fit in recipe.private)
        for fit, result in zip(recipe.private, private, strict=True):
            own = result.arrays["density"]
            models[fit.attribute] = restored(fit.part, own, fit.domain)
            points = data[fit.domain], weights[fit.domain]
            found = stages.evaluate(fit.stage, mean_log_prob, model(fit.part, own), *points)
            constant += np.nan if found is None else found
        for fit, result in zip(recipe.refitted, refitted, strict=True):
            models[fit.attribute] = restored(fit.part, result.arrays["density"])
        snapshots = [snapshot(step, arrays) for step, arrays in fitted.snapshots]
        for domain, x in given.items():
            x.check_unchanged(arguments[domain])

    name, failed = stages.failure or ("flow", fitted)
    facts = {
        **objective.facts,
        "standardization_": units.meeting,
        "standardizations_": units.domains,
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
        history=restored_history(
            fitted.history,
            {k: units.missing(n, event_shape) for k, n in objective.log_densities.items()},
            constant,
        ),
        snapshots=snapshots,
    )


def between(recipe: Recipe, parts: Mapping[str, Any], source: str, target: str) -> Flow:
    """The map from one domain to another: by its chain, then back by the other's."""
    flow = chained(parts, recipe.path(source, target))
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
            images[domain] = data[domain].through(partial(_image, flow))
    return images


def _image(flow: Flow, points: np.ndarray) -> np.ndarray:
    return flow.forward(points)[0]
