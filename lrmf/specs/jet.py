"""Jet: couplings of patches, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import (
    Arrays,
    FlowSpec,
    PartialShape,
    Shape,
    check_count,
    check_rng,
    image_shape,
    is_positive_int,
    plain_widths,
)
from .conditioners import Convolutional
from .coupling import check_part
from .images import check_channels_last, check_dequantized, squeezed_shape
from .transformers import ShiftScale, Transformer

__all__ = ["Jet"]


@dataclass(frozen=True, kw_only=True)
class Jet(FlowSpec):
    """A stack of couplings of image patches (Kolesnikov, Pinto and Tschannen, Jet, 2024).

    Patches of p x p pixels become channels, once. A coupling then moves half of the entries, given
    the others, by a convolutional network (the paper's is a transformer of patches). Which half is
    fixed: in couplings 0, 2, 4, ... it is a random half of the channels and then the other one, in
    couplings 1, 3, 5, ... the patches on one colour of a checkerboard and then those on the other.
    To select channels is what the paper does by permuting them, splitting, and undoing the
    permutation; so nothing but a network stands between a pixel and itself, and as the last
    layers start at zero, the flow starts exactly at the identity. Neither are there norms, 1 x 1
    convolutions or levels, which the paper finds to add nothing.

    Log-scales are bounded on both sides. All couplings have networks of one shape, whose arrays are
    stacked, and in JAX one compiled coupling serves for all of them.

    Args:
        couplings: their number; each entry is moved from 3 on (from 2 of one channel), and
            by both kinds from 4 on.
        hidden: widths of the networks' hidden layers, as in `Glow`.
        patch: p; height and width must be multiples of it.
        transformer: `ShiftScale` or another one, whose zero is the identity.
        seed: of the random halves.

    Arrays: ``layer_{i}/weight`` and ``layer_{i}/bias``, as those of `Convolutional`, with the
    couplings along the first axis.

    >>> Jet(couplings=4, hidden=(8,)).shapes((8, 8, 1))["layer_0/weight"]
    (4, 3, 3, 4, 8)
    """

    couplings: int = 8
    hidden: tuple[int, ...] = (64, 64)
    patch: int = 2
    transformer: Transformer = ShiftScale(bound=1.0)
    seed: int = 0

    def __post_init__(self) -> None:
        hidden = self.hidden
        if is_positive_int(hidden):
            hidden = (hidden, hidden)  # type: ignore[assignment]
        check_count("Jet: couplings", self.couplings)
        check_count("Jet: patch", self.patch)
        check_part("Jet: transformer", self.transformer, Transformer, "ShiftScale()")
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)):
            raise ValueError(f"Jet: seed must be an integer, got {self.seed!r}")
        if self.seed < 0:
            raise ValueError(f"Jet: seed must be zero or positive, got {self.seed}")
        object.__setattr__(self, "hidden", plain_widths("Jet", hidden))
        for name in ("couplings", "patch", "seed"):
            object.__setattr__(self, name, int(getattr(self, name)))

    @property
    def conditioner(self) -> Convolutional:
        """The network of a coupling."""
        return Convolutional(hidden=self.hidden)

    def kept(self, event_shape: Shape) -> np.ndarray:
        """What each coupling leaves unchanged, ``(couplings, h, w, c)`` of squeezed images."""
        h, w, c = image_shape(self, event_shape)
        colour = np.indices((h, w)).sum(axis=0) % 2 == 0
        rng = np.random.default_rng(self.seed)
        masks, half = [], np.zeros(c, dtype=bool)
        for k in range(self.couplings):
            turn = k // 2 % 2 == 1
            if k % 2 == 1 or c == 1:
                turn = turn if c > 1 else k % 2 == 1
                mask = np.broadcast_to((colour ^ turn)[..., np.newaxis], (h, w, c))
            else:
                if not turn:
                    half = rng.permutation(c) < c // 2
                mask = np.broadcast_to(half ^ turn, (h, w, c))
            masks.append(mask)
        return np.stack(masks)

    def _sizes(self, event_shape: Shape) -> tuple[int, int]:
        check_channels_last(self, event_shape)
        channels = squeezed_shape(self, event_shape, self.patch)[-1]
        return channels, channels * self.transformer.parameters

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        one = self.conditioner.shapes(*self._sizes(event_shape))
        return {name: (self.couplings, *shape) for name, shape in one.items()}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        sizes = self._sizes(event_shape)
        drawn = [self.conditioner.init(*sizes, rng) for _ in range(self.couplings)]
        arrays = {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
        last = f"layer_{len(self.hidden)}"
        for name in (f"{last}/weight", f"{last}/bias"):
            arrays[name] = np.zeros_like(arrays[name])
        return arrays

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape:
        channels = np.shape(arrays["layer_0/weight"])[-2]
        arrays[f"layer_{len(self.hidden)}/bias"]  # a missing one is reported by the caller
        return (None, None, channels // self.patch**2)

    def check_points(self, x: np.ndarray, argument: str) -> None:
        check_dequantized(self, x, argument)

    def coupling_arrays(self, arrays: Mapping[str, Any], k: int) -> dict[str, Any]:
        """The arrays of coupling k."""
        return {name: value[k] for name, value in arrays.items()}
