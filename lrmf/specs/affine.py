"""The identity and the affine maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .base import Arrays, FlowSpec, Shape, check_rng, vector_shape

__all__ = ["Affine", "Identity"]


@dataclass(frozen=True, kw_only=True)
class Identity(FlowSpec):
    """The identity map T(x) = x. It has no arrays; with it, only the shared density is learned.

    >>> Identity().init((2,), np.random.default_rng(0))
    {}
    """

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        return {}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        return {}

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Affine(FlowSpec):
    """An affine map, started at the identity (paper, Example 2.1 and Figure 8).

    - ``"full"``: T(x) = A x + b, with A = ``matrix`` (d, d) and b = ``shift`` (d,);
    - ``"diagonal"``: T(x) = exp(s) * x + b, with s = ``log_scale`` (d,);
    - ``"positive_definite"``: T(x) = AᵀA x + b, with A = ``matrix`` (d, d).

    >>> sorted(Affine(kind="diagonal").init((3,), np.random.default_rng(0)))
    ['log_scale', 'shift']
    """

    kind: Literal["full", "diagonal", "positive_definite"] = "full"

    def __post_init__(self) -> None:
        kinds = ("full", "diagonal", "positive_definite")
        if not isinstance(self.kind, str) or self.kind not in kinds:
            raise ValueError(f"Affine: kind must be one of {kinds}, got {self.kind!r}")

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = vector_shape(self, event_shape, minimum=1)
        if self.kind == "diagonal":
            return {"log_scale": (d,), "shift": (d,)}
        return {"matrix": (d, d), "shift": (d,)}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        shapes = self.shapes(event_shape)
        arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
        if "matrix" in arrays:
            arrays["matrix"] = np.eye(event_shape[0])
        return arrays

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return tuple(np.shape(arrays["shift"]))
