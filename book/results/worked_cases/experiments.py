"""The runs of "Three worked cases": every method on every case, against truth and certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import QuantileTransformer, StandardScaler

import lrmf
from book.results.runner import Arrays, Numbers, Run
from lrmf.data.cases import Case

__all__ = ["CASES", "HELD_OUT", "METHODS", "SEEDS", "fit", "resampled", "runs", "scores"]

SEEDS = range(5)
HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to
STEPS = 4000
NEIGHBOURS = 15

CASES = {
    "batches": lrmf.data.batches,
    "sensors": lrmf.data.sensors,
    "surveys": lrmf.data.surveys,
}
Map = Callable[[np.ndarray], np.ndarray]


def scaler(source: np.ndarray, target: np.ndarray, seed: int) -> Map:
    """Mean and deviation of each column."""
    here, there = StandardScaler().fit(source), StandardScaler().fit(target)
    return lambda x: there.inverse_transform(here.transform(x))


def quantiles(source: np.ndarray, target: np.ndarray, seed: int) -> Map:
    """All quantiles of each column."""
    here, there = (
        QuantileTransformer(n_quantiles=500, random_state=seed).fit(x) for x in (source, target)
    )
    return lambda x: there.inverse_transform(here.transform(x))


def coral(source: np.ndarray, target: np.ndarray, seed: int) -> Map:
    """Means and covariances, by CORAL."""
    return lrmf.CORAL().fit(Xs=source, Xt=target).transform


def linear_transport(source: np.ndarray, target: np.ndarray, seed: int) -> Map:
    """Means and covariances, by POT's affine map."""
    import ot

    model = ot.da.LinearTransport(reg=1e-8).fit(Xs=source, Xt=target)
    return lambda x: model.transform(Xs=x)


def emd(source: np.ndarray, target: np.ndarray, seed: int) -> Map:
    """POT's exact plan; new points move as their nearest neighbour did."""
    import ot

    model = ot.da.EMDTransport(max_iter=10_000_000).fit(Xs=source, Xt=target)
    return lambda x: model.transform(Xs=x)


METHODS: dict[str, Callable[[np.ndarray, np.ndarray, int], Map]] = {
    "nothing": lambda source, target, seed: lambda x: x,
    "StandardScaler": scaler,
    "quantiles": quantiles,
    "CORAL": coral,
    "LinearTransport": linear_transport,
    "EMD": emd,
}


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs; ``steps`` makes them tiny."""
    for seed in SEEDS:
        for case in CASES:
            methods = [*METHODS, "LRMF", "linear, LRMF"]
            methods += ["LRMF, no weights"] if case == "surveys" else []
            for method in methods:
                settings = {"case": case, "method": method, "seed": seed, "steps": steps or STEPS}
                yield Run(name=f"{case} {method} seed {seed}", compute=compute, settings=settings)


def resampled(case: Case, seed: int) -> np.ndarray:
    """The source, drawn by its weights where it has some: for methods that take none."""
    if case.source_weights is None:
        return case.source
    rng = np.random.default_rng(seed)
    p = case.source_weights / case.source_weights.sum()
    return case.source[rng.choice(len(p), size=len(p), p=p)]


def fit(method: str, train: Case, seed: int, steps: int) -> Map:
    """Fit a method to a case."""
    if method in METHODS:
        return METHODS[method](resampled(train, seed), train.target, seed)
    weights = None if method.endswith("no weights") else train.source_weights
    # With the defaults of the library; after the linear map, T has to undo only what that leaves.
    before = METHODS["nothing"](train.source, train.target, seed)
    if method.startswith("linear"):
        before = lrmf.GaussianOT().fit(Xs=resampled(train, seed), Xt=train.target).transform
    model = lrmf.LRMF(steps=steps, seed=seed, progress=False)
    model.fit(Xs=before(train.source), Xt=train.target, sample_weight_s=weights)
    return lambda x: model.transform(before(x))


def compute(*, case: str, method: str, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """Fit one map, and judge it on fresh points."""
    train, test = (CASES[case](seed=s) for s in (seed, seed + HELD_OUT))
    began = time.perf_counter()
    move = fit(method, train, seed, steps)
    seconds = time.perf_counter() - began
    moved = move(test.source)
    weights = None if method.endswith("no weights") else test.source_weights
    certificate = lrmf.lrd(moved, test.target, sample_weight_s=weights)
    return {
        **scores(moved, test),
        "lrd": certificate.lrd,
        "lrd_stderr": certificate.lrd_stderr,
        "decision": certificate.decision,
        "seconds": seconds,
    }, {}


def scores(moved: np.ndarray, test: Case) -> Numbers:
    """Distance from the truth in the target's deviations, and labels by the target's neighbours."""
    error = (moved - test.truth) / test.target.std(axis=0)
    model = KNeighborsClassifier(n_neighbors=NEIGHBOURS)
    scale = StandardScaler().fit(test.target)
    model.fit(scale.transform(test.target), test.target_labels)
    return {
        "error": float(np.sqrt((error**2).mean())),
        "labels": float(model.score(scale.transform(moved), test.source_labels)),
        "labels_of_truth": float(model.score(scale.transform(test.truth), test.source_labels)),
    }
