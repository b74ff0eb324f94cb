"""The experiments behind "A first real pair": densities of MNIST, and alignments of USPS with it.

What they compute is the same as on the page, for several seeds.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.runner import Arrays, Numbers, Run, curve
from lrmf.data.images import resize
from lrmf.fitting import FitConfig, fit
from lrmf.objectives import likelihood
from lrmf.theory import gaussian

__all__ = ["Digits", "digits", "likelihood_gain", "longer", "page", "pair", "runs", "shrunk"]

SEEDS = range(3)
SWEEP = (4, 8, 16, 32, 64, 128)
WIDTHS = (64, 128, 256)
COMPONENTS = (8, 16, 32, 64)
BEST = 64  # of SWEEP
WIDTH = 64  # of the density's networks, the best of WIDTHS
TRANSFORM_WIDTHS = (32, 64)
FRAMES, POINTS = 20, 250  # of the training that is played
PPCA = (1, 4, 16, 32, 64, 96, 128, 160, 192, 208, 224, 240, 255)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits:
    """Both domains in whitened principal components, all 256 of them."""

    a: np.ndarray
    b: np.ndarray
    a_test: np.ndarray
    b_test: np.ndarray
    a_labels: np.ndarray
    b_labels: np.ndarray
    a_test_labels: np.ndarray
    b_test_labels: np.ndarray
    a_images: np.ndarray
    b_images: np.ndarray
    a_test_images: np.ndarray
    pca: PCA
    scale: np.ndarray

    def encode(self, pictures: np.ndarray, k: int) -> np.ndarray:
        """Pictures as their first k whitened components."""
        return self.pca.transform(pictures)[:, :k] / self.scale[:k]

    def first(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The first k components of A, B, and the held-out A and B."""
        return self.a[:, :k], self.b[:, :k], self.a_test[:, :k], self.b_test[:, :k]


@functools.cache
def digits() -> Digits:
    """USPS and MNIST as on the page."""
    train = lrmf.data.digits_pair(fallback=False).flatten()
    test = lrmf.data.digits_pair(split="test", fallback=False).flatten()
    rng = np.random.default_rng(0)
    images = [
        x + rng.uniform(-0.5, 0.5, x.shape) / 255
        for x in (train.source, train.target, test.source, test.target)
    ]
    pca = PCA(svd_solver="covariance_eigh").fit(np.concatenate(images[:2]))
    scale = np.sqrt(pca.explained_variance_)
    a, b, a_test, b_test = (pca.transform(x) / scale for x in images)
    return Digits(
        a=a,
        b=b,
        a_test=a_test,
        b_test=b_test,
        a_labels=train.source_labels,
        b_labels=train.target_labels,
        a_test_labels=test.source_labels,
        b_test_labels=test.target_labels,
        a_images=images[0],
        b_images=images[1],
        a_test_images=images[2],
        pca=pca,
        scale=scale,
    )


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    for k in SWEEP:
        for width in WIDTHS:
            for seed in SEEDS:
                yield Run(
                    name=f"gain k={k} width={width} seed={seed}",
                    compute=likelihood_gain,
                    settings={"k": k, "width": width, "seed": seed, "steps": steps or 2000},
                )
    for seed in SEEDS:
        for k in COMPONENTS:
            yield Run(
                name=f"pair k={k} seed={seed}",
                compute=pair,
                settings={
                    "k": k,
                    "seed": seed,
                    "width": WIDTH,
                    "transform_widths": list(TRANSFORM_WIDTHS),
                    "steps": steps or 2000,
                    "refit_steps": steps or 1000,
                    "gaussian_steps": steps or 8000,
                },
            )
    for seed in SEEDS:
        yield Run(
            name=f"longer k={BEST} seed={seed}",
            compute=longer,
            settings={
                "k": BEST,
                "seed": seed,
                "width": WIDTH,
                "transform_width": TRANSFORM_WIDTHS[0],
                "steps": steps or 8000,
                "private_steps": steps or 2000,
                "refit_steps": steps or 1000,
            },
        )
        yield Run(
            name=f"shrunk k={BEST} seed={seed}",
            compute=shrunk,
            settings={
                "k": BEST,
                "seed": seed,
                "width": WIDTH,
                "size": 12,
                "steps": steps or 2000,
                "refit_steps": steps or 1000,
            },
        )
    for seed in SEEDS:
        yield Run(
            name=f"page k={BEST} seed={seed}",
            compute=page,
            settings={
                "k": BEST,
                "seed": seed,
                "width": WIDTH,
                "transform_width": TRANSFORM_WIDTHS[0],
                "steps": steps or 2000,
                "gaussian_steps": steps or 8000,
                "played": seed == 0,
            },
        )


def likelihood_gain(*, k: int, width: int, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """By how much a RealNVP beats a normal density on k components of MNIST, in nats a digit.

    Measured on a random fifth of the training digits, which neither density has seen.
    """
    b = digits().b[:, :k]
    rows = np.random.default_rng(seed).permutation(len(b))
    held_out, seen = b[rows[: len(b) // 5]], b[rows[len(b) // 5 :]]
    spec = lrmf.RealNVP(hidden=(width, width))
    backend = lrmf.get_backend("jax")
    role, arrays = backend.init(lrmf.Density, spec, (k,), np.random.default_rng(seed))
    result = fit(
        likelihood,
        (role,),
        {"density": arrays},
        {"data": seen},
        backend=backend,
        config=FitConfig(steps=steps),
        seed=np.random.SeedSequence(seed),
    )
    flow = backend.model(role, result.arrays["density"], "float32")
    normal = multivariate_normal(seen.mean(axis=0), np.cov(seen.T, bias=True))
    gain = flow.log_prob(held_out) - normal.logpdf(held_out)
    numbers = {
        "gain": float(gain.mean()),
        "gain_stderr": float(gain.std(ddof=1) / np.sqrt(len(gain))),
        "gain_seen": float((flow.log_prob(seen) - normal.logpdf(seen)).mean()),
    }
    return numbers, {}


def pair(
    *,
    k: int,
    seed: int,
    width: int,
    transform_widths: Sequence[int],
    steps: int,
    refit_steps: int,
    gaussian_steps: int,
) -> tuple[Numbers, Arrays]:
    """Align the digits in k components in several ways, and judge each on held-out digits."""
    a, b, a_test, b_test = digits().first(k)
    judge = Judge(digits(), k)
    gaussian: dict[str, Any] = {
        "density": lrmf.Gaussian(),
        "learning_rate": 0.01,
        "seed": seed,
        "steps": gaussian_steps,
        "private_steps": None,
        "refit_steps": refit_steps,
    }
    realnvp: dict[str, Any] = {
        "density": lrmf.RealNVP(hidden=(width, width)),
        "learning_rate": 1e-3,
        "seed": seed,
        "steps": steps,
        "private_steps": None,
        "refit_steps": refit_steps,
    }
    # Only the bound uses the private densities.
    distance = {**realnvp, "transform": lrmf.Identity(), "private_steps": 1}

    still = lrmf.LRMF(
        standardize=False, schedule="cosine", transform=lrmf.Identity(), **gaussian
    ).fit(Xs=a, Xt=b)
    before = lrmf.LRMF(standardize=False, schedule="cosine", **distance).fit(Xs=a, Xt=b)
    numbers = {
        "none": {
            **judge(still, a, a_test),
            "gaussian": numbers_of(still, a_test, b_test),
            "realnvp": distance_of(before, a_test, b_test),
        }
    }

    monge = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        start="identity",
        transform=lrmf.Affine(kind="positive_definite"),
        **gaussian,
    )
    monge.fit(Xs=a, Xt=b)
    moved, moved_test = monge.transform(a), monge.transform(a_test)
    again = lrmf.LRMF(standardize=False, schedule="cosine", **distance).fit(Xs=moved, Xt=b)
    numbers["gaussian"] = {
        **judge(monge, a, a_test),
        "gaussian": numbers_of(monge, a_test, b_test),
        "realnvp": distance_of(again, moved_test, b_test),
    }

    transforms: dict[str, lrmf.specs.FlowSpec] = {"affine": lrmf.Affine()}
    for w in transform_widths:
        transforms[f"realnvp {w}"] = lrmf.RealNVP(hidden=(w, w))
    for name, transform in transforms.items():
        model = lrmf.LRMF(standardize=False, schedule="cosine", transform=transform, **realnvp).fit(
            Xs=a, Xt=b
        )
        numbers[name] = {
            **judge(model, a, a_test),
            "realnvp": numbers_of(model, a_test, b_test),
            "last_loss": float(np.mean(model.history_["loss"][-100:])),
            "fit_seconds": round(model.seconds_, 1),
        }

    # What the certificate reads where there is nothing to align: two halves of MNIST.
    rng = np.random.default_rng(seed)
    rows, rows_test = (np.array_split(rng.permutation(len(x)), 2) for x in (b, b_test))
    null = lrmf.LRMF(
        standardize=False, schedule="cosine", **distance | {"private_steps": steps}
    ).fit(Xs=b[rows[0]], Xt=b[rows[1]])
    numbers["halves"] = {"realnvp": numbers_of(null, b_test[rows_test[0]], b_test[rows_test[1]])}
    numbers["mnist"] = judge.reference()
    return numbers, {}


def longer(
    *,
    k: int,
    seed: int,
    width: int,
    transform_width: int,
    steps: int,
    private_steps: int,
    refit_steps: int,
) -> tuple[Numbers, Arrays]:
    """The RealNVP map with more steps for the map; the other stages are as in `pair`."""
    a, b, a_test, b_test = digits().first(k)
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.RealNVP(hidden=(transform_width, transform_width)),
        density=lrmf.RealNVP(hidden=(width, width)),
        learning_rate=1e-3,
        seed=seed,
        steps=steps,
        private_steps=private_steps,
        refit_steps=refit_steps,
    ).fit(Xs=a, Xt=b)
    numbers = {
        **Judge(digits(), k)(model, a, a_test),
        "realnvp": numbers_of(model, a_test, b_test),
        "last_loss": float(np.mean(model.history_["loss"][-100:])),
        "fit_seconds": round(model.seconds_, 1),
    }
    return numbers, {}


def shrunk(
    *, k: int, seed: int, width: int, size: int, steps: int, refit_steps: int
) -> tuple[Numbers, Arrays]:
    """The distance of MNIST and USPS digits that were shrunk by hand, not by a learned map."""
    data = digits()
    _, b, _, b_test = data.first(k)
    a, a_test = (data.encode(shrink(x, size), k) for x in (data.a_images, data.a_test_images))
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.Identity(),
        density=lrmf.RealNVP(hidden=(width, width)),
        learning_rate=1e-3,
        seed=seed,
        steps=steps,
        private_steps=1,
        refit_steps=refit_steps,
    ).fit(Xs=a, Xt=b)
    numbers = {**Judge(data, k)(model, a, a_test), "realnvp": distance_of(model, a_test, b_test)}
    return numbers, {}


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


def shrink(pictures: np.ndarray, size: int) -> np.ndarray:
    """Pictures of 16 x 16 pixels shrunk to fewer, in the middle of a margin."""
    margin = (16 - size) // 2
    border = ((0, 0), (margin, margin), (margin, margin))
    return np.pad(resize(pictures.reshape(-1, 16, 16), size=size), border).reshape(-1, 256)


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


class Judge:
    """Classifiers that learn from one side's labels and are tested on the other's.

    Nearest neighbours are looked for in the distance of the pictures, so before whitening.
    """

    def __init__(self, data: Digits, k: int) -> None:
        self.data, self.scale = data, data.scale[:k]
        self.b, self.b_test = data.b[:, :k], data.b_test[:, :k]
        self.without = self.names(data.a[:, :k], data.a_labels, self.b_test) == data.b_test_labels

    def names(self, x: np.ndarray, y: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """The labels of the nearest neighbours among (x, y)."""
        return KNeighborsClassifier(1).fit(x * self.scale, y).predict(tested * self.scale)

    def __call__(self, model: lrmf.LRMF, a: np.ndarray, a_test: np.ndarray) -> Numbers:
        """Accuracies, and the discordant counts of McNemar's test against no transform."""
        data, moved = self.data, model.transform(a)
        correct = self.names(moved, data.a_labels, self.b_test) == data.b_test_labels
        reverse = self.names(self.b, data.b_labels, model.transform(a_test)) == data.a_test_labels
        return {
            "nearest": float(correct.mean()),
            "logistic": self.logistic(moved, data.a_labels),
            "only_with": int(np.sum(correct & ~self.without)),
            "only_without": int(np.sum(self.without & ~correct)),
            "reverse_nearest": float(reverse.mean()),
        }

    def logistic(self, x: np.ndarray, y: np.ndarray) -> float:
        """Accuracy of a logistic regression that learns from (x, y)."""
        classifier = LogisticRegression(max_iter=5000).fit(x, y)
        return float(classifier.score(self.b_test, self.data.b_test_labels))

    def reference(self) -> Numbers:
        """Accuracies of classifiers that learn from MNIST's own labels."""
        named = self.names(self.b, self.data.b_labels, self.b_test)
        return {
            "nearest": float(np.mean(named == self.data.b_test_labels)),
            "logistic": self.logistic(self.b, self.data.b_labels),
        }


def distance_of(model: lrmf.LRMF, a: np.ndarray, b: np.ndarray) -> Numbers:
    """The distance, and how often the refitted copies tell the sides apart.

    A point is taken for one of T(A) where the copy fitted to T(A) gives it the higher density.
    """
    certificate = model.family_certificate(a, b)
    sides = [
        model.refitted_source_.log_prob(x) > model.refitted_target_.log_prob(x)
        for x in (model.transform(a), b)
    ]
    return {
        "lrd": certificate.lrd,
        "lrd_stderr": certificate.lrd_stderr,
        "told_apart": float((np.mean(sides[0]) + np.mean(~sides[1])) / 2),
    }


def numbers_of(model: lrmf.LRMF, a: np.ndarray, b: np.ndarray) -> Numbers:
    """The whole certificate."""
    certificate = model.family_certificate(a, b)
    return {
        **distance_of(model, a, b),
        "bound": certificate.bound,
        "bound_stderr": certificate.bound_stderr,
        "verdict": certificate.verdict.partition(":")[0],
    }
