"""Checks of the chapter "Distances: critics and kernels": what critics can tell."""

import numpy as np
import pytest
from scipy import optimize, stats

from lrmf.theory import divergences

SEEDS = range(3)
seeds = pytest.mark.parametrize("seed", SEEDS)

#: name -> f, f(0), f'(∞), its derivative, its conjugate, where the conjugate is finite.
DIVERGENCES = {
    "kl": (
        lambda t: t * np.log(t),
        (0.0, np.inf),
        lambda t: 1 + np.log(t),
        lambda s: np.exp(s - 1),
        (-np.inf, np.inf),
    ),
    "reverse kl": (
        lambda t: -np.log(t),
        (np.inf, 0.0),
        lambda t: -1 / t,
        lambda s: -1 - np.log(-s),
        (-np.inf, 0.0),
    ),
    "jsd": (
        lambda t: 0.5 * t * np.log(t) - 0.5 * (t + 1) * np.log((t + 1) / 2),
        (0.5 * np.log(2), 0.5 * np.log(2)),
        lambda t: 0.5 * np.log(2 * t / (t + 1)),
        lambda s: -0.5 * np.log(2 - np.exp(2 * s)),
        (-np.inf, 0.5 * np.log(2)),
    ),
    "tv": (
        lambda t: 0.5 * np.abs(t - 1),
        (0.5, 0.5),
        lambda t: 0.5 * np.sign(t - 1),
        lambda s: np.maximum(s, -0.5),
        (-np.inf, 0.5),
    ),
    "chi2": (
        lambda t: (t - 1) ** 2,
        (1.0, np.inf),
        lambda t: 2 * (t - 1),
        lambda s: s + s**2 / 4,
        (-2.0, np.inf),
    ),
}
divergence_names = pytest.mark.parametrize("name", DIVERGENCES)


def f_divergence(f, ends, p, q):
    """The definition in the text, for probabilities of finitely many points."""
    at_zero, slope = ends
    total = 0.0
    for a, b in zip(p, q, strict=True):
        if b > 0:
            total += b * (f(a / b) if a > 0 else at_zero)
        elif a > 0:
            total += slope * a
    return total


def histograms(seed, bins=8):
    rng = np.random.default_rng([seed, bins])
    return rng.dirichlet(np.ones(bins), size=2)


# def-f-divergence


@pytest.mark.statement("def-f-divergence")
@seeds
@divergence_names
def test_the_usual_divergences_are_f_divergences(name, seed, record_property):
    f, ends, *_ = DIVERGENCES[name]
    # One point without mass, on the side where the divergence stays finite.
    p, q = (np.append(z, 0.0) for z in histograms(seed))
    filled = q if name in ("kl", "chi2") else p
    filled[-2:] = filled[-2] / 2
    expected = {
        "kl": lambda: divergences.histogram_kl(p, q),
        "reverse kl": lambda: divergences.histogram_kl(q, p),
        "jsd": lambda: divergences.histogram_jsd(p, q),
        "tv": lambda: divergences.histogram_total_variation(p, q),
        "chi2": lambda: ((p - q) ** 2 / q).sum(),
    }[name]()
    found = f_divergence(f, ends, p, q)
    error = abs(found - float(expected))
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("def-f-divergence", control=True)
@seeds
def test_without_the_last_term_mass_outside_goes_unnoticed(seed):
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.0, 0.5])
    f, (at_zero, slope), *_ = DIVERGENCES["tv"]
    assert f_divergence(f, (at_zero, slope), p, q) == pytest.approx(0.5)
    assert f_divergence(f, (at_zero, 0.0), p, q) == pytest.approx(0.25)


# prop-f-properties


@pytest.mark.statement("prop-f-properties")
@seeds
@divergence_names
def test_sign_invariance_and_largest_value(name, seed, record_property):
    f, ends, *_ = DIVERGENCES[name]
    p, q = histograms(seed)
    value = f_divergence(f, ends, p, q)
    assert value > 1e-3
    assert value <= sum(ends)
    order = np.random.default_rng(seed).permutation(len(p))
    moved = f_divergence(f, ends, p[order], q[order])
    errors = [abs(moved - value), abs(f_divergence(f, ends, p, p))]
    half = len(p) // 2
    apart = [
        np.where(keep, z, 0.0) for z, keep in ((p, np.arange(8) < half), (q, np.arange(8) >= half))
    ]
    apart = f_divergence(f, ends, *(z / z.sum() for z in apart))
    if np.isfinite(sum(ends)):
        errors.append(abs(apart - sum(ends)))
    else:
        assert apart == np.inf
    record_property("error", float(max(errors)))
    assert max(errors) < 1e-12


@pytest.mark.statement("prop-f-properties")
@seeds
def test_a_diffeomorphism_keeps_the_jsd_of_densities(seed, record_property):
    shift = 0.5 + seed
    before = divergences.jsd(stats.norm(0, 1).logpdf, stats.norm(shift, 1.5).logpdf)
    after = divergences.jsd(
        stats.lognorm(1.0).logpdf,
        stats.lognorm(1.5, scale=np.exp(shift)).logpdf,
        support=(0.0, np.inf),
        breakpoints=[0.01, 0.1, 1.0, 10.0, 100.0, 1e4],
    )
    record_property("error", abs(after - before))
    assert abs(after - before) < 1e-8


@pytest.mark.statement("prop-f-properties", control=True)
@seeds
def test_a_map_that_is_not_one_to_one_loses_divergence(seed):
    p, q = histograms(seed)
    folded = [z.reshape(-1, 2).sum(axis=1) for z in (p, q)]
    for f, ends, *_ in (DIVERGENCES["kl"], DIVERGENCES["jsd"]):
        assert f_divergence(f, ends, *folded) < f_divergence(f, ends, p, q) - 1e-3


@pytest.mark.statement("prop-f-properties", control=True)
@seeds
def test_a_function_that_is_not_convex_gives_negative_values(seed):
    p, q = histograms(seed)
    assert f_divergence(lambda t: t - t**2, (0.0, -np.inf), p, q) < -1e-3


# thm-f-variational


@pytest.mark.statement("thm-f-variational")
@seeds
@divergence_names
def test_every_critic_is_below_and_the_best_attains(name, seed, record_property):
    f, ends, derivative, conjugate, (low, high) = DIVERGENCES[name]
    p, q = histograms(seed)
    value = f_divergence(f, ends, p, q)
    best = derivative(p / q)
    error = abs(p @ best - q @ conjugate(best) - value)
    record_property("error", float(error))
    assert error < 1e-12
    rng = np.random.default_rng(seed)
    for size in (0.01, 0.1, 1.0):
        for _ in range(20):
            g = np.clip(best + size * rng.normal(size=len(p)), low + 1e-3, high - 1e-3)
            assert p @ g - q @ conjugate(g) <= value + 1e-12


@pytest.mark.statement("thm-f-variational")
@divergence_names
def test_the_conjugates_of_the_table_are_suprema(name, record_property):
    f, _, derivative, conjugate, (low, high) = DIVERGENCES[name]
    t = np.geomspace(1e-6, 1e6, 400_001)
    errors = []
    for ratio in (0.2, 0.7, 1.5, 4.0):
        s = derivative(ratio)
        assert low <= s <= high
        errors.append(abs((s * t - f(t)).max() - conjugate(s)))
    record_property("error", float(max(errors)))
    assert max(errors) < 1e-5


@pytest.mark.statement("thm-f-variational", control=True)
@seeds
@divergence_names
def test_without_the_conjugate_the_bound_breaks(name, seed):
    f, ends, derivative, *_ = DIVERGENCES[name]
    p, q = histograms(seed)
    best = 3 * derivative(p / q)
    assert p @ best - q @ best > f_divergence(f, ends, p, q) + 1e-3


# def-ipm


def metric(functions, p, q):
    return max(float(g @ p - g @ q) for g in functions)


@pytest.mark.statement("def-ipm")
@seeds
def test_an_integral_probability_metric_is_a_pseudometric(seed, record_property):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(20, 8))
    functions = np.concatenate([half, -half])
    p, q, r = rng.dirichlet(np.ones(8), size=3)
    error = abs(metric(functions, p, q) - metric(functions, q, p))
    record_property("error", error)
    assert error < 1e-15
    assert metric(functions, p, p) == 0
    assert metric(functions, p, q) > 0
    assert metric(functions, p, r) <= metric(functions, p, q) + metric(functions, q, r) + 1e-15


@pytest.mark.statement("def-ipm", control=True)
@seeds
def test_without_the_negative_functions_it_is_not_symmetric(seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(8), size=2)
    functions = [p - q, 2 * (p - q)]
    assert metric(functions, p, q) > 0 > metric(functions, q, p)


# prop-total-variation


@pytest.mark.statement("prop-total-variation")
@seeds
def test_the_four_forms_of_total_variation_agree(seed, record_property):
    p, q = histograms(seed)
    half_the_norm = float(divergences.histogram_total_variation(p, q))
    bits = (np.arange(2**8)[:, None] >> np.arange(8)) & 1  # all events
    by_events = (bits @ (p - q)).max()
    f, ends, *_ = DIVERGENCES["tv"]
    by_critics = -optimize.linprog(-(p - q), bounds=[(-0.5, 0.5)] * 8).fun
    values = [by_events, by_critics, f_divergence(f, ends, p, q)]
    error = max(abs(value - half_the_norm) for value in values)
    record_property("error", float(error))
    assert error < 1e-10


@pytest.mark.statement("prop-total-variation", control=True)
@seeds
def test_critics_up_to_one_give_twice_as_much(seed):
    p, q = histograms(seed)
    by_critics = -optimize.linprog(-(p - q), bounds=[(-1, 1)] * 8).fun
    expected = 2 * float(divergences.histogram_total_variation(p, q))
    assert by_critics == pytest.approx(expected, rel=1e-8)
    assert expected > 0.1
