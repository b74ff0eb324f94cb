"""Couplings, chains and inverses: arrays, masks, images, and what they refuse."""

import json
import re

import numpy as np
import pytest

import lrmf
from lrmf.specs import (
    ActNorm,
    Autoregressive,
    ChannelMixing,
    Convolutional,
    Dense,
    LastChannels,
    Shift,
    ShiftScale,
    Spline,
    Squeezed,
    spec_from_json,
    spec_to_json,
)
from lrmf.specs.base import common_shape

IMAGES = Convolutional(hidden=(4,))


def init(spec, event_shape, seed=0):
    return spec.init(event_shape, np.random.default_rng(seed))


def test_the_arrays_of_realnvp_are_those_it_always_had():
    arrays = init(lrmf.RealNVP(blocks=3, hidden=(6, 5)), (5,))
    # Drawn as before couplings had parts: each block's layers one after the other.
    rng = np.random.default_rng(0)
    for block, kept in enumerate((2, 3, 2)):
        widths = (kept, 6, 5, 2 * (5 - kept))
        for layer in range(3):
            fan_in, name = widths[layer], f"block_{block}/layer_{layer}"
            weight = rng.normal(size=widths[layer : layer + 2])
            if layer < 2:
                weight = weight * np.sqrt(2.0 / fan_in)
                bias = rng.uniform(-1.0, 1.0, size=widths[layer + 1]) / np.sqrt(fan_in)
            else:
                weight, bias = weight * (1e-4 / np.sqrt(fan_in)), np.zeros(widths[3])
            np.testing.assert_array_equal(arrays[f"{name}/weight"], weight)
            np.testing.assert_array_equal(arrays[f"{name}/bias"], bias)


def test_arrays_have_the_documented_names():
    assert lrmf.NICE(blocks=1, hidden=()).shapes((3,)) == {
        "block_0/layer_0/weight": (3, 3),
        "block_0/layer_0/bias": (3,),
        "block_1/log_scale": (3,),
        "block_1/shift": (3,),
    }
    assert lrmf.SplineFlow(blocks=1, hidden=(), bins=4).shapes((5,)) == {
        "block_0/layer_0/weight": (2, 3 * 11),
        "block_0/layer_0/bias": (3 * 11,),
    }
    for autoregressive in (lrmf.MAF, lrmf.IAF):
        assert autoregressive(blocks=1, hidden=(8,)).shapes((3,)) == {
            "block_0/layer_0/weight": (3, 8),
            "block_0/layer_0/bias": (8,),
            "block_0/layer_1/weight": (8, 6),
            "block_0/layer_1/bias": (6,),
        }
    assert lrmf.Coupling(mask="channels", conditioner=IMAGES).shapes((8, 7, 3)) == {
        "layer_0/weight": (3, 3, 1, 4),
        "layer_0/bias": (4,),
        "layer_1/weight": (3, 3, 4, 4),
        "layer_1/bias": (4,),
    }


def test_inner_layers_of_a_convolution_see_one_pixel():
    shapes = Convolutional(hidden=(4, 5, 6)).weight_shapes(2, 3)
    assert shapes == [(3, 3, 2, 4), (1, 1, 4, 5), (1, 1, 5, 6), (3, 3, 6, 3)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("hidden", [(), (9,), (9, 7)])
def test_an_autoregressive_network_connects_a_feature_with_those_before_it(hidden, reverse):
    spec = Autoregressive(conditioner=Dense(hidden=hidden), transformer=Shift(), reverse=reverse)
    *inner, last = (mask.astype(int) for mask in spec.masks(4))
    paths = np.linalg.multi_dot([*inner, last]) if inner else last
    before = np.triu(np.ones((4, 4), bool), 1)
    np.testing.assert_array_equal(paths > 0, before.T if reverse else before)


def test_a_checkerboard_alternates_along_both_axes_and_has_one_colour_for_all_channels():
    board = lrmf.Coupling(mask="checkerboard", conditioner=IMAGES).checkerboard((2, 3, 2))
    expected = np.array([[True, False, True], [False, True, False]])
    np.testing.assert_array_equal(board, np.stack([expected, expected], axis=-1))
    other = lrmf.Coupling(mask="checkerboard", swap=True)
    np.testing.assert_array_equal(other.checkerboard((3,)), [False, True, False])


@pytest.mark.parametrize("spec", [lrmf.RealNVP(hidden=(8,)), lrmf.NICE(hidden=(8,))])
def test_blocks_alternate(spec):
    assert [part.swap for part in spec.parts[:4]] == [False, True, False, True]


@pytest.mark.parametrize(
    "spec",
    [
        lrmf.Coupling(mask="channels", split=1, conditioner=IMAGES, transformer=Spline(bins=2)),
        lrmf.Coupling(mask="checkerboard", conditioner=IMAGES, transformer=ShiftScale(bound=1.0)),
        lrmf.Chain(flows=(lrmf.Coupling(mask="channels", swap=True, conditioner=IMAGES),) * 2),
        lrmf.Glow(levels=2, steps=2, hidden=(4, 3), start="data"),
        lrmf.Jet(couplings=3, hidden=(4,), patch=4, transformer=Shift(), seed=1),
        Squeezed(flow=LastChannels(flow=lrmf.Chain(flows=(ActNorm(floor=0.1), ChannelMixing())))),
    ],
)
def test_arrays_of_a_convolution_tell_channels_only(spec):
    assert spec.check_arrays(init(spec, (4, 4, 3))) == (None, None, 3)
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


def test_chains_ask_all_their_flows():
    solver = lrmf.FFJORD(trace="hutchinson", hidden=(8,))
    chain = lrmf.Chain(flows=[lrmf.Affine(), lrmf.Inverse(flow=solver)])
    exact = lrmf.Chain(flows=(lrmf.Affine(), lrmf.Inverse(flow=lrmf.FFJORD(hidden=(8,)))))
    assert chain.exact() == exact
    assert chain.advice == solver.advice
    assert lrmf.Chain(flows=(lrmf.Affine(),)).advice == ""
    with pytest.raises(lrmf.specs.SolverError, match="gave up"):
        chain.check_result(np.ones((2, 2)), "x", (np.array([np.nan, 0.0]),))


def test_chains_name_the_array_that_is_missing_or_one_too_many():
    chain = lrmf.Chain(flows=(lrmf.Identity(), lrmf.Affine()))
    arrays = init(chain, (2,))
    with pytest.raises(ValueError, match=r"1/more: expected nothing of this name, got \(2,\)"):
        chain.check_arrays(arrays | {"1/more": np.zeros(2)})
    with pytest.raises(ValueError, match=r"7/shift: expected nothing of this name, got \(2,\)"):
        chain.check_arrays(arrays | {"7/shift": np.zeros(2)})
    with pytest.raises(ValueError, match=r"lack '1/shift'; make them with spec\.init"):
        chain.check_arrays({"1/matrix": np.eye(2)})


def test_chains_refuse_arrays_of_different_event_shapes():
    chain = lrmf.Chain(flows=(lrmf.Affine(), lrmf.Affine()))
    arrays = init(chain, (2,)) | {
        f"1/{name}": value for name, value in init(lrmf.Affine(), (3,)).items()
    }
    with pytest.raises(ValueError, match=r"parts of one model have event shapes \(2,\) and \(3,\)"):
        chain.check_arrays(arrays)
    with pytest.raises(ValueError, match=r"event shapes \(None, None, 3\) and \(3,\)"):
        common_shape([(None, None, 3), (3,)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lrmf.NICE(blocks=0), "NICE: blocks must be a positive integer, got 0"),
        (lambda: lrmf.MAF(hidden=8), "MAF: hidden must be a tuple of positive.*got 8"),
        (lambda: lrmf.IAF(blocks=1.5), r"IAF: blocks must be a positive integer, got 1\.5"),
        (lambda: lrmf.Planar(blocks=-1), "Planar: blocks must be a positive integer, got -1"),
        (lambda: lrmf.SplineFlow(bins=0), "Spline: bins must be a positive integer, got 0"),
        (lambda: lrmf.SplineFlow(bins=1000), r"bins must be below 1000, as each .*0\.001 of the"),
        (lambda: lrmf.SplineFlow(bound=0), "Spline: bound must be a positive number, got 0"),
        (lambda: ShiftScale(bound=-1.0), r"ShiftScale: bound must be a positive.*got -1\.0"),
        (lambda: Dense(hidden=(8, 0)), r"Dense: hidden must be a tuple of .*got \(8, 0\)"),
        (lambda: Convolutional(hidden=8), "Convolutional: hidden must be a tuple .*got 8"),
        (lambda: lrmf.Coupling(mask="odd"), r"mask must be one of \('halves'.*got 'odd'"),
        (lambda: lrmf.Coupling(split=0), "Coupling: split must be a positive integer or None"),
        (lambda: lrmf.Coupling(mask="checkerboard", split=1), "a checkerboard has no split"),
        (lambda: lrmf.Coupling(swap=1), "Coupling: swap must be True or False, got 1"),
        (lambda: lrmf.Coupling(mask="channels"), r"mask='channels' needs a Convolutional\(\)"),
        (lambda: lrmf.Coupling(conditioner=IMAGES), r"mask='halves' needs a Dense\(\) conditioner"),
        (lambda: Autoregressive(reverse=None), "reverse must be True or False, got None"),
        (lambda: lrmf.Chain(flows=()), r"flows must be a tuple of one flow .*got \(\)"),
        (lambda: lrmf.Chain(flows=lrmf.Affine()), r"flows must be a tuple .*got Affine"),
    ],
)
def test_bad_settings_are_refused_when_the_spec_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lrmf.Coupling(conditioner=(8,)), r"conditioner must be .*Dense\(\), got \(8,\)"),
        (lambda: lrmf.Coupling(transformer="spline"), r"transformer must be .*got 'spline'"),
        (lambda: Autoregressive(conditioner=IMAGES), r"conditioner must be a dense such as"),
        (lambda: Autoregressive(transformer=None), r"ShiftScale\(\), got None"),
        (lambda: lrmf.Chain(flows=[lrmf.Affine]), r"such as Affine\(\), got the class itself"),
        (lambda: lrmf.Chain(flows=[3]), r"flow specs such as .*, got int"),
        (lambda: lrmf.Inverse(flow=lrmf.Gaussian()), r"Gaussian\(\) is a density; Affine\(\)"),
    ],
)
def test_parts_of_another_kind_are_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("spec", "event_shape", "message"),
    [
        (lrmf.NICE(), (1,), "NICE needs at least 2 features, got 1.*use Affine"),
        (lrmf.MAF(), (1,), "MAF needs at least 2 features, got 1"),
        (lrmf.IAF(), (4, 4, 1), r"IAF models vectors: expected .*\(d,\), got \(4, 4, 1\); flatten"),
        (lrmf.SplineFlow(), (2, 2), r"SplineFlow models vectors.*got \(2, 2\)"),
        (lrmf.Coupling(split=3), (3,), "split=3 leaves nothing to .*3 features; choose 1 <= spl"),
        (
            lrmf.Coupling(mask="channels", conditioner=IMAGES),
            (4, 4, 1),
            r"one channel can not be split, got events \(4, 4, 1\); take mask='checkerboard'",
        ),
        (
            lrmf.Coupling(mask="channels", split=2, conditioner=IMAGES),
            (4, 4, 2),
            "split=2 leaves nothing to transform in events of 2 channels",
        ),
        (
            lrmf.Coupling(mask="checkerboard", conditioner=IMAGES),
            (16,),
            r"Convolutional models images: expected .*\(height, width, channels\), got \(16,\)",
        ),
    ],
)
def test_events_that_do_not_fit_are_refused(spec, event_shape, message):
    with pytest.raises(ValueError, match=message):
        init(spec, event_shape)


def test_an_unknown_part_of_a_description_is_refused():
    document = spec_to_json(lrmf.Chain(flows=(lrmf.Coupling(),)))
    document["flows"][0]["transformer"] = {"name": "Cubic"}
    with pytest.raises(ValueError, match=re.escape("unknown spec 'Cubic'")):
        spec_from_json(document)
    with pytest.raises(ValueError, match="unknown spec 'Spline'"):
        spec_from_json({"name": "Spline", "bins": 3, "bound": 1.0})
