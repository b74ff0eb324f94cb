"""Couplings, autoregressive and planar blocks against other libraries; images; directions."""

import importlib

import numpy as np
import pytest
from model_cases import BACKENDS, CASES, native, native_scope
from scipy import ndimage, special, stats

import lrmf
from lrmf.specs import Autoregressive, Convolutional, Dense, Spline

both_backends = pytest.mark.parametrize("backend", BACKENDS)

SPLINE = Spline(bins=5, bound=2.0)


def spline(backend, parameters, x, *, inverse=False):
    """Value and log-slope of `SPLINE` by a backend's own function; arrays of the backend."""
    if backend == "jax":
        from lrmf.backends.jax.transformers import apply

        return apply(SPLINE, parameters, x, inverse=inverse)
    from lrmf.backends.tfp.transformers import scalar_bijector

    scalar = scalar_bijector(SPLINE, parameters)
    if inverse:
        return scalar.inverse(x), scalar.inverse_log_det_jacobian(x)
    return scalar.forward(x), scalar.forward_log_det_jacobian(x)


@both_backends
def test_splines_are_flowjaxs(backend):
    import equinox
    import jax
    import paramax
    from flowjax.bijections import RationalQuadraticSpline

    parameters = np.random.default_rng(0).normal(size=SPLINE.parameters)
    x = np.linspace(-3.0, 3.0, 41)
    bins, bound, least = SPLINE.bins, SPLINE.bound, SPLINE.minimum
    sizes = [
        least + (1 - bins * least) * special.softmax(raw)
        for raw in (parameters[:bins], parameters[bins : 2 * bins])
    ]
    knots = [bound * (2 * np.append(0.0, np.cumsum(size)) - 1) for size in sizes]
    raw_slopes = parameters[2 * bins :] + np.log(np.expm1(1 - least))
    slopes = np.concatenate(([1.0], least + np.logaddexp(raw_slopes, 0.0), [1.0]))
    with native_scope("jax"):
        theirs = equinox.tree_at(
            lambda spline: (spline.x_pos, spline.y_pos, spline.derivatives),
            paramax.unwrap(RationalQuadraticSpline(knots=bins, interval=bound)),
            tuple(map(jax.numpy.asarray, (*knots, slopes))),
        )
        expected = jax.vmap(theirs.transform_and_log_det)(x)
        back = jax.vmap(theirs.inverse_and_log_det)(x)
    with native_scope(backend):
        repeated = native(backend, np.repeat(parameters[:, np.newaxis], len(x), axis=1))
        for inverse, reference in ((False, expected), (True, back)):
            found = spline(backend, repeated, native(backend, x), inverse=inverse)
            for ours, value in zip(found, reference, strict=True):
                np.testing.assert_allclose(ours, value, atol=1e-10)


@both_backends
def test_splines_stay_finite_and_increase_whatever_a_network_says(backend):
    x = np.tile(np.linspace(-2.5, 2.5, 301, dtype=np.float32), (20, 1))
    parameters = np.random.default_rng(1).normal(size=(SPLINE.parameters, 20, 1)) * 40.0
    parameters = np.broadcast_to(parameters, (SPLINE.parameters, *x.shape)).astype(np.float32)
    parameters, points = native(backend, parameters), native(backend, x)
    if backend == "jax":
        import jax

        pull = jax.vjp(lambda p: sum(part.sum() for part in spline(backend, p, points)), parameters)
        gradient = pull[1](np.float32(1.0))[0]
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(parameters)
            total = sum(tf.reduce_sum(part) for part in spline(backend, parameters, points))
        gradient = tape.gradient(total, parameters)
    assert np.isfinite(np.asarray(gradient)).all()
    for inverse in (False, True):
        y, log_slope = map(np.asarray, spline(backend, parameters, points, inverse=inverse))
        assert np.isfinite(log_slope).all()
        assert (np.diff(y, axis=1) > -1e-5).all()
        outside = np.abs(x) > SPLINE.bound + 1e-3  # in TFP, the sum of the bins is the end
        np.testing.assert_array_equal(y[outside], x[outside])
        assert not log_slope[outside].any()


@both_backends
def test_a_planar_block_is_flowjaxs(backend):
    import equinox
    import jax
    from flowjax.bijections import Planar

    case = CASES["planar-2"]
    spec, arrays = lrmf.Planar(blocks=1), case.arrays()
    arrays = {name: value for name, value in arrays.items() if name.startswith("block_0/")}
    weight, direction, bias = (arrays[f"block_0/{n}"] for n in ("weight", "direction", "bias"))
    product = weight @ direction
    fold = np.logaddexp(product + np.log(np.e - 1.0), 0.0) - 1.0
    # Their constraint is another one: the vector that it turns into ours.
    theirs = np.log(np.expm1(np.expm1(fold + 1.0)))
    direction = direction + (theirs - product) * weight / (weight @ weight)
    x = case.points()
    with native_scope("jax"):
        block = equinox.tree_at(
            lambda planar: planar.params,
            Planar(jax.random.key(0), dim=2),
            jax.numpy.asarray(np.concatenate((weight, direction, [bias]))),
        )
        y, log_det = jax.vmap(block.transform_and_log_det)(x)
    found, found_log_det = lrmf.get_backend(backend).flow(spec, arrays, "float64").forward(x)
    np.testing.assert_allclose(found, y, atol=1e-12)
    np.testing.assert_allclose(found_log_det, log_det, atol=1e-12)


@pytest.mark.parametrize("fold", [-0.999, 5.0])
@both_backends
def test_a_planar_block_is_inverted_where_it_is_steep_or_almost_flat(backend, fold):
    weight = np.array([30.0, 0.0])
    raw = np.log(np.expm1(fold + 1.0)) - np.log(np.e - 1.0)
    arrays = {"weight": weight, "direction": weight * raw / (weight @ weight), "bias": np.zeros(())}
    named = {f"block_0/{name}": value for name, value in arrays.items()}
    flow = lrmf.get_backend(backend).flow(lrmf.Planar(blocks=1), named, "float64")
    x = np.random.default_rng(0).normal(size=(200, 2)) * [1.0, 3.0]
    np.testing.assert_allclose(flow.inverse(flow.forward(x)[0])[0], x, atol=1e-9)


@pytest.mark.parametrize("reverse", [False, True])
def test_an_autoregressive_block_is_tfps_with_a_tfp_network(reverse):
    import tensorflow as tf
    from tensorflow_probability import bijectors as tfb

    spec = Autoregressive(conditioner=Dense(hidden=(7, 6)), reverse=reverse)
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape) for name, shape in spec.shapes((4,)).items()}
    network = tfb.AutoregressiveNetwork(
        params=2,
        event_shape=4,
        hidden_units=[7, 6],
        activation="relu",
        input_order="right-to-left" if reverse else "left-to-right",
    )
    network.build((None, 4))
    weights = []
    for layer, mask in enumerate(network._masks):
        weight, bias = arrays[f"layer_{layer}/weight"], arrays[f"layer_{layer}/bias"]
        if layer == 2:  # theirs has a feature's parameters side by side
            weight = weight.reshape(-1, 2, 4).swapaxes(1, 2).reshape(weight.shape)
            bias = bias.reshape(2, 4).T.ravel()
        weights += [weight * mask, bias]
    network.set_weights(weights)

    def shift_and_log_scale(y):
        shift, raw = tf.unstack(network(y), axis=-1)
        return shift, 2.0 * tf.tanh(raw / 2.0)

    theirs = tfb.MaskedAutoregressiveFlow(shift_and_log_scale)
    x = rng.normal(size=(10, 4)).astype(np.float32)  # the type of their network
    flow = lrmf.get_backend("jax").flow(spec, arrays, dtype="float64")
    error = {"rtol": 1e-3, "atol": 1e-5}
    y, log_det = flow.forward(x)
    np.testing.assert_allclose(y, theirs.forward(x), **error)
    np.testing.assert_allclose(log_det, theirs.forward_log_det_jacobian(x, 1), **error)
    z, log_det = flow.inverse(x)
    np.testing.assert_allclose(z, theirs.inverse(x), **error)
    np.testing.assert_allclose(log_det, theirs.inverse_log_det_jacobian(x, 1), **error)


@pytest.mark.parametrize(("name", "fast", "slow"), [("maf-3", 1, 0), ("iaf-3", 0, 1)])
@both_backends
def test_one_direction_of_an_autoregressive_flow_has_no_loop(name, fast, slow, backend):
    flow = CASES[name].flow(backend)
    with native_scope(backend):
        x = native(backend, CASES[name].points(2))
        methods = flow.forward, flow.inverse
        if backend == "jax":
            import jax

            loops = ["scan" in str(jax.make_jaxpr(method)(x)) for method in methods]
        else:
            import tensorflow as tf

            graphs = [tf.function(m, autograph=False).get_concrete_function(x) for m in methods]
            loops = [
                any("While" in node.type for node in function.graph.get_operations())
                for function in graphs
            ]
    assert not loops[fast]
    assert loops[slow]


@pytest.mark.parametrize(("mask", "channels"), [("channels", 3), ("checkerboard", 1)])
@pytest.mark.parametrize("swap", [False, True])
@both_backends
def test_what_the_mask_selects_passes_unchanged_and_the_rest_depends_on_it(
    mask, channels, swap, backend
):
    spec = lrmf.Coupling(mask=mask, swap=swap, conditioner=Convolutional(hidden=()))
    shape = (3, 4, channels)
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=value) for name, value in spec.shapes(shape).items()}
    kept = np.zeros(shape, bool)
    if mask == "channels":
        kept[..., :1] = True
    else:
        kept[::2, ::2] = kept[1::2, 1::2] = True
    kept = ~kept if swap else kept
    flow = lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")
    x = rng.normal(size=(2, *shape))
    y = flow.forward(x)[0]
    np.testing.assert_array_equal(y[:, kept], x[:, kept])
    assert (y[:, ~kept] != x[:, ~kept]).all()
    # What moves depends on itself by a scale, and on nothing else that moves.
    place = tuple(np.argwhere(~kept)[0])
    other = x.copy()
    other[(slice(None), *place)] += 1.0
    changed = (flow.forward(other)[0] != y).any(axis=0)
    assert changed[place]
    assert changed.sum() == 1
    other = x.copy()
    other[(slice(None), *np.argwhere(kept)[0])] += 1.0
    assert (flow.forward(other)[0] != y).any(axis=0)[~kept].any()


@pytest.mark.parametrize("size", [(3, 3, 2, 3), (3, 3, 3, 2), (1, 1, 2, 3)])
@both_backends
def test_convolutions_are_scipys(size, backend):
    convolve = importlib.import_module(f"lrmf.backends.{backend}.convolutions").convolve
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(size[2], 5, 4, 6)), rng.normal(size=size)
    expected = [
        sum(
            ndimage.correlate(x[i], weight[None, :, :, i, o], mode="constant")
            for i in range(size[2])
        )
        for o in range(size[3])
    ]
    with native_scope(backend):
        found = np.asarray(convolve(native(backend, x), native(backend, weight)))
    np.testing.assert_allclose(found, expected, atol=1e-12)


@both_backends
def test_a_convolutional_flow_takes_images_of_any_size_with_its_channels(backend):
    case, engine = CASES["channels-4x4x2"], lrmf.get_backend(backend)
    flow = engine.flow(case.spec, case.arrays())
    assert flow.event_shape == (None, None, 2)
    assert flow.forward(np.zeros((3, 6, 5, 2)))[0].shape == (3, 6, 5, 2)
    with pytest.raises(ValueError, match=r"expected x of shape \(n, any, any, 2\), got \(3, 4, 4"):
        flow.forward(np.zeros((3, 4, 4, 3)))
    density = engine.density(case.spec, case.arrays())
    with pytest.raises(ValueError, match=r"more than one event shape.*event_shape=\.\.\.\)"):
        density.sample(2)
    density = engine.density(case.spec, case.arrays(), event_shape=(6, 5, 2))
    assert density.sample(2).shape == (2, 6, 5, 2)
    with pytest.raises(ValueError, match=r"for event shape \(None, None, 2\), got \(6, 5, 3\)"):
        engine.density(case.spec, case.arrays(), event_shape=(6, 5, 3))


@both_backends
def test_the_identity_is_a_density_of_images(backend):
    x = np.random.default_rng(0).normal(size=(5, 4, 3, 2))
    density = lrmf.get_backend(backend).density(lrmf.Identity(), {}, event_shape=(4, 3, 2))
    expected = stats.norm.logpdf(x).reshape(5, -1).sum(axis=1)
    np.testing.assert_allclose(density.log_prob(x), expected, rtol=1e-5)
    assert density.sample(7).shape == (7, 4, 3, 2)
