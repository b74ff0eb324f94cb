"""Meshes: made by code, read from files, sampled; and what is refused."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import lrmf
from lrmf import extras
from lrmf.data import Mesh, MeshPair, mesh_files, read_obj
from lrmf.degenerate import DataWarning

TETRAHEDRON = b"""# a corner of a cube
v 0 0 0
v 1 0 0
v 0 1 0
v 0 0 1
f 1 3 2
f 1 2 4
f 1 4 3
f 2 3 4
"""
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


@pytest.fixture(scope="module")
def animals():
    return lrmf.data.quadrupeds(n=1200)


@pytest.fixture
def corner():
    return Mesh(vertices=np.vstack([np.zeros(3), np.eye(3)]), faces=FACES, name="corner")


@pytest.fixture
def write(tmp_path):
    def written(content):
        path = tmp_path / "corner.obj"
        path.write_bytes(content)
        return path

    return written


# Two animals made by code


def test_the_animals_are_closed_surfaces_of_one_piece(animals):
    for mesh in (animals.source, animals.target):
        solid = mesh.as_trimesh()
        assert solid.is_watertight
        assert solid.is_winding_consistent
        assert solid.euler_number == 2
        assert solid.body_count == 1
        assert solid.volume > 0, "faces are counter-clockwise from outside"
        assert abs(len(mesh.vertices) - 1200) < 60
        assert mesh.diameter == pytest.approx(1.0)
        lengths = solid.edges_unique_length
        assert np.quantile(lengths, 0.99) < 5 * np.quantile(lengths, 0.01), "slivers"


def test_every_part_is_there_and_where_it_should_be(animals):
    for mesh in (animals.source, animals.target):
        assert len(mesh.parts) == 8
        assert np.bincount(mesh.labels, minlength=8).min() >= 20
        middle = {
            name: mesh.vertices[mesh.labels == k].mean(axis=0) for k, name in enumerate(mesh.parts)
        }
        assert middle["head"][0] > middle["neck"][0] > middle["torso"][0] > middle["tail"][0]
        assert middle["front left leg"][1] > 0.02 > -0.02 > middle["front right leg"][1]
        assert middle["hind left leg"][1] > 0.02 > -0.02 > middle["hind right leg"][1]
        legs = [middle[name][2] for name in mesh.parts if name.endswith("leg")]
        assert max(legs) < middle["torso"][2] < middle["head"][2]


def test_the_same_arguments_give_the_same_animals(animals):
    from lrmf.data import quadrupeds

    sys.modules[quadrupeds.__module__]._made.cache_clear()
    again = quadrupeds(n=1200)
    np.testing.assert_array_equal(again.source.vertices, animals.source.vertices)
    np.testing.assert_array_equal(again.target.faces, animals.target.faces)
    again.source.vertices[:] = 0.0
    assert quadrupeds(n=1200).source.vertices.any(), "a caller's change reached the next one"


@pytest.mark.parametrize("n", [0, 2.5, True, "many"])
def test_a_number_of_vertices_is_a_positive_integer(n):
    with pytest.raises(ValueError, match="n must be a positive integer"):
        lrmf.data.quadrupeds(n=n)


def test_too_few_vertices_make_no_leg():
    with pytest.raises(ValueError, match="n must lie between 500 vertices"):
        lrmf.data.quadrupeds(n=499)


# Samples


def test_samples_by_area_and_by_vertex_have_their_densities(animals):
    mesh = animals.source
    for by, weights in (("area", mesh.vertex_areas), ("vertex", np.ones(len(mesh.vertices)))):
        _, labels = mesh.sample(40_000, by=by, noise=0.0, seed=3)
        expected = np.bincount(mesh.labels, weights=weights) / weights.sum()
        found = np.bincount(labels) / len(labels)
        assert np.abs(found - expected).max() < 0.012, by


def test_a_sample_by_area_follows_the_area():
    """Two triangles, one of them nine times as large, in one vertex each by number."""
    vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [8, 0, 0], [5, 3, 0]]
    mesh = Mesh(vertices=vertices, faces=[[0, 1, 2], [3, 4, 5]], labels=[0] * 3 + [1] * 3,
                parts=("small", "large"))  # fmt: skip
    for by, share in (("area", 0.9), ("vertex", 0.5)):
        points, labels = mesh.sample(4000, by=by, noise=0.0)
        assert labels.mean() == pytest.approx(share, abs=0.03)
        np.testing.assert_array_equal(labels == 1, points[:, 0] > 3)


def test_noise_has_the_size_that_was_asked_for(animals):
    big = animals.source.moved(7.0 * animals.source.vertices)
    still, _ = big.sample(5000, noise=0.0, seed=1)
    noisy, _ = big.sample(5000, noise=0.01, seed=1)
    assert np.std(noisy - still, axis=0) == pytest.approx(np.full(3, 0.07), rel=0.05)


def test_seeds_are_independent_and_reproducible(animals):
    first, again, other = (animals.points(n=50, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.source, again.source)
    np.testing.assert_array_equal(first.target_labels, again.target_labels)
    assert not np.isin(first.source, other.source).any()


def test_more_noise_than_the_animal_is_thick_warns(animals):
    with pytest.warns(DataWarning, match=r"noise of 0.2 diameters is more than tall is thick"):
        animals.source.sample(10, noise=0.2)


def test_thickness_of_a_thin_plate_is_its_own():
    import trimesh

    box = trimesh.creation.box(extents=(10.0, 10.0, 0.1))
    plate = Mesh(vertices=box.vertices, faces=box.faces, name="plate")
    assert plate.thickness == pytest.approx(0.1, rel=0.03)
    open_plate = Mesh(vertices=box.vertices, faces=box.faces[1:])
    assert np.isnan(open_plate.thickness)
    open_plate.sample(10, noise=0.5)  # no inside, nothing to warn of


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"n": 0}, "n must be a positive integer"),
        ({"noise": -0.1}, "noise must be zero or a positive number"),
        ({"seed": -1}, "seed must be a non-negative integer"),
        ({"by": "volume"}, "by must be 'area' or 'vertex'"),
    ],
)
def test_bad_parameters_of_a_sample(corner, changes, error):
    with pytest.raises(ValueError, match=error):
        corner.sample(**{"n": 5} | changes)


def test_a_pair_refuses_a_bad_seed(animals):
    with pytest.raises(ValueError, match="seed must be"):
        animals.points(n=5, seed=None)


def test_a_pair_of_different_scales_warns_and_is_standardized(animals):
    pair = MeshPair(
        source=animals.source, target=animals.target.moved(5 * animals.target.vertices), name="x"
    )
    with pytest.warns(DataWarning, match=r"tall has a diameter of 1 and low of 5.*standardized"):
        pair.points(n=5)
    made = pair.standardized()
    assert made.target.diameter == pytest.approx(1.0)
    solid = made.target.as_trimesh()
    assert np.abs(solid.centroid).max() < 1e-9
    made.points(n=5)


def test_a_pair_is_of_meshes(animals):
    with pytest.raises(TypeError, match=r"target must be a lrmf.data.Mesh, got ndarray"):
        MeshPair(source=animals.source, target=np.eye(3), name="x")


# What is no mesh


@pytest.mark.parametrize(
    ("changes", "kind", "error"),
    [
        ({"vertices": np.zeros((4, 2))}, ValueError, r"expected vertices of shape \(n, 3\)"),
        ({"vertices": [["a"] * 3] * 4}, TypeError, "vertices must hold real numbers"),
        (
            {"vertices": np.diag([1, np.nan, 1, 1])[:, :3]},
            ValueError,
            "1 of 4 vertices are not fin",
        ),
        ({"vertices": np.zeros((4, 3))}, ValueError, "an area of 0 in all"),
        ({"vertices": np.diag([1e200, 1e200, 1e200, 1])[:, :3]}, ValueError, "an area of inf"),
        ({"faces": np.zeros((0, 3), int)}, ValueError, "at least one triangle"),
        ({"faces": [[0, 1, 2, 3]]}, ValueError, "divide larger polygons"),
        ({"faces": FACES * 1.0}, TypeError, "faces must hold integers"),
        ({"faces": FACES + 1}, ValueError, "name vertices 0 to 3, got 1 to 4"),
        ({"faces": FACES - 1}, ValueError, "name vertices 0 to 3, got -1 to 2"),
        ({"labels": [0, 1]}, ValueError, "one integer label for each of 4 vertices"),
        ({"labels": [0.0] * 4}, ValueError, "one integer label for each of 4 vertices"),
        ({"labels": [0, 1, 2, 3], "parts": ("a", "b")}, ValueError, "parts, which has 2 names"),
    ],
)
def test_what_is_no_mesh_is_refused(corner, changes, kind, error):
    with pytest.raises(kind, match=error):
        replace(corner, **changes)


def test_moving_another_number_of_vertices_is_refused(corner):
    with pytest.raises(ValueError, match="has 4 vertices, got 3 new places"):
        corner.moved(np.eye(3))


# Files


def test_a_file_becomes_a_mesh(write):
    mesh = read_obj(write(TETRAHEDRON))
    assert repr(mesh) == "Mesh('corner', 4 vertices, 4 faces)"
    np.testing.assert_array_equal(mesh.faces, FACES)
    np.testing.assert_array_equal(mesh.vertices[1:], np.eye(3))
    assert read_obj(write(TETRAHEDRON), name="other").name == "other"


def test_larger_polygons_and_texture_are_read(write):
    square = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 1\nf 1/1 2/2 3/1 4/2\n"
    mesh = read_obj(write(square))
    assert len(mesh.vertices) == 4
    assert len(mesh.faces) == 2
    assert mesh.face_areas.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"hello\n", "it has no faces"),
        (TETRAHEDRON.partition(b"f ")[0], "it has no faces"),
        (TETRAHEDRON.replace(b"f 2 3 4", b"f 2 3 9"), "it is no OBJ file, or damaged"),
        (TETRAHEDRON.replace(b"f 2 3 4", b"f 2 3 x"), "it is no OBJ file, or damaged"),
        (bytes(range(256)), "holds no mesh"),
        (TETRAHEDRON.replace(b"v 1 0 0", b"v nan 0 0"), "1 of 4 vertices are not finite"),
        (TETRAHEDRON.replace(b"v 1 0 0", b"v 1 0"), "holds no mesh"),
    ],
)
def test_broken_files_are_refused_with_a_cure(write, content, error):
    with pytest.raises(ValueError, match=f"(?s){error}.*Export it again as OBJ"):
        read_obj(write(content))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_obj(tmp_path / "nowhere.obj")


def test_a_file_of_any_length_is_not_read(write, monkeypatch):
    monkeypatch.setattr(mesh_files, "_LARGEST", 10)
    with pytest.raises(ValueError, match="simplify the mesh before"):
        read_obj(write(TETRAHEDRON))


def test_a_mesh_that_is_no_manifold_warns(write):
    third = TETRAHEDRON + b"v 1 1 1\nf 1 2 5\n"
    with pytest.warns(DataWarning, match="more than two faces meet at 1 of 8 edges"):
        assert len(read_obj(write(third)).faces) == 5


def test_vertices_without_faces_are_left_out(write):
    stray = b"v 9 9 9\n" + TETRAHEDRON.replace(b"f 1 3 2", b"f 2 4 3").replace(
        b"f 1 2 4", b"f 2 3 5"
    ).replace(b"f 1 4 3", b"f 2 5 4").replace(b"f 2 3 4", b"f 3 4 5")
    with pytest.warns(DataWarning, match="1 of 5 vertices of corner belong to no face"):
        mesh = read_obj(write(stray))
    assert mesh.vertices.max() == 1.0
    assert mesh.faces.max() == 3


# Spot and the cow


def test_the_two_cows_come_checked_and_standardized(real_data):
    pair = lrmf.data.meshes()
    assert [len(m.vertices) for m in (pair.source, pair.target)] == [2930, 2903]
    for mesh in (pair.source, pair.target):
        assert mesh.diameter == pytest.approx(1.0)
        assert mesh.as_trimesh().volume > 0, "turned, not mirrored"
        left, right = -mesh.vertices[:, 1].min(), mesh.vertices[:, 1].max()
        assert left == pytest.approx(right, rel=0.05), "the second axis goes from side to side"


def test_another_file_of_the_same_name_is_refused(data_dir):
    (data_dir / "spot.obj").write_bytes(TETRAHEDRON)
    with pytest.raises(ValueError, match=r"spot.obj is damaged or not the file expected"):
        lrmf.data.meshes()


def test_cows_are_downloaded_checked_and_cached(server, cache, monkeypatch):
    for name in ("spot", "cow"):
        import hashlib

        md5 = hashlib.md5(TETRAHEDRON, usedforsecurity=False).hexdigest()
        monkeypatch.setitem(
            mesh_files.MESH_FILES, name, replace(mesh_files.MESH_FILES[name], md5=md5)
        )
        server.serve(f"{name}.obj", TETRAHEDRON)
    for _ in range(2):
        pair = lrmf.data.meshes()
        assert pair.target.diameter == pytest.approx(1.0)
    assert server.asked == ["spot.obj", "cow.obj"]


def test_without_a_network_the_message_says_what_to_do(no_network, cache):
    with pytest.raises(
        lrmf.data.DataUnavailableError, match=r"fetch .*spot.obj on another machine"
    ):
        lrmf.data.meshes()


# Packages


@pytest.mark.parametrize(
    ("package", "ask"),
    [("trimesh", extras.import_trimesh), ("skimage.measure", extras.import_marching_cubes)],
)
def test_a_missing_package_names_the_extra(monkeypatch, package, ask):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r'pip install "lrmf\[meshes\]"'):
        ask()


def test_a_point_by_area_has_the_label_of_the_nearest_corner(corner):
    mesh = replace(corner, labels=[0, 1, 2, 3], parts=("origin", "x", "y", "z"))
    points, labels = mesh.sample(200, noise=0.0, seed=0)
    # On the face that faces the origin, that is nearer than the face's own corners.
    sides = points.sum(axis=1) < 0.999
    distances = np.linalg.norm(points[sides, None] - mesh.vertices, axis=2)
    np.testing.assert_array_equal(labels[sides], distances.argmin(axis=1))
    assert set(labels[~sides]) == {1, 2, 3}
