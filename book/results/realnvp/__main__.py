"""Regenerate the saved results of the chapter "RealNVP LRMF": ``python -m book.results.realnvp``.

Every run is one fit; after each one the two files beside this script are written anew, so an
interrupted command goes on where it stopped. ``runs.json`` holds settings, versions, hardware and
the numbers of each run, ``arrays.npz`` its curves and moved points. ``--fresh`` starts over;
``--list`` names the runs; ``--steps 20`` makes them tiny and writes elsewhere, to try the command.

Runs: moons at -50 and +50 degrees, moons from a reflected start, the distance before any alignment,
moons at +50 degrees with three times the steps, blobs as on the page, at the paper's size and
learning rate, and trained for too long, and one fit of the moons in TensorFlow Probability.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.environment import environment
from lrmf.theory import gaussian

__all__ = ["Run", "load", "main", "runs"]

FOLDER = Path(__file__).parent
SEEDS = range(8)
FEW_SEEDS = range(3)
ROTATIONS = (-50.0, 50.0)
HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to
SNAPSHOT_EVERY = 250
PACKAGES = ("jax", "tensorflow", "tensorflow-probability", "optax", "numpy", "scikit-learn")
CURVE = 20  # steps that one entry of a saved loss curve averages

Numbers = dict[str, Any]
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One fit: its name, what is computed, and the settings that it depends on."""

    name: str
    compute: Callable[..., tuple[Numbers, Arrays]]
    settings: dict[str, Any]


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""

    def run(kind: str, compute: Callable[..., Any], **settings: Any) -> Run:
        if steps is not None:
            settings |= {"steps": steps, "private_steps": steps, "refit_steps": steps}
        where = "" if "rotation" not in settings else f" {settings['rotation']:+.0f}"
        return Run(
            name=f"{kind}{where} seed {settings['seed']}",
            compute=compute,
            settings={"kind": kind, **settings},
        )

    for seed in SEEDS:
        for rotation in ROTATIONS:
            yield run("moons", moons, rotation=rotation, seed=seed)
    # The bound is not asked for here, so one step for each private model will do.
    for seed in SEEDS:
        yield run("reflected", moons, rotation=-50.0, seed=seed, reflected=True, private_steps=1)
        for rotation in ROTATIONS:
            yield run("before", before, rotation=rotation, seed=seed, steps=2000, private_steps=1)
    for seed in FEW_SEEDS:
        yield run("longer", moons, rotation=50.0, seed=seed, steps=12_000, private_steps=4000)
    for seed in FEW_SEEDS:
        yield run(
            "blobs paper", blobs, seed=seed, hidden=512, steps=1500, learning_rate=1e-5,
            refit_steps=1,
        )  # fmt: skip
        yield run(
            "blobs long", blobs, seed=seed, hidden=128, steps=4000, learning_rate=1e-3,
            refit_steps=1,
        )  # fmt: skip
    for seed in SEEDS:
        yield run(
            "blobs short", blobs, seed=seed, hidden=128, steps=500, learning_rate=1e-4,
            refit_steps=1,
        )  # fmt: skip
    yield run("tfp", moons, rotation=-50.0, seed=0, backend="tfp")


def moons(
    *, rotation: float, seed: int, reflected: bool = False, **options: Any
) -> tuple[Numbers, Arrays]:
    """Align the moons with the library's default models, and judge it on a held-out pair.

    Reflected: T acts on (x2, x1). A RealNVP whose four blocks are joined by three swaps of the
    coordinates is, at its start and later, such a map.
    """
    train, test = (lrmf.data.moons(rotation=rotation, seed=s) for s in (seed, seed + HELD_OUT))
    order = [1, 0] if reflected else [0, 1]
    a, a_test = train.source[:, order], test.source[:, order]
    model = lrmf.LRMF(seed=seed, snapshot_every=SNAPSHOT_EVERY, **options)
    began = time.perf_counter()
    model.fit(Xs=a, Xt=train.target)
    seconds = time.perf_counter() - began
    judge = KNeighborsClassifier(1).fit(train.target, train.target_labels)

    def accuracy(points: np.ndarray) -> float:
        return float(judge.score(points, test.source_labels))

    moved = [(step, *flow.forward(a_test), density) for step, flow, density in model.snapshots_]
    held_out = [
        model.constant_
        - np.mean(log_det + density.log_prob(points))
        - np.mean(density.log_prob(test.target))
        for _, points, log_det, density in moved
    ]
    numbers = {
        "accuracy_before": accuracy(test.source),
        "accuracy": accuracy(model.transform(a_test)),
        **numbers_of(model, a_test, test.target),
        "fit_seconds": round(seconds, 1),
    }
    arrays = {
        "snapshot_step": np.array([step for step, *_ in moved]),
        "snapshot_accuracy": np.array([accuracy(points) for _, points, *_ in moved], np.float32),
        "moved": model.transform(a_test).astype(np.float16),
    }
    if options.get("private_steps") != 1:
        numbers["last_loss"] = float(np.mean(model.history_["loss"][-400:]))
        arrays["loss"] = curve(model.history_["loss"])
        arrays["snapshot_loss"] = np.array(held_out, np.float32)
    return numbers, arrays


def before(*, rotation: float, seed: int, **options: Any) -> tuple[Numbers, Arrays]:
    """The distance of the moons before alignment: T is the identity."""
    train, test = (lrmf.data.moons(rotation=rotation, seed=s) for s in (seed, seed + HELD_OUT))
    model = lrmf.LRMF(transform=lrmf.Identity(), seed=seed, **options)
    model.fit(Xs=train.source, Xt=train.target)
    return numbers_of(model, test.source, test.target), {}


def blobs(*, seed: int, hidden: int, **options: Any) -> tuple[Numbers, Arrays]:
    """Align the blobs, 100 points a side, with networks of two hidden layers of this width."""
    train, test = lrmf.data.blobs(seed=seed), lrmf.data.blobs(n=2000, seed=seed + HELD_OUT)
    spec = lrmf.RealNVP(hidden=(hidden, hidden))
    model = lrmf.LRMF(transform=spec, density=spec, seed=seed, **options)
    began = time.perf_counter()
    model.fit(Xs=train.source, Xt=train.target)
    seconds = time.perf_counter() - began
    numbers: Numbers = {
        "last_loss": float(np.mean(model.history_["loss"][-50:])),
        "fit_seconds": round(seconds, 1),
    }
    for where, pair in (("train", train), ("test", test)):
        numbers[f"gaussian_before_{where}"] = gaussian_distance(pair.source, pair.target)
        moved = model.transform(pair.source)
        numbers[f"gaussian_{where}"] = gaussian_distance(moved, pair.target)
        numbers[f"private_source_{where}"] = float(
            np.mean(model.private_source_.log_prob(pair.source))
        )
        numbers[f"private_target_{where}"] = float(
            np.mean(model.private_target_.log_prob(pair.target))
        )
    return numbers, {"loss": curve(model.history_["loss"])}


def gaussian_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The likelihood-ratio distance to the family of normal densities, in closed form."""
    return float(gaussian.distance(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T)))


def numbers_of(model: lrmf.LRMF, a: np.ndarray, b: np.ndarray) -> Numbers:
    """The certificate's numbers."""
    certificate = model.certificate(a, b)
    names = ["lrd", "lrd_stderr"]
    if model.private_steps != 1:  # otherwise there is no bound
        names += ["bound", "bound_stderr"]
    numbers: Numbers = {name: float(getattr(certificate, name)) for name in names}
    return {**numbers, "verdict": certificate.verdict, "outcome": model.outcome_}


def curve(losses: np.ndarray) -> np.ndarray:
    """Means over `CURVE` steps."""
    whole = len(losses) // CURVE * CURVE
    return losses[:whole].reshape(-1, CURVE).mean(axis=1).astype(np.float32)


def load(folder: Path = FOLDER) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read both files: the document, and the arrays by ``run/array``."""
    if not (folder / "runs.json").is_file():
        return {"runs": {}}, {}
    document = json.loads((folder / "runs.json").read_text(encoding="utf8"))
    with np.load(folder / "arrays.npz") as file:
        return document, dict(file)


def save(folder: Path, document: dict[str, Any], arrays: Arrays) -> None:
    """Write both files, each of them whole or not at all.

    The numbers come last: a run counts as made when they are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        new = Path(scratch)
        np.savez_compressed(new / "arrays.npz", **arrays)  # type: ignore[arg-type]
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        (new / "runs.json").write_text(text, encoding="utf8")
        os.replace(new / "arrays.npz", folder / "arrays.npz")
        os.replace(new / "runs.json", folder / "runs.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--fresh", action="store_true", help="start over")
    parser.add_argument("--list", action="store_true", help="name the runs and what is done")
    parser.add_argument("--steps", type=int, help="tiny runs, written to a temporary folder")
    options = parser.parse_args(arguments)
    folder = FOLDER
    if options.steps:
        folder = Path(tempfile.mkdtemp(prefix="realnvp-"))
    document, arrays = ({"runs": {}}, {}) if options.fresh else load(folder)
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
        "command": "python -m book.results.realnvp",
        "models": {
            name: repr(value)
            for name, value in lrmf.LRMF().get_params().items()
            if name in ("transform", "density", "steps", "batch_size", "learning_rate", "dtype")
        },
        "environment": environment(PACKAGES),
        "curve": CURVE,
        "held_out": HELD_OUT,
        "seconds": document.get("seconds", 0.0),
        "runs": document["runs"],
    }
    for run in planned:
        if run.name in document["runs"]:
            continue
        began = time.perf_counter()
        fitted = {name: value for name, value in run.settings.items() if name != "kind"}
        numbers, new_arrays = run.compute(**fitted)
        document["seconds"] = round(document["seconds"] + time.perf_counter() - began, 1)
        document["runs"][run.name] = {"settings": run.settings, **numbers}
        arrays |= {f"{run.name}/{name}": value for name, value in new_arrays.items()}
        save(folder, document, arrays)
        print(run.name, json.dumps(numbers), flush=True)
    print(f"{folder}: {document['seconds']:.0f} s for {len(document['runs'])} runs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
