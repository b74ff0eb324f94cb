r"""Divergences between densities on the real line, histograms, and normal densities (nats).

For densities p and q with respect to one measure (Lebesgue, or counting for histograms),

    KL(p ‖ q)  = ∫ p log(p/q)                      in [0, ∞],
    JSD(p, q)  = ½ KL(p ‖ m) + ½ KL(q ‖ m)         in [0, log 2],    m = (p + q)/2,
    TV(p, q)   = ½ ∫ |p − q|                       in [0, 1].

On disjoint supports they are ∞, log 2 and 1, however far apart the supports lie: none of them tells
how far to go. Every integrand is written so that it is not negative anywhere, with t = log(p/q):

    p log(p/q) − p + q = p (t − 1 + e⁻ᵗ),    (p + q)/2 · (log 2 − entropy of the pair σ(±t)),

hence small divergences keep their leading digits. The functions of densities take *log*-densities:
the log of a density that underflows would read as a support that ends.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate

from lrmf.checks import check_broadcast, check_numbers
from lrmf.theory.arguments import covariance, finite, positive, same_features, vector

__all__ = [
    "gaussian_kl",
    "gaussian_kl_1d",
    "histogram_jsd",
    "histogram_kl",
    "histogram_total_variation",
    "jsd",
    "kl",
    "total_variation",
]

Array = NDArray[np.float64]
LogDensity = Callable[[float], ArrayLike]
Terms = Callable[[Array, Array, Array], Array]

# Quadrature aims at 1e-11 and a density may miss one by 1e-8: what is left leaves 1e-8.
_RELATIVE = 1e-11
_TOLERANCE = 1e-8
_SUBDIVISIONS = 400
# Where a tail like 1/x, which has no integral, is told from one that has: quad may not notice.
_FAR = 1e10


def kl(
    log_p: LogDensity,
    log_q: LogDensity,
    *,
    support: tuple[float, float] = (-math.inf, math.inf),
    breakpoints: Sequence[float] = (),
) -> float:
    """Kullback–Leibler divergence KL(p ‖ q) of two densities on the real line (nats).

    ∫ p log(p/q), by adaptive quadrature to about 1e-8 relative. ``log_p`` and ``log_q`` map a
    number to a log-density, −∞ where the density is zero. ``support`` holds both supports;
    ``breakpoints`` are where a density jumps or, on a wide support, where it peaks. The result is
    ∞ where q is zero and p is not. Raises ``TypeError`` for what cannot be called, ``ValueError``
    for a support or breakpoints out of order, log-densities that are NaN or +∞, densities that do
    not integrate to one, and an integral that does not converge.

    >>> from scipy.stats import norm
    >>> round(kl(norm(0, 1).logpdf, norm(1, 1).logpdf), 10)
    0.5
    >>> from scipy.stats import uniform
    >>> kl(uniform(0, 1).logpdf, uniform(2, 1).logpdf, support=(0, 3), breakpoints=[1, 2])
    inf
    """
    pair = _Pair(log_p, log_q, support, breakpoints)
    value = pair.integral(_kl_terms, "KL(p ‖ q)")
    return math.inf if pair.q_misses_p else value


def jsd(
    log_p: LogDensity,
    log_q: LogDensity,
    *,
    support: tuple[float, float] = (-math.inf, math.inf),
    breakpoints: Sequence[float] = (),
) -> float:
    """Jensen–Shannon divergence of two densities on the real line, in [0, log 2] nats.

    ½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q)/2 (its square root is a metric). Arguments,
    accuracy and errors as in :func:`kl`.

    >>> from scipy.stats import uniform
    >>> far = jsd(uniform(0, 1).logpdf, uniform(2, 1).logpdf, support=(0, 3), breakpoints=[1, 2])
    >>> round(far, 10) == round(math.log(2), 10)
    True
    """
    return _Pair(log_p, log_q, support, breakpoints).integral(_jsd_terms, "JSD(p, q)")


def total_variation(
    log_p: LogDensity,
    log_q: LogDensity,
    *,
    support: tuple[float, float] = (-math.inf, math.inf),
    breakpoints: Sequence[float] = (),
) -> float:
    """Total variation distance of two densities on the real line, in [0, 1].

    ½ ∫ |p − q|, the largest difference between the probabilities of one event. Arguments, accuracy
    and errors as in :func:`kl`.

    >>> from scipy.stats import norm
    >>> half = norm.cdf(0.5) - norm.cdf(-0.5)
    >>> bool(abs(total_variation(norm(0, 1).logpdf, norm(1, 1).logpdf) - half) < 1e-10)
    True
    """
    return _Pair(log_p, log_q, support, breakpoints).integral(_tv_terms, "TV(p, q)")


def histogram_kl(p: ArrayLike, q: ArrayLike) -> Array:
    """Kullback–Leibler divergence Σ pᵢ log(pᵢ/qᵢ) of two histograms (nats).

    ``p`` and ``q`` are probabilities ``(..., bins)``, the result is ``(...)``: ∞ where a bin of p
    is filled and that of q is empty. Raises ``ValueError`` for negative or infinite entries,
    histograms that do not sum to one, and bins or leading axes that do not fit.

    >>> float(histogram_kl([0.5, 0.5], [0.25, 0.75]).round(4)), float(histogram_kl([1, 0], [0, 1]))
    (0.1438, inf)
    """
    return _sum_bins(_kl_terms, p, q)


def histogram_jsd(p: ArrayLike, q: ArrayLike) -> Array:
    """Jensen–Shannon divergence of two histograms, in [0, log 2] nats.

    Arguments and errors as in :func:`histogram_kl`.

    >>> float(histogram_jsd([1.0, 0.0], [0.0, 1.0]).round(4))
    0.6931
    """
    return _sum_bins(_jsd_terms, p, q)


def histogram_total_variation(p: ArrayLike, q: ArrayLike) -> Array:
    """Total variation distance ½ Σ |pᵢ − qᵢ| of two histograms, in [0, 1].

    Arguments and errors as in :func:`histogram_kl`.

    >>> float(histogram_total_variation([0.5, 0.5], [0.25, 0.75]))
    0.25
    """
    first, second = _histograms(p, q)
    return np.asarray(0.5 * np.abs(first - second).sum(axis=-1))


def gaussian_kl(mean_p: ArrayLike, cov_p: ArrayLike, mean_q: ArrayLike, cov_q: ArrayLike) -> Array:
    """Kullback–Leibler divergence of two normal densities on R^d, in closed form (nats).

    ½ (tr(Σ_q⁻¹ Σ_p) − d − log det(Σ_q⁻¹ Σ_p) + (μ_p − μ_q)ᵀ Σ_q⁻¹ (μ_p − μ_q)). Means are
    ``(..., d)``, covariances ``(..., d, d)``, the result is ``(...)``. Raises ``ValueError`` for
    matrices that are not covariances, and for shapes that do not fit.

    >>> float(gaussian_kl([1.0, 0.0], np.eye(2), [0.0, 0.0], np.eye(2)))
    0.5
    """
    m_p, m_q = vector(mean_p, name="mean_p"), vector(mean_q, name="mean_q")
    s_p, s_q = covariance(cov_p, name="cov_p"), covariance(cov_q, name="cov_q")
    same_features({"mean_p": m_p, "cov_p": s_p, "mean_q": m_q, "cov_q": s_q})
    check_broadcast(
        mean_p=m_p[..., 0], cov_p=s_p[..., 0, 0], mean_q=m_q[..., 0], cov_q=s_q[..., 0, 0]
    )
    root_p, root_q = np.linalg.cholesky(s_p), np.linalg.cholesky(s_q)
    # The squared singular values of L_q⁻¹ L_p are the eigenvalues of Σ_q⁻¹ Σ_p.
    logs = 2 * np.log(np.linalg.svd(np.linalg.solve(root_q, root_p), compute_uv=False))
    gap = np.linalg.solve(root_q, (m_p - m_q)[..., None])[..., 0]
    with np.errstate(over="ignore"):
        squares = gap**2
    if np.isinf(squares).any():
        raise ValueError("the means are too many standard deviations apart for float64; rescale")
    return np.asarray(0.5 * (np.sum(_excess(logs), axis=-1) + np.sum(squares, axis=-1)))


def gaussian_kl_1d(
    mean_p: ArrayLike, std_p: ArrayLike, mean_q: ArrayLike, std_q: ArrayLike
) -> Array:
    """Kullback–Leibler divergence of two normal densities on the real line (nats).

    log(σ_q/σ_p) + (σ_p² + (μ_p − μ_q)²)/(2σ_q²) − ½. All arguments broadcast. Raises
    ``ValueError`` for a standard deviation that is not positive, and values that are not finite.

    >>> float(gaussian_kl_1d(0.0, 1.0, 3.0, 1.0))
    4.5
    """
    m_p, m_q = finite(mean_p, name="mean_p"), finite(mean_q, name="mean_q")
    s_p, s_q = positive(std_p, name="std_p"), positive(std_q, name="std_q")
    check_broadcast(mean_p=m_p, std_p=s_p, mean_q=m_q, std_q=s_q)
    return np.asarray(0.5 * (_excess(2 * np.log(s_p / s_q)) + ((m_p - m_q) / s_q) ** 2))


class _Pair:
    """Two log-densities and the intervals on which to integrate."""

    def __init__(
        self,
        log_p: LogDensity,
        log_q: LogDensity,
        support: tuple[float, float],
        breakpoints: Sequence[float],
    ) -> None:
        self.log_densities = {"log_p": log_p, "log_q": log_q}
        for name, function in self.log_densities.items():
            if not callable(function):
                raise TypeError(
                    f"{name} must be a function of one number, got {type(function).__name__}; pass "
                    "e.g. scipy.stats.norm(0, 1).logpdf."
                )
        self.edges = _edges(support, breakpoints)
        self.q_misses_p = False
        for name in self.log_densities:
            self._check_mass(name)

    def integral(self, terms: Terms, name: str) -> float:
        """Integrate terms(p, q, log p − log q) over the support."""

        def integrand(x: float) -> float:
            log_p, log_q = self._log_value("log_p", x), self._log_value("log_q", x)
            p, q = math.exp(log_p), math.exp(log_q)
            if p == 0 and q == 0:
                return 0.0
            value = float(terms(np.array(p), np.array(q), np.array(log_p - log_q)))
            if value == math.inf:
                self.q_misses_p = True
                return 0.0
            return value

        for end in (self.edges[0], self.edges[-1]):
            if math.isinf(end) and abs(integrand(math.copysign(_FAR, end))) * _FAR > 1e-6:
                raise ValueError(
                    f"the integrand for {name} falls no faster than 1/x towards x = {end}, so that "
                    "the integral may be infinite: p has a heavier tail than q allows. Use a "
                    "bounded support, or jsd, which is always finite."
                )
        value, error = self._integrate(integrand)
        # The last term is rounding: a divergence between equal densities is zero up to that.
        if not error <= _TOLERANCE * abs(value) + 1e-15:
            raise ValueError(
                f"the integral for {name} did not converge (value {value:.3g}, error about "
                f"{error:.1g}): give the points where a density jumps or peaks as breakpoints."
            )
        return value

    def _check_mass(self, name: str) -> None:
        mass, _ = self._integrate(lambda x: math.exp(self._log_value(name, x)))
        if not abs(mass - 1.0) <= _TOLERANCE:
            raise ValueError(
                f"{name} must integrate to one over the support, got {mass:.10g}: normalise it, "
                "let support=(low, high) hold all of it, and give the points where it jumps or "
                "peaks as breakpoints."
            )

    def _log_value(self, name: str, x: float) -> float:
        value = check_numbers(f"the value of {name}", self.log_densities[name](x))
        if value.size != 1:
            raise ValueError(
                f"{name} must return one number for one number, got shape {value.shape}; it is "
                "called with a float."
            )
        number = float(value.reshape(()))
        if math.isnan(number) or number == math.inf:
            raise ValueError(
                f"{name} is {number} at x = {x:g}; let it return -inf where the density is zero, "
                "and name points of infinite density as breakpoints."
            )
        return number

    def _integrate(self, integrand: Callable[[float], float]) -> tuple[float, float]:
        total, error = 0.0, 0.0
        for low, high in itertools.pairwise(self.edges):
            # With full output, quad reports trouble by its error estimate instead of by warnings.
            value, part_error = integrate.quad(
                integrand,
                low,
                high,
                epsabs=0.0,
                epsrel=_RELATIVE,
                limit=_SUBDIVISIONS,
                full_output=1,
            )[:2]
            total, error = total + value, error + part_error
        return total, error


def _edges(support: tuple[float, float], breakpoints: Sequence[float]) -> list[float]:
    limits = check_numbers("support", support)
    if limits.shape != (2,) or not limits[0] < limits[1]:
        raise ValueError(f"support must be a pair (low, high) with low < high, got {support!r}")
    inner = np.unique(finite(breakpoints, name="breakpoints").ravel())
    if inner.size and not (limits[0] <= inner[0] and inner[-1] <= limits[1]):
        raise ValueError(
            f"breakpoints must lie inside the support, got {inner[0]:g} … {inner[-1]:g} for "
            f"support {support!r}; widen the support or drop them."
        )
    return [float(x) for x in np.unique(np.concatenate([limits, inner]))]


def _histograms(p: ArrayLike, q: ArrayLike) -> tuple[Array, Array]:
    arrays = {"p": finite(p, name="p"), "q": finite(q, name="q")}
    for name, array in arrays.items():
        if array.ndim == 0 or array.shape[-1] == 0:
            raise ValueError(f"{name} must be of shape (..., bins), got {array.shape}.")
        if (array < 0).any():
            raise ValueError(
                f"{name} must not be negative, got {array.min():g}; it holds shares of counts."
            )
        worst = array.sum(axis=-1).ravel()
        worst = worst[np.abs(worst - 1.0).argmax()] if worst.size else 1.0
        if abs(worst - 1.0) > _TOLERANCE:
            raise ValueError(
                f"{name} must sum to one over its last axis, got {worst:.10g}; divide counts by "
                "counts.sum(axis=-1, keepdims=True)."
            )
    first, second = arrays.values()
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"p and q must have the same bins, got {first.shape[-1]} and {second.shape[-1]}; count "
            "both with the same edges."
        )
    try:
        np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        raise ValueError(
            f"the leading axes of p and q must broadcast, got {first.shape} and {second.shape}; "
            "add an axis, e.g. p[:, None]."
        ) from None
    return first, second


def _sum_bins(terms: Terms, p: ArrayLike, q: ArrayLike) -> Array:
    first, second = np.broadcast_arrays(*_histograms(p, q))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        change = (first - second) / second
        # Both forms are log(p/q); each keeps its digits where the other loses them.
        ratio = np.where(np.abs(change) < 0.5, np.log1p(change), np.log(first) - np.log(second))
    return np.asarray(np.sum(terms(first, second, ratio), axis=-1))


def _kl_terms(p: Array, q: Array, t: Array) -> Array:
    """p log(p/q) − p + q, with t = log(p/q): zero where both are, ∞ where only q is."""
    with np.errstate(invalid="ignore", over="ignore"):
        near = p * _excess(-np.clip(t, -1.0, 1.0))
        far = np.where(p > 0, p * (t - 1.0), 0.0) + q
    return np.where((p == 0) & (q == 0), 0.0, np.where(np.abs(t) <= 1, near, far))


def _jsd_terms(p: Array, q: Array, t: Array) -> Array:
    """(p + q)/2 · (log 2 − entropy of the pair p/(p + q), q/(p + q)), with t = log(p/q)."""
    size = np.minimum(np.abs(np.where((p == 0) & (q == 0), 0.0, t)), 800.0)
    half = 0.5 * np.minimum(size, 1.0)
    near = half * np.tanh(half) - np.log1p(2 * np.sinh(0.5 * half) ** 2)
    odds = np.exp(-size)
    far = math.log(2) - size * odds / (1 + odds) - np.log1p(odds)
    return 0.5 * (p + q) * np.where(size < 1, near, far)


def _tv_terms(p: Array, q: Array, t: Array) -> Array:
    """½ |p − q|, with t = log(p/q)."""
    return -0.5 * np.maximum(p, q) * np.expm1(-np.abs(t))


def _excess(u: Array) -> Array:
    """eᵘ − 1 − u, whose two terms cancel where u is small."""
    series = 0.5 * u**2 * (1 + u / 3 * (1 + u / 4 * (1 + u / 5 * (1 + u / 6))))
    return np.where(np.abs(u) < 1e-2, series, np.expm1(u) - u)
