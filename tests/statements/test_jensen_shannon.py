"""Checks of the statements of the chapter "Jensen-Shannon and GANs"."""

import numpy as np
import pytest
from scipy import optimize, special, stats

import lrmf
from lrmf.theory import divergences, gaussian, histogram

SEEDS = range(3)
LOG_4 = np.log(4)

seeds = pytest.mark.parametrize("seed", SEEDS)
dimensions = pytest.mark.parametrize("d", [1, 2])
backends = pytest.mark.parametrize("backend", ["jax", "tfp"])


def grid(d, reach=9.0, points=None):
    """Nodes ``(n, d)`` and the weight of each: the trapezoidal rule for densities that decay."""
    axis = np.linspace(-reach, reach, points or {1: 3001, 2: 241}[d])
    x = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d)
    return x, (axis[1] - axis[0]) ** d


class Law:
    """A mixture of two normal distributions on R^d, or the normal one with its moments."""

    def __init__(self, d, rng, *, gap=1.0, shift=0.0, components=2):
        self.means = shift + gap * rng.normal(size=(components, d))
        self.stds = np.exp(0.25 * rng.normal(size=components) - 0.4)

    def log_density(self, x):
        parts = [
            stats.norm.logpdf(x, mean, std).sum(axis=1)
            for mean, std in zip(self.means, self.stds, strict=True)
        ]
        return special.logsumexp(parts, axis=0) - np.log(len(parts))

    @property
    def moments(self):
        mean = self.means.mean(axis=0)
        centred = self.means - mean
        spread = np.mean(self.stds**2) * np.eye(len(mean))
        return mean, spread + centred.T @ centred / len(centred)


def normal_log_density(x, mean, cov):
    return np.atleast_1d(stats.multivariate_normal(mean, cov).logpdf(x))


def divergence(log_p, log_q, cell):
    return cell * np.sum(np.exp(log_p) * (log_p - log_q))


def twice_jsd(log_a, log_b, cell):
    log_m = np.logaddexp(log_a, log_b) - np.log(2)
    return divergence(log_a, log_m, cell) + divergence(log_b, log_m, cell)


def laws(d, seed, **options):
    rng = np.random.default_rng([d, seed])
    return Law(d, rng, **options), Law(d, rng, shift=1.0, **options)


def value(logit, log_a, log_b, cell):
    """V(D) + log 4 for a discriminator given by its logit."""
    gain_a, gain_b = special.log_expit(logit), special.log_expit(-logit)
    return cell * np.sum(np.exp(log_a) * gain_a + np.exp(log_b) * gain_b) + LOG_4


# Families of normal densities: all of them, and those with unit covariance. Each gives the best
# log-density for a law with these moments, and the distance of two laws in closed form.


def normals(x, mean, cov):
    return normal_log_density(x, mean, cov)


def unit_normals(x, mean, cov):
    return normal_log_density(x, mean, np.eye(len(mean)))


def distance(family, first, second):
    if family is normals:
        return float(gaussian.distance(*first, *second))
    return 0.25 * float(np.sum((first[0] - second[0]) ** 2))


families = pytest.mark.parametrize("family", [normals, unit_normals])


def terms(family, a, b, d, *, share=0.5):
    """2 JSD, KL(A‖M), KL(B‖M), 2 KL(mixture‖M), with a share of A in the last one's mixture."""
    x, cell = grid(d)
    log_a, log_b = a.log_density(x), b.log_density(x)
    log_m = np.logaddexp(log_a + np.log(share), log_b + np.log(1 - share))
    mean = share * a.moments[0] + (1 - share) * b.moments[0]
    gap = a.moments[0] - b.moments[0]
    cov = (
        share * a.moments[1] + (1 - share) * b.moments[1] + share * (1 - share) * np.outer(gap, gap)
    )
    return np.array(
        [
            twice_jsd(log_a, log_b, cell),
            divergence(log_a, family(x, *a.moments), cell),
            divergence(log_b, family(x, *b.moments), cell),
            2 * divergence(log_m, family(x, mean, cov), cell),
        ]
    )


# thm-jsd


@pytest.mark.statement("thm-jsd")
@families
@dimensions
@seeds
def test_the_distance_is_the_sum_of_its_terms(family, d, seed, record_property):
    a, b = laws(d, seed)
    total = terms(family, a, b, d) @ [1, -1, -1, 1]
    error = abs(total - distance(family, a.moments, b.moments))
    record_property("error", float(error))
    assert error < 1e-9
    assert abs(terms(family, a, b, d)[1:]).min() > 1e-4


@pytest.mark.statement("thm-jsd")
@seeds
def test_the_distance_is_the_sum_of_its_terms_for_histograms(seed, record_property):
    # A and B are no histograms: the errors of the family are integrals over the cells.
    a, b = laws(1, seed)
    x, cell = grid(1, points=12 * 2000 + 1)
    x, inside = x[:-1] + cell / 2, np.repeat(np.arange(12), 2000)  # midpoints, cell by cell
    logs = [law.log_density(x) for law in (a, b)]
    logs.append(np.logaddexp(*logs) - np.log(2))
    shares = [np.bincount(inside, np.exp(log) * cell) for log in logs]
    lacks = [
        divergence(log, np.log(share / 1.5)[inside], cell)
        for log, share in zip(logs, shares, strict=True)
    ]
    total = twice_jsd(*logs[:2], cell) - lacks[0] - lacks[1] + 2 * lacks[2]
    p, q = (share / share.sum() for share in shares[:2])
    error = abs(total - float(histogram.distance(p, q)))
    record_property("error", float(error))
    assert error < 1e-7
    assert min(lacks) > 1e-3


@pytest.mark.statement("thm-jsd", control=True)
@families
@dimensions
@seeds
def test_with_a_mixture_of_unequal_weights_the_terms_do_not_add_up(family, d, seed):
    a, b = laws(d, seed)
    total = terms(family, a, b, d, share=0.3) @ [1, -1, -1, 1]
    assert abs(total - distance(family, a.moments, b.moments)) > 1e-3


# cor-jsd-sides


@pytest.mark.statement("cor-jsd-sides")
@families
@dimensions
@seeds
def test_the_errors_of_the_family_bound_the_distance_to_the_divergence(
    family, d, seed, record_property
):
    a, b = laws(d, seed)
    twice, lack_a, lack_b, lack_m = terms(family, a, b, d)
    found = distance(family, a.moments, b.moments)
    error = max(twice - lack_a - lack_b - found, found - twice - lack_m, 0.0)
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("cor-jsd-sides")
@dimensions
@seeds
def test_a_family_that_contains_both_is_at_least_at_the_divergence(d, seed, record_property):
    a, b = laws(d, seed, components=1)
    twice, *lacks, lack_m = terms(normals, a, b, d)
    error = max(abs(lack) for lack in lacks)
    record_property("error", float(error))
    assert error < 1e-9
    assert distance(normals, a.moments, b.moments) == pytest.approx(twice + lack_m, abs=1e-9)
    assert lack_m > 1e-4


@pytest.mark.statement("cor-jsd-sides")
@pytest.mark.parametrize("bins", [4, 12])
@seeds
def test_a_family_that_contains_the_mixture_is_at_most_at_the_divergence(
    bins, seed, record_property
):
    # Histogram densities describe the mixture of two of them; of finer ones they lose something.
    rng = np.random.default_rng(seed)
    fine_p, fine_q = rng.dirichlet(np.ones(12), size=2)
    p, q = (w.reshape(bins, -1).sum(axis=1) for w in (fine_p, fine_q))
    exact = 2 * float(divergences.histogram_jsd(fine_p, fine_q))
    found = float(histogram.distance(p, q))
    error = max(found - exact, 0.0) if bins < 12 else abs(found - exact)
    record_property("error", error)
    assert error < 1e-12
    assert bins == 12 or found < exact - 1e-3


@pytest.mark.statement("cor-jsd-sides", control=True)
@dimensions
def test_a_family_without_the_pair_or_without_its_mixture_is_on_the_other_side(d):
    rng = np.random.default_rng(0)
    a, b = Law(d, rng), Law(d, rng, components=1)
    a.means, b.means = 1.8 * np.array([-np.ones(d), np.ones(d)]), np.zeros((1, d))
    # Not A: below the divergence. Not the mixture: above 2 log 2.
    assert distance(normals, a.moments, b.moments) < terms(normals, a, b, d)[0] - 0.05
    b.means = 7 * np.ones((1, d))
    assert distance(normals, a.moments, b.moments) > 2 * np.log(2) + 0.1


# thm-loss-jsd


def affine_loss(backend, a, b, *, scale, shift, shared, x, cell):
    """The LRMF loss on the line, its expectations by quadrature, from a flow and a density."""
    engine = lrmf.get_backend(backend)
    arrays = {"matrix": np.array([[scale]]), "shift": np.array([shift])}
    flow = engine.flow(lrmf.Affine(), arrays, dtype="float64")
    density = engine.density(lrmf.Gaussian(), gaussian.density_arrays(*shared), dtype="float64")
    image, log_det = flow.forward(x)
    constant = float(gaussian.constant(a.moments[1], b.moments[1]))
    loss = constant - cell * np.exp(a.log_density(x)) @ (log_det + density.log_prob(image))
    return loss - cell * np.exp(b.log_density(x)) @ density.log_prob(x)


def moved_by(law, scale, shift):
    moved = Law(1, np.random.default_rng(0))
    moved.means, moved.stds = scale * law.means + shift, abs(scale) * law.stds
    return moved


@pytest.mark.statement("thm-loss-jsd")
@backends
@seeds
def test_the_loss_of_an_affine_map_is_the_divergence_and_the_misfit(backend, seed, record_property):
    a, b = laws(1, seed)
    rng = np.random.default_rng(seed)
    scale, shift = float(np.exp(0.3 * rng.normal()) * rng.choice([-1, 1])), float(rng.normal())
    shared = 0.5 * rng.normal(size=1), np.exp(rng.normal(size=(1, 1)))
    x, cell = grid(1, reach=12.0)
    loss = affine_loss(backend, a, b, scale=scale, shift=shift, shared=shared, x=x, cell=cell)
    log_moved, log_b = moved_by(a, scale, shift).log_density(x), b.log_density(x)
    log_m = np.logaddexp(log_moved, log_b) - np.log(2)
    _, lack_a, lack_b, _ = terms(normals, a, b, 1)
    misfit = divergence(log_m, normal_log_density(x, *shared), cell)
    expected = twice_jsd(log_moved, log_b, cell) + 2 * misfit - lack_a - lack_b
    error = abs(loss - expected)
    record_property("error", float(error))
    assert error < 1e-8
    assert misfit > 1e-3
    assert min(lack_a, lack_b) > 1e-4


def bent_flow(backend, seed):
    """A RealNVP map far from the identity, in float64."""
    rng = np.random.default_rng([seed, 7])
    spec = lrmf.RealNVP(blocks=2, hidden=(8,))
    arrays = {
        name: x + 0.2 * rng.normal(size=x.shape) / np.sqrt(x.shape[0])
        for name, x in spec.init((2,), rng).items()
    }
    return lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")


def pushed(flow, law, y):
    x, log_det = flow.inverse(y)
    return law.log_density(x) + log_det


@pytest.mark.statement("thm-loss-jsd")
@backends
@seeds
def test_the_loss_of_a_coupling_flow_is_the_divergence_and_the_misfit(
    backend, seed, record_property
):
    a, b = laws(2, seed, gap=0.5)
    flow = bent_flow(backend, seed)
    # The loss by integrals over the source's space, the divergences over the target's.
    x, cell = grid(2, reach=6.0, points=301)
    image, log_det = flow.forward(x)
    assert np.abs(image - x).max() > 0.3

    def log_shared(points):
        return normal_log_density(points, np.array([0.3, 0.2]), 1.5 * np.eye(2))

    entropies = cell * sum(np.exp(log) @ log for log in (a.log_density(x), b.log_density(x)))
    loss = entropies - cell * np.exp(a.log_density(x)) @ (log_det + log_shared(image))
    loss -= cell * np.exp(b.log_density(x)) @ log_shared(x)
    y, cell = grid(2, reach=12.0, points=601)
    log_moved, log_b = pushed(flow, a, y), b.log_density(y)
    assert cell * np.exp(log_moved).sum() == pytest.approx(1.0, abs=1e-3)
    log_m = np.logaddexp(log_moved, log_b) - np.log(2)
    expected = twice_jsd(log_moved, log_b, cell) + 2 * divergence(log_m, log_shared(y), cell)
    error = abs(loss - expected)
    record_property("error", float(error))
    assert error < 3e-3
    assert loss > 0.1


@pytest.mark.statement("thm-loss-jsd", control=True)
def test_a_map_that_is_not_invertible_breaks_it():
    # T(x) = x² takes two points to one, so the entropy changes by log 2 less than log|det| says.
    log_slope = 0.5 * (np.log(2) - np.euler_gamma)  # E log|2x|, x ~ N(0, 1)
    gap = stats.norm.entropy() + log_slope - stats.chi2(1).entropy()
    assert gap == pytest.approx(np.log(2), rel=1e-9)


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


# thm-gan


def best_weights(components, weights):
    """The likeliest mixture of fixed components, by EM, for a law given by weights of nodes."""
    w = np.full(len(components), 1 / len(components))
    for _ in range(2000):
        posterior = w[:, None] * components
        w = (posterior / posterior.sum(axis=0)) @ (weights / weights.sum())
    return w


@pytest.mark.statement("thm-gan")
@families
@seeds
def test_no_discriminator_of_a_family_exceeds_the_divergence(family, seed, record_property):
    a, b = laws(1, seed)
    x, cell = grid(1)
    log_a, log_b = a.log_density(x), b.log_density(x)
    exact, rng = twice_jsd(log_a, log_b, cell), np.random.default_rng(seed)
    found = [value(family(x, *a.moments) - family(x, *b.moments), log_a, log_b, cell)]
    for _ in range(50):
        mean, std = rng.normal(size=2), np.exp(0.5 * rng.normal(size=2))
        first, second = (family(x, mean[[k]], std[k] ** 2 * np.eye(1)) for k in (0, 1))
        found.append(value(first - second, log_a, log_b, cell))
    error = max(max(found) - exact, 0.0)
    record_property("error", float(error))
    assert error < 1e-9
    assert found[0] > 0


@pytest.mark.statement("thm-gan")
@seeds
def test_for_a_convex_family_the_gan_sees_at_least_the_distance(seed, record_property):
    # Mixtures with free weights of five fixed normal densities; A and B are not among them.
    a, b = laws(1, seed)
    x, cell = grid(1, points=601)
    log_a, log_b = a.log_density(x), b.log_density(x)
    components = np.stack([stats.norm.pdf(x[:, 0], c, 0.9) for c in (-3.0, -1.5, 0.0, 1.5, 3.0)])
    best = [best_weights(components, np.exp(log)) @ components for log in (log_a, log_b)]
    shared = best_weights(components, np.exp(log_a) + np.exp(log_b)) @ components
    found = cell * (
        np.exp(log_a) @ np.log(best[0] / shared) + np.exp(log_b) @ np.log(best[1] / shared)
    )
    gan = value(np.log(best[0] / best[1]), log_a, log_b, cell)
    error = max(found - gan, gan - twice_jsd(log_a, log_b, cell), 0.0)
    record_property("error", float(error))
    assert error < 1e-6
    assert found > 1e-3


@pytest.mark.statement("thm-gan")
@dimensions
@seeds
def test_a_family_that_contains_both_has_the_optimal_discriminator(d, seed, record_property):
    a, b = laws(d, seed, components=1)
    x, cell = grid(d)
    log_a, log_b = a.log_density(x), b.log_density(x)
    logit = normals(x, *a.moments) - normals(x, *b.moments)
    gan, exact = value(logit, log_a, log_b, cell), twice_jsd(log_a, log_b, cell)
    error = abs(gan - exact)
    record_property("error", float(error))
    assert error < 1e-9
    assert distance(normals, a.moments, b.moments) > exact + 1e-4


@pytest.mark.statement("thm-gan")
@seeds
def test_for_histograms_distance_and_gan_are_equal(seed, record_property):
    p, q = np.random.default_rng(seed).dirichlet(np.ones(6), size=2)

    def negative(logits):
        return -(p @ special.log_expit(logits) + q @ special.log_expit(-logits))

    best = optimize.minimize(negative, np.zeros(6), tol=1e-12)
    error = abs(LOG_4 - best.fun - float(histogram.distance(p, q)))
    record_property("error", float(error))
    assert error < 1e-8


@pytest.mark.statement("thm-gan", control=True)
def test_without_convexity_the_distance_exceeds_every_discriminator():
    a, b = laws(1, 0, components=1)
    b.means = b.means + 8.0
    assert distance(normals, a.moments, b.moments) > 2 * np.log(2) + 0.5


@pytest.mark.statement("thm-gan", control=True)
def test_convexity_alone_does_not_make_them_equal():
    found, gan = linear_densities((0.85, 0.95), (0.55, 0.65))
    assert gan > found + 0.1


# example-gan-gap


def linear_densities(a, b):
    """Distance and GAN of two uniform laws for the densities 1 − w + 2wx."""
    w = np.linspace(0, 1, 41)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    logs = [
        np.log(1 - w[:, None] + 2 * w[:, None] * (low + (high - low) * (nodes + 1) / 2))
        for low, high in (a, b)
    ]
    on_a, on_b = (log @ weights / 2 for log in logs)
    odds_a, odds_b = (log[:, None] - log[None, :] for log in logs)
    values = special.log_expit(odds_a) @ weights / 2 + special.log_expit(-odds_b) @ weights / 2
    return on_a.max() + on_b.max() - (on_a + on_b).max(), values.max() + LOG_4


@pytest.mark.statement("example-gan-gap")
@pytest.mark.parametrize("a", [(0.85, 0.95), (0.9, 1.0)])
@pytest.mark.parametrize("b", [(0.55, 0.65), (0.5, 0.7)])
def test_a_convex_family_that_sees_nothing_where_its_gan_does(a, b, record_property):
    found, gan = linear_densities(a, b)
    record_property("error", float(found))
    assert found < 1e-12
    assert 0.05 < gan < 2 * np.log(2)


@pytest.mark.statement("example-gan-gap", control=True)
def test_points_in_both_halves_are_told_apart():
    assert linear_densities((0.85, 0.95), (0.05, 0.15))[0] > 0.1


# cor-sandwich


@pytest.mark.statement("cor-sandwich")
@backends
@seeds
def test_discriminators_from_below_and_densities_from_above(backend, seed, record_property):
    a, b = laws(1, seed, components=1)
    rng = np.random.default_rng(seed)
    scale, shift = 1.3, -0.4
    x, cell = grid(1, reach=12.0)
    log_moved, log_b = moved_by(a, scale, shift).log_density(x), b.log_density(x)
    log_m = np.logaddexp(log_moved, log_b) - np.log(2)
    exact, errors = twice_jsd(log_moved, log_b, cell), []
    for _ in range(5):
        logit = rng.normal() + rng.normal() * x[:, 0] + 0.3 * np.sin(x[:, 0])
        best, other = special.expit(log_moved - log_b), special.expit(logit)
        coins = special.rel_entr(best, other) + special.rel_entr(1 - best, 1 - other)
        below = value(logit, log_moved, log_b, cell)
        errors.append(below - (exact - 2 * cell * np.exp(log_m) @ coins))
        assert below < exact
        shared = rng.normal(size=1), np.exp(rng.normal(size=(1, 1)))
        misfit = divergence(log_m, normal_log_density(x, *shared), cell)
        above = affine_loss(backend, a, b, scale=scale, shift=shift, shared=shared, x=x, cell=cell)
        errors.append(above - (exact + 2 * misfit))
        assert above > exact
    error = np.abs(errors).max()
    record_property("error", float(error))
    assert error < 1e-8


@pytest.mark.statement("cor-sandwich", control=True)
def test_with_private_models_that_do_not_fit_the_loss_falls_below_the_divergence():
    rng = np.random.default_rng(0)
    a, b = Law(1, rng), Law(1, rng, components=1)
    a.means, b.means = np.array([[-1.5], [1.5]]), np.zeros((1, 1))
    moments = gaussian.shared_moments(*a.moments, *b.moments)
    x, cell = grid(1)
    loss = affine_loss("jax", a, b, scale=1.0, shift=0.0, shared=moments, x=x, cell=cell)
    assert loss < twice_jsd(a.log_density(x), b.log_density(x), cell) - 0.1


# prop-flow-discriminator


@pytest.mark.statement("prop-flow-discriminator")
@backends
@seeds
def test_the_discriminator_of_a_flow_reaches_the_divergence(backend, seed, record_property):
    a, b = laws(2, seed, gap=0.5)
    flow = bent_flow(backend, seed)
    # Its value by an integral over the source's space, the divergence over the target's.
    x, cell = grid(2, reach=6.0, points=301)
    image, log_det = flow.forward(x)
    gain_a = special.log_expit(a.log_density(x) - log_det - b.log_density(image))
    gain_b = special.log_expit(b.log_density(x) - pushed(flow, a, x))
    found = cell * (np.exp(a.log_density(x)) @ gain_a + np.exp(b.log_density(x)) @ gain_b) + LOG_4
    y, fine = grid(2, reach=12.0, points=601)
    log_moved, log_b = pushed(flow, a, y), b.log_density(y)
    error = abs(found - twice_jsd(log_moved, log_b, fine))
    record_property("error", float(error))
    assert error < 3e-3
    best = value(log_moved - log_b, log_moved, log_b, fine)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        other = log_moved - log_b + 0.3 * np.sin(y @ rng.normal(size=2) + rng.normal())
        assert value(other, log_moved, log_b, fine) < best
    # The classes exchanged, as printed in the paper: twice the divergence less both KL.
    both = divergence(log_moved, log_b, fine) + divergence(log_b, log_moved, fine)
    flipped = value(log_b - log_moved, log_moved, log_b, fine)
    assert flipped == pytest.approx(best - both, abs=1e-6)
    assert flipped <= -0.5 * both + 1e-6


@pytest.mark.statement("prop-flow-discriminator", control=True)
@backends
@seeds
def test_without_the_log_determinant_it_is_not_optimal(backend, seed):
    a, b = laws(2, seed, gap=0.5)
    flow = bent_flow(backend, seed)
    y, cell = grid(2, reach=12.0, points=301)
    x, log_det = flow.inverse(y)
    log_moved, log_b = a.log_density(x) + log_det, b.log_density(y)
    best = value(log_moved - log_b, log_moved, log_b, cell)
    assert value(a.log_density(x) - log_b, log_moved, log_b, cell) < best - 1e-3
