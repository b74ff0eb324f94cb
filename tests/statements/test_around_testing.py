"""Checks of "Is B different from A?"."""

import numpy as np
import pytest

from lrmf.theory import gaussian
from lrmf.two_sample import score_test

seeds = pytest.mark.parametrize("seed", range(5))


def linearised(delta, sigma=1.0, n=200_000, seed=0):
    """A quarter of g' F⁻¹ g for normal models, from points, half a gap delta on each side."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    z = sigma * (z - z.mean()) / z.std()
    a, b = z - delta / 2.0, z + delta / 2.0
    mean, variance = 0.0, sigma**2 + delta**2 / 4.0
    scores = [
        np.array([((x - mean) / variance).mean(), ((x - mean) ** 2 / variance - 1.0).mean() / 2.0])
        for x in (a, b)
    ]
    gap = scores[0] - scores[1]
    fisher = np.diag([1.0 / variance, 0.5])  # of the mean and the logarithm of the variance
    return 0.25 * gap @ np.linalg.solve(fisher, gap)


# prop-ts-linear


@pytest.mark.statement("prop-ts-linear")
@pytest.mark.parametrize("delta", [0.1, 0.5, 1.0, 2.0, 5.0, 20.0])
def test_linearised_the_distance_of_two_bells_saturates(delta, record_property):
    u = delta**2 / 4.0
    error = abs(linearised(delta) - u / (1.0 + u))
    record_property("error", error)
    assert error < 1e-6
    assert gaussian.distance_1d(0.0, 1.0, delta, 1.0) == pytest.approx(np.log1p(u), rel=1e-9)


@pytest.mark.statement("prop-ts-linear")
@pytest.mark.parametrize("delta", [0.3, 0.1, 0.03])
def test_near_by_both_are_one(delta):
    u = delta**2 / 4.0
    assert abs(u / (1.0 + u) / np.log1p(u) - 1.0) < u


@pytest.mark.statement("prop-ts-linear", control=True)
def test_far_away_they_are_not():
    distance = gaussian.distance_1d(0.0, 1.0, 20.0, 1.0)
    assert distance > 4.0 * linearised(20.0)
    # The linearised one has all but lost its slope there.
    slope = (linearised(20.1) - linearised(19.9)) / 0.2
    assert slope < 0.01 * (gaussian.distance_1d(0.0, 1.0, 20.1, 1.0) - distance) / 0.1


# prop-ts-invariant


def environments(seed, *, shared):
    """Least squares in two environments: data, and the pooled optimum."""
    rng = np.random.default_rng(seed)
    data = []
    for k in range(2):
        x = rng.normal(size=(400, 2)) * np.array([1.0, 1.0 + k])
        w = np.array([1.0, -0.5]) + (0.0 if shared else 0.8 * k)
        data.append((x, x @ w))
    x, y = (np.concatenate([d[i] for d in data]) for i in (0, 1))
    return data, np.linalg.lstsq(x, y, rcond=None)[0]


def risk_gradients(data, w):
    return [2.0 * x.T @ (x @ w - y) / len(y) for x, y in data]


@pytest.mark.statement("prop-ts-invariant")
@seeds
def test_the_penalty_is_half_the_squared_gap_of_the_gradients(seed, record_property):
    data, w = environments(seed, shared=False)
    g, h = risk_gradients(data, w)
    penalty = g @ g + h @ h
    error = abs(penalty - 0.5 * (g - h) @ (g - h))
    record_property("error", error)
    assert error < 1e-9 * penalty
    assert penalty > 0.01
    data, w = environments(seed, shared=True)
    assert sum(g @ g for g in risk_gradients(data, w)) < 1e-18


@pytest.mark.statement("prop-ts-invariant", control=True)
@seeds
def test_away_from_the_pooled_optimum_it_is_not(seed):
    data, w = environments(seed, shared=False)
    g, h = risk_gradients(data, w + 0.3)
    assert g @ g + h @ h > 1.05 * 0.5 * (g - h) @ (g - h)


# prop-ts-exact


@pytest.mark.statement("prop-ts-exact")
@seeds
def test_the_score_tests_level_holds_for_any_data(seed):
    rng = np.random.default_rng(seed)
    found = [
        score_test(*rng.standard_t(2.0, size=(2, 15)), n_permutations=19, seed=k).pvalue
        for k in range(60)
    ]
    # At the level 0.2 twelve of sixty; 22 have a chance of 0.3 %.
    assert np.mean(np.array(found) <= 0.2) < 22 / 60


@pytest.mark.statement("prop-ts-exact", control=True)
def test_a_model_that_knows_the_labels_breaks_it():
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(200):
        a, b = rng.exponential(size=(2, 12))
        pooled = np.concatenate([a, b])
        # Of a model that has learned one of the samples by heart.
        scores = np.abs(pooled[:, None] - a[None]).min(axis=1)
        deals = [np.arange(24), *(rng.permutation(24) for _ in range(19))]
        gaps = [scores[rows[12:]].mean() - scores[rows[:12]].mean() for rows in deals]
        alarms += np.sum(np.array(gaps) >= gaps[0]) == 1
    assert alarms > 0.3 * 200
