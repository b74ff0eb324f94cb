"""The figure of a mesh, shaded."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import lrmf
from lrmf import plots
from lrmf._plot_mesh import INSIDE, PART_COLORS, camera, shading
from lrmf.data import Mesh


@pytest.fixture(scope="module")
def animal():
    return lrmf.data.quadrupeds(n=600).source


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_a_camera_is_a_rotation_that_looks_at_the_viewer():
    for view in ((-60.0, 15.0), (130.0, -70.0)):
        rows = camera(*view)
        np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rows) == pytest.approx(1.0)
        assert rows[0, 2] == pytest.approx(0.0), "up stays up"


def test_far_faces_are_drawn_first_and_the_near_side_is_outside(ax, animal):
    drawn = plots.mesh(ax, animal)
    assert len(drawn.get_paths()) == len(animal.faces)
    seen = animal.vertices @ camera(-60.0, 15.0).T
    depth = seen[animal.faces, 2].mean(axis=1)
    order = np.argsort(depth, kind="stable")
    np.testing.assert_allclose(
        drawn.get_paths()[-1].vertices[:3], seen[animal.faces[order[-1]], :2]
    )
    _, outside = shading(seen, animal.faces)
    assert outside[order[-300:]].mean() > 0.6 > 0.4 > outside[order[:300]].mean()


def test_the_lit_side_is_brighter_and_the_inside_darker(ax):
    flat = Mesh(vertices=[[0, 0, 0], [1, 0, 0], [0, 1, 0]], faces=[[0, 1, 2]])
    above = plots.mesh(ax, flat, color="#FFFFFF", elevation=89.0).get_facecolor()[0, 0]
    below = plots.mesh(ax, flat, color="#FFFFFF", elevation=-89.0).get_facecolor()[0, 0]
    assert above > 0.75
    assert below == pytest.approx(INSIDE * above, rel=0.05)


def test_colours_are_of_parts_or_of_vertices(ax, animal):
    colors = plots.part_colors(animal)
    assert len(np.unique(colors, axis=0)) == len(PART_COLORS) == len(animal.parts)
    drawn = plots.mesh(ax, animal, color=colors).get_facecolor()
    assert len(np.unique(drawn.round(2), axis=0)) > 20
    assert np.all(np.diff(plots.mesh(ax, animal, color="0.5").get_facecolor()[:, :3]) == 0)


def test_a_dark_axes_stays_dark_around_the_mesh(animal):
    fig, ax = plt.subplots(figsize=(2, 2), facecolor="#111111")
    ax.set_facecolor("#111111")
    plots.mesh(ax, animal, color="#33BBEE")
    fig.canvas.draw()
    picture = np.asarray(fig.canvas.buffer_rgba())[..., :3].astype(int)
    plt.close(fig)
    assert (picture[0, 0] == 17).all()
    assert picture[..., 2].max() > 150


@pytest.mark.parametrize(
    ("color", "error"),
    [
        ("no colour", "color must be a colour"),
        (np.zeros((3, 3)), r"for each of \d+ vertices, got an array of shape \(3, 3\)"),
        (None, "got an array of shape"),
    ],
)
def test_bad_colours(ax, animal, color, error):
    with pytest.raises(ValueError, match=error):
        plots.mesh(ax, animal, color=color)


def test_colours_out_of_range(ax, animal):
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        plots.mesh(ax, animal, color=2 * np.ones_like(animal.vertices))


def test_a_mesh_without_parts_has_no_colours_of_parts():
    flat = Mesh(vertices=np.eye(3), faces=[[0, 1, 2]], name="flat")
    with pytest.raises(ValueError, match="flat has no labels to colour it by"):
        plots.part_colors(flat)
