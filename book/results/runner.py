"""What the commands behind the saved results share: resumable runs, and the files they write.

A command names its runs, each a function with settings. After every run the files beside the
command are written anew, so an interrupted command goes on where it stopped: ``runs.json`` holds
settings, versions, hardware and numbers, ``arrays.npz`` curves and points where there are any.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from book.results.environment import environment

__all__ = [
    "CURVE",
    "Arrays",
    "Numbers",
    "Run",
    "curve",
    "load",
    "main",
    "parser",
    "rounded",
    "save",
]

Numbers = dict[str, Any]
Arrays = dict[str, np.ndarray]

CURVE = 20  # steps that one entry of a saved loss curve averages


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One entry of the files.

    ``compute(**settings)`` gives numbers, and arrays. It is importable by name, so that another
    process can run it. Settings are what JSON can hold.
    """

    name: str
    compute: Callable[..., tuple[Numbers, Arrays]]
    settings: dict[str, Any]


def load(folder: Path) -> tuple[dict[str, Any], Arrays]:
    """Read both files: the document, and the arrays by ``run/array``."""
    if not (folder / "runs.json").is_file():
        return {"runs": {}}, {}
    document = json.loads((folder / "runs.json").read_text(encoding="utf8"))
    if not (folder / "arrays.npz").is_file():
        return document, {}
    with np.load(folder / "arrays.npz") as file:
        return document, dict(file)


def save(folder: Path, document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write both files, each of them whole or not at all.

    The numbers come last: a run counts as made when they are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        new = Path(scratch)
        if arrays:
            np.savez_compressed(new / "arrays.npz", **arrays)  # type: ignore[arg-type]
            os.replace(new / "arrays.npz", folder / "arrays.npz")
        text = json.dumps(rounded(document), indent=1, ensure_ascii=False) + "\n"
        (new / "runs.json").write_text(text, encoding="utf8")
        os.replace(new / "runs.json", folder / "runs.json")


def rounded(value: Any) -> Any:
    """Six digits are more than any number here has."""
    if isinstance(value, Mapping):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return float(f"{value:.6g}") if isinstance(value, float) else value


def curve(losses: np.ndarray) -> np.ndarray:
    """Means over `CURVE` steps, or over all of fewer."""
    size = min(CURVE, len(losses))
    whole = len(losses) // size * size
    return losses[:whole].reshape(-1, size).mean(axis=1).astype(np.float32)


def parser(description: str | None = None) -> argparse.ArgumentParser:
    """Return what reads the options that all commands have; ``--help`` shows the first line."""
    options = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    options.add_argument("--fresh", action="store_true", help="start over")
    options.add_argument("--list", action="store_true", help="name the runs and what is done")
    options.add_argument("--steps", type=int, help="tiny runs, written to a temporary folder")
    options.add_argument("--workers", type=int, default=1, help="runs at a time (default: 1)")
    options.add_argument(
        "--dask", metavar="ADDRESS", help="the runs are made by the workers of this scheduler"
    )
    options.add_argument("--only", default="", help="only runs whose names contain this")
    return options


def main(
    folder: Path,
    runs: Callable[[int | None], Iterable[Run]],
    *,
    packages: Sequence[str],
    arguments: Sequence[str] | None = None,
    description: str | None = None,
    **facts: Any,
) -> int:
    """Run a command.

    Args:
        folder: where its files are; the folder's name is the command's.
        runs: gives all runs in their order; a number of steps makes them tiny.
        packages: whose versions are recorded.
        arguments: those of the command line by default.
        description: the command's docstring.
        facts: further entries of the document.
    """
    options = parser(description).parse_args(arguments)
    command = f"python -m book.results.{folder.name}"
    if options.steps:
        folder = Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))
    document, arrays = load(folder)
    made = document["runs"]
    if options.fresh:  # with ``--only``, the other runs stay
        made = {name: run for name, run in made.items() if options.only not in name}
    arrays = {name: array for name, array in arrays.items() if name.rpartition("/")[0] in made}
    planned = list(runs(options.steps))
    for run in planned:
        if run.name in made and made[run.name]["settings"] != rounded(run.settings):
            print(f"{run.name} was made with other settings: use --fresh", file=sys.stderr)
            return 1
        if options.list:
            print(f"{'made' if run.name in made else 'to do':6} {run.name}")
    if options.list:
        return 0
    document = {
        "command": command,
        "environment": environment(packages),
        **facts,
        "seconds": document["seconds"] if made else 0.0,
        "runs": made,
    }
    began, before = time.perf_counter(), document["seconds"]
    todo = [run for run in planned if run.name not in made and options.only in run.name]
    for run, (numbers, new) in _computed(todo, options.workers, options.dask):
        made[run.name] = {"settings": run.settings, **numbers}
        arrays |= {f"{run.name}/{name}": value for name, value in new.items()}
        document["seconds"] = round(before + time.perf_counter() - began, 1)
        # In the order of the plan, whichever worker came first.
        document["runs"] = {r.name: made[r.name] for r in planned if r.name in made}
        save(folder, document, arrays)
        print(run.name, json.dumps(rounded(numbers)), flush=True)
    print(f"{folder}: {document['seconds']:.0f} s for {len(made)} runs")
    return 0


def _computed(
    runs: Sequence[Run], workers: int, scheduler: str | None
) -> Iterator[tuple[Run, tuple[Numbers, Arrays]]]:
    """Runs with their results, as they come.

    By joblib, in processes that are no forks, which would copy the locks of JAX's threads. A call
    inside ``joblib.parallel_config(...)`` has them made by any other backend of joblib's. Tried
    with two workers: Dask's (2026.8), of which one was killed, after the command had been killed
    and called again, and Ray's (2.60). Dask's gave the numbers of one process.
    """
    if scheduler is not None:
        from distributed import Client

        with Client(scheduler), joblib.parallel_config("dask"):
            yield from _computed(runs, 1, None)
        return
    # Without a number of its own the configuration around the call decides; by default 1.
    count = workers if workers > 1 else None
    calls = [joblib.delayed(_made)(run) for run in runs]
    backend, _ = joblib.parallel.get_active_backend()
    if backend.supports_return_generator:
        yield from joblib.Parallel(count, return_as="generator_unordered", batch_size=1)(calls)
        return
    # Ray's gives all results at once: those of so many runs as it makes at a time.
    size = joblib.effective_n_jobs(count)
    for start in range(0, len(calls), size):
        yield from joblib.Parallel(count, batch_size=1)(calls[start : start + size])


def _made(run: Run) -> tuple[Run, tuple[Numbers, Arrays]]:
    return run, run.compute(**run.settings)
