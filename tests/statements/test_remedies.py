"""Checks of the statements of the chapter "Remedies for a flat loss"."""

import numpy as np
import pytest
from scipy import special, stats

from lrmf.theory import mixtures
from lrmf.theory.mixture_optimum import project

# (δ, σ₀) on both sides of σ₀ = δ, on it, and with a single bump.
SHAPES = [(1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (0.0, 1.0), (0.7, 0.6)]

shapes = pytest.mark.parametrize(("delta", "sigma0"), SHAPES)


# prop-vanishing-dimension


def problem(d, seed, *, isotropic):
    rng = np.random.default_rng([d, seed])
    root = 0.4 * rng.normal(size=(d, d)) + np.eye(d)
    covariance, offset = root @ root.T, rng.normal(size=d)
    model = covariance + np.outer(offset, offset)
    if isotropic:
        model = np.trace(model) / d * np.eye(d)
    direction = rng.normal(size=d)
    shift = 3.0 * direction / np.sqrt(direction @ np.linalg.solve(model, direction))
    return covariance, offset, model, shift


@pytest.mark.statement("prop-vanishing-dimension")
@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in (1, 2, 5, 20) for seed in range(3)])
def test_the_loss_in_d_dimensions_is_that_on_the_line(d, seed, isotropic, record_property):
    covariance, offset, model, shift = problem(d, seed, isotropic=isotropic)
    rng = np.random.default_rng([d, seed, 1])
    x = rng.normal(size=(100_000, d)) @ np.linalg.cholesky(covariance).T
    x = x + rng.choice([-1.0, 1.0], size=(len(x), 1)) * offset
    along = np.linalg.solve(model, shift)
    line = project(shift, offset=offset, covariance=covariance, model_covariance=model)
    m = line.mu
    kind = {"delta": line.delta, "sigma0": line.sigma0, "model_variance": 1.0}
    share = special.expit((x - shift / 2) @ along)
    terms = 2 * share * ((shift - x) @ along) / m
    expected = float(np.exp(mixtures.log_gradient(m, **kind)))
    error = abs(terms.mean() - expected) / (terms.std() / np.sqrt(len(x)))
    record_property("error", abs(terms.mean() - expected))
    assert error < 4.5
    if not isotropic:
        assert line.delta**2 + line.sigma0**2 == pytest.approx(1.0, rel=1e-9)


@pytest.mark.statement("prop-vanishing-dimension", control=True)
@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize("seed", range(2))
def test_the_euclidean_distance_is_not_what_counts(d, seed):
    covariance, offset, model, shift = problem(d, seed, isotropic=False)
    other = np.linalg.cholesky(model) @ stats.ortho_group.rvs(d, random_state=seed)[0]
    other = other / np.linalg.norm(other) * np.linalg.norm(shift)
    gradients = []
    for by in (shift, other):
        line = project(by, offset=offset, covariance=covariance)
        kind = {"delta": line.delta, "sigma0": line.sigma0}
        gradients.append(float(mixtures.log_gradient(line.mu, **kind)))
    assert abs(gradients[0] - gradients[1]) > 0.02


# prop-vanishing-plateau


def planar(x, u, omega, b):
    bend = np.tanh(x @ omega + b)
    return x + bend[..., None] * u, np.log1p((1 - bend**2) * (omega @ u))


def plane_map(seed):
    rng = np.random.default_rng(seed)
    u, omega = rng.normal(size=(2, 2))
    u = 1.5 * u / np.linalg.norm(u)
    omega = 0.6 * omega / np.linalg.norm(omega)
    return u, omega, 4 * rng.normal()


def below_plateau(log_a, log_b, u, omega, b, *, mu, reach):
    """2 log 2 − 2 JSD(T(A), B) by a sum over the plane, in x with y = T(x)."""
    first = np.linspace(-reach, mu + reach, 500)
    second = np.linspace(-reach, reach, 300)
    cell = (first[1] - first[0]) * (second[1] - second[0])
    x = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1)
    y, log_det = planar(x, u, omega, b)
    log_p, log_q = log_a(x) - log_det, log_b(y)
    gap = np.zeros(log_p.shape)
    for one, two in ((log_p, log_q), (log_q, log_p)):
        inside = np.isfinite(one)
        gap[inside] += (np.exp(one + log_det) * np.logaddexp(0.0, two - one))[inside]
    return gap.sum() * cell


def disc(center, radius):
    def log_density(x):
        inside = ((x - center) ** 2).sum(-1) < radius**2
        return np.where(inside, -np.log(np.pi * radius**2), -np.inf)

    return log_density


def round_normal(center):
    def log_density(x):
        return -0.5 * ((x - center) ** 2).sum(-1) - np.log(2 * np.pi)

    return log_density


@pytest.mark.statement("prop-vanishing-plateau")
@pytest.mark.parametrize("seed", range(4))
def test_for_disjoint_supports_every_planar_map_leaves_the_loss_at_two_log_two(
    seed, record_property
):
    # Discs of radius 1 whose borders are 1.6 apart, more than |u| = 1.5.
    u, omega, b = plane_map(seed)
    mu = 3.6
    with np.errstate(invalid="ignore"):
        gap = below_plateau(
            disc(np.array([mu, 0.0]), 1.0), disc(np.zeros(2), 1.0), u, omega, b, mu=mu, reach=4.0
        )
    record_property("error", gap)
    assert gap == 0.0


@pytest.mark.statement("prop-vanishing-plateau")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mu", [3.0, 6.0, 12.0])
def test_the_loss_stays_within_the_bound_of_its_plateau(mu, seed):
    u, omega, b = plane_map(seed)
    gap = below_plateau(
        round_normal(np.array([mu, 0.0])), round_normal(np.zeros(2)), u, omega, b, mu=mu, reach=9.0
    )
    radius = np.linalg.norm(u)
    # Half planes x₁ < c for the set S.
    c = np.linspace(-2.0, mu + 2, 200)
    bound = np.sqrt(stats.norm.sf(c)) + np.sqrt(stats.norm.cdf(c + radius - mu))
    assert 0 <= gap <= 2 * np.log(2) * bound.min()
    if mu == 12.0:
        assert gap < 1e-4


@pytest.mark.statement("prop-vanishing-plateau", control=True)
@pytest.mark.parametrize("b", [-3.0, 3.0])
def test_a_map_that_reaches_the_target_changes_the_loss(b):
    # The same discs, and |u| large enough to carry the one onto the other.
    u, omega = np.array([-3.6, 0.0]), np.array([0.0, 0.2])
    mu = 3.6
    with np.errstate(invalid="ignore"):
        gaps = [
            below_plateau(
                disc(np.array([mu, 0.0]), 1.0),
                disc(np.zeros(2), 1.0),
                u,
                omega,
                shift,
                mu=mu,
                reach=6.0,
            )
            for shift in (b, 0.0)
        ]
    assert max(gaps) > 0.5 if b > 0 else gaps[0] == 0.0


# prop-vanishing-noise


@pytest.mark.statement("prop-vanishing-noise")
@shapes
@pytest.mark.parametrize("c", [0.25, 0.5, 1.0])
def test_with_noise_in_proportion_the_gradient_decays_like_one_over_the_distance(
    c, delta, sigma0, record_property
):
    limit = float(mixtures.loss_gradient(1 / c, delta=0.0, sigma0=1.0)) / c
    assert limit > 0
    errors = []
    for mu in (1e2, 1e4):
        noisy = np.hypot(sigma0, c * mu)
        scaled = mu * float(mixtures.loss_gradient(mu, delta=delta, sigma0=noisy))
        errors.append(abs(scaled / limit - 1))
    record_property("error", errors[-1])
    assert errors[1] < 0.1 * errors[0] + 1e-12
    assert errors[1] < 1e-5


@pytest.mark.statement("prop-vanishing-noise", control=True)
@shapes
def test_without_noise_or_with_a_fixed_one_it_decays_faster_than_any_power(delta, sigma0):
    for tau in (0.0, 1.0):
        sigma = np.hypot(sigma0, tau)
        mu = sigma * np.array([100.0, 200.0])
        logs = mixtures.log_gradient(mu, delta=delta, sigma0=sigma)
        # The exponent of a power law between the two distances.
        assert (logs[1] - logs[0]) / np.log(2) < -1000
