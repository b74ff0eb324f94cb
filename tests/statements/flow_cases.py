"""Flows, normal densities and numerical derivatives that the checks of several chapters take."""

import numpy as np

import lrmf
from lrmf.theory import gaussian


def covariance(rng, d):
    root = rng.normal(size=(d, d)) + np.eye(d)
    return root @ root.T + 0.2 * np.eye(d)


def normal(backend, mean, cov):
    arrays = gaussian.density_arrays(mean, cov)
    return lrmf.get_backend(backend).density(lrmf.Gaussian(), arrays, dtype="float64")


def log_normal(x, mean, std):
    """Log-density of N(mean, std²), without SciPy's checks: integrals ask point by point."""
    return -0.5 * ((x - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)


def affine_flow(backend, matrix, shift):
    arrays = {"matrix": np.asarray(matrix, float), "shift": np.asarray(shift, float)}
    return lrmf.get_backend(backend).flow(lrmf.Affine(), arrays, dtype="float64")


def realnvp(backend, d, seed, *, blocks=4, scale=0.3):
    """A RealNVP away from the identity."""
    spec = lrmf.RealNVP(blocks=blocks, hidden=(16,))
    rng = np.random.default_rng([d, seed])
    arrays = {
        name: value + scale * rng.normal(size=value.shape) / len(value) ** 0.5
        for name, value in spec.init((d,), rng).items()
    }
    return lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")


def jacobian(function, x, step=1e-4):
    """The Jacobian at each row of x, by central differences of fourth order."""
    columns = [
        (8 * (function(x + h) - function(x - h)) - function(x + 2 * h) + function(x - 2 * h))
        / (12 * step)
        for h in step * np.eye(x.shape[1])
    ]
    return np.stack(columns, axis=-1)


def log_det_numerically(function, x, step=1e-5):
    return np.linalg.slogdet(jacobian(function, x, step))[1]


def log_det_error(function, log_det, x):
    """Median: a kink of a ReLU inside the difference's step spoils a point, not the statement."""
    found = log_det_numerically(function, x, step=1e-4)
    return float(np.median(np.abs(found - log_det)))


def grid(width=12.0, points=401):
    """The points of a square grid around the origin, and the area that each stands for."""
    ticks = np.linspace(-width, width, points)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    return plane, (ticks[1] - ticks[0]) ** 2


def largest(values):
    return float(np.max(np.abs(values)))
