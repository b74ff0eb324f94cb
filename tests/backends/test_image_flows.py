"""Flows of images against matrices, determinants and what they promise; bad images."""

import numpy as np
import pytest
from model_cases import BACKENDS, jacobians

import lrmf
from lrmf.specs import ActNorm, ChannelMixing, Convolutional, LastChannels, Squeezed
from lrmf.specs.images import squeeze, unsqueeze
from lrmf.starting import from_data

both_backends = pytest.mark.parametrize("backend", BACKENDS)


def moved(spec, event_shape, *, scale=0.3, seed=0):
    """Arrays away from the start."""
    rng = np.random.default_rng(seed)
    arrays = spec.init(event_shape, rng)
    return {name: value + scale * rng.normal(size=value.shape) for name, value in arrays.items()}


def images(n=6, shape=(4, 4, 2), seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape))


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_a_squeeze_is_tensorflows_space_to_depth(patch):
    tf = pytest.importorskip("tensorflow")
    x = images(shape=(4, 8, 3))
    expected = x if patch == 1 else tf.nn.space_to_depth(x, patch).numpy()
    np.testing.assert_array_equal(squeeze(x, patch), expected)
    np.testing.assert_array_equal(unsqueeze(squeeze(x, patch), patch), x)


@both_backends
def test_mixing_is_one_matrix_for_all_pixels_and_its_condition_number_can_be_seen(backend):
    spec = ChannelMixing()
    arrays = moved(spec, (2, 3, 4))
    flow, x = lrmf.get_backend(backend).flow(spec, arrays, dtype="float64"), images(5, (2, 3, 4))
    matrix = spec.matrix(arrays)
    y, log_det = flow.forward(x)
    np.testing.assert_allclose(y, np.einsum("ij,nhwj->nhwi", matrix, x), atol=1e-12)
    np.testing.assert_allclose(log_det, 6 * np.linalg.slogdet(matrix)[1], atol=1e-12)
    singular = np.linalg.svd(matrix, compute_uv=False)
    assert spec.condition_number(arrays) == pytest.approx(singular[0] / singular[-1])
    assert spec.condition_number(spec.init((2, 3, 4), np.random.default_rng(0))) == 1.0


def test_glow_shows_the_condition_numbers_of_all_its_mixings():
    spec = lrmf.Glow(levels=2, steps=3, hidden=4)
    arrays = spec.init((4, 4, 1), np.random.default_rng(0))
    arrays["below/step_1/mixing/lower_upper"] = np.diag(np.log([8.0, *[1.0] * 6, 0.5]))
    expected = np.ones((2, 3))
    expected[1, 1] = 16.0
    np.testing.assert_allclose(spec.condition_numbers(arrays), expected)


@both_backends
def test_the_other_half_of_the_channels_passes_unchanged(backend):
    spec = LastChannels(flow=ActNorm())
    flow = lrmf.get_backend(backend).flow(spec, moved(spec, (2, 2, 4)), dtype="float64")
    x = images(3, (2, 2, 4))
    y = flow.forward(x)[0]
    np.testing.assert_array_equal(y[..., :2], x[..., :2])
    assert (y[..., 2:] != x[..., 2:]).all()


def test_the_log_determinant_of_a_whole_image_is_that_of_its_jacobian():
    spec = lrmf.Glow(levels=2, steps=1, hidden=(3,))
    flow = lrmf.get_backend("jax").flow(spec, moved(spec, (16, 16, 1)), dtype="float64")
    x = images(1, (16, 16, 1))
    (matrix,) = jacobians(lambda x: flow.forward(x)[0], x)
    assert matrix.shape == (256, 256)
    np.testing.assert_allclose(flow.forward(x)[1], np.linalg.slogdet(matrix)[1], atol=1e-9)


def test_every_level_of_glow_moves_half_of_what_the_one_above_left():
    spec = lrmf.Glow(levels=2, steps=2, hidden=4)
    arrays = spec.init((4, 4, 1), np.random.default_rng(0))
    start = lrmf.get_backend("jax").flow(spec, arrays, dtype="float64")
    changed = {
        name: value + (0.5 if name.startswith("below/") and "norm/shift" in name else 0.0)
        for name, value in arrays.items()
    }
    flow = lrmf.get_backend("jax").flow(spec, changed, dtype="float64")
    x = images(1, (4, 4, 1))
    gap = np.abs(flow.forward(x)[0] - start.forward(x)[0])[0, ..., 0] > 0.1
    # The last two channels of a squeeze are the lower row of each patch.
    np.testing.assert_array_equal(gap, np.indices((4, 4))[0] % 2 == 1)


@both_backends
def test_jet_starts_exactly_at_the_identity(backend):
    spec = lrmf.Jet(couplings=3, hidden=(4,))
    arrays = spec.init((4, 4, 1), np.random.default_rng(0))
    flow, x = lrmf.get_backend(backend).flow(spec, arrays, dtype="float64"), images(shape=(4, 4, 1))
    for method in (flow.forward, flow.inverse):
        y, log_det = method(x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(log_det, 0.0)


def test_jets_couplings_keep_one_half_and_then_the_other():
    masks = lrmf.Jet(couplings=8, hidden=()).kept((4, 4, 6))
    for k in (0, 1, 4, 5):
        np.testing.assert_array_equal(masks[k], ~masks[k + 2])
        assert masks[k].mean() == 0.5
    assert (masks[0] == masks[0][0, 0]).all()  # channels
    assert (masks[0] != masks[4]).any()  # halves are drawn anew
    board = np.indices((4, 4)).sum(axis=0) % 2 == 0
    np.testing.assert_array_equal(masks[1], np.broadcast_to(board[..., None], (4, 4, 6)))
    alone = lrmf.Jet(couplings=2, hidden=(), patch=1).kept((4, 4, 1))
    np.testing.assert_array_equal(alone[0], ~alone[1])
    other = lrmf.Jet(couplings=1, hidden=(), seed=1).kept((4, 4, 6))
    assert (other[0] != masks[0]).any()


@both_backends
@pytest.mark.parametrize("spec", [lrmf.Jet(couplings=4, hidden=(4,)), lrmf.Glow(steps=2, hidden=4)])
def test_scales_are_bounded_on_both_sides(spec, backend):
    arrays = spec.init((4, 4, 1), np.random.default_rng(0))
    for sign in (-1.0, 1.0):
        extreme = {
            name: value + (sign * 1e3 if value.ndim < 3 and name.endswith("layer_1/bias") else 0.0)
            for name, value in arrays.items()
        }
        if isinstance(spec, lrmf.Glow):
            extreme = arrays | {
                name: np.full_like(value, sign * 1e3)
                for name, value in arrays.items()
                if name.endswith("layer_2/bias")
            }
        x = images(shape=(4, 4, 1))
        flow = lrmf.get_backend(backend).flow(spec, extreme, dtype="float64")
        log_det = flow.forward(x)[1]
        largest = 2 * 16 * 1.0 if isinstance(spec, lrmf.Jet) else 2.0 * (8 * 2 + 4 * 2)
        np.testing.assert_allclose(log_det, sign * largest, rtol=1e-6)


@both_backends
@pytest.mark.parametrize("kind", ["density", "flow"])
def test_norms_that_have_seen_data_give_mean_zero_and_deviation_one(kind, backend):
    spec = Squeezed(flow=lrmf.Chain(flows=(ActNorm(start="data"), ChannelMixing())))
    if kind == "density":
        spec = lrmf.Inverse(flow=lrmf.Inverse(flow=spec))  # directions are told through
    x = 3.0 + np.array([0.5, 2.0]) * images(200)
    arrays = spec.init((4, 4, 2), np.random.default_rng(0))
    arrays["1/lower_upper"] = 0.2 * np.random.default_rng(1).normal(size=(8, 8))
    arrays = from_data(spec, arrays, x, kind=kind, backend=backend)
    norm = {"log_scale": arrays["0/log_scale"], "shift": arrays["0/shift"]}
    inside = squeeze(x)
    engine = lrmf.get_backend(backend)
    flow = engine.flow(ActNorm(), norm, dtype="float64")
    if kind == "flow":
        y = flow.forward(inside)[0]
    else:
        mixing = engine.flow(
            ChannelMixing(), {"lower_upper": arrays["1/lower_upper"]}, dtype="float64"
        )
        y = flow.inverse(mixing.inverse(inside)[0])[0]
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0.0, atol=1e-10)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2)), 1.0, atol=1e-10)


def test_a_norm_of_the_next_level_sees_what_is_left():
    spec = LastChannels(flow=ActNorm(start="data"))
    x = images(50) + np.array([0.0, 5.0])
    arrays = from_data(spec, spec.init((4, 4, 2), np.random.default_rng(0)), x)
    np.testing.assert_allclose(arrays["shift"], [x[..., 1].mean()])


def test_nearly_constant_channels_are_scaled_by_the_floor():
    spec = ActNorm(start="data", floor=0.5)
    x = images(50, (2, 2, 2)) * np.array([1e-6, 1.0])
    arrays = from_data(spec, spec.init((2, 2, 2), np.random.default_rng(0)), x)
    np.testing.assert_allclose(np.exp(arrays["log_scale"]), [0.5, x[..., 1].std()])


@both_backends
@pytest.mark.parametrize("method", ["forward", "inverse"])
def test_norms_that_have_seen_no_data_are_refused(method, backend):
    spec = lrmf.Glow(levels=1, steps=1, hidden=4, start="data")
    arrays = spec.init((4, 4, 2), np.random.default_rng(0))
    flow = lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")
    with pytest.raises(ValueError, match=r"has not seen data.*lrmf\.starting\.from_data\(spec"):
        getattr(flow, method)(images())
    complete = from_data(spec, arrays, images(50), backend=backend)
    assert np.isfinite(
        getattr(lrmf.get_backend(backend).flow(spec, complete), method)(images())[0]
    ).all()


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        (
            lrmf.Glow(levels=2),
            (6, 8, 1),
            r"multiples of 4, got \(6, 8, 1\) .*: pad, crop or resize them, or take fewer levels",
        ),
        (lrmf.Glow(levels=1), (1, 16, 16), r"channels seem to come first.*moveaxis\(x, 1, -1\)"),
        (lrmf.Jet(patch=4), (3, 32, 32), r"Jet.*got \(3, 32, 32\): channels seem to come first"),
        # Sizes that divide all the same: red, green, blue and alpha of the default levels.
        (lrmf.Glow(), (4, 32, 32), r"Glow.*channels seem to come first.*4 pixels high: swap"),
        (lrmf.Jet(), (2, 8, 8), r"Jet.*channels seem to come first.*2 pixels high: swap"),
        (lrmf.Glow(), (16, 16), r"Glow models images: .*got \(16, 16\).*x\[\.\.\., numpy\.newaxis"),
        (lrmf.Jet(), (256,), r"Jet models images: expected.*got \(256,\); reshape"),
        (lrmf.Jet(patch=3), (8, 8, 1), "multiples of 3, got .*take fewer pixels"),
        (
            LastChannels(flow=ActNorm()),
            (4, 4, 3),
            r"even number of channels, got 3.*Squeezed\(flow",
        ),
        (ActNorm(), (4,), "ActNorm models images"),
    ],
)
def test_images_of_another_shape_are_refused(spec, shape, message):
    for act in (spec.shapes, lambda shape: spec.init(shape, np.random.default_rng(0))):
        with pytest.raises(ValueError, match=message):
            act(shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lrmf.Glow(levels=0), "Glow: levels must be a positive integer, got 0"),
        (lambda: lrmf.Glow(levels=99), "Glow: levels must be at most 14, got 99; each halves"),
        (lambda: lrmf.Glow(steps=1.5), r"Glow: steps must be a positive integer, got 1\.5"),
        (lambda: lrmf.Glow(hidden=(8, 0)), r"Glow: hidden must be a tuple of.*got \(8, 0\)"),
        (lambda: lrmf.Glow(start="noise"), r"Glow: start must be one of \('identity', 'data'\)"),
        (lambda: lrmf.Jet(couplings=0), "Jet: couplings must be a positive integer, got 0"),
        (lambda: lrmf.Jet(patch=-2), "Jet: patch must be a positive integer, got -2"),
        (lambda: lrmf.Jet(hidden="8"), "Jet: hidden must be a tuple"),
        (lambda: lrmf.Jet(seed=-1), "Jet: seed must be zero or positive, got -1"),
        (lambda: lrmf.Jet(seed=True), "Jet: seed must be an integer, got True"),
        (lambda: ActNorm(floor=0.0), r"ActNorm: floor must be a positive number, got 0\.0"),
        (lambda: ActNorm(start=None), "ActNorm: start must be one of .*got None"),
        (lambda: Squeezed(flow=ActNorm(), patch=0), "Squeezed: patch must be a positive integer"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lrmf.Jet(transformer="affine"), r"Jet: transformer must be .*got 'affine'"),
        (lambda: Squeezed(flow=Convolutional()), "Squeezed: flow takes flow specs"),
        (lambda: LastChannels(flow=ActNorm), r"LastChannels: flow takes specs such as ActNorm\(\)"),
        (lambda: from_data(lrmf.Gaussian(), {}, images()), "spec must be a flow .*got Gaussian"),
    ],
)
def test_parts_of_another_kind_are_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_a_start_from_bad_data_is_refused():
    spec = lrmf.Glow(levels=1, steps=1, hidden=4, start="data")
    arrays = spec.init((4, 4, 1), np.random.default_rng(0))
    x = images(20, (4, 4, 1))
    with pytest.raises(ValueError, match=r"arrays are for event shape .*got \(4, 4, 2\)"):
        from_data(spec, arrays, images(20))
    for kind in ("map", np.array(["flow", "flow"])):
        with pytest.raises(ValueError, match="kind must be 'density' or 'flow', got "):
            from_data(spec, arrays, x, kind=kind)
    x[:, ::2, ::2] = 0.0  # one pixel of each patch
    with pytest.raises(ValueError, match=r"channels \[0\] of 4 are constant.*add noise, as .*Deq"):
        from_data(spec, arrays, x)


def test_numbers_for_two_layers_and_sequences_are_one_spec():
    assert lrmf.Glow(hidden=8) == lrmf.Glow(hidden=[8, 8])
    assert lrmf.Jet(hidden=np.int64(8)) == lrmf.Jet(hidden=(8, 8))
