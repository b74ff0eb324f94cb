"""Checks of the statements of the chapter "Fitting the map to a learned density"."""

import numpy as np
import pytest
from scipy import special, stats

import lrmf
from lrmf.objectives import alignment_loss, lrmf_loss
from lrmf.theory import divergences, gaussian

SEEDS = range(3)

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", ["jax", "tfp"])
weights = pytest.mark.parametrize("w", [0.5, 0.2, 0.8])


# prop-learned-slice


class Bells:
    """A mixture of two normal distributions on the line."""

    def __init__(self, rng):
        self.means = 2.0 * rng.normal(size=2)
        self.stds = np.exp(0.3 * rng.normal(size=2))

    def log_density(self, x):
        parts = stats.norm.logpdf(np.asarray(x)[..., None], self.means, self.stds)
        return special.logsumexp(parts, axis=-1) - np.log(2)


def bent(x, bend):
    """An increasing map of the line, and the logarithm of its slope."""
    return x + bend * np.arctan(x), np.log1p(bend / (1 + x**2))


def bent_back(y, bend):
    x = y.copy()
    for _ in range(80):  # Newton's method: the slope is between 1 and 1 + bend
        value, log_slope = bent(x, bend)
        x = x - (value - y) * np.exp(-log_slope)
    return x


GRID = np.linspace(-30.0, 30.0, 60_001)


def integral(values):
    return np.trapezoid(values, GRID)


@pytest.mark.statement("prop-learned-slice")
@seeds
@pytest.mark.parametrize("bend", [0.3, 2.0])
def test_the_frozen_loss_is_a_divergence_from_the_moved_source(seed, bend, record_property):
    rng = np.random.default_rng(seed)
    a, learned = Bells(rng), Bells(rng)
    density = np.exp(a.log_density(GRID))
    moved, log_slope = bent(GRID, bend)
    loss = -integral(density * (log_slope + learned.log_density(moved)))
    entropy = -integral(density * a.log_density(GRID))
    # The density of T(A), on a grid of its own.
    origin = bent_back(GRID, bend)
    log_moved = a.log_density(origin) - bent(origin, bend)[1]
    divergence = integral(np.exp(log_moved) * (log_moved - learned.log_density(GRID)))
    error = abs(loss - entropy - divergence)
    record_property("error", error)
    assert error < 1e-8


@pytest.mark.statement("prop-learned-slice")
@seeds
@pytest.mark.parametrize("d", [1, 2, 4])
def test_for_normal_distributions_the_divergence_is_the_closed_form(seed, d, record_property):
    rng = np.random.default_rng([seed, d])
    root_a, root_b, matrix = (np.eye(d) + 0.3 * rng.normal(size=(d, d)) for _ in range(3))
    mean_a, mean_b, shift = rng.normal(size=(3, d))
    cov_a, cov_b = root_a @ root_a.T, root_b @ root_b.T
    mean, cov = matrix @ mean_a + shift, matrix @ cov_a @ matrix.T
    log_det = np.linalg.slogdet(matrix)[1]
    inverse = np.linalg.inv(cov_b)
    gap = mean - mean_b
    loss = -log_det + 0.5 * (
        np.linalg.slogdet(2 * np.pi * cov_b)[1] + np.trace(inverse @ cov) + gap @ inverse @ gap
    )
    entropy = -float(gaussian.max_log_likelihood(cov_a))
    error = abs(loss - entropy - float(divergences.gaussian_kl(mean, cov, mean_b, cov_b)))
    record_property("error", error)
    assert error < 1e-10


@pytest.mark.statement("prop-learned-slice")
@backends
@seeds
@pytest.mark.parametrize("d", [2, 3])
def test_it_is_the_lrmf_loss_with_the_shared_density_held(backend, seed, d, record_property):
    rng = np.random.default_rng([seed, d])
    backend = lrmf.get_backend(backend)
    spec = lrmf.RealNVP(blocks=2, hidden=(8,))

    def arrays():
        start = spec.init((d,), rng)
        return {name: x + 0.3 * rng.normal(size=x.shape) for name, x in start.items()}

    flow = backend.flow(spec, arrays(), dtype="float64")
    of_a, of_b = (backend.density(spec, arrays(), dtype="float64") for _ in range(2))
    a, b = rng.normal(size=(2, 60, d))
    private = [of_a.log_prob(a).mean(), of_b.log_prob(b).mean()]
    held = float(lrmf_loss(flow, of_b, a, b, constant=sum(private)))
    frozen = float(alignment_loss([flow], of_b, [a])) + private[0]
    error = abs(held - frozen)
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("prop-learned-slice")
@seeds
def test_the_gap_to_the_best_shared_model_is_a_divergence(seed, record_property):
    rng = np.random.default_rng(seed)
    p, q = (np.exp(Bells(rng).log_density(GRID)) for _ in range(2))
    middle = 0.5 * (p + q)

    def kl(x, y):
        return integral(special.rel_entr(x, y))

    left = kl(p, q)
    right = kl(p, middle) + kl(q, middle) + 2 * kl(middle, q)
    record_property("error", abs(left - right))
    assert left == pytest.approx(right, abs=1e-9)


@pytest.mark.statement("prop-learned-slice", control=True)
@seeds
def test_without_the_log_determinant_the_entropy_is_no_lower_bound(seed):
    rng = np.random.default_rng(seed)
    law = Bells(rng)
    density = np.exp(law.log_density(GRID))
    entropy = -integral(density * law.log_density(GRID))
    best = GRID[law.log_density(GRID).argmax()]
    shrunk = best + 1e-3 * (GRID - best)
    assert -integral(density * law.log_density(shrunk)) < entropy - 0.1


# thm-learned-convex

TARGETS = {
    "normal": lambda y: stats.norm.logpdf(y).sum(axis=-1),
    "logistic": lambda y: stats.logistic.logpdf(y).sum(axis=-1),
    "Laplace": lambda y: stats.laplace.logpdf(y).sum(axis=-1),
}


def two_bells(y):
    parts = [stats.norm.logpdf(y - c).sum(axis=-1) for c in (-4.0, 4.0)]
    return np.logaddexp(*parts) - np.log(2)


def maps(kind, d, rng):
    """Matrix and shift of a random affine map of a kind."""
    if kind == "positive definite":
        root = rng.normal(size=(d, d))
        matrix = root @ root.T + 0.05 * np.eye(d)
    else:
        matrix = np.tril(rng.normal(size=(d, d)), -1) + np.diag(np.exp(rng.normal(size=d)))
    return matrix, 3.0 * rng.normal(size=d)


def affine_loss(log_density, a, matrix, shift):
    return -np.linalg.slogdet(matrix)[1] - log_density(a @ matrix.T + shift).mean()


def bulge(log_density, kind, d, rng, repeats=20):
    """By how much the loss in the middle of a segment exceeds the mean of its ends, at most."""
    a = rng.normal(size=(200, d)) ** 3
    found = []
    for _ in range(repeats):
        ends = [maps(kind, d, rng) for _ in range(2)]
        t = rng.uniform(0.1, 0.9)
        middle = [t * x + (1 - t) * y for x, y in zip(*ends, strict=True)]
        left, right = (affine_loss(log_density, a, *end) for end in ends)
        found.append(affine_loss(log_density, a, *middle) - t * left - (1 - t) * right)
    return max(found)


@pytest.mark.statement("thm-learned-convex")
@seeds
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["positive definite", "triangular"])
def test_the_loss_is_convex_in_affine_maps_for_a_log_concave_density(kind, target, d, seed):
    rng = np.random.default_rng([seed, d])
    assert bulge(TARGETS[target], kind, d, rng) <= 1e-9


@pytest.mark.statement("thm-learned-convex")
@seeds
@pytest.mark.parametrize("d", [1, 2, 5])
def test_for_a_shift_it_is_a_parabola_and_lrmf_a_logarithm(seed, d, record_property):
    rng = np.random.default_rng([seed, d])
    root = np.eye(d) + 0.3 * rng.normal(size=(d, d))
    cov, mean = root @ root.T, rng.normal(size=d)
    direction = rng.normal(size=d)
    errors = []
    for distance in (0.5, 3.0, 100.0):
        gap = distance * direction
        square = gap @ np.linalg.solve(cov, gap)
        frozen = float(divergences.gaussian_kl(mean + gap, cov, mean, cov))
        shared = float(gaussian.distance(mean + gap, cov, mean, cov))
        errors += [abs(frozen / (0.5 * square) - 1), abs(shared / np.log1p(0.25 * square) - 1)]
    record_property("error", max(errors))
    assert max(errors) < 1e-6


@pytest.mark.statement("thm-learned-convex")
@seeds
@pytest.mark.parametrize("d", [1, 2, 4])
def test_for_a_normal_density_the_monge_map_is_stationary(seed, d, record_property):
    rng = np.random.default_rng([seed, d])
    root_a, root_b = (np.eye(d) + 0.3 * rng.normal(size=(d, d)) for _ in range(2))
    a = rng.normal(size=(500, d)) @ root_a.T
    mean, cov = rng.normal(size=d), root_b @ root_b.T
    matrix, shift = gaussian.monge_map(
        a.mean(axis=0), np.cov(a.T, bias=True).reshape(d, d), mean, cov
    )
    matrix = np.asarray(matrix)
    y = a @ matrix.T + np.asarray(shift) - mean
    slopes = np.linalg.solve(cov, y.T).T
    gradient = slopes.T @ a / len(a) - np.linalg.inv(matrix).T
    error = max(np.abs(0.5 * (gradient + gradient.T)).max(), np.abs(slopes.mean(axis=0)).max())
    record_property("error", error)
    assert error < 1e-10


@pytest.mark.statement("thm-learned-convex", control=True)
@pytest.mark.parametrize("d", [1, 3])
def test_for_a_density_with_two_modes_it_is_not_convex(d):
    a = np.random.default_rng(d).normal(size=(200, d))
    ends, middle = (
        [affine_loss(two_bells, a, np.eye(d), c * np.ones(d)) for c in shifts]
        for shifts in ([-4.0, 4.0], [0.0])
    )
    assert middle[0] > np.mean(ends) + 1.0


# prop-learned-silent


def smooth_step(t):
    """Zero below 0, one above 1, smooth."""
    up, down = (np.exp(-1 / np.maximum(s, 1e-9)) for s in (t, 1 - t))
    return up / (up + down)


def rewritten(x, slope, eta, left):
    """The proposition's density: N(0, 1), but proportional to exp(slope x) from left to left + 2.

    It is changed within 1 of there.
    """
    cut = smooth_step(x - left + 1) * smooth_step(left + 3 - x)
    values = (1 - cut) * stats.norm.pdf(x) + eta * cut * np.exp(slope * (x - left - 1))
    return values / np.trapezoid(values, x)


LINE = np.linspace(-12.0, 12.0, 240_001)


@pytest.mark.statement("prop-learned-silent")
@pytest.mark.parametrize("slope", [-5.0, -0.5, 0.0, 2.0])
@pytest.mark.parametrize("eta", [1e-2, 1e-4, 1e-8])
def test_any_slope_elsewhere_costs_almost_no_likelihood(slope, eta, record_property):
    density = rewritten(LINE, slope, eta, 3.0)
    on_b = np.abs(LINE) <= 1
    lost = np.mean(stats.norm.logpdf(LINE[on_b]) - np.log(density[on_b]))
    # At most eta times the integral of the new part.
    assert lost <= eta * np.trapezoid(np.exp(np.abs(slope) * np.linspace(-2, 2)), dx=4 / 49)
    on_k = (LINE >= 3.001) & (LINE <= 4.999)
    error = np.abs(np.gradient(np.log(density), LINE)[on_k] - slope).max()
    record_property("error", error)
    assert error < 1e-3


@pytest.mark.statement("prop-learned-silent", control=True)
@pytest.mark.parametrize("slope", [-5.0, 2.0])
def test_where_b_has_points_another_slope_costs_likelihood(slope):
    density = rewritten(LINE, slope, 1e-4, 0.0)
    gain = stats.norm.logpdf(LINE) - np.log(density)
    assert np.trapezoid(stats.norm.pdf(LINE) * gain, LINE) > 0.5


# prop-learned-mode


LONG = np.linspace(-8.0, 12.0, 200_001)


def trapped(w):
    """The least value of 2 JSD for mass in a region that holds a share w of B."""
    return np.log(2 / (1 + w)) + w * np.log(2 * w / (1 + w)) + (1 - w) * np.log(2)


def noisy_modes(rng, w, apart):
    """Two bells that overlap, a region with about a share w of them, and a density in it."""
    b = sum(share * stats.norm.pdf(LONG, at) for share, at in ((0.4, 0.0), (0.6, apart)))
    b = b / np.trapezoid(b, LONG)
    region = np.cumsum(b) * (LONG[1] - LONG[0]) < w
    wiggle = np.exp(np.sin(rng.uniform(0.5, 2.0) * LONG + rng.uniform(0.0, 6.0)))
    p = np.where(region, b * wiggle, 0.0)
    return b, region, p / np.trapezoid(p, LONG)


def both_divergences(p, b):
    middle = 0.5 * (p + b)
    jsd = np.trapezoid(special.rel_entr(p, middle) + special.rel_entr(b, middle), LONG)
    return jsd, np.trapezoid(special.rel_entr(p, b), LONG)


@pytest.mark.statement("prop-learned-mode")
@weights
@seeds
@pytest.mark.parametrize("apart", [1.0, 4.0])
def test_in_a_region_both_divergences_are_least_at_what_b_has_there(
    w, seed, apart, record_property
):
    b, region, p = noisy_modes(np.random.default_rng(seed), w, apart)
    w = np.trapezoid(np.where(region, b, 0.0), LONG)
    there = np.where(region, b / w, 0.0)
    (jsd, kl), (at_jsd, at_kl) = (both_divergences(x, b) for x in (p, there))
    own = np.trapezoid(special.rel_entr(p, there), LONG)
    error = max(abs(at_jsd - trapped(w)), abs(at_kl - np.log(1 / w)), abs(kl - own - np.log(1 / w)))
    record_property("error", error)
    assert error < 1e-9
    assert jsd > trapped(w) + 0.005
    assert kl > at_kl + 0.005


def with_a_share_elsewhere(w, share, *, gap):
    """2 JSD and KL of B's first mode, but for a share in the gap or on the other mode."""
    first, second, between = (stats.beta(3, 3, loc=at).pdf(LONG) for at in (0.0, 7.0, 3.0))
    p = (1 - share) * first + share * (between if gap else second)
    return both_divergences(p, w * first + (1 - w) * second)


@pytest.mark.statement("prop-learned-mode")
@weights
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_share_in_the_gap_costs_by_either_loss(w, share):
    jsd, kl = with_a_share_elsewhere(w, share, gap=True)
    assert np.isinf(kl)
    assert jsd > trapped(w) + share * np.log(1 + w) - 1e-6


@pytest.mark.statement("prop-learned-mode", control=True)
@weights
def test_a_share_on_the_other_mode_gains(w):
    jsd, kl = with_a_share_elsewhere(w, 0.01, gap=False)
    assert jsd < trapped(w) - 0.005
    assert kl < np.log(1 / w) - 0.005


@pytest.mark.statement("prop-learned-mode", control=True)
@weights
def test_a_mode_that_reaches_into_the_other_is_no_region(w):
    first, second = stats.norm.pdf(LONG), stats.norm.pdf(LONG, 1.0)
    jsd, kl = both_divergences(first, w * first + (1 - w) * second)
    assert jsd < trapped(w) - 0.05
    assert kl < np.log(1 / w) - 0.05
