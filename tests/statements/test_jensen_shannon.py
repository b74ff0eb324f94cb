"""Checks of the statements of the chapter "Jensen-Shannon and GANs"."""

import numpy as np
import pytest
from jensen_shannon_cases import (
    Law,
    affine_loss,
    bent_flow,
    distance,
    divergence,
    grid,
    laws,
    moved_by,
    normal_log_density,
    normals,
    pushed,
    terms,
    twice_jsd,
    unit_normals,
)
from scipy import stats

from lrmf.theory import divergences, histogram

SEEDS = range(3)

seeds = pytest.mark.parametrize("seed", SEEDS)
dimensions = pytest.mark.parametrize("d", [1, 2])
backends = pytest.mark.parametrize("backend", ["jax", "tfp"])

families = pytest.mark.parametrize("family", [normals, unit_normals])


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
