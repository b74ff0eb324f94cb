"""The figure of a mesh: its faces, shaded, the far ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf.data.mesh import Mesh, face_normals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection

__all__ = ["PART_COLORS", "camera", "mesh", "part_colors", "shading"]

Array = NDArray[np.float64]

PART_COLORS = (
    "#EE7733", "#DDCC77", "#009988", "#0077BB", "#33BBEE", "#CC3311", "#EE3377", "#882255",
)  # fmt: skip
"""Of labels 0, 1, ...: Paul Tol's colours, neighbours far apart."""

#: The light, in the camera's axes: from the right, above, and behind the viewer.
LIGHT = np.array([0.4, 0.6, 0.7]) / np.linalg.norm([0.4, 0.6, 0.7])
#: The share of light that comes from everywhere.
AMBIENT = 0.35
#: How much darker the inside of the surface is.
INSIDE = 0.55


def mesh(
    ax: Axes,
    mesh: Mesh,
    *,
    color: ArrayLike = "#0077BB",
    azimuth: float = -60.0,
    elevation: float = 15.0,
) -> PolyCollection:
    """Draw a mesh as a shaded solid, seen from far away.

    Faces are drawn from the farthest to the nearest, without outlines, so that the mesh can stand
    on light and on dark axes; the inside of the surface is darker. The axes get equal units, and no
    ticks: they show directions of the picture, not features of the data.

    Raises ``ValueError`` for colours that are neither one colour nor (n, 3) numbers in [0, 1].

    Args:
        ax: to draw into.
        mesh: a `lrmf.data.Mesh`, x forward, z up.
        color: one of matplotlib's colours, such as ``plots.COLORS["source"]``, or red, green and
            blue of each vertex, (n, 3), such as `part_colors`.
        azimuth: degrees from x to where the viewer stands, about z.
        elevation: degrees of the viewer above the horizon.

    >>> import lrmf
    >>> from matplotlib.figure import Figure
    >>> mesh = lrmf.data.quadrupeds().source
    >>> len(lrmf.plots.mesh(Figure().subplots(), mesh).get_paths()) > 0
    True
    """
    from matplotlib.collections import PolyCollection

    seen = mesh.vertices @ camera(azimuth, elevation).T
    shade, outside = shading(seen, mesh.faces)
    base = _face_colors(color, mesh)
    colors = base * (shade * np.where(outside, 1.0, INSIDE))[:, None]
    order = np.argsort(seen[mesh.faces, 2].mean(axis=1), kind="stable")
    drawn = PolyCollection(
        [*seen[mesh.faces[order], :2]],
        facecolors=colors[order],
        edgecolors=colors[order],
        linewidths=0.25,
    )
    ax.add_collection(drawn)
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return drawn


def part_colors(mesh: Mesh) -> Array:
    """Red, green and blue of each vertex by its part, shape (n, 3), in [0, 1].

    Raises ``ValueError`` for a mesh without labels.

    >>> import lrmf
    >>> part_colors(lrmf.data.quadrupeds(n=600).source).shape[1]
    3
    """
    from matplotlib.colors import to_rgb

    if mesh.labels is None:
        raise ValueError(
            f"{mesh.name} has no labels to colour it by; pass color='#0077BB', or three numbers "
            "for each vertex"
        )
    table = np.array([to_rgb(color) for color in PART_COLORS])
    return table[mesh.labels % len(table)]


def camera(azimuth: float, elevation: float) -> Array:
    """The rows right, up and towards the viewer, shape (3, 3), of a view in degrees.

    >>> camera(-90.0, 0.0).round(6).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]
    """
    a, e = np.radians([azimuth, elevation])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    viewer = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    return np.stack([right, np.cross(viewer, right), viewer]) + 0.0


def shading(seen: Array, faces: NDArray[np.int64]) -> tuple[Array, NDArray[np.bool_]]:
    """How bright each face is, in [0, 1], and whether one sees its outside.

    ``seen`` are vertices in the camera's axes. Lambert's law for the side that one sees.
    """
    normals, _ = face_normals(seen, faces)
    outside = normals[:, 2] >= 0
    lit = np.where(outside, 1.0, -1.0) * (normals @ LIGHT)
    return AMBIENT + (1.0 - AMBIENT) * np.maximum(lit, 0.0), outside


def _face_colors(color: Any, mesh: Mesh) -> Array:
    from matplotlib.colors import is_color_like, to_rgb

    if isinstance(color, str) or np.ndim(color) == 1:
        if not is_color_like(color):
            raise ValueError(
                f"color must be a colour such as '#0077BB', or (n, 3) numbers, got {color!r}"
            )
        return np.tile(np.array(to_rgb(color)), (len(mesh.faces), 1))
    colors = np.asarray(color, dtype=float)
    if colors.shape != mesh.vertices.shape or not ((colors >= 0) & (colors <= 1)).all():
        raise ValueError(
            f"expected red, green and blue in [0, 1] for each of {len(mesh.vertices)} vertices, "
            f"got an array of shape {colors.shape}"
        )
    return np.asarray(colors[mesh.faces].mean(axis=1))
