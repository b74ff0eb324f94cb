"""The experiments behind "The comparison" and "What a loss tells": many methods, one pair of moons.

`book.results.comparison.methods` has the methods. Their settings were searched for on
`TUNING_SEEDS`, which are never reported; every map is judged in the same way on fresh points.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.comparison.methods import (
    BY_LABELS,
    CLOSED,
    FLOW,
    GRIDS,
    METHODS,
    STEPS,
    make,
    settings_of,
)
from book.results.runner import Arrays, Numbers, Run, curve

__all__ = ["at_an_edge", "choose", "judge", "parameters", "runs"]

SEEDS = range(10)
TUNING_SEEDS = (100,)
ANGLE_SEEDS = range(20, 23)
HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to
TEST_POINTS = 4000
TRAJECTORY_RATES = (3e-4, 1e-3, 3e-3)
TRAJECTORY_STEPS = 3000
SELECTION_SEEDS = (0, 1)
ANGLES = range(-180, 180, 30)
#: Methods of the figure over all angles; "lrmf random" is LRMF whose map starts anywhere.
TURNED = ("none", "gaussian-ot", "lrmf", "lrmf random", "mmd", "back-to-back")
#: The settings of the paper, as far as it gives them; the number of steps is ours.
PAPER = {"width": 512, "learning_rate": 1e-5, "steps": 20_000}
#: What a fit learns beside T, or in place of it.
LEARNED = ("source_flow_", "target_flow_", "source_map_", "target_map_", "density_", "adversary_")
#: The family within which every map is judged.
FAMILY = lrmf.RealNVP(hidden=(64, 64))

#: Settings of LRMF, good and bad, among which its own numbers have to choose.
SELECTION: list[dict[str, Any]] = [
    {"width": width, "density_width": density_width, "learning_rate": rate, "fit_steps": steps}
    for width, density_width, (rate, steps) in itertools.product(
        (8, 64),
        (16, 64),
        ((1e-4, 500), (1e-4, 3000), (2e-3, 500), (2e-3, 3000), (2e-2, 3000)),
    )
]


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    for method, grid in GRIDS.items():
        for settings, seed in itertools.product(grid, TUNING_SEEDS):
            yield _run("tuning", compare, steps, method=method, seed=seed, **settings)
    yield from _table(-50.0, SEEDS, steps)
    for seed in SEEDS:
        for rate in TRAJECTORY_RATES:
            for method, own in (("sn-gan", {"adversary_learning_rate": 1e-3}), ("lrmf", {})):
                yield _run(
                    "trajectory", trajectory, steps, method=method, learning_rate=rate, seed=seed,
                    **own,
                )  # fmt: skip
    for k, settings in enumerate(SELECTION):
        for seed in SELECTION_SEEDS:
            yield _run(f"selection {k:02d}", selection, steps, method="lrmf", seed=seed, **settings)
    yield from _table(50.0, SEEDS, steps)
    for angle, seed, method in itertools.product(ANGLES, ANGLE_SEEDS, TURNED):
        yield _run(
            "angle", compare, steps,
            method=method, seed=seed, rotation=float(angle), certify="judge",
            **settings_of(method.partition(" ")[0]),
        )  # fmt: skip
    yield _run("paper", paper, steps, method="lrmf", seed=0)


def _table(rotation: float, seeds: Iterable[int], steps: int | None) -> Iterator[Run]:
    for seed in seeds:
        for method in ("none", *METHODS):
            yield _run(
                "table", compare, steps,
                method=method, seed=seed, rotation=rotation, certify="both", **settings_of(method),
            )  # fmt: skip
        for method, settings in BY_LABELS.items():
            yield _run(
                "labelled", compare, steps,
                method=method, seed=seed, rotation=rotation, certify="both", **settings,
            )  # fmt: skip


def choose(made: Mapping[str, Mapping[str, Any]], *, labels: bool = False) -> dict[str, Any]:
    """The rule behind `CHOSEN`, or behind `BY_LABELS`, applied to the runs of a document."""
    chosen = {}
    for method, grid in GRIDS.items():

        def cost(settings: Mapping[str, Any], method: str = method) -> tuple[float, ...]:
            found = [
                made[_run("tuning", compare, None, method=method, seed=seed, **settings).name]
                for seed in TUNING_SEEDS
            ]
            # What a diverged fit leaves is worse than anything.
            sliced = float(np.mean([run["sliced_wasserstein"] for run in found]))
            accuracy = float(np.mean([run["accuracy"] for run in found]))
            return (-accuracy, sliced) if labels else (sliced,)

        chosen[method] = min(grid, key=cost)
    return chosen


def at_an_edge(chosen: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Settings with an order whose chosen value is the least or the largest that was tried."""
    found = []
    for method, settings in chosen.items():
        for name, value in settings.items():
            tried = {one[name] for one in GRIDS[method] if not isinstance(one[name], (str, list))}
            if len(tried) > 1 and value in (min(tried), max(tried)):
                found.append(f"{method} {name}={value:g}")
    return found


def _run(kind: str, compute: Callable[..., Any], steps: int | None, **settings: Any) -> Run:
    if steps is not None:
        settings["steps"] = steps
    words = [kind, settings["method"]]
    if "rotation" in settings:
        words.append(f"{settings['rotation']:+.0f}")
    told = ("method", "rotation", "seed", "certify", "steps")
    words += [f"{name}={value}" for name, value in settings.items() if name not in told]
    return Run(
        name=" ".join([*words, f"seed {settings['seed']}"]), compute=compute, settings=settings
    )


def compare(
    *,
    method: str,
    seed: int,
    rotation: float = -50.0,
    steps: int = STEPS,
    certify: str = "",
    **settings: Any,
) -> tuple[Numbers, Arrays]:
    """Fit one method to one pair, and judge its map on fresh points."""
    train = lrmf.data.moons(rotation=rotation, seed=seed)
    test = lrmf.data.moons(n=TEST_POINTS, rotation=rotation, seed=seed + HELD_OUT)
    if method == "none":
        return judge(test.source, test.source_labels, train, test, seed=seed, certify=certify), {}
    if method == "lrmf random":
        model: Any = started_anywhere(seed=seed, steps=steps, progress=False, **settings)
    else:
        model = make(method, seed=seed, steps=steps, **settings)
    began, worked = time.perf_counter(), time.process_time()
    model.fit(Xs=train.source, Xt=train.target)
    cost = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - worked,
        "outcome": getattr(model, "outcome_", "finished"),
        **parameters(model),
    }
    if method == "free-points":  # no map, so no fresh points of A
        moved, labels = model.points_, train.source_labels
    else:
        moved, labels = model.transform(test.source), test.source_labels
    numbers = judge(moved, labels, train, test, seed=seed, certify=certify)
    arrays = {}
    if certify == "both" and seed == 0 and method not in CLOSED:
        arrays["moved"] = moved[: 2 * len(train.source) : 2].astype(np.float16)
    return numbers | cost, arrays


def started_anywhere(**settings: Any) -> Any:
    """LRMF whose map starts at random weights instead of the identity."""
    model = make("lrmf", **settings)

    class Anywhere(type(model)):  # type: ignore[misc]
        def _recipe(self, domains: Any) -> Any:
            rng = np.random.default_rng([self.seed, 1])
            arrays = FLOW.init((2,), rng)
            for name, array in arrays.items():
                if array.ndim == 2 and array.shape[1] == 2:  # the last layer of a block
                    arrays[name] = rng.normal(size=array.shape) / np.sqrt(len(array))
            start = {"transform": arrays}
            return dataclasses.replace(super()._recipe(domains), start=lambda *_: start)

    return Anywhere(**model.get_params(deep=False))


def paper(*, method: str, seed: int, steps: int = PAPER["steps"]) -> tuple[Numbers, Arrays]:
    """LRMF once with the paper's settings: networks of 512 units and a rate of 1e-5."""
    wide = lrmf.RealNVP(hidden=(PAPER["width"], PAPER["width"]))
    train = lrmf.data.moons(seed=seed)
    test = lrmf.data.moons(n=TEST_POINTS, seed=seed + HELD_OUT)
    model = lrmf.LRMF(
        transform=wide, density=wide, learning_rate=PAPER["learning_rate"], schedule="constant",
        standardize=False, steps=steps, seed=seed, progress=False,
    ).fit(Xs=train.source, Xt=train.target)  # fmt: skip
    moved = model.transform(test.source)
    numbers = judge(moved, test.source_labels, train, test, seed=seed, certify="both")
    return numbers | {"seconds": model.seconds_}, {"loss": curve(model.history_["loss"])}


def trajectory(
    *, method: str, seed: int, steps: int = TRAJECTORY_STEPS, **settings: Any
) -> tuple[Numbers, Arrays]:
    """One fit, watched: objective, 1-NN accuracy and sliced Wasserstein distance as it goes on."""
    train = lrmf.data.moons(seed=seed)
    test = lrmf.data.moons(seed=seed + HELD_OUT)
    model = make(
        method, seed=seed, steps=steps, snapshot_every=100, schedule="constant", **settings
    )
    if method == "lrmf":  # for the constant
        model.set_params(private_steps=max(1, steps // 3))
    model.fit(Xs=train.source, Xt=train.target)
    seen = [
        (
            step,
            judge(flow.forward(test.source)[0], test.source_labels, train, test, seed=seed),
        )
        for step, flow, _ in model.snapshots_
    ]
    losses = {
        name: curve(values) for name, values in model.history_.items() if name.endswith("loss")
    }
    arrays = {
        "step": np.array([step for step, _ in seen]),
        **{
            name: np.array([numbers[name] for _, numbers in seen], np.float32)
            for name in ("accuracy", "sliced_wasserstein")
        },
        **losses,
    }
    accuracy = arrays["accuracy"]
    return {
        "outcome": model.outcome_,
        "best_accuracy": float(accuracy.max()),
        "last_accuracy": float(accuracy[-1]),
    }, arrays


def selection(
    *, method: str, seed: int, fit_steps: int, steps: int | None = None, **settings: Any
) -> tuple[Numbers, Arrays]:
    """LRMF with some settings: its own held-out numbers, and the accuracy that they can't see.

    ``bound`` is the loss with its constant, from private densities fitted with the same settings;
    ``objective`` is the loss without a constant, which no private density spoils.
    """
    train = lrmf.data.moons(seed=seed)
    test = lrmf.data.moons(seed=seed + HELD_OUT)
    model = make(method, seed=seed, steps=steps or fit_steps, **settings)
    model.set_params(private_steps=None, refit_steps=max(1, (steps or fit_steps) // 2))
    model.fit(Xs=train.source, Xt=train.target)
    moved, log_det = model.transform_.forward(test.source)
    numbers = judge(moved, test.source_labels, train, test, seed=seed, certify="judge")
    if model.complete_:
        certificate = model.family_certificate(test.source, test.target)
        numbers |= {
            "bound": certificate.bound,
            "bound_stderr": certificate.bound_stderr,
            "objective": -float(
                np.mean(log_det + model.density_.log_prob(moved))
                + np.mean(model.density_.log_prob(test.target))
            ),
            "own_lrd": certificate.lrd,
            "own_lrd_stderr": certificate.lrd_stderr,
        }
    return numbers | {"outcome": model.outcome_}, {}


def judge(
    moved: np.ndarray,
    labels: np.ndarray,
    train: Any,
    test: Any,
    *,
    seed: int,
    certify: str = "",
) -> Numbers:
    """1-NN accuracy and distances of fresh points.

    The classifier learns on B's training points and is tested on moved points of A. With
    ``certify="judge"`` comes the judge's distance, by classifiers; with ``"both"`` also that within
    a family of RealNVPs, fitted to one half of the fresh points and measured on the other.
    """
    nearest = KNeighborsClassifier(1).fit(train.target, train.target_labels)
    numbers: Numbers = {
        "accuracy": float(nearest.score(moved, labels)),
        "sliced_wasserstein": float(lrmf.distances.sliced_wasserstein(moved, test.target, seed=0)),
    }
    if certify:
        found = lrmf.lrd(moved, test.target, seed=seed, controls=False)
        numbers |= {"lrd": found.lrd, "lrd_stderr": found.lrd_stderr}
    if certify == "both":
        family = lrmf.family_lrd(
            moved, test.target, density=FAMILY, steps=1000, refit_steps=500, seed=seed,
            progress=False,
        )  # fmt: skip
        numbers |= {"family_lrd": family.value, "family_lrd_stderr": family.stderr}
    return numbers


def parameters(model: Any) -> Numbers:
    """How many numbers T has, and how many were learned for it and its loss in all."""
    if hasattr(model, "parameters_"):
        return {"parameters_of_t": model.parameters_, "parameters": model.parameters_}
    counts = {
        name: sum(array.size for array in getattr(model, name).arrays.values())
        for name in ("transform_", *LEARNED)
        if hasattr(getattr(model, name, None), "arrays")
    }
    if not counts:
        return {}
    own = counts.pop("transform_")
    # Two maps that make up T are learned in its place.
    whole = 0 if any("flow" in name or "map" in name for name in counts) else own
    return {"parameters_of_t": own, "parameters": whole + sum(counts.values())}
