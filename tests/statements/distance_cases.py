"""Distances of many samples at once, for the checks of the distance and of its use as a test."""

import functools

import jax
import numpy as np
from scipy.special import xlogy

import lrmf
from lrmf.theory import gaussian


def distances(a, b):
    """Distances (R,) of R pairs of samples (R, n, d) for the normal family."""
    means = [x.mean(axis=1) for x in (a, b)]
    centred = [x - mean[:, None] for x, mean in zip((a, b), means, strict=True)]
    covs = [np.einsum("rni,rnj->rij", x, x) / x.shape[1] for x in centred]
    return gaussian.distance(means[0], covs[0], means[1], covs[1])


def categorical_distances(a, b):
    """The same for all distributions on m cells; the points are one-hot, samples (R, n, m)."""
    p, q = a.mean(axis=1), b.mean(axis=1)
    both = (p + q) / 2
    return (xlogy(p, p) + xlogy(q, q) - 2 * xlogy(both, both)).sum(axis=-1)


@functools.cache
def normal_derivatives(d):
    """Compiled scores (n, k) and mean Hessian (k, k) of the normal log-density on R^d."""
    backend, spec = lrmf.get_backend("jax"), lrmf.Gaussian()
    below = np.tril_indices(d, -1)

    def log_prob(v, point):
        lower = jax.numpy.zeros((d, d), v.dtype).at[below].set(v[2 * d :])
        arrays = {"mean": v[:d], "log_diagonal": v[d : 2 * d], "lower": lower}
        return backend.call("log_prob", spec, arrays, point[None])[0]

    scores = jax.jit(jax.vmap(jax.grad(log_prob), (None, 0)))
    hessians = jax.jit(
        lambda v, x: jax.hessian(lambda v: jax.vmap(log_prob, (None, 0))(v, x).mean())(v)
    )
    return scores, hessians, below


def sandwich_weights(x):
    """Eigenvalues of H⁻¹K at the best normal density, by automatic differentiation."""
    d = x.shape[1]
    scores, hessians, below = normal_derivatives(d)
    best = gaussian.density_arrays(x.mean(axis=0), np.cov(x.T, bias=True).reshape(d, d))
    start = np.concatenate([best["mean"], best["log_diagonal"], best["lower"][below]])
    backend = lrmf.get_backend("jax")
    with backend.scope("float64"):
        v, points = backend.asarray(start, "float64"), backend.asarray(x, "float64")
        covariance = np.cov(np.asarray(scores(v, points)).T)
        curvature = -np.asarray(hessians(v, points))
    return np.linalg.eigvals(np.linalg.solve(curvature, covariance)).real
