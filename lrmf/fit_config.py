"""How to fit: steps, batches, the learning rate and its schedule, and when to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from .checks import check_positive_int, check_positive_number

__all__ = ["FitConfig", "Schedule"]

#: How a learning rate changes over the steps.
Schedule = Literal["cosine", "warmup cosine", "constant"]


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How to fit: Adam, a learning rate schedule, gradient clipping, and when to look.

    Args:
        steps: optimiser steps.
        batch_size: points per data set and step, drawn with replacement; a data set of at most
            this size is used whole in every step (padded with points of weight zero, so that its
            size is no compiled shape).
        learning_rate: Adam's step size at the start.
        schedule: ``"cosine"`` decays it to zero over the steps, ``"warmup cosine"`` lets it rise
            from zero over the first twentieth of them, too, and ``"constant"`` keeps it.
        gradient_clip: largest norm of the gradient over all arrays.
        chunk: steps per compiled call, the unit in which everything else happens.
        snapshot_every: keep the arrays at step 0 and at the first chunk end after each multiple.
        patience: stop when the validation loss has not improved for this many steps, and go back
            to its best arrays.
    """

    steps: int = 4000
    batch_size: int = 256
    learning_rate: float = 1e-3
    schedule: Schedule = "cosine"
    gradient_clip: float = 10.0
    chunk: int = 100
    snapshot_every: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "chunk", "snapshot_every", "patience"):
            value = getattr(self, name)
            if value is not None or name not in ("snapshot_every", "patience"):
                check_positive_int(name, value)
        check_positive_number("learning_rate", self.learning_rate)
        check_positive_number("gradient_clip", self.gradient_clip, infinite=True)
        if not isinstance(self.schedule, str) or self.schedule not in get_args(Schedule):
            raise ValueError(
                f"schedule must be 'cosine', 'warmup cosine' or 'constant', got {self.schedule!r}"
            )

    def learning_rates(self, start: int, stop: int) -> np.ndarray:
        """The learning rates of steps ``start`` to ``stop`` (excluded)."""
        if self.schedule == "constant":
            return np.full(stop - start, float(self.learning_rate))
        steps = np.arange(start, stop)
        rates = self.learning_rate * 0.5 * (1.0 + np.cos(np.pi * steps / self.steps))
        if self.schedule == "cosine":
            return rates
        return rates * np.minimum((steps + 1) / max(1, self.steps // 20), 1.0)
