"""lrmf itself, as `LRMF.fit` trains it: chunks of steps through a backend's trainer."""

from __future__ import annotations

import numpy as np

import lrmf
from benchmarks.workload import Arrays, Batches, Data, Losses, Workload
from lrmf.backends.base import Role
from lrmf.models import Density, Flow
from lrmf.objectives import likelihood_ratio

__all__ = ["build"]


def build(
    workload: Workload,
    *,
    arrays: tuple[Arrays, Arrays],
    data: tuple[Data, Data],
    backend: str,
    devices: int | None = None,
) -> Ours:
    """T and S as `lrmf.RealNVP`s with the given arrays, on the named backend."""
    return Ours(workload, arrays, data, backend, devices)


class Ours:
    """A trainer of the backend at a constant learning rate, as the peers have it."""

    def __init__(
        self,
        workload: Workload,
        arrays: tuple[Arrays, Arrays],
        data: tuple[Data, Data],
        backend: str,
        devices: int | None,
    ) -> None:
        spec = lrmf.RealNVP(blocks=workload.blocks, hidden=(workload.hidden, workload.hidden))
        event_shape = (workload.features,)
        self._learning_rate = workload.learning_rate
        engine = lrmf.get_backend(backend)
        self._trainer = engine.trainer(
            likelihood_ratio,
            (
                Role("transform", Flow, spec, event_shape),
                Role("density", Density, spec, event_shape),
            ),
            {"transform": arrays[0], "density": arrays[1]},
            {"source": data[0], "target": data[1]},
            gradient_clip=workload.clip,
            dtype="float32",
            devices=engine.count_devices(devices),
        )

    @property
    def parameters(self) -> int:
        """See `Peer`."""
        return sum(
            array.size for named in self._trainer.arrays().values() for array in named.values()
        )

    def step(self, batches: Batches) -> Losses:
        """See `Peer`."""
        indices = {"source": batches[:, 0], "target": batches[:, 1]}
        rates = np.full(len(batches), self._learning_rate)
        return np.asarray(self._trainer.run(indices, rates), dtype=np.float64)
