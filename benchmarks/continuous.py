"""FFJORD LRMF: seconds to compile and steps per second, JAX against TFP at equal tolerance."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from benchmarks.cold import Backend, timed_child
from benchmarks.training import summary

__all__ = ["check_losses", "measure", "steps"]

CHUNK = 50
"""Steps per compiled call, of which the first also compiles."""

WARM_UP = 4
"""Chunks before the clock starts: a field at rest needs the fewest evaluations."""

LEARNING_RATE = 1e-2
LOSS_TOLERANCE = 5e-3
"""How much the first ten losses may differ, relatively: the solvers' tolerance is 1e-4."""


def measure(backends: Sequence[Backend], *, repeats: int, seconds: float) -> dict[str, Any]:
    """Time every backend in fresh processes, turn about; one entry for each."""
    runs: dict[Backend, list[dict[str, Any]]] = {backend: [] for backend in backends}
    for turn in range(repeats):
        for backend in list(backends)[:: 1 if turn % 2 == 0 else -1]:
            runs[backend].append(
                timed_child(["-m", "benchmarks.continuous", backend, str(seconds)])
            )
        check_losses({backend: found[-1]["losses"] for backend, found in runs.items()})
    speeds = {b: [run["steps_per_second"] for run in found] for b, found in runs.items()}
    return {
        backend: {
            "tolerance": found[0]["tolerance"],
            "parameters": found[0]["parameters"],
            "first_losses": found[0]["losses"],
            "steps_per_second": {"rounds": speeds[backend], **summary(speeds[backend])},
            "compile_seconds": _spread([run["compile_seconds"] for run in found]),
            "peak_memory_bytes": max(run["peak_memory_bytes"] for run in found),
            "ratio_to": {
                other: summary([a / b for a, b in zip(speeds[backend], speeds[other], strict=True)])
                for other in backends
                if other != backend
            },
        }
        for backend, found in runs.items()
    }


def check_losses(losses: Mapping[str, Sequence[float]]) -> None:
    """Refuse to compare backends that do different work.

    Raises:
        ValueError: If their first losses differ by more than `LOSS_TOLERANCE`.
    """
    reference = np.asarray(next(iter(losses.values())))
    for name, values in losses.items():
        difference = float(np.max(np.abs(np.asarray(values) - reference) / np.abs(reference)))
        # Written so that NaN is refused too.
        if not difference <= LOSS_TOLERANCE:
            raise ValueError(
                f"the losses of {name} and {next(iter(losses))} differ by a relative "
                f"{difference:.1e} (allowed: {LOSS_TOLERANCE:.0e}): they do not do the same work."
            )


def steps(backend: Backend, *, seconds: float) -> dict[str, Any]:
    """Train two FFJORDs of the paper's size on the moons, and time it."""
    import lrmf
    from benchmarks.hardware import peak_memory
    from lrmf.backends.base import Role
    from lrmf.models import Density, Flow
    from lrmf.objectives import likelihood_ratio

    spec, pair = lrmf.FFJORD(), lrmf.data.moons(seed=0)
    rng = np.random.default_rng(0)
    arrays = {name: spec.init((2,), rng) for name in ("transform", "density")}
    trainer = lrmf.get_backend(backend).trainer(
        likelihood_ratio,
        (Role("transform", Flow, spec, (2,)), Role("density", Density, spec, (2,))),
        arrays,
        {"source": pair.source, "target": pair.target},
        gradient_clip=10.0,
        dtype="float32",
    )

    def chunk() -> tuple[np.ndarray, float]:
        rows = {
            side: rng.integers(len(pair.source), size=(CHUNK, 256)) for side in ("source", "target")
        }
        start = time.perf_counter()
        losses = trainer.run(rows, np.full(CHUNK, LEARNING_RATE))
        return losses, time.perf_counter() - start

    losses, first = chunk()
    warm = min(chunk()[1] for _ in range(WARM_UP))
    done, spent = 0, 0.0
    while spent < seconds or not done:
        latest, took = chunk()
        done, spent = done + CHUNK, spent + took
    if not np.isfinite(latest).all():
        raise ArithmeticError("the loss is not finite, so these steps are not training steps")
    return {
        "tolerance": spec.rtol,
        "parameters": sum(array.size for named in arrays.values() for array in named.values()),
        "losses": losses[:10].tolist(),
        # What the first call took beyond its steps.
        "compile_seconds": first - warm,
        "steps_per_second": done / spent,
        "peak_memory_bytes": peak_memory(),
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"runs": list(values), **summary(values)}


if __name__ == "__main__":
    print(json.dumps(steps(cast(Backend, sys.argv[1]), seconds=float(sys.argv[2]))))
