"""The experiments behind "Affine LRMF": normal densities on blobs and moons, and richer ones.

What they compute is the same as on the page, for several seeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy.linalg import fractional_matrix_power
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.runner import Arrays, Numbers, Run
from lrmf.theory import gaussian

__all__ = ["HELD_OUT", "moments", "rich", "runs"]

SEEDS = range(10)
RICH_SEEDS = range(5)
HELD_OUT = 1000  # added to a seed: that of the fresh pair
FRESH = 2000  # points a side
STEPS = 4000
RICH_STEPS = 3000


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    for pair in ("blobs", "moons"):
        for backend in ("jax", "tfp"):
            for seed in SEEDS:
                yield Run(
                    name=f"{pair} {backend} seed {seed}",
                    compute=moments,
                    settings={
                        "pair": pair,
                        "backend": backend,
                        "seed": seed,
                        "steps": steps or STEPS,
                    },
                )
    for seed in RICH_SEEDS:
        yield Run(
            name=f"rich seed {seed}",
            compute=rich,
            settings={"seed": seed, "steps": steps or RICH_STEPS},
        )


def moments(
    *, pair: str, backend: Literal["jax", "tfp"], seed: int, steps: int
) -> tuple[Numbers, Arrays]:
    """Fit a positive definite map under normal densities, and compare moments."""
    train, fresh = pairs(pair, seed)
    began = time.perf_counter()
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.Affine(kind="positive_definite"),
        density=lrmf.Gaussian(),
        start="identity",
        backend=backend,
        steps=steps,
        batch_size=2000,
        learning_rate=0.05,
        private_steps=None,
        refit_steps=500,
        seed=seed,
        progress=False,
    ).fit(Xs=train.source, Xt=train.target)
    seconds = time.perf_counter() - began
    matrix = model.transform_.arrays["matrix"].astype(float)
    monge, shift = gaussian.monge_map(*two(train.source), *two(train.target))
    certificate = model.family_certificate(fresh.source, fresh.target)
    numbers: Numbers = {
        "last_loss": float(model.history_["loss"][-1]),
        "map_error": float(np.abs(matrix.T @ matrix - monge).max()),
        "shift_error": float(np.abs(model.transform_.arrays["shift"] - shift).max()),
        "certificate_lrd": certificate.lrd,
        "certificate_lrd_stderr": certificate.lrd_stderr,
        "verdict": certificate.verdict.split(":")[0],
        "fit_seconds": seconds,
    }
    for where, data in (("train", train), ("fresh", fresh)):
        moved = model.transform(data.source).astype(float)
        for when, points in (("before", data.source), ("after", moved)):
            numbers |= {
                f"{where}_{when}_{name}": value
                for name, value in mismatch(points, data.target).items()
            }
        if pair == "moons":
            numbers[f"{where}_accuracy_before"] = accuracy(data, data.source)
            numbers[f"{where}_accuracy_after"] = accuracy(data, moved)
    return numbers, {}


def rich(*, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """Moons judged by RealNVP densities: unmoved, and moved by affine maps of two fits."""
    train, fresh = pairs("moons", seed)
    monge = gaussian.monge_map(*two(train.source), *two(train.target))
    density = lrmf.RealNVP(hidden=(64, 64))
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.Affine(),
        density=density,
        steps=steps,
        learning_rate=5e-3,
        private_steps=1,
        refit_steps=1,
        seed=seed,
        progress=False,
    ).fit(Xs=train.source, Xt=train.target)
    images = {
        "before": fresh.source,
        "normal": fresh.source @ monge[0].T + monge[1],
        "realnvp": model.transform(fresh.source).astype(float),
    }
    numbers: Numbers = {
        f"realnvp_{name}": array.tolist() for name, array in model.transform_.arrays.items()
    }
    for name, points in images.items():
        distance = lrmf.family_lrd(
            points,
            fresh.target,
            standardize=False,
            schedule="cosine",
            density=density,
            steps=steps,
            seed=seed,
            progress=False,
        )
        numbers |= {
            f"{name}_lrd": distance.value,
            f"{name}_lrd_stderr": distance.stderr,
            f"{name}_accuracy": accuracy(fresh, points),
            f"{name}_normal_distance": mismatch(points, fresh.target)["distance"],
        }
    return numbers, {}


def pairs(name: str, seed: int) -> tuple[lrmf.data.Pair, lrmf.data.Pair]:
    """Points to fit to, and fresh ones."""
    if name == "blobs":
        return lrmf.data.blobs(seed=seed), lrmf.data.blobs(n=FRESH, seed=seed + HELD_OUT)
    return lrmf.data.moons(seed=seed), lrmf.data.moons(n=FRESH, seed=seed + HELD_OUT)


def two(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance."""
    return x.mean(axis=0), np.cov(x.T, bias=True)


def mismatch(x: np.ndarray, y: np.ndarray) -> Numbers:
    """How far apart first and second moments are: see the chapter's definitions."""
    (mean_x, cov_x), (mean_y, cov_y) = two(x), two(y)
    whiten = fractional_matrix_power(cov_y, -0.5)
    return {
        "gap": float(np.linalg.norm(whiten @ (mean_x - mean_y))),
        "stretch": float(np.abs(0.5 * np.log(np.linalg.eigvalsh(whiten @ cov_x @ whiten))).max()),
        "mean": float(np.abs(mean_x - mean_y).max()),
        "covariance": float(np.abs(cov_x - cov_y).max()),
        "distance": float(gaussian.distance(mean_x, cov_x, mean_y, cov_y)),
    }


def accuracy(data: lrmf.data.Pair, moved: np.ndarray) -> float:
    """1-NN accuracy: learned on B, tested on the moved source (the paper's Figure 4)."""
    judge = KNeighborsClassifier(n_neighbors=1).fit(data.target, data.target_labels)
    return float(judge.score(moved, data.source_labels))
