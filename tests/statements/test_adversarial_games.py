"""Checks of the chapter "Adversarial alignment": how games of two players move."""

from functools import cache

import numpy as np
import pytest
from flow_cases import largest
from scipy import integrate, optimize, special

import lrmf
from lrmf.theory import gaussian

SEEDS = range(4)

seeds = pytest.mark.parametrize("seed", SEEDS)
spreads = pytest.mark.parametrize("s", [0.1, 0.3, 0.5, 1.0, 1.3])


# thm-adv-bilinear


def bilinear(z):
    return np.array([z[1], -z[0]])


@pytest.mark.statement("thm-adv-bilinear")
@pytest.mark.parametrize("eta", [0.01, 0.3, 1.0, 3.0])
@seeds
def test_simultaneous_steps_spiral_outwards(seed, eta, record_property):
    z, errors = np.random.default_rng(seed).normal(size=2), []
    for _ in range(50):
        after = z + eta * bilinear(z)
        errors.append((after @ after) / (z @ z) / (1 + eta**2) - 1)
        z = after
    record_property("error", largest(errors))
    assert largest(errors) < 1e-12


@pytest.mark.statement("thm-adv-bilinear")
@pytest.mark.parametrize("eta", [0.01, 0.3, 1.0, 1.9])
@seeds
def test_alternating_steps_stay_on_an_ellipse(seed, eta, record_property):
    phi, psi = np.random.default_rng(seed).normal(size=2)
    level = phi**2 + eta * phi * psi + psi**2
    values = []
    for _ in range(2000):
        phi = phi + eta * psi
        psi = psi - eta * phi
        values.append(phi**2 + eta * phi * psi + psi**2)
    error = largest(np.array(values) / level - 1)
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("thm-adv-bilinear")
@seeds
def test_in_continuous_time_the_players_go_round(seed, record_property):
    z = np.random.default_rng(seed).normal(size=2)
    end = integrate.solve_ivp(
        lambda _, y: bilinear(y), (0, 2 * np.pi), z, rtol=1e-11, atol=1e-12, dense_output=True
    )
    radius = (end.sol(np.linspace(0, 2 * np.pi, 100)) ** 2).sum(axis=0)
    error = max(largest(end.y[:, -1] - z), largest(radius - z @ z))
    record_property("error", error)
    assert error < 1e-8
    assert largest(end.sol(np.pi) + z) < 1e-8


@pytest.mark.statement("thm-adv-bilinear", control=True)
@pytest.mark.parametrize("eta", [0.1, 0.5])
@seeds
def test_a_game_with_friction_converges(seed, eta):
    z = np.random.default_rng(seed).normal(size=2)
    for _ in range(400):
        z = z + eta * (bilinear(z) - np.array([0.0, z[1]]))
    assert np.linalg.norm(z) < 1e-3


# prop-adv-logistic


@cache
def data_with(s, law):
    """Nodes and weights of a law with mean zero and variance s²."""
    if law == "normal":
        x, weight = np.polynomial.hermite_e.hermegauss(80)
        return s * x, weight / weight.sum()
    if law == "skewed":
        return s * np.array([2.0, -0.5]), np.array([0.2, 0.8])
    x, weight = np.polynomial.legendre.leggauss(40)
    return s * np.sqrt(3) * x, weight / 2


def game_field(z, s, law, saturating=True):
    x, weight = data_with(s, law)
    phi, psi = z
    seen = special.expit(psi * (x + phi))
    forger = psi * weight @ (seen if saturating else 1 - seen)
    detective = weight @ (special.expit(-psi * x) * x) - weight @ (seen * (x + phi))
    return np.array([forger, detective])


def jacobian_at_zero(field, h=1e-4):
    columns = [
        (8 * (field(e) - field(-e)) - field(2 * e) + field(-2 * e)) / (12 * h)
        for e in h * np.eye(2)
    ]
    return np.stack(columns, axis=1)


laws = pytest.mark.parametrize("law", ["normal", "uniform", "skewed"])


@pytest.mark.statement("prop-adv-logistic")
@laws
@spreads
@pytest.mark.parametrize("saturating", [True, False])
def test_the_jacobian_of_the_logistic_game(s, law, saturating, record_property):
    jacobian = jacobian_at_zero(lambda z: game_field(z, s, law, saturating))
    closed = np.array([[0, 0.5], [-0.5, -(s**2) / 2]])
    eigenvalues = np.sort_complex(np.linalg.eigvals(jacobian))
    root = np.sqrt(complex(s**4 - 4))
    expected = np.sort_complex(np.array([-(s**2) - root, -(s**2) + root]) / 4)
    error = max(largest(jacobian - closed), largest(eigenvalues - expected))
    record_property("error", error)
    assert error < 1e-8
    eta = 0.7
    multiplier = np.abs(1 + eta * eigenvalues) ** 2
    assert largest(multiplier - (1 - eta * s**2 / 2 + eta**2 / 4)) < 1e-8


@pytest.mark.statement("prop-adv-logistic")
@laws
@pytest.mark.parametrize("s", [0.3, 0.5, 0.7])
def test_the_step_decides_between_approach_and_escape(s, law):
    for share, closer in ((0.5, True), (1.8, False)):
        eta = share * 2 * s**2
        z = np.array([1e-3, 0.0])
        rate = 1 - eta * s**2 / 2 + eta**2 / 4
        n = int(np.ceil(np.log(100.0) / abs(np.log(rate))))
        for _ in range(n):
            z = z + eta * game_field(z, s, law)
        assert (np.linalg.norm(z) < 3e-4) == closer
        assert (np.linalg.norm(z) > 3e-3) == (not closer)


@pytest.mark.statement("prop-adv-logistic", control=True)
@pytest.mark.parametrize("eta", [0.01, 0.1, 0.5])
def test_point_masses_have_no_stable_step(eta):
    jacobian = jacobian_at_zero(lambda z: game_field(z, 0.0, "normal"))
    assert np.all(np.abs(1 + eta * np.linalg.eigvals(jacobian)) > 1 + eta**2 / 9)


# prop-adv-minimisation


def lrmf_loss(z, s):
    return np.log1p(((z[0] - z[1]) ** 2 + z[1] ** 2) / (2 * s**2))


def lrmf_gradient(z, s):
    inside = 2 * s**2 + (z[0] - z[1]) ** 2 + z[1] ** 2
    return np.array([2 * (z[0] - z[1]), 2 * (2 * z[1] - z[0])]) / inside


def smoothness(s):
    return (3 + np.sqrt(5)) / (2 * s**2)


@pytest.mark.statement("prop-adv-minimisation")
@pytest.mark.parametrize("backend", ["jax", "tfp"])
@pytest.mark.parametrize("s", [0.5, 1.3])
@seeds
def test_the_loss_of_the_text_is_that_of_the_library(seed, s, backend, record_property):
    rng = np.random.default_rng(seed)
    phi, mean = rng.normal(size=2)
    a = rng.normal(size=400)
    a = s * ((a - a.mean()) / a.std())[:, None]
    backend = lrmf.get_backend(backend)
    shift = {"matrix": np.eye(1), "shift": np.array([phi])}
    best = s**2 + ((phi - mean) ** 2 + mean**2) / 2
    shared = backend.density(
        lrmf.Gaussian(), gaussian.density_arrays([mean], [[best]]), dtype="float64"
    )
    value = lrmf.lrmf_loss(
        backend.flow(lrmf.Affine(), shift, dtype="float64"),
        shared,
        a,
        a,
        constant=float(gaussian.constant([[s**2]], [[s**2]])),
    )
    error = abs(float(value) - lrmf_loss((phi, mean), s))
    record_property("error", error)
    assert error < 1e-10
    least = optimize.minimize_scalar(lambda m: lrmf_loss((phi, m), s)).fun
    closed = gaussian.loss_1d(1.0, phi, mean_a=0.0, std_a=s, mean_b=0.0, std_b=s)
    assert least == pytest.approx(float(closed), abs=1e-10)


@pytest.mark.statement("prop-adv-minimisation")
@spreads
@seeds
def test_the_jacobian_is_symmetric_and_bounded(seed, s, record_property):
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(20):
        z = s * 2 * rng.normal(size=2)
        h = 1e-5 * s
        columns = [
            (lrmf_gradient(z + e, s) - lrmf_gradient(z - e, s)) / (2 * h) for e in h * np.eye(2)
        ]
        hessian = np.stack(columns, axis=1)
        errors.append((hessian - hessian.T)[0, 1] * s**2)
        assert largest(np.linalg.eigvals(-hessian).imag) < 1e-6 / s**2
        assert largest(np.linalg.eigvalsh((hessian + hessian.T) / 2)) <= smoothness(s) * (1 + 1e-6)
    record_property("error", largest(errors))
    assert largest(errors) < 1e-6


@pytest.mark.statement("prop-adv-minimisation")
@spreads
@seeds
def test_gradient_steps_descend_as_promised(seed, s):
    rng = np.random.default_rng(seed)
    beta = smoothness(s)
    for share in (0.2, 1.0, 1.9):
        eta = share / beta
        z = 3 * rng.normal(size=2)
        for _ in range(300):
            gradient = lrmf_gradient(z, s)
            after = z - eta * gradient
            promised = eta * (1 - eta * beta / 2) * gradient @ gradient
            assert lrmf_loss(after, s) <= lrmf_loss(z, s) - promised + 1e-12
            z = after
    start = np.array([1.0, 0.0])
    end = integrate.solve_ivp(lambda _, y: -lrmf_gradient(y, s), (0, 60 * s**2 + 20), start)
    losses = np.array([lrmf_loss(y, s) for y in end.y.T])
    assert np.all(np.diff(losses) < 1e-9)


@pytest.mark.statement("prop-adv-minimisation", control=True)
@pytest.mark.parametrize("s", [0.1, 0.3, 0.5])
def test_the_field_of_a_game_is_not_symmetric_and_does_not_descend(s):
    def field(z):
        return game_field(z, s, "normal")

    jacobian = jacobian_at_zero(field)
    assert jacobian[0, 1] - jacobian[1, 0] == pytest.approx(1.0, abs=1e-6)
    assert largest(np.linalg.eigvals(jacobian).imag) > 0.4
    # From (1, 0) the forger first stands still, and later is carried past the solution.
    path = integrate.solve_ivp(lambda _, y: field(y), (0, 15), [1.0, 0.0], max_step=0.05).y
    assert path[0].min() < -0.3
    # A step larger than 2/β is not safe for a minimisation either.
    eta, z = 2.3 / smoothness(s), 1e-3 * np.array([1.0, -1.618])
    after = z - eta * lrmf_gradient(z, s)
    assert lrmf_loss(after, s) > lrmf_loss(z, s)
