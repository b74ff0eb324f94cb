"""Assignment 1: distances and what they see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import cdist

from lrmf import distances
from lrmf.course.assignments.distances_blind import BLIND
from lrmf.course.given import Points, Real, Units
from lrmf.course.tasks import Aspect, Case, Function, Mistake, Statements, Task
from lrmf.course.values import pair
from lrmf.theory import divergences

__all__ = ["TASKS"]

Array = NDArray[np.float64]
BOTH = ("the total variation", "the Jensen–Shannon divergence")


def _intervals(case: Case) -> tuple[list[float], list[float]]:
    gap = min(case["gap"], 1.0)
    return [gap, 1.0 - gap, 0.0], [0.0, 1.0 - gap, gap]


INTERVALS = Function(
    name="distances.intervals",
    level="derive",
    given={"gap": Real(0.0, 3.0)},
    sweep=("gap", 0.0, 3.0),
    aspects=(
        Aspect(
            name="total variation",
            text="Where do the two densities differ, and by how much?",
            got=lambda answer, case: pair(answer(case["gap"]), BOTH)[0],
            wanted=lambda _, case: float(divergences.histogram_total_variation(*_intervals(case))),
            mistakes=(
                Mistake(
                    "no end",
                    "It keeps growing with the gap. What is left to change once the intervals have "
                    "nothing in common?",
                    lambda w, c: c["gap"],
                ),
                Mistake(
                    "without the half",
                    (
                        "This is the integral of |p − q|; total variation is half of it, and at "
                        "most 1."
                    ),
                    lambda w, c: 2 * w,
                ),
                Mistake(
                    "overlap",
                    "This is what the two have in common. A distance is zero for equal densities.",
                    lambda w, c: 1 - w,
                ),
            ),
        ),
        Aspect(
            name="Jensen–Shannon divergence",
            text="Compare each density with the mixture: on the overlap, and off it.",
            got=lambda answer, case: pair(answer(case["gap"]), BOTH)[1],
            wanted=lambda _, case: float(divergences.histogram_jsd(*_intervals(case))),
            mistakes=(
                Mistake(
                    "bits, not nats",
                    "You use the binary logarithm. In this book logarithms are natural, and the "
                    "largest value is log 2 nats.",
                    lambda w, c: w / np.log(2),
                ),
                Mistake(
                    "twice the divergence",
                    "You add the two divergences to the mixture; JSD is their mean.",
                    lambda w, c: 2 * w,
                ),
                Mistake(
                    "half the divergence",
                    "You count one of the two sides only.",
                    lambda w, c: w / 2,
                ),
                Mistake(
                    "mixture forgotten",
                    (
                        "This is KL(P ‖ Q), infinite as soon as P has mass where Q has none. JSD "
                        "compares each of them with the mixture."
                    ),
                    lambda w, c: np.inf if c["gap"] > 0 else 0.0,
                ),
            ),
        ),
    ),
    hints=(
        "Draw both densities for gaps of 0.5 and 2. On which pieces are they equal, on which not?",
        "On the overlap p = q = ½(p + q), which contributes nothing to either distance.",
        "Off the overlap one density is 1 and the mixture ½: the logarithm of the ratio is log 2.",
    ),
)


def _means(case: Case, power: float = 1.0, metric: str = "euclidean") -> tuple[float, float, float]:
    a, b = case["a"], case["b"]
    xy, xx, yy = ((cdist(*both, metric) ** power).mean() for both in ((a, b), (a, a), (b, b)))
    return float(xy), float(xx), float(yy)


def _energy(parts: tuple[float, float, float]) -> float:
    return 2 * parts[0] - parts[1] - parts[2]


def _unbiased(case: Case) -> float:
    n, m = len(case["a"]), len(case["b"])
    xy, xx, yy = _means(case)
    return 2 * xy - xx * n / (n - 1) - yy * m / (m - 1)


ENERGY = Function(
    name="distances.energy",
    level="code",
    given={"a": Points(2, least=2), "b": Points(2, least=2)},
    aspects=(
        Aspect(
            name="energy distance",
            text="Compare the three averages one by one: across, within a, within b.",
            got=lambda answer, case: answer(case["a"], case["b"]),
            wanted=lambda _, case: distances.energy_distance(case["a"], case["b"]),
            mistakes=(
                Mistake(
                    "cross term once",
                    "The distances across the two samples count twice, once for each sample: "
                    "otherwise equal samples are not at distance zero.",
                    lambda w, c: w - _means(c)[0],
                ),
                Mistake(
                    "self pairs left out",
                    "You divide by the number of pairs of different points. That removes the bias; "
                    "the task asks for the average over all n² pairs.",
                    lambda w, c: _unbiased(c),
                ),
                Mistake(
                    "squared distances",
                    "You average squared distances. What remains of them sees the means only.",
                    lambda w, c: _energy(_means(c, 2.0)),
                ),
                Mistake("root", "This is the root of the energy distance.", lambda w, c: w**0.5),
                Mistake(
                    "one sample's own distances",
                    "You subtract the distances within one sample only.",
                    lambda w, c: w + _means(c)[2],
                ),
                Mistake(
                    "sum for mean",
                    "You add up where an average is due; samples of different size would not be "
                    "comparable.",
                    lambda w, c: (
                        2 * (m := _means(c))[0] * (n := len(c["a"])) * (k := len(c["b"]))
                        - m[1] * n**2
                        - m[2] * k**2
                    ),
                ),
                Mistake(
                    "distance by coordinates",
                    "You add up the coordinates' distances. |x − y| is the Euclidean length.",
                    lambda w, c: _energy(_means(c, metric="cityblock")),
                ),
            ),
        ),
    ),
    hints=(
        "Three averages of distances between points: across, within a, within b.",
        "a[:, None] - b[None] has the shape (n, m, 2). Take lengths along the last axis.",
        "Equal samples must give zero: that fixes the signs and the factor 2.",
    ),
)


def _kernel(case: Case, delta: float, spread: float) -> float:
    """E exp(−D²/2h²) for D normal with mean delta and this standard deviation, by quadrature."""
    z = np.linspace(-10.0, 10.0, 2001)
    values = np.exp(-0.5 * ((delta + spread * z) / case["h"]) ** 2)
    return float((stats.norm.pdf(z) * values).sum() * (z[1] - z[0]))


def _mmd2(case: Case, factor: float = 2.0) -> float:
    spread = factor**0.5 * case["s"]
    return 2 * _kernel(case, 0.0, spread) - 2 * _kernel(case, case["gap"], spread)


MMD = Function(
    name="distances.mmd",
    level="derive",
    given={"gap": Real(0.0, 5.0), "s": Real(0.5, 2.0), "h": Real(0.5, 2.0)},
    sweep=("gap", 0.0, 5.0),
    aspects=(
        Aspect(
            name="squared MMD",
            text="What is the distribution of X − Y, and of X − X'?",
            got=lambda answer, case: answer(case["gap"], case["s"], case["h"]),
            wanted=lambda _, case: _mmd2(case),
            mistakes=(
                Mistake(
                    "spread forgotten",
                    "You treat both distributions as points. Their spread blurs the kernel.",
                    lambda w, c: 2 - 2 * np.exp(-0.5 * (c["gap"] / c["h"]) ** 2),
                ),
                Mistake(
                    "one spread for two",
                    "X − Y has the variance 2 s²: both of them vary.",
                    lambda w, c: _mmd2(c, 1.0),
                ),
                Mistake(
                    "factor in front forgotten",
                    (
                        "The exponent is right. The average of a kernel over a normal density "
                        "also has a factor in front, which is smaller than one."
                    ),
                    lambda w, c: w * (1 + 2 * (c["s"] / c["h"]) ** 2) ** 0.5,
                ),
                Mistake(
                    "half",
                    "Two averages within and two times the one across: a factor 2 is missing.",
                    lambda w, c: w / 2,
                ),
                Mistake("root", "This is the MMD; its square is asked for.", lambda w, c: w**0.5),
                Mistake(
                    "within forgotten",
                    "This is the average of the kernel across alone. It is largest for equal "
                    "distributions, and so no distance.",
                    lambda w, c: _kernel(c, c["gap"], 2**0.5 * c["s"]),
                ),
            ),
        ),
    ),
    hints=(
        "MMD² is an average of the kernel within X, plus one within Y, minus twice the one across.",
        "The kernel depends on differences only, and a difference of normal variables is normal.",
        (
            "exp(−D²/2h²) is, up to a constant, a normal density. Averaging it over a normal D "
            "convolves the two: variances add."
        ),
    ),
)


def _work(pa: Array, pb: Array, order: int = 1) -> float:
    size = int(np.lcm(len(pa), len(pb)))
    x = np.repeat(np.sort(pa), size // len(pa))
    y = np.repeat(np.sort(pb), size // len(pb))
    return float((np.abs(x - y) ** order).mean() ** (1 / order))


def _along(case: Case, unit: bool = True) -> list[tuple[Array, Array]]:
    v = case["directions"]
    v = v / np.linalg.norm(v, axis=1, keepdims=True) if unit else v
    return [(case["a"] @ row, case["b"] @ row) for row in v]


SLICED = Function(
    name="distances.sliced",
    level="code",
    given={"a": Points(2, most=5), "b": Points(2, most=5), "directions": Units(2)},
    aspects=(
        Aspect(
            name="sliced W1",
            text=(
                "Take one direction first, and points of equal number. Then points of unequal "
                "number."
            ),
            got=lambda answer, case: answer(case["a"], case["b"], case["directions"]),
            wanted=lambda _, case: float(
                np.mean([stats.wasserstein_distance(*both) for both in _along(case)])
            ),
            mistakes=(
                Mistake(
                    "directions not normalised",
                    (
                        "You project with the vectors as they are. A direction has length one; a "
                        "vector twice as long would double the distance."
                    ),
                    lambda w, c: np.mean([_work(*both) for both in _along(c, unit=False)]),
                ),
                Mistake(
                    "largest, not average",
                    (
                        "You take the worst direction. That is a distance, too (max-sliced), but "
                        "not the one asked for."
                    ),
                    lambda w, c: max(_work(*both) for both in _along(c)),
                ),
                Mistake(
                    "sum for mean",
                    "You add up over directions where an average is due.",
                    lambda w, c: w * len(c["directions"]),
                ),
                Mistake(
                    "means only",
                    (
                        "You compare the means of the projections. Two samples with equal means "
                        "need not be equal: what must be compared is sorted points."
                    ),
                    lambda w, c: np.mean([abs(x.mean() - y.mean()) for x, y in _along(c)]),
                ),
                Mistake(
                    "squared work",
                    "This is W2, the root of the average squared distance. W1 averages distances.",
                    lambda w, c: np.mean([_work(*both, 2) for both in _along(c)]),
                ),
                Mistake(
                    "axes instead of directions",
                    "You compare along the coordinate axes and leave the directions unused.",
                    lambda w, c: np.mean([_work(c["a"][:, j], c["b"][:, j]) for j in range(2)]),
                ),
            ),
        ),
    ),
    hints=(
        (
            "Project both samples on one direction of length one. On the line the best plan never "
            "crosses: it pairs points in order."
        ),
        "For n points against m, let each point of a count m times and each of b n times.",
        "Or integrate |F − G|, the gap between the two step functions, over the line.",
    ),
)

STATEMENTS = Statements(
    name="distances.statements",
    thoughts={
        "a": "write both densities after the map; what happens to their ratio?",
        "b": "stretch everything by a factor of ten.",
        "c": "how far is the nearest of 300 points in ten dimensions?",
        "d": "the chapter proves it by averaging over all lines.",
        "e": "what does a critic f(x) = w · x compare?",
        "f": "which of the two knows how far apart points are?",
    },
    seal="d78c2bd1a41a",
    hints=(
        "Sort the distances first: which of them use densities only, which use lengths?",
        "For b and e there is a counterexample with one or two points on each side.",
        "The chapter on samples measures c.",
    ),
)

TASKS: tuple[Task, ...] = (INTERVALS, ENERGY, MMD, SLICED, BLIND, STATEMENTS)
