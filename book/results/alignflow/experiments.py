"""The runs of "AlignFlow and its kin": likelihood against critics, on pairs with a known truth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

import lrmf
from book.results.alignflow import digits
from book.results.runner import Arrays, Numbers, Run
from lrmf.data import Pair
from lrmf.data.toy import MOONS_MEAN

__all__ = ["HELD_OUT", "WEIGHTS", "pictures", "runs", "truth"]

SEEDS = range(5)
STEPS = 1000
HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to
WEIGHTS = (0.0, 1e-4, 1e-2, 1.0, math.inf)
DATA = ("moons", "pictures")

#: Small enough that a hundred fits take minutes.
FLOW = lrmf.RealNVP(blocks=4, hidden=(24, 24))
#: As they come: nothing was tuned.
GAME: dict[str, Any] = {
    "adversary": lrmf.Discriminator(hidden=(48, 48)),
    "adversary_steps": 1,
    "adversary_learning_rate": 2e-3,
    "batch_size": 128,
    "learning_rate": 2e-3,
    "progress": False,
}

#: The made pictures: six numbers each, of three kinds.
FEATURES = 6
SHARES = (0.5, 0.3, 0.2)


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs; ``steps`` makes them tiny."""
    arms = [f"alignflow {weight:g}" for weight in WEIGHTS]
    arms.append("shared 0.01")
    one_sided = ["flow-gan 0", "flow-gan inf"]
    for seed in SEEDS:
        for data in DATA:
            for arm in arms + (one_sided if data == "pictures" else []):
                settings = {"data": data, "arm": arm, "seed": seed, "steps": steps or STEPS}
                one = one_domain if arm.startswith("flow-gan") else compute
                yield Run(name=f"{data} {arm} seed {seed}", compute=one, settings=settings)
    for seed in SEEDS:
        for direction in digits.DIRECTIONS:
            for arm in digits.ARMS:
                yield Run(
                    name=f"digits {direction} {arm} seed {seed}",
                    compute=digits.compute,
                    settings={
                        "direction": direction,
                        "arm": arm,
                        "seed": seed,
                        "steps": steps or digits.STEPS,
                    },
                )


def pictures(*, n: int = 2000, seed: int = 0) -> Pair:
    """Two views of made pictures of three unequal kinds, unpaired; `truth` is the pairing.

    A picture is six numbers: a place along the curved ridge of its kind, and noise. B is what
    another camera sees: `truth` of pictures that are drawn anew.
    """
    source_rng, target_rng = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
    (a, source_labels), (b, target_labels) = _drawn(source_rng, n), _drawn(target_rng, n)
    return Pair(
        source=a,
        target=truth("pictures", b),
        source_labels=source_labels,
        target_labels=target_labels,
        name="pictures",
    )


def truth(data: str, a: np.ndarray) -> np.ndarray:
    """Where each source point belongs in B."""
    if data == "moons":
        angle = math.radians(50.0)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        return (a - MOONS_MEAN) @ turn.T + MOONS_MEAN
    # A turn by forty degrees in each of three planes, another contrast, a bend, and a shift.
    angle = math.radians(40.0)
    turn = np.kron(
        np.eye(3), [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    turned = a @ turn.T * np.array([1.0, 1.4, 0.7, 1.0, 1.2, 0.8])
    return turned + 0.3 * np.sin(turned) + 0.5


def _drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    kind = rng.choice(len(SHARES), size=n, p=SHARES)
    centres, directions, bends = np.random.default_rng(2020).normal(size=(3, len(SHARES), FEATURES))
    place = rng.uniform(-1.0, 1.0, size=(n, 1))
    ridge = 2.0 * centres[kind] + place * directions[kind] + 0.7 * place**2 * bends[kind]
    return ridge + 0.15 * rng.normal(size=(n, FEATURES)), kind


def compute(*, data: str, arm: str, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """Fit one model, and hold it against the truth on fresh points."""
    train, test = (_pair(data, s) for s in (seed, seed + HELD_OUT))
    model = _model(arm, steps, seed).fit(Xs=train.source, Xt=train.target)
    moved = model.transform(test.source)
    wanted = truth(data, test.source)
    there, home = truth(data, train.source[:1000]), train.source[:1000]
    numbers: Numbers = {
        "mse": _error(moved, wanted),
        "mse_back": _error(model.inverse_transform(there), home),
        "cycle": float(np.abs(model.inverse_transform(moved) - test.source).sum(axis=1).mean()),
        "lrd": model.certificate(test.source, test.target, controls=False).lrd,
        "labels": _labels(moved, test),
        "outcome": model.outcome_,
        "seconds": model.seconds_,
    }
    for side, points, others in (
        ("source", test.source, model.inverse_transform(test.target)),
        ("target", test.target, moved),
    ):
        if (critic := getattr(model, f"{side}_adversary_")) is not None:
            right = [(critic.logits(points) > 0.0).mean(), (critic.logits(others) < 0.0).mean()]
            numbers[f"{side}_critic"] = float(np.mean(right))
        density = getattr(model, f"private_{side}_")
        numbers[f"{side}_log_likelihood"] = float(density.log_prob(points).mean())
    numbers |= _conditions("map", model.transform_, test.source[:256])
    if arm.startswith("alignflow"):
        numbers |= _conditions(
            "source_flow", model.source_flow_, _latent(model.source_flow_, test.source[:256])
        )
        numbers |= _interpolation(model, test, np.random.default_rng(seed))
    return numbers, {}


def one_domain(*, data: str, arm: str, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """Fit a Flow-GAN to B alone."""
    train, test = (_pair(data, s) for s in (seed, seed + HELD_OUT))
    model = lrmf.FlowGAN(
        transform=FLOW,
        likelihood_weight=float(arm.partition(" ")[2]),
        steps=steps,
        seed=seed,
        **GAME,
    ).fit(train.target)
    noise = np.random.default_rng([seed, 1]).normal(size=(256, test.target.shape[1]))
    return {
        "log_likelihood": model.score(test.target),
        "lrd": model.certificate(test.target, controls=False).lrd,
        **_conditions("flow", model.transform_, noise),
        "outcome": model.outcome_,
        "seconds": model.seconds_,
    }, {}


def _pair(data: str, seed: int) -> Pair:
    return pictures(seed=seed) if data == "pictures" else lrmf.data.moons(seed=seed)


def _model(arm: str, steps: int, seed: int) -> lrmf.AlignFlow:
    kind, _, weight = arm.partition(" ")
    return lrmf.AlignFlow(
        transform=FLOW,
        shared=FLOW if kind == "shared" else None,
        likelihood_weight=float(weight),
        **GAME,
        steps=steps,
        seed=seed,
    )


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The mean square error, as a share of what the mean of all wanted points would have."""
    return float(((found - wanted) ** 2).sum() / ((wanted - wanted.mean(axis=0)) ** 2).sum())


def _labels(moved: np.ndarray, pair: Pair) -> float:
    nearest = NearestNeighbors(n_neighbors=1).fit(pair.target)
    rows = nearest.kneighbors(moved, return_distance=False)[:, 0]
    return float(np.mean(pair.target_labels[rows] == pair.source_labels))


def _latent(flow: lrmf.Flow, x: np.ndarray) -> np.ndarray:
    return np.asarray(flow.inverse(x)[0])


def _conditions(name: str, flow: lrmf.Flow, x: np.ndarray) -> Numbers:
    """Median and 95th percentile of the condition numbers of the Jacobian at points.

    By differences, which two domains of a few features allow.
    """
    step = 1e-2 * x.std()
    columns = [
        (flow.forward(x + step * e)[0] - flow.forward(x - step * e)[0]) / (2.0 * step)
        for e in np.eye(x.shape[1])
    ]
    values = np.linalg.svd(np.stack(columns, axis=-1), compute_uv=False)
    with np.errstate(divide="ignore"):
        found = np.log10(values[:, 0] / values[:, -1])
    return {
        f"{name}_log10_condition": float(np.median(found)),
        f"{name}_log10_condition_95": float(np.quantile(found, 0.95)),
    }


def _interpolation(model: Any, test: Pair, rng: np.random.Generator) -> Numbers:
    """How many points between two latent points of A are as near to data as data are, in A and B.

    The same for points half-way between two points of A themselves, for comparison.
    """
    first, second = rng.choice(len(test.source), size=(2, 500))
    z = _latent(model.source_flow_, test.source)
    mixed = (z[first] + z[second]) / math.sqrt(2.0)  # of variance one again
    halfway = (test.source[first] + test.source[second]) / 2.0
    return {
        "plausible_source": _plausible(model.source_flow_.forward(mixed)[0], test.source),
        "plausible_target": _plausible(model.target_flow_.forward(mixed)[0], test.target),
        "plausible_halfway": _plausible(halfway, test.source),
    }


def _plausible(x: np.ndarray, data: np.ndarray) -> float:
    nearest = NearestNeighbors(n_neighbors=2).fit(data)
    own = nearest.kneighbors(data)[0][:, 1]
    finite = np.isfinite(x).all(axis=1)
    distances = nearest.kneighbors(np.where(finite[:, None], x, 1e6), n_neighbors=1)[0][:, 0]
    return float(np.mean(finite & (distances <= np.quantile(own, 0.99))))
