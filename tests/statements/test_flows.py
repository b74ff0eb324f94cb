"""Checks of the statements of the chapter "Normalizing flows", each with a negative control."""

import itertools

import numpy as np
import pytest
from flow_cases import affine_flow, grid, jacobian, log_det_error, realnvp
from scipy import integrate, linalg, stats
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

import lrmf

SEEDS = range(3)
BACKENDS = ("jax", "tfp")

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)
cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in (2, 3, 5) for seed in SEEDS])


def affine(backend, d, seed):
    rng = np.random.default_rng([d, seed, 1])
    return affine_flow(backend, rng.normal(size=(d, d)) + np.eye(d), rng.normal(size=d))


def flows(backend, d, seed):
    return affine(backend, d, seed), realnvp(backend, d, seed)


NORMAL = stats.multivariate_normal(np.zeros(2))


# thm-change-of-variables


@pytest.mark.statement("thm-change-of-variables")
@backends
@seeds
def test_averages_of_the_image_follow_from_the_formula(seed, backend, record_property):
    flow = realnvp(backend, 2, seed, scale=0.1)
    plane, cell = grid(14.0, 401)
    z, log_det = flow.inverse(plane)
    density = np.exp(NORMAL.logpdf(z) + log_det)
    image, _ = flow.forward(plane)
    weights = np.exp(NORMAL.logpdf(plane))
    directions = np.random.default_rng(seed).normal(size=(2, 4))
    error = np.abs(
        cell * (density @ np.cos(plane @ directions) - weights @ np.cos(image @ directions))
    ).max()
    record_property("error", float(error))
    assert error < 1e-4
    assert cell * density.sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.statement("thm-change-of-variables")
@backends
@cases
def test_log_determinants_add_up_and_cancel(d, seed, backend, record_property):
    x = np.random.default_rng(seed).normal(size=(30, d))
    first, second = flows(backend, d, seed)
    middle, log_first = first.forward(x)
    image, log_second = second.forward(middle)
    error = log_det_error(
        lambda points: second.forward(first.forward(points)[0])[0], log_first + log_second, x
    )
    record_property("error", float(error))
    assert error < 1e-7
    back, log_back = second.inverse(image)
    np.testing.assert_allclose(back, middle, atol=1e-7)
    np.testing.assert_allclose(log_back, -log_second, atol=1e-7)


@pytest.mark.statement("thm-change-of-variables", control=True)
def test_a_map_that_folds_loses_half_of_the_mass():
    """x ↦ x² with the preimage √y only."""
    mass, _ = integrate.quad(lambda y: stats.norm.pdf(np.sqrt(y)) / (2 * np.sqrt(y)), 0, np.inf)
    assert mass == pytest.approx(0.5, abs=1e-6)


@pytest.mark.statement("thm-change-of-variables", control=True)
@backends
def test_the_log_determinant_of_the_other_direction_gives_no_density(backend):
    plane, cell = grid(14.0, 201)
    for flow in flows(backend, 2, 1):
        z, log_det = flow.inverse(plane)
        assert abs(cell * np.exp(NORMAL.logpdf(z) - log_det).sum() - 1) > 0.05


# prop-flow-entropy


@pytest.mark.statement("prop-flow-entropy")
@backends
@seeds
def test_entropy_and_divergence_of_the_image(seed, backend, record_property):
    flow = realnvp(backend, 2, seed, scale=0.1)
    other = stats.multivariate_normal([0.4, -0.3], [[1.3, 0.3], [0.3, 0.8]])
    plane, cell = grid(14.0, 401)
    z, log_det = flow.inverse(plane)
    log_image, log_other = NORMAL.logpdf(z) + log_det, other.logpdf(z) + log_det
    weights = cell * np.exp(log_image)
    mean_log_det = cell * np.exp(NORMAL.logpdf(plane)) @ flow.forward(plane)[1]
    entropy_error = abs(-weights @ log_image - (NORMAL.entropy() + mean_log_det))
    inverse = np.linalg.inv(other.cov)
    exact = 0.5 * (
        np.trace(inverse) + other.mean @ inverse @ other.mean - 2 + np.log(np.linalg.det(other.cov))
    )
    divergence_error = abs(weights @ (log_image - log_other) - exact)
    error = max(entropy_error, divergence_error)
    record_property("error", float(error))
    assert error < 1e-3
    assert abs(mean_log_det) > 1e-2


@pytest.mark.statement("prop-flow-entropy", control=True)
def test_a_fold_lowers_entropy_and_divergence():
    """x ↦ |x| for N(1, 1) against N(-1, 1): its derivative is one in modulus."""
    y = np.linspace(0, 14, 20001)
    one = stats.norm.pdf(y - 1) + stats.norm.pdf(y + 1)
    entropy = -np.trapezoid(one * np.log(one), y)
    assert entropy < stats.norm.entropy() - 0.1
    # N(-1, 1) is the mirror image, so both folds coincide: the divergence of 2 nats is gone.
    other = stats.norm.pdf(-y + 1) + stats.norm.pdf(y + 1)
    assert np.trapezoid(one * np.log(one / other), y) == pytest.approx(0.0, abs=1e-12)


# thm-instantaneous


def move(f, trace, x, tolerance=1e-11):
    """End points of the paths from the rows of x, and the integrals of the trace."""
    n, d = x.shape

    def rates(t, state):
        z = state[: n * d].reshape(n, d)
        return np.append(f(z, t).ravel(), trace(z, t))

    start = np.append(x.ravel(), np.zeros(n))
    end = integrate.solve_ivp(
        rates, (0, 1), start, method="DOP853", rtol=tolerance, atol=tolerance
    ).y[:, -1]
    return end[: n * d].reshape(n, d), end[n * d :]


@pytest.mark.statement("thm-instantaneous")
@cases
def test_the_trace_integral_is_the_log_determinant(d, seed, record_property):
    rng = np.random.default_rng([d, seed])
    first, second = rng.normal(size=(2, 8, d))
    offset = rng.normal(size=8)

    def f(z, t):
        return np.tanh(z @ first.T + offset + t) @ second

    def trace(z, t):
        return (1 - np.tanh(z @ first.T + offset + t) ** 2) @ (first * second).sum(axis=1)

    x = rng.normal(size=(4, d))
    y, log_det = move(f, trace, x)
    found = np.linalg.det(jacobian(lambda points: move(f, trace, points)[0], x, step=1e-3))
    assert (found > 0).all()
    error = np.abs(np.log(found) / log_det - 1).max()
    # Backwards in time is the inverse, with the opposite log-determinant.
    back, log_back = move(
        lambda z, t: -f(z, 1 - t), lambda z, t: -trace(z, 1 - t), y, tolerance=1e-11
    )
    error = max(error, np.abs(back - x).max(), np.abs(log_back + log_det).max())
    record_property("error", float(error))
    assert error < 1e-6


@pytest.mark.statement("thm-instantaneous")
@cases
def test_a_linear_field_moves_a_normal_density(d, seed, record_property):
    rng = np.random.default_rng([d, seed])
    matrix = rng.normal(size=(d, d)) / 2
    x = rng.normal(size=(10, d))
    y, log_det = move(lambda z, t: z @ matrix.T, lambda z, t: np.full(len(z), np.trace(matrix)), x)
    root = linalg.expm(matrix)
    exact = stats.multivariate_normal(np.zeros(d), root @ root.T).logpdf(y)
    carried = stats.multivariate_normal(np.zeros(d)).logpdf(x) - log_det
    error = np.abs(exact - carried).max()
    record_property("error", float(error))
    assert error < 1e-7


@pytest.mark.statement("thm-instantaneous", control=True)
def test_a_field_that_grows_too_fast_loses_mass():
    """dz/dt = z² takes x to x/(1 - x); what starts beyond one is at infinity before time one."""
    end = move(lambda z, t: z**2, lambda z, t: 2 * z[:, 0], np.array([[0.5]]))
    assert end[0][0, 0] == pytest.approx(1.0, rel=1e-8)
    assert end[1][0] == pytest.approx(-2 * np.log(0.5), rel=1e-8)
    mass, _ = integrate.quad(
        lambda y: stats.norm.pdf(y / (1 + y)) / (1 + y) ** 2, -1, np.inf, points=None
    )
    assert mass == pytest.approx(stats.norm.cdf(1), abs=1e-6)
    assert mass < 0.9


# prop-hutchinson


@pytest.mark.statement("prop-hutchinson")
@pytest.mark.parametrize("d", [1, 3, 8])
@seeds
def test_mean_and_variance_over_all_signs(d, seed, record_property):
    matrix = np.random.default_rng([d, seed]).normal(size=(d, d))
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=d)))
    values = np.einsum("ni,ij,nj->n", signs, matrix, signs)
    off_diagonal = (matrix + matrix.T)[~np.eye(d, dtype=bool)]
    error = max(
        abs(values.mean() - np.trace(matrix)), abs(values.var() - 0.5 * (off_diagonal**2).sum())
    )
    record_property("error", float(error))
    assert error < 1e-11 * d**2


@pytest.mark.statement("prop-hutchinson", control=True)
@seeds
def test_dependent_signs_are_biased(seed):
    matrix = np.random.default_rng(seed).normal(size=(4, 4))
    signs = np.array([[-1.0] * 4, [1.0] * 4])
    values = np.einsum("ni,ij,nj->n", signs, matrix, signs)
    assert abs(values.mean() - np.trace(matrix)) > 0.1


# prop-connected


def disks(count, spacing=0.05):
    """Dense grids of points on disjoint disks of radius 0.6."""
    ticks = np.arange(-0.6, 0.6 + spacing, spacing)
    disk = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    disk = disk[np.hypot(*disk.T) <= 0.6]
    centres = 2.4 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[:count]
    return np.concatenate([disk + centre for centre in centres])


def pieces(points, reach):
    graph = cKDTree(points).sparse_distance_matrix(cKDTree(points), reach)
    return connected_components(graph, directed=False)[0]


def longest_stretch(flow, x):
    matrices = jacobian(lambda points: flow.forward(points)[0], x)
    return np.linalg.svd(matrices, compute_uv=False).max()


@pytest.mark.statement("prop-connected")
@backends
@pytest.mark.parametrize("count", [1, 2, 3])
@seeds
def test_a_flow_keeps_the_number_of_pieces(count, seed, backend, record_property):
    flow = realnvp(backend, 2, seed, scale=0.15)
    x = disks(count)
    image, _ = flow.forward(x)
    reach = 1.2 * 0.05 * longest_stretch(flow, x)
    found = pieces(image, reach)
    record_property("error", float(abs(found - count)))
    assert found == count == pieces(x, 0.06)


@pytest.mark.statement("prop-connected")
@backends
@seeds
def test_the_image_of_normal_noise_has_density_everywhere(seed, backend):
    density = lrmf.get_backend(backend).density(
        lrmf.RealNVP(hidden=(16,)), realnvp(backend, 2, seed).arrays, dtype="float64"
    )
    plane, _ = grid(10.0, 41)
    assert np.isfinite(density.log_prob(plane)).all()


@pytest.mark.statement("prop-connected", control=True)
def test_a_map_with_a_jump_tears_and_a_fold_glues():
    x = disks(1)
    torn = x + np.where(x[:, :1] > 0, 1.0, -1.0) * np.array([1.0, 0.0])
    assert pieces(torn, 0.06) == 2
    two = disks(2) - np.array([1.2, 0.0])
    assert pieces(two, 0.06) == 2
    assert pieces(np.abs(two), 0.06) == 1


# thm-bridge


def least_bridge(p1, distance, steepness):
    return stats.norm.cdf(stats.norm.ppf(p1) + distance / steepness) - p1


@pytest.mark.statement("thm-bridge")
@pytest.mark.parametrize("steepness", [1.5, 10.0, 300.0])
@pytest.mark.parametrize("p1", [0.1, 0.5, 0.49])
def test_a_steep_piece_attains_the_bound(steepness, p1, record_property):
    distance = 2.0
    start = stats.norm.ppf(p1)
    end = start + distance / steepness

    def transform(z):
        return z + (steepness - 1) * np.clip(z - start, 0, end - start)

    assert transform(end) - transform(start) == pytest.approx(distance)
    bridge = stats.norm.cdf(end) - stats.norm.cdf(start)
    error = abs(bridge - least_bridge(p1, distance, steepness))
    record_property("error", float(error))
    assert error < 1e-13


@pytest.mark.statement("thm-bridge")
@seeds
def test_no_increasing_map_has_a_thinner_bridge(seed):
    rng = np.random.default_rng(seed)
    z = np.linspace(-6, 6, 4001)
    for _ in range(20):
        slopes = np.exp(np.interp(z, np.linspace(-6, 6, 25), 2 * rng.normal(size=25)))
        y = np.append(0, np.cumsum(0.5 * (slopes[1:] + slopes[:-1]) * np.diff(z)))
        low, high = np.sort(rng.integers(800, 3200, size=2))
        if low == high:
            continue
        p1, p2 = stats.norm.cdf(z[low]), stats.norm.sf(z[high])
        steepness = slopes[low : high + 1].max()  # what the map does elsewhere does not count
        assert 1 - p1 - p2 >= least_bridge(p1, y[high] - y[low], steepness) - 1e-12


@pytest.mark.statement("thm-bridge")
@backends
@cases
def test_affine_flows_and_slabs_in_any_direction(d, seed, backend):
    flow = affine(backend, d, seed)
    steepness = np.linalg.norm(flow.arrays["matrix"], 2)
    rng = np.random.default_rng(seed)
    for direction in rng.normal(size=(10, d)):
        direction /= np.linalg.norm(direction)
        images = flow.forward(np.vstack([np.eye(d), np.zeros(d)]))[0] @ direction
        mean, std = images[-1], np.linalg.norm(images[:-1] - images[-1])
        low, high = mean + std * np.sort(rng.normal(size=2))
        p1, p2 = stats.norm.cdf(low, mean, std), stats.norm.sf(high, mean, std)
        assert 1 - p1 - p2 >= least_bridge(p1, high - low, steepness) - 1e-12


@pytest.mark.statement("thm-bridge")
@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_shells_hold_more_than_slabs(d):
    """T is the identity, one set a ball and the other what lies outside a larger ball."""
    for inner, width in itertools.product((0.5, 1.0, 2.0, 4.0), (0.1, 1.0)):
        p1, p2 = stats.chi(d).cdf(inner), stats.chi(d).sf(inner + width)
        assert 1 - p1 - p2 >= least_bridge(p1, width, 1.0) - 1e-12


@pytest.mark.statement("thm-bridge", control=True)
@pytest.mark.parametrize("distance", [0.5, 2.0])
def test_a_map_with_a_jump_leaves_no_bridge(distance):
    """z ↦ z + sign(z) D/2 has slope one off the jump."""
    z = np.random.default_rng(0).normal(size=1000)
    y = z + np.sign(z) * distance / 2
    bridge = np.mean(np.abs(y) < distance / 2)
    assert bridge == 0.0 < least_bridge(0.5, distance, 1.0)
