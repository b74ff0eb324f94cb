"""Discriminators: the same logits in both backends, and slopes of at most one."""

import numpy as np
import pytest
from model_cases import BACKENDS, jacobians, native, native_scope, relative_error

import lrmf
from lrmf.backends.base import Role
from lrmf.objectives import mean

both_backends = pytest.mark.parametrize("backend", BACKENDS)
both_norms = pytest.mark.parametrize("spectral_norm", [True, False], ids=["normalised", "free"])

POINTS = 3.0 * np.random.default_rng(0).normal(size=(40, 3))


def arrays(spec, features=3, scale=1.0):
    drawn = spec.init((features,), np.random.default_rng(1))
    return {name: scale * value for name, value in drawn.items()}


def classifier(backend, spec, dtype="float64", **options):
    return lrmf.get_backend(backend).classifier(spec, arrays(spec, **options), dtype=dtype)


@both_backends
@pytest.mark.parametrize("hidden", [(), (5,), (7, 4)])
@both_norms
def test_logits_are_those_of_the_network(backend, hidden, spectral_norm):
    spec = lrmf.Discriminator(hidden=hidden, spectral_norm=spectral_norm)
    x, last = POINTS, len(hidden)
    for layer in range(last + 1):
        weight, bias = (arrays(spec)[f"layer_{layer}/{name}"] for name in ("weight", "bias"))
        if spectral_norm:
            singular = np.linalg.svd(weight, compute_uv=False)
            weight = weight / np.sum(singular**256.0) ** (1 / 256)
        x = x @ weight + bias
        if layer < last:
            x = np.where(x > 0.0, x, 0.1 * x)
    found = classifier(backend, spec).logits(POINTS)
    assert found.shape == (40,)
    np.testing.assert_allclose(found, x[:, 0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@both_norms
def test_backends_agree(dtype, tolerance, spectral_norm):
    spec = lrmf.Discriminator(hidden=(32, 16), spectral_norm=spectral_norm)
    jax, tfp = (classifier(backend, spec, dtype).logits(POINTS) for backend in BACKENDS)
    assert jax.dtype == tfp.dtype == dtype
    assert relative_error(jax, tfp) < tolerance


def matrices():
    rng = np.random.default_rng(2)
    left, _ = np.linalg.qr(rng.normal(size=(128, 128)))
    right, _ = np.linalg.qr(rng.normal(size=(128, 128)))
    return {
        "tall": rng.normal(size=(128, 3)),
        "wide": rng.normal(size=(3, 128)),
        "square": rng.normal(size=(128, 128)),
        "a vector": rng.normal(size=(128, 1)),
        "a number": np.array([[-2.5]]),
        "orthogonal": left,  # all singular values are equal: the worst case
        "rank one": np.outer(left[0], right[0]),
        "a spread of sizes": left @ np.diag(10.0 ** -np.linspace(0, 12, 128)) @ right,
        "large": 1e9 * rng.normal(size=(16, 16)),
        "small": 1e-9 * rng.normal(size=(16, 16)),
    }


@both_backends
@pytest.mark.parametrize(("dtype", "rounding"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize("name", matrices())
def test_the_spectral_norm_is_never_too_small_and_hardly_too_large(backend, dtype, rounding, name):
    matrix = matrices()[name]
    if backend == "jax":
        from lrmf.backends.jax.discriminators import spectral_norm
    else:
        from lrmf.backends.tfp.discriminators import spectral_norm
    engine = lrmf.get_backend(backend)
    with engine.scope(dtype):
        found = float(spectral_norm(engine.asarray(matrix, dtype), lrmf.Discriminator.squarings))
    ratio = found / np.linalg.norm(matrix, 2)
    assert 1.0 - rounding <= ratio <= min(matrix.shape) ** (1 / 256) + rounding
    if name == "orthogonal":
        assert ratio == pytest.approx(128 ** (1 / 256), rel=1e-5)  # 1.019


@both_backends
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_normalised_logits_have_slopes_of_at_most_one(backend, scale):
    spec = lrmf.Discriminator(hidden=(32, 32))
    model = classifier(backend, spec, scale=scale)
    slopes = jacobians(lambda x: model.logits(x)[:, None], POINTS)
    assert np.linalg.norm(slopes, axis=(1, 2)).max() <= 1.0
    # Large weights alone do not make slopes: without the norm they do.
    free = classifier(backend, lrmf.Discriminator(hidden=(32, 32), spectral_norm=False), scale=100)
    slopes = jacobians(lambda x: free.logits(x)[:, None], POINTS)
    assert np.linalg.norm(slopes, axis=(1, 2)).max() > 100.0


@both_backends
def test_one_layer_reaches_the_slope_of_one(backend):
    model = classifier(backend, lrmf.Discriminator(hidden=()), scale=7.0)
    slopes = jacobians(lambda x: model.logits(x)[:, None], POINTS)
    # Differences have so many digits.
    np.testing.assert_allclose(np.linalg.norm(slopes, axis=(1, 2)), 1.0, rtol=1e-9)


@both_backends
@both_norms
def test_gradients_are_the_slopes_of_the_mean_logit(backend, spectral_norm):
    spec = lrmf.Discriminator(hidden=(6, 5), spectral_norm=spectral_norm)
    engine, start = lrmf.get_backend(backend), arrays(spec)
    roles = (Role("adversary", lrmf.Classifier, spec, (3,)),)
    rng = np.random.default_rng(3)
    direction = {name: rng.normal(size=value.shape) for name, value in start.items()}

    def at(t):
        moved = {name: value + t * direction[name] for name, value in start.items()}
        return engine.loss_and_gradients(
            mean_logit, roles, {"adversary": moved}, {"x": POINTS}, dtype="float64"
        )

    gradients = at(0.0)[1]["adversary"]
    slope = sum(np.sum(gradients[name] * direction[name]) for name in start)
    assert all((value != 0.0).any() for value in gradients.values())
    assert slope == pytest.approx((at(1e-6)[0] - at(-1e-6)[0]) / 2e-6, rel=1e-6)


def mean_logit(models, batch):
    return mean(models["adversary"].backend, models["adversary"].logits(batch["x"]))


class TestModel:
    @both_backends
    def test_native_in_native_out(self, backend):
        model = classifier(backend, lrmf.Discriminator(hidden=(4,)))
        with native_scope(backend):
            found = model.logits(native(backend, POINTS))
        assert lrmf.get_backend(backend).is_native(found)
        np.testing.assert_allclose(np.asarray(found), model.logits(POINTS), rtol=1e-12)

    @both_backends
    def test_points_are_checked(self, backend):
        model = classifier(backend, lrmf.Discriminator(hidden=(4,)))
        with pytest.raises(ValueError, match=r"expected x of shape \(n, 3\), got \(40, 2\)"):
            model.logits(POINTS[:, :2])
        with pytest.raises(TypeError, match="x must hold real numbers"):
            model.logits(POINTS.astype(str))

    @both_backends
    def test_only_a_discriminator_makes_a_classifier(self, backend):
        engine, spec = lrmf.get_backend(backend), lrmf.Discriminator(hidden=(4,))
        with pytest.raises(TypeError, match=r"expected a discriminator such as .*, got Gaussian"):
            engine.classifier(lrmf.Gaussian(), {})
        for make, kind in ((engine.flow, "flow"), (engine.density, "density")):
            with pytest.raises(TypeError, match=f"gives logits, it is no {kind}; as one choose"):
                make(spec, arrays(spec))
        with pytest.raises(ValueError, match="Discriminator needs arrays; make them with"):
            engine.classifier(spec)
        with pytest.raises(ValueError, match="lack 'layer_0/weight'"):
            engine.classifier(spec, {})
