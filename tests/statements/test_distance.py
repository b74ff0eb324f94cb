"""Checks of the statements of the chapter "The likelihood-ratio distance", with controls."""

import numpy as np
import pytest
from distance_cases import categorical_distances, distances
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


def table_distance(f, g):
    return f.max() + g.max() - (f + g).max()


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
    densities = np.exp(components - components.max(axis=1, keepdims=True))
    for _ in range(steps):
        joint = densities * weights
        weights = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0) + 1e-300
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
