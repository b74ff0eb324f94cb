"""flowjax bijections and distributions in place of a spec."""

import jax
import jax.numpy as jnp
import numpy as np
import paramax
import pytest
from flowjax import bijections, distributions, flows
from model_cases import jacobians
from scipy import stats

import lrmf
from lrmf.backends.jax.densities import density as jax_density
from lrmf.backends.jax.foreign import adopt
from lrmf.fitting import FitConfig, fit
from lrmf.objectives import likelihood_ratio

BACKEND = lrmf.get_backend("jax")


def affine():
    return bijections.Affine(jnp.array([0.5, -1.0]), jnp.array([2.0, 0.5]))


def spline():
    return bijections.Vmap(
        bijections.RationalQuadraticSpline(knots=4, interval=3), in_axes=None, axis_size=2
    )


def coupling():
    return bijections.Coupling(
        jax.random.key(0),
        transformer=bijections.Affine(),
        untransformed_dim=1,
        dim=2,
        nn_width=8,
        nn_depth=1,
    )


def partly_frozen():
    frozen = paramax.non_trainable(bijections.Affine(jnp.ones(2), 3.0 * jnp.ones(2)))
    return bijections.Chain([affine(), frozen])


BIJECTIONS = {
    "affine": affine,
    "spline": spline,
    "coupling": coupling,
    "partly-frozen": partly_frozen,
}


def perturbed(model):
    flow = BACKEND.flow(model)
    rng = np.random.default_rng(0)
    return {name: x + 0.3 * rng.normal(size=x.shape) for name, x in flow.arrays.items()}


def points(n=10):
    return np.random.default_rng(1).normal(size=(n, 2))


def train(transform, density, steps=20):
    """Initial arrays and result of a short fit of flowjax objects or specs."""
    rng = np.random.default_rng(0)
    flow_role, flow_arrays = BACKEND.init(lrmf.Flow, transform, (2,), rng)
    density_role, density_arrays = BACKEND.init(lrmf.Density, density, (2,), rng)
    arrays = {"transform": flow_arrays, "density": density_arrays}
    result = fit(
        likelihood_ratio,
        (flow_role, density_role),
        arrays,
        {"source": points(40), "target": 0.5 * points(50) + 1.0},
        backend=BACKEND,
        config=FitConfig(steps=steps, learning_rate=0.02, chunk=10),
        seed=np.random.SeedSequence(0),
        progress=False,
    )
    return arrays, result


@pytest.mark.parametrize("make", BIJECTIONS.values(), ids=BIJECTIONS)
def test_a_flowjax_bijection_computes_as_it_does_in_flowjax(make):
    model, x = make(), points()
    y, log_det = BACKEND.flow(model).forward(x)
    compute = jax.jit(jax.vmap(paramax.unwrap(model).transform_and_log_det))
    expected, expected_log_det = compute(jnp.asarray(x, "float32"))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_det, expected_log_det, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", BIJECTIONS.values(), ids=BIJECTIONS)
def test_a_flowjax_bijection_is_a_flow_at_any_arrays(make):
    model, x = make(), points()
    flow = BACKEND.flow(model, perturbed(model), dtype="float64")
    y, log_det = flow.forward(x)
    back, inverse_log_det = flow.inverse(y)
    np.testing.assert_allclose(back, x, atol=1e-6)
    np.testing.assert_allclose(log_det + inverse_log_det, 0.0, atol=1e-6)
    jacobian = jacobians(lambda x: flow.forward(x)[0], x)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-6)
    assert np.abs(y - BACKEND.flow(model, dtype="float64").forward(x)[0]).max() > 0.01


def test_a_flowjax_bijection_as_a_density_is_the_law_of_its_image():
    density, x = BACKEND.density(affine(), dtype="float64"), points()
    expected = stats.norm([0.5, -1.0], [2.0, 0.5]).logpdf(x).sum(axis=1)
    np.testing.assert_allclose(density.log_prob(x), expected, rtol=1e-6)
    noise = np.random.default_rng(4).standard_normal((6, 2))
    np.testing.assert_allclose(
        density.sample(6, seed=4), noise * [2.0, 0.5] + [0.5, -1.0], rtol=1e-6
    )


def test_a_flowjax_distribution_is_a_density_with_its_own_sampler():
    density = BACKEND.density(distributions.Normal(jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0])))
    expected = stats.norm([1.0, -2.0], [0.5, 3.0]).logpdf(points()).sum(axis=1)
    np.testing.assert_allclose(density.log_prob(points()), expected, rtol=1e-5)
    samples = density.sample(4000, seed=1)
    assert samples.shape == (4000, 2)
    np.testing.assert_allclose(samples.mean(axis=0), [1.0, -2.0], atol=0.2)
    np.testing.assert_allclose(samples.std(axis=0), [0.5, 3.0], rtol=0.1)
    np.testing.assert_array_equal(density.sample(3, seed=1), density.sample(3, seed=1))
    assert (density.sample(3, seed=1) != density.sample(3, seed=2)).all()


def test_frozen_arrays_are_no_parameters():
    names = BACKEND.flow(partly_frozen()).arrays
    assert len(names) == len(BACKEND.flow(affine()).arrays) == 2


TRAINED = {
    "affine-gaussian": (affine, lrmf.Gaussian),
    "partly-frozen-normal": (partly_frozen, lambda: distributions.Normal(jnp.zeros(2))),
    "spline-coupling": (spline, coupling),
    "spec-autoregressive": (
        lambda: lrmf.RealNVP(blocks=2, hidden=(8,)),
        lambda: flows.masked_autoregressive_flow(
            jax.random.key(1),
            base_dist=distributions.StandardNormal((2,)),
            flow_layers=1,
            nn_width=8,
            nn_depth=1,
        ),
    ),
}


@pytest.mark.parametrize(("make_transform", "make_density"), TRAINED.values(), ids=TRAINED)
def test_flowjax_objects_learn_in_every_array(make_transform, make_density):
    initial, result = train(make_transform(), make_density())
    loss = result.history["loss"]
    assert loss[-1] < loss[0] - 0.1
    for role, named in initial.items():
        assert named
        for name, value in named.items():
            assert (result.arrays[role][name] != value).any(), f"{role}: {name}"


def test_an_aligner_takes_flowjax_objects():
    source, target = points(60), 0.5 * points(60) + 1.0
    model = lrmf.LRMF(
        transform=affine(),
        density=lrmf.Gaussian(),
        learning_rate=0.05,
        steps=600,
        progress=False,
    )
    moved = model.fit(Xs=source, Xt=target).transform(source)
    np.testing.assert_allclose(moved.mean(axis=0), target.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(moved.std(axis=0), target.std(axis=0), atol=0.05)
    np.testing.assert_allclose(model.inverse_transform(moved), source, atol=1e-4)


def test_conditional_objects_are_refused():
    conditional = bijections.Coupling(
        jax.random.key(0),
        transformer=bijections.Affine(),
        untransformed_dim=1,
        dim=2,
        cond_dim=3,
        nn_width=8,
        nn_depth=1,
    )
    message = r"Coupling is conditional \(cond_shape=\(3,\)\); pass an unconditional one"
    with pytest.raises(ValueError, match=message):
        BACKEND.flow(conditional)


def test_objects_without_parameters_are_refused():
    message = r"Permute has no trainable arrays.*or a spec such as lrmf\.Identity\(\)"
    with pytest.raises(ValueError, match=message):
        BACKEND.flow(bijections.Permute(jnp.array([1, 0])))
    with pytest.raises(ValueError, match="Affine has no trainable arrays"):
        BACKEND.flow(paramax.non_trainable(affine()))


def test_a_distribution_is_no_transform():
    message = r"flowjax bijections \(as density also flowjax distributions\), got StandardNormal"
    with pytest.raises(TypeError, match=message):
        BACKEND.flow(distributions.StandardNormal((2,)))


def test_an_object_for_other_events_is_refused():
    message = r"transform: Affine has event shape \(2,\), but the data have \(3,\)"
    with pytest.raises(ValueError, match=message):
        BACKEND.init(lrmf.Flow, affine(), (3,), np.random.default_rng(0))


def test_arrays_of_another_object_are_refused():
    with pytest.raises(ValueError, match=r"expected arrays \{.*\} for this Affine, got \{\}"):
        BACKEND.flow(affine(), {})


def test_a_tfp_object_is_refused():
    from tensorflow_probability import bijectors as tfb

    with pytest.raises(
        TypeError, match=r"the JAX backend takes lrmf specs and flowjax .*, got Exp"
    ):
        BACKEND.flow(tfb.Exp())


def test_a_distribution_is_not_pushed_from_noise():
    spec, arrays, _ = adopt(distributions.Normal(jnp.zeros(2)), lrmf.Density)
    with pytest.raises(NotImplementedError, match="samples by its own means: use sample_foreign"):
        jax_density(spec, arrays).push(np.zeros((3, 2)))
