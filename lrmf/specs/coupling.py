"""Flows of coupling blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Arrays, FlowSpec, Shape, check_rng, is_positive_int, vector_shape

__all__ = ["RealNVP"]


@dataclass(frozen=True, kw_only=True)
class RealNVP(FlowSpec):
    """Affine coupling blocks over alternating halves (Dinh et al., 2017).

    In even blocks the first ``split`` features pass unchanged and a network of them gives shift t
    and raw scale r of the others: y = x * exp(2 tanh(r/2)) + t. In odd blocks the two groups swap
    roles. Coordinates are never permuted, so that the flow starts at the identity for any number
    of blocks: last layers start at about 1e-4, hidden ones with He's normal weights.

    Args:
        blocks: number of coupling blocks; every feature is transformed from 2 on.
        hidden: widths of the networks' hidden layers (ReLU).
        split: how many features condition even blocks; half of them (rounded down) by default.

    Arrays: ``block_{k}/layer_{i}/weight`` (inputs, outputs) and ``.../bias`` (outputs,).

    >>> arrays = RealNVP(blocks=2, hidden=(8,)).init((2,), np.random.default_rng(0))
    >>> arrays["block_1/layer_0/weight"].shape
    (1, 8)
    """

    log_scale_bound: ClassVar[float] = 2.0

    blocks: int = 4
    hidden: tuple[int, ...] = (512, 512)
    split: int | None = None

    def __post_init__(self) -> None:
        if not is_positive_int(self.blocks):
            raise ValueError(f"RealNVP: blocks must be a positive integer, got {self.blocks!r}")
        if not isinstance(self.hidden, (tuple, list)) or not all(map(is_positive_int, self.hidden)):
            raise ValueError(
                "RealNVP: hidden must be a tuple of positive integers, one per hidden layer, "
                f"got {self.hidden!r}"
            )
        if self.split is not None and not is_positive_int(self.split):
            raise ValueError(
                f"RealNVP: split must be a positive integer or None, got {self.split!r}"
            )
        # Plain integers, so that equal specs look the same in a file.
        object.__setattr__(self, "blocks", int(self.blocks))
        object.__setattr__(self, "hidden", tuple(map(int, self.hidden)))
        if self.split is not None:
            object.__setattr__(self, "split", int(self.split))

    def halves(self, block: int, features: int) -> tuple[slice, slice]:
        """The features that condition a block, and those that it transforms."""
        split = features // 2 if self.split is None else self.split
        first, rest = slice(0, split), slice(split, features)
        return (first, rest) if block % 2 == 0 else (rest, first)

    def layer_shapes(self, block: int, features: int) -> list[Shape]:
        """Weight shapes (inputs, outputs) of a block's network."""
        condition, transformed = self.halves(block, features)
        outputs = 2 * (transformed.stop - transformed.start)
        widths = [condition.stop - condition.start, *self.hidden, outputs]
        return list(itertools.pairwise(widths))

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = vector_shape(self, event_shape, minimum=2)
        if self.split is not None and self.split >= d:
            raise ValueError(
                f"RealNVP: split={self.split} leaves nothing to transform in events of {d} "
                f"features; choose 1 <= split <= {d - 1}, or None for halves"
            )
        shapes: dict[str, Shape] = {}
        for block in range(self.blocks):
            for layer, (inputs, outputs) in enumerate(self.layer_shapes(block, d)):
                shapes[f"block_{block}/layer_{layer}/weight"] = (inputs, outputs)
                shapes[f"block_{block}/layer_{layer}/bias"] = (outputs,)
        return shapes

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        shapes = self.shapes(event_shape)
        last = len(self.hidden)
        arrays: Arrays = {}
        for name, shape in shapes.items():
            if name.endswith("bias"):
                continue
            bias = name.removesuffix("weight") + "bias"
            fan_in = shape[0]
            if f"/layer_{last}/" in name:
                # Small but not zero: a zero layer would give the hidden ones no gradient.
                arrays[name] = rng.normal(size=shape) * (1e-4 / math.sqrt(fan_in))
                arrays[bias] = np.zeros(shapes[bias])
            else:
                arrays[name] = rng.normal(size=shape) * math.sqrt(2.0 / fan_in)
                # Spread biases: with zero ones every kink of the first layer lies at the origin.
                arrays[bias] = rng.uniform(-1.0, 1.0, size=shapes[bias]) / math.sqrt(fan_in)
        return arrays

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        condition = np.shape(arrays["block_0/layer_0/weight"])[0]
        outputs = np.shape(arrays[f"block_0/layer_{len(self.hidden)}/bias"])[0]
        return (condition + outputs // 2,)
