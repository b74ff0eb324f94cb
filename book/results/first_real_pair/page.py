"""What the chapter says beyond certificates: pulls, planes, likelihoods, curves, answers."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.first_real_pair.digits import Digits, digits, shrink
from book.results.first_real_pair.judge import Judge
from book.results.runner import Arrays, Numbers, curve
from lrmf.theory import gaussian

__all__ = ["page"]

FRAMES, POINTS = 20, 250  # of the training that is played
PPCA = (1, 4, 16, 32, 64, 96, 128, 160, 192, 208, 224, 240, 255)


def page(
    *,
    k: int,
    seed: int,
    width: int,
    transform_width: int,
    steps: int,
    gaussian_steps: int,
    played: bool,
) -> tuple[Numbers, Arrays]:
    """What the chapter says beyond certificates: pulls, planes, likelihoods, curves, answers.

    The Gaussian map and the RealNVP map are those of `pair` with the same seed.
    """
    data, few = digits(), min(steps, 100)
    a, b, a_test, b_test = data.first(k)
    judge = Judge(data, k)
    realnvp: dict[str, Any] = {
        "density": lrmf.RealNVP(hidden=(width, width)),
        "learning_rate": 1e-3,
        "seed": seed,
        "steps": steps,
        "refit_steps": few,
    }
    still = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.Identity(),
        private_steps=few,
        **realnvp,
    ).fit(Xs=a, Xt=b)
    monge = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.Affine(kind="positive_definite"),
        density=lrmf.Gaussian(),
        start="identity",
        learning_rate=0.01,
        seed=seed,
        steps=gaussian_steps,
        private_steps=gaussian_steps if played else few,
        refit_steps=few,
        snapshot_every=max(1, gaussian_steps // FRAMES),
    ).fit(Xs=a, Xt=b)
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.RealNVP(hidden=(transform_width, transform_width)),
        snapshot_every=max(1, steps // FRAMES),
        private_steps=None,
        **realnvp,
    ).fit(Xs=a, Xt=b)

    matrix, shift = gaussian.monge_map(*moments(a), *moments(b))
    exact = a_test @ matrix.T + shift
    difference = np.linalg.norm(monge.transform(a_test) - exact) / np.linalg.norm(exact - a_test)
    moved = {
        "none": a_test,
        "gaussian": monge.transform(a_test),
        "realnvp 32": model.transform(a_test),
    }
    thin = np.linalg.eigh(np.cov(a.T) - np.cov(b.T))[1][:, -1]
    faded = moments(b)[0] + 0.5 * (b_test - moments(b)[0])
    normal = multivariate_normal(*moments(b))
    answers = {
        "none": judge.names(a, data.a_labels, b_test),
        "gaussian": judge.names(monge.transform(a), data.a_labels, b_test),
        "realnvp 32": judge.names(model.transform(a), data.a_labels, b_test),
    }
    linear, bent = (answers[name] == data.b_test_labels for name in ("gaussian", "realnvp 32"))
    zeros = [float(np.mean(labels == 0)) for labels in (data.a_labels, data.b_labels)]
    average = data.b_images.mean(axis=0)
    numbers = {
        "pull": pulls(still.density_, a, b),
        "monge_difference": float(difference),
        "planes": {
            **{name: planes(thin, x, b_test) for name, x in moved.items()},
            "halves": planes(thin, b_test[::2], b_test[1::2]),
        },
        "log_likelihood": {
            name: {
                "normal": float(normal.logpdf(x).mean()),
                "realnvp": float(model.private_target_.log_prob(x).mean()),
            }
            for name, x in {"mnist": b_test, "faded": faded, **moved}.items()
        },
        "faded_distance": float(gaussian.distance(*moments(faded), *moments(b_test))),
        "only_realnvp": int(np.sum(bent & ~linear)),
        "only_gaussian": int(np.sum(linear & ~bent)),
        "zeros": {"a": zeros[0], "b": zeros[1]},
        "label_gap": label_gap(data.a_test_labels, data.b_test_labels),
        "average_difference": {
            str(size): float(np.linalg.norm(shrink(data.a_images, size).mean(axis=0) - average))
            for size in (10, 12, 14, 16)
        },
    }

    constant = (
        model.private_source_.log_prob(a_test).mean()
        + model.private_target_.log_prob(b_test).mean()
    )
    arrays = {
        "loss": curve(model.history_["loss"]),
        "held_out_steps": np.array([step for step, _, _ in model.snapshots_]),
        "held_out": np.array(
            [
                lrmf.lrmf_loss(t, shared, a_test, b_test, constant=constant)
                for _, t, shared in model.snapshots_
            ],
            dtype=np.float32,
        ),
        **{
            f"answers {name}": confusion(data.b_test_labels, answers[name])
            for name in ("none", "realnvp 32")
        },
        **ppca(data, seed),
    }
    if played:
        axes = np.stack([*np.eye(k)[:2], thin])
        rows = np.random.default_rng(seed).permutation(min(len(a_test), len(b_test)))[:POINTS]
        arrays["gaussian loss"] = curve(monge.history_["loss"])
        arrays["played mnist"] = (b_test[rows] @ axes.T).astype(np.float16)
        for name, fitted in {"gaussian": monge, "realnvp 32": model}.items():
            track = lrmf.player.Track.from_aligner(
                fitted, a_test, b_test, title=name, frames=FRAMES, project=lambda z: z[:, :2]
            )
            frames = {step: flow for step, flow, _ in fitted.snapshots_}
            arrays[f"played steps {name}"] = np.array(track.steps, dtype=int)
            arrays[f"played {name}"] = np.stack(
                [frames[step].forward(a_test[rows])[0] @ axes.T for step in track.steps]
            ).astype(np.float16)
    return numbers, arrays


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance."""
    return x.mean(axis=0), np.cov(x.T, bias=True)


def pulls(density: Any, a: np.ndarray, b: np.ndarray) -> Numbers:
    """The mean gradient of log P_S over each side, where the map stands still.

    Of the best shared normal density and of a fitted one; along the normal density's pull on A.
    """
    mean, cov = gaussian.shared_moments(*moments(a), *moments(b))

    def fitted(x: np.ndarray) -> np.ndarray:
        total = jax.grad(lambda x: density.log_prob(x).sum())
        return np.asarray(total(jax.numpy.asarray(x, dtype="float32")))

    def normal(x: np.ndarray) -> np.ndarray:
        return np.linalg.solve(cov, (mean - x).T).T

    towards_b = normal(a).mean(axis=0)
    towards_b /= np.linalg.norm(towards_b)
    numbers: Numbers = {}
    for name, pull in {"normal": normal, "realnvp": fitted}.items():
        numbers[name] = {}
        for side, x in {"a": a, "b": b}.items():
            along = pull(x) @ towards_b
            numbers[name][side] = float(along.mean())
            numbers[name][f"{side}_stderr"] = float(along.std() / np.sqrt(len(along)))
    return numbers


def planes(thin: np.ndarray, a: np.ndarray, b: np.ndarray) -> Numbers:
    """How often 25 neighbours tell the sides apart in two planes; spreads across the thin one."""
    k, order = len(thin), np.random.default_rng(0)
    n = min(len(a), len(b))
    a, b = (order.permutation(x)[:n] for x in (a, b))
    side = np.repeat([0, 1], n)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    numbers = {"spread": float((a @ thin).std()), "mnist_spread": float((b @ thin).std())}
    for name, second in {"leading": np.eye(k)[1], "thin": thin}.items():
        plane = np.stack([np.eye(k)[0], second])
        x = np.concatenate([a, b]) @ plane.T / (b @ plane.T).std(axis=0)
        numbers[name] = float(cross_val_score(KNeighborsClassifier(25), x, side, cv=folds).mean())
    return numbers


def confusion(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """How many pictures of each digit (row) get each answer (column)."""
    table = np.zeros((10, 10), dtype=np.int16)
    np.add.at(table, (labels, answers), 1)
    return table


def label_gap(first: np.ndarray, second: np.ndarray) -> float:
    """Half the sum of the absolute differences of the labels' frequencies."""
    shares = [np.bincount(labels, minlength=10) / len(labels) for labels in (first, second)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def ppca(data: Digits, seed: int) -> Arrays:
    """Log-likelihood of a fifth of MNIST's training digits under probabilistic PCA."""
    rows = np.random.default_rng(seed).permutation(len(data.b_images))
    validation, rest = (data.b_images[part] for part in np.split(rows, [len(rows) // 5]))
    fitted_to = {"mnist": rest, "both": np.concatenate([rest, data.a_images])}
    return {"ppca": np.array(PPCA)} | {
        f"ppca {name}": np.array(
            [PCA(k, svd_solver="covariance_eigh").fit(x).score(validation) for k in PPCA],
            dtype=np.float32,
        )
        for name, x in fitted_to.items()
    }
