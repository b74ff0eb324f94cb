"""Regenerate the saved results of "Affine LRMF": ``python -m book.results.affine``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
It is written anew after each one, so an interrupted command goes on where it stopped. ``--fresh``
starts over; ``--list`` names the runs; ``--steps 20`` makes them tiny and writes elsewhere.

Runs: positive definite maps under normal densities on blobs and moons, ten seeds in each backend,
with the moments of training and of fresh points; and for moons the distance under RealNVP
densities before and after that map, and after an affine map that was fitted under them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import fractional_matrix_power
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.environment import environment
from lrmf.theory import gaussian

__all__ = ["load", "main", "runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "tensorflow", "tensorflow-probability", "numpy", "scikit-learn")
SEEDS = range(10)
RICH_SEEDS = range(5)
HELD_OUT = 1000  # added to a seed: that of the fresh pair
FRESH = 2000  # points a side
STEPS = 4000
RICH_STEPS = 3000
Numbers = dict[str, Any]


class Run(NamedTuple):
    """One run: its name, what computes it, and the settings that it depends on."""

    name: str
    compute: Callable[..., Numbers]
    settings: dict[str, Any]


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    for pair in ("blobs", "moons"):
        for backend in ("jax", "tfp"):
            for seed in SEEDS:
                yield Run(
                    f"{pair} {backend} seed {seed}",
                    moments,
                    {"pair": pair, "backend": backend, "seed": seed, "steps": steps or STEPS},
                )
    for seed in RICH_SEEDS:
        yield Run(f"rich seed {seed}", rich, {"seed": seed, "steps": steps or RICH_STEPS})


def moments(*, pair: str, backend: str, seed: int, steps: int) -> Numbers:
    """Fit a positive definite map under normal densities, and compare moments."""
    train, fresh = pairs(pair, seed)
    began = time.perf_counter()
    model = lrmf.LRMF(
        transform=lrmf.Affine(kind="positive_definite"),
        density=lrmf.Gaussian(),
        backend=backend,
        steps=steps,
        batch_size=2000,
        learning_rate=0.05,
        refit_steps=500,
        seed=seed,
        progress=False,
    ).fit(Xs=train.source, Xt=train.target)
    seconds = time.perf_counter() - began
    matrix = model.transform_.arrays["matrix"].astype(float)
    monge, shift = gaussian.monge_map(*two(train.source), *two(train.target))
    certificate = model.certificate(fresh.source, fresh.target)
    numbers: Numbers = {
        "last_loss": float(model.history_["loss"][-1]),
        "map_error": float(np.abs(matrix.T @ matrix - monge).max()),
        "shift_error": float(np.abs(model.transform_.arrays["shift"] - shift).max()),
        "certificate_lrd": certificate.lrd,
        "certificate_lrd_stderr": certificate.lrd_stderr,
        "verdict": certificate.verdict.split(":")[0],
        "fit_seconds": seconds,
    }
    for where, data in (("train", train), ("fresh", fresh)):
        moved = model.transform(data.source).astype(float)
        for when, points in (("before", data.source), ("after", moved)):
            numbers |= {
                f"{where}_{when}_{name}": value
                for name, value in mismatch(points, data.target).items()
            }
        if pair == "moons":
            numbers[f"{where}_accuracy_before"] = accuracy(data, data.source)
            numbers[f"{where}_accuracy_after"] = accuracy(data, moved)
    return numbers


def rich(*, seed: int, steps: int) -> Numbers:
    """Moons judged by RealNVP densities: unmoved, and moved by affine maps of two fits."""
    train, fresh = pairs("moons", seed)
    monge = gaussian.monge_map(*two(train.source), *two(train.target))
    density = lrmf.RealNVP(hidden=(64, 64))
    model = lrmf.LRMF(
        transform=lrmf.Affine(),
        density=density,
        steps=steps,
        learning_rate=5e-3,
        private_steps=1,
        refit_steps=1,
        seed=seed,
        progress=False,
    ).fit(Xs=train.source, Xt=train.target)
    images = {
        "before": fresh.source,
        "normal": fresh.source @ monge[0].T + monge[1],
        "realnvp": model.transform(fresh.source).astype(float),
    }
    numbers: Numbers = {
        f"realnvp_{name}": array.tolist() for name, array in model.transform_.arrays.items()
    }
    for name, points in images.items():
        distance = lrmf.lrd(
            points, fresh.target, density=density, steps=steps, seed=seed, progress=False
        )
        numbers |= {
            f"{name}_lrd": distance.value,
            f"{name}_lrd_stderr": distance.stderr,
            f"{name}_accuracy": accuracy(fresh, points),
            f"{name}_normal_distance": mismatch(points, fresh.target)["distance"],
        }
    return numbers


def pairs(name: str, seed: int) -> tuple[lrmf.data.Pair, lrmf.data.Pair]:
    """Points to fit to, and fresh ones."""
    if name == "blobs":
        return lrmf.data.blobs(seed=seed), lrmf.data.blobs(n=FRESH, seed=seed + HELD_OUT)
    return lrmf.data.moons(seed=seed), lrmf.data.moons(n=FRESH, seed=seed + HELD_OUT)


def two(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance."""
    return x.mean(axis=0), np.cov(x.T, bias=True)


def mismatch(x: np.ndarray, y: np.ndarray) -> Numbers:
    """How far apart first and second moments are: see the chapter's definitions."""
    (mean_x, cov_x), (mean_y, cov_y) = two(x), two(y)
    whiten = fractional_matrix_power(cov_y, -0.5)
    return {
        "gap": float(np.linalg.norm(whiten @ (mean_x - mean_y))),
        "stretch": float(np.abs(0.5 * np.log(np.linalg.eigvalsh(whiten @ cov_x @ whiten))).max()),
        "mean": float(np.abs(mean_x - mean_y).max()),
        "covariance": float(np.abs(cov_x - cov_y).max()),
        "distance": float(gaussian.distance(mean_x, cov_x, mean_y, cov_y)),
    }


def accuracy(data: lrmf.data.Pair, moved: np.ndarray) -> float:
    """1-NN accuracy: learned on B, tested on the moved source (the paper's Figure 4)."""
    judge = KNeighborsClassifier(n_neighbors=1).fit(data.target, data.target_labels)
    return float(judge.score(moved, data.source_labels))


def load(folder: Path = FOLDER) -> dict[str, Any]:
    """Read the file."""
    file = folder / "runs.json"
    return json.loads(file.read_text(encoding="utf8")) if file.is_file() else {"runs": {}}


def save(document: dict[str, Any], folder: Path) -> None:
    """Write the file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "runs.json.new"
    new.write_text(json.dumps(rounded(document), indent=1) + "\n", encoding="utf8")
    new.replace(folder / "runs.json")


def rounded(value: Any) -> Any:
    """Six digits are more than any number here has."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--fresh", action="store_true", help="start over")
    parser.add_argument("--list", action="store_true", help="name the runs and what is done")
    parser.add_argument("--steps", type=int, help="tiny runs, written to a temporary folder")
    options = parser.parse_args(arguments)
    folder = FOLDER
    if options.steps:
        folder = Path(tempfile.mkdtemp(prefix="affine-"))
    document = {"runs": {}} if options.fresh else load(folder)
    planned = list(runs(options.steps))
    for run in planned:
        made = document["runs"].get(run.name)
        if made is not None and made["settings"] != run.settings:
            print(f"{run.name} was made with other settings: use --fresh", file=sys.stderr)
            return 1
        if options.list:
            print(f"{'made' if made else 'to do':6} {run.name}")
    if options.list:
        return 0
    document = {
        "command": "python -m book.results.affine",
        "environment": environment(PACKAGES),
        "held_out": HELD_OUT,
        "seconds": document.get("seconds", 0.0),
        "runs": document["runs"],
    }
    for run in planned:
        if run.name in document["runs"]:
            continue
        began = time.perf_counter()
        numbers = run.compute(**run.settings)
        document["seconds"] += time.perf_counter() - began
        document["runs"][run.name] = {"settings": run.settings, **numbers}
        save(document, folder)
        print(run.name, json.dumps(rounded(numbers)), flush=True)
    print(f"{folder}: {document['seconds']:.0f} s for {len(document['runs'])} runs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
