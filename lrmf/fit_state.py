"""A fit between two chunks of steps: what is looked at there, and the record to go on from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .backends.base import Trainer
from .checkpoints import Record
from .fit_config import FitConfig
from .specs import Arrays

__all__ = ["FitRun", "Outcome", "Progress", "crosses"]

Outcome = Literal["finished", "stopped early", "diverged", "interrupted"]


@dataclass
class Progress:
    """The part of a fit's state that is not arrays of the backend."""

    step: int = 0
    seconds: float = 0.0
    outcome: Outcome | None = None
    best_step: int = 0
    best_loss: float = math.inf
    losses: list[Any] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Mark:
    """Where a fit stood between two chunks."""

    trainer: Any
    rng: Mapping[str, Any]
    step: int
    best: tuple[Any, int, float]
    validations: int
    snapshots: int


class FitRun:
    """A fit under way: what is looked at between chunks, and its checkpoint record."""

    def __init__(self, trainer: Trainer, rng: np.random.Generator, config: FitConfig) -> None:
        self.trainer, self.rng, self.config = trainer, rng, config
        self.state = Progress()
        self.best = trainer.state
        self.snapshots: list[tuple[int, dict[str, Arrays]]] = []
        if config.snapshot_every:
            self.snapshots.append((0, trainer.arrays()))

    def mark(self) -> Mark:
        """Where the fit stands."""
        state = self.state
        return Mark(
            trainer=self.trainer.state,
            rng=self.rng.bit_generator.state,
            step=state.step,
            best=(self.best, state.best_step, state.best_loss),
            validations=len(state.validation),
            snapshots=len(self.snapshots),
        )

    def back(self, mark: Mark) -> None:
        """Forget what came after a mark."""
        state = self.state
        self.trainer.state, self.rng.bit_generator.state = mark.trainer, mark.rng
        self.best, state.best_step, state.best_loss = mark.best
        state.step, state.outcome = mark.step, None
        del state.losses[mark.step :]
        del state.validation[mark.validations :]
        del self.snapshots[mark.snapshots :]

    def look(
        self, start: int, validation: Mapping[str, np.ndarray] | None, *, settled: bool = True
    ) -> bool:
        """Snapshot, validate, and decide about stopping early; whether all is well.

        What is annealed, held-out points know nothing of: until the loss has settled to theirs,
        the newest arrays are the best.
        """
        state, every, patience = self.state, self.config.snapshot_every, self.config.patience
        if every and crosses(start, state.step, every):
            self.snapshots.append((state.step, self.trainer.arrays()))
        if validation is None:
            return True
        value = self.trainer.evaluate(validation)
        if not np.isfinite(value):
            return False
        state.validation.append((state.step, value))
        if value < state.best_loss or not settled:
            state.best_loss, state.best_step, self.best = value, state.step, self.trainer.state
        elif patience and state.step - state.best_step >= patience:
            state.outcome = "stopped early"
        return True

    def record(self) -> tuple[dict[str, Any], Arrays]:
        """The JSON document and the arrays from which `restore` goes on."""
        document = dataclasses.asdict(self.state)
        if self.state.outcome == "interrupted":
            document["outcome"] = None
        arrays: Arrays = {"losses": np.array(document.pop("losses"))}
        for key, value in self.trainer.export_state().items():
            arrays[f"state/{key}"] = value
        if self.config.patience:
            current, self.trainer.state = self.trainer.state, self.best
            for key, value in self.trainer.export_state().items():
                arrays[f"best/{key}"] = value
            self.trainer.state = current
        for step, roles in self.snapshots:
            for role, named in roles.items():
                for key, value in named.items():
                    arrays[f"snapshot/{step}/{role}/{key}"] = value
        return {"progress": document, "rng": self.rng.bit_generator.state}, arrays

    def restore(self, record: Record) -> None:
        """Go on from a record."""
        document = dict(record.document["progress"])
        document["validation"] = [(step, value) for step, value in document["validation"]]
        self.state = Progress(**document, losses=record.arrays["losses"].tolist())
        self.rng.bit_generator.state = record.document["rng"]
        if self.config.patience:
            self.trainer.import_state(_below(record.arrays, "best/"))
            self.best = self.trainer.state
        self.trainer.import_state(_below(record.arrays, "state/"))
        snapshots: dict[int, dict[str, Arrays]] = {}
        for key, value in _below(record.arrays, "snapshot/").items():
            step, role, name = key.split("/", 2)
            snapshots.setdefault(int(step), {}).setdefault(role, {})[name] = value
        for _, empty in self.snapshots:
            for roles in snapshots.values():
                for role in empty:
                    roles.setdefault(role, {})
        self.snapshots = sorted(snapshots.items())


def crosses(start: int, stop: int, every: int) -> bool:
    """Whether the steps from ``start`` to ``stop`` reach a multiple of ``every``."""
    return start // every < stop // every


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {
        key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)
    }
