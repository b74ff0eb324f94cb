"""Tracks for the tests of the player: every layer at once, small, and different in each frame."""

from types import SimpleNamespace

import numpy as np
import pytest

from lrmf.player import Player, Track

FRAMES, POINTS = 6, 40


@pytest.fixture
def arrays():
    """The arguments of a track with every layer."""
    rng = np.random.default_rng(0)
    way = np.linspace(0.0, 3.0, FRAMES)
    start = rng.normal(size=(POINTS, 2))
    points = start + way[:, None, None] * [1.0, 0.5]
    lines = rng.normal(size=(4, 5, 2)) + way[:, None, None, None]
    heights = np.exp(rng.normal(size=(FRAMES, 12, 12)))
    covariances = np.stack([np.cov(p.T) * (1 + k) for k, p in enumerate(points)])
    return {
        "title": "LRMF",
        "steps": 100 * np.arange(FRAMES),
        "points": points,
        "target": rng.normal(size=(30, 2)) + np.array([3.0, 1.5]),
        "labels": np.arange(POINTS) % 2,
        "density": heights,
        "extent": (-4.0, 7.0, -4.0, 6.0),
        "grid": lines,
        "loss": (np.arange(500), 3.0 * np.exp(-np.arange(500) / 100) + rng.normal(size=500) / 50),
        "ellipses": {
            "transformed": (points.mean(axis=1), covariances),
            "target": (np.array([3.0, 1.5]), np.eye(2)),
        },
    }


@pytest.fixture
def track(arrays):
    """A track with every layer."""
    return Track(**arrays)


@pytest.fixture
def player(track):
    return Player([track], alt="A cloud moves onto another.")


@pytest.fixture(scope="module")
def chromium():
    import browsing

    with browsing.chromium() as running:
        yield running


@pytest.fixture
def reader(chromium, tmp_path):
    """A reader with a browser, offline; afterwards the console must be empty."""
    from player_reader import Reader

    reader = Reader(chromium, tmp_path)
    yield reader
    reader.forget()
    assert chromium.get_log("browser") == []


class Shift:
    """A flow that shifts, and a density around where it shifts to."""

    def __init__(self, by):
        self.by = by

    def forward(self, x):
        return x + self.by, np.zeros(len(x))

    def log_prob(self, x):
        # Far below what exp can hold, as for a model that has not yet arrived.
        return -0.5 * ((x - self.by) ** 2).sum(axis=1) - 5000.0


@pytest.fixture
def aligner():
    """As much of a fitted aligner as a track needs; most of its motion comes at the start."""
    steps = np.arange(0, 3001, 100)
    shifts = [Shift(3.0 * (1 - np.exp(-step / 300))) for step in steps]
    return SimpleNamespace(
        snapshots_=[(int(step), shift, shift) for step, shift in zip(steps, shifts, strict=True)],
        history_={"step": np.arange(3000), "loss": np.exp(-np.arange(3000) / 300)},
    )
