"""Dense networks: the layers that discriminators have, and a map that has no inverse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Arrays, Shape, Spec, check_rng, plain_widths, vector_shape

__all__ = ["Network", "dense_init", "dense_shapes"]


def dense_shapes(widths: tuple[int, ...]) -> dict[str, Shape]:
    """Names and shapes of layers between these widths, those of inputs and outputs included."""
    shapes: dict[str, Shape] = {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        shapes[f"layer_{layer}/weight"] = (inputs, outputs)
        shapes[f"layer_{layer}/bias"] = (outputs,)
    return shapes


def dense_init(shapes: Mapping[str, Shape], rng: np.random.Generator) -> Arrays:
    """He's normal weights, and spread biases."""
    arrays: Arrays = {}
    for layer in range(len(shapes) // 2):
        weight, bias = f"layer_{layer}/weight", f"layer_{layer}/bias"
        fan_in = shapes[weight][0]
        arrays[weight] = rng.normal(size=shapes[weight]) * math.sqrt(2.0 / fan_in)
        # Spread biases: with zero ones every kink of the first layer lies at the origin.
        arrays[bias] = rng.uniform(-1.0, 1.0, size=shapes[bias]) / math.sqrt(fan_in)
    return arrays


@dataclass(frozen=True, kw_only=True)
class Network(Spec):
    """A plain residual network of R^d: a map without an inverse and without a log-determinant.

    y = x + W_L a(... a(W_1 x + c_1) ...) + c_L with leaky rectifiers a (slope 0.1). It serves where
    a method asks for no more than images, as `CycleGAN` does, and nowhere else.

    Args:
        hidden: widths of the hidden layers.

    Arrays: ``layer_{i}/weight`` (inputs, outputs) and ``layer_{i}/bias`` (outputs,). Hidden layers
    start as those of a `Discriminator`, the last one at zero, so that the map starts at the
    identity.

    >>> sorted(Network(hidden=(8,)).init((2,), np.random.default_rng(0)))
    ['layer_0/bias', 'layer_0/weight', 'layer_1/bias', 'layer_1/weight']
    """

    slope: ClassVar[float] = 0.1
    spectral_norm: ClassVar[bool] = False
    squarings: ClassVar[int] = 0

    hidden: tuple[int, ...] = (128, 128)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", plain_widths("Network", self.hidden))

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = vector_shape(self, event_shape, minimum=1)
        return dense_shapes((d, *self.hidden, d))

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        arrays = dense_init(self.shapes(event_shape), rng)
        for name in ("weight", "bias"):
            last = f"layer_{len(self.hidden)}/{name}"
            arrays[last] = np.zeros_like(arrays[last])
        return arrays

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return (np.shape(arrays["layer_0/weight"])[0],)
