"""Translation both ways against two critics: by two networks, or by one flow and its inverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..checks import check_non_negative_number
from ..fitting import Schedule
from ..games import ClassifierLoss
from ..models import Classifier, Map
from ..specs import Discriminator, Network, RealNVP
from ..standardization import Standardize
from ..translation import SIDES, Meeting, Networks, Translation, translation_game
from .base import Absent
from .critics import GameAligner, critics
from .parts import Objective, Part, flows
from .recipe import DRAWS, Recipe

__all__ = ["CycleGAN", "RevGAN"]

_NETWORK = Network(hidden=(64, 64))


class _Critical(GameAligner):
    """What both have: a critic of each domain."""

    source_adversary_: Classifier
    target_adversary_: Classifier

    def _critical(
        self, parts: dict[str, Part], translation: Translation, cycle_weight: float = 0.0
    ) -> Recipe:
        forwards = ((("transform", False),), ())
        return Recipe(
            parts=parts | critics(SIDES, self.adversary),
            maps=dict(zip(SIDES, forwards, strict=True)),
            objective=Objective(
                translation_game(
                    translation,
                    sides=tuple(SIDES),
                    loss=self.loss,
                    cycle_weight=cycle_weight,
                    **self._opponent(),
                )
            ),
            config=self._config(),
            draws=(*DRAWS, "source_adversary", "target_adversary", "backward"),
        )


class CycleGAN(_Critical):
    """Align A with B by a plain network each way, two critics, and a loss that ties the networks.

    The network F takes A to B and G takes B to A. They minimise

        L(C_B, F(a)) + L(C_A, G(b)) + λ { E|G(F(a)) - a|₁ + E|F(G(b)) - b|₁ }

    with critics as in `AlignFlow`. It stands here for contrast. Nothing makes the networks
    invertible, so there is **no inverse**: ``inverse_transform`` does not exist, `translate_back`
    applies the other network, and going there and back ends beside the start by what is left of
    the last term. Neither has a Jacobian determinant, so there is no likelihood.

    Source: Zhu, Park, Isola and Efros, Unpaired image-to-image translation using cycle-consistent
    adversarial networks (2017), without the identity loss that they add for some pictures.

    Args:
        transform: the network F, a `Network`.
        backward: the network G; by default one of the same spec.
        cycle_weight: λ, per unit of length of the (standardised) data. A critic that is normalised
            pulls at a point with a slope of about one, so a weight above that holds the networks
            at the identity, where they start.
        adversary: the critics' network, a `Discriminator`.
        loss: ``"non-saturating"``, ``"saturating"``, ``"hinge"`` or ``"least-squares"``.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps of the networks.
        batch_size: points per side and update; a side of at most this size is used whole.
        learning_rate: Adam's initial step size for the networks.
        adversary_learning_rate: that for the critics.
        adversary_steps: updates of each critic, on minibatches of its own, before each update of
            the networks.
        beta_1, beta_2: Adam's decay rates of the gradients' means and mean squares.
        seed, standardize, schedule, gradient_clip: as in `AlignFlow`.
        validation_fraction, patience, snapshot_every, checkpoint_every: as in `AlignFlow`.
        dtype, devices, progress: as in `AlignFlow`.

    Attributes:
        transform_, backward_: the networks F and G, each a `Map`.
        source_adversary_, target_adversary_: the critics, each a `Classifier`.
        history_: ``step``, ``loss`` (of the networks), ``source_adversary_loss`` and
            ``target_adversary_loss`` of every step, ``validation_step`` and ``validation_loss``
            where data were held out.
        status_, outcome_, n_steps_, seconds_, snapshots_: as in `AlignFlow`.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = CycleGAN(
    ...     transform=Network(hidden=(16,)), adversary=lrmf.Discriminator(hidden=(16,)),
    ...     steps=100, progress=False,
    ... )
    >>> model.fit(Xs=pair.source, Xt=pair.target).translate_back(pair.target).shape
    (100, 2)
    """

    backward: Any
    cycle_weight: float

    transform_: Map  # type: ignore[assignment]
    backward_: Map

    def __init__(
        self,
        *,
        transform: Any = _NETWORK,
        backward: Any = None,
        cycle_weight: float = 0.1,
        adversary: Any = Discriminator(hidden=(128, 128)),
        loss: ClassifierLoss = "least-squares",
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

    inverse_transform = Absent(
        "learns two networks that are not inverse to each other, so it has no inverse_transform; "
        "translate_back(X) applies the other network, and RevGAN has an inverse"
    )

    def translate_back(self, X: Any) -> np.ndarray:
        """Map target points to the source's domain by the network G, ``(n, *event_shape)``."""
        return self._mapped(X, lambda points: self.backward_.image(points), -1)

    def _moved(self, x: Any, argument: str) -> np.ndarray:
        return self._mapped(x, lambda points: self.transform_.image(points), 0, argument)

    def _recipe(self, domains: Sequence[str]) -> Recipe:
        back = self.transform_spec if self.backward is None else self.backward
        parts = {
            "transform": Part(
                kind=Map, spec=self.transform_spec, parameter="transform", attribute="transform_"
            ),
            "backward": Part(
                kind=Map,
                spec=back,
                parameter="transform" if self.backward is None else "backward",
                attribute="backward_",
                domain="target",
                image="source",
            ),
        }
        return self._critical(parts, Networks(), float(self.cycle_weight))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_non_negative_number("cycle_weight", self.cycle_weight)


class RevGAN(_Critical):
    """Align A with B by a flow and its inverse against two critics: `CycleGAN` with a flow.

    T takes A to B and T⁻¹ takes B to A. They minimise

        L(C_B, T(a)) + L(C_A, T⁻¹(b))

    with critics as in `AlignFlow`. The cycle loss of `CycleGAN` is zero by construction, so it is
    left out. Beside `AlignFlow` with λ = 0 there is one flow in the place of two, and no noise in
    the middle.

    Source: van der Ouderaa and Worrall, Reversible GANs for memory-efficient image-to-image
    translation (2019), with all of the map reversible, where theirs has layers before and after.

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector.
        adversary: the critics' network, a `Discriminator`.
        loss: ``"non-saturating"``, ``"saturating"``, ``"hinge"`` or ``"least-squares"``.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps of the flow.
        batch_size: points per side and update; a side of at most this size is used whole.
        learning_rate: Adam's initial step size for the flow.
        adversary_learning_rate: that for the critics.
        adversary_steps: updates of each critic, on minibatches of its own, before each update of
            the flow.
        beta_1, beta_2: Adam's decay rates of the gradients' means and mean squares.
        seed, standardize, schedule, gradient_clip: as in `AlignFlow`.
        validation_fraction, patience, snapshot_every, checkpoint_every: as in `AlignFlow`.
        dtype, devices, progress: as in `AlignFlow`.

    Attributes:
        transform_: the flow T.
        source_adversary_, target_adversary_: the critics, each a `Classifier`.
        history_: as in `CycleGAN`.
        status_, outcome_, n_steps_, seconds_, snapshots_: as in `AlignFlow`.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = RevGAN(
    ...     transform=lrmf.Affine(), adversary=lrmf.Discriminator(hidden=(16,)), steps=100,
    ...     progress=False,
    ... )
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        adversary: Any = Discriminator(hidden=(128, 128)),
        loss: ClassifierLoss = "least-squares",
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
        parts = flows(("transform",), ("transform_",), self.transform_spec, None)
        maps = (("source", (("transform", False),)), ("target", ()))
        return self._critical(parts, Meeting(maps=maps))
