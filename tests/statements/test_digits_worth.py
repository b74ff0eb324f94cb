"""Checks of the statements of the chapter "What an imperfect alignment is worth"."""

import numpy as np
import pytest
from flow_cases import normal

from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (2, 3, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


def label_shift(rng, *, classes, points, align=True):
    """A random map between finite sets of equally likely points: mislabelled share, and bound.

    With ``align`` every point of B is hit once, so T(a) and b have the same distribution.
    """
    labels_a, labels_b = rng.integers(classes, size=points), rng.integers(classes, size=points)
    labels_a[: points // 3] = 0  # the frequencies differ
    target = rng.permutation(points) if align else best_guess(labels_a, labels_b, rng)
    wrong = np.mean(labels_b[target] != labels_a)
    return wrong, gap(labels_a, labels_b, classes)


def gap(labels_a, labels_b, classes):
    frequencies = [np.bincount(x, minlength=classes) / len(x) for x in (labels_a, labels_b)]
    return 0.5 * np.abs(frequencies[0] - frequencies[1]).sum()


def best_guess(labels_a, labels_b, rng):
    """A map that hits points of the right label, some of them many times."""
    return np.array([rng.choice(np.flatnonzero(labels_b == label)) for label in labels_a])


def matched(labels_a, labels_b, classes):
    """A one-to-one map that keeps as many labels as it can."""
    target = np.full(len(labels_a), -1)
    for label in range(classes):
        of_a, of_b = np.flatnonzero(labels_a == label), np.flatnonzero(labels_b == label)
        n = min(len(of_a), len(of_b))
        target[of_a[:n]] = of_b[:n]
    target[target < 0] = np.setdiff1d(np.arange(len(labels_b)), target)
    return target


@pytest.mark.statement("prop-digits-labels")
@pytest.mark.parametrize("classes", [2, 3, 10])
@seeds
def test_aligned_maps_mislabel_at_least_the_gap(classes, seed):
    rng = np.random.default_rng([classes, seed])
    for _ in range(50):
        wrong, bound = label_shift(rng, classes=classes, points=120)
        assert wrong >= bound > 0


@pytest.mark.statement("prop-digits-labels")
@pytest.mark.parametrize("classes", [2, 3, 10])
@seeds
def test_the_bound_is_attained(classes, seed, record_property):
    rng = np.random.default_rng([classes, seed])
    labels_a, labels_b = rng.integers(classes, size=(2, 120))
    target = matched(labels_a, labels_b, classes)
    assert np.array_equal(np.sort(target), np.arange(120))
    wrong = np.mean(labels_b[target] != labels_a)
    error = abs(wrong - gap(labels_a, labels_b, classes))
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("prop-digits-labels", control=True)
@pytest.mark.parametrize("classes", [2, 3, 10])
@seeds
def test_a_map_that_does_not_align_may_keep_all_labels(classes, seed):
    rng = np.random.default_rng([classes, seed])
    wrong, bound = label_shift(rng, classes=classes, points=120, align=False)
    assert wrong == 0 < bound


# Faded data


def faded(d, seed, s):
    rng = np.random.default_rng([d, seed])
    x = rng.exponential(size=(500, d)) @ rng.normal(size=(d, d))  # not normal
    mean, cov = x.mean(axis=0), np.cov(x.T, bias=True)
    return mean, cov, x, mean + s * (x - mean)


@pytest.mark.statement("prop-digits-faded")
@backends
@pytest.mark.parametrize("s", [0.3, 0.5, 0.9])
@cases
def test_faded_data_are_more_likely_and_far_away(backend, d, seed, s, record_property):
    mean, cov, x, x_s = faded(d, seed, s)
    density = normal(backend, mean, cov)
    more = density.log_prob(x_s).mean() - density.log_prob(x).mean()
    error = abs(more / (d / 2 * (1 - s**2)) - 1)
    distance = gaussian.distance(
        x_s.mean(axis=0), np.cov(x_s.T, bias=True), x.mean(axis=0), np.cov(x.T, bias=True)
    )
    error = max(error, abs(distance / (d * np.log((1 + s**2) / (2 * s))) - 1))
    record_property("error", float(error))
    assert error < 1e-6


@pytest.mark.statement("prop-digits-faded", control=True)
@backends
@cases
def test_data_that_are_spread_out_are_less_likely(backend, d, seed):
    mean, cov, x, x_s = faded(d, seed, 1.5)
    density = normal(backend, mean, cov)
    assert density.log_prob(x_s).mean() < density.log_prob(x).mean()
