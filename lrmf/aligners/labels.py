"""A few labels: pairs of the points of one label beside the pair of all points, with one map."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from ..minibatches import Weights
from ..models import Density
from ..objectives import LabelledAlignment
from ..points import Rows
from ..specs import Spec
from .parts import Objective, Part
from .recipe import Recipe

__all__ = ["check_label_density", "check_labels", "with_labels"]

#: How many points stand for those of a label.
_SMOOTHED = 4096
#: The weight that each label begins with: at first labels decide, not the distributions.
_FIRST = 10.0
#: What a user calls the labels of each domain.
_ARGUMENTS = {"source": "ys", "target": "yt"}


def check_label_density(density: Any) -> None:
    """Refuse anything but a spec or None."""
    if density is not None and not isinstance(density, Spec):
        raise TypeError(
            "label_density must be a spec such as lrmf.Gaussian(), or None to leave labels unused, "
            f"got {density!r}"
        )
    if density is not None and type(density).check_points is not Spec.check_points:
        raise ValueError(
            "label_density must be positive everywhere, since labelled points are smoothed by "
            f"noise, and {type(density).__name__} is not; take one such as lrmf.Gaussian()"
        )


def check_labels(given: Mapping[str, Any], domains: Mapping[str, Rows]) -> dict[str, np.ndarray]:
    """The labels of each domain's points ``(n,)``: integers, -1 where unknown.

    Raises:
        TypeError: missing, or no integers.
        ValueError: another number of them than of points, or some below -1.
    """
    labels = {}
    for domain, y in given.items():
        argument, n = _ARGUMENTS[domain], len(domains[domain])
        if y is None:
            raise TypeError(
                f"{argument} is missing, but label_density asks for labels: pass an integer for "
                "each point, -1 where it is unknown; or set label_density=None"
            )
        array = np.asarray(y)
        if array.dtype.kind not in "iu":
            raise TypeError(
                f"{argument} must hold integers, -1 where a label is unknown, got dtype "
                f"{array.dtype}; number the classes 0, 1, 2, ..."
            )
        if array.shape != (n,):
            raise ValueError(
                f"expected {argument} of shape ({n},), a label for each point, got {array.shape}"
            )
        if array.min() < -1:
            raise ValueError(
                f"{argument} holds {array.min()}; labels are 0 or more, and -1 where unknown"
            )
        labels[domain] = array
    if all(np.all(y == -1) for y in labels.values()):
        raise ValueError(
            "all of ys and yt is -1, so no label is known; label two or more points of each class "
            "on both sides, or set label_density=None"
        )
    return labels


def with_labels(
    recipe: Recipe, density: Spec, labels: Mapping[str, np.ndarray], batch_size: int
) -> Recipe:
    """A recipe of the pair of source and target, extended by a pair of each label.

    Each has a shared density of its own, which is fitted with the map and then forgotten.

    Args:
        recipe: of the pair alone.
        density: the family of the labels' shared densities.
        labels: checked, for all rows that the user gave.
        batch_size: how many points a side all labels have together, in each step.
    """
    classes = np.setdiff1d(np.concatenate(list(labels.values())), [-1])
    roles = [f"density_{u}" for u in range(len(classes))]
    return dataclasses.replace(
        recipe,
        parts={**recipe.parts, **{r: Part(kind=Density, spec=density) for r in roles}},
        objective=functools.partial(
            _objective, cast(Objective, recipe.objective), classes, labels, batch_size
        ),
        draws=(*recipe.draws, "objective", *roles),
    )


def _objective(
    alone: Objective,
    classes: np.ndarray,
    labels: Mapping[str, np.ndarray],
    batch_size: int,
    data: Mapping[str, Rows],
    held_out: Mapping[str, Rows],
    weights: Weights,
    seed: np.random.SeedSequence,
) -> Objective:
    """The loss of all pairs, with the labelled ones of the points to learn from."""
    pairs: dict[str, Rows] = {}
    rng = np.random.default_rng(seed)
    for domain, x in data.items():
        own = labels[domain][x.numbers]
        share = np.ones(len(x)) if (w := weights[domain]) is None else w
        for u, label in enumerate(classes):
            rows = np.flatnonzero(own == label)
            if len(rows) < 2:
                raise ValueError(
                    f"{_ARGUMENTS[domain]} has label {label} at {len(rows)} points to learn from, "
                    "but a pair takes two or more a side: label more points"
                    f"{', lower validation_fraction' if held_out else ''} or set them to -1"
                )
            pairs[f"{domain}_{u}"] = Rows(_smoothed(x[rows], share[rows], rng))
    size = max(2, batch_size // len(classes))
    if size >= 8:  # so that 2, 4 or 8 devices share it evenly, and change nothing
        size -= size % 8
    return dataclasses.replace(
        alone,
        loss=LabelledAlignment(labels=len(classes)),
        data=pairs,
        weights=dict.fromkeys(pairs),
        annealed={"label_weights": np.full(len(classes), _FIRST)},
        batch_sizes=dict.fromkeys(pairs, size),
    )


def _smoothed(x: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Many points near few: a smoothed bootstrap, of the bandwidth of Scott's rule.

    A flow could map a few points apart from their neighbours, and make its volume large at them.
    """
    p = weights / weights.sum()
    size, features = 1.0 / np.sum(p**2), math.prod(x.shape[1:])
    scale = np.sqrt(np.tensordot(p, (x - np.tensordot(p, x, axes=1)) ** 2, axes=1))
    drawn = x[rng.choice(len(x), size=_SMOOTHED, p=p)]
    bandwidth = scale * size ** (-1.0 / (features + 4))
    return np.asarray(drawn + bandwidth * rng.standard_normal(drawn.shape))
