"""The turntable: meshes as a piece of HTML, which the reader turns."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf._plot_mesh import camera, shading
from lrmf.checks import check_numbers
from lrmf.data.mesh import Mesh
from lrmf.plots import COLORS, part_colors

from .encoding import Writer
from .page import BUDGET, PAGE, SCRIPTS, STYLE, lean
from .still import png

__all__ = ["SCRIPT", "Turntable"]

SCRIPT = "turntable.js"
"""What a page loads after the player's own scripts."""

_MOST_VERTICES = 2**15
_STILL = 110  # pixels of a panel where no script runs
_INSIDE = 0.55


class Turntable:
    """Meshes side by side under one view: the reader drags them, on a screen or with a finger.

    The arrow keys turn them as well, and two sliders. The last line of a cell shows it. Without
    scripts one sees a small picture of each.

    Args:
        meshes: the title of each panel, and its mesh.
        alt: what one sees, in words, for those who cannot.
        colors: by title, one of matplotlib's colours or (n, 3) numbers in [0, 1]; by default a
            mesh is coloured by its parts, or blue if it has none.
        view: azimuth and elevation at the start, in degrees, as in `lrmf.plots.mesh`.
        caption: shown below. In a chapter leave it to the figure's own.
        budget: bytes that ``html()`` may take.

    Raises:
        ValueError: no meshes, no alt, a mesh of 32,768 vertices or more, colours of a title that is
            not there, or more bytes than the budget.
        TypeError: something that is no mesh.

    >>> import lrmf
    >>> animal = lrmf.data.quadrupeds(n=600).source
    >>> table = Turntable({"A": animal}, alt="An animal with long legs.")
    >>> table.nbytes < 80_000
    True
    """

    def __init__(
        self,
        meshes: Mapping[str, Mesh],
        *,
        alt: str,
        colors: Mapping[str, ArrayLike] | None = None,
        view: tuple[float, float] = (-60.0, 15.0),
        caption: str | None = None,
        budget: int = BUDGET,
    ) -> None:
        self.meshes = dict(meshes)
        if not self.meshes:
            raise ValueError("a turntable needs meshes, at least one, such as {'A': mesh}")
        for title, mesh in self.meshes.items():
            if not isinstance(mesh, Mesh):
                raise TypeError(f"{title!r} must be a lrmf.data.Mesh, got {type(mesh).__name__}")
            if len(mesh.vertices) >= _MOST_VERTICES:
                raise ValueError(
                    f"{title!r} has {len(mesh.vertices)} vertices, a page shows fewer than "
                    f"{_MOST_VERTICES}; simplify the mesh"
                )
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError("a turntable needs alt=: what one sees, in words")
        if unknown := set(colors or ()) - set(self.meshes):
            raise ValueError(f"colors has {sorted(unknown)}, the panels are {list(self.meshes)}")
        angles = check_numbers("view", view)
        if angles.shape != (2,) or not np.isfinite(angles).all():
            raise ValueError(f"view must be azimuth and elevation in degrees, got {view!r}")
        self.alt, self.caption = alt.strip(), caption
        self.view = float(angles[0]), float(angles[1])
        self._colors = {t: _vertex_colors(m, (colors or {}).get(t)) for t, m in self.meshes.items()}
        self._body = self._make_body()
        if self.nbytes > budget:
            raise ValueError(
                f"the turntable takes {self.nbytes / 1000:.0f} kB, the budget is "
                f"{budget / 1000:.0f} kB; show fewer meshes, or simpler ones (now "
                f"{sum(len(m.vertices) for m in self.meshes.values())} vertices)"
            )

    def html(self, *, script: bool = True) -> str:
        """Return a piece of HTML that needs nothing else; without scripts for a page with them."""
        if not script:
            return self._body
        style, *code = (lean(name) for name in (STYLE, *SCRIPTS, SCRIPT))
        return f"<style>\n{style}</style>\n{self._body}\n<script>\n{''.join(code)}</script>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a page of its own, which works from any folder and without a network."""
        title = html.escape(" · ".join(self.meshes))
        Path(path).write_text(PAGE.format(title=title, body=self.html()), encoding="utf8")

    @property
    def nbytes(self) -> int:
        """Size of ``html()`` in bytes."""
        return len(self.html().encode("utf8"))

    def _repr_html_(self) -> str:
        return self.html(script=not os.environ.get("LRMF_PLAYER_ON_PAGE"))

    def __repr__(self) -> str:
        return f"Turntable({', '.join(self.meshes)}: {self.nbytes / 1000:.0f} kB)"

    def _make_body(self) -> str:
        writer = Writer()
        arrays: list[dict[str, Any]] = []
        known: dict[bytes, int] = {}  # faces and colours that meshes share are written once

        def put(write: Any, values: NDArray[Any]) -> int:
            key = write.__name__.encode() + values.tobytes()
            if key not in known:
                known[key] = len(arrays)
                arrays.append(write(values))
            return known[key]

        entries = []
        for title, mesh in self.meshes.items():
            middle = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
            entry = {
                "title": title,
                "vertices": put(writer.vertices, mesh.vertices - middle),
                "faces": put(writer.faces, mesh.faces),
                "colors": put(writer.shares, self._colors[title]),
            }
            entries.append(entry)
        header = {"meshes": entries, "view": self.view, "arrays": arrays}
        stills = "".join(self._still(title) for title in self.meshes)
        caption = ""
        if self.caption:
            caption = f'\n<p class="lrmf-player-caption">{html.escape(self.caption)}</p>'
        return (
            f'<div class="lrmf-player" role="group" aria-label="Meshes to turn" '
            f'data-meshes="{writer.text(header)}">\n'
            f'<div class="lrmf-player-stage" role="img" aria-label="{html.escape(self.alt)}">\n'
            f"{stills}\n</div>{caption}\n</div>"
        )

    def _still(self, title: str) -> str:
        """A small picture: points of the surface, the nearest in each pixel."""
        mesh = self.meshes[title]
        seen = mesh.vertices @ camera(*self.view).T
        seen = seen - (seen.min(axis=0) + seen.max(axis=0)) / 2
        bright, outside = shading(seen, mesh.faces)
        bright = bright * np.where(outside, 1.0, _INSIDE)
        # Enough points a pixel to leave no holes; each corner mixes with the others.
        rng = np.random.default_rng(0)
        share = mesh.face_areas / mesh.face_areas.sum()
        faces = rng.choice(len(mesh.faces), size=8 * _STILL**2, p=share)
        mixed = rng.dirichlet(np.ones(3), size=len(faces))[..., None]
        points = np.sum(mixed * seen[mesh.faces[faces]], axis=1)
        colors = np.sum(mixed * self._colors[title][mesh.faces[faces]], axis=1)
        reach = 1.05 * np.abs(seen[:, :2]).max() or 1.0
        column, row = ((points[:, :2] * [1, -1] / reach + 1) / 2 * _STILL).astype(int).T
        order = np.argsort(points[:, 2], kind="stable")
        pixels = np.zeros((_STILL, _STILL, 4), np.uint8)
        shown = np.round(colors * bright[faces][:, None] * 15) * 17
        pixels[row[order], column[order], :3] = shown[order]
        pixels[row, column, 3] = 255
        return (
            f'<figure style="display:inline-block;margin:0 0.5rem;background:#fff;color:#222">'
            f"<figcaption>{html.escape(title)}</figcaption>"
            f'<img alt="" width="{2 * _STILL}" height="{2 * _STILL}" src="{png(pixels)}"></figure>'
        )


def _vertex_colors(mesh: Mesh, color: Any) -> NDArray[np.float64]:
    from matplotlib.colors import is_color_like, to_rgb

    if color is None:
        color = COLORS["source"] if mesh.labels is None else part_colors(mesh)
    if isinstance(color, str) and is_color_like(color):
        color = np.tile(np.array(to_rgb(color)), (len(mesh.vertices), 1))
    colors = np.asarray(color)
    if colors.shape != mesh.vertices.shape or colors.dtype.kind not in "fiu":
        raise ValueError(
            f"colors must be names such as '#0077BB', or (n, 3) numbers in [0, 1], got {color!r}"
        )
    if not ((colors >= 0) & (colors <= 1)).all():
        raise ValueError("colors must lie in [0, 1]; divide bytes by 255")
    return colors.astype(np.float64)
