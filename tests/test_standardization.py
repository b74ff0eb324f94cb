"""Standardisation: what is measured, and models of data in their own units."""

import numpy as np
import pytest
from scipy import stats

import lrmf
from lrmf.models import Flow
from lrmf.points import Rows
from lrmf.standardization import Standardization, moments, standardizations

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 3)) * [1.0, 10.0, 0.1] + [5.0, -3.0, 0.0]


class TestMoments:
    @pytest.mark.parametrize("weights", [None, RNG.random(500)])
    @pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
    def test_are_those_of_all_rows_in_one_pass(self, weights, scale, monkeypatch):
        monkeypatch.setattr("lrmf.points._VALUES", 300)  # several chunks
        found = moments(Rows(X * scale), weights)
        mean = np.average(X, axis=0, weights=weights)
        variance = np.average((X - mean) ** 2, axis=0, weights=weights)
        np.testing.assert_allclose(found.mean / scale, mean)
        np.testing.assert_allclose(found.deviation / scale, np.sqrt(variance))
        np.testing.assert_array_equal(found.low, (X * scale).min(axis=0))
        np.testing.assert_array_equal(found.high, (X * scale).max(axis=0))

    def test_of_few_digits_and_far_from_zero(self):
        x = (X[:, :2] * 1e-2 + 1e5).astype(np.float32)
        found = moments(Rows(x))
        np.testing.assert_allclose(found.deviation, x.astype(np.float64).std(axis=0), rtol=1e-9)

    @pytest.mark.parametrize(("value", "n"), [(0.3, 1000), (0.7, 777), (1.1, 500)])
    def test_a_constant_has_no_deviation_however_it_is_rounded(self, value, n):
        x = np.stack([3.7 * np.random.default_rng(n).normal(size=n), np.full(n, value)], axis=1)
        found = moments(Rows(x))
        assert found.deviation[1] == 0.0 < found.deviation[0]
        own = standardizations(
            {"source": found, "target": moments(Rows(x + np.array([50.0, 0.0])))}
        )
        assert own["source"].scale[1] == own["target"].scale[1] == 1.0

    def test_of_images_are_those_of_channels(self):
        x = RNG.normal(size=(40, 4, 5, 2)) * [1.0, 7.0]
        found = moments(Rows(x), np.arange(40.0))
        flat = np.repeat(np.arange(40.0), 20)
        for channel in range(2):
            values = x[..., channel].reshape(-1)
            mean = np.average(values, weights=flat)
            assert found.mean[channel] == pytest.approx(mean)
            variance = np.average((values - mean) ** 2, weights=flat)
            assert found.deviation[channel] == pytest.approx(np.sqrt(variance))


class TestPooled:
    def test_every_domain_counts_alike(self):
        a, b = X[:300], X[300:] * 2.0 + 1.0
        found = Standardization.pooled({"a": moments(Rows(a)), "b": moments(Rows(b))})
        weights = np.repeat([1 / 300, 1 / 200], [300, 200])
        both = np.concatenate([a, b])
        mean = np.average(both, axis=0, weights=weights)
        np.testing.assert_allclose(found.location, mean)
        variance = np.average((both - mean) ** 2, axis=0, weights=weights)
        np.testing.assert_allclose(found.scale, np.sqrt(variance))

    def test_a_constant_keeps_its_scale(self):
        constant = np.full((7, 2), 0.1)
        found = Standardization.pooled({"a": moments(Rows(constant))})
        np.testing.assert_array_equal(found.apply(constant), 0.0)
        np.testing.assert_array_equal(found.scale, 1.0)

    def test_there_and_back(self):
        found = Standardization(np.array([3e5, 0.0]), np.array([1e4, 1e-3]))
        x = RNG.normal(size=(6, 2)) * found.scale + found.location
        np.testing.assert_allclose(found.undo(found.apply(x)), x, rtol=1e-15)
        assert found.log_det((2,)) == pytest.approx(-np.log(10.0))
        assert found.log_det((4, 4, 2)) == pytest.approx(-16 * np.log(10.0))
        assert np.abs(found.apply(x)).max() <= found.bound(np.abs(x).max())


UNITS = Standardization(np.array([100.0, -7.0]), np.array([20.0, 0.5]))
OTHERS = Standardization(np.array([1.0, 2.0]), np.array([3.0, 4.0]))


@pytest.fixture(params=["jax", "tfp"])
def engine(request):
    return lrmf.get_backend(request.param)


@pytest.mark.parametrize("small", [1e-300, 1e-200, 1e-8])
def test_domains_of_very_different_magnitudes(small):
    a, b = np.random.default_rng(0).normal(size=(2, 40, 2))
    a, b = a + 1e12, (b + 1e12) * small
    found = standardizations({"source": moments(Rows(a)), "target": moments(Rows(b))})
    for domain, x in (("source", a), ("target", b)):
        z = found[domain].apply(x)
        np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-3)
        np.testing.assert_allclose(z.std(axis=0), 1.0, rtol=0.2)


class TestModels:
    """What a model of standardised points makes of points in their own units."""

    def test_flow(self, engine):
        matrix, shift = np.array([[2.0, 1.0], [0.0, 0.5]]), np.array([0.3, -0.2])
        arrays = {"matrix": matrix, "shift": shift}
        x = RNG.normal(size=(5, 2)) * UNITS.scale + UNITS.location
        z = (x - UNITS.location) / UNITS.scale
        for after in (UNITS, OTHERS, None):
            plain = engine.flow(lrmf.Affine(), arrays, "float64")
            flow = Flow(
                plain.spec, plain.native_arrays, engine, dtype="float64", before=UNITS, after=after
            )
            y, log_det = flow.forward(x)
            scale, location = (1.0, 0.0) if after is None else (after.scale, after.location)
            np.testing.assert_allclose(y, (z @ matrix.T + shift) * scale + location)
            jacobian = np.diag(np.ones(2) * scale) @ matrix @ np.diag(1 / UNITS.scale)
            np.testing.assert_allclose(log_det, np.log(abs(np.linalg.det(jacobian))))
            back, inverse = flow.inverse(y)
            np.testing.assert_allclose(back, x)
            np.testing.assert_allclose(inverse, -log_det)
            with engine.scope("float64"):
                native = flow.forward(engine.asarray(x, "float64"))
            assert all(engine.is_native(v) for v in native)
            np.testing.assert_allclose(np.asarray(native[0]), y)
            np.testing.assert_allclose(np.asarray(native[1]), log_det)
        assert "standardized" in repr(flow)

    def test_float32_keeps_its_digits_far_from_zero(self, engine):
        far = Standardization(np.array([3e8, 0.0]), np.array([1.0, 1.0]))
        arrays = {"log_scale": np.zeros(2), "shift": np.array([0.25, 0.0])}
        plain = engine.flow(lrmf.Affine(kind="diagonal"), arrays)
        flow = Flow(plain.spec, plain.native_arrays, engine, before=far, after=far)
        x = RNG.normal(size=(9, 2)) + far.location
        np.testing.assert_allclose(flow.forward(x)[0], x + np.array([0.25, 0.0]), rtol=0, atol=2e-7)

    def test_density(self, engine):
        plain = engine.density(
            lrmf.Gaussian(), lrmf.Gaussian().init((2,), RNG), "float64", event_shape=(2,)
        )
        density = lrmf.Density(
            plain.spec,
            plain.native_arrays,
            engine,
            dtype="float64",
            event_shape=(2,),
            before=UNITS,
        )
        x = RNG.normal(size=(5, 2)) * UNITS.scale + UNITS.location
        expected = stats.norm(UNITS.location, UNITS.scale).logpdf(x).sum(axis=1)
        np.testing.assert_allclose(density.log_prob(x), expected)
        with engine.scope("float64"):
            native = density.log_prob(engine.asarray(x, "float64"))
        np.testing.assert_allclose(np.asarray(native), expected)
        np.testing.assert_allclose(density.sample(4), UNITS.undo(plain.sample(4)))

    def test_classifier(self, engine):
        arrays = {"layer_0/weight": np.ones((2, 1)), "layer_0/bias": np.zeros(1)}
        plain = engine.classifier(lrmf.Discriminator(hidden=()), arrays)
        model = lrmf.Classifier(plain.spec, plain.native_arrays, engine, before=UNITS)
        x = UNITS.undo([[0.5, 0.25]])
        np.testing.assert_allclose(model.logits(x), plain.logits([[0.5, 0.25]]))


def test_a_histogram_keeps_its_cells():
    spec = lrmf.Histogram(edges=([0.0, 1.0, 3.0], [-2.0, 0.0, 2.0]))
    units = Standardization(np.array([1.0, 0.5]), np.array([2.0, 3.0]))
    found = spec.standardized(units.location, units.scale)
    np.testing.assert_allclose(found.edges, [[-0.5, 0.0, 1.0], [-2.5 / 3, -0.5 / 3, 0.5]])
    assert lrmf.RealNVP().standardized(units.location, units.scale) == lrmf.RealNVP()
