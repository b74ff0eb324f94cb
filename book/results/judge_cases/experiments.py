"""The experiment behind the hard cases of "A judge and its controls".

On each of them some judge by likelihoods of refitted copies was wrong: it gave data of one law
distances from -2 to 163 nats, often "not aligned", or called data that differ "aligned".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import lrmf
from book.results.runner import Arrays, Numbers, Run

__all__ = ["CASES", "compute", "runs"]

REPEATS = 10
DECISIONS = ("aligned", "not aligned", "not decided")

Pair = tuple[np.ndarray, np.ndarray]
Law = Callable[[np.random.Generator, int], np.ndarray]


def _twice(law: Law, n: int, unit: float = 1.0, offset: float = 0.0) -> Callable[..., Pair]:
    def draw(rng: np.random.Generator) -> Pair:
        a, b = (unit * law(rng, n) + offset for _ in range(2))
        return a, b

    return draw


def _normal(d: int) -> Law:
    return lambda rng, n: rng.normal(size=(n, d))


def _same_array(rng: np.random.Generator) -> Pair:
    x = rng.normal(size=(5000, 64))
    return x, x.copy()


def _halves(rng: np.random.Generator) -> Pair:
    x = rng.normal(size=(8000, 16)) @ rng.normal(size=(16, 16))
    return x[:4000], x[4000:]


def _moons(rng: np.random.Generator, n: int = 2000, rotation: float = 0.0) -> Pair:
    pair = lrmf.data.moons(n=n, rotation=rotation, seed=int(rng.integers(2**31)))
    return pair.source, pair.target


def _turned(unit: float) -> Callable[..., Pair]:
    def draw(rng: np.random.Generator) -> Pair:
        a, b = _moons(rng, rotation=-50.0)
        return unit * a, unit * b

    return draw


def _apart(**settings: Any) -> Callable[..., Pair]:
    """The images of N(0, I) by fits from the identity that learn nothing, and N(2, I)."""

    def draw(rng: np.random.Generator) -> Pair:
        a, b, a_test, b_test = (rng.normal(size=(2000, 2)) + shift for shift in (0.0, 2.0) * 2)
        seed = int(rng.integers(2**31))
        model = lrmf.LRMF(start="identity", progress=False, seed=seed, **settings)
        return model.fit(Xs=a, Xt=b).transform(a_test), b_test

    return draw


#: What is drawn, and whether its two sides have one law.
CASES: dict[str, tuple[Callable[..., Pair], bool]] = {
    "the same array, d = 64, 5,000 points": (_same_array, True),
    "moons and fresh moons": (_moons, True),
    "moons, 300 points": (lambda rng: _moons(rng, n=300), True),
    "one law, d = 8, 20,000 points": (_twice(_normal(8), 20_000), True),
    "one law, d = 64, 20,000 points": (_twice(_normal(64), 20_000), True),
    "one law, d = 784, 2,000 points": (_twice(_normal(784), 2000), True),
    "halves of 8,000 points, d = 16": (_halves, True),
    "one law, d = 5, 300 points": (_twice(_normal(5), 300), True),
    "one law, d = 2, 100 points": (_twice(_normal(2), 100), True),
    "one law, times 100": (_twice(_normal(2), 1000, unit=100.0), True),
    "one law, over 1,000": (_twice(_normal(2), 1000, unit=1e-3), True),
    "one law, plus 100": (_twice(_normal(2), 1000, offset=100.0), True),
    "uniform on {0..3}²": (_twice(lambda rng, n: rng.integers(0, 4, size=(n, 2)), 1000), True),
    "a constant feature": (
        _twice(lambda rng, n: np.stack([rng.normal(size=n), np.ones(n)], axis=1), 1000), True,
    ),
    "Poisson counts": (_twice(lambda rng, n: rng.poisson(3.0, size=(n, 2)), 1000), True),
    "moons at -50°, times 1": (_turned(1.0), False),
    "moons at -50°, times 0.01": (_turned(0.01), False),
    "moons at -50°, times 0.001": (_turned(0.001), False),
    "N(0, I) to N(2, I) by LRMF, 3 steps": (_apart(steps=3), False),
    "N(0, I) to N(2, I) by LRMF, rate 1e-6": (_apart(learning_rate=1e-6, steps=1000), False),
}  # fmt: skip


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs; ``steps`` is the number of repeats in tiny runs."""
    for name in CASES:
        yield Run(name=name, compute=compute, settings={"case": name, "repeats": steps or REPEATS})


def compute(*, case: str, repeats: int) -> tuple[Numbers, Arrays]:
    """Draw and judge one case several times."""
    draw, one_law = CASES[case]
    found = [
        lrmf.lrd(*draw(np.random.default_rng([7000, list(CASES).index(case), k])), seed=k)
        for k in range(repeats)
    ]
    distances = [certificate.lrd for certificate in found]
    numbers: Numbers = {"one_law": one_law, "repeats": repeats}
    numbers |= {word: sum(c.decision == word for c in found) for word in DECISIONS}
    return numbers | {
        "smallest": min(distances),
        "largest": max(distances),
        "stderr": float(np.mean([certificate.lrd_stderr for certificate in found])),
    }, {}
