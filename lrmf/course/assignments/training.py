"""Assignment 4: LRMF from scratch: loss, algorithm, certificate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lrmf.course.assignments.training_loop import CERTIFICATE, FIT, GRADIENT
from lrmf.course.given import Covariances, Matrices, Points, Real
from lrmf.course.tasks import Aspect, Case, Function, Mistake, Statements, Task
from lrmf.course.values import pair
from lrmf.theory import gaussian

__all__ = ["TASKS"]

Array = NDArray[np.float64]


def _score(x: Array, case: Case) -> float:
    """Average log-density of points under the shared normal density, from their moments."""
    gap, cov = x.mean(0) - case["mean"], np.cov(x.T, bias=True)
    spread = np.trace(np.linalg.solve(case["cov"], cov + np.outer(gap, gap)))
    return float(-0.5 * (spread + np.linalg.slogdet(2 * np.pi * case["cov"])[1]))


def _loss(case: Case, *, swap: bool = False, transposed: bool = False, heap: bool = False) -> float:
    a, b = (case["b"], case["a"]) if swap else (case["a"], case["b"])
    matrix = case["matrix"].T if transposed else case["matrix"]
    on_a, on_b = _score(a @ matrix.T + case["shift"], case), _score(b, case)
    if heap:
        n, m = len(a), len(b)
        on_a, on_b = 2 * on_a * n / (n + m), 2 * on_b * m / (n + m)
    return _volume(case) - on_a - on_b + case["constant"]


def _volume(case: Case) -> float:
    """Minus the log-determinant."""
    return -float(np.linalg.slogdet(case["matrix"])[1])


LOSS_ARGUMENTS = ("a", "b", "matrix", "shift", "mean", "cov", "constant")

LOSS = Function(
    name="training.loss",
    level="code",
    given={
        "a": Points(2, least=3, most=6),
        "b": Points(2, least=3, most=6),
        "matrix": Matrices(),
        "shift": Points(0, least=2, most=2),
        "mean": Points(0, least=2, most=2),
        "cov": Covariances(),
        "constant": Real(-4.0, 4.0),
    },
    aspects=(
        Aspect(
            name="loss",
            text="Compute the four terms one by one, and look at their signs.",
            got=lambda answer, case: answer(*(case[name] for name in LOSS_ARGUMENTS)),
            wanted=lambda _, case: _loss(case),
            mistakes=(
                Mistake(
                    "log-determinant forgotten",
                    (
                        "The log-determinant is missing. Without it the loss rewards a map that "
                        "shrinks A to a point."
                    ),
                    lambda w, c: w - _volume(c),
                ),
                Mistake(
                    "log-determinant added",
                    (
                        "The log-determinant has the wrong sign: stretching must be rewarded, to "
                        "make up for the lower density that it causes."
                    ),
                    lambda w, c: w - 2 * _volume(c),
                ),
                Mistake(
                    "determinant, not its logarithm",
                    "You subtract the determinant itself.",
                    lambda w, c: w - _volume(c) - np.exp(-_volume(c)),
                ),
                Mistake(
                    "matrix transposed",
                    "The matrix acts from the wrong side: T(x) = K x for a column is x @ K.T for "
                    "points in rows.",
                    lambda w, c: _loss(c, transposed=True),
                ),
                Mistake(
                    "A and B swapped",
                    "You move B. The map carries the source A to the target B.",
                    lambda w, c: _loss(c, swap=True),
                ),
                Mistake(
                    "constant forgotten",
                    "Without c(A, B) the loss has no meaningful zero.",
                    lambda w, c: w - c["constant"],
                ),
                Mistake(
                    "constant subtracted",
                    "The constant holds the likelihoods of the private models. It is added.",
                    lambda w, c: w - 2 * c["constant"],
                ),
                Mistake(
                    "one mean over both",
                    (
                        "You average over all points in one heap, so that the larger dataset "
                        "counts for more. The loss is a mean over A plus a mean over B."
                    ),
                    lambda w, c: _loss(c, heap=True),
                ),
                Mistake(
                    "one mean over both, halved",
                    (
                        "You average over all points of both datasets. The loss is a mean over A "
                        "plus a mean over B."
                    ),
                    lambda w, c: (
                        0.5 * (_loss(c, heap=True) - (k := _volume(c) + c["constant"])) + k
                    ),
                ),
            ),
        ),
    ),
    hints=(
        "Four terms: volume, T(A) under the shared density, B under it, and the constant.",
        "The log-determinant of an affine map is the same for all points: log |det K|.",
        (
            "The log-density of N(m, C) is −½ (x − m)ᵀ C⁻¹ (x − m) − ½ log det(2π C). Take its "
            "mean over T(A), and its mean over B, and add them."
        ),
    ),
)


def _shared(case: Case) -> tuple[Array, Array]:
    """Moments of the equal mixture; an identity is added and taken off, for flat samples."""
    one = np.eye(2)
    mean, cov = gaussian.shared_moments(
        case["moved"].mean(0),
        np.cov(case["moved"].T, bias=True) + one,
        case["b"].mean(0),
        np.cov(case["b"].T, bias=True) + one,
    )
    return np.asarray(mean), np.asarray(cov - one)


def _gap(case: Case) -> Array:
    gap = case["moved"].mean(0) - case["b"].mean(0)
    return np.outer(gap, gap)


def _cov(x: Array, bias: bool = True) -> Array:
    return np.asarray(np.cov(x.T, bias=bias))


MOMENTS = ("the mean", "the covariance")

SHARED = Function(
    name="training.shared",
    level="code",
    given={
        "moved": Points(2, least=3, most=6, spread=True),
        "b": Points(2, least=3, most=6, spread=True),
    },
    aspects=(
        Aspect(
            name="mean",
            text="Which mean maximises a mean over T(A) plus a mean over B?",
            got=lambda answer, case: pair(answer(case["moved"], case["b"]), MOMENTS)[0],
            wanted=lambda _, case: _shared(case)[0],
            mistakes=(
                Mistake(
                    "points counted alike",
                    "You average over all points in one heap. Both datasets count alike, whatever "
                    "their sizes.",
                    lambda w, c: np.concatenate([c["moved"], c["b"]]).mean(0),
                ),
                Mistake(
                    "fitted to the target",
                    "This is the private model of B. The shared one must also serve T(A).",
                    lambda w, c: c["b"].mean(0),
                ),
                Mistake(
                    "sum of the means", "You add the means: halve the sum.", lambda w, c: 2 * w
                ),
            ),
        ),
        Aspect(
            name="covariance",
            text="Compute the second moment of the equal mixture about its own mean.",
            got=lambda answer, case: pair(answer(case["moved"], case["b"]), MOMENTS)[1],
            wanted=lambda _, case: _shared(case)[1],
            mistakes=(
                Mistake(
                    "gap of the means forgotten",
                    "This is the average of both covariances. The mixture is wider: its two halves "
                    "lie at different places.",
                    lambda w, c: w - 0.25 * _gap(c),
                ),
                Mistake(
                    "whole gap",
                    (
                        "Each mean is half a gap away from the shared mean: squared, that is a "
                        "quarter."
                    ),
                    lambda w, c: w + 0.75 * _gap(c),
                ),
                Mistake(
                    "divided by n − 1",
                    "The likelihood is largest with n below, not n − 1.",
                    lambda w, c: (
                        0.5 * (_cov(c["moved"], False) + _cov(c["b"], False)) + 0.25 * _gap(c)
                    ),
                ),
                Mistake(
                    "about zero",
                    "This is the second moment about zero. A covariance is taken about the mean.",
                    lambda w, c: w + np.outer(_shared(c)[0], _shared(c)[0]),
                ),
                Mistake(
                    "heap of points",
                    "The mean is right, but the covariance counts all points alike.",
                    lambda w, c: _cov(np.concatenate([c["moved"], c["b"]])),
                ),
                Mistake(
                    "correlations left out",
                    "You keep the variances only.",
                    lambda w, c: np.diag(np.diag(w)),
                ),
            ),
        ),
    ),
    hints=(
        (
            "The shared density maximises the sum of two means. It fits the equal mixture of T(A)"
            " and B."
        ),
        "Give each point of T(A) the weight ½/n and each of B the weight ½/m.",
        (
            "Or: the average of both covariances plus a quarter of the outer product of the gap "
            "between the means."
        ),
    ),
)


STATEMENTS = Statements(
    name="training.statements",
    thoughts={
        "a": "do the maps carry the family onto itself? What is the bias then?",
        "b": "shrink A to the mode of the shared density: what happens to the first mean?",
        "c": "where can a loss below zero come from? Think of the bias, and of overfitting.",
        "d": "does c(A, B) depend on the map?",
        "e": "differentiate a minimum over θ: what does the derivative by θ contribute?",
        "f": "for which points were the models made to look good?",
    },
    seal="8b3efb9e173e",
    hints=(
        "Keep the identity in mind: distance = loss at the best shared density + bias.",
        "b and e are about derivatives: compute them in one dimension.",
        "For c and f the chapter on the judge has the numbers.",
    ),
)

TASKS: tuple[Task, ...] = (LOSS, SHARED, GRADIENT, FIT, CERTIFICATE, STATEMENTS)
