"""The exact shared model of Example 2.2, and the reduction from several dimensions."""

import functools

import mpmath
import numpy as np
import pytest
from scipy import optimize

from lrmf.theory import mixtures
from lrmf.theory.mixture_optimum import project, shared_optimum

SHAPES = [(1.0, 0.5), (1.0, 1.0), (0.4, 1.0), (2.0, 0.3)]


@functools.cache
def nodes(delta, sigma0):
    z, weights = np.polynomial.hermite_e.hermegauss(100)
    x = np.concatenate([delta + sigma0 * z, -delta + sigma0 * z])
    return x, np.tile(weights / weights.sum(), 2) / 2


def exact_loss(theta, mu, delta, sigma0):
    """The loss with any shared model, A and B by Gauss-Hermite quadrature."""
    x, weights = nodes(delta, sigma0)
    kind = {"means": theta[:2], "std": np.exp(theta[2])}
    shared = mixtures.log_density(x, **kind) + mixtures.log_density(x + mu, **kind)
    private = mixtures.log_density(x, means=[delta, -delta], std=sigma0)
    return float(np.sum(weights * (2 * private - shared)))


@pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
@pytest.mark.parametrize("mu", [0.0, 0.4, 1.5, 3.0, 5.0])
def test_no_model_found_by_search_is_better(mu, delta, sigma0):
    best = shared_optimum(mu, delta=delta, sigma0=sigma0)
    a, w = best.half_distance, best.variance
    at = np.array([mu / 2 + a, mu / 2 - a, 0.5 * np.log(w)])
    assert exact_loss(at, mu, delta, sigma0) == pytest.approx(best.loss, abs=2e-6)
    rng = np.random.default_rng(0)
    for _ in range(3):
        start = np.append(mu * rng.uniform(-0.5, 1.5, size=2), rng.normal())
        end = optimize.minimize(exact_loss, start, args=(mu, delta, sigma0))
        assert end.fun > best.loss - 1e-5


@pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
@pytest.mark.parametrize("mu", [0.3, 2.0, 4.5])
def test_gradient_is_the_derivative_of_the_least_loss(mu, delta, sigma0):
    kind = {"delta": delta, "sigma0": sigma0}
    up, down = (shared_optimum(mu + h, **kind).loss for h in (1e-4, -1e-4))
    slope = np.exp(shared_optimum(mu, **kind).log_gradient)
    assert (up - down) / 2e-4 == pytest.approx(slope, rel=1e-5)


def test_optimum_agrees_with_mpmath():
    mu, delta, sigma0 = 3.0, 1.0, 0.5
    best = shared_optimum(mu, delta=delta, sigma0=sigma0)
    with mpmath.workdps(30):

        def mean(f):
            def integrand(x):
                p = sum(mpmath.exp(-(((x - c) / sigma0) ** 2) / 2) for c in (delta, -delta))
                return f(x) * p / (2 * sigma0 * mpmath.sqrt(2 * mpmath.pi))

            return mpmath.quad(integrand, [-8, -2, -1, 0, 1, 2, 4, 8])

        def gap(a):
            w = mpmath.mpf(mu) ** 2 / 4 + delta**2 + sigma0**2 - a**2
            return mean(lambda x: (x - mu / 2) * mpmath.tanh(a * (x - mu / 2) / w)) - a

        a = mpmath.findroot(gap, (1.2, 1.6), solver="anderson", tol=1e-20)
        w = mpmath.mpf(mu) ** 2 / 4 + delta**2 + sigma0**2 - a**2
        slope = (
            2 / w * mean(lambda x: (mu / 2 + a - x) / (1 + mpmath.exp(-2 * a * (x - mu / 2) / w)))
        )
    assert best.half_distance == pytest.approx(float(a), rel=1e-10)
    assert best.variance == pytest.approx(float(w), rel=1e-10)
    assert best.log_gradient == pytest.approx(float(mpmath.log(slope)), abs=1e-9)


@pytest.mark.parametrize("mu", [14.0, 30.0, 60.0])
def test_far_apart_it_is_the_model_of_the_paper(mu):
    best = shared_optimum(mu, delta=1.0, sigma0=0.5)
    assert best.half_distance == pytest.approx(mu / 2, rel=1e-13)
    assert best.variance == pytest.approx(1.25, rel=1e-9)
    expected = mixtures.log_gradient(mu, delta=1.0, sigma0=0.5)
    assert best.log_gradient == pytest.approx(float(expected), abs=1e-6)
    assert best.loss == pytest.approx(float(mixtures.loss_limit(delta=1.0, sigma0=0.5)), abs=1e-9)


def test_aligned_the_loss_is_zero():
    best = shared_optimum(0.0, delta=1.0, sigma0=0.5)
    assert best.loss == pytest.approx(0.0, abs=1e-12)
    assert best.half_distance == pytest.approx(1.0, abs=1e-9)
    assert best.log_gradient < -25
    mirrored = shared_optimum(-2.0, delta=1.0, sigma0=0.5)
    assert mirrored == shared_optimum(2.0, delta=1.0, sigma0=0.5)


def test_a_hot_model_is_one_normal_density():
    mu, w = 8.0, 30.0
    hot = shared_optimum(mu, delta=1.0, sigma0=0.5, min_variance=w)
    assert hot.half_distance == 0
    assert hot.variance == w
    assert hot.log_gradient == pytest.approx(np.log(mu / (2 * w)), abs=1e-12)
    warm = shared_optimum(mu, delta=1.0, sigma0=0.5, min_variance=6.0)
    assert 0 < warm.half_distance < mu / 2
    assert warm.variance == 6.0


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_gradient_in_d_dimensions_is_that_on_the_line(d):
    rng = np.random.default_rng(d)
    root = 0.5 * rng.normal(size=(d, d)) + np.eye(d)
    covariance, offset = root @ root.T, rng.normal(size=d)
    shift = 3 * rng.normal(size=d)
    x = rng.normal(size=(200_000, d)) @ np.linalg.cholesky(covariance).T
    x = x + rng.choice([-1.0, 1.0], size=(len(x), 1)) * offset
    for model in (covariance + np.outer(offset, offset), (1 + d) * np.eye(d)):
        along = np.linalg.solve(model, shift)
        share = 1 / (1 + np.exp(-(x - shift / 2) @ along))
        # ∂/∂c of L at the shift c Δ, c = 1, is μ times the derivative by μ.
        terms = 2 * share * ((shift - x) @ along)
        line = project(shift, offset=offset, covariance=covariance, model_covariance=model)
        kind = {"delta": line.delta, "sigma0": line.sigma0, "model_variance": 1.0}
        expected = line.mu * np.exp(mixtures.log_gradient(line.mu, **kind))
        assert abs(terms.mean() - expected) < 4 * terms.std() / np.sqrt(len(terms))


def test_projection_with_the_covariance_of_the_mixture_has_unit_variance():
    line = project([1.0, 2.0], offset=[1.0, -1.0], covariance=[[2.0, 0.3], [0.3, 1.0]])
    assert line.delta**2 + line.sigma0**2 == pytest.approx(1.0, rel=1e-12)


def test_bad_input():
    with pytest.raises(ValueError, match="must be numbers here"):
        shared_optimum([1.0, 2.0], delta=1.0, sigma0=0.5)
    with pytest.raises(ValueError, match="sigma0 must be positive"):
        shared_optimum(1.0, delta=1.0, sigma0=0.0)
    with pytest.raises(ValueError, match="min_variance must be a number and not negative"):
        shared_optimum(1.0, delta=1.0, sigma0=0.5, min_variance=-1.0)
    with pytest.raises(ValueError, match=r"mu is too large.*mixtures.shared_parameters"):
        shared_optimum(1e6, delta=1.0, sigma0=0.5)
    eye = np.eye(2)
    with pytest.raises(ValueError, match=r"one shape \(d,\), got \(2,\) and \(3,\)"):
        project(np.ones(2), offset=np.ones(3), covariance=eye)
    with pytest.raises(ValueError, match="shift must not be zero"):
        project(np.zeros(2), offset=np.ones(2), covariance=eye)
    with pytest.raises(ValueError, match=r"covariance must be of shape \(2, 2\)"):
        project(np.ones(2), offset=np.ones(2), covariance=np.eye(3))
    with pytest.raises(ValueError, match="model_covariance must be symmetric and positive"):
        project(np.ones(2), offset=np.ones(2), covariance=eye, model_covariance=-eye)
