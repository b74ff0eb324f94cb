"""Aligners that minimise a discrepancy between the samples T(A) and B themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from .. import distances
from ..backends import get_backend
from ..backends.base import Backend, Loss, Role
from ..fitting import FitResult
from ..models import Flow
from ..objectives import MeanDiscrepancy
from ..specs import Arrays, RealNVP
from ..stepwise import Assistant
from .stages import Stage
from .trained import FITTED_MODELS, Job, TrainedAligner

__all__ = ["DiscrepancyAligner", "MMDFlow"]


class DiscrepancyAligner(TrainedAligner):
    """An aligner whose only model is the flow T, which a discrepancy of T(A) and B teaches."""

    _fitted: ClassVar[FITTED_MODELS] = {"transform_": (Flow, "transform")}

    @abstractmethod
    def _objective(self, job: Job) -> tuple[Loss, Assistant | None]:
        """What the flow minimises on the data to learn from, and who helps to compute it."""

    def _initial(
        self,
        backend: Backend,
        source: np.ndarray,
        target: np.ndarray,
        seeds: list[np.random.SeedSequence],
    ) -> dict[str, tuple[Role, Arrays]]:
        rng = np.random.default_rng(seeds[0])
        return {"transform": backend.init(Flow, self.transform_spec, source.shape[1:], rng)}

    def _learn(self, job: Job) -> FitResult:
        loss, assistant = self._objective(job)
        (result,) = job.stages.run(
            Stage(
                "flow",
                loss,
                tuple(job.roles.values()),
                job.arrays,
                job.data,
                self._config(),
                job.seeds[2],
                job.held_out,
                assistant,
            )
        )
        self.transform_, _ = self._snapshot(get_backend(self.backend), job.roles, result.arrays)
        return result

    def _snapshot(
        self, backend: Backend, roles: Mapping[str, Role], arrays: Mapping[str, Arrays]
    ) -> tuple[Flow, None]:
        return backend.model(roles["transform"], arrays["transform"], self.dtype), None


class MMDFlow(DiscrepancyAligner):
    """Align a source A with a target B by a flow T that minimises their kernel distance.

    The objective is the squared maximum mean discrepancy

        MMD²(T(A), B) = E k(T(a), T(a')) + E k(b, b') - 2 E k(T(a), b)

    for independent a, a' from A and b, b' from B, with the Gaussian kernel

        k(x, y) = mean_h exp(-|x - y|² / 2h²)

    of one or several bandwidths h, or the triangular-gap kernel -|x - y|/2, which makes it half
    the energy distance. Minibatches give the unbiased estimate, without the pairs of a point with
    itself: a loss below zero means no more than below its standard error. No density is fitted,
    and T needs no Jacobian determinant.

    A Gaussian kernel sees the differences at the scale of its bandwidth: one far below the
    distance between A and B has no gradient, one far above sees no more than means. Hence
    several by default. It is bounded, too: a learning rate that throws T(A) far away does not
    make the loss explode, but leaves it near where it began.

    Sources: Gretton et al., A kernel two-sample test (2012); Li et al., Generative moment matching
    networks (2015); Bellemare et al., The Cramér distance as a solution to biased Wasserstein
    gradients (2017), for the energy distance.

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector.
        kernel: ``"gaussian"`` or ``"triangular_gap"``.
        bandwidths: of the Gaussian kernel, in units of the data; by default 1/4, 1/2, 1, 2 and 4
            times the median distance of the pooled points of A and B (of 2000 drawn from them,
            where there are more).
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps.
        batch_size: points per side and step, two or more; a side of at most this size is used
            whole.
        learning_rate: Adam's initial step size.
        seed: of initial arrays, minibatches and the validation split.
        schedule: ``"cosine"`` decays the learning rate to zero, ``"constant"`` keeps it.
        gradient_clip: largest norm of a gradient.
        validation_fraction: share of both data sets that is held out to monitor the loss.
        patience: stop when the validation loss has not improved for so many steps.
        snapshot_every: keep the flow about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        dtype: ``"float32"`` or ``"float64"``.
        progress: whether to show a progress bar.

    Attributes:
        transform_: the fitted flow, a `Flow`.
        bandwidths_: the bandwidths, in units of the data; none for the triangular-gap kernel.
        history_: ``step`` and ``loss`` of every step, and ``validation_step`` and
            ``validation_loss`` where data were held out.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flow, and time for the fit.
        snapshots_: ``(step, transform, None)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = MMDFlow(transform=lrmf.Affine(), steps=200, learning_rate=0.1, progress=False)
    >>> moved = model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source)
    >>> bool(lrmf.distances.mmd2(moved, pair.target) < 0.1)  # from 1.1
    True
    """

    _facts = (*TrainedAligner._facts, "bandwidths_")

    kernel: Literal["gaussian", "triangular_gap"]
    bandwidths: Sequence[float] | None

    bandwidths_: tuple[float, ...]

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        kernel: Literal["gaussian", "triangular_gap"] = "gaussian",
        bandwidths: Sequence[float] | None = None,
        backend: Literal["jax", "tfp"] = "jax",
        steps: int = 4000,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        seed: int = 0,
        schedule: Literal["cosine", "constant"] = "cosine",
        gradient_clip: float = 10.0,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        snapshot_every: int | None = None,
        checkpoint_every: int = 1000,
        dtype: Literal["float32", "float64"] = "float32",
        progress: bool = True,
    ) -> None:
        self._store(locals())

    def _objective(self, job: Job) -> tuple[Loss, None]:
        for side, x in (job.held_out or {}).items():
            if len(x) < 2:
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} holds out {len(x)} {side} "
                    "point, but the kernel distance takes two; raise it"
                )
        self.bandwidths_ = self._bandwidths(job)
        return MeanDiscrepancy(kernel=self.kernel, bandwidths=self.bandwidths_), None

    def score(self, Xs: Any, Xt: Any) -> float:
        """Minus the unbiased estimate of MMD²(T(A), B) on held-out points: higher is better.

        Args:
            Xs: held-out source points ``(n_s, *event_shape)``.
            Xt: held-out target points ``(n_t, *event_shape)``.

        With the kernel of the fit, so aligners of different kernels can't be compared by it.
        """
        source = self._check_new(Xs, "Xs", minimum=2)
        target = self._check_new(Xt, "Xt", minimum=2)
        moved = self.transform(source)
        values = [
            distances.mmd2(moved, target, kernel=self.kernel, bandwidth=h)
            for h in self.bandwidths_ or (None,)
        ]
        return -float(np.mean(values))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.batch_size < 2:
            raise ValueError(
                f"batch_size must be 2 or more, got {self.batch_size}: the kernel distance "
                "compares the points of a batch with each other"
            )
        if self.kernel not in ("gaussian", "triangular_gap"):
            raise ValueError(f"kernel must be 'gaussian' or 'triangular_gap', got {self.kernel!r}")
        if self.bandwidths is None:
            return
        if self.kernel == "triangular_gap":
            raise ValueError(
                "bandwidths must be None for the triangular-gap kernel, which has none, got "
                f"{self.bandwidths!r}"
            )
        widths = np.asarray(self.bandwidths)
        if (
            widths.ndim != 1
            or widths.size == 0
            or widths.dtype.kind not in "fiu"
            or not (np.isfinite(widths) & (widths > 0)).all()
        ):
            raise ValueError(
                "bandwidths must be None or positive numbers such as (0.5, 1.0), got "
                f"{self.bandwidths!r}"
            )

    def _bandwidths(self, job: Job) -> tuple[float, ...]:
        if self.kernel == "triangular_gap":
            return ()
        if self.bandwidths is not None:
            return tuple(float(h) for h in self.bandwidths)
        # Drawn from the pool, so that both sides have the weight of their size.
        pooled = np.concatenate([job.data["source"], job.data["target"]])
        rows = np.random.default_rng(job.seeds[0]).permutation(len(pooled))[:_MEDIAN_OF]
        first, second = np.array_split(pooled[rows], 2)
        median = distances.median_bandwidth(first, second)
        return tuple(factor * median for factor in _FACTORS)

    def _loaded(self, backend: Backend) -> None:
        self.bandwidths_ = tuple(self.bandwidths_)


#: Bandwidths in units of the median distance, and of how many points that is taken.
_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_MEDIAN_OF = 2000
