"""Assignment 2: change of variables and a coupling layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from lrmf.course.assignments.flows_layer import COUPLING, INVERSE
from lrmf.course.given import Points, PointsOf, Real
from lrmf.course.numerics import Layers, log_det, pulled, slope
from lrmf.course.tasks import Aspect, Case, Function, Mistake, Statements, Task

__all__ = ["TASKS"]

Array = NDArray[np.float64]
CONSTANT = 0.5 * float(np.log(2 * np.pi))


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
                    (
                        "You add the logarithm of the stretching where it must be subtracted: "
                        "where the map stretches, the same probability is spread over more room."
                    ),
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
                    (
                        "You evaluate the derivative of the map at y. It belongs to x, the point "
                        "that y came from."
                    ),
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
        (
            "The density at y is the density of X at that x, divided by the derivative of the map"
            " there."
        ),
        (
            "The derivative of sinh is cosh, and cosh² = 1 + sinh². So the derivative can be "
            "written with y alone."
        ),
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
    given={
        "x": PointsOf(tuple(Points(d, most=4, span=1.0) for d in (2, 3, 4))),
        "a": Real(0.0, 0.5),
    },
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
                    lambda w, c: c["x"].shape[1] * _ar2(c),
                ),
                Mistake(
                    "one direction too few",
                    "One direction is missing: there are d − 1 across the ray, and along it the "
                    "factor exp(a|x|²) is there as well.",
                    lambda w, c: w - _ar2(c),
                ),
                Mistake(
                    "only along the ray",
                    "This is the stretching along the ray. What happens in the d − 1 directions "
                    "across?",
                    lambda w, c: _ar2(c) + np.log1p(2 * _ar2(c)),
                ),
                Mistake(
                    "one dimension for all",
                    "This is right in three dimensions only. The task asks for every d.",
                    lambda w, c: w + (3 - c["x"].shape[1]) * _ar2(c),
                ),
                Mistake(
                    "points for coordinates",
                    "You count the points where the coordinates count: each row of x is a point, "
                    "and d is the number of columns.",
                    lambda w, c: w + (len(c["x"]) - c["x"].shape[1]) * _ar2(c),
                ),
                Mistake(
                    "derivative of the square",
                    "Differentiate r exp(a r²) again: the inner derivative has a factor 2.",
                    lambda w, c: w - np.log1p(2 * _ar2(c)) + np.log1p(_ar2(c)),
                ),
                Mistake(
                    "length, not its square",
                    "You take the length |x| where the map has its square.",
                    lambda w, c: (
                        c["x"].shape[1] * c["a"] * (r := np.linalg.norm(c["x"], axis=1))
                        + np.log1p(2 * c["a"] * r)
                    ),
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
        (
            "Across the ray a small step is multiplied by exp(a|x|²). Along it, r becomes r "
            "exp(a r²): differentiate."
        ),
        (
            "The matrix is diagonal in these axes, with d − 1 equal entries and another one. The "
            "determinant does not depend on the axes."
        ),
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
                Mistake(
                    "log_det forgotten",
                    "This is the density of the noise alone, without any log-determinant.",
                    lambda w, c: _back(c)[0],
                ),
                Mistake(
                    "only the last log_det",
                    "Only one layer's log-determinant is in your sum: "
                    "perhaps it is overwritten in the loop.",
                    lambda w, c: (f := _back(c))[0] + f[1][-1],
                ),
                Mistake(
                    "constant forgotten",
                    "The normal density of the noise has a constant, ½ log 2π for each coordinate.",
                    lambda w, c: w + 2 * CONSTANT,
                ),
                Mistake(
                    "constant counted once",
                    "The constant ½ log 2π is due for each of the two coordinates.",
                    lambda w, c: w + CONSTANT,
                ),
                Mistake(
                    "mean over coordinates",
                    "You average the noise's log-density over its "
                    "coordinates. They are independent: logarithms add up.",
                    lambda w, c: w - _back(c)[0] / 2,
                ),
            ),
        ),
    ),
    hints=(
        "Start with the points y and walk through the inverses until you hold the noise z.",
        "Mind the order: inverses[0] undoes the layer that was applied first.",
        (
            "log p(y) is the standard normal log-density of z, summed over coordinates, plus all "
            "log-determinants of the inverses."
        ),
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
