"""Minibatches: which rows each step sees, in batches of one size whatever the data's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .points import Rows

__all__ = ["Minibatches", "Points", "Weights", "whole"]

Points = np.ndarray | Rows
#: Of the points of each data set, ``(n,)``; ``None`` where all count alike.
Weights = Mapping[str, np.ndarray | None]


class Minibatches:
    """Which rows of each data set a step sees, in batches of one size whatever the data's."""

    def __init__(
        self,
        data: Mapping[str, Points],
        weights: Weights,
        batch_size: int,
        *,
        drawn: bool,
        multiple: int,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        self._counts = {name: len(x) for name, x in data.items()}
        self._sizes, self._shares, self._cumulative = {}, {}, {}
        for name, n in self._counts.items():
            most = (sizes or {}).get(name, batch_size)
            self._sizes[name] = size = _multiple(_padded_size(n, most), multiple)
            weight = weights.get(name)
            if weight is not None and (drawn or n > most):
                self._cumulative[name] = np.cumsum(weight) / np.sum(weight)
            elif n <= most:
                self._shares[f"{name}_weight"] = _padded_weights(weight, n, size)
        if self._shares:  # or a batch of some with weights and some without would compile anew
            for name, size in self._sizes.items():
                self._shares.setdefault(f"{name}_weight", np.full(size, 1.0 / size))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Row numbers ``(*shape, batch)`` of each data set."""
        indices = {}
        for name, n in self._counts.items():
            size = self._sizes[name]
            if name in self._cumulative:
                uniform = rng.random(size=(*shape, size))
                rows = np.searchsorted(self._cumulative[name], uniform, side="right")
                indices[name] = np.minimum(rows, n - 1)
            elif n <= size:
                indices[name] = np.tile(np.arange(size) % n, (*shape, 1))
            else:
                indices[name] = rng.integers(n, size=(*shape, size))
        return indices

    def weights(self, steps: int) -> dict[str, np.ndarray]:
        """The weights in the batches of each step, ``(steps, batch)``, of data sets used whole."""
        return {name: np.tile(share, (steps, 1)) for name, share in self._shares.items()}


def _multiple(n: int, of: int) -> int:
    return -(-n // of) * of


def _padded_size(n: int, most: int) -> int:
    """How many rows stand for n in a batch of at most ``most``: few numbers for all n."""
    return min(most, max(512, 1 << (n - 1).bit_length()))


def whole(data: Mapping[str, Points], weights: Weights | None = None) -> dict[str, np.ndarray]:
    """Data sets as one batch, padded with points of weight zero to one of few sizes."""
    batch = {}
    for name, x in data.items():
        n, weight = len(x), (weights or {}).get(name)
        size = _padded_size(n, 2 * n + 512)
        batch[name] = x[np.arange(size) % n]
        if size > n or weight is not None:
            batch[f"{name}_weight"] = _padded_weights(weight, n, size)
    return batch


def _padded_weights(weights: np.ndarray | None, n: int, size: int) -> np.ndarray:
    """Weights that sum to one, zero beyond n."""
    shares = np.zeros(size)
    shares[:n] = 1.0 if weights is None else weights
    return shares / shares.sum()
