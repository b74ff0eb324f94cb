"""Checks of the chapter "Adversarial alignment": critics with bounded slopes."""

import numpy as np
import pytest
from flow_cases import largest
from scipy import linalg, optimize, stats

SEEDS = range(4)

seeds = pytest.mark.parametrize("seed", SEEDS)


# prop-adv-clipping


def samples(d, seed):
    rng = np.random.default_rng([d, seed])
    moved = rng.normal(size=(40, d))
    target = rng.normal(size=(40, d)) * rng.uniform(0.3, 2.0, size=d) + 0.3 * rng.normal(size=d)
    return moved, target


def critic_gap(parameters, c, d, moved, target):
    """The value of a critic of one hidden layer, its parameters clipped to [−c, c]."""
    w = np.clip(parameters.reshape(-1, d + 2), -c, c)

    def critic(x):
        return np.maximum(x @ w[:, :d].T + w[:, d], 0) @ w[:, d + 1]

    return critic(target).mean() - critic(moved).mean()


def best_hinge(d, moved, target, seed):
    """Δ and its hinge: the difference is piecewise linear, so ascents from many starts find it."""
    rng = np.random.default_rng(seed)

    def gap(u):
        hinge = [np.maximum(x @ u[:d] + u[d], 0).mean() for x in (target, moved)]
        return hinge[0] - hinge[1]

    best = 0.0, np.zeros(d + 1)
    for sign in (1, -1):
        for _ in range(12):
            end = optimize.minimize(
                lambda u, s=sign: -s * gap(u),
                rng.uniform(-1, 1, size=d + 1),
                bounds=[(-1, 1)] * (d + 1),
                method="Powell",
            )
            if -end.fun > best[0]:
                best = -end.fun, np.append(end.x, sign)
    return best


@pytest.mark.statement("prop-adv-clipping")
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_no_clipped_critic_beats_one_hinge_repeated(d, seed, record_property):
    moved, target = samples(d, seed)
    delta, unit = best_hinge(d, moved, target, seed)
    rng = np.random.default_rng(seed)
    for units, c in ((3, 1.0), (8, 0.1)):
        bound = units * c**2 * delta
        same = np.tile(c * unit, units)
        error = abs(critic_gap(same, c, d, moved, target) / bound - 1)
        record_property("error", error)
        assert error < 1e-9
        for _ in range(3):
            end = optimize.minimize(
                lambda p, c=c: -critic_gap(p, c, d, moved, target),
                rng.uniform(-c, c, size=units * (d + 2)),
                bounds=[(-c, c)] * (units * (d + 2)),
                method="L-BFGS-B",
            )
            assert -end.fun <= bound * (1 + 1e-6)


def steepest(weights, x=1.0):
    """Output of a network of rectifiers without biases at x > 0, divided by x: its slope there."""
    signal = weights[0] @ np.array([x])
    for matrix in weights[1:]:
        signal = matrix @ np.maximum(signal, 0)
    return float(signal[0]) / x


@pytest.mark.statement("prop-adv-clipping")
@pytest.mark.parametrize("layers", [2, 3, 5])
@pytest.mark.parametrize("c", [0.01, 0.3])
@seeds
def test_slopes_of_deep_clipped_networks_are_bounded(seed, c, layers, record_property):
    rng, units = np.random.default_rng([seed, layers]), 7
    shapes = [(units, 1), *[(units, units)] * (layers - 2), (1, units)]
    bound = c * (c * units) ** (layers - 1)
    for _ in range(50):
        weights = [rng.uniform(-c, c, size=shape) for shape in shapes]
        assert abs(steepest(weights)) <= bound
        assert abs(steepest([weights[0] * -1, *weights[1:]])) <= bound
    error = abs(steepest([np.full(shape, c) for shape in shapes]) / bound - 1)
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("prop-adv-clipping", control=True)
@seeds
def test_with_a_limit_on_slopes_one_hinge_is_not_enough(seed):
    rng = np.random.default_rng(seed)
    moved = np.sort(rng.normal(size=300))
    target = np.sort(np.append(rng.normal(-1.5, 0.4, size=210), rng.normal(3.5, 0.4, size=90)))
    points = np.sort(np.append(moved, target))
    gap = np.searchsorted(moved, points, side="right") / 300
    gap = gap - np.searchsorted(target, points, side="right") / 300
    # Units at every point, slopes ±1: the critic of W₁. A clipped one is a single hinge.
    values = np.append(0.0, np.cumsum(np.sign(gap[:-1]) * np.diff(points)))
    many = np.interp(target, points, values).mean() - np.interp(moved, points, values).mean()
    hinges = [
        np.maximum(sign * (x[:, None] - points), 0).mean(axis=0)
        for sign in (1, -1)
        for x in (target, moved)
    ]
    one = max(largest(hinges[0] - hinges[1]), largest(hinges[2] - hinges[3]))
    assert many == pytest.approx(stats.wasserstein_distance(moved, target), rel=1e-9)
    assert many > 1.3 * one


# prop-adv-power


def power_iteration(matrix, start, steps):
    v, estimates = start / np.linalg.norm(start), []
    for _ in range(steps):
        u = matrix @ v
        estimates.append(np.linalg.norm(u))
        v = matrix.T @ u
        v /= np.linalg.norm(v)
    return np.array(estimates)


shapes = pytest.mark.parametrize("shape", [(2, 2), (5, 3), (3, 8), (30, 30)])


@pytest.mark.statement("prop-adv-power")
@shapes
@seeds
def test_power_iteration_rises_to_the_spectral_norm_at_its_rate(seed, shape, record_property):
    rng = np.random.default_rng([seed, *shape])
    matrix, start = rng.normal(size=shape), rng.normal(size=shape[1])
    estimates = power_iteration(matrix, start, 3000)
    exact = np.linalg.norm(matrix, 2)
    error = abs(estimates[-1] / exact - 1)
    record_property("error", error)
    assert error < 1e-9
    assert np.all(np.diff(estimates) > -1e-12 * exact)
    assert estimates.max() <= exact * (1 + 1e-12)
    _, singular, right = linalg.svd(matrix)
    components = right @ (start / np.linalg.norm(start))
    tan2 = (components[1:] ** 2).sum() / components[0] ** 2
    rate = (singular[1] / singular[0]) ** (4.0 * np.arange(3000))
    assert np.all(1 - (estimates / exact) ** 2 <= tan2 * rate + 1e-12)


@pytest.mark.statement("prop-adv-power", control=True)
@pytest.mark.parametrize("shape", [(5, 3), (6, 6)])
@seeds
def test_a_start_at_a_right_angle_finds_the_second_singular_value(seed, shape):
    rng = np.random.default_rng([seed, *shape])
    left, singular, right = linalg.svd(rng.normal(size=shape), full_matrices=False)
    singular[0] = 1.5 * singular[1]
    matrix = left * singular @ right
    # A handful of steps: rounding would bring the first vector back in the end.
    estimates = power_iteration(matrix, right[1] + 0.5 * right[2], 12)
    assert estimates[-1] < 1.01 * singular[1] < np.linalg.norm(matrix, 2) / 1.3
