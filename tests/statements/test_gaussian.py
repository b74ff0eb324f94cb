"""Checks of the statements of the chapter "The Gaussian case", each with a negative control."""

import numpy as np
import pytest
from flow_cases import affine_flow, largest, normal
from gaussian_cases import affine, datasets, moments, moments_of, relative
from scipy import linalg, stats

import lrmf
from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (1, 2, 3, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


def expand(m):
    """The loss split as in the text: a part for each spread, and a part for the gap."""
    relative = np.linalg.eigvals(np.linalg.solve(m["cov_b"], m["cov_a"])).real
    gap = m["mean_a"] - m["mean_b"]
    return np.log(np.cosh(0.5 * np.log(relative))).sum() + np.log1p(
        0.5 * gap @ np.linalg.solve(m["cov_a"] + m["cov_b"], gap)
    )


# lem-gaussian-likelihood


@pytest.mark.statement("lem-gaussian-likelihood")
@backends
@cases
def test_the_best_normal_density_has_the_moments_of_the_data(d, seed, backend, record_property):
    m = moments(d, seed)
    x, _ = datasets(m, seed)
    best = normal(backend, m["mean_a"], m["cov_a"]).log_prob(x).mean()
    error = relative(best, gaussian.max_log_likelihood(m["cov_a"]))
    record_property("error", error)
    assert error < 1e-9
    rng = np.random.default_rng(seed)
    for _ in range(10):
        stretch = linalg.expm(0.1 * rng.normal(size=(d, d)))
        other = normal(
            backend, m["mean_a"] + 0.1 * rng.normal(size=d), stretch @ m["cov_a"] @ stretch.T
        )
        assert other.log_prob(x).mean() < best


@pytest.mark.statement("lem-gaussian-likelihood", control=True)
@seeds
def test_another_family_reaches_a_higher_likelihood(seed):
    x = stats.laplace.rvs(size=20_000, random_state=seed)
    in_the_normal_family = gaussian.max_log_likelihood([[x.var()]])
    assert stats.laplace.logpdf(x, *stats.laplace.fit(x)).mean() > in_the_normal_family + 0.05


# lem-mixture-moments


@pytest.mark.statement("lem-mixture-moments")
@cases
def test_moments_of_the_equal_mixture(d, seed, record_property):
    m = moments(d, seed)
    both = np.concatenate(datasets(m, seed))
    mean, cov = gaussian.shared_moments(**m)
    error = max(largest(moments_of(both)[0] - mean), largest(moments_of(both)[1] - cov))
    record_property("error", error)
    assert error < 1e-10


@pytest.mark.statement("lem-mixture-moments", control=True)
@cases
def test_a_mixture_of_unequal_weights_has_other_moments(d, seed):
    m = moments(d, seed)
    a, b = datasets(m, seed)
    both = np.concatenate([a, a, b])
    assert np.abs(moments_of(both)[1] - gaussian.shared_moments(**m)[1]).max() > 1e-3


# prop-gaussian-distance


@pytest.mark.statement("prop-gaussian-distance")
@backends
@cases
def test_distance_is_what_private_models_gain_over_the_shared_one(
    d, seed, backend, record_property
):
    m = moments(d, seed)
    a, b = datasets(m, seed)
    shared = normal(backend, *gaussian.shared_moments(**m))
    gain = sum(
        normal(backend, m[f"mean_{k}"], m[f"cov_{k}"]).log_prob(x).mean()
        - shared.log_prob(x).mean()
        for k, x in (("a", a), ("b", b))
    )
    distance = float(gaussian.distance(**m))
    error = max(relative(gain, distance), relative(expand(m), distance))
    record_property("error", error)
    assert error < 1e-9
    assert distance > 0
    same = {**m, "mean_b": m["mean_a"], "cov_b": m["cov_a"]}
    assert gaussian.distance(**same) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.statement("prop-gaussian-distance", control=True)
@cases
def test_equal_means_or_equal_covariances_alone_do_not_suffice(d, seed):
    m = moments(d, seed)
    assert gaussian.distance(**{**m, "mean_b": m["mean_a"]}) > 1e-3
    assert gaussian.distance(**{**m, "mean_b": m["mean_a"] + 1.0, "cov_b": m["cov_a"]}) > 1e-3


# lem-gaussian-ebias


def cross_entropy_gap(log_density, x):
    """KL(P; M) = −entropy − max likelihood over normal densities, from a large sample."""
    return log_density.mean() - float(gaussian.max_log_likelihood(moments_of(x)[1]))


@pytest.mark.statement("lem-gaussian-ebias")
@backends
@cases
def test_an_affine_map_keeps_the_distance_to_the_normal_family(d, seed, backend, record_property):
    rng = np.random.default_rng([d, seed])
    x = rng.exponential(size=(5_000, d))
    log_density = -x.sum(axis=1)
    image, log_det = affine_flow(backend, *affine(d, seed)).forward(x)
    before = cross_entropy_gap(log_density, x)
    assert before > 0.1
    error = relative(cross_entropy_gap(log_density - log_det, image), before)
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("lem-gaussian-ebias", control=True)
@cases
def test_a_map_that_is_not_affine_changes_it(d, seed):
    x = np.random.default_rng([d, seed]).exponential(size=(5_000, d))
    # The logarithm makes Gumbel variables of exponential ones: closer to normal.
    log_det = -np.log(x).sum(axis=1)
    before = cross_entropy_gap(-x.sum(axis=1), x)
    assert before - cross_entropy_gap(-x.sum(axis=1) - log_det, np.log(x)) > 0.1 * d


# prop-gaussian-line: Example 2.1 of the paper, corrected


def moments_1d(seed):
    rng = np.random.default_rng(seed)
    mean_a, mean_b = 2 * rng.normal(size=2)
    std_a, std_b = np.exp(0.5 * rng.normal(size=2))
    return {"mean_a": mean_a, "std_a": std_a, "mean_b": mean_b, "std_b": std_b}


def as_matrices(m):
    return {
        "mean_a": np.array([m["mean_a"]]),
        "cov_a": np.array([[m["std_a"] ** 2]]),
        "mean_b": np.array([m["mean_b"]]),
        "cov_b": np.array([[m["std_b"] ** 2]]),
    }


def printed_shared_variance(a, b, *, mean_a, std_a, mean_b, std_b):
    """The variance of the shared density as the paper prints it in Example 2.1."""
    return 0.5 * (a**2 * std_a**2 + std_b**2) - 0.25 * (mean_a + b - mean_b) ** 2


def loss_with_best_shared_model(backend, a, b, m, seed):
    """lrmf_loss on data with exactly these moments, its shared density at the mixture's."""
    wide = as_matrices(m)
    source, target = datasets(wide, seed)
    transform = affine_flow(backend, [[a]], [b])
    image, _ = transform.forward(source)
    shared = normal(backend, *moments_of(np.concatenate([image, target])))
    constant = float(gaussian.constant(wide["cov_a"], wide["cov_b"]))
    return float(lrmf.lrmf_loss(transform, shared, source, target, constant=constant))


@pytest.mark.statement("prop-gaussian-line")
@backends
@seeds
def test_the_corrected_loss_is_the_one_that_flows_compute(seed, backend, record_property):
    m = moments_1d(seed)
    rng = np.random.default_rng(seed)
    for a, b in zip(np.exp(rng.normal(size=4)), rng.normal(size=4), strict=True):
        value = loss_with_best_shared_model(backend, a, b, m, seed)
        error = relative(gaussian.loss_1d(a, b, **m), value)
        record_property("error", error)
        assert error < 1e-9


@pytest.mark.statement("prop-gaussian-line")
@pytest.mark.parametrize("seed", range(20))
def test_the_only_stationary_point_is_the_optimum(seed, record_property):
    m = moments_1d(seed)
    a_best, b_best = gaussian.optimum_1d(**m)

    def negative_slope(v):
        by_a, by_b = gaussian.loss_gradient([[v[0]]], [v[1]], **as_matrices(m))
        return [by_a[0, 0], by_b[0]]

    error = max(
        largest(negative_slope([float(a_best), float(b_best)])),
        largest(gaussian.loss_1d(a_best, b_best, **m)),
    )
    record_property("error", error)
    assert error < 1e-12
    a, b = np.meshgrid(np.exp(np.linspace(-4, 4, 81)), np.linspace(-12, 12, 81))
    slopes = gaussian.loss_gradient(a.reshape(-1, 1, 1), b.reshape(-1, 1), **as_matrices(m))
    # Descent never stands still, and never points away from the optimum in b at the best slope.
    size = np.hypot(slopes[0][:, 0, 0], slopes[1][:, 0])
    gap = a.ravel() * m["mean_a"] + b.ravel() - m["mean_b"]
    ratio = np.log(a.ravel() * m["std_a"] / m["std_b"])
    away = (np.abs(gap) > 0.05) | (np.abs(ratio) > 0.05)
    assert size[away].min() > 1e-4
    assert np.all(np.sign(slopes[1][:, 0]) == np.sign(gap))


@pytest.mark.statement("prop-gaussian-line")
@pytest.mark.parametrize(("backend", "seed"), [*(("jax", s) for s in SEEDS), ("tfp", 0)])
def test_fitting_lands_on_the_optimum(seed, backend, record_property):
    m = moments_1d(seed)
    source, target = datasets(as_matrices(m), seed)
    model = lrmf.LRMF(
        transform=lrmf.Affine(kind="diagonal"),
        density=lrmf.Gaussian(),
        standardize=False,
        start="identity",
        backend=backend,
        steps=2000,
        batch_size=400,
        learning_rate=0.05,
        private_steps=600,
        dtype="float64",
        progress=False,
    ).fit(Xs=source, Xt=target)
    a, b = gaussian.optimum_1d(**m)
    arrays = model.transform_.arrays
    error = largest(arrays["shift"] - b)
    record_property("error", error)
    assert error < 1e-3
    assert relative(np.exp(arrays["log_scale"])[0], a) < 1e-4
    assert abs(model.history_["loss"][-1]) < 1e-4


@pytest.mark.statement("prop-gaussian-line", control=True)
@seeds
def test_the_printed_variance_and_optimum_are_others(seed):
    m = {**moments_1d(seed), "mean_a": 3.0}
    a, b = 0.8, m["mean_b"] - 0.8 * m["mean_a"] + 1.0
    source, target = datasets(as_matrices(m), seed)
    measured = np.concatenate([a * source + b, target]).var()
    assert abs(printed_shared_variance(a, b, **m) - measured) > 0.1
    a_best, _ = gaussian.optimum_1d(**m)
    assert gaussian.loss_1d(a_best, m["mean_b"] - m["mean_a"], **m) > 1e-2
