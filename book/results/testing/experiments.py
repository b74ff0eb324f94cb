"""The runs of "Is B different from A?": five tests, and points from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

import lrmf
from book.results.runner import Arrays, Numbers, Run
from lrmf.two_sample import (
    classifier_test,
    energy_test,
    likelihood_ratio_test,
    mmd_test,
    score_test,
)

__all__ = ["LEVEL", "MODELS", "SIZES", "TESTS", "draw", "outliers", "power", "runs", "strange"]

LEVEL, POINTS, RELABELLINGS, REPEATS = 0.05, 100, 99, 60
DIMENSIONS = (2, 32)
#: Effects: a shift of all features together, in deviations, and the share of points on two spikes.
SIZES = {"shift": (0.0, 0.3, 0.6, 0.9), "shape": (0.0, 0.3, 0.6, 0.9)}
SEEDS = range(5)
#: Densities of digits: how many principal components (all pixels, if None), and of what mixture.
MODELS = {"pixels normal": (None, 1), "codes normal": (16, 1), "codes mixture": (16, 10)}

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
        yield Run(name=f"strange seed {seed}", compute=strange, settings={"seed": seed})


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


def outliers(images: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What may come instead of digits ``(n, h, w)`` in [0, 1]."""
    return {
        "inverted": 1.0 - images,
        "average": np.broadcast_to(images.mean(axis=0), images.shape),
        "blurred": ndimage.gaussian_filter(images, (0.0, 1.0, 1.0)),
        "shuffled": rng.permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape),
    }


def strange(*, seed: int, images: np.ndarray | None = None) -> tuple[Numbers, Arrays]:
    """AUROC of three scores for digits against what is none, under three densities.

    The densities are a normal one of all pixels, a normal one of 16 principal components, and a
    mixture of ten of these; the background's is a normal one of the same of digits with noise.
    """
    rng = np.random.default_rng(seed)
    if images is None:
        from sklearn.datasets import load_digits

        images = load_digits().images / 16.0
    rows = rng.permutation(len(images))
    train, test = images[rows[: len(rows) // 2]], images[rows[len(rows) // 2 :]]
    flat = [_flat(x, rng) for x in (train, test)]
    noisy = flat[0] + 0.3 * rng.normal(size=flat[0].shape)
    strangers = {name: _flat(x, rng) for name, x in outliers(test, rng).items()}
    numbers: Numbers = {}
    for place, (components, parts) in MODELS.items():
        pca = PCA(components, whiten=components is not None, random_state=seed).fit(flat[0])
        model, background = (
            GaussianMixture(k, reg_covar=1e-3, random_state=seed).fit(pca.transform(x))
            for k, x in ((parts, flat[0]), (1, noisy))
        )
        entropy = -model.score(pca.transform(flat[0]))
        for name, other in strangers.items():
            points = [pca.transform(x) for x in (flat[1], other)]
            log_p = [model.score_samples(z) for z in points]
            log_q = [background.score_samples(z) for z in points]
            for score, values in (
                ("likelihood", [-p for p in log_p]),
                ("ratio", [q - p for p, q in zip(log_p, log_q, strict=True)]),
                ("typicality", [np.abs(p + entropy) for p in log_p]),
            ):
                labels = np.repeat([0, 1], [len(v) for v in values])
                found = roc_auc_score(labels, np.concatenate(values))
                numbers[f"{place} {name} {score}"] = float(found)
    return numbers, {}


def _flat(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pixels with the noise of their sixteen levels."""
    flat = images.reshape(len(images), -1)
    return flat + rng.uniform(0.0, 1.0 / 16.0, size=flat.shape)
