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


def trapped(w):
    """The least value of 2 JSD for mass on the mode of weight w alone."""
    return np.log(2 / (1 + w)) + w * np.log(2 * w / (1 + w)) + (1 - w) * np.log(2)


def on_one_mode(rng, w, *, same, overlap=0.0):
    """2 JSD and KL of p and B = w B₁ + (1 − w) B₂, and KL(p ‖ B₁)."""
    x = np.linspace(0.0, 9.0, 90_001)
    first, second = stats.beta(2, 3), stats.beta(3, 2)
    b1, b2 = first.pdf(x), second.pdf(x - 7.0 + 7.0 * overlap)
    p = b1 if same else stats.beta(*np.exp(0.5 * rng.normal(size=2)) + 1.5).pdf(x)
    b = w * b1 + (1 - w) * b2
    middle = 0.5 * (p + b)

    def kl(u, v):
        return np.trapezoid(special.rel_entr(u, v), x)

    return kl(p, middle) + kl(b, middle), kl(p, b), kl(p, b1)


@pytest.mark.statement("prop-learned-mode")
@weights
@seeds
def test_on_one_mode_the_divergences_are_least_at_that_mode(w, seed, record_property):
    rng = np.random.default_rng(seed)
    jsd, kl, own = on_one_mode(rng, w, same=False)
    at_jsd, at_kl, _ = on_one_mode(rng, w, same=True)
    error = max(abs(at_jsd - trapped(w)), abs(at_kl - np.log(1 / w)), abs(kl - own - np.log(1 / w)))
    record_property("error", error)
    assert error < 1e-6
    assert jsd > trapped(w)
    assert kl > at_kl


@pytest.mark.statement("prop-learned-mode", control=True)
@weights
def test_where_the_modes_overlap_the_values_are_others(w):
    jsd, kl, _ = on_one_mode(np.random.default_rng(0), w, same=True, overlap=1.0)
    assert jsd < trapped(w) - 0.01
    assert kl < np.log(1 / w) - 0.01
