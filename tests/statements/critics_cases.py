"""Points, weights and a kernel, for the checks of the chapters on distances."""

import numpy as np
from scipy.spatial.distance import cdist


def samples(d, seed, m=40, n=60):
    rng = np.random.default_rng([d, seed])
    return rng.normal(size=(m, d)), rng.exponential(size=(n, d)) + 0.3


def weighted(d, seed, m=7, n=9):
    """Two distributions on finitely many points: points and weights of each."""
    rng = np.random.default_rng([d, seed, 1])
    x, y = rng.normal(size=(m, d)), rng.normal(size=(n, d)) + 0.5
    return x, y, rng.dirichlet(np.ones(m)), rng.dirichlet(np.ones(n))


def gaussian_kernel(x, y):
    return np.exp(-cdist(x, y, "sqeuclidean") / 2)
