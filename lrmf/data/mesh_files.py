"""Meshes from OBJ files: anybody's, and the two animals of the book."""

from __future__ import annotations

import os
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np

from lrmf.data.fetch import DataFile, load
from lrmf.data.mesh import Mesh, MeshPair
from lrmf.extras import import_trimesh

__all__ = ["MESH_FILES", "meshes", "parse_obj", "read_obj"]

#: Bytes; the two animals have 200 kB.
_LARGEST = 100_000_000


def parse_obj(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) and triangles (m, 3) of an OBJ file, by trimesh.

    Larger polygons are divided into triangles; texture and normals are left out.

    Raises:
        ValueError: the content is empty, no OBJ file, or damaged.
        ImportError: trimesh is missing.
    """
    trimesh = import_trimesh()
    if not content.strip():
        raise ValueError("it is empty")
    try:
        with warnings.catch_warnings():  # of NumPy, about texture that we leave out
            warnings.simplefilter("ignore", RuntimeWarning)
            mesh = trimesh.load_mesh(
                BytesIO(content), file_type="obj", process=False, maintain_order=True,
                skip_materials=True,
            )  # fmt: skip
        vertices, faces = np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
    except Exception as error:  # trimesh lets through what NumPy raises of any damage
        raise ValueError(
            f"it is no OBJ file, or damaged ({type(error).__name__}: {error})"
        ) from error
    if len(faces) == 0:
        raise ValueError(
            f"it has no faces (lines that start with 'f'); it starts with {content[:40]!r}"
        )
    return vertices, faces


def read_obj(path: str | os.PathLike[str], *, name: str | None = None) -> Mesh:
    r"""Read a mesh from an OBJ file.

    Args:
        path: the file.
        name: of the mesh; by default that of the file, without its ending.

    Raises:
        ValueError: the file is empty, damaged or no OBJ file, or holds what `Mesh` refuses.
        OSError: there is no such file, or it cannot be read.
        ImportError: trimesh is missing.

    Warns:
        DataWarning: the mesh is no surface everywhere, as more than two faces meet at an edge; or
            vertices that no face uses, which are left out.

    >>> import pathlib, tempfile
    >>> import lrmf
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "corner.obj"
    >>> _ = path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n")
    >>> lrmf.data.read_obj(path).faces.shape
    (2, 3)
    """
    path = Path(path)
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path} is longer than {_LARGEST / 1e6:.0f} MB; simplify the mesh before")
    try:
        vertices, faces = parse_obj(path.read_bytes())
        mesh = Mesh(vertices=vertices, faces=faces, name=path.stem if name is None else name)
    except ValueError as error:
        raise ValueError(f"{path} holds no mesh: {error}. Export it again as OBJ") from error
    return _checked(mesh)


def _checked(mesh: Mesh) -> Mesh:
    """A mesh without vertices that no face uses; and a warning of them, and of bad edges."""
    from lrmf.degenerate import DataWarning
    from lrmf.failures import warn

    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    crowded = int(np.count_nonzero(counts > 2))
    if crowded:
        warn(
            f"{mesh.name} is no manifold: more than two faces meet at {crowded} of {len(counts)} "
            "edges, where `lrmf.surfaces` cannot say which side is outside, and leaves them out; "
            "remove inner or doubled faces, for example with pymeshlab's "
            "meshing_repair_non_manifold_edges",
            DataWarning,
        )
    used = np.unique(mesh.faces)
    if len(used) == len(mesh.vertices):
        return mesh
    warn(
        f"{len(mesh.vertices) - len(used)} of {len(mesh.vertices)} vertices of {mesh.name} belong "
        "to no face and are left out",
        DataWarning,
    )
    new = np.searchsorted(used, mesh.faces)
    return Mesh(vertices=mesh.vertices[used], faces=new, name=mesh.name)


MESH_FILES = {
    "spot": DataFile(
        dataset="meshes",
        name="spot.obj",
        arrays=("vertices", "faces"),
        md5="baf2fcda494691146429c702ee079747",
        read=parse_obj,
    ),
    "cow": DataFile(
        dataset="meshes",
        name="cow.obj",
        arrays=("vertices", "faces"),
        md5="4d65760cf61474cdf405da79463d699f",
        read=parse_obj,
    ),
}

#: From the files' axes to x forward, y to the animal's left, z up.
_AXES = {
    "spot": np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "cow": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}


def meshes() -> MeshPair:
    """Load two cows: Spot as the source, and a more lifelike one as the target.

    Spot (Keenan Crane, public domain) has 2,930 vertices and 5,856 faces; the cow of the common
    test models 2,903 and 5,804. Both are turned to look along the first axis with their left along
    the second and up along the third, centred, and scaled to diameter 1 (`Mesh.standardized`): the
    files have other axes, and differ in scale by a factor of five. There are no labels.

    Raises:
        DataUnavailableError: the files ``spot.obj`` and ``cow.obj`` are not in ``LRMF_DATA_DIR``,
            not in the cache, and cannot be downloaded.
        ValueError: ``LRMF_DATA_DIR`` is not a folder, or a file in it is damaged.
        ImportError: trimesh is missing; the message names the extra to install.

    >>> import lrmf
    >>> lrmf.data.meshes()  # doctest: +SKIP
    MeshPair('spot-cow', source=Mesh('spot', 2930 vertices, 5856 faces), target=...)
    >>> from unittest import mock
    >>> with mock.patch.dict("os.environ", LRMF_DATA_DIR="nowhere"):
    ...     lrmf.data.meshes()
    Traceback (most recent call last):
    ValueError: LRMF_DATA_DIR is 'nowhere', and ... is not a folder; ...
    """
    import_trimesh()
    source, target = (_animal(name) for name in ("spot", "cow"))
    return MeshPair(source=source, target=target, name="spot-cow")


def _animal(name: str) -> Mesh:
    vertices, faces = load(MESH_FILES[name])
    return Mesh(vertices=vertices @ _AXES[name].T, faces=faces, name=name).standardized()
