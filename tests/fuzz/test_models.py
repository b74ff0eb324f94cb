"""Specs, models and trained aligners: all of their checks, and a few fits."""

import dataclasses

import numpy as np
import pytest
from hostile import pairs, points, values
from hypothesis import given, settings, strategies as st
from outcomes import check
from test_numbers import settings_of

import lrmf
from lrmf.specs import ActNorm, Convolutional, Dense, FlowSpec, Shift, ShiftScale, Spline

SPECS = {
    "Affine": (lrmf.Affine, {}),
    "Autoregressive": (lrmf.Autoregressive, {}),
    "Chain": (lrmf.Chain, {"flows": (lrmf.Affine(), lrmf.NICE())}),
    "Convolutional": (Convolutional, {}),
    "Coupling": (lrmf.Coupling, {}),
    "Dense": (Dense, {}),
    "Discriminator": (lrmf.Discriminator, {}),
    "FFJORD": (lrmf.FFJORD, {}),
    "Gaussian": (lrmf.Gaussian, {}),
    "Histogram": (lrmf.Histogram, {"edges": [[0.0, 1.0, 2.0]] * 2}),
    "Glow": (lrmf.Glow, {}),
    "IAF": (lrmf.IAF, {}),
    "Identity": (lrmf.Identity, {}),
    "Inverse": (lrmf.Inverse, {"flow": lrmf.Affine()}),
    "Jet": (lrmf.Jet, {}),
    "MAF": (lrmf.MAF, {}),
    "NICE": (lrmf.NICE, {}),
    "Planar": (lrmf.Planar, {}),
    "RealNVP": (lrmf.RealNVP, {}),
    "Shift": (Shift, {}),
    "ShiftScale": (ShiftScale, {}),
    "Spline": (Spline, {}),
    "SplineFlow": (lrmf.SplineFlow, {}),
}
TRAINED = {
    kind.__name__: kind
    for kind in (
        lrmf.LRMF, lrmf.AUB, lrmf.BackToBackFlow, lrmf.MMDFlow, lrmf.EMDFlow, lrmf.SinkhornFlow,
        lrmf.AdversarialFlow, lrmf.AlignFlow, lrmf.CycleGAN, lrmf.RevGAN,
    )
}  # fmt: skip
TINY = {
    "transform": lrmf.Affine(),
    "density": lrmf.Gaussian(),
    "steps": 2,
    "private_steps": 2,
    "refit_steps": 2,
    "batch_size": 16,
    "progress": False,
    "adversary": lrmf.Gaussian(),
}
#: Whose adversary is a critic.
CRITIC = {**TINY, "adversary": lrmf.Discriminator(hidden=(4,))}
CRITICS = (lrmf.AlignFlow, lrmf.CycleGAN, lrmf.RevGAN, lrmf.FlowGAN)  # fmt: skip
SHAPES = values | st.sampled_from(((2,), (3,), (1,), (4, 4, 2), (2, 2), (0,), (2.0,), (10**9,)))
JAX = lrmf.get_backend("jax")
FEW = settings(max_examples=max(2, settings().max_examples // 20))


class Reached(Exception):
    """The checks are behind, and the backend would compile."""


@pytest.fixture
def _nothing_compiles():
    def reached(*_, **__):
        raise Reached

    with pytest.MonkeyPatch.context() as patch:
        for method in ("trainer", "call", "call_numpy"):
            patch.setattr(type(JAX), method, reached)
        yield


@pytest.mark.parametrize("name", SPECS)
@given(data=st.data())
def test_specs(name, data):
    kind, given_values = SPECS[name]
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    options = given_values | data.draw(settings_of(names, odd=1))
    spec = check(name, lambda: kind(**options))
    if not isinstance(spec, FlowSpec):
        return
    shape = data.draw(SHAPES)
    rng = data.draw(st.sampled_from((0, None)) | st.just(np.random.default_rng(0)))
    check(f"{name}.shapes", lambda: spec.shapes(shape))
    if sum(np.prod(s) for s in _shapes(spec, shape)) < 1e6:
        check(f"{name}.init", lambda: spec.init(shape, rng))


def _shapes(spec, shape):
    try:
        return list(spec.shapes(shape).values())
    except (TypeError, ValueError):
        return []


def made(kind, data):
    """An aligner of this kind with a few odd parameters, or none."""
    names = kind().get_params(deep=False)
    tiny = CRITIC if kind in CRITICS else TINY
    options = {key: value for key, value in tiny.items() if key in names}
    if kind is lrmf.CycleGAN:
        options["transform"] = lrmf.Network(hidden=(4,))
    return kind(**options | data.draw(settings_of(set(names) - {"devices"}, odd=2)))


@pytest.mark.parametrize("name", TRAINED)
@given(data=st.data())
@pytest.mark.usefixtures("_nothing_compiles")
def test_what_trained_aligners_refuse(name, data):
    model = made(TRAINED[name], data)
    x, y = data.draw(pairs())
    weights = data.draw(settings_of(("sample_weight_s", "sample_weight_t"), odd=9))

    def fit():
        try:
            return model.fit(Xs=x, Xt=y, **weights)
        except Reached:
            return "accepted"

    check(f"{name}.fit", fit, x, y, state=model)


@given(data=st.data())
@pytest.mark.usefixtures("_nothing_compiles")
def test_what_a_model_of_one_domain_refuses(data):
    model = made(lrmf.FlowGAN, data)
    x = data.draw(points())
    weights = data.draw(settings_of(("sample_weight",), odd=9))

    def fit():
        try:
            return model.fit(x, **weights)
        except Reached:
            return "accepted"

    check("FlowGAN.fit", fit, x, state=model)


def as_images(x):
    """Points of four features as images of four pixels, whatever holds them."""
    found = isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[1] == 4
    return x.reshape(-1, 2, 2, 1) if found and not isinstance(x, np.matrix) else x


@given(points(d=4).map(as_images), values, st.sampled_from(("density", "flow")) | values)
def test_starting(x, arrays, kind):
    spec = ActNorm(start="data")
    if arrays is None:
        arrays = spec.init((2, 2, 1), np.random.default_rng(0))
    check("from_data", lambda: lrmf.starting.from_data(spec, arrays, x, kind=kind), x)


@pytest.mark.parametrize("name", ["LRMF", "MMDFlow", "EMDFlow"])
@FEW
@given(data=st.data())
def test_fits(name, data):
    names = TRAINED[name]().get_params(deep=False)
    model = TRAINED[name](**{key: value for key, value in TINY.items() if key in names})
    x, y = data.draw(pairs())
    fitted = check(f"{name}.fit, real", lambda: model.fit(Xs=x, Xt=y), x, y, state=model)
    if fitted is None:
        return
    assert fitted.outcome_ in ("finished", "stopped early", "diverged")
    assert len(fitted.status_.split()) > 2
    new = data.draw(points(d=np.shape(x)[1] if np.ndim(x) > 1 else None) | st.just(x))
    check(
        f"{name}.transform, real",
        lambda: fitted.transform(new),
        new,
        state=model,
        finite=fitted.complete_,
    )


@given(points(d=2), st.sampled_from(("float32", "float64")))
def test_models(x, dtype):
    rng = np.random.default_rng(0)
    flow = JAX.flow(lrmf.Affine(), lrmf.Affine().init((2,), rng), dtype=dtype)
    density = JAX.density(lrmf.Gaussian(), lrmf.Gaussian().init((2,), rng), dtype=dtype)
    check("Flow.forward", lambda: flow.forward(x), x, finite=False)
    check("Density.log_prob", lambda: density.log_prob(x), x, finite=False)


@given(values, values)
def test_samples(n, seed):
    rng = np.random.default_rng(0)
    density = JAX.density(lrmf.Gaussian(), lrmf.Gaussian().init((2,), rng))
    if not (isinstance(n, (int, np.integer)) and n > 100):
        check("Density.sample", lambda: density.sample(n, seed))


@given(st.sampled_from(("flow", "density")), values, values | st.sampled_from(("float64",)))
def test_makers_of_models(what, arrays, dtype):
    spec = lrmf.Affine()
    if arrays is None:
        arrays = spec.init((2,), np.random.default_rng(0))
    check(f"backend.{what}", lambda: getattr(JAX, what)(spec, arrays, dtype=dtype))


@given(values)
def test_names_of_backends(name):
    check("get_backend", lambda: lrmf.get_backend(name))
