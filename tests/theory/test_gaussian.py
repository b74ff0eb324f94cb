"""Closed forms of the Gaussian case against quadrature, optimisers, sampling and POT."""

import os

import numpy as np
import pytest
from scipy import integrate, linalg, optimize, stats

import lrmf
from lrmf.theory import gaussian

# POT imports every array library it finds; these tests only give it NumPy arrays.
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")

import ot

SEEDS = range(4)
DIMENSIONS = (1, 2, 3, 6)


def random_moments(d, seed):
    """Moments of A and B, far from symmetric, and a random invertible affine map."""
    rng = np.random.default_rng([d, seed])
    moments = {}
    for name in "ab":
        root = rng.normal(size=(d, d)) + np.eye(d)
        moments[f"mean_{name}"] = 2 * rng.normal(size=d)
        moments[f"cov_{name}"] = root @ root.T + 0.2 * np.eye(d)
    return moments, rng.normal(size=(d, d)) + np.eye(d), rng.normal(size=d)


def random_moments_1d(seed):
    rng = np.random.default_rng(seed)
    mean_a, mean_b = 3 * rng.normal(size=2)
    std_a, std_b = np.exp(rng.normal(size=2))
    return {"mean_a": mean_a, "std_a": std_a, "mean_b": mean_b, "std_b": std_b}


def expected_log_prob(mean, std, model):
    """∫ N(x; mean, std²) log model(x) dx by Gauss-Legendre quadrature over 12 deviations."""
    value, _ = integrate.fixed_quad(
        lambda x: stats.norm.pdf(x, mean, std) * model(x), mean - 12 * std, mean + 12 * std, n=120
    )
    return value


@pytest.mark.parametrize("seed", SEEDS)
def test_loss_1d_is_the_minimum_over_shared_models_by_quadrature(seed):
    m = random_moments_1d(seed)
    a, b = 0.7, -0.4

    def objective(theta):
        def log_model(x):
            return stats.norm.logpdf(x, theta[0], np.exp(theta[1]))

        moved = expected_log_prob(a * m["mean_a"] + b, a * m["std_a"], log_model)
        return -moved - expected_log_prob(m["mean_b"], m["std_b"], log_model)

    best = optimize.minimize(objective, [0.0, 1.0], method="BFGS", options={"gtol": 1e-7})
    private = [
        expected_log_prob(mean, std, lambda x, mean=mean, std=std: stats.norm.logpdf(x, mean, std))
        for mean, std in ((m["mean_a"], m["std_a"]), (m["mean_b"], m["std_b"]))
    ]
    by_quadrature = best.fun + sum(private) - np.log(a)
    assert gaussian.loss_1d(a, b, **m) == pytest.approx(by_quadrature, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_optimum_1d_is_where_an_optimiser_ends(seed):
    m = random_moments_1d(seed)
    result = optimize.minimize(
        lambda v: float(gaussian.loss_1d(np.exp(v[0]), v[1], **m)),
        [0.0, 0.0],
        method="BFGS",
        options={"gtol": 1e-9},
    )
    a, b = gaussian.optimum_1d(**m)
    np.testing.assert_allclose([np.exp(result.x[0]), result.x[1]], [a, b], atol=1e-5)
    assert gaussian.loss_1d(a, b, **m) == pytest.approx(0.0, abs=1e-12)


def test_functions_1d_broadcast():
    a = np.linspace(0.5, 2.0, 5)[:, None]
    b = np.linspace(-1.0, 1.0, 3)
    m = random_moments_1d(0)
    surface = gaussian.loss_1d(a, b, **m)
    assert surface.shape == (5, 3)
    assert surface[3, 2] == gaussian.loss_1d(a[3, 0], b[2], **m)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_dimension_is_a_special_case(seed):
    m = random_moments_1d(seed)
    wide = {
        "mean_a": [m["mean_a"]],
        "cov_a": [[m["std_a"] ** 2]],
        "mean_b": [m["mean_b"]],
        "cov_b": [[m["std_b"] ** 2]],
    }
    assert gaussian.distance(**wide) == pytest.approx(gaussian.distance_1d(**m), rel=1e-12)
    for a, b in ((0.3, 1.0), (-2.0, 0.5)):
        assert gaussian.loss([[a]], [b], **wide) == pytest.approx(
            gaussian.loss_1d(a, b, **m), rel=1e-12
        )
    matrix, shift = gaussian.monge_map(**wide)
    np.testing.assert_allclose(
        [matrix[0, 0], shift[0]], gaussian.optimum_1d(**m), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("d", DIMENSIONS)
def test_max_log_likelihood_is_minus_the_entropy(d):
    moments, _, _ = random_moments(d, 0)
    entropy = stats.multivariate_normal(moments["mean_a"], moments["cov_a"]).entropy()
    assert gaussian.max_log_likelihood(moments["cov_a"]) == pytest.approx(-entropy, rel=1e-12)
    entropy += stats.multivariate_normal(moments["mean_b"], moments["cov_b"]).entropy()
    c = gaussian.constant(moments["cov_a"], moments["cov_b"])
    assert c == pytest.approx(-entropy, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_distance_by_sampling(d, seed):
    moments, _, _ = random_moments(d, seed)
    rng = np.random.default_rng(seed)
    n = 100_000
    data = {
        name: rng.multivariate_normal(moments[f"mean_{name}"], moments[f"cov_{name}"], size=n)
        for name in "ab"
    }

    def log_prob(x, fitted_to):
        return stats.multivariate_normal.logpdf(x, fitted_to.mean(axis=0), np.cov(fitted_to.T))

    both = np.concatenate([data["a"], data["b"]])
    terms = [log_prob(x, x) - log_prob(x, both) for x in data.values()]
    standard_error = np.sqrt(sum(term.var() / n for term in terms))
    assert gaussian.distance(**moments) == pytest.approx(
        sum(term.mean() for term in terms), abs=5 * standard_error
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_shared_moments_minimise_the_cross_entropy(d, seed):
    moments, _, _ = random_moments(d, seed)
    mean, cov = gaussian.shared_moments(**moments)

    def cross_entropy(m, s):
        precision, total = np.linalg.inv(s), np.linalg.slogdet(s)[1]
        for name in "ab":
            gap = moments[f"mean_{name}"] - m
            total += (
                0.5 * np.trace(precision @ moments[f"cov_{name}"]) + 0.5 * gap @ precision @ gap
            )
        return total

    best = cross_entropy(mean, cov)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        step = 0.05 * rng.normal(size=(d, d))
        nearby = linalg.expm(step) @ cov @ linalg.expm(step).T
        assert cross_entropy(mean + 0.05 * rng.normal(size=d), nearby) > best


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_gradient_is_the_derivative_of_the_loss(d, seed):
    moments, matrix, shift = random_moments(d, seed)
    at = np.concatenate([matrix.ravel(), shift])

    def value(v):
        return gaussian.loss(v[: d * d].reshape(d, d), v[d * d :], **moments)

    step = 1e-5
    numeric = [(value(at + e) - value(at - e)) / (2 * step) for e in step * np.eye(len(at))]
    by_matrix, by_shift = gaussian.loss_gradient(matrix, shift, **moments)
    analytic = np.concatenate([by_matrix.ravel(), by_shift])
    np.testing.assert_allclose(analytic, numeric, atol=1e-6 * max(1.0, np.abs(analytic).max()))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_monge_map_is_the_one_of_pot(d, seed):
    moments, _, _ = random_moments(d, seed)
    matrix, shift = gaussian.monge_map(**moments)
    theirs, their_shift = ot.gaussian.bures_wasserstein_mapping(
        moments["mean_a"], moments["mean_b"], moments["cov_a"], moments["cov_b"]
    )
    np.testing.assert_allclose(matrix, theirs, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(shift, np.ravel(their_shift), rtol=1e-9, atol=1e-9)
    # The other direction is another map: the comparison can tell them apart.
    backwards, _ = ot.gaussian.bures_wasserstein_mapping(
        moments["mean_b"], moments["mean_a"], moments["cov_b"], moments["cov_a"]
    )
    assert np.abs(matrix - backwards).max() > 1e-2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_wasserstein_is_the_one_of_pot(d, seed):
    moments, _, _ = random_moments(d, seed)
    theirs = ot.gaussian.bures_wasserstein_distance(
        moments["mean_a"], moments["mean_b"], moments["cov_a"], moments["cov_b"]
    )
    assert gaussian.wasserstein(**moments) == pytest.approx(float(theirs), rel=1e-9)


def test_wasserstein_of_equal_densities_is_zero():
    moments, _, _ = random_moments(3, 0)
    same = gaussian.wasserstein(
        moments["mean_a"], moments["cov_a"], moments["mean_a"], moments["cov_a"]
    )
    assert same == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_moment_matching_map_matches_for_every_rotation(d, seed):
    moments, _, _ = random_moments(d, seed)
    rotation = linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    matrix, shift = gaussian.moment_matching_map(rotation, **moments)
    np.testing.assert_allclose(matrix @ moments["cov_a"] @ matrix.T, moments["cov_b"], atol=1e-9)
    np.testing.assert_allclose(matrix @ moments["mean_a"] + shift, moments["mean_b"], atol=1e-9)
    # Q is recovered with square roots computed by SciPy.
    recovered = np.linalg.solve(linalg.sqrtm(moments["cov_b"]), matrix) @ linalg.sqrtm(
        moments["cov_a"]
    )
    np.testing.assert_allclose(recovered, rotation, atol=1e-8)


@pytest.mark.parametrize("backend", ["jax", "tfp"])
@pytest.mark.parametrize("d", [1, 3])
def test_density_arrays_make_the_normal_density(d, backend):
    moments, _, _ = random_moments(d, 0)
    mean, cov = moments["mean_a"], moments["cov_a"]
    arrays = gaussian.density_arrays(mean, cov)
    density = lrmf.get_backend(backend).density(lrmf.Gaussian(), arrays, dtype="float64")
    x = np.random.default_rng(0).normal(size=(50, d))
    np.testing.assert_allclose(
        density.log_prob(x), stats.multivariate_normal.logpdf(x, mean, cov), rtol=1e-9
    )


def test_functions_broadcast_over_leading_axes():
    d, cases = 3, [random_moments(3, seed) for seed in range(5)]
    stacked = {name: np.stack([case[0][name] for case in cases]) for name in cases[0][0]}
    matrices, shifts = np.stack([c[1] for c in cases]), np.stack([c[2] for c in cases])
    batched = {
        "loss": gaussian.loss(matrices, shifts, **stacked),
        "distance": gaussian.distance(**stacked),
        "wasserstein": gaussian.wasserstein(**stacked),
        "matrix": gaussian.monge_map(**stacked)[0],
        "gradient": gaussian.loss_gradient(matrices, shifts, **stacked)[0],
    }
    assert batched["loss"].shape == (5,)
    assert batched["matrix"].shape == (5, d, d)
    for k, (moments, matrix, shift) in enumerate(cases):
        alone = {
            "loss": gaussian.loss(matrix, shift, **moments),
            "distance": gaussian.distance(**moments),
            "wasserstein": gaussian.wasserstein(**moments),
            "matrix": gaussian.monge_map(**moments)[0],
            "gradient": gaussian.loss_gradient(matrix, shift, **moments)[0],
        }
        for name, value in alone.items():
            np.testing.assert_allclose(batched[name][k], value, rtol=1e-9, atol=1e-12)


GOOD = {
    "mean_a": [0.0, 0.0],
    "cov_a": [[1.0, 0.0], [0.0, 1.0]],
    "mean_b": [1.0, 0.0],
    "cov_b": [[2.0, 0.5], [0.5, 1.0]],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cov_a": [[1.0, 0.0], [0.0, -1.0]]}, "cov_a must be positive definite"),
        ({"cov_b": [[1.0, 1.0], [1.0, 1.0]]}, "cov_b must be positive definite.*more points"),
        ({"cov_a": [[1.0, 0.3], [0.0, 1.0]]}, r"cov_a must be symmetric.*np\.cov"),
        ({"cov_a": [1.0, 1.0]}, r"cov_a must be a square matrix.*got \(2,\)"),
        ({"cov_b": [[np.nan, 0.0], [0.0, 1.0]]}, "cov_b has 1 of 4 values that are not finite"),
        ({"mean_a": 0.0}, "mean_a must be a vector.*_1d"),
        ({"mean_a": [0.0, 1e76]}, r"mean_a has values up to 1e\+76, whose powers .*; take units"),
        ({"mean_a": np.zeros((2, 2)), "mean_b": np.zeros((3, 2))}, r"broadcast .*\(3,\) in mean_b"),
        ({"mean_b": [0.0, 0.0, 0.0]}, "same number of features.*3 in mean_b"),
        ({"cov_a": np.eye(3)}, "same number of features.*3 in cov_a"),
    ],
)
def test_bad_moments_are_refused(change, message):
    bad = {**GOOD, **change}
    for call in (gaussian.distance, gaussian.shared_moments, gaussian.monge_map):
        with pytest.raises(ValueError, match=message):
            call(**bad)
    with pytest.raises(ValueError, match=message):
        gaussian.loss(np.eye(2), np.zeros(2), **bad)


@pytest.mark.parametrize("call", [gaussian.loss, gaussian.loss_gradient])
def test_bad_maps_are_refused(call):
    with pytest.raises(ValueError, match="matrix must not be singular"):
        call([[0.1, 0.2], [0.3, 0.6]], [0.0, 0.0], **GOOD)
    with pytest.raises(ValueError, match=r"same number of features.*3 in matrix"):
        call(np.eye(3), np.zeros(3), **GOOD)
    with pytest.raises(ValueError, match=r"same number of features.*1 in shift"):
        call(np.eye(2), np.zeros(1), **GOOD)


def test_no_gradient_where_all_spread_is_lost():
    far = {**GOOD, "mean_b": [0.0, 0.0], "cov_b": 1e-60 * np.eye(2)}
    with pytest.raises(ValueError, match="in float64 it is singular: their means lie too far"):
        gaussian.loss_gradient(1e-60 * np.eye(2), [1.0, -0.5], **far)


def test_a_rotation_that_is_not_orthogonal_is_refused():
    with pytest.raises(ValueError, match="rotation must be orthogonal"):
        gaussian.moment_matching_map([[1.0, 0.1], [0.0, 1.0]], **GOOD)
    with pytest.raises(ValueError, match="same number of features"):
        gaussian.moment_matching_map(np.eye(3), **GOOD)


def test_density_arrays_refuse_several_densities():
    with pytest.raises(ValueError, match=r"one density.*got \(2, 2\) and \(2, 2, 2\)"):
        gaussian.density_arrays(np.zeros((2, 2)), np.stack([np.eye(2)] * 2))


def test_constant_refuses_covariances_of_different_size():
    with pytest.raises(ValueError, match="2 in cov_a, 3 in cov_b"):
        gaussian.constant(np.eye(2), np.eye(3))


def test_bad_values_on_the_line_are_refused():
    good = {"mean_a": 0.0, "std_a": 1.0, "mean_b": 0.0, "std_b": 1.0}
    with pytest.raises(ValueError, match="a must not be zero"):
        gaussian.loss_1d([1.0, 0.0], 0.0, **good)
    with pytest.raises(ValueError, match="std_b must be positive, got 0"):
        gaussian.distance_1d(**{**good, "std_b": 0.0})
    with pytest.raises(ValueError, match="std_a must be positive, got -1"):
        gaussian.optimum_1d(**{**good, "std_a": [1.0, -1.0]})
    with pytest.raises(ValueError, match="b has 1 of 1 values that are not finite"):
        gaussian.loss_1d(1.0, np.inf, **good)
    with pytest.raises(ValueError, match="std_b has values down to 1e-200, whose powers vanish"):
        gaussian.distance_1d(**{**good, "std_b": 1e-200})
    for call in (gaussian.distance_1d, gaussian.optimum_1d):
        with pytest.raises(
            ValueError, match=r"must broadcast .*\(2,\) in mean_a, .*\(3,\) in std_b"
        ):
            call(**{**good, "mean_a": [0.0, 1.0], "std_b": [1.0, 2.0, 3.0]})
