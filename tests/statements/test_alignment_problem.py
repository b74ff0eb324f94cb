"""Checks of the statements of the chapter "The alignment problem", each with a negative control."""

import itertools
import math

import numpy as np
import ot
import pytest
from alignment_cases import keys_that_fit
from flow_cases import affine_flow, covariance, largest, log_det_numerically
from scipy import integrate, optimize, stats

SEEDS = range(3)
BACKENDS = ("jax", "tfp")

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)
dimensions = pytest.mark.parametrize("d", [1, 2, 3, 5])

# Sources with a continuous distribution function, and targets that may have jumps and gaps.
SOURCES = {
    "normal": stats.norm(1, 2),
    "gamma": stats.gamma(2.5),
    "student": stats.t(3),
    "beta": stats.beta(0.5, 2),
}
TARGETS = {
    "normal": stats.norm(-1, 0.5),
    "lognormal": stats.lognorm(0.7),
    "poisson": stats.poisson(2.5),
    "logistic": stats.logistic(2, 3),
}
pairs = pytest.mark.parametrize(("source", "target"), list(itertools.product(SOURCES, TARGETS)))
smooth_pairs = pytest.mark.parametrize(
    ("source", "target"),
    [(a, b) for a, b in itertools.product(SOURCES, TARGETS) if b != "poisson"],
)


# def-align


@pytest.mark.statement("def-align")
@backends
@dimensions
@seeds
def test_densities_of_an_aligning_flow_obey_the_change_of_variables(
    seed, d, backend, record_property
):
    rng = np.random.default_rng([d, seed])
    cov, mean = covariance(rng, d), rng.normal(size=d)
    matrix, shift = covariance(rng, d), rng.normal(size=d)
    source = stats.multivariate_normal(mean, cov)
    target = stats.multivariate_normal(matrix @ mean + shift, matrix @ cov @ matrix.T)
    x = source.rvs(size=200, random_state=seed).reshape(-1, d)
    y, log_det = affine_flow(backend, matrix, shift).forward(x)
    error = largest(source.logpdf(x) - target.logpdf(y) - log_det)
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("def-align")
@pytest.mark.parametrize("source", list(SOURCES))
def test_that_density_gives_every_interval_its_probability(source, record_property):
    a = SOURCES[source]

    def forward(x):
        return x + x**3 / 5

    def target_density(y):
        """The p_B for which the change of variables holds, with this map and this source."""
        x = optimize.brentq(lambda v: forward(v) - y, -60, 60, xtol=1e-14)
        return a.pdf(x) / (1 + 3 * x**2 / 5)

    errors = []
    for low, high in ((0.1, 0.35), (0.35, 0.9)):
        left, right = a.ppf(low), a.ppf(high)
        value, _ = integrate.quad(target_density, forward(left), forward(right), epsabs=1e-11)
        errors.append(value - (high - low))
    record_property("error", largest(errors))
    assert largest(errors) < 1e-8


@pytest.mark.statement("def-align", control=True)
@pytest.mark.parametrize("source", ["gamma", "student"])
def test_equal_means_and_variances_are_not_alignment(source):
    a, b = SOURCES[source], stats.norm(0, 1)

    def standardise(x):
        return (x - a.mean()) / a.std()

    x = a.ppf(np.linspace(0.01, 0.99, 99))
    log_det = -np.log(a.std())
    assert largest(a.logpdf(x) - b.logpdf(standardise(x)) - log_det) > 0.1
    assert abs(a.cdf(a.mean() - a.std()) - b.cdf(-1.0)) > 0.01


# prop-align-increasing


@pytest.mark.statement("prop-align-increasing")
@pairs
def test_the_rearrangement_has_the_distribution_of_the_target(source, target, record_property):
    a, b = SOURCES[source], TARGETS[target]
    u = (np.arange(20_000) + 0.5) / 20_000
    x = a.ppf(u)
    moved = b.ppf(a.cdf(x))
    assert np.all(np.diff(moved) >= 0)
    values = np.unique(moved)
    share = np.searchsorted(moved, values, side="right") / len(moved)
    # Only the values of the grid itself, at which both functions take their jumps.
    error = largest(share - b.cdf(values))
    record_property("error", error)
    assert error < 1.5 / len(u)


@pytest.mark.statement("prop-align-increasing")
@pytest.mark.parametrize("seed", range(5))
def test_sorting_is_the_only_monotone_map_between_samples(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=6), rng.gamma(2.0, size=6)
    order = a.argsort()
    monotone = [
        key for key in itertools.permutations(range(6)) if np.all(np.diff(b[list(key)][order]) > 0)
    ]
    assert len(monotone) == 1
    uniform = np.full(6, 1 / 6)
    plan = ot.emd_1d(a, b, uniform, uniform)
    np.testing.assert_array_equal(plan.argmax(axis=1), monotone[0])


@pytest.mark.statement("prop-align-increasing")
@pairs
def test_every_other_increasing_map_misses_the_target(source, target):
    a, b = SOURCES[source], TARGETS[target]
    x = a.ppf((np.arange(20_000) + 0.5) / 20_000)
    # Ranks pushed towards one end: still increasing, but no longer the rearrangement.
    for power in (0.7, 1.4):
        other = b.ppf(a.cdf(x) ** power)
        assert np.all(np.diff(other) >= 0)
        values = np.unique(other)
        share = np.searchsorted(other, values, side="right") / len(other)
        assert largest(share - b.cdf(values)) > 0.05


@pytest.mark.statement("prop-align-increasing", control=True)
@pytest.mark.parametrize("mass", [0.1, 0.5])
def test_a_source_with_an_atom_is_not_aligned(mass):
    b = TARGETS["normal"]
    # A is zero with probability `mass` and otherwise uniform on (0, 1); F_A jumps at zero.
    u = (np.arange(20_000) + 0.5) / 20_000
    a = np.maximum(0.0, (u - mass) / (1 - mass))
    moved = b.ppf(mass + (1 - mass) * a)
    below = b.ppf(mass / 2)
    assert np.mean(moved <= below) == 0.0
    assert b.cdf(below) == pytest.approx(mass / 2)


# cor-align-line


def density_error(a, b, function, x):
    log_det = log_det_numerically(lambda v: function(v[:, 0])[:, None], x[:, None], step=1e-5)
    return a.logpdf(x) - b.logpdf(function(x)) - log_det


@pytest.mark.statement("cor-align-line")
@smooth_pairs
def test_both_continuous_maps_align(source, target, record_property):
    a, b = SOURCES[source], TARGETS[target]
    x = a.ppf(np.linspace(0.05, 0.95, 61))
    up = density_error(a, b, lambda v: b.ppf(a.cdf(v)), x)
    down = density_error(a, b, lambda v: b.ppf(a.sf(v)), x)
    error = max(largest(up), largest(down))
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("cor-align-line")
@smooth_pairs
def test_a_continuous_map_with_another_median_does_not_align(source, target):
    a, b = SOURCES[source], TARGETS[target]
    x = a.ppf(np.linspace(0.05, 0.95, 61))
    for power in (0.8, 1.3):
        for function in (
            lambda v, p=power: b.ppf(a.cdf(v) ** p),
            lambda v, p=power: b.ppf(a.sf(v) ** p),
        ):
            assert largest(density_error(a, b, function, x)) > 0.1


@pytest.mark.statement("cor-align-line", control=True)
@smooth_pairs
def test_a_map_that_may_jump_is_a_third_solution(source, target):
    a, b = SOURCES[source], TARGETS[target]

    def shifted(v):
        return b.ppf((a.cdf(v) + 1 / 3) % 1)

    x = a.ppf(np.linspace(0.05, 0.95, 60))
    x = x[np.abs(a.cdf(x) - 2 / 3) > 0.02]
    assert largest(density_error(a, b, shifted, x)) < 1e-5
    assert largest(shifted(x) - b.ppf(a.cdf(x))) > 0.1
    assert largest(shifted(x) - b.ppf(a.sf(x))) > 0.1


# exa-align-cipher


@pytest.mark.statement("exa-align-cipher")
@pytest.mark.parametrize("letters", [3, 5, 7])
@pytest.mark.parametrize("seed", range(4))
def test_the_keys_are_counted_by_the_multiplicities(seed, letters, record_property):
    rng = np.random.default_rng([seed, letters])
    a = rng.integers(1, 4, size=letters)
    b = rng.permutation(a)
    keys = keys_that_fit(a, b)
    counts = np.unique(a, return_counts=True)[1]
    error = abs(len(keys) - math.prod(math.factorial(m) for m in counts))
    record_property("error", float(error))
    assert error == 0
    # One key, and the exchanges of letters of B that are equally frequent, give all of them.
    exchanges = keys_that_fit(b, b)
    assert {tuple(np.array(s)[list(keys[0])]) for s in exchanges} == set(keys)


@pytest.mark.statement("exa-align-cipher", control=True)
@pytest.mark.parametrize("seed", range(4))
def test_no_key_fits_other_frequencies(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 4, size=6)
    b = rng.permutation(a)
    b[0] += 3
    assert keys_that_fit(a, b) == []


# def-align-semantic


def joint(points, labels):
    table = np.zeros((6, 2), dtype=int)
    np.add.at(table, (points, labels), 1)
    return table


def labelled_samples(seed):
    """Six places, each filled twice, whose label is a function of the place."""
    rng = np.random.default_rng(seed)
    label_of = rng.permutation([0, 0, 0, 1, 1, 1])
    target = np.repeat(np.arange(6), 2)
    truth = rng.permutation(6)  # the map from A's places to B's
    source = np.repeat(np.arange(6), 2)
    return source, label_of[truth][source], target, label_of[target], truth


@pytest.mark.statement("def-align-semantic")
@pytest.mark.parametrize("seed", range(4))
def test_semantic_alignment_implies_marginal_alignment(seed):
    source, source_labels, target, target_labels, _ = labelled_samples(seed)
    semantic = marginal = 0
    for key in itertools.permutations(range(6)):
        moved = np.array(key)[source]
        same = np.array_equal(joint(moved, source_labels), joint(target, target_labels))
        equal = np.array_equal(np.bincount(moved), np.bincount(target))
        assert equal or not same
        semantic, marginal = semantic + same, marginal + equal
    # Uniform places: every key is marginal, those that keep the classes are semantic.
    assert (semantic, marginal) == (math.factorial(3) ** 2, math.factorial(6))


@pytest.mark.statement("def-align-semantic", control=True)
@pytest.mark.parametrize("seed", range(4))
def test_marginal_alignment_does_not_imply_semantic_alignment(seed):
    source, source_labels, target, target_labels, truth = labelled_samples(seed)
    place = {k: np.flatnonzero(target_labels[::2] == k)[0] for k in (0, 1)}
    swap = np.arange(6)
    swap[[place[0], place[1]]] = place[1], place[0]
    moved = swap[truth][source]
    assert np.array_equal(np.bincount(moved), np.bincount(target))
    assert not np.array_equal(joint(moved, source_labels), joint(target, target_labels))


# thm-align-labels


def classes(d):
    """Two classes on disjoint boxes, and the Rosenblatt maps of their densities ∏ 2xᵢ and ∏ 1."""
    to_cube = (lambda x: x**2, lambda x: x - 2)
    from_cube = (lambda u: np.sqrt(u), lambda u: u + 2)
    return to_cube, from_cube


def label_of(x):
    return (x[:, 0] > 1.5).astype(int)


def swapped(x, alpha):
    to_cube, from_cube = classes(x.shape[1])
    k, out = label_of(x), x.copy()
    for own in (0, 1):
        u = to_cube[own](x[k == own])
        away = u[:, 0] > alpha
        rows = np.flatnonzero(k == own)[away]
        out[rows] = from_cube[1 - own](u[away])
    return out


def grid_of_two_classes(d, shares, n=4096):
    """Low-discrepancy points of B; the classes have the given numbers of points per n."""
    u = stats.qmc.Halton(d, scramble=True, rng=np.random.default_rng(d)).random(n)
    _, from_cube = classes(d)
    parts = [
        from_cube[k](np.resize(u[: round(n * share)], (round(n * share), d)))
        for k, share in enumerate(shares)
    ]
    return np.concatenate(parts)


def gap_of_distribution_functions(x, y, rng):
    """The largest difference of two samples' shares in 200 random lower orthants."""
    at = rng.uniform(0, 3, size=(200, x.shape[1]))
    shares = [(v[:, None] <= at).all(axis=2).mean(axis=0) for v in (x, y)]
    return largest(shares[0] - shares[1])


@pytest.mark.statement("thm-align-labels")
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_any_share_of_labels_can_be_right(d, alpha, record_property):
    x = grid_of_two_classes(d, (1.0, 1.0))
    moved = swapped(x, alpha)
    right = np.mean(label_of(moved) == label_of(x))
    gap = gap_of_distribution_functions(x, moved, np.random.default_rng(d))
    error = max(abs(right - alpha), gap)
    record_property("error", error)
    assert error < 0.01


@pytest.mark.statement("thm-align-labels", control=True)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_classes_of_unequal_size_cannot_be_swapped(d, alpha):
    x = grid_of_two_classes(d, (1.0, 0.5))
    moved = swapped(x, alpha)
    assert gap_of_distribution_functions(x, moved, np.random.default_rng(d)) > 0.05
