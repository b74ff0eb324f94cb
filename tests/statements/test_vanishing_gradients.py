"""Checks of the statements of the chapter "Vanishing gradients", each with a negative control."""

import functools

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

import lrmf
from lrmf.theory import mixtures
from lrmf.theory.mixture_optimum import shared_optimum

PAPER = {"delta": 1.0, "sigma0": 0.5}
# (δ, σ₀) on both sides of σ₀ = δ, on it, and with a single bump.
SHAPES = [(1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (0.0, 1.0), (0.7, 0.6)]
RATIOS = [0.8, 1.6, 2.0, 3.0, 5.0, 20.0]  # w / σ₀²

shapes = pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
seeds = pytest.mark.parametrize("seed", range(3))
backends = pytest.mark.parametrize("backend", ["jax", "tfp"])


def target_log_density(x, delta, sigma0):
    return mixtures.log_density(x, means=[delta, -delta], std=sigma0)


def mixture_density(backend, mu, v):
    """The shared model θ* as a density of the backend's library."""
    if backend == "jax":
        import equinox as eqx
        import jax.numpy as jnp
        from flowjax import distributions

        with lrmf.get_backend("jax").scope("float64"):
            parts = eqx.filter_vmap(distributions.Normal)(
                jnp.array([[mu], [0.0]]), jnp.full((2, 1), np.sqrt(v))
            )
            model = distributions.VmapMixture(parts, weights=jnp.ones(2))
    else:
        import tensorflow as tf
        from tensorflow_probability import distributions as tfd

        means = tf.Variable([[mu], [0.0]], dtype=tf.float64)
        parts = tfd.Independent(tfd.Normal(means, tf.constant(np.sqrt(v), tf.float64)), 1)
        half = tfd.Categorical(probs=tf.constant([0.5, 0.5], tf.float64))
        model = tfd.MixtureSameFamily(half, parts)
    return lrmf.get_backend(backend).density(model, dtype="float64")


def shift_by(backend, b):
    arrays = {"log_scale": np.zeros(1), "shift": np.array([b])}
    return lrmf.get_backend(backend).flow(lrmf.Affine(kind="diagonal"), arrays, dtype="float64")


# ex-vanishing


@pytest.mark.statement("ex-vanishing")
@backends
@seeds
@pytest.mark.parametrize("mu", [2.0, 5.0])
def test_loss_of_a_shift_is_the_one_by_quadrature(mu, seed, backend, record_property):
    # Points of A that mirror those of B: then E_A and E_B agree exactly, and no noise is left.
    delta, sigma0 = 1.0, 0.4 + 0.2 * seed
    v, b = sigma0**2 + delta**2, -0.3
    z, weights = np.polynomial.hermite_e.hermegauss(60)
    nodes = np.concatenate([delta + sigma0 * z, -delta + sigma0 * z])
    weights = np.tile(weights / weights.sum(), 2) / 2
    # Each node as often as its weight says, to one in a hundred thousand.
    target = np.repeat(nodes, np.round(weights * 100_000).astype(int))[:, None]
    source = mu - target
    shared = mixture_density(backend, mu + b, v)
    constant = 2 * float(target_log_density(target[:, 0], delta, sigma0).mean())
    value = lrmf.lrmf_loss(shift_by(backend, b), shared, source, target, constant=constant)
    expected = mixtures.loss(mu + b, delta=delta, sigma0=sigma0)
    error = abs(float(value) - float(expected))
    record_property("error", error)
    assert error < 2e-3


@pytest.mark.statement("ex-vanishing")
@shapes
@pytest.mark.parametrize("mu", [1.0, 6.0, 20.0, 60.0])
def test_gradient_agrees_with_mpmath(mu, delta, sigma0, record_property):
    with mpmath.workdps(30):
        m, d, s = mpmath.mpf(mu), mpmath.mpf(delta), mpmath.mpf(sigma0)
        v = s**2 + d**2
        peak = min(d + s**2 * m / v, max(m / 2, d))
        scale = (peak - d) ** 2 / (2 * s**2) - min(m * (peak - m / 2) / v, 0)

        def integrand(x):
            p = sum(mpmath.exp(scale - ((x - c) / s) ** 2 / 2) for c in (d, -d))
            return p * (m - x) / v / (1 + mpmath.exp(-m * (x - m / 2) / v))

        points = {-d, d, m / 2, peak, -d - 12 * s, m / 2 + 12 * s, d + 12 * s}
        points |= {peak + k * s for k in (-8, -4, 4, 8)}
        points |= {m / 2 + k * v / m for k in (-16, -4, -1, 1, 4, 16)}
        total = mpmath.quad(integrand, sorted(points))
        log_g = mpmath.log(total / (2 * s * mpmath.sqrt(2 * mpmath.pi))) - scale
    ours = mpmath.mpf(float(mixtures.log_cross_entropy_gradient(mu, delta=delta, sigma0=sigma0)))
    error = float(abs(mpmath.expm1(ours - log_g)))
    record_property("error", error)
    assert error < 1e-8


@pytest.mark.statement("ex-vanishing", control=True)
@pytest.mark.parametrize("delta", [1.0, 2.0])
def test_with_other_weights_the_source_contributes_another_amount(delta):
    # The reflection needs equal weights: with 0.8 and 0.2 the halves of the loss differ.
    mu, sigma0 = 3.0, 0.5
    std = np.hypot(delta, sigma0)

    def mean(side, sign):
        def integrand(x):
            bumps = 0.8 * stats.norm.pdf(x, sign * delta, sigma0)
            bumps += 0.2 * stats.norm.pdf(x, -sign * delta, sigma0)
            return bumps * mixtures.log_density(x + side, means=[mu, 0.0], std=std)

        return integrate.quad(integrand, -12, 12, limit=200)[0]

    assert abs(mean(0.0, 1.0) - mean(mu, 1.0)) > 0.05


# lem-vanishing-shared


@functools.cache
def nodes(delta, sigma0):
    z, weights = np.polynomial.hermite_e.hermegauss(100)
    x = np.concatenate([delta + sigma0 * z, -delta + sigma0 * z])
    return x, np.tile(weights / weights.sum(), 2) / 2


def exact_loss(theta, mu, delta, sigma0):
    """The loss with any shared model of the family."""
    x, weights = nodes(delta, sigma0)
    kind = {"means": theta[:2], "std": np.exp(theta[2])}
    shared = mixtures.log_density(x, **kind) + mixtures.log_density(x + mu, **kind)
    return float(weights @ (2 * target_log_density(x, delta, sigma0) - shared))


@pytest.mark.statement("lem-vanishing-shared")
@shapes
@pytest.mark.parametrize("distance", [5.0, 7.0])
def test_a_search_finds_the_symmetric_model(distance, delta, sigma0, record_property):
    mu = distance * np.hypot(delta, sigma0)
    best = shared_optimum(mu, delta=delta, sigma0=sigma0)
    wanted = [mu / 2 + best.half_distance, mu / 2 - best.half_distance, best.variance]
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(3):
        start = [mu * rng.uniform(0.6, 1.3), mu * rng.uniform(-0.3, 0.4), rng.normal()]
        end = optimize.minimize(exact_loss, start, args=(mu, delta, sigma0))
        means = sorted(end.x[:2], reverse=True)
        errors.append(np.abs(np.array([*means, np.exp(2 * end.x[2])]) - wanted).max())
    record_property("error", max(errors))
    assert max(errors) < 2e-3


@pytest.mark.statement("lem-vanishing-shared")
@shapes
@pytest.mark.parametrize("distance", [3.0, 5.0])
def test_the_exact_gradient_is_the_derivative_of_the_least_loss(
    distance, delta, sigma0, record_property
):
    kind = {"delta": delta, "sigma0": sigma0}
    mu, h = distance * np.hypot(delta, sigma0), 1e-3
    around = [shared_optimum(mu + k * h, **kind).loss for k in (-2, -1, 1, 2)]
    slope = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * h)
    error = abs(slope / np.exp(shared_optimum(mu, **kind).log_gradient) - 1)
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("lem-vanishing-shared")
@pytest.mark.parametrize(("delta", "sigma0"), [pair for pair in SHAPES if pair[0] > 0])
def test_the_model_of_the_paper_is_exponentially_close(delta, sigma0, record_property):
    distances = np.array([4.0, 6.0, 8.0]) * np.hypot(delta, sigma0)
    found = [shared_optimum(mu, delta=delta, sigma0=sigma0) for mu in distances]
    gaps = np.array([abs(best.variance - sigma0**2 - delta**2) for best in found])
    # log gap falls like −κμ²: faster between the last two than between the first two.
    falls = -np.diff(np.log(gaps))
    record_property("error", gaps[-1])
    assert falls[1] > 1.1 * falls[0] > 0
    assert gaps[-1] < 0.02


@pytest.mark.statement("lem-vanishing-shared", control=True)
@pytest.mark.parametrize("mu", [0.5, 1.0, 3.0])
def test_near_each_other_the_paper_s_model_is_not_the_best(mu):
    best = shared_optimum(mu, **PAPER)
    assert float(mixtures.loss(mu, **PAPER)) > best.loss + 0.01
    assert abs(best.half_distance - mu / 2) > 0.05


# thm-vanishing-law


@pytest.mark.statement("thm-vanishing-law")
@shapes
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_law_is_the_limit(ratio, delta, sigma0, record_property):
    kind = {"delta": delta, "sigma0": sigma0, "model_variance": ratio * sigma0**2}
    mu = sigma0 * np.array([1e2, 1e3, 1e4, 1e5])
    root = np.sqrt(-mixtures.log_cross_entropy_gradient(mu, **kind))
    line = mixtures.asymptotic_slope(**kind) * mu + mixtures.asymptotic_intercept(**kind)
    rest = np.abs(root - line)
    record_property("error", rest[-1])
    # The remainder may change its sign on the way.
    assert rest[-1] < 0.4 * rest[:-1].max()
    assert rest[-1] < 1e-3


@pytest.mark.statement("thm-vanishing-law")
@shapes
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_leading_term_is_the_gradient(ratio, delta, sigma0, record_property):
    kind = {"delta": delta, "sigma0": sigma0, "model_variance": ratio * sigma0**2}
    mu = sigma0 * np.array([1e3, 1e4])
    exact = mixtures.log_cross_entropy_gradient(mu, **kind)
    error = np.abs(np.expm1(mixtures.asymptotic_log_cross_entropy_gradient(mu, **kind) - exact))
    record_property("error", error[-1])
    assert error[-1] < max(0.2 * error[0], 1e-5)
    assert error[-1] < 5e-3


@pytest.mark.statement("thm-vanishing-law", control=True)
@shapes
def test_a_target_with_other_tails_has_another_law(delta, sigma0):
    # Uniform bumps with the same moments: no tail to tilt, and the slope is 1/√(2v).
    v = sigma0**2 + delta**2
    half = np.sqrt(3.0) * sigma0
    z, weights = np.polynomial.legendre.leggauss(200)
    x = np.concatenate([delta + half * z, -delta + half * z])
    mu = np.array([200.0, 400.0]) * np.sqrt(v)
    terms = special.log_expit(mu[:, None] / v * (x - mu[:, None] / 2))
    logs = special.logsumexp(terms, b=np.tile(weights, 2) * (mu[:, None] - x) / (4 * v), axis=1)
    slope = np.diff(np.sqrt(-logs)) / np.diff(mu)
    law = mixtures.asymptotic_slope(delta=delta, sigma0=sigma0)
    assert slope[0] == pytest.approx(1 / np.sqrt(2 * v), rel=0.01)
    assert slope[0] > 1.05 * law


# cor-vanishing-example


@pytest.mark.statement("cor-vanishing-example")
@shapes
def test_slope_and_intercept_in_closed_form(delta, sigma0, record_property):
    if sigma0 <= delta:
        slope, intercept = delta / (np.sqrt(2) * (sigma0**2 + delta**2)), -1 / np.sqrt(2)
    else:
        slope, intercept = 1 / (2 * np.sqrt(2) * sigma0), -delta / (np.sqrt(2) * sigma0)
    mu = sigma0 * 1e5
    root = np.sqrt(-float(mixtures.log_gradient(mu, delta=delta, sigma0=sigma0)))
    error = abs(root - slope * mu - intercept)
    record_property("error", error)
    assert error < 1e-3


@pytest.mark.statement("cor-vanishing-example")
@shapes
@pytest.mark.parametrize("distance", [8.0, 16.0, 30.0])
def test_the_least_loss_has_the_same_gradient(distance, delta, sigma0, record_property):
    mu = distance * np.hypot(delta, sigma0)
    best = shared_optimum(mu, delta=delta, sigma0=sigma0)
    log_gradient = float(mixtures.log_gradient(mu, delta=delta, sigma0=sigma0))
    error = abs(np.expm1(best.log_gradient - log_gradient))
    record_property("error", error)
    assert error < (0.1 if distance == 8.0 else 1e-6)


@pytest.mark.statement("cor-vanishing-example", control=True)
@pytest.mark.parametrize("line", [(0.6, -1.168), (0.5713, -0.919), (0.5657, 0.0)])
def test_lines_fitted_on_a_window_or_without_intercept_miss_the_limit(line):
    slope, intercept = line
    mu = 1e5
    root = np.sqrt(-float(mixtures.log_gradient(mu, **PAPER)))
    assert abs(root - slope * mu - intercept) > 0.1
