"""Means under a normal density in log space, where they are known exactly."""

import numpy as np
import pytest
from scipy import special, stats

from lrmf.theory.tilted_quadrature import log_mean

DELTA, SIGMA = np.array([0.0, 1.0, 30.0]), np.array([1.0, 0.01, 5.0])


def test_mean_of_one_and_of_a_polynomial():
    def one(x, k, x0):
        return np.zeros_like(x), np.ones_like(x)

    def identity(x, k, x0):
        with np.errstate(divide="ignore"):
            return np.log(np.abs(x)), np.sign(x)

    log_one, _ = log_mean(one, DELTA, SIGMA, np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(log_one, 0, atol=1e-13)
    log_size, sign = log_mean(identity, DELTA, SIGMA, np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(sign[1:] * np.exp(log_size[1:]), DELTA[1:], rtol=1e-13)
    assert log_size[0] < np.log(1e-14)


@pytest.mark.parametrize("k", [1e-6, 0.3, 40.0, 1e6])
def test_logistic_about_the_mean_is_one_half(k):
    def logistic(x, k, x0):
        return special.log_expit(k * (x - x0)), np.ones_like(x)

    log_half, _ = log_mean(logistic, DELTA, SIGMA, np.full(3, k), DELTA)
    np.testing.assert_allclose(log_half, np.log(0.5), rtol=1e-12)


def test_steep_logistic_far_out_is_the_tail_probability():
    def logistic(x, k, x0):
        return special.log_expit(k * (x - x0)), np.ones_like(x)

    x0 = np.array([5.0, 20.0, 40.0])
    zero, one = np.zeros(3), np.ones(3)
    log_tail, _ = log_mean(logistic, zero, one, 1e7 * one, x0)
    np.testing.assert_allclose(log_tail, stats.norm.logsf(x0), rtol=1e-10)
    # Control: a logistic that is not steep gives another number.
    log_other, _ = log_mean(logistic, zero, one, 10 * one, x0)
    assert (np.abs(log_other - stats.norm.logsf(x0)) > 1e-2).all()
