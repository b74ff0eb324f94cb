"""The picture that a page shows where no script runs: one frame, as SVG."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from lrmf.plots import COLORS

from .encoding import enclosed_shares
from .tracks import Track

__all__ = ["LABEL_COLORS", "QUIET", "png", "still"]

# Classes of the source: Paul Tol's "vibrant" colours, then some of his "muted" ones.
LABEL_COLORS = (
    "#0077BB", "#EE7733", "#009988", "#EE3377", "#33BBEE",
    "#CC3311", "#332288", "#999933", "#882255", "#DDCC77",
)  # fmt: skip
QUIET = "#AAAAAA"
"""Of the target, where the source's classes have the colours."""

# In halves of a pixel, so that whole numbers place a point well enough.
_SIDE = 480
_HEAD = 48


def still(tracks: Sequence[Track], step: float) -> str:
    """Return the tracks side by side, each at its last frame up to a step."""
    panels = [
        _panel(track, int(np.searchsorted(track.steps, step, side="right")) - 1, k)
        for k, track in enumerate(tracks)
    ]
    width, height = _SIDE * len(tracks), _SIDE + _HEAD
    # A white card of its own: without a script, nobody knows what is behind it.
    return (
        f'<svg class="lrmf-player-still" viewBox="0 0 {width} {height}" '
        f'style="background:#fff;max-width:{width}px;width:100%" aria-hidden="true" '
        f'font-family="sans-serif" font-size="24">{"".join(panels)}</svg>'
    )


def _panel(track: Track, frame: int, place: int) -> str:
    frame = max(frame, 0)
    x_min, x_max, y_min, y_max = track.extent  # type: ignore[misc]
    scale = (_SIDE - 20) / max(x_max - x_min, y_max - y_min)
    left = _SIDE * place + (_SIDE - scale * (x_max - x_min)) / 2
    top = _HEAD + (_SIDE - scale * (y_max - y_min)) / 2
    width, height = scale * (x_max - x_min), scale * (y_max - y_min)

    def place_in(points: np.ndarray) -> np.ndarray:
        placed = [0, height] + (points - [x_min, y_min]) * [scale, -scale]
        return np.clip(placed, -width, 2 * width).round().astype(int)

    def dots(points: np.ndarray, color: str, cap: str) -> str:
        path = "".join(f"M{x} {y}h0" for x, y in place_in(points))
        return f'<path d="{path}" stroke="{color}" stroke-width="8" stroke-linecap="{cap}"/>'

    def lines(points: np.ndarray, color: str, wide: float) -> str:
        path = "".join(f"M{' '.join(f'{x},{y}' for x, y in place_in(line))}" for line in points)
        return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{wide}"/>'

    parts = []
    if track.density is not None:
        parts.append(
            f'<image width="{width:.0f}" height="{height:.0f}" preserveAspectRatio="none" '
            f'href="{_picture(enclosed_shares(track.density[frame : frame + 1])[0])}"/>'
        )
    if track.grid is not None:
        parts.append(lines(track.grid[frame], QUIET, 1))
    by_label = track.color_by == "label"
    if track.target is not None:
        parts.append(dots(track.target, QUIET if by_label else COLORS["target"], "round"))
    moved = track.points[frame]
    if by_label:
        for k, name in enumerate(np.unique(track.labels)):
            cap = ("round", "square")[k % 2]
            parts.append(dots(moved[track.labels == name], LABEL_COLORS[k], cap))
    else:
        parts.append(dots(moved, COLORS["transformed"], "round"))
    for name, (mean, cov) in (track.ellipses or {}).items():
        at = min(frame, len(mean) - 1)
        values, vectors = np.linalg.eigh(cov[at])
        angle = np.linspace(0.0, 2.0 * np.pi, 49)
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        curve = mean[at] + 3.0 * (circle * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        parts.append(lines(curve[None], COLORS[name], 4))
    parts.append(
        f'<path d="M0 0H{width:.0f}V{height:.0f}H0Z" fill="none" stroke="{COLORS["shared"]}"/>'
    )
    title = html.escape(f"{track.title}, step {track.steps[frame]:g}")
    return (
        f'<text x="{left:.0f}" y="{top - 14:.0f}" fill="{COLORS["reference"]}">{title}</text>'
        f'<svg x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}">'
        f"{''.join(parts)}</svg>"
    )


def _picture(shares: np.ndarray) -> str:
    """Return a density as the address of a grey PNG, its first row at the bottom."""
    return png(np.round(255 - 150 * shares[::-1]).astype(np.uint8))


def png(pixels: np.ndarray) -> str:
    """Return bytes (height, width), grey, or (height, width, 4), RGBA, as the address of a PNG."""
    height, width = pixels.shape[:2]
    # Each row starts with its filter: none.
    rows = np.insert(pixels.reshape(height, -1), 0, 0, axis=1).tobytes()
    kind = 0 if pixels.ndim == 2 else 6
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    )
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
