"""Checks of the statements of the chapter "A first real pair", each with a negative control."""

import numpy as np
import pytest
from flow_cases import covariance
from scipy import integrate, stats

import lrmf
from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (2, 3, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


def random_realnvp(kind, backend, d, rng):
    """A RealNVP flow or density far from its start."""
    spec = lrmf.RealNVP(blocks=3, hidden=(8,))
    arrays = {
        name: value + 0.3 * rng.normal(size=value.shape)
        for name, value in spec.init((d,), rng).items()
    }
    return getattr(lrmf.get_backend(backend), kind)(spec, arrays, dtype="float64")


class Composed:
    """g ∘ T ∘ g⁻¹ for flows g and T."""

    def __init__(self, g, t):
        self.g, self.t = g, t

    def forward(self, x):
        back, first = self.g.inverse(x)
        moved, second = self.t.forward(back)
        y, third = self.g.forward(moved)
        return y, first + second + third


class Pushed:
    """The density of g(x), x ~ p."""

    def __init__(self, g, p):
        self.g, self.p, self.backend = g, p, p.backend

    def log_prob(self, y):
        x, log_det = self.g.inverse(y)
        return self.p.log_prob(x) + log_det


# Coordinates


def coordinates_gap(backend, d, seed, *, push=True):
    """The LRMF losses with their constant, before and after a change of coordinates."""
    rng = np.random.default_rng([d, seed])
    g, t = (random_realnvp("flow", backend, d, rng) for _ in range(2))
    shared, private_a, private_b = (random_realnvp("density", backend, d, rng) for _ in range(3))
    a, b = rng.normal(size=(2, 50, d)) + np.array([[[1.0]], [[-1.0]]])

    def loss(t, shared, private_a, private_b, a, b):
        constant = private_a.log_prob(a).mean() + private_b.log_prob(b).mean()
        return float(lrmf.lrmf_loss(t, shared, a, b, constant=constant))

    before = loss(t, shared, private_a, private_b, a, b)
    densities = (shared, private_a, private_b)
    if push:
        densities = tuple(Pushed(g, p) for p in densities)
    after = loss(Composed(g, t), *densities, g.forward(a)[0], g.forward(b)[0])
    return abs(before - after), abs(before)


@pytest.mark.statement("lem-digits-coordinates")
@backends
@cases
def test_loss_does_not_depend_on_coordinates(backend, d, seed, record_property):
    gap, size = coordinates_gap(backend, d, seed)
    record_property("error", gap / (1 + size))
    assert gap < 1e-9 * (1 + size)


@pytest.mark.statement("lem-digits-coordinates")
@cases
def test_gaussian_distance_does_not_depend_on_linear_coordinates(d, seed, record_property):
    # The normal densities are closed under linear maps, so the family stays the same.
    rng = np.random.default_rng([d, seed])
    (mean_a, mean_b), cov_a, cov_b = rng.normal(size=(2, d)), covariance(rng, d), covariance(rng, d)
    g, shift = rng.normal(size=(d, d)) + 2 * np.eye(d), rng.normal(size=d)
    before = gaussian.distance(mean_a, cov_a, mean_b, cov_b)
    after = gaussian.distance(
        g @ mean_a + shift, g @ cov_a @ g.T, g @ mean_b + shift, g @ cov_b @ g.T
    )
    error = abs(after / before - 1)
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("lem-digits-coordinates", control=True)
@backends
@cases
def test_loss_depends_on_coordinates_if_the_family_stays_behind(backend, d, seed):
    gap, _ = coordinates_gap(backend, d, seed, push=False)
    assert gap > 1e-2


@pytest.mark.statement("lem-digits-coordinates", control=True)
@seeds
def test_distance_changes_for_a_family_that_is_not_closed(seed):
    # Products of one-dimensional normal densities: a rotation leads out of the family.
    rng = np.random.default_rng(seed)
    cov_a, cov_b = np.diag([4.0, 1.0]), np.diag([1.0, 4.0])
    angle = rng.uniform(np.pi / 8, np.pi / 4)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def distance(cov_a, cov_b):
        variances = np.diag(cov_a), np.diag(cov_b)
        return sum(np.log(np.mean(variances, axis=0)) - np.mean(np.log(variances), axis=0))

    assert distance(turn @ cov_a @ turn.T, turn @ cov_b @ turn.T) < 0.8 * distance(cov_a, cov_b)


# The gain


def gain_terms(backend, d, seed, *, conditional=True):
    """Both sides of the lemma at random points, for a RealNVP p on the first k features."""
    rng = np.random.default_rng([d, seed])
    k = 2
    mean, cov = rng.normal(size=d + k), covariance(rng, d + k)
    p = random_realnvp("density", backend, k, rng)
    x = rng.normal(size=(40, d + k)) * 2
    u, v = x[:, :k], x[:, k:]
    slope = cov[k:, :k] @ np.linalg.inv(cov[:k, :k])
    if not conditional:
        slope = np.zeros_like(slope)
    rest = cov[k:, k:] - slope @ cov[:k, k:]
    centred = v - mean[k:] - (u - mean[:k]) @ slope.T
    log_q = p.log_prob(u) + stats.multivariate_normal(np.zeros(d), rest).logpdf(centred)
    left = log_q - stats.multivariate_normal(mean, cov).logpdf(x)
    right = p.log_prob(u) - stats.multivariate_normal(mean[:k], cov[:k, :k]).logpdf(u)
    return left, right


@pytest.mark.statement("lem-digits-gain")
@backends
@cases
def test_gain_needs_only_the_components_kept(backend, d, seed, record_property):
    left, right = gain_terms(backend, d, seed)
    error = np.max(np.abs(left - right) / (1 + np.abs(right)))
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("lem-digits-gain", control=True)
@backends
@cases
def test_gain_needs_the_conditional_density(backend, d, seed):
    left, right = gain_terms(backend, d, seed, conditional=False)
    assert np.abs(left.mean() - right.mean()) > 1e-2


@pytest.mark.statement("lem-digits-gain")
@seeds
def test_completed_model_is_a_density(seed, record_property):
    rng = np.random.default_rng(seed)
    cov = covariance(rng, 2)
    slope = cov[1, 0] / cov[0, 0]
    std = np.sqrt(cov[1, 1] - slope * cov[0, 1])
    u = np.linspace(0.0, 40.0, 2001)
    limit = 40.0 * abs(slope) + 8.0 * std
    v = np.linspace(-limit, limit, 4001)
    q = stats.gamma(2.5).pdf(u)[:, None] * stats.norm(slope * u[:, None], std).pdf(v)
    total = integrate.simpson(integrate.simpson(q, v), u)
    record_property("error", abs(total - 1.0))
    assert abs(total - 1.0) < 1e-4
