"""Checks of the chapter "Model complexity": what a family of densities sees of a map."""

import itertools

import numpy as np
import pytest
from complexity_cases import (
    COV_B,
    MEAN_B,
    NODE_WEIGHTS,
    NODES,
    STANDARD,
    loss_of,
    misfit,
    moments_of,
    skewed,
    two_moments,
)
from flow_cases import grid, jacobian, normal, realnvp
from numpy.polynomial import legendre
from scipy import integrate, optimize, stats

from lrmf.theory import gaussian

SEEDS = range(3)
BACKENDS = ("jax", "tfp")

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


# lem-complexity-split


@pytest.mark.statement("lem-complexity-split")
@backends
@seeds
def test_the_loss_splits(seed, backend, record_property):
    """A = f(N(0, I)) for one RealNVP f, moved by another; entropies by quadrature on both sides."""
    first, second = realnvp(backend, 2, seed, scale=0.1), realnvp(backend, 2, seed + 10, scale=0.1)
    z, cell = grid(14.0)
    weights = cell * np.exp(STANDARD.logpdf(z))
    a, log_first = first.forward(z)
    image, log_second = second.forward(a)
    _, cov_a = moments_of(a, weights)
    mean, cov = moments_of(image, weights)
    # The entropy of T(A), from its density on a grid of its own.
    y, cell_y = grid(14.0)
    back, log_back = second.inverse(y)
    back, log_base = first.inverse(back)
    log_density = STANDARD.logpdf(back) + log_base + log_back
    entropy = -cell_y * np.exp(log_density) @ log_density
    entropy_a = STANDARD.entropy() + weights @ log_first
    value = loss_of(image, log_second, weights, cov_a, MEAN_B, COV_B)
    split = (
        float(gaussian.distance(mean, cov, MEAN_B, COV_B))
        + misfit(entropy, cov)
        - misfit(entropy_a, cov_a)
    )
    record_property("error", float(abs(value - split)))
    assert value == pytest.approx(split, abs=2e-3)
    assert abs(misfit(entropy, cov) - misfit(entropy_a, cov_a)) > 5e-3


@pytest.mark.statement("lem-complexity-split")
@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
def test_the_loss_splits_on_the_line(strength, record_property):
    """T(x) = sinh(sx)/s for N(0, 1); the entropy of T(A) from its own density."""

    def density(y):
        return stats.norm.pdf(np.arcsinh(strength * y) / strength) / np.hypot(1, strength * y)

    def over_image(f):
        edges = np.sinh(strength * np.linspace(-12, 12, 49)) / strength
        return sum(
            integrate.quad(f, low, high, epsabs=1e-13)[0] for low, high in itertools.pairwise(edges)
        )

    entropy = -over_image(lambda y: density(y) * np.log(density(y)))
    var = over_image(lambda y: density(y) * y**2)
    mean_log_slope, _ = integrate.quad(
        lambda x: stats.norm.pdf(x) * np.log(np.cosh(strength * x)), -12, 12, epsabs=1e-13
    )
    mean_b, var_b = 0.7, 2.0
    shared = gaussian.shared_moments([0.0], [[var]], [mean_b], [[var_b]])[1][0, 0]
    loss = np.log(shared) - mean_log_slope - 0.5 * np.log(var_b)
    split = float(gaussian.distance([0.0], [[var]], [mean_b], [[var_b]])) + misfit(entropy, [[var]])
    record_property("error", float(abs(loss - split)))
    assert loss == pytest.approx(split, abs=1e-9)
    assert misfit(entropy, [[var]]) > 1e-3


@pytest.mark.statement("lem-complexity-split", control=True)
def test_a_fold_is_off_by_the_branch_that_it_forgets():
    """x ↦ x² for N(0, 1): the loss is lower than the split by log 2."""
    mean_log_slope, _ = integrate.quad(lambda x: 2 * stats.norm.pdf(x) * np.log(2 * x), 0, np.inf)
    loss = 0.5 * np.log(2) - mean_log_slope  # with the image rescaled to the moments of B
    split = misfit(stats.chi2(1).entropy(), [[2.0]])
    assert loss == pytest.approx(0.5 * np.euler_gamma, abs=1e-8)
    assert split - loss == pytest.approx(np.log(2), abs=1e-8)


# prop-complexity-statistics


def best_likelihood(moments):
    """max θ·m - ψ(θ) over densities exp(θ·t - ψ) on [-1, 1], t the Legendre polynomials."""
    t = legendre.legvander(NODES, len(moments))[:, 1:]
    theta = np.zeros(len(moments))

    def value(theta):
        exponent = t @ theta
        top = exponent.max()
        return np.log(NODE_WEIGHTS @ np.exp(exponent - top)) + top - theta @ moments

    for _ in range(100):
        density = NODE_WEIGHTS * np.exp(t @ theta - (t @ theta).max())
        density /= density.sum()
        mean = density @ t
        cov = (t - mean).T @ (density[:, None] * (t - mean))
        step = np.linalg.solve(cov, moments - mean)
        if step @ cov @ step < 1e-26:
            break
        length = 1.0
        while value(theta + length * step) > value(theta) and length > 1e-10:
            length /= 2
        theta = theta + length * step
    return -value(theta)


def distance_of_moments(a, b):
    return best_likelihood(a) + best_likelihood(b) - 2 * best_likelihood((a + b) / 2)


def bumps(seed):
    """A smooth positive density on [-1, 1] at the nodes."""
    rng = np.random.default_rng(seed)
    values = np.exp(legendre.legval(NODES, 0.5 * rng.normal(size=9)))
    return values / (NODE_WEIGHTS @ values)


@pytest.mark.statement("prop-complexity-statistics")
@pytest.mark.parametrize("k", [1, 2, 4, 6])
@seeds
def test_equal_statistics_and_only_they_give_distance_zero(k, seed, record_property):
    p = bumps(seed)
    for hidden in (k + 1, k + 3):
        # Another density with the same statistics up to k: add a polynomial orthogonal to them.
        wave = legendre.legval(NODES, np.eye(hidden + 1)[hidden])
        q = p + 0.5 * p.min() * wave
        t = legendre.legvander(NODES, k)[:, 1:]
        a, b = (NODE_WEIGHTS * p) @ t, (NODE_WEIGHTS * q) @ t
        value = distance_of_moments(a, b)
        record_property("error", float(abs(value)))
        assert abs(value) < 1e-12
        assert NODE_WEIGHTS @ np.abs(p - q) > 1e-2
        # One statistic that differs is seen.
        other = b + 0.05 * np.eye(k)[k - 1]
        assert distance_of_moments(a, other) > 1e-4


@pytest.mark.statement("prop-complexity-statistics")
@seeds
def test_the_normal_densities_are_such_a_family(seed, record_property):
    """Statistics x, x²: the closed form is zero for equal moments, and positive otherwise."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(), np.exp(rng.normal())
    same = gaussian.distance([mean], [[std**2]], [mean], [[std**2]])
    record_property("error", abs(float(same)))
    assert float(same) == pytest.approx(0.0, abs=1e-12)
    assert gaussian.distance([mean], [[std**2]], [mean], [[1.1 * std**2]]) > 1e-4
    assert gaussian.distance([mean], [[std**2]], [mean + 0.1 * std], [[std**2]]) > 1e-4


@pytest.mark.statement("prop-complexity-statistics", control=True)
def test_a_family_that_is_not_exponential_sees_more():
    """M: equal mixtures of N(-m, s²) and N(m, s²), determined by two numbers, mean zero.

    A = N(0, 1 + c²) and B = the mixture with m = c, s = 1 agree in mean and variance.
    """
    c = 2.0
    x = np.linspace(-16, 16, 8001)
    step = x[1] - x[0]
    b = 0.5 * (stats.norm.pdf(x, c) + stats.norm.pdf(x, -c))
    a = stats.norm.pdf(x, 0, np.sqrt(1 + c**2))

    def best(density):
        def negative(v):
            s = np.exp(v[1])
            model = 0.5 * (stats.norm.pdf(x, v[0], s) + stats.norm.pdf(x, -v[0], s))
            return -step * density @ np.log(model)

        starts = ([2.0, 0.0], [0.5, 0.8])
        return min(
            optimize.minimize(negative, v, method="Nelder-Mead", options={"xatol": 1e-8}).fun
            for v in starts
        )

    value = 2 * best(0.5 * (a + b)) - best(a) - best(b)
    assert value > 1e-2


# prop-complexity-count


@pytest.mark.statement("prop-complexity-count")
@pytest.mark.parametrize("q", [3, 4, 6])
@seeds
def test_zeros_form_a_surface_of_the_right_dimension(q, seed, record_property):
    """Polynomials with q coefficients under the normal densities: walk along the surface."""
    x, weights = skewed(seed)
    powers = x[:, None] ** np.arange(q)
    wanted = two_moments(2 + 1.5 * x, weights)
    phi = np.zeros(q)
    phi[:2] = 2.0, 1.5
    rng = np.random.default_rng(seed)
    worst = 0.0
    for _ in range(10):
        image = powers @ phi
        mean = weights @ image
        derivative = np.stack(
            [
                weights @ powers,
                2 * weights @ ((image - mean)[:, None] * (powers - weights @ powers)),
            ]
        )
        assert np.linalg.matrix_rank(derivative) == 2
        tangent = np.linalg.svd(derivative)[2][2:]
        assert len(tangent) == q - 2
        phi = phi + 0.05 * rng.normal(size=q - 2) @ tangent
        phi = optimize.least_squares(
            lambda v: two_moments(powers @ v, weights) - wanted, phi, xtol=1e-15, gtol=1e-15
        ).x
        mean, var = two_moments(powers @ phi, weights)
        value = gaussian.distance([mean], [[var]], wanted[:1], [[wanted[1]]])
        worst = max(worst, abs(float(value)))
    record_property("error", float(worst))
    assert worst < 1e-10
    assert np.abs(phi[2:]).max() > 1e-3


@pytest.mark.statement("prop-complexity-count", control=True)
@seeds
def test_as_many_parameters_as_statistics_leave_isolated_zeros(seed):
    x, weights = skewed(seed)
    m, s2 = two_moments(x, weights)
    wanted = two_moments(2 + 1.5 * x, weights)
    for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
        shift, slope = 2 + 0.05 * np.cos(angle), 1.5 + 0.05 * np.sin(angle)
        value = gaussian.distance([slope * m + shift], [[slope**2 * s2]], wanted[:1], [[wanted[1]]])
        assert value > 1e-5


# prop-complexity-twist


def twist(y, mean, root, strength, centre=0.0):
    z = np.linalg.solve(root, (y - mean).T).T - centre
    angle = strength * np.tanh(np.sum(z**2, axis=1))
    turned = z.copy()
    turned[:, 0] = np.cos(angle) * z[:, 0] - np.sin(angle) * z[:, 1]
    turned[:, 1] = np.sin(angle) * z[:, 0] + np.cos(angle) * z[:, 1]
    return (turned + centre) @ root.T + mean


def sampled_loss(backend, seed, d, centre):
    """The loss on a sample before and after a twist, the shared normal density held fixed."""
    rng = np.random.default_rng([d, seed])
    factor = rng.normal(size=(d, d)) + 2 * np.eye(d)
    mean, cov = rng.normal(size=d), factor @ factor.T
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(values) @ vectors.T
    shared = normal(backend, mean, cov)
    flow = realnvp(backend, d, seed)
    image, log_det = flow.forward(2 * rng.normal(size=(50, d)))
    plain = -log_det - shared.log_prob(image)

    def turn(y):
        return twist(y, mean, root, 2.0, centre)

    log_twist = np.log(np.linalg.det(jacobian(turn, image)))
    return plain, -log_det - log_twist - shared.log_prob(turn(image))


@pytest.mark.statement("prop-complexity-twist")
@backends
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_a_twist_leaves_the_loss_alone_point_by_point(d, seed, backend, record_property):
    plain, twisted = sampled_loss(backend, seed, d, centre=0.0)
    error = np.abs(plain - twisted).max()
    record_property("error", float(error))
    assert error < 1e-6


@pytest.mark.statement("prop-complexity-twist", control=True)
@backends
@pytest.mark.parametrize("d", [2, 3, 5])
def test_a_twist_about_another_centre_is_felt(d, backend):
    plain, twisted = sampled_loss(backend, 0, d, centre=1.0)
    assert abs(plain.mean() - twisted.mean()) > 1e-2
