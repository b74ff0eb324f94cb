"""Checks of the statements of the chapter "Vanishing gradients", each with a negative control."""

import functools

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

import lrmf
from lrmf.theory import mixtures
from lrmf.theory.mixture_optimum import project, shared_optimum

PAPER = {"delta": 1.0, "sigma0": 0.5}
# (δ, σ₀) on both sides of σ₀ = δ, on it, and with a single bump.
SHAPES = [(1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (0.0, 1.0), (0.7, 0.6)]
RATIOS = [0.8, 1.6, 2.0, 3.0, 5.0, 20.0]  # w / σ₀²

shapes = pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
seeds = pytest.mark.parametrize("seed", range(3))
backends = pytest.mark.parametrize("backend", ["jax", "tfp"])


def target_log_density(x, delta, sigma0):
    return mixtures.log_density(x, means=[delta, -delta], std=sigma0)


def sample(n, rng, delta, sigma0):
    return delta * rng.choice([-1.0, 1.0], size=n) + sigma0 * rng.normal(size=n)


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


# prop-vanishing-sample


def sample_log_gradient(mu, x, w):
    logs = special.log_expit(mu / w * (x - mu / 2))
    return float(special.logsumexp(logs, b=(mu - x) / (len(x) * w)))


@pytest.mark.statement("prop-vanishing-sample")
@seeds
@pytest.mark.parametrize("n", [1, 10, 1000])
@pytest.mark.parametrize("w", [0.5, 1.25, 4.0])
def test_a_sample_follows_its_largest_point(n, w, seed, record_property):
    x = sample(n, np.random.default_rng(seed), **PAPER)
    rest = []
    for mu in (1e3, 1e4, 1e5):
        root = np.sqrt(-sample_log_gradient(mu, x, w))
        rest.append(abs(root - (mu - x.max()) / np.sqrt(2 * w)))
    record_property("error", rest[-1])
    # The remainder may change its sign on the way.
    assert rest[-1] < 0.4 * max(rest[:-1])
    assert rest[-1] < 1e-3


@pytest.mark.statement("prop-vanishing-sample", control=True)
@pytest.mark.parametrize("w", [1.25, 4.0])
def test_the_population_has_no_largest_point_and_another_slope(w):
    mu = np.array([1e4, 2e4])
    root = np.sqrt(-mixtures.log_cross_entropy_gradient(mu, **PAPER, model_variance=w))
    assert abs(np.diff(root)[0] / 1e4 - 1 / np.sqrt(2 * w)) > 0.01


# prop-vanishing-price


@pytest.mark.statement("prop-vanishing-price")
@pytest.mark.parametrize("sigma0", [0.1, 0.4, 0.55, 0.58, 0.7, 0.9, 1.0, 1.5, 4.0])
def test_the_price_grows_at_the_stated_rate(sigma0, record_property):
    # With δ = 1 and w = v these are all three cases, and points near both borders.
    v = sigma0**2 + 1
    if v >= 4 * sigma0**2:
        rate = sigma0**2 / v**2
    elif v >= 2 * sigma0**2:
        rate = (v - sigma0**2) / v**2 - 1 / (8 * sigma0**2)
    else:
        rate = 1 / (8 * sigma0**2)
    mu = 3e4 * np.sqrt(v)
    # Up to the terms linear in μ, which the second difference removes.
    h = 0.1 * mu
    logs = mixtures.log_samples([mu - h, mu, mu + h], delta=1.0, sigma0=sigma0) * np.log(10)
    measured = np.diff(logs, n=2)[0] / (2 * h**2)
    error = abs(measured / rate - 1)
    record_property("error", error)
    assert error < 1e-3


@pytest.mark.statement("prop-vanishing-price")
@seeds
def test_the_price_by_counting(seed, record_property):
    mu, n = 4.0, 1000
    runs = [
        np.exp(mixtures.simulated_log_gradient(mu, **PAPER, n=n, seed=1000 * seed + k))
        for k in range(300)
    ]
    spread = np.std(runs) / np.exp(mixtures.log_cross_entropy_gradient(mu, **PAPER))
    needed = mixtures.log_samples(mu, **PAPER, relative_error=float(spread))
    error = abs(10 ** float(needed) / n - 1)
    record_property("error", error)
    assert error < 0.35


@pytest.mark.statement("prop-vanishing-price", control=True)
@pytest.mark.parametrize("sigma0", [0.7, 0.9])
def test_the_first_case_does_not_reach_beyond_its_border(sigma0):
    v = sigma0**2 + 1
    mu = 3e4 * np.sqrt(v)
    rate = float(mixtures.log_samples(mu, delta=1.0, sigma0=sigma0)) * np.log(10) / mu**2
    assert abs(rate / (sigma0**2 / v**2) - 1) > 0.02


# prop-vanishing-importance


def importance_terms(mu, n, rng, *, delta, sigma0, w):
    """Terms of the estimate, as fractions of the exact g."""
    x = delta + sigma0**2 * mu / w + sigma0 * rng.normal(size=n)
    log_factor = delta * mu / w - (w - sigma0**2) * mu**2 / (2 * w**2)
    exact = mixtures.log_cross_entropy_gradient(mu, delta=delta, sigma0=sigma0, model_variance=w)
    return (mu - x) * special.expit(-mu / w * (x - mu / 2)) / (2 * w) * np.exp(log_factor - exact)


@pytest.mark.statement("prop-vanishing-importance")
@seeds
@pytest.mark.parametrize(("sigma0", "w"), [(0.5, 1.25), (0.5, 3.0), (0.3, 1.09), (1.0, 4.0)])
def test_a_hundred_points_from_the_tail_are_enough(sigma0, w, seed, record_property):
    rng = np.random.default_rng(seed)
    kind = {"delta": 1.0, "sigma0": sigma0, "w": w}
    terms = importance_terms(60.0, 100, rng, **kind)
    error = abs(terms.mean() - 1)
    record_property("error", error)
    assert error < 4 * terms.std() / 10 + 1e-9
    assert error < 0.02
    for mu in (200.0, 400.0):
        spread = importance_terms(mu, 20_000, rng, **kind).std() * mu
        assert spread == pytest.approx(sigma0 * w / (w - sigma0**2), rel=0.05)


@pytest.mark.statement("prop-vanishing-importance", control=True)
@seeds
def test_points_of_the_target_itself_miss_the_gradient(seed):
    mu, w = 60.0, 1.25
    x = sample(100_000, np.random.default_rng(seed), **PAPER)
    exact = float(mixtures.log_cross_entropy_gradient(mu, **PAPER))
    assert sample_log_gradient(mu, x, w) < exact - 50


@pytest.mark.statement("prop-vanishing-importance", control=True)
@seeds
def test_for_a_narrow_model_the_tilted_tail_is_the_wrong_place(seed):
    kind = {"delta": 1.0, "sigma0": 2.0, "w": 5.0}
    terms = importance_terms(60.0, 100, np.random.default_rng(seed), **kind)
    assert abs(terms.mean() - 1) > 0.5


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
