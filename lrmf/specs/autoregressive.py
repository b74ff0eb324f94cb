"""Autoregressive flows: each feature moves by what the features before it say."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .base import Arrays, FlowSpec, Shape, check_rng, vector_shape
from .composition import Inverse
from .conditioners import Dense
from .coupling import VectorBlocks, check_part
from .transformers import ShiftScale, Transformer

__all__ = ["IAF", "MAF", "Autoregressive"]


@dataclass(frozen=True, kw_only=True)
class Autoregressive(FlowSpec):
    """One block that moves each feature given the *images* of those before it.

    y_j = τ(x_j; θ_j(y_1, ..., y_{j-1})), with a masked network θ (MADE, Germain et al., 2015).
    The inverse takes one pass through the network. Forwards, features come out one after the
    other: a pass for each feature.

    Args:
        conditioner: the `Dense` network, whose weights are masked.
        transformer: τ: `Shift`, `ShiftScale` or `Spline`.
        reverse: whether the last feature comes first.

    Arrays: those of the conditioner, of which masked entries are never used.

    >>> arrays = Autoregressive().init((3,), np.random.default_rng(0))
    >>> arrays["layer_0/weight"].shape
    (3, 512)
    """

    conditioner: Dense = Dense()
    transformer: Transformer = ShiftScale()
    reverse: bool = False

    def __post_init__(self) -> None:
        check_part("Autoregressive: conditioner", self.conditioner, Dense, "Dense()")
        check_part("Autoregressive: transformer", self.transformer, Transformer, "ShiftScale()")
        if not isinstance(self.reverse, (bool, np.bool_)):
            raise ValueError(f"Autoregressive: reverse must be True or False, got {self.reverse!r}")
        object.__setattr__(self, "reverse", bool(self.reverse))

    def masks(self, features: int) -> list[np.ndarray]:
        """Which weights count, ``(inputs, outputs)`` of each layer, True or False.

        A unit has a degree: it may know the features up to that place in their order. Hidden
        units' degrees divide the range evenly.
        """
        order = np.arange(1, features + 1)[:: -1 if self.reverse else 1]
        degrees = [order]
        for width in self.conditioner.hidden:
            places = np.arange(1, width + 1) * (features - 1) / (width + 1)
            degrees.append(np.ceil(places).astype(int))
        masks = [a[:, np.newaxis] <= b for a, b in itertools.pairwise(degrees)]
        last = np.tile(order, self.transformer.parameters)
        return [*masks, degrees[-1][:, np.newaxis] < last]

    def _sizes(self, event_shape: Shape) -> tuple[int, int]:
        (d,) = vector_shape(self, event_shape, minimum=2)
        return d, d * self.transformer.parameters

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        return self.conditioner.shapes(*self._sizes(event_shape))

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        return self.conditioner.init(*self._sizes(event_shape), rng)

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return (np.shape(arrays["layer_0/weight"])[0],)


@dataclass(frozen=True, kw_only=True)
class MAF(VectorBlocks):
    """A masked autoregressive flow: y_j = x_j exp(α_j) + μ_j (Papamakarios et al., 2017).

    μ_j and α_j = 2 tanh(r_j / 2) come from a masked network of y_1, ..., y_{j-1}; odd blocks take
    the features in reverse order.

    Fast are `inverse` and, as a density, `log_prob`: one pass through the network. `forward` and
    samples take d passes for d features. So it suits the density M; for the transform T, which
    is trained forwards, take `IAF`.

    Args:
        blocks: number of autoregressive blocks.
        hidden: widths of the networks' hidden layers (ReLU). A width below d - 1 leaves some
            features less than all those before them.

    Arrays: ``block_{k}/layer_{i}/weight`` (inputs, outputs) and ``.../bias`` (outputs,), of which
    masked entries are never used.

    >>> arrays = MAF(blocks=2, hidden=(8,)).init((3,), np.random.default_rng(0))
    >>> arrays["block_1/layer_0/weight"].shape
    (3, 8)
    """

    blocks: int = 4
    hidden: tuple[int, ...] = (128, 128)

    @property
    def parts(self) -> tuple[FlowSpec, ...]:
        return _blocks(self)


@dataclass(frozen=True, kw_only=True)
class IAF(VectorBlocks):
    """An inverse autoregressive flow (Kingma et al., 2016): blocks of `MAF`, each inverted.

    y_j = (x_j - μ_j) exp(-α_j), where μ_j and α_j = 2 tanh(r_j / 2) come from a masked network
    of x_1, ..., x_{j-1}; odd blocks take the features in reverse order.

    Fast are `forward` and samples: one pass through the network. `inverse` and, as a density,
    `log_prob` take d passes for d features. So it suits the transform T; for the density M,
    which is trained by `log_prob`, take `MAF`.

    Args:
        blocks: number of autoregressive blocks.
        hidden: widths of the networks' hidden layers (ReLU). A width below d - 1 leaves some
            features less than all those before them.

    Arrays: as those of `MAF`.

    >>> arrays = IAF(blocks=2, hidden=(8,)).init((3,), np.random.default_rng(0))
    >>> sorted(arrays) == sorted(MAF(blocks=2, hidden=(8,)).init((3,), np.random.default_rng(0)))
    True
    """

    blocks: int = 4
    hidden: tuple[int, ...] = (128, 128)

    @property
    def parts(self) -> tuple[FlowSpec, ...]:
        return tuple(Inverse(flow=block) for block in _blocks(self))


def _blocks(spec: MAF | IAF) -> tuple[FlowSpec, ...]:
    network = Dense(hidden=spec.hidden)
    return tuple(
        Autoregressive(conditioner=network, reverse=k % 2 == 1) for k in range(spec.blocks)
    )
