"""Checks of the statements of the chapter "Meshes", each with a negative control.

For uniform points of a unit sphere with noise of deviation ε, the density has a closed form.
"""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

SEEDS = range(3)
seeds = pytest.mark.parametrize("seed", SEEDS)
NOISES = (0.1, 0.05, 0.025, 0.0125)


def on_sphere(seed, n, d=3):
    """Points of the unit sphere, uniformly."""
    x = np.random.default_rng(seed).normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def log_density(x, epsilon):
    """log p_ε: of a uniform point of the sphere in R³, plus noise of deviation ε."""
    r = np.linalg.norm(x, axis=1)
    k = r / epsilon**2
    # The mean of the normal density over the sphere, with sinh(k)/k without its overflow.
    sphere = np.log1p(-np.exp(-2 * k)) - np.log(2 * k)
    return sphere - (r - 1) ** 2 / (2 * epsilon**2) - 1.5 * np.log(2 * np.pi * epsilon**2)


def test_the_density_is_the_one_that_scipy_has():
    x = 1.3 * on_sphere(0, 50) * np.linspace(0.5, 1.0, 50)[:, None]
    r = np.linalg.norm(x, axis=1)
    squared = stats.ncx2.logpdf((r / 0.3) ** 2, 3, 1 / 0.3**2)
    expected = squared + np.log(2 * r / 0.3**2) - np.log(4 * np.pi * r**2)
    np.testing.assert_allclose(log_density(x, 0.3), expected, rtol=1e-9)


# prop-meshes-noise, part 1


@pytest.mark.statement("prop-meshes-noise")
@seeds
def test_without_noise_the_likelihood_grows_by_log_two_with_each_halving(seed, record_property):
    points = on_sphere(seed, 500)
    found = np.array([log_density(points, epsilon).mean() for epsilon in NOISES])
    error = np.abs(np.diff(found) - np.log(2)).max()  # d − m = 1
    record_property("error", error)
    assert error < 0.01


@pytest.mark.statement("prop-meshes-noise")
@seeds
def test_of_a_curve_and_of_finitely_many_points_it_grows_faster(seed, record_property):
    """d − m = 2 for a circle, and 3 for the training points themselves."""
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, 400)
    knots = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    curve, knots = (np.stack([np.cos(a), np.sin(a), 0 * a], axis=1) for a in (angle, knots))
    for dimensions, points, centres in ((2, curve, knots), (3, curve, curve)):
        found = [kernel_density(points, centres, e).mean() for e in (1e-5, 5e-6)]
        if dimensions == 2:
            found = [kernel_density(points, centres, e).mean() for e in (0.04, 0.02)]
        error = abs(found[1] - found[0] - dimensions * np.log(2))
        record_property("error", error)
        assert error < 0.02


def kernel_density(points, centres, epsilon):
    """log of the mean over the centres of a normal density of deviation ε."""
    squares = ((points[:, None] - centres) ** 2).sum(axis=2) / epsilon**2
    constant = 1.5 * np.log(2 * np.pi * epsilon**2) + np.log(len(centres))
    return logsumexp(-squares / 2, axis=1) - constant


@pytest.mark.statement("prop-meshes-noise", control=True)
@seeds
def test_with_noise_the_same_densities_become_less_likely(seed):
    points = on_sphere(seed, 500)
    noisy = points + 0.05 * np.random.default_rng(seed + 9).normal(size=points.shape)
    found = [log_density(noisy, epsilon).mean() for epsilon in NOISES]
    assert np.argmax(found) == 1, "the best is the one of the noise itself"
    assert found[3] < found[1] - 1.0


# Part 2


@pytest.mark.statement("prop-meshes-noise")
@seeds
def test_with_noise_no_density_exceeds_the_entropy_of_the_noise(seed, record_property):
    sigma, worst = 0.05, -np.inf
    points = on_sphere(seed, 4000)
    noisy = points + sigma * np.random.default_rng(seed + 9).normal(size=points.shape)
    bound = -1.5 * np.log(2 * np.pi * np.e * sigma**2)
    candidates = [log_density(noisy, e) for e in NOISES]
    candidates += [kernel_density(noisy[2000:], noisy[:2000], sigma)]
    learned = GaussianMixture(30, random_state=seed).fit(noisy[:2000])
    candidates += [learned.score_samples(noisy[2000:])]
    for log_prob in candidates:
        error = 2 * log_prob.std() / np.sqrt(len(log_prob))
        worst = max(worst, log_prob.mean() - error - bound)
    record_property("gap", worst)
    assert worst < 0.0


@pytest.mark.statement("prop-meshes-noise", control=True)
@seeds
def test_without_noise_that_bound_is_passed(seed):
    bound = -1.5 * np.log(2 * np.pi * np.e * 0.05**2)
    assert log_density(on_sphere(seed, 500), 1e-5).mean() > bound


# Part 3


def steeper(x, slope, width=0.02):
    """A diffeomorphism of R³ without the origin: r ↦ 1 + ψ(r − 1), ψ(0) = 0, ψ'(0) = slope.

    ψ is the inverse of u ↦ u/slope + (1 − 1/slope) u³/(w² + u²): steep at zero, the identity far
    away, increasing. Bisection finds it.
    """
    r = np.linalg.norm(x, axis=-1)
    low, high = r - 1.5, r - 0.5
    for _ in range(60):
        u = (low + high) / 2
        below = u / slope + (1 - 1 / slope) * u**3 / (width**2 + u**2) < r - 1
        low, high = np.where(below, u, low), np.where(below, high, u)
    return x * ((1 + (low + high) / 2) / r)[..., None]


def log_det(x, slope, h=1e-6):
    """log|det| of its Jacobian at points (n, 3), by central differences."""
    columns = [(steeper(x + e, slope) - steeper(x - e, slope)) / (2 * h) for e in h * np.eye(3)]
    return np.linalg.slogdet(np.stack(columns, axis=-1))[1]


def loss(source, target, slope):
    """Of LRMF without its constant, with the density p_ε of ε = 0.05."""
    moved = steeper(source, slope)
    return -np.mean(log_det(source, slope) + log_density(moved, 0.05)) - np.mean(
        log_density(target, 0.05)
    )


@pytest.mark.statement("prop-meshes-noise")
@seeds
def test_the_loss_falls_by_the_log_of_the_slope_while_no_point_moves(seed, record_property):
    points = on_sphere(seed, 200)
    assert np.abs(steeper(points, 16.0) - points).max() < 1e-12
    losses = [loss(points, points, slope) for slope in (1.0, 4.0, 16.0)]
    error = np.abs(np.diff(losses) + np.log(4)).max()
    record_property("error", error)
    assert error < 1e-3


@pytest.mark.statement("prop-meshes-noise", control=True)
@seeds
def test_with_noise_the_steeper_map_has_the_larger_loss(seed):
    points = on_sphere(seed, 2000)
    noisy = points + 0.05 * np.random.default_rng(seed + 9).normal(size=points.shape)
    assert loss(noisy, noisy, 16.0) > loss(noisy, noisy, 1.0)
