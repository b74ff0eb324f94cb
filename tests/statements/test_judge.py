"""Checks of "A judge and its controls"."""

import itertools

import numpy as np
import pytest
from judge_cases import entropy, laws, twice_jsd
from scipy import special

from lrmf.judge import lrd
from lrmf.judge.controls import coin_distance
from lrmf.judge.cross_fitting import distance

seeds = pytest.mark.parametrize("seed", range(5))
LOG_2 = np.log(2.0)


def j(c, a, b):
    return 2.0 * LOG_2 + a @ np.log(c) + b @ np.log1p(-c)


# thm-judge-bound


@pytest.mark.statement("thm-judge-bound")
@seeds
def test_a_classifier_falls_short_by_its_divergence_from_the_posterior(seed, record_property):
    a, b, w = laws(seed)
    m = (a + b) / 2.0
    rng = np.random.default_rng(seed)
    errors = [abs(j(w, a, b) - twice_jsd(a, b))]
    for _ in range(20):
        c = rng.uniform(0.01, 0.99, size=len(a))
        missed = special.rel_entr(w, c) + special.rel_entr(1.0 - w, 1.0 - c)
        errors.append(abs(j(c, a, b) - (twice_jsd(a, b) - 2.0 * m @ missed)))
        assert j(c, a, b) < twice_jsd(a, b)
    record_property("error", max(errors))
    assert max(errors) < 1e-12


def learned(seed, a, b, *, apart, n=40, repeats=2000):
    """Mean and error of J on a sample, by frequencies learned on another one or on the same."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(repeats):
        train = [rng.choice(len(p), size=n, p=p) for p in (a, b)]
        test = [rng.choice(len(p), size=n, p=p) for p in (a, b)] if apart else train
        counts = [np.bincount(x, minlength=len(a)) + 0.5 for x in train]
        logit = np.log(counts[0] / counts[1])[np.concatenate(test)]
        values.append(distance(logit, np.arange(2 * n) < n, np.ones(2 * n))[0])
    return np.mean(values), np.std(values) / np.sqrt(repeats)


@pytest.mark.statement("thm-judge-bound")
@pytest.mark.parametrize("seed", range(3))
def test_held_out_no_learned_classifier_exceeds_it_on_average(seed):
    a, b, _ = laws(seed)
    mean, error = learned(seed, a, b, apart=True)
    assert mean < twice_jsd(a, b) + 3.0 * error


@pytest.mark.statement("thm-judge-bound", control=True)
@pytest.mark.parametrize("seed", range(3))
def test_on_points_that_it_learned_from_it_exceeds_it(seed):
    a, b, _ = laws(seed)
    mean, error = learned(seed, a, b, apart=False)
    assert mean > twice_jsd(a, b) + 10.0 * error


# thm-judge-positions


def with_posterior(w, n=4):
    """The expected J of a classifier that has seen all positions and the other points' sides."""
    positions = list(range(n))
    total, chance = 0.0, 0.0
    for sides in itertools.product((1, 0), repeat=n):
        p = np.prod([w[x] if s else 1.0 - w[x] for x, s in zip(positions, sides, strict=True)])
        for i in positions:
            others = [s for x, s in enumerate(sides) if x != i]
            c = (0.3 * np.mean(w) * n + sum(others) + 0.2 * i) / (n + 1.0)
            total += p * (LOG_2 + np.log(c if sides[i] else 1.0 - c)) * 2.0 / n
        chance += p
    return total / chance


@pytest.mark.statement("thm-judge-positions")
@seeds
def test_a_classifier_may_know_all_positions_and_the_other_sides(seed, record_property):
    w = np.random.default_rng(seed).uniform(0.05, 0.95, size=4)
    bound = 2.0 * np.mean(LOG_2 - entropy(w))
    record_property("error", max(0.0, with_posterior(w) - bound))
    assert with_posterior(w) <= bound + 1e-12


@pytest.mark.statement("thm-judge-positions", control=True)
def test_it_may_not_know_the_side_that_it_judges():
    # A classifier that says 0.9 for the side it has been told, where nothing can be told.
    assert 2.0 * (LOG_2 + np.log(0.9)) > 0.0


# def-tilts, prop-tilts


def tilted_distance(tilts, a, b):
    """The likelihood-ratio distance of the family of tilts, by its definition."""
    m = (a + b) / 2.0
    log_densities = np.log(2.0 * np.array(tilts) * m)
    for_a, for_b = log_densities @ a, log_densities @ b
    return for_a.max() + for_b.max() - (for_a + for_b).max()


def tilts_of(seed, a, b, *, neutral=True, count=6):
    m, rng = (a + b) / 2.0, np.random.default_rng(seed)
    found = [np.full(len(a), 0.5)] if neutral else []
    for _ in range(count):
        c = rng.uniform(0.05, 0.95, size=len(a))
        # Half of the mixture: a tilt is a density.
        c = c * 0.5 / (m @ c) if m @ c > 0.5 else 1.0 - (1.0 - c) * 0.5 / (1.0 - m @ c)
        found += [c, 1.0 - c]
    return found


@pytest.mark.statement("def-tilts")
@seeds
def test_tilts_are_densities_and_hold_both_sides_and_the_mixture(seed, record_property):
    a, b, w = laws(seed)
    m = (a + b) / 2.0
    errors = [abs(2.0 * c @ m - 1.0) for c in tilts_of(seed, a, b)]
    errors += [np.abs(2.0 * w * m - a).max(), np.abs(2.0 * (1.0 - w) * m - b).max()]
    record_property("error", max(errors))
    assert max(errors) < 1e-12


@pytest.mark.statement("def-tilts", control=True)
def test_a_function_of_another_mean_makes_no_density():
    a, b, w = laws(0)
    assert abs(2.0 * w**2 @ ((a + b) / 2.0) - 1.0) > 0.01


@pytest.mark.statement("prop-tilts")
@seeds
def test_the_distance_of_tilts_lies_between_a_classifier_and_the_divergence(seed):
    a, b, w = laws(seed)
    tilts = tilts_of(seed, a, b)
    found = tilted_distance(tilts, a, b)
    assert max(j(c, a, b) for c in tilts) <= found + 1e-12
    assert found <= twice_jsd(a, b) + 1e-12
    best = tilted_distance([*tilts, w, 1.0 - w], a, b)
    assert best == pytest.approx(twice_jsd(a, b), abs=1e-12)


@pytest.mark.statement("prop-tilts", control=True)
def test_without_the_mixture_in_the_family_the_divergence_is_no_bound():
    a, b, w = laws(0)
    assert tilted_distance([w, 1.0 - w], a, b) > twice_jsd(a, b) + 0.1


# lem-slope


@pytest.mark.statement("lem-slope")
@seeds
def test_j_is_concave_in_the_slope_and_starts_at_zero(seed, record_property):
    a, b, _ = laws(seed)
    f = np.random.default_rng(seed).normal(size=len(a))
    f = f if (a - b) @ f > 0 else -f
    slopes = np.linspace(0.0, 3.0, 61)
    values = np.array([j(special.expit(s * f), a, b) for s in slopes])
    assert abs(values[0]) < 1e-12
    assert (np.diff(values, 2) < 0.0).all()
    assert values.max() > 0.0
    step = 1e-5
    error = abs(j(special.expit(step * f), a, b) / step - 0.5 * (a - b) @ f)
    record_property("error", error)
    assert error < 1e-4
    assert (np.array([j(special.expit(-s * f), a, b) for s in slopes[1:]]) < 0.0).all()


@pytest.mark.statement("lem-slope", control=True)
def test_at_slope_one_a_classifier_that_knows_something_can_be_worse_than_none():
    a, b, w = laws(0)
    f = 8.0 * special.logit(w)
    assert (a - b) @ f > 0.0
    assert j(special.expit(f), a, b) < 0.0


# prop-coin


@pytest.mark.statement("prop-coin")
@seeds
def test_a_coin_s_distance_is_its_entropy_s(seed, record_property):
    p, _, _ = laws(seed)
    r = np.random.default_rng(seed).uniform(size=len(p))
    share = p @ r
    a, b = r * p / share, (1.0 - r) * p / (1.0 - share)
    m, w = (a + b) / 2.0, a / (a + b)
    exact = twice_jsd(a, b)
    found = 2.0 * m @ (LOG_2 - entropy(w))
    odds = (r / share) / ((1.0 - r) / (1.0 - share))
    error = max(
        abs(found - exact),
        abs(coin_distance(r, p) - exact),
        np.abs(w / (1.0 - w) / odds - 1.0).max(),
    )
    record_property("error", error)
    assert error < 1e-10


@pytest.mark.statement("prop-coin", control=True)
def test_with_unequal_sizes_the_pooled_points_are_not_the_mixture():
    p, _, _ = laws(0)
    r = 0.2 * np.random.default_rng(0).uniform(size=len(p))
    assert abs(2.0 * p @ (LOG_2 - entropy(r)) - coin_distance(r, p)) > 0.1


# prop-no-judge


def stripes(cells, n, seed):
    """Uniform points of both sides, each in cells of its own, which a coin chose."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=8 * n)
    side = np.random.default_rng(seed + 1).integers(0, 2, size=cells, dtype=np.int8)[
        (x * cells).astype(int)
    ]
    return x[side == 1][:n, None], x[side == 0][:n, None]


@pytest.mark.statement("prop-no-judge")
@seeds
def test_sides_of_points_in_different_cells_are_fair_coins(seed, record_property):
    # All patterns of sides of n points, over all ways in which the coin could choose.
    cells, n, rng = 10, 4, np.random.default_rng(seed)
    points = rng.choice(cells, size=n, replace=False)
    patterns = np.array(list(itertools.product((0, 1), repeat=cells)))[:, points]
    counts = np.unique(patterns, axis=0, return_counts=True)[1]
    error = np.abs(counts / counts.sum() - 2.0**-n).max()
    record_property("error", error)
    assert error < 1e-12
    drawn = rng.integers(0, cells, size=(20_000, n))
    shared = np.mean([len(set(row)) < n for row in drawn])
    assert shared <= n * (n - 1) / 2 / cells


@pytest.mark.statement("prop-no-judge")
def test_disjoint_sides_in_fine_cells_measure_zero():
    found = lrd(*stripes(10**8, 1000, 0), controls=False)
    assert abs(found.lrd) < 0.01


@pytest.mark.statement("prop-no-judge", control=True)
def test_disjoint_sides_in_coarse_cells_do_not():
    assert lrd(*stripes(8, 1000, 0), controls=False).lrd > 1.0
