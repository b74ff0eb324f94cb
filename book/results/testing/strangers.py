"""Is this point from A? Scores of single pictures, for MNIST's digits and what is none of them.

Pictures are of 16 x 16 pixels in 16 grey levels: MNIST's 20 x 20 in the middle, resized to the size
of USPS. Codes are the means that the encoder of `book.results.embedded_digits` gives. It was
trained, without labels, on MNIST's and USPS's digits, but not on the digits that are asked about.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture

import lrmf
from book.results.embedded_digits.embedding import Embedding
from book.results.embedded_digits.pictures import pictures
from book.results.runner import Arrays, Numbers

__all__ = ["DENSITIES", "SCORES", "STRANGERS", "mutated", "score", "strange", "strangers"]

EMBEDDING = "embedding box seed=0"
LEVELS = 16
TRAINING, CALIBRATION, ASKED = 4000, 800, 800  # digits of each kind
MUTATED = 0.2  # share of pixels that the background's digits have at random, after Ren et al.
STEPS = 600

STRANGERS = ("average", "inverted", "blurred", "usps")
SCORES = ("likelihood", "ratio", "typicality")
#: Densities of each space: what a fit is called with points (n, d) and a seed.
DENSITIES = {
    "pixels": ("normal", "mixture", "realnvp"),
    "codes": ("normal", "mixture", "realnvp"),
}


def strange(*, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """AUROC of three scores for digits against what is none, under several densities.

    A score is the larger the stranger: -log p(x); log q(x) - log p(x), with the background q of the
    same family, which has learned mutated digits; and |log p(x) + H|, with the mean H of -log p of
    digits that p has not learned.
    """
    data, rng = pictures("box"), np.random.default_rng(seed)
    known, fresh = rng.permutation(data.b), rng.permutation(data.b_test)
    learned, held = known[:TRAINING], known[TRAINING : TRAINING + CALIBRATION]
    kinds = {
        "digits": fresh[:ASKED],
        **strangers(fresh[ASKED : 2 * ASKED], rng.permutation(data.a_test)[:ASKED], learned),
    }
    noisy = mutated(learned, rng)
    sets = {"learned": learned, "held": held, "noisy": noisy, **kinds}
    numbers: Numbers = {}
    for space, families in DENSITIES.items():
        points = {name: _points(space, x, rng) for name, x in sets.items()}
        for family in families:
            p, q = (_fitted(family, points[name], seed, steps) for name in ("learned", "noisy"))
            found = {name: (p(points[name]), q(points[name])) for name in ("digits", *STRANGERS)}
            entropy = -float(np.mean(p(points["held"])))
            numbers[f"{space} {family} nats"] = -entropy
            for name in STRANGERS:
                for how in SCORES:
                    ours, theirs = (score(how, *found[k], entropy) for k in ("digits", name))
                    numbers[f"{space} {family} {name} {how}"] = _auroc(ours, theirs)
    return numbers, {}


def strangers(images: np.ndarray, usps: np.ndarray, learned: np.ndarray) -> dict[str, np.ndarray]:
    """What may come instead of digits ``(n, h, w)`` in [0, 1]."""
    return {
        "average": np.broadcast_to(learned.mean(axis=0), images.shape),
        "inverted": 1.0 - images,
        "blurred": ndimage.gaussian_filter(images, (0.0, 1.0, 1.0)),
        "usps": usps,
    }


def mutated(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images some of whose pixels are replaced by random ones."""
    drawn = rng.random(images.shape)
    return np.where(rng.random(images.shape) < MUTATED, drawn, images)


def score(how: str, log_p: np.ndarray, log_q: np.ndarray, entropy: float) -> np.ndarray:
    """How strange points are, by their log-densities under model and background."""
    if how == "likelihood":
        return -log_p
    return log_q - log_p if how == "ratio" else np.abs(log_p + entropy)


def _auroc(ours: np.ndarray, theirs: np.ndarray) -> float:
    labels = np.repeat([0, 1], [len(ours), len(theirs)])
    return float(roc_auc_score(labels, np.concatenate([ours, theirs])))


def _points(space: str, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pixels of 16 levels with the noise that makes them continuous, or codes of the pictures."""
    if space == "codes":
        return _encoder().encode(np.asarray(images, np.float32))[0]
    levels = np.minimum(np.floor(LEVELS * images), LEVELS - 1)
    return ((levels + rng.random(images.shape)) / LEVELS).reshape(len(images), -1)


@cache
def _encoder() -> Embedding:
    with np.load(Path(__file__).parents[1] / "embedded_digits" / "arrays.npz") as file:
        names = [name for name in file if name.startswith((f"{EMBEDDING}/encoder.",))]
        return Embedding({name.rpartition("/")[2]: file[name] for name in names})


def _fitted(
    family: str, x: np.ndarray, seed: int, steps: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A density of points (n, d): what gives log-densities of others."""
    if family in ("normal", "mixture"):
        parts = 1 if family == "normal" else 10
        # A single start, by k-means.
        return GaussianMixture(parts, reg_covar=1e-3, random_state=seed).fit(x).score_samples
    model = lrmf.FlowGAN(
        transform=lrmf.RealNVP(blocks=4, hidden=(64, 64)),
        likelihood_weight=math.inf,
        steps=steps,
        batch_size=64,
        validation_fraction=0.1,
        patience=300,  # in 256 dimensions a flow learns its digits by heart
        seed=seed,
        progress=False,
    ).fit(x)
    return model.score_samples
