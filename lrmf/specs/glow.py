"""Glow, a multi-scale flow of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from .base import Arrays, FlowSpec, Shape, check_count, check_rng, is_positive_int, plain_widths
from .composition import Composition
from .conditioners import Convolutional
from .coupling import Coupling
from .images import (
    ActNorm,
    ChannelMixing,
    LastChannels,
    Squeezed,
    Squeezing,
    check_channels_last,
    check_dequantized,
    check_start,
    squeezed_shape,
)

__all__ = ["Glow", "GlowLevel", "GlowStep"]

Start = Literal["identity", "data"]

#: Images of more than two to this power pixels a side fit no memory.
_LEVELS = 14


@dataclass(frozen=True, kw_only=True)
class GlowStep(Composition):
    """One step of `Glow`, which tells what it does."""

    hidden: tuple[int, ...]
    swap: bool = False
    start: Start = "identity"

    @property
    def parts(self) -> tuple[FlowSpec, ...]:
        network = Convolutional(hidden=self.hidden)
        coupling = Coupling(mask="channels", swap=self.swap, conditioner=network)
        return (coupling, ChannelMixing(), ActNorm(start=self.start))

    @property
    def names(self) -> tuple[str, ...]:
        return ("coupling", "mixing", "norm")


@dataclass(frozen=True, kw_only=True)
class GlowLevel(Composition):
    """One level of `Glow`, of squeezed images, with the levels below it."""

    levels: int
    steps: int
    hidden: tuple[int, ...]
    start: Start = "identity"

    @property
    def parts(self) -> tuple[FlowSpec, ...]:
        # From noise to images: the deepest level and the last step of a level come first.
        steps = tuple(
            GlowStep(hidden=self.hidden, swap=k % 2 == 1, start=self.start)
            for k in reversed(range(self.steps))
        )
        if self.levels == 1:
            return steps
        below = GlowLevel(
            levels=self.levels - 1, steps=self.steps, hidden=self.hidden, start=self.start
        )
        return (LastChannels(flow=Squeezed(flow=below)), *steps)

    @property
    def names(self) -> tuple[str, ...]:
        steps = tuple(f"step_{k}" for k in reversed(range(self.steps)))
        return steps if self.levels == 1 else ("below", *steps)


@dataclass(frozen=True, kw_only=True)
class Glow(Squeezing):
    """Glow (Kingma and Dhariwal, 2018), image to image: nothing is factored out and lost.

    Towards noise (`inverse`, and `log_prob` as a density) a level squeezes patches of 2 x 2 pixels
    into channels and takes steps of `ActNorm`, `ChannelMixing` (an invertible 1 x 1 convolution)
    and an affine coupling of channels with a convolutional network. Then half of the channels are
    done, and the others go on to the next level. What is done keeps its place, and all is put
    together again, so that noise has the image's shape, and T may be a Glow, too.

    Log-scales of couplings are bounded on both sides, by 2: their scale is exp(2 tanh(r / 2)),
    which can widen as well as shrink. With the paper's sigmoid(r + 2) it only shrinks.

    It starts at the identity: 1 x 1 convolutions do, where the paper's start at random rotations,
    last layers start at about 1e-4, and couplings move the two halves of the channels by turns, so
    that each is moved whatever the mixing. With ``start="data"`` the norms begin at the moments of
    the data instead, as the paper's (`lrmf.starting.from_data`).

    Height and width must be multiples of 2^levels.

    Args:
        levels: how often images are squeezed.
        steps: steps of each level.
        hidden: widths of the hidden layers of the couplings' networks: the first and last layer
            have filters of 3 x 3 pixels, those between of one. A single number stands for two
            layers of it, as in the paper.
        start: of the norms, ``"identity"`` or ``"data"``.

    Arrays: ``step_{k}/norm/log_scale`` and ``.../shift``, ``step_{k}/mixing/lower_upper``,
    ``step_{k}/coupling/layer_{i}/weight`` and ``.../bias``, step 0 next to the image; those of
    the next level the same with ``below/`` before, and so on.

    >>> spec = Glow(levels=2, steps=1, hidden=8)
    >>> shapes = spec.shapes((8, 8, 1))
    >>> shapes["step_0/mixing/lower_upper"], shapes["below/step_0/mixing/lower_upper"]
    ((4, 4), (8, 8))
    """

    patch: ClassVar[int] = 2  # type: ignore[misc]

    levels: int = 2
    steps: int = 4
    hidden: tuple[int, ...] = (64, 64)
    start: Start = "identity"

    def __post_init__(self) -> None:
        check_count("Glow: levels", self.levels)
        if self.levels > _LEVELS:
            raise ValueError(
                f"Glow: levels must be at most {_LEVELS}, got {self.levels}; each halves height "
                "and width of the images"
            )
        check_count("Glow: steps", self.steps)
        check_start("Glow", self.start)
        hidden = self.hidden
        if is_positive_int(hidden):
            hidden = (hidden, hidden)  # type: ignore[assignment]
        object.__setattr__(self, "levels", int(self.levels))
        object.__setattr__(self, "steps", int(self.steps))
        object.__setattr__(self, "hidden", plain_widths("Glow", hidden))

    @property
    def flow(self) -> FlowSpec:  # type: ignore[override]
        """The flow of squeezed images."""
        return GlowLevel(levels=self.levels, steps=self.steps, hidden=self.hidden, start=self.start)

    def exact(self) -> Self:
        return self

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        self._check_images(event_shape)
        return super().shapes(event_shape)

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        self._check_images(event_shape)
        return super().init(event_shape, rng)

    def _check_images(self, event_shape: Shape) -> None:
        check_channels_last(self, event_shape)
        squeezed_shape(self, event_shape, self.patch, times=self.levels)

    def check_points(self, x: np.ndarray, argument: str) -> None:
        check_dequantized(self, x, argument)

    def condition_numbers(self, arrays: Mapping[str, Any]) -> np.ndarray:
        """Those of the 1 x 1 convolutions, ``(levels, steps)``, in the order of the arrays."""
        mixing = ChannelMixing()
        return np.array(
            [
                [
                    mixing.condition_number(
                        {"lower_upper": arrays[f"{'below/' * i}step_{k}/mixing/lower_upper"]}
                    )
                    for k in range(self.steps)
                ]
                for i in range(self.levels)
            ]
        )
