"""Assignment 4: LRMF from scratch: loss, algorithm, certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lrmf.course.given import Covariances, Matrices, Points, Real
from lrmf.course.numerics import slope
from lrmf.course.tasks import Aspect, Case, Function, Mistake, Statements, Task
from lrmf.course.values import as_numbers, pair
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
    scores = _score(a @ matrix.T + case["shift"], case), _score(b, case)
    if heap:
        scores = tuple(2 * s * len(x) / (len(a) + len(b)) for s, x in zip(scores, (a, b), strict=True))
    return _volume(case) - sum(scores) + case["constant"]


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
                    "The log-determinant is missing. Without it the loss rewards a map that shrinks "
                    "A to a point.",
                    lambda w, c: w - _volume(c),
                ),
                Mistake(
                    "log-determinant added",
                    "The log-determinant has the wrong sign: stretching must be rewarded, to make up "
                    "for the lower density that it causes.",
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
                    "You average over all points in one heap, so that the larger dataset counts for "
                    "more. The loss is a mean over A plus a mean over B.",
                    lambda w, c: _loss(c, heap=True),
                ),
                Mistake(
                    "one mean over both, halved",
                    "You average over all points of both datasets. The loss is a mean over A plus a "
                    "mean over B.",
                    lambda w, c: 0.5 * (_loss(c, heap=True) - (k := _volume(c) + c["constant"])) + k,
                ),
            ),
        ),
    ),
    hints=(
        "Four terms: volume, T(A) under the shared density, B under it, and the constant.",
        "The log-determinant of an affine map is the same for all points: log |det K|.",
        "The log-density of N(m, C) is −½ (x − m)ᵀ C⁻¹ (x − m) − ½ log det(2π C). Take its mean over "
        "T(A), and its mean over B, and add them.",
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
                Mistake("sum of the means", "You add the means: halve the sum.", lambda w, c: 2 * w),
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
                    "Each mean is half a gap away from the shared mean: squared, that is a quarter.",
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
        "The shared density maximises the sum of two means. It fits the equal mixture of T(A) and B.",
        "Give each point of T(A) the weight ½/n and each of B the weight ½/m.",
        "Or: the average of both covariances plus a quarter of the outer product of the gap between "
        "the means.",
    ),
)


NUMBERS = ("mean_a", "std_a", "mean_b", "std_b")


def _on_line(case: Case, log_a: float, b: float) -> float:
    line = {name: case[name] for name in NUMBERS}
    return float(gaussian.loss_1d(np.exp(log_a), b, **line))


def _parts(case: Case) -> tuple[float, float]:
    """Shared variance and the gap of the means."""
    a = np.exp(case["log_a"])
    gap = a * case["mean_a"] + case["b"] - case["mean_b"]
    return 0.5 * ((a * case["std_a"]) ** 2 + case["std_b"] ** 2) + 0.25 * gap**2, gap


def _asked(answer: Any, case: Case) -> tuple[Any, Any]:
    values = answer(case["log_a"], case["b"], *(case[name] for name in NUMBERS))
    return pair(values, ("the derivative by log a", "the derivative by b"))


GRADIENT = Function(
    name="training.gradient",
    level="derive",
    given={
        "log_a": Real(-1.0, 1.0),
        "b": Real(-2.0, 2.0),
        "mean_a": Real(-2.0, 2.0),
        "std_a": Real(0.5, 2.0),
        "mean_b": Real(-2.0, 2.0),
        "std_b": Real(0.5, 2.0),
    },
    sweep=("log_a", -1.0, 1.0),
    aspects=(
        Aspect(
            name="derivative by log a",
            text="Differentiate log S − log a by a, then multiply by a.",
            got=lambda answer, case: _asked(answer, case)[0],
            wanted=lambda _, case: float(
                slope(lambda u: _on_line(case, u, case["b"]), case["log_a"], 1e-3)
            ),
            mistakes=(
                Mistake(
                    "by a, not by log a",
                    "This is the derivative by a. The parameter is log a, which keeps a positive: "
                    "the chain rule gives a factor a.",
                    lambda w, c: w * np.exp(-c["log_a"]),
                ),
                Mistake(
                    "log-determinant forgotten",
                    "The term −log a of the loss has the derivative −1 by log a.",
                    lambda w, c: w + 1,
                ),
                Mistake("sign", "This points downhill; the gradient points uphill.", lambda w, c: -w),
                Mistake(
                    "mean does not move",
                    "When a changes, the mean of T(A) moves as well, not only its spread.",
                    lambda w, c: (np.exp(c["log_a"]) * c["std_a"]) ** 2 / _parts(c)[0] - 1,
                ),
            ),
        ),
        Aspect(
            name="derivative by b",
            text="The shift enters the loss through the gap of the means alone.",
            got=lambda answer, case: _asked(answer, case)[1],
            wanted=lambda _, case: float(
                slope(lambda b: _on_line(case, case["log_a"], b), case["b"], 1e-3)
            ),
            mistakes=(
                Mistake(
                    "shared density stays where it is",
                    "You hold the shared mean fixed at that of B. It follows half the way: the gap "
                    "counts half.",
                    lambda w, c: 2 * w,
                ),
                Mistake(
                    "half too small",
                    "The derivative of a square has a factor 2.",
                    lambda w, c: w / 2,
                ),
                Mistake(
                    "logarithm not differentiated",
                    "You differentiate S; the loss has its logarithm: divide by S.",
                    lambda w, c: w * _parts(c)[0],
                ),
            ),
        ),
    ),
    hints=(
        "With the best shared density the loss is log S − log a plus constants. S holds two variances "
        "and a quarter of the squared gap.",
        "S = ½(a² σ_A² + σ_B²) + ¼ δ² with δ = a μ_A + b − μ_B. Differentiate by a and by b.",
        "By log a: a times the derivative by a. The log-determinant contributes −1.",
    ),
)


def _line_of(case: Case) -> dict[str, float]:
    a, b = case["a"], case["b"]
    return {"mean_a": a.mean(), "std_a": a.std(), "mean_b": b.mean(), "std_b": b.std()}


def _loss_at(case: Case, scale: float, shift: float) -> float:
    """The loss of a map; infinite where the map has collapsed or run away."""
    line = _line_of(case)
    size = abs(scale) * line["std_a"] / line["std_b"]
    if not 0.1 < size < 1e6 or abs(shift) > 1e9:
        return np.inf
    return float(gaussian.loss_1d(scale, shift, **line))


def _reached(answer: Any, case: Case) -> Any:
    scale, shift = pair(answer(case["a"], case["b"]), ("the scale", "the shift"))
    scale, shift = (
        float(as_numbers(x, (), name)) for x, name in ((scale, "the scale"), (shift, "the shift"))
    )
    return _loss_at(case, scale, shift)


FIT = Function(
    name="training.fit",
    level="code",
    training=8.0,
    examples=8,
    given={
        "a": Points(0, least=8, most=20, spread=True),
        "b": Points(0, least=8, most=20, spread=True),
    },
    related=lambda case: bool(0.3 < case["a"].std() < 4 and 0.3 < case["b"].std() < 4),
    aspects=(
        Aspect(
            name="loss of the map found",
            text="The loss falls, and has not reached zero: more steps, or larger ones?",
            got=_reached,
            wanted=lambda _, case: 0.0,
            tolerance=1e-3,
            mistakes=(
                Mistake(
                    "collapsed",
                    "The map has run away: the scale is zero or infinite. Is the log-determinant in "
                    "the gradient, with the right sign?",
                    lambda w, c: np.inf,
                ),
                Mistake(
                    "the inverse map",
                    "This map carries B to A.",
                    lambda w, c: _loss_at(
                        c,
                        (m := _line_of(c))["std_a"] / m["std_b"],
                        m["mean_a"] - m["std_a"] / m["std_b"] * m["mean_b"],
                    ),
                ),
                Mistake(
                    "shift as without a scale",
                    "The shift is the gap of the means. That is right for a scale of one; here the "
                    "mean of A is scaled first.",
                    lambda w, c: _loss_at(
                        c, (m := _line_of(c))["std_b"] / m["std_a"], m["mean_b"] - m["mean_a"]
                    ),
                ),
                Mistake(
                    "scale not learned",
                    "The means agree, the spreads do not: the scale stays at one.",
                    lambda w, c: _loss_at(c, 1.0, (m := _line_of(c))["mean_b"] - m["mean_a"]),
                ),
                Mistake(
                    "log of the scale",
                    "You return log a, the parameter, in place of the scale a.",
                    lambda w, c: _loss_at(
                        c,
                        np.log((r := (m := _line_of(c))["std_b"] / m["std_a"])),
                        m["mean_b"] - r * m["mean_a"],
                    ),
                ),
            ),
        ),
    ),
    hints=(
        "Start at a = 1, b = 0. Compute means and standard deviations once; in each step use the "
        "gradient of Task 3.",
        "A few hundred steps of size 0.2 to 0.5 suffice, since the loss changes slowly far out. Watch "
        "it fall.",
        "The parameters are log a and b. Return exp(log a) and b.",
    ),
)


def _sem(x: Array) -> float:
    return float(stats.sem(x))


CERTIFICATE = Function(
    name="training.certificate",
    level="code",
    given={"terms_a": Points(0, least=3, most=8), "terms_b": Points(0, least=3, most=8)},
    aspects=(
        Aspect(
            name="value",
            text="The loss is a mean over A plus a mean over B.",
            got=lambda answer, case: _certified(answer, case)[0],
            wanted=lambda _, case: float(np.mean(case["terms_a"]) + np.mean(case["terms_b"])),
            mistakes=(
                Mistake(
                    "one mean over both",
                    "You average over all points in one heap.",
                    lambda w, c: np.concatenate([c["terms_a"], c["terms_b"]]).mean(),
                ),
                Mistake(
                    "half",
                    "The two means are added, not averaged.",
                    lambda w, c: w / 2,
                ),
            ),
        ),
        Aspect(
            name="standard error",
            text="The two samples are independent. What is the variance of a sum?",
            got=lambda answer, case: _certified(answer, case)[1],
            wanted=lambda _, case: float(np.hypot(_sem(case["terms_a"]), _sem(case["terms_b"]))),
            mistakes=(
                Mistake(
                    "deviation, not error",
                    "This does not shrink with more points. A mean of n points varies by their "
                    "standard deviation over √n.",
                    lambda w, c: np.hypot(np.std(c["terms_a"], ddof=1), np.std(c["terms_b"], ddof=1)),
                ),
                Mistake(
                    "errors added",
                    "Errors of independent samples add up as squares.",
                    lambda w, c: _sem(c["terms_a"]) + _sem(c["terms_b"]),
                ),
                Mistake(
                    "divided by n",
                    "Divide by n − 1 for the variance: the mean was estimated from the same points.",
                    lambda w, c: np.hypot(
                        stats.sem(c["terms_a"], ddof=0), stats.sem(c["terms_b"], ddof=0)
                    ),
                ),
                Mistake("variance", "This is the square of the standard error.", lambda w, c: w**2),
                Mistake(
                    "one sample for two",
                    "You treat all terms as one sample. The two have different means and sizes.",
                    lambda w, c: _sem(np.concatenate([c["terms_a"], c["terms_b"]])),
                ),
            ),
        ),
    ),
    hints=(
        "Every held-out point contributes one term. How much would the two means change with other "
        "points?",
        "The variance of a mean is the variance of one term over the number of terms.",
        "Add the variances of the two means, and take the root.",
    ),
)


def _certified(answer: Any, case: Case) -> tuple[Any, Any]:
    return pair(answer(case["terms_a"], case["terms_b"]), ("the value", "the standard error"))


STATEMENTS = Statements(
    name="training.statements",
    thoughts={
        "a": "is the family closed under the maps? What is the bias then?",
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
