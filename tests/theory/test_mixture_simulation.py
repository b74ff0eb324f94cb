"""Example 2.2 by samples: the paper's figures, and how many samples it would take."""

import numpy as np
import pytest
from scipy import special, stats

from lrmf.theory import mixtures

PAPER = {"delta": 1.0, "sigma0": 0.5}

WINDOW = np.arange(7.0, 17.0)


def test_the_papers_simulation_reproduces_its_figures():
    fits = np.array(
        [mixtures.fit_line(WINDOW, simulate(seed)) for seed in range(8)]
    )  # slope, intercept, R
    # Printed in the paper: 0.6, −1.168, 0.99996.
    assert np.abs(fits.mean(axis=0)[:2] - [0.6, -1.168]).max() < 0.1
    assert fits[:, 0].min() < 0.6 < fits[:, 0].max()
    assert (fits[:, 2] > 0.9997).all()
    exact = mixtures.fit_line(WINDOW, mixtures.log_cross_entropy_gradient(WINDOW, **PAPER))
    assert exact.slope == pytest.approx(0.5713, abs=1e-4)
    assert exact.intercept == pytest.approx(-0.9194, abs=1e-4)


def simulate(seed, **options):
    return mixtures.simulated_log_gradient(WINDOW, **PAPER, seed=seed, **options)


def test_precision_is_not_what_bends_the_simulation():
    single, double = simulate(3), simulate(3, dtype="float64")
    np.testing.assert_allclose(single, double, rtol=1e-5)
    # The tail is missing, ever more of it: the simulated gradient is far too small at μ = 16.
    rest = double - mixtures.log_cross_entropy_gradient(WINDOW, **PAPER)
    assert abs(rest[0]) < 0.2
    assert rest[-1] < -2


def test_simulation_is_the_derivative_of_the_papers_objective():
    rng = np.random.default_rng(5)
    x = rng.choice([-1.0, 1.0], size=1000) + 0.5 * rng.normal(size=1000)

    def objective(mu):
        logs = [stats.norm.logpdf(x, center, np.sqrt(1.25)) + np.log(2) for center in (mu, 0)]
        return special.logsumexp(logs, axis=0).mean()

    slope = (objective(3 + 1e-5) - objective(3 - 1e-5)) / 2e-5
    assert slope < 0
    ours = mixtures.simulated_log_gradient(3.0, **PAPER, n=1000, seed=5, dtype="float64")
    assert float(ours) == pytest.approx(np.log(-slope), rel=1e-7)


def test_simulation_underflows_to_nothing():
    assert mixtures.simulated_log_gradient(200.0, **PAPER, n=10) == -np.inf


def test_number_of_samples_by_counting():
    mu, n, runs = 5.0, 2000, 200
    seen = [
        np.exp(mixtures.simulated_log_gradient(mu, **PAPER, n=n, seed=run)) for run in range(runs)
    ]
    error = np.std(seen) / np.exp(mixtures.log_cross_entropy_gradient(mu, **PAPER))
    needed = mixtures.log_samples(mu, **PAPER, relative_error=float(error))
    assert abs(needed - np.log10(n)) < 0.15
