"""Images of integers as points of a density: uniform noise, and bits per dimension."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from lrmf.checks import check_numbers, check_positive_int, check_seed

__all__ = ["Dequantized", "bits_per_dimension"]

#: Up to here float64 and bits tell integers apart.
_LEVELS = 2**16


class Dequantized:
    """Images of integers k, read as (k + u) / levels with uniform noise u in [0, 1), drawn anew.

    A density of real numbers grows without bound where values repeat. With u, its mean log-density
    bounds that of the integers from below (Theis, van den Oord and Bethge, A note on the
    evaluation of generative models, 2016), and `bits_per_dimension` is what that comes to.

    It is data for `lrmf.LRMF.fit` and whatever else takes rows. The noise of a read is drawn by the
    seed and by the rows asked for: each minibatch has noise of its own, threads and interrupted
    fits see what they would have seen, and whoever asks the same again gets the same answer. (Data
    sets that a fit uses whole, in every step, have noise of their own for each step of a chunk.)

    Args:
        images: integers ``(n, height, width, channels)``, or ``(n, height, width)`` of grey
            images, which get their axis of channels, from 0 to ``levels - 1``.
        levels: how many values there are, 256 of 8 bits.
        seed: of the noise.

    Attributes:
        shape: ``(n, height, width, channels)``.
        dtype: float64.

    Raises:
        TypeError: images that hold no integers.
        ValueError: another rank, values outside the range, channels that come first.

    >>> images = np.zeros((10, 4, 4), np.uint8)
    >>> x = Dequantized(images, seed=0)
    >>> x.shape, bool(0.0 <= x[:2].min() <= x[:2].max() < 1 / 256)
    ((10, 4, 4, 1), True)
    """

    #: `lrmf.points.Rows` hands rows' numbers on as they are asked for.
    draws = True

    def __init__(self, images: Any, *, levels: int = 256, seed: int = 0) -> None:
        if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)):
            raise ValueError(f"levels must be an integer, got {levels!r}")
        if not 2 <= levels <= _LEVELS:
            raise ValueError(f"levels must lie between 2 and {_LEVELS}, got {levels}")
        check_seed(seed)
        array = np.asarray(images)
        if array.dtype.kind not in "iu":
            raise TypeError(
                f"images must hold integers from 0 to {levels - 1}, got dtype {array.dtype}; grey "
                "values x in [0, 1] of 256 levels are numpy.rint(255 * x).astype(numpy.uint8)"
            )
        if array.ndim == 3:
            array = array[..., np.newaxis]
        if array.ndim != 4 or 0 in array.shape:
            raise ValueError(
                "images must have the shape (n, height, width, channels), or (n, height, width) of "
                f"grey ones, and hold some, got {np.shape(images)}"
            )
        h, w, c = array.shape[1:]
        if h < min(w, c) and h <= 4:
            raise ValueError(
                f"images of shape {array.shape} seem to have their channels first; the last axis "
                "is theirs: numpy.moveaxis(images, 1, -1)"
            )
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= levels:
            raise ValueError(
                f"images must hold integers from 0 to {levels - 1}, got values from {low} to "
                f"{high}; set levels to how many values there are"
            )
        self._images, self._levels, self._seed = array, int(levels), int(seed)
        # Other images get other noise: two domains with one seed are independent.
        self._content = zlib.crc32(np.ascontiguousarray(array).data)
        self.shape: tuple[int, ...] = array.shape
        self.dtype = np.dtype(np.float64)

    @property
    def levels(self) -> int:
        """How many values a pixel's channel has."""
        return self._levels

    @property
    def images(self) -> np.ndarray:
        """The integers ``(n, height, width, channels)``."""
        return self._images

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        rows = self._images[key]
        rng = np.random.default_rng([self._seed, self._content, _number(key)])
        x = (rows + rng.random(rows.shape)) / self._levels
        # (k + u) / levels may round up to the next integer's.
        return np.asarray(np.minimum(x, np.nextafter((rows + 1.0) / self._levels, 0.0)))

    def __repr__(self) -> str:
        return f"Dequantized({self.shape}, levels={self._levels}, seed={self._seed})"


def bits_per_dimension(
    log_prob: Any, event_shape: Sequence[int], *, levels: int = 256
) -> np.ndarray:
    """Bits per dimension of integers, from log-densities of points (k + u) / levels.

    (d log(levels) - log p(x)) / (d log 2) for d dimensions: minus the logarithm to base two of the
    density of k + u, for each pixel and channel. A density that is uniform on [0, 1]^d has
    log2(levels), 8 for 256 levels.

    Args:
        log_prob: log-densities in nats ``(n,)`` of images as `Dequantized` gives them, in [0, 1).
        event_shape: ``(height, width, channels)``.
        levels: as there.

    Returns:
        The bits per dimension of each image ``(n,)``; their mean is what is reported.

    >>> bits_per_dimension([0.0], (28, 28, 1))
    array([8.])
    """
    values = check_numbers("log_prob", log_prob)
    if not isinstance(event_shape, (tuple, list)) or not event_shape:
        raise ValueError(
            f"event_shape must hold positive integers, such as (28, 28, 1), got {event_shape!r}"
        )
    for size in event_shape:
        check_positive_int("each size in event_shape", size)
    check_positive_int("levels", levels)
    if levels < 2:
        raise ValueError(f"levels must be 2 or more, got {levels}")
    d = math.prod(map(int, event_shape))
    return np.asarray((math.log(levels) - values / d) / math.log(2.0))


def _number(key: Any) -> int:
    """A number that differs between different keys, up to the chance of 32 bits."""
    if isinstance(key, np.ndarray):
        return zlib.crc32(
            np.ascontiguousarray(key, np.int64).data, zlib.crc32(repr(key.shape).encode())
        )
    return zlib.crc32(repr(key).encode())
