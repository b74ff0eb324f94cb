"""The experiments behind "Meshes": many maps from one animal to another, and what they do to it.

Every method learns from the same noisy points of two surfaces and is judged on fresh ones; then it
moves the vertices of the source, without noise, and the faces between them are measured. The
learning rates were searched for on `TUNING_SEED`, which is not reported; `CHOSEN` holds what the
search found best.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.runner import Arrays, Numbers, Run
from lrmf import surfaces

__all__ = ["CHOSEN", "CLOSED", "FITTED", "NOISE", "PAIRS", "choose", "fitted", "judge", "runs"]

SEEDS = range(5)
TUNING_SEED = 100
HELD_OUT = 1000  # added to a seed: that of the points that nothing is fitted to
NOISE = 0.015
STEPS = 1500
TRAINING_POINTS, TEST_POINTS = 20_000, 4000
PLAN_POINTS = 1500  # a side, for the exact plan

#: The family M, and each of the two flows back to back: LRMF's default density.
FAMILY = lrmf.RealNVP(blocks=8, hidden=(64, 64))
#: The family within which every map is judged.
JUDGES = lrmf.RealNVP(blocks=4, hidden=(64, 64))
PAIRS: dict[str, Callable[[], lrmf.data.MeshPair]] = {
    "animals": lrmf.data.quadrupeds,
    "cows": lrmf.data.meshes,
}
pair_of = cache(lambda name: PAIRS[name]())

#: The map of LRMF, and of the control, which gives the same flow another loss.
MAP = lrmf.RealNVP(blocks=4, hidden=(64, 64))
#: A field whose fit takes about as much processor time as that of the coupling flows.
FIELD = lrmf.FFJORD(blocks=1, hidden=(32, 32))
#: Of the control, in units of the standardised points, whose noise is 0.06 to 0.21 of them.
BANDWIDTHS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
#: What makes the aligner of each method that is fitted by gradient steps.
FITTED: dict[str, Callable[..., Any]] = {
    "lrmf realnvp": lambda **s: lrmf.LRMF(transform=MAP, density=FAMILY, **s),
    "lrmf spline": lambda **s: lrmf.LRMF(
        transform=lrmf.SplineFlow(blocks=4, hidden=(64, 64)), density=FAMILY, **s
    ),
    "back to back": lambda **s: lrmf.BackToBackFlow(transform=FAMILY, **s),
    "lrmf ffjord": lambda **s: lrmf.LRMF(transform=FIELD, density=FAMILY, **s),
    "back to back ffjord": lambda **s: lrmf.BackToBackFlow(transform=FIELD, **s),
    "mmd": lambda **s: lrmf.MMDFlow(transform=MAP, bandwidths=BANDWIDTHS, **s),
}
#: Methods without gradient steps.
CLOSED = ("none", "rigid icp", "gaussian ot", "emd plan")
#: What is searched for each of them.
RATES = (2e-4, 5e-4, 2e-3, 5e-3, 1e-2, 2e-2)
#: Not to choose from: where the best is the largest, to see what lies beyond. The fields become
#: stiff there, and a fit takes over ten times the processor time of one of coupling flows.
BEYOND = {"back to back ffjord": (5e-2,)}
#: What the search chose: the smallest Chamfer distance of held-out points. (Their sliced
#: Wasserstein distance is about as small for a field that goes half the way as for one that
#: arrives.)
CHOSEN: dict[str, float] = {
    "lrmf realnvp": 5e-3,
    "lrmf spline": 2e-3,
    "back to back": 2e-3,
    "lrmf ffjord": 1e-2,
    "back to back ffjord": 2e-2,
    "mmd": 2e-3,
}


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    for method in FITTED:
        for rate in (*RATES, *BEYOND.get(method, ())):
            yield _run(
                "tuning", steps, pair="animals", by="area", method=method, seed=TUNING_SEED,
                learning_rate=rate,
            )  # fmt: skip
    # One seed of everything first, for an early look.
    for early in (True, False):
        seeds = [seed for seed in SEEDS if (seed == SEEDS[0]) == early]
        for pair, seed in itertools.product(PAIRS, seeds):
            for method in (*CLOSED, "lrmf realnvp", "back to back"):
                yield _table(steps, pair, "area", method, seed)
        for seed in seeds:
            for method in ("none", "lrmf realnvp", "back to back"):
                yield _table(steps, "animals", "vertex", method, seed)
    for pair, seed in itertools.product(PAIRS, SEEDS):
        yield _table(steps, pair, "area", "lrmf spline", seed)
    for method in ("mmd", "lrmf ffjord", "back to back ffjord"):
        for seed in SEEDS:
            yield _table(steps, "animals", "area", method, seed)
    for method, seed in itertools.product(("lrmf ffjord", "back to back ffjord"), SEEDS):
        yield _table(steps, "cows", "area", method, seed)


def _table(steps: int | None, pair: str, by: str, method: str, seed: int) -> Run:
    own = {} if method in CLOSED else {"learning_rate": CHOSEN[method]}
    return _run("table", steps, pair=pair, by=by, method=method, seed=seed, **own)


def choose(made: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The rule behind `CHOSEN`, applied to the runs of a document."""
    found = [
        run
        for name, run in made.items()
        if name.startswith("tuning") and run["settings"]["learning_rate"] in RATES
    ]
    return {
        method: min(
            (run for run in found if run["settings"]["method"] == method),
            key=lambda run: run["chamfer"],
        )["settings"]["learning_rate"]
        for method in FITTED
    }


def _run(kind: str, steps: int | None, **settings: Any) -> Run:
    words = [kind, *(str(settings[name]) for name in ("pair", "by", "method"))]
    if kind == "tuning":
        words.append(f"learning_rate={settings['learning_rate']:g}")
    if settings["method"] not in CLOSED:
        settings["steps"] = STEPS if steps is None else steps
    words.append(f"seed {settings['seed']}")
    return Run(name=" ".join(words), compute=align, settings={"kind": kind, **settings})


def align(
    *, kind: str, pair: str, by: str, method: str, seed: int, **settings: Any
) -> tuple[Numbers, Arrays]:
    """Fit a method to one pair, and judge its map."""
    meshes = pair_of(pair)
    train = meshes.points(TRAINING_POINTS, by=by, noise=NOISE, seed=seed)
    test = meshes.points(TEST_POINTS, by=by, noise=NOISE, seed=seed + HELD_OUT)
    began, cpu_began = time.perf_counter(), time.process_time()
    transform, facts = fitted(method, train, seed=seed, **settings)
    numbers = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
        **facts,
    }
    vertices = transform(meshes.source.vertices)
    numbers |= judge(
        meshes, vertices, transform(test.source), test.target, full=kind == "table", seed=seed
    )
    arrays: Arrays = {}
    if kind == "table" and seed == 0 and by == "area":
        if pair == "animals":
            arrays["moved"] = vertices.astype(np.float16)
        else:  # a picture, since the meshes are not ours to pass on
            arrays["panel"] = panel(meshes.source.moved(vertices), meshes.source, "moved")
            if method == "none":
                arrays["target"] = panel(meshes.target, meshes.target, "target")
    return numbers, arrays


def fitted(
    method: str, train: lrmf.data.Pair, *, seed: int, **settings: Any
) -> tuple[Callable[[np.ndarray], np.ndarray], Numbers]:
    """A method's map, from points (n, 3) to points, and what is to be said of its fit."""
    if method == "none":
        return np.asarray, {}
    if method == "gaussian ot":
        return lrmf.GaussianOT().fit(Xs=train.source, Xt=train.target).transform, {}
    if method == "rigid icp":
        import trimesh

        matrix, _, _ = trimesh.registration.icp(
            train.source[:PLAN_POINTS], train.target, max_iterations=100, reflection=False,
            scale=False,
        )  # fmt: skip
        return lambda x: trimesh.transform_points(x, matrix), {}
    if method == "emd plan":
        import ot

        plan = ot.da.EMDTransport(max_iter=10_000_000)
        plan.fit(Xs=train.source[:PLAN_POINTS], Xt=train.target[:PLAN_POINTS])
        return lambda x: plan.transform(Xs=np.array(x)), {}
    model = FITTED[method](seed=seed, progress=False, **settings)
    model.fit(Xs=train.source, Xt=train.target)
    counts = {
        name: sum(array.size for array in getattr(model, name).arrays.values())
        for name in ("transform_", "density_", "source_flow_", "target_flow_")
        if hasattr(getattr(model, name, None), "arrays")
    }
    learned = {name: n for name, n in counts.items() if method[:4] != "back" or "flow" in name}
    return model.transform, {"outcome": model.outcome_, "parameters": sum(learned.values())}


def judge(
    meshes: lrmf.data.MeshPair,
    vertices: np.ndarray,
    moved: np.ndarray,
    target: np.ndarray,
    *,
    full: bool,
    seed: int,
) -> Numbers:
    """Marginal, skin and meaning.

    Args:
        meshes: A and B.
        vertices: those of A after the map.
        moved: fresh noisy points of A after the map.
        target: fresh noisy points of B.
        full: with the distances of the judge and within the family.
        seed: of the latter.
    """
    numbers: Numbers = {
        "chamfer": surfaces.chamfer(moved, target),
        "sliced_wasserstein": lrmf.distances.sliced_wasserstein(moved, target, seed=0),
        **surfaces.skin(meshes.source, vertices)._asdict(),
    }
    numbers["stretch"] = list(numbers["stretch"])
    if meshes.source.labels is not None:
        nearest = KNeighborsClassifier(1).fit(meshes.target.vertices, meshes.target.labels)
        numbers["parts"] = float(nearest.score(vertices, meshes.source.labels))
    if full:
        certificate = lrmf.lrd(moved, target, controls=False)
        numbers |= {"lrd": certificate.lrd, "lrd_stderr": certificate.lrd_stderr}
        family = lrmf.family_lrd(
            moved, target, density=JUDGES, steps=500, refit_steps=250, seed=seed, progress=False
        )
        numbers |= {"family_lrd": family.value, "family_lrd_stderr": family.stderr}
    return numbers


def panel(mesh: lrmf.data.Mesh, coloured: lrmf.data.Mesh, role: str) -> np.ndarray:
    """A mesh as a picture (height, width, 3), coloured by where its vertices were in A."""
    import matplotlib.pyplot as plt

    from lrmf import plots

    with plots.style():
        fig, ax = plt.subplots(figsize=(3.0, 2.6), dpi=100)
        color: Any = plots.COLORS["target"]
        if role == "moved":
            color = by_origin(coloured)
        plots.mesh(ax, mesh, color=color)
        fig.canvas.draw()
        picture = np.asarray(fig.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
        plt.close(fig)
    return picture


def by_origin(mesh: lrmf.data.Mesh) -> np.ndarray:
    """Red, green and blue that grow along the three axes of a mesh, (n, 3)."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return np.asarray(0.15 + 0.8 * (mesh.vertices - low) / (high - low))
