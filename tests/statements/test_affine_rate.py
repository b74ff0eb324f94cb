"""Checks of "How fast an affine map learns": roots, and the rate at the end."""

import numpy as np
import ot
import pytest
from affine_cases import best_shared, divergence, follow, image, loss_of, moments, power
from flow_cases import largest
from gaussian_cases import affine, datasets
from scipy import integrate, stats

import lrmf
from lrmf.backends.base import Role
from lrmf.objectives import likelihood_ratio
from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (1, 2, 3, 5)
BACKENDS = ("jax", "tfp")
KINDS = ("full", "positive_definite")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)
kinds = pytest.mark.parametrize("kind", KINDS)


def gradients(backend, kind, matrix, shift, density, m, seed):
    """Derivatives of lrmf_loss by the arrays of the map and of the shared density."""
    roles = (
        Role("transform", lrmf.Flow, lrmf.Affine(kind=kind), shift.shape),
        Role("density", lrmf.Density, lrmf.Gaussian(), shift.shape),
    )
    arrays = {"transform": {"matrix": matrix, "shift": shift}, "density": density}
    source, target = datasets(m, seed)
    _, found = lrmf.get_backend(backend).loss_and_gradients(
        likelihood_ratio, roles, arrays, {"source": source, "target": target}, dtype="float64"
    )
    return found


# prop-affine-roots


@pytest.mark.statement("prop-affine-roots")
@backends
@pytest.mark.parametrize(("d", "seed"), [(d, s) for d in (2, 3, 5) for s in SEEDS])
def test_a_gradient_step_on_a_root_depends_on_its_product_only(d, seed, backend, record_property):
    m = moments(d, seed)
    root, shift = affine(d, seed)
    density = gaussian.density_arrays(*best_shared(root.T @ root, shift, m))
    turn = stats.ortho_group.rvs(d, random_state=seed)
    rate, products = 1e-2, []
    for r in (root, turn @ root):
        found = gradients(backend, "positive_definite", r, shift, density, m, seed)
        stepped = r - rate * found["transform"]["matrix"]
        products.append(stepped.T @ stepped)
    by_product, _ = gaussian.loss_gradient(root.T @ root, shift, **m)
    factor = np.eye(d) - rate * (by_product + by_product.T)
    formula = factor @ root.T @ root @ factor
    error = max(largest(products[0] - products[1]), largest(products[0] - formula))
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("prop-affine-roots")
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_least_squares_on_moments_has_singular_stationary_points(d, seed, record_property):
    rng = np.random.default_rng([d, seed, 6])
    alpha, beta = np.exp(rng.normal(size=(2, d)))
    error = 0.0
    for chosen in np.ndindex(*(2,) * d):
        p = np.array(chosen) * beta / alpha

        def value(flat):
            product = flat.reshape(d, d).T @ flat.reshape(d, d)
            return 0.5 * np.sum((product @ np.diag(alpha**2) @ product - np.diag(beta**2)) ** 2)

        at, h = np.diag(np.sqrt(p)).ravel(), 1e-5
        slope = [(value(at + h * e) - value(at - h * e)) / (2 * h) for e in np.eye(d * d)]
        error = max(error, largest(slope))
        if not all(chosen):
            # A little off the wall the same point is steep for LRMF, and pushes inwards.
            near = np.diag(p + 1e-6)
            by_product, _ = gaussian.loss_gradient(
                near,
                np.zeros(d),
                mean_a=np.zeros(d),
                cov_a=np.diag(alpha**2),
                mean_b=np.zeros(d),
                cov_b=np.diag(beta**2),
            )
            assert (np.diag(by_product)[p == 0] < -1e5).all()
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("prop-affine-roots")
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_gradient_flow_keeps_its_distance_from_singular_matrices(d, seed):
    m = moments(d, seed)
    root, shift = affine(d, seed)
    matrix = root.T @ root + 1e-3 * np.eye(d)
    start = float(gaussian.loss(matrix, shift, **m))
    path = follow("positive_definite", power(matrix, 0.5), shift, m, 30.0)
    floor = 0.5 * np.exp(-start)
    floor *= np.sqrt(np.linalg.eigvalsh(m["cov_b"])[0] / np.linalg.eigvalsh(m["cov_a"])[-1])
    smallest = [np.linalg.eigvalsh(r.T @ r)[0] for r, _ in path]
    assert min(smallest) >= floor
    assert smallest[-1] == pytest.approx(np.linalg.eigvalsh(gaussian.monge_map(**m)[0])[0], rel=0.1)


@pytest.mark.statement("prop-affine-roots", control=True)
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_a_step_with_a_rate_for_each_entry_depends_on_the_root(d, seed):
    m = moments(d, seed)
    root, shift = affine(d, seed)
    turn = stats.ortho_group.rvs(d, random_state=seed)
    products = []
    for r in (root, turn @ root):
        by_product, _ = gaussian.loss_gradient(r.T @ r, shift, **m)
        stepped = r - 1e-2 * np.sign(r @ (by_product + by_product.T))  # Adam's first step
        products.append(stepped.T @ stepped)
    assert largest(products[0] - products[1]) > 1e-3


# thm-affine-rate


def second_order(kind, parameter, m, directions):
    """Factors F with loss = |F v|² / 2 to second order at a minimiser, by rows of directions."""
    matrix = parameter.T @ parameter if kind == "positive_definite" else parameter
    white = power(m["cov_b"], -0.5)
    w = np.linalg.inv(np.linalg.cholesky(m["cov_b"]))
    columns = []
    for by_matrix, by_shift, by_mean, by_whitening in directions:
        h = by_matrix
        if kind == "positive_definite":
            h = by_matrix.T @ parameter + parameter.T @ by_matrix
        moved = h @ m["cov_a"] @ matrix.T
        x = 0.5 * white @ (moved + moved.T) @ white
        precision = by_whitening.T @ w + w.T @ by_whitening
        y = -0.5 * white @ m["cov_b"] @ precision @ m["cov_b"] @ white
        z_t, z_s = white @ (h @ m["mean_a"] + by_shift), white @ by_mean
        parts = [z_t - z_s, z_s, np.sqrt(2) * (x - y).ravel(), np.sqrt(2) * y.ravel()]
        columns.append(np.concatenate(parts))
    return np.array(columns).T


def coordinate_directions(d):
    """One direction for each entry of (matrix, shift, mean, lower triangle of W)."""
    zero = np.zeros((d, d)), np.zeros(d), np.zeros(d), np.zeros((d, d))
    entries = [(0, i) for i in np.ndindex(d, d)]
    entries += [(k, (i,)) for k in (1, 2) for i in range(d)]
    entries += [(3, (i, j)) for i in range(d) for j in range(i + 1)]
    for part, index in entries:
        direction = [array.copy() for array in zero]
        direction[part][index] = 1.0
        yield tuple(direction)


def minimiser(kind, m, seed):
    d = len(m["mean_a"])
    if kind == "positive_definite":
        matrix, shift = gaussian.monge_map(**m)
        turn = stats.ortho_group.rvs(d, random_state=seed) if d > 1 else np.eye(1)
        return turn @ power(matrix, 0.5), matrix, shift
    turn = stats.ortho_group.rvs(d, random_state=seed) if d > 1 else np.eye(1)
    matrix, shift = gaussian.moment_matching_map(turn, **m)
    return matrix, matrix, shift


@pytest.mark.statement("thm-affine-rate")
@backends
@kinds
@cases
def test_the_loss_to_second_order(d, seed, kind, backend, record_property):
    m = moments(d, seed)
    parameter, _, shift = minimiser(kind, m, seed)
    rng = np.random.default_rng([d, seed, 8])
    w = np.linalg.inv(np.linalg.cholesky(m["cov_b"]))
    error = 0.0
    for _ in range(3):
        direction = (
            0.3 * rng.normal(size=(d, d)),
            0.3 * rng.normal(size=d),
            0.3 * rng.normal(size=d),
            0.3 * np.tril(rng.normal(size=(d, d))),
        )
        predicted = 0.5 * np.sum(second_order(kind, parameter, m, [direction]) ** 2)
        values, h = [], 1e-3
        for sign in (-1, 1):
            moved = parameter + sign * h * direction[0]
            matrix = moved.T @ moved if kind == "positive_definite" else moved
            whitening = w + sign * h * direction[3]
            cov = np.linalg.inv(whitening.T @ whitening)
            at = shift + sign * h * direction[1], m["mean_b"] + sign * h * direction[2]
            values.append(loss_of(backend, matrix, at[0], at[1], (cov + cov.T) / 2, m, seed))
        error = max(error, abs(np.mean(values) / h**2 / predicted - 1))
    record_property("error", error)
    assert error < 1e-3


@pytest.mark.statement("thm-affine-rate")
@kinds
@cases
def test_only_rotations_cost_nothing(d, seed, kind, record_property):
    m = moments(d, seed)
    parameter, matrix, _ = minimiser(kind, m, seed)
    factors = second_order(kind, parameter, m, coordinate_directions(d))
    values, vectors = np.linalg.eigh(factors.T @ factors)
    free = values < 1e-10 * values[-1]
    assert free.sum() == d * (d - 1) // 2
    if kind == "positive_definite":
        kernel = vectors[:, free][: d * d].T.reshape(-1, d, d)
        products = [v.T @ parameter + parameter.T @ v for v in kernel]
        error = max((largest(h) for h in products), default=0.0)
        record_property("error", error)
        assert error < 1e-6
    else:
        assert largest(matrix @ m["cov_a"] @ matrix.T - m["cov_b"]) < 1e-9


def joint_slope(v, kind, d, m):
    """Minus the gradient of the joint loss, by hand."""
    parameter, b, mean = v[: d * d].reshape(d, d), v[d * d : d * d + d], v[d * d + d :][:d]
    lower = np.tril_indices(d)
    w = np.zeros((d, d))
    w[lower] = v[d * d + 2 * d :]
    k = parameter.T @ parameter if kind == "positive_definite" else parameter
    moved, cov = image(k, b, m)
    precision, gap, other = w.T @ w, moved - mean, m["mean_b"] - mean
    by_k = precision @ (k @ m["cov_a"] + np.outer(gap, m["mean_a"])) - np.linalg.inv(k).T
    if kind == "positive_definite":
        by_k = parameter @ (by_k + by_k.T)
    total = cov + m["cov_b"] + np.outer(gap, gap) + np.outer(other, other)
    by_w = w @ total - 2 * np.diag(1 / np.diag(w))
    parts = [by_k.ravel(), precision @ gap, -precision @ (gap + other), by_w[lower]]
    return -np.concatenate(parts)


def joint_loss(v, kind, d, m):
    parameter, b, mean = v[: d * d].reshape(d, d), v[d * d : d * d + d], v[d * d + d :][:d]
    w = np.zeros((d, d))
    w[np.tril_indices(d)] = v[d * d + 2 * d :]
    k = parameter.T @ parameter if kind == "positive_definite" else parameter
    cov = np.linalg.inv(w.T @ w)
    return divergence(*image(k, b, m), mean, cov) + divergence(m["mean_b"], m["cov_b"], mean, cov)


def joint_descent(kind, m, start, until):
    """Gradient flow of the joint loss."""
    d = len(m["mean_a"])
    path = integrate.solve_ivp(
        lambda _, v: joint_slope(v, kind, d, m),
        (0.0, until),
        start,
        method="LSODA",
        rtol=1e-11,
        atol=1e-13,
        dense_output=True,
    )
    assert path.success
    return path


def slowest_direction(kind, parameter, m):
    """The smallest positive eigenvalue of the Hessian at a minimiser, and its direction."""
    factors = second_order(kind, parameter, m, coordinate_directions(len(m["mean_a"])))
    values, vectors = np.linalg.eigh(factors.T @ factors)
    first = int(np.argmax(values > 1e-9 * values[-1]))
    return values[first], vectors[:, first]


far = pytest.mark.parametrize(("d", "seed"), [(d, s) for d in (1, 2, 3) for s in SEEDS])


@pytest.mark.statement("thm-affine-rate")
@kinds
@far
def test_the_joint_flow_converges_from_afar(d, seed, kind, record_property):
    m = moments(d, seed)
    until = 3000.0
    whitening = np.eye(d)[np.tril_indices(d)]
    path = joint_descent(
        kind, m, np.concatenate([np.eye(d).ravel(), np.zeros(2 * d), whitening]), until
    )
    times = np.geomspace(0.1, until, 500)
    parameter = path.sol(until)[: d * d].reshape(d, d)
    matrix = parameter.T @ parameter if kind == "positive_definite" else parameter
    error = largest(matrix @ m["cov_a"] @ matrix.T - m["cov_b"])
    if kind == "positive_definite":
        theirs, _ = ot.gaussian.bures_wasserstein_mapping(
            m["mean_a"], m["mean_b"], m["cov_a"], m["cov_b"]
        )
        error = max(error, largest(matrix - theirs))
    record_property("error", error)
    assert error < 1e-6
    losses = np.array([joint_loss(path.sol(t), kind, d, m) for t in times])
    assert (np.diff(losses[losses > 1e-11]) < 0).all()
    # Late, no slower than the slowest direction (and the fit is straight on a logarithmic axis).
    late = (losses < 1e-5) & (losses > 1e-11)
    rate = -np.polyfit(times[late], np.log(losses[late]), 1)[0]
    slowest, _ = slowest_direction(kind, parameter, m)
    assert rate > 2 * slowest * 0.95


@pytest.mark.statement("thm-affine-rate")
@kinds
@far
def test_the_last_rate_is_that_of_the_slowest_direction(d, seed, kind, record_property):
    m = moments(d, seed)
    parameter, _, shift = minimiser(kind, m, seed)
    slowest, direction = slowest_direction(kind, parameter, m)
    w = np.linalg.inv(np.linalg.cholesky(m["cov_b"]))
    at = np.concatenate([parameter.ravel(), shift, m["mean_b"], w[np.tril_indices(d)]])
    path = joint_descent(kind, m, at + 1e-4 * direction, 2 / slowest)
    losses = [joint_loss(path.sol(t), kind, d, m) for t in (0.0, 1 / slowest)]
    error = abs(0.5 * np.log(losses[0] / losses[1]) - 1)
    record_property("error", error)
    assert error < 1e-2


@pytest.mark.statement("thm-affine-rate", control=True)
@seeds
def test_maps_that_cannot_match_converge_to_a_positive_loss(seed):
    m = {**moments(2, seed), "mean_a": np.zeros(2), "mean_b": np.zeros(2)}
    m["cov_a"], m["cov_b"] = (np.array([[1.0, r], [r, 1.0]]) for r in (0.7, -0.7))

    def slope(_, s):
        by_matrix, _ = gaussian.loss_gradient(np.diag(np.exp(s)), np.zeros(2), **m)
        return -np.diag(by_matrix) * np.exp(s)

    start = np.random.default_rng(seed).normal(size=2)
    end = integrate.solve_ivp(slope, (0, 200), start, rtol=1e-9).y[:, -1]
    assert largest(slope(0, end)) < 1e-5
    assert gaussian.loss(np.diag(np.exp(end)), np.zeros(2), **m) > 0.1
