"""Checks of the statements of the chapter "FFJORD LRMF", each with a negative control."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import lrmf
from book.results.ffjord.experiments import GlorotStart
from lrmf.specs.continuous import probes

SEEDS = range(3)

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", ["jax", "tfp"])
dimensions = pytest.mark.parametrize("d", [1, 2, 3])

#: One for all checks of given sizes: a solver takes seconds to compile.
SPEC = lrmf.FFJORD(blocks=2, hidden=(6, 5), rtol=1e-7, atol=1e-7)


def random_arrays(spec, d, seed):
    """Arrays far from the start."""
    rng = np.random.default_rng([d, seed])
    arrays = spec.init((d,), rng)
    return {name: value + 0.3 * rng.normal(size=value.shape) for name, value in arrays.items()}


def field(spec, arrays, block, t, z):
    """v(z, t) of a block at points (n, d)."""
    *hidden, last = spec.layers(arrays, block)
    for layer in hidden:
        z = np.tanh(z @ layer["weight"] + layer["bias"] + t * layer["time"])
    return z @ last["weight"] + last["bias"] + t * last["time"]


def jacobians(spec, arrays, block, t, z, h=1e-6):
    """∂v/∂z at points (n, d), by central differences, shape (n, d, d)."""
    columns = [
        (field(spec, arrays, block, t, z + e) - field(spec, arrays, block, t, z - e)) / (2 * h)
        for e in h * np.eye(z.shape[1])
    ]
    return np.stack(columns, axis=-1)


def by_scipy(spec, arrays, x):
    """Image and log-determinant of points (n, d), block after block."""
    n, d = x.shape
    state = np.concatenate([x, np.zeros((n, 1))], axis=1)
    for block in range(spec.blocks):

        def slope(t, y, block=block):
            z = y.reshape(n, d + 1)[:, :d]
            trace = np.trace(jacobians(spec, arrays, block, t, z), axis1=1, axis2=2)
            return np.column_stack([field(spec, arrays, block, t, z), trace]).ravel()

        solution = solve_ivp(slope, (0, 1), state.ravel(), method="DOP853", rtol=1e-10, atol=1e-10)
        state = solution.y[:, -1].reshape(n, d + 1)
    return state[:, :d], state[:, d]


# def-ffjord


@pytest.mark.statement("def-ffjord")
@backends
@dimensions
@seeds
def test_the_library_solves_the_equations_of_the_definition(seed, d, backend, record_property):
    arrays = random_arrays(SPEC, d, seed)
    x = np.random.default_rng(seed).normal(size=(5, d))
    flow = lrmf.get_backend(backend).flow(SPEC, arrays, dtype="float64")
    (y, log_det), (image, trace) = flow.forward(x), by_scipy(SPEC, arrays, x)
    error = max(np.abs(y - image).max(), np.abs(log_det - trace).max())
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("def-ffjord", control=True)
@seeds
def test_a_field_without_its_time_is_another_flow(seed):
    arrays = random_arrays(SPEC, 2, seed)
    still = {
        name: np.zeros_like(value) if name.endswith("time") else value
        for name, value in arrays.items()
    }
    x = np.random.default_rng(seed).normal(size=(5, 2))
    flow = lrmf.get_backend("jax").flow(SPEC, arrays, dtype="float64")
    assert np.abs(flow.forward(x)[0] - by_scipy(SPEC, still, x)[0]).max() > 0.01


# prop-ffjord-stretch


def lipschitz_constant(spec, arrays, block):
    """An upper bound: the product of the layers' norms, as |tanh'| is at most one."""
    return np.prod([np.linalg.norm(f["weight"], 2) for f in spec.layers(arrays, block)])


@pytest.mark.statement("prop-ffjord-stretch")
@backends
@dimensions
@seeds
def test_distances_and_volumes_stay_within_the_bounds(seed, d, backend, record_property):
    arrays = random_arrays(SPEC, d, seed)
    total = sum(lipschitz_constant(SPEC, arrays, block) for block in range(2))
    rng = np.random.default_rng(seed)
    x, other = rng.normal(size=(2, 200, d))
    other[::2] = x[::2] + 1e-2 * other[::2]  # near ones, where stretching is largest
    flow = lrmf.get_backend(backend).flow(SPEC, arrays, dtype="float64")
    (y, log_det), (image, _) = flow.forward(x), flow.forward(other)
    stretch = np.abs(np.log(np.linalg.norm(y - image, axis=1) / np.linalg.norm(x - other, axis=1)))
    excess = max(stretch.max() - total, np.abs(log_det).max() - d * total)
    record_property("error", max(0.0, excess))
    assert excess < 0
    assert stretch.max() > 0.05


@pytest.mark.statement("prop-ffjord-stretch", control=True)
def test_a_field_that_grows_faster_than_linearly_reaches_infinity_before_the_end():
    # z' = z², so z(t) = z₀ / (1 - z₀ t): no path from z₀ > 1 lasts until time one.
    solution = solve_ivp(
        lambda t, z: z**2, (0, 1), [1.25], rtol=1e-8, events=lambda t, z: 1e6 - z[0]
    )
    assert solution.t_events[0].size or solution.status == -1
    assert solution.t[solution.y[0] < 1e6][-1] == pytest.approx(0.8, abs=1e-3)


# prop-ffjord-start


@pytest.mark.statement("prop-ffjord-start")
@backends
@dimensions
@seeds
def test_a_small_field_is_almost_the_identity(seed, d, backend, record_property):
    spec = lrmf.FFJORD()
    arrays = spec.init((d,), np.random.default_rng(seed))
    x = 2.0 * np.random.default_rng(seed).normal(size=(300, d))
    y, log_det = lrmf.get_backend(backend).flow(spec, arrays, dtype="float64").forward(x)
    speed, rate = 0.0, 0.0
    for block in range(spec.blocks):
        layers = spec.layers(arrays, block)
        speed += np.linalg.norm(layers[-1]["weight"], 2) * np.sqrt(spec.hidden[-1])
        rate += d * lipschitz_constant(spec, arrays, block)
    excess = max(np.linalg.norm(y - x, axis=1).max() - speed, np.abs(log_det).max() - rate)
    record_property("error", max(0.0, excess))
    assert excess < 0
    assert speed < 3e-3


def start_speeds(d, last, draws, seed, *, aligned=False):
    """Mean square of v(z, 0.5) at one point over draws of the last layer, and what is stated."""
    rng = np.random.default_rng([seed, d])
    spec = GlorotStart(blocks=1)
    arrays = spec.init((d,), rng)
    z = rng.normal(size=(1, d))
    *hidden, _ = spec.layers(arrays, 0)
    for layer in hidden:
        z = np.tanh(z @ layer["weight"] + layer["bias"] + 0.5 * layer["time"])
    h = np.abs(z[0]) if aligned else z[0]
    velocities = np.einsum("kij,i->kj", last(rng, (draws, len(h), d)), h)
    return np.mean(np.sum(velocities**2, axis=1)), d * 2.0 / (len(h) + d) * (h @ h)


def glorot(rng, shape):
    bound = np.sqrt(6.0 / (shape[1] + shape[2]))
    return rng.uniform(-bound, bound, size=shape)


@pytest.mark.statement("prop-ffjord-start")
@dimensions
@seeds
def test_a_glorot_start_has_the_stated_mean_square_speed(seed, d, record_property):
    measured, stated = start_speeds(d, glorot, 100_000, seed)
    error = abs(measured / stated - 1)
    record_property("error", error)
    assert error < 0.03


@pytest.mark.statement("prop-ffjord-start", control=True)
@seeds
def test_with_weights_that_are_not_independent_the_speed_is_another(seed):
    # One weight for all units, up to the signs of their outputs: nothing cancels.
    def shared(rng, shape):
        return np.broadcast_to(glorot(rng, shape)[:, :1, :1], shape)

    measured, stated = start_speeds(2, shared, 20_000, seed, aligned=True)
    assert measured / stated > 2


@pytest.mark.statement("prop-ffjord-start", control=True)
@seeds
def test_a_field_of_ordinary_size_moves_the_points(seed):
    spec = GlorotStart()
    arrays = spec.init((2,), np.random.default_rng(seed))
    x = np.random.default_rng(seed).normal(size=(300, 2))
    y, _ = lrmf.get_backend("jax").flow(spec, arrays).forward(x)
    assert np.linalg.norm(y - x, axis=1).mean() > 0.1


# prop-ffjord-probes


def quadratic_forms(seed, eps, batches):
    """Mean of ε_iᵀ F(x_i) ε_i over many minibatches, E tr F, and the mean's standard error."""
    rng = np.random.default_rng(seed)
    n, d = eps.shape
    spec = lrmf.FFJORD(blocks=1, hidden=(6, 5))
    arrays = random_arrays(spec, d, seed)
    x = rng.normal(size=(batches * n, d))
    F = jacobians(spec, arrays, 0, 0.5, x).reshape(batches, n, d, d)
    forms = np.einsum("ni,bnij,nj->bn", eps, F, eps)
    traces = np.trace(F, axis1=2, axis2=3)
    # The traces of the same points as control variates: their noise is not the probes'.
    difference = forms.mean(axis=1) - traces.mean(axis=1)
    C = eps.T @ eps / n - np.eye(d)
    return difference.mean(), difference.std() / np.sqrt(batches), np.sum(C * F.mean(axis=(0, 1)))


@pytest.mark.statement("prop-ffjord-probes")
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_balanced_probes_that_stay_the_same_are_unbiased(seed, d, record_property):
    mean, stderr, _ = quadratic_forms(seed, probes(64, d), 4000)
    record_property("error", abs(mean))
    assert abs(mean) < 4.5 * stderr
    assert stderr < 5e-3


@pytest.mark.statement("prop-ffjord-probes")
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_other_probes_are_off_by_what_their_correlation_says(seed, d, record_property):
    eps = np.random.default_rng(seed).choice([-1.0, 1.0], size=(16, d))
    mean, stderr, stated = quadratic_forms(seed, eps, 4000)
    record_property("error", abs(mean - stated))
    assert abs(mean - stated) < 4.5 * stderr + 1e-3


@pytest.mark.statement("prop-ffjord-probes", control=True)
def test_independent_signs_that_stay_the_same_are_biased():
    biases = []
    for seed in range(6):
        eps = np.random.default_rng(seed).choice([-1.0, 1.0], size=(16, 3))
        mean, stderr, _ = quadratic_forms(seed, eps, 2000)
        biases.append(abs(mean) / stderr)
    assert np.median(biases) > 5.0


@pytest.mark.statement("prop-ffjord-probes", control=True)
def test_probes_that_know_their_points_are_biased():
    # A whole data set in every step: a field can learn which point has which probe.
    rng = np.random.default_rng(0)
    x, eps = rng.normal(size=(64, 2)), probes(64, 2)
    x[:, 0] = np.abs(x[:, 0]) * np.sign(eps[:, 0] * eps[:, 1])
    # v = (0, x₁²): the trace is zero, the form 2 x₁ ε₁ε₂ is not.
    forms = 2 * x[:, 0] * eps[:, 0] * eps[:, 1]
    assert forms.mean() > 1.0


# prop-ffjord-stiff


def tsit5_growth(q):
    """R(q): what a step of Tsit5 multiplies z by, for ż = λz and q = λ times its size."""
    import diffrax

    tableau = diffrax.Tsit5.tableau
    slopes = [np.ones_like(q)]
    for row in tableau.a_lower:
        slopes.append(1.0 + q * sum(w * k for w, k in zip(row, slopes, strict=True)))
    return 1.0 + q * sum(w * k for w, k in zip(tableau.b_sol, slopes, strict=True))


def stability_limit():
    """q: steps of Tsit5 amplify ż = -λz for all larger h λ."""
    sizes = np.linspace(0, 100, 1_000_001)
    return sizes[np.flatnonzero(np.abs(tsit5_growth(-sizes)) <= 1.0)[-1]]


def linear(rate, max_steps=20_000):
    spec = lrmf.FFJORD(blocks=1, hidden=(), max_steps=max_steps)
    arrays = {name: np.zeros(shape) for name, shape in spec.shapes((1,)).items()}
    arrays["block_0/layer_0/weight"][:] = -rate
    return spec, arrays


@pytest.mark.statement("prop-ffjord-stiff")
def test_a_step_multiplies_by_a_polynomial_of_degree_at_most_its_stages(record_property):
    sizes = np.linspace(-1, 1, 200)
    # Seven stages, and the last serves the error only: degree six.
    fit = np.polynomial.Polynomial.fit(sizes, tsit5_growth(sizes), 7)
    error = np.abs(fit(sizes) - tsit5_growth(sizes)).max()
    record_property("error", error)
    assert error < 1e-12
    exponential = fit.convert().coef[:6] * [1, 1, 2, 6, 24, 120]
    np.testing.assert_allclose(exponential, 1.0, atol=1e-8)  # order five
    assert 2.0 < stability_limit() < 5.0


@pytest.mark.statement("prop-ffjord-stiff")
@pytest.mark.parametrize("rate", [200.0, 1000.0])
def test_the_solver_needs_as_many_steps_as_the_bound_says(rate, record_property):
    spec, arrays = linear(rate)
    flow = lrmf.get_backend("jax").flow(spec, arrays, dtype="float64")
    steps = (flow.function_evaluations(np.ones((1, 1))) - 1) / 6
    bound = rate / stability_limit()
    record_property("error", max(0.0, 0.9 * bound - steps))
    assert steps > 0.9 * bound


@pytest.mark.statement("prop-ffjord-stiff")
@backends
def test_fewer_steps_are_an_error_that_names_the_cure(backend, record_property):
    spec, arrays = linear(1000.0, max_steps=100)
    flow = lrmf.get_backend(backend).flow(spec, arrays)
    with pytest.raises(lrmf.specs.SolverError, match=r"max_steps=100\. Raise max_steps"):
        flow.forward(np.ones((1, 1)))
    record_property("error", 0.0)


@pytest.mark.statement("prop-ffjord-stiff", control=True)
def test_an_implicit_rule_takes_large_steps_on_the_same_field():
    growth = 1.0 / (1.0 + np.linspace(0, 1e6, 1001))  # implicit Euler
    assert (np.abs(growth) <= 1).all()
    solution = solve_ivp(lambda t, z: -1e5 * z, (0, 1), [1.0], method="BDF", rtol=1e-4, atol=1e-4)
    assert solution.nfev < 300 < 1e5 / stability_limit()


@pytest.mark.statement("prop-ffjord-stiff", control=True)
def test_a_field_of_moderate_rates_needs_few_steps():
    spec, arrays = linear(1.0)
    flow = lrmf.get_backend("jax").flow(dataclasses.replace(spec, max_steps=10), arrays)
    assert flow.function_evaluations(np.ones((1, 1))) < 60
