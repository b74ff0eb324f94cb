"""The runs of "Judge any alignment": the certificate beside two-sample tests, truth known."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy import optimize, special, stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split

import lrmf
from book.results.runner import Arrays, Numbers, Run
from lrmf.distances import mmd2, permutation_test

__all__ = [
    "DIMENSIONS",
    "DISTANCES",
    "KINDS",
    "LEVEL",
    "POINTS",
    "SEEDS",
    "draw",
    "runs",
    "strength",
]

SEEDS = range(5)
POINTS = 1500  # a side
DIMENSIONS = 4
LEVEL = 0.05
#: 2·JSD in nats: a fifth of the tolerance, and three times it.
DISTANCES = {"small": 0.02, "large": 0.3}
PERMUTATIONS = 199

Sampler = Callable[[int, float, np.random.Generator], np.ndarray]
LogRatio = Callable[[np.ndarray, float], np.ndarray]


def normal(n: int, rng: np.random.Generator) -> np.ndarray:
    """The target: a standard normal."""
    return rng.normal(size=(n, DIMENSIONS))


def _moved(n: int, s: float, rng: np.random.Generator) -> np.ndarray:
    return normal(n, rng) + s * np.eye(DIMENSIONS)[0]


def _moved_ratio(x: np.ndarray, s: float) -> np.ndarray:
    return s * x[:, 0] - s**2 / 2.0


def _wider(n: int, s: float, rng: np.random.Generator) -> np.ndarray:
    return normal(n, rng) * np.exp(s)


def _wider_ratio(x: np.ndarray, s: float) -> np.ndarray:
    return (x**2).sum(axis=1) * (1.0 - np.exp(-2.0 * s)) / 2.0 - DIMENSIONS * s


def _correlated(n: int, s: float, rng: np.random.Generator) -> np.ndarray:
    x, r = normal(n, rng), np.tanh(s)
    x[:, 1] = r * x[:, 0] + np.sqrt(1.0 - r**2) * x[:, 1]
    return x


def _correlated_ratio(x: np.ndarray, s: float) -> np.ndarray:
    r = np.tanh(s)
    residual = (x[:, 1] - r * x[:, 0]) ** 2 / (1.0 - r**2)
    return (x[:, 1] ** 2 - residual - np.log(1.0 - r**2)) / 2.0


def _clustered(n: int, s: float, rng: np.random.Generator) -> np.ndarray:
    share = special.expit(s - 4.0)
    x, inside = normal(n, rng), rng.random(n) < share
    x[inside] = 3.0 / np.sqrt(DIMENSIONS) + 0.3 * x[inside]
    return x


def _clustered_ratio(x: np.ndarray, s: float) -> np.ndarray:
    share = special.expit(s - 4.0)
    z = ((x - 3.0 / np.sqrt(DIMENSIONS)) / 0.3) ** 2
    cluster = ((x**2 - z).sum(axis=1)) / 2.0 - DIMENSIONS * np.log(0.3)
    return np.logaddexp(np.log1p(-share), np.log(share) + cluster)


def _checkered(n: int, s: float, rng: np.random.Generator) -> np.ndarray:
    amplitude, kept = np.tanh(s), np.empty((0, DIMENSIONS))
    while len(kept) < n:
        x = normal(2 * n, rng)
        wave = 1.0 + amplitude * np.sign(np.sin(4.0 * x[:, 0]) * x[:, 1])
        kept = np.concatenate([kept, x[rng.random(2 * n) * (1.0 + amplitude) < wave]])
    return kept[:n]


def _checkered_ratio(x: np.ndarray, s: float) -> np.ndarray:
    return np.log1p(np.tanh(s) * np.sign(np.sin(4.0 * x[:, 0]) * x[:, 1]))


#: How points of A are drawn, and their log-ratio log p_A/p_B, by the strength of the difference.
KINDS: dict[str, tuple[Sampler, LogRatio]] = {
    "shift": (_moved, _moved_ratio),
    "spread": (_wider, _wider_ratio),
    "correlation": (_correlated, _correlated_ratio),
    "small cluster": (_clustered, _clustered_ratio),
    "checkerboard": (_checkered, _checkered_ratio),
}


def distance(kind: str, s: float, n: int = 400_000) -> float:
    """2·JSD at a strength, by the mean over one fixed large sample of either side."""
    sample, ratio = KINDS[kind]
    a = ratio(sample(n, s, np.random.default_rng(1)), s)
    b = ratio(normal(n, np.random.default_rng(2)), s)
    softplus = functools.partial(np.logaddexp, 0.0)
    return float(2.0 * np.log(2.0) - softplus(-a).mean() - softplus(b).mean())


@functools.cache
def strength(kind: str, wanted: float) -> float:
    """The strength at which 2·JSD is as wanted."""
    low, high = (-6.0, 6.0) if kind == "small cluster" else (1e-3, 3.0)
    return float(optimize.brentq(lambda s: distance(kind, s) - wanted, low, high, xtol=1e-3))


def draw(kind: str, size: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A pair of samples; ``size`` "none" for two of one distribution."""
    rng = np.random.default_rng([seed, sum(map(ord, kind + size))])
    target = normal(POINTS, rng)
    if size == "none":
        return normal(POINTS, rng), target
    return KINDS[kind][0](POINTS, strength(kind, DISTANCES[size]), rng), target


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs; ``steps`` makes no difference but for the number of permutations."""
    plan = [("none", "none"), *((kind, size) for size in DISTANCES for kind in KINDS)]
    for seed in SEEDS:
        for kind, size in plan:
            settings = {"kind": kind, "size": size, "seed": seed}
            settings["permutations"] = steps or PERMUTATIONS
            yield Run(name=f"{kind} {size} seed {seed}", compute=compute, settings=settings)


def compute(*, kind: str, size: str, seed: int, permutations: int) -> tuple[Numbers, Arrays]:
    """Judge a pair in three ways."""
    a, b = draw(kind, size, seed)
    seconds = {}
    began = time.perf_counter()
    certificate = lrmf.lrd(a, b, seed=seed)
    seconds["lrd"] = time.perf_counter() - began
    began = time.perf_counter()
    accuracy, c2st = classifier_test(a, b, seed)
    seconds["c2st"] = time.perf_counter() - began
    began = time.perf_counter()
    mmd = permutation_test(mmd2, a, b, n_permutations=permutations, seed=seed)
    seconds["mmd"] = time.perf_counter() - began
    return {
        "truth": 0.0 if size == "none" else DISTANCES[size],
        "lrd": certificate.lrd,
        "lrd_stderr": certificate.lrd_stderr,
        "decision": certificate.decision,
        "c2st_accuracy": accuracy,
        "c2st_pvalue": c2st,
        "mmd": mmd.statistic,
        "mmd_pvalue": mmd.pvalue,
        "seconds": seconds,
    }, {}


def classifier_test(a: np.ndarray, b: np.ndarray, seed: int) -> tuple[float, float]:
    """C2ST of Lopez-Paz and Oquab (2017): accuracy on the held-out half, and its p-value."""
    x, y = np.concatenate([a, b]), np.repeat([1, 0], [len(a), len(b)])
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.5, stratify=y, random_state=seed
    )
    model = HistGradientBoostingClassifier(early_stopping=True, random_state=seed)
    right = int((model.fit(train_x, train_y).predict(test_x) == test_y).sum())
    n = len(test_y)
    return right / n, float(stats.binomtest(right, n, 0.5, alternative="greater").pvalue)
