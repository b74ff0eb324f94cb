"""Checks of the statements of the chapter "The comparison"."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import lrmf
from lrmf.models import Composed
from lrmf.objectives import alignment_loss

SEEDS = range(3)
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", ["jax", "tfp"])

SPEC = lrmf.RealNVP(blocks=2, hidden=(8,))


def turned(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def bent(rng, d=2):
    """Arrays of a RealNVP that is far from the identity."""
    start = SPEC.init((d,), rng)
    return {name: x + 0.3 * rng.normal(size=x.shape) for name, x in start.items()}


# prop-comparison-family


def loss_of(aligner):
    """What the aligner minimises, by its recipe."""
    return aligner._recipe(("source", "target")).objective.loss


@pytest.fixture(params=[(name, seed) for name in ("jax", "tfp") for seed in SEEDS])
def game(request):
    """Maps of both sides, a shared density, and points."""
    name, seed = request.param
    backend, rng = lrmf.get_backend(name), np.random.default_rng(seed)
    maps = [backend.flow(SPEC, bent(rng), dtype="float64") for _ in range(2)]
    density = backend.density(SPEC, bent(rng), dtype="float64")
    return *maps, density, rng.normal(size=(40, 2)), rng.normal(size=(50, 2))


@pytest.mark.statement("prop-comparison-family")
def test_with_the_identity_on_one_side_aub_is_lrmf(game, record_property):
    t_a, _, density, a, b = game
    identity = t_a.backend.flow(lrmf.Identity(), {}, dtype="float64")
    models = {"transform": t_a, "target_transform": identity, "density": density}
    found = float(loss_of(lrmf.AUB())(models, {"source": a, "target": b}))
    expected = float(alignment_loss([t_a, None], density, [a, b]))
    record_property("error", abs(found - expected))
    assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.statement("prop-comparison-family")
def test_with_a_normal_shared_density_aub_is_back_to_back(game, record_property):
    t_a, t_b, _, a, b = game
    # By hand: the density of G(z) at a, with G the inverse of T_A.
    total = 0.0
    for flow, x in ((t_a, a), (t_b, b)):
        z, log_det = flow.forward(x)
        total -= np.mean(log_det - 0.5 * (z**2).sum(axis=1) - np.log(2 * np.pi))
    normal = t_a.backend.density(lrmf.Identity(), {}, dtype="float64")
    error = abs(float(alignment_loss([t_a, t_b], normal, [a, b])) - total)
    record_property("error", error)
    assert error < 1e-9
    # The library's loss has the flows in the other direction, from z to the points.
    models = {"transform": t_a, "target_transform": t_b, "prior": normal}
    other = float(loss_of(lrmf.BackToBackFlow())(models, {"source": a, "target": b}))
    by_hand = 0.0
    for flow, x in ((t_a, a), (t_b, b)):
        z, log_det = flow.inverse(x)
        by_hand -= np.mean(log_det - 0.5 * (z**2).sum(axis=1) - np.log(2 * np.pi))
    assert other == pytest.approx(by_hand, abs=1e-9)


@pytest.mark.statement("prop-comparison-family")
def test_aub_is_lrmf_with_the_composed_map_and_a_pulled_density(game, record_property):
    t_a, t_b, density, a, b = game
    loss = float(alignment_loss([t_a, t_b], density, [a, b]))

    def pulled(x):
        """Log-density of the inverse of T_B at z, for z from Q."""
        z, log_det = t_b.forward(x)
        return density.log_prob(z) + log_det

    middle, log_det_a = t_a.forward(a)
    moved, log_det_back = t_b.inverse(middle)
    composed = -np.mean(log_det_a + log_det_back + pulled(moved)) - np.mean(pulled(b))
    record_property("error", abs(loss - composed))
    assert loss == pytest.approx(composed, abs=1e-9)


@pytest.mark.statement("prop-comparison-family")
def test_moving_everything_along_changes_nothing(game, record_property):
    t_a, t_b, density, a, b = game
    along = t_a.backend.flow(SPEC, bent(np.random.default_rng(9)), dtype="float64")
    loss = float(alignment_loss([t_a, t_b], density, [a, b]))
    moved = 0.0
    for flow, x in ((t_a, a), (t_b, b)):
        y, log_det = flow.forward(x)
        far, log_det_along = along.forward(y)
        origin, log_det_back = along.inverse(far)
        moved -= np.mean(log_det + log_det_along + density.log_prob(origin) + log_det_back)
    record_property("error", abs(loss - moved))
    assert loss == pytest.approx(moved, abs=1e-9)


@pytest.mark.statement("prop-comparison-family", control=True)
def test_moving_the_maps_but_not_the_density_changes_the_loss(game):
    t_a, t_b, density, a, b = game
    along = t_a.backend.flow(SPEC, bent(np.random.default_rng(9)), dtype="float64")
    maps = [Composed([flow, along]) for flow in (t_a, t_b)]
    gap = alignment_loss(maps, density, [a, b]) - alignment_loss([t_a, t_b], density, [a, b])
    assert abs(float(gap)) > 0.1


# prop-comparison-turn


@pytest.mark.statement("prop-comparison-turn")
@backends
@seeds
@pytest.mark.parametrize("d", [2, 3])
def test_a_turned_prior_has_the_same_likelihood(backend, seed, d, record_property):
    rng = np.random.default_rng([seed, d])
    flow = lrmf.get_backend(backend).flow(SPEC, bent(rng, d), dtype="float64")
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    b = rng.normal(size=(50, d))
    z, log_det = flow.inverse(b)
    constant = 0.5 * d * np.log(2 * np.pi)
    plain = log_det - 0.5 * (z**2).sum(axis=1) - constant
    # The inverse of F(Q z) is Q' F^{-1}(b).
    other = log_det - 0.5 * ((z @ turn) ** 2).sum(axis=1) - constant
    error = np.abs(plain - other).max()
    record_property("error", error)
    assert error < 1e-10


LABELS = {
    "half planes": lambda z: (z[:, 0] > 0).astype(int),
    "a shifted line": lambda z: (z[:, 0] > 0.7).astype(int),
    "three sectors": lambda z: np.floor((np.arctan2(z[:, 1], z[:, 0]) / np.pi + 1) * 1.5) % 3,
    "a spiral": lambda z: (
        (np.arctan2(z[:, 1], z[:, 0]) + np.hypot(z[:, 0], z[:, 1])) % (2 * np.pi) > np.pi
    ).astype(int),
}
#: Angles of the quadrature over the circle, and radii of that over lengths.
ANGLES = np.linspace(0, 2 * np.pi, 360, endpoint=False) + 1e-4


def kept(label, angle, radii):
    """Share of points on circles of these radii that keep their label under a turn."""
    z = radii[:, None, None] * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
    flat = z.reshape(-1, 2)
    return np.mean(label(flat) == label(flat @ turned(angle).T))


@pytest.mark.statement("prop-comparison-turn")
@pytest.mark.parametrize("name", LABELS)
@seeds
def test_the_mean_share_of_labels_that_a_random_turn_keeps(name, seed, record_property):
    label = LABELS[name]
    radii = np.sqrt(-2 * np.log(np.random.default_rng(seed).uniform(size=10)))
    mean = np.mean([kept(label, angle, radii) for angle in ANGLES[::2]])
    expected = 0.0
    for r in radii:
        circle = r * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
        _, counts = np.unique(label(circle), return_counts=True)
        expected += np.sum((counts / len(ANGLES)) ** 2) / len(radii)
    record_property("error", abs(mean - expected))
    # Both are means over the same 360 places of each circle: only the 180 angles differ.
    assert mean == pytest.approx(expected, abs=5e-3)


@pytest.mark.statement("prop-comparison-turn", control=True)
def test_labels_that_are_rings_survive_every_turn():
    radii = np.array([0.3, 0.9, 1.4, 2.2])
    for angle in (0.3, 1.0, np.pi):
        assert kept(lambda z: (np.hypot(z[:, 0], z[:, 1]) > 1).astype(int), angle, radii) == 1
        assert kept(LABELS["half planes"], angle, radii) < 1


# prop-comparison-shrink


def centred_product(a, b):
    """Mean over the pairs of an optimal plan of the inner products of two minibatches."""
    products = a @ b.T
    return products[linear_sum_assignment(-products)].mean()


@pytest.mark.statement("prop-comparison-shrink")
@pytest.mark.parametrize("n", [1, 2, 3, 8, 32])
def test_uniform_minibatches_shrink_the_map_by_the_closed_form(n, record_property):
    rng = np.random.default_rng(n)
    a, b = np.sort(rng.uniform(-0.5, 0.5, size=(2, 100_000, n)), axis=-1)
    products = (a * b).mean(axis=1)  # sorted pairs are the optimal plan on the line
    found, stderr = products.mean() * 12, products.std() * 12 / np.sqrt(len(products))
    expected = (n - 1) / (n + 1)
    record_property("error", abs(found - expected))
    # Five standard errors of the simulation.
    assert found == pytest.approx(expected, abs=5 * stderr)


@pytest.mark.statement("prop-comparison-shrink")
@seeds
@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("scale", [0.2, 0.7, 1.0, 1.5])
def test_the_minibatch_loss_is_a_parabola_in_the_scale(seed, n, scale, record_property):
    rng = np.random.default_rng([seed, n])
    error = 0.0
    for _ in range(20):
        a, b = rng.standard_t(6, size=(2, n, 3))
        costs = cdist(scale * a, b, "sqeuclidean")
        least = costs[linear_sum_assignment(costs)].mean()
        parabola = scale**2 * np.mean((a**2).sum(axis=1)) + np.mean((b**2).sum(axis=1))
        error = max(error, abs(least - parabola + 2 * scale * centred_product(a, b)))
    record_property("error", error)
    assert error < 1e-10


@pytest.mark.statement("prop-comparison-shrink")
@pytest.mark.parametrize("n", [4, 16, 64])
def test_on_the_moons_the_best_scale_is_below_one(n, record_property):
    rng = np.random.default_rng(0)
    x = lrmf.data.moons(seed=0).target
    x = x - x.mean(axis=0)
    variance = (x**2).sum(axis=1).mean()
    products = [centred_product(*x[rng.integers(len(x), size=(2, n))]) for _ in range(400)]
    scale, stderr = np.mean(products) / variance, np.std(products) / variance / 20
    record_property("scale", scale)
    assert scale + 3 * stderr < 1


@pytest.mark.statement("prop-comparison-shrink", control=True)
def test_the_same_minibatch_on_both_sides_shrinks_nothing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 10, 2))
    products = [centred_product(a, a) for a in x]
    assert np.mean(products) / np.mean((x**2).sum(axis=-1)) == pytest.approx(1.0, abs=1e-12)


# prop-comparison-plan


@pytest.mark.statement("prop-comparison-plan")
@pytest.mark.parametrize("degrees", [-50, 50, 10, 120, 180])
@seeds
def test_the_optimal_plan_is_cheaper_than_the_turn(degrees, seed, record_property):
    x = lrmf.data.moons(n=300, seed=seed).target
    x = x - x.mean(axis=0)
    y = x @ turned(np.deg2rad(degrees)).T
    costs = cdist(x, y, "sqeuclidean")
    of_the_turn = np.trace(costs) / len(x)
    closed = 2 * (1 - np.cos(np.deg2rad(degrees))) * (x**2).sum(axis=1).mean()
    record_property("error", abs(of_the_turn - closed))
    assert of_the_turn == pytest.approx(closed)
    # Any plan of a sample is at least as dear as the best one; for the law itself a gap remains,
    # four percent of the turn's cost at ten degrees.
    assert costs[linear_sum_assignment(costs)].mean() < 0.98 * of_the_turn


@pytest.mark.statement("prop-comparison-plan", control=True)
def test_a_stretch_and_a_shift_are_optimal_plans():
    x = np.random.default_rng(0).normal(size=(200, 2))
    y = x @ np.array([[2.0, 0.5], [0.5, 1.0]]) + 3.0  # symmetric positive definite
    _, columns = linear_sum_assignment(cdist(x, y, "sqeuclidean"))
    assert (columns == np.arange(200)).all()
