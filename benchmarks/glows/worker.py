"""The child process of a peer of `benchmarks.images`: ``python -m benchmarks.glows.worker``."""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.glows import Noisy, Size, build
from benchmarks.hardware import peak_memory
from benchmarks.worker import serve

CHUNK = 5
ROWS = 1000
FIRST = 1024


class _Session:
    """What a peer is asked."""

    def aligner(self, peer: str, size: dict[str, int], batch: int) -> dict[str, Any]:
        """Make ready for `time`: steps on noise, on whose values speed does not depend."""
        pixels = size["pixels"]
        rng = np.random.default_rng(0)
        data = rng.normal(size=(2, ROWS, pixels, pixels, 1)).astype(np.float32)
        run, parameters = build(peer, "aligner", Size(**size), data)

        def steps() -> np.ndarray:
            return np.asarray(run(rng.integers(ROWS, size=(CHUNK, 2, batch)), 1e-4))

        self._steps = steps
        for _ in range(2):
            steps()  # compiles
        packages = ("torch", "normflows") if peer == "normflows" else ("lrmf", "jax", "tensorflow")
        return {"network_parameters": parameters, "versions": {p: version(p) for p in packages}}

    def time(self, seconds: float) -> dict[str, Any]:
        """Steps, seconds and the processor's, of which there are at least so many."""
        count, began, worked = 0, time.perf_counter(), time.process_time()
        while time.process_time() - worked < seconds:
            losses = self._steps()
            count += CHUNK
        if not np.isfinite(losses).all():
            raise ArithmeticError("the loss is not finite, so these steps are no training steps")
        return {
            "steps": count,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - worked,
        }

    def memory(self) -> dict[str, Any]:
        """The largest resident size so far."""
        return {"bytes": peak_memory()}

    def density(
        self,
        peer: str,
        path: str,
        size: dict[str, int],
        batch: int,
        rates: list[float],
        seed: int,
    ) -> dict[str, Any]:
        """Learn images for as many steps as there are learning rates; bits per dimension.

        The file holds ``learned`` and ``held_out``, images of 256 levels ``(n, h, w, 1)``.
        """
        with np.load(path) as file:
            learned, held_out = file["learned"], file["held_out"]
        units = {"mean": learned.mean() / 256, "deviation": learned.std() / 256}
        data = Noisy(learned, seed=seed, **units)
        rng = np.random.default_rng(seed)
        began, worked = time.perf_counter(), time.process_time()
        first = np.sort(rng.choice(len(learned), FIRST, replace=False))
        model = build(peer, "density", Size(**size), data, first, seed)
        losses = np.concatenate(
            [
                np.atleast_1d(model.run(rng.integers(len(learned), size=(1, 1, batch)), rate))
                for rate in rates
            ]
        )
        seconds = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - worked,
        }
        tested = Noisy(held_out, seed=seed, **units)
        log_prob = model.log_prob(tested[np.arange(len(held_out))]) + tested.log_scale
        dim = held_out[0].size
        bits = (np.log(256) - log_prob / dim) / np.log(2)
        last = losses[-50:].mean() - tested.log_scale
        return {
            **seconds,
            "parameters": model.parameters,
            "bits_per_dimension": float(bits.mean()),
            "standard_error": float(bits.std(ddof=1) / np.sqrt(len(bits))),
            "bits_at_the_end": float((np.log(256) + last / dim) / np.log(2)),
        }


if __name__ == "__main__":
    sys.exit(serve(_Session()))
