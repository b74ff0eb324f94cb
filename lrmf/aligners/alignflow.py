"""The AlignFlow aligner: two flows of one noise, by likelihood, against critics, or both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from ..backends.base import Game
from ..checks import check_non_negative_number
from ..fitting import Schedule
from ..games import ClassifierLoss
from ..models import Classifier, Density, Flow
from ..objectives import Alignment
from ..specs import Discriminator, FlowSpec, Identity, RealNVP
from ..standardization import Standardize
from ..translation import SIDES, Meeting, translation_game
from .critics import GameAligner, critics
from .parts import Objective, Part, flows
from .recipe import DRAWS, Recipe

__all__ = ["AlignFlow", "check_likelihood_weight", "share"]

Critics = Literal["both", "source", "target"]


class AlignFlow(GameAligner):
    """Align A with B by flows from one noise to each, trained by likelihood, critics, or both.

    G_A takes z ~ N(0, I) to A and G_B takes it to B, so T = G_B ∘ G_A⁻¹ translates A into B, and
    T⁻¹ translates back: going there and back is the identity by construction. The flows minimise

        L(C_B, T(a)) + L(C_A, T⁻¹(b)) + λ { -E log p_A(a) - E log p_B(b) }

    where p_A and p_B are the densities of G_A(z) and G_B(z), L is `lrmf.games.generator_loss`, and
    the critic C_B tells real points of B from translated ones, C_A those of A, each by
    `lrmf.games.discriminator_loss`. λ = ∞ is maximum likelihood alone, and then this is
    `BackToBackFlow`; λ = 0 is a game alone.

    **No part of this objective names the map.** Whatever h maps N(0, I) to itself, a rotation or
    anything else, G_A ∘ h has the likelihoods of G_A; where the flows fit, T and G_B ∘ h ∘ G_A⁻¹
    have the same values before every optimal critic. Which of them a fit finds is decided by where
    it starts and by the family of the flows. `certificate` judges marginals, and cannot tell
    either.

    Source: Grover, Chute, Shu, Cao and Ermon, AlignFlow: Cycle consistent learning from multiple
    domains via normalizing flows (2020), with λ_A = λ_B.

    Args:
        transform: the flow G_A: a spec, a flowjax bijection or a TFP bijector.
        target_transform: the flow G_B; by default one of the same spec.
        shared: a flow that both of them apply to the noise first, with the same weights: G_A is
            ``transform`` after ``shared``. T does not contain it, for it cancels, and so critics
            do not train it: it is the shared density of `AUB`, learned by likelihood. Specs only.
        adversary: the critics' network, a `Discriminator`.
        critics: which domain has one: ``"both"``, ``"source"`` (C_A) or ``"target"`` (C_B).
        likelihood_weight: λ, from 0 to ``math.inf``. The likelihoods are in nats per point, in
            units of the (standardised) data.
        loss: ``"non-saturating"``, ``"saturating"``, ``"hinge"`` or ``"least-squares"``.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps of the flows.
        batch_size: points per side and update; a side of at most this size is used whole.
        learning_rate: Adam's initial step size for the flows.
        adversary_learning_rate: that for the critics.
        adversary_steps: updates of each critic, on minibatches of its own, before each update of
            the flows.
        beta_1, beta_2: Adam's decay rates of the gradients' means and mean squares in the game.
            Without critics they are Adam's own, 0.9 and 0.999.
        seed: of initial arrays, minibatches and the validation split.
        standardize: learn from features of mean 0 and deviation 1, so that data of any location
            and scale align alike (`lrmf.standardization`): by the moments of all domains together,
            or, where these lie far apart, by means and scales of each, so that the flows start
            where these agree. ``"together"`` and ``"apart"`` always take the one or the other. Of
            images each channel is standardised.
        schedule: ``"cosine"`` decays the learning rates to zero, ``"warmup cosine"`` lets them
            rise over the first twentieth of the steps before, ``"constant"`` keeps them.
        gradient_clip: largest norm of a player's gradient.
        validation_fraction: share of both data sets that is held out to monitor the flows' loss.
        patience: stop when it has not improved for so many steps. Beside a critic that says little.
        snapshot_every: keep map and density about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        dtype: ``"float32"`` or ``"float64"``.
        devices: over how many devices each batch is divided, or ``"all"``, of all processes after
            ``jax.distributed.initialize``; in JAX only.
        progress: whether to show a progress bar.

    Attributes:
        transform_: the map T = G_B ∘ G_A⁻¹, a `Composed` flow.
        source_flow_, target_flow_: the flows G_A and G_B, without ``shared``.
        shared_flow_: the shared flow, if there is one; otherwise ``None``.
        source_adversary_, target_adversary_: the critics, each a `Classifier`, or ``None``.
        private_source_, private_target_: the densities p_A and p_B.
        history_: ``step`` and ``loss`` (of the flows) of every step, ``source_adversary_loss`` and
            ``target_adversary_loss`` where there are critics, ``validation_step`` and
            ``validation_loss`` where data were held out.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flows, and time for the fit.
        snapshots_: ``(step, transform, private target density)`` triples.

    Raises (in `fit`, before anything is compiled):
        ValueError: a likelihood weight that is negative or NaN, critics of no such domain.
        TypeError: a critic that is no `Discriminator`, flows to share that are no specs.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = AlignFlow(
    ...     transform=lrmf.Affine(), adversary=lrmf.Discriminator(hidden=(16,)),
    ...     likelihood_weight=0.1, steps=100, progress=False,
    ... )
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    target_transform: Any
    shared: Any
    critics: Critics
    likelihood_weight: float

    source_flow_: Flow
    target_flow_: Flow
    shared_flow_: Flow | None
    source_adversary_: Classifier | None
    target_adversary_: Classifier | None
    private_source_: Density
    private_target_: Density

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        target_transform: Any = None,
        shared: Any = None,
        adversary: Any = Discriminator(hidden=(128, 128)),
        critics: Critics = "both",
        likelihood_weight: float = 1.0,
        loss: ClassifierLoss = "non-saturating",
        backend: Literal["jax", "tfp"] = "jax",
        steps: int = 4000,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        adversary_learning_rate: float = 1e-3,
        adversary_steps: int = 2,
        beta_1: float = 0.5,
        beta_2: float = 0.9,
        seed: int = 0,
        standardize: Standardize = True,
        schedule: Schedule = "cosine",
        gradient_clip: float = 10.0,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        snapshot_every: int | None = None,
        checkpoint_every: int = 1000,
        dtype: Literal["float32", "float64"] = "float32",
        devices: int | Literal["all"] | None = None,
        progress: bool = True,
    ) -> None:
        self._store(locals())

    def _recipe(self, domains: Sequence[str]) -> Recipe:
        own = {"source": (("transform", True),), "target": (("target_transform", True),)}
        last = () if self.shared is None else (("shared", True),)
        maps = {domain: (*chain, *last) for domain, chain in own.items()}
        parts = flows(
            ("transform", "target_transform"),
            ("source_flow_", "target_flow_"),
            self.transform_spec,
            self.target_transform,
            of_noise=True,
        )
        if last:
            parts["shared"] = Part(
                kind=Flow,
                spec=self.shared,
                parameter="shared",
                attribute="shared_flow_",
                of_noise=True,
            )
        parts |= critics(self._sides, self.adversary)
        likelihood = Alignment(maps=tuple(maps.items()), density="prior")
        if self.likelihood_weight > 0.0:
            parts["prior"] = Part(kind=Density, spec=Identity())
        first = tuple(role for role, _ in last)
        return Recipe(
            parts=parts,
            maps=maps,
            objective=Objective(
                self._game(Meeting(maps=tuple(own.items())), likelihood),
                log_densities={"loss": dict.fromkeys(maps, -share(self.likelihood_weight))},
            ),
            config=self._config(),
            pushed={
                "private_source_": (*first, "transform"),
                "private_target_": (*first, "target_transform"),
            },
            absent=(
                *(f"{side}_adversary_" for side in SIDES if side not in self._sides),
                *(() if last else ("shared_flow_",)),
            ),
            snapshot="private_target_",
            draws=(*DRAWS, "source_adversary", "target_adversary", "shared"),
        )

    def _game(self, translation: Meeting, likelihood: Alignment) -> Alignment | Game:
        if not self._sides:
            return likelihood
        return translation_game(
            translation,
            sides=self._sides,
            loss=self.loss,
            likelihood=likelihood,
            likelihood_weight=float(self.likelihood_weight),
            **self._opponent(),
        )

    @property
    def _sides(self) -> tuple[str, ...]:
        """The domains that have a critic."""
        if self.likelihood_weight == math.inf:
            return ()
        return tuple(SIDES) if self.critics == "both" else (self.critics,)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_likelihood_weight(self.likelihood_weight)
        if not isinstance(self.critics, str) or self.critics not in ("both", *SIDES):
            raise ValueError(
                "critics must be 'both', 'source' or 'target', the domains that have one, got "
                f"{self.critics!r}; likelihood_weight=math.inf is the fit without"
            )
        if self.shared is not None:
            if self.likelihood_weight == 0:
                raise ValueError(
                    "nothing trains a shared flow without likelihoods: set likelihood_weight above "
                    "zero, or shared=None"
                )
            last = self.transform_spec if self.target_transform is None else self.target_transform
            for name, flow in (
                ("shared", self.shared),
                ("transform", self.transform_spec),
                ("target_transform", last),
            ):
                if not isinstance(flow, FlowSpec):
                    raise TypeError(
                        f"{name} must be a flow spec such as RealNVP() where flows share weights, "
                        f"got {flow!r}; or set shared=None"
                    )


def share(likelihood_weight: float) -> float:
    """How many likelihoods the flows' loss has: λ, or one where it is the likelihood alone."""
    return 1.0 if likelihood_weight == math.inf else likelihood_weight


def check_likelihood_weight(value: object) -> None:
    """Refuse anything but a number from zero to infinity."""
    if not (isinstance(value, float) and value == math.inf):
        check_non_negative_number("likelihood_weight", value)
