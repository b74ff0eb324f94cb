"""Moments, losses and descent, for the checks of the chapters on affine maps."""

import gaussian_cases
import numpy as np
from flow_cases import affine_flow, normal
from gaussian_cases import datasets
from scipy import integrate

import lrmf
from lrmf.theory import gaussian


def moments(d, seed):
    return gaussian_cases.moments(d, seed, spread=1.0)


def loss_of(backend, matrix, shift, mean, cov, m, seed):
    """lrmf_loss, with its constant, on data that have exactly these moments."""
    constant = float(gaussian.constant(m["cov_a"], m["cov_b"]))
    return float(
        lrmf.lrmf_loss(
            affine_flow(backend, matrix, shift),
            normal(backend, mean, cov),
            *datasets(m, seed),
            constant=constant,
        )
    )


def image(matrix, shift, m):
    return matrix @ m["mean_a"] + shift, matrix @ m["cov_a"] @ matrix.T


def divergence(mean, cov, other_mean, other_cov):
    """KL(N(mean, cov) || N(other_mean, other_cov)) in nats."""
    gap = other_mean - mean
    ratio = np.linalg.solve(other_cov, cov)
    return 0.5 * float(
        np.trace(ratio)
        - len(gap)
        - np.linalg.slogdet(ratio)[1]
        + gap @ np.linalg.solve(other_cov, gap)
    )


def power(cov, exponent):
    values, vectors = np.linalg.eigh(cov)
    return vectors * values[..., None, :] ** exponent @ np.swapaxes(vectors, -1, -2)


def best_shared(matrix, shift, m):
    return gaussian.shared_moments(*image(matrix, shift, m), m["mean_b"], m["cov_b"])


def follow(kind, matrix, shift, m, until, points=60):
    """Gradient flow of the loss with its best shared density: parameters at times 0 ... until."""
    d = len(shift)

    def slope(_, v):
        p, b = v[: d * d].reshape(d, d), v[d * d :]
        if kind == "positive_definite":
            by_matrix, by_shift = gaussian.loss_gradient(p.T @ p, b, **m)
            by_matrix = p @ (by_matrix + by_matrix.T)
        else:
            by_matrix, by_shift = gaussian.loss_gradient(p, b, **m)
        return -np.append(by_matrix.ravel(), by_shift)

    path = integrate.solve_ivp(
        slope,
        (0.0, until),
        np.append(np.asarray(matrix).ravel(), shift),
        method="LSODA",
        rtol=1e-10,
        atol=1e-12,
        t_eval=np.linspace(0.0, until, points),
    )
    assert path.success
    return [(v[: d * d].reshape(d, d), v[d * d :]) for v in path.y.T]
