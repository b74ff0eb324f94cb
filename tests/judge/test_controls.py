"""The coin: what it makes is what it says."""

import numpy as np
import pytest
from scipy import integrate, stats

from lrmf.judge.controls import SHAPES, coin, coin_distance

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(3000, 3))
WEIGHT = RNG.exponential(size=3000)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("distance", [0.1, 0.2, 0.9])
def test_it_has_the_wanted_distance_and_sizes(shape, share, distance):
    probability = coin(POINTS, WEIGHT, share, shape, distance, np.random.default_rng(1))
    assert coin_distance(probability, WEIGHT) == pytest.approx(distance, abs=1e-6)
    assert np.average(probability, weights=WEIGHT) == pytest.approx(share, abs=1e-9)


def test_without_distance_it_looks_at_nothing():
    probability = coin(POINTS, WEIGHT, 0.3, "none", 0.0, np.random.default_rng(1))
    np.testing.assert_array_equal(probability, 0.3)
    assert coin_distance(probability, WEIGHT) == pytest.approx(0.0, abs=1e-12)


def test_its_distance_is_the_divergence_of_what_it_makes():
    # Probabilities r(x) at points of N(0, 1), against the integral over both pseudo-domains.
    x = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)

    def r(x):
        return 0.15 + 0.2 * (1.0 + np.tanh(x))

    share = integrate.quad(lambda t: r(t) * stats.norm.pdf(t), -9, 9)[0]

    def kl_to_mixture(t, side):
        a = r(t) * stats.norm.pdf(t) / share
        b = (1.0 - r(t)) * stats.norm.pdf(t) / (1.0 - share)
        p = (a, b)[side]
        return p * np.log(2.0 * p / (a + b))

    expected = sum(integrate.quad(kl_to_mixture, -9, 9, args=(side,))[0] for side in (0, 1))
    assert coin_distance(r(x), np.ones(len(x))) == pytest.approx(expected, abs=1e-5)


def test_disjoint_pseudo_domains_are_at_two_log_two():
    assert coin_distance(np.array([1.0, 1.0, 0.0]), np.ones(3)) == pytest.approx(2 * np.log(2))


def test_other_functions_are_drawn_with_other_seeds():
    first, again, other = (
        coin(POINTS, WEIGHT, 0.5, "waves", 0.1, np.random.default_rng(s)) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_two_values_have_a_control_of_spread():
    x = np.repeat([-1.0, 1.0], 50)[:, None]
    probability = coin(x, np.ones(100), 0.5, "spread", 0.1, np.random.default_rng(0))
    assert coin_distance(probability, np.ones(100)) == pytest.approx(0.1, abs=1e-6)


def test_what_cannot_be_reached_is_reached_as_far_as_possible():
    x = np.zeros((200, 1))
    x[0] = 1.0
    probability = coin(x, np.ones(200), 0.5, "waves", 0.1, np.random.default_rng(0))
    assert 0.0 < coin_distance(probability, np.ones(200)) < 0.05
