"""Parts of flows of images: squeezes, normalisation of channels, and their invertible mixing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..checks import check_positive_number
from .base import (
    Apply,
    Arrays,
    FlowSpec,
    PartialShape,
    Shape,
    check_count,
    check_rng,
    image_shape,
)
from .composition import Wrapping, check_flow

__all__ = [
    "ActNorm",
    "ChannelMixing",
    "LastChannels",
    "Squeezed",
    "Squeezing",
    "check_channels_last",
    "check_dequantized",
    "squeeze",
    "squeezed_shape",
    "unsqueeze",
]

_STARTS = ("identity", "data")


def squeeze(x: Any, patch: int = 2) -> Any:
    """Images ``(n, h, w, c)`` as ``(n, h / p, w / p, p² c)``: a patch of p × p pixels, a pixel.

    New channels are the patch's pixels row by row, each with its old channels, as in TensorFlow's
    ``space_to_depth``. It takes arrays of any library with the methods ``reshape`` and
    ``transpose``.

    >>> squeeze(np.arange(4).reshape(1, 2, 2, 1)).ravel()
    array([0, 1, 2, 3])
    """
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // patch, patch, w // patch, patch, c)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // patch, w // patch, -1)


def unsqueeze(x: Any, patch: int = 2) -> Any:
    """The inverse of `squeeze`."""
    n, h, w, c = x.shape
    blocks = x.reshape(n, h, w, patch, patch, c // patch**2)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * patch, w * patch, -1)


def squeezed_shape(spec: object, event_shape: Shape, patch: int, *, times: int = 1) -> Shape:
    """The event shape after so many squeezes, or a ``ValueError`` where sizes do not divide."""
    h, w, c = image_shape(spec, event_shape)
    factor = patch**times
    if h % factor or w % factor:
        raise ValueError(
            f"{spec} needs images whose height and width are multiples of {factor}, got "
            f"{(h, w, c)} (height, width, channels): pad, crop or resize them, or take fewer "
            f"{'levels' if times > 1 else 'pixels'}"
        )
    return h // factor, w // factor, c * factor**2


def check_channels_last(spec: object, event_shape: Shape) -> None:
    """Refuse images that look like ``(channels, height, width)``, whether or not sizes divide."""
    h, w, c = image_shape(spec, event_shape)
    if h <= 4 and h < w == c:  # as (3, 32, 32); squeezed images may be (4, 8, 16)
        raise ValueError(
            f"{spec} takes images (height, width, channels), got {(h, w, c)}: channels seem to "
            "come first; the last axis is theirs: numpy.moveaxis(x, 1, -1) of images x (images "
            f"that are {h} pixels high: swap height and width)"
        )


def check_dequantized(spec: object, x: np.ndarray, argument: str) -> None:
    """Refuse integers, of whatever dtype: a density of real numbers has no value there."""
    if x.dtype.kind in "iub" or (x.size and (x == np.rint(x)).all()):
        raise ValueError(
            f"{argument} holds integers (dtype {x.dtype}), and the density of {spec} grows without "
            f"bound where values repeat: fit to lrmf.data.Dequantized({argument}), which takes "
            "dtypes of integers and adds uniform noise of the width of a step, drawn anew for "
            "each minibatch"
        )


class Squeezing(Wrapping):
    """A flow of squeezed images, whose own shape does not change: S⁻¹ ∘ flow ∘ S.

    >>> import lrmf
    >>> spec = lrmf.specs.Squeezed(flow=lrmf.specs.ActNorm(), patch=2)
    >>> isinstance(spec, lrmf.specs.Squeezing)
    True
    >>> spec.shapes((8, 8, 1))["shift"]  # one channel has become four
    (4,)
    """

    patch: int

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        return self.flow.shapes(squeezed_shape(self, event_shape, self.patch))

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        return self.flow.init(squeezed_shape(self, event_shape, self.patch), rng)

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape | None:
        inside = self.flow.event_shape(arrays)
        if inside is None or len(inside) != 3:
            return inside
        h, w, c = inside
        return (
            None if h is None else h * self.patch,
            None if w is None else w * self.patch,
            None if c is None else c // self.patch**2,
        )

    def from_data(
        self, arrays: Mapping[str, Any], x: np.ndarray, apply: Apply, *, inverse: bool = False
    ) -> Arrays:
        return self.flow.from_data(arrays, squeeze(x, self.patch), apply, inverse=inverse)


@dataclass(frozen=True, kw_only=True)
class Squeezed(Squeezing):
    """A flow of images whose patches have become pixels: S⁻¹ ∘ flow ∘ S, with the squeeze S.

    S makes of ``(h, w, c)`` ``(h / p, w / p, p² c)`` and keeps volumes, so that the log-determinant
    is the flow's.

    Args:
        flow: the flow of squeezed images.
        patch: p.

    Arrays: those of the flow.

    >>> import lrmf
    >>> flow = lrmf.specs.Squeezed(flow=lrmf.specs.ActNorm())
    >>> flow.shapes((4, 4, 1))
    {'log_scale': (4,), 'shift': (4,)}
    """

    flow: FlowSpec
    patch: int = 2

    def __post_init__(self) -> None:
        check_flow("Squeezed: flow", self.flow)
        check_count("Squeezed: patch", self.patch)
        object.__setattr__(self, "patch", int(self.patch))


@dataclass(frozen=True, kw_only=True)
class LastChannels(Wrapping):
    """A flow of the last half of an even number of channels; the others pass unchanged.

    Arrays: those of the flow.

    >>> import lrmf
    >>> lrmf.specs.LastChannels(flow=lrmf.specs.ActNorm()).shapes((4, 4, 2))
    {'log_scale': (1,), 'shift': (1,)}
    """

    flow: FlowSpec

    def __post_init__(self) -> None:
        check_flow("LastChannels: flow", self.flow)

    def _inside(self, event_shape: Shape) -> Shape:
        h, w, c = image_shape(self, event_shape)
        if c % 2:
            raise ValueError(
                f"LastChannels needs an even number of channels, got {c} of {(h, w, c)} (height, "
                "width, channels); inside Squeezed(flow=...) their number is a multiple of four"
            )
        return h, w, c // 2

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        return self.flow.shapes(self._inside(event_shape))

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        return self.flow.init(self._inside(event_shape), rng)

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape | None:
        inside = self.flow.event_shape(arrays)
        if inside is None or inside[-1] is None:
            return inside
        return (*inside[:-1], 2 * inside[-1])

    def from_data(
        self, arrays: Mapping[str, Any], x: np.ndarray, apply: Apply, *, inverse: bool = False
    ) -> Arrays:
        own = x[..., x.shape[-1] // 2 :]
        return self.flow.from_data(arrays, own, apply, inverse=inverse)


@dataclass(frozen=True, kw_only=True)
class ActNorm(FlowSpec):
    """A scale and a shift of each channel: y = x exp(s) + b (Kingma and Dhariwal, 2018).

    Args:
        start: ``"identity"``: s = b = 0. ``"data"``: such that the images of the first points have
            mean 0 and deviation 1; until `lrmf.starting.from_data` has seen those, both are NaN,
            and the map in either direction is refused. Aligners do it before a fit.
        floor: the least deviation, in units of what it normalises, that a channel is taken to
            have at a start from data: nearly constant channels, as at an image's margin, would be
            scaled by anything. Take the deviation of the noise.

    Arrays: ``log_scale`` s and ``shift`` b, ``(c,)``.

    >>> import lrmf
    >>> lrmf.specs.ActNorm().shapes((4, 4, 3))
    {'log_scale': (3,), 'shift': (3,)}
    """

    start: Literal["identity", "data"] = "identity"
    floor: float = 1e-3

    def __post_init__(self) -> None:
        check_start("ActNorm", self.start)
        check_positive_number("ActNorm: floor", self.floor)
        object.__setattr__(self, "floor", float(self.floor))

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        channels = image_shape(self, event_shape)[-1]
        return {"log_scale": (channels,), "shift": (channels,)}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        value = np.nan if self.needs_data else 0.0
        return {name: np.full(shape, value) for name, shape in self.shapes(event_shape).items()}

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape:
        return (None, None, np.shape(arrays["log_scale"])[0])

    @property
    def needs_data(self) -> bool:
        return self.start == "data"

    def from_data(
        self, arrays: Mapping[str, Any], x: np.ndarray, apply: Apply, *, inverse: bool = False
    ) -> Arrays:
        if not self.needs_data or all(np.isfinite(value).all() for value in arrays.values()):
            return dict(arrays)  # those that are complete stay
        values = np.asarray(x, np.float64).reshape(-1, np.shape(x)[-1])
        constant = np.flatnonzero(values.min(axis=0) == values.max(axis=0))
        if constant.size:
            raise ValueError(
                f"ActNorm: channels {constant.tolist()} of {values.shape[-1]} are constant in the "
                "points to start from, so no scale gives them the deviation 1: add noise, as "
                "lrmf.data.Dequantized does, crop the images, or take start='identity'"
            )
        mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0), self.floor)
        if inverse:  # x = (y - b) exp(-s) is what gets mean 0 and deviation 1
            return {"log_scale": np.log(deviation), "shift": mean}
        return {"log_scale": -np.log(deviation), "shift": -mean / deviation}

    def check_result(self, x: Any, argument: str, results: tuple[Any, ...]) -> None:
        if not (self.needs_data and np.size(x) and np.isfinite(np.asarray(x)).all()):
            return
        if any(np.isnan(np.asarray(result)).all() for result in results):
            raise ValueError(
                "ActNorm(start='data') has not seen data, so it has no scale and no inverse: "
                "complete the arrays of init by lrmf.starting.from_data(spec, arrays, x), or take "
                "start='identity'"
            )


@dataclass(frozen=True, kw_only=True)
class ChannelMixing(FlowSpec):
    """An invertible 1 × 1 convolution: each pixel's channels times one matrix W = L U.

    L is lower triangular with a diagonal of ones, U upper triangular with a positive one, so that
    log|det W| is the sum of log U_ii, and W is never singular (Kingma and Dhariwal, 2018, who add
    a fixed permutation of a random start; ours starts at the identity). `condition_number` tells
    how near to singular it has come.

    Arrays: ``lower_upper`` (c, c), as LU routines pack it: L below the diagonal, U above, and on
    it log U_ii. Zero is the identity.

    >>> import lrmf
    >>> sorted(lrmf.specs.ChannelMixing().shapes((4, 4, 2)))
    ['lower_upper']
    """

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        channels = image_shape(self, event_shape)[-1]
        return {"lower_upper": (channels, channels)}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        return {name: np.zeros(shape) for name, shape in self.shapes(event_shape).items()}

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape:
        return (None, None, np.shape(arrays["lower_upper"])[0])

    def matrix(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """W ``(c, c)``: a pixel's channels x become W x."""
        packed = np.asarray(arrays["lower_upper"], np.float64)
        lower = np.tril(packed, -1) + np.eye(len(packed))
        upper = np.triu(packed, 1) + np.diag(np.exp(np.diag(packed)))
        return lower @ upper

    def condition_number(self, arrays: Mapping[str, np.ndarray]) -> float:
        """The largest singular value of W over the smallest, 1 for the identity."""
        return float(np.linalg.cond(self.matrix(arrays)))


def check_start(owner: str, value: object) -> None:
    """Refuse anything but the two ways to start."""
    if not isinstance(value, str) or value not in _STARTS:
        raise ValueError(f"{owner}: start must be one of {_STARTS}, got {value!r}")
