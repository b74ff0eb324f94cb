"""Checks of the statements of the chapter "Distances: samples and tests"."""

import numpy as np
import pytest
from critics_cases import gaussian_kernel, weighted
from scipy import integrate, special
from scipy.spatial.distance import cdist

from lrmf import distances

SEEDS = range(3)
DIMENSIONS = (1, 2, 5)
seeds = pytest.mark.parametrize("seed", SEEDS)
dimensions = pytest.mark.parametrize("d", DIMENSIONS)


# thm-mmd-rate


@pytest.mark.statement("thm-mmd-rate")
@dimensions
@pytest.mark.parametrize("size", [5, 20, 80])
def test_the_squared_distance_of_a_sample_decays_like_one_over_its_size(size, d, record_property):
    # P on few points, so that the expectations are finite sums.
    x, _, a, _ = weighted(d, 0)
    lengths = cdist(x, x)
    rng = np.random.default_rng([size, d])
    counts = rng.multinomial(size, a, size=(2, 4000)) / size
    gaps = np.concatenate([counts - a, counts[:1] - counts[1:]])
    errors = []
    for matrix, factor in ((-lengths, 1.0), (gaussian_kernel(x, x), 1.0)):
        expected = (a @ np.diag(matrix) - a @ matrix @ a) * factor / size
        for gap, times in ((gaps[0], 1.0), (gaps[2], 2.0)):
            values = np.sum((gap @ matrix) * gap, axis=1)
            z = abs(values.mean() - times * expected) / (values.std() / np.sqrt(len(values)))
            assert z < 4.5
            errors.append(abs(values.mean() / (times * expected) - 1))
            assert np.sqrt(values.clip(0)).mean() <= np.sqrt(times * expected) * (1 + 1e-9) + 1e-3
    record_property("error", float(max(errors)))


@pytest.mark.statement("thm-mmd-rate")
@dimensions
def test_the_library_shows_the_law(d, record_property):
    rng = np.random.default_rng(d)
    values = np.array(
        [25 * distances.energy_distance(*rng.random((2, 25, d))) for _ in range(1500)]
    )
    pairs = np.linalg.norm(rng.random((400_000, d)) - rng.random((400_000, d)), axis=1)
    error = abs(values.mean() - 2 * pairs.mean())
    record_property("error", float(error))
    assert error < 4 * values.std() / np.sqrt(len(values)) + 4 * pairs.std() / 300


@pytest.mark.statement("thm-mmd-rate", control=True)
@dimensions
def test_points_that_come_in_copies_break_the_law(d):
    rng = np.random.default_rng(d)
    values = []
    for _ in range(300):
        x, y = (np.repeat(rng.random((5, d)), 5, axis=0) for _ in range(2))
        values.append(25 * distances.energy_distance(x, y))
    pairs = np.linalg.norm(rng.random((100_000, d)) - rng.random((100_000, d)), axis=1)
    assert np.mean(values) > 3 * 2 * pairs.mean()


# thm-w1-rate


def lower_bound(d, size, density=1.0):
    volume = np.pi ** (d / 2) / special.gamma(d / 2 + 1)
    return d / (d + 1) * (density * volume * size) ** (-1 / d)


@pytest.mark.statement("thm-w1-rate")
@pytest.mark.parametrize("size", [1, 4, 50])
def test_evenly_spaced_points_attain_the_bound_on_the_line(size, record_property):
    points = (np.arange(size) + 0.5) / size
    distance = integrate.quad(
        lambda t: abs(np.mean(points <= t) - t), 0, 1, points=points, limit=400
    )[0]
    error = abs(distance / lower_bound(1, size) - 1)
    record_property("error", float(error))
    assert error < 1e-8


@pytest.mark.statement("thm-w1-rate")
@pytest.mark.parametrize("d", [1, 2, 5, 10])
@pytest.mark.parametrize("size", [10, 200])
def test_no_sample_comes_closer_than_the_bound(size, d, record_property):
    rng = np.random.default_rng([size, d])
    for _ in range(3):
        points = rng.random((size, d))
        # W1(P̂, P) is at least the mean distance of P to the points, by 20,000 draws of P.
        nearest = cdist(rng.random((20_000, d)), points).min(axis=1)
        ratio = nearest.mean() / lower_bound(d, size)
        assert ratio > 1 - 4 * nearest.std() / np.sqrt(20_000) / lower_bound(d, size)
        record_property("error", float(max(0.0, 1 - ratio)))


@pytest.mark.statement("thm-w1-rate")
@pytest.mark.parametrize("size", [10, 100])
def test_the_upper_bound_on_the_line(size, record_property):
    rng = np.random.default_rng(size)
    grid = np.linspace(0, 1, 2001)
    found = []
    for _ in range(400):
        points = np.sort(rng.random(size))
        empirical = np.searchsorted(points, grid, side="right") / size
        found.append(integrate.trapezoid(np.abs(empirical - grid), grid))
    bound = size**-0.5 * np.pi / 8  # ∫ √(t (1 − t)) dt
    record_property("error", float(max(0.0, np.mean(found) - bound)))
    assert 0.7 * bound < np.mean(found) < bound


@pytest.mark.statement("thm-w1-rate", control=True)
@pytest.mark.parametrize("d", [3, 5, 10])
def test_without_a_density_samples_do_not_pay_for_the_dimension(d):
    rng = np.random.default_rng(d)
    on_a_line = np.zeros((200, d))
    on_a_line[:, 0] = rng.random(200)
    other = np.zeros((200, d))
    other[:, 0] = rng.random(200)
    assert distances.wasserstein(on_a_line, other) < lower_bound(d, 200)


@pytest.mark.statement("thm-w1-rate", control=True)
def test_the_rate_of_spaced_points_is_not_that_of_a_sample():
    size, rng = 400, np.random.default_rng(0)
    found = np.mean([distances.wasserstein(*rng.random((2, size))) for _ in range(50)])
    assert found > 5 * lower_bound(1, size)


# thm-permutation


def null_p_values(seed, draw, statistic, repeats, n_permutations=19):
    values = []
    for k in range(repeats):
        x, y = draw(np.random.default_rng([seed, k]))
        test = distances.permutation_test(
            statistic, x, y, n_permutations=n_permutations, seed=1000 * seed + k
        )
        values.append(test.pvalue)
    return np.array(values)


def independent(rng):
    z = rng.standard_t(3, size=(25, 2))
    return z[:10], z[10:]


@pytest.mark.statement("thm-permutation")
@seeds
@pytest.mark.parametrize("statistic", [distances.energy_distance, distances.mmd2])
def test_small_p_values_are_no_more_frequent_than_they_say(statistic, seed, record_property):
    values = null_p_values(seed, independent, statistic, repeats=400)
    worst = 0.0
    for alpha in (0.05, 0.1, 0.2, 0.5):
        excess = np.mean(values <= alpha) - alpha
        worst = max(worst, excess)
        assert excess < 4 * np.sqrt(alpha * (1 - alpha) / 400)
    record_property("error", float(worst))


@pytest.mark.statement("thm-permutation")
@seeds
def test_ties_only_make_it_more_careful(seed, record_property):
    def coins(rng):
        return rng.integers(2, size=(8, 1)), rng.integers(2, size=(8, 1))

    values = null_p_values(seed, coins, distances.energy_distance, repeats=400)
    excess = max(np.mean(values <= alpha) - alpha for alpha in (0.05, 0.1, 0.2, 0.5))
    record_property("error", float(max(0.0, excess)))
    assert excess < 4 * np.sqrt(0.25 / 400)


@pytest.mark.statement("thm-permutation", control=True)
@seeds
def test_without_the_one_it_rejects_too_often(seed):
    values = null_p_values(seed, independent, distances.energy_distance, 600, n_permutations=9)
    uncorrected = (values * 10 - 1) / 9
    assert np.mean(uncorrected <= 0.01) > 0.05


@pytest.mark.statement("thm-permutation", control=True)
@seeds
def test_points_that_come_in_copies_are_not_exchangeable(seed):
    def copies(rng):
        x, y = independent(rng)
        return np.repeat(x, 4, axis=0), np.repeat(y, 4, axis=0)

    values = null_p_values(seed, copies, distances.energy_distance, repeats=100)
    assert np.mean(values <= 0.05) > 0.3
