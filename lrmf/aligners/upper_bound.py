"""The AUB aligner: both sides move, to a shared density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from ..backends.base import Backend, Role
from ..models import Density, Flow
from ..objectives import upper_bound
from ..specs import Arrays, RealNVP
from .shared_density import SharedDensityAligner
from .trained import FITTED_MODELS
from .two_maps import TwoMapsAligner

__all__ = ["AUB"]


class AUB(TwoMapsAligner, SharedDensityAligner):
    """Align A with B by flows of both to a shared density: the alignment upper bound.

    Minimises

        -E log|det ∇T_A(a)| - E log Q(T_A(a)) - E log|det ∇T_B(b)| - E log Q(T_B(b)) + c(A, B)

    over the flows T_A and T_B and the shared density Q, where c(A, B) = E log P_A(a) + E log P_B(b)
    with private densities of A and B. The map from A to B is T = T_B⁻¹ ∘ T_A. Where the private
    densities are those of A and B, -c(A, B) is the sum of their entropies, and the loss bounds
    twice the Jensen-Shannon divergence of T(A) and B from above, with equality where Q is the
    mixture of T_A(A) and T_B(B).

    With ``target_transform=lrmf.Identity()`` it is `LRMF`. With ``density=lrmf.Identity()``, which
    as a density is N(0, I), it is the maximum likelihood part of AlignFlow.

    The loss doesn't change when one flow is applied to the images of both sides and Q is pushed
    along, so the space between A and B is arbitrary. The certificate looks there: its ``lrd`` is
    that of T_A(A) and T_B(B) for the family M of Q.

    Source: Cho, Gong and Inouye, Cooperative distribution alignment via JSD upper bound (2022),
    with weights 1/2 for each side; the loss here is twice theirs, as the paper of `LRMF` has it.

    Args:
        transform: the flow T_A: a spec, a flowjax bijection or a TFP bijector.
        target_transform: the flow T_B; by default one of the same spec.
        density: the family M of Q: a spec, or a flow or distribution of the backend's library. A
            flow is pushed forward from N(0, I).
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps for the flows.
        batch_size: points per side and step; a side of at most this size is used whole.
        learning_rate: Adam's initial step size.
        seed: of initial arrays, minibatches and the validation split.
        schedule: ``"cosine"`` decays the learning rate to zero, ``"constant"`` keeps it.
        gradient_clip: largest norm of a gradient.
        private_steps: steps for each private density, ``steps`` by default.
        refit_steps: steps for each refitted copy of the shared density.
        refit_learning_rate: their initial step size; by default as in `LRMF`.
        validation_fraction: share of both data sets that is held out to monitor the loss.
        patience: stop when the validation loss has not improved for so many steps.
        snapshot_every: keep the map about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        tolerance: the largest distance in nats that the certificate calls aligned.
        dtype: ``"float32"`` or ``"float64"``.
        progress: whether to show progress bars.

    Attributes:
        transform_: the map T = T_B⁻¹ ∘ T_A, a `Composed` flow.
        source_map_, target_map_: the flows T_A and T_B.
        density_: Q, where T_A and T_B lead.
        private_source_, private_target_: the densities fitted to A and to B.
        refitted_source_, refitted_target_: Q fitted further to T_A(A) and to T_B(B).
        constant_: c(A, B) on the training data, in nats; NaN, and left out of ``history_``,
            where a solver gave up (``status_``).
        history_: ``step`` and ``loss`` (with the constant) of every step, and
            ``validation_step`` and ``validation_loss`` where data were held out.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flows, and time for all of the fit.
        snapshots_: ``(step, transform, None)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = AUB(transform=lrmf.Affine(), density=lrmf.Gaussian(), steps=100, progress=False)
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    _fitted: ClassVar[FITTED_MODELS] = {
        "source_map_": (Flow, "transform"),
        "target_map_": (Flow, "target_transform"),
        **SharedDensityAligner._fitted,
    }
    _inverted = (False, True)
    _loss = staticmethod(upper_bound)

    source_map_: Flow
    target_map_: Flow

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        target_transform: Any = None,
        density: Any = RealNVP(hidden=(128, 128)),
        backend: Literal["jax", "tfp"] = "jax",
        steps: int = 4000,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        seed: int = 0,
        schedule: Literal["cosine", "constant"] = "cosine",
        gradient_clip: float = 10.0,
        private_steps: int | None = None,
        refit_steps: int = 2000,
        refit_learning_rate: float | None = None,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        snapshot_every: int | None = None,
        checkpoint_every: int = 1000,
        tolerance: float = 0.1,
        dtype: Literal["float32", "float64"] = "float32",
        progress: bool = True,
    ) -> None:
        self._store(locals())

    def _initial(
        self,
        backend: Backend,
        source: np.ndarray,
        target: np.ndarray,
        seeds: list[np.random.SeedSequence],
    ) -> dict[str, tuple[Role, Arrays]]:
        event_shape = source.shape[1:]
        initial = self._initial_maps(backend, event_shape, seeds[0], seeds[2])
        rng = np.random.default_rng(seeds[1])
        initial["density"] = backend.init(Density, self.density, event_shape, rng)
        # The private densities are of the same family.
        self._check_support(source, "Xs")
        self._check_support(target, "Xt")
        return initial

    def _place(
        self, backend: Backend, roles: Mapping[str, Role], arrays: Mapping[str, Arrays]
    ) -> None:
        self.source_map_, self.target_map_ = self._flows(backend, roles, arrays)
        self.density_ = backend.model(roles["density"], arrays["density"], self.dtype)
        self._loaded(backend)

    def _map(self, side: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        return (self.source_map_ if side == "source" else self.target_map_).forward(x)

    def _snapshot(
        self, backend: Backend, roles: Mapping[str, Role], arrays: Mapping[str, Arrays]
    ) -> tuple[Flow, None]:
        return self._composed(self._flows(backend, roles, arrays)), None

    def _loaded(self, backend: Backend) -> None:
        self.transform_ = self._composed([self.source_map_, self.target_map_])
