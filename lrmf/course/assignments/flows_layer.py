"""The coupling layer of Assignment 2, and its inverse."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrmf.course.given import Points, Stretches
from lrmf.course.numerics import log_det
from lrmf.course.tasks import Aspect, Case, Function, Mistake
from lrmf.course.values import as_numbers, pair

__all__ = ["COUPLING", "INVERSE"]

Array = NDArray[np.float64]
MAP = ("the moved points", "log_det")


# The coupling layer


def _halves(x: Array) -> tuple[Array, Array]:
    return x[:, :2], x[:, 2:]


def _active(case: Case, x: Any = None) -> Array:
    """Active half by the formula of the task, coordinate by coordinate."""
    passive, active = _halves(case["x"] if x is None else x)
    s, t = case["s"](passive), case["t"](passive)
    return np.stack([active[:, j] * np.exp(s[:, j]) + t[:, j] for j in range(2)], axis=1)


COUPLING = Function(
    name="flows.coupling",
    level="code",
    given={"x": Points(4, most=4), "s": Stretches(2, 2), "t": Stretches(2, 2)},
    aspects=(
        Aspect(
            name="the passive half of y",
            text="The first two columns must come out as they went in.",
            got=lambda answer, case: _columns(answer, case, 0),
            wanted=lambda _, case: _halves(case["x"])[0],
            mistakes=(
                Mistake(
                    "halves swapped",
                    "You move the first half, given the second. Here the first half is passive.",
                    lambda w, c: _active({**c, "x": np.roll(c["x"], 2, axis=1)}),
                ),
            ),
        ),
        Aspect(
            name="the active half of y",
            text="Compare with x2 · exp(s(x1)) + t(x1), entry by entry.",
            got=lambda answer, case: _columns(answer, case, 1),
            wanted=lambda _, case: _active(case),
            mistakes=(
                Mistake(
                    "conditioned on itself",
                    "You give s and t the active half. Then nobody can undo the layer: to find x2 "
                    "one would have to know x2.",
                    lambda w, c: _active({**c, "x": np.tile(_halves(c["x"])[1], 2)}),
                ),
                Mistake(
                    "shift before scale",
                    "You add t before you multiply. This is a coupling layer, too, but not the one "
                    "of the task.",
                    lambda w, c: (
                        (_halves(c["x"])[1] + c["t"](x1 := _halves(c["x"])[0])) * np.exp(c["s"](x1))
                    ),
                ),
                Mistake(
                    "scale without exp",
                    (
                        "You multiply by s itself. It may be zero or negative; exp(s) never is, "
                        "and that is what makes the layer invertible."
                    ),
                    lambda w, c: _halves(c["x"])[1] * c["s"](x1 := _halves(c["x"])[0]) + c["t"](x1),
                ),
                Mistake(
                    "the inverse",
                    "This is the inverse of the layer.",
                    lambda w, c: (
                        (_halves(c["x"])[1] - c["t"](x1 := _halves(c["x"])[0]))
                        * np.exp(-c["s"](x1))
                    ),
                ),
            ),
        ),
        Aspect(
            name="log_det",
            text="Compare with the determinant of the Jacobian, computed by differences.",
            got=lambda answer, case: pair(answer(case["x"], case["s"], case["t"]), MAP)[1],
            wanted=lambda answer, case: log_det(
                lambda x: pair(answer(x, case["s"], case["t"]), MAP)[0], case["x"]
            ),
            tolerance=1e-3,
            mistakes=(
                Mistake(
                    "log_det forgotten",
                    "You return zero. The active half is stretched by exp(s), so volumes change.",
                    lambda w, c: 0 * w,
                ),
                Mistake(
                    "log_det sign",
                    "The sign is wrong: a log_det belongs to the map just applied, and where it "
                    "stretches, it is positive.",
                    lambda w, c: -w,
                ),
                Mistake(
                    "determinant, not its logarithm",
                    "This is the determinant; its logarithm is asked for.",
                    lambda w, c: np.exp(w),
                ),
                Mistake(
                    "mean for sum",
                    "You average over coordinates. A determinant is a product of the stretchings, "
                    "so its logarithm is their sum.",
                    lambda w, c: w / 2,
                ),
                Mistake(
                    "exp for log",
                    "You add up exp(s). The logarithm of the stretching exp(s) is s itself.",
                    lambda w, c: np.exp(c["s"](_halves(c["x"])[0])).sum(axis=1),
                ),
                Mistake(
                    "shift counted",
                    "You count t as well. A shift moves points and leaves volumes alone.",
                    lambda w, c: w + c["t"](_halves(c["x"])[0]).sum(axis=1),
                ),
            ),
        ),
    ),
    hints=(
        "Split x into x[:, :2] and x[:, 2:]. One of them comes out unchanged.",
        (
            "The Jacobian is triangular: zeros where the passive half would depend on the "
            "active one. Its determinant is the product of the diagonal."
        ),
        (
            "The diagonal holds ones, and exp(s) for the active half. Its logarithm is summed over "
            "coordinates, axis=1, and there is one number for each point."
        ),
    ),
)


def _columns(answer: Any, case: Case, half: int) -> Any:
    y = pair(answer(case["x"], case["s"], case["t"]), MAP)[0]
    size = (len(case["x"]), 4)
    return _halves(as_numbers(y, size, "the moved points"))[half]


# Its inverse


def _undone(case: Case) -> Array:
    """The points that the layer moves to y: it is a straight line in each active coordinate."""
    passive, active = _halves(case["y"])
    start = _active(case, np.concatenate([passive, 0 * active], axis=1))
    end = _active(case, np.concatenate([passive, 0 * active + 1], axis=1))
    return np.concatenate([passive, (active - start) / (end - start)], axis=1)


def _parts(case: Case) -> tuple[Array, Array, Array, Array]:
    passive, active = _halves(case["y"])
    return passive, active, case["s"](passive), case["t"](passive)


def _wrong_active(formula: Any) -> Any:
    def value(_: Any, case: Case) -> Array:
        passive, active, s, t = _parts(case)
        return np.concatenate([passive, formula(active, s, t)], axis=1)

    return value


INVERSE = Function(
    name="flows.inverse",
    level="code",
    given={"y": Points(4, most=4), "s": Stretches(2, 2), "t": Stretches(2, 2)},
    aspects=(
        Aspect(
            name="x",
            text="Send x through the layer: y must come out.",
            got=lambda answer, case: pair(answer(case["y"], case["s"], case["t"]), MAP)[0],
            wanted=lambda _, case: _undone(case),
            mistakes=(
                Mistake(
                    "shift after scale",
                    "You undo the scale first, the shift last. What was put on last must come off "
                    "first.",
                    _wrong_active(lambda y, s, t: y * np.exp(-s) - t),
                ),
                Mistake(
                    "scale not undone",
                    "You multiply by exp(s) once more.",
                    _wrong_active(lambda y, s, t: (y - t) * np.exp(s)),
                ),
                Mistake(
                    "shift forgotten",
                    "You undo the scale and forget the shift.",
                    _wrong_active(lambda y, s, t: y * np.exp(-s)),
                ),
                Mistake(
                    "applied again",
                    "This applies the layer once more.",
                    _wrong_active(lambda y, s, t: y * np.exp(s) + t),
                ),
                Mistake(
                    "conditioned on itself",
                    (
                        "You give s and t the active half of y. They were computed from the "
                        "passive one."
                    ),
                    lambda w, c: np.concatenate(
                        [(h := _halves(c["y"]))[0], (h[1] - c["t"](h[1])) * np.exp(-c["s"](h[1]))],
                        axis=1,
                    ),
                ),
            ),
        ),
        Aspect(
            name="log_det",
            text="Compare with the determinant of the Jacobian of your inverse, by differences.",
            got=lambda answer, case: pair(answer(case["y"], case["s"], case["t"]), MAP)[1],
            wanted=lambda answer, case: log_det(
                lambda y: pair(answer(y, case["s"], case["t"]), MAP)[0], case["y"]
            ),
            tolerance=1e-3,
            mistakes=(
                Mistake(
                    "log_det of the forward map",
                    (
                        "This is the log_det of the forward map. By our convention a log_det "
                        "belongs to the map just applied, here the inverse."
                    ),
                    lambda w, c: -w,
                ),
                Mistake(
                    "log_det forgotten",
                    "You return zero, but the inverse changes volumes.",
                    lambda w, c: 0 * w,
                ),
                Mistake(
                    "determinant, not its logarithm",
                    "This is the determinant; its logarithm is asked for.",
                    lambda w, c: np.exp(w),
                ),
                Mistake(
                    "mean for sum",
                    "You average over coordinates where a sum is due.",
                    lambda w, c: w / 2,
                ),
            ),
        ),
    ),
    hints=(
        "The passive half of y is the passive half of x: s and t can be computed from it.",
        "Solve y2 = x2 exp(s) + t for x2. No inverse of s or t is needed.",
        "The log-determinant of the inverse at y is minus the one of the forward map at x.",
    ),
)
