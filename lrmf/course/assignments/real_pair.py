"""Assignment 6: align a real pair, and defend the result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import lrmf
from lrmf.course.assignments.real_pair_codes import ENCODE
from lrmf.course.containment import Failed
from lrmf.course.given import Bits, Points
from lrmf.course.tasks import (
    Aspect,
    Case,
    Construction,
    Function,
    Mistake,
    Requirement,
    Statements,
    Task,
)
from lrmf.course.values import as_numbers

__all__ = ["TASKS"]

Array = NDArray[np.float64]


def _cov(x: Array) -> Array:
    return np.asarray(np.cov(x.T, bias=True))


def _root(matrix: Array, power: float = 0.5) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * values**power) @ vectors.T)


def _moved_by(case: Case, matrix: Array) -> Array:
    return np.asarray(matrix @ _cov(case["a"]) @ matrix.T)


def _result(answer: Any, case: Case) -> Array:
    return as_numbers(answer(case["a"], case["b"]), case["a"].shape, "the moved points")


BASELINE = Function(
    name="real_pair.baseline",
    level="code",
    given={
        "a": Points(2, least=5, most=9, spread=True),
        "b": Points(2, least=5, most=9, spread=True),
    },
    related=lambda case: all(np.linalg.eigvalsh(_cov(case[k]))[0] > 0.1 for k in "ab"),
    aspects=(
        Aspect(
            name="mean of the moved points",
            text="Subtract the mean of A before you multiply, add that of B after.",
            got=lambda answer, case: _result(answer, case).mean(0),
            wanted=lambda _, case: case["b"].mean(0),
            mistakes=(
                Mistake(
                    "mean not moved",
                    "The mean is still that of A.",
                    lambda w, c: c["a"].mean(0),
                ),
                Mistake(
                    "mean of A left in",
                    "The mean of B is added, that of A was not removed.",
                    lambda w, c: w + c["a"].mean(0),
                ),
                Mistake(
                    "mean of B forgotten",
                    "The moved points have mean zero: add the mean of B.",
                    lambda w, c: 0 * w,
                ),
            ),
        ),
        Aspect(
            name="covariance of the moved points",
            text=(
                "White data has the identity for covariance. Check after the first half of your "
                "map."
            ),
            got=lambda answer, case: _cov(_result(answer, case)),
            wanted=lambda _, case: _cov(case["b"]),
            tolerance=1e-3,
            mistakes=(
                Mistake(
                    "only shifted",
                    "The covariance is still that of A.",
                    lambda w, c: _cov(c["a"]),
                ),
                Mistake(
                    "coordinates only",
                    "You match the standard deviation of each coordinate. The correlations differ.",
                    lambda w, c: _moved_by(c, np.diag(c["b"].std(0) / c["a"].std(0))),
                ),
                Mistake(
                    "only whitened",
                    "The covariance is the identity: white data, not yet coloured as B.",
                    lambda w, c: np.eye(2),
                ),
                Mistake(
                    "covariance for its root",
                    "You multiply by covariances where their roots belong: a covariance is hit by "
                    "the matrix twice.",
                    lambda w, c: _moved_by(c, w @ np.linalg.inv(_cov(c["a"]))),
                ),
                Mistake(
                    "wrong direction",
                    "You whiten as if A were B, and colour as A.",
                    lambda w, c: _moved_by(c, _root(_cov(c["a"])) @ _root(w, -0.5)),
                ),
                Mistake(
                    "colours before white",
                    "The order is wrong: first make A white, then colour it as B.",
                    lambda w, c: _moved_by(c, _root(_cov(c["a"]), -0.5) @ _root(w)),
                ),
            ),
        ),
    ),
    hints=(
        "Two steps: make A white, then give it the covariance and the mean of B.",
        "A matrix W with W Σ_A Wᵀ = I makes A white: the inverse of the Cholesky factor of Σ_A.",
        "Moved points, as rows: (a − mean) @ Wᵀ @ L_Bᵀ + mean of B, with L_B L_Bᵀ = Σ_B.",
    ),
)


def _counts(case: Case) -> tuple[int, int, int]:
    """Answers that became right, that changed, and all."""
    before, after = case["right"].T
    changed = before != after
    return int((changed & (after == 1)).sum()), int(changed.sum()), len(before)


def _p_value(k: int, n: int) -> float:
    return float(stats.binomtest(k, n, alternative="greater").pvalue) if n else 1.0


def _half(case: Case, k: int, n: int) -> float:
    """Two-sided."""
    return float(stats.binomtest(k, n).pvalue) if n else 1.0


GAIN = Function(
    name="real_pair.gain",
    level="derive",
    given={"right": Bits(2, most=16)},
    special="In general your function is right. What should it say when no answer has changed?",
    aspects=(
        Aspect(
            name="p-value",
            text="Count the answers that changed, and those of them that became right.",
            got=lambda answer, case: answer(case["right"]),
            wanted=lambda _, case: _p_value(*_counts(case)[:2]),
            mistakes=(
                Mistake(
                    "two-sided",
                    "You ask for any change. The question is whether the map helped: one side.",
                    lambda w, c: _half(c, *_counts(c)[:2]),
                ),
                Mistake(
                    "more than, not at least",
                    "You leave out the result that was observed. A p-value counts it as well.",
                    lambda w, c: stats.binom.sf((n := _counts(c))[0], n[1], 0.5),
                ),
                Mistake(
                    "before and after swapped",
                    "You count the answers that became wrong.",
                    lambda w, c: _p_value((n := _counts(c))[1] - n[0], n[1]),
                ),
                Mistake(
                    "unchanged answers counted",
                    "You count answers that did not change as trials. They say nothing for or "
                    "against the map.",
                    lambda w, c: _p_value((n := _counts(c))[0], n[2]),
                ),
                Mistake(
                    "normal approximation",
                    "With so few changes the normal approximation is off. The exact binomial "
                    "probability is a sum of a few terms.",
                    lambda w, c: stats.norm.sf((2 * (n := _counts(c))[0] - n[1]) / n[1] ** 0.5),
                ),
                Mistake("complement", "This is one minus the p-value.", lambda w, c: 1 - w),
            ),
        ),
    ),
    hints=(
        "If the map did nothing, an answer that changed became right or wrong like a coin.",
        "Only rows with different entries count: n of them, k of which became right.",
        "The p-value is the probability of at least k heads in n throws of a fair coin.",
    ),
)


def _defence(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise Failed("no defence", "expected a dict with the keys moved, target and decision.")
    missing = sorted({"moved", "target", "decision"} - set(answer))
    if missing:
        raise Failed("no defence", f"the key {missing[0]!r} is missing.")
    if any(answer[name] is None for name in ("moved", "target", "decision")):
        raise Failed("unanswered", "not answered yet.")
    found: dict[str, Any] = {"decision": str(answer["decision"])}
    for name in ("moved", "target"):
        size = np.shape(answer[name]) if isinstance(answer[name], np.ndarray) else ()
        if len(size) != 2:
            raise Failed("shape", f"{name} should be an array of points (n, d).")
        found[name] = as_numbers(answer[name], size, name)
        if not np.isfinite(found[name]).all():
            raise Failed("not a number", f"{name} has entries that are not finite.")
    if found["moved"].shape[1] != found["target"].shape[1]:
        raise Failed("shape", "moved and target have different numbers of coordinates.")
    return found


def _copied(defence: dict[str, Any]) -> bool:
    target = {row.tobytes() for row in np.round(defence["target"], 9)}
    return bool(np.mean([row.tobytes() in target for row in np.round(defence["moved"], 9)]) > 0.02)


DECISIONS = ("aligned", "not aligned", "not decided")

DEFENCE = Construction(
    name="real_pair.defence",
    level="judge",
    read=_defence,
    requirements=(
        Requirement(
            "no decision",
            "The decision is one of 'aligned', 'not aligned', 'not decided'.",
            lambda d: d["decision"] in DECISIONS,
        ),
        Requirement(
            "too few points",
            "Use at least 100 held-out points on each side.",
            lambda d: min(len(d["moved"]), len(d["target"])) >= 100,
        ),
        Requirement(
            "collapsed",
            "The moved points hardly vary in some coordinate: the map has collapsed.",
            lambda d: bool(
                (d["moved"].std(0) > 1e-3 * np.maximum(d["target"].std(0), 1e-300)).all()
            ),
        ),
        Requirement(
            "copies of the target",
            "Some moved points are points of the target. A map from A must not return rows of B: "
            "is this a nearest neighbour, or are the arrays mixed up?",
            lambda d: not _copied(d),
        ),
        Requirement(
            "repeated points",
            "Many moved points are equal. An invertible map keeps different points apart.",
            lambda d: len(np.unique(np.round(d["moved"], 9), axis=0)) > 0.9 * len(d["moved"]),
        ),
        Requirement(
            "decision differs",
            "The judge comes to another decision about these points: lrmf.lrd(moved, target). "
            "Report what it says, also where you had hoped for something else.",
            lambda d: lrmf.lrd(d["moved"], d["target"]).decision == d["decision"],
        ),
    ),
    hints=(
        (
            "Fit on the training part, move the held-out part of A, and compare with the "
            "held-out part of B."
        ),
        "lrmf.lrd(moved, target) judges two arrays. Its decision is the third entry.",
        (
            "A decision of 'not aligned' or 'not decided' is a right answer, if it is what the "
            "judge says."
        ),
    ),
)

STATEMENTS = Statements(
    name="real_pair.statements",
    thoughts={
        "a": "what does a map in the first k components do to the others?",
        "b": "permute the classes inside an aligned pair.",
        "c": "who chose the coordinates, and with which knowledge?",
        "d": "what is the unit of a density in k coordinates?",
        "e": "what would a referee ask about the networks?",
        "f": "the largest of five noisy numbers: is it too large on average?",
    },
    seal="71aab3eaa99a",
    hints=(
        "The chapter on a first real pair has a table of what may be used for what.",
        "d: change one coordinate from metres to millimetres.",
        "b and c are about labels: who saw them, and who never did?",
    ),
)

TASKS: tuple[Task, ...] = (ENCODE, BASELINE, GAIN, DEFENCE, STATEMENTS)
