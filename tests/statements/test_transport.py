"""Checks of the statements of the chapter "Distances: transport"."""

import numpy as np
import ot
import pytest
from critics_cases import samples, weighted
from scipy import optimize, special, stats
from scipy.spatial.distance import cdist

from lrmf import distances

SEEDS = range(3)
DIMENSIONS = (1, 2, 5)
seeds = pytest.mark.parametrize("seed", SEEDS)
cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])


# def-wasserstein


def program(x, y, a, b, order):
    """W_p by SciPy's linear programming."""
    costs = cdist(x, y) ** order
    m, n = costs.shape
    rows = np.kron(np.eye(m), np.ones(n))
    columns = np.kron(np.ones(m), np.eye(n))
    solved = optimize.linprog(
        costs.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([a, b])
    )
    return solved.fun ** (1 / order), solved


@pytest.mark.statement("def-wasserstein")
@cases
@pytest.mark.parametrize("order", [1, 2])
def test_the_library_solves_the_linear_program(order, d, seed, record_property):
    x, y = samples(d, seed, m=8, n=11)
    expected, _ = program(x, y, np.full(8, 1 / 8), np.full(11, 1 / 11), order)
    error = abs(distances.wasserstein(x, y, order=order) - expected)
    record_property("error", float(error))
    assert error < 1e-8


@pytest.mark.statement("def-wasserstein", control=True)
@cases
def test_without_one_marginal_the_work_is_less(d, seed):
    x, y = samples(d, seed)
    nearest = cdist(x, y).min(axis=1).mean()  # everybody goes to the nearest point of Q
    assert nearest < distances.wasserstein(x, y) - 1e-2


# prop-wasserstein-shift


@pytest.mark.statement("prop-wasserstein-shift")
@cases
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("length", [0.01, 1.0, 100.0])
def test_a_shift_costs_its_length(length, order, d, seed, record_property):
    x, _ = samples(d, seed)
    direction = np.random.default_rng(seed).normal(size=d)
    shift = length * direction / np.linalg.norm(direction)
    error = abs(distances.wasserstein(x, x + shift, order=order) / length - 1)
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("prop-wasserstein-shift", control=True)
@cases
def test_a_stretch_costs_more_than_the_shift_of_the_mean(d, seed):
    x, _ = samples(d, seed)
    y = 2 * x + 0.5
    assert distances.wasserstein(x, y) > np.linalg.norm(y.mean(axis=0) - x.mean(axis=0)) + 0.01


# thm-weak-duality and thm-kantorovich


@pytest.mark.statement("thm-weak-duality")
@cases
def test_every_offer_is_below_every_plan(d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    rng = np.random.default_rng(seed)
    costs = cdist(x, y, "sqeuclidean")
    plans = [np.outer(a, b), ot.emd(a, b, costs)]
    plans += [ot.emd(a, b, rng.random(costs.shape)) for _ in range(10)]
    offers = []
    for _ in range(10):
        phi = rng.normal(size=len(a))
        offers.append((phi, (costs - phi[:, None]).min(axis=0)))
    worst = max(a @ phi + b @ psi for phi, psi in offers)
    assert worst <= min((plan * costs).sum() for plan in plans)
    best_plan, log = ot.emd(a, b, costs, log=True)
    slack = costs - log["u"][:, None] - log["v"]
    error = np.abs(slack[best_plan > 0]).max()
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("thm-weak-duality", control=True)
@cases
def test_an_offer_above_one_cost_beats_the_plan(d, seed):
    x, y, a, b = weighted(d, seed)
    costs = cdist(x, y)
    plan, log = ot.emd(a, b, costs, log=True)
    phi = log["u"] + 0.1  # violates the constraint along the plan
    assert a @ phi + b @ log["v"] > (plan * costs).sum() + 0.09


@pytest.mark.statement("thm-kantorovich")
@cases
@pytest.mark.parametrize("metric_name", ["euclidean", "sqeuclidean", "cityblock"])
def test_plan_and_offer_meet(metric_name, d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    costs = cdist(x, y, metric_name)
    plan, log = ot.emd(a, b, costs, log=True)
    assert (costs - log["u"][:, None] - log["v"]).min() > -1e-12
    error = abs((plan * costs).sum() - a @ log["u"] - b @ log["v"])
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("thm-kantorovich")
@cases
def test_one_lipschitz_critic_is_enough(d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    value, log = ot.emd2(a, b, cdist(x, y), log=True, return_matrix=True)

    def critic(z):
        return (cdist(z, y) - log["v"]).min(axis=1)

    error = abs(a @ critic(x) - b @ critic(y) - value)
    record_property("error", float(error))
    assert error < 1e-12
    rng = np.random.default_rng(seed)
    z, others = rng.normal(size=(2, 200, d))
    steps = np.abs(critic(z) - critic(others)) / np.linalg.norm(z - others, axis=1)
    assert steps.max() <= 1 + 1e-12


@pytest.mark.statement("thm-kantorovich", control=True)
@cases
def test_one_critic_is_not_enough_for_squared_lengths(d, seed):
    # With c(x, y) = |x − y|² no pair (f, −f) reaches the value: it would need
    # f(x) − f(y) ≤ |x − y|² for all points, also in between, so that f is constant.
    x, y, a, b = weighted(d, seed)
    points = np.concatenate([x, y])
    middle = np.concatenate([points + t * (points[::-1] - points) for t in np.linspace(0, 1, 9)])
    costs = cdist(middle, middle, "sqeuclidean")
    i, j = np.nonzero(costs + np.eye(len(middle)) > 0)
    keep = np.random.default_rng(seed).choice(len(i), size=min(len(i), 6000), replace=False)
    nearest = np.argsort(costs, axis=1)[:, 1:6]
    i = np.concatenate([i[keep], np.repeat(np.arange(len(middle)), 5)])
    j = np.concatenate([j[keep], nearest.ravel()])
    rows = np.zeros((len(i), len(middle)))
    rows[np.arange(len(i)), i], rows[np.arange(len(i)), j] = 1.0, -1.0
    objective = np.zeros(len(middle))
    objective[: len(x)], objective[len(x) : len(points)] = -a, b
    solved = optimize.linprog(objective, A_ub=rows, b_ub=costs[i, j], bounds=(None, None))
    value = ot.emd2(a, b, cdist(x, y, "sqeuclidean"))
    assert -solved.fun < 0.9 * value


# cor-w1-line


@pytest.mark.statement("cor-w1-line")
@seeds
def test_w1_on_the_line_is_the_area_between_the_distribution_functions(seed, record_property):
    x, y, a, b = weighted(1, seed)
    points = np.sort(np.concatenate([x, y])[:, 0])
    f = np.array([a[x[:, 0] <= t].sum() for t in points[:-1]])
    g = np.array([b[y[:, 0] <= t].sum() for t in points[:-1]])
    area = np.abs(f - g) @ np.diff(points)
    errors = [
        abs(area - value)
        for value in (
            ot.emd2(a, b, cdist(x, y)),
            stats.wasserstein_distance(x[:, 0], y[:, 0], a, b),
        )
    ]
    record_property("error", float(max(errors)))
    assert max(errors) < 1e-12


@pytest.mark.statement("cor-w1-line", control=True)
@seeds
def test_in_the_plane_the_mean_area_over_the_axes_is_not_w1(seed):
    x, y = samples(2, seed)
    on_axes = [stats.wasserstein_distance(x[:, k], y[:, k]) for k in range(2)]
    assert max(on_axes) < distances.wasserstein(x, y) - 1e-2


# prop-sinkhorn


@pytest.mark.statement("prop-sinkhorn")
@cases
@pytest.mark.parametrize("eps", [1.0, 0.2, 0.05])
def test_form_and_excess_of_the_entropic_plan(eps, d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    costs = cdist(x, y)
    plan = ot.sinkhorn(
        a, b, costs, reg=eps, method="sinkhorn_log", stopThr=1e-12, numItermax=200_000
    )
    marginals = max(np.abs(plan.sum(axis=1) - a).max(), np.abs(plan.sum(axis=0) - b).max())
    scaled = eps * np.log(plan / np.outer(a, b)) + costs  # f_i + g_j: no interaction is left
    centred = scaled - scaled.mean(axis=0) - scaled.mean(axis=1)[:, None] + scaled.mean()
    error = max(marginals, np.abs(centred).max())
    record_property("error", float(error))
    assert error < 1e-9
    excess = (plan * costs).sum() - ot.emd2(a, b, costs)
    assert -1e-9 < excess < eps * min(stats.entropy(a), stats.entropy(b))

    def objective(other):
        return (other * costs).sum() + eps * special.rel_entr(other, np.outer(a, b)).sum()

    others = [np.outer(a, b), ot.emd(a, b, costs)]
    assert all(objective(plan) < objective(other) + 1e-9 for other in others)


@pytest.mark.statement("prop-sinkhorn", control=True)
@cases
def test_one_half_of_a_step_is_no_plan_and_can_cost_less(d, seed):
    x, y, a, b = weighted(d, seed)
    costs = cdist(x, y)
    half = np.outer(a, b) * np.exp(-costs / 0.05)
    half *= (a / half.sum(axis=1))[:, None]  # the rows are right, the columns are not
    assert (half * costs).sum() < ot.emd2(a, b, costs) - 1e-3
