"""Whether points are judged that a map was fitted to."""

from __future__ import annotations

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
        found = np.unique(_hashed(rows[some]))
        self._hashes = found if len(found) == len(some) else found[:0]

    def share(self, rows: Rows) -> float:
        """The share of the remembered rows that are among these."""
        if not len(self._hashes):
            return 0.0
        seen = np.zeros(len(self._hashes), dtype=bool)
        for chunk in rows.chunks():
            seen |= np.isin(self._hashes, _hashed(chunk))
        return float(seen.mean())


def _hashed(x: np.ndarray) -> np.ndarray:
    """A number for each row: a random linear form of its bits, which wraps around."""
    with np.errstate(over="ignore"):
        bits = (x.reshape(len(x), -1).astype(np.float32) + np.float32(0.0)).view(np.uint32)
    factors = np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64)
    return bits.astype(np.uint64) @ (2 * factors + 1)
