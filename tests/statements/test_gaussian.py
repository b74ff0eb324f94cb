"""Checks of the statements of the chapter "The Gaussian case", each with a negative control."""

import os

import numpy as np
import pytest
from scipy import linalg, optimize, stats

import lrmf
from lrmf.backends.base import Role
from lrmf.objectives import likelihood_ratio
from lrmf.theory import gaussian

# POT imports every array library it finds; these tests only give it NumPy arrays.
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")

import ot

SEEDS = range(3)
DIMENSIONS = (1, 2, 3, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


def covariance(rng, d):
    root = rng.normal(size=(d, d)) + np.eye(d)
    return root @ root.T + 0.2 * np.eye(d)


def moments(d, seed):
    rng = np.random.default_rng([d, seed])
    return {
        "mean_a": 2 * rng.normal(size=d),
        "cov_a": covariance(rng, d),
        "mean_b": 2 * rng.normal(size=d),
        "cov_b": covariance(rng, d),
    }


def affine(d, seed):
    rng = np.random.default_rng([d, seed, 1])
    return rng.normal(size=(d, d)) + 1.5 * np.eye(d), rng.normal(size=d)


def sample_with(mean, cov, *, n, rng):
    """Points that are far from normal but have exactly this mean and this covariance."""
    x = rng.exponential(size=(n, len(mean)))
    x = x - x.mean(axis=0)
    whitened = (
        x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T, bias=True).reshape(2 * (len(mean),)))).T
    )
    return mean + whitened @ np.linalg.cholesky(cov).T


def datasets(m, seed, n=400):
    rng = np.random.default_rng([seed, 2])
    return tuple(sample_with(m[f"mean_{k}"], m[f"cov_{k}"], n=n, rng=rng) for k in "ab")


def flow(backend, matrix, shift):
    arrays = {"matrix": np.asarray(matrix, float), "shift": np.asarray(shift, float)}
    return lrmf.get_backend(backend).flow(lrmf.Affine(), arrays, dtype="float64")


def normal(backend, mean, cov):
    arrays = gaussian.density_arrays(mean, cov)
    return lrmf.get_backend(backend).density(lrmf.Gaussian(), arrays, dtype="float64")


def moments_of(x):
    d = x.shape[1]
    return x.mean(axis=0), np.cov(x.T, bias=True).reshape(d, d)


def expand(m):
    """The loss split as in the text: a part for each spread, and a part for the gap."""
    relative = np.linalg.eigvals(np.linalg.solve(m["cov_b"], m["cov_a"])).real
    gap = m["mean_a"] - m["mean_b"]
    return np.log(np.cosh(0.5 * np.log(relative))).sum() + np.log1p(
        0.5 * gap @ np.linalg.solve(m["cov_a"] + m["cov_b"], gap)
    )


def relative(value, expected):
    """The relative error of a number."""
    return abs(float(value) / float(expected) - 1.0)


def largest(difference):
    return float(np.abs(difference).max())


def minimise(value_and_gradient, start):
    return optimize.minimize(
        value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000}
    )


def full_objective(m):
    d = len(m["mean_a"])

    def value_and_gradient(v):
        matrix, shift = v[: d * d].reshape(d, d), v[d * d :]
        by_matrix, by_shift = gaussian.loss_gradient(matrix, shift, **m)
        return float(gaussian.loss(matrix, shift, **m)), np.append(by_matrix.ravel(), by_shift)

    return value_and_gradient


def positive_definite_objective(m):
    d = len(m["mean_a"])

    def value_and_gradient(v):
        root, shift = v[: d * d].reshape(d, d), v[d * d :]
        by_matrix, by_shift = gaussian.loss_gradient(root.T @ root, shift, **m)
        by_root = root @ (by_matrix + by_matrix.T)
        value = float(gaussian.loss(root.T @ root, shift, **m))
        return value, np.append(by_root.ravel(), by_shift)

    return value_and_gradient


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
    image, log_det = flow(backend, *affine(d, seed)).forward(x)
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
    transform = flow(backend, [[a]], [b])
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
@backends
@seeds
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
        private_steps=None,
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


# thm-gaussian-affine


@pytest.mark.statement("thm-gaussian-affine")
@backends
@cases
def test_loss_of_an_affine_map_is_the_distance_of_its_image(d, seed, backend, record_property):
    m = moments(d, seed)
    source, target = datasets(m, seed)
    matrix, shift = affine(d, seed)
    transform = flow(backend, matrix, shift)
    image, _ = transform.forward(source)
    shared = normal(backend, *moments_of(np.concatenate([image, target])))
    constant = float(gaussian.constant(m["cov_a"], m["cov_b"]))
    value = float(lrmf.lrmf_loss(transform, shared, source, target, constant=constant))
    mean, cov = moments_of(image)
    distance = gaussian.distance(mean, cov, m["mean_b"], m["cov_b"])
    error = max(relative(gaussian.loss(matrix, shift, **m), value), relative(distance, value))
    record_property("error", error)
    assert error < 1e-9
    assert value > 0


@pytest.mark.statement("thm-gaussian-affine")
@cases
def test_the_loss_is_zero_exactly_where_the_moments_match(d, seed, record_property):
    m = moments(d, seed)
    matrix, shift = gaussian.monge_map(**m)
    error = largest(gaussian.loss(matrix, shift, **m))
    record_property("error", error)
    assert error < 1e-10
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-2, 1e-1):
        nearby = linalg.expm(size * rng.normal(size=(d, d))) @ matrix
        moved = shift + size * rng.normal(size=d)
        mismatch = np.abs(nearby @ m["cov_a"] @ nearby.T - m["cov_b"]).max()
        assert mismatch > 0
        assert gaussian.loss(nearby, moved, **m) > 1e-9


@pytest.mark.statement("thm-gaussian-affine", control=True)
@cases
def test_without_the_log_determinant_the_loss_prefers_collapse(d, seed):
    m = moments(d, seed)

    def without_log_det(matrix):
        shift = m["mean_b"] - matrix @ m["mean_a"]
        return gaussian.loss(matrix, shift, **m) + np.linalg.slogdet(matrix)[1]

    matched, _ = gaussian.monge_map(**m)
    collapsed = 1e-3 * matched
    assert without_log_det(collapsed) < without_log_det(matched) - 0.5
    assert gaussian.loss(collapsed, m["mean_b"] - collapsed @ m["mean_a"], **m) > 1.0


# cor-gaussian-rotation


@pytest.mark.statement("cor-gaussian-rotation")
@cases
def test_every_rotation_gives_a_minimiser(d, seed, record_property):
    m = moments(d, seed)
    rotations = (
        stats.ortho_group.rvs(d, size=5, random_state=seed) if d > 1 else [[[1.0]], [[-1.0]]]
    )
    found = []
    for q in rotations:
        matrix, shift = gaussian.moment_matching_map(q, **m)
        error = largest(gaussian.loss(matrix, shift, **m))
        record_property("error", error)
        assert error < 1e-10
        found.append(matrix)
    assert np.abs(found[0] - found[1]).max() > 1e-2


@pytest.mark.statement("cor-gaussian-rotation")
@cases
def test_every_minimiser_is_given_by_a_rotation(d, seed, record_property):
    m = moments(d, seed)
    matrix, shift = affine(d, seed)
    end = minimise(full_objective(m), np.append(matrix.ravel(), shift))
    found = end.x[: d * d].reshape(d, d)
    assert end.fun == pytest.approx(0.0, abs=1e-9)
    q = np.linalg.solve(linalg.sqrtm(m["cov_b"]), found) @ linalg.sqrtm(m["cov_a"])
    error = largest(q @ q.T - np.eye(d))
    record_property("error", error)
    assert error < 1e-4


@pytest.mark.statement("cor-gaussian-rotation")
@backends
@seeds
def test_fits_of_turned_sources_end_on_different_rotations(seed, backend, record_property):
    m = moments(2, seed)
    source, target = datasets(m, seed)
    found = []
    for degrees in (0.0, 90.0):
        t = np.radians(degrees)
        turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
        model = fit(backend, "full", source @ turn.T, target)
        matrix = model.transform_.arrays["matrix"] @ turn
        assert abs(model.history_["loss"][-1]) < 1e-3
        error = largest(matrix @ m["cov_a"] @ matrix.T - m["cov_b"])
        record_property("error", error)
        assert error < 1e-2
        found.append(matrix)
    assert np.abs(found[0] - found[1]).max() > 0.1


@pytest.mark.statement("cor-gaussian-rotation", control=True)
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_a_matrix_that_is_not_orthogonal_gives_no_minimiser(d, seed):
    m = moments(d, seed)
    q = np.eye(d)
    q[0, 1] = 0.5
    matrix = linalg.sqrtm(m["cov_b"]) @ q @ np.linalg.inv(linalg.sqrtm(m["cov_a"]))
    shift = m["mean_b"] - matrix @ m["mean_a"]
    assert gaussian.loss(matrix, shift, **m) > 1e-2


# thm-gaussian-monge


def fit(backend, kind, source, target):
    return lrmf.LRMF(
        transform=lrmf.Affine(kind=kind),
        density=lrmf.Gaussian(),
        standardize=False,
        start="identity",
        backend=backend,
        steps=3000,
        batch_size=400,
        learning_rate=0.05,
        private_steps=None,
        dtype="float64",
        progress=False,
    ).fit(Xs=source, Xt=target)


@pytest.mark.statement("thm-gaussian-monge")
@cases
def test_positive_definite_minimiser_is_the_map_of_pot(d, seed, record_property):
    m = moments(d, seed)
    theirs, shift = ot.gaussian.bures_wasserstein_mapping(
        m["mean_a"], m["mean_b"], m["cov_a"], m["cov_b"]
    )
    root, start = affine(d, seed + 10)
    end = minimise(positive_definite_objective(m), np.append(root.ravel(), start))
    found = end.x[: d * d].reshape(d, d)
    assert end.fun == pytest.approx(0.0, abs=1e-9)
    error = max(largest(found.T @ found - theirs), largest(end.x[d * d :] - np.ravel(shift)))
    record_property("error", error)
    assert error < 1e-3
    assert largest(gaussian.monge_map(**m)[0] - theirs) < 1e-9


@pytest.mark.statement("thm-gaussian-monge")
@backends
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_fitting_a_positive_definite_map_finds_the_map_of_pot(d, seed, backend, record_property):
    m = moments(d, seed)
    source, target = datasets(m, seed)
    arrays = fit(backend, "positive_definite", source, target).transform_.arrays
    theirs, shift = ot.gaussian.bures_wasserstein_mapping(
        m["mean_a"], m["mean_b"], m["cov_a"], m["cov_b"]
    )
    error = max(
        largest(arrays["matrix"].T @ arrays["matrix"] - theirs),
        largest(arrays["shift"] - np.ravel(shift)),
    )
    record_property("error", error)
    assert error < 1e-2


@pytest.mark.statement("thm-gaussian-monge", control=True)
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_without_positive_definiteness_other_maps_are_as_good(d, seed):
    m = moments(d, seed)
    turn = np.roll(np.eye(d), 1, axis=0)
    matrix, shift = gaussian.moment_matching_map(turn, **m)
    assert gaussian.loss(matrix, shift, **m) == pytest.approx(0.0, abs=1e-10)
    assert np.abs(matrix - gaussian.monge_map(**m)[0]).max() > 0.1


# prop-gaussian-cheapest


def transport_cost(matrix, shift, x):
    return np.mean(np.sum((x @ matrix.T + shift - x) ** 2, axis=1))


@pytest.mark.statement("prop-gaussian-cheapest")
@cases
def test_no_minimiser_moves_the_source_less_than_the_monge_map(d, seed, record_property):
    m = moments(d, seed)
    source, _ = datasets(m, seed)
    least = transport_cost(*gaussian.monge_map(**m), source)
    pot = ot.gaussian.bures_wasserstein_distance(m["mean_a"], m["mean_b"], m["cov_a"], m["cov_b"])
    error = max(relative(least, gaussian.wasserstein(**m) ** 2), relative(least, pot**2))
    record_property("error", error)
    assert error < 1e-9
    rotations = stats.ortho_group.rvs(d, size=200, random_state=seed) if d > 1 else [[[-1.0]]]
    costs = [transport_cost(*gaussian.moment_matching_map(q, **m), source) for q in rotations]
    assert min(costs) > least - 1e-9


@pytest.mark.statement("prop-gaussian-cheapest", control=True)
@cases
def test_a_map_that_need_not_match_can_move_the_source_less(d, seed):
    m = moments(d, seed)
    source, _ = datasets(m, seed)
    matrix, shift = gaussian.monge_map(**m)
    halfway = 0.5 * (matrix + np.eye(d)), 0.5 * shift
    assert transport_cost(*halfway, source) < float(gaussian.wasserstein(**m)) ** 2
    assert gaussian.loss(*halfway, **m) > 1e-3


# thm-gaussian-landscape


@pytest.mark.statement("thm-gaussian-landscape")
@pytest.mark.parametrize("objective", [full_objective, positive_definite_objective])
@cases
def test_descent_from_anywhere_ends_at_loss_zero(d, seed, objective, record_property):
    m = moments(d, seed)
    rng = np.random.default_rng([d, seed, 3])
    for _ in range(5):
        start = np.append((2 * rng.normal(size=(d, d))).ravel(), 5 * rng.normal(size=d))
        error = abs(minimise(objective(m), start).fun)
        record_property("error", error)
        assert error < 1e-8


@pytest.mark.statement("thm-gaussian-landscape")
@pytest.mark.parametrize("objective", [full_objective, positive_definite_objective])
@cases
def test_the_loss_grows_without_bound_towards_the_edge(d, seed, objective):
    value = objective(moments(d, seed))
    matrix, shift = affine(d, seed)
    for scale in (1e-8, 1e8):
        assert value(np.append(scale * matrix.ravel(), shift))[0] > 5
    assert value(np.append(matrix.ravel(), 1e8 * shift))[0] > 5


def largest_joint_gradient(backend, kind, matrix, shift, m, source, target):
    """The largest derivative of lrmf_loss by any array of the flow or the shared density."""
    roles = (
        Role("transform", lrmf.Flow, lrmf.Affine(kind=kind), shift.shape),
        Role("density", lrmf.Density, lrmf.Gaussian(), shift.shape),
    )
    arrays = {
        "transform": {"matrix": matrix, "shift": shift},
        "density": gaussian.density_arrays(m["mean_b"], m["cov_b"]),
    }
    _, gradients = lrmf.get_backend(backend).loss_and_gradients(
        likelihood_ratio, roles, arrays, {"source": source, "target": target}, dtype="float64"
    )
    slopes = {**gradients["transform"], **gradients["density"]}
    return max(np.abs(slope).max() for slope in slopes.values())


@pytest.mark.statement("thm-gaussian-landscape")
@backends
@pytest.mark.parametrize("kind", ["full", "positive_definite"])
@cases
def test_the_joint_loss_is_stationary_at_a_minimiser(d, seed, kind, backend, record_property):
    m = moments(d, seed)
    source, target = datasets(m, seed)
    matrix, shift = gaussian.monge_map(**m)
    if kind == "positive_definite":
        matrix = linalg.sqrtm(matrix)
    at = (backend, kind)
    error = largest_joint_gradient(*at, matrix, shift, m, source, target)
    record_property("error", error)
    assert error < 1e-9
    assert largest_joint_gradient(*at, 1.1 * matrix, shift, m, source, target) > 1e-2


@pytest.mark.statement("thm-gaussian-landscape", control=True)
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_diagonal_maps_have_a_stationary_point_with_positive_loss(d, seed):
    m = moments(d, seed)

    def value_and_gradient(v):
        scale, shift = np.exp(v[:d]), v[d:]
        by_matrix, by_shift = gaussian.loss_gradient(np.diag(scale), shift, **m)
        value = float(gaussian.loss(np.diag(scale), shift, **m))
        return value, np.append(np.diag(by_matrix) * scale, by_shift)

    end = minimise(value_and_gradient, np.zeros(2 * d))
    assert np.abs(value_and_gradient(end.x)[1]).max() < 1e-6
    assert end.fun > 1e-2
