"""Assignment 5: Jensen–Shannon divergence, GANs and vanishing gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from lrmf.course.given import Points, Real
from lrmf.course.numerics import slope
from lrmf.course.tasks import Aspect, Case, Function, Mistake, Statements, Task
from lrmf.course.values import pair

__all__ = ["TASKS"]

Array = NDArray[np.float64]
LOG2 = float(np.log(2))

DISCRIMINATOR_ARGUMENTS = ("x", "mean_a", "mean_b", "std", "share")


def _bayes(case: Case, power: float = 1.0, share: float | None = None) -> float:
    share = case["share"] if share is None else share
    ends = [stats.norm.logpdf(case["x"], case[m], case["std"]) for m in ("mean_a", "mean_b")]
    return float(special.expit(power * (ends[0] - ends[1]) + special.logit(share)))


DISCRIMINATOR = Function(
    name="gans.discriminator",
    level="derive",
    given={
        "x": Real(-4.0, 4.0),
        "mean_a": Real(-2.0, 2.0),
        "mean_b": Real(-2.0, 2.0),
        "std": Real(0.5, 2.0),
        "share": Real(0.1, 0.9, 0.1),
    },
    sweep=("x", -4.0, 4.0),
    aspects=(
        Aspect(
            name="D(x)",
            text="Bayes' rule: how probable is it that this x came from A?",
            got=lambda answer, case: answer(*(case[name] for name in DISCRIMINATOR_ARGUMENTS)),
            wanted=lambda _, case: _bayes(case),
            mistakes=(
                Mistake(
                    "share ignored",
                    "You treat both datasets as equally frequent. Where only a tenth of the points "
                    "come from A, an undecided x is more likely one of B.",
                    lambda w, c: _bayes(c, share=0.5),
                ),
                Mistake(
                    "A and B swapped",
                    "This is the probability that x came from B.",
                    lambda w, c: 1 - w,
                ),
                Mistake(
                    "ratio, not probability",
                    "This is the ratio of the two; a probability lies between 0 and 1.",
                    lambda w, c: w / (1 - w),
                ),
                Mistake(
                    "log-odds",
                    (
                        "These are the log-odds, the discriminator's logit. Apply the logistic "
                        "function."
                    ),
                    lambda w, c: special.logit(w),
                ),
                Mistake(
                    "half forgotten",
                    "The exponent of a normal density has a factor ½.",
                    lambda w, c: _bayes(c, power=2.0),
                ),
                Mistake(
                    "deviation for variance",
                    "You divide by the standard deviation where its square belongs.",
                    lambda w, c: _bayes(c, power=c["std"]),
                ),
            ),
        ),
    ),
    hints=(
        "D is the share of A among all points at x.",
        "The ratio of the two normal densities: what cancels when both have the same spread?",
        "The log-odds are linear in x. D is the logistic function of them.",
    ),
)


def _bound(case: Case, sign: float = 1.0) -> tuple[float, float]:
    """The two means of log-likelihoods of the classifier."""
    return (
        -float(np.logaddexp(0.0, -case["logits_a"]).mean()),
        -float(np.logaddexp(0.0, sign * case["logits_b"]).mean()),
    )


BOUND = Function(
    name="gans.bound",
    level="code",
    given={
        "logits_a": Points(0, least=1, most=6, far=1000.0, step=0.5),
        "logits_b": Points(0, least=1, most=6, far=1000.0, step=0.5),
    },
    special="For logits of ordinary size your function is right. A sure classifier has large ones, "
    "and for them exp overflows or a logarithm of zero appears. Use np.logaddexp or log1p.",
    aspects=(
        Aspect(
            name="lower bound on 2 JSD",
            text="How probable is the right label for each point, by these logits?",
            got=lambda answer, case: answer(case["logits_a"], case["logits_b"]),
            wanted=lambda _, case: 2 * LOG2 + sum(_bound(case)),
            mistakes=(
                Mistake(
                    "JSD, not twice",
                    "This is the bound on JSD. The likelihood-ratio distance of a rich family is "
                    "twice that.",
                    lambda w, c: w / 2,
                ),
                Mistake(
                    "constant forgotten",
                    "The log-likelihood of a coin is −log 2 on each side. Compare with it: a "
                    "classifier that knows nothing must give zero.",
                    lambda w, c: w - 2 * LOG2,
                ),
                Mistake(
                    "one log 2",
                    "Two means, so twice log 2: a classifier that knows nothing must give zero.",
                    lambda w, c: w - LOG2,
                ),
                Mistake(
                    "B judged as A",
                    "For points of B the right label is B: there a negative logit is good.",
                    lambda w, c: 2 * LOG2 + sum(_bound(c, -1.0)),
                ),
                Mistake(
                    "bits, not nats",
                    "You use the binary logarithm; the distance is in nats.",
                    lambda w, c: w / LOG2,
                ),
                Mistake(
                    "sum for mean",
                    "You add up over points where a mean is due, for each dataset.",
                    lambda w, c: (
                        2 * LOG2
                        + (s := _bound(c))[0] * len(c["logits_a"])
                        + s[1] * len(c["logits_b"])
                    ),
                ),
                Mistake(
                    "one mean over both",
                    "You average over all points in one heap; each dataset has its own mean.",
                    lambda w, c: (
                        2 * LOG2
                        + 2
                        * (
                            (s := _bound(c))[0] * (n := len(c["logits_a"]))
                            + s[1] * len(c["logits_b"])
                        )
                        / (n + len(c["logits_b"]))
                    ),
                ),
            ),
        ),
    ),
    hints=(
        (
            "The classifier gives a point of A the probability σ(l), and one of B the probability"
            " 1 − σ(l)."
        ),
        "2 JSD is at least 2 log 2 plus the mean log-probability of the right label on each side.",
        (
            "log σ(l) = −log(1 + e^{−l}) = −np.logaddexp(0, −l), and log(1 − σ(l)) = "
            "−np.logaddexp(0, l)."
        ),
    ),
)


def _along(case: Case, sign: float) -> float:
    """Derivative of the loss of a generated point whose logit moves with the given slope."""
    at = slope(lambda u: np.logaddexp(0.0, sign * (case["logit"] + case["slope"] * u)), 0.0, 1e-3)
    return float(at)


def _sigma(case: Case) -> float:
    return float(special.expit(case["logit"]))


def _steps(answer: Any, case: Case) -> tuple[Any, Any]:
    names = ("the saturating derivative", "the non-saturating derivative")
    return pair(answer(case["logit"], case["slope"]), names)


GENERATOR = Function(
    name="gans.generator",
    level="derive",
    given={"logit": Real(-4.0, 4.0), "slope": Real(-2.0, 2.0)},
    sweep=("logit", -6.0, 6.0),
    aspects=(
        Aspect(
            name="derivative of log(1 − D)",
            text="Differentiate log(1 − σ(l)) by l, and multiply by the slope of l.",
            got=lambda answer, case: _steps(answer, case)[0],
            wanted=lambda _, case: -_along(case, 1.0),
            mistakes=(
                Mistake(
                    "the two swapped",
                    "These are the derivatives of the other loss.",
                    lambda w, c: _along(c, -1.0),
                ),
                Mistake(
                    "sign of the first",
                    "The generator minimises log(1 − D); raising D lowers it.",
                    lambda w, c: -w,
                ),
                Mistake(
                    "slope forgotten",
                    "This is the derivative by the logit. The parameter moves the point, and the "
                    "point's logit changes with its slope.",
                    lambda w, c: -_sigma(c),
                ),
                Mistake(
                    "derivative of D",
                    "You differentiate D, whose slope is D(1 − D). The loss is a logarithm: divide "
                    "by its argument.",
                    lambda w, c: w * (1 - _sigma(c)),
                ),
            ),
        ),
        Aspect(
            name="derivative of −log D",
            text="Differentiate −log σ(l) by l, and multiply by the slope of l.",
            got=lambda answer, case: _steps(answer, case)[1],
            wanted=lambda _, case: _along(case, -1.0),
            mistakes=(
                Mistake(
                    "same as the saturating one",
                    "Both losses have the same sign of the derivative and not the same size: one "
                    "fades where D is small, the other where D is large.",
                    lambda w, c: -_along(c, 1.0),
                ),
                Mistake(
                    "sign of the second",
                    "The generator minimises −log D; raising D lowers it.",
                    lambda w, c: -w,
                ),
                Mistake(
                    "derivative of D, second",
                    "You differentiate D; the loss is a logarithm.",
                    lambda w, c: w * _sigma(c),
                ),
            ),
        ),
    ),
    hints=(
        "Chain rule: the parameter moves the logit at the rate of the slope.",
        "The derivative of σ(l) is σ(l)(1 − σ(l)). In both losses one of the factors cancels.",
        "log(1 − σ(l)) has the derivative −σ(l), and −log σ(l) has −(1 − σ(l)).",
    ),
)


def _log_gap(case: Case, gap: float) -> float:
    """log(1 − TV) of N(0, s²) and N(gap, s²)."""
    return LOG2 + float(special.log_ndtr(-gap / (2 * case["std"])))


def _tail(case: Case) -> float:
    step = 1e-3 * case["std"]
    rate = -float(slope(lambda gap: _log_gap(case, gap), case["gap"], step))
    return _log_gap(case, case["gap"]) + float(np.log(rate))


TAIL = Function(
    name="gans.tail",
    level="derive",
    given={"gap": Real(0.5, 8.0, far=100.0), "std": Real(0.5, 2.0)},
    sweep=("gap", 0.5, 12.0),
    special="For small gaps your function is right. For large ones the density underflows to zero "
    "before you take its logarithm: simplify the logarithm on paper.",
    aspects=(
        Aspect(
            name="log of the slope",
            text="Total variation is Φ(gap/2s) − Φ(−gap/2s). Differentiate by the gap.",
            got=lambda answer, case: answer(case["gap"], case["std"]),
            wanted=lambda _, case: _tail(case),
            mistakes=(
                Mistake(
                    "whole gap",
                    "The densities cross in the middle, half a gap away from either mean.",
                    lambda w, c: w - 0.375 * (c["gap"] / c["std"]) ** 2,
                ),
                Mistake(
                    "inner derivative forgotten",
                    "gap/2s grows with the gap at the rate 1/2s.",
                    lambda w, c: w + np.log(c["std"]),
                ),
                Mistake(
                    "slope, not its logarithm",
                    "This is the slope; its logarithm is asked for.",
                    lambda w, c: np.exp(w),
                ),
                Mistake(
                    "factor two",
                    "Two terms, each with the inner derivative 1/2s: the factors 2 cancel.",
                    lambda w, c: w + LOG2,
                ),
                Mistake(
                    "half",
                    "Both terms change with the gap.",
                    lambda w, c: w - LOG2,
                ),
                Mistake(
                    "constant forgotten",
                    "The normal density has the constant −½ log 2π.",
                    lambda w, c: w + 0.5 * np.log(2 * np.pi),
                ),
                Mistake(
                    "sign", "The slope gets smaller with the gap, not larger.", lambda w, c: -w
                ),
            ),
        ),
    ),
    hints=(
        "Where do the two densities cross? Total variation is a difference of probabilities there.",
        "TV = 2 Φ(gap/2s) − 1. Its derivative is φ(gap/2s)/s.",
        "log φ(z) = −½ z² − ½ log 2π with z = gap/2s. Then subtract log s.",
    ),
)

STATEMENTS = Statements(
    name="gans.statements",
    thoughts={
        "a": "put the best discriminator into the objective.",
        "b": "what is D near the generated points, and how does it change there?",
        "c": "a gradient that does not vanish belongs to some other objective. Which?",
        "d": "what is the best critic for two points, and its slope?",
        "e": "the normal family's distance grows like the logarithm of the gap. And its slope?",
        "f": "who computed this loss, and could a better one have seen more?",
    },
    seal="8fb345970c6e",
    hints=(
        "Compute each for two points, or two normal densities, far apart.",
        "For e compare 2/gap with exp(−gap²/8): both go to zero, and only one of them vanishes.",
        "For f think of the linear critic in the chapter on distances.",
    ),
)

TASKS: tuple[Task, ...] = (DISCRIMINATOR, BOUND, GENERATOR, TAIL, STATEMENTS)
