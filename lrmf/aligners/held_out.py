"""Points to learn from, and points that are held out to validate with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..minibatches import Weights
from ..points import Rows

__all__ = ["drawn_by_weight", "split"]


def split(
    domains: Mapping[str, Rows], weights: Weights, fraction: float, rng: np.random.Generator
) -> tuple[Mapping[str, Rows], dict[str, Rows], Weights, Weights]:
    """Points to learn from and points to validate with, if any, and the weights of both."""
    if not fraction:
        return domains, {}, weights, {}
    data: dict[str, Rows] = {}
    held_out: dict[str, Rows] = {}
    kept: dict[str, np.ndarray | None] = {}
    held: dict[str, np.ndarray | None] = {}
    for domain, x in domains.items():
        count = max(1, round(fraction * len(x)))
        if len(x) - count < 2:
            raise ValueError(
                f"validation_fraction={fraction} leaves {len(x) - count} of {len(x)} {domain} "
                "points to learn from; lower it"
            )
        rows = rng.permutation(len(x))
        for points, shares, some in (
            (held_out, held, rows[:count]),
            (data, kept, rows[count:]),
        ):
            points[domain], own = x.subset(some), weights[domain]
            shares[domain] = None if own is None else own[some]
    return data, held_out, kept, held


def drawn_by_weight(
    data: Mapping[str, Rows], weights: Weights, rng: np.random.Generator
) -> dict[str, Rows]:
    """As many points of each domain, weighted ones drawn in proportion to their weights."""
    return {
        domain: x
        if (own := weights.get(domain)) is None
        else x.subset(rng.choice(len(x), size=len(x), p=own / own.sum()))
        for domain, x in data.items()
    }
