"""TFP bijectors and distributions in place of a spec."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from model_cases import jacobians
from scipy import stats
from tensorflow_probability import bijectors as tfb, distributions as tfd

import lrmf
from lrmf.fitting import FitConfig, fit
from lrmf.objectives import likelihood_ratio

BACKEND = lrmf.get_backend("tfp")


def affine(dtype="float32"):
    shift = tf.Variable([0.5, -1.0], dtype=dtype, name="shift")
    log_scale = tf.Variable(np.log([2.0, 0.5]), dtype=dtype, name="log_scale")
    return tfb.Shift(shift)(tfb.Scale(log_scale=log_scale))


def autoregressive(dtype="float32"):
    tf.random.set_seed(0)  # for the network's initial weights
    network = tfb.AutoregressiveNetwork(
        params=2, event_shape=[2], hidden_units=[8], activation="tanh", dtype=dtype
    )
    bijector = tfb.MaskedAutoregressiveFlow(network)
    bijector.forward(tf.zeros((1, 2), dtype))  # builds the network's variables
    return bijector


def normal(dtype="float32"):
    mean = tf.Variable([1.0, -2.0], dtype=dtype)
    return tfd.MultivariateNormalDiag(mean, tf.Variable([0.5, 3.0], dtype=dtype))


def points(n=10):
    return np.random.default_rng(1).normal(size=(n, 2))


def values(model):
    return [variable.numpy() for variable in getattr(model, "trainable_variables", [])]


@contextlib.contextmanager
def untouched(*models):
    """Whatever happens inside, the objects' own variables keep their values."""
    before = [values(model) for model in models]
    yield
    for model, kept in zip(models, before, strict=True):
        for value, now in zip(kept, values(model), strict=True):
            np.testing.assert_array_equal(now, value)


def perturbed(model):
    rng = np.random.default_rng(0)
    arrays = BACKEND.flow(model).arrays
    return {name: x + 0.3 * rng.normal(size=x.shape).astype(x.dtype) for name, x in arrays.items()}


def problem(transform, density):
    rng = np.random.default_rng(0)
    flow_role, flow_arrays = BACKEND.init(lrmf.Flow, transform, (2,), rng)
    density_role, density_arrays = BACKEND.init(lrmf.Density, density, (2,), rng)
    arrays = {"transform": flow_arrays, "density": density_arrays}
    data = {"source": points(40), "target": 0.5 * points(50) + 1.0}
    return (flow_role, density_role), arrays, data


def test_a_bijector_computes_as_it_does_in_tfp():
    for model in (affine(), autoregressive()):
        x = points().astype(np.float32)
        y, log_det = BACKEND.flow(model).forward(points())
        np.testing.assert_allclose(y, model.forward(x), rtol=1e-6)
        expected = np.broadcast_to(model.forward_log_det_jacobian(x, event_ndims=1), 10)
        np.testing.assert_allclose(log_det, expected, rtol=1e-6)


def test_a_bijector_is_a_flow_at_any_arrays():
    model, x = affine("float64"), points()
    with untouched(model):
        flow = BACKEND.flow(model, perturbed(model), dtype="float64")
        y, log_det = flow.forward(x)
        back, inverse_log_det = flow.inverse(y)
        np.testing.assert_allclose(back, x, atol=1e-12)
        np.testing.assert_allclose(log_det + inverse_log_det, 0.0, atol=1e-12)
        jacobian = jacobians(lambda x: flow.forward(x)[0], x)
        np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-12)
        assert np.abs(y - BACKEND.flow(model, dtype="float64").forward(x)[0]).max() > 0.1


def test_native_calls_leave_the_bijectors_variables_alone():
    model = affine()
    flow, own = BACKEND.flow(model, perturbed(model)), BACKEND.flow(model)
    x = tf.constant(points(), tf.float32)
    with untouched(model):
        y, _ = flow.forward(x)
        tf.function(flow.forward, autograph=False)(x)
        BACKEND.density(model, perturbed(model)).log_prob(x)
    assert np.abs(y - own.forward(x)[0]).max() > 0.1


def test_no_answer_comes_from_the_bijectors_cache():
    """TFP remembers which tensor y came from x, and not with which values of its variables."""
    model = affine()
    x = tf.constant(points(), tf.float32)
    y, _ = BACKEND.flow(model).forward(x)
    other = BACKEND.flow(model, perturbed(model))
    np.testing.assert_allclose(other.inverse(y)[0], other.inverse(y.numpy())[0], rtol=1e-6)
    assert np.abs(other.inverse(y)[0] - x).max() > 0.1


def test_a_bijector_as_a_density_is_the_law_of_its_image():
    model = affine()
    role, arrays = BACKEND.init(lrmf.Density, model, (2,), np.random.default_rng(0))
    density = BACKEND.model(role, arrays, "float32")
    expected = stats.norm([0.5, -1.0], [2.0, 0.5]).logpdf(points()).sum(axis=1)
    np.testing.assert_allclose(density.log_prob(points()), expected, rtol=1e-5)
    noise = np.random.default_rng(4).standard_normal((6, 2))
    with untouched(model):
        np.testing.assert_allclose(
            density.sample(6, seed=4), noise * [2.0, 0.5] + [0.5, -1.0], rtol=1e-5
        )


def test_a_distribution_is_a_density_with_its_own_sampler():
    model = normal()
    density = BACKEND.density(model)
    assert density.event_shape == (2,)
    expected = stats.norm([1.0, -2.0], [0.5, 3.0]).logpdf(points()).sum(axis=1)
    np.testing.assert_allclose(density.log_prob(points()), expected, rtol=1e-5)
    arrays = {name: x + 1.0 for name, x in density.arrays.items()}
    with untouched(model):
        samples = BACKEND.density(model, arrays).sample(4000, seed=1)
    assert samples.shape == (4000, 2)
    np.testing.assert_allclose(samples.mean(axis=0), [2.0, -1.0], atol=0.25)
    np.testing.assert_allclose(samples.std(axis=0), [1.5, 4.0], rtol=0.1)
    np.testing.assert_array_equal(density.sample(3, seed=1), density.sample(3, seed=1))
    assert (density.sample(3, seed=1) != density.sample(3, seed=2)).all()


TRAINED = {
    "affine-autoregressive": (affine, autoregressive),
    "spec-distribution": (lambda dtype: lrmf.Affine(), normal),
}


@pytest.mark.parametrize(("make_transform", "make_density"), TRAINED.values(), ids=TRAINED)
def test_gradients_reach_every_variable_and_are_slopes(make_transform, make_density):
    transform, density = make_transform("float64"), make_density("float64")
    roles, arrays, batch = problem(transform, density)

    def loss(arrays):
        return BACKEND.loss_and_gradients(likelihood_ratio, roles, arrays, batch, dtype="float64")

    with untouched(transform, density):
        _, gradients = loss(arrays)
        for role, named in arrays.items():
            assert gradients[role].keys() == named.keys()
            for name, gradient in gradients[role].items():
                assert gradient.shape == named[name].shape
                assert (gradient != 0.0).any(), f"{role}: {name}"
        squared = sum(np.sum(g**2) for named in gradients.values() for g in named.values())
        # Not smaller: TFP's network computes in float32 inside, whatever its dtype.
        step = 1e-3 / np.sqrt(squared)
        ahead, behind = (
            loss(
                {
                    role: {name: x + signed * gradients[role][name] for name, x in named.items()}
                    for role, named in arrays.items()
                }
            )[0]
            for signed in (step, -step)
        )
    assert (ahead - behind) / (2 * step) == pytest.approx(squared, rel=1e-3)


@pytest.mark.parametrize(("make_transform", "make_density"), TRAINED.values(), ids=TRAINED)
def test_tfp_objects_learn_and_stay_as_they_were(make_transform, make_density):
    transform, density = make_transform("float32"), make_density("float32")
    roles, arrays, data = problem(transform, density)
    with untouched(transform, density):
        result = fit(
            likelihood_ratio,
            roles,
            arrays,
            data,
            backend=BACKEND,
            config=FitConfig(steps=20, learning_rate=0.02, chunk=10),
            seed=np.random.SeedSequence(0),
            validation={name: x[:7] for name, x in data.items()},
            progress=False,
        )
    loss = result.history["loss"]
    assert loss[-1] < loss[0] - 0.1
    assert np.isfinite(result.history["validation_loss"]).all()
    for role, named in arrays.items():
        assert named
        for name, value in named.items():
            assert (result.arrays[role][name] != value).any(), f"{role}: {name}"


@pytest.mark.filterwarnings("ignore:`tf.layers.dense` is deprecated:UserWarning")
def test_objects_that_hold_no_variables_are_refused():
    template = tfb.real_nvp_default_template(hidden_layers=[8])
    nvp = tfb.RealNVP(num_masked=1, shift_and_log_scale_fn=template)
    nvp.forward(tf.zeros((1, 2)))
    message = r"RealNVP has no trainable variables: TFP loses .*Hold tf\.Variables"
    with pytest.raises(ValueError, match=message):
        BACKEND.flow(nvp)
    with pytest.raises(ValueError, match="MultivariateNormalDiag has no trainable variables"):
        BACKEND.density(tfd.MultivariateNormalDiag([0.0, 0.0]))


def test_variables_of_another_dtype_are_refused():
    message = r"computes with float32 variables, but float64 was asked for; set dtype='float32'"
    with pytest.raises(ValueError, match=message):
        BACKEND.flow(affine(), dtype="float64").forward(points())
    with pytest.raises(ValueError, match=message):
        BACKEND.density(normal(), dtype="float64").sample(3)


def test_roles_that_share_variables_are_refused():
    shared = affine()
    roles, arrays, batch = problem(shared, shared)
    message = "transform and density share variables, .* variables of its own for each"
    with pytest.raises(ValueError, match=message):
        BACKEND.loss_and_gradients(likelihood_ratio, roles, arrays, batch, dtype="float32")


def test_a_distribution_is_no_transform():
    message = r"TFP bijectors \(as density also TFP distributions\), got MultivariateNormalDiag"
    with pytest.raises(TypeError, match=message):
        BACKEND.flow(normal())


def test_a_distribution_for_other_events_is_refused():
    message = r"density: MultivariateNormalDiag has event shape \(2,\), but the data have \(3,\)"
    with pytest.raises(ValueError, match=message):
        BACKEND.init(lrmf.Density, normal(), (3,), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("variable", "event_shape"),
    [
        (np.zeros(2), (3,)),  # refused by TensorFlow
        (np.zeros(2), (1,)),  # broadcasts one feature to two
        (np.zeros((2, 1)), (2,)),  # would shift each of two points by its own
    ],
)
def test_a_bijector_for_other_events_is_refused(variable, event_shape):
    bijector = tfb.Shift(tf.Variable(variable, dtype=tf.float32))
    with pytest.raises(
        ValueError, match=rf"Shift does not map events of shape \({event_shape[0]},"
    ):
        BACKEND.init(lrmf.Flow, bijector, event_shape, np.random.default_rng(0))


def test_arrays_of_another_object_are_refused():
    with pytest.raises(ValueError, match=r"expected arrays \{.*\} for this _?Chain, got \{\}"):
        BACKEND.flow(affine(), {})
