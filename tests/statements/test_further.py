"""Checks of "More flows, more critics"."""

import numpy as np
import pytest
from scipy import optimize, stats

seeds = pytest.mark.parametrize("seed", range(5))
GRID = np.linspace(-12.0, 12.0, 4001)
STEP = GRID[1] - GRID[0]


class Diffused:
    """A mixture of normal laws of the line, and its law under alpha x + sigma noise."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.shares = rng.dirichlet([4.0, 4.0, 4.0])
        self.means, self.scales = 2.0 * rng.normal(size=3), rng.uniform(0.4, 1.0, size=3)

    def parts(self, z, alpha, sigma):
        scales = np.sqrt(alpha**2 * self.scales**2 + sigma**2)
        return self.shares * stats.norm(alpha * self.means, scales).pdf(z[:, None]), scales

    def pdf(self, z, alpha, sigma):
        return self.parts(z, alpha, sigma)[0].sum(axis=1)

    def score(self, z, alpha, sigma):
        weights, scales = self.parts(z, alpha, sigma)
        slopes = -(z[:, None] - alpha * self.means) / scales**2
        return (weights * slopes).sum(axis=1) / weights.sum(axis=1)

    def mean_noise(self, z, alpha, sigma):
        """E[noise | z], by the conditional laws of the parts: without any score."""
        weights, scales = self.parts(z, alpha, sigma)
        noise = sigma * (z[:, None] - alpha * self.means) / scales**2
        return (weights * noise).sum(axis=1) / weights.sum(axis=1)


def variance_preserving(t):
    return np.exp(-t), np.sqrt(-np.expm1(-2.0 * t))


def transported(law, t, share, h=1e-4):
    """The rate of p_t, and that which the flow -x - share score would give it."""
    ahead, behind = (law.pdf(GRID, *variance_preserving(t + s)) for s in (h, -h))
    alpha, sigma = variance_preserving(t)
    flux = law.pdf(GRID, alpha, sigma) * (-GRID - share * law.score(GRID, alpha, sigma))
    return (ahead - behind) / (2.0 * h), -np.gradient(flux, STEP, edge_order=2)


# prop-mf-probability-flow


@pytest.mark.statement("prop-mf-probability-flow")
@pytest.mark.parametrize("t", [0.1, 0.5, 1.5])
@seeds
def test_the_probability_flow_carries_the_densities_of_the_diffusion(seed, t, record_property):
    # With f = -x and g² = 2; the diffusion's law is known in closed form.
    rate, found = transported(Diffused(seed), t, share=1.0)
    error = np.abs(rate - found).max()
    record_property("error", error)
    assert error < 0.01 * np.abs(rate).max()


@pytest.mark.statement("prop-mf-probability-flow", control=True)
@pytest.mark.parametrize("share", [0.0, 2.0])
@seeds
def test_without_the_half_it_does_not(seed, share):
    rate, found = transported(Diffused(seed), 0.5, share=share)
    assert np.abs(rate - found).max() > 0.2 * np.abs(rate).max()


# prop-mf-matching

SCHEDULES = {
    "diffusion": variance_preserving,
    "straight": lambda t: (1.0 - t, t),
    "trigonometric": lambda t: (np.cos(1.5 * t), np.sin(1.5 * t)),
}


def fields(law, schedule, t, h=1e-6):
    """The mean speed by conditional laws, and by the score; z, and both schedules' values."""
    z = np.linspace(-3.0, 3.0, 121)
    (alpha, sigma), ahead, behind = (np.array(schedule(t + s)) for s in (0.0, h, -h))
    speed = (ahead - behind) / (2.0 * h)
    noise = law.mean_noise(z, alpha, sigma)
    mean_speed = speed[0] * (z - sigma * noise) / alpha + speed[1] * noise
    ratio = speed[0] / alpha
    score = law.score(z, alpha, sigma)
    return mean_speed, ratio * z + sigma * (ratio * sigma - speed[1]) * score, z, score


@pytest.mark.statement("prop-mf-matching")
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("t", [0.2, 0.5, 0.8])
@seeds
def test_the_mean_speed_is_the_field_of_the_score(seed, t, name, record_property):
    speed, expected, z, score = fields(Diffused(seed), SCHEDULES[name], t)
    error = np.abs(speed - expected).max()
    record_property("error", error)
    assert error < 1e-7
    if name == "diffusion":
        np.testing.assert_allclose(speed, -z - score, atol=1e-6)


@pytest.mark.statement("prop-mf-matching", control=True)
@seeds
def test_for_pairs_that_depend_on_each_other_it_is_not(seed):
    # Noise that is the increasing function of a normal point x: one law, but one joint one.
    law, (alpha, sigma) = Diffused(seed), (0.5, 0.5)
    law.shares = np.array([1.0, 0.0, 0.0])
    mean, scale = law.means[0], law.scales[0]
    noise = np.random.default_rng(seed).normal(size=1000)
    x = mean + scale * noise
    z, speed = alpha * x + sigma * noise, -x + noise  # of the straight path, at its middle
    scales = law.parts(z, alpha, sigma)[1]
    score = -(z - alpha * mean) / scales[0] ** 2
    expected = -z / alpha + sigma * (-sigma / alpha - 1.0) * score
    assert np.abs(speed - expected).max() > 0.1


# prop-mf-penalty


def penalised(slopes, gap, weight):
    """The objective of two points at a distance, of a critic with these slopes between them."""
    return (gap * slopes - weight * (np.abs(slopes) - 1.0) ** 2).mean()


@pytest.mark.statement("prop-mf-penalty")
@pytest.mark.parametrize("gap", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("weight", [0.5, 10.0])
@seeds
def test_two_points_have_equality(seed, gap, weight, record_property):
    start = np.random.default_rng(seed).uniform(0.2, 3.0, size=20)
    found = optimize.minimize(lambda s: -penalised(s, gap, weight), start, options={"gtol": 1e-9})
    error = abs(-found.fun - (gap + gap**2 / (4.0 * weight)))
    record_property("error", error)
    assert error < 1e-6 * gap
    np.testing.assert_allclose(found.x, 1.0 + gap / (2.0 * weight), rtol=1e-3)


@pytest.mark.statement("prop-mf-penalty")
@seeds
def test_a_best_critic_made_steeper_attains_the_bound_between_clouds(seed, record_property):
    # On the line f* is x where B is to the right of A: slope one everywhere.
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=500), 3.0 + rng.uniform(size=500)
    distance = stats.wasserstein_distance(a, b)
    values = [s * (b.mean() - a.mean()) - 10.0 * (s - 1.0) ** 2 for s in np.linspace(0, 3, 30_001)]
    error = abs(max(values) - distance - distance**2 / 40.0)
    record_property("error", error)
    assert error < 1e-6


@pytest.mark.statement("prop-mf-penalty", control=True)
@pytest.mark.parametrize("gap", [1.0, 5.0])
def test_a_critic_that_keeps_the_limit_stays_below(gap):
    slopes = np.linspace(0.0, 1.0, 50)
    best = max(penalised(np.full(20, s), gap, 10.0) for s in slopes)
    assert best <= gap < gap + gap**2 / 40.0 - 1e-3
