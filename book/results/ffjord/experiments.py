"""The fits behind the chapter "FFJORD LRMF"."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.runner import curve
from lrmf.specs.base import Arrays, Shape

__all__ = ["HELD_OUT", "GlorotStart", "agreement", "moons"]

HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to
SNAPSHOTS = 16

Numbers = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class GlorotStart(lrmf.FFJORD):
    """FFJORD with the paper's start: all weights from Glorot's uniform law, biases zero."""

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        arrays = {}
        for name, shape in self.shapes(event_shape).items():
            bound = np.sqrt(6.0 / sum(shape)) if name.endswith("weight") else 0.0
            arrays[name] = rng.uniform(-bound, bound, size=shape)
        return arrays


TRANSFORMS = {
    "FFJORD": lrmf.FFJORD(),
    "FFJORD, Hutchinson": lrmf.FFJORD(trace="hutchinson"),
    "FFJORD, Glorot start": GlorotStart(),
    "RealNVP": lrmf.RealNVP(hidden=(64, 64)),
}
DENSITIES = {"RealNVP": lrmf.RealNVP(hidden=(128, 128)), "FFJORD": lrmf.FFJORD()}


def moons(
    *, transform: str, density: str, seed: int, rotation: float = -50.0, **options: Any
) -> tuple[Numbers, Arrays]:
    """Align the moons and judge it on a held-out pair, along the way and at the end."""
    train, test = (lrmf.data.moons(rotation=rotation, seed=s) for s in (seed, seed + HELD_OUT))
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        learning_rate=1e-3,
        transform=TRANSFORMS[transform],
        density=DENSITIES[density],
        seed=seed,
        snapshot_every=max(1, options["steps"] // SNAPSHOTS),
        progress=False,
        **{"private_steps": None} | options,
    )
    # Time of the processors: it does not depend on what else a machine does.
    began = time.perf_counter(), time.process_time()
    model.fit(Xs=train.source, Xt=train.target)
    spent = time.perf_counter() - began[0], time.process_time() - began[1]
    judge = KNeighborsClassifier(1).fit(train.target, train.target_labels)

    def accuracy(points: np.ndarray) -> float:
        return float(judge.score(points, test.source_labels))

    moved = [(step, *flow.forward(test.source)) for step, flow, _ in model.snapshots_]
    certificate = model.family_certificate(test.source, test.target)
    numbers: Numbers = {
        "accuracy_before": accuracy(test.source),
        "accuracy_start": accuracy(moved[0][1]),
        "accuracy": accuracy(model.transform(test.source)),
        "displacement_start": float(np.linalg.norm(moved[0][1] - test.source, axis=1).mean()),
        "lrd": certificate.lrd,
        "lrd_stderr": certificate.lrd_stderr,
        "verdict": certificate.verdict.split(":")[0],
        "outcome": model.outcome_,
        "parameters": sum(array.size for array in model.transform_.arrays.values()),
        "fit_seconds": spent[0],
        "fit_cpu_seconds": spent[1],
    }
    arrays: Arrays = {
        "snapshot_step": np.array([step for step, *_ in moved]),
        "snapshot_accuracy": np.array([accuracy(points) for _, points, _ in moved], np.float32),
        "moved": model.transform(test.source).astype(np.float16),
    }
    if options.get("private_steps") != 1:  # otherwise there is no bound
        numbers |= {"bound": certificate.bound, "bound_stderr": certificate.bound_stderr}
        numbers["last_loss"] = float(np.mean(model.history_["loss"][-400:]))
        arrays["loss"] = curve(model.history_["loss"])
    if isinstance(model.transform_.spec, lrmf.FFJORD):
        arrays["snapshot_evaluations"] = np.array(
            [flow.function_evaluations(test.source) for _, flow, _ in model.snapshots_]
        )
        numbers["evaluations"] = int(arrays["snapshot_evaluations"][-1])
    if density == "FFJORD":
        engine = model.transform_.backend
        flows = [engine.flow(shared.spec, shared.arrays) for *_, shared in model.snapshots_]
        arrays["snapshot_density_evaluations"] = np.array(
            [flow.function_evaluations(test.target, inverse=True) for flow in flows]
        )
    return numbers, arrays


def agreement(*, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """The same first steps in both backends."""
    pair = lrmf.data.moons(seed=seed)
    losses = []
    for backend in ("jax", "tfp"):
        model = lrmf.LRMF(
            standardize=False,
            schedule="cosine",
            learning_rate=1e-3,
            transform=TRANSFORMS["FFJORD"],
            density=DENSITIES["RealNVP"],
            backend=backend,
            steps=steps,
            private_steps=1,
            refit_steps=1,
            seed=seed,
            progress=False,
        )
        losses.append(model.fit(Xs=pair.source, Xt=pair.target).history_["loss"])
    difference = float(np.max(np.abs(losses[0] - losses[1]) / np.abs(losses[0])))
    return {"largest_relative_loss_difference": difference}, {}
