"""Checks of the statements of the chapter "Adversarial alignment", each with a negative control."""

from functools import cache

import numpy as np
import pytest
from mpmath import mp
from scipy import integrate, linalg, optimize, special, stats

import lrmf
from lrmf.theory import divergences, gaussian

SEEDS = range(4)

seeds = pytest.mark.parametrize("seed", SEEDS)
spreads = pytest.mark.parametrize("s", [0.1, 0.3, 0.5, 1.0, 1.3])


def worst(values):
    return float(np.max(np.abs(values)))


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
    assert worst((special.expit(end.x) - p_b / (p_b + p_t))[seen]) < 1e-3


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
    return special.logsumexp([stats.norm.logpdf(y, m, s) for m, s in BEADS], axis=0) - np.log(2)


def log_moved(y, shift, log_scale):
    return stats.norm.logpdf(y, shift, np.exp(log_scale))


def expectation(function):
    value, _ = integrate.quad(
        lambda a: stats.norm.pdf(a) * function(a), -12, 12, limit=400, epsabs=1e-12
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
    error = max(worst(saturating - by_jsd), worst(other - (by_kl - by_jsd)))
    record_property("error", error)
    assert error < 1e-5
    assert worst(by_jsd) > 0.05


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
        worst(saturating - slopes_of(loss(1), shift, log_scale)),
        worst(other - slopes_of(loss(-1), shift, log_scale)),
    )
    record_property("error", error)
    assert error < 1e-6


@pytest.mark.statement("prop-adv-losses", control=True)
@maps
def test_a_discriminator_for_another_map_passes_other_gradients(shift, log_scale):
    stale = optimal_logit(shift + 0.7, log_scale)
    saturating, other = forces(shift, log_scale, *stale)
    by_jsd, by_kl = (slopes_of(f, shift, log_scale) for f in (twice_jsd, kl))
    assert worst(saturating - by_jsd) > 0.05
    assert worst(other - (by_kl - by_jsd)) > 0.05


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
    error = worst(gradient - numbers)
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


# prop-adv-clipping


def samples(d, seed):
    rng = np.random.default_rng([d, seed])
    moved = rng.normal(size=(40, d))
    target = rng.normal(size=(40, d)) * rng.uniform(0.3, 2.0, size=d) + 0.3 * rng.normal(size=d)
    return moved, target


def critic_gap(parameters, c, d, moved, target):
    """The value of a critic of one hidden layer, its parameters clipped to [−c, c]."""
    w = np.clip(parameters.reshape(-1, d + 2), -c, c)

    def critic(x):
        return np.maximum(x @ w[:, :d].T + w[:, d], 0) @ w[:, d + 1]

    return critic(target).mean() - critic(moved).mean()


def best_hinge(d, moved, target, seed):
    """Δ and its hinge: the difference is piecewise linear, so ascents from many starts find it."""
    rng = np.random.default_rng(seed)

    def gap(u):
        hinge = [np.maximum(x @ u[:d] + u[d], 0).mean() for x in (target, moved)]
        return hinge[0] - hinge[1]

    best = 0.0, np.zeros(d + 1)
    for sign in (1, -1):
        for _ in range(12):
            end = optimize.minimize(
                lambda u, s=sign: -s * gap(u),
                rng.uniform(-1, 1, size=d + 1),
                bounds=[(-1, 1)] * (d + 1),
                method="Powell",
            )
            if -end.fun > best[0]:
                best = -end.fun, np.append(end.x, sign)
    return best


@pytest.mark.statement("prop-adv-clipping")
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_no_clipped_critic_beats_one_hinge_repeated(d, seed, record_property):
    moved, target = samples(d, seed)
    delta, unit = best_hinge(d, moved, target, seed)
    rng = np.random.default_rng(seed)
    for units, c in ((3, 1.0), (8, 0.1)):
        bound = units * c**2 * delta
        same = np.tile(c * unit, units)
        error = abs(critic_gap(same, c, d, moved, target) / bound - 1)
        record_property("error", error)
        assert error < 1e-9
        for _ in range(3):
            end = optimize.minimize(
                lambda p, c=c: -critic_gap(p, c, d, moved, target),
                rng.uniform(-c, c, size=units * (d + 2)),
                bounds=[(-c, c)] * (units * (d + 2)),
                method="L-BFGS-B",
            )
            assert -end.fun <= bound * (1 + 1e-6)


def steepest(weights, x=1.0):
    """Output of a network of rectifiers without biases at x > 0, divided by x: its slope there."""
    signal = weights[0] @ np.array([x])
    for matrix in weights[1:]:
        signal = matrix @ np.maximum(signal, 0)
    return float(signal[0]) / x


@pytest.mark.statement("prop-adv-clipping")
@pytest.mark.parametrize("layers", [2, 3, 5])
@pytest.mark.parametrize("c", [0.01, 0.3])
@seeds
def test_slopes_of_deep_clipped_networks_are_bounded(seed, c, layers, record_property):
    rng, units = np.random.default_rng([seed, layers]), 7
    shapes = [(units, 1), *[(units, units)] * (layers - 2), (1, units)]
    bound = c * (c * units) ** (layers - 1)
    for _ in range(50):
        weights = [rng.uniform(-c, c, size=shape) for shape in shapes]
        assert abs(steepest(weights)) <= bound
        assert abs(steepest([weights[0] * -1, *weights[1:]])) <= bound
    error = abs(steepest([np.full(shape, c) for shape in shapes]) / bound - 1)
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("prop-adv-clipping", control=True)
@seeds
def test_with_a_limit_on_slopes_one_hinge_is_not_enough(seed):
    rng = np.random.default_rng(seed)
    moved = np.sort(rng.normal(size=300))
    target = np.sort(np.append(rng.normal(-1.5, 0.4, size=210), rng.normal(3.5, 0.4, size=90)))
    points = np.sort(np.append(moved, target))
    gap = np.searchsorted(moved, points, side="right") / 300
    gap = gap - np.searchsorted(target, points, side="right") / 300
    # Units at every point, slopes ±1: the critic of W₁. A clipped one is a single hinge.
    values = np.append(0.0, np.cumsum(np.sign(gap[:-1]) * np.diff(points)))
    many = np.interp(target, points, values).mean() - np.interp(moved, points, values).mean()
    hinges = [
        np.maximum(sign * (x[:, None] - points), 0).mean(axis=0)
        for sign in (1, -1)
        for x in (target, moved)
    ]
    one = max(worst(hinges[0] - hinges[1]), worst(hinges[2] - hinges[3]))
    assert many == pytest.approx(stats.wasserstein_distance(moved, target), rel=1e-9)
    assert many > 1.3 * one


# prop-adv-power


def power_iteration(matrix, start, steps):
    v, estimates = start / np.linalg.norm(start), []
    for _ in range(steps):
        u = matrix @ v
        estimates.append(np.linalg.norm(u))
        v = matrix.T @ u
        v /= np.linalg.norm(v)
    return np.array(estimates)


shapes = pytest.mark.parametrize("shape", [(2, 2), (5, 3), (3, 8), (30, 30)])


@pytest.mark.statement("prop-adv-power")
@shapes
@seeds
def test_power_iteration_rises_to_the_spectral_norm_at_its_rate(seed, shape, record_property):
    rng = np.random.default_rng([seed, *shape])
    matrix, start = rng.normal(size=shape), rng.normal(size=shape[1])
    estimates = power_iteration(matrix, start, 3000)
    exact = np.linalg.norm(matrix, 2)
    error = abs(estimates[-1] / exact - 1)
    record_property("error", error)
    assert error < 1e-9
    assert np.all(np.diff(estimates) > -1e-12 * exact)
    assert estimates.max() <= exact * (1 + 1e-12)
    _, singular, right = linalg.svd(matrix)
    components = right @ (start / np.linalg.norm(start))
    tan2 = (components[1:] ** 2).sum() / components[0] ** 2
    rate = (singular[1] / singular[0]) ** (4.0 * np.arange(3000))
    assert np.all(1 - (estimates / exact) ** 2 <= tan2 * rate + 1e-12)


@pytest.mark.statement("prop-adv-power", control=True)
@pytest.mark.parametrize("shape", [(5, 3), (6, 6)])
@seeds
def test_a_start_at_a_right_angle_finds_the_second_singular_value(seed, shape):
    rng = np.random.default_rng([seed, *shape])
    left, singular, right = linalg.svd(rng.normal(size=shape), full_matrices=False)
    singular[0] = 1.5 * singular[1]
    matrix = left * singular @ right
    # A handful of steps: rounding would bring the first vector back in the end.
    estimates = power_iteration(matrix, right[1] + 0.5 * right[2], 12)
    assert estimates[-1] < 1.01 * singular[1] < np.linalg.norm(matrix, 2) / 1.3


# thm-adv-bilinear


def bilinear(z):
    return np.array([z[1], -z[0]])


@pytest.mark.statement("thm-adv-bilinear")
@pytest.mark.parametrize("eta", [0.01, 0.3, 1.0, 3.0])
@seeds
def test_simultaneous_steps_spiral_outwards(seed, eta, record_property):
    z, errors = np.random.default_rng(seed).normal(size=2), []
    for _ in range(50):
        after = z + eta * bilinear(z)
        errors.append((after @ after) / (z @ z) / (1 + eta**2) - 1)
        z = after
    record_property("error", worst(errors))
    assert worst(errors) < 1e-12


@pytest.mark.statement("thm-adv-bilinear")
@pytest.mark.parametrize("eta", [0.01, 0.3, 1.0, 1.9])
@seeds
def test_alternating_steps_stay_on_an_ellipse(seed, eta, record_property):
    phi, psi = np.random.default_rng(seed).normal(size=2)
    level = phi**2 + eta * phi * psi + psi**2
    values = []
    for _ in range(2000):
        phi = phi + eta * psi
        psi = psi - eta * phi
        values.append(phi**2 + eta * phi * psi + psi**2)
    error = worst(np.array(values) / level - 1)
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("thm-adv-bilinear")
@seeds
def test_in_continuous_time_the_players_go_round(seed, record_property):
    z = np.random.default_rng(seed).normal(size=2)
    end = integrate.solve_ivp(
        lambda _, y: bilinear(y), (0, 2 * np.pi), z, rtol=1e-11, atol=1e-12, dense_output=True
    )
    radius = (end.sol(np.linspace(0, 2 * np.pi, 100)) ** 2).sum(axis=0)
    error = max(worst(end.y[:, -1] - z), worst(radius - z @ z))
    record_property("error", error)
    assert error < 1e-8
    assert worst(end.sol(np.pi) + z) < 1e-8


@pytest.mark.statement("thm-adv-bilinear", control=True)
@pytest.mark.parametrize("eta", [0.1, 0.5])
@seeds
def test_a_game_with_friction_converges(seed, eta):
    z = np.random.default_rng(seed).normal(size=2)
    for _ in range(400):
        z = z + eta * (bilinear(z) - np.array([0.0, z[1]]))
    assert np.linalg.norm(z) < 1e-3


# prop-adv-logistic


@cache
def data_with(s, law):
    """Nodes and weights of a law with mean zero and variance s²."""
    if law == "normal":
        x, weight = np.polynomial.hermite_e.hermegauss(80)
        return s * x, weight / weight.sum()
    if law == "skewed":
        return s * np.array([2.0, -0.5]), np.array([0.2, 0.8])
    x, weight = np.polynomial.legendre.leggauss(40)
    return s * np.sqrt(3) * x, weight / 2


def game_field(z, s, law, saturating=True):
    x, weight = data_with(s, law)
    phi, psi = z
    seen = special.expit(psi * (x + phi))
    forger = psi * weight @ (seen if saturating else 1 - seen)
    detective = weight @ (special.expit(-psi * x) * x) - weight @ (seen * (x + phi))
    return np.array([forger, detective])


def jacobian_at_zero(field, h=1e-4):
    columns = [
        (8 * (field(e) - field(-e)) - field(2 * e) + field(-2 * e)) / (12 * h)
        for e in h * np.eye(2)
    ]
    return np.stack(columns, axis=1)


laws = pytest.mark.parametrize("law", ["normal", "uniform", "skewed"])


@pytest.mark.statement("prop-adv-logistic")
@laws
@spreads
@pytest.mark.parametrize("saturating", [True, False])
def test_the_jacobian_of_the_logistic_game(s, law, saturating, record_property):
    jacobian = jacobian_at_zero(lambda z: game_field(z, s, law, saturating))
    closed = np.array([[0, 0.5], [-0.5, -(s**2) / 2]])
    eigenvalues = np.sort_complex(np.linalg.eigvals(jacobian))
    root = np.sqrt(complex(s**4 - 4))
    expected = np.sort_complex(np.array([-(s**2) - root, -(s**2) + root]) / 4)
    error = max(worst(jacobian - closed), worst(eigenvalues - expected))
    record_property("error", error)
    assert error < 1e-8
    eta = 0.7
    multiplier = np.abs(1 + eta * eigenvalues) ** 2
    assert worst(multiplier - (1 - eta * s**2 / 2 + eta**2 / 4)) < 1e-8


@pytest.mark.statement("prop-adv-logistic")
@laws
@pytest.mark.parametrize("s", [0.3, 0.5, 0.7])
def test_the_step_decides_between_approach_and_escape(s, law):
    for share, closer in ((0.5, True), (1.8, False)):
        eta = share * 2 * s**2
        z = np.array([1e-3, 0.0])
        rate = 1 - eta * s**2 / 2 + eta**2 / 4
        n = int(np.ceil(np.log(100.0) / abs(np.log(rate))))
        for _ in range(n):
            z = z + eta * game_field(z, s, law)
        assert (np.linalg.norm(z) < 3e-4) == closer
        assert (np.linalg.norm(z) > 3e-3) == (not closer)


@pytest.mark.statement("prop-adv-logistic", control=True)
@pytest.mark.parametrize("eta", [0.01, 0.1, 0.5])
def test_point_masses_have_no_stable_step(eta):
    jacobian = jacobian_at_zero(lambda z: game_field(z, 0.0, "normal"))
    assert np.all(np.abs(1 + eta * np.linalg.eigvals(jacobian)) > 1 + eta**2 / 9)


# prop-adv-minimisation


def lrmf_loss(z, s):
    return np.log1p(((z[0] - z[1]) ** 2 + z[1] ** 2) / (2 * s**2))


def lrmf_gradient(z, s):
    inside = 2 * s**2 + (z[0] - z[1]) ** 2 + z[1] ** 2
    return np.array([2 * (z[0] - z[1]), 2 * (2 * z[1] - z[0])]) / inside


def smoothness(s):
    return (3 + np.sqrt(5)) / (2 * s**2)


@pytest.mark.statement("prop-adv-minimisation")
@pytest.mark.parametrize("backend", ["jax", "tfp"])
@pytest.mark.parametrize("s", [0.5, 1.3])
@seeds
def test_the_loss_of_the_text_is_that_of_the_library(seed, s, backend, record_property):
    rng = np.random.default_rng(seed)
    phi, mean = rng.normal(size=2)
    a = rng.normal(size=400)
    a = s * ((a - a.mean()) / a.std())[:, None]
    backend = lrmf.get_backend(backend)
    shift = {"matrix": np.eye(1), "shift": np.array([phi])}
    best = s**2 + ((phi - mean) ** 2 + mean**2) / 2
    shared = backend.density(
        lrmf.Gaussian(), gaussian.density_arrays([mean], [[best]]), dtype="float64"
    )
    value = lrmf.lrmf_loss(
        backend.flow(lrmf.Affine(), shift, dtype="float64"),
        shared,
        a,
        a,
        constant=float(gaussian.constant([[s**2]], [[s**2]])),
    )
    error = abs(float(value) - lrmf_loss((phi, mean), s))
    record_property("error", error)
    assert error < 1e-10
    least = optimize.minimize_scalar(lambda m: lrmf_loss((phi, m), s)).fun
    closed = gaussian.loss_1d(1.0, phi, mean_a=0.0, std_a=s, mean_b=0.0, std_b=s)
    assert least == pytest.approx(float(closed), abs=1e-10)


@pytest.mark.statement("prop-adv-minimisation")
@spreads
@seeds
def test_the_jacobian_is_symmetric_and_bounded(seed, s, record_property):
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(20):
        z = s * 2 * rng.normal(size=2)
        h = 1e-5 * s
        columns = [
            (lrmf_gradient(z + e, s) - lrmf_gradient(z - e, s)) / (2 * h) for e in h * np.eye(2)
        ]
        hessian = np.stack(columns, axis=1)
        errors.append((hessian - hessian.T)[0, 1] * s**2)
        assert worst(np.linalg.eigvals(-hessian).imag) < 1e-6 / s**2
        assert worst(np.linalg.eigvalsh((hessian + hessian.T) / 2)) <= smoothness(s) * (1 + 1e-6)
    record_property("error", worst(errors))
    assert worst(errors) < 1e-6


@pytest.mark.statement("prop-adv-minimisation")
@spreads
@seeds
def test_gradient_steps_descend_as_promised(seed, s):
    rng = np.random.default_rng(seed)
    beta = smoothness(s)
    for share in (0.2, 1.0, 1.9):
        eta = share / beta
        z = 3 * rng.normal(size=2)
        for _ in range(300):
            gradient = lrmf_gradient(z, s)
            after = z - eta * gradient
            promised = eta * (1 - eta * beta / 2) * gradient @ gradient
            assert lrmf_loss(after, s) <= lrmf_loss(z, s) - promised + 1e-12
            z = after
    start = np.array([1.0, 0.0])
    end = integrate.solve_ivp(lambda _, y: -lrmf_gradient(y, s), (0, 60 * s**2 + 20), start)
    losses = np.array([lrmf_loss(y, s) for y in end.y.T])
    assert np.all(np.diff(losses) < 1e-9)


@pytest.mark.statement("prop-adv-minimisation", control=True)
@pytest.mark.parametrize("s", [0.1, 0.3, 0.5])
def test_the_field_of_a_game_is_not_symmetric_and_does_not_descend(s):
    def field(z):
        return game_field(z, s, "normal")

    jacobian = jacobian_at_zero(field)
    assert jacobian[0, 1] - jacobian[1, 0] == pytest.approx(1.0, abs=1e-6)
    assert worst(np.linalg.eigvals(jacobian).imag) > 0.4
    # From (1, 0) the forger first stands still, and later is carried past the solution.
    path = integrate.solve_ivp(lambda _, y: field(y), (0, 15), [1.0, 0.0], max_step=0.05).y
    assert path[0].min() < -0.3
    # A step larger than 2/β is not safe for a minimisation either.
    eta, z = 2.3 / smoothness(s), 1e-3 * np.array([1.0, -1.618])
    after = z - eta * lrmf_gradient(z, s)
    assert lrmf_loss(after, s) > lrmf_loss(z, s)
