"""Moments, maps and data, for the checks of the Gaussian case and of affine maps."""

import numpy as np
from flow_cases import covariance


def moments(d, seed, spread=2.0):
    rng = np.random.default_rng([d, seed])
    return {
        "mean_a": spread * rng.normal(size=d),
        "cov_a": covariance(rng, d),
        "mean_b": spread * rng.normal(size=d),
        "cov_b": covariance(rng, d),
    }


def affine(d, seed):
    rng = np.random.default_rng([d, seed, 1])
    return rng.normal(size=(d, d)) + 1.5 * np.eye(d), rng.normal(size=d)


def sample_with(mean, cov, *, n, rng):
    """Points that are far from normal but have exactly this mean and this covariance."""
    x = rng.exponential(size=(n, len(mean)))
    x = x - x.mean(axis=0)
    whitened = (
        x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T, bias=True).reshape(2 * (len(mean),)))).T
    )
    return mean + whitened @ np.linalg.cholesky(cov).T


def datasets(m, seed, n=400):
    rng = np.random.default_rng([seed, 2])
    return tuple(sample_with(m[f"mean_{k}"], m[f"cov_{k}"], n=n, rng=rng) for k in "ab")


def moments_of(x):
    d = x.shape[1]
    return x.mean(axis=0), np.cov(x.T, bias=True).reshape(d, d)


def relative(value, expected):
    """The relative error of a number."""
    return abs(float(value) / float(expected) - 1.0)
