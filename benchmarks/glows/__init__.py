"""The same Glow in lrmf and in normflows: what `benchmarks.images` compares.

Squeezes, couplings with filters of 3, 1 and 3 pixels, invertible 1 x 1 convolutions by LU factors,
and norms that start at the moments of data; noise keeps the image's shape, and its density is a
standard normal one. Nothing here needs lrmf, so that normflows may live in another environment.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

__all__ = ["PEERS", "Likelihood", "Noisy", "Size", "build"]

Run = Callable[[np.ndarray, float], np.ndarray]
"""Steps on the rows ``(steps, domains, batch)`` at a learning rate; gives the losses."""

PEERS = {"lrmf-jax": "ours", "lrmf-tfp": "ours", "normflows": "theirs"}
CLIP = 10.0
"""The gradient's norm is clipped to it."""


@dataclass(frozen=True)
class Size:
    """Of a Glow and of its images: pixels a side, levels, steps of each, filters."""

    pixels: int
    levels: int
    steps: int
    filters: int


@dataclass(frozen=True)
class Likelihood:
    """A density that learns images: its steps, log-densities ``(n,)``, and trained numbers."""

    run: Run
    log_prob: Callable[[np.ndarray], np.ndarray]
    parameters: int


class Noisy:
    """Images of 256 levels with uniform noise of a level, drawn by the rows that are asked for.

    (k + u) / 256, less the mean and over the deviation of all pixels; ``log_scale`` is what this
    adds to a log-density.
    """

    def __init__(self, images: np.ndarray, *, mean: float, deviation: float, seed: int) -> None:
        self._images, self._mean, self._deviation, self._seed = images, mean, deviation, seed
        self.shape, self.dtype = images.shape, np.dtype(np.float32)
        self.log_scale = -images[0].size * np.log(deviation)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The images with these numbers, and noise of their own."""
        k = self._images[rows]
        rng = np.random.default_rng([self._seed, zlib.crc32(np.ascontiguousarray(rows).data)])
        x = (k + rng.random(k.shape)) / 256
        return ((x - self._mean) / self._deviation).astype(np.float32)


def build(peer: str, what: str, *arguments: Any) -> Any:
    """``aligner`` or ``density`` of a peer."""
    module = import_module(f"benchmarks.glows.{PEERS[peer]}")
    return getattr(module, what)(peer, *arguments)
