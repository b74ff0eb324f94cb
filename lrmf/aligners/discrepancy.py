"""Aligners that minimise a discrepancy between the samples T(A) and B themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from .. import distances
from ..fitting import Schedule
from ..minibatches import Weights
from ..models import Flow
from ..objectives import MeanDiscrepancy
from ..points import Rows, sample_rows
from ..specs import RealNVP
from ..standardization import Standardize
from .parts import Objective, Part
from .recipe import Recipe
from .trained import TrainedAligner

__all__ = ["DiscrepancyAligner", "MMDFlow"]


class DiscrepancyAligner(TrainedAligner):
    """An aligner whose only model is the flow T, which a discrepancy of T(A) and B teaches."""

    @abstractmethod
    def _objective(
        self,
        data: Mapping[str, Rows],
        held_out: Mapping[str, Rows],
        weights: Weights,
        seed: np.random.SeedSequence,
    ) -> Objective:
        """What the flow minimises on the data to learn from, and who helps to compute it."""

    def _recipe(self, domains: Sequence[str]) -> Recipe:
        transform = Part(
            kind=Flow, spec=self.transform_spec, parameter="transform", attribute="transform_"
        )
        return Recipe(
            parts={"transform": transform},
            maps={"source": (("transform", False),), "target": ()},
            objective=self._objective,
            config=self._config(),
            draws=("transform", "density", "split", "objective", "unused", "flow"),
        )


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

    Distances are those of standardised points, unless ``standardize`` is false: of data in their
    own units, the kernel would see the feature of the largest numbers only.

    Sources: Gretton et al., A kernel two-sample test (2012); Li et al., Generative moment matching
    networks (2015); Bellemare et al., The Cramér distance as a solution to biased Wasserstein
    gradients (2017), for the energy distance.

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector.
        kernel: ``"gaussian"`` or ``"triangular_gap"``.
        bandwidths: of the Gaussian kernel, in units of the (standardised) data; by default 1/4,
            1/2, 1, 2 and 4 times the median distance of the pooled points of A and B (of 2000
            drawn from them, where there are more).
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps.
        batch_size: points per side and step, two or more; a side of at most this size is used
            whole.
        learning_rate: Adam's initial step size.
        seed: of initial arrays, minibatches and the validation split.
        standardize: learn from features of mean 0 and deviation 1, so that data of any location
            and scale align alike (`lrmf.standardization`): by the moments of all domains together,
            or, where these lie far apart, by means and scales of each, so that T starts where
            these agree. ``"together"`` and ``"apart"`` always take the one or the other. Of
            images each channel is standardised.
        schedule: ``"cosine"`` decays the learning rate to zero, ``"warmup cosine"`` lets it rise
            over the first twentieth of the steps before, ``"constant"`` keeps it.
        gradient_clip: largest norm of a gradient.
        validation_fraction: share of both data sets that is held out to monitor the loss.
        patience: stop when the validation loss has not improved for so many steps.
        snapshot_every: keep the flow about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        dtype: ``"float32"`` or ``"float64"``.
        devices: over how many devices each batch is divided, or ``"all"``, of all processes after
            ``jax.distributed.initialize``; in JAX only.
        progress: whether to show a progress bar.

    Attributes:
        transform_: the fitted flow, a `Flow`.
        bandwidths_: the bandwidths, in units of the (standardised) data; none for the
            triangular-gap kernel.
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

    def _objective(
        self,
        data: Mapping[str, Rows],
        held_out: Mapping[str, Rows],
        weights: Weights,
        seed: np.random.SeedSequence,
    ) -> Objective:
        for side, x in held_out.items():
            if len(x) < 2:
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} holds out {len(x)} {side} "
                    "point, but the kernel distance takes two; raise it"
                )
        widths = self._bandwidths(data, weights, seed)
        return Objective(
            MeanDiscrepancy(kernel=self.kernel),
            facts={"bandwidths_": widths},
            constants={"bandwidths": np.array(widths)} if widths else {},
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.batch_size < 2:
            raise ValueError(
                f"batch_size must be 2 or more, got {self.batch_size}: the kernel distance "
                "compares the points of a batch with each other"
            )
        if not isinstance(self.kernel, str) or self.kernel not in ("gaussian", "triangular_gap"):
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

    def _bandwidths(
        self, data: Mapping[str, Rows], weights: Weights, seed: np.random.SeedSequence
    ) -> tuple[float, ...]:
        if self.kernel == "triangular_gap":
            return ()
        if self.bandwidths is not None:
            return tuple(float(h) for h in self.bandwidths)
        # Drawn from the pool, so that both sides have the weight of their size.
        count = len(data["source"])
        pool = count + len(data["target"])
        shares = None
        if any(w is not None for w in weights.values()):
            shares = np.concatenate(
                [
                    np.ones(len(x)) if (w := weights[side]) is None else w * len(x) / w.sum()
                    for side, x in data.items()
                ]
            )
        rows = sample_rows(pool, _MEDIAN_OF, shares, np.random.default_rng(seed))
        of_source = rows < count
        pooled = np.empty((len(rows), *data["source"].shape[1:]))
        pooled[of_source] = data["source"][rows[of_source]]
        pooled[~of_source] = data["target"][rows[~of_source] - count]
        first, second = np.array_split(pooled, 2)
        median = distances.median_bandwidth(first, second)
        return tuple(factor * median for factor in _FACTORS)


#: Bandwidths in units of the median distance, and of how many points that is taken.
_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_MEDIAN_OF = 2000
