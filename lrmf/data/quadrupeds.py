"""Two animals made by code: implicit surfaces, turned into meshes by marching cubes.

An animal is a list of parts, a part a chain of balls (centre, radius), and its body what a ball
passes that rolls along the chain while its radius changes. A smooth minimum joins the parts. Only
sums, products and square roots are used, so the meshes are the same everywhere to rounding.
Coordinates: x forward, y to the animal's left, z up.

Sources: Lorensen and Cline, Marching cubes (1987), in the variant of Lewiner et al. (2003), by
scikit-image; the smooth minimum is the polynomial one of Quilez (2013).
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lrmf.data.mesh import Mesh, MeshPair
from lrmf.extras import import_marching_cubes, import_trimesh

__all__ = ["PARTS", "quadrupeds"]

Array = NDArray[np.float64]
Ball = tuple[tuple[float, float, float], float]
Animal = tuple[tuple[int, tuple[Ball, ...]], ...]

PARTS = (
    "head", "neck", "torso",
    "front left leg", "front right leg", "hind left leg", "hind right leg", "tail",
)  # fmt: skip
"""The names of the labels, in their order."""

HEAD, NECK, TORSO, FRONT_LEFT, FRONT_RIGHT, HIND_LEFT, HIND_RIGHT, TAIL = range(8)

#: Long legs, a raised neck, a hanging tail, in the middle of a step.
TALL: Animal = (
    (TORSO, (((-0.50, 0.0, 0.02), 0.21), ((0.0, 0.0, 0.0), 0.22), ((0.42, 0.0, 0.03), 0.24))),
    (NECK, (((0.52, 0.0, 0.14), 0.14), ((0.82, 0.0, 0.60), 0.095))),
    (HEAD, (((0.84, 0.0, 0.66), 0.10), ((1.14, 0.0, 0.54), 0.065))),
    (HEAD, (((0.80, 0.07, 0.72), 0.045), ((0.76, 0.10, 0.84), 0.038))),
    (HEAD, (((0.80, -0.07, 0.72), 0.045), ((0.76, -0.10, 0.84), 0.038))),
    (
        FRONT_LEFT,
        (((0.40, 0.13, -0.08), 0.11), ((0.56, 0.14, -0.50), 0.065), ((0.60, 0.14, -0.95), 0.055)),
    ),
    (
        FRONT_RIGHT,
        (
            ((0.40, -0.13, -0.08), 0.11), ((0.34, -0.14, -0.50), 0.065),
            ((0.20, -0.14, -0.93), 0.055),
        ),
    ),
    (
        HIND_LEFT,
        (((-0.50, 0.12, -0.06), 0.13), ((-0.46, 0.13, -0.46), 0.07), ((-0.66, 0.13, -0.93), 0.055)),
    ),
    (
        HIND_RIGHT,
        (
            ((-0.50, -0.12, -0.06), 0.13), ((-0.38, -0.13, -0.48), 0.07),
            ((-0.36, -0.13, -0.95), 0.055),
        ),
    ),
    (
        TAIL,
        (((-0.68, 0.0, 0.10), 0.055), ((-0.84, 0.0, -0.12), 0.045), ((-0.88, 0.0, -0.42), 0.045)),
    ),
)  # fmt: skip

#: Short legs, a heavy body and head, a raised tail, standing.
LOW: Animal = (
    (TORSO, (((-0.46, 0.0, 0.0), 0.27), ((0.0, 0.0, -0.03), 0.31), ((0.40, 0.0, 0.0), 0.31))),
    (NECK, (((0.58, 0.0, 0.08), 0.22), ((0.80, 0.0, 0.12), 0.19))),
    (HEAD, (((0.96, 0.0, 0.12), 0.20), ((1.26, 0.0, 0.0), 0.11))),
    (HEAD, (((0.90, 0.14, 0.26), 0.06), ((0.84, 0.22, 0.36), 0.045))),
    (HEAD, (((0.90, -0.14, 0.26), 0.06), ((0.84, -0.22, 0.36), 0.045))),
    (
        FRONT_LEFT,
        (((0.38, 0.18, -0.15), 0.13), ((0.40, 0.19, -0.42), 0.09), ((0.42, 0.19, -0.66), 0.08)),
    ),
    (
        FRONT_RIGHT,
        (((0.38, -0.18, -0.15), 0.13), ((0.40, -0.19, -0.42), 0.09), ((0.42, -0.19, -0.66), 0.08)),
    ),
    (
        HIND_LEFT,
        (((-0.48, 0.17, -0.12), 0.15), ((-0.46, 0.18, -0.42), 0.09), ((-0.50, 0.18, -0.66), 0.08)),
    ),
    (
        HIND_RIGHT,
        (
            ((-0.48, -0.17, -0.12), 0.15), ((-0.46, -0.18, -0.42), 0.09),
            ((-0.50, -0.18, -0.66), 0.08),
        ),
    ),
    (TAIL, (((-0.70, 0.0, 0.12), 0.06), ((-0.88, 0.0, 0.26), 0.05), ((-0.92, 0.0, 0.48), 0.045))),
)  # fmt: skip

#: Over which difference of two parts the smooth minimum joins them, in units of the animals.
_BLEND = 0.07
#: Fewer vertices cannot resolve a leg.
_FEWEST, _MOST = 500, 200_000


def quadrupeds(*, n: int = 3000) -> MeshPair:
    """Make two four-legged animals, of different proportions and in different poses.

    The source has long legs, a raised neck and a hanging tail, and is in the middle of a step. The
    target has short legs, a heavy body and a raised tail, and stands. Both look along the first
    axis, their left is along the second, and up is the third. Each is centred, has diameter 1
    (`Mesh.standardized`), is closed, and every vertex has the label of its part: head, neck, torso,
    front left leg, front right leg, hind left leg, hind right leg, tail (``mesh.parts``). The two
    have no vertices in common that would pair their points.

    Args:
        n: about how many vertices each has, to within five per cent; 500 to 200,000.

    Returns:
        MeshPair: the same for the same arguments.

    Raises:
        ValueError: ``n`` out of range.
        ImportError: trimesh or scikit-image is missing; the message names the extra to install.

    >>> import lrmf
    >>> pair = lrmf.data.quadrupeds()
    >>> pair.source.parts[:3]
    ('head', 'neck', 'torso')
    """
    from lrmf.checks import check_positive_int

    check_positive_int("n", n)
    if not _FEWEST <= n <= _MOST:
        raise ValueError(
            f"n must lie between {_FEWEST} vertices, fewer of which make no leg, and {_MOST}, "
            f"got {n}"
        )
    source, target = (_animal(name, int(n)) for name in ("tall", "low"))
    return MeshPair(source=source, target=target, name="quadrupeds")


@lru_cache(maxsize=8)
def _made(name: str, n: int) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    animal = {"tall": TALL, "low": LOW}[name]
    size = 0.055
    for _ in range(4):
        vertices, faces = _marched(animal, size)
        size *= float(np.sqrt(len(vertices) / n))
    vertices = _evened(vertices, faces, animal)
    values = np.stack([_chain(vertices, balls) for _, balls in animal])
    labels = np.array([label for label, _ in animal])[np.argmin(values, axis=0)]
    return vertices, faces, labels


def _animal(name: str, n: int) -> Mesh:
    vertices, faces, labels = (x.copy() for x in _made(name, n))
    made = Mesh(vertices=vertices, faces=faces, labels=labels, parts=PARTS, name=name)
    return made.standardized()


def _marched(animal: Animal, size: float) -> tuple[Array, NDArray[np.int64]]:
    """The surface between the cells of a grid with this distance of its points."""
    centres = np.array([centre for _, balls in animal for centre, _ in balls])
    low, high = centres.min(axis=0) - 0.4, centres.max(axis=0) + 0.4
    counts = np.ceil((high - low) / size).astype(int) + 1
    axes = [start + size * np.arange(count) for start, count in zip(low, counts, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    vertices, faces, _, _ = import_marching_cubes()(
        _body(grid, animal), 0.0, spacing=(size,) * 3, gradient_direction="ascent",
        allow_degenerate=False,
    )  # fmt: skip
    # scikit-image's normals point to where the values are lower, for us inside.
    return vertices.astype(np.float64) + low, faces[:, ::-1].astype(np.int64)


def _evened(vertices: Array, faces: NDArray[np.int64], animal: Animal) -> Array:
    """The same faces with edges of more equal length, their vertices on the surface.

    Marching cubes leaves slivers. Each vertex goes half-way to the mean of its neighbours, then
    back to the surface by two steps of Newton's method.
    """
    trimesh = import_trimesh()
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    for _ in range(6):
        trimesh.smoothing.filter_laplacian(mesh, lamb=0.5, iterations=1, volume_constraint=False)
        x = np.array(mesh.vertices)
        for _ in range(2):
            steps = 1e-4 * np.eye(3)
            slopes = [_body(x + step, animal) - _body(x - step, animal) for step in steps]
            gradient = np.stack(slopes, axis=-1) / 2e-4
            x -= (_body(x, animal) / np.sum(gradient**2, axis=1))[:, None] * gradient
        mesh.vertices = x
    return np.array(mesh.vertices)


def _body(x: Array, animal: Animal) -> Array:
    """Negative inside the animal, positive outside: the parts joined by a smooth minimum."""
    joined, *others = (_chain(x, balls) for _, balls in animal)
    for other in others:
        near = np.maximum(_BLEND - np.abs(joined - other), 0.0) / _BLEND
        joined = np.minimum(joined, other) - near * near * _BLEND / 4
    return joined


def _chain(x: Array, balls: tuple[Ball, ...]) -> Array:
    """About how far points (..., 3) are from a chain of balls, negative inside."""
    pieces = [
        _cone(x, np.array(start), np.array(end), thick, thin)
        for (start, thick), (end, thin) in itertools.pairwise(balls)
    ]
    return np.minimum.reduce(pieces)


def _cone(x: Array, start: Array, end: Array, thick: float, thin: float) -> Array:
    along = end - start
    share = np.clip((x - start) @ along / (along @ along), 0.0, 1.0)
    gap = x - start - share[..., None] * along
    return np.asarray(np.sqrt(np.sum(gap * gap, axis=-1)) - (thick + share * (thin - thick)))
