"""The gradient, the loop and the certificate of Assignment 4."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lrmf.course.given import Points, Real
from lrmf.course.numerics import slope
from lrmf.course.tasks import Aspect, Case, Function, Mistake
from lrmf.course.values import as_numbers, pair
from lrmf.theory import gaussian

__all__ = ["CERTIFICATE", "FIT", "GRADIENT"]

Array = NDArray[np.float64]


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
                Mistake(
                    "sign", "This points downhill; the gradient points uphill.", lambda w, c: -w
                ),
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
        (
            "With the best shared density the loss is log S − log a plus constants. S holds two "
            "variances and a quarter of the squared gap."
        ),
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
                    (
                        "The map has run away: the scale is zero or infinite. Is the log-"
                        "determinant in the gradient, with the right sign?"
                    ),
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
                        np.log(r := (m := _line_of(c))["std_b"] / m["std_a"]),
                        m["mean_b"] - r * m["mean_a"],
                    ),
                ),
            ),
        ),
    ),
    hints=(
        (
            "Start at a = 1, b = 0. Compute means and standard deviations once; in each step "
            "use the gradient of Task 3."
        ),
        (
            "A few hundred steps of size 0.2 to 0.5 suffice, since the loss changes slowly far "
            "out. Watch it fall."
        ),
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
                    lambda w, c: np.hypot(
                        np.std(c["terms_a"], ddof=1), np.std(c["terms_b"], ddof=1)
                    ),
                ),
                Mistake(
                    "errors added",
                    "Errors of independent samples add up as squares.",
                    lambda w, c: _sem(c["terms_a"]) + _sem(c["terms_b"]),
                ),
                Mistake(
                    "divided by n",
                    (
                        "Divide by n − 1 for the variance: the mean was estimated from the same "
                        "points."
                    ),
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
        (
            "Every held-out point contributes one term. How much would the two means change "
            "with other points?"
        ),
        "The variance of a mean is the variance of one term over the number of terms.",
        "Add the variances of the two means, and take the root.",
    ),
)


def _certified(answer: Any, case: Case) -> tuple[Any, Any]:
    return pair(answer(case["terms_a"], case["terms_b"]), ("the value", "the standard error"))
