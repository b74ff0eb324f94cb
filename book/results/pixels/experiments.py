"""The experiments behind "Glow in pixel space": USPS and MNIST digits, aligned as images.

Nothing was tuned; sizes and budgets are what two cores carry in an hour.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import lrmf
from book.results.network import STEPS as NETWORK_STEPS, Network
from book.results.pixels.remedies import Annealed, CoarseToFine, started
from book.results.runner import Arrays, Numbers, Run, curve
from lrmf.aligners.family import FamilyCertificate
from lrmf.data import Dequantized, bits_per_dimension
from lrmf.specs import Chain, Inverse

__all__ = ["SIZES", "STARTS", "Images", "Judge", "compute", "digits", "of_family", "runs", "stroke"]

SEEDS = range(3)
#: The order in which they are made; what comes first is needed by the others, too.
STARTS = (
    "back to back",
    "untransformed",
    "identity",
    "scratch",
    "continued",
    "annealed",
    "coarse to fine",
    "long refit",
)
#: What two cores carry, and the paper's Glow, which needs a GPU.
SIZES: dict[str, dict[str, Any]] = {
    "cores": {
        "size": 16,
        "levels": 2,
        "flow_steps": 2,
        "couplings": 6,
        "hidden": 32,
        "steps": 800,
        "refit_steps": 200,
        "batch_size": 64,
    },
    "paper": {
        "size": 32,
        "levels": 3,
        "flow_steps": 8,
        "couplings": 16,
        "hidden": 512,
        "steps": 100_000,
        "refit_steps": 20_000,
        "batch_size": 32,
    },
}
LONGER = 5  # times as many steps for refitted copies
LEVELS = 256
LAST = 50  # steps whose mean loss is the last one
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


def runs(
    steps: int | None = None, *, size: str = "cores", devices: int | str | None = None
) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    tiny = {} if steps is None else {"steps": steps, "refit_steps": steps, "network_steps": steps}
    for seed in SEEDS:
        for start in STARTS:
            yield Run(
                name=f"{start} seed={seed}",
                compute=compute,
                settings={
                    "start": start,
                    "seed": seed,
                    "network_steps": NETWORK_STEPS,
                    "devices": devices,
                    **SIZES[size],
                    **tiny,
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
    network_steps: int,
    devices: int | str | None,
) -> tuple[Numbers, Arrays]:
    """One way to align the digits, and what held-out digits say of it."""
    began, worked = time.perf_counter(), time.process_time()
    images, judge = digits(size), judge_of(size, seed, network_steps)
    glow = lrmf.Glow(levels=levels, steps=flow_steps, hidden=hidden)
    # Flows back to back become a start of LRMF, so both have to see points in the same units.
    options = {
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "learning_rate": 2e-3,
        "standardize": "together",
        "devices": devices,
        "progress": False,
    }
    a, b = Dequantized(images.a, seed=seed), Dequantized(images.b, seed=seed)
    private = back_to_back(size, glow, **options)
    densities = private.private_source_, private.private_target_
    seen = [float(d.log_prob(x).mean()) for d, x in zip(densities, judge.seen, strict=True)]
    numbers: Numbers = {}
    if start == "back to back":
        model: Any = private
        shared, constant = private.private_target_, 0.0
        for k, name in enumerate(("source", "target")):
            held = densities[k].log_prob(judge.points[k])
            shape = judge.points[k].shape[1:]
            numbers[f"bits_{name}"] = float(bits_per_dimension(held, shape, levels=LEVELS).mean())
            numbers[f"bits_{name}_seen"] = float(
                bits_per_dimension([seen[k]], shape, levels=LEVELS)[0]
            )
        numbers["loss"] = float(np.mean(model.history_["loss"][-LAST:])) + sum(seen)
    else:
        constant = sum(seen)
        joined = Chain(flows=(Inverse(flow=glow), glow))
        jet = lrmf.Jet(couplings=couplings, hidden=hidden)
        transform = {"untransformed": lrmf.Identity(), "scratch": joined, "continued": joined}
        kinds: dict[str, Any] = {
            "continued": started(continued(private)),
            "annealed": Annealed,
            "coarse to fine": CoarseToFine,
        }
        model = kinds.get(start, lrmf.LRMF)(
            transform=transform.get(start, jet),
            density=glow,
            refit_steps=refit_steps * (LONGER if start == "long refit" else 1),
            **options,
        ).fit(Xs=a, Xt=b)
        shared = model.density_
        numbers["loss"] = float(np.mean(model.history_["loss"][-LAST:])) + constant
    numbers["seconds"] = time.perf_counter() - began
    numbers["cpu_seconds"] = time.process_time() - worked
    numbers |= of_family(model, shared, private, *judge.points)
    numbers |= judge(model)
    numbers["status"] = model.status_
    shown = model.transform(judge.points[0][judge.one_of_each])[..., 0]
    return numbers, {
        "loss": curve(model.history_["loss"]) + np.float32(constant),
        "images": np.clip(np.floor(shown * LEVELS), 0, LEVELS - 1).astype(np.uint8),
    }


@functools.cache
def back_to_back(size: int, glow: lrmf.Glow, **options: Any) -> lrmf.BackToBackFlow:
    """Flows of noise to A and to B, whose densities the bounds of all runs compare with."""
    images, seed = digits(size), options["seed"]
    a, b = Dequantized(images.a, seed=seed), Dequantized(images.b, seed=seed)
    return lrmf.BackToBackFlow(transform=glow, **options).fit(Xs=a, Xt=b)


def continued(private: lrmf.BackToBackFlow) -> dict[str, Any]:
    """The arrays of T = F ∘ G⁻¹ and S = the density of F, where the loss is zero."""
    source, target = private.source_flow_.arrays, private.target_flow_.arrays
    joined = {
        **{f"0/{name}": value for name, value in source.items()},
        **{f"1/{name}": value for name, value in target.items()},
    }
    return {"transform": joined, "density": target}


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
        steps: of the networks.
    """

    def __init__(self, images: Images, seed: int, steps: int = NETWORK_STEPS) -> None:
        self.images, self.options = images, {"seed": seed, "steps": steps}
        self.points = tuple(Dequantized(x, seed=seed)[:] for x in (images.a_test, images.b_test))
        # A multiple of the rows that a compiled call takes.
        rng = np.random.default_rng(seed)
        self.rows = [rng.permutation(len(x))[:SEEN] for x in (images.a, images.b)]
        self.seen = tuple(
            Dequantized(x, seed=seed)[rows]
            for x, rows in zip((images.a, images.b), self.rows, strict=True)
        )
        self.labels = Network(self.seen[1], images.b_labels[self.rows[1]], **self.options)
        self.one_of_each = np.array([np.argmax(images.a_test_labels == k) for k in range(10)])

    def __call__(self, model: Any) -> Numbers:
        """What held-out digits say of an aligner's map."""
        images, (a, b) = self.images, self.points
        moved, moved_test = model.transform(self.seen[0]), model.transform(a)
        found = lrmf.lrd(moved_test, b, seed=self.options["seed"], controls=False)
        # Which side an image is of: sides weigh alike, half is chance.
        both = np.concatenate([moved, self.seen[1]])
        domain = Network(both, np.repeat([0, 1], [len(moved), len(self.seen[1])]), **self.options)
        trained = Network(moved, images.a_labels[self.rows[0]], **self.options)
        sides = domain.accuracy(moved_test, 0), domain.accuracy(b, 1)
        return {
            "lrd": found.lrd,
            "lrd_stderr": found.lrd_stderr,
            "domain_accuracy": float(np.mean(sides)),
            "labels_kept": self.labels.accuracy(moved_test, images.a_test_labels),
            "accuracy": trained.accuracy(b, images.b_test_labels),
            "own_accuracy": self.labels.accuracy(b, images.b_test_labels),
            "stroke": stroke(moved_test),
            "stroke_source": stroke(a),
            "stroke_target": stroke(b),
        }


def stroke(images: np.ndarray) -> float:
    """The mean width of strokes in pixels, of images ``(n, h, w, 1)`` in [0, 1].

    Twice the ink over the total variation, which is the length of the edges (of the level sets, by
    the coarea formula): a stroke of width w and length l has ink w l and edges 2 l.
    """
    x = np.pad(np.clip(images[..., 0], 0.0, 1.0), ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(x, axis=1)[:, :, :-1], np.diff(x, axis=2)[:, :-1]
    return float(2 * x.sum() / np.hypot(down, right).sum())


@functools.cache
def judge_of(size: int, seed: int, steps: int) -> Judge:
    """The judge of all runs of a seed."""
    return Judge(digits(size), seed, steps)
