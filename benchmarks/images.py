"""Glow LRMF on images, ours against normflows: ``python -m benchmarks.images``.

Steps per second at 16 x 16 pixels, 2 levels of 4 steps, 64 filters, 128 + 128 images, each in a
process of its own, turn about. normflows may live in another environment than lrmf:
``--peer-python /path/to/python`` names one with torch and normflows.

T and S are the same architecture in all: squeezes, couplings with filters of 3, 1 and 3 pixels,
invertible 1 x 1 convolutions by LU factors, and norms; noise keeps the image's shape. Each starts
from its own arrays, on which speed does not depend; the networks' numbers of parameters are
compared.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["main", "network_parameters"]

RESULTS = Path(__file__).resolve().parent / "results" / "images"
SIZE, LEVELS, STEPS, FILTERS, BATCH, ROWS = 16, 2, 4, 64, 128, 1000
NAMES = ("lrmf-jax", "lrmf-tfp", "normflows")
BUDGET = 1.5
CHUNK = 5


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments ask for, print it, and write one dated file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--peer-python", default=sys.executable, help="has torch and normflows")
    parser.add_argument("--seconds", type=float, default=20.0, help="per peer and round")
    parser.add_argument("--repeats", type=int, default=3, help="rounds over all peers")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_child(options.child, options.seconds)))
        return 0
    from benchmarks.hardware import describe
    from benchmarks.training import summary

    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in options.peers}
    for turn in range(options.repeats):
        for name in options.peers[:: 1 if turn % 2 == 0 else -1]:
            python = options.peer_python if name == "normflows" else sys.executable
            runs[name].append(_run(python, name, options.seconds))
    counts = {name: found[0]["network_parameters"] for name, found in runs.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"the networks differ: {counts} parameters")
    document: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "workload": {
            "size": SIZE,
            "levels": LEVELS,
            "steps": STEPS,
            "filters": FILTERS,
            "batch": BATCH,
        },
        "network_parameters": counts,
        "peers": {},
    }
    for name, found in runs.items():
        speeds = [run["steps_per_second"] for run in found]
        by_cpu = [run["steps_per_cpu_second"] for run in found]
        document["peers"][name] = {
            "steps_per_second": {"rounds": speeds, **summary(speeds)},
            "steps_per_cpu_second": {"rounds": by_cpu, **summary(by_cpu)},
            "peak_memory_bytes": max(run["peak_memory_bytes"] for run in found),
            "version": found[0]["version"],
        }
        if "normflows" in runs:
            others = runs["normflows"]
            for key in ("steps_per_second", "steps_per_cpu_second"):
                ratios = [a[key] / b[key] for a, b in zip(found, others, strict=True)]
                document["peers"][name][key]["ratio_to_normflows"] = summary(ratios)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{document['date'].replace(':', '')}.json"
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    for name, peer in document["peers"].items():
        speed = peer["steps_per_second"]
        ratio = speed.get("ratio_to_normflows", {}).get("median")
        print(
            f"{name:10} {speed['median']:.2f} ({speed['min']:.2f}-{speed['max']:.2f}) steps/s, "
            f"{peer['steps_per_cpu_second']['median']:.2f} per second of processor, "
            f"{peer['peak_memory_bytes'] / 1e9:.2f} GB"
            + ("" if ratio is None else f", {ratio:.2f} x normflows (budget {BUDGET} in JAX)")
        )
    print(f"written to {path}")
    return 0


def network_parameters(channels: int = 1) -> int:
    """How many numbers the couplings' networks of one flow have."""
    total, c = 0, channels
    for _ in range(LEVELS):
        c *= 4
        sizes = ((9, c // 2, FILTERS), (1, FILTERS, FILTERS), (9, FILTERS, c))
        total += STEPS * sum(k * i * o + o for k, i, o in sizes)
        c //= 2
    return total


def _run(python: str, name: str, seconds: float) -> dict[str, Any]:
    command = [python, "-m", "benchmarks.images", "--child", name, "--seconds", str(seconds)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(f"{name} failed:\n{found.stderr[-4000:]}")
    decoded: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return decoded


def _child(name: str, seconds: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(2, ROWS, SIZE, SIZE, 1)).astype(np.float32)
    build = _normflows if name == "normflows" else _ours
    run, parameters, version = build(name, data)
    run(rng.integers(ROWS, size=(CHUNK, 2, BATCH)))  # compiles
    run(rng.integers(ROWS, size=(CHUNK, 2, BATCH)))
    steps, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        losses = run(rng.integers(ROWS, size=(CHUNK, 2, BATCH)))
        steps += CHUNK
    if not np.isfinite(losses).all():
        raise ValueError(f"{name}: the loss is {losses}")
    return {
        "steps_per_second": steps / (time.perf_counter() - began),
        "steps_per_cpu_second": steps / (time.process_time() - cpu),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "network_parameters": parameters,
        "version": version,
    }


Built = tuple[Callable[[np.ndarray], np.ndarray], int, str]


def _ours(name: str, data: np.ndarray) -> Built:
    import lrmf
    from lrmf.backends.base import Role
    from lrmf.models import Density, Flow
    from lrmf.objectives import likelihood_ratio

    backend = lrmf.get_backend(name.removeprefix("lrmf-"))
    spec, shape = lrmf.Glow(levels=LEVELS, steps=STEPS, hidden=FILTERS), (SIZE, SIZE, 1)
    arrays = {
        role: spec.init(shape, np.random.default_rng(k))
        for k, role in enumerate(("transform", "density"))
    }
    roles = (Role("transform", Flow, spec, shape), Role("density", Density, spec, shape))
    sides = {"source": data[0], "target": data[1]}
    trainer = backend.trainer(
        likelihood_ratio, roles, arrays, sides, gradient_clip=10.0, dtype="float32"
    )
    count = sum(x.size for key, x in arrays["density"].items() if "/coupling/" in key)

    def run(rows: np.ndarray) -> np.ndarray:
        indices = {side: rows[:, k] for k, side in enumerate(("source", "target"))}
        return trainer.run(indices, np.full(len(rows), 1e-4))

    return run, count, lrmf.__version__


def _normflows(name: str, data: np.ndarray) -> Built:
    from importlib.metadata import version

    import normflows as nf  # type: ignore[import-untyped]
    import torch
    from torch import nn

    class Glow(nn.Module):
        """Two levels, image to image."""

        def __init__(self) -> None:
            super().__init__()
            self.squeeze = nf.flows.Squeeze()  # its inverse is the squeeze
            self.levels = nn.ModuleList(
                nn.ModuleList(nf.flows.GlowBlock(c, FILTERS) for _ in range(STEPS)) for c in (4, 8)
            )

        def forward(self, z: Any, level: int = 0) -> Any:
            z, total = self.squeeze.inverse(z)[0], 0.0
            if level + 1 < LEVELS:
                done, rest = z.chunk(2, dim=1)
                rest, total = self(rest, level + 1)
                z = torch.cat((done, rest), dim=1)
            for block in self.levels[level]:
                z, log_det = block(z)
                total = total + log_det
            return self.squeeze(z)[0], total

        def inverse(self, x: Any, level: int = 0) -> Any:
            x, total = self.squeeze.inverse(x)[0], 0.0
            for block in reversed(self.levels[level]):
                x, log_det = block.inverse(x)
                total = total + log_det
            if level + 1 < LEVELS:
                done, rest = x.chunk(2, dim=1)
                rest, log_det = self.inverse(rest, level + 1)
                x, total = torch.cat((done, rest), dim=1), total + log_det
            return self.squeeze(x)[0], total

    transform, density = Glow(), Glow()
    images = torch.from_numpy(np.moveaxis(data, -1, 2).copy())
    weights = [*transform.parameters(), *density.parameters()]
    optimiser = torch.optim.Adam(weights, lr=1e-4)

    def step(rows: Any) -> float:
        a, b = images[0][rows[0]], images[1][rows[1]]
        moved, log_det = transform(a)
        z, inverse_log_det = density.inverse(torch.cat((moved, b)))
        log_prob = inverse_log_det - 0.5 * (z**2).sum(dim=(1, 2, 3))
        n = len(a)
        loss = -(log_det + log_prob[:n]).mean() - log_prob[n:].mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 10.0)
        optimiser.step()
        return float(loss)

    def run(rows: np.ndarray) -> np.ndarray:
        return np.array([step(torch.from_numpy(row)) for row in rows])

    count = sum(p.numel() for key, p in density.named_parameters() if ".flows.0." in key)
    return run, count, version("normflows")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
