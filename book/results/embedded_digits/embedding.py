"""A trained embedding: NumPy is enough to encode and decode with it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["DIM", "LEAK", "PIXELS", "SIDE", "Embedding"]

DIM = 32
SIDE, PIXELS = 16, 16 * 16
LEAK = 0.2  # slope of the hidden units below zero


class Embedding:
    """A trained encoder and decoder, in the 16 bits in which they are saved."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = {name: np.asarray(array, np.float16) for name, array in arrays.items()}

    def encode(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of q(z|x), each ``(n, DIM)``, of pictures ``(n, 16, 16)``."""
        mean, log_scale = np.split(self._dense("encoder", pictures.reshape(-1, PIXELS)), 2, axis=1)
        return mean, np.exp(log_scale)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Pictures ``(n, 16, 16)`` of codes ``(n, DIM)``."""
        return 1 / (1 + np.exp(-self._dense("decoder", codes))).reshape(-1, SIDE, SIDE)

    def _dense(self, part: str, x: np.ndarray) -> np.ndarray:
        """The layers of a part, without what comes after the last."""
        x = x.astype(np.float32)
        layers = sum(name.startswith(part) for name in self.arrays) // 2
        for k in range(layers):
            weight, bias = (
                self.arrays[f"{part}.{number}"].astype(np.float32) for number in (2 * k, 2 * k + 1)
            )
            x = x @ weight + bias
            if k < layers - 1:
                x = np.where(x > 0, x, LEAK * x)
        return x
