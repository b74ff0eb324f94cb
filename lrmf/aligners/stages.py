"""The stages of a fit, side by side where they do not depend on each other."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np

from ..backends.base import Backend, Game, Loss, Role
from ..checkpoints import Checkpoint
from ..fitting import FitConfig, FitResult, fit
from ..minibatches import Points, Weights
from ..objectives import likelihood
from ..specs import Arrays, SolverError
from ..stepwise import Assistant

__all__ = ["Stage", "Stages", "density_stage"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Stage:
    """One call of `lrmf.fitting.fit`, still to be made."""

    name: str
    loss: Loss | Game
    roles: tuple[Role, ...]
    initial: dict[str, Arrays]
    data: Mapping[str, Points]
    config: FitConfig
    seed: np.random.SeedSequence
    weights: Weights = field(default_factory=dict)
    validation: Mapping[str, np.ndarray] | None = None
    assistant: Assistant | None = None
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    batch_sizes: Mapping[str, int] = field(default_factory=dict)
    annealed: Mapping[str, np.ndarray] = field(default_factory=dict)


class Stages:
    """Runs stages; after one that failed, later ones keep their initial arrays.

    Small networks leave most of a machine idle, so two stages run at a time, in threads: compiled
    code runs outside Python's lock. Each draws from its own seed, so the order of events changes
    no result. Foreign models that compute with variables of their own can't be shared by threads.

    Inside ``with stages:`` Ctrl-C asks the running stages to stop after their chunk, wherever the
    main thread is; a second one is Python's own ``KeyboardInterrupt``.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        checkpoint: Checkpoint | None,
        dtype: str,
        progress: bool,
        devices: int | None,
    ) -> None:
        self._backend, self._devices = backend, devices
        self._stop = threading.Event()
        self._options: dict[str, Any] = {
            "backend": backend,
            "checkpoint": checkpoint,
            "dtype": dtype,
            "progress": progress,
            "stop": self._stop,
            "devices": devices,
        }
        self._replaced: Any = None
        self._results: dict[str, FitResult] = {}
        self.failure: tuple[str, FitResult] | None = None

    def __enter__(self) -> Self:
        # Only the main thread may set handlers, and one of somebody else's is left alone.
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._replaced = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *error: object) -> None:
        if self._replaced is not None:
            signal.signal(signal.SIGINT, self._replaced)
            self._replaced = None

    def _interrupted(self, *_: object) -> None:
        self._stop.set()
        self.__exit__()

    def run(self, *stages: Stage) -> list[FitResult]:
        """Run stages that do not depend on each other."""
        if self.failure is not None:
            return [_not_run(stage) for stage in stages]
        # Devices wait for each other, so they must all come to the stages in one order.
        shareable = self._devices is None and all(
            self._backend.thread_safe(r) for stage in stages for r in stage.roles
        )
        with ThreadPoolExecutor(max_workers=2 if shareable else 1) as pool:
            futures = [pool.submit(self._fit, stage) for stage in stages]
            try:
                results = _results(futures)
            except BaseException as error:
                self._stop.set()
                if not isinstance(error, KeyboardInterrupt):
                    raise
                results = [future.result() for future in futures]
        for stage, result in zip(stages, results, strict=True):
            self._results[stage.name] = result
            if self.failure is None and result.outcome in ("diverged", "interrupted"):
                self.failure = (stage.name, result)
        return results

    def evaluate(self, name: str, compute: Callable[..., T], *arguments: Any) -> T | None:
        """Compute something of all the data with what a stage learned.

        A solver that moved every minibatch may give up on all the points, or with the arrays of
        the last step, which no loss has met. That becomes a failure of the stage, which keeps its
        arrays, and the value is ``None``. Where neither the stage nor the flow has learned
        anything there is nothing to keep, and the error is raised.
        """
        try:
            return compute(*arguments)
        except SolverError as error:
            result = self._results[name]
            if not (result.steps or self._results["flow"].steps):
                raise
            if self.failure is None:
                status = (
                    f"diverged: after {result.steps} steps, with all the data at once, {error}. "
                    "What was learned is kept."
                )
                failed = dataclasses.replace(result, outcome="diverged", status=status)
                self.failure = (name, failed)
            return None

    def _fit(self, stage: Stage) -> FitResult:
        try:
            return fit(
                stage.loss,
                stage.roles,
                stage.initial,
                stage.data,
                config=stage.config,
                seed=stage.seed,
                weights=stage.weights,
                validation=stage.validation,
                name=stage.name,
                assistant=stage.assistant,
                constants=stage.constants,
                batch_sizes=stage.batch_sizes,
                annealed=stage.annealed,
                **self._options,
            )
        except BaseException:
            # `run` may be waiting for another stage, which would go on to its end.
            self._stop.set()
            raise


def density_stage(
    name: str,
    role: Role,
    initial: Arrays,
    x: Points,
    config: FitConfig,
    seed: np.random.SeedSequence,
    weights: np.ndarray | None,
) -> Stage:
    """The stage that fits a density, in the role "density", by maximum likelihood."""
    role = dataclasses.replace(role, name="density")
    arrays, own = {"density": initial}, {"data": weights}
    return Stage(name, likelihood, (role,), arrays, {"data": x}, config, seed, own)


def _results(futures: list[Future[FitResult]]) -> list[FitResult]:
    """Wait for all stages, or for the first that raises.

    In short waits: Python's handler of a signal that comes just before a wait runs after it.
    """
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    return [future.result() for future in futures]


def _not_run(stage: Stage) -> FitResult:
    return FitResult(
        arrays=stage.initial,
        history={"step": np.arange(0), "loss": np.zeros(0)},
        outcome="interrupted",
        status="not run",
        steps=0,
        seconds=0.0,
    )
