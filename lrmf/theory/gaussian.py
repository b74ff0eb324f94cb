r"""The log-likelihood-ratio minimising flow between two normal densities, in closed form.

M is the family of all normal densities on R^d, the transform is affine, T(x) = K x + b, and
expectations are exact (the population version of the paper's Example 2.1). Nothing here needs A
and B to be normal themselves: a normal density sees only their first two moments. All values are
in nats.

Write Σ_T = K Σ_A Kᵀ for the covariance of T(A) and δ = K μ_A + b − μ_B for the gap between the
means. The best shared density has the moments of the equal mixture of T(A) and B,

    μ_S = (K μ_A + b + μ_B) / 2,    Σ_S = (Σ_T + Σ_B) / 2 + δ δᵀ / 4,

and the loss, minimised over the shared density, is

    min L_LRMF = log det Σ_S − log |det K| − (log det Σ_A + log det Σ_B) / 2.

Every function takes means ``(..., d)`` and covariances ``(..., d, d)`` and broadcasts over the
leading axes; the names ending in ``_1d`` take scalars (or arrays of them) and standard deviations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf.checks import check_broadcast
from lrmf.theory.arguments import (
    affine,
    covariance,
    finite,
    moments,
    positive,
    same_features,
    square,
    vector,
)

__all__ = [
    "constant",
    "density_arrays",
    "distance",
    "distance_1d",
    "loss",
    "loss_1d",
    "loss_gradient",
    "max_log_likelihood",
    "moment_matching_map",
    "monge_map",
    "optimum_1d",
    "shared_moments",
    "wasserstein",
]

Array = NDArray[np.float64]

_LOG_2PI_E = float(np.log(2 * np.pi * np.e))


def max_log_likelihood(cov: ArrayLike) -> Array:
    """Return the expected log-likelihood of data under the best normal density (nats).

    max over θ of log P_M(X; θ) = −½ log det(2πe Σ_X), the negative entropy of N(μ_X, Σ_X)
    (paper, Example 2.1). ``cov`` is ``(..., d, d)``, the result ``(...)``. Raises ``ValueError``
    for a matrix that is not a covariance.

    >>> float(max_log_likelihood([[1.0]]).round(4))
    -1.4189
    """
    matrix = covariance(cov, name="cov")
    return -0.5 * (matrix.shape[-1] * _LOG_2PI_E + _log_det(matrix))


def constant(cov_a: ArrayLike, cov_b: ArrayLike) -> Array:
    """Return c(A, B), the summed log-likelihoods of the two private models (nats).

    c(A, B) = −½ log det(2πe Σ_A) − ½ log det(2πe Σ_B) (paper, eq. 3). Raises ``ValueError`` for
    matrices that are not covariances or differ in size.

    >>> import numpy as np
    >>> from lrmf.theory import gaussian
    >>> float(np.round(gaussian.constant([[1.0]], [[4.0]]), 3))
    -3.531
    """
    matrix_a, matrix_b = covariance(cov_a, name="cov_a"), covariance(cov_b, name="cov_b")
    same_features({"cov_a": matrix_a, "cov_b": matrix_b})
    return max_log_likelihood(matrix_a) + max_log_likelihood(matrix_b)


def shared_moments(
    mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike
) -> tuple[Array, Array]:
    """Mean and covariance of the best shared normal density θ_S.

    They are the moments of the equal mixture: μ_S = (μ_A + μ_B)/2 and
    Σ_S = (Σ_A + Σ_B)/2 + (μ_A − μ_B)(μ_A − μ_B)ᵀ/4. Raises ``ValueError`` for matrices that are
    not covariances, and for shapes that do not fit.

    >>> mean, cov = shared_moments([-1.0], [[1.0]], [1.0], [[1.0]])
    >>> mean.tolist(), cov.tolist()
    ([0.0], [[2.0]])
    """
    m_a, s_a, m_b, s_b = moments(mean_a, cov_a, mean_b, cov_b)
    return 0.5 * (m_a + m_b), 0.5 * (s_a + s_b) + 0.25 * _outer(m_a - m_b, m_a - m_b)


def distance(mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike) -> Array:
    """Log-likelihood-ratio distance d_Λ(A, B; M) for the normal family (nats).

    d_Λ = log det Σ_S − ½ log det Σ_A − ½ log det Σ_B ≥ 0 (paper, Definition 2.1), which is zero
    exactly where A and B share mean and covariance. Raises ``ValueError`` for matrices that are
    not covariances, and for shapes that do not fit.

    >>> float(distance([0.0], [[1.0]], [2.0], [[1.0]]).round(4))  # log 2
    0.6931
    """
    m_a, s_a, m_b, s_b = moments(mean_a, cov_a, mean_b, cov_b)
    _, shared = shared_moments(m_a, s_a, m_b, s_b)
    return _log_det(shared) - 0.5 * _log_det(s_a) - 0.5 * _log_det(s_b)


def density_arrays(mean: ArrayLike, cov: ArrayLike) -> dict[str, Array]:
    """Arrays of the spec :class:`lrmf.Gaussian` for N(mean, cov), for one density.

    The lower triangular W with WᵀW = Σ⁻¹ is the inverse of the Cholesky factor of Σ. Raises
    ``ValueError`` for a ``cov`` that is not a covariance, and for shapes other than ``(d,)`` and
    ``(d, d)``.

    >>> arrays = density_arrays([1.0, 0.0], [[4.0, 0.0], [0.0, 1.0]])
    >>> np.exp(arrays["log_diagonal"]).tolist()  # one over the standard deviations
    [0.5, 1.0]
    """
    center, matrix = vector(mean, name="mean"), covariance(cov, name="cov")
    if center.ndim != 1 or matrix.shape != (len(center), len(center)):
        raise ValueError(
            "density_arrays makes one density: expected mean (d,) and cov (d, d), got "
            f"{center.shape} and {matrix.shape}."
        )
    whitening = np.linalg.inv(np.linalg.cholesky(matrix))
    return {
        "mean": center,
        "log_diagonal": np.log(np.diag(whitening)),
        "lower": np.tril(whitening, -1),
    }


def loss(
    matrix: ArrayLike,
    shift: ArrayLike,
    *,
    mean_a: ArrayLike,
    cov_a: ArrayLike,
    mean_b: ArrayLike,
    cov_b: ArrayLike,
) -> Array:
    """LRMF loss of T(x) = K x + b with its best shared density, min over θ_S of L_LRMF (nats).

    log det Σ_S − log|det K| − ½ log det Σ_A − ½ log det Σ_B, the multivariate form of the
    paper's Example 2.1. ``matrix`` is ``(..., d, d)``, ``shift`` ``(..., d)``, the result
    ``(...)``. It equals d_Λ(T(A), B; M): for an affine T the bound's error E_bias is zero. Raises
    ``ValueError`` for a singular ``matrix``, matrices that are not covariances, and shapes that do
    not fit.

    >>> moments = dict(mean_a=[0.0], cov_a=[[1.0]], mean_b=[3.0], cov_b=[[4.0]])
    >>> float(abs(loss([[2.0]], [3.0], **moments)))
    0.0
    """
    m_a, s_a, m_b, s_b = moments(mean_a, cov_a, mean_b, cov_b)
    linear, offset = affine(matrix, shift, features=s_a.shape[-1])
    shared, _ = _shared_after(linear, offset, m_a, s_a, m_b, s_b)
    return _log_det(shared) - _log_det(linear) - 0.5 * _log_det(s_a) - 0.5 * _log_det(s_b)


def loss_gradient(
    matrix: ArrayLike,
    shift: ArrayLike,
    *,
    mean_a: ArrayLike,
    cov_a: ArrayLike,
    mean_b: ArrayLike,
    cov_b: ArrayLike,
) -> tuple[Array, Array]:
    """Gradient of :func:`loss` with respect to ``matrix`` and ``shift``.

    ∂L/∂K = Σ_S⁻¹ (K Σ_A + ½ δ μ_Aᵀ) − K⁻ᵀ  and  ∂L/∂b = ½ Σ_S⁻¹ δ, of shapes ``(..., d, d)`` and
    ``(..., d)``. Raises ``ValueError`` like :func:`loss`.

    >>> import numpy as np
    >>> from lrmf.theory import gaussian
    >>> same = dict(mean_a=[0.0], cov_a=[[1.0]], mean_b=[0.0], cov_b=[[1.0]])
    >>> [float(np.abs(g).max()) for g in gaussian.loss_gradient([[1.0]], [0.0], **same)]
    [0.0, 0.0]
    """
    m_a, s_a, m_b, s_b = moments(mean_a, cov_a, mean_b, cov_b)
    linear, offset = affine(matrix, shift, features=s_a.shape[-1])
    shared, gap = _shared_after(linear, offset, m_a, s_a, m_b, s_b)
    try:
        precision = np.asarray(np.linalg.inv(shared))
    except np.linalg.LinAlgError:
        raise ValueError(
            "the covariance of T(A) and B together must be positive definite, but in float64 it is "
            "singular: their means lie too far apart for their spreads; move them together."
        ) from None
    inverse = np.asarray(np.linalg.inv(linear))
    by_matrix = precision @ (linear @ s_a + 0.5 * _outer(gap, m_a)) - np.swapaxes(inverse, -1, -2)
    return by_matrix, 0.5 * _apply(precision, gap)


def monge_map(
    mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike
) -> tuple[Array, Array]:
    """Matrix and shift of the optimal transport map between two normal densities.

    P = Σ_A^(−½) (Σ_A^(½) Σ_B Σ_A^(½))^(½) Σ_A^(−½) and b = μ_B − P μ_A: the only symmetric
    positive definite map that carries N(μ_A, Σ_A) to N(μ_B, Σ_B), hence the only minimiser of
    :func:`loss` among such maps (Olkin and Pukelsheim, 1982; Peyré and Cuturi, 2019, Remark 2.31).
    Raises ``ValueError`` for matrices that are not covariances, and for shapes that do not fit.

    >>> matrix, shift = monge_map([1.0], [[4.0]], [0.0], [[1.0]])
    >>> matrix.tolist(), shift.tolist()
    ([[0.5]], [-0.5])
    """
    m_a, s_a, m_b, s_b = moments(mean_a, cov_a, mean_b, cov_b)
    root, inverse_root = _power(s_a, 0.5), _power(s_a, -0.5)
    matrix = inverse_root @ _power(root @ s_b @ root, 0.5) @ inverse_root
    matrix = 0.5 * (matrix + np.swapaxes(matrix, -1, -2))
    return matrix, m_b - _apply(matrix, m_a)


def moment_matching_map(
    rotation: ArrayLike,
    *,
    mean_a: ArrayLike,
    cov_a: ArrayLike,
    mean_b: ArrayLike,
    cov_b: ArrayLike,
) -> tuple[Array, Array]:
    """Matrix and shift of the affine map that an orthogonal Q selects among all minimisers.

    K = Σ_B^(½) Q Σ_A^(−½) and b = μ_B − K μ_A. Every minimiser of :func:`loss` has this form for
    exactly one Q. ``rotation`` is ``(..., d, d)``. Raises ``ValueError`` for a ``rotation`` that
    is not orthogonal, matrices that are not covariances, and shapes that do not fit.

    >>> from lrmf.theory import gaussian
    >>> matrix, shift = gaussian.moment_matching_map(
    ...     [[1.0]], mean_a=[0.0], cov_a=[[1.0]], mean_b=[3.0], cov_b=[[4.0]]
    ... )
    >>> matrix.tolist(), shift.tolist()
    ([[2.0]], [3.0])
    """
    m_a, s_a, m_b, s_b = moments(mean_a, cov_a, mean_b, cov_b)
    q = square(rotation, name="rotation")
    same_features({"rotation": q, "cov_a": s_a})
    error = np.abs(q @ np.swapaxes(q, -1, -2) - np.eye(q.shape[-1])).max()
    if error > 1e-8:
        raise ValueError(
            f"rotation must be orthogonal, but Q Qᵀ differs from the identity by {error:.2g}; "
            "take Q from np.linalg.qr or scipy.stats.ortho_group."
        )
    matrix = _power(s_b, 0.5) @ q @ _power(s_a, -0.5)
    return matrix, m_b - _apply(matrix, m_a)


def wasserstein(mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike) -> Array:
    """Wasserstein-2 distance between two normal densities, in the units of the data.

    W₂² = |μ_A − μ_B|² + tr(Σ_A + Σ_B − 2 (Σ_A^(½) Σ_B Σ_A^(½))^(½)) (Olkin and Pukelsheim, 1982).
    Raises ``ValueError`` for matrices that are not covariances, and for shapes that do not fit.

    >>> float(wasserstein([0.0], [[1.0]], [3.0], [[25.0]]))  # sqrt(3² + (5 − 1)²)
    5.0
    """
    m_a, s_a, m_b, s_b = moments(mean_a, cov_a, mean_b, cov_b)
    root = _power(s_a, 0.5)
    cross = _power(root @ s_b @ root, 0.5)
    trace = np.trace(s_a + s_b - 2 * cross, axis1=-2, axis2=-1)
    # Rounding can leave a tiny negative number where the densities agree.
    return np.sqrt(np.maximum(np.sum((m_a - m_b) ** 2, axis=-1) + trace, 0.0))


def distance_1d(mean_a: ArrayLike, std_a: ArrayLike, mean_b: ArrayLike, std_b: ArrayLike) -> Array:
    """Log-likelihood-ratio distance d_Λ(A, B; M) on the real line (nats).

    d_Λ = log(½(σ_A² + σ_B²) + ¼(μ_A − μ_B)²) − log σ_A − log σ_B. Raises ``ValueError`` for a
    standard deviation that is not positive.

    >>> import numpy as np
    >>> from lrmf.theory import gaussian
    >>> float(np.round(gaussian.distance_1d(0.0, 1.0, 2.0, 1.0), 3))
    0.693
    """
    return loss_1d(1.0, 0.0, mean_a=mean_a, std_a=std_a, mean_b=mean_b, std_b=std_b)


def loss_1d(
    a: ArrayLike,
    b: ArrayLike,
    *,
    mean_a: ArrayLike,
    std_a: ArrayLike,
    mean_b: ArrayLike,
    std_b: ArrayLike,
) -> Array:
    """LRMF loss of T(x) = a x + b on the real line with its best shared density (nats).

    log(½(a²σ_A² + σ_B²) + ¼(aμ_A + b − μ_B)²) − log|a| − log σ_A − log σ_B. The paper's
    Example 2.1 prints a minus before the last square and leaves out the factor a in it. All
    arguments broadcast. Raises ``ValueError`` for a = 0, a standard deviation that is not
    positive, and values that are not finite.

    >>> float(loss_1d(2.0, 1.0, mean_a=0.0, std_a=1.0, mean_b=1.0, std_b=2.0))
    0.0
    """
    slope, offset = finite(a, name="a"), finite(b, name="b")
    if (slope == 0).any():
        raise ValueError("a must not be zero: T(x) = a x + b has to be invertible.")
    m_a, m_b = finite(mean_a, name="mean_a"), finite(mean_b, name="mean_b")
    s_a, s_b = positive(std_a, name="std_a"), positive(std_b, name="std_b")
    check_broadcast(a=slope, b=offset, mean_a=m_a, std_a=s_a, mean_b=m_b, std_b=s_b)
    shared = 0.5 * ((slope * s_a) ** 2 + s_b**2) + 0.25 * (slope * m_a + offset - m_b) ** 2
    return np.asarray(np.log(shared) - np.log(np.abs(slope)) - np.log(s_a) - np.log(s_b))


def optimum_1d(
    mean_a: ArrayLike, std_a: ArrayLike, mean_b: ArrayLike, std_b: ArrayLike
) -> tuple[Array, Array]:
    """Return the minimiser (a*, b*) of :func:`loss_1d` over a > 0: the map that matches moments.

    a* = σ_B / σ_A and b* = μ_B − a* μ_A. The paper prints b* = μ_B − μ_A. Raises ``ValueError``
    for a standard deviation that is not positive.

    >>> a, b = optimum_1d(mean_a=1.0, std_a=2.0, mean_b=5.0, std_b=6.0)
    >>> float(a), float(b)
    (3.0, 2.0)
    """
    m_a, m_b = finite(mean_a, name="mean_a"), finite(mean_b, name="mean_b")
    s_a, s_b = positive(std_a, name="std_a"), positive(std_b, name="std_b")
    check_broadcast(mean_a=m_a, std_a=s_a, mean_b=m_b, std_b=s_b)
    slope = s_b / s_a
    return slope, m_b - slope * m_a


def _shared_after(
    linear: Array, offset: Array, m_a: Array, s_a: Array, m_b: Array, s_b: Array
) -> tuple[Array, Array]:
    """Covariance of the shared density of T(A) and B, and the gap between their means."""
    gap = _apply(linear, m_a) + offset - m_b
    moved = linear @ s_a @ np.swapaxes(linear, -1, -2)
    shared = 0.5 * (moved + s_b) + 0.25 * _outer(gap, gap)
    return shared, gap


def _log_det(matrix: Array) -> Array:
    return np.asarray(np.linalg.slogdet(matrix)[1])


def _outer(x: Array, y: Array) -> Array:
    return x[..., :, None] * y[..., None, :]


def _apply(matrix: Array, x: Array) -> Array:
    return (matrix @ x[..., None])[..., 0]


def _power(cov: Array, exponent: float) -> Array:
    eigenvalues, vectors = np.linalg.eigh(0.5 * (cov + np.swapaxes(cov, -1, -2)))
    return (vectors * eigenvalues[..., None, :] ** exponent) @ np.swapaxes(vectors, -1, -2)
