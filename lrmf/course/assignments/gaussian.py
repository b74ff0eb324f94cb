"""Assignment 3: the likelihood-ratio distance and the Gaussian case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from lrmf.course.assignments.gaussian_rotation import ROTATION
from lrmf.course.given import Points, Real
from lrmf.course.tasks import Aspect, Case, Function, Mistake, Statements, Task
from lrmf.theory import gaussian

__all__ = ["TASKS"]

Array = NDArray[np.float64]


def _most(log_likelihood: Callable[[float], float]) -> float:
    """The largest value over a rate, searched on a logarithmic scale."""
    found = optimize.minimize_scalar(
        lambda u: -log_likelihood(float(np.exp(u))), bounds=(-6.0, 6.0), method="bounded"
    )
    return -float(found.fun)


def _exponential(case: Case) -> float:
    a, b = case["mean_a"], case["mean_b"]
    own = sum(_most(lambda rate, m=m: np.log(rate) - rate * m) for m in (a, b))  # type: ignore[misc]
    return own - _most(lambda rate: 2 * np.log(rate) - rate * (a + b))


def _with_b(case: Case) -> float:
    ratio = case["mean_a"] / case["mean_b"]
    return float(ratio - 1 - np.log(ratio))


EXPONENTIAL = Function(
    name="gaussian.exponential",
    level="derive",
    given={"mean_a": Real(0.25, 5.0), "mean_b": Real(0.25, 5.0)},
    sweep=("mean_a", 0.25, 5.0),
    aspects=(
        Aspect(
            name="distance",
            text="Three maxima over the rate: one for a, one for b, one for both together.",
            got=lambda answer, case: answer(case["mean_a"], case["mean_b"]),
            wanted=lambda _, case: _exponential(case),
            mistakes=(
                Mistake(
                    "private models forgotten",
                    "This is what one model for both costs. The distance compares it with what two "
                    "models cost.",
                    lambda w, c: w + 2 + np.log(c["mean_a"]) + np.log(c["mean_b"]),
                ),
                Mistake(
                    "half",
                    (
                        "The shared model is paid for twice, once on each dataset: the distance "
                        "is a sum over both, not their mean."
                    ),
                    lambda w, c: w / 2,
                ),
                Mistake(
                    "shared model fitted to one side",
                    "Your shared model is the best one of B. The shared rate must be the best for "
                    "both together, which makes the distance smaller.",
                    lambda w, c: _with_b(c),
                ),
                Mistake(
                    "sign",
                    "The distance is never negative: two models cannot fit worse than one.",
                    lambda w, c: -w,
                ),
                Mistake(
                    "rates averaged",
                    (
                        "You average the two private rates. The best shared rate belongs to the "
                        "average of the means; its inverse is another number."
                    ),
                    lambda w, c: (
                        -2 * np.log(r := 0.5 / c["mean_a"] + 0.5 / c["mean_b"])
                        + r * (c["mean_a"] + c["mean_b"])
                        - 2
                        - np.log(c["mean_a"])
                        - np.log(c["mean_b"])
                    ),
                ),
                Mistake(
                    "bits, not nats",
                    "You use the binary logarithm; likelihoods here are in nats.",
                    lambda w, c: w / np.log(2),
                ),
            ),
        ),
    ),
    hints=(
        "The average log-likelihood of data with mean m under the rate λ is log λ − λ m.",
        "For one dataset it is largest at λ = 1/m. Which rate maximises the sum over both?",
        (
            "The shared rate is two over the sum of the means. Put all three maxima together;"
            " the ones cancel."
        ),
    ),
)


def _moments(case: Case, ddof: int = 0) -> tuple[Array, Array, Array, Array]:
    a, b = case["a"], case["b"]
    return a.mean(0), a.var(0, ddof=ddof), b.mean(0), b.var(0, ddof=ddof)


def _spread(case: Case) -> bool:
    return bool(min(case["a"].var(0).min(), case["b"].var(0).min()) > 0.05)


def _diagonal(case: Case, ddof: int = 0) -> Array:
    m_a, v_a, m_b, v_b = _moments(case, ddof)
    return np.asarray(gaussian.distance_1d(m_a, v_a**0.5, m_b, v_b**0.5))


def _full(case: Case) -> float:
    a, b = case["a"], case["b"]
    return float(
        gaussian.distance(a.mean(0), np.cov(a.T, bias=True), b.mean(0), np.cov(b.T, bias=True))
    )


def _pooled(case: Case) -> float:
    _, v_a, _, v_b = _moments(case)
    both = np.concatenate([case["a"], case["b"]]).var(0)
    return float((np.log(both) - 0.5 * np.log(v_a * v_b)).sum())


def _under_b(case: Case) -> float:
    m_a, v_a, m_b, v_b = _moments(case)
    return float(0.5 * (np.log(v_b / v_a) + (v_a + (m_a - m_b) ** 2) / v_b - 1).sum())


DIAGONAL = Function(
    name="gaussian.diagonal",
    level="code",
    given={
        "a": Points(3, least=4, most=7, spread=True),
        "b": Points(3, least=4, most=7, spread=True),
    },
    related=_spread,
    aspects=(
        Aspect(
            name="distance",
            text="Compare with samples in one dimension first, where all terms can be seen.",
            got=lambda answer, case: answer(case["a"], case["b"]),
            wanted=lambda _, case: float(_diagonal(case).sum()),
            mistakes=(
                Mistake(
                    "correlations seen",
                    (
                        "You use the full covariance. The family of this task has diagonal "
                        "covariances: it cannot see correlations."
                    ),
                    lambda w, c: _full(c),
                ),
                Mistake(
                    "gap of the means forgotten",
                    (
                        "Your shared model has the average of the variances. It must also cover "
                        "the gap between the two means."
                    ),
                    lambda w, c: (
                        np.log(0.5 * ((m := _moments(c))[1] + m[3])) - 0.5 * np.log(m[1] * m[3])
                    ).sum(),
                ),
                Mistake(
                    "points counted alike",
                    (
                        "Your shared model is fitted to all points in one heap, where the larger "
                        "sample counts for more. In the distance both datasets have the same "
                        "weight."
                    ),
                    lambda w, c: _pooled(c),
                ),
                Mistake(
                    "divided by n − 1",
                    "The best normal density has the variance with n below, not n − 1.",
                    lambda w, c: _diagonal(c, 1).sum(),
                ),
                Mistake(
                    "half",
                    "You take standard deviations where variances belong, or average over the two "
                    "datasets: the distance is twice as large.",
                    lambda w, c: w / 2,
                ),
                Mistake(
                    "mean over coordinates",
                    "The coordinates of a diagonal normal density are independent: their "
                    "log-likelihoods add up.",
                    lambda w, c: w / 3,
                ),
                Mistake(
                    "shared model fitted to one side",
                    "Your shared model is the best one of B. It must serve both.",
                    lambda w, c: _under_b(c),
                ),
            ),
        ),
    ),
    hints=(
        "A density with diagonal covariance is a product: the distance is a sum over coordinates.",
        (
            "In each coordinate the best shared normal density has the mean and variance of "
            "the equal mixture of both datasets."
        ),
        (
            "That variance is ½(v_a + v_b) + ¼(m_a − m_b)². The distance in one coordinate is its "
            "logarithm minus the mean of the logarithms of v_a and v_b."
        ),
    ),
)


def _line(case: Case) -> dict[str, float]:
    return {name: case[name] for name in ("mean_a", "std_a", "mean_b", "std_b")}


def _best_scale(case: Case) -> float:
    found = optimize.minimize_scalar(
        lambda u: float(gaussian.loss_1d(np.exp(u), 0.0, **_line(case))),
        bounds=(-5.0, 5.0),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(np.exp(found.x))


SCALE = Function(
    name="gaussian.scale",
    level="derive",
    given={
        "mean_a": Real(-3.0, 3.0),
        "std_a": Real(0.5, 2.0),
        "mean_b": Real(-3.0, 3.0),
        "std_b": Real(0.5, 2.0),
    },
    sweep=("mean_b", -3.0, 3.0),
    aspects=(
        Aspect(
            name="best scale",
            text="Put the loss on paper, with the shared variance inside the logarithm, and "
            "differentiate. Do not forget what the log-determinant contributes.",
            got=lambda answer, case: answer(*_line(case).values()),
            wanted=lambda _, case: _best_scale(case),
            mistakes=(
                Mistake(
                    "spreads matched",
                    (
                        "This matches the spreads, the best choice if a shift is allowed. Without"
                        " one the scale also has to do something about the means."
                    ),
                    lambda w, c: c["std_b"] / c["std_a"],
                ),
                Mistake(
                    "second moments matched",
                    (
                        "This makes the second moments equal. The shared density has a mean of "
                        "its own, so means count for less than that."
                    ),
                    lambda w, c: (
                        np.hypot(c["std_b"], c["mean_b"]) / np.hypot(c["std_a"], c["mean_a"])
                    ),
                ),
                Mistake("square", "This is the square of the best scale.", lambda w, c: w**2),
                Mistake("inverse", "This maps B to A.", lambda w, c: 1 / w),
                Mistake(
                    "log-determinant forgotten",
                    "You minimise the shared variance alone. Without −log a nothing stops the map "
                    "from shrinking A.",
                    lambda w, c: (
                        c["mean_a"] * c["mean_b"] / (2 * c["std_a"] ** 2 + c["mean_a"] ** 2)
                    ),
                ),
                Mistake(
                    "means matched",
                    "This makes the means equal, at any price for the spreads.",
                    lambda w, c: c["mean_b"] / c["mean_a"],
                ),
            ),
        ),
    ),
    hints=(
        (
            "T(A) has mean a μ_A and standard deviation a σ_A. Write the variance S of the "
            "best shared density as a polynomial in a."
        ),
        "The loss is log S − log a plus constants. Its derivative vanishes where a S' = S.",
        "a² appears on both sides, and the term that is linear in a cancels. Solve for a².",
    ),
)

STATEMENTS = Statements(
    name="gaussian.statements",
    thoughts={
        "a": "when is the shared normal density the best one for both?",
        "b": "what does a normal density see? You built two such samples in Assignment 1.",
        "c": "a larger family may help the shared model more than the private ones.",
        "d": "move two normal densities apart; the chapter has the formula.",
        "e": "three normal densities with means 0, 1 and 2.",
        "f": "the log-determinants of a change of units: where do they appear, with which sign?",
    },
    seal="9408230851ef",
    hints=(
        "All of them can be decided on the line, with normal densities and mixtures of two.",
        "For small gaps the distance grows like the square of the gap: use it for e.",
        "For c compare normal densities with mixtures of two, for two distant bells.",
    ),
)

TASKS: tuple[Task, ...] = (EXPONENTIAL, DIAGONAL, SCALE, ROTATION, STATEMENTS)
