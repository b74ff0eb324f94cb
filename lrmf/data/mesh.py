"""Triangle meshes, pairs of them, and points drawn from their surfaces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf.data.containers import Pair
from lrmf.extras import import_trimesh

__all__ = ["Mesh", "MeshPair", "Sampling"]

Sampling = Literal["area", "vertex"]
Array = NDArray[np.float64]

#: Diameters of a pair that differ by more are taken for an oversight.
_FACTOR = 2.0


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Mesh:
    """A surface made of triangles.

    Args:
        vertices (array, shape (n, 3)):
            Where the corners are, any finite numbers.
        faces (array of int, shape (m, 3)):
            Each triangle's three vertices, counter-clockwise as seen from outside.
        labels (array of int, shape (n,), optional):
            The part that each vertex belongs to, an index into ``parts``.
        parts (tuple of str):
            The names of the labels.
        name (str):
            What it shows.

    Raises:
        ValueError: arrays of the wrong shape, vertices that are not finite, faces that name
            vertices which do not exist, a mesh without area, labels that name no part.

    >>> corner = Mesh(vertices=np.vstack([np.zeros(3), np.eye(3)]), name="corner",
    ...               faces=[[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    >>> corner
    Mesh('corner', 4 vertices, 4 faces)
    >>> round(corner.diameter, 4)
    1.4142
    """

    vertices: Any
    faces: Any
    labels: Any = None
    parts: tuple[str, ...] = ()
    name: str = "mesh"

    def __post_init__(self) -> None:
        vertices, faces = _vertices(self.vertices), _faces(self.faces)
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise ValueError(
                f"faces name vertices 0 to {len(vertices) - 1}, got {faces.min()} to "
                f"{faces.max()}: the file is cut short, or its faces count from 1"
            )
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)
        with np.errstate(over="ignore", invalid="ignore"):
            total = self.face_areas.sum()
        if not 0 < total < np.inf:
            raise ValueError(
                f"the faces have an area of {total:g} in all, so there is no surface; look at the "
                "vertices' coordinates and units"
            )
        if self.labels is not None:
            object.__setattr__(self, "labels", _labels(self.labels, len(vertices), self.parts))

    @cached_property
    def face_areas(self) -> Array:
        """The area of each face, shape (m,), in squared units of the vertices."""
        return face_normals(self.vertices, self.faces)[1]

    @property
    def vertex_areas(self) -> Array:
        """A third of the area of the faces around each vertex, shape (n,)."""
        shares = np.repeat(self.face_areas / 3, 3)
        return np.bincount(self.faces.ravel(), shares, len(self.vertices)).astype(np.float64)

    @cached_property
    def diameter(self) -> float:
        """The largest distance between two vertices."""
        from scipy.spatial import ConvexHull, distance

        hull = self.vertices
        if len(hull) > 4:  # joggled, so that flat meshes have a hull
            hull = hull[ConvexHull(hull, qhull_options="QJ").vertices]
        rows = max(1, 2**22 // len(hull))
        return float(
            max(distance.cdist(hull[k : k + rows], hull).max() for k in range(0, len(hull), rows))
        )

    @property
    def thickness(self) -> float:
        """Twice the volume over the area: the radius of a round limb, the thickness of a plate.

        NaN for a mesh that is not closed, which has no inside.
        """
        mesh = self.as_trimesh()
        return float(2 * abs(mesh.volume) / mesh.area) if mesh.is_watertight else float("nan")

    def as_trimesh(self) -> Any:
        """The mesh as a ``trimesh.Trimesh``, its vertices in the same order."""
        return import_trimesh().Trimesh(self.vertices, self.faces, process=False)

    def moved(self, vertices: ArrayLike, *, name: str | None = None) -> Mesh:
        """The same faces drawn between vertices at new places, shape (n, 3).

        >>> flat = Mesh(vertices=np.eye(3), faces=[[0, 1, 2]])
        >>> flat.moved(2 * np.eye(3), name="twice as large")
        Mesh('twice as large', 3 vertices, 1 faces)
        """
        found = self.check_places(vertices)
        return replace(self, vertices=found, name=self.name if name is None else name)

    def check_places(self, vertices: ArrayLike) -> Array:
        """New places of the vertices as numbers, shape (n, 3).

        Raises ``ValueError`` where there are more or fewer, or they are not finite.
        """
        found = _vertices(vertices)
        if len(found) != len(self.vertices):
            raise ValueError(
                f"the mesh has {len(self.vertices)} vertices, got {len(found)} new places; move "
                "mesh.vertices, not points drawn from it"
            )
        return found

    def standardized(self) -> Mesh:
        """The mesh moved to the origin, by the mean of its area, and scaled to diameter 1."""
        centre = np.average(self.vertices[self.faces].mean(axis=1), axis=0, weights=self.face_areas)
        return replace(self, vertices=(self.vertices - centre) / self.diameter)

    def sample(
        self, n: int, *, by: Sampling = "area", noise: float = 0.015, seed: int = 0
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw points of the surface, and displace them by Gaussian noise.

        A surface has no density in space, and a density learned from its points grows without
        bound (the chapter "Meshes"). Noise gives it one.

        Args:
            n: how many points.
            by: ``"area"`` draws from the surface evenly (trimesh), ``"vertex"`` draws vertices,
                each as often as any other, so that finely meshed places get more.
            noise: standard deviation of each coordinate, as a share of the diameter; 0 for none.
            seed: of the draws; the same arguments give the same points.

        Returns:
            points, shape (n, 3), and the label of each, shape (n,): that of the vertex, or of the
            nearest corner of the face; 0 without labels.

        Warns:
            DataWarning: the noise is larger than the `thickness` of the mesh, and mixes the points
                of its sides.

        Raises:
            ValueError: bad parameters.
        """
        from lrmf.checks import check_non_negative_number, check_positive_int, check_seed

        check_positive_int("n", n)
        check_non_negative_number("noise", noise)
        check_seed(seed)
        if not isinstance(by, str) or by not in ("area", "vertex"):
            raise ValueError(f"by must be 'area' or 'vertex', got {by!r}")
        rng = np.random.default_rng(seed)
        if by == "vertex":
            rows = rng.integers(len(self.vertices), size=n)
            points = self.vertices[rows]
        else:
            points, face = import_trimesh().sample.sample_surface(self.as_trimesh(), n, seed=rng)
            corners = self.vertices[self.faces[face]]
            nearest = np.argmin(np.linalg.norm(corners - points[:, None], axis=2), axis=1)
            rows = self.faces[face, nearest]
        self._warn_of_noise(float(noise))
        moved = np.asarray(points) + noise * self.diameter * rng.normal(size=(n, 3))
        return moved, np.zeros(n, np.int64) if self.labels is None else self.labels[rows]

    def _warn_of_noise(self, noise: float) -> None:
        from lrmf.degenerate import DataWarning
        from lrmf.failures import warn

        if noise == 0.0:
            return
        thickness = self.thickness / self.diameter
        if noise > thickness:
            warn(
                f"noise of {noise:g} diameters is more than {self.name} is thick, {thickness:.2g} "
                "(twice its volume over its area): it mixes the points of opposite sides; take "
                f"noise={min(0.015, 0.3 * thickness):.2g}",
                DataWarning,
            )

    def __repr__(self) -> str:
        return f"Mesh({self.name!r}, {len(self.vertices)} vertices, {len(self.faces)} faces)"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MeshPair:
    """Two meshes to align, the source A and the target B.

    >>> import lrmf
    >>> lrmf.data.quadrupeds(n=600).points(n=100)
    Pair('quadrupeds', source=(100, 3), target=(100, 3))
    """

    source: Mesh
    target: Mesh
    name: str

    def __post_init__(self) -> None:
        for role in ("source", "target"):
            if not isinstance(getattr(self, role), Mesh):
                raise TypeError(
                    f"{role} must be a lrmf.data.Mesh, got {type(getattr(self, role)).__name__}; "
                    "lrmf.data.read_obj reads one from a file"
                )

    def standardized(self) -> MeshPair:
        """Both meshes at the origin and with diameter 1 (`Mesh.standardized`)."""
        return replace(self, source=self.source.standardized(), target=self.target.standardized())

    def points(
        self, n: int = 20_000, *, by: Sampling = "area", noise: float = 0.015, seed: int = 0
    ) -> Pair:
        """Draw n noisy points of each surface, with the arguments of `Mesh.sample`.

        Different seeds give independent points, so a second seed makes a test set.

        Warns:
            DataWarning: as `Mesh.sample`; diameters that differ by more than a factor of two.
        """
        from lrmf.checks import check_seed
        from lrmf.degenerate import DataWarning
        from lrmf.failures import warn

        check_seed(seed)
        sizes = self.source.diameter, self.target.diameter
        if max(sizes) > _FACTOR * min(sizes):
            warn(
                f"{self.source.name} has a diameter of {sizes[0]:.3g} and {self.target.name} of "
                f"{sizes[1]:.3g}: a map has to learn the scale as well; take pair.standardized()",
                DataWarning,
            )
        seeds = [int(s.generate_state(1)[0]) for s in np.random.SeedSequence(seed).spawn(2)]
        source, source_labels = self.source.sample(n, by=by, noise=noise, seed=seeds[0])
        target, target_labels = self.target.sample(n, by=by, noise=noise, seed=seeds[1])
        return Pair(
            source=source,
            target=target,
            source_labels=source_labels,
            target_labels=target_labels,
            name=self.name,
        )

    def __repr__(self) -> str:
        return f"MeshPair({self.name!r}, source={self.source!r}, target={self.target!r})"


def face_normals(vertices: Array, faces: NDArray[np.int64]) -> tuple[Array, Array]:
    """The unit normal of each face ``(m, 3)``, zero of one without area, and its area ``(m,)``."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.where(lengths > 0, lengths, 1.0), lengths[:, 0] / 2


def _vertices(values: object) -> Array:
    from lrmf.checks import check_numbers

    vertices = check_numbers("vertices", values)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < 3:
        raise ValueError(f"expected vertices of shape (n, 3), three or more, got {vertices.shape}")
    bad = ~np.isfinite(vertices).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{bad.sum()} of {len(bad)} vertices are not finite, the first is number "
            f"{np.argmax(bad)}: {vertices[np.argmax(bad)].tolist()}; repair the mesh, or look "
            "whether the map that made them diverged"
        )
    return vertices


def _faces(values: object) -> NDArray[np.int64]:
    faces = np.asarray(values)
    if faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0:
        raise ValueError(
            f"expected faces of shape (m, 3), at least one triangle, got {faces.shape}; divide "
            "larger polygons into triangles"
        )
    if faces.dtype.kind not in "iu":
        raise TypeError(f"faces must hold integers, the numbers of vertices, got {faces.dtype}")
    return faces.astype(np.int64)


def _labels(values: object, n: int, parts: tuple[str, ...]) -> NDArray[np.int64]:
    labels = np.asarray(values)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"expected one integer label for each of {n} vertices, got {labels.dtype} of shape "
            f"{labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= len(parts):
        raise ValueError(
            f"labels are indices into parts, which has {len(parts)} names, got {labels.min()} to "
            f"{labels.max()}"
        )
    return labels.astype(np.int64)
