"""Whether points are judged that a map was fitted to."""

from __future__ import annotations

import math

import numpy as np

from ..points import Rows

__all__ = ["Remembered"]

# So many rows of a data set are remembered, evenly spread.
_ROWS = 1000


class Remembered:
    """Some rows of the data of a fit, as numbers of 64 bits.

    Rows of float64 and their roundings to float32 are the same. Data whose rows repeat, such as a
    few discrete features, are not remembered: equal rows say nothing there.
    """

    def __init__(self, rows: Rows) -> None:
        some = np.unique(np.linspace(0, len(rows) - 1, _ROWS).astype(int))
        found = np.unique(_hashes(rows.subset(some)))
        self._hashes = found if len(found) == len(some) else found[:0]

    def share(self, rows: Rows) -> float:
        """The share of the remembered rows that are among these by no chance.

        Of many rows of few digits some are equal by chance: about as many as equal one another.
        """
        if not len(self._hashes):
            return 0.0
        found, counts = np.unique(_hashes(rows), return_counts=True)
        repeated = 1.0 - np.count_nonzero(counts == 1) / len(rows)
        return float(max(0.0, np.isin(self._hashes, found).mean() - repeated))


def _hashes(rows: Rows) -> np.ndarray:
    """A number for each row: a random linear form of its bits, which wraps around."""
    size = math.prod(rows.shape[1:])
    factors = 2 * np.random.default_rng(0).integers(2**63, size=size, dtype=np.uint64) + 1
    found = []
    for chunk in rows.chunks():
        with np.errstate(all="ignore"):  # beyond float32
            x = chunk.reshape(len(chunk), -1).astype(np.float32) + np.float32(0.0)
        # Unlike a product of matrices, no copy of 64 bits.
        found.append(np.einsum("ij,j->i", x.view(np.uint32), factors))
    return np.concatenate(found)
