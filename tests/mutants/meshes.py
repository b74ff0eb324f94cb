"""Faults of meshes: of their samples, of what is measured on them, of how they are drawn."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

DATA = ("tests/data/test_meshes.py",)

mesh = partial(Mutant, file="lrmf/data/mesh.py", tests=DATA)
made = partial(Mutant, file="lrmf/data/quadrupeds.py", tests=DATA)
files = partial(Mutant, file="lrmf/data/mesh_files.py", tests=DATA)
surfaces = partial(Mutant, file="lrmf/surfaces.py", tests=("tests/test_surfaces.py",))
drawn = partial(Mutant, file="lrmf/_plot_mesh.py", tests=("tests/test_plot_mesh.py",))

MUTANTS = (
    mesh(
        "mesh: noise in units of the data, not of the diameter",
        old="noise * self.diameter * rng.normal",
        new="noise * rng.normal",
    ),
    mesh(
        "mesh: a point by area has the label of the farthest corner",
        old="nearest = np.argmin(np.linalg.norm",
        new="nearest = np.argmax(np.linalg.norm",
    ),
    mesh(
        "mesh: thickness is the volume over the area",
        old="float(2 * abs(mesh.volume) / mesh.area)",
        new="float(abs(mesh.volume) / mesh.area)",
    ),
    mesh(
        "mesh: faces may count backwards",
        old="if faces.min() < 0 or faces.max()",
        new="if faces.max()",
    ),
    made(
        "quadrupeds: faces are clockwise from outside",
        old="faces[:, ::-1].astype(np.int64)",
        new="faces.astype(np.int64)",
    ),
    made(
        "quadrupeds: vertices are not evened out",
        old="    vertices = _evened(vertices, faces, animal)\n",
        new="",
    ),
    files(
        "meshes: an edge of three faces passes",
        old="np.count_nonzero(counts > 2)",
        new="np.count_nonzero(counts > 3)",
    ),
    surfaces(
        "chamfer: one direction only",
        old="0.5 * (np.mean(there) + np.mean(here))",
        new="np.mean(there)",
    ),
    surfaces(
        "stretch: the inverse ratio",
        old="np.asarray(after[there] - before[there])",
        new="np.asarray(before[there] - after[there])",
    ),
    surfaces(
        "flipped: faces that were turned before count",
        old="(after < 0) & (before >= 0)",
        new="after < 0",
    ),
    surfaces(
        "neighbours: of the same rank only",
        old="(near[:, :, None] == still[:, None, :]).any(axis=2)",
        new="near == still",
    ),
    drawn(
        "figure: near faces are drawn first",
        old='order = np.argsort(seen[mesh.faces, 2].mean(axis=1), kind="stable")',
        new='order = np.argsort(-seen[mesh.faces, 2].mean(axis=1), kind="stable")',
    ),
)
