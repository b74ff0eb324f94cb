"""Checks of the chapter "Adversarial alignment": discriminators and what they pass on."""

import numpy as np
import pytest
from flow_cases import largest, log_normal
from mpmath import mp
from scipy import integrate, optimize, special, stats

from lrmf.theory import divergences

SEEDS = range(4)

seeds = pytest.mark.parametrize("seed", SEEDS)


# thm-adv-discriminator


def value_of(p_t, p_b, logit):
    """The value V of a discriminator given by its logits, on a finite set."""
    return p_b @ special.log_expit(logit) + p_t @ special.log_expit(-logit)


def histograms(seed, bins):
    rng = np.random.default_rng([seed, bins])
    return rng.dirichlet(np.ones(bins)), rng.dirichlet(np.ones(bins))


bins_and_seeds = pytest.mark.parametrize(
    ("bins", "seed"), [(bins, seed) for bins in (2, 5, 40) for seed in SEEDS]
)


@pytest.mark.statement("thm-adv-discriminator")
@bins_and_seeds
def test_an_optimiser_finds_the_optimal_discriminator(bins, seed, record_property):
    p_t, p_b = histograms(seed, bins)
    end = optimize.minimize(
        lambda h: -value_of(p_t, p_b, h),
        np.zeros(bins),
        jac=lambda h: p_t * special.expit(h) - p_b * special.expit(-h),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    jsd = float(divergences.histogram_jsd(p_t, p_b))
    error = abs(-end.fun - (2 * jsd - np.log(4)))
    record_property("error", error)
    assert error < 1e-9
    seen = p_t + p_b > 1e-3
    assert largest((special.expit(end.x) - p_b / (p_b + p_t))[seen]) < 1e-3


@pytest.mark.statement("thm-adv-discriminator")
@bins_and_seeds
def test_every_discriminator_falls_short_by_the_divergence_of_coins(bins, seed, record_property):
    p_t, p_b = histograms(seed, bins)
    logit = np.random.default_rng(seed).normal(size=bins)
    best, d = p_b / (p_b + p_t), special.expit(logit)
    coins = special.rel_entr(best, d) + special.rel_entr(1 - best, 1 - d)
    short = value_of(p_t, p_b, special.logit(best)) - value_of(p_t, p_b, logit)
    error = abs(short - (p_t + p_b) @ coins)
    record_property("error", error)
    assert error < 1e-12
    assert short > 1e-4


@pytest.mark.statement("thm-adv-discriminator")
@pytest.mark.parametrize("mean", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("std", [0.5, 1.0, 2.0])
def test_the_value_for_densities_is_the_divergence(mean, std, record_property):
    t, b = stats.norm(mean, std), stats.norm(0, 1)

    def integrand(y):
        h = b.logpdf(y) - t.logpdf(y)
        return b.pdf(y) * special.log_expit(h) + t.pdf(y) * special.log_expit(-h)

    value, _ = integrate.quad(integrand, -40, 40, points=[0, mean], limit=400, epsabs=1e-12)
    error = abs(value - 2 * divergences.jsd(t.logpdf, b.logpdf) + np.log(4))
    record_property("error", error)
    assert error < 1e-8
    # −log 4 belongs to alignment, and to nothing else.
    assert (value < -np.log(4) + 1e-8) == (mean == 0.0 and std == 1.0)


@pytest.mark.statement("thm-adv-discriminator", control=True)
@seeds
def test_linear_discriminators_do_not_reach_the_divergence(seed):
    t, b = stats.norm(0, 1), stats.norm(0.5, 0.3 + 0.1 * seed)
    x = np.linspace(-6, 6, 2001)
    p_t, p_b = (v.pdf(x) / v.pdf(x).sum() for v in (t, b))
    end = optimize.minimize(lambda w: -value_of(p_t, p_b, w[0] * x + w[1]), np.zeros(2))
    jsd = float(divergences.histogram_jsd(p_t, p_b))
    assert -end.fun < 2 * jsd - np.log(4) - 0.02


# prop-adv-losses


BEADS = ((-1.5, 0.6), (1.0, 0.8))


def log_target(y):
    return np.logaddexp(*(log_normal(y, *bead) for bead in BEADS)) - np.log(2)


def log_moved(y, shift, log_scale):
    return log_normal(y, shift, np.exp(log_scale))


def expectation(function):
    value, _ = integrate.quad(
        lambda a: np.exp(log_normal(a, 0.0, 1.0)) * function(a), -12, 12, limit=400, epsabs=1e-12
    )
    return value


def forces(shift, log_scale, logit_slope, logit):
    """Gradients of both losses by shift and log-scale of T(a) = e^k a + shift."""
    scale = np.exp(log_scale)

    def gradient(weight):
        def felt(a):
            y = scale * a + shift
            return weight(logit(y)) * logit_slope(y)

        by_shift = -expectation(felt)
        by_log_scale = -expectation(lambda a: scale * a * felt(a))
        return np.array([by_shift, by_log_scale])

    return gradient(special.expit), gradient(lambda h: special.expit(-h))


def optimal_logit(shift, log_scale):
    def logit(y):
        return log_target(y) - log_moved(y, shift, log_scale)

    def slope(y, h=1e-5):
        return (logit(y + h) - logit(y - h)) / (2 * h)

    return slope, logit


def slopes_of(divergence, shift, log_scale, h=1e-4):
    return np.array(
        [
            (
                divergence(shift + h * e, log_scale + h * k)
                - divergence(shift - h * e, log_scale - h * k)
            )
            / (2 * h)
            for e, k in ((1, 0), (0, 1))
        ]
    )


def twice_jsd(shift, log_scale):
    return 2 * divergences.jsd(
        lambda y: log_moved(y, shift, log_scale), log_target, support=(-40, 40)
    )


def kl(shift, log_scale):
    return divergences.kl(lambda y: log_moved(y, shift, log_scale), log_target, support=(-40, 40))


maps = pytest.mark.parametrize(("shift", "log_scale"), [(0.5, 0.0), (-1.0, 0.4), (2.0, -0.5)])


@pytest.mark.statement("prop-adv-losses")
@maps
def test_an_optimal_discriminator_passes_the_gradients_of_divergences(
    shift, log_scale, record_property
):
    saturating, other = forces(shift, log_scale, *optimal_logit(shift, log_scale))
    by_jsd, by_kl = (slopes_of(f, shift, log_scale) for f in (twice_jsd, kl))
    error = max(largest(saturating - by_jsd), largest(other - (by_kl - by_jsd)))
    record_property("error", error)
    assert error < 1e-5
    assert largest(by_jsd) > 0.05


@pytest.mark.statement("prop-adv-losses")
@maps
def test_gradients_for_a_fixed_discriminator_are_those_of_the_losses(
    shift, log_scale, record_property
):
    def logit(y):
        return np.sin(2 * y) - 0.3 * y

    def slope(y):
        return 2 * np.cos(2 * y) - 0.3

    def loss(sign):
        return lambda m, k: (
            sign * expectation(lambda a: special.log_expit(-sign * logit(np.exp(k) * a + m)))
        )

    saturating, other = forces(shift, log_scale, slope, logit)
    error = max(
        largest(saturating - slopes_of(loss(1), shift, log_scale)),
        largest(other - slopes_of(loss(-1), shift, log_scale)),
    )
    record_property("error", error)
    assert error < 1e-6


@pytest.mark.statement("prop-adv-losses", control=True)
@maps
def test_a_discriminator_for_another_map_passes_other_gradients(shift, log_scale):
    stale = optimal_logit(shift + 0.7, log_scale)
    saturating, other = forces(shift, log_scale, *stale)
    by_jsd, by_kl = (slopes_of(f, shift, log_scale) for f in (twice_jsd, kl))
    assert largest(saturating - by_jsd) > 0.05
    assert largest(other - (by_kl - by_jsd)) > 0.05


# prop-adv-saturation


def saturating(phi):
    value, _ = integrate.quad(
        lambda s: np.exp(-2 * (s / phi) ** 2) / np.cosh(s), 0, 60, epsabs=0, epsrel=1e-12
    )
    return np.exp(-(phi**2) / 8) * 2 * value / np.sqrt(2 * np.pi)


LAW = np.sqrt(np.pi / 2)


@pytest.mark.statement("prop-adv-saturation")
@pytest.mark.parametrize("phi", [0.3, 1.0, 2.5, 6.0, 15.0, 40.0])
def test_the_saturating_gradient_has_this_integral(phi, record_property):
    with mp.workdps(40):
        x = mp.mpf(phi)

        def integrand(y):
            # φ p_T D*, times e^(φ²/8): mpmath aims at an absolute error.
            p_t, p_b = mp.npdf(y, x, 1), mp.npdf(y, 0, 1)
            return x * mp.exp(x**2 / 8) * p_t * p_b / (p_t + p_b)

        # The integrand peaks half way, with a width of one or of 1/φ, whichever is smaller.
        width = min(mp.mpf(1), 4 / x)
        ends = [x / 2 + k * width for k in (-14, -9, -6, -4, -2, -1, 0, 1, 2, 4, 6, 9, 14)]
        exact = float(mp.quad(integrand, ends))
    error = abs(saturating(phi) * np.exp(phi**2 / 8) / exact - 1)
    record_property("error", error)
    assert error < 1e-8


@pytest.mark.statement("prop-adv-saturation")
def test_the_law_bounds_the_gradient_and_is_reached():
    phi = np.geomspace(0.1, 35, 40)
    share = np.array([saturating(p) for p in phi]) / (LAW * np.exp(-(phi**2) / 8))
    assert np.all(share < 1)
    assert np.all(np.diff(share) > 0)
    assert share[-1] > 0.99


@pytest.mark.statement("prop-adv-saturation")
@pytest.mark.parametrize("phi", [0.5, 2.0, 5.0])
def test_both_gradients_are_those_of_the_divergences(phi, record_property):
    def two_jsd(p):
        return 2 * divergences.jsd(stats.norm(p).logpdf, stats.norm().logpdf)

    h = 1e-3
    by_jsd = (
        8 * (two_jsd(phi + h) - two_jsd(phi - h)) - two_jsd(phi + 2 * h) + two_jsd(phi - 2 * h)
    ) / (12 * h)
    error = abs(by_jsd / saturating(phi) - 1)
    record_property("error", error)
    assert error < 1e-5
    # KL(T(A) ‖ B) = φ²/2, so that the non-saturating gradient is φ minus the other one.
    by_kl = (
        divergences.gaussian_kl_1d(phi + h, 1.0, 0.0, 1.0)
        - divergences.gaussian_kl_1d(phi - h, 1.0, 0.0, 1.0)
    ) / (2 * h)
    assert float(by_kl) == pytest.approx(phi, rel=1e-9)


@pytest.mark.statement("prop-adv-saturation", control=True)
@pytest.mark.parametrize("std", [0.5, 2.0])
def test_other_widths_have_another_law(std):
    phi = 6.0
    t, b = stats.norm(phi, std), stats.norm(0, 1)

    def integrand(a):
        y = phi + std * a
        h = b.logpdf(y) - t.logpdf(y)
        return stats.norm.pdf(a) * special.expit(h) * (y - (y - phi) / std**2)

    value, _ = integrate.quad(integrand, -14, 14, points=[-phi / std / 2], limit=400)
    assert not 0.5 < abs(value) / (LAW * np.exp(-(phi**2) / 8)) < 1


# prop-adv-perfect


@pytest.mark.statement("prop-adv-perfect")
@pytest.mark.parametrize("epsilon", [0.3, 1e-2, 1e-5])
@seeds
def test_a_nearly_perfect_discriminator_passes_almost_nothing(seed, epsilon, record_property):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(500, 2))
    # T(a) = a + M(a) φ at φ = 0, with |M| ≤ K on the sample's average.
    slopes = rng.normal(size=(500, 2, 3))
    bound = np.linalg.norm(slopes, axis=(1, 2)).mean()
    frequency = rng.normal(size=2)
    frequency /= np.linalg.norm(frequency)

    def discriminator(y):
        return epsilon * (1 + np.sin(y @ frequency)) / 2

    size = discriminator(a)
    gradient_d = epsilon / 2 * np.cos(a @ frequency)[:, None] * frequency
    assert size.max() <= epsilon
    assert np.linalg.norm(gradient_d, axis=1).max() <= epsilon
    gradient = -np.einsum("nij,ni->nj", slopes, gradient_d / (1 - size)[:, None]).mean(axis=0)

    def loss(phi):
        return np.log1p(-discriminator(a + slopes @ phi)).mean()

    h = 1e-5
    numbers = np.array([(loss(h * e) - loss(-h * e)) / (2 * h) for e in np.eye(3)])
    error = largest(gradient - numbers)
    record_property("error", error)
    assert error < 1e-8
    assert np.linalg.norm(gradient) <= epsilon / (1 - epsilon) * bound


@pytest.mark.statement("prop-adv-perfect")
@pytest.mark.parametrize("gap", [0.1, 1.0])
def test_disjoint_supports_have_a_perfect_discriminator_with_no_gradient(gap):
    a, b = np.linspace(0, 1, 201), np.linspace(1 + gap, 2 + gap, 201)

    def bump(t):
        return np.where(t > 0, np.exp(-1 / np.maximum(t, 1e-300)), 0.0)

    def discriminator(y):
        t = (y - 1 - gap / 4) / (gap / 2)
        return bump(t) / (bump(t) + bump(1 - t))

    assert np.log(discriminator(b)).mean() + np.log1p(-discriminator(a)).mean() == 0.0
    for phi in (-gap / 10, gap / 10):
        assert np.log1p(-discriminator(a + phi)).mean() == 0.0


@pytest.mark.statement("prop-adv-perfect", control=True)
@pytest.mark.parametrize("epsilon", [1e-1, 1e-2, 1e-3])
def test_small_values_without_small_slopes_pass_a_gradient(epsilon):
    a = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    frequency = 1 / epsilon
    slope = np.cos(frequency * a) / 2  # of D = ε (1 + sin(y/ε)) / 2, no larger than ε
    # A map that moves each point uphill: E |∂T/∂φ| = K = 1.
    gradient = -np.mean(np.sign(slope) * slope)
    assert abs(gradient) > 2 * epsilon / (1 - epsilon)
