"""Specs: names, shapes, initial arrays, descriptions, and what they refuse."""

import dataclasses
import json
import re

import numpy as np
import pytest

import lrmf
from lrmf.specs import (
    Autoregressive,
    Composition,
    Dense,
    Shift,
    Spec,
    Spline,
    spec_from_json,
    spec_to_json,
)

SPECS = {
    "identity": (lrmf.Identity(), 3),
    "full": (lrmf.Affine(), 3),
    "diagonal": (lrmf.Affine(kind="diagonal"), 1),
    "positive-definite": (lrmf.Affine(kind="positive_definite"), 2),
    "gaussian": (lrmf.Gaussian(), 4),
    "histogram": (lrmf.Histogram(edges=[0.0, 1.0, 3.0]), 1),
    "histogram-grid": (lrmf.Histogram(edges=([0.0, 1.0, 3.0], range(5))), 2),
    "realnvp": (lrmf.RealNVP(blocks=3, hidden=(8, 6)), 5),
    "realnvp-split": (lrmf.RealNVP(blocks=2, hidden=(8,), split=4), 5),
    "ffjord": (lrmf.FFJORD(blocks=2, hidden=(8, 6), trace="hutchinson", rtol=1e-3), 3),
    "ffjord-no-hidden-layer": (lrmf.FFJORD(blocks=1, hidden=()), 1),
    "realnvp-no-hidden-layer": (lrmf.RealNVP(blocks=1, hidden=()), 2),
    "nice": (lrmf.NICE(blocks=3, hidden=(8, 6)), 5),
    "spline": (lrmf.SplineFlow(blocks=2, hidden=(8,), bins=4, bound=2.0), 3),
    "maf": (lrmf.MAF(blocks=2, hidden=(8,)), 3),
    "iaf": (lrmf.IAF(blocks=2, hidden=()), 3),
    "planar": (lrmf.Planar(blocks=2), 2),
    "inverse": (lrmf.Inverse(flow=lrmf.Affine()), 2),
    "coupling": (lrmf.Coupling(conditioner=Dense(hidden=(6,)), transformer=Shift()), 4),
    "chain": (
        lrmf.Chain(flows=(lrmf.Identity(), lrmf.MAF(blocks=1, hidden=(4,)), lrmf.NICE(blocks=1))),
        3,
    ),
    "autoregressive": (Autoregressive(reverse=True, transformer=Spline(bins=2)), 3),
    "discriminator": (lrmf.Discriminator(hidden=(8, 6)), 3),
    "network": (lrmf.Network(hidden=(8, 6)), 3),
    "discriminator-free": (lrmf.Discriminator(hidden=(), spectral_norm=False), 1),
}

every_spec = pytest.mark.parametrize(("spec", "d"), SPECS.values(), ids=SPECS)
specs_with_arrays = pytest.mark.parametrize(
    ("spec", "d"),
    [case for name, case in SPECS.items() if name != "identity"],
    ids=[name for name in SPECS if name != "identity"],
)


def init(spec, d, seed=0):
    return spec.init((d,), np.random.default_rng(seed))


@every_spec
def test_initial_arrays_have_the_shapes_that_the_spec_states(spec, d):
    arrays = init(spec, d)
    assert {name: value.shape for name, value in arrays.items()} == spec.shapes((d,))
    assert all(value.dtype == np.float64 for value in arrays.values())
    assert all(np.isfinite(value).all() for value in arrays.values())


@every_spec
def test_a_seed_decides_the_initial_arrays(spec, d):
    first, again, other = init(spec, d), init(spec, d), init(spec, d, seed=1)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        assert value is not again[name]
    if isinstance(spec, (lrmf.FFJORD, Composition)):
        assert all((value != other[name]).any() for name, value in first.items() if value.any())


def test_arrays_have_the_documented_names():
    assert lrmf.Affine().shapes((3,)) == {"matrix": (3, 3), "shift": (3,)}
    assert lrmf.Affine(kind="positive_definite").shapes((2,)) == {"matrix": (2, 2), "shift": (2,)}
    assert lrmf.Affine(kind="diagonal").shapes((3,)) == {"log_scale": (3,), "shift": (3,)}
    assert lrmf.Gaussian().shapes((2,)) == {"mean": (2,), "log_diagonal": (2,), "lower": (2, 2)}
    assert lrmf.Histogram(edges=([0, 1, 2], [0, 1])).shapes((2,)) == {"logits": (2, 1)}
    assert lrmf.Identity().shapes((2,)) == {}
    assert lrmf.FFJORD(blocks=1, hidden=(8,)).shapes((3,)) == {
        "block_0/layer_0/weight": (3, 8),
        "block_0/layer_0/bias": (8,),
        "block_0/layer_0/time": (8,),
        "block_0/layer_1/weight": (8, 3),
        "block_0/layer_1/bias": (3,),
        "block_0/layer_1/time": (3,),
    }
    assert lrmf.RealNVP(blocks=2, hidden=(8,)).shapes((5,)) == {
        "block_0/layer_0/weight": (2, 8),
        "block_0/layer_0/bias": (8,),
        "block_0/layer_1/weight": (8, 6),
        "block_0/layer_1/bias": (6,),
        "block_1/layer_0/weight": (3, 8),
        "block_1/layer_0/bias": (8,),
        "block_1/layer_1/weight": (8, 4),
        "block_1/layer_1/bias": (4,),
    }


def test_realnvp_starts_with_hes_weights_and_a_small_last_layer():
    arrays = init(lrmf.RealNVP(blocks=1, hidden=(400, 300)), 2)
    assert arrays["block_0/layer_1/weight"].std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert 0 < np.abs(arrays["block_0/layer_2/weight"]).max() < 1e-4
    assert not arrays["block_0/layer_2/bias"].any()
    assert np.abs(arrays["block_0/layer_0/bias"]).max() > 0.5


def test_ffjord_starts_with_a_small_last_layer():
    arrays = init(lrmf.FFJORD(blocks=1, hidden=(400, 300)), 2)
    assert arrays["block_0/layer_1/weight"].std() == pytest.approx(np.sqrt(1 / 400), rel=0.02)
    assert 0 < np.abs(arrays["block_0/layer_2/weight"]).max() < 1e-4
    assert not arrays["block_0/layer_2/bias"].any()
    assert not arrays["block_0/layer_2/time"].any()
    assert 0.5 < np.abs(arrays["block_0/layer_0/time"]).max() < 1


def test_only_ffjord_estimates_anything():
    spec = lrmf.FFJORD(trace="hutchinson", hidden=(8,))
    assert spec.exact() == lrmf.FFJORD(hidden=(8,))
    for other in (lrmf.Affine(), lrmf.Gaussian(), lrmf.RealNVP()):
        assert other.exact() is other
        assert other.advice == ""


def test_halves_alternate_and_cover_all_features():
    spec = lrmf.RealNVP(blocks=2, split=2)
    assert spec.halves(0, 5) == (slice(0, 2), slice(2, 5))
    assert spec.halves(1, 5) == (slice(2, 5), slice(0, 2))
    assert lrmf.RealNVP().halves(0, 5) == (slice(0, 2), slice(2, 5))


@every_spec
def test_check_arrays_tells_the_event_shape(spec, d):
    expected = None if isinstance(spec, lrmf.Identity) else (d,)
    assert spec.check_arrays(init(spec, d)) == expected


@every_spec
def test_a_spec_survives_json(spec, d):
    restored = spec_from_json(json.loads(json.dumps(spec_to_json(spec))))
    assert restored == spec
    assert hash(restored) == hash(spec)


def test_specs_are_values():
    assert lrmf.RealNVP(hidden=[8, 8]) == lrmf.RealNVP(hidden=(8, 8))
    assert lrmf.RealNVP(hidden=(8,)) != lrmf.RealNVP(hidden=(9,))
    assert lrmf.Affine() != lrmf.Affine(kind="diagonal")
    assert len({lrmf.Gaussian(), lrmf.Gaussian(), lrmf.Identity()}) == 2
    assert lrmf.Histogram(edges=np.arange(3)) == lrmf.Histogram(edges=[(0.0, 1.0, 2.0)])
    with pytest.raises(dataclasses.FrozenInstanceError, match="blocks"):
        lrmf.RealNVP().blocks = 2
    with pytest.raises(TypeError, match="positional"):
        lrmf.RealNVP(4)


def test_numpy_integers_become_plain_ones():
    spec = lrmf.RealNVP(blocks=np.int64(2), hidden=(np.int32(8),), split=np.int64(1))
    assert spec == lrmf.RealNVP(blocks=2, hidden=(8,), split=1)
    assert json.dumps(spec_to_json(spec)) == (
        '{"name": "RealNVP", "blocks": 2, "hidden": [8], "split": 1}'
    )


def test_every_numpy_scalar_in_a_spec_becomes_plain_in_its_description():
    spec = lrmf.FFJORD(rtol=np.float32(0.5), trace=np.str_("exact"))
    description = spec_to_json(spec)
    assert json.loads(json.dumps(description)) == description
    assert type(description["rtol"]) is float


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lrmf.Affine(kind="orthogonal"), r"kind must be one of .*got 'orthogonal'"),
        (lambda: lrmf.Affine(kind=["full"]), r"kind must be one of .*got \['full'\]"),
        (lambda: lrmf.RealNVP(blocks=0), "blocks must be a positive integer, got 0"),
        (lambda: lrmf.RealNVP(blocks=2.0), r"blocks must be a positive integer, got 2\.0"),
        (lambda: lrmf.RealNVP(blocks=True), "blocks must be a positive integer, got True"),
        (lambda: lrmf.RealNVP(hidden=64), "hidden must be a tuple of positive.*got 64"),
        (lambda: lrmf.RealNVP(hidden=(64, 0)), r"hidden must be a tuple of .*got \(64, 0\)"),
        (lambda: lrmf.RealNVP(hidden="64"), "hidden must be a tuple of positive.*got '64'"),
        (lambda: lrmf.RealNVP(split=0), "split must be a positive integer or None, got 0"),
        (lambda: lrmf.RealNVP(split=1.5), r"split must be a positive integer or None, got 1\.5"),
        (lambda: lrmf.Discriminator(hidden=8), "hidden must be a tuple of positive.*got 8"),
        (lambda: lrmf.Discriminator(hidden=(8, -1)), r"hidden must be a tuple of .*got \(8, -1\)"),
        (lambda: lrmf.Network(hidden="8"), "Network: hidden must be a tuple of positive.*got '8'"),
        (lambda: lrmf.Discriminator(spectral_norm=1), "spectral_norm must be True or False, got 1"),
        (lambda: lrmf.FFJORD(blocks=0), "FFJORD: blocks must be a positive integer, got 0"),
        (lambda: lrmf.FFJORD(max_steps=1.5), r"max_steps must be a positive integer, got 1\.5"),
        (lambda: lrmf.FFJORD(hidden=16), "FFJORD: hidden must be a tuple of positive.*got 16"),
        (lambda: lrmf.FFJORD(hidden=(16, 0)), r"hidden must be a tuple of .*got \(16, 0\)"),
        (lambda: lrmf.FFJORD(trace="gauss"), "must be 'exact' or 'hutchinson', got 'gauss'"),
        (lambda: lrmf.FFJORD(rtol=0.0), r"FFJORD: rtol must be a positive number, got 0\.0"),
        (lambda: lrmf.FFJORD(atol="1"), "FFJORD: atol must be a positive number, got '1'"),
        (lambda: lrmf.FFJORD(atol=float("nan")), "atol must be a positive number, got nan"),
        (lambda: lrmf.Histogram(edges=3), r"edges must hold two or more.*got \[3\] .*linspace"),
        (lambda: lrmf.Histogram(edges=()), r"edges must hold two or more.*got \[\] for feature 0"),
        (lambda: lrmf.Histogram(edges=[[0, 1], [2]]), r"two or more .*got \[2\] for feature 1"),
        (lambda: lrmf.Histogram(edges=[[0, 1], 2]), "two or more .*got 2 for feature 1"),
        (lambda: lrmf.Histogram(edges=np.zeros((1, 2, 2))), "two or more numbers for each"),
        (lambda: lrmf.Histogram(edges=["a", "b"]), "two or more numbers"),
        (lambda: lrmf.Histogram(edges=[0, 2, 1]), "must be finite and increase.*sort them"),
        (lambda: lrmf.Histogram(edges=[0, 1, 1]), "must be finite and increase.*drop repeated"),
        (lambda: lrmf.Histogram(edges=[0, np.inf]), "must be finite and increase"),
        (lambda: lrmf.Histogram(edges=[np.nan, 0]), "must be finite and increase"),
    ],
)
def test_bad_settings_are_refused_when_the_spec_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("event_shape", [(), (2, 3), (0,), (2.5,), (-1,), 2])
@specs_with_arrays
def test_only_vectors_are_modelled(spec, d, event_shape):
    with pytest.raises(ValueError, match=r"expected an event shape \(d,\), got .*flatten"):
        spec.init(event_shape, np.random.default_rng(0))


@pytest.mark.parametrize("kind", [lrmf.RealNVP, lrmf.Planar, lrmf.FFJORD, lrmf.MAF])
def test_more_blocks_than_any_memory_holds_are_refused(kind):
    with pytest.raises(ValueError, match="blocks must be a positive integer, got 9223372036854775"):
        kind(blocks=2**63)


def test_realnvp_refuses_one_feature():
    with pytest.raises(ValueError, match=r"RealNVP needs at least 2 features, got 1.*use Affine"):
        init(lrmf.RealNVP(), 1)


@pytest.mark.parametrize("split", [2, 3])
def test_realnvp_refuses_a_split_that_leaves_nothing(split):
    with pytest.raises(ValueError, match=rf"split={split} leaves nothing.*1 <= split <= 1"):
        init(lrmf.RealNVP(split=split), 2)


def test_a_histogram_refuses_events_of_other_sizes():
    message = "Histogram has edges for 2 features, but events have 3; give one sequence of edges"
    with pytest.raises(ValueError, match=message):
        init(SPECS["histogram-grid"][0], 3)


def test_a_histogram_refuses_logits_of_another_grid():
    with pytest.raises(ValueError, match=r"logits: expected \(2, 4\), got \(4, 2\)"):
        SPECS["histogram-grid"][0].check_arrays({"logits": np.zeros((4, 2))})


def test_a_histogram_refuses_points_outside_its_edges():
    spec, _ = SPECS["histogram-grid"]
    spec.check_points(np.array([[0.0, 0.0], [3.0, 4.0]]), "Xs")
    message = r"Xs holds 2 points outside the edges of the histogram, \[0, 4\] for feature 1, .*"
    with pytest.raises(ValueError, match=message + r"from -1 to 5\. Widen the edges"):
        spec.check_points(np.array([[0.0, -1.0], [3.0, 5.0], [1.0, 1.0]]), "Xs")
    with pytest.raises(ValueError, match=r"Xt holds 1 points outside .* for feature 0"):
        spec.check_points(np.array([[3.1, 0.0]]), "Xt")


@pytest.mark.parametrize("rng", [0, None, np.random])
@every_spec
def test_only_a_numpy_generator_draws_arrays(spec, d, rng):
    with pytest.raises(TypeError, match=r"numpy\.random\.Generator such as .*default_rng\(0\)"):
        spec.init((d,), rng)


@specs_with_arrays
def test_arrays_of_another_spec_are_refused(spec, d):
    with pytest.raises(ValueError, match=r"lack .*make them with spec\.init"):
        spec.check_arrays({"something": np.zeros(3)})


@specs_with_arrays
def test_an_additional_array_is_refused_by_name(spec, d):
    with pytest.raises(ValueError, match=r"more: expected nothing of this name, got \(2,\)"):
        spec.check_arrays(init(spec, d) | {"more": np.zeros(2)})


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("full", "matrix"),
        ("diagonal", "log_scale"),
        ("positive-definite", "matrix"),
        ("gaussian", "lower"),
        ("realnvp", "block_2/layer_1/weight"),
    ],
)
def test_an_array_of_another_shape_is_refused_by_name(name, array):
    spec, d = SPECS[name]
    arrays = init(spec, d)
    shape = arrays[array].shape
    message = re.escape(f"arrays do not fit {spec}: {array}: expected {shape}, got (7, 7, 7)")
    with pytest.raises(ValueError, match=message):
        spec.check_arrays(arrays | {array: np.zeros((7, 7, 7))})
    del arrays[array]
    with pytest.raises(ValueError, match=f"{array}: expected .* got nothing"):
        spec.check_arrays(arrays)


def test_arrays_without_dimensions_are_refused():
    spec = lrmf.RealNVP(blocks=1, hidden=(8,))
    arrays = init(spec, 2) | {"block_0/layer_0/weight": np.float64(1.0)}
    with pytest.raises(ValueError, match=r"too few dimensions; make them with spec\.init"):
        spec.check_arrays(arrays)


def test_the_identity_has_no_arrays():
    with pytest.raises(ValueError, match=r"scale: expected nothing of this name, got \(2,\)"):
        lrmf.Identity().check_arrays({"scale": np.ones(2)})


def test_an_unknown_description_is_refused():
    with pytest.raises(ValueError, match=r"unknown spec 'Flow\+\+'.*knows \['ActNorm', "):
        spec_from_json({"name": "Flow++"})
    with pytest.raises(ValueError, match="unknown spec None"):
        spec_from_json({})


def test_a_description_with_unknown_fields_is_refused():
    with pytest.raises(ValueError, match=r"RealNVP has no \['width'\].*use the version that wrote"):
        spec_from_json({"name": "RealNVP", "width": 3})


def test_every_public_spec_can_be_described():
    public = [getattr(lrmf, name) for name in lrmf.__all__ if name[0].isupper()]
    specs = [kind for kind in public if isinstance(kind, type) and issubclass(kind, Spec)]
    assert {kind.__name__ for kind in specs} >= {"Affine", "Gaussian", "Identity", "RealNVP"}
    # Those of the table above survive JSON, and those of images do in `test_composed_specs.py`.
    assert set(specs) == {type(spec) for spec, _ in SPECS.values()} | {lrmf.Glow, lrmf.Jet}
