"""Training steps that code on the host takes part in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .backends.base import Trainer
from .specs import Arrays

__all__ = ["Assistant", "StepwiseTrainer"]

#: From the current models by role and a batch of NumPy arrays, further named arrays of the batch.
#: It must be a pure function, so that a resumed fit ends as one that was not interrupted.
Assistant = Callable[[dict[str, Any], dict[str, np.ndarray]], Arrays]


class StepwiseTrainer(Trainer):
    """A trainer whose steps are compiled calls of their own, each after an assistant's turn.

    What the assistant computes (an optimal transport plan, say) is a constant to the gradient.
    """

    def __init__(self, trainer: Trainer, data: Mapping[str, Any], assistant: Assistant) -> None:
        self._trainer, self._data, self._assistant = trainer, data, assistant

    @property
    def state(self) -> Any:
        return self._trainer.state

    @state.setter
    def state(self, value: Any) -> None:
        self._trainer.state = value

    def run(
        self,
        indices: Mapping[str, np.ndarray],
        learning_rates: np.ndarray,
        extra: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        losses = []
        for i in range(len(learning_rates)):
            step = slice(i, i + 1)
            further = {name: x[step] for name, x in (extra or {}).items()}
            batch = {name: x[indices[name][i]] for name, x in self._data.items()}
            batch |= {name: x[0] for name, x in further.items()}
            found = self._assistant(self.models(), batch)
            further |= {name: np.asarray(x)[None] for name, x in found.items()}
            rows = {name: chosen[step] for name, chosen in indices.items()}
            losses.append(self._trainer.run(rows, learning_rates[step], further))
        return np.concatenate(losses)

    def evaluate(self, data: Mapping[str, np.ndarray]) -> float:
        return self._trainer.evaluate({**data, **self._assistant(self.models(), dict(data))})

    def models(self) -> dict[str, Any]:
        return self._trainer.models()

    def arrays(self) -> dict[str, Arrays]:
        return self._trainer.arrays()

    def export_state(self) -> Arrays:
        return self._trainer.export_state()

    def import_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._trainer.import_state(arrays)
