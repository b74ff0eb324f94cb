"""The library's defaults on data that no choice was made with."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import linalg
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.runner import Arrays, Numbers, Run

__all__ = ["clusters", "compute", "runs"]

#: Choices were made with seeds 200 to 239; these were looked at once, after all of them.
FRESH = range(1000, 1050)
HELD_OUT = 1000  # added to a seed: that of the points that nothing is fitted to
DIMENSIONS = (16, 2, 64, 8)
#: So many of the fresh seeds for pairs of clusters, and for what else is beside the moons of LRMF.
PAIRS, OTHERS = 3, 10

#: The default of LRMF in the plane and of other flows everywhere, and that of LRMF beyond.
WIDE, SMALL = lrmf.RealNVP(hidden=(64, 64)), lrmf.default_transform((8,))
METHODS: dict[str, Callable[..., Any]] = {
    "LRMF": lrmf.LRMF,
    "wide LRMF": lambda **options: lrmf.LRMF(transform=WIDE, **options),
    "AUB": lrmf.AUB,
    "FFJORD": lambda **options: lrmf.LRMF(transform=lrmf.FFJORD(), **options),
    "MMDFlow": lrmf.MMDFlow,
    "small MMDFlow": lambda **options: lrmf.MMDFlow(transform=SMALL, **options),
    "EMDFlow": lrmf.EMDFlow,
    "GaussianOT": lambda **_: lrmf.GaussianOT(),
    "identity": lambda **_: None,
}
#: Features, and points a side, at the ends of what the defaults are meant for.
SIZES = ((2, 200), (16, 500), (64, 100_000))
#: A step of an ordinary differential equation's flow costs ten of another's.
FEWER_STEPS = {"steps": 2000, "learning_rate": 3e-3}


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    tiny = {} if steps is None else {"steps": steps}

    def moons(method: str, seed: int, rotation: float = -50.0, **options: Any) -> Run:
        where = " ".join([method, options.get("backend", "jax"), f"{rotation:+.0f}"])
        settings = {"data": "moons", "method": method, "seed": seed, "rotation": rotation}
        return Run(
            name=f"moons {where} seed {seed}",
            compute=compute,
            settings=settings | options | tiny,
        )

    def clusters_by(method: str, d: int, seed: int, distortion: str = "bent", **size: int) -> Run:
        settings = {"data": "clusters", "seed": seed, "d": d, "distortion": distortion}
        trained = {} if method in ("identity", "GaussianOT") else tiny
        where = " ".join([f"clusters {distortion} {d}", *(f"n={n}" for n in size.values()), method])
        return Run(
            name=where + ("" if seed == FRESH[0] else f" seed {seed}"),
            compute=compute,
            settings=settings | {"method": method} | size | trained,
        )

    for seed in FRESH:
        yield moons("LRMF", seed)
    for seed in FRESH[:3]:
        yield moons("LRMF", seed, backend="tfp")
    for seed, d in itertools.product(FRESH[:PAIRS], DIMENSIONS):
        maps = ("wide LRMF", "small MMDFlow") if d > 2 else ()  # each with the other's T
        for method in ("identity", "GaussianOT", "LRMF", "MMDFlow", "EMDFlow", *maps):
            yield clusters_by(method, d, seed)
    for d in DIMENSIONS:
        for method in ("identity", "GaussianOT", "LRMF"):
            yield clusters_by(method, d, FRESH[0], distortion="affine")
    for d, n in SIZES:
        for method in ("identity", "GaussianOT", "LRMF"):
            yield clusters_by(method, d, FRESH[0], n=n)
    for seed in FRESH[:OTHERS]:
        yield moons("AUB", seed)
        yield moons("LRMF", seed, 50.0)
        yield moons("FFJORD", seed, **FEWER_STEPS)


def compute(
    *, data: str, method: str, seed: int, n: int | None = None, **options: Any
) -> tuple[Numbers, Arrays]:
    """Fit one method to one pair, and judge it on fresh points of the same pair."""
    if data == "moons":
        rotation = options.pop("rotation")
        train = lrmf.data.moons(n=n or 2000, rotation=rotation, seed=seed)
        test = lrmf.data.moons(n=4000, rotation=rotation, seed=seed + HELD_OUT)
    else:
        shape = {"d": options.pop("d"), "distortion": options.pop("distortion"), "pair": seed}
        train = clusters(n=n or 5000, seed=seed, **shape)
        test = clusters(n=4000, seed=seed + HELD_OUT, **shape)
    a_test, b_test = test.source, test.target
    began, processor = time.perf_counter(), time.process_time()
    trained: dict[str, Any] = {}
    if method not in ("GaussianOT", "identity"):
        trained = {"seed": seed, "progress": False}
    model = METHODS[method](**trained, **options)
    moved = (
        a_test if model is None else model.fit(Xs=train.source, Xt=train.target).transform(a_test)
    )
    seconds = {
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
    }
    judged = lrmf.lrd(moved, b_test)
    neighbours = KNeighborsClassifier(1).fit(b_test, test.target_labels)
    return {
        "lrd": judged.lrd,
        "lrd_stderr": judged.lrd_stderr,
        "decision": judged.decision,
        "accuracy": float(neighbours.score(moved, test.source_labels)),
        "accuracy_before": float(neighbours.score(a_test, test.source_labels)),
        **seconds,
    }, {}


def clusters(*, n: int, d: int, distortion: str, pair: int, seed: int) -> Any:
    """Six normal clusters of one labelling, and fresh ones seen through a distorting instrument.

    ``"affine"`` turns by a rotation near the identity, scales each feature and shifts it.
    ``"bent"`` then adds c log(1 + exp(2x)) to each feature x, which no affine map undoes.

    Args:
        n: points a side.
        d: features.
        distortion: ``"affine"`` or ``"bent"``.
        pair: seed of clusters and distortion.
        seed: of the points.
    """
    rng = np.random.default_rng([pair, d])
    means = rng.normal(size=(6, d)) * 2.0
    spread = rng.uniform(0.3, 0.8, size=(6, d))
    skew = rng.normal(size=(d, d)) * 0.4 / np.sqrt(d)
    rotation = linalg.expm(skew - skew.T)
    scale, shift, bend = rng.uniform(0.6, 1.6, d), rng.normal(size=d), rng.uniform(0.3, 0.9, d)
    points = np.random.default_rng([seed, d])

    def draw() -> tuple[np.ndarray, np.ndarray]:
        labels = points.integers(6, size=n)
        return means[labels] + spread[labels] * points.normal(size=(n, d)), labels

    (a, a_labels), (b, b_labels) = draw(), draw()
    a = (a @ rotation.T) * scale + shift
    if distortion == "bent":
        a = a + bend * np.logaddexp(0.0, 2.0 * a)
    return lrmf.data.Pair(
        source=a, target=b, source_labels=a_labels, target_labels=b_labels, name="clusters"
    )
