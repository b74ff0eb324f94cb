"""Checks of the chapter "Vanishing gradients": what a sample shows, and its price."""

import numpy as np
import pytest
from scipy import special

from lrmf.theory import mixtures

PAPER = {"delta": 1.0, "sigma0": 0.5}
seeds = pytest.mark.parametrize("seed", range(3))


def sample(n, rng, delta, sigma0):
    return delta * rng.choice([-1.0, 1.0], size=n) + sigma0 * rng.normal(size=n)


# prop-vanishing-sample


def sample_log_gradient(mu, x, w):
    logs = special.log_expit(mu / w * (x - mu / 2))
    return float(special.logsumexp(logs, b=(mu - x) / (len(x) * w)))


@pytest.mark.statement("prop-vanishing-sample")
@seeds
@pytest.mark.parametrize("n", [1, 10, 1000])
@pytest.mark.parametrize("w", [0.5, 1.25, 4.0])
def test_a_sample_follows_its_largest_point(n, w, seed, record_property):
    x = sample(n, np.random.default_rng(seed), **PAPER)
    rest = []
    for mu in (1e3, 1e4, 1e5):
        root = np.sqrt(-sample_log_gradient(mu, x, w))
        rest.append(abs(root - (mu - x.max()) / np.sqrt(2 * w)))
    record_property("error", rest[-1])
    # The remainder may change its sign on the way.
    assert rest[-1] < 0.4 * max(rest[:-1])
    assert rest[-1] < 1e-3


@pytest.mark.statement("prop-vanishing-sample", control=True)
@pytest.mark.parametrize("w", [1.25, 4.0])
def test_the_population_has_no_largest_point_and_another_slope(w):
    mu = np.array([1e4, 2e4])
    root = np.sqrt(-mixtures.log_cross_entropy_gradient(mu, **PAPER, model_variance=w))
    assert abs(np.diff(root)[0] / 1e4 - 1 / np.sqrt(2 * w)) > 0.01


# prop-vanishing-price


@pytest.mark.statement("prop-vanishing-price")
@pytest.mark.parametrize("sigma0", [0.1, 0.4, 0.55, 0.58, 0.7, 0.9, 1.0, 1.5, 4.0])
def test_the_price_grows_at_the_stated_rate(sigma0, record_property):
    # With δ = 1 and w = v these are all three cases, and points near both borders.
    v = sigma0**2 + 1
    if v >= 4 * sigma0**2:
        rate = sigma0**2 / v**2
    elif v >= 2 * sigma0**2:
        rate = (v - sigma0**2) / v**2 - 1 / (8 * sigma0**2)
    else:
        rate = 1 / (8 * sigma0**2)
    mu = 3e4 * np.sqrt(v)
    # Up to the terms linear in μ, which the second difference removes.
    h = 0.1 * mu
    logs = mixtures.log_samples([mu - h, mu, mu + h], delta=1.0, sigma0=sigma0) * np.log(10)
    measured = np.diff(logs, n=2)[0] / (2 * h**2)
    error = abs(measured / rate - 1)
    record_property("error", error)
    assert error < 1e-3


@pytest.mark.statement("prop-vanishing-price")
@seeds
def test_the_price_by_counting(seed, record_property):
    mu, n = 4.0, 1000
    runs = [
        np.exp(mixtures.simulated_log_gradient(mu, **PAPER, n=n, seed=1000 * seed + k))
        for k in range(300)
    ]
    spread = np.std(runs) / np.exp(mixtures.log_cross_entropy_gradient(mu, **PAPER))
    needed = mixtures.log_samples(mu, **PAPER, relative_error=float(spread))
    error = abs(10 ** float(needed) / n - 1)
    record_property("error", error)
    assert error < 0.35


@pytest.mark.statement("prop-vanishing-price", control=True)
@pytest.mark.parametrize("sigma0", [0.7, 0.9])
def test_the_first_case_does_not_reach_beyond_its_border(sigma0):
    v = sigma0**2 + 1
    mu = 3e4 * np.sqrt(v)
    rate = float(mixtures.log_samples(mu, delta=1.0, sigma0=sigma0)) * np.log(10) / mu**2
    assert abs(rate / (sigma0**2 / v**2) - 1) > 0.02


# prop-vanishing-importance


def importance_terms(mu, n, rng, *, delta, sigma0, w):
    """Terms of the estimate, as fractions of the exact g."""
    x = delta + sigma0**2 * mu / w + sigma0 * rng.normal(size=n)
    log_factor = delta * mu / w - (w - sigma0**2) * mu**2 / (2 * w**2)
    exact = mixtures.log_cross_entropy_gradient(mu, delta=delta, sigma0=sigma0, model_variance=w)
    return (mu - x) * special.expit(-mu / w * (x - mu / 2)) / (2 * w) * np.exp(log_factor - exact)


@pytest.mark.statement("prop-vanishing-importance")
@seeds
@pytest.mark.parametrize(("sigma0", "w"), [(0.5, 1.25), (0.5, 3.0), (0.3, 1.09), (1.0, 4.0)])
def test_a_hundred_points_from_the_tail_are_enough(sigma0, w, seed, record_property):
    rng = np.random.default_rng(seed)
    kind = {"delta": 1.0, "sigma0": sigma0, "w": w}
    terms = importance_terms(60.0, 100, rng, **kind)
    error = abs(terms.mean() - 1)
    record_property("error", error)
    assert error < 4 * terms.std() / 10 + 1e-9
    assert error < 0.02
    for mu in (200.0, 400.0):
        spread = importance_terms(mu, 20_000, rng, **kind).std() * mu
        assert spread == pytest.approx(sigma0 * w / (w - sigma0**2), rel=0.05)


@pytest.mark.statement("prop-vanishing-importance", control=True)
@seeds
def test_points_of_the_target_itself_miss_the_gradient(seed):
    mu, w = 60.0, 1.25
    x = sample(100_000, np.random.default_rng(seed), **PAPER)
    exact = float(mixtures.log_cross_entropy_gradient(mu, **PAPER))
    assert sample_log_gradient(mu, x, w) < exact - 50


@pytest.mark.statement("prop-vanishing-importance", control=True)
@seeds
def test_for_a_narrow_model_the_tilted_tail_is_the_wrong_place(seed):
    kind = {"delta": 1.0, "sigma0": 2.0, "w": 5.0}
    terms = importance_terms(60.0, 100, np.random.default_rng(seed), **kind)
    assert abs(terms.mean() - 1) > 0.5
