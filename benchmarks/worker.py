"""A process of its own for each implementation, so that none slows down another.

`Worker` is the parent's end. The child (`python -m benchmarks.worker`) reads one JSON request
a line and answers each with one JSON line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from benchmarks.hardware import matmul_rate, peak_memory
from benchmarks.peers import PEERS, Peer, build
from benchmarks.workload import Workload

__all__ = ["ROOT", "Worker", "child_environment", "serve"]

ROOT = Path(__file__).resolve().parent.parent


class Worker:
    """A child process that does what `ask` says, one request after the other."""

    def __init__(
        self, name: str, *, module: str = "benchmarks.worker", python: str = sys.executable
    ) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed on exit
        self._process = subprocess.Popen(
            [python, "-m", module],
            cwd=ROOT,
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        """Wait for and return the child's answer.

        Raises:
            RuntimeError: If the child fails; the message ends with its error output.
        """
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise RuntimeError(f"{self.name}: the process has no pipes.")
        answer = ""
        try:
            pipes[0].write(json.dumps({"request": request, **arguments}) + "\n")
            pipes[0].flush()
            answer = pipes[1].readline()
        except BrokenPipeError:
            pass
        if not answer:
            self._errors.seek(0)
            raise RuntimeError(f"{self.name} failed:\n{self._errors.read()[-4000:]}")
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    def build(self, workload: Workload) -> int:
        """Build this worker's peer; return how many numbers it trains."""
        answer = self.ask("build", peer=self.name, workload=asdict(workload))
        return int(answer["parameters"])

    def losses(self, steps: int) -> list[float]:
        """Losses of the peer's next steps, on batches that are the same for every peer."""
        return list(self.ask("losses", steps=steps)["losses"])

    def steps_per_second(self, seconds: float) -> float:
        """Speed over at least `seconds`, drawing the batches included."""
        answer = self.ask("time", seconds=seconds)
        return float(answer["steps"] / answer["seconds"])

    def peak_memory(self) -> int:
        """Largest resident size of the child so far, in bytes."""
        return int(self.ask("memory")["bytes"])


def child_environment() -> dict[str, str]:
    """Copy the environment, with TensorFlow's start-up notes off."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


class _Session:
    """The child's state: one peer and the batches it draws."""

    def __init__(self) -> None:
        self._peer: Peer | None = None

    def build(self, peer: str, workload: dict[str, Any]) -> dict[str, Any]:
        self._workload = Workload(**workload)
        self._chunk = PEERS[peer].chunk
        self._rng = np.random.default_rng(self._workload.seed + 2)
        self._peer = build(
            peer,
            self._workload,
            arrays=self._workload.initial_arrays(),
            data=self._workload.data(),
        )
        return {"parameters": self._peer.parameters}

    def losses(self, steps: int) -> dict[str, Any]:
        return {"losses": self._step(steps).tolist()}

    def time(self, seconds: float) -> dict[str, Any]:
        self._step(self._chunk)
        steps, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds or not steps:
            losses = self._step(self._chunk)
            steps += self._chunk
        if not np.isfinite(losses).all():
            raise ArithmeticError("the loss is not finite, so these steps are not training steps")
        return {"steps": steps, "seconds": elapsed}

    def matmul(self, library: str, shapes: list[list[int]], seconds: float) -> dict[str, Any]:
        rates = [matmul_rate(library, (m, k, n), seconds=seconds) for m, k, n in shapes]
        return {"rates": rates}

    def memory(self) -> dict[str, Any]:
        return {"bytes": peak_memory()}

    def _step(self, steps: int) -> np.ndarray:
        if self._peer is None:
            raise RuntimeError("build a peer first")
        return self._peer.step(self._workload.batches(steps, self._rng))


def serve(session: Any) -> None:
    """Answer requests, each with the method of its name, until there are no more."""
    # Whatever a library prints must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        arguments = json.loads(line)
        answer = getattr(session, arguments.pop("request"))(**arguments)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(_Session())
