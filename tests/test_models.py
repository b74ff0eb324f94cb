"""Flow and Density: what goes in and comes out, and what is refused."""

import re

import numpy as np
import pytest

import lrmf
from lrmf.backends import BACKENDS
from lrmf.backends.base import ROWS

DTYPES = ("float32", "float64")
AFFINE, GAUSSIAN = lrmf.Affine(), lrmf.Gaussian()

both_backends = pytest.mark.parametrize("backend", BACKENDS)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def perturbed(spec, d=2):
    rng = np.random.default_rng(0)
    arrays = spec.init((d,), rng)
    return {name: x + 0.3 * rng.normal(size=x.shape) for name, x in arrays.items()}


def flow(backend, dtype="float64", spec=AFFINE, d=2):
    return lrmf.get_backend(backend).flow(spec, perturbed(spec, d), dtype=dtype)


def density(backend, dtype="float64", spec=GAUSSIAN, d=2):
    return lrmf.get_backend(backend).density(spec, perturbed(spec, d), dtype=dtype)


def points(n=5, d=2):
    return np.random.default_rng(1).normal(size=(n, d))


def outputs(backend, dtype, x):
    transform, model = flow(backend, dtype), density(backend, dtype)
    return [*transform.forward(x), *transform.inverse(x), model.log_prob(x)]


@both_dtypes
@both_backends
@pytest.mark.parametrize(
    "x",
    [points(), points().astype(np.float32), np.array([[1, 2], [3, 4]]), [[1.0, 2.0], [3, 4]]],
    ids=["float64", "float32", "integers", "list"],
)
def test_numpy_in_numpy_out_in_the_models_dtype(x, backend, dtype):
    n = len(x)
    for value, shape in zip(
        outputs(backend, dtype, x), [(n, 2), (n,), (n, 2), (n,), (n,)], strict=True
    ):
        assert type(value) is np.ndarray
        assert value.dtype == dtype
        assert value.shape == shape
        value += 1.0  # a copy that may be written to, not a view of the backend's memory
    sample = density(backend, dtype).sample(4)
    assert type(sample) is np.ndarray
    assert sample.dtype == dtype
    assert sample.shape == (4, 2)


@both_backends
def test_no_rows_give_no_rows(backend):
    shapes = [value.shape for value in outputs(backend, "float32", np.zeros((0, 2)))]
    assert shapes == [(0, 2), (0,), (0, 2), (0,), (0,)]


@both_dtypes
@both_backends
def test_native_in_native_out(backend, dtype):
    engine = lrmf.get_backend(backend)
    with engine.scope(dtype):
        x = engine.asarray(points(), dtype)
    # Outside the scope: a model carries its precision with it.
    for value, reference in zip(
        outputs(backend, dtype, x), outputs(backend, dtype, points()), strict=True
    ):
        assert engine.is_native(value)
        assert value.dtype.name == dtype
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(value, reference, rtol=tolerance, atol=tolerance)


@both_backends
def test_dtypes_are_the_precision_of_the_computation(backend):
    spec = lrmf.RealNVP(blocks=2, hidden=(8,))
    x = points(200)
    errors = {}
    for dtype in DTYPES:
        transform = flow(backend, dtype, spec)
        errors[dtype] = np.abs(transform.inverse(transform.forward(x)[0])[0] - x).max()
    assert errors["float64"] < 1e-13
    assert 1e-9 < errors["float32"] < 1e-3


def test_float64_needs_no_global_flag_and_sets_none():
    import jax

    assert not jax.config.read("jax_enable_x64")
    assert flow("jax").forward(points())[0].dtype == np.float64
    assert not jax.config.read("jax_enable_x64")
    with jax.enable_x64(True):
        assert flow("jax", "float32").forward(points())[0].dtype == np.float32
        assert density("jax", "float32").sample(3).dtype == np.float32


def test_jax_transformations_go_through_models():
    import jax

    transform, model = flow("jax", "float32"), density("jax", "float32")
    x = jax.numpy.asarray(points(), "float32")
    y, log_det = jax.jit(transform.forward)(x)
    np.testing.assert_allclose(y, transform.forward(points())[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_det, transform.forward(points())[1], rtol=1e-5)
    gradient = jax.jit(jax.grad(lambda x: model.log_prob(x).sum()))(x)
    assert gradient.shape == (5, 2)
    assert np.abs(gradient).min() > 0


def test_tensorflow_functions_go_through_models():
    import tensorflow as tf

    transform, model = flow("tfp", "float32"), density("tfp", "float32")
    x = tf.Variable(points(), dtype="float32")
    y, log_det = tf.function(transform.forward, autograph=False)(x)
    np.testing.assert_allclose(y, transform.forward(points())[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_det, transform.forward(points())[1], rtol=1e-5)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model.log_prob(x))
    gradient = tape.gradient(total, x).numpy()
    assert gradient.shape == (5, 2)
    assert np.abs(gradient).min() > 0


@both_backends
def test_arrays_come_back_as_numpy(backend):
    arrays = perturbed(lrmf.Affine())
    found = flow(backend, "float64").arrays
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        assert type(found[name]) is np.ndarray
        np.testing.assert_array_equal(found[name], value)
    assert all(value.dtype == np.float32 for value in flow(backend, "float32").arrays.values())


@both_backends
def test_a_model_does_not_follow_later_changes_of_the_arrays_given(backend):
    arrays = perturbed(lrmf.Affine())
    transform = lrmf.get_backend(backend).flow(lrmf.Affine(), arrays, dtype="float64")
    before = transform.forward(points())[0]
    arrays["shift"] += 1.0
    np.testing.assert_array_equal(transform.forward(points())[0], before)


@both_backends
def test_repr_tells_what_it_is(backend):
    assert repr(flow(backend, "float32")) == (
        f"Flow(Affine(kind='full'), backend='{backend}', dtype='float32', event_shape=(2,))"
    )


@both_backends
@pytest.mark.parametrize("shape", [(), (2,), (5, 3), (5, 2, 1)])
def test_points_of_another_shape_are_refused(shape, backend):
    engine = lrmf.get_backend(backend)
    transform, model = flow(backend), density(backend)
    x = np.zeros(shape)
    with engine.scope("float64"):
        native = engine.asarray(x, "float64")
    message = re.escape(f" of shape (n, 2), got {shape}")
    for points in (x, native):
        with pytest.raises(ValueError, match=f"expected x{message}"):
            transform.forward(points)
        with pytest.raises(ValueError, match=f"expected y{message}"):
            transform.inverse(points)
        with pytest.raises(ValueError, match=f"expected x{message}"):
            model.log_prob(points)


@both_backends
def test_a_single_point_is_told_to_be_a_row(backend):
    with pytest.raises(ValueError, match=r"got \(2,\); a single point is x\[None\]$"):
        density(backend).log_prob(np.zeros(2))
    with pytest.raises(ValueError, match=r"got \(2,\); a single point is y\[None\]$"):
        flow(backend).inverse([0.0, 1.0])


@both_backends
def test_points_that_the_dtype_cannot_hold_are_refused(backend):
    with pytest.raises(ValueError, match="x holds values too large for float32; standardise the"):
        density(backend, "float32").log_prob([[1e39, 0.0]])
    with pytest.raises(ValueError, match="x is no array of points: its rows differ in length"):
        density(backend).log_prob([[1.0, 2.0], [3.0]])


@both_backends
def test_the_identity_takes_any_event_but_no_single_point(backend):
    identity = lrmf.get_backend(backend).flow(lrmf.Identity(), {})
    for shape in ((3, 1), (3, 4), (2, 3, 4)):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        y, log_det = identity.forward(x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(log_det, np.zeros(len(x)))
    with pytest.raises(ValueError, match=r"expected x of shape \(n, d\), got \(3,\)"):
        identity.forward(np.zeros(3))


@both_backends
@pytest.mark.parametrize(
    "x", [[["a", "b"]], [[1j, 0]], [[None, 1.0]]], ids=["text", "complex", "object"]
)
def test_anything_but_real_numbers_is_refused(x, backend):
    with pytest.raises(TypeError, match="x must hold real numbers, got dtype "):
        density(backend).log_prob(x)
    with pytest.raises(TypeError, match="y must hold real numbers, got dtype "):
        flow(backend).inverse(x)


@both_backends
def test_native_arrays_of_another_dtype_are_refused(backend):
    engine = lrmf.get_backend(backend)
    x = engine.asarray(points(), "float32")
    with pytest.raises(TypeError, match=r"x has dtype float32, .* computes in float64; cast x to"):
        flow(backend, "float64").forward(x)


@both_backends
def test_sampling_is_reproducible_and_depends_on_the_seed(backend):
    model = density(backend)
    np.testing.assert_array_equal(model.sample(5, seed=1), model.sample(5, seed=1))
    assert (model.sample(5, seed=1) != model.sample(5, seed=2)).all()
    np.testing.assert_array_equal(model.sample(5), model.sample(5, seed=0))


@both_backends
@pytest.mark.parametrize("n", [0, -1, 2.0, "3", True, None])
def test_sample_refuses_what_is_no_count(n, backend):
    with pytest.raises(ValueError, match=f"n must be a positive integer, got {n!r}"):
        density(backend).sample(n)


@both_backends
def test_a_density_of_any_event_shape_can_not_be_sampled(backend):
    model = lrmf.get_backend(backend).density(lrmf.Identity(), {})
    with pytest.raises(ValueError, match=r"Identity\(\) fits more than one event shape.*give one"):
        model.sample(3)


@both_backends
@pytest.mark.parametrize("dtype", ["float16", "int32", np.float32, None])
def test_other_dtypes_are_refused(dtype, backend):
    with pytest.raises(ValueError, match=r"dtype must be one of \('float32', 'float64'\), got"):
        flow(backend, dtype)


@both_backends
def test_a_spec_needs_arrays(backend):
    with pytest.raises(ValueError, match=r"Affine needs arrays; make them with spec\.init"):
        lrmf.get_backend(backend).flow(lrmf.Affine())


@both_backends
def test_arrays_that_do_not_fit_the_spec_are_refused(backend):
    arrays = perturbed(lrmf.Affine()) | {"matrix": np.eye(3)}
    with pytest.raises(ValueError, match=r"do not fit .*matrix: expected \(2, 2\), got \(3, 3\)"):
        lrmf.get_backend(backend).flow(lrmf.Affine(), arrays)
    with pytest.raises(TypeError, match=r"must be a mapping from names to arrays, .*, got int"):
        lrmf.get_backend(backend).flow(lrmf.Affine(), 3)


@both_backends
def test_a_density_spec_is_no_flow(backend):
    with pytest.raises(TypeError, match=r"Gaussian\(\) is a density, .*one of Affine\(\)"):
        lrmf.get_backend(backend).flow(lrmf.Gaussian(), perturbed(lrmf.Gaussian()))


@both_backends
def test_a_spec_class_is_no_spec(backend):
    with pytest.raises(TypeError, match=r"a spec such as Affine\(\), got the class itself"):
        lrmf.get_backend(backend).flow(lrmf.Affine, perturbed(lrmf.Affine()))


@both_backends
@pytest.mark.parametrize("model", ["RealNVP", None, 3])
def test_what_is_no_model_is_refused(model, backend):
    library = {"jax": "flowjax", "tfp": "TFP"}[backend]
    found = type(model).__name__
    for make in (lrmf.get_backend(backend).flow, lrmf.get_backend(backend).density):
        with pytest.raises(TypeError, match=rf"takes lrmf specs and {library} .*, got {found}"):
            make(model)


@both_backends
@pytest.mark.parametrize("base", [lrmf.specs.FlowSpec, lrmf.specs.DensitySpec])
def test_a_spec_that_a_backend_does_not_know_is_named(base, backend):
    class Swirl(base):
        def shapes(self, event_shape):
            return {}

        def init(self, event_shape, rng):
            return {}

        def event_shape(self, arrays):
            return None

    with pytest.raises(TypeError, match=r"backend has no \w+ for Swirl"):
        lrmf.get_backend(backend).density(Swirl(), {}).log_prob(points())


class TestManyRows:
    """Points go through in padded chunks, so that their number is no part of what is compiled."""

    @both_backends
    @pytest.mark.parametrize("n", [1, ROWS[0], ROWS[0] + 1, ROWS[1], ROWS[1] + 3, 2 * ROWS[1] + 1])
    def test_each_row_is_in_its_place(self, n, backend):
        x, model = points(n), flow(backend)
        matrix, shift = (model.arrays[name] for name in ("matrix", "shift"))
        y, log_det = model.forward(x)
        np.testing.assert_allclose(y, x @ matrix.T + shift, rtol=1e-12)
        np.testing.assert_allclose(log_det, np.full(n, np.linalg.slogdet(matrix)[1]), rtol=1e-12)

    def test_a_new_number_of_points_compiles_nothing(self):
        from lrmf.backends.jax import _compiled_call

        model = density("jax", spec=lrmf.RealNVP(blocks=1, hidden=(3,)))
        for n in ROWS:
            model.log_prob(points(n))
        compiled = _compiled_call._cache_size()
        for n in (0, 1, 7, 300, 5000):
            model.log_prob(points(n))
        assert _compiled_call._cache_size() == compiled

    def test_nor_does_a_fit_to_a_new_number_of_points(self):
        from lrmf.backends.jax.training import _chunk

        def fit(n):
            lrmf.BackToBackFlow(
                transform=lrmf.Affine(kind="diagonal"), steps=3, batch_size=16, progress=False
            ).fit(Xs=points(n), Xt=points(n + 1))

        fit(20)
        compiled = _chunk._cache_size()
        for n in (21, 40, 77):
            fit(n)
        assert _chunk._cache_size() == compiled

    def test_a_fit_compiles_its_steps_and_a_map_itself_and_nothing_else(self):
        import jax

        compiled = []

        def heard(event, _, **facts):
            if event.endswith("backend_compile_duration"):
                compiled.append(facts["fun_name"])

        jax.clear_caches()
        jax.monitoring.register_event_duration_secs_listener(heard)
        try:
            model = lrmf.LRMF(
                transform=lrmf.RealNVP(blocks=1, hidden=(3,)),
                density=lrmf.RealNVP(blocks=1, hidden=(5,)),
                steps=3,
                progress=False,
            ).fit(Xs=points(20), Xt=points(21))
            model.transform(points(22))
        finally:
            jax.monitoring.unregister_event_duration_listener(heard)
        assert compiled == ["jit(_chunk)", "jit(call)"]
