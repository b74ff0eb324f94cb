"""Checks of the statements of the chapter "Affine LRMF", each with a negative control."""

import numpy as np
import pytest
from affine_cases import best_shared, divergence, image, loss_of, moments, power
from flow_cases import covariance, largest, normal
from gaussian_cases import affine, datasets
from scipy import linalg

import lrmf
from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (1, 2, 3, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


# prop-affine-lag


@pytest.mark.statement("prop-affine-lag")
@backends
@cases
def test_the_loss_is_the_distance_and_twice_the_lag(d, seed, backend, record_property):
    m = moments(d, seed)
    matrix, shift = affine(d, seed)
    rng = np.random.default_rng([d, seed, 4])
    mean, cov = rng.normal(size=d), covariance(rng, d)
    value = loss_of(backend, matrix, shift, mean, cov, m, seed)
    moved = image(matrix, shift, m)
    two = divergence(*moved, mean, cov) + divergence(m["mean_b"], m["cov_b"], mean, cov)
    lag = divergence(*best_shared(matrix, shift, m), mean, cov)
    distance = float(gaussian.distance(*moved, m["mean_b"], m["cov_b"]))
    error = max(abs(two / value - 1), abs((distance + 2 * lag) / value - 1))
    record_property("error", error)
    assert error < 1e-9
    assert lag > 1e-3


@pytest.mark.statement("prop-affine-lag", control=True)
@backends
@seeds
def test_it_is_not_for_a_map_that_bends(seed, backend):
    m = moments(2, seed)
    spec = lrmf.RealNVP(blocks=2, hidden=(8,))
    rng = np.random.default_rng(seed)
    arrays = {k: v + 0.5 * rng.normal(size=v.shape) for k, v in spec.init((2,), rng).items()}
    bent = lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")
    source, target = datasets(m, seed)
    moved, _ = bent.forward(source)
    moved_moments = moved.mean(axis=0), np.cov(moved.T, bias=True)
    mean, cov = gaussian.shared_moments(*moved_moments, m["mean_b"], m["cov_b"])
    constant = float(gaussian.constant(m["cov_a"], m["cov_b"]))
    value = float(
        lrmf.lrmf_loss(bent, normal(backend, mean, cov), source, target, constant=constant)
    )
    assert abs(value - gaussian.distance(*moved_moments, m["mean_b"], m["cov_b"])) > 1e-2


# prop-affine-leash


def mismatch(matrix, shift, m):
    """log of the singular values of Σ_B^(-1/2) K Σ_A^(1/2), and the gap in the metric of both."""
    mean, cov = image(matrix, shift, m)
    stretch = np.linalg.svd(power(m["cov_b"], -0.5) @ matrix @ power(m["cov_a"], 0.5))[1]
    gap = mean - m["mean_b"]
    return np.log(stretch), gap @ np.linalg.solve(cov + m["cov_b"], gap)


@pytest.mark.statement("prop-affine-leash")
@backends
@cases
def test_a_loss_bounds_both_moments(d, seed, backend, record_property):
    m = moments(d, seed)
    rng = np.random.default_rng([d, seed, 5])
    monge, offset = gaussian.monge_map(**m)
    for size in (0.01, 0.1, 1.0):
        matrix = linalg.expm(size * rng.normal(size=(d, d))) @ monge
        shift = offset + size * rng.normal(size=d)
        mean, cov = best_shared(matrix, shift, m)
        value = loss_of(backend, matrix, shift, mean + 0.1 * size, cov, m, seed)
        stretch, gap = mismatch(matrix, shift, m)
        over = max(largest(stretch) / np.arccosh(np.exp(value)), gap / (2 * np.expm1(value)))
        assert over <= 1 + 1e-9
        u = rng.normal(size=d)
        spread = 0.5 * np.log(u @ image(matrix, shift, m)[1] @ u / (u @ m["cov_b"] @ u))
        assert abs(spread) <= np.arccosh(np.exp(value)) + 1e-12
        apart = abs(u @ (image(matrix, shift, m)[0] - m["mean_b"])) / np.sqrt(u @ m["cov_b"] @ u)
        over = max(over, apart / np.sqrt(2 * np.expm1(2 * value)))
        assert over <= 1 + 1e-9
    record_property("error", max(over - 1, 0.0))


@pytest.mark.statement("prop-affine-leash")
@cases
def test_the_bounds_are_reached(d, seed, record_property):
    m = moments(d, seed)
    matrix, shift = gaussian.monge_map(**m)
    half = power(m["cov_b"], 0.5)
    stretch = half @ np.diag(np.exp(0.7 * (np.arange(d) == 0))) @ np.linalg.inv(half) @ matrix
    by_matrix = float(gaussian.loss(stretch, m["mean_b"] - stretch @ m["mean_a"], **m))
    by_shift = float(gaussian.loss(matrix, shift + half[0], **m))
    gap = mismatch(matrix, shift + half[0], m)[1]
    error = max(abs(np.arccosh(np.exp(by_matrix)) - 0.7), abs(2 * np.expm1(by_shift) - gap))
    # The means, in units of B alone: wider by e^r along the direction in which they differ.
    for r in (1.0, 0.1, 0.01):
        reach = np.sqrt(2 * np.expm1(2 * r))
        wide = half @ np.diag(np.exp(r * (np.arange(d) == 0))) @ np.linalg.inv(half) @ matrix
        away = m["mean_b"] + reach * half[:, 0] - wide @ m["mean_a"]
        error = max(error, abs(float(gaussian.loss(wide, away, **m)) - r))
        assert reach > 2 * np.sqrt(r)  # the value for small r is no bound
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("prop-affine-leash", control=True)
@cases
def test_without_the_log_determinant_a_low_value_bounds_nothing(d, seed):
    m = moments(d, seed)
    matrix = 0.02 * gaussian.monge_map(**m)[0]
    shift = m["mean_b"] - matrix @ m["mean_a"]
    value = float(gaussian.loss(matrix, shift, **m) + np.linalg.slogdet(matrix)[1])
    at_best = float(np.linalg.slogdet(gaussian.monge_map(**m)[0])[1])
    assert value < at_best
    assert largest(mismatch(matrix, shift, m)[0]) > np.arccosh(np.exp(0.1))


# prop-affine-fresh


def draws(shape, law, rng):
    """Standardised coordinates, and E|y|⁴ for d of them."""
    if law == "normal":
        return rng.normal(size=shape), shape[-1] * (shape[-1] + 2)
    d = shape[-1]
    return rng.uniform(-np.sqrt(3), np.sqrt(3), size=shape), d * 9 / 5 + d * (d - 1)


def fresh_mismatch(d, seed, law, n=400, m=300, repeats=1500, turn=None):
    """Gaps and distances on fresh points; of the positive definite map, or of that with Q = turn.

    ``turn`` is a function of the errors of the two training means, one row for each repeat.
    """
    rng = np.random.default_rng([d, seed, 9])
    known = moments(d, seed)
    sets, fourth = [], 0.0
    for side in "ab":
        root = power(known[f"cov_{side}"], 0.5)
        for size in (n, m):
            y, fourth = draws((repeats, size, d), law, rng)
            sets.append(known[f"mean_{side}"] + y @ root)
    stats_of = []
    for x in sets:
        mean = x.mean(axis=1)
        centred = x - mean[:, None]
        stats_of.append((mean, np.einsum("rni,rnj->rij", centred, centred) / x.shape[1]))
    (mean_a, cov_a), (new_a, new_cov_a), (mean_b, cov_b), (new_b, new_cov_b) = stats_of
    if turn is None:
        matrix, shift = gaussian.monge_map(mean_a, cov_a, mean_b, cov_b)
    else:
        q = turn(mean_a - known["mean_a"], mean_b - known["mean_b"])
        matrix = power(cov_b, 0.5) @ q @ power(cov_a, -0.5)
        shift = mean_b - np.einsum("rij,rj->ri", matrix, mean_a)
    moved = np.einsum("rij,rj->ri", matrix, new_a) + shift
    moved_cov = matrix @ new_cov_a @ np.swapaxes(matrix, 1, 2)
    gaps = (moved - new_b) @ power(known["cov_b"], -0.5)
    distances = gaussian.distance(moved, moved_cov, new_b, new_cov_b)
    scale = 2 / n + 2 / m
    return (gaps**2).sum(axis=1), distances, scale, fourth


@pytest.mark.statement("prop-affine-fresh")
@pytest.mark.parametrize("law", ["normal", "uniform"])
@pytest.mark.parametrize(("d", "seed"), [(d, s) for d in (1, 2, 3) for s in SEEDS])
def test_what_is_left_on_fresh_points(d, seed, law, record_property):
    gaps, distances, scale, fourth = fresh_mismatch(d, seed, law)
    expected = d * scale, scale * (d / 4 + (fourth - d) / 8)
    error = 0.0
    for values, value in zip((gaps, distances), expected, strict=True):
        deviation = abs(values.mean() / value - 1)
        stderr = values.std() / np.sqrt(len(values)) / value
        error = max(error, deviation)
        # The formula is the first term of a series in 1/n; the next one is a few per cent here.
        assert deviation < 4 * stderr + 0.03
    record_property("error", error)
    if law == "normal":
        assert expected[1] == pytest.approx(d * (d + 3) / 8 * scale)


@pytest.mark.statement("prop-affine-fresh")
@pytest.mark.parametrize(("d", "seed"), [(d, s) for d in (1, 2, 3) for s in SEEDS])
def test_the_limit_of_the_orthogonal_part_does_not_matter(d, seed, record_property):
    """Q tends to one matrix, by a step of the order of the errors of the means."""
    fixed = np.linalg.qr(np.random.default_rng([d, seed, 10]).normal(size=(d, d)))[0]

    def turn(error_a, error_b):
        bent = error_a[:, :, None] * error_b[:, None, :]
        return np.asarray([linalg.expm(x - x.T) for x in bent]) @ fixed

    gaps, distances, scale, fourth = fresh_mismatch(d, seed, "normal", turn=turn)
    expected = d * scale, scale * (d / 4 + (fourth - d) / 8)
    error = max(
        abs(values.mean() / value - 1)
        for values, value in zip((gaps, distances), expected, strict=True)
    )
    record_property("error", error)
    assert error < 0.12  # four standard errors and the next term of the series, as above


@pytest.mark.statement("prop-affine-fresh", control=True)
@seeds
def test_an_orthogonal_part_that_follows_the_sample_changes_the_gap(seed):
    """Q = ±1 with the sign that brings the errors of the training means together."""

    def turn(error_a, error_b):
        return np.sign(error_a * error_b)[:, :, None]

    gaps, _, scale, _ = fresh_mismatch(1, seed, "normal", n=100, m=100, turn=turn)
    # The square loses 2 E|error of A| E|error of B| = (4/π)/100, about a third.
    assert gaps.mean() < 0.85 * scale
    assert gaps.mean() / scale == pytest.approx(1 - (4 / np.pi) / 100 / scale, abs=0.12)


@pytest.mark.statement("prop-affine-fresh", control=True)
@pytest.mark.parametrize("d", [1, 2, 3])
@seeds
def test_the_value_for_normal_data_is_wrong_for_others(d, seed):
    _, distances, scale, _ = fresh_mismatch(d, seed, "uniform")
    assert distances.mean() < 0.9 * d * (d + 3) / 8 * scale
