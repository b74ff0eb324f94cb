"""Flow-GAN: one domain, a flow of noise trained by likelihood, a critic, or both."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from ..backends.base import Game
from ..checks import check_positive_int
from ..fitting import Schedule
from ..games import ClassifierLoss
from ..judge import Certificate, lrd
from ..models import Classifier, Density
from ..objectives import Alignment
from ..specs import Discriminator, Identity, RealNVP, Shape
from ..translation import Meeting, translation_game
from .alignflow import check_likelihood_weight, share
from .base import Absent
from .critics import GameAligner, critics
from .parts import Objective, Part, flows
from .recipe import DRAWS, Recipe

__all__ = ["FlowGAN"]


class FlowGAN(GameAligner):
    """Fit a flow of noise to one data set by likelihood, against a critic, or both.

    The flow G takes z ~ N(0, I) to the data and minimises

        L(C, G(z)) + λ { -E log p_G(x) }

    with a critic C that tells data from G(z) and losses as in `AlignFlow`, whose case of a source
    that is noise it is. λ = ∞ is maximum likelihood alone, λ = 0 a game alone, in which p_G still
    has a value at each point, and usually a bad one.

    The noise of all minibatches is drawn from ``noise_points`` points of N(0, I).

    Source: Grover, Dhar and Ermon, Flow-GAN: Combining maximum likelihood and adversarial learning
    in generative models (2018).

    Args:
        transform: the flow G: a spec, a flowjax bijection or a TFP bijector.
        adversary: the critic's network, a `Discriminator`.
        likelihood_weight: λ, from 0 to ``math.inf``, of the likelihood in nats per point, in units
            of the (standardised) data.
        noise_points: how many points of N(0, I) there are to learn from.
        loss: ``"non-saturating"``, ``"saturating"``, ``"hinge"`` or ``"least-squares"``.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps of the flow.
        batch_size: points of noise and of data in each update; of fewer data all are used.
        learning_rate: Adam's initial step size for the flow.
        adversary_learning_rate: that for the critic.
        adversary_steps: updates of the critic, on minibatches of its own, before each update of
            the flow.
        beta_1, beta_2: Adam's decay rates of the gradients' means and mean squares.
        seed, standardize, schedule, gradient_clip: as in `AlignFlow`.
        validation_fraction, patience, snapshot_every, checkpoint_every: as in `AlignFlow`.
        dtype, devices, progress: as in `AlignFlow`.

    Attributes:
        transform_: the flow G, from N(0, I) to the data.
        density_: p_G, a `Density`.
        adversary_: the critic, a `Classifier`, or ``None``.
        history_: ``step`` and ``loss`` (of the flow) of every step, ``target_adversary_loss`` where
            there is a critic, ``validation_step`` and ``validation_loss`` where data were held out.
        status_, outcome_, n_steps_, seconds_, snapshots_: as in `AlignFlow`.

    >>> import lrmf
    >>> x = lrmf.data.moons(n=500).target
    >>> model = FlowGAN(transform=lrmf.Affine(), steps=100, progress=False).fit(x)
    >>> model.sample(3).shape
    (3, 2)
    """

    noise_points: int
    likelihood_weight: float

    density_: Density
    adversary_: Classifier | None

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        adversary: Any = Discriminator(hidden=(128, 128)),
        likelihood_weight: float = 1.0,
        noise_points: int = 20_000,
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
        standardize: bool = True,
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

    def fit(  # type: ignore[override]
        self,
        X: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Learn the flow from points ``(n, *event_shape)``; labels are ignored.

        Args:
            X: the points, as in `AlignFlow.fit`.
            y: ignored, as scikit-learn's pipelines have it.
            sample_weight: weights of the points ``(n,)``; equal by default.
            checkpoint: as in `AlignFlow.fit`.

        Raises:
            ValueError, TypeError: bad data or parameters, before anything is compiled.
        """
        own = self._plain()
        own._check_parameters()

        def noise(event_shape: Shape) -> np.ndarray:
            # A seed of its own: that of the fit begins with the initial arrays.
            seeds = np.random.SeedSequence(own.seed, spawn_key=(len(DRAWS) + 3,))
            shape = (own.noise_points, *event_shape)
            return np.random.default_rng(seeds).standard_normal(shape)

        return self._fit(
            {"target": (X, "X")},
            {"target": (sample_weight, "sample_weight")},
            checkpoint,
            # Only a critic looks at it.
            noise={} if own.likelihood_weight == math.inf else {"source": noise},
        )

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw n points of G(z), ``(n, *event_shape)``."""
        self._check_fitted()
        return self.density_.sample(n, seed)

    def score_samples(self, X: Any) -> np.ndarray:
        """log p_G(x) of points ``(n, *event_shape)``, in nats, ``(n,)``."""
        points = self._check_new(X, "X")
        return self.density_.log_prob(points)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`, in nats: higher is better."""
        return float(self.score_samples(X).mean())

    def certificate(  # type: ignore[override]
        self, X: Any, *, tolerance: float = 0.1, seed: int = 0, controls: bool = True
    ) -> Certificate:
        """What held-out points say of as many samples, by the judge of `lrmf.lrd`."""
        self._check_fitted()
        self._check_complete()
        points = self._check_new(X, "X")
        drawn = self.sample(len(points), seed)
        found = lrd(drawn, points, tolerance=tolerance, seed=seed, controls=controls)
        return dataclasses.replace(found, seen=self._seen([(X, "X")]))

    transform = fit_transform = inverse_transform = Absent(
        "maps no data to other data: draw points by sample(n), and map noise to points, or back, "
        "by transform_.forward and transform_.inverse"
    )
    _to_fit = "fit(X)"

    def _recipe(self, domains: Sequence[str]) -> Recipe:
        maps = {"source": (), "target": (("target_transform", True),)}
        parts = flows(
            ("target_transform",), ("transform_",), self.transform_spec, None, of_noise=True
        )
        sides = () if self.likelihood_weight == math.inf else ("target",)
        critic = critics(sides, self.adversary, attribute="adversary_")
        likelihood = Alignment(maps=(("target", maps["target"]),), density="prior")
        if self.likelihood_weight > 0.0:
            parts["prior"] = Part(kind=Density, spec=Identity())
        loss: Alignment | Game = likelihood
        if sides:
            loss = translation_game(
                Meeting(maps=tuple(maps.items())),
                sides=sides,
                loss=self.loss,
                likelihood=likelihood,
                likelihood_weight=float(self.likelihood_weight),
                **self._opponent(),
            )
        return Recipe(
            parts=parts | critic,
            maps=maps,
            objective=Objective(
                loss,
                log_densities={"loss": {"target": -share(self.likelihood_weight)}},
            ),
            config=self._config(),
            pushed={"density_": ("target_transform",)},
            noise=("source",),
            absent=() if sides else ("adversary_",),
            snapshot="density_",
            draws=(*DRAWS, "target_adversary"),
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_likelihood_weight(self.likelihood_weight)
        check_positive_int("noise_points", self.noise_points)
