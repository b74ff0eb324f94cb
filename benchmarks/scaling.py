"""How time and memory grow: rows to transform, points to judge, devices that share a batch.

Each figure comes from a process of its own. How a training step grows with the features, the batch
and the hidden units is measured beside the peers, in `benchmarks.training`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cold import Backend, timed_child
from benchmarks.hardware import peak_memory, resident_memory
from benchmarks.report import summarised

__all__ = ["DEVICES", "JUDGED", "ROWS", "judge", "measure", "steps_on_devices", "transform"]

ROWS = (10_000, 100_000, 1_000_000)
FEATURES = 8
JUDGED = (500, 1_000, 2_000, 5_000, 20_000)
JUDGED_FEATURES = 16
DEVICES = (1, 2, 4, 8)
WIDE = {"hidden": 512, "batch": 4096}
"""The workload of several devices: narrow ones have nothing to share."""


def measure(
    backends: list[Backend], *, repeats: int, seconds: float, report: Callable[[str], None]
) -> dict[str, Any]:
    """Time everything `repeats` times; medians and extremes by what was varied."""
    found: dict[str, Any] = {"transform": {}, "judge": {}, "devices": {}}
    for backend in backends:
        report(f"transform, {backend}")
        runs = [_child("transform", backend) for _ in range(repeats)]
        names = ["seconds", "added_memory_bytes"]
        found["transform"][backend] = {
            str(n): summarised([run["rows"][str(n)] for run in runs], names) for n in ROWS
        }
    for n in JUDGED:
        report(f"judging {n} + {n} points")
        runs = [_child("judge", str(n)) for _ in range(repeats)]
        found["judge"][str(n)] = summarised(runs, ["seconds", "peak_memory_bytes"])
    if "jax" in backends:
        kind, present = _devices()
        for count in [count for count in DEVICES if count <= present]:
            report(f"{count} {kind} devices")
            runs = [_child("devices", str(count), str(seconds)) for _ in range(repeats)]
            found["devices"][str(count)] = {
                "kind": kind,
                **summarised(runs, ["steps_per_second"]),
            }
    return found


def transform(backend: Backend) -> dict[str, Any]:
    """Seconds and memory of `transform` on arrays of `ROWS` rows on disk, in this order.

    What it adds is the process's peak so far less its size before the call: an upper bound, since
    the peak may be that of compilation.
    """
    import lrmf

    rng = np.random.default_rng(0)
    model = lrmf.LRMF(backend=backend, steps=20, progress=False)
    model.fit(Xs=rng.normal(size=(500, FEATURES)), Xt=rng.normal(size=(500, FEATURES)))
    model.transform(rng.normal(size=(1000, FEATURES)))  # compiles
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for n in ROWS:
            path = Path(folder) / f"{n}.npy"
            _write(path, n, rng)
            before = resident_memory()
            start = time.perf_counter()
            moved = model.transform(np.load(path, mmap_mode="r"))
            seconds = time.perf_counter() - start
            if moved.shape != (n, FEATURES) or not np.isfinite(moved[-1]).all():
                raise ArithmeticError("transform has not done its work")
            found[str(n)] = {"seconds": seconds, "added_memory_bytes": peak_memory() - before}
    return {"rows": found}


def judge(n: int) -> dict[str, Any]:
    """Seconds and memory of `lrmf.lrd` on n + n points, controls included."""
    import lrmf

    rng = np.random.default_rng(0)
    points = rng.normal(size=(2, n, JUDGED_FEATURES))
    start = time.perf_counter()
    certificate = lrmf.lrd(points[0], points[1])
    return {
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": peak_memory(),
        "decision": certificate.decision,
    }


def steps_on_devices(count: int, seconds: float, **workload: int) -> dict[str, Any]:
    """Steps a second in JAX with each batch divided over `count` devices, `WIDE` by default."""
    from benchmarks.peers import PEERS, ours
    from benchmarks.workload import Workload

    work = Workload(**WIDE | workload)
    peer = ours.build(
        work, arrays=work.initial_arrays(), data=work.data(), backend="jax", devices=count
    )
    rng, chunk = np.random.default_rng(0), PEERS["lrmf-jax"].chunk // 10
    peer.step(work.batches(chunk, rng))
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or not steps:
        losses = peer.step(work.batches(chunk, rng))
        steps += chunk
    spent = time.perf_counter() - start
    if not np.isfinite(losses).all():
        raise ArithmeticError("the loss is not finite, so these steps are not training steps")
    return {"steps_per_second": steps / spent}


def _devices() -> tuple[str, int]:
    """Kind and number of devices: GPUs, or the processor's cores posing as devices."""
    code = "import jax, json; print(json.dumps([jax.default_backend(), jax.device_count()]))"
    kind, count = _answer(["-c", code])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return kind, (cores or 1) if kind == "cpu" else count


def _write(path: Path, n: int, rng: np.random.Generator) -> None:
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, FEATURES))
    for start in range(0, n, 100_000):
        rows[start : start + 100_000] = rng.normal(size=rows[start : start + 100_000].shape)
    rows.flush()


def _child(*arguments: str) -> dict[str, Any]:
    return timed_child(["-m", "benchmarks.scaling", *arguments])


def _answer(arguments: list[str]) -> Any:
    import subprocess

    from benchmarks.worker import child_environment

    done = subprocess.run(
        [sys.executable, *arguments],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _serve(what: str, *arguments: str) -> dict[str, Any]:
    if what == "devices":
        # JAX reads it when it is first imported; where there are GPUs it changes nothing.
        flag = f"--xla_force_host_platform_device_count={arguments[0]}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        count, seconds, *sizes = arguments  # those of `WIDE`, in its order
        return steps_on_devices(
            int(count), float(seconds), **dict(zip(WIDE, map(int, sizes), strict=bool(sizes)))
        )
    if what == "judge":
        return judge(int(arguments[0]))
    return transform("jax" if arguments[0] == "jax" else "tfp")


if __name__ == "__main__":
    print(json.dumps(_serve(*sys.argv[1:])))
