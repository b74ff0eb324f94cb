"""Tracks: what is refused and why, and what is taken from a fitted aligner."""

import numpy as np
import pytest

import lrmf
from lrmf.player import Track

BAD = {
    "no title": ({"title": " "}, "needs a title"),
    "title of another type": ({"title": None}, "needs a title"),
    "no frames": ({"steps": []}, r"expected steps of shape \(k,\), not empty"),
    "steps that go back": ({"steps": [0, 200, 100, 300, 400, 500]}, "steps must increase"),
    "steps twice": ({"steps": [0, 0, 1, 2, 3, 4]}, r"must increase .* got \[0, 0, 1, 2, 3, 4\]"),
    "steps of another number": ({"steps": [0, 1]}, r"expected points of shape \(2, n, 2\)"),
    "points of one frame": ({"points": np.zeros((40, 2))}, r"points of shape \(k, n, 2\)"),
    "points in space": ({"points": np.zeros((6, 40, 3))}, r"points of shape \(6, n, 2\)"),
    "no points": ({"points": np.zeros((6, 0, 2))}, "not empty"),
    "words for points": ({"points": np.full((6, 40, 2), "x")}, "points must hold real numbers"),
    "NaN": ({"points": np.full((6, 40, 2), np.nan)}, "points holds 480 NaN or infinite values"),
    "target of another rank": ({"target": np.zeros(2)}, r"target of shape \(m, 2\)"),
    "target in space": ({"target": np.zeros((5, 3))}, r"target of shape \(m, 2\), got \(5, 3\)"),
    "infinite target": ({"target": [[np.inf, 0.0]]}, "target holds 1 NaN or infinite"),
    "labels of another number": ({"labels": [0, 1]}, "expected 40 labels"),
    "too many classes": ({"labels": np.arange(40)}, "40 classes, more than the 10"),
    "label colours without labels": (
        {"labels": None, "color_by": "label"},
        "color_by='label' needs labels",
    ),
    "unknown colours": ({"color_by": "rainbow"}, "color_by must be .* got 'rainbow'"),
    "density of another number": ({"density": np.ones((5, 4, 4))}, r"density of shape \(6, g, g\)"),
    "density not square": ({"density": np.ones((6, 4, 3))}, r"shape \(6, g, g\)"),
    "log-density": ({"density": -np.ones((6, 4, 4))}, "negative values: pass exp"),
    "empty density": ({"density": np.zeros((6, 4, 4))}, "density is zero on all of frame 0"),
    "empty extent": ({"extent": (1.0, 1.0, 0.0, 2.0)}, "with min < max"),
    "infinite extent": ({"extent": (0.0, np.inf, 0.0, 2.0)}, "four finite numbers"),
    "extent of two": ({"extent": (0.0, 1.0)}, "four finite numbers"),
    "grid of another rank": ({"grid": np.zeros((6, 4, 2))}, r"shape \(k, lines, p, 2\)"),
    "grid of single points": ({"grid": np.zeros((6, 4, 1, 2))}, "two or more points a line"),
    "loss without steps": ({"loss": np.ones(5)}, r"pair \(steps, values\)"),
    "loss of another number": ({"loss": ([0, 1], [1.0])}, "2 steps and 1 values"),
    "infinite loss": ({"loss": ([0, 1], [1.0, np.inf])}, "loss holds 1 NaN or infinite"),
    "loss that goes back": ({"loss": ([1, 0], [1.0, 2.0])}, "steps of the loss must increase"),
    "unknown ellipse": ({"ellipses": {"noise": (np.zeros(2), np.eye(2))}}, "got 'noise'"),
    "ellipses of another number": (
        {"ellipses": {"source": (np.zeros((3, 2)), np.zeros((3, 2, 2)))}},
        r"expected source with a mean of shape \(6, 2\)",
    ),
    "no covariance": (
        {"ellipses": {"source": (np.zeros(2), -np.eye(2))}},
        "symmetric and positive semi-definite",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_drawn_is_refused(arrays, changes, message):
    with pytest.raises(ValueError, match=message):
        Track(**arrays | changes)


def test_all_layers_and_the_least(arrays):
    assert Track(**arrays).color_by == "label"
    least = Track(**{name: arrays[name] for name in ("title", "steps", "points")})
    assert least.color_by == "role"
    x_min, x_max, y_min, y_max = least.extent
    shown = least.points[[0, -1]].reshape(-1, 2)
    assert ((shown > [x_min, y_min]) & (shown < [x_max, y_max])).all()


def test_a_track_of_an_aligner_holds_its_snapshots(aligner):
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(50, 2)), rng.normal(size=(60, 2)) + 3.0
    labels = np.arange(50) % 3
    track = Track.from_aligner(aligner, source, target, title="shift", labels=labels, frames=31)
    assert track.steps.tolist() == [step for step, _, _ in aligner.snapshots_]
    for (_, flow, _), points in zip(aligner.snapshots_, track.points, strict=True):
        np.testing.assert_allclose(points, source + flow.by)
    np.testing.assert_array_equal(track.target, target)
    np.testing.assert_array_equal(track.labels, labels)
    np.testing.assert_array_equal(track.loss[1], aligner.history_["loss"])
    assert track.density.shape == (31, 40, 40)
    assert track.density.max(axis=(1, 2)).tolist() == [1.0] * 31
    # The most likely cell is the one where the flow has arrived: rows are the second axis.
    x_min, x_max, y_min, y_max = track.extent
    row, column = np.unravel_index(track.density[-1].argmax(), (40, 40))
    center = [
        x_min + (column + 0.5) / 40 * (x_max - x_min),
        y_min + (row + 0.5) / 40 * (y_max - y_min),
    ]
    np.testing.assert_allclose(center, aligner.snapshots_[-1][1].by, atol=0.2)
    # The grid at the start is straight, and moves as the points do.
    np.testing.assert_allclose(track.grid[-1] - track.grid[0], aligner.snapshots_[-1][1].by)
    bends = np.diff(track.grid[0], n=2, axis=1)
    np.testing.assert_allclose(bends, 0.0, atol=1e-12)


def test_frames_are_dense_where_the_points_move(aligner):
    points = np.zeros((5, 2))
    track = Track.from_aligner(aligner, points, points + 3.0, title="shift", frames=8)
    assert len(track.steps) <= 8
    assert track.steps[0] == 0
    assert track.steps[-1] == 3000
    shifts = {step: flow.by for step, flow, _ in aligner.snapshots_}
    for step, moved in zip(track.steps, track.points, strict=True):
        np.testing.assert_allclose(moved, points + shifts[step])
    assert np.median(track.steps) < 1200  # evenly in time it would be 1500
    assert np.diff(track.steps).max() < 1500  # but no leap over the plateau


def test_large_data_are_thinned_the_same_way_each_time(aligner):
    source = np.random.default_rng(0).normal(size=(1000, 2))
    labels = (source[:, 0] > 0).astype(int)
    first, second = (
        Track.from_aligner(aligner, source, source + 3.0, title="a", labels=labels, points=100)
        for _ in range(2)
    )
    assert first.points.shape[1] == 100
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.labels, first.points[0, :, 0] > 0)


def test_data_of_more_features_need_a_projection(aligner):
    source = np.random.default_rng(0).normal(size=(20, 5))
    with pytest.raises(ValueError, match=r"got \(20, 5\); for more features pass project="):
        Track.from_aligner(aligner, source, source, title="a")
    track = Track.from_aligner(
        aligner, source, source, title="a", project=lambda x: x[:, 3:], frames=31
    )
    np.testing.assert_allclose(track.points[-1], source[:, 3:] + aligner.snapshots_[-1][1].by)
    assert track.density is None
    assert track.grid is None


def test_a_method_without_density_or_loss_has_a_track_too(aligner):
    aligner.snapshots_ = [(step, flow, None) for step, flow, _ in aligner.snapshots_]
    aligner.history_ = {}
    track = Track.from_aligner(aligner, np.zeros((5, 2)), np.ones((5, 2)), title="a")
    assert track.density is None
    assert track.loss is None


def test_the_loss_of_a_run_that_diverged_ends_where_it_did(aligner):
    aligner.history_["loss"][2000:] = np.nan
    track = Track.from_aligner(aligner, np.zeros((5, 2)), np.ones((5, 2)), title="a")
    assert len(track.loss[0]) == 2000


@pytest.mark.parametrize("snapshots", [[], None])
def test_an_aligner_without_snapshots_is_told_how_to_keep_them(aligner, snapshots):
    aligner.snapshots_ = snapshots
    with pytest.raises(ValueError, match="no snapshots; fit it with snapshot_every=100"):
        Track.from_aligner(aligner, np.zeros((5, 2)), np.ones((5, 2)), title="a")


@pytest.mark.parametrize("name", ["frames", "points", "resolution"])
def test_counts_must_be_positive(aligner, name):
    with pytest.raises(ValueError, match=f"{name} must be a positive integer"):
        Track.from_aligner(aligner, np.zeros((5, 2)), np.ones((5, 2)), title="a", **{name: 0})


def test_labels_go_with_the_rows_of_the_source(aligner):
    with pytest.raises(ValueError, match="expected 5 labels, one for each row of Xs"):
        Track.from_aligner(aligner, np.zeros((5, 2)), np.ones((5, 2)), title="a", labels=[0])


def test_a_real_aligner_ends_where_its_map_does():
    pair = lrmf.data.blobs(seed=0)
    model = lrmf.LRMF(
        transform=lrmf.Affine(),
        density=lrmf.Gaussian(),
        start="identity",
        steps=300,
        snapshot_every=100,
        progress=False,
    ).fit(Xs=pair.source, Xt=pair.target)
    track = Track.from_aligner(model, pair.source, pair.target, title="affine")
    assert track.steps.tolist() == [0, 100, 200, 300]
    np.testing.assert_allclose(track.points[0], pair.source, atol=1e-3)
    np.testing.assert_allclose(track.points[-1], model.transform(pair.source), atol=1e-5)
    assert np.isfinite(track.density).all()
