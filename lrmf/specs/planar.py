"""Planar flows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Arrays, FlowSpec, Shape, check_count, check_rng, vector_shape
from .composition import Composition

__all__ = ["Planar", "PlanarBlock"]


@dataclass(frozen=True, kw_only=True)
class PlanarBlock(FlowSpec):
    """One block of `Planar`, which has the formula.

    >>> import lrmf
    >>> lrmf.specs.PlanarBlock().shapes((2,))
    {'weight': (2,), 'direction': (2,), 'bias': ()}
    """

    #: With this, a vector of zeros changes nothing: softplus(offset) = 1.
    offset: ClassVar[float] = math.log(math.e - 1.0)

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = vector_shape(self, event_shape, minimum=1)
        return {"weight": (d,), "direction": (d,), "bias": ()}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        (d,) = self.shapes(event_shape)["weight"]
        return {
            "weight": rng.normal(size=d) / math.sqrt(d),
            # Small but not zero: zero would give weight and bias no gradient.
            "direction": rng.normal(size=d) * (1e-4 / math.sqrt(d)),
            "bias": rng.uniform(-1.0, 1.0, size=()),
        }

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return (np.shape(arrays["weight"])[0],)


@dataclass(frozen=True, kw_only=True)
class Planar(Composition):
    """Planar blocks (Rezende and Mohamed, 2015), each a fold along one direction.

    y = x + û tanh(wᵀx + b), with û = u + (m(wᵀu) - wᵀu) w / |w|². As m(a) = softplus(a + c) - 1
    is above -1, so is wᵀû, and each block is invertible. (The paper has c = 0; our c makes
    m(0) = 0, so that u = 0 is the identity.)

    The inverse has no closed form: α = wᵀx + b solves α + wᵀû tanh(α) = wᵀy + b, which is
    increasing in α, and is found by bisection to the last digits. Its first derivatives are exact;
    do not differentiate it twice.

    Args:
        blocks: number of blocks.

    Arrays: ``block_{k}/weight`` w (d,), ``block_{k}/direction`` u (d,), ``block_{k}/bias`` b ().

    >>> Planar(blocks=1).shapes((2,))
    {'block_0/weight': (2,), 'block_0/direction': (2,), 'block_0/bias': ()}
    """

    blocks: int = 8

    def __post_init__(self) -> None:
        check_count("Planar: blocks", self.blocks)
        object.__setattr__(self, "blocks", int(self.blocks))

    @property
    def parts(self) -> tuple[PlanarBlock, ...]:
        return (PlanarBlock(),) * self.blocks

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        vector_shape(self, event_shape, minimum=1)
        return super().shapes(event_shape)
