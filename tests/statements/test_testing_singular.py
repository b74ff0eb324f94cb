"""Checks of the chapter "The distance as a test": networks, whose parameters are not unique."""

import functools

import jax
import numpy as np
import pytest
from distance_cases import sandwich_weights

import lrmf

SEEDS = range(3)
BACKENDS = ("jax", "tfp")
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


# prop-lrd-singular


def spread_arrays(spec, d, seed):
    rng = np.random.default_rng([d, seed])
    return {
        name: value + 0.4 * rng.normal(size=value.shape)
        for name, value in spec.init((d,), rng).items()
    }


def units(spec):
    """(block, layer, unit) of every hidden unit."""
    return [
        (block, layer, unit)
        for block in range(spec.blocks)
        for layer, width in enumerate(spec.hidden)
        for unit in range(width)
    ]


def rescaled(arrays, block, layer, unit, factor, *, outgoing=True):
    new = {name: value.copy() for name, value in arrays.items()}
    new[f"block_{block}/layer_{layer}/weight"][:, unit] *= factor
    new[f"block_{block}/layer_{layer}/bias"][unit] *= factor
    if outgoing:
        new[f"block_{block}/layer_{layer + 1}/weight"][unit] /= factor
    return new


SMALL = lrmf.RealNVP(blocks=2, hidden=(6, 5))


def log_prob(backend, arrays, x):
    return lrmf.get_backend(backend).density(SMALL, arrays, dtype="float64").log_prob(x)


@pytest.mark.statement("prop-lrd-singular")
@backends
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_rescaling_a_hidden_unit_does_not_change_the_density(d, seed, backend, record_property):
    arrays = spread_arrays(SMALL, d, seed)
    x = np.random.default_rng(seed).normal(size=(50, d))
    before = log_prob(backend, arrays, x)
    worst = 0.0
    for factor, where in zip((0.01, 0.5, 3.0, 50.0), units(SMALL)[::5], strict=False):
        after = log_prob(backend, rescaled(arrays, *where, factor), x)
        worst = max(worst, float(np.abs(after - before).max()))
    record_property("error", worst)
    assert worst < 1e-9


@functools.cache
def network_scores():
    """Compiled scores of the small network, one row of named gradients per point."""
    backend = lrmf.get_backend("jax")

    def log_prob(arrays, point):
        return backend.call("log_prob", SMALL, arrays, point[None])[0]

    return jax.jit(jax.vmap(jax.grad(log_prob), (None, 0)))


def score_rank(d, seed):
    arrays = spread_arrays(SMALL, d, seed)
    x = np.random.default_rng(seed).normal(size=(500, d))
    backend = lrmf.get_backend("jax")
    with backend.scope("float64"):
        native = {name: backend.asarray(value, "float64") for name, value in arrays.items()}
        rows = network_scores()(native, backend.asarray(x, "float64"))
        scores = [np.asarray(rows[name]).reshape(len(x), -1) for name in arrays]
    scores = np.concatenate(scores, axis=1)
    return arrays, scores, np.linalg.matrix_rank(scores, tol=1e-9 * np.linalg.norm(scores, 2))


@pytest.mark.statement("prop-lrd-singular")
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_each_hidden_unit_costs_a_dimension(d, seed, record_property):
    arrays, scores, rank = score_rank(d, seed)
    directions = []
    for where in units(SMALL):
        bent = rescaled(arrays, *where, np.exp(1e-6))
        change = [(bent[name] - arrays[name]).ravel() / 1e-6 for name in arrays]
        directions.append(np.concatenate(change))
    directions = np.stack(directions)
    error = np.abs(scores @ directions.T).max() / np.linalg.norm(scores, 2)
    record_property("error", float(error))
    assert error < 1e-5  # of the finite difference
    assert np.linalg.matrix_rank(directions, tol=1e-3) == len(units(SMALL))
    assert rank <= scores.shape[1] - len(units(SMALL))


@pytest.mark.statement("prop-lrd-singular", control=True)
@backends
@seeds
def test_a_negative_factor_or_one_sided_scaling_changes_the_density(seed, backend):
    arrays = spread_arrays(SMALL, 2, seed)
    x = np.random.default_rng(seed).normal(size=(50, 2))
    before = log_prob(backend, arrays, x)
    changes = [
        max(
            np.abs(log_prob(backend, rescaled(arrays, *where, factor, **options), x) - before).max()
            for where in units(SMALL)[::5]
        )
        for factor, options in ((-1.0, {}), (1.5, {"outgoing": False}))
    ]
    assert min(changes) > 1e-3


@pytest.mark.statement("prop-lrd-singular", control=True)
@seeds
def test_the_normal_family_has_full_rank(seed):
    """No redundant parameters, no zero eigenvalue."""
    x = np.random.default_rng(seed).normal(size=(20_000, 2))
    assert sandwich_weights(x).min() > 0.5
