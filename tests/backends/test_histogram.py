"""The histogram densities against SciPy and NumPy, and their edges, in both backends."""

import numpy as np
import pytest
from model_cases import BACKENDS, CASES, HISTOGRAMS
from scipy import stats

import lrmf
from lrmf.theory import histogram

both_backends = pytest.mark.parametrize("backend", BACKENDS)

UNEVEN = np.array([-2.0, -1.5, 0.0, 0.1, 2.0, 7.0])


def fitted(backend, x, edges, dtype="float64"):
    arrays = histogram.density_arrays(histogram.fit(x, edges))
    return lrmf.get_backend(backend).density(lrmf.Histogram(edges=edges), arrays, dtype=dtype)


@both_backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_one_dimension_it_is_scipys(backend, dtype):
    x = stats.norm.rvs(size=500, random_state=0).clip(-2, 7)
    oracle = stats.rv_histogram(np.histogram(x, UNEVEN), density=False)
    inside = np.linspace(-1.999, 6.999, 777)
    log_prob = fitted(backend, x, UNEVEN, dtype).log_prob(inside[:, None])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(log_prob, oracle.logpdf(inside), rtol=1e-6)


@both_backends
def test_samples_are_scipys_quantiles_of_the_noise(backend):
    x = stats.norm.rvs(size=500, random_state=0).clip(-2, 7)
    oracle = stats.rv_histogram(np.histogram(x, UNEVEN), density=False)
    u = stats.norm.cdf(np.random.default_rng(4).standard_normal((300, 1)))
    samples = fitted(backend, x, UNEVEN).sample(300, seed=4)
    np.testing.assert_allclose(samples, oracle.ppf(u), atol=1e-10)


@both_backends
def test_on_a_grid_it_is_numpys_density(backend):
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=4000).clip(-2, 7), rng.uniform(size=4000), rng.beta(2, 3, 4000)])
    edges = (UNEVEN, [0.0, 0.25, 1.0], [0.0, 0.1, 0.5, 1.0])
    expected, _ = np.histogramdd(x.T, bins=edges, density=True)
    middles = [0.5 * (np.array(e)[1:] + np.array(e)[:-1]) for e in edges]
    grid = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 3)
    density = fitted(backend, x.T, edges)
    np.testing.assert_allclose(np.exp(density.log_prob(grid)), expected.ravel(), rtol=1e-10)
    # Drawn points fall into the cells as often as they should, and nowhere else.
    shares, drawn = histogram.fit(x.T, edges), histogram.fit(density.sample(20_000, seed=1), edges)
    assert np.abs(drawn - shares).max() < 4.5 * np.sqrt(shares.max() / 20_000)
    assert (drawn[shares == 0] == 0).all()


@both_backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cell_holds_its_left_edges_and_the_last_one_its_right_edge(backend, dtype):
    edges = [0.0, 1.0, 3.0]
    density = lrmf.get_backend(backend).density(
        lrmf.Histogram(edges=edges), histogram.density_arrays([0.25, 0.75]), dtype=dtype
    )
    x = np.array([0.0, 0.999, 1.0, 3.0, -0.001, 3.001, -np.inf, np.nan])[:, None]
    expected = np.log([0.25, 0.25, 0.375, 0.375, *[np.finfo(float).tiny] * 4])
    expected[4:] = -np.inf
    np.testing.assert_allclose(density.log_prob(x), expected, rtol=1e-6)


@both_backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_noise_lands_in_a_filled_cell(backend, dtype):
    engine, spec = lrmf.get_backend(backend), lrmf.Histogram(edges=[0, 1, 2, 3, 4])
    arrays = histogram.density_arrays([0.0, 0.5, 0.5, 0.0])
    density = engine.density(spec, arrays, dtype=dtype)
    noise = np.array([-40.0, -8.0, 0.0, 8.0, 40.0])[:, None]
    points = engine.call_numpy("push", spec, density.native_arrays, noise, dtype)
    np.testing.assert_allclose(points[:, 0], [1.0, 1.0, 2.0, 3.0, 3.0], atol=1e-6)


@both_backends
@pytest.mark.parametrize("name", HISTOGRAMS)
def test_the_equal_mixture_of_two_is_one_more(name, backend):
    case, engine = CASES[name], lrmf.get_backend(backend)
    logits = [case.arrays(seed)["logits"] for seed in (1, 2)]
    shares = [np.exp(x) / np.exp(x).sum() for x in logits]
    middle = histogram.density_arrays(0.5 * (shares[0] + shares[1]))
    x = case.points()
    first, second, mixed = (
        np.exp(engine.density(case.spec, arrays, dtype="float64").log_prob(x))
        for arrays in ({"logits": logits[0]}, {"logits": logits[1]}, middle)
    )
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_allclose(mixed, 0.5 * (first + second), rtol=1e-12)


@both_backends
def test_equal_logits_are_equal_probabilities(backend):
    spec = lrmf.Histogram(edges=[0.0, 1.0, 3.0])
    arrays = spec.init((1,), np.random.default_rng(0))
    density = lrmf.get_backend(backend).density(spec, arrays)
    np.testing.assert_allclose(
        density.log_prob(np.array([[0.5], [2.0]])), np.log([0.5, 0.25]), rtol=1e-6
    )
