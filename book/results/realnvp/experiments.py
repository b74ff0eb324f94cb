"""The experiments behind "RealNVP LRMF": moons and blobs, each with many seeds.

What they compute is the same as on the page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.runner import Arrays, Numbers, Run, curve
from lrmf.theory import gaussian

__all__ = ["HELD_OUT", "MOONS", "compute", "runs"]

SEEDS = range(8)
FEW_SEEDS = range(3)
ROTATIONS = (-50.0, 50.0)
#: Models and settings of the moons, which are not the library's defaults.
MOONS = {
    "transform": lrmf.RealNVP(hidden=(64, 64)),
    "density": lrmf.RealNVP(hidden=(128, 128)),
    "steps": 4000,
    "batch_size": 256,
    "learning_rate": 1e-3,
    "dtype": "float32",
}
#: What the family's certificate needs.
JUDGED = {"private_steps": None, "refit_steps": 2000}
HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to
SNAPSHOT_EVERY = 250


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""

    def run(kind: str, **settings: Any) -> Run:
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
            yield run("moons", rotation=rotation, seed=seed)
    # The bound is not asked for here, so one step for each private model will do.
    for seed in SEEDS:
        yield run("reflected", rotation=-50.0, seed=seed, reflected=True, private_steps=1)
        for rotation in ROTATIONS:
            yield run("before", rotation=rotation, seed=seed, steps=2000, private_steps=1)
    for seed in FEW_SEEDS:
        yield run("longer", rotation=50.0, seed=seed, steps=12_000, private_steps=4000)
    for seed in FEW_SEEDS:
        yield run(
            "blobs paper", seed=seed, hidden=512, steps=1500, learning_rate=1e-5, refit_steps=1
        )
        yield run(
            "blobs long", seed=seed, hidden=128, steps=4000, learning_rate=1e-3, refit_steps=1
        )
    for seed in SEEDS:
        yield run(
            "blobs short", seed=seed, hidden=128, steps=500, learning_rate=1e-4, refit_steps=1
        )
    yield run("tfp", rotation=-50.0, seed=0, backend="tfp")


def compute(*, kind: str, **settings: Any) -> tuple[Numbers, Arrays]:
    """Make a run of this kind: moons, unless its name says otherwise."""
    others: dict[str, Callable[..., tuple[Numbers, Arrays]]] = {"before": before, "blobs": blobs}
    return others.get(kind.split()[0], moons)(**settings)


def moons(
    *, rotation: float, seed: int, reflected: bool = False, **options: Any
) -> tuple[Numbers, Arrays]:
    """Align the moons, and judge it on a held-out pair.

    Reflected: T acts on (x2, x1). A RealNVP whose four blocks are joined by three swaps of the
    coordinates is, at its start and later, such a map.
    """
    train, test = (lrmf.data.moons(rotation=rotation, seed=s) for s in (seed, seed + HELD_OUT))
    order = [1, 0] if reflected else [0, 1]
    a, a_test = train.source[:, order], test.source[:, order]
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        seed=seed,
        snapshot_every=SNAPSHOT_EVERY,
        **MOONS | JUDGED | options,
    )
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
    options = MOONS | JUDGED | {"transform": lrmf.Identity()} | options
    model = lrmf.LRMF(standardize=False, schedule="cosine", seed=seed, **options)
    model.fit(Xs=train.source, Xt=train.target)
    return numbers_of(model, test.source, test.target), {}


def blobs(*, seed: int, hidden: int, **options: Any) -> tuple[Numbers, Arrays]:
    """Align the blobs, 100 points a side, with networks of two hidden layers of this width."""
    train, test = lrmf.data.blobs(seed=seed), lrmf.data.blobs(n=2000, seed=seed + HELD_OUT)
    spec = lrmf.RealNVP(hidden=(hidden, hidden))
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=spec,
        density=spec,
        seed=seed,
        **JUDGED | options,
    )
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
    certificate = model.family_certificate(a, b)
    names = ["lrd", "lrd_stderr"]
    if model.private_steps != 1:  # otherwise there is no bound
        names += ["bound", "bound_stderr"]
    numbers: Numbers = {name: float(getattr(certificate, name)) for name in names}
    return {**numbers, "verdict": certificate.verdict, "outcome": model.outcome_}
