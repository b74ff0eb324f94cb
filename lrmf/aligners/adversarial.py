"""Alignment by a game: a flow against an adversary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..backends.base import Game
from ..checks import check_positive_int
from ..fitting import Schedule
from ..games import ClassifierLoss, classifier_game, density_game
from ..models import Classifier, Density, Flow
from ..specs import Discriminator, RealNVP
from ..standardization import Standardize
from .critics import GameAligner
from .parts import DensityFit, Objective, Part
from .recipe import Recipe

__all__ = ["AdversarialFlow"]


class AdversarialFlow(GameAligner):
    """Align a source A with a target B by a flow T that plays against an adversary.

    With a `Discriminator` as adversary, it is a generative adversarial network whose generator
    is T and whose noise is A; by default with spectral normalisation, the SN-GAN of Miyato et al.
    (2018). The discriminator D takes B for real and T(A) for generated, and minimises

        -E log D(b) - E log(1 - D(T(a)))

    while T minimises -E log D(T(a)); see `lrmf.games` for the other losses. Only in theory,
    where D is always optimal, does this minimise a divergence.

    With a density P_A' as adversary, it is the likelihood-ratio distance as a game (paper,
    equation 1): T and the shared density P_S minimise

        E log P_A'(T(a)) - E log P_S(T(a)) - E log P_S(b) + max E log P(b)

    and P_A' maximises the first term. With both densities optimal that is d(T(A), B; M).

    **The value of a game certifies nothing.** It is that of an adversary as good as its training
    made it, and there is no bound to hold it against (paper, Figure 3). So ``history_`` does not
    tell whether T(A) and B are aligned; `certificate`, whose judge took no part in the game, does.

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector.
        adversary: a `Discriminator`, or a density: a spec, or an object of the backend's library.
        density: the family of the shared density, beside a density as adversary.
        loss: ``"non-saturating"``, ``"saturating"``, ``"hinge"`` or ``"least-squares"``, against a
            discriminator.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps of T.
        batch_size: points per side and update; a side of at most this size is used whole.
        learning_rate: Adam's initial step size for T.
        adversary_learning_rate: that for the adversary and the densities beside it.
        adversary_steps: updates of the adversary, and of the shared density, on minibatches of
            their own, before each update of T.
        beta_1, beta_2: Adam's decay rates of the gradients' means and mean squares in the game.
        seed: of initial arrays, minibatches and the validation split.
        standardize: learn from features of mean 0 and deviation 1, so that data of any location
            and scale align alike (`lrmf.standardization`): by the moments of all domains together,
            or, where these lie far apart, by means and scales of each, so that T starts where
            these agree. ``"together"`` and ``"apart"`` always take the one or the other. Of
            images each channel is standardised.
        schedule: ``"cosine"`` decays both learning rates to zero, ``"warmup cosine"`` lets them
            rise over the first twentieth of the steps before, ``"constant"`` keeps them.
        gradient_clip: largest norm of a player's gradient.
        private_steps: steps for the private density of B, which gives the constant of the
            likelihood-ratio distance, ``steps`` by default.
        validation_fraction: share of both data sets that is held out to monitor T's loss.
        patience: stop when T's loss on them has not improved for so many steps. That says little.
        snapshot_every: keep the models about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        dtype: ``"float32"`` or ``"float64"``.
        devices: over how many devices each batch is divided, or ``"all"``, of all processes after
            ``jax.distributed.initialize``; in JAX only.
        progress: whether to show progress bars.

    Attributes:
        transform_: the fitted flow, a `Flow`.
        adversary_: a `Classifier` or a `Density`.
        density_, private_target_: the shared density and that of B, each a `Density`, where the
            adversary is one; otherwise ``None``.
        constant_: max E log P(b) on the training data, in nats; zero against a discriminator.
            NaN, and left out of ``history_``, where a solver gave up (``status_``).
        history_: ``step``, ``loss`` (T's, with the constant) and ``adversary_loss`` (of its last
            update) of every step, and ``density_loss`` where there is a shared density;
            ``validation_step`` and ``validation_loss`` (T's) where data were held out. Log 4
            minus ``adversary_loss`` is a discriminator's estimate of 2 JSD, on the scale of the
            likelihood-ratio distance (not with the hinge and least-squares losses).
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flow, and time for all of the fit.
        snapshots_: ``(step, transform, density)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = AdversarialFlow(
    ...     transform=lrmf.Affine(), adversary=lrmf.Discriminator(hidden=(16,)), steps=100,
    ...     progress=False,
    ... )
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    _facts = (*GameAligner._facts, "constant_")

    density: Any
    private_steps: int | None

    adversary_: Classifier | Density
    density_: Density | None
    private_target_: Density | None
    constant_: float

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        adversary: Any = Discriminator(hidden=(128, 128)),
        density: Any = RealNVP(hidden=(128, 128)),
        loss: ClassifierLoss = "non-saturating",
        backend: Literal["jax", "tfp"] = "jax",
        steps: int = 4000,
        batch_size: int = 256,
        learning_rate: float = 2e-4,
        adversary_learning_rate: float = 1e-3,
        adversary_steps: int = 5,
        beta_1: float = 0.5,
        beta_2: float = 0.9,
        seed: int = 0,
        standardize: Standardize = True,
        schedule: Schedule = "cosine",
        gradient_clip: float = 10.0,
        private_steps: int | None = None,
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
        parts = {
            "transform": Part(
                kind=Flow, spec=self.transform_spec, parameter="transform", attribute="transform_"
            ),
            "adversary": Part(
                kind=Classifier if self._classifies else Density,
                spec=self.adversary,
                parameter="adversary",
                attribute="adversary_",
            ),
        }
        private = []
        if not self._classifies:
            parts["density"] = Part(
                kind=Density, spec=self.density, parameter="density", attribute="density_"
            )
            config = self._config(
                steps=self.steps if self.private_steps is None else self.private_steps,
                learning_rate=self.adversary_learning_rate,  # that of densities
                snapshot_every=None,
                patience=None,
            )
            private = [
                DensityFit(
                    stage="private target",
                    attribute="private_target_",
                    part="density",
                    domain="target",
                    config=config,
                )
            ]
        return Recipe(
            parts=parts,
            maps={"source": (("transform", False),), "target": ()},
            objective=Objective(
                self._game(),
                facts={"constant_": 0.0},
                log_densities={}
                if self._classifies
                else {"loss": -1, "adversary_loss": -1, "density_loss": -2},
            ),
            config=self._config(),
            private=private,
            absent=("density_", "private_target_") if self._classifies else (),
            snapshot="density_",
            draws=(
                "transform",
                "adversary",
                "split",
                "flow",
                "private target",
                *("unused",) * 3,
                "density",
            ),
        )

    @property
    def _classifies(self) -> bool:
        return isinstance(self.adversary, Discriminator)

    def _game(self) -> Game:
        if self._classifies:
            return classifier_game(self.loss, **self._opponent())
        return density_game(**self._opponent())

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.private_steps is not None:
            check_positive_int("private_steps", self.private_steps)
