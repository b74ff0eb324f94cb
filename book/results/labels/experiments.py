"""The runs on labels in "Aligned distributions, wrong labels"."""

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
KNOWN = 10  # labels a side, of two classes
HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to

#: A map that can only turn, shift and stretch.
AFFINE = {"transform": lrmf.Affine(), "learning_rate": 3e-3}
#: Turned by 130 degrees, the moons are -50 degrees from themselves with labels exchanged.
TURNS = {"moons +130": 130.0, "moons +50": 50.0}
ARMS = {
    "clusters": ("none", "weights"),
    "moons +130": ("none",),
    "moons +50": ("none", "labels"),
}

CENTRES = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
SOURCE_SHARES, TARGET_SHARES = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.2, 0.7])


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs; ``steps`` makes them tiny."""
    for data, arms in ARMS.items():
        for seed in SEEDS:
            for arm in arms:
                settings = {"data": data, "arm": arm, "seed": seed, "steps": steps or STEPS}
                yield Run(name=f"{data} {arm} seed {seed}", compute=compute, settings=settings)


def clusters(*, seed: int, n: int = 2000) -> Pair:
    """Three clusters at the same places on both sides, in other proportions."""
    rng = np.random.default_rng(seed)
    labels = [rng.choice(3, size=n, p=shares) for shares in (SOURCE_SHARES, TARGET_SHARES)]
    source, target = (CENTRES[own] + rng.normal(scale=0.5, size=(n, 2)) for own in labels)
    return Pair(
        source=source,
        target=target,
        source_labels=labels[0],
        target_labels=labels[1],
        name="clusters",
    )


def few(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The labels of `KNOWN` // 2 random points of each class, and -1 elsewhere."""
    known = np.full(len(labels), -1)
    for u in np.unique(labels):
        rows = rng.choice(np.flatnonzero(labels == u), size=KNOWN // 2, replace=False)
        known[rows] = u
    return known


def compute(*, data: str, arm: str, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """Fit one map, and judge it on fresh points."""
    train, test = pairs = [_pair(data, s) for s in (seed, seed + HELD_OUT)]
    rng = np.random.default_rng(seed)
    model = lrmf.LRMF(
        steps=steps,
        private_steps=0,
        refit_steps=0,
        seed=seed,
        label_density=lrmf.Gaussian() if arm == "labels" else None,
        progress=False,
        **AFFINE if data == "moons +130" else {},
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
    if data == "clusters":
        return clusters(seed=seed)
    return lrmf.data.moons(rotation=TURNS[data], seed=seed)


def _nearest(source: np.ndarray, pair: Pair) -> float:
    """How often a source point has the label of the nearest target point."""
    model = KNeighborsClassifier(n_neighbors=1).fit(pair.target, pair.target_labels)
    return float(model.score(source, pair.source_labels))
