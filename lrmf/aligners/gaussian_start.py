"""Where `LRMF` starts with affine maps and normal densities: at the optimum, or near it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..minibatches import Weights
from ..points import Rows
from ..specs import Affine, Arrays, Gaussian
from ..standardization import Standardization
from ..theory import gaussian

__all__ = ["gaussian_start", "has_closed_form"]

Array = NDArray[np.float64]


def gaussian_start(
    kind: str,
    domains: Mapping[str, Rows],
    weights: Weights,
    units: Mapping[str, Standardization] | None,
) -> dict[str, Arrays]:
    """Arrays of ``transform``, an `Affine` of a kind, and of ``density``, a `Gaussian`.

    Of all affine maps with the least loss, which differ by rotations of the whitened source, the
    one of optimal transport: of data in their own units, as `GaussianOT`, by a full matrix, and of
    standardised ones by a positive definite one. A diagonal map matches the
    deviations, which is the optimum only where correlations agree or cancel; training goes on from
    there.

    Nothing where a covariance is singular: then the loss has no minimum.

    Args:
        kind: of the `Affine`.
        domains: the (standardised) points of source and target.
        weights: of these.
        units: how the points of each were standardised, if they were.
    """
    (mean_a, cov_a), (mean_b, cov_b) = (
        _moments(domains[side], weights[side]) for side in ("source", "target")
    )
    scale_a = scale_b = np.ones(len(mean_a))
    if units is not None and kind == "full":
        scale_a, scale_b = units["source"].scale, units["target"].scale
        largest = np.maximum(scale_a, scale_b).max()
        scale_a, scale_b = scale_a / largest, scale_b / largest
    try:
        matrix, _ = gaussian.monge_map(
            mean_a, cov_a * np.outer(scale_a, scale_a), mean_b, cov_b * np.outer(scale_b, scale_b)
        )
    except ValueError:
        return {}
    matrix = matrix * scale_a / scale_b[:, None]
    if kind == "diagonal":
        matrix = np.diag(np.sqrt(np.diag(cov_b) / np.diag(cov_a)))
    shift = mean_b - matrix @ mean_a
    transform = {"matrix": matrix}
    if kind == "positive_definite":
        eigenvalues, vectors = np.linalg.eigh(matrix)
        transform = {"matrix": (vectors * np.sqrt(eigenvalues)) @ vectors.T}
    elif kind == "diagonal":
        transform = {"log_scale": np.log(np.diag(matrix))}
    moved = matrix @ cov_a @ matrix.T
    shared = gaussian.shared_moments(mean_b, moved, mean_b, cov_b)
    return {
        "transform": {**transform, "shift": shift},
        "density": dict(gaussian.density_arrays(*shared)),
    }


def has_closed_form(transform: object, density: object) -> bool:
    """Whether `gaussian_start` knows a start: the optimum, but for diagonal maps."""
    return isinstance(transform, Affine) and isinstance(density, Gaussian)


def _moments(x: Rows, weights: Array | None) -> tuple[Array, Array]:
    """The (weighted) mean and covariance of points, in one pass."""
    d, start = x.shape[1], 0
    mass, first, second = 0.0, np.zeros(d), np.zeros((d, d))
    about = np.asarray(x[:1], dtype=np.float64)[0]
    for chunk in x.chunks():
        values = np.asarray(chunk, dtype=np.float64) - about
        share = np.ones(len(values)) if weights is None else weights[start : start + len(values)]
        start += len(values)
        mass += share.sum()
        first += share @ values
        second += (share[:, None] * values).T @ values
    mean = first / mass
    return mean + about, second / mass - np.outer(mean, mean)
