"""Density families that are not given by a flow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .base import Arrays, DensitySpec, Shape, check_rng, vector_shape

__all__ = ["Gaussian", "Histogram"]


@dataclass(frozen=True, kw_only=True)
class Gaussian(DensitySpec):
    """The normal densities, parameterised by mean and Σ^(-1/2) as in the paper (section 8.3).

    log p(x) = -|W (x - μ)|²/2 + log|det W| - (d/2) log 2π, where μ = ``mean`` (d,) and W is lower
    triangular with diagonal exp(``log_diagonal``) and, below it, ``lower`` (d, d). Its precision
    is WᵀW. Every normal density has exactly one such W. It starts as N(0, I).

    >>> sorted(Gaussian().init((2,), np.random.default_rng(0)))
    ['log_diagonal', 'lower', 'mean']
    """

    refit_share: ClassVar[float] = 1.0

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = vector_shape(self, event_shape, minimum=1)
        return {"mean": (d,), "log_diagonal": (d,), "lower": (d, d)}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        return {name: np.zeros(shape) for name, shape in self.shapes(event_shape).items()}

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return tuple(np.shape(arrays["mean"]))


@dataclass(frozen=True, kw_only=True)
class Histogram(DensitySpec):
    """The histogram densities on a grid of cells: a family that is closed under mixtures.

    log p(x) = (log-softmax of ``logits``)[c] - log|c| for x in the cell c of volume |c|. A cell
    holds its left edges, the last one of each feature its right edge too, as in `numpy.histogram`.
    Outside the grid the density is zero, and data for a fit must lie inside. It starts with equal
    probabilities for all cells.

    As M it makes the likelihood-ratio distance twice the Jensen-Shannon divergence of the binned
    data (`lrmf.theory.histogram`). It can't teach a transform: it is constant in each cell, so no
    gradient says where to move a point. Logits travel far: learning rates of some 0.05 suit them.

    Args:
        edges: increasing edges of the bins, one sequence for each feature; for one feature also
            the sequence itself.

    >>> Histogram(edges=[0, 1, 2]).edges
    ((0.0, 1.0, 2.0),)
    >>> Histogram(edges=([0, 1, 2], [0, 1, 3, 9])).bins
    (2, 3)
    """

    refit_share: ClassVar[float] = 1.0

    edges: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        edges: list[Any] = list(self.edges) if np.iterable(self.edges) else [self.edges]
        if not any(map(np.iterable, edges)):
            edges = [edges]
        for k, values in enumerate(edges):
            array = np.asarray(values)
            if array.ndim != 1 or array.size < 2 or array.dtype.kind not in "fiu":
                raise ValueError(
                    "Histogram: edges must hold two or more numbers for each feature, got "
                    f"{values!r} for feature {k}; numpy.linspace(low, high, bins + 1) makes some"
                )
            if not np.isfinite(array).all() or not (np.diff(array) > 0).all():
                raise ValueError(
                    f"Histogram: edges must be finite and increase, got {values!r} for feature "
                    f"{k}; sort them and drop repeated ones"
                )
        plain = tuple(tuple(map(float, np.asarray(values))) for values in edges)
        object.__setattr__(self, "edges", plain)

    @property
    def bins(self) -> tuple[int, ...]:
        """How many bins each feature has, the shape of ``logits``."""
        return tuple(len(edges) - 1 for edges in self.edges)

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = vector_shape(self, event_shape, minimum=1)
        if d != len(self.edges):
            raise ValueError(
                f"Histogram has edges for {len(self.edges)} features, but events have {d}; give "
                "one sequence of edges for each feature"
            )
        return {"logits": self.bins}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        return {name: np.zeros(shape) for name, shape in self.shapes(event_shape).items()}

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        arrays["logits"]  # a missing one is reported by the caller
        return (len(self.edges),)

    def standardized(self, location: np.ndarray, scale: np.ndarray) -> Self:
        # By the arithmetic of the points, so that a point on an edge stays there.
        return dataclasses.replace(
            self,
            edges=tuple(
                (np.array(edges) - m) / s
                for edges, m, s in zip(self.edges, location, scale, strict=True)
            ),
        )

    def check_points(self, x: np.ndarray, argument: str) -> None:
        for k, (edges, values) in enumerate(zip(self.edges, x.T, strict=True)):
            if outside := int(np.sum((values < edges[0]) | (values > edges[-1]))):
                raise ValueError(
                    f"{argument} holds {outside} points outside the edges of the histogram, "
                    f"[{edges[0]:g}, {edges[-1]:g}] for feature {k}, where its density is zero: "
                    f"they go from {values.min():g} to {values.max():g}. Widen the edges"
                )
