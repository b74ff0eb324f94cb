"""Glow on images, ours against normflows: ``python -m benchmarks.images``.

Two comparisons in one run, each peer on one core, so that a busy machine slows both alike (on more,
PyTorch's threads wait for each other and use up the processor's time while they do). *Speed*: steps
of LRMF at 16 x 16 pixels, 2 levels of 4 steps, 64 filters, 128 + 128 images; the processes live
side by side and take turns, and ratios are taken turn by turn. *Likelihood*: bits per dimension of
held-out MNIST digits, shrunk whole to 16 x 16, after as many steps of the same Glow on the same
minibatches with the same noise. The learning rate is what is best for each by digits of neither
set, with a seed that is not reported; the grid grows until the best lies inside.

normflows may live in another environment than lrmf: ``--peer-python /path/to/python`` names one
with torch and normflows. MNIST is looked for as `lrmf.data.digits_pair` does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.glows import PEERS, Size
from benchmarks.hardware import describe
from benchmarks.training import summary
from benchmarks.worker import Worker

__all__ = ["SIZE", "main", "rates", "summarised"]

RESULTS = Path(__file__).resolve().parent / "results" / "images"
SIZE = Size(pixels=16, levels=2, steps=4, filters=64)
BATCH = 128
BITS_BATCH = 64
LEARNING_RATES = (2e-3, 8e-3, 3.2e-2)
"""Four times the greatest or a fourth of the least comes next where that is the best."""

TUNING_SEED, SEEDS = 99, (0, 1, 2)
WARM_UP = 50
LEARNED_BY = ("lrmf-jax", "normflows")


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments ask for, print it, and write one dated file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--peer-python", default=sys.executable, help="has torch and normflows")
    parser.add_argument("--seconds", type=float, default=4.0, help="the processor's, of a turn")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each; 0 leaves speed out")
    parser.add_argument("--steps", type=int, default=150, help="of a density; 0 leaves bits out")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    machine = describe()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    document: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.images {' '.join(_without_paths(arguments))}".strip(),
        "machine": machine,
    }
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(_worker(name, options.peer_python)) for name in options.peers
        }
        if options.rounds:
            document["speed"] = _speed(workers, options.rounds, options.seconds)
            _write(document, options.output)
        if options.steps:
            document["bits"] = _bits(workers, options.steps)
    machine["load_average_after"] = round(os.getloadavg()[0], 2)
    print(json.dumps(document, indent=1))
    print(f"written to {_write(document, options.output)}")
    return 0


def rates(steps: int, greatest: float) -> list[float]:
    """The learning rate of each step: up to the greatest, and down to zero as a cosine."""
    k = np.arange(steps)
    up = np.minimum(1.0, (k + 1) / WARM_UP)
    return list((greatest * up * 0.5 * (1 + np.cos(np.pi * k / steps))).tolist())


def summarised(turns: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Steps by the clock and by the processor's, and turn by turn their ratios to normflows'."""
    found: dict[str, Any] = {}
    for name, own in turns.items():
        found[name] = {}
        for clock in ("seconds", "cpu_seconds"):
            speeds = [turn["steps"] / turn[clock] for turn in own]
            key = f"steps_per_{clock.removesuffix('s')}"
            found[name][key] = {"rounds": speeds, **summary(speeds)}
            if "normflows" in turns and name != "normflows":
                others = [turn["steps"] / turn[clock] for turn in turns["normflows"]]
                ratios = [a / b for a, b in zip(speeds, others, strict=True)]
                found[name][key]["ratio_to_normflows"] = summary(ratios)
    return found


def _speed(workers: Mapping[str, Worker], rounds: int, seconds: float) -> dict[str, Any]:
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    built = {
        name: worker.ask("aligner", peer=name, size=asdict(SIZE), batch=BATCH)
        for name, worker in workers.items()
    }
    counts = {name: found["network_parameters"] for name, found in built.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"the networks differ: {counts} parameters")
    for turn in range(rounds):
        for name in list(workers)[:: 1 if turn % 2 == 0 else -1]:
            turns[name].append(workers[name].ask("time", seconds=seconds))
            _say(f"turn {turn + 1} of {rounds}, {name}: {turns[name][-1]}")
    own = summarised(turns)
    return {
        "size": asdict(SIZE),
        "batch": BATCH,
        "network_parameters": next(iter(counts.values())),
        "peers": {
            name: own[name] | {"peak_memory_bytes": worker.peak_memory(), **built[name]}
            for name, worker in workers.items()
        },
    }


def _bits(workers: Mapping[str, Worker], steps: int) -> dict[str, Any]:
    """Bits per dimension: the learning rate by one seed and digits of its own, then the seeds."""
    sets = _digits()
    with tempfile.TemporaryDirectory() as folder:
        for name, images in sets.items():
            np.savez(Path(folder) / f"{name}.npz", **images)

        def learned(peer: str, which: str, rate: float, seed: int) -> dict[str, Any]:
            own = workers[peer].ask(
                "density",
                peer=peer,
                path=str(Path(folder) / f"{which}.npz"),
                size=asdict(SIZE),
                batch=BITS_BATCH,
                rates=rates(steps, rate),
                seed=seed,
            )
            _say(f"{peer} {which} {rate:g} seed {seed}: {own}")
            # A fit that diverged has no bits.
            return {key: value if np.isfinite(value) else None for key, value in own.items()}

        found: dict[str, Any] = {}
        for peer in (name for name in workers if name in LEARNED_BY):
            tuning: dict[float, dict[str, Any]] = {}
            while (rate := _next_rate(tuning)) is not None:
                tuning[rate] = learned(peer, "tuning", rate, TUNING_SEED)
            best = _best(tuning)
            found[peer] = {
                "tuning": {f"{rate:g}": tuning[rate] for rate in sorted(tuning)},
                "learning_rate": best,
                "seeds": [learned(peer, "report", best, seed) for seed in SEEDS],
            }
    return {
        "size": asdict(SIZE),
        "batch": BITS_BATCH,
        "steps": steps,
        "images": {
            name: {part: len(x) for part, x in images.items()} for name, images in sets.items()
        },
        "peers": found,
    }


def _best(tuning: Mapping[float, Mapping[str, Any]]) -> float:
    bits = {rate: own["bits_per_dimension"] for rate, own in tuning.items()}
    return min(bits, key=lambda rate: math.inf if bits[rate] is None else bits[rate])


def _next_rate(tuning: Mapping[float, Mapping[str, Any]]) -> float | None:
    """The next learning rate to try; ``None`` when the best one lies inside."""
    for rate in LEARNING_RATES:
        if rate not in tuning:
            return rate
    best = _best(tuning)
    if best == max(tuning):
        return 4 * best
    return best / 4 if best == min(tuning) else None


def _digits() -> dict[str, dict[str, np.ndarray]]:
    """MNIST's digits in whole numbers: a part to learn from, and two that it does not hold."""
    from lrmf.data import digits_pair

    train, test = (
        np.rint(255 * digits_pair(split=s, size=SIZE.pixels, fallback=False).target).astype(
            np.uint8
        )[..., np.newaxis]
        for s in ("train", "test")
    )
    order = np.random.default_rng(0).permutation(len(train))
    learned, chosen_by = train[order[1000:]], train[order[:1000]]
    return {
        "tuning": {"learned": learned, "held_out": chosen_by},
        "report": {"learned": learned, "held_out": test},
    }


def _worker(name: str, peer_python: str) -> Worker:
    python = peer_python if name == "normflows" else sys.executable
    return Worker(name, module="benchmarks.glows.worker", python=python)


def _write(document: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{document['date'].replace(':', '')}.json"
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _without_paths(arguments: Sequence[str]) -> list[str]:
    """The arguments less those that name places of this machine."""
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument not in ("--peer-python", "--output"):
            kept.append(argument)
        skip = argument in ("--peer-python", "--output")
    return kept


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
