"""The runs of "Is B different from A?": five tests; strangers have a file of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from threadpoolctl import threadpool_limits

import lrmf
from book.results.runner import Arrays, Numbers, Run
from book.results.testing.strangers import STEPS, strange
from lrmf.two_sample import (
    classifier_test,
    energy_test,
    likelihood_ratio_test,
    mmd_test,
    score_test,
)

__all__ = ["LEVEL", "SIZES", "TESTS", "draw", "power", "runs"]

LEVEL, POINTS, RELABELLINGS, REPEATS = 0.05, 100, 99, 60
DIMENSIONS = (2, 32)
#: Effects: a shift of all features together, in deviations, and the share of points on two spikes.
SIZES = {"shift": (0.0, 0.3, 0.6, 0.9), "shape": (0.0, 0.3, 0.6, 0.9)}
SEEDS = range(5)

TESTS: dict[str, Callable[..., lrmf.two_sample.TwoSampleTest]] = {
    "mmd": mmd_test,
    "energy": energy_test,
    "classifier": classifier_test,
    "likelihood ratio": likelihood_ratio_test,
    "score": score_test,
}


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs; ``steps`` makes them tiny."""
    repeats = min(steps or REPEATS, REPEATS)
    for kind, sizes in SIZES.items():
        for d in DIMENSIONS:
            for size in sizes:
                if size == 0.0 and kind == "shape":
                    continue  # the null once
                settings = {"kind": kind, "d": d, "size": size, "repeats": repeats}
                yield Run(name=f"power {kind} {size:g} d={d}", compute=power, settings=settings)
    for seed in SEEDS:
        yield Run(
            name=f"strange seed {seed}",
            compute=strange,
            settings={"seed": seed, "steps": steps or STEPS},
        )


def draw(kind: str, size: float, d: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Normal points, and points that are shifted, or of another shape with the same moments."""
    x, y = rng.normal(size=(2, POINTS, d))
    if kind == "shift":
        return x, y + size / np.sqrt(d)
    # The first feature of some points sits on two spikes, mean zero and variance one.
    spiked = rng.random(POINTS) < size
    spikes = rng.choice([-1.0, 1.0], size=POINTS) * 0.995 + 0.1 * rng.normal(size=POINTS)
    y[:, 0] = np.where(spiked, spikes, y[:, 0])
    return x, y


def power(*, kind: str, d: int, size: float, repeats: int) -> tuple[Numbers, Arrays]:
    """How often each test says that the samples differ."""
    found: dict[str, list[float]] = {name: [] for name in TESTS}
    for repeat in range(repeats):
        rng = np.random.default_rng([d, int(100 * size), kind == "shape", repeat])
        x, y = draw(kind, size, d, rng)
        with threadpool_limits(1):  # small samples: threads would wait for each other
            for name, test in TESTS.items():
                found[name].append(test(x, y, n_permutations=RELABELLINGS, seed=repeat).pvalue)
    return {name: float(np.mean(np.array(p) <= LEVEL)) for name, p in found.items()}, {}
