"""Conditioners: the networks that give a coupling's parameters."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .base import Arrays, Shape, image_shape, plain_widths, vector_shape

__all__ = ["Conditioner", "Convolutional", "Dense"]


@dataclass(frozen=True, kw_only=True)
class Conditioner(ABC):
    """A network with rectifiers between its layers.

    Arrays: ``layer_{i}/weight`` (..., inputs, outputs) and ``layer_{i}/bias`` (outputs,). Hidden
    layers start with He's normal weights, the last one at about 1e-4.

    Args:
        hidden: widths of the hidden layers.

    >>> import lrmf
    >>> kinds = lrmf.specs.Dense, lrmf.specs.Convolutional
    >>> [kind(hidden=(8,)).weight_shapes(1, 2) for kind in kinds]
    [[(1, 8), (8, 2)], [(3, 3, 1, 8), (3, 3, 8, 2)]]
    """

    hidden: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", plain_widths(type(self).__name__, self.hidden))

    @abstractmethod
    def check_event(self, event_shape: Shape) -> None:
        """Refuse events for which it is not made."""

    @abstractmethod
    def weight_shapes(self, inputs: int, outputs: int) -> list[Shape]:
        """Shapes of the weights, layer by layer, for so many features, or channels."""

    def shapes(self, inputs: int, outputs: int) -> dict[str, Shape]:
        """Names and shapes of the arrays."""
        shapes: dict[str, Shape] = {}
        for layer, shape in enumerate(self.weight_shapes(inputs, outputs)):
            shapes[f"layer_{layer}/weight"] = shape
            shapes[f"layer_{layer}/bias"] = shape[-1:]
        return shapes

    def init(self, inputs: int, outputs: int, rng: np.random.Generator) -> Arrays:
        """Initial arrays."""
        arrays: Arrays = {}
        for layer, shape in enumerate(self.weight_shapes(inputs, outputs)):
            fan_in = math.prod(shape[:-1])
            weight, bias = f"layer_{layer}/weight", f"layer_{layer}/bias"
            if layer == len(self.hidden):
                # Small but not zero: a zero layer would give the hidden ones no gradient.
                arrays[weight] = rng.normal(size=shape) * (1e-4 / math.sqrt(fan_in))
                arrays[bias] = np.zeros(shape[-1])
            else:
                arrays[weight] = rng.normal(size=shape) * math.sqrt(2.0 / fan_in)
                # Spread biases: with zero ones every kink of the first layer lies at the origin.
                arrays[bias] = rng.uniform(-1.0, 1.0, size=shape[-1]) / math.sqrt(fan_in)
        return arrays


@dataclass(frozen=True, kw_only=True)
class Dense(Conditioner):
    """A fully connected network, for vectors.

    >>> Dense(hidden=(8,)).shapes(1, 2)["layer_0/weight"]
    (1, 8)
    """

    hidden: tuple[int, ...] = (512, 512)

    def check_event(self, event_shape: Shape) -> None:
        vector_shape(self, event_shape, minimum=2)

    def weight_shapes(self, inputs: int, outputs: int) -> list[Shape]:
        return list(itertools.pairwise([inputs, *self.hidden, outputs]))


@dataclass(frozen=True, kw_only=True)
class Convolutional(Conditioner):
    """A convolutional network, for images (height, width, channels).

    The first and the last layer have filters of 3 x 3 pixels, those between of one. Around an
    image, layers see zeros.

    >>> Convolutional(hidden=(8, 8)).weight_shapes(1, 2)
    [(3, 3, 1, 8), (1, 1, 8, 8), (3, 3, 8, 2)]
    """

    hidden: tuple[int, ...] = (64, 64)

    def check_event(self, event_shape: Shape) -> None:
        image_shape(self, event_shape)

    def weight_shapes(self, inputs: int, outputs: int) -> list[Shape]:
        widths = list(itertools.pairwise([inputs, *self.hidden, outputs]))
        inside = range(1, len(self.hidden))
        return [(1, 1, *pair) if k in inside else (3, 3, *pair) for k, pair in enumerate(widths)]
