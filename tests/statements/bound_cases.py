"""A bent normal distribution on the line, for the checks of the bound.

Z is standard normal, A = g_s(Z), T = g_t with g_t(x) = sinh(t arcsinh x), and M the normal
densities. Everything is an integral over Z.
"""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from lrmf.theory import gaussian

#: How far T and A bend.
tails = pytest.mark.parametrize(
    ("t", "s"), list(itertools.product([0.5, 0.8, 1.0, 1.3], [0.7, 1.0, 1.5]))
)


def bend(t, x):
    return np.sinh(t * np.arcsinh(x))


def log_slope(t, x):
    u = np.arcsinh(x)
    return np.log(t * np.cosh(t * u) / np.cosh(u))


def mean(f):
    value, _ = integrate.quad(
        lambda z: f(z) * np.exp(-0.5 * z * z), -13, 13, epsabs=1e-13, epsrel=1e-12, limit=400
    )
    return value / np.sqrt(2 * np.pi)


def variance(s):
    return mean(lambda z: bend(s, z) ** 2)


def entropy(s):
    """h(g_s(Z)) by the change of variables."""
    return 0.5 * np.log(2 * np.pi * np.e) + mean(lambda z: log_slope(s, z))


def density(s):
    """log-density of g_s(Z)."""
    return lambda x: stats.norm.logpdf(bend(1 / s, x)) + log_slope(1 / s, x)


def to_normal(s):
    """KL(g_s(Z); M) for the normal densities."""
    return 0.5 * np.log(2 * np.pi * np.e * variance(s)) - entropy(s)


def likelihood(s, variance_of_model):
    return -0.5 * np.log(2 * np.pi * variance_of_model) - 0.5 * variance(s) / variance_of_model


def best_likelihood(s):
    return likelihood(s, variance(s))


def distance(t, s_a, s_b):
    return float(gaussian.distance_1d(0.0, np.sqrt(variance(t * s_a)), 0.0, np.sqrt(variance(s_b))))


def loss(t, s_a, s_b, *, shared=None):
    """Definition 2.2 for T = g_t, with the best shared normal density or another one."""
    shared = 0.5 * (variance(t * s_a) + variance(s_b)) if shared is None else shared
    log_det = mean(lambda z: log_slope(t, bend(s_a, z)))
    constant = best_likelihood(s_a) + best_likelihood(s_b)
    return -log_det - likelihood(t * s_a, shared) - likelihood(s_b, shared) + constant


def bias(t, s):
    return to_normal(s) - to_normal(t * s)


def arrays_of(flow_role, density_role, d, rng):
    flow = flow_role.init((d,), rng)
    return (
        {name: value + 0.2 * rng.normal(size=value.shape) for name, value in flow.items()},
        density_role.init((d,), rng),
    )
