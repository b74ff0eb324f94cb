"""The LRMF aligner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.exceptions import NotFittedError

from ..backends import get_backend
from ..backends.base import Backend, Role
from ..certificate import Certificate
from ..checks import check_positive_int, check_positive_number
from ..fitting import FitConfig, FitResult
from ..models import Density, Flow
from ..objectives import likelihood_ratio
from ..specs import Arrays, Gaussian, Histogram, RealNVP, Spec
from .stages import Stage, density_stage
from .trained import FITTED_MODELS, Job, TrainedAligner

__all__ = ["LRMF"]


class LRMF(TrainedAligner):
    """Align a source A with a target B by a log-likelihood-ratio minimising flow T.

    Minimises the LRMF loss (paper, Definition 2.2 and Algorithm 1)

        -E log|det ∇T(a)| - E log P_S(T(a)) - E log P_S(b) + c(A, B)

    over the flow T and the shared density S, by Adam on minibatches, after fitting the private
    densities of A and B that give c(A, B). Finally copies of S are fitted further, one to T(A)
    and one to B, for the certificate. With the constant, a loss of zero means aligned.

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector.
        density: the family M: a spec, or a flow or distribution of the backend's library. A flow
            is pushed forward from N(0, I).
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps for the flow.
        batch_size: points per side and step; a side of at most this size is used whole.
        learning_rate: Adam's initial step size.
        seed: of initial arrays, minibatches and the validation split.
        schedule: ``"cosine"`` decays the learning rate to zero, ``"constant"`` keeps it.
        gradient_clip: largest norm of a gradient.
        private_steps: steps for each private density, ``steps`` by default.
        refit_steps: steps for each refitted copy of the shared density.
        refit_learning_rate: their initial step size; by default a tenth of ``learning_rate``,
            which keeps networks from overfitting, and all of it for `Gaussian` and `Histogram`.
        validation_fraction: share of both data sets that is held out to monitor the loss.
        patience: stop when the validation loss has not improved for so many steps.
        snapshot_every: keep the models about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        tolerance: the largest distance in nats that the certificate calls aligned.
        dtype: ``"float32"`` or ``"float64"``.
        progress: whether to show progress bars.

    Attributes:
        transform_: the fitted flow, a `Flow`.
        density_: the shared density, a `Density`.
        private_source_, private_target_: the densities fitted to A and to B.
        refitted_source_, refitted_target_: the shared density fitted further to T(A) and to B.
        constant_: c(A, B) on the training data, in nats.
        history_: ``step`` and ``loss`` (with the constant) of every step, and
            ``validation_step`` and ``validation_loss`` where data were held out.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flow, and time for all of the fit.
        snapshots_: ``(step, transform, density)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = LRMF(transform=lrmf.Affine(), density=lrmf.Gaussian(), steps=100, progress=False)
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    _fitted: ClassVar[FITTED_MODELS] = {
        "transform_": (Flow, "transform"),
        "density_": (Density, "density"),
        "private_source_": (Density, "density"),
        "private_target_": (Density, "density"),
        "refitted_source_": (Density, "density"),
        "refitted_target_": (Density, "density"),
    }
    _facts = (*TrainedAligner._facts, "constant_")
    _indifferent = (*TrainedAligner._indifferent, "tolerance")

    density: Any
    private_steps: int | None
    refit_steps: int
    refit_learning_rate: float | None
    tolerance: float

    density_: Density
    private_source_: Density
    private_target_: Density
    refitted_source_: Density
    refitted_target_: Density
    constant_: float

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
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
        specs = {"transform": (Flow, self.transform_spec), "density": (Density, self.density)}
        initial = {
            name: backend.init(kind, spec, event_shape, np.random.default_rng(seed))
            for (name, (kind, spec)), seed in zip(specs.items(), seeds[:2], strict=True)
        }
        self._check_support(source, "Xs")
        self._check_support(target, "Xt")
        return initial

    def _learn(self, job: Job) -> FitResult:
        backend, role = get_backend(self.backend), job.roles["density"]

        def fit_densities(
            kind: str, arrays: Arrays, data: Mapping[str, np.ndarray], config: FitConfig, first: int
        ) -> list[Stage]:
            return [
                density_stage(f"{kind} {side}", role, arrays, x, config, seed)
                for (side, x), seed in zip(data.items(), job.seeds[first : first + 2], strict=True)
            ]

        # All densities start from the same arrays, so that the bound does not compare starts.
        private_config, refit_config = self._density_configs()
        result, *private = job.stages.run(
            Stage(
                "flow",
                likelihood_ratio,
                tuple(job.roles.values()),
                job.arrays,
                job.data,
                self._config(),
                job.seeds[2],
                job.held_out,
            ),
            *fit_densities("private", job.arrays["density"], job.data, private_config, 0),
        )
        self.transform_, self.density_ = self._snapshot(backend, job.roles, result.arrays)
        moved = self.transform_.forward(job.data["source"])[0]
        refitted = job.stages.run(
            *fit_densities(
                "refit",
                result.arrays["density"],
                {"source": moved, "target": job.data["target"]},
                refit_config,
                3,
            )
        )
        for kind, results in (("private", private), ("refitted", refitted)):
            for side, fitted in zip(("source", "target"), results, strict=True):
                model = backend.model(role, fitted.arrays["density"], self.dtype)
                setattr(self, f"{kind}_{side}_", model)
        self.constant_ = float(
            np.mean(self.private_source_.log_prob(job.data["source"]))
            + np.mean(self.private_target_.log_prob(job.data["target"]))
        )
        return result

    def _snapshot(
        self, backend: Backend, roles: Mapping[str, Role], arrays: Mapping[str, Arrays]
    ) -> tuple[Flow, Density]:
        flow, density = (
            backend.model(roles[name], arrays[name], self.dtype)
            for name in ("transform", "density")
        )
        return flow, density

    def _history(self, result: FitResult) -> dict[str, np.ndarray]:
        return {
            name: values + self.constant_ if name.endswith("loss") else values
            for name, values in result.history.items()
        }

    def certificate(self, Xs: Any, Xt: Any) -> Certificate:
        """Held-out evidence whether T(A) and B are indistinguishable to the family M.

        Args:
            Xs: held-out source points ``(n_s, *event_shape)``.
            Xt: held-out target points ``(n_t, *event_shape)``.

        The private models and the refitted copies were fitted to the training data by `fit`.
        """
        source = self._check_new(Xs, "Xs", minimum=2)
        target = self._check_new(Xt, "Xt", minimum=2)
        if not self.complete_:
            raise NotFittedError(
                "the fit did not reach the end, so there is nothing to certify "
                f"({self.status_}); fit again, from a checkpoint if there is one"
            )
        moved, log_det = self.transform_.forward(source)
        self._check_support(moved, "the image of Xs")
        self._check_support(target, "Xt")
        shared_source = self.density_.log_prob(moved)
        shared_target = self.density_.log_prob(target)
        # Where log-densities overflow to -inf their differences are NaN; the verdict says so.
        with np.errstate(invalid="ignore"):
            return Certificate.from_terms(
                gain_source=self.refitted_source_.log_prob(moved) - shared_source,
                gain_target=self.refitted_target_.log_prob(target) - shared_target,
                bound_source=self.private_source_.log_prob(source) - log_det - shared_source,
                bound_target=self.private_target_.log_prob(target) - shared_target,
                tolerance=self.tolerance,
            )

    def score(self, Xs: Any, Xt: Any) -> float:
        """Minus the held-out LRMF loss with its constant, in nats: higher is better."""
        return -self.certificate(Xs, Xt).bound

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_positive_number("tolerance", self.tolerance)
        if self.refit_learning_rate is not None:
            check_positive_number("refit_learning_rate", self.refit_learning_rate)
        if self.private_steps is not None:
            check_positive_int("private_steps", self.private_steps)
        check_positive_int("refit_steps", self.refit_steps)

    def _density_configs(self) -> tuple[FitConfig, FitConfig]:
        """The settings of the private fits and of the refits."""
        private = self.steps if self.private_steps is None else self.private_steps
        rate = self.refit_learning_rate
        if rate is None:
            share = 1.0 if isinstance(self.density, (Gaussian, Histogram)) else 0.1
            rate = share * self.learning_rate
        common: dict[str, Any] = {"snapshot_every": None, "patience": None}
        return (
            self._config(steps=private, **common),
            self._config(steps=self.refit_steps, learning_rate=rate, **common),
        )

    def _check_support(self, x: np.ndarray, argument: str) -> None:
        """Refuse points where every density of the family M is zero."""
        if isinstance(self.density, Spec):
            self.density.check_points(x, argument)
