"""Flow matching in ott-jax beside LRMF: seconds from two samples to a map, and what became of it.

Other work than LRMF's, so steps are not compared: each trains as many as LRMF does by default, and
the same judge looks at what comes out. Flow matching is that of the book's comparison, with the
settings that its search chose; it pairs the points of a batch either as they come or by the batch's
optimal plan. Every run has a process of its own.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.cold import timed_child
from benchmarks.hardware import peak_memory
from benchmarks.report import summarised

__all__ = ["METHODS", "available", "flow_matching", "likelihood_ratio", "measure"]

METHODS = ("lrmf-jax", "matching", "matching, plans")
#: What a run imports: of flow matching, and of LRMF.
NEEDED = (
    (
        "jax",
        "optax",
        "flax.nnx",
        "ott.neural.methods.flow_matching",
        "book.results.comparison.methods",
        "book.results.comparison.flow_matching",
    ),
    ("jax", "optax"),
)
Map = Callable[[np.ndarray], np.ndarray]


def available(method: str) -> bool:
    """Whether everything that the method needs is installed (nothing is imported)."""
    names = NEEDED[method == "lrmf-jax"]
    return all(find_spec(name.partition(".")[0]) is not None for name in names)


def measure(*, repeats: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Each method with as many seeds; medians and extremes."""
    found = {}
    names = ["fit_seconds", "transform_seconds", "lrd", "labels", "peak_memory_bytes"]
    for method in filter(available, METHODS):
        runs = []
        for seed in range(repeats):
            report(f"{method}, seed {seed}")
            runs.append(timed_child(["-m", "benchmarks.matching", method, str(seed)]))
        found[method] = {**summarised(runs, names), "parameters": runs[0]["parameters"]}
    return found


def likelihood_ratio(
    source: np.ndarray, target: np.ndarray, seed: int, **options: Any
) -> tuple[Map, int]:
    """`lrmf.LRMF`, with its defaults but for the options, and how many numbers it trains."""
    import lrmf

    model = lrmf.LRMF(seed=seed, progress=False, **options).fit(Xs=source, Xt=target)
    models = (model.transform_, model.density_)
    return model.transform, sum(x.size for m in models for x in m.arrays.values())


def flow_matching(
    source: np.ndarray, target: np.ndarray, seed: int, *, plans: bool, steps: int
) -> tuple[Map, int]:
    """A velocity field between the two samples by ott-jax, and how many numbers it has."""
    from book.results.comparison.methods import CHOSEN, make

    method = "ot-flow-matching" if plans else "flow-matching"
    model = make(method, seed=seed, steps=steps, **CHOSEN[method]).fit(Xs=source, Xt=target)
    return model.transform, model.parameters_


def _run(method: str, seed: int) -> dict[str, Any]:
    from sklearn.neighbors import KNeighborsClassifier

    import lrmf

    pair, held_out = lrmf.data.moons(seed=seed), lrmf.data.moons(seed=seed + 1000)
    for name in NEEDED[method == "lrmf-jax"]:  # before the clock starts
        importlib.import_module(name)
    start = time.perf_counter()
    if method == "lrmf-jax":
        move, parameters = likelihood_ratio(pair.source, pair.target, seed)
    else:
        move, parameters = flow_matching(
            pair.source,
            pair.target,
            seed,
            plans=method.endswith("plans"),
            steps=lrmf.LRMF().steps,
        )
    fitted = time.perf_counter()
    moved = move(held_out.source)
    done = time.perf_counter()
    neighbour = KNeighborsClassifier(n_neighbors=1).fit(held_out.target, held_out.target_labels)
    return {
        "fit_seconds": fitted - start,
        "transform_seconds": done - fitted,
        "lrd": lrmf.lrd(moved, held_out.target, controls=False).lrd,
        "labels": float(neighbour.score(moved, held_out.source_labels)),
        "parameters": parameters,
        "peak_memory_bytes": peak_memory(),
    }


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], int(sys.argv[2]))))
