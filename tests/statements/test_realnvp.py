"""Checks of the statements of the chapter "RealNVP LRMF", each with a negative control."""

import itertools

import numpy as np
import pytest
from flow_cases import jacobian
from realnvp_cases import Chain, Linear, random_flow
from scipy import integrate, stats

import lrmf
from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (2, 3, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


def blocks_of(flow):
    """The blocks of a RealNVP one by one, each as a flow of a single block (and the features)."""
    d = flow.event_shape[0]
    spec = lrmf.RealNVP(blocks=1, hidden=flow.spec.hidden)
    for k in range(flow.spec.blocks):
        prefix = f"block_{k}/"
        arrays = {
            f"block_0/{name.removeprefix(prefix)}": value
            for name, value in flow.arrays.items()
            if name.startswith(prefix)
        }
        condition, moved = flow.spec.halves(k, d)
        first = condition.stop - condition.start
        block = lrmf.RealNVP(blocks=1, hidden=spec.hidden, split=first)
        order = np.r_[np.arange(d)[condition], np.arange(d)[moved]]
        yield flow.backend.flow(block, arrays, dtype="float64"), order


# def-coupling


def departures(block, condition, x):
    """How far a map is from a coupling block that conditions on the first features.

    What it changes of u, and how far its v part is from being affine in each entry of v alone.
    """
    u, v = x[:, :condition], x[:, condition:]
    y = block.forward(x)[0]

    def moved(values):
        return block.forward(np.concatenate([u, values], axis=1))[0][:, condition:]

    shift = moved(np.zeros_like(v))
    scale = moved(np.ones_like(v)) - shift
    return np.abs(y[:, :condition] - u).max(), np.abs(moved(v) - (scale * v + shift)).max(), scale


@pytest.mark.statement("def-coupling")
@backends
@cases
def test_each_block_scales_and_shifts_one_group_by_amounts_that_depend_on_the_other(
    d, seed, backend, record_property
):
    flow = random_flow(backend, lrmf.RealNVP(blocks=4, hidden=(16, 16)), d, seed)
    x = np.random.default_rng(seed).normal(size=(40, d))
    groups = []
    for block, order in blocks_of(flow):
        condition = block.spec.split
        change, error, scale = departures(block, condition, x)
        record_property("error", error)
        assert change == 0.0
        assert error < 1e-12
        assert (scale > 0).all()
        groups.append((set(order[:condition]), set(order[condition:])))
    assert len(groups) == 4
    for (first, second), (next_first, next_second) in itertools.pairwise(groups):
        assert (first, second) == (next_second, next_first)


@pytest.mark.statement("def-coupling", control=True)
@seeds
def test_a_whole_realnvp_is_no_coupling_block(seed):
    flow = random_flow("jax", lrmf.RealNVP(blocks=3, hidden=(16, 16)), 2, seed)
    change, error, _ = departures(flow, 1, np.random.default_rng(seed).normal(size=(40, 2)))
    assert change > 0.1
    assert error > 0.1


# prop-coupling


@pytest.mark.statement("prop-coupling")
@backends
@cases
def test_the_log_determinant_is_the_sum_of_the_log_scales_and_the_determinant_positive(
    d, seed, backend, record_property
):
    flow = random_flow(backend, lrmf.RealNVP(blocks=4, hidden=(16, 16)), d, seed)
    x = np.random.default_rng(seed).normal(size=(40, d))
    y, log_det = flow.forward(x)
    determinant = np.linalg.det(jacobian(lambda points: flow.forward(points)[0], x, step=1e-5))
    # A kink of a ReLU inside the difference's step spoils a point, not the statement.
    error = np.median(np.abs(np.log(np.abs(determinant)) - log_det))
    record_property("error", float(error))
    assert error < 1e-5
    assert (determinant > 0).all()
    assert np.abs(log_det).max() <= 2 * flow.spec.blocks * (d - d // 2)
    back, inverse_log_det = flow.inverse(y)
    assert np.allclose(back, x, atol=1e-7)
    assert np.allclose(inverse_log_det, -log_det, atol=1e-7)


@pytest.mark.statement("prop-coupling")
@backends
@seeds
def test_the_blocks_one_by_one_give_the_map_and_add_up_to_its_log_determinant(
    seed, backend, record_property
):
    flow = random_flow(backend, lrmf.RealNVP(blocks=4, hidden=(16, 16)), 3, seed)
    x = np.random.default_rng(seed).normal(size=(40, 3))
    y, total = x, np.zeros(len(x))
    for block, order in blocks_of(flow):
        moved, log_det = block.forward(y[:, order])
        y, total = moved[:, np.argsort(order)], total + log_det
    error = max(np.abs(y - flow.forward(x)[0]).max(), np.abs(total - flow.forward(x)[1]).max())
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("prop-coupling", control=True)
@seeds
def test_log_scales_do_not_add_up_where_a_scale_depends_on_what_it_scales(seed):
    weight = np.random.default_rng(seed).normal(size=(2, 2))

    def log_scale(x):
        return 2 * np.tanh(x @ weight / 2)

    x = np.random.default_rng([seed, 1]).normal(size=(40, 2))
    determinant = np.linalg.det(
        jacobian(lambda points: points * np.exp(log_scale(points)), x, step=1e-5)
    )
    assert np.abs(np.log(np.abs(determinant)) - log_scale(x).sum(axis=1)).max() > 0.1


# prop-orientation


def blocks_joined_by_swaps(backend, count, seed):
    """Coupling blocks that all transform the second coordinate, with a swap between any two."""
    swap = Linear(np.array([[0.0, 1.0], [1.0, 0.0]]))
    maps = []
    for k in range(count):
        maps += [swap] if k else []
        maps.append(random_flow(backend, lrmf.RealNVP(blocks=1, hidden=(16, 16)), 2, [seed, k]))
    return Chain(*maps)


def determinants(chain, seed):
    x = np.random.default_rng(seed).normal(size=(40, 2))
    return np.linalg.det(jacobian(lambda points: chain.forward(points)[0], x, step=1e-5))


@pytest.mark.statement("prop-orientation")
@backends
@pytest.mark.parametrize("count", [2, 4, 6])
@seeds
def test_an_odd_number_of_swaps_reverses_the_orientation_everywhere(seed, count, backend):
    assert (determinants(blocks_joined_by_swaps(backend, count, seed), seed) < 0).all()


@pytest.mark.statement("prop-orientation", control=True)
@pytest.mark.parametrize("count", [1, 3, 5])
@seeds
def test_an_even_number_of_swaps_keeps_it(seed, count):
    assert (determinants(blocks_joined_by_swaps("jax", count, seed), seed) > 0).all()


# prop-refit


def expected(density, log_model):
    """E[log_model] under a smooth density: the trapezoidal rule has the error of rounding."""
    x = np.linspace(-30.0, 30.0, 6001)
    return integrate.trapezoid(density.pdf(x) * log_model(x), x)


def pair_of_normals(seed):
    rng = np.random.default_rng([seed, 9])
    return stats.norm(rng.normal(), rng.uniform(0.5, 2)), stats.norm(rng.normal(), 1.0)


@pytest.mark.statement("prop-refit")
@seeds
def test_the_expected_gain_brackets_the_distance(seed, record_property):
    a, b = pair_of_normals(seed)
    pooled = 0.5 * (a.var() + b.var()) + 0.25 * (a.mean() - b.mean()) ** 2
    shared = stats.norm(0.5 * (a.mean() + b.mean()), np.sqrt(pooled))
    distance = float(gaussian.distance_1d(a.mean(), a.std(), b.mean(), b.std()))

    def gain(refit_a, refit_b, base):
        return (
            expected(a, refit_a.logpdf)
            + expected(b, refit_b.logpdf)
            - expected(a, base.logpdf)
            - expected(b, base.logpdf)
        )

    error = abs(gain(a, b, shared) / distance - 1)
    record_property("error", error)
    assert error < 1e-6
    rng = np.random.default_rng(seed)
    for _ in range(10):
        poor = [
            stats.norm(p.mean() + 0.2 * rng.normal(), p.std() * np.exp(0.2 * rng.normal()))
            for p in (a, b, shared)
        ]
        assert gain(poor[0], poor[1], shared) < distance
        assert gain(a, b, poor[2]) > distance


@pytest.mark.statement("prop-refit")
@pytest.mark.parametrize("gap", [0.0, 1.0, 3.0, 8.0])
def test_a_family_that_holds_the_mixture_stays_below_two_log_two(gap, record_property):
    a, b = stats.norm(-gap / 2), stats.norm(gap / 2)

    def log_mixture(x):
        return np.logaddexp(a.logpdf(x), b.logpdf(x)) - np.log(2)

    distance = sum(expected(p, p.logpdf) - expected(p, log_mixture) for p in (a, b))
    assert -1e-9 < distance <= 2 * np.log(2) + 1e-9
    if gap == 8.0:
        error = abs(distance - 2 * np.log(2))
        record_property("error", error)
        assert error < 1e-3


@pytest.mark.statement("prop-refit", control=True)
def test_a_family_without_the_mixture_goes_beyond_two_log_two():
    assert float(gaussian.distance_1d(-8.0, 1.0, 8.0, 1.0)) > 2 * np.log(2) + 1
