"""Checks of the statements of the chapter "The likelihood-ratio distance", with controls."""

import functools

import jax
import numpy as np
import pytest
from scipy import optimize, stats
from scipy.spatial.distance import jensenshannon
from scipy.special import logsumexp, xlogy

import lrmf
from lrmf.theory import gaussian, mixtures

SEEDS = range(3)
DIMENSIONS = (1, 2, 3, 5)
BACKENDS = ("jax", "tfp")
SCALE = 2 * np.log(2)

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


def distances(a, b):
    """Distances (R,) of R pairs of samples (R, n, d) for the normal family."""
    means = [x.mean(axis=1) for x in (a, b)]
    centred = [x - mean[:, None] for x, mean in zip((a, b), means, strict=True)]
    covs = [np.einsum("rni,rnj->rij", x, x) / x.shape[1] for x in centred]
    return gaussian.distance(means[0], covs[0], means[1], covs[1])


def exponential_distances(a, b):
    """The same for the exponential densities on the half line; samples (R, n, 1)."""
    means = [x.mean(axis=(1, 2)) for x in (a, b)]
    return 2 * np.log(0.5 * (means[0] + means[1])) - np.log(means[0]) - np.log(means[1])


def categorical_distances(a, b):
    """The same for all distributions on m cells; the points are one-hot, samples (R, n, m)."""
    p, q = a.mean(axis=1), b.mean(axis=1)
    both = (p + q) / 2
    return (xlogy(p, p) + xlogy(q, q) - 2 * xlogy(both, both)).sum(axis=-1)


def table_distance(f, g):
    return f.max() + g.max() - (f + g).max()


def statistics(distance, draw, *, n, repeats):
    """2 n d for repeated pairs of samples."""
    parts = [2 * n * distance(*draw((2, 50, n))) for _ in range(repeats // 50)]
    return np.concatenate(parts)


# def-lrd and lem-lrd


@pytest.mark.statement("def-lrd")
@pytest.mark.parametrize("seed", range(10))
def test_both_forms_of_the_definition_agree(seed, record_property):
    f, g = np.random.default_rng(seed).normal(size=(2, 7))
    gains = f[:, None, None] - f + g[None, :, None] - g  # over private A, private B, shared
    min_max = gains.max(axis=(0, 1)).min()
    error = abs(min_max - table_distance(f, g))
    record_property("error", float(error))
    assert error < 1e-14


@pytest.mark.statement("def-lrd")
@backends
def test_the_library_computes_the_distance_of_two_samples(backend, record_property):
    d, rng = 3, np.random.default_rng(3)
    a, b = rng.normal(size=(2, 300, d)) * np.array([1.0, 1.5])[:, None, None]
    b[:, 0] += 1.0
    found = lrmf.family_lrd(
        a,
        b,
        held_out=0,
        backend=backend,
        steps=500,
        refit_steps=500,
        batch_size=300,
        learning_rate=0.05,
        dtype="float64",
        progress=False,
    )
    error = abs(found.value - float(distances(a[None], b[None])[0]))
    record_property("error", error)
    assert error < 5e-3  # the 1% of the shared model in the refitted ones


@pytest.mark.statement("def-lrd", control=True)
@cases
def test_models_that_are_not_optimal_give_another_number(d, seed):
    rng = np.random.default_rng([d, seed])
    a, b = rng.normal(size=(2, 200, d))
    b = 1.5 * b + 1.0

    def fit(x):
        return stats.multivariate_normal(x.mean(axis=0), np.cov(x.T, bias=True))

    def gain(of_a, of_b, shared):
        return sum(
            (p.logpdf(x) - shared.logpdf(x)).mean() for p, x in zip((of_a, of_b), (a, b), strict=1)
        )

    both = fit(np.concatenate([a, b]))
    distance = float(distances(a[None], b[None])[0])
    assert gain(fit(a), fit(b), both) == pytest.approx(distance, rel=1e-9)
    assert gain(fit(a), fit(b), fit(b)) > distance + 1e-2
    assert gain(fit(a[:100]), fit(b), both) < distance - 1e-4


@pytest.mark.statement("lem-lrd")
@pytest.mark.parametrize("seed", range(50))
def test_zero_exactly_where_a_shared_model_is_optimal_for_both(seed, record_property):
    f, g = np.random.default_rng(seed).normal(size=(2, 6))
    distance = table_distance(f, g)
    record_property("error", float(abs(distance - table_distance(g, f))))
    assert distance == table_distance(g, f)
    assert (distance < 1e-12) == (f.argmax() == g.argmax())
    assert distance > -1e-15
    g[f.argmax()] = g.max() + 1.0
    assert table_distance(f, g) == pytest.approx(0.0, abs=1e-14)
    shared = (f + g).argmax()
    assert f[shared] == f.max()
    assert g[shared] == g.max()


@pytest.mark.statement("lem-lrd")
@backends
@cases
def test_equal_moments_make_one_normal_density_optimal_for_both(d, seed, backend, record_property):
    rng = np.random.default_rng([d, seed])

    def whitened(x):
        x = x - x.mean(axis=0)
        return x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / len(x))).T

    a, b = whitened(rng.exponential(size=(200, d))), whitened(rng.uniform(size=(200, d)))
    shared = gaussian.density_arrays(np.zeros(d), np.eye(d))
    density = lrmf.get_backend(backend).density(lrmf.Gaussian(), shared, dtype="float64")
    best = float(gaussian.max_log_likelihood(np.eye(d)))
    error = max(abs(density.log_prob(x).mean() - best) for x in (a, b))
    error = max(error, abs(float(distances(a[None], b[None])[0])))
    record_property("error", error)
    assert error < 1e-10
    assert distances(a[None], 1.1 * b[None])[0] > 1e-3


@pytest.mark.statement("lem-lrd", control=True)
def test_without_an_optimal_shared_model_the_distance_is_zero_and_none_is_optimal():
    """Normal densities of variance 1 + exp(θ), and data of variance one."""

    def likelihood(theta):
        variance = 1 + np.exp(np.asarray(theta, float))
        return -0.5 * np.log(2 * np.pi * variance) - 0.5 / variance

    theta = -np.arange(-3.0, 8.0, 0.25)  # to the left, where it only gets better
    values = likelihood(theta)
    assert (np.diff(values) > 0).all()
    assert values.max() < -0.5 * np.log(2 * np.pi * np.e)  # the supremum
    assert table_distance(values, values) == 0


# eg-lrd-families


def mixture_distance(p, q):
    """Distance of two densities on a grid for the equal mixtures of two normal densities."""
    x = np.linspace(-12, 12, 801)
    step = x[1] - x[0]

    def best(weights):
        def loss(v):
            log_q = mixtures.log_density(x, means=v[:2], std=np.exp(v[2]))
            return -(weights * log_q).sum() * step

        starts = [(-1, 1, 0), (-3, 3, 0), (-0.5, 0.2, 0.5)]
        return -min(optimize.minimize(loss, start).fun for start in starts)

    p, q = p(x), q(x)
    return best(p) + best(q) - 2 * best((p + q) / 2)


def bumps(x):
    return np.exp(mixtures.log_density(x, means=[-1.5, 1.5], std=0.5))


@pytest.mark.statement("eg-lrd-families")
def test_the_larger_family_sees_more_in_one_pair_and_less_in_the_other(record_property):
    bell = stats.norm(0, np.sqrt(2.5)).pdf
    assert gaussian.distance_1d(0.0, np.sqrt(1.5**2 + 0.5**2), 0.0, np.sqrt(2.5)) < 1e-12
    assert mixture_distance(bumps, bell) > 0.25
    error = abs(float(gaussian.distance_1d(-3.0, 1.0, 3.0, 1.0)) - np.log(10))
    record_property("error", error)
    assert error < 1e-12
    left, right = stats.norm(-3, 1).pdf, stats.norm(3, 1).pdf
    jsd = 2 * jensenshannon(left(np.linspace(-9, 9, 2001)), right(np.linspace(-9, 9, 2001))) ** 2
    assert mixture_distance(left, right) == pytest.approx(jsd, abs=1e-5)
    assert jsd < SCALE < np.log(10)


@pytest.mark.statement("eg-lrd-families", control=True)
def test_another_variance_or_a_smaller_gap_changes_the_order():
    assert gaussian.distance_1d(0.0, np.sqrt(2.5), 0.0, 1.0) > 0.05
    near = float(gaussian.distance_1d(-0.5, 1.0, 0.5, 1.0))
    assert near < SCALE
    assert mixture_distance(stats.norm(-0.5, 1).pdf, stats.norm(0.5, 1).pdf) > near - 0.01


# prop-lrd-scale


def best_weights(components, steps=1500):
    """EM for the weights of fixed components, log-densities (n, k): a family with all mixtures."""
    weights = np.full(components.shape[1], 1 / components.shape[1])
    for _ in range(steps):
        joint = components + np.log(weights)
        weights = np.exp(joint - logsumexp(joint, axis=1, keepdims=True)).mean(axis=0) + 1e-300
    return weights


@pytest.mark.statement("prop-lrd-scale")
@cases
def test_a_family_with_mixtures_stays_below_the_upper_end(d, seed, record_property):
    rng = np.random.default_rng([d, seed])
    centres = 3 * rng.normal(size=(6, d))
    a, b = rng.exponential(size=(2, 100, d))
    b = 2 - b
    logs = [
        np.stack([stats.multivariate_normal(c).logpdf(x) for c in centres], axis=1) for x in (a, b)
    ]
    wa, wb = (best_weights(x) for x in logs)
    shared = best_weights(np.concatenate(logs))

    def log_p(x, weights):
        return logsumexp(x + np.log(weights), axis=1)

    distance = sum(
        (log_p(x, w) - log_p(x, shared)).mean() for x, w in zip(logs, (wa, wb), strict=True)
    )
    upper = (
        SCALE
        - np.log1p(np.exp(log_p(logs[0], wb) - log_p(logs[0], wa))).mean()
        - np.log1p(np.exp(log_p(logs[1], wa) - log_p(logs[1], wb))).mean()
    )
    record_property("error", float(max(0.0, distance - upper)))
    assert 0 < distance <= upper + 1e-6
    assert upper < SCALE


@pytest.mark.statement("prop-lrd-scale")
@pytest.mark.parametrize("cells", [2, 5, 20])
@seeds
def test_in_a_correct_family_the_distance_is_twice_the_jsd(cells, seed, record_property):
    p, q = np.random.default_rng([cells, seed]).dirichlet(np.full(cells, 0.5), size=2)
    distance = float(categorical_distances(p[None, None], q[None, None])[0])
    right = SCALE - (xlogy(p, 1 + q / p) + xlogy(q, 1 + p / q)).sum()
    error = max(abs(distance - 2 * jensenshannon(p, q) ** 2), abs(distance - right))
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("prop-lrd-scale", control=True)
@cases
def test_a_family_without_mixtures_leaves_the_scale(d, seed):
    rng = np.random.default_rng([d, seed])
    a, b = rng.normal(size=(2, 100, d)) + np.array([0.0, 8.0])[:, None, None]
    assert distances(a[None], b[None])[0] > SCALE + 0.5


# lem-lrd-expansion


def normal_scores(x, mean, std):
    z = (x - mean) / std
    return np.stack([z / std, (z**2 - 1) / (2 * std**2)], axis=-1)


def one_hot(rng, shape, shares):
    return np.eye(len(shares))[rng.choice(len(shares), size=shape, p=shares)]


def expansion_error(kind, n, rng):
    """Root mean squared difference of both sides of the expansion, over 100 pairs."""
    if kind == "exponential":
        x = rng.exponential(size=(2, 100, n, 1))
        found = 2 * n * exponential_distances(*x)
        scores, curvature = x - 1.0, np.eye(1)  # mean parameter, at one
    elif kind == "categorical":
        shares = np.array([0.2, 0.3, 0.5])
        x = one_hot(rng, (2, 100, n), shares)
        found = 2 * n * categorical_distances(*x)
        scores = x[..., :2] / shares[:2] - x[..., 2:] / shares[2]
        curvature = np.diag(1 / shares[:2]) + 1 / shares[2]
    else:
        # Normal densities; for uniform and exponential data the family is wrong.
        draw, mean, std = {
            "normal": (rng.normal, 0.0, 1.0),
            "uniform": (rng.uniform, 0.5, np.sqrt(1 / 12)),
            "wrong exponential": (rng.exponential, 1.0, 1.0),
        }[kind]
        x = draw(size=(2, 100, n, 1))
        found = 2 * n * distances(*x)
        scores = normal_scores(x[..., 0], mean, std)
        curvature = np.diag([1 / std**2, 1 / (2 * std**4)])
    gap = (scores[0] - scores[1]).sum(axis=1) / np.sqrt(n)
    parabola = 0.5 * np.einsum("ri,ij,rj->r", gap, np.linalg.inv(curvature), gap)
    return float(np.sqrt(np.mean((found - parabola) ** 2)))


@pytest.mark.statement("lem-lrd-expansion")
@pytest.mark.parametrize(
    "kind", ["exponential", "categorical", "normal", "uniform", "wrong exponential"]
)
@seeds
def test_the_remainder_of_the_expansion_vanishes(kind, seed, record_property):
    rng = np.random.default_rng(seed)
    coarse, fine = (expansion_error(kind, n, rng) for n in (100, 10_000))
    record_property("error", fine)
    assert fine < 0.4 * coarse
    assert fine < (1.5 if kind == "wrong exponential" else 0.2)


def boundary_statistics(n, rng, repeats):
    """2 n d for the normal densities N(θ, 1) with θ ≥ 0 at θ = 0, and the parabola."""
    a, b = rng.normal(size=(2, repeats)) / np.sqrt(n)
    best = [np.maximum(x, 0) ** 2 for x in (a, b, (a + b) / 2)]
    return n * (best[0] + best[1] - 2 * best[2]), 0.5 * n * (a - b) ** 2


@pytest.mark.statement("lem-lrd-expansion", control=True)
@pytest.mark.parametrize("n", [100, 10_000])
def test_on_the_boundary_the_remainder_stays(n):
    found, parabola = boundary_statistics(n, np.random.default_rng(0), 2000)
    assert np.sqrt(np.mean((found - parabola) ** 2)) > 0.5


# thm-wilks


def family(name, d, rng):
    """Distance, sampler and number of parameters of a regular family at one of its members."""
    if name == "normal":
        root = np.linalg.cholesky(
            stats.wishart(d + 2, np.eye(d)).rvs(random_state=rng).reshape(d, d)
        )
        return distances, lambda s: rng.normal(size=(*s, d)) @ root.T + 1.0, d * (d + 3) // 2
    if name == "exponential":
        return exponential_distances, lambda s: 3.0 * rng.exponential(size=(*s, 1)), 1
    shares = np.full(d + 1, 1 / (d + 1))
    return categorical_distances, lambda s: one_hot(rng, s, shares), d


families = pytest.mark.parametrize(
    ("name", "d"),
    [
        ("normal", 1),
        ("normal", 2),
        ("normal", 3),
        ("normal", 5),
        ("exponential", 1),
        ("categorical", 2),
        ("categorical", 5),
    ],
)


@pytest.mark.statement("thm-wilks")
@families
@seeds
def test_twice_n_times_the_distance_is_chi_squared(name, d, seed, record_property):
    distance, draw, k = family(name, d, np.random.default_rng([d, seed]))
    values = statistics(distance, draw, n=1000, repeats=400)
    test = stats.kstest(values, stats.chi2(k).cdf)
    record_property("error", float(test.statistic))
    assert test.pvalue > 1e-3
    # Neither another factor nor other degrees of freedom fit.
    assert stats.kstest(values / 2, stats.chi2(k).cdf).pvalue < 1e-6
    assert stats.kstest(values, stats.chi2(2 * k).cdf).pvalue < 1e-6


@pytest.mark.statement("thm-wilks")
@seeds
def test_for_categories_it_is_the_g_test(seed, record_property):
    rng = np.random.default_rng(seed)
    x = one_hot(rng, (2, 1, 200), np.array([0.1, 0.2, 0.3, 0.4]))
    g = stats.chi2_contingency(x.sum(axis=(1, 2)), lambda_="log-likelihood").statistic
    error = abs(2 * 200 * categorical_distances(*x)[0] - g)
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("thm-wilks", control=True)
@seeds
def test_in_a_wrong_family_or_on_the_boundary_it_is_not(seed):
    rng = np.random.default_rng(seed)
    wrong = statistics(distances, lambda s: rng.exponential(size=(*s, 1)), n=1000, repeats=400)
    assert stats.kstest(wrong, stats.chi2(2).cdf).pvalue < 1e-6
    boundary, _ = boundary_statistics(1000, rng, 400)
    assert stats.kstest(boundary, stats.chi2(1).cdf).pvalue < 1e-6


# prop-lrd-sandwich


WRONG = {
    "uniform": (lambda rng, s: rng.uniform(size=s), 0.0, 1.8),
    "laplace": (lambda rng, s: rng.laplace(size=s), 0.0, 6.0),
    "exponential": (lambda rng, s: rng.exponential(size=s), 2.0, 9.0),
}


@functools.cache
def normal_derivatives(d):
    """Compiled scores (n, k) and mean Hessian (k, k) of the normal log-density on R^d."""
    backend, spec = lrmf.get_backend("jax"), lrmf.Gaussian()
    below = np.tril_indices(d, -1)

    def log_prob(v, point):
        lower = jax.numpy.zeros((d, d), v.dtype).at[below].set(v[2 * d :])
        arrays = {"mean": v[:d], "log_diagonal": v[d : 2 * d], "lower": lower}
        return backend.call("log_prob", spec, arrays, point[None])[0]

    scores = jax.jit(jax.vmap(jax.grad(log_prob), (None, 0)))
    hessians = jax.jit(
        lambda v, x: jax.hessian(lambda v: jax.vmap(log_prob, (None, 0))(v, x).mean())(v)
    )
    return scores, hessians, below


def sandwich_weights(x):
    """Eigenvalues of H⁻¹K at the best normal density, by automatic differentiation."""
    d = x.shape[1]
    scores, hessians, below = normal_derivatives(d)
    best = gaussian.density_arrays(x.mean(axis=0), np.cov(x.T, bias=True).reshape(d, d))
    start = np.concatenate([best["mean"], best["log_diagonal"], best["lower"][below]])
    backend = lrmf.get_backend("jax")
    with backend.scope("float64"):
        v, points = backend.asarray(start, "float64"), backend.asarray(x, "float64")
        covariance = np.cov(np.asarray(scores(v, points)).T)
        curvature = -np.asarray(hessians(v, points))
    return np.linalg.eigvals(np.linalg.solve(curvature, covariance)).real


@pytest.mark.statement("prop-lrd-sandwich")
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("d", [1, 2])
@seeds
def test_the_null_law_of_a_wrong_family(name, d, seed, record_property):
    draw, skew, kurtosis = WRONG[name]
    rng = np.random.default_rng([d, seed])
    weights = sandwich_weights(draw(rng, (50_000, d)))
    if d == 1:
        corner = skew / np.sqrt(2)
        formula = np.linalg.eigvalsh([[1, corner], [corner, (kurtosis - 1) / 2]])
        np.testing.assert_allclose(np.sort(weights), formula, rtol=0.1)
        weights = formula
    values = statistics(distances, lambda s: draw(rng, (*s, d)), n=2000, repeats=400)
    limit = rng.normal(size=(50_000, len(weights))) ** 2 @ weights
    test = stats.ks_2samp(values, limit)
    record_property("error", float(test.statistic))
    assert test.pvalue > 1e-3
    k = d * (d + 3) // 2
    assert stats.kstest(values, stats.chi2(k).cdf).pvalue < 1e-3


@pytest.mark.statement("prop-lrd-sandwich", control=True)
@seeds
def test_without_a_fourth_moment_there_is_no_limit(seed):
    rng = np.random.default_rng(seed)

    def growth(draw):
        small, large = (np.median(2 * n * distances(*draw((2, 100, n, 1)))) for n in (200, 20_000))
        return large / small

    assert growth(lambda s: rng.standard_t(3, size=s)) > 1.7
    assert growth(lambda s: rng.laplace(size=s)) < 1.5


# prop-lrd-power


@pytest.mark.statement("prop-lrd-power")
@pytest.mark.parametrize("nu", [4.0, 16.0])
@pytest.mark.parametrize(
    ("kind", "d"), [("mean", 1), ("mean", 3), ("scale", 1), ("scale", 3), ("exponential", 1)]
)
@seeds
def test_a_local_alternative_is_noncentral(kind, d, nu, seed, record_property):
    rng, n = np.random.default_rng([d, seed]), 2000
    if kind == "exponential":
        # Mean parameter at one: H = 1, so ν = h²/2. The distance needs the means only.
        n, k = 100_000, 1
        factor = 1 + np.sqrt(2 * nu / n)

        def draw(shape):
            x = rng.gamma(n, 1 / n, size=(*shape[:2], 1, 1))
            return x[0] * factor, x[1]

        distance, true = exponential_distances, 2 * np.log((1 + factor) / 2) - np.log(factor)
    else:
        # The mean of the first feature has information 1, the logarithm of its scale 2.
        shift = np.sqrt(2 * nu / n) if kind == "mean" else 0.0
        scale = np.exp(np.sqrt(nu / n)) if kind == "scale" else 1.0
        k = d * (d + 3) // 2

        def draw(shape):
            x = rng.normal(size=(*shape, d))
            x[0, ..., 0] = scale * x[0, ..., 0] + shift
            return x

        distance, true = distances, float(gaussian.distance_1d(shift, scale, 0.0, 1.0))
    assert 2 * n * true == pytest.approx(nu, rel=0.15)  # ν is the true distance times 2n
    values = statistics(distance, draw, n=n, repeats=200)
    test = stats.kstest(values, stats.ncx2(k, nu).cdf)
    record_property("error", float(test.statistic))
    assert test.pvalue > 1e-3


@pytest.mark.statement("prop-lrd-power", control=True)
@seeds
def test_a_difference_that_does_not_shrink_has_another_law(seed):
    rng, n, shift = np.random.default_rng(seed), 200, 3.0

    def draw(shape):
        x = rng.normal(size=(*shape, 1))
        x[0] += shift
        return x

    values = statistics(distances, draw, n=n, repeats=200)
    assert stats.kstest(values, stats.ncx2(2, 0.5 * n * shift**2).cdf).pvalue < 1e-6


@pytest.mark.statement("prop-lrd-power", control=True)
@seeds
def test_far_apart_a_sample_exaggerates_by_more_than_half_a_parameter(seed):
    rng, n, repeats = np.random.default_rng(seed), 200, 400_000

    def excess_times_n(shift):
        means = rng.normal([[0.0], [shift]], 1 / np.sqrt(n), (2, repeats))
        variances = rng.chisquare(n - 1, (2, repeats)) / n
        sample = gaussian.distance_1d(means[0], variances[0] ** 0.5, means[1], variances[1] ** 0.5)
        return n * (sample.mean() - gaussian.distance_1d(0.0, 1.0, shift, 1.0))

    near, middle, far = (excess_times_n(shift) for shift in (0.0, 2.0, 100.0))
    assert abs(near - 1) < 0.05  # k/2 for k = 2 parameters
    assert abs(middle - 1.4) < 0.15
    assert abs(far - 2) < 0.15


# prop-lrd-singular


def spread_arrays(spec, d, seed):
    rng = np.random.default_rng([d, seed])
    return {
        name: value + 0.4 * rng.normal(size=value.shape)
        for name, value in spec.init((d,), rng).items()
    }


def units(spec):
    """(block, layer, unit) of every hidden unit."""
    return [
        (block, layer, unit)
        for block in range(spec.blocks)
        for layer, width in enumerate(spec.hidden)
        for unit in range(width)
    ]


def rescaled(arrays, block, layer, unit, factor, *, outgoing=True):
    new = {name: value.copy() for name, value in arrays.items()}
    new[f"block_{block}/layer_{layer}/weight"][:, unit] *= factor
    new[f"block_{block}/layer_{layer}/bias"][unit] *= factor
    if outgoing:
        new[f"block_{block}/layer_{layer + 1}/weight"][unit] /= factor
    return new


SMALL = lrmf.RealNVP(blocks=2, hidden=(6, 5))


def log_prob(backend, arrays, x):
    return lrmf.get_backend(backend).density(SMALL, arrays, dtype="float64").log_prob(x)


@pytest.mark.statement("prop-lrd-singular")
@backends
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_rescaling_a_hidden_unit_does_not_change_the_density(d, seed, backend, record_property):
    arrays = spread_arrays(SMALL, d, seed)
    x = np.random.default_rng(seed).normal(size=(50, d))
    before = log_prob(backend, arrays, x)
    worst = 0.0
    for factor, where in zip((0.01, 0.5, 3.0, 50.0), units(SMALL)[::5], strict=False):
        after = log_prob(backend, rescaled(arrays, *where, factor), x)
        worst = max(worst, float(np.abs(after - before).max()))
    record_property("error", worst)
    assert worst < 1e-9


@functools.cache
def network_scores():
    """Compiled scores of the small network, one row of named gradients per point."""
    backend = lrmf.get_backend("jax")

    def log_prob(arrays, point):
        return backend.call("log_prob", SMALL, arrays, point[None])[0]

    return jax.jit(jax.vmap(jax.grad(log_prob), (None, 0)))


def score_rank(d, seed):
    arrays = spread_arrays(SMALL, d, seed)
    x = np.random.default_rng(seed).normal(size=(500, d))
    backend = lrmf.get_backend("jax")
    with backend.scope("float64"):
        native = {name: backend.asarray(value, "float64") for name, value in arrays.items()}
        rows = network_scores()(native, backend.asarray(x, "float64"))
        scores = [np.asarray(rows[name]).reshape(len(x), -1) for name in arrays]
    scores = np.concatenate(scores, axis=1)
    return arrays, scores, np.linalg.matrix_rank(scores, tol=1e-9 * np.linalg.norm(scores, 2))


@pytest.mark.statement("prop-lrd-singular")
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_each_hidden_unit_costs_a_dimension(d, seed, record_property):
    arrays, scores, rank = score_rank(d, seed)
    directions = []
    for where in units(SMALL):
        bent = rescaled(arrays, *where, np.exp(1e-6))
        change = [(bent[name] - arrays[name]).ravel() / 1e-6 for name in arrays]
        directions.append(np.concatenate(change))
    directions = np.stack(directions)
    error = np.abs(scores @ directions.T).max() / np.linalg.norm(scores, 2)
    record_property("error", float(error))
    assert error < 1e-5  # of the finite difference
    assert np.linalg.matrix_rank(directions, tol=1e-3) == len(units(SMALL))
    assert rank <= scores.shape[1] - len(units(SMALL))


@pytest.mark.statement("prop-lrd-singular", control=True)
@backends
@seeds
def test_a_negative_factor_or_one_sided_scaling_changes_the_density(seed, backend):
    arrays = spread_arrays(SMALL, 2, seed)
    x = np.random.default_rng(seed).normal(size=(50, 2))
    before = log_prob(backend, arrays, x)
    changes = [
        max(
            np.abs(log_prob(backend, rescaled(arrays, *where, factor, **options), x) - before).max()
            for where in units(SMALL)[::5]
        )
        for factor, options in ((-1.0, {}), (1.5, {"outgoing": False}))
    ]
    assert min(changes) > 1e-3


@pytest.mark.statement("prop-lrd-singular", control=True)
@seeds
def test_the_normal_family_has_full_rank(seed):
    """No redundant parameters, no zero eigenvalue."""
    x = np.random.default_rng(seed).normal(size=(20_000, 2))
    assert sandwich_weights(x).min() > 0.5


# prop-lrd-permutation


def permutation_p_values(draw, *, repeats, rng, divisions=19):
    """p-values of the normal family's distance for pairs of samples draw() -> (2, n, d)."""
    found = []
    for _ in range(repeats):
        a, b = draw()
        pooled, n = np.concatenate([a, b]), len(a)
        rows = rng.permuted(np.tile(np.arange(2 * n), (divisions + 1, 1)), axis=1)
        rows[0] = np.arange(2 * n)
        values = distances(pooled[rows[:, :n]], pooled[rows[:, n:]])
        found.append(np.mean(values >= values[0]))
    return np.array(found)


@pytest.mark.statement("prop-lrd-permutation")
@pytest.mark.parametrize("d", [1, 2])
@seeds
def test_permuted_p_values_are_never_too_small(d, seed, record_property):
    rng = np.random.default_rng([d, seed])
    p_values = permutation_p_values(lambda: rng.exponential(size=(2, 30, d)), repeats=500, rng=rng)
    levels = np.array([0.05, 0.1, 0.25, 0.5])
    alarms = np.array([(p_values <= level + 1e-9).mean() for level in levels])
    excess = (alarms - levels) / np.sqrt(levels * (1 - levels) / 500)
    record_property("error", float((alarms - levels).max()))
    assert excess.max() < 3.5
    assert p_values.min() >= 1 / 20


@pytest.mark.statement("prop-lrd-permutation")
def test_and_small_where_the_samples_differ():
    rng = np.random.default_rng(0)
    scales = np.array([1.0, 3.0])[:, None, None]
    p_values = permutation_p_values(
        lambda: scales * rng.exponential(size=(2, 30, 1)), repeats=100, rng=rng
    )
    assert (p_values <= 0.05 + 1e-9).mean() > 0.8


@pytest.mark.statement("prop-lrd-permutation", control=True)
@seeds
def test_points_that_are_not_exchangeable_raise_false_alarms(seed):
    rng = np.random.default_rng(seed)

    def drifting():
        """Two stretches of one stationary series, in which neighbours are alike."""
        noise = np.sqrt(1 - 0.9**2) * rng.normal(size=(2, 30))
        x = rng.normal(size=2)
        rows = []
        for step in noise.T:
            x = 0.9 * x + step
            rows.append(x)
        return np.array(rows).T[..., None]

    assert (permutation_p_values(drifting, repeats=200, rng=rng) <= 0.05 + 1e-9).mean() > 0.2
