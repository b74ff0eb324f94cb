"""Scores: gradients of log-densities by all parameters, at a model fitted to all points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_positive_int, check_seed
from .failures import DivergenceWarning, warn
from .points import check_points
from .specs import FlowSpec, Gaussian

__all__ = ["scores", "standardized", "whitened"]

Array = NDArray[np.float64]


def scores(x: ArrayLike, *, density: Any = Gaussian(), steps: int = 1000, seed: int = 0) -> Array:
    """Gradients of log p(x; θ) by all parameters, at the model that was fitted to these points.

    Args:
        x: points ``(n, d)``.
        density, steps, seed: as in `score_test`.

    Returns ``(n, k)`` for k parameters. Those of a normal density are taken up to an invertible
    linear map, which no score test sees; those of a flow are of standardised points.

    Raises the errors of `score_test`.

    >>> scores(np.random.default_rng(0).normal(size=(50, 2))).shape
    (50, 5)
    """
    if not isinstance(density, (Gaussian, FlowSpec)):
        raise TypeError(
            f"density must be Gaussian() or the spec of a flow such as RealNVP(), got {density!r}"
        )
    check_positive_int("steps", steps)
    check_seed(seed)
    points = check_points(x, "x", minimum=2)
    points = points.reshape(len(points), -1)
    if isinstance(density, Gaussian):
        return _normal_gradients(points)
    return _flow_gradients(points, density, steps, seed)


def standardized(x: Array) -> Array:
    """Points with mean 0 and deviation 1 in each feature that is not constant."""
    # In units near those of each feature, powers of two: squares neither overflow nor vanish.
    x = np.ldexp(x, -np.frexp(np.abs(x).max(axis=0))[1])
    return (x - x.mean(axis=0)) / np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1.0)


def _normal_gradients(x: Array) -> Array:
    """Gradients of a normal log-density by its mean and covariance, up to an invertible map.

    At the maximum they are z and the products of two entries of z, centred, for whitened z.
    """
    centred = standardized(x)  # or features in small units would count as functions of others
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    kept = values > 1e-10 * max(values.max(), 1e-300)
    z = centred @ directions[kept].T / values[kept] * np.sqrt(len(x))
    i, j = np.triu_indices(z.shape[1])
    products = z[:, i] * z[:, j]
    return np.concatenate([z, products - products.mean(axis=0)], axis=1)


def _flow_gradients(x: Array, spec: Any, steps: int, seed: int) -> Array:
    """Gradients by the arrays of a flow's density that was fitted to standardised points."""
    import jax
    import jax.numpy as jnp

    from .backends import get_backend
    from .fitting import FitConfig, fit
    from .models import Density
    from .objectives import likelihood

    backend = get_backend("jax")
    z = standardized(x)
    role, start = backend.init(Density, spec, z.shape[1:], np.random.default_rng(seed))
    fitted = fit(
        likelihood,
        (role,),
        {role.name: start},
        {"data": z},
        backend=backend,
        config=FitConfig(steps=steps),
        seed=np.random.SeedSequence(seed),
        progress=False,
    )

    if fitted.outcome == "interrupted":  # a test of half a model would be another test
        raise KeyboardInterrupt
    if fitted.outcome == "diverged":
        warn(f"the scores are those of a fit that {fitted.status}", DivergenceWarning)

    def log_prob(arrays: Any, point: Any) -> Any:
        return backend.models((role,), {role.name: arrays}, "float32")[role.name].log_prob(
            point[None]
        )[0]

    with backend.scope("float32"):
        arrays = {k: jnp.asarray(v, "float32") for k, v in fitted.arrays[role.name].items()}
        gradients = jax.jit(jax.vmap(jax.grad(log_prob), (None, 0)))
        found = [
            np.concatenate([np.asarray(g).reshape(len(chunk), -1) for g in named.values()], axis=1)
            for chunk in np.array_split(z.astype("float32"), max(1, len(z) // 256))
            for named in [gradients(arrays, chunk)]
        ]
    return np.concatenate(found).astype(np.float64)


def whitened(gradients: Array, ridge: float) -> tuple[Array, int]:
    """Gradients g as (K + εI)^(-1/2) g in coordinates of their own, and the rank of K."""
    centred = gradients - gradients.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    kept = values > 1e-8 * max(float(values.max()), 1e-300)
    variances = values[kept] ** 2 / len(centred)
    scale = np.sqrt(variances + ridge * variances.max()) if kept.any() else np.ones(0)
    return centred @ directions[kept].T / scale, int(kept.sum())
