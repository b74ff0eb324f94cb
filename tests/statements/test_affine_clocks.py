"""Checks of "How fast an affine map learns": what keeps time along the axes."""

import numpy as np
import pytest
from affine_cases import best_shared, follow
from flow_cases import largest
from gaussian_cases import datasets
from scipy import integrate

import lrmf
from lrmf.backends.base import Role
from lrmf.objectives import likelihood_ratio
from lrmf.theory import gaussian

SEEDS = range(3)
BACKENDS = ("jax", "tfp")
KINDS = ("full", "positive_definite")
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)
kinds = pytest.mark.parametrize("kind", KINDS)


# prop-affine-clocks


def aligned(d, seed):
    rng = np.random.default_rng([d, seed, 7])
    alpha, beta = np.exp(0.7 * rng.normal(size=(2, d)))
    m = {
        "mean_a": np.zeros(d),
        "cov_a": np.diag(alpha**2),
        "mean_b": np.zeros(d),
        "cov_b": np.diag(beta**2),
    }
    return m, beta / alpha, rng


def clock(kind, k, p):
    """What runs down at speed one along each axis (up to a constant)."""
    if kind == "diagonal":
        return np.log(np.abs(np.sinh(np.log(k / p))))
    if kind == "full":
        return 0.5 * k**2 + p**2 * np.log(np.abs(k**2 - p**2))
    return 0.25 * (k + p * np.log(np.abs((k - p) / (k + p))))


@pytest.mark.statement("prop-affine-clocks")
@kinds
@pytest.mark.parametrize(("d", "seed"), [(d, s) for d in (1, 2, 3) for s in SEEDS])
def test_the_axes_keep_time(d, seed, kind, record_property):
    m, p, rng = aligned(d, seed)
    k = p * np.exp(rng.choice([-1, 1], size=d) * rng.uniform(0.5, 2, size=d))
    until = 0.7
    start = np.diag(np.sqrt(k) if kind == "positive_definite" else k)
    path = follow(kind, start, np.zeros(d), m, until)
    error = 0.0
    for t, (matrix, _) in zip(np.linspace(0, until, len(path)), path, strict=True):
        now = matrix.T @ matrix if kind == "positive_definite" else matrix
        assert largest(now - np.diag(np.diag(now))) < 1e-9
        error = max(error, largest(clock(kind, np.diag(now), p) - clock(kind, k, p) + t))
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("prop-affine-clocks")
@backends
@pytest.mark.parametrize("kind", [*KINDS, "diagonal"])
@pytest.mark.parametrize(("d", "seed"), [(d, s) for d in (1, 2, 3) for s in SEEDS])
def test_the_gradients_of_the_flows_give_these_speeds(d, seed, kind, backend, record_property):
    m, p, rng = aligned(d, seed)
    k = p * np.exp(rng.normal(size=d))
    density = gaussian.density_arrays(*best_shared(np.diag(k), np.zeros(d), m))
    name = "log_scale" if kind == "diagonal" else "matrix"
    value = {"diagonal": np.log(k), "full": np.diag(k), "positive_definite": np.diag(np.sqrt(k))}
    roles = (
        Role("transform", lrmf.Flow, lrmf.Affine(kind=kind), (d,)),
        Role("density", lrmf.Density, lrmf.Gaussian(), (d,)),
    )
    arrays = {"transform": {name: value[kind], "shift": np.zeros(d)}, "density": density}
    source, target = datasets(m, seed)
    _, found = lrmf.get_backend(backend).loss_and_gradients(
        likelihood_ratio, roles, arrays, {"source": source, "target": target}, dtype="float64"
    )
    slope = found["transform"][name]
    if kind != "diagonal":
        slope = np.diag(slope)
    # The speed of u = log(k/p) when the parameter follows its gradient.
    factor = {"diagonal": 1.0, "full": 1 / k, "positive_definite": 2 / np.sqrt(k)}[kind]
    law = {"diagonal": 1.0, "full": 1 / k**2, "positive_definite": 4 / k}[kind]
    error = largest(slope * factor - law * np.tanh(np.log(k / p)))
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("prop-affine-clocks")
@seeds
def test_the_gap_keeps_time(seed, record_property):
    rng = np.random.default_rng(seed)
    beta, gap, until = np.exp(rng.normal()), 3 * rng.normal() + 1.0, 2.0
    m = {"mean_a": [0.0], "cov_a": [[1.0]], "mean_b": [0.0], "cov_b": [[beta**2]]}
    path = integrate.solve_ivp(
        lambda _, b: -gaussian.loss_gradient([[beta]], b, **m)[1],
        (0, until),
        [gap],
        rtol=1e-10,
        atol=1e-12,
    )

    def left(x):
        return 2 * beta**2 * np.log(abs(x)) + x**2 / 4

    error = abs(left(path.y[0, -1]) - left(gap) + until)
    record_property("error", error)
    assert error < 1e-6


@pytest.mark.statement("prop-affine-clocks", control=True)
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("gap", [1.0, 3.0])
def test_where_the_factor_is_learned_too_the_gap_keeps_another_time(gap, beta):
    m = {"mean_a": [0.0], "cov_a": [[1.0]], "mean_b": [0.0], "cov_b": [[beta**2]]}

    def speed(_, z):
        by_matrix, by_shift = gaussian.loss_gradient([[z[0]]], [z[1]], **m)
        return -np.append(by_matrix, by_shift)

    def left(x):
        return 2 * beta**2 * np.log(x) + x**2 / 4

    until = 0.8 * left(gap) - 0.8 * left(gap / 2)
    path = integrate.solve_ivp(speed, (0, until), [beta, gap], rtol=1e-10, atol=1e-12)
    assert abs(left(gap) - left(path.y[1, -1]) - until) > 0.01 * until


@pytest.mark.statement("prop-affine-clocks", control=True)
@kinds
@seeds
def test_axes_that_differ_keep_no_time(seed, kind):
    m, p, _ = aligned(2, seed)
    t = 0.6
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    m = {**m, "cov_b": turn @ np.diag([4.0, 0.25]) @ turn.T}
    k = 2 * p
    start = np.diag(np.sqrt(k) if kind == "positive_definite" else k)
    matrix, _ = follow(kind, start, np.zeros(2), m, 0.7)[-1]
    now = matrix.T @ matrix if kind == "positive_definite" else matrix
    assert largest(now - np.diag(np.diag(now))) > 1e-2
