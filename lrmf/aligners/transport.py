"""Aligners whose flow pays the least cost of moving T(A) to B, minibatch by minibatch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import distance as pairwise

from ..checks import check_positive_int, check_positive_number
from ..extras import import_pot
from ..fitting import Schedule
from ..minibatches import Weights
from ..objectives import TransportCost
from ..points import Rows, sample_rows
from ..specs import Arrays, RealNVP, SolverError
from ..standardization import Standardize
from ..units import exponent, scaled
from .discrepancy import DiscrepancyAligner
from .parts import Objective
from .plans import divergence, exact_plan, sinkhorn, symmetric_sinkhorn
from .recipe import Recipe

__all__ = ["EMDFlow", "SinkhornFlow", "TransportAligner"]

Array = NDArray[np.float64]
Cost = Literal["sqeuclidean", "euclidean"]


class TransportAligner(DiscrepancyAligner):
    """An aligner that computes plans of T(a) and b on the host, then takes a gradient step."""

    cost: Cost

    def _recipe(self, domains: Sequence[str]) -> Recipe:
        import_pot()
        return super()._recipe(domains)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.cost, str) or self.cost not in ("sqeuclidean", "euclidean"):
            raise ValueError(f"cost must be 'sqeuclidean' or 'euclidean', got {self.cost!r}")


class EMDFlow(TransportAligner):
    """Align a source A with a target B by a flow T that minimises their earth mover's distance.

    The objective is the least cost of moving a minibatch of T(A) to one of B,

        min_P Σ_ij P_ij c(T(a_i), b_j),    Σ_j P_ij = 1/n,  Σ_i P_ij = 1/m,

    with c(x, y) = |x - y|², for the squared 2-Wasserstein distance, or |x - y|. POT finds the
    optimal plan P for each minibatch, and a gradient step moves T(a_i) towards the b_j that it is
    coupled with. By the envelope theorem that is the exact gradient of the least cost of the
    minibatch. Its mean over minibatches is not the gradient of the cost between A and B: two
    minibatches of one distribution are some distance apart, and the more so the smaller they
    are. So the loss does not go to zero, and the best T shrinks T(A) a little. The plans are
    recomputed on the host, some milliseconds a step with 256 points a side, about n³.

    Costs are those of standardised points, unless ``standardize`` is false: of data in their own
    units, the feature of the largest numbers would decide.

    Needs POT: ``pip install "lrmf[ot]"``.

    Sources: Genevay, Peyré and Cuturi, Learning generative models with Sinkhorn divergences
    (2018); Fatras et al., Learning with minibatch Wasserstein (2020).

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector.
        cost: c, ``"sqeuclidean"`` or ``"euclidean"``.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps.
        batch_size: points per side and step; a side of at most this size is used whole.
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
        history_: ``step`` and ``loss`` of every step, and ``validation_step`` and
            ``validation_loss`` where data were held out; in (squared) units of the
            (standardised) data.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flow, and time for the fit.
        snapshots_: ``(step, transform, None)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = EMDFlow(transform=lrmf.Affine(), steps=200, learning_rate=0.1, progress=False)
    >>> moved = model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source)
    >>> bool(lrmf.distances.wasserstein(moved, pair.target, order=2) < 1.0)  # from 4.7
    True
    """

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        cost: Cost = "sqeuclidean",
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
        return Objective(TransportCost(cost=self.cost), _ExactPlans(self.cost))


class SinkhornFlow(TransportAligner):
    """Align a source A with a target B by a flow T that minimises their Sinkhorn divergence.

    The objective is, for minibatches of T(A) and B,

        S_ε = OT_ε(T(A), B) - ½ OT_ε(T(A), T(A)) - ½ OT_ε(B, B),
        OT_ε = min_P Σ_ij P_ij c(x_i, y_j) + ε KL(P | uniform)

    over plans P with uniform marginals, with c(x, y) = |x - y|² or |x - y|. It is zero where the
    two minibatches are equal and positive elsewhere. As ε goes to zero it becomes the objective
    of `EMDFlow`. As ε grows it becomes a kernel distance: with |x - y|² that of means alone, with
    |x - y| the energy distance. Larger ε averages over more pairs, so minibatches deceive less.

    Sinkhorn's algorithm, by POT, finds the plans for each minibatch on the host. With these fixed
    the gradient step descends S_ε itself, by the envelope theorem. Its time goes up as ε goes
    down: some ten milliseconds a step with 256 points a side at the default. Where ``max_iter``
    iterations are too few, the plan reached serves.

    Costs are those of standardised points, unless ``standardize`` is false.

    Needs POT: ``pip install "lrmf[ot]"``.

    Sources: Genevay, Peyré and Cuturi, Learning generative models with Sinkhorn divergences
    (2018); Feydy et al., Interpolating between optimal transport and MMD using Sinkhorn
    divergences (2019).

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector.
        regularization: ε, in units of ``cost_scale``.
        cost_scale: ``"mean"``, ``"median"`` or ``"max"`` of the costs c(b_i, b_j) between two
            points of the target, which those between T(A) and B become (of 2000 points, where
            there are more), or None for an ε in units of c.
        cost: c, ``"sqeuclidean"`` or ``"euclidean"``.
        max_iter: the most iterations for a plan.
        tolerance: share of a plan's mass that may be left in the wrong place.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps.
        batch_size: points per side and step; a side of at most this size is used whole.
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
        epsilon_: ε, in units of c.
        history_: ``step`` and ``loss`` of every step, and ``validation_step`` and
            ``validation_loss`` where data were held out; in units of c.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flow, and time for the fit.
        snapshots_: ``(step, transform, None)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = SinkhornFlow(transform=lrmf.Affine(), steps=200, learning_rate=0.1, progress=False)
    >>> moved = model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source)
    >>> bool(lrmf.distances.wasserstein(moved, pair.target, order=2) < 1.0)  # from 4.7
    True
    """

    _facts = (*TransportAligner._facts, "epsilon_")

    regularization: float
    cost_scale: Literal["mean", "median", "max"] | None
    max_iter: int
    tolerance: float

    epsilon_: float

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        regularization: float = 0.05,
        cost_scale: Literal["mean", "median", "max"] | None = "mean",
        cost: Cost = "sqeuclidean",
        max_iter: int = 500,
        tolerance: float = 1e-4,
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
        epsilon = self._epsilon(data["target"], weights["target"], seed)
        plans = _EntropicPlans(self.cost, epsilon, self.max_iter, self.tolerance)
        return Objective(TransportCost(cost=self.cost), plans, facts={"epsilon_": epsilon})

    def _epsilon(
        self, target: Rows, weights: np.ndarray | None, seed: np.random.SeedSequence
    ) -> float:
        if self.cost_scale is None:
            return float(self.regularization)
        rows = sample_rows(len(target), _SCALE_OF, weights, np.random.default_rng(seed))
        scale = float(_SCALES[self.cost_scale](pairwise.pdist(_rows(target[rows]), self.cost)))
        if scale == 0:
            raise ValueError(
                f"the {self.cost_scale} of the costs is zero, as points of Xt coincide; set "
                "cost_scale=None, for a regularization in units of the cost"
            )
        return self.regularization * scale

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_positive_number("regularization", self.regularization)
        if self.cost_scale is not None and (
            not isinstance(self.cost_scale, str) or self.cost_scale not in _SCALES
        ):
            raise ValueError(
                f"cost_scale must be one of {tuple(_SCALES)} or None, got {self.cost_scale!r}"
            )
        check_positive_int("max_iter", self.max_iter)
        check_positive_number("tolerance", self.tolerance)


_SCALES: dict[str, Callable[[Array], Any]] = {"mean": np.mean, "median": np.median, "max": np.max}
#: Of how many points the cost's scale is taken.
_SCALE_OF = 2000


@dataclass(frozen=True)
class _Plans:
    """An assistant (see `lrmf.stepwise`) that gives `TransportCost` what it needs."""

    cost: Cost

    def __call__(self, models: dict[str, Any], batch: dict[str, np.ndarray]) -> Arrays:
        # Points of weight zero fill a batch up; the others weigh the same.
        n, m = (
            int(np.count_nonzero(batch.get(f"{side}_weight", np.ones(len(batch[side])))))
            for side in ("source", "target")
        )
        source, other = batch["source"], _rows(batch["target"][:m])
        try:
            moved = _rows(models["transform"].forward(source)[0])[:n]
        except SolverError:
            moved = np.full((n, other.shape[1]), np.nan)
        if not np.isfinite(moved).all():
            # The loss will be non-finite and end the fit. POT would not return.
            moved = np.zeros_like(moved)
        found = self.of(moved, other)
        sizes = {"plan": (len(source), len(batch["target"])), "source_plan": (len(source),) * 2}
        for name, size in sizes.items():
            if name in found and found[name].shape != size:
                plan, found[name] = found[name], np.zeros(size)
                found[name][: plan.shape[0], : plan.shape[1]] = plan
        return found

    def of(self, moved: Array, other: Array) -> Arrays:
        """The plans and what else there is, for T(a) ``(n, d)`` and b ``(m, d)``."""
        raise NotImplementedError


class _ExactPlans(_Plans):
    def of(self, moved: Array, other: Array) -> Arrays:
        # The units don't matter to the plan, but their squares could overflow or vanish.
        by = -exponent(moved, other)
        return {"plan": exact_plan(_costs(self.cost, scaled(moved, by), scaled(other, by)))}


@dataclass(frozen=True)
class _EntropicPlans(_Plans):
    epsilon: float
    max_iter: int
    tolerance: float

    def of(self, moved: Array, other: Array) -> Arrays:
        settings: dict[str, Any] = {"max_iter": self.max_iter, "tolerance": self.tolerance}
        costs = _costs(self.cost, moved, other)
        plan = sinkhorn(costs, self.epsilon, **settings).plan(costs, self.epsilon)
        costs = _costs(self.cost, moved, moved)
        source_plan = symmetric_sinkhorn(costs, self.epsilon, **settings).plan(costs, self.epsilon)
        target = symmetric_sinkhorn(_costs(self.cost, other, other), self.epsilon, **settings)
        offset = (
            divergence(plan, self.epsilon)
            - 0.5 * divergence(source_plan, self.epsilon)
            - 0.5 * target.value
        )
        return {"plan": plan, "source_plan": source_plan, "offset": np.asarray(offset)}


def _costs(cost: Cost, x: Array, y: Array) -> Array:
    return np.asarray(pairwise.cdist(x, y, cost))


def _rows(x: np.ndarray) -> Array:
    return np.asarray(x, dtype=np.float64).reshape(len(x), -1)
