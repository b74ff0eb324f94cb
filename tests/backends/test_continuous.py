"""FFJORD: its solutions are SciPy's, its gradients diffrax's; solvers that give up say so."""

import dataclasses

import numpy as np
import pytest
from model_cases import BACKENDS, CASES, native, native_scope, tolerance
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from training_cases import data

import lrmf
from lrmf.backends.base import Role
from lrmf.fitting import FitConfig, fit
from lrmf.objectives import likelihood, likelihood_ratio
from lrmf.specs import SolverError
from lrmf.specs.continuous import probes

both_backends = pytest.mark.parametrize("backend", BACKENDS)

CASE = CASES["ffjord-2"]
#: Explicit steps can't follow this field: its rates reach a thousand.
STIFF = lrmf.FFJORD(blocks=1, hidden=(), max_steps=20)
STIFF_ARRAYS = {
    "block_0/layer_0/weight": -1000.0 * np.eye(2),
    "block_0/layer_0/bias": np.zeros(2),
    "block_0/layer_0/time": np.zeros(2),
}
GAVE_UP = (
    r"ODE solver of FFJORD gave up.*rtol=0\.0001, atol=0\.0001 and max_steps=20\. Raise max_steps "
    r"or the tolerances .*float64.*lower learning_rate"
)


def velocity(spec, arrays, block, t, z):
    """A block's field at one point, written a second time."""
    for layer in spec.layers(arrays, block)[:-1]:
        z = np.tanh(z @ layer["weight"] + layer["bias"] + t * layer["time"])
    last = spec.layers(arrays, block)[-1]
    return z @ last["weight"] + last["bias"] + t * last["time"]


def jacobian(function, z, h=1e-6):
    """By central differences."""
    columns = [(function(z + e) - function(z - e)) / (2 * h) for e in h * np.eye(len(z))]
    return np.stack(columns, axis=1)


def scipys(spec, arrays, x):
    """Where SciPy takes one point, and the log-determinant."""
    state = np.append(x, 0.0)
    for block in range(spec.blocks):

        def augmented(t, state, block=block):
            field = lambda z: velocity(spec, arrays, block, t, z)  # noqa: E731
            return np.append(field(state[:-1]), np.trace(jacobian(field, state[:-1])))

        solution = solve_ivp(augmented, (0, 1), state, method="DOP853", rtol=1e-11, atol=1e-11)
        state = solution.y[:, -1]
    return state[:-1], state[-1]


@pytest.fixture(scope="module")
def by_scipy():
    return [scipys(CASE.spec, CASE.arrays(), row) for row in CASE.points(4)]


@both_backends
def test_points_go_where_scipy_takes_them(by_scipy, backend):
    y, log_det = CASE.flow(backend).forward(CASE.points(4))
    atol = tolerance("ffjord-2", 0.0)
    np.testing.assert_allclose(y, [point for point, _ in by_scipy], atol=atol)
    np.testing.assert_allclose(log_det, [value for _, value in by_scipy], atol=atol)
    assert np.abs(log_det).max() > 0.1


@both_backends
@pytest.mark.parametrize("d", [1, 3])
def test_a_linear_field_is_the_matrix_exponential(d, backend):
    rng = np.random.default_rng(d)
    spec = lrmf.FFJORD(blocks=2, hidden=(), rtol=1e-8, atol=1e-8)
    arrays = {name: np.zeros(shape) for name, shape in spec.shapes((d,)).items()}
    matrices = rng.normal(size=(2, d, d))
    for block, matrix in enumerate(matrices):
        arrays[f"block_{block}/layer_0/weight"] = matrix.T
    flow, x = lrmf.get_backend(backend).flow(spec, arrays, "float64"), rng.normal(size=(5, d))
    y, log_det = flow.forward(x)
    expected = x @ (expm(matrices[1]) @ expm(matrices[0])).T
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(log_det, np.trace(matrices.sum(axis=0)), atol=1e-6)


def test_the_gradient_is_that_of_diffrax_through_all_its_steps():
    import diffrax
    import jax
    import jax.numpy as jnp

    from lrmf.backends.jax import continuous

    # Loose, so that the gradient of the steps differs from that of the equation.
    spec = dataclasses.replace(CASE.spec, blocks=1, rtol=1e-3, atol=1e-3)
    with native_scope("jax"):
        arrays = {name: native("jax", value) for name, value in CASE.arrays().items()}
        layers = spec.layers(arrays, 0)
        state = native("jax", CASE.points().T), jnp.zeros(16)
        field = continuous.Field(spec, False)

        def by_diffrax(state, layers):
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(field), diffrax.Tsit5(), 0.0, 1.0, spec.first_step, state, layers,
                stepsize_controller=diffrax.PIDController(
                    rtol=spec.rtol, atol=spec.atol, norm=continuous._norm
                ),
                max_steps=16,
            )  # fmt: skip
            return jax.tree.map(lambda x: x[0], solution.ys)

        def total(solver, state, layers):
            z, log_det = solver(state, layers)
            return jnp.sum(jnp.sin(z)) + jnp.sum(log_det**2)

        ours, reference = (
            jax.jit(jax.value_and_grad(lambda *x, f=f: total(f, *x), argnums=(0, 1)))(state, layers)
            for f in (lambda *x: continuous.solve(field, *x)[0], by_diffrax)
        )
    np.testing.assert_allclose(ours[0], reference[0], rtol=1e-12)
    for value, expected in zip(
        jax.tree.leaves(ours[1]), jax.tree.leaves(reference[1]), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_probes_are_signs_without_correlation_and_always_the_same(d):
    eps = probes(32, d)
    assert set(np.unique(eps)) <= {-1.0, 1.0}
    np.testing.assert_array_equal(eps.T @ eps, 32 * np.eye(d))
    np.testing.assert_array_equal(eps, probes(32, d))
    np.testing.assert_array_equal(eps[:9], probes(9, d))
    if d > 1:
        assert len({tuple(row) for row in eps * eps[:, :1]}) > 1
    assert probes(0, d).shape == (0, d)


def roles(spec, density):
    return (
        Role("transform", lrmf.Flow, spec, (2,)),
        Role("density", lrmf.Density, density, (2,)),
    )


def hutchinson(spec):
    return dataclasses.replace(spec, trace="hutchinson")


def test_probes_serve_training_alike_in_both_backends():
    arrays = {"density": CASE.arrays(3)}
    role, exact = (
        (Role("density", lrmf.Density, spec, (2,)),) for spec in (hutchinson(CASE.spec), CASE.spec)
    )
    jax, tfp, true = (
        lrmf.get_backend(backend).loss_and_gradients(
            likelihood, chosen, arrays, {"data": CASE.points()}, dtype="float64"
        )
        for backend, chosen in (("jax", role), ("tfp", role), ("jax", exact))
    )
    assert jax[0] == pytest.approx(tfp[0], abs=1e-5)
    assert abs(jax[0] - true[0]) > 1e-3
    for name, gradient in jax[1]["density"].items():
        np.testing.assert_allclose(gradient, tfp[1]["density"][name], atol=1e-4)


def test_a_probed_loss_is_that_of_its_probes():
    # TFP's is compared with it above.
    # One block of a linear field: each point's log-determinant is its probe's quadratic form.
    rng = np.random.default_rng(0)
    spec = lrmf.FFJORD(blocks=1, hidden=(), trace="hutchinson", rtol=1e-8, atol=1e-8)
    arrays = {name: np.zeros(shape) for name, shape in spec.shapes((3,)).items()}
    arrays["block_0/layer_0/weight"] = weight = rng.normal(size=(3, 3))
    x, eps = rng.normal(size=(5, 3)), probes(5, 3)
    role = (Role("density", lrmf.Density, spec, (3,)),)
    value, _ = lrmf.get_backend("jax").loss_and_gradients(
        likelihood, role, {"density": arrays}, {"data": x}, dtype="float64"
    )
    z = x @ expm(-weight)
    forms = -np.einsum("ni,ij,nj->n", eps, weight, eps)
    expected = np.mean(0.5 * np.sum(z**2, axis=1) - forms) + 1.5 * np.log(2 * np.pi)
    assert value == pytest.approx(expected, abs=1e-6)


@both_backends
def test_outside_of_training_everything_is_exact(backend):
    engine, arrays, x = lrmf.get_backend(backend), CASE.arrays(), CASE.points()
    flow, density = (
        make(hutchinson(CASE.spec), arrays, "float64") for make in (engine.flow, engine.density)
    )
    assert flow.spec == density.spec == CASE.spec
    np.testing.assert_array_equal(flow.forward(x)[1], CASE.flow(backend).forward(x)[1])
    role = Role("density", lrmf.Density, hutchinson(CASE.spec), (2,))
    trainer = engine.trainer(
        likelihood, (role,), {"density": arrays}, {"data": x}, gradient_clip=1.0, dtype="float64"
    )
    expected = -np.mean(CASE.density(backend).log_prob(x))
    assert trainer.evaluate({"data": x}) == pytest.approx(expected, rel=1e-9)


def test_a_certificate_after_training_with_probes_is_exact():
    points = data((2,), 60, 60)
    small = lrmf.FFJORD(blocks=1, hidden=(4,), trace="hutchinson")
    model = lrmf.LRMF(
        transform=lrmf.Affine(),
        density=small,
        steps=40,
        private_steps=40,
        refit_steps=40,
        learning_rate=0.02,
        standardize=False,  # so that the arrays alone make the densities below
        progress=False,
    ).fit(Xs=points["source"], Xt=points["target"])
    certificate = model.family_certificate(points["source"], points["target"])
    engine, exact = lrmf.get_backend("jax"), dataclasses.replace(small, trace="exact")
    assert model.get_params()["density"] == small
    for name in ("density_", "private_source_", "private_target_", "refitted_source_"):
        setattr(model, name, engine.density(exact, getattr(model, name).arrays))
    assert model.family_certificate(points["source"], points["target"]) == certificate
    assert np.isfinite(certificate.bound)


# Here TFP's solver has to give NaN under XLA; JAX's does under compilation, below.
@pytest.mark.slow
def test_training_stops_with_the_solvers_cure_and_the_last_good_arrays():
    spec = lrmf.FFJORD(blocks=1, hidden=(4,), max_steps=6)
    rng = np.random.default_rng(0)
    arrays = {
        "transform": spec.init((2,), rng),
        "density": lrmf.Gaussian().init((2,), rng),
    }
    result = fit(
        likelihood_ratio,
        roles(spec, lrmf.Gaussian()),
        arrays,
        data((2,)),
        backend=lrmf.get_backend("tfp"),
        config=FitConfig(steps=60, chunk=10, learning_rate=2.0, schedule="constant"),
        seed=np.random.SeedSequence(0),
        progress=False,
    )
    assert result.outcome == "diverged"
    assert "became non-finite (nan)" in result.status
    assert f"the arrays of step {result.steps}, the last good ones, were restored" in result.status
    assert "The ODE solver of FFJORD may have given up" in result.status
    assert "rtol=0.0001, atol=0.0001 and max_steps=6. Raise max_steps" in result.status
    assert result.status.endswith("lower learning_rate.")
    assert len(result.history["loss"]) == result.steps < 60
    assert all(np.isfinite(x).all() for named in result.arrays.values() for x in named.values())


@both_backends
def test_a_solver_that_gives_up_raises(backend):
    engine, x = lrmf.get_backend(backend), np.ones((3, 2))
    flow, density = (make(STIFF, STIFF_ARRAYS) for make in (engine.flow, engine.density))
    with pytest.raises(SolverError, match=GAVE_UP):
        flow.forward(x)
    with pytest.raises(SolverError, match=GAVE_UP):
        flow.inverse(x)
    with pytest.raises(SolverError, match=GAVE_UP):
        density.log_prob(x)
    with pytest.raises(SolverError, match=GAVE_UP):
        density.sample(3)
    with engine.scope("float32"), pytest.raises(SolverError, match=GAVE_UP):
        flow.forward(engine.asarray(x, "float32"))
    patient = engine.flow(dataclasses.replace(STIFF, max_steps=2000), STIFF_ARRAYS)
    np.testing.assert_allclose(patient.forward(x)[0], 0.0, atol=1e-3)


@both_backends
def test_nan_among_the_points_is_named(backend):
    x = CASE.points()
    x[[1, 4], 0] = np.nan
    with pytest.raises(SolverError, match=r"y holds 2 rows with NaN .*all points together"):
        CASE.flow(backend).inverse(x)


def test_a_solver_that_gives_up_under_compilation_gives_nan():
    import jax

    flow = lrmf.get_backend("jax").flow(STIFF, STIFF_ARRAYS)
    y, log_det = jax.jit(flow.forward)(jax.numpy.ones((3, 2)))
    assert np.isnan(y).all()
    assert np.isnan(log_det).all()


@both_backends
def test_evaluations_are_counted_and_bounded(backend):
    engine, x = lrmf.get_backend(backend), CASE.points()
    counts = []
    for error in (1e-4, 1e-7):
        spec = dataclasses.replace(CASE.spec, rtol=error, atol=error)
        flow = engine.flow(spec, CASE.arrays(), "float64")
        counts.append(flow.function_evaluations(x))
    # Six a step and one at the start of each of the two blocks.
    assert all((count - 2) % 6 == 0 for count in counts)
    assert counts[0] < counts[1]
    inverse = flow.function_evaluations(x, inverse=True)
    assert isinstance(inverse, int)
    assert inverse > 0
    stiff = engine.flow(dataclasses.replace(STIFF, max_steps=2000), STIFF_ARRAYS)
    assert 600 < stiff.function_evaluations(np.ones((1, 2))) < 6 * 2000


@both_backends
def test_only_flows_that_solve_equations_count_evaluations(backend):
    with pytest.raises(TypeError, match=r"Affine.* solves no differential equation.*FFJORD has"):
        CASES["full-2"].flow(backend).function_evaluations(np.ones((1, 2)))


@both_backends
def test_no_rows_give_no_rows_of_a_continuous_flow(backend):
    y, log_det = CASE.flow(backend).forward(np.zeros((0, 2)))
    assert y.shape == (0, 2)
    assert log_det.shape == (0,)


def test_the_tfp_trace_is_that_of_tfp():
    import tensorflow as tf
    from tensorflow_probability import bijectors as tfb

    from lrmf.backends.tfp import continuous

    rng = np.random.default_rng(0)
    weight, x = tf.constant(rng.normal(size=(3, 3))), tf.constant(rng.normal(size=(5, 3)))

    def field(time, state):
        return tf.sin(time * state @ weight)

    value, reference = (
        trace(field, x.shape, x.dtype)(tf.constant(0.7, tf.float64), (x, tf.zeros_like(x)))
        for trace in (continuous._exact_trace, tfb.ffjord.trace_jacobian_exact)
    )
    for part, expected in zip(value, reference, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)
