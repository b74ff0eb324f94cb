"""Measures of a surface and a map of it, against what is known of simple maps."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation
from sklearn.manifold import trustworthiness

import lrmf
from lrmf import surfaces
from lrmf.data import Mesh


@pytest.fixture(scope="module")
def animal():
    return lrmf.data.quadrupeds(n=1200).source


def test_rigid_maps_leave_the_skin_alone(animal):
    moved = animal.vertices @ Rotation.from_euler("xyz", [1, 2, 3]).as_matrix().T + 5.0
    found = surfaces.skin(animal, moved)
    assert np.abs(found.stretch).max() < 1e-9
    assert found.spread < 1e-9
    assert found.flipped == 0.0
    assert found.kept > 0.999


def test_a_stretch_along_one_axis_is_what_it_is_for_each_edge(animal):
    found = surfaces.edge_stretch(animal, animal.vertices * [1.0, 1.0, 3.0])
    assert found.min() >= -1e-9
    assert found.max() <= np.log(3) + 1e-9
    assert found.max() > np.log(2.9)
    assert found.min() < 0.01
    flat = Mesh(vertices=[[0, 0, 0], [1, 0, 0], [0, 2, 0]], faces=[[0, 1, 2]])
    edges = surfaces.edge_stretch(flat, [[0, 0, 0], [3, 0, 0], [0, 2, 0]])
    assert np.sort(edges) == pytest.approx([0.0, np.log(13 / 5) / 2, np.log(3)])


def test_vertices_that_meet_are_a_stretch_of_minus_infinity(animal):
    moved = animal.vertices.copy()
    moved[animal.faces[0, 1]] = moved[animal.faces[0, 0]]
    assert np.isneginf(surfaces.edge_stretch(animal, moved)).sum() == 1
    assert np.isfinite(surfaces.skin(animal, moved).stretch).all()
    gone = surfaces.skin(animal, np.zeros_like(moved))
    assert gone.spread == np.inf
    assert gone.stretch[0] == -np.inf


def test_edges_of_length_zero_are_left_out():
    doubled = Mesh(vertices=[[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]],
                   faces=[[0, 1, 2], [1, 2, 3]])  # fmt: skip
    assert np.isfinite(surfaces.edge_stretch(doubled, doubled.vertices)).all()


def test_a_turned_face_is_counted_once_and_noise_turns_many(animal):
    """Push one vertex through the opposite edge of one of its faces, in the plane."""
    square = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0.0]])
    strip = Mesh(vertices=square, faces=[[0, 1, 3], [1, 4, 3], [1, 2, 4], [2, 5, 4]])
    moved = square.copy()
    moved[5] = [1.2, -0.2, 0.0]
    assert surfaces.flipped_faces(strip, square) == 0.0
    assert surfaces.flipped_faces(strip, moved) == 0.25
    scattered = np.random.default_rng(0).normal(size=animal.vertices.shape)
    assert surfaces.flipped_faces(animal, scattered) > 0.5


def test_what_was_turned_before_does_not_count():
    square = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]])
    folded = Mesh(vertices=square, faces=[[0, 1, 2], [1, 2, 3]])  # of opposite winding
    assert surfaces.flipped_faces(folded, square) == 0.0


def test_neighbours_agree_with_a_direct_count(animal):
    x = animal.vertices[:150]
    y = x + 0.05 * np.random.default_rng(0).normal(size=x.shape)

    def near(p):
        return np.argsort(cdist(p, p) + 9 * np.eye(len(p)), axis=1)[:, :10]

    expected = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(near(x), near(y), strict=True)])
    assert surfaces.neighbours_kept(x, y) == pytest.approx(expected)
    assert surfaces.neighbours_kept(x, y, k=3) < expected
    # scikit-learn's relative falls with it.
    far = x + 0.3 * np.random.default_rng(1).normal(size=x.shape)
    assert trustworthiness(x, far, n_neighbors=10) < trustworthiness(x, y, n_neighbors=10)
    assert surfaces.neighbours_kept(x, far) < surfaces.neighbours_kept(x, y)


@pytest.mark.parametrize("magnitude", [2.0**-700, 2.0**700])
def test_no_magnitude_of_a_surface_changes_what_became_of_it(animal, magnitude):
    moved = animal.vertices + 0.05 * np.random.default_rng(0).normal(size=animal.vertices.shape)
    plain, found = (surfaces.skin(animal, moved * m) for m in (1.0, magnitude))
    assert found.flipped == plain.flipped > 0
    assert found.kept == plain.kept < 1
    assert found.spread == pytest.approx(plain.spread)
    assert np.subtract(found.stretch, np.log(magnitude)) == pytest.approx(plain.stretch, abs=1e-9)


def test_neighbours_of_pictures_are_those_of_their_pixels():
    x = np.random.default_rng(0).normal(size=(30, 2, 3))
    y = x + 0.3 * np.random.default_rng(1).normal(size=x.shape)
    expected = surfaces.neighbours_kept(x.reshape(30, 6), y.reshape(30, 6))
    assert surfaces.neighbours_kept(x, y) == expected < 1


def test_chamfer_agrees_with_a_direct_computation():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) + 1
    costs = cdist(x, y)
    expected = (costs.min(axis=1).mean() + costs.min(axis=0).mean()) / 2
    assert surfaces.chamfer(x, y) == pytest.approx(expected)
    assert surfaces.chamfer(y, x) == pytest.approx(expected)
    assert surfaces.chamfer(1e-200 * x, 1e-200 * y) == pytest.approx(1e-200 * expected)
    assert surfaces.chamfer(x, np.concatenate([x, x])) == 0.0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda m: surfaces.chamfer(m.vertices, m.vertices[:, :2]), "features"),
        (lambda m: surfaces.chamfer(m.vertices, np.full((2, 3), np.nan)), "NaN"),
        (lambda m: surfaces.edge_stretch(m, m.vertices[:-1]), "new places"),
        (lambda m: surfaces.flipped_faces(m, m.vertices[:-1]), "new places"),
        (lambda m: surfaces.skin(m, np.full_like(m.vertices, np.inf)), "are not finite"),
        (lambda m: surfaces.neighbours_kept(m.vertices, m.vertices[1:]), "row i of both"),
        (lambda m: surfaces.neighbours_kept(m.vertices[:5], m.vertices[:5]), "lower k"),
        (lambda m: surfaces.neighbours_kept(m.vertices, m.vertices, k=0), "k must be"),
    ],
)
def test_bad_input(animal, call, error):
    with pytest.raises(ValueError, match=error):
        call(animal)
