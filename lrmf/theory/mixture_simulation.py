"""The paper's simulation of Example 2.2 (supplement 8.8): a gradient by Monte Carlo, and its line.

What it estimates, and how far that can work, stands in :mod:`lrmf.theory.mixtures`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf.checks import check_positive_int, check_seed
from lrmf.theory.arguments import finite, positive
from lrmf.theory.mixture_arguments import offset

__all__ = ["LineFit", "fit_line", "simulated_log_gradient"]

Array = NDArray[np.float64]


def simulated_log_gradient(
    mu: ArrayLike,
    *,
    delta: float,
    sigma0: float,
    n: int = 100_000,
    seed: int = 0,
    dtype: str = "float32",
) -> Array:
    """Return the paper's simulation: log |∂/∂μ mean of logsumexp({log pᵢ(X; μ) + log 2}ᵢ)|.

    X is one fixed sample of size ``n`` of B for every μ, pᵢ are the components N(μ, v) and N(0, v)
    of the shared model, and the arithmetic is in ``dtype``, "float32" or "float64" (paper,
    supplement 8.8). The derivative, which the paper takes by JAX, is the mean over X of
    r(x) (x − μ) / v. It estimates −g(μ), ``mixtures.log_cross_entropy_gradient``, as far as the
    tail that carries g is in the sample: see ``mixtures.log_samples``. −∞ where every term
    underflows.

    Raises ``ValueError`` for an ``n`` that is no positive integer, a negative ``seed``, another
    ``dtype``, a ``sigma0`` that is not positive, a negative ``delta``, either of them an array,
    and values that are not finite.

    >>> from lrmf.theory import mixtures
    >>> simulated = mixtures.simulated_log_gradient(7.0, delta=1.0, sigma0=0.5, n=1000)
    >>> bool(simulated < 0)
    True
    """
    check_positive_int("n", n)
    check_seed(seed)
    if not isinstance(dtype, str) or dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    m, d, s = finite(mu, name="mu"), offset(delta), positive(sigma0, name="sigma0")
    if d.ndim or s.ndim:
        raise ValueError("delta and sigma0 must be numbers here: one sample serves every mu.")
    largest = 0.1 * float(np.sqrt(np.finfo(dtype).max))
    if np.max(np.abs([*m.ravel(), d, s])) > largest:
        raise ValueError(
            f"mu, delta and sigma0 must lie below {largest:.2g}, or their squares are too large "
            f"for {dtype}; take other units."
        )
    smallest = 10.0 * float(np.sqrt(np.finfo(dtype).tiny))
    if s < smallest:
        raise ValueError(
            f"sigma0 must lie above {smallest:.2g}, or its square vanishes in {dtype}; take other "
            "units."
        )
    rng = np.random.default_rng(seed)
    sample = d * rng.choice([-1.0, 1.0], size=n) + s * rng.normal(size=n)
    x = sample.astype(dtype)
    v = x.dtype.type(s**2 + d**2)
    logs = np.empty(m.shape)
    for index, value in np.ndenumerate(m.astype(dtype)):
        log_p = np.stack([-((x - value) ** 2) / (2 * v), -(x**2) / (2 * v)])
        share = np.exp(log_p[0] - np.logaddexp(log_p[0], log_p[1]))
        with np.errstate(divide="ignore"):
            logs[index] = np.log(abs(float(np.mean(share * (x - value) / v))))
    return logs


class LineFit(NamedTuple):
    """A straight line fitted by least squares, and Pearson's correlation R.

    >>> slope, intercept, correlation = fit_line([7.0, 8.0, 9.0], [-9.0, -16.0, -25.0])
    >>> round(slope, 6)
    1.0
    """

    slope: float
    intercept: float
    correlation: float


def fit_line(mu: ArrayLike, log_gradient: ArrayLike) -> LineFit:
    """Fit √(−log |∂L/∂μ|) ≈ slope · μ + intercept by least squares (paper, supplement 8.8).

    Both arguments are ``(n,)``. Raises ``ValueError`` for fewer than three points, shapes that
    differ, a constant ``mu``, and gradients that are zero, infinite or of a size above one.

    >>> fit = fit_line([7.0, 8.0, 9.0], [-9.0, -16.0, -25.0])
    >>> round(fit.slope, 6), round(fit.intercept, 6), round(fit.correlation, 6)
    (1.0, -4.0, 1.0)
    """
    x, logs = finite(mu, name="mu"), finite(log_gradient, name="log_gradient")
    if x.ndim != 1 or x.shape != logs.shape or len(x) < 3:
        raise ValueError(
            "fit_line needs mu and log_gradient of one shape (n,) with n of three or more, got "
            f"{x.shape} and {logs.shape}."
        )
    if np.ptp(x) == 0:
        raise ValueError("mu must take more than one value, or no line is determined.")
    if (logs > 0).any():
        raise ValueError(
            f"log_gradient must not be positive, got {logs.max():g}: the square root of "
            "−log |∂L/∂μ| needs a gradient of at most one; leave out small mu."
        )
    y = np.sqrt(-logs)
    slope, intercept = np.polyfit(x, y, 1)
    return LineFit(float(slope), float(intercept), float(np.corrcoef(x, y)[0, 1]))
