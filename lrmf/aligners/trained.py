"""What aligners that learn by gradient steps share, from their data to their status."""

from __future__ import annotations

import hashlib
import json
import os
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from ..backends import get_backend
from ..backends.base import Backend, Role, check_dtype
from ..checkpoints import Checkpoint
from ..checks import check_fraction, check_positive_int, check_seed
from ..fitting import FitConfig, FitResult
from ..models import Density, Flow, Model
from ..objectives import negative_log_likelihood
from ..specs import Arrays
from . import persistence
from .base import FlowAligner, check_pair
from .stages import Stages

__all__ = ["FITTED_MODELS", "Job", "TrainedAligner", "mean_log_prob", "with_constant"]

#: Of a fitted model: its kind, and the constructor's parameter that holds its spec.
FITTED_MODELS = dict[str, tuple[type[Model], str]]


@dataclass(frozen=True, eq=False)
class Job:
    """What a fit works with.

    Attributes:
        stages: runs the parts of the fit.
        roles: the models by name.
        arrays: their initial arrays by name.
        data: ``source`` and ``target``, the points to learn from.
        held_out: the same of the validation points, if any.
        seeds: to draw minibatches with, one for each part of a fit.
    """

    stages: Stages
    roles: dict[str, Role]
    arrays: dict[str, Arrays]
    data: dict[str, np.ndarray]
    held_out: dict[str, np.ndarray] | None
    seeds: list[np.random.SeedSequence]


class TrainedAligner(FlowAligner):
    """An aligner whose flow is learned by Adam on minibatches.

    A subclass names its models in `_initial`, runs the parts of its fit in `_learn`, and says in
    `_snapshot` what flow (and density) its arrays amount to.

    Attributes:
        transform_: the fitted flow, a `Flow`.
        history_: ``step`` and ``loss`` of every step, and ``validation_step`` and
            ``validation_loss`` where data were held out.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        complete_: whether every part of the fit came to its end.
        n_steps_, seconds_: steps behind the flow, and time for all of the fit.
        snapshots_: ``(step, transform, density)`` triples; the density is ``None`` for an
            aligner that has none.
    """

    #: Attributes that a file holds: fitted models, and numbers or words.
    _fitted: ClassVar[FITTED_MODELS]
    _facts: ClassVar[tuple[str, ...]] = (
        "complete_", "status_", "outcome_", "n_steps_", "seconds_",
    )  # fmt: skip
    #: Parameters that don't change what a fit gives.
    _indifferent: ClassVar[tuple[str, ...]] = ("progress", "checkpoint_every")

    transform_spec: Any
    backend: Literal["jax", "tfp"]
    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    schedule: Literal["cosine", "constant"]
    gradient_clip: float
    validation_fraction: float
    patience: int | None
    snapshot_every: int | None
    checkpoint_every: int
    dtype: Literal["float32", "float64"]
    progress: bool

    history_: dict[str, np.ndarray]
    snapshots_: list[tuple[int, Flow, Density | None]]

    def fit(
        self,
        Xs: Any = None,
        ys: Any = None,
        Xt: Any = None,
        yt: Any = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Learn the flow from source and target points.

        Args:
            Xs: source points ``(n_s, *event_shape)``.
            ys: accepted as in POT, never used.
            Xt: target points ``(n_t, *event_shape)``.
            yt: accepted as in POT, never used.
            checkpoint: a file; where it exists, the fit goes on from it and ends as if it had
                never been interrupted.

        ``KeyboardInterrupt`` ends the fit early and keeps what was learned; so do a loss that
        diverges and a solver that gives up on all the data at once. ``status_`` says so.

        Raises:
            ValueError, TypeError: bad data or parameters, before anything is compiled.
            SolverError: the solver gave up, and nothing had been learned.
        """
        began = time.perf_counter()
        self._check_parameters()
        source, target = check_pair(Xs, Xt, dtype=self.dtype)
        backend = get_backend(self.backend)
        event_shape = source.shape[1:]
        seeds = np.random.SeedSequence(self.seed).spawn(10)
        initial = self._initial(backend, source, target, [*seeds[:2], *seeds[8:]])
        roles = {name: role for name, (role, _) in initial.items()}
        arrays = {name: named for name, (_, named) in initial.items()}
        data, held_out = self._split(source, target, np.random.default_rng(seeds[2]))
        file = None
        if checkpoint is not None:
            file = Checkpoint(
                checkpoint,
                fingerprint=self._fingerprint(source, target, *arrays.values()),
                every=self.checkpoint_every,
            )
        stages = Stages(backend, checkpoint=file, dtype=self.dtype, progress=self.progress)
        with stages:
            result = self._learn(Job(stages, roles, arrays, data, held_out, seeds[3:8]))

        self._event_shape = event_shape
        self.complete_ = stages.failure is None
        self.history_ = self._history(result)
        self.snapshots_ = [
            (step, *self._snapshot(backend, roles, arrays)) for step, arrays in result.snapshots
        ]
        name, failed = stages.failure or ("flow", result)
        self.outcome_ = failed.outcome
        self.status_ = failed.status if name == "flow" else f"{name}: {failed.status}"
        self.n_steps_ = result.steps
        self.seconds_ = time.perf_counter() - began
        return self

    @abstractmethod
    def _initial(
        self,
        backend: Backend,
        source: np.ndarray,
        target: np.ndarray,
        seeds: list[np.random.SeedSequence],
    ) -> dict[str, tuple[Role, Arrays]]:
        """The models by name, with their initial arrays; refuses data that don't fit them."""

    @abstractmethod
    def _learn(self, job: Job) -> FitResult:
        """Run the parts of the fit, set the fitted models, and return that of the stage "flow"."""

    @abstractmethod
    def _snapshot(
        self, backend: Backend, roles: Mapping[str, Role], arrays: Mapping[str, Arrays]
    ) -> tuple[Flow, Density | None]:
        """The flow and the density, if any, that arrays of the main part amount to."""

    def _models(self) -> FITTED_MODELS:
        """Those of `_fitted` that an aligner with these parameters has."""
        return self._fitted

    def _history(self, result: FitResult) -> dict[str, np.ndarray]:
        return dict(result.history)

    def _check_parameters(self) -> None:
        """Refuse bad parameters; a subclass checks its own, too."""
        check_dtype(self.dtype)
        check_seed(self.seed)
        check_fraction("validation_fraction", self.validation_fraction)
        if self.patience is not None and not self.validation_fraction:
            raise ValueError("patience needs held-out data: set validation_fraction, such as 0.1")
        check_positive_int("checkpoint_every", self.checkpoint_every)
        self._config()

    def _config(self, **changes: Any) -> FitConfig:
        """The settings of the main part, or of another one with these changes."""
        settings: dict[str, Any] = {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "schedule": self.schedule,
            "gradient_clip": self.gradient_clip,
            "snapshot_every": self.snapshot_every,
            "patience": self.patience,
        }
        return FitConfig(**settings | changes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted aligner to a file of named arrays and JSON; snapshots are left out."""
        self._check_fitted()
        persistence.save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: Literal["jax", "tfp"] | None = None,
        **models: Any,
    ) -> Self:
        """Read a file that `save` wrote, into either backend.

        Args:
            path: the file.
            backend: ``"jax"`` or ``"tfp"``; by default the one that it was fitted with.
            models: for each parameter (``transform``, ...) that was an object of a backend's
                library, one of the same structure.
        """
        return persistence.load(cls, path, backend=backend, models=models)

    def _loaded(self, backend: Backend) -> None:
        """Set what follows from the models that were read from a file."""

    def _split(
        self, source: np.ndarray, target: np.ndarray, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        """Training data and, where asked for, validation data."""
        data = {"source": source, "target": target}
        if not self.validation_fraction:
            return data, None
        held_out = {}
        for side, x in data.items():
            count = max(1, round(self.validation_fraction * len(x)))
            if len(x) - count < 2:
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} leaves "
                    f"{len(x) - count} of {len(x)} {side} points to learn from; lower it"
                )
            rows = rng.permutation(len(x))
            held_out[side], data[side] = x[rows[:count]], x[rows[count:]]
        return data, held_out

    def _fingerprint(
        self, source: np.ndarray, target: np.ndarray, *initial: Mapping[str, np.ndarray]
    ) -> str:
        """Identifies what decides a fit's outcome: parameters, data and initial arrays.

        The initial arrays follow from seed and specs, but not those of a library's own objects.
        """
        described = {
            name: repr(value)
            for name, value in self.get_params().items()
            if name not in self._indifferent
        }
        digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
        for x in (source, target, *(x for arrays in initial for x in arrays.values())):
            digest.update(repr(x.shape).encode())
            digest.update(np.ascontiguousarray(x).tobytes())
        return digest.hexdigest()


def mean_log_prob(job: Job, stage: str, density: Density, side: str) -> float:
    """The mean log-density of a side's points, in nats; NaN where a solver gave up."""
    loss = job.stages.evaluate(stage, negative_log_likelihood, density, job.data[side])
    return float("nan") if loss is None else -loss


def with_constant(history: Mapping[str, np.ndarray], constant: float) -> dict[str, np.ndarray]:
    """A history with a constant in the flow's losses, as it was where that is unknown (NaN)."""
    shift = 0.0 if np.isnan(constant) else constant
    return {
        name: values + shift if name in ("loss", "validation_loss") else values
        for name, values in history.items()
    }
