"""The coordinates of Assignment 6."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from lrmf.course.given import Choice, Points
from lrmf.course.tasks import (
    Aspect,
    Case,
    Function,
    Mistake,
)
from lrmf.course.values import as_numbers, pair

__all__ = ["ENCODE"]

Array = NDArray[np.float64]
CODES = ("the codes of A", "the codes of B")


def _both(case: Case) -> Array:
    return np.concatenate([case["source"], case["target"]])


def _axes(x: Array, k: int, *, last: bool = False) -> tuple[Array, Array]:
    """Directions of largest variance as columns, and the standard deviations along them."""
    values, vectors = linalg.eigh(np.cov(x.T, bias=True))
    order = slice(None, k) if last else slice(None, -k - 1, -1)
    return vectors[:, order], np.sqrt(np.maximum(values[order], 1e-300))


def _codes(case: Case) -> Array:
    x = _both(case)
    directions, sizes = _axes(x, case["k"])
    return np.asarray((x - x.mean(0)) @ directions / sizes)


def _turned(codes: Array, wanted: Array) -> Array:
    """Codes with the signs of the wanted ones: a component's sign means nothing."""
    signs = np.sign((codes * wanted).sum(axis=0))
    return codes * np.where(signs == 0, 1.0, signs)


def _separate(case: Case) -> Array:
    parts = []
    for x in (case["source"], case["target"]):
        directions, sizes = _axes(x, case["k"])
        parts.append((x - x.mean(0)) @ directions / sizes)
    return np.concatenate(parts)


def _own_means(case: Case) -> Array:
    directions, sizes = _axes(_both(case), case["k"])
    parts = [(x - x.mean(0)) @ directions / sizes for x in (case["source"], case["target"])]
    return np.concatenate(parts)


def _of_target(case: Case) -> Array:
    x = case["target"]
    directions, sizes = _axes(x, case["k"])
    return np.asarray((_both(case) - x.mean(0)) @ directions / sizes)


def _uncentred(case: Case) -> Array:
    x = _both(case)
    directions, sizes = _axes(x, case["k"])
    return np.asarray(x @ directions / sizes)


def _least(case: Case) -> Array:
    x = _both(case)
    directions, sizes = _axes(x, case["k"], last=True)
    # As sorted by size within the last ones, largest first.
    return np.asarray((x - x.mean(0)) @ directions[:, ::-1] / sizes[::-1])


def _made(answer: Any, case: Case) -> Any:
    parts = pair(answer(case["source"], case["target"], case["k"]), CODES)
    sizes = len(case["source"]), len(case["target"])
    codes = [
        as_numbers(part, (n, case["k"]), name)
        for part, n, name in zip(parts, sizes, CODES, strict=True)
    ]
    return _turned(np.concatenate(codes), _codes(case))


def _separated(case: Case) -> bool:
    sizes = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(_both(case).T, bias=True)), 0))
    return bool(sizes.min() > 0.3 and np.diff(sizes).min() > 0.05)


class _Data(Points):
    """Points whose coordinates vary by different amounts, so that components are told apart."""

    def sample(self, rng: np.random.Generator) -> Array:
        return np.round(super().sample(rng) * [3.0, 2.0, 1.2] + 1.0, 3)

    def _placed(self, steps: Array) -> Array:
        return super()._placed(steps) * [3.0, 2.0, 1.2]


def _signed(value: Any) -> Any:
    return lambda wanted, case: _turned(value(case), wanted)


ENCODE = Function(
    name="real_pair.codes",
    level="code",
    given={
        "source": _Data(3, least=6, most=9, spread=True),
        "target": _Data(3, least=6, most=9, spread=True),
        "k": Choice((1, 2)),
    },
    related=_separated,
    aspects=(
        Aspect(
            name="codes (signs aside)",
            text="Check: the codes of both together have mean 0, standard deviation 1, and no "
            "correlation.",
            got=_made,
            wanted=lambda _, case: _codes(case),
            tolerance=1e-3,
            mistakes=(
                Mistake(
                    "each dataset on its own",
                    "You make coordinates for each dataset by itself. That whitens both and erases "
                    "part of the very difference which the map should learn, without any record of "
                    "it.",
                    lambda w, c: _separate(c),
                    alike=np.abs,
                ),
                Mistake(
                    "own means removed",
                    "You subtract from each dataset its own mean. The shift between them is gone "
                    "before the map has seen it.",
                    _signed(_own_means),
                ),
                Mistake(
                    "components of the target",
                    (
                        "These are the components of B alone. Directions in which only A varies "
                        "are lost, and no map can make up for that."
                    ),
                    _signed(_of_target),
                ),
                Mistake(
                    "not scaled",
                    "The components have different spreads. Divide each by its standard deviation.",
                    _signed(lambda c: _codes(c) * _axes(_both(c), c["k"])[1]),
                ),
                Mistake(
                    "divided by the variance",
                    "You divide by the variance, which has the square of the unit.",
                    _signed(lambda c: _codes(c) / _axes(_both(c), c["k"])[1]),
                ),
                Mistake(
                    "not centred",
                    "You project without subtracting the mean.",
                    _signed(_uncentred),
                ),
                Mistake(
                    "smallest components",
                    (
                        "These are the directions in which the data vary least. Mind the order in"
                        " which your routine returns them."
                    ),
                    lambda w, c: _least(c),
                    alike=np.abs,
                ),
                Mistake(
                    "divided by n − 1",
                    "You divide by n − 1 in the standard deviation; the task divides by n.",
                    lambda w, c: w * np.sqrt(1 - 1 / len(w)),
                ),
            ),
        ),
    ),
    hints=(
        "One set of coordinates for both: put source and target into one array first.",
        "Subtract the common mean, then use np.linalg.svd or np.linalg.eigh of the covariance.",
        "With x = U S Vᵀ the codes are √N U[:, :k], where N is the number of all points.",
    ),
)
