"""The runs on labels in "A judge and its controls": what they add to two distributions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.runner import Arrays, Numbers, Run
from lrmf.data import Pair

__all__ = ["HELD_OUT", "KNOWN", "clusters", "few", "runs"]

SEEDS = range(5)
STEPS = 4000
KNOWN = 10  # labels a side
HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to
ARMS = {"moons": ("none", "labels"), "clusters": ("none", "weights", "labels")}

CENTRES = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
SOURCE_SHARES, TARGET_SHARES = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.2, 0.7])


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs; ``steps`` makes them tiny."""
    for data, arms in ARMS.items():
        for arm in arms:
            for seed in SEEDS:
                settings = {"data": data, "arm": arm, "seed": seed, "steps": steps or STEPS}
                yield Run(name=f"{data} {arm} seed {seed}", compute=compute, settings=settings)


def clusters(*, seed: int, n: int = 2000) -> Pair:
    """Three clusters at the same places on both sides, in other proportions."""
    rng = np.random.default_rng(seed)
    labels = [rng.choice(3, size=n, p=shares) for shares in (SOURCE_SHARES, TARGET_SHARES)]
    source, target = (CENTRES[own] + rng.normal(scale=0.5, size=(n, 2)) for own in labels)
    return Pair(source, target, *labels, name="clusters")


def few(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels of `KNOWN` random points, two or more of each class, and -1 elsewhere."""
    while True:
        rows = rng.choice(len(labels), size=KNOWN, replace=False)
        counts = np.bincount(labels[rows], minlength=labels.max() + 1)
        if counts.min() >= 2:
            known = np.full(len(labels), -1)
            known[rows] = labels[rows]
            return known


def compute(*, data: str, arm: str, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """Fit one map, and judge it on fresh points."""
    pairs = [_pair(data, s) for s in (seed, seed + HELD_OUT)]
    train, test = pairs
    rng = np.random.default_rng(seed)
    model = lrmf.LRMF(
        steps=steps,
        private_steps=0,
        refit_steps=0,
        seed=seed,
        label_density=lrmf.Gaussian() if arm == "labels" else None,
        progress=False,
    )
    weights = [
        (TARGET_SHARES / SOURCE_SHARES)[pair.source_labels] if arm == "weights" else None
        for pair in pairs
    ]
    model.fit(
        Xs=train.source,
        ys=few(train.source_labels, rng),
        Xt=train.target,
        yt=few(train.target_labels, rng),
        sample_weight_s=weights[0],
    )
    certificate = model.certificate(test.source, test.target, sample_weight_s=weights[1])
    return {
        "before": _nearest(test.source, test),
        "after": _nearest(model.transform(test.source), test),
        "lrd": certificate.lrd,
        "lrd_stderr": certificate.lrd_stderr,
        "decision": certificate.decision,
        "outcome": model.outcome_,
    }, {}


def _pair(data: str, seed: int) -> Pair:
    return clusters(seed=seed) if data == "clusters" else lrmf.data.moons(rotation=50.0, seed=seed)


def _nearest(source: np.ndarray, pair: Pair) -> float:
    """How often a target point has the label of the nearest source point."""
    model = KNeighborsClassifier(n_neighbors=1).fit(source, pair.source_labels)
    return float(model.score(pair.target, pair.target_labels))
