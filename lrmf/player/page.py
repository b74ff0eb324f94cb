"""The player: tracks as a piece of HTML that plays itself."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .encoding import Writer, enclosed_shares
from .still import still
from .tracks import Track

__all__ = ["BUDGET", "PAGE", "SCRIPTS", "STATIC", "STYLE", "Player", "lean"]

BUDGET = 200_000
"""Bytes that a player may take, its script and style included."""

STATIC = Path(__file__).with_name("static")
STYLE = "player.css"
SCRIPTS = ("player_frames.js", "player_drawing.js", "player.js")
"""In the order in which a page must load them."""

_LOSS_BINS = 160
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ margin: 1rem auto; max-width: 60rem; padding: 0 0.5rem; }}</style>
</head>
<body>
{body}
</body>
</html>
"""


class Player:
    """Tracks side by side over one timeline, with a button, a slider and a loss to move along.

    The last line of a cell shows it. Without scripts one sees a still of the start frame.

    Args:
        tracks: one or more. Each keeps its own steps: a shorter one waits at its end.
        alt: what one sees, in words, for those who cannot.
        caption: shown below. In a chapter leave it to the figure's own.
        start: the training step at which it waits to be played; the last by default.
        autoplay: play once when it comes into view. Readers who ask for less motion are spared.
        budget: bytes that ``html()`` may take.

    Raises:
        ValueError: no tracks, no alt, a single frame, or more bytes than the budget.

    >>> rng = np.random.default_rng(0)
    >>> source, target = rng.normal(size=(2, 50, 2))
    >>> way = np.linspace(0.0, 3.0, 5)[:, None, None]
    >>> track = Track(title="shift", steps=range(5), points=source + way, target=target + 3.0)
    >>> player = Player([track], alt="A cloud moves onto another.")
    >>> player.nbytes < 50_000
    True
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        *,
        alt: str,
        caption: str | None = None,
        start: float | None = None,
        autoplay: bool = True,
        budget: int = BUDGET,
    ) -> None:
        self.tracks = list(tracks)
        if not self.tracks or not all(isinstance(track, Track) for track in self.tracks):
            raise ValueError("a player needs a list of tracks, at least one")
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError("a player needs alt=: what one sees, in words")
        self.alt, self.caption, self.autoplay = alt.strip(), caption, autoplay
        self.steps = np.unique(np.concatenate([track.steps for track in self.tracks]))
        if len(self.steps) < 2:
            raise ValueError("nothing moves: the tracks have a single step; give them more frames")
        self.start = float(self.steps[-1] if start is None else start)
        if not self.steps[0] <= self.start <= self.steps[-1]:
            raise ValueError(
                f"start must lie between the steps {self.steps[0]:g} and {self.steps[-1]:g}, "
                f"got {self.start:g}"
            )
        self._body = self._make_body()
        if self.nbytes > budget:
            raise ValueError(
                f"the player takes {self.nbytes / 1000:.0f} kB, the budget is {budget / 1000:.0f} "
                f"kB; show fewer frames (now {max(len(t.steps) for t in self.tracks)}), fewer "
                f"points (now {max(t.points.shape[1] for t in self.tracks)}) or a coarser density"
            )

    def html(self, *, script: bool = True) -> str:
        """Return a piece of HTML that needs nothing else.

        Args:
            script: whether it brings script and style along. A page that loads them itself,
                as those of the book do, needs them once.
        """
        if not script:
            return self._body
        style, *code = (lean(name) for name in (STYLE, *SCRIPTS))
        return f"<style>\n{style}</style>\n{self._body}\n<script>\n{''.join(code)}</script>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a page of its own, which works from any folder and without a network."""
        title = " · ".join(track.title for track in self.tracks)
        text = PAGE.format(title=html.escape(title), body=self.html())
        Path(path).write_text(text, encoding="utf8")

    @property
    def nbytes(self) -> int:
        """Size of ``html()`` in bytes."""
        return len(self.html().encode("utf8"))

    def _repr_html_(self) -> str:
        return self.html(script=not os.environ.get("LRMF_PLAYER_ON_PAGE"))

    def __repr__(self) -> str:
        titles = ", ".join(track.title for track in self.tracks)
        return f"Player({titles}: {len(self.steps)} steps, {self.nbytes / 1000:.0f} kB)"

    def _make_body(self) -> str:
        writer = Writer()
        header = {
            "tracks": [_entry(track, writer) for track in self.tracks],
            "start": self.start,
            "autoplay": bool(self.autoplay),
        }
        alt = html.escape(self.alt)
        caption = ""
        if self.caption:
            caption = f'\n<p class="lrmf-player-caption">{html.escape(self.caption)}</p>'
        return (
            f'<div class="lrmf-player" role="group" aria-label="Training animation" '
            f'data-frames="{writer.text(header)}">\n'
            f'<div class="lrmf-player-stage" role="img" aria-label="{alt}">\n'
            f"{still(self.tracks, self.start)}\n</div>{caption}\n</div>"
        )


@cache
def lean(name: str) -> str:
    """Return a file of the page without its comments and indentation: a third of its size."""
    text = (STATIC / name).read_text(encoding="utf8")
    return re.sub(r"(?m)^\s+", "", re.sub(r"(?s)/\*.*?\*/", "", text))


def _entry(track: Track, writer: Writer) -> dict[str, Any]:
    """The header's entry of a track; its arrays go to the writer."""
    entry: dict[str, Any] = {
        "title": track.title,
        "steps": track.steps.tolist(),
        "extent": list(track.extent or ()),
        "axes": list(track.axis_labels),
        "colorBy": track.color_by,
        "points": writer.coordinates(_within_reach(track.points, track)),
    }
    if track.target is not None:
        entry["target"] = writer.coordinates(_within_reach(track.target, track)[None])
    if track.labels is not None:
        names, numbers = np.unique(track.labels, return_inverse=True)
        entry["labels"] = writer.labels(numbers)
        entry["names"] = [str(name) for name in names]
    if track.density is not None:
        entry["density"] = writer.shares(enclosed_shares(track.density))
    if track.grid is not None:
        entry["grid"] = writer.coordinates(_within_reach(track.grid, track))
    if track.ellipses:
        entry["ellipses"] = {
            name: writer.exact(np.concatenate([mean, cov.reshape(-1, 4)[:, [0, 1, 3]]], axis=1))
            for name, (mean, cov) in track.ellipses.items()
        }
    if track.loss is not None:
        steps, values = _bins(*track.loss)
        entry["loss"] = {
            "label": track.loss_label,
            "steps": writer.exact(steps),
            "values": writer.curve(values),
        }
    return entry


def _within_reach(points: np.ndarray, track: Track) -> np.ndarray:
    """Move points that are far off the panel to its neighbourhood: they would cost precision."""
    x_min, x_max, y_min, y_max = track.extent  # type: ignore[misc]
    low, high = np.array([x_min, y_min]), np.array([x_max, y_max])
    return np.clip(points, low - (high - low), high + (high - low))


def _bins(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, least and largest loss of each bin: columns of an ``(s, 3)`` array."""
    parts = np.array_split(np.arange(len(steps)), min(_LOSS_BINS, len(steps)))
    rows = [(values[p].mean(), values[p].min(), values[p].max()) for p in parts]
    return np.array([steps[p].mean() for p in parts]), np.array(rows)
