"""The two-sample test: its p-values, its fast path, calibration and power, refusals."""

import functools

import numpy as np
import pytest
from scipy import stats

from lrmf import distances
from tests.test_distances import (
    SEEDS,
    X,
    biased_gap,
    biased_mmd2,
    gaussian_mmd2,
    samples,
    sliced_1,
    triangular_gap,
    unbiased_energy,
    w1,
)


@pytest.mark.parametrize(
    "statistic",
    [
        distances.mmd2,
        distances.energy_distance,
        biased_mmd2,
        gaussian_mmd2,
        triangular_gap,
        biased_gap,
        unbiased_energy,
    ],
)
@pytest.mark.parametrize("d", [1, 3])
def test_the_fast_path_gives_what_the_statistic_gives(statistic, d):
    x, y = samples(d, 0, m=12, n=9)
    fast = distances.permutation_test(statistic, x, y, n_permutations=50, seed=3)
    # The bandwidth of the median heuristic is that of the pooled sample, so it is the same for
    # every shuffle: a wrapped statistic, which the test does not know, must agree.
    slow = distances.permutation_test(lambda a, b: statistic(a, b), x, y, n_permutations=50, seed=3)
    assert fast.statistic == pytest.approx(statistic(x, y), rel=1e-8)
    assert fast.null_distribution == pytest.approx(slow.null_distribution, rel=1e-8, abs=1e-10)
    assert fast.pvalue == slow.pvalue


def test_the_p_value_counts_itself():
    x, y = samples(2, 0, m=15, n=15)
    found = distances.permutation_test(
        distances.energy_distance, x, y + 0.4, n_permutations=99, seed=0
    )
    at_least = np.count_nonzero(found.null_distribution >= found.statistic)
    assert len(found.null_distribution) == 99
    assert found.pvalue == pytest.approx((1 + at_least) / 100)
    far = distances.permutation_test(distances.energy_distance, x, y + 50, n_permutations=99)
    assert far.pvalue == pytest.approx(1 / 100)


@pytest.mark.parametrize("statistic", [distances.energy_distance, lambda a, b: w1(a, b)])
def test_small_samples_are_enumerated(statistic):
    x, y = np.array([[0.0], [1.0]]), np.array([[10.0], [11.0], [12.0]])
    found = distances.permutation_test(statistic, x, y, n_permutations=999)
    assert len(found.null_distribution) == 10
    assert found.pvalue == pytest.approx(1 / 10)
    # With equal sizes the two labels can be exchanged: the largest value occurs twice.
    even = distances.permutation_test(statistic, x, y[:2], n_permutations=999)
    assert len(even.null_distribution) == 6
    assert even.pvalue == pytest.approx(2 / 6)


def test_ties_count_as_at_least_as_large():
    x, y = np.array([0.0, 0.0, 1.0, 1.0] * 5), np.array([0.0, 1.0] * 10)
    for statistic in (distances.energy_distance, gaussian_mmd2, lambda a, b: w1(a, b)):
        assert distances.permutation_test(statistic, x, y, n_permutations=50).pvalue == 1.0


def test_the_result_prints_on_a_line():
    found = distances.permutation_test(unbiased_energy, *samples(2, 0), n_permutations=50)
    assert repr(found).startswith(f"PermutationTest(statistic={found.statistic:.6g}, pvalue=")
    assert repr(found).endswith(", null_distribution=<50 statistics>)")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seed_decides(seed):
    x, y = samples(2, seed)
    first = distances.permutation_test(gaussian_mmd2, x, y, n_permutations=20, seed=seed)
    again = distances.permutation_test(gaussian_mmd2, x, y, n_permutations=20, seed=seed)
    other = distances.permutation_test(gaussian_mmd2, x, y, n_permutations=20, seed=seed + 1)
    assert (first.null_distribution == again.null_distribution).all()
    assert not (first.null_distribution == other.null_distribution).all()


def p_values(statistic, draw, *, repeats, n_permutations=99):
    values = []
    for seed in range(repeats):
        x, y = draw(np.random.default_rng([seed, 77]))
        test = distances.permutation_test(statistic, x, y, n_permutations=n_permutations, seed=seed)
        values.append(test.pvalue)
    return np.array(values)


@pytest.mark.parametrize(
    ("statistic", "repeats"),
    [(distances.mmd2, 300), (distances.energy_distance, 300), (sliced_1, 40)],
)
def test_p_values_are_uniform_when_nothing_differs(statistic, repeats):
    def draw(rng):
        return rng.standard_t(3, size=(20, 2)), rng.standard_t(3, size=(30, 2))

    n_permutations = 99 if repeats > 100 else 39
    values = p_values(statistic, draw, repeats=repeats, n_permutations=n_permutations)
    # On the grid 1/(1 + n), ..., 1 the p-values are exactly uniform, so that P(p ≤ α) = α there.
    for alpha in (0.05, 0.1, 0.25, 0.5, 0.75):
        share = np.mean(values <= alpha)
        assert abs(share - alpha) < 4 * np.sqrt(alpha * (1 - alpha) / repeats), alpha
    jitter = np.random.default_rng(0).uniform(size=repeats) / (1 + n_permutations)
    assert stats.kstest(values - jitter, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("statistic", [distances.mmd2, distances.energy_distance])
def test_power_against_a_shift_and_against_a_spread(statistic):
    def shifted(rng):
        return rng.normal(size=(60, 2)), rng.normal(loc=0.8, size=(60, 2))

    def spread(rng):
        return rng.normal(size=(60, 2)), rng.normal(scale=2.5, size=(60, 2))

    for draw in (shifted, spread):
        assert np.mean(p_values(statistic, draw, repeats=20) <= 0.05) > 0.9


@pytest.mark.parametrize("statistic", [distances.energy_distance, distances.mmd2, triangular_gap])
@pytest.mark.parametrize("magnitude", [1e-300, 1e160, 1e300])
def test_no_magnitude_of_the_data_changes_a_test(statistic, magnitude):
    x, y = samples(2, 0, m=12, n=9)
    found, plain = (
        distances.permutation_test(statistic, c * x, c * y, n_permutations=20)
        for c in (magnitude, 1.0)
    )
    assert found.pvalue == plain.pvalue
    assert np.isfinite(found.null_distribution).all()


def test_wrong_tests_are_refused():
    test = distances.permutation_test
    with pytest.raises(TypeError, match="statistic must be a function of two samples, got str"):
        test("energy", X, X)
    with pytest.raises(ValueError, match="n_permutations must be a positive integer, got 0"):
        test(w1, X, X, n_permutations=0)
    with pytest.raises(ValueError, match="seed must be a non-negative integer, got None"):
        test(w1, X, X, seed=None)
    with pytest.raises(ValueError, match="must return one finite number, got nan; wrap it"):
        test(lambda a, b: np.nan, X, X)
    with pytest.raises(ValueError, match=r"got an array of shape \(5, 2\); wrap it in a function"):
        test(lambda a, b: a - b, X, X)
    with pytest.raises(TypeError, match="bandwith"):
        test(functools.partial(distances.mmd2, bandwith=1.0), X, X)
