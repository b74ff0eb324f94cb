"""Checks of the chapter "The bound and the algorithm": when the bias misleads."""

import numpy as np
import pytest
from bound_cases import (
    arrays_of,
    bend,
    bias,
    density,
    distance,
    log_slope,
    loss,
    mean,
    tails,
    to_normal,
    variance,
)
from scipy import optimize, stats

import lrmf

SEEDS = range(3)
DIMENSIONS = (1, 2, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


# prop-ebias-range


@pytest.mark.statement("prop-ebias-range")
@tails
def test_the_bias_is_at_most_what_the_family_misses(t, s, record_property):
    assert bias(t, s) <= to_normal(s) + 1e-12
    assert bias(1.0, s) == 0
    # A correct family: the source is Z.
    error = abs(loss(t, 1.0, s) - distance(t, 1.0, s) - to_normal(t))
    record_property("error", error)
    assert error < 1e-9
    assert loss(t, 1.0, s) >= distance(t, 1.0, s) - 1e-12


@pytest.mark.statement("prop-ebias-range")
@cases
def test_in_a_correct_family_zero_loss_means_equal_distributions(d, seed, record_property):
    """Normal A and B: bending any coordinate costs, and matching moments alone is not enough."""
    rng = np.random.default_rng([d, seed])
    t = np.exp(0.3 * rng.normal(size=d))
    extra = sum(to_normal(k) for k in t)  # KL(T(A); M) for T = g_t, coordinate by coordinate
    variances = np.array([variance(k) for k in t])
    # A second, affine, part of the map restores the moments, so that the distance is zero.
    log_det = sum(mean(lambda z, k=k: log_slope(k, z)) for k in t) - 0.5 * np.log(variances).sum()
    value = -log_det  # all four likelihoods are those of the standard normal density
    record_property("error", abs(value - extra))
    assert value == pytest.approx(extra, abs=1e-9)
    assert value > 0


@pytest.mark.statement("prop-ebias-range", control=True)
@pytest.mark.parametrize("s", [1.3, 1.5, 2.0])
def test_a_source_outside_the_family_can_push_the_loss_below_the_distance(s):
    assert loss(1 / s, s, s) < distance(1 / s, s, s) - 1e-2


# prop-ebias-closed


NODES, WEIGHTS = np.polynomial.laguerre.laggauss(80)


def best_member(*datasets):
    """Largest sum of average log-likelihoods over the densities of g_s(Z); even data on nodes."""

    def negative(log_s):
        return -sum(WEIGHTS @ density(np.exp(log_s))(x) for x in datasets)

    found = optimize.minimize_scalar(
        negative, bounds=(-2, 2), method="bounded", options={"xatol": 1e-10}
    )
    return -found.fun


def closed_family(t, k):
    """Distance and loss for the orbit of Z under all g_t; source and target are made of Laplace."""
    source, target = NODES, bend(k, NODES)
    moved = bend(t, source)
    shared = best_member(moved, target)
    constant = best_member(source) + best_member(target)
    return (
        best_member(moved) + best_member(target) - shared,
        -WEIGHTS @ log_slope(t, source) - shared + constant,
    )


@pytest.mark.statement("prop-ebias-closed")
@pytest.mark.parametrize("t", [0.6, 0.9, 1.2])
@pytest.mark.parametrize("k", [0.8, 1.0, 1.3])
def test_for_the_orbit_of_a_group_the_loss_is_the_distance(t, k, record_property):
    apart, value = closed_family(t, k)
    record_property("error", abs(apart - value))
    assert abs(apart - value) < 1e-6


def to_centred(second_moment, entropy):
    """KL to the normal densities of mean zero and variance at least one (a family, for part 2)."""
    v = max(second_moment, 1.0)
    return 0.5 * np.log(2 * np.pi * v) + 0.5 * second_moment / v - entropy


@pytest.mark.statement("prop-ebias-closed")
@pytest.mark.parametrize("seed", range(10))
def test_one_inclusion_gives_one_sign(seed, record_property):
    """M: normal densities of variance ≥ 1. x ↦ a x with a ≥ 1 carries M into M, its inverse not."""
    rng = np.random.default_rng(seed)
    second, entropy, a = np.exp(rng.normal()), 0.3, 1 + rng.exponential()
    grow = to_centred(second, entropy) - to_centred(a**2 * second, entropy + np.log(a))
    shrink = to_centred(second, entropy) - to_centred(second / a**2, entropy - np.log(a))
    record_property("error", max(0.0, -grow, shrink))
    assert grow >= -1e-12
    assert shrink <= 1e-12


@pytest.mark.statement("prop-ebias-closed")
@backends
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_the_divergence_to_the_family_is_that_to_the_pulled_back_family(
    d, seed, backend, record_property
):
    """KL(T(A) ‖ P) = KL(A ‖ T⁻¹ P), for one member P and averages over one sample."""
    rng = np.random.default_rng([d, seed])
    spec, engine = lrmf.RealNVP(blocks=3, hidden=(8,)), lrmf.get_backend(backend)
    arrays, _ = arrays_of(spec, lrmf.Gaussian(), d, rng)
    flow = engine.flow(spec, arrays, dtype="float64")
    a = rng.normal(size=(300, d))
    moved, log_det = flow.forward(a)
    log_a = stats.norm.logpdf(a).sum(axis=1)
    member = stats.multivariate_normal(np.zeros(d), 2 * np.eye(d))
    left = (log_a + flow.inverse(moved)[1] - member.logpdf(moved)).mean()
    right = (log_a - (member.logpdf(moved) + log_det)).mean()
    record_property("error", abs(left - right))
    assert left == pytest.approx(right, abs=1e-9)


@pytest.mark.statement("prop-ebias-closed", control=True)
@pytest.mark.parametrize("a", [1.5, 2.0, 3.0])
def test_maps_into_the_family_that_are_not_onto_it_leave_a_bias(a):
    """N(0, 1/a²), that no normal density of variance ≥ 1 fits, becomes N(0, 1), which one does."""
    entropy = stats.norm.entropy() - np.log(a)
    beta = to_centred(a**-2, entropy) - to_centred(1.0, entropy + np.log(a))
    assert beta == pytest.approx(0.5 * (a**-2 - 1) + np.log(a))
    assert beta > 0.1


@pytest.mark.statement("prop-ebias-closed", control=True)
@pytest.mark.parametrize("t", [0.6, 0.9, 1.2])
def test_a_family_that_is_not_closed_has_a_bias(t):
    """The normal densities are not closed under g_t."""
    assert abs(bias(t, 1.5)) > 1e-2
    assert abs(closed_family(t, 1.0)[0] - closed_family(t, 1.0)[1]) < 1e-6


# prop-ebias-misleads


@pytest.mark.statement("prop-ebias-misleads")
@pytest.mark.parametrize("s", [0.7, 1.3, 1.5, 2.0])
def test_the_loss_leaves_the_identity_with_the_gradient_of_the_divergence(s, record_property):
    step = 1e-4

    def slope(f):
        return (8 * (f(1 + step) - f(1 - step)) - f(1 + 2 * step) + f(1 - 2 * step)) / (12 * step)

    gradient = slope(lambda t: loss(t, s, s))
    error = abs(gradient - slope(lambda t: to_normal(t * s)))
    record_property("error", error)
    assert error < 1e-6
    assert abs(gradient) > 1e-2
    assert loss(1 - 0.01 * np.sign(gradient), s, s) < -1e-5
    assert abs(distance(1.0, s, s)) < 1e-12


@pytest.mark.statement("prop-ebias-misleads", control=True)
def test_with_a_source_in_the_family_the_identity_is_the_minimum():
    values = [loss(t, 1.0, 1.0) for t in np.linspace(0.7, 1.3, 13)]
    assert np.argmin(values) == 6
    assert min(values) > -1e-12


# prop-bound-zero


def back_to_back(d, seed, backend):
    """Two flows that fit nothing, the loss of F∘G⁻¹ under a shared density, and two datasets."""
    rng = np.random.default_rng([d, seed])
    spec, engine = lrmf.RealNVP(blocks=2, hidden=(8,)), lrmf.get_backend(backend)
    g, f = (arrays_of(spec, spec, d, rng)[0] for _ in range(2))
    private = [engine.density(spec, arrays, dtype="float64") for arrays in (g, f)]
    a, b = rng.uniform(-2, 2, size=(50, d)), rng.exponential(size=(70, d))
    latent, log_det_g = engine.flow(spec, g, dtype="float64").inverse(a)
    moved, log_det_f = engine.flow(spec, f, dtype="float64").forward(latent)
    own = private[0].log_prob(a)
    constant = own.mean() + private[1].log_prob(b).mean()

    def loss(shared):
        each = shared.log_prob(moved) + log_det_g + log_det_f
        return each, -each.mean() - shared.log_prob(b).mean() + constant

    return private, own, loss


@pytest.mark.statement("prop-bound-zero")
@backends
@pytest.mark.parametrize("d", [2, 3, 6])
@seeds
def test_back_to_back_the_loss_is_zero_for_any_data(d, seed, backend, record_property):
    (_, private_b), own, loss = back_to_back(d, seed, backend)
    each, value = loss(private_b)
    record_property("error", float(np.abs(each - own).max()))
    assert np.abs(each - own).max() < 1e-9  # at every single point
    assert abs(value) < 1e-9


def two_members():
    """Distance, loss and bias of the proof's example: A uniform, T = sinh, M = {P_A, P_B}."""
    nodes, weights = np.polynomial.legendre.leggauss(80)

    def on_b(f):
        return mean(lambda z: f(np.sinh(z)))

    def under(f):
        return 0.5 * weights @ f(nodes)

    def log_p_b(x):
        return stats.norm.logpdf(np.arcsinh(x)) - 0.5 * np.log1p(x * x)

    members = (stats.norm.logpdf, log_p_b)
    of_a = [under(m) for m in members]
    of_moved = [under(lambda x, m=m: m(np.sinh(x))) for m in members]
    of_b = [on_b(m) for m in members]
    both = [x + y for x, y in zip(of_moved, of_b, strict=True)]
    loss = -under(lambda x: np.log(np.cosh(x))) - np.array(both) + max(of_a) + max(of_b)
    best = [np.argmax(x) for x in (of_a, of_moved, of_b)]
    return best, max(of_moved) + max(of_b) - max(both), loss


@pytest.mark.statement("prop-bound-zero")
def test_the_loss_is_zero_and_the_distance_is_not(record_property):
    best, distance, loss = two_members()
    record_property("error", abs(loss[1]))
    assert best == [0, 0, 1]
    assert abs(loss[1]) < 1e-12
    assert loss.min() == loss[1]
    assert distance > 0.1


@pytest.mark.statement("prop-bound-zero", control=True)
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_with_another_shared_density_the_loss_is_not_zero(d, seed):
    (private_a, _), own, loss = back_to_back(d, seed, "jax")
    each, value = loss(private_a)
    assert np.abs(each - own).max() > 0.1
    assert abs(value) > 0.01
