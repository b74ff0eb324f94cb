"""Networks without an inverse: the same images in both backends, and nothing else."""

import numpy as np
import pytest
from model_cases import BACKENDS, native, native_scope, relative_error

import lrmf

both_backends = pytest.mark.parametrize("backend", BACKENDS)
SPEC = lrmf.Network(hidden=(7, 4))
POINTS = 3.0 * np.random.default_rng(0).normal(size=(40, 3))


def arrays():
    rng = np.random.default_rng(1)
    return {k: v + rng.normal(size=v.shape) for k, v in SPEC.init((3,), rng).items()}


@both_backends
def test_images_are_those_of_the_network(backend):
    x = POINTS
    for layer in range(3):
        x = x @ arrays()[f"layer_{layer}/weight"] + arrays()[f"layer_{layer}/bias"]
        if layer < 2:
            x = np.where(x > 0.0, x, 0.1 * x)
    model = lrmf.get_backend(backend).map(SPEC, arrays(), dtype="float64")
    np.testing.assert_allclose(model.image(POINTS), POINTS + x, rtol=1e-10, atol=1e-12)
    with native_scope(backend):
        found = model.image(native(backend, POINTS))
    assert lrmf.get_backend(backend).is_native(found)
    np.testing.assert_allclose(np.asarray(found), POINTS + x, rtol=1e-10, atol=1e-12)


def test_backends_agree_in_single_precision():
    jax, tfp = (lrmf.get_backend(b).map(SPEC, arrays()).image(POINTS) for b in BACKENDS)
    assert jax.dtype == tfp.dtype == "float32"
    assert relative_error(jax, tfp) < 1e-5


@both_backends
def test_it_starts_at_the_identity(backend):
    start = SPEC.init((3,), np.random.default_rng(0))
    model = lrmf.get_backend(backend).map(SPEC, start, dtype="float64")
    np.testing.assert_array_equal(model.image(POINTS), POINTS)


@both_backends
def test_it_is_refused_where_an_inverse_or_a_density_is_needed(backend):
    engine = lrmf.get_backend(backend)
    for make, kind in ((engine.flow, "flow"), (engine.density, "density")):
        with pytest.raises(TypeError, match=f"neither inverse nor log-det.* it is no {kind}; Cyc"):
            make(SPEC, arrays())
    with pytest.raises(TypeError, match=r"expected a network such as Network\(\), got RealNVP"):
        engine.map(lrmf.RealNVP(), {})
    with pytest.raises(ValueError, match=r"expected x of shape \(n, 3\), got \(40, 2\)"):
        engine.map(SPEC, arrays()).image(POINTS[:, :2])
