"""Checks of the chapter "Jensen-Shannon and GANs": convex families and histograms."""

import numpy as np
import pytest
from jensen_shannon_cases import Law, grid, laws, normals, terms, twice_jsd
from scipy import stats

import lrmf
from lrmf.theory import divergences, histogram

SEEDS = range(3)

seeds = pytest.mark.parametrize("seed", SEEDS)
dimensions = pytest.mark.parametrize("d", [1, 2])
backends = pytest.mark.parametrize("backend", ["jax", "tfp"])


# def-convex-family


@pytest.mark.statement("def-convex-family")
@backends
@pytest.mark.parametrize("bins", [(6,), (4, 3)])
def test_histograms_are_convex(backend, bins, record_property):
    engine = lrmf.get_backend(backend)
    spec = lrmf.Histogram(
        edges=tuple(np.sort(np.random.default_rng(m).normal(size=m + 1)) for m in bins)
    )
    rng = np.random.default_rng(0)
    x = np.stack([rng.uniform(e[0], e[-1], size=200) for e in spec.edges], axis=1)
    p, q = rng.dirichlet(np.ones(np.prod(bins)), size=2).reshape(2, *bins)
    first, second, mixed = (
        np.exp(engine.density(spec, histogram.density_arrays(w), dtype="float64").log_prob(x))
        for w in (p, q, 0.5 * (p + q))
    )
    error = np.abs(mixed / (0.5 * (first + second)) - 1).max()
    record_property("error", float(error))
    assert error < 1e-12
    assert np.abs(first / second - 1).max() > 0.1


@pytest.mark.statement("def-convex-family", control=True)
@dimensions
@seeds
def test_normal_densities_are_not_convex(d, seed):
    a, b = laws(d, seed, components=1)
    assert terms(normals, a, b, d)[3] > 1e-3


# prop-histogram-distance


def points_in(edges, rng, n):
    return np.stack([e[0] + (e[-1] - e[0]) * rng.beta(2, 3, size=n) for e in edges], axis=1)


def random_edges(d, rng):
    return tuple(np.cumsum(rng.uniform(0.2, 1.0, size=5 - d + 1)) for _ in range(d))


@pytest.mark.statement("prop-histogram-distance")
@backends
@pytest.mark.parametrize("d", [1, 2, 3])
@seeds
def test_the_distance_of_histograms_is_twice_the_divergence_of_the_bins(
    backend, d, seed, record_property
):
    rng = np.random.default_rng([d, seed])
    edges, engine = random_edges(d, rng), lrmf.get_backend(backend)
    a, b = points_in(edges, rng, 150), points_in(edges, rng, 220)[:, ::-1] * 1.0
    b = np.stack([np.clip(v, e[0], e[-1]) for v, e in zip(b.T, edges, strict=True)], axis=1)
    p, q = histogram.fit(a, edges), histogram.fit(b, edges)
    spec = lrmf.Histogram(edges=edges)

    def likelihood(w, *data):
        density = engine.density(spec, histogram.density_arrays(w), dtype="float64")
        return sum(density.log_prob(x).mean() for x in data)

    best = likelihood(p, a), likelihood(q, b), likelihood(0.5 * (p + q), a, b)
    expected = 2 * float(divergences.histogram_jsd(p.ravel(), q.ravel()))
    error = abs(best[0] + best[1] - best[2] - expected)
    record_property("error", error)
    assert error < 1e-10
    # No other member of the family is likelier, for either data set or for both.
    for _ in range(3):
        other = rng.dirichlet(np.ones(p.size)).reshape(p.shape)
        mixed = [0.9 * w + 0.1 * other for w in (p, q, 0.5 * (p + q))]
        assert likelihood(mixed[0], a) < best[0]
        assert likelihood(mixed[1], b) < best[1]
        assert likelihood(mixed[2], a, b) < best[2]


@pytest.mark.statement("prop-histogram-distance", control=True)
@seeds
def test_a_shared_histogram_of_pooled_points_of_unequal_numbers_is_not_the_best(seed):
    rng = np.random.default_rng(seed)
    edges = random_edges(1, rng)
    a, b = points_in(edges, rng, 100), edges[0][-1] + edges[0][0] - points_in(edges, rng, 400)
    p, q, pooled = (histogram.fit(x, edges) for x in (a, b, np.concatenate([a, b])))
    loss = float(divergences.histogram_kl(p, pooled) + divergences.histogram_kl(q, pooled))
    assert loss > float(histogram.distance(p, q)) + 1e-3


# prop-histogram-refinement


def masses(law, edges):
    cdf = np.mean(
        [stats.norm.cdf(edges, m[0], s) for m, s in zip(law.means, law.stds, strict=True)], axis=0
    )
    return np.diff(cdf) / (cdf[-1] - cdf[0])


@pytest.mark.statement("prop-histogram-refinement")
@seeds
def test_cutting_cells_raises_the_distance_towards_the_divergence(seed, record_property):
    a, b = laws(1, seed)
    rng = np.random.default_rng(seed)
    x, cell = grid(1)
    exact = twice_jsd(a.log_density(x), b.log_density(x), cell)
    edges, found = np.array([-9.0, 9.0]), []
    for size in (3, 8, 20, 60, 200, 4000):
        edges = np.union1d(edges, rng.uniform(-9, 9, size=size))
        found.append(float(histogram.distance(masses(a, edges), masses(b, edges))))
    steps = np.diff([*found, exact])
    error = max(-steps.min(), 0.0)
    record_property("error", float(error))
    assert error < 1e-9
    assert found[0] < exact - 1e-3
    assert exact - found[-1] < 1e-3


@pytest.mark.statement("prop-histogram-refinement")
@seeds
def test_what_is_lost_is_of_second_order_in_the_width(seed, record_property):
    a, b = laws(1, seed)
    x, cell = grid(1, points=20_001)
    log_a, log_b = a.log_density(x), b.log_density(x)
    slope = np.gradient(log_a - log_b, cell)
    harmonic = np.exp(log_a + log_b - np.logaddexp(log_a, log_b))
    integral = cell * np.sum(harmonic * slope**2)
    edges, width = np.linspace(-9, 9, 401, retstep=True)
    lost = twice_jsd(log_a, log_b, cell) - float(
        histogram.distance(masses(a, edges), masses(b, edges))
    )
    error = abs(lost / (width**2 / 24 * integral) - 1)
    record_property("error", float(error))
    assert error < 0.01


@pytest.mark.statement("prop-histogram-refinement", control=True)
def test_grids_that_are_not_nested_and_densities_that_jump():
    # More bins, but none of them a part of another: the distance falls.
    rng = np.random.default_rng(0)
    a, b = Law(1, rng), Law(1, rng)
    a.means, a.stds = np.array([[-2.0], [0.5]]), np.array([0.4, 0.8])
    b.means, b.stds = np.array([[0.0], [2.0]]), np.array([0.5, 0.7])
    found = [
        float(histogram.distance(*(masses(law, np.linspace(-6, 6, bins + 1)) for law in (a, b))))
        for bins in (5, 6)
    ]
    assert found[1] < found[0] - 0.05
    # Two boxes: the odds jump, and what is lost is of first order in the width.
    shift = 1 / np.pi
    lost = []
    for bins in (100, 1000):
        edges = np.linspace(0, 2, bins + 1)
        p, q = (np.diff(np.clip(edges - s, 0, 1)) for s in (0.0, shift))
        lost.append(2 * shift * np.log(2) - float(histogram.distance(p, q)))
    assert lost[1] > 3 * lost[0] / 100


# prop-histogram-bias


@pytest.mark.statement("prop-histogram-bias")
@pytest.mark.parametrize("equal", [False, True])
@seeds
def test_the_bias_of_sample_histograms(equal, seed, record_property):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(2 * np.ones(10), size=2)
    p, q = p + 0.02, q + 0.02
    p[0], q[3] = 0.0, 0.0
    p, q = p / p.sum(), (p if equal else q) / (p if equal else q).sum()
    n_a, n_b = (800, 800) if equal else (500, 1500)
    values = 2 * divergences.histogram_jsd(
        rng.multinomial(n_a, p, size=20_000) / n_a, rng.multinomial(n_b, q, size=20_000) / n_b
    )
    measured = values.mean() - float(histogram.distance(p, q))
    predicted = float(histogram.plug_in_bias(p, q, n_a, n_b))
    noise = values.std() / np.sqrt(len(values))
    error = abs(measured / predicted - 1)
    record_property("error", float(error))
    assert error < 4 * noise / predicted + 0.03
    assert predicted > 8 * noise
    both = (p > 0) & (q > 0)
    cells, shared = np.count_nonzero(both), 2 * np.sum((p * q)[both] / (p + q)[both])
    same_size = float(histogram.plug_in_bias(p, q, n_a, n_a)) * 2 * n_a
    assert same_size == pytest.approx(cells - shared, rel=1e-12)
    if equal:
        assert same_size == pytest.approx(cells - 1, rel=1e-12)
    else:  # the value of equal laws is a lower end, not an upper one
        assert cells - 1 + 0.05 < same_size < cells


@pytest.mark.statement("prop-histogram-bias", control=True)
@seeds
def test_with_few_points_per_cell_the_formula_overstates_the_bias(seed):
    rng = np.random.default_rng(seed)
    p = np.full(400, 1 / 400)
    values = 2 * divergences.histogram_jsd(*(rng.multinomial(40, p, size=(2, 500)) / 40))
    assert values.mean() < 0.5 * float(histogram.plug_in_bias(p, p, 40, 40))
