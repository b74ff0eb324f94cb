"""Checks of "Many domains"."""

import numpy as np
import pytest
from scipy import special, stats

from lrmf.theory import divergences

seeds = pytest.mark.parametrize("seed", range(5))
domains = pytest.mark.parametrize("k", [2, 3, 5])
GRID = np.linspace(-40.0, 40.0, 16_001)
STEP = GRID[1] - GRID[0]


def integral(values):
    return float(values.sum() * STEP)


def relative(p, q):
    """p log(p/q), where p has not all but underflown."""
    return np.where(p > 1e-290, special.rel_entr(p, q), 0.0)


def problem(seed, k):
    """Normal laws of k domains, an affine map x -> s x + m of each, and the laws of the images."""
    rng = np.random.default_rng([seed, k])
    means, scales = rng.uniform(-2.0, 2.0, size=k), rng.uniform(0.5, 1.5, size=k)
    slopes, shifts = rng.uniform(0.5, 2.0, size=k), rng.uniform(-1.0, 1.0, size=k)
    laws = [stats.norm(m, s) for m, s in zip(means, scales, strict=True)]
    moved = zip(slopes, shifts, means, scales, strict=True)
    images = [stats.norm(a * m + b, a * s) for a, b, m, s in moved]
    return laws, slopes, shifts, images


def generalised_jsd(densities, weights=None):
    middle = np.average(densities, axis=0, weights=weights)
    return np.average([integral(relative(p, middle)) for p in densities], weights=weights)


def loss(laws, slopes, shifts, log_q):
    """The objective with its constant, integrated in each domain's own coordinates."""
    total = 0.0
    for law, slope, shift in zip(laws, slopes, shifts, strict=True):
        p = law.pdf(GRID)
        total += -np.log(slope) - integral(p * log_q(slope * GRID + shift)) - law.entropy()
    return total


def log_mixture(laws):
    return lambda x: special.logsumexp([p.logpdf(x) for p in laws], axis=0) - np.log(len(laws))


# prop-md-bound


@pytest.mark.statement("prop-md-bound")
@seeds
@domains
def test_the_loss_is_the_divergence_plus_what_the_shared_density_misses(seed, k, record_property):
    laws, slopes, shifts, images = problem(seed, k)
    densities = [p.pdf(GRID) for p in images]
    middle, distance = np.mean(densities, axis=0), k * generalised_jsd(densities)
    errors = []
    for q in (stats.norm(0.0, 3.0), stats.norm(-1.0, 2.0), stats.logistic(0.5, 1.5)):
        missed = k * integral(relative(middle, q.pdf(GRID)))
        found = loss(laws, slopes, shifts, q.logpdf)
        errors.append(abs(found - distance - missed))
        assert found >= distance
    tight = loss(laws, slopes, shifts, log_mixture(images))
    errors.append(abs(tight - distance))
    record_property("error", max(errors))
    assert max(errors) < 1e-8


@pytest.mark.statement("prop-md-bound", control=True)
@seeds
def test_without_the_log_determinants_it_is_no_bound(seed):
    laws, slopes, shifts, images = problem(seed, 3)
    slopes = 0.2 * slopes  # images that have been made small
    images = [
        stats.norm(a * p.mean() + b, a * p.std())
        for a, b, p in zip(slopes, shifts, laws, strict=True)
    ]
    distance = 3 * generalised_jsd([p.pdf(GRID) for p in images])
    q = log_mixture(images)
    found = loss(laws, slopes, shifts, q) + np.log(slopes).sum()
    assert found < distance - 0.1


# prop-md-range


@pytest.mark.statement("prop-md-range")
@seeds
@domains
def test_the_distance_is_between_zero_and_k_log_k(seed, k, record_property):
    *_, images = problem(seed, k)
    found = k * generalised_jsd([p.pdf(GRID) for p in images])
    assert 0.0 <= found <= k * np.log(k)
    apart = [stats.norm(6.0 * j - 12.0, 0.4).pdf(GRID) for j in range(k)]
    error = abs(k * generalised_jsd(apart) - k * np.log(k))
    record_property("error", error)
    assert error < 1e-8
    assert k * generalised_jsd([images[0].pdf(GRID)] * k) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.statement("prop-md-range")
@seeds
def test_for_two_domains_it_is_twice_the_jensen_shannon_divergence(seed, record_property):
    *_, (p, q) = problem(seed, 2)
    expected = 2.0 * divergences.jsd(p.logpdf, q.logpdf, support=(-40.0, 40.0))
    found = 2.0 * generalised_jsd([p.pdf(GRID), q.pdf(GRID)])
    record_property("error", abs(found - expected))
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.statement("prop-md-range", control=True)
@seeds
@domains
def test_domains_that_do_not_count_alike_stay_below_it(seed, k):
    # With other weights laws that are apart have k times the weights' entropy.
    weights = np.random.default_rng(seed).dirichlet(np.full(k, 0.5))
    apart = [stats.norm(6.0 * j - 12.0, 0.4).pdf(GRID) for j in range(k)]
    found = k * generalised_jsd(apart, weights)
    assert found == pytest.approx(k * stats.entropy(weights), abs=1e-6)
    assert found < k * np.log(k) - 1e-3


# thm-md-adversary


def accuracy(chosen, densities):
    """The balanced accuracy of an adversary that says `chosen` (an index) at each point."""
    return np.mean([integral(p * (chosen == j)) for j, p in enumerate(densities)])


def total_variation(p, q):
    return 0.5 * integral(np.abs(p - q))


@pytest.mark.statement("thm-md-adversary")
@seeds
@domains
def test_no_adversary_beats_the_largest_density(seed, k, record_property):
    *_, images = problem(seed, k)
    densities = np.array([p.pdf(GRID) for p in images])
    bound = integral(densities.max(axis=0)) / k
    best = accuracy(densities.argmax(axis=0), densities)
    errors = [abs(best - bound)]
    rng = np.random.default_rng(seed)
    for _ in range(50):
        edges = np.sort(rng.uniform(-5.0, 5.0, size=8))
        adversary = rng.integers(k, size=9)[np.searchsorted(edges, GRID)]
        assert accuracy(adversary, densities) <= bound + 1e-12
    if k == 2:
        errors.append(abs(bound - 0.5 * (1.0 + total_variation(*densities))))
    record_property("error", max(errors))
    assert max(errors) < 1e-9


@pytest.mark.statement("thm-md-adversary")
@seeds
@domains
def test_the_loss_bounds_every_adversary(seed, k):
    laws, slopes, shifts, images = problem(seed, k)
    densities = np.array([p.pdf(GRID) for p in images])
    best = integral(densities.max(axis=0)) / k
    middle = (1.0 + sum(total_variation(p, densities.mean(axis=0)) for p in densities)) / k
    assert best <= middle + 1e-12
    for q in (stats.norm(0.0, 3.0).logpdf, log_mixture(images)):
        assert middle <= 1.0 / k + np.sqrt(loss(laws, slopes, shifts, q) / (2.0 * k))


def with_estimates(seed):
    """The best accuracy, and the bound from estimated densities without and with their errors."""
    *_, images = problem(seed, 2)
    densities = [p.pdf(GRID) for p in images]
    # Estimates that have been drawn towards each other, as those of one small family are.
    centre, spread = np.mean([p.mean() for p in images]), np.mean([p.std() for p in images])
    estimates = [
        stats.norm(0.5 * (p.mean() + centre), 0.5 * (p.std() + spread)).pdf(GRID) for p in images
    ]
    best = 0.5 * (1.0 + total_variation(*densities))
    plain = 0.5 * (1.0 + total_variation(*estimates))
    errors = [total_variation(p, q) for p, q in zip(densities, estimates, strict=True)]
    return best, plain, plain + 0.5 * sum(errors)


@pytest.mark.statement("thm-md-adversary")
@seeds
def test_estimated_densities_need_the_room_of_their_errors(seed):
    best, _, repaired = with_estimates(seed)
    assert best <= repaired + 1e-12


@pytest.mark.statement("thm-md-adversary", control=True)
@seeds
def test_without_it_the_bound_is_broken(seed):
    best, plain, _ = with_estimates(seed)
    assert best > plain + 0.01
