"""What a map does to a surface: whether its points arrive, and whether its skin survives.

Two clouds of points may be alike although the surface between them is torn to pieces. So there are
two questions. `chamfer` asks, like `lrmf.distances`, whether the points of T(A) lie where those of
B do. `edge_stretch`, `flipped_faces` and `neighbours_kept` ask what became of the triangles of A
when their corners moved, and need no B. `skin` puts these three together.

Sources: Fan, Su and Guibas, A point set generation network (2017), for the Chamfer distance; the
share of kept neighbours is the trustworthiness of embeddings without its ranks (Venna and Kaski,
2001).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf.checks import check_positive_int
from lrmf.data.mesh import Mesh, face_normals
from lrmf.points import check_features, check_points
from lrmf.units import back, exponent, scaled

__all__ = [
    "QUANTILES",
    "Skin",
    "chamfer",
    "edge_stretch",
    "flipped_faces",
    "neighbours_kept",
    "skin",
]

Array = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the log-ratios of edge lengths that `skin` tells."""


class Skin(NamedTuple):
    """What became of a surface (see `skin`).

    >>> import lrmf
    >>> mesh = lrmf.data.quadrupeds(n=600).source
    >>> found = skin(mesh, 2.0 * mesh.vertices)  # twice as large
    >>> round(abs(found.spread), 9), found.flipped, found.kept
    (0.0, 0.0, 1.0)
    """

    stretch: tuple[float, ...]
    spread: float
    flipped: float
    kept: float


def chamfer(x: ArrayLike, y: ArrayLike) -> float:
    """Chamfer distance of two samples, in units of the data.

        ½ mean_i min_j |x_i − y_j| + ½ mean_j min_i |x_i − y_j|

    Zero for equal sets of points, however often each occurs. (Others square the lengths, or leave
    the halves out.)

    Raises ``TypeError`` and ``ValueError`` for samples that are no points of equal features.

    Args:
        x, y: (m, d) and (n, d).

    >>> chamfer([[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0]])
    0.25
    """
    from scipy.spatial import cKDTree

    first, second = check_points(x, "x"), check_points(y, "y")
    check_features(second, "y", first.shape[1:], "x")
    first, second = first.reshape(len(first), -1), second.reshape(len(second), -1)
    by = exponent(first, second)
    first, second = scaled(first, -by), scaled(second, -by)
    there, _ = cKDTree(second).query(first)
    here, _ = cKDTree(first).query(second)
    return float(back("Chamfer distance", 0.5 * (np.mean(there) + np.mean(here)), by))


def edge_stretch(mesh: Mesh, moved: ArrayLike) -> Array:
    """log(|T(u) − T(v)| / |u − v|) for each edge uv of a mesh, shape (e,).

    Zero where the map is rigid, the same everywhere for a change of scale, minus infinity where two
    vertices meet. Edges of length zero are left out.

    Raises ``ValueError`` for new places of another number than the vertices.

    Args:
        mesh: the source.
        moved: its vertices after the map, (n, 3).

    >>> import lrmf
    >>> animal = lrmf.data.quadrupeds(n=600).source
    >>> bool(np.allclose(edge_stretch(animal, 2 * animal.vertices), np.log(2)))
    True
    """
    edges = mesh.as_trimesh().edges_unique
    before, after = (_log_lengths(x, edges) for x in (mesh.vertices, mesh.check_places(moved)))
    there = before > -np.inf
    return np.asarray(after[there] - before[there])


def flipped_faces(mesh: Mesh, moved: ArrayLike) -> float:
    """The share of faces that the map turns over against the faces around them.

    A face is turned over where its normal points against the mean normal of the faces with which
    it shares an edge, and did not before. Zero for a rigid map, about three quarters where
    vertices are scattered at random. A map that turns the whole surface inside out turns no face
    over.

    Raises ``ValueError`` for new places of another number than the vertices.

    Args:
        mesh: the source.
        moved: its vertices after the map, (n, 3).

    >>> import lrmf
    >>> animal = lrmf.data.quadrupeds(n=600).source
    >>> flipped_faces(animal, -animal.vertices)
    0.0
    """
    pairs = mesh.as_trimesh().face_adjacency
    before, after = (
        _agreement(vertices, mesh.faces, pairs)
        for vertices in (mesh.vertices, mesh.check_places(moved))
    )
    return float(np.mean((after < 0) & (before >= 0)))


def neighbours_kept(x: ArrayLike, moved: ArrayLike, *, k: int = 10) -> float:
    """The share of the k nearest neighbours of each point that still are among them.

    One for a rigid map, about k/n for points scattered at random. Neighbours are those in space,
    so two limbs that touch count as near.

    Raises ``TypeError`` and ``ValueError`` for arrays that are no points, of different numbers, and
    for fewer than k + 2 points.

    Args:
        x: (n, d), the source.
        moved: (n, d), its points after the map.
        k: how many neighbours.

    >>> x = np.arange(10.0)[:, None]
    >>> neighbours_kept(x, x ** 2 , k=2) < neighbours_kept(x, 3 * x, k=2) == 1.0
    True
    """
    from sklearn.neighbors import NearestNeighbors

    check_positive_int("k", k)
    first, second = check_points(x, "x"), check_points(moved, "moved")
    if len(first) != len(second):
        raise ValueError(
            f"x has {len(first)} points and moved {len(second)}; row i of both is one point"
        )
    if len(first) < k + 2:
        raise ValueError(f"{k} neighbours need {k + 2} points, got {len(first)}; lower k")
    near, still = (
        NearestNeighbors(n_neighbors=k)
        .fit(scaled(p, -exponent(p)).reshape(len(p), -1))
        .kneighbors(return_distance=False)
        for p in (first, second)
    )
    return float(np.mean((near[:, :, None] == still[:, None, :]).any(axis=2)))


def skin(mesh: Mesh, moved: ArrayLike, *, k: int = 10) -> Skin:
    """What became of a surface: stretch, turned faces, kept neighbours.

    Args:
        mesh: the source.
        moved: its vertices after the map, (n, 3).
        k: how many neighbours.

    Returns:
        ``stretch``, the quantiles `QUANTILES` of `edge_stretch`; ``spread``, the gap between the
        outer two; ``flipped``, the share of `flipped_faces`; ``kept``, that of `neighbours_kept`.

    >>> import lrmf
    >>> animal = lrmf.data.quadrupeds(n=600).source
    >>> skin(animal, animal.vertices)
    Skin(stretch=(0.0, 0.0, 0.0, 0.0, 0.0), spread=0.0, flipped=0.0, kept=1.0)
    """
    after = mesh.check_places(moved)
    # Without interpolation, which makes NaN of infinities.
    stretch = np.quantile(edge_stretch(mesh, after), QUANTILES, method="inverted_cdf")
    return Skin(
        stretch=tuple(float(q) for q in stretch),
        spread=float(stretch[-1] - stretch[0]) if np.isfinite(stretch[0]) else np.inf,
        flipped=flipped_faces(mesh, after),
        kept=neighbours_kept(mesh.vertices, after, k=k),
    )


def _log_lengths(vertices: Array, edges: NDArray[np.int64]) -> Array:
    by = exponent(vertices)
    u, v = scaled(vertices, -by)[edges.T]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.linalg.norm(u - v, axis=1)) + by * np.log(2.0))


def _agreement(vertices: Array, faces: NDArray[np.int64], pairs: NDArray[np.int64]) -> Array:
    """For each face, its normal times the sum of those of its neighbours (pairs of faces)."""
    normals, _ = face_normals(scaled(vertices, -exponent(vertices)), faces)
    one, other = pairs.T
    products = np.sum(normals[one] * normals[other], axis=1)
    n = len(faces)
    return np.asarray(np.bincount(one, products, n) + np.bincount(other, products, n), np.float64)
