"""Assignment 2: change of variables and a coupling layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from lrmf.course.given import Points, Real, Stretches
from lrmf.course.numerics import Layers, log_det, pulled, slope
from lrmf.course.tasks import Aspect, Case, Function, Mistake, Statements, Task
from lrmf.course.values import pair

__all__ = ["TASKS"]

Array = NDArray[np.float64]
CONSTANT = 0.5 * float(np.log(2 * np.pi))
MAP = ("the moved points", "log_det")


# A density on the line: Y = sinh(a X + b)


def _origin(case: Case) -> float:
    y, a, b = case["y"], case["a"], case["b"]
    return float(optimize.brentq(lambda x: np.sinh(a * x + b) - y, -60.0, 60.0, xtol=1e-13))


def _stretch(case: Case, at: float) -> float:
    return float(np.log(slope(lambda x: np.sinh(case["a"] * x + case["b"]), at, 1e-3)))


def _log_phi(case: Case) -> float:
    return float(stats.norm.logpdf(_origin(case)))


DENSITY = Function(
    name="flows.density",
    level="derive",
    given={"y": Real(-4, 4), "a": Real(0.25, 2), "b": Real(-1.5, 1.5)},
    sweep=("y", -4.0, 4.0),
    aspects=(
        Aspect(
            name="log_density",
            text="Find the point x that y came from, and by how much the map stretches there.",
            got=lambda answer, case: answer(case["y"], case["a"], case["b"]),
            wanted=lambda _, case: _log_phi(case) - _stretch(case, _origin(case)),
            mistakes=(
                Mistake(
                    "stretch added",
                    "You add the logarithm of the stretching where it must be subtracted: where the "
                    "map stretches, the same probability is spread over more room.",
                    lambda w, c: 2 * _log_phi(c) - w,
                ),
                Mistake(
                    "stretch forgotten",
                    "You evaluate the density of X at the right point, and forget that the map "
                    "stretches the line there.",
                    lambda w, c: _log_phi(c),
                ),
                Mistake(
                    "only the factor a",
                    "You account for the factor a, but sinh stretches, too.",
                    lambda w, c: _log_phi(c) - np.log(c["a"]),
                ),
                Mistake(
                    "factor a forgotten",
                    "You account for sinh, but the factor a inside stretches, too: the chain rule.",
                    lambda w, c: w + np.log(c["a"]),
                ),
                Mistake(
                    "stretch at the wrong point",
                    "You evaluate the derivative of the map at y. It belongs to x, the point that y "
                    "came from.",
                    lambda w, c: _log_phi(c) - _stretch(c, c["y"]),
                ),
                Mistake(
                    "density, not its logarithm",
                    "This is the density; its logarithm is asked for.",
                    lambda w, c: np.exp(w),
                ),
                Mistake(
                    "constant forgotten",
                    "The normal density has a constant, ½ log 2π; without it nothing integrates "
                    "to one.",
                    lambda w, c: w + CONSTANT,
                ),
            ),
        ),
    ),
    hints=(
        "Which x is mapped to y? Solve y = sinh(a x + b) for x first.",
        "The density at y is the density of X at that x, divided by the derivative of the map there.",
        "The derivative of sinh is cosh, and cosh² = 1 + sinh². So the derivative can be written "
        "with y alone.",
    ),
)


# A radial map: T(x) = x exp(a |x|²)


def _radial(case: Case) -> Array:
    return log_det(
        lambda x: x * np.exp(case["a"] * np.square(x).sum(axis=1, keepdims=True)), case["x"]
    )


def _ar2(case: Case) -> Array:
    return np.asarray(case["a"] * np.square(case["x"]).sum(axis=1))


RADIAL = Function(
    name="flows.radial",
    level="derive",
    given={"x": Points(3, most=4, span=1.0), "a": Real(0.0, 0.5)},
    aspects=(
        Aspect(
            name="log_det",
            text="Look at the map along a ray and across it: the stretching differs.",
            got=lambda answer, case: answer(case["x"], case["a"]),
            wanted=lambda _, case: _radial(case),
            tolerance=1e-3,
            mistakes=(
                Mistake(
                    "along the ray as across",
                    "You stretch by exp(a|x|²) in all directions alike. Along the ray the factor "
                    "itself changes with x as well.",
                    lambda w, c: 3 * _ar2(c),
                ),
                Mistake(
                    "one direction too few",
                    "One direction is missing: there are d − 1 across the ray, and along it the "
                    "factor exp(a|x|²) is there as well.",
                    lambda w, c: w - _ar2(c),
                ),
                Mistake(
                    "only along the ray",
                    "This is the stretching along the ray. What happens in the two directions "
                    "across?",
                    lambda w, c: w - 2 * _ar2(c),
                ),
                Mistake(
                    "derivative of the square",
                    "Differentiate r exp(a r²) again: the inner derivative has a factor 2.",
                    lambda w, c: 3 * _ar2(c) + np.log1p(_ar2(c)),
                ),
                Mistake(
                    "length, not its square",
                    "You take the length |x| where the map has its square.",
                    lambda w, c: 3 * c["a"] * (r := np.linalg.norm(c["x"], axis=1))
                    + np.log1p(2 * c["a"] * r),
                ),
                Mistake(
                    "wrong direction",
                    "This is the log-determinant of the inverse map. A log_det belongs to the map "
                    "just applied.",
                    lambda w, c: -w,
                ),
                Mistake(
                    "determinant, not its logarithm",
                    "This is the determinant; its logarithm is asked for.",
                    lambda w, c: np.exp(w),
                ),
            ),
        ),
    ),
    hints=(
        "Turn the axes so that the first one points along x. What is the Jacobian in these axes?",
        "Across the ray a small step is multiplied by exp(a|x|²). Along it, r becomes r exp(a r²): "
        "differentiate.",
        "The matrix is diagonal in these axes, with two equal entries and a third one. The "
        "determinant does not depend on the axes.",
    ),
)


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
                    lambda w, c: (_halves(c["x"])[1] + c["t"](x1 := _halves(c["x"])[0]))
                    * np.exp(c["s"](x1)),
                ),
                Mistake(
                    "scale without exp",
                    "You multiply by s itself. It may be zero or negative; exp(s) never is, and that "
                    "is what makes the layer invertible.",
                    lambda w, c: _halves(c["x"])[1] * c["s"](x1 := _halves(c["x"])[0])
                    + c["t"](x1),
                ),
                Mistake(
                    "the inverse",
                    "This is the inverse of the layer.",
                    lambda w, c: (_halves(c["x"])[1] - c["t"](x1 := _halves(c["x"])[0]))
                    * np.exp(-c["s"](x1)),
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
        "The Jacobian is triangular: zeros where the passive half would depend on the active one. "
        "Its determinant is the product of the diagonal.",
        "The diagonal holds ones, and exp(s) for the active half. Its logarithm is summed over "
        "coordinates, axis=1, and there is one number for each point.",
    ),
)


def _columns(answer: Any, case: Case, half: int) -> Any:
    y = pair(answer(case["x"], case["s"], case["t"]), MAP)[0]
    n = len(case["x"])
    if not isinstance(y, np.ndarray) or y.shape != (n, 4):
        return y
    return _halves(y)[half]


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
                Mistake("applied again", "This applies the layer once more.",
                        _wrong_active(lambda y, s, t: y * np.exp(s) + t)),
                Mistake(
                    "conditioned on itself",
                    "You give s and t the active half of y. They were computed from the passive one.",
                    lambda w, c: np.concatenate(
                        [(h := _halves(c["y"]))[0],
                         (h[1] - c["t"](h[1])) * np.exp(-c["s"](h[1]))], axis=1),
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
                    "This is the log_det of the forward map. By our convention a log_det belongs to "
                    "the map just applied, here the inverse.",
                    lambda w, c: -w,
                ),
                Mistake("log_det forgotten", "You return zero, but the inverse changes volumes.",
                        lambda w, c: 0 * w),
                Mistake("mean for sum", "You average over coordinates where a sum is due.",
                        lambda w, c: w / 2),
            ),
        ),
    ),
    hints=(
        "The passive half of y is the passive half of x: s and t can be computed from it.",
        "Solve y2 = x2 exp(s) + t for x2. No inverse of s or t is needed.",
        "The log-determinant of the inverse at y is minus the one of the forward map at x.",
    ),
)


# The density of a stack of layers


def _scored(y: Array, inverses: Any) -> tuple[Array, list[Array]]:
    z, log_dets = pulled(y, inverses)
    return np.asarray(stats.norm.logpdf(z).sum(axis=1)), log_dets


def _composed(case: Case) -> Array:
    back = tuple(reversed(case["inverses"]))
    return _scored(case["y"], back)[0] + log_det(lambda y: pulled(y, back)[0], case["y"])


def _back(case: Case) -> tuple[Array, list[Array]]:
    return _scored(case["y"], reversed(case["inverses"]))


LOG_PROB = Function(
    name="flows.log_prob",
    level="code",
    given={"y": Points(2, most=4), "inverses": Layers()},
    aspects=(
        Aspect(
            name="log_prob",
            text="Go back through the layers to the noise z, and add what each inverse reports.",
            got=lambda answer, case: answer(case["y"], case["inverses"]),
            wanted=lambda _, case: _composed(case),
            tolerance=1e-3,
            mistakes=(
                Mistake(
                    "order of the layers",
                    "You undo the first layer first. What was applied last has to be undone first.",
                    lambda w, c: (f := _scored(c["y"], c["inverses"]))[0] + sum(f[1]),
                ),
                Mistake(
                    "log_det subtracted",
                    "You subtract the log-determinants. They belong to the inverses, the maps just "
                    "applied: going back, one adds.",
                    lambda w, c: 2 * _back(c)[0] - w,
                ),
                Mistake("log_det forgotten", "This is the density of the noise alone, without any "
                        "log-determinant.", lambda w, c: _back(c)[0]),
                Mistake("only the last log_det", "Only one layer's log-determinant is in your sum: "
                        "perhaps it is overwritten in the loop.",
                        lambda w, c: (f := _back(c))[0] + f[1][-1]),
                Mistake("constant forgotten", "The normal density of the noise has a constant, "
                        "½ log 2π for each coordinate.", lambda w, c: w + 2 * CONSTANT),
                Mistake("constant counted once", "The constant ½ log 2π is due for each of the two "
                        "coordinates.", lambda w, c: w + CONSTANT),
                Mistake("mean over coordinates", "You average the noise's log-density over its "
                        "coordinates. They are independent: logarithms add up.",
                        lambda w, c: w - _back(c)[0] / 2),
            ),
        ),
    ),
    hints=(
        "Start with the points y and walk through the inverses until you hold the noise z.",
        "Mind the order: inverses[0] undoes the layer that was applied first.",
        "log p(y) is the standard normal log-density of z, summed over coordinates, plus all "
        "log-determinants of the inverses.",
    ),
)

STATEMENTS = Statements(
    name="flows.statements",
    thoughts={
        "a": "what is the determinant of the identity, as a composition of two maps?",
        "b": "does a map without change of volume leave all distances to a fixed density alone?",
        "c": "squeeze one axis and stretch the other one more.",
        "d": "write down the ratio of the two densities after the map.",
        "e": "a continuous map carries a connected set to a connected set.",
        "f": "which equation do you solve to invert a coupling layer, and for which unknown?",
    },
    seal="f32fc21bf5e5",
    hints=(
        "Try each statement in one or two dimensions with the simplest map you can think of.",
        "For c and e look for a counterexample; for a and d there is a proof of one line.",
        "The chapter on flows has a theorem on bridges and a proposition on entropy.",
    ),
)

TASKS: tuple[Task, ...] = (DENSITY, RADIAL, COUPLING, INVERSE, LOG_PROB, STATEMENTS)
