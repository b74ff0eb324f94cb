"""Plans of two samples, exact and entropic."""

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist
from test_discrepancies import BATCH, entropic_cost

from lrmf.aligners import plans, transport

COSTS = cdist(BATCH["source"], BATCH["target"], "sqeuclidean")
WITHIN = cdist(BATCH["source"], BATCH["source"], "sqeuclidean")


def test_exact():
    plan = plans.exact_plan(COSTS)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / 11)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 9)
    assert np.sum(plan * COSTS) == pytest.approx(ot.emd2([], [], COSTS))


@pytest.mark.parametrize("epsilon", [5.0, 0.5, 0.02])
def test_entropic(epsilon):
    found = plans.sinkhorn(COSTS, epsilon, max_iter=200_000, tolerance=1e-10)
    expected = ot.sinkhorn(
        np.full(9, 1 / 9), np.full(11, 1 / 11), COSTS, epsilon,
        method="sinkhorn_log", numItermax=200_000, stopThr=1e-11,
    )  # fmt: skip
    np.testing.assert_allclose(found.plan(COSTS, epsilon), expected, atol=1e-8)
    assert found.error <= 1e-10
    assert found.value == pytest.approx(entropic_cost(COSTS, epsilon), rel=1e-7)
    assert plans.divergence(expected, epsilon) + np.sum(expected * COSTS) == pytest.approx(
        found.value, rel=1e-7
    )


@pytest.mark.parametrize("magnitude", [1e-300, 1e-8, 1e155, 1e300])
@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean"])
def test_exact_at_any_magnitude(cost, magnitude):
    find = transport._ExactPlans(cost).of
    x, y = BATCH["source"], BATCH["target"]
    found = find(magnitude * x, magnitude * y)["plan"]
    np.testing.assert_allclose(found, find(x, y)["plan"], atol=1e-15)


def test_where_sinkhorns_algorithm_creeps_newtons_method_converges():
    rng = np.random.default_rng(0)
    costs = cdist(rng.normal(size=(60, 2)), rng.normal(size=(50, 2)) + 1.0, "sqeuclidean")
    epsilon = 2e-3 * costs.mean()
    found = plans.sinkhorn(costs, epsilon, max_iter=2000, tolerance=1e-8)
    assert found.error <= 1e-8
    assert found.n_iter < 1500  # the algorithm alone has not converged after 20,000
    plan = found.plan(costs, epsilon)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / 50, rtol=1e-6)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 60, rtol=1e-6)


def test_of_a_tiny_epsilon_the_exact_plan_is_near():
    found = plans.sinkhorn(COSTS, 1e-4, max_iter=2000, tolerance=1e-6)
    np.testing.assert_allclose(found.plan(COSTS, 1e-4), plans.exact_plan(COSTS), atol=1e-3)


@pytest.mark.parametrize("epsilon", [5.0, 0.5, 0.02])
def test_of_a_sample_with_itself(epsilon):
    found = plans.symmetric_sinkhorn(WITHIN, epsilon, max_iter=1000, tolerance=1e-10)
    assert found.error <= 1e-10
    assert found.n_iter < 60
    assert found.value == pytest.approx(entropic_cost(WITHIN, epsilon), abs=1e-8)
    np.testing.assert_allclose(found.plan(WITHIN, epsilon).sum(axis=0), 1 / 9)


def test_iterations_have_an_end():
    for found in (
        plans.sinkhorn(COSTS, 0.05, max_iter=3, tolerance=1e-12),
        plans.symmetric_sinkhorn(WITHIN, 0.05, max_iter=3, tolerance=1e-12),
    ):
        assert found.error > 1e-12
        assert found.n_iter <= 3
