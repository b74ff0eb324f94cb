"""Checks of the statements of the chapter "The distance as a test", with controls."""

import numpy as np
import pytest
from distance_cases import categorical_distances, distances, sandwich_weights
from scipy import stats

from lrmf.theory import gaussian

SEEDS = range(3)
seeds = pytest.mark.parametrize("seed", SEEDS)


def exponential_distances(a, b):
    """Distances of pairs of samples (R, n, 1) for the exponential densities on the half line."""
    means = [x.mean(axis=(1, 2)) for x in (a, b)]
    return 2 * np.log(0.5 * (means[0] + means[1])) - np.log(means[0]) - np.log(means[1])


def statistics(distance, draw, *, n, repeats):
    """2 n d for repeated pairs of samples."""
    parts = [2 * n * distance(*draw((2, 50, n))) for _ in range(repeats // 50)]
    return np.concatenate(parts)


# lem-lrd-expansion


def normal_scores(x, mean, std):
    z = (x - mean) / std
    return np.stack([z / std, (z**2 - 1) / (2 * std**2)], axis=-1)


def one_hot(rng, shape, shares):
    return np.eye(len(shares))[rng.choice(len(shares), size=shape, p=shares)]


def expansion_error(kind, n, rng):
    """Root mean squared difference of both sides of the expansion, over 100 pairs."""
    if kind == "exponential":
        x = rng.exponential(size=(2, 100, n, 1))
        found = 2 * n * exponential_distances(*x)
        scores, curvature = x - 1.0, np.eye(1)  # mean parameter, at one
    elif kind == "categorical":
        shares = np.array([0.2, 0.3, 0.5])
        x = one_hot(rng, (2, 100, n), shares)
        found = 2 * n * categorical_distances(*x)
        scores = x[..., :2] / shares[:2] - x[..., 2:] / shares[2]
        curvature = np.diag(1 / shares[:2]) + 1 / shares[2]
    else:
        # Normal densities; for uniform and exponential data the family is wrong.
        draw, mean, std = {
            "normal": (rng.normal, 0.0, 1.0),
            "uniform": (rng.uniform, 0.5, np.sqrt(1 / 12)),
            "wrong exponential": (rng.exponential, 1.0, 1.0),
        }[kind]
        x = draw(size=(2, 100, n, 1))
        found = 2 * n * distances(*x)
        scores = normal_scores(x[..., 0], mean, std)
        curvature = np.diag([1 / std**2, 1 / (2 * std**4)])
    gap = (scores[0] - scores[1]).sum(axis=1) / np.sqrt(n)
    parabola = 0.5 * np.einsum("ri,ij,rj->r", gap, np.linalg.inv(curvature), gap)
    return float(np.sqrt(np.mean((found - parabola) ** 2)))


@pytest.mark.statement("lem-lrd-expansion")
@pytest.mark.parametrize(
    "kind", ["exponential", "categorical", "normal", "uniform", "wrong exponential"]
)
@seeds
def test_the_remainder_of_the_expansion_vanishes(kind, seed, record_property):
    rng = np.random.default_rng(seed)
    coarse, fine = (expansion_error(kind, n, rng) for n in (100, 10_000))
    record_property("error", fine)
    assert fine < 0.4 * coarse
    assert fine < (1.5 if kind == "wrong exponential" else 0.2)


def boundary_statistics(n, rng, repeats):
    """2 n d for the normal densities N(θ, 1) with θ ≥ 0 at θ = 0, and the parabola."""
    a, b = rng.normal(size=(2, repeats)) / np.sqrt(n)
    best = [np.maximum(x, 0) ** 2 for x in (a, b, (a + b) / 2)]
    return n * (best[0] + best[1] - 2 * best[2]), 0.5 * n * (a - b) ** 2


@pytest.mark.statement("lem-lrd-expansion", control=True)
@pytest.mark.parametrize("n", [100, 10_000])
def test_on_the_boundary_the_remainder_stays(n):
    found, parabola = boundary_statistics(n, np.random.default_rng(0), 2000)
    assert np.sqrt(np.mean((found - parabola) ** 2)) > 0.5


# thm-wilks


def family(name, d, rng):
    """Distance, sampler and number of parameters of a regular family at one of its members."""
    if name == "normal":
        root = np.linalg.cholesky(
            stats.wishart(d + 2, np.eye(d)).rvs(random_state=rng).reshape(d, d)
        )
        return distances, lambda s: rng.normal(size=(*s, d)) @ root.T + 1.0, d * (d + 3) // 2
    if name == "exponential":
        return exponential_distances, lambda s: 3.0 * rng.exponential(size=(*s, 1)), 1
    shares = np.full(d + 1, 1 / (d + 1))
    return categorical_distances, lambda s: one_hot(rng, s, shares), d


families = pytest.mark.parametrize(
    ("name", "d"),
    [
        ("normal", 1),
        ("normal", 2),
        ("normal", 3),
        ("normal", 5),
        ("exponential", 1),
        ("categorical", 2),
        ("categorical", 5),
    ],
)


@pytest.mark.statement("thm-wilks")
@families
@seeds
def test_twice_n_times_the_distance_is_chi_squared(name, d, seed, record_property):
    distance, draw, k = family(name, d, np.random.default_rng([d, seed]))
    values = statistics(distance, draw, n=1000, repeats=400)
    test = stats.kstest(values, stats.chi2(k).cdf)
    record_property("error", float(test.statistic))
    assert test.pvalue > 1e-3
    # Neither another factor nor other degrees of freedom fit.
    assert stats.kstest(values / 2, stats.chi2(k).cdf).pvalue < 1e-6
    assert stats.kstest(values, stats.chi2(2 * k).cdf).pvalue < 1e-6


@pytest.mark.statement("thm-wilks")
@seeds
def test_for_categories_it_is_the_g_test(seed, record_property):
    rng = np.random.default_rng(seed)
    x = one_hot(rng, (2, 1, 200), np.array([0.1, 0.2, 0.3, 0.4]))
    g = stats.chi2_contingency(x.sum(axis=(1, 2)), lambda_="log-likelihood").statistic
    error = abs(2 * 200 * categorical_distances(*x)[0] - g)
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("thm-wilks", control=True)
@seeds
def test_in_a_wrong_family_or_on_the_boundary_it_is_not(seed):
    rng = np.random.default_rng(seed)
    wrong = statistics(distances, lambda s: rng.exponential(size=(*s, 1)), n=1000, repeats=400)
    assert stats.kstest(wrong, stats.chi2(2).cdf).pvalue < 1e-6
    boundary, _ = boundary_statistics(1000, rng, 400)
    assert stats.kstest(boundary, stats.chi2(1).cdf).pvalue < 1e-6


# prop-lrd-sandwich


WRONG = {
    "uniform": (lambda rng, s: rng.uniform(size=s), 0.0, 1.8),
    "laplace": (lambda rng, s: rng.laplace(size=s), 0.0, 6.0),
    "exponential": (lambda rng, s: rng.exponential(size=s), 2.0, 9.0),
}


@pytest.mark.statement("prop-lrd-sandwich")
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("d", [1, 2])
@seeds
def test_the_null_law_of_a_wrong_family(name, d, seed, record_property):
    draw, skew, kurtosis = WRONG[name]
    rng = np.random.default_rng([d, seed])
    weights = sandwich_weights(draw(rng, (50_000, d)))
    if d == 1:
        corner = skew / np.sqrt(2)
        formula = np.linalg.eigvalsh([[1, corner], [corner, (kurtosis - 1) / 2]])
        np.testing.assert_allclose(np.sort(weights), formula, rtol=0.1)
        weights = formula
    values = statistics(distances, lambda s: draw(rng, (*s, d)), n=2000, repeats=400)
    limit = rng.normal(size=(50_000, len(weights))) ** 2 @ weights
    test = stats.ks_2samp(values, limit)
    record_property("error", float(test.statistic))
    assert test.pvalue > 1e-3
    k = d * (d + 3) // 2
    assert stats.kstest(values, stats.chi2(k).cdf).pvalue < 1e-3


@pytest.mark.statement("prop-lrd-sandwich", control=True)
@seeds
def test_without_a_fourth_moment_there_is_no_limit(seed):
    rng = np.random.default_rng(seed)

    def growth(draw):
        small, large = (np.median(2 * n * distances(*draw((2, 100, n, 1)))) for n in (200, 20_000))
        return large / small

    assert growth(lambda s: rng.standard_t(3, size=s)) > 1.7
    assert growth(lambda s: rng.laplace(size=s)) < 1.5


# prop-lrd-power


@pytest.mark.statement("prop-lrd-power")
@pytest.mark.parametrize("nu", [4.0, 16.0])
@pytest.mark.parametrize(
    ("kind", "d"), [("mean", 1), ("mean", 3), ("scale", 1), ("scale", 3), ("exponential", 1)]
)
@seeds
def test_a_local_alternative_is_noncentral(kind, d, nu, seed, record_property):
    rng, n = np.random.default_rng([d, seed]), 2000
    if kind == "exponential":
        # Mean parameter at one: H = 1, so ν = h²/2. The distance needs the means only.
        n, k = 100_000, 1
        factor = 1 + np.sqrt(2 * nu / n)

        def draw(shape):
            x = rng.gamma(n, 1 / n, size=(*shape[:2], 1, 1))
            return x[0] * factor, x[1]

        distance, true = exponential_distances, 2 * np.log((1 + factor) / 2) - np.log(factor)
    else:
        # The mean of the first feature has information 1, the logarithm of its scale 2.
        shift = np.sqrt(2 * nu / n) if kind == "mean" else 0.0
        scale = np.exp(np.sqrt(nu / n)) if kind == "scale" else 1.0
        k = d * (d + 3) // 2

        def draw(shape):
            x = rng.normal(size=(*shape, d))
            x[0, ..., 0] = scale * x[0, ..., 0] + shift
            return x

        distance, true = distances, float(gaussian.distance_1d(shift, scale, 0.0, 1.0))
    assert 2 * n * true == pytest.approx(nu, rel=0.15)  # ν is the true distance times 2n
    values = statistics(distance, draw, n=n, repeats=200)
    test = stats.kstest(values, stats.ncx2(k, nu).cdf)
    record_property("error", float(test.statistic))
    assert test.pvalue > 1e-3


@pytest.mark.statement("prop-lrd-power", control=True)
@seeds
def test_a_difference_that_does_not_shrink_has_another_law(seed):
    rng, n, shift = np.random.default_rng(seed), 200, 3.0

    def draw(shape):
        x = rng.normal(size=(*shape, 1))
        x[0] += shift
        return x

    values = statistics(distances, draw, n=n, repeats=200)
    assert stats.kstest(values, stats.ncx2(2, 0.5 * n * shift**2).cdf).pvalue < 1e-6


@pytest.mark.statement("prop-lrd-power", control=True)
@seeds
def test_far_apart_a_sample_exaggerates_by_more_or_less_than_half_a_parameter(seed):
    rng, n, repeats = np.random.default_rng(seed), 200, 400_000

    def excess_times_n(shift, std=1.0):
        scales = np.array([[1.0], [std]])
        means = rng.normal([[0.0], [shift]], scales / np.sqrt(n), (2, repeats))
        variances = scales**2 * rng.chisquare(n - 1, (2, repeats)) / n
        sample = gaussian.distance_1d(means[0], variances[0] ** 0.5, means[1], variances[1] ** 0.5)
        return n * (sample.mean() - gaussian.distance_1d(0.0, 1.0, shift, std))

    near, middle, far = (excess_times_n(shift) for shift in (0.0, 2.0, 100.0))
    for std in (2.0, 10.0):
        expected = 1.5 - (1 + std**4) / (1 + std**2) ** 2
        assert abs(excess_times_n(0.0, std) - expected) < 0.05
    assert abs(near - 1) < 0.05  # k/2 for k = 2 parameters
    assert abs(middle - 1.4) < 0.15
    assert abs(far - 2) < 0.15


# prop-lrd-permutation


def permutation_p_values(draw, *, repeats, rng, divisions=19):
    """p-values of the normal family's distance for pairs of samples draw() -> (2, n, d)."""
    found = []
    for _ in range(repeats):
        a, b = draw()
        pooled, n = np.concatenate([a, b]), len(a)
        rows = rng.permuted(np.tile(np.arange(2 * n), (divisions + 1, 1)), axis=1)
        rows[0] = np.arange(2 * n)
        values = distances(pooled[rows[:, :n]], pooled[rows[:, n:]])
        found.append(np.mean(values >= values[0]))
    return np.array(found)


@pytest.mark.statement("prop-lrd-permutation")
@pytest.mark.parametrize("d", [1, 2])
@seeds
def test_permuted_p_values_are_never_too_small(d, seed, record_property):
    rng = np.random.default_rng([d, seed])
    p_values = permutation_p_values(lambda: rng.exponential(size=(2, 30, d)), repeats=500, rng=rng)
    levels = np.array([0.05, 0.1, 0.25, 0.5])
    alarms = np.array([(p_values <= level + 1e-9).mean() for level in levels])
    excess = (alarms - levels) / np.sqrt(levels * (1 - levels) / 500)
    record_property("error", float((alarms - levels).max()))
    assert excess.max() < 3.5
    assert p_values.min() >= 1 / 20


@pytest.mark.statement("prop-lrd-permutation")
def test_and_small_where_the_samples_differ():
    rng = np.random.default_rng(0)
    scales = np.array([1.0, 3.0])[:, None, None]
    p_values = permutation_p_values(
        lambda: scales * rng.exponential(size=(2, 30, 1)), repeats=100, rng=rng
    )
    assert (p_values <= 0.05 + 1e-9).mean() > 0.8


@pytest.mark.statement("prop-lrd-permutation", control=True)
@seeds
def test_points_that_are_not_exchangeable_raise_false_alarms(seed):
    rng = np.random.default_rng(seed)

    def drifting():
        """Two stretches of one stationary series, in which neighbours are alike."""
        noise = np.sqrt(1 - 0.9**2) * rng.normal(size=(2, 30))
        x = rng.normal(size=2)
        rows = []
        for step in noise.T:
            x = 0.9 * x + step
            rows.append(x)
        return np.array(rows).T[..., None]

    assert (permutation_p_values(drifting, repeats=200, rng=rng) <= 0.05 + 1e-9).mean() > 0.2
