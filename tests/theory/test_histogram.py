"""The histogram family: closed forms against SciPy, the definition and simulation; bad input."""

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.spatial.distance import jensenshannon

import lrmf
from lrmf.theory import histogram
from lrmf.theory.divergences import histogram_jsd

GRIDS = [(5,), (1,), (4, 3), (2, 3, 2)]


def random_probabilities(bins, seed, *, empty=True):
    p = np.random.default_rng([seed, *bins]).exponential(size=bins)
    if empty and p.size > 2:
        p.flat[seed % p.size] = 0.0
    return p / p.sum()


def unit_edges(bins):
    return tuple(np.arange(m + 1.0) for m in bins)


@pytest.mark.parametrize("bins", GRIDS)
@pytest.mark.parametrize("seed", range(3))
def test_distance_is_twice_scipys_divergence(bins, seed):
    p, q = random_probabilities(bins, seed), random_probabilities(bins, seed + 10)
    expected = 2 * jensenshannon(p.ravel(), q.ravel()) ** 2
    assert float(histogram.distance(p, q)) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("bins", [(5,), (3, 2)])
@pytest.mark.parametrize("seed", range(2))
def test_distance_is_what_numerical_maximisation_finds(bins, seed):
    # Definition 2.1 by brute force: three maximisations over logits.
    p, q = (random_probabilities(bins, seed + k, empty=False).ravel() for k in (0, 10))

    def best(weights):
        def negative(logits):
            return -np.sum(weights * (logits - np.logaddexp.reduce(logits)))

        return -optimize.minimize(negative, np.zeros(len(weights)), tol=1e-12).fun

    found = best(p) + best(q) - best(p + q)
    shape = histogram.distance(p.reshape(bins), q.reshape(bins))
    assert float(shape) == pytest.approx(found, abs=1e-7)


def test_distance_ends_at_zero_and_at_twice_log_two():
    p = random_probabilities((4, 4), 0)
    assert float(histogram.distance(p, p)) == 0.0
    far = histogram.distance([1.0, 0.0, 0.0], [0.0, 0.3, 0.7])
    assert float(far) == pytest.approx(2 * np.log(2), rel=1e-12)


def test_fit_counts_as_numpy_does():
    rng = np.random.default_rng(0)
    x, edges = rng.uniform(0, 4, size=(500, 2)), ([0, 1, 2.5, 4], [0, 3.0, 4])
    x[:3] = [[0, 0], [4, 4], [2.5, 3.0]]
    counts, *_ = np.histogram2d(*x.T, bins=edges)
    np.testing.assert_allclose(histogram.fit(x, edges), counts / 500, rtol=1e-12)
    line = histogram.fit(x[:, 0], edges[0])
    np.testing.assert_array_equal(line, histogram.fit(x[:, :1], edges[0]))
    np.testing.assert_allclose(line, histogram.fit(x, edges).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("backend", ["jax", "tfp"])
@pytest.mark.parametrize("bins", GRIDS)
def test_no_histogram_density_is_likelier_than_the_fitted_one(bins, backend):
    rng = np.random.default_rng(1)
    edges = tuple(np.sort(rng.normal(size=m + 1)) for m in bins)
    x = np.stack([rng.uniform(e[0], e[-1], size=300) for e in edges], axis=1)
    p = histogram.fit(x, edges)
    spec, engine = lrmf.Histogram(edges=edges), lrmf.get_backend(backend)

    def likelihood(arrays):
        return engine.density(spec, arrays, dtype="float64").log_prob(x).mean()

    best = likelihood(histogram.density_arrays(p))
    assert best == pytest.approx(float(histogram.max_log_likelihood(p, edges)), rel=1e-9)
    for _ in range(5):
        other = (p + 1e-3) * np.exp(0.1 * rng.normal(size=bins))
        assert likelihood({"logits": np.log(other)}) < best or p.size == 1


def test_distance_is_the_likelihood_that_sharing_costs():
    edges, p, q = (
        unit_edges((4, 3)),
        random_probabilities((4, 3), 1),
        random_probabilities((4, 3), 2),
    )
    best = [float(histogram.max_log_likelihood(w, edges)) for w in (p, q, 0.5 * (p + q))]
    assert float(histogram.distance(p, q)) == pytest.approx(
        best[0] + best[1] - 2 * best[2], rel=1e-9
    )


@pytest.mark.parametrize("seed", range(3))
def test_plug_in_bias_is_that_of_simulated_samples(seed):
    p, q = random_probabilities((8,), seed), random_probabilities((8,), seed + 10)
    rng, n_a, n_b = np.random.default_rng(seed), 400, 900
    values = 2 * histogram_jsd(
        rng.multinomial(n_a, p, size=40_000) / n_a, rng.multinomial(n_b, q, size=40_000) / n_b
    )
    stderr = values.std() / np.sqrt(len(values))
    bias = float(histogram.plug_in_bias(p, q, n_a, n_b))
    assert bias > 8 * stderr
    assert abs(values.mean() - float(histogram.distance(p, q)) - bias) < 4 * stderr + 0.02 * bias


def test_plug_in_bias_of_equal_laws_is_that_of_wilks_and_of_disjoint_ones_none():
    p = random_probabilities((4, 3), 0, empty=False)
    wilks = (p.size - 1) / (2 * 50)
    assert float(histogram.plug_in_bias(p, p, 50, 50)) == pytest.approx(wilks, rel=1e-12)
    none = histogram.plug_in_bias([0.3, 0.7, 0, 0], [0, 0, 0.5, 0.5], 50, 80)
    assert float(none) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("backend", ["jax", "tfp"])
@pytest.mark.parametrize("features", [1, 2])
def test_lrd_lands_on_the_closed_form(backend, features):
    rng = np.random.default_rng(features)
    a = stats.norm.rvs(size=(600, features), random_state=rng).clip(-3, 3)
    b = stats.norm(0.8, 1.3).rvs(size=(600, features), random_state=rng).clip(-3, 3)
    edges = tuple(np.linspace(-3, 3, 7) for _ in range(features))
    p, q = histogram.fit(a, edges), histogram.fit(b, edges)
    found = lrmf.family_lrd(
        a,
        b,
        density=lrmf.Histogram(edges=edges),
        backend=backend,
        held_out=0,
        batch_size=600,
        steps=800,
        refit_steps=800,
        learning_rate=0.1,
        progress=False,
    )
    # The certificate mixes 1% of the shared density into the private ones.
    shared = 0.5 * (p + q)
    filled = shared > 0
    mixed = sum(
        np.sum(w[filled] * np.log(0.99 * w[filled] / shared[filled] + 0.01)) for w in (p, q)
    )
    assert found.value == pytest.approx(mixed, abs=2e-3)
    assert found.value == pytest.approx(float(histogram.distance(p, q)), abs=0.02)
    assert found.value > 0.1


def test_lrd_refuses_points_outside_the_edges_before_fitting_and_after():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=(2, 40, 1))
    density = lrmf.Histogram(edges=[0.0, 0.5, 1.0])
    with pytest.raises(ValueError, match="Xs holds 20 points outside the edges"):
        lrmf.family_lrd(a + 1.0, b, density=density, progress=False)
    with pytest.raises(ValueError, match="Xt holds 40 points outside the edges"):
        lrmf.family_lrd(a, b - 1.0, density=density, held_out=0, progress=False)
    model = lrmf.LRMF(
        transform=lrmf.Identity(),
        density=density,
        steps=2,
        private_steps=2,
        refit_steps=2,
        progress=False,
    ).fit(Xs=a, Xt=b)
    with pytest.raises(ValueError, match="the image of Xs holds 40 points outside the edges"):
        model.family_certificate(a + 2.0, b)
    with pytest.raises(ValueError, match="Xt holds 40 points outside the edges"):
        model.family_certificate(a, b + 2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: histogram.fit([[0.5]], ([0, 1], [0, 1])), r"shape \(n, 2\).*got \(1, 1\)"),
        (lambda: histogram.fit(np.zeros((0, 1)), [0, 1]), r"shape \(n, 1\).*got \(0, 1\)"),
        (lambda: histogram.fit(0.5, [0, 1]), r"shape \(n, 1\).*got \(\)"),
        (lambda: histogram.fit([0.5, np.nan], [0, 1]), "x has 1 of 2 values that are not finite"),
        (lambda: histogram.fit([0.5, 2.0], [0, 1]), "x holds 1 points outside the edges"),
        (lambda: histogram.fit([0.5], [1, 0]), "edges must be finite and increase"),
        (lambda: histogram.distance([0.5, 0.4], [0.5, 0.5]), "p must sum to one, got 0.9; divide"),
        (lambda: histogram.distance([0.5, 0.5], [1.5, -0.5]), "q must not be negative, got -0.5"),
        (
            lambda: histogram.distance([1.0], [0.5, 0.5]),
            r"same cells, got \(1,\) and \(2,\); count",
        ),
        (lambda: histogram.distance([[1.0]], [1.0]), r"same cells, got \(1, 1\) and \(1,\)"),
        (lambda: histogram.distance(1.0, 1.0), r"p must hold one probability for each cell.*\(\)"),
        (lambda: histogram.distance([], [1.0]), r"p must hold one probability .*\(0,\)"),
        (lambda: histogram.distance([1.0], [np.inf]), "q has 1 of 1 values that are not finite"),
        (lambda: histogram.max_log_likelihood([1.0], [0, 1, 2]), r"shape \(2,\), got \(1,\)"),
        (lambda: histogram.density_arrays([2.0]), "p must sum to one, got 2"),
        (lambda: histogram.plug_in_bias([1.0], [1.0], 0, 5), "n_a must be a positive integer"),
        (lambda: histogram.plug_in_bias([1.0], [1.0], 5, 1.5), "n_b must be a positive integer"),
        (lambda: histogram.plug_in_bias([0.5], [1.0], 5, 5), "p must sum to one, got 0.5"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
