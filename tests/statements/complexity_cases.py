"""Moments and losses by weighted sums, for the checks of model complexity."""

import numpy as np
from numpy.polynomial import legendre
from scipy import stats

from lrmf.theory import gaussian

NODES, NODE_WEIGHTS = legendre.leggauss(200)

STANDARD = stats.multivariate_normal(np.zeros(2))
MEAN_B, COV_B = np.array([1.0, -0.5]), np.array([[1.5, 0.4], [0.4, 0.7]])


def moments_of(x, weights):
    mean = weights @ x
    return mean, (x - mean).T @ (weights[:, None] * (x - mean))


def misfit(entropy, cov):
    """KL(X ‖ M) for the normal densities."""
    return float(-entropy - gaussian.max_log_likelihood(cov))


def loss_of(image, log_det, weights, cov_a, mean_b, cov_b):
    """The LRMF loss with its best normal density, with expectations over A as weighted sums."""
    _, shared = gaussian.shared_moments(*moments_of(image, weights), mean_b, cov_b)
    return float(
        -weights @ log_det
        - 2 * gaussian.max_log_likelihood(shared)
        + gaussian.constant(cov_a, cov_b)
    )


def skewed(seed):
    """Nodes and weights of a skewed distribution on [0, 1]."""
    x = (NODES + 1) / 2
    weights = NODE_WEIGHTS * np.exp(-(1.0 + seed) * x)
    return x, weights / weights.sum()


def two_moments(image, weights):
    mean = weights @ image
    return np.array([mean, weights @ (image - mean) ** 2])
