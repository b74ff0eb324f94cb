"""Couplings, and the flows of coupling blocks that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .affine import Affine
from .base import (
    Arrays,
    FlowSpec,
    PartialShape,
    Shape,
    check_count,
    check_rng,
    is_positive_int,
    plain_widths,
    vector_shape,
)
from .composition import Composition
from .conditioners import Conditioner, Convolutional, Dense
from .transformers import Shift, ShiftScale, Spline, Transformer

__all__ = ["NICE", "Coupling", "RealNVP", "SplineFlow", "VectorBlocks", "check_part"]

_MASKS = ("halves", "channels", "checkerboard")


@dataclass(frozen=True, kw_only=True)
class Coupling(FlowSpec):
    """One block that transforms some features given the others.

    The features that the mask selects pass unchanged, y_I = x_I. A network of them, the
    conditioner, gives the parameters with which a scalar transformer moves each of the others:
    y_j = τ(x_j; θ_j(x_I)). So the Jacobian is triangular, and both directions cost one pass
    through the network.

    Args:
        mask: what passes unchanged. ``"halves"``: the first ``split`` features of vectors.
            ``"channels"``: the first ``split`` channels of images. ``"checkerboard"``: entries
            whose index (of images: row plus column) is even.
        split: for halves and channels, how many pass; half of them (rounded down) by default.
        swap: whether the selected features change places with the others.
        conditioner: a `Dense` network for vectors, a `Convolutional` one for images. Behind a
            checkerboard, it sees zeros in place of what is transformed.
        transformer: `Shift`, `ShiftScale` or `Spline`.

    Arrays: those of the conditioner.

    >>> arrays = Coupling().init((4,), np.random.default_rng(0))
    >>> arrays["layer_0/weight"].shape  # of the two features that pass unchanged
    (2, 512)
    """

    mask: Literal["halves", "channels", "checkerboard"] = "halves"
    split: int | None = None
    swap: bool = False
    conditioner: Conditioner = Dense()
    transformer: Transformer = ShiftScale()

    def __post_init__(self) -> None:
        if not isinstance(self.mask, str) or self.mask not in _MASKS:
            raise ValueError(f"Coupling: mask must be one of {_MASKS}, got {self.mask!r}")
        object.__setattr__(self, "split", plain_split("Coupling", self.split))
        if self.split is not None and self.mask == "checkerboard":
            raise ValueError("Coupling: a checkerboard has no split; leave split out")
        if not isinstance(self.swap, (bool, np.bool_)):
            raise ValueError(f"Coupling: swap must be True or False, got {self.swap!r}")
        object.__setattr__(self, "swap", bool(self.swap))
        check_part("Coupling: conditioner", self.conditioner, Conditioner, "Dense()")
        check_part("Coupling: transformer", self.transformer, Transformer, "ShiftScale()")
        wanted = {"halves": Dense, "channels": Convolutional}.get(self.mask, Conditioner)
        if not isinstance(self.conditioner, wanted):
            raise ValueError(
                f"Coupling: mask={self.mask!r} needs a {wanted.__name__}() conditioner, got "
                f"{self.conditioner}; halves are of vectors, channels of images"
            )

    def halves(self, features: int) -> tuple[slice, slice]:
        """Along the last axis, what passes unchanged and what is transformed."""
        split = features // 2 if self.split is None else self.split
        first, rest = slice(0, split), slice(split, features)
        return (rest, first) if self.swap else (first, rest)

    def checkerboard(self, event_shape: Shape) -> np.ndarray:
        """True where an entry passes unchanged, shape ``event_shape``."""
        axes = event_shape[:1] if len(event_shape) == 1 else event_shape[:2]
        even = np.indices(axes).sum(axis=0) % 2 == (1 if self.swap else 0)
        return np.broadcast_to(even if len(axes) == 1 else even[..., np.newaxis], event_shape)

    def _sizes(self, event_shape: Shape) -> tuple[int, int]:
        """How many features, or channels, the conditioner takes and gives."""
        self.conditioner.check_event(event_shape)
        last = event_shape[-1]
        if self.mask == "checkerboard":
            return last, last * self.transformer.parameters
        what = "channels" if self.mask == "channels" else "features"
        if last < 2:
            raise ValueError(
                f"Coupling: one channel can not be split, got events {event_shape}; take "
                "mask='checkerboard'"
            )
        if self.split is not None and self.split >= last:
            raise ValueError(
                f"Coupling: split={self.split} leaves nothing to transform in events of {last} "
                f"{what}; choose 1 <= split <= {last - 1}, or None for halves"
            )
        kept, moved = (half.stop - half.start for half in self.halves(last))
        return kept, moved * self.transformer.parameters

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        return self.conditioner.shapes(*self._sizes(event_shape))

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        return self.conditioner.init(*self._sizes(event_shape), rng)

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape:
        inputs = np.shape(arrays["layer_0/weight"])[-2]
        outputs = np.shape(arrays[f"layer_{len(self.conditioner.hidden)}/bias"])[0]
        moved = outputs // self.transformer.parameters
        last = inputs if self.mask == "checkerboard" else inputs + moved
        return (last,) if isinstance(self.conditioner, Dense) else (None, None, last)


class VectorBlocks(Composition):
    """Coupling blocks for vectors, of which odd ones swap what passes and what is transformed."""

    blocks: int
    hidden: tuple[int, ...]

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_count(f"{name}: blocks", self.blocks)
        # Plain integers, so that equal specs look the same in a file.
        object.__setattr__(self, "blocks", int(self.blocks))
        object.__setattr__(self, "hidden", plain_widths(name, self.hidden))

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        vector_shape(self, event_shape, minimum=2)
        return super().shapes(event_shape)


@dataclass(frozen=True, kw_only=True)
class RealNVP(VectorBlocks):
    """Affine coupling blocks over alternating halves (Dinh et al., 2017).

    In even blocks the first ``split`` features pass unchanged and a network of them gives shift t
    and raw scale r of the others: y = x * exp(2 tanh(r/2)) + t. In odd blocks the two groups swap
    roles. Coordinates are never permuted, so that the flow starts at the identity for any number
    of blocks: last layers start at about 1e-4, hidden ones with He's normal weights.

    Far from the data that it learned from, a flow goes on as its networks do, which is linearly:
    a block stretches by e² at most, and its shift t grows with the features that it is a function
    of. So |T(x)| grows at most in proportion to |x|, but by a factor that nothing taught it. It
    inverts there all the same. `SplineFlow` leaves far points where they are.

    Args:
        blocks: number of coupling blocks; every feature is transformed from 2 on.
        hidden: widths of the networks' hidden layers (ReLU).
        split: how many features condition even blocks; half of them (rounded down) by default.

    Arrays: ``block_{k}/layer_{i}/weight`` (inputs, outputs) and ``.../bias`` (outputs,).

    >>> arrays = RealNVP(blocks=2, hidden=(8,)).init((2,), np.random.default_rng(0))
    >>> arrays["block_1/layer_0/weight"].shape
    (1, 8)
    """

    blocks: int = 4
    hidden: tuple[int, ...] = (512, 512)
    split: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "split", plain_split("RealNVP", self.split))

    @property
    def parts(self) -> tuple[Coupling, ...]:
        network = Dense(hidden=self.hidden)
        return tuple(
            Coupling(split=self.split, swap=block % 2 == 1, conditioner=network)
            for block in range(self.blocks)
        )

    def halves(self, block: int, features: int) -> tuple[slice, slice]:
        """The features that condition a block, and those that it transforms."""
        return self.parts[block].halves(features)


@dataclass(frozen=True, kw_only=True)
class NICE(VectorBlocks):
    """Additive coupling blocks over odd and even features, then a scale for each (Dinh, 2015).

    In even blocks the features 0, 2, ... pass unchanged and a network of them gives the shift of
    the others; odd blocks swap the two. These blocks keep volumes, so the last step, a diagonal
    `Affine` map, has the whole log-determinant, the same at every point. (Its shift is our
    addition.)

    Args:
        blocks: number of coupling blocks; every feature is transformed from 2 on.
        hidden: widths of the networks' hidden layers (ReLU).

    Arrays: ``block_{k}/layer_{i}/weight`` (features, outputs) and ``.../bias`` (outputs,); of the
    last step, ``block_{blocks}/log_scale`` and ``.../shift`` (features,).

    >>> arrays = NICE(blocks=2, hidden=(8,)).init((3,), np.random.default_rng(0))
    >>> arrays["block_2/log_scale"]  # starts at the identity
    array([0., 0., 0.])
    """

    blocks: int = 4
    hidden: tuple[int, ...] = (512, 512)

    @property
    def parts(self) -> tuple[FlowSpec, ...]:
        network = Dense(hidden=self.hidden)
        couplings = [
            Coupling(mask="checkerboard", swap=k % 2 == 1, conditioner=network, transformer=Shift())
            for k in range(self.blocks)
        ]
        return (*couplings, Affine(kind="diagonal"))


@dataclass(frozen=True, kw_only=True)
class SplineFlow(VectorBlocks):
    """Rational-quadratic spline couplings over alternating halves (Durkan et al., 2019).

    As `RealNVP`, but each transformed feature goes through a monotone spline on
    [-bound, bound], see `lrmf.specs.Spline`, and is left alone outside. (The paper puts linear
    maps between blocks; a `Chain` with `Affine` does that.) So no feature of a point goes farther
    from zero than the larger of |x| and the bound (in an aligner that standardises: of standardised
    points).

    Args:
        blocks: number of coupling blocks; every feature is transformed from 2 on.
        hidden: widths of the networks' hidden layers (ReLU).
        bins: of each spline.
        bound: the end of the splines, in the units of the data; aligners standardise theirs.

    Arrays: ``block_{k}/layer_{i}/weight`` (inputs, outputs) and ``.../bias`` (outputs,).

    >>> arrays = SplineFlow(blocks=1, hidden=(8,), bins=4).init((2,), np.random.default_rng(0))
    >>> arrays["block_0/layer_0/weight"].shape
    (1, 8)
    """

    blocks: int = 4
    hidden: tuple[int, ...] = (128, 128)
    bins: int = 8
    bound: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        spline = Spline(bins=self.bins, bound=self.bound)  # which checks them
        object.__setattr__(self, "bins", spline.bins)
        object.__setattr__(self, "bound", spline.bound)

    @property
    def parts(self) -> tuple[Coupling, ...]:
        network, spline = Dense(hidden=self.hidden), Spline(bins=self.bins, bound=self.bound)
        return tuple(
            Coupling(swap=block % 2 == 1, conditioner=network, transformer=spline)
            for block in range(self.blocks)
        )


def plain_split(owner: str, split: object) -> int | None:
    """A positive integer or None."""
    if split is None:
        return None
    if not is_positive_int(split):
        raise ValueError(f"{owner}: split must be a positive integer or None, got {split!r}")
    return int(split)  # type: ignore[call-overload]


def check_part(name: str, value: object, kind: type, example: str) -> None:
    """Refuse anything but an instance."""
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} must be a {kind.__name__.lower()} such as lrmf.specs.{example}, got {value!r}"
        )
