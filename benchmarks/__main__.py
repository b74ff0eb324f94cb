"""`python -m benchmarks`: measure, print one report, write one dated JSON file."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import continuous, matching, scaling
from benchmarks.cold import Backend, certified_moons, import_time
from benchmarks.hardware import describe, versions
from benchmarks.peers import PEERS, available
from benchmarks.report import budgets, summarised, text, write
from benchmarks.training import measure
from benchmarks.workload import Workload

__all__ = ["main", "parse", "workloads"]

RESULTS = Path(__file__).resolve().parent / "results"
MODULES = ("lrmf", "numpy")
BACKENDS: tuple[Backend, ...] = ("jax", "tfp")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read and check the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Speed, start-up time and memory, next to other libraries. Run it on a "
        "machine that does nothing else. --repeats 0, --continuous-repeats 0, "
        "--scaling-repeats 0, --matching-repeats 0, --cold-repeats 0 and --import-repeats 0 leave "
        "a part out. Peers that are not installed are left out: pip install '.[bench]'.",
    )
    parser.add_argument("--hidden", type=_positive, nargs="+", default=[64, 128, 512], metavar="H")
    parser.add_argument("--features", type=_positive, nargs="*", default=[8, 32, 128], metavar="D")
    parser.add_argument("--batch", type=_positive, nargs="*", default=[64, 1024, 4096], metavar="N")
    parser.add_argument("--peers", nargs="+", choices=tuple(PEERS), default=list(PEERS))
    parser.add_argument("--repeats", type=_count, default=5, help="rounds over all peers")
    parser.add_argument("--seconds", type=_seconds, default=2.0, help="per peer and round")
    parser.add_argument("--continuous-repeats", type=_count, default=3, help="of FFJORD")
    parser.add_argument(
        "--scaling-repeats", type=_count, default=3, help="of rows, points, devices"
    )
    parser.add_argument("--matching-repeats", type=_count, default=3, help="of flow matching")
    parser.add_argument("--cold-repeats", type=_count, default=3, help="of moons, per backend")
    parser.add_argument("--import-repeats", type=_count, default=15)
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for."""
    options = parse(arguments)
    present = [name for name in options.peers if available(name)]
    document: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "benchmarks", *arguments]),
        "machine": describe(),
        "versions": versions(),
        "unavailable": [name for name in options.peers if name not in present],
        "training": [],
        "continuous": {},
        "scaling": {},
        "matching": {},
        "moons": {},
        "imports": {},
    }
    # Start-up first: nothing else of ours is in memory then.
    if options.import_repeats:
        _progress("importing")
        document["imports"] = _imports(options.import_repeats)
    if options.cold_repeats:
        document["moons"] = _moons(options.cold_repeats)
    if options.continuous_repeats:
        _progress("FFJORD")
        document["continuous"] = continuous.measure(
            [backend for backend in BACKENDS if available(f"lrmf-{backend}")],
            repeats=options.continuous_repeats,
            seconds=options.seconds,
        )
    if options.scaling_repeats:
        document["scaling"] = scaling.measure(
            [backend for backend in BACKENDS if available(f"lrmf-{backend}")],
            repeats=options.scaling_repeats,
            seconds=options.seconds,
            report=_progress,
        )
    if options.matching_repeats:
        document["matching"] = matching.measure(repeats=options.matching_repeats, report=_progress)
        document["unavailable"] += [] if matching.available("matching") else ["ott-jax"]
    if options.repeats:
        document["training"] = measure(
            workloads(options.hidden, options.features, options.batch),
            present,
            repeats=options.repeats,
            seconds=options.seconds,
            report=_progress,
        )
    document["budgets"] = budgets(document)
    print(text(document))
    print(f"\nwritten to {write(document, options.output)}")
    return 0


def workloads(
    hidden: Sequence[int], features: Sequence[int], batch: Sequence[int]
) -> list[Workload]:
    """Each width at the usual size; features and batches one at a time, at the first width."""
    usual = [Workload(hidden=width) for width in hidden]
    narrow = usual[0]
    usual += [replace(narrow, features=width) for width in features]
    return usual + [replace(narrow, batch=size) for size in batch]


def _imports(repeats: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {module: [] for module in MODULES}
    for module in MODULES:
        # The first import may have to compile the sources.
        import_time(module)
    for _ in range(repeats):
        for module in MODULES:
            runs[module].append(import_time(module))
    return {
        module: {
            **summarised(found, ["import_seconds", "wall_seconds"]),
            "heavy": sorted({name for run in found for name in run["heavy"]}),
        }
        for module, found in runs.items()
    }


def _moons(repeats: int) -> dict[str, Any]:
    runs: dict[Backend, list[dict[str, Any]]] = {
        backend: [] for backend in BACKENDS if available(f"lrmf-{backend}")
    }
    for turn in range(repeats):
        for backend, found in runs.items():
            _progress(f"moons from a cold process, {backend}: {turn + 1} of {repeats}")
            found.append(certified_moons(backend))
    names = ["wall_seconds", "fit_seconds", "certificate_seconds", "peak_memory_bytes"]
    names += ["lrd", "lrd_stderr"]
    return {
        backend: {**summarised(found, names), "verdicts": [run["verdict"] for run in found]}
        for backend, found in runs.items()
    }


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _count(value: str) -> int:
    number = int(value)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {number}")
    return number


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 < number < 3600:
        raise argparse.ArgumentTypeError(f"must be between 0 and 3600, got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
