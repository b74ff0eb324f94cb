"""Checks of the chapter "Distances: critics and kernels": kernels and energies."""

import numpy as np
import pytest
from critics_cases import gaussian_kernel, samples, weighted
from scipy import special, stats
from scipy.spatial.distance import cdist

from lrmf import distances

SEEDS = range(3)
DIMENSIONS = (1, 2, 5)
seeds = pytest.mark.parametrize("seed", SEEDS)
dimensions = pytest.mark.parametrize("d", DIMENSIONS)
cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])


# thm-mmd


def gap_kernel(x, y):
    lengths = np.linalg.norm(x, axis=1)[:, None] + np.linalg.norm(y, axis=1)
    return 0.5 * (lengths - cdist(x, y))


kernels = pytest.mark.parametrize("kernel", [gaussian_kernel, gap_kernel])


@pytest.mark.statement("thm-mmd")
@cases
@kernels
def test_no_critic_in_the_unit_ball_beats_the_witness(kernel, d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    points, signs = np.concatenate([x, y]), np.concatenate([a, -b])
    gram = kernel(points, points)
    squared = a @ kernel(x, x) @ a + b @ kernel(y, y) @ b - 2 * a @ kernel(x, y) @ b

    def score(coefficients):  # of f = Σ cᵢ k(zᵢ, ·), divided by its norm
        return signs @ gram @ coefficients / np.sqrt(coefficients @ gram @ coefficients)

    error = abs(score(signs) - np.sqrt(squared))
    record_property("error", float(error))
    assert error < 1e-10
    rng = np.random.default_rng(seed)
    for size in (0.01, 0.1, 1.0):
        for _ in range(20):
            assert score(signs + size * rng.normal(size=len(signs))) <= np.sqrt(squared) + 1e-12


@pytest.mark.statement("thm-mmd", control=True)
@cases
def test_what_is_not_a_kernel_can_give_a_negative_square(d, seed):
    x, y, a, b = weighted(d, seed)
    squared = a @ cdist(x, x) @ a + b @ cdist(y, y) @ b - 2 * a @ cdist(x, y) @ b
    assert squared < -1e-3


# prop-mmd-estimators


@pytest.mark.statement("prop-mmd-estimators")
@dimensions
def test_the_means_of_both_estimates(d, record_property):
    # P and Q on few points, so that the expectations are finite sums.
    x, y, a, b = weighted(d, 0, m=5, n=4)
    k_xx, k_yy, k_xy = gaussian_kernel(x, x), gaussian_kernel(y, y), gaussian_kernel(x, y)
    exact = a @ k_xx @ a + b @ k_yy @ b - 2 * a @ k_xy @ b
    m, n, repeats = 6, 9, 3000
    bias = (1 - a @ k_xx @ a) / m + (1 - b @ k_yy @ b) / n
    rng = np.random.default_rng(d)
    found = []
    for _ in range(repeats):
        sample = x[rng.choice(5, p=a, size=m)], y[rng.choice(4, p=b, size=n)]
        found.append(
            [
                distances.mmd2(*sample, bandwidth=1.0, unbiased=unbiased)
                for unbiased in (True, False)
            ]
        )
    found = np.array(found)
    errors = np.abs(found.mean(axis=0) - [exact, exact + bias])
    record_property("error", float(errors.max()))
    assert (errors < 4 * found.std(axis=0) / np.sqrt(repeats)).all()
    assert found[:, 1].min() >= 0
    equal = [distances.mmd2(*rng.normal(size=(2, 6, d)), bandwidth=1.0) for _ in range(100)]
    assert min(equal) < 0


@pytest.mark.statement("prop-mmd-estimators", control=True)
@dimensions
def test_points_that_depend_on_each_other_bias_both(d):
    rng = np.random.default_rng(d)
    values = []
    for _ in range(300):
        x, y = (np.repeat(rng.normal(size=(5, d)), 4, axis=0) for _ in range(2))
        values.append(distances.mmd2(x, y, bandwidth=1.0))
    assert np.mean(values) > 10 * np.std(values) / np.sqrt(len(values))


# def-energy


@pytest.mark.statement("def-energy")
@cases
def test_the_estimator_is_the_definition_for_empirical_distributions(d, seed, record_property):
    x, y = samples(d, seed)
    expected = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    error = abs(distances.energy_distance(x, y) - expected)
    record_property("error", float(error))
    assert error < 1e-12
    assert expected > 0


@pytest.mark.statement("def-energy", control=True)
@seeds
def test_without_a_finite_mean_the_estimates_do_not_settle(seed):
    def spread(law):
        """Of the largest term of 2E|X − Y| over the sum: zero in the limit if the mean exists."""
        x = np.abs(law.rvs(size=100_000, random_state=seed))
        return x.max() / x.sum()

    assert spread(stats.norm) < 1e-3 < 1e-2 < spread(stats.pareto(0.5))


# lem-negative-type


def balanced(d, seed):
    rng = np.random.default_rng([d, seed, 2])
    a = rng.normal(size=12)
    return rng.normal(size=(12, d)), a - a.mean()


@pytest.mark.statement("lem-negative-type")
@cases
def test_balanced_sums_of_distances_are_not_positive(d, seed, record_property):
    x, a = balanced(d, seed)
    found = a @ cdist(x, x) @ a
    assert found < 0
    # The identity of the proof, on the line exactly.
    s = np.sort(x[:, 0])
    steps = np.cumsum(a)[:-1]
    error = abs(a @ np.abs(s[:, None] - s) @ a + 2 * (steps**2) @ np.diff(s))
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("lem-negative-type", control=True)
@cases
def test_without_balance_or_with_cubes_the_sum_can_be_positive(d, seed):
    x, a = balanced(d, seed)
    assert np.abs(a) @ cdist(x, x) @ np.abs(a) > 0
    line = np.array([[0.0], [1.0], [2.0]]) * np.ones(d)
    second_difference = np.array([1.0, -2.0, 1.0])
    assert second_difference @ cdist(line, line) ** 3 @ second_difference > 1


# thm-energy-mmd


@pytest.mark.statement("thm-energy-mmd")
@cases
@pytest.mark.parametrize("exponent", [1.0, 0.5, 1.5])
def test_the_triangular_gap_is_a_kernel_and_gives_half_the_energy(
    exponent, d, seed, record_property
):
    x, y, a, b = weighted(d, seed)
    base = np.random.default_rng(seed).normal(size=(1, d))

    def rho(u, v):
        return cdist(u, v) ** exponent

    def kernel(u, v):
        return 0.5 * (rho(u, base) + rho(v, base).T - rho(u, v))

    points = np.concatenate([x, y])
    assert np.linalg.eigvalsh(kernel(points, points)).min() > -1e-10
    energy = 2 * a @ rho(x, y) @ b - a @ rho(x, x) @ a - b @ rho(y, y) @ b
    squared = a @ kernel(x, x) @ a + b @ kernel(y, y) @ b - 2 * a @ kernel(x, y) @ b
    error = abs(energy - 2 * squared)
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("thm-energy-mmd")
@cases
def test_the_library_agrees_with_the_theorem(d, seed, record_property):
    x, y = samples(d, seed)
    gap = distances.mmd2(x, y, kernel="triangular_gap", unbiased=False)
    full = gap_kernel(x, x).mean() + gap_kernel(y, y).mean() - 2 * gap_kernel(x, y).mean()
    error = max(abs(distances.energy_distance(x, y) - 2 * value) for value in (gap, full))
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("thm-energy-mmd", control=True)
@dimensions
def test_a_distance_that_is_not_of_negative_type_gives_no_kernel(d):
    line = np.arange(4.0)[:, None] * np.ones(d)
    rho = cdist(line, line) ** 3
    gap = 0.5 * (rho[:, :1] + rho[:1] - rho)
    assert np.linalg.eigvalsh(gap).min() < -0.1


# thm-energy-projections


def mean_coordinate(d):
    return special.gamma(d / 2) / (np.sqrt(np.pi) * special.gamma((d + 1) / 2))


@pytest.mark.statement("thm-energy-projections")
@seeds
def test_on_the_line_and_in_the_plane_by_quadrature(seed, record_property):
    x, y = (z[:, :1] for z in samples(1, seed))
    on_the_line = stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    x2, y2 = samples(2, seed, m=6, n=8)

    def along(angle):
        u = np.array([np.cos(angle), np.sin(angle)])
        return stats.energy_distance(x2 @ u, y2 @ u) ** 2

    # Periodic and piecewise smooth: the mean over many angles converges fast enough.
    angles = np.linspace(0, np.pi, 20_000, endpoint=False)
    in_the_plane = np.mean([along(t) for t in angles]) / mean_coordinate(2)
    errors = [
        abs(distances.energy_distance(x, y) - on_the_line),
        abs(distances.energy_distance(x2, y2) - in_the_plane),
    ]
    record_property("error", float(max(errors)))
    assert errors[0] < 1e-12
    assert errors[1] < 1e-6


@pytest.mark.statement("thm-energy-projections")
@pytest.mark.parametrize("d", [3, 5, 10])
def test_in_space_by_random_directions(d, record_property):
    rng = np.random.default_rng(d)
    u = rng.normal(size=(2000, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    x, y = samples(d, 0)
    values = np.array([stats.energy_distance(x @ v, y @ v) ** 2 for v in u]) / mean_coordinate(d)
    error = abs(values.mean() - distances.energy_distance(x, y))
    record_property("error", float(error))
    assert error < 4 * values.std() / np.sqrt(len(u))
    lengths = np.abs(u[:, 0])
    assert abs(lengths.mean() - mean_coordinate(d)) < 4 * lengths.std() / np.sqrt(len(u))


@pytest.mark.statement("thm-energy-projections", control=True)
@dimensions
def test_squared_lengths_see_only_the_means(d):
    x, _ = samples(d, 0)
    x = x - x.mean(axis=0)
    y = 3 * x

    def squares(u, v):
        return cdist(u, v, "sqeuclidean").mean()

    assert 2 * squares(x, y) - squares(x, x) - squares(y, y) == pytest.approx(0.0, abs=1e-10)
    assert distances.energy_distance(x, y) > 0.1
