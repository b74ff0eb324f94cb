"""Arrays as few bytes: whole numbers, differences from frame to frame, deflated.

What a page loads is ``deflate(length of header | header in JSON | arrays)``. The header says of
each array where it lies, its shape, and how its whole numbers become real ones; ``player.js``
reads it.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Writer", "enclosed_shares"]

# A panel is a few hundred pixels wide, so 2^13 levels are well below a pixel; the lowest bits of
# finer numbers are noise, which takes half of the space when it is deflated.
COORDINATE_LEVELS = 2**13 - 1
DENSITY_LEVELS = 2**6 - 1
CURVE_LEVELS = 2**12 - 1
# A solid is drawn smaller than a panel of points, and there are more of its vertices.
VERTEX_LEVELS = 2**11 - 1


class Writer:
    """Collects arrays, and gives each an entry for the header."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def coordinates(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Write points ``(k, ..., 2)`` of k frames, as differences between frames."""
        axes = tuple(range(values.ndim - 1))
        return self._numbers(values, values.min(axis=axes), values.max(axis=axes), delta=True)

    def curve(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Write numbers ``(n,)`` or columns ``(n, c)`` on one common scale."""
        low, high = values.min(keepdims=True), values.max(keepdims=True)
        return self._numbers(values, low.ravel(), high.ravel(), levels=CURVE_LEVELS)

    def vertices(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Write points ``(n, 3)``, as differences from point to point."""
        low, high = values.min(axis=0), values.max(axis=0)
        return self._numbers(values[:, None], low, high, levels=VERTEX_LEVELS, delta=True)

    def faces(self, values: NDArray[np.int64]) -> dict[str, Any]:
        """Write numbers of vertices ``(m, 3)`` below 2^15, as differences from face to face."""
        most = np.array([max(int(values.max()), 1)])
        return self._numbers(
            values[:, None].astype(float), 0.0 * most, most, levels=int(most[0]), delta=True
        )

    def exact(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Write a few numbers in single precision."""
        return self._add(values.astype("<f4").tobytes(), "f4", values.shape)

    def shares(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Write numbers between zero and one as single bytes."""
        whole = np.round(values * DENSITY_LEVELS).astype(np.uint8)
        return self._add(whole.tobytes(), "u1", values.shape) | {"levels": DENSITY_LEVELS}

    def labels(self, values: NDArray[np.intp]) -> dict[str, Any]:
        """Write class numbers below 256 as single bytes."""
        return self._add(values.astype(np.uint8).tobytes(), "u1", values.shape) | {"levels": 1}

    def text(self, header: dict[str, Any]) -> str:
        """Return everything as one base64 text."""
        head = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode("ascii")
        data = len(head).to_bytes(4, "little") + head + b"".join(self._parts)
        return base64.b64encode(zlib.compress(data, 9)).decode("ascii")

    def _numbers(
        self,
        values: NDArray[np.float64],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        *,
        levels: int = COORDINATE_LEVELS,
        delta: bool = False,
    ) -> dict[str, Any]:
        width = np.where(high > low, high - low, 1.0)
        whole = np.round((values - low) / width * levels).astype(np.int32)
        if delta:
            step = np.diff(whole, axis=0, prepend=0)
            whole = (step << 1) ^ (step >> 31)  # 0, -1, 1, -2 become 0, 1, 2, 3
        # High bytes are mostly zero: side by side they take next to no space.
        data = (whole & 255).astype(np.uint8).tobytes() + (whole >> 8).astype(np.uint8).tobytes()
        entry = self._add(data, "u2", values.shape)
        scale = {"low": low.tolist(), "width": width.tolist(), "levels": levels}
        return entry | scale | ({"delta": True} if delta else {})

    def _add(self, data: bytes, kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
        entry = {"at": self._length, "kind": kind, "shape": list(shape)}
        self._parts.append(data)
        self._length += len(data)
        return entry


def enclosed_shares(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each cell, the share of the frame's probability that lies in less dense cells.

    The level sets of the result are highest-density regions: the cells above 0.2 hold 80% of the
    probability. So a broad and a sharply peaked density are equally legible.

    >>> enclosed_shares(np.array([[[0.0, 1.0], [3.0, 4.0]]])).tolist()
    [[[0.0, 0.125], [0.5, 1.0]]]
    """
    shares = np.empty(density.shape)
    for frame, heights in zip(shares, density, strict=True):
        order = np.argsort(heights, axis=None, kind="stable")
        total = np.cumsum(heights.ravel()[order])
        frame.ravel()[order] = total / total[-1]
    return shares
