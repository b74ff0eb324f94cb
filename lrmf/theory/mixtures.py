r"""Example 2.2 of the paper: how the LRMF gradient vanishes as two mixtures move apart.

M holds all equal mixtures of two normal densities of one common variance, and T(x; b) = x + b. With
δ ≥ 0 and σ₀ > 0 fixed,

    A ~ ½ N(μ + δ, σ₀²) + ½ N(μ − δ, σ₀²),    B ~ ½ N(δ, σ₀²) + ½ N(−δ, σ₀²).

Write p for the density of B, v = σ₀² + δ², r(x) for the share of the component at μ in the model
q(x) = ½ N(x; μ, v) + ½ N(x; 0, v), so that r(x) = 1 / (1 + exp(−(μ/v)(x − μ/2))). For a large μ the
best shared model is θ* = (μ + b, 0, v), and A + b and B are mirror images about its centre, so

    L(b, μ) = −2 E_B log q(x) + C,    C = c(A, B) = 2 E_B log p(x),

with μ + b in the place of μ. Hence L = 2 KL(p ‖ q), ∂L/∂b = ∂L/∂μ, and a shift b is passed by
adding it to μ. Putting the exact optimum in the place of θ* changes L by the square of an
exponentially small quantity (times a power of μ), so the law below holds for min_θ L_LRMF too.

**Sign and factor.** The paper writes L = −2 H[·, ·] + C, where H[p, q] has to be read as E_p log q
(with the usual cross-entropy −E_p log q the sign is plus). Its simulation (supplement 8.8)
differentiates E_B log(N(x; μ, v) + N(x; 0, v)), up to a constant, with respect to μ, the mean of
one component of the *model*, over a fixed sample of B. Therefore

    ∂/∂μ E_B log q(x) = −g(μ),    ∂L/∂μ = 2 g(μ),    g(μ) = E_B[r(x) (μ − x)] / v.

The simulated number is −g, negative for μ > 0; the loss rises with μ up to its plateau. Functions
named ``log_gradient`` are about ∂L/∂μ; those with ``cross_entropy`` in their names about g.

**The law.** √(−log |∂L/∂μ|) = slope · μ + intercept + o(1) as μ → ∞, where

    σ₀ ≤ δ:   slope = δ / (√2 (σ₀² + δ²)),   intercept = −1/√2;
    σ₀ ≥ δ:   slope = 1 / (2√2 σ₀),          intercept = −δ / (√2 σ₀).

*Derivation.* The component of B at −δ adds a vanishing share unless δ = 0, where it doubles g. Left
of the halfway point μ/2, r(x) ≈ exp((μ/v)(x − μ/2)); right of it, r(x) ≈ 1. The exponent of
N(x; δ, σ₀²) r(x) is concave. With the left form its peak is x* = δ + σ₀²μ/v, and σ₀²/v < ½ exactly
when σ₀ < δ. So:

1. σ₀ < δ: x* lies left of μ/2, further and further as μ grows, and g is the tilted normal integral
   ½ E_N(δ,σ₀²)[exp((μ/v)(x − μ/2)) (μ − x)/v] up to exponentially small terms. Its exponent
   σ₀²μ²/(2v²) + δμ/v − μ²/(2v) completes to a square: with w = δμ/v − 1,
   g ~ (δ/(2v)) √e · w exp(−w²/2).
2. σ₀ > δ: the exponent rises up to μ/2 and falls beyond it, within a width v/μ. With x = μ/2 + y,
   ∫ exp(−βy)/(1 + exp(−κy)) dy = (π/κ)/sin(πβ/κ), κ = μ/v and β/κ → v/(2σ₀²) ∈ (½, 1):
   g ~ (π/4) N(μ/2; δ, σ₀²) / sin(πv/(2σ₀²)), twice that for δ = 0.
3. σ₀ = δ: x* stays at the distance δ = σ₀ beyond μ/2, and the tilted integral of case 1 is cut at
   μ/2: g is case 1 times Φ(−1), Φ the standard normal distribution function.

In case 1, −log g = w²/2 − log w + const, and √(w²/2 − log w + const) = w/√2 + O(log w / w). A
constant factor or a power of μ (2 g for g, say) therefore changes only the o(1), and slope and
intercept are those of w/√2 or, in case 2, of (μ/2 − δ)/(√2 σ₀). Both agree at σ₀ = δ. The
convergence is slow, like log μ / μ: on the paper's window 7 ≤ μ ≤ 16 the fitted line is another.

**Another model variance.** The steps need v only as the variance of the model's components. With
w in its place (``model_variance``), as for isotropic models in higher dimensions or for tempered
ones, the cases are w > 2σ₀², = 2σ₀² and < 2σ₀², and

    w ≥ 2σ₀²:   slope = √(w − σ₀²) / (√2 w),    intercept = −δ / (√2 √(w − σ₀²));
    w ≤ 2σ₀²:   slope = 1 / (2√2 σ₀),           intercept = −δ / (√2 σ₀).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from lrmf.checks import check_broadcast, check_positive_number
from lrmf.theory.arguments import finite, positive
from lrmf.theory.mixture_arguments import (
    mixture,
    parameters,
    with_model_variance,
)
from lrmf.theory.mixture_simulation import LineFit, fit_line, simulated_log_gradient
from lrmf.theory.tilted_quadrature import log_mean

__all__ = [
    "LineFit",
    "asymptotic_intercept",
    "asymptotic_log_cross_entropy_gradient",
    "asymptotic_slope",
    "fit_line",
    "log_cross_entropy_gradient",
    "log_density",
    "log_gradient",
    "log_loss_gap",
    "log_samples",
    "loss",
    "loss_gradient",
    "loss_limit",
    "shared_parameters",
    "simulated_log_gradient",
]

Array = NDArray[np.float64]


def log_density(x: ArrayLike, *, means: ArrayLike, std: ArrayLike) -> Array:
    """Log-density of an equal mixture of normal densities with one common variance.

    log (1/k) Σᵢ N(x; meansᵢ, std²). ``means`` is ``(..., k)``, ``std`` is ``(...)``, and both
    broadcast against ``x``. Raises ``ValueError`` for a ``std`` that is not positive, for means
    without an axis, for shapes that do not broadcast, and for values that are not finite.

    >>> float(log_density(0.0, means=[-1.0, 1.0], std=1.0).round(4))  # log N(1; 0, 1)
    -1.4189
    """
    points, centers = finite(x, name="x"), finite(means, name="means")
    scale = positive(std, name="std")
    if centers.ndim == 0 or centers.shape[-1] == 0:
        raise ValueError(
            f"means must be of shape (..., k) with one mean or more, got {centers.shape}; write "
            "means=[m1, m2]."
        )
    check_broadcast(x=points, means=centers[..., 0], std=scale)
    standard = (points[..., None] - centers) / scale[..., None]
    logs = special.logsumexp(-0.5 * standard**2, axis=-1) - np.log(centers.shape[-1])
    return np.asarray(logs - np.log(scale) - 0.5 * np.log(2 * np.pi))


def shared_parameters(mu: ArrayLike, *, delta: ArrayLike, sigma0: ArrayLike) -> tuple[Array, Array]:
    """Means and standard deviation of the shared model θ* for a large μ (paper, Example 2.2).

    θ* = (μ, 0, σ₀² + δ²), the last being a variance. The means have shape ``(..., 2)``, ready for
    :func:`log_density`. Raises ``ValueError`` like :func:`log_gradient`.

    >>> means, std = shared_parameters(8.0, delta=3.0, sigma0=4.0)
    >>> means.tolist(), float(std)
    ([8.0, 0.0], 5.0)
    """
    m, d, s = parameters(mu, delta, sigma0)
    return np.stack([m, np.zeros_like(m)], axis=-1), np.asarray(np.hypot(s, d))


def loss(mu: ArrayLike, *, delta: ArrayLike, sigma0: ArrayLike) -> Array:
    """LRMF loss L(0, μ) of Example 2.2 under θ*, constant included (nats).

    L = −2 E_B log q + c(A, B) = 2 KL(p ‖ q), by quadrature to about 1e-12, absolute. For a large
    |μ| this is min over θ of L_LRMF; for a small one it is an upper bound, as θ* is not optimal
    there. Arguments broadcast. Raises ``ValueError`` like :func:`log_gradient`.

    >>> float(loss(60.0, delta=0.0, sigma0=1.0).round(12))  # disjoint: 2 log 2
    1.38629436112
    """
    gap = np.exp(log_loss_gap(mu, delta=delta, sigma0=sigma0))
    return np.asarray(loss_limit(delta=delta, sigma0=sigma0) - gap)


def loss_limit(*, delta: ArrayLike, sigma0: ArrayLike) -> Array:
    """Return the plateau: the limit of :func:`loss` as μ → ∞ (nats).

    log(1 + δ²/σ₀²) + 2 E_N(δ,σ₀²)[log(1 + exp(−2δx/σ₀²))], that is 2 log 2 + 2 KL(p ‖ N(0, v)).
    Raises ``ValueError`` like :func:`log_gradient`.

    >>> from lrmf.theory import mixtures
    >>> options = dict(delta=1.0, sigma0=0.5)
    >>> gap = mixtures.loss_limit(**options) - mixtures.loss(8.0, **options)
    >>> bool(abs(gap) < 1e-6)
    True
    """
    d, s = mixture(delta, sigma0)

    def entropy_defect(x: Array, k: Array, x0: Array) -> tuple[Array, Array]:
        return _log_softplus(k * (x - x0)), np.ones_like(x)

    rate = -2 * d / s**2
    log_term, _ = log_mean(entropy_defect, d, s, rate, np.zeros_like(d))
    return np.asarray(np.log1p((d / s) ** 2) + 2 * np.exp(log_term))


def log_loss_gap(mu: ArrayLike, *, delta: ArrayLike, sigma0: ArrayLike) -> Array:
    """Log of how far the loss lies below its plateau, log(L(0, ∞) − L(0, μ)).

    L(0, ∞) − L(0, μ) = 2 E_B log(1 + exp((μ/v)(x − μ/2))), which is lost to rounding in
    :func:`loss` beyond a moderate μ. Raises ``ValueError`` like :func:`log_gradient`.

    >>> from lrmf.theory import mixtures
    >>> near, far = mixtures.log_loss_gap([3.0, 6.0], delta=1.0, sigma0=0.5)
    >>> bool(far < near)
    True
    """

    def both_sides(x: Array, k: Array, x0: Array) -> tuple[Array, Array]:
        sides = np.logaddexp(_log_softplus(k * (x - x0)), _log_softplus(k * (-x - x0)))
        return sides, np.ones_like(x)

    m, d, s = parameters(mu, delta, sigma0)
    return log_mean(both_sides, d, s, m / (s**2 + d**2), m / 2)[0]


def log_gradient(
    mu: ArrayLike,
    *,
    delta: ArrayLike,
    sigma0: ArrayLike,
    model_variance: ArrayLike | None = None,
) -> Array:
    """Log of the size of the LRMF gradient, log |∂L/∂μ| = log |∂L/∂b| at b = 0.

    By Gauss–Legendre quadrature in log space: it neither underflows nor loses the tail. Its
    relative error stays below 1e-10 for |μ|/σ₀ up to about 1,000, then grows with the rounding of
    the exponent. Arguments broadcast; at μ = 0 it is −∞. ``model_variance`` is the variance of
    the model's components, σ₀² + δ² by default. Raises ``ValueError`` for a ``sigma0`` or
    ``model_variance`` that is not positive, a negative ``delta``, and values that are not finite.

    >>> float(log_gradient(60.0, delta=1.0, sigma0=0.5).round(3))
    -1100.373
    """
    log_size, _ = _signed_log_gradient(mu, delta, sigma0, model_variance)
    return np.asarray(log_size + np.log(2.0))


def log_cross_entropy_gradient(
    mu: ArrayLike,
    *,
    delta: ArrayLike,
    sigma0: ArrayLike,
    model_variance: ArrayLike | None = None,
) -> Array:
    """Return log g(μ), the log-size of the gradient that the paper simulates (supplement 8.8).

    g(μ) = |∂/∂μ E_B log q| = E_B[r(x) (μ − x)] / v, half of |∂L/∂μ|, here without sampling.
    Raises ``ValueError`` like :func:`log_gradient`.

    >>> from lrmf.theory import mixtures
    >>> near, far = mixtures.log_cross_entropy_gradient([7.0, 14.0], delta=1.0, sigma0=0.5)
    >>> bool(far < near < 0)
    True
    """
    return _signed_log_gradient(mu, delta, sigma0, model_variance)[0]


def loss_gradient(mu: ArrayLike, *, delta: ArrayLike, sigma0: ArrayLike) -> Array:
    """∂L/∂μ = ∂L/∂b at b = 0, with its sign: positive for μ > 0, where L falls as b falls.

    Underflows to zero where :func:`log_gradient` does not. Raises ``ValueError`` like it.

    >>> from lrmf.theory import mixtures
    >>> bool(mixtures.loss_gradient(2.0, delta=1.0, sigma0=0.5) > 0)
    True
    """
    log_size, sign = _signed_log_gradient(mu, delta, sigma0)
    return np.asarray(2.0 * sign * np.exp(log_size))


def asymptotic_slope(
    *, delta: ArrayLike, sigma0: ArrayLike, model_variance: ArrayLike | None = None
) -> Array:
    """Return the slope of √(−log |∂L/∂μ|) = slope · μ + intercept + o(1), μ → ∞.

    δ / (√2 (σ₀² + δ²)) where σ₀ ≤ δ, else 1 / (2√2 σ₀): see the module for the derivation, and
    for another ``model_variance``. Raises ``ValueError`` like :func:`log_gradient`.

    >>> float(asymptotic_slope(delta=1.0, sigma0=0.5).round(4))  # 0.4 √2
    0.5657
    """
    _, _, s, w = with_model_variance(1.0, delta, sigma0, model_variance)
    return np.asarray(np.sqrt(np.maximum(w, 2 * s**2) - s**2) / np.maximum(w, 2 * s**2) / 2**0.5)


def asymptotic_intercept(
    *, delta: ArrayLike, sigma0: ArrayLike, model_variance: ArrayLike | None = None
) -> Array:
    """Return the intercept of √(−log |∂L/∂μ|) = slope · μ + intercept + o(1), μ → ∞.

    −min(1, δ/σ₀) / √2: it is free of δ and σ₀ where σ₀ ≤ δ. See the module for another
    ``model_variance``. Raises ``ValueError`` like :func:`log_gradient`.

    >>> float(asymptotic_intercept(delta=1.0, sigma0=0.5).round(4))
    -0.7071
    """
    _, d, s, w = with_model_variance(1.0, delta, sigma0, model_variance)
    return np.asarray(-d / np.sqrt(np.maximum(w, 2 * s**2) - s**2) / np.sqrt(2.0))


def asymptotic_log_cross_entropy_gradient(
    mu: ArrayLike,
    *,
    delta: ArrayLike,
    sigma0: ArrayLike,
    model_variance: ArrayLike | None = None,
) -> Array:
    """Log of the leading term of g(μ), whose ratio to g tends to one as μ → ∞.

    The three cases of the module's derivation. The ratio is off by an exponentially small amount
    in the first, by O(1/μ) otherwise. NaN where μ is too small for the term to be defined
    (|μ|(1 − σ₀²/w) ≤ δ in the cases w ≥ 2σ₀²). Raises ``ValueError`` like :func:`log_gradient`.

    >>> from lrmf.theory import mixtures
    >>> options = dict(delta=1.0, sigma0=0.5)
    >>> exact = mixtures.log_cross_entropy_gradient(30.0, **options)
    >>> leading = mixtures.asymptotic_log_cross_entropy_gradient(30.0, **options)
    >>> bool(abs(leading / exact - 1) < 0.01)
    True
    """
    m, d, s, w = with_model_variance(mu, delta, sigma0, model_variance)
    m = np.abs(m)
    # The distance from the tilted mean δ + σ₀²μ/w to μ.
    rest = m * (1 - s**2 / w) - d
    with np.errstate(invalid="ignore", divide="ignore"):
        tilted = np.log(np.where(rest > 0, rest, np.nan) / (2 * w))
        tilted = tilted + m * (d - 0.5 * m * (1 - s**2 / w)) / w
        halfway = np.log(np.pi / 4 / np.sin(np.pi * w / (2 * s**2)))
    halfway = halfway - 0.5 * ((m / 2 - d) / s) ** 2 - np.log(s * np.sqrt(2 * np.pi))
    cut = tilted + special.log_ndtr(-d / s)
    one = np.select([w > 2 * s**2, w < 2 * s**2], [tilted, halfway], default=cut)
    return np.asarray(one + np.where(d == 0, np.log(2.0), 0.0))


def log_samples(
    mu: ArrayLike, *, delta: ArrayLike, sigma0: ArrayLike, relative_error: float = 0.1
) -> Array:
    """Log₁₀ of the number of samples of B after which Monte Carlo knows the gradient.

    n = (E_B[h²] / (E_B h)² − 1) / ε² with h(x) = r(x)(μ − x): then the standard error of the mean
    of h is the fraction ε = ``relative_error`` of it. Only the order of magnitude means something
    where h has a heavy tail. For σ₀ < δ/√3 it grows like exp(σ₀²μ²/v²). Raises ``ValueError`` for
    μ = 0, where the gradient is zero, for a relative error that is not positive, and like
    :func:`log_gradient`.

    >>> float(log_samples(16.0, delta=1.0, sigma0=0.5).round(1))
    19.8
    """
    check_positive_number("relative_error", relative_error)
    m, d, s = parameters(mu, delta, sigma0)
    if (m == 0).any():
        raise ValueError("mu must not be zero: the gradient is zero there, and no share of zero.")

    def square(x: Array, k: Array, x0: Array) -> tuple[Array, Array]:
        with np.errstate(divide="ignore"):
            right = np.log(np.abs(2 * x0 - x)) + special.log_expit(k * (x - x0))
            left = np.log(np.abs(2 * x0 + x)) + special.log_expit(k * (-x - x0))
        return np.logaddexp(2 * right, 2 * left) - np.log(2.0), np.ones_like(x)

    v = s**2 + d**2
    log_square, _ = log_mean(square, d, s, m / v, m / 2, power=2.0)
    log_first = log_cross_entropy_gradient(m, delta=d, sigma0=s) + np.log(v)
    log_ratio = log_square - 2 * log_first
    # log(exp(r) − 1) for r > 0, at any size of r.
    log_variance = log_ratio + np.log(-np.expm1(-log_ratio))
    return np.asarray((log_variance - 2 * np.log(relative_error)) / np.log(10.0))


def _signed_log_gradient(
    mu: ArrayLike, delta: ArrayLike, sigma0: ArrayLike, model_variance: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Return log |g| and the sign of ∂L/∂μ."""

    def fold(x: Array, k: Array, x0: Array) -> tuple[Array, Array]:
        # B is symmetric, so r(x)(μ − x) may be averaged over x and −x. Over one denominator no
        # two terms cancel, not even for a tiny μ. Here μ = 2 x0 ≥ 0 and e = exp(−k|x|).
        size, shift = np.abs(x), -k * x0
        e = np.exp(-k * size)
        both = np.log1p(e**2 + np.exp(shift - k * size))
        denominator = np.logaddexp(-shift - k * size, both)
        numerator = 2 * x0 * (1 + e**2 + 2 * np.exp(shift - k * size))
        numerator = 0.5 * (numerator + size * np.expm1(-2 * k * size))
        with np.errstate(divide="ignore"):
            return np.log(np.abs(numerator)) - denominator, np.sign(numerator)

    m, d, s, w = with_model_variance(mu, delta, sigma0, model_variance)
    log_size, sign = log_mean(fold, d, s, np.abs(m) / w, np.abs(m) / 2)
    return log_size - np.log(w), sign * np.sign(m)


def _log_softplus(z: Array) -> Array:
    """log log(1 + eᶻ), which is z to double precision where eᶻ is tiny."""
    return np.where(z < -37, z, np.log(np.logaddexp(0.0, np.maximum(z, -37))))
