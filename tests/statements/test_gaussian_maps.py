"""Checks of the chapter "The Gaussian case": the maps that align, and the way to them."""

import numpy as np
import ot
import pytest
from flow_cases import affine_flow, largest, normal
from gaussian_cases import affine, datasets, moments, moments_of, relative
from scipy import linalg, optimize, stats

import lrmf
from lrmf.backends.base import Role
from lrmf.objectives import likelihood_ratio
from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (1, 2, 3, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


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


# thm-gaussian-affine


@pytest.mark.statement("thm-gaussian-affine")
@backends
@cases
def test_loss_of_an_affine_map_is_the_distance_of_its_image(d, seed, backend, record_property):
    m = moments(d, seed)
    source, target = datasets(m, seed)
    matrix, shift = affine(d, seed)
    transform = affine_flow(backend, matrix, shift)
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
@pytest.mark.parametrize(
    ("backend", "d", "seed"), [*(("jax", d, s) for d in (2, 3) for s in SEEDS), ("tfp", 2, 0)]
)
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
