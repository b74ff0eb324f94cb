"""The experiments behind "Glow in pixel space": USPS and MNIST digits, aligned as images."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

import lrmf
from book.results.runner import Arrays, Numbers, Run, curve
from lrmf.aligners.family import FamilyCertificate
from lrmf.data import Dequantized, bits_per_dimension
from lrmf.specs import Chain, Inverse

__all__ = ["STARTS", "Images", "Judge", "compute", "continued", "digits", "of_family", "runs"]

SEEDS = range(3)
#: The order in which they are made; what comes first is needed by the others, too.
STARTS = ("back to back", "untransformed", "identity", "scratch", "continued")
LEVELS = 256
SHOWN = 12
#: Images a side from which classifiers learn.
SEEN = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images:
    """Both domains as integers, with labels, to learn from and held out."""

    a: np.ndarray
    b: np.ndarray
    a_test: np.ndarray
    b_test: np.ndarray
    a_labels: np.ndarray
    b_labels: np.ndarray
    a_test_labels: np.ndarray
    b_test_labels: np.ndarray

    @classmethod
    def of_pairs(cls, train: Any, test: Any) -> Images:
        """Images in [0, 1] of two `lrmf.data.Pair` as integers of 256 levels."""
        a, b, a_test, b_test = (
            np.rint(255 * x).astype(np.uint8)
            for x in (train.source, train.target, test.source, test.target)
        )
        return cls(
            a=a,
            b=b,
            a_test=a_test,
            b_test=b_test,
            a_labels=train.source_labels,
            b_labels=train.target_labels,
            a_test_labels=test.source_labels,
            b_test_labels=test.target_labels,
        )


@functools.cache
def digits(size: int) -> Images:
    """USPS and MNIST, both resized whole."""
    pairs = (lrmf.data.digits_pair(split=s, size=size, fallback=False) for s in ("train", "test"))
    return Images.of_pairs(*pairs)


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    for seed in SEEDS:
        for start in STARTS:
            yield Run(
                name=f"{start} seed={seed}",
                compute=compute,
                settings={
                    "start": start,
                    "seed": seed,
                    "size": 8,
                    "levels": 2,
                    "flow_steps": 2,
                    "couplings": 4,
                    "hidden": 32,
                    "steps": steps or 400,
                    "refit_steps": steps or 100,
                    "batch_size": 128,
                },
            )


def compute(
    *,
    start: str,
    seed: int,
    size: int,
    levels: int,
    flow_steps: int,
    couplings: int,
    hidden: int,
    steps: int,
    refit_steps: int,
    batch_size: int,
) -> tuple[Numbers, Arrays]:
    """One way to align the digits, and what held-out digits say of it."""
    began = time.perf_counter()
    images, judge = digits(size), judge_of(size, seed)
    glow = lrmf.Glow(levels=levels, steps=flow_steps, hidden=hidden)
    # Flows back to back become a start of LRMF, so both have to see points in the same units.
    options = {"steps": steps, "batch_size": batch_size, "seed": seed, "learning_rate": 2e-3}
    options["standardize"] = "together"
    a, b = Dequantized(images.a, seed=seed), Dequantized(images.b, seed=seed)
    private = back_to_back(size, glow, **options)
    numbers: Numbers = {}
    if start == "back to back":
        model: Any = private
        shared = private.private_target_
        for name, density, x in (
            ("source", private.private_source_, images.a_test),
            ("target", private.private_target_, images.b_test),
        ):
            points = Dequantized(x, seed=seed)[:]
            bits = bits_per_dimension(density.log_prob(points), points.shape[1:], levels=LEVELS)
            numbers[f"bits_{name}"] = float(bits.mean())
    else:
        transform = {
            "untransformed": lrmf.Identity(),
            "identity": lrmf.Jet(couplings=couplings, hidden=hidden),
            "scratch": Chain(flows=(Inverse(flow=glow), glow)),
            "continued": Chain(flows=(Inverse(flow=glow), glow)),
        }[start]
        kind = continued(private) if start == "continued" else lrmf.LRMF
        model = kind(
            transform=transform,
            density=glow,
            refit_steps=refit_steps,
            progress=False,
            **options,
        ).fit(Xs=a, Xt=b)
        shared = model.density_
    numbers |= of_family(model, shared, private, *judge.points)
    numbers |= judge(model)
    numbers["status"] = model.status_
    numbers["seconds"] = time.perf_counter() - began
    shown = model.transform(judge.points[0])[:SHOWN, ..., 0]
    return numbers, {
        "loss": curve(model.history_["loss"]),
        "images": np.clip(np.floor(shown * LEVELS), 0, LEVELS - 1).astype(np.uint8),
    }


@functools.cache
def back_to_back(size: int, glow: lrmf.Glow, **options: Any) -> lrmf.BackToBackFlow:
    """Flows of noise to A and to B, whose densities the bounds of all runs compare with."""
    images, seed = digits(size), options["seed"]
    a, b = Dequantized(images.a, seed=seed), Dequantized(images.b, seed=seed)
    return lrmf.BackToBackFlow(transform=glow, progress=False, **options).fit(Xs=a, Xt=b)


def continued(private: lrmf.BackToBackFlow) -> type[lrmf.LRMF]:
    """LRMF that starts at T = F ∘ G⁻¹ and S = the density of F, where the loss is zero."""
    source, target = private.source_flow_.arrays, private.target_flow_.arrays
    joined = {
        **{f"0/{name}": value for name, value in source.items()},
        **{f"1/{name}": value for name, value in target.items()},
    }

    class Continued(lrmf.LRMF):
        def _recipe(self, domains: Any) -> Any:
            arrays: Mapping[str, Any] = {"transform": joined, "density": target}
            return dataclasses.replace(super()._recipe(domains), start=lambda *_: arrays)

    return Continued


def of_family(
    model: Any, shared: lrmf.Density, private: lrmf.BackToBackFlow, a: Any, b: Any
) -> Numbers:
    """What the family says of held-out points, in nats per image, and log-determinants.

    The bound is the loss with its constant, by the private densities of the flows back to back;
    the distance that of copies of the shared density, where a fit made some.
    """
    image, log_det = model.transform_.forward(a)
    own = shared.log_prob(image), shared.log_prob(b)
    terms = (
        private.private_source_.log_prob(a) - log_det - own[0],
        private.private_target_.log_prob(b) - own[1],
    )
    gains = terms
    if refitted := hasattr(model, "refitted_source_"):
        gains = (
            model.refitted_source_.log_prob(image) - own[0],
            model.refitted_target_.log_prob(b) - own[1],
        )
    found = FamilyCertificate.from_terms(
        gains=gains, bounds=terms, weights=(None, None), tolerance=0.1
    )
    distance = {"family_lrd": found.lrd, "family_lrd_stderr": found.lrd_stderr}
    return {
        "bound": found.bound,
        "bound_stderr": found.bound_stderr,
        **(distance if refitted else {}),
        "log_det_mean": float(log_det.mean()),
        "log_det_deviation": float(log_det.std(ddof=1)),
    }


class Judge:
    """What does not depend on the family: classifiers of domains and of digits.

    Args:
        images: both domains.
        seed: of the noise, the networks and the judge.
    """

    def __init__(self, images: Images, seed: int) -> None:
        self.images, self.seed = images, seed
        self.points = tuple(Dequantized(x, seed=seed)[:] for x in (images.a_test, images.b_test))
        # A multiple of the rows that a compiled call takes.
        rng = np.random.default_rng(seed)
        self.rows = [rng.permutation(len(x))[:SEEN] for x in (images.a, images.b)]
        self.seen = tuple(
            Dequantized(x, seed=seed)[rows]
            for x, rows in zip((images.a, images.b), self.rows, strict=True)
        )
        self.labels = _network(seed).fit(_flat(self.seen[1]), images.b_labels[self.rows[1]])

    def __call__(self, model: Any) -> Numbers:
        """What held-out digits say of an aligner's map."""
        images = self.images
        moved, moved_test = model.transform(self.seen[0]), model.transform(self.points[0])
        found = lrmf.lrd(moved_test, self.points[1], seed=self.seed, controls=False)
        # Which side an image is of: sides weigh alike, half is chance.
        domain = _network(self.seed).fit(
            np.concatenate([_flat(moved), _flat(self.seen[1])]), np.repeat([0, 1], SEEN)
        )
        right = [
            np.mean(domain.predict(_flat(x)) == side)
            for side, x in enumerate((moved_test, self.points[1]))
        ]
        kept = self.labels.predict(_flat(moved_test)) == images.a_test_labels
        trained = _network(self.seed).fit(_flat(moved), images.a_labels[self.rows[0]])
        return {
            "lrd": found.lrd,
            "lrd_stderr": found.lrd_stderr,
            "domain_accuracy": float(np.mean(right)),
            "labels_kept": float(kept.mean()),
            "accuracy": float(trained.score(_flat(self.points[1]), images.b_test_labels)),
            "ink": float(np.clip(moved_test, 0.0, 1.0).mean()),
            "ink_source": float(self.points[0].mean()),
            "ink_target": float(self.points[1].mean()),
            "own_accuracy": float(self.labels.score(_flat(self.points[1]), images.b_test_labels)),
        }


@functools.cache
def judge_of(size: int, seed: int) -> Judge:
    """The judge of all runs of a seed."""
    return Judge(digits(size), seed)


def _network(seed: int) -> MLPClassifier:
    return MLPClassifier((128,), max_iter=20, early_stopping=True, tol=0.0, random_state=seed)


def _flat(x: np.ndarray) -> np.ndarray:
    # What a map throws far out would overflow in a network.
    return np.clip(x.reshape(len(x), -1), -10.0, 10.0)
