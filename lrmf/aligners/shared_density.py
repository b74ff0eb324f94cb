"""What aligners share that minimise an upper bound over a shared density."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import NotFittedError

from ..backends import get_backend
from ..backends.base import Backend, Role
from ..certificate import Certificate
from ..checks import check_positive_int, check_positive_number
from ..fitting import FitConfig, FitResult
from ..models import Density
from ..specs import Arrays, Spec
from .stages import Stage, density_stage
from .trained import FITTED_MODELS, Job, TrainedAligner, mean_log_prob, with_constant

__all__ = ["SharedDensityAligner"]


class SharedDensityAligner(TrainedAligner):
    """An aligner that maps both sides to where one density of a family M is to fit them.

    It fits private densities of A and B, which give the bound its constant, and afterwards copies
    of the shared density to the image of each side, for the certificate.
    """

    _fitted: ClassVar[FITTED_MODELS] = {
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

    @staticmethod
    @abstractmethod
    def _loss(models: dict[str, Any], batch: dict[str, Any]) -> Any:
        """The bound without its constant; the shared density is the role "density"."""

    @abstractmethod
    def _place(
        self, backend: Backend, roles: Mapping[str, Role], arrays: Mapping[str, Arrays]
    ) -> None:
        """Set the fitted flows and the shared density."""

    @abstractmethod
    def _map(self, side: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """Images of points of a side, where the shared density lives, and log-determinants."""

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
                self._loss,
                tuple(job.roles.values()),
                job.arrays,
                job.data,
                self._config(),
                job.seeds[2],
                job.held_out,
            ),
            *fit_densities("private", job.arrays["density"], job.data, private_config, 0),
        )
        self._place(backend, job.roles, result.arrays)
        images = job.stages.evaluate("flow", self._images, job.data)
        refitted = job.stages.run(
            *fit_densities(
                "refit",
                result.arrays["density"],
                images or job.data,  # without images no stage runs
                refit_config,
                3,
            )
        )
        for kind, results in (("private", private), ("refitted", refitted)):
            for side, fitted in zip(("source", "target"), results, strict=True):
                model = backend.model(role, fitted.arrays["density"], self.dtype)
                setattr(self, f"{kind}_{side}_", model)
        self.constant_ = float(
            mean_log_prob(job, "private source", self.private_source_, "source")
            + mean_log_prob(job, "private target", self.private_target_, "target")
        )
        return result

    def _history(self, result: FitResult) -> dict[str, np.ndarray]:
        return with_constant(result.history, self.constant_)

    def _images(self, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {side: self._map(side, x)[0] for side, x in data.items()}

    def certificate(self, Xs: Any, Xt: Any) -> Certificate:
        """Held-out evidence whether T(A) and B are indistinguishable to the family M.

        Args:
            Xs: held-out source points ``(n_s, *event_shape)``.
            Xt: held-out target points ``(n_t, *event_shape)``.

        The private models and the refitted copies were fitted to the training data by `fit`. With
        few points, a map that made the training data alike leaves the copies nothing to learn,
        however much fresh points differ: `lrmf.lrd` of mapped points that `fit` did not see
        refits on points of their own.
        """
        source = self._check_new(Xs, "Xs", minimum=2)
        target = self._check_new(Xt, "Xt", minimum=2)
        if not self.complete_:
            raise NotFittedError(
                "the fit did not reach the end, so there is nothing to certify "
                f"({self.status_}); fit again, from a checkpoint if there is one"
            )
        images, log_dets = {}, {}
        for side, x in (("source", source), ("target", target)):
            images[side], log_dets[side] = self._map(side, x)
        self._check_support(images["source"], "the image of Xs")
        self._check_support(images["target"], "Xt")
        shared = {side: self.density_.log_prob(image) for side, image in images.items()}
        # Where log-densities overflow to -inf their differences are NaN; the verdict says so.
        with np.errstate(invalid="ignore"):
            return Certificate.from_terms(
                gain_source=self.refitted_source_.log_prob(images["source"]) - shared["source"],
                gain_target=self.refitted_target_.log_prob(images["target"]) - shared["target"],
                bound_source=self.private_source_.log_prob(source)
                - log_dets["source"]
                - shared["source"],
                bound_target=self.private_target_.log_prob(target)
                - log_dets["target"]
                - shared["target"],
                tolerance=self.tolerance,
            )

    def score(self, Xs: Any, Xt: Any) -> float:
        """Minus the held-out loss with its constant, in nats: higher is better."""
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
            # Nothing is known of an object of a backend's library: as for any spec.
            spec = self.density if isinstance(self.density, Spec) else Spec
            rate = spec.refit_share * self.learning_rate
        common: dict[str, Any] = {"snapshot_every": None, "patience": None}
        return (
            self._config(steps=private, **common),
            self._config(steps=self.refit_steps, learning_rate=rate, **common),
        )

    def _check_support(self, x: np.ndarray, argument: str) -> None:
        """Refuse points where every density of the family M is zero."""
        if isinstance(self.density, Spec):
            self.density.check_points(x, argument)
