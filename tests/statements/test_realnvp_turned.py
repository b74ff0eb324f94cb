"""Checks of the statements of the chapter "Aligned the wrong way round"."""

import numpy as np
import pytest
from realnvp_cases import Chain, Linear, random_flow, spread_arrays
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from lrmf.data.toy import MOONS_MEAN
from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (2, 3, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


class Inverse:
    def __init__(self, flow):
        self.flow = flow

    def forward(self, x):
        return self.flow.inverse(x)


def orthogonal(d, rng):
    return stats.special_ortho_group.rvs(d, random_state=rng)


# thm-symmetry


def symmetric_setup(backend, d, seed):
    """A shared flow density S = f(N(0, I)), a map T, and both data sets."""
    engine = lrmf.get_backend(backend)
    rng = np.random.default_rng([d, seed, 5])
    spec = lrmf.RealNVP(blocks=3, hidden=(12,))
    arrays = spread_arrays(spec, d, rng)
    f, shared = engine.flow(spec, arrays, "float64"), engine.density(spec, arrays, "float64")
    transform = random_flow(backend, lrmf.RealNVP(blocks=2, hidden=(8,)), d, seed)
    a, b = rng.normal(size=(2, 200, d)) + np.array([1.0, 0.0])[:, None, None]
    return f, shared, transform, a, b, rng


@pytest.mark.statement("thm-symmetry")
@backends
@cases
def test_a_map_that_preserves_the_shared_density_leaves_every_term_of_the_loss(
    d, seed, backend, record_property
):
    f, shared, transform, a, b, rng = symmetric_setup(backend, d, seed)
    symmetry = Chain(Inverse(f), Linear(orthogonal(d, rng)), f)
    moved, log_det = transform.forward(a)
    turned, more = symmetry.forward(moved)
    assert np.abs(turned - moved).max() > 0.1
    before, after = log_det + shared.log_prob(moved), log_det + more + shared.log_prob(turned)
    error = np.max(np.abs(after - before) / (1 + np.abs(before)))
    record_property("error", float(error))
    assert error < 1e-7
    losses = [lrmf.lrmf_loss(t, shared, a, b) for t in (transform, Chain(transform, symmetry))]
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=1e-9)


@pytest.mark.statement("thm-symmetry", control=True)
@cases
def test_a_map_that_does_not_preserve_it_changes_the_loss(d, seed):
    f, shared, transform, a, b, rng = symmetric_setup("jax", d, seed)
    stretch = Linear(1.3 * orthogonal(d, rng))
    other = Chain(transform, Chain(Inverse(f), stretch, f))
    before, after = (float(lrmf.lrmf_loss(t, shared, a, b)) for t in (transform, other))
    assert abs(after - before) > 1e-2


# prop-moons-turn


def half_turn():
    return Linear(-np.eye(2), MOONS_MEAN)


def rotation(degrees):
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Linear(matrix, MOONS_MEAN)


def nearest_neighbour(pair, transform):
    judge = KNeighborsClassifier(1).fit(pair.target, pair.target_labels)
    return judge.score(transform.forward(pair.source)[0], pair.source_labels)


def mismatch(x, y):
    """The largest difference between two sets of points that may be listed in another order."""
    first, second = (points[np.lexsort(points.round(9).T)] for points in (x, y))
    return float(np.abs(first - second).max())


def gaussian_distance(x, y):
    return float(gaussian.distance(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T)))


@pytest.mark.statement("prop-moons-turn")
@pytest.mark.parametrize("degrees", [-50.0, 50.0])
def test_the_half_turn_maps_the_moons_onto_each_other(degrees, record_property):
    clean = lrmf.data.moons(n=400, rotation=degrees, noise=0.0)
    moved, _ = half_turn().forward(clean.target)
    for label in (0, 1):
        image = moved[clean.target_labels == label]
        other = clean.target[clean.target_labels != label]
        error = mismatch(image, other)
        record_property("error", error)
        assert error < 1e-9


@pytest.mark.statement("prop-moons-turn")
@pytest.mark.parametrize("degrees", [-50.0, 50.0])
@seeds
def test_two_rotations_align_the_moons_one_with_all_labels_right_one_with_all_wrong(
    seed, degrees, record_property
):
    pair = lrmf.data.moons(rotation=degrees, seed=seed)
    right, wrong = rotation(-degrees), Chain(rotation(-degrees), half_turn())
    assert nearest_neighbour(pair, right) >= 0.999
    assert nearest_neighbour(pair, wrong) <= 0.001
    for transform in (right, wrong):
        assert gaussian_distance(transform.forward(pair.source)[0], pair.target) < 2e-3
    # A family that sees everything at the scale of the noise: kernel densities.
    densities = [
        stats.gaussian_kde(transform.forward(pair.source)[0].T, bw_method=0.1)(pair.target.T)
        for transform in (right, wrong)
    ]
    error = abs(np.log(densities[1]).mean() - np.log(densities[0]).mean())
    record_property("error", float(error))
    assert error < 0.02


@pytest.mark.statement("prop-moons-turn")
@pytest.mark.parametrize("degrees", [-50.0, 0.0, 50.0])
def test_half_a_turn_more_gives_the_same_source_with_the_labels_exchanged(degrees, record_property):
    first = lrmf.data.moons(n=400, rotation=degrees, noise=0.0)
    second = lrmf.data.moons(n=400, rotation=degrees + 180.0, noise=0.0)
    for label in (0, 1):
        points = first.source[first.source_labels == label]
        other = second.source[second.source_labels != label]
        error = mismatch(points, other)
        record_property("error", error)
        assert error < 1e-9


@pytest.mark.statement("prop-moons-turn", control=True)
@seeds
def test_a_quarter_turn_more_does_not_align_them(seed):
    pair = lrmf.data.moons(seed=seed)
    transform = Chain(rotation(50.0), rotation(90.0))
    assert gaussian_distance(transform.forward(pair.source)[0], pair.target) > 0.1
