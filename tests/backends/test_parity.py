"""Both backends compute the same: same arrays, same numbers, also after steps of training."""

import functools

import numpy as np
import pytest
from model_cases import (
    CASES,
    COMPOSED,
    CONTINUOUS,
    DENSITIES,
    FLOWS,
    affordable,
    relative_error,
    tolerance,
)
from training_cases import loss_and_gradients, pair

import lrmf
from lrmf.fitting import FitConfig, fit
from lrmf.objectives import likelihood_ratio

TOLERANCES = {"float64": 1e-9, "float32": 1e-4}
#: One case of each kind: single precision compiles everything again.
SINGLE = (
    *("full-2", "diagonal-2", "positive-definite-2"),
    *("realnvp-2-four-blocks", "gaussian-3", "histogram-2"),
)


def in_dtypes(names):
    """Names and types; the solvers' tolerance is out of reach in single precision."""
    return pytest.mark.parametrize(
        ("name", "dtype"),
        [
            (name, dtype)
            for name in names
            for dtype in TOLERANCES
            if dtype == "float64" or name in SINGLE
        ],
    )


@in_dtypes(FLOWS)
def test_flows_agree(name, dtype):
    x = CASES[name].points()
    flows = [CASES[name].flow(backend, dtype=dtype) for backend in ("jax", "tfp")]
    for method in ("forward", "inverse"):
        (y, log_det), (reference, reference_log_det) = (getattr(flow, method)(x) for flow in flows)
        error = tolerance(name, TOLERANCES[dtype])
        assert relative_error(y, reference) < error
        assert relative_error(log_det, reference_log_det) < error


@in_dtypes(DENSITIES)
def test_densities_agree_and_draw_the_same_samples(name, dtype):
    x = CASES[name].points()
    jax, tfp = (CASES[name].density(backend, dtype=dtype) for backend in ("jax", "tfp"))
    error = tolerance(name, TOLERANCES[dtype])
    assert relative_error(jax.log_prob(x), tfp.log_prob(x)) < error
    assert relative_error(jax.sample(32, seed=7), tfp.sample(32, seed=7)) < error
    assert not np.array_equal(jax.sample(32, seed=7), jax.sample(32, seed=8))


@pytest.mark.parametrize(
    ("name", "dtype", "perturbed"),
    [
        (name, "float64", perturbed)
        for name in CASES
        for perturbed in (False, True)
        if affordable(name, "tfp") and (perturbed or name not in (*CONTINUOUS, *COMPOSED))
    ]
    + [(name, "float32", True) for name in SINGLE],
)
def test_losses_and_gradients_agree(name, dtype, perturbed):
    (value, gradients), (reference, reference_gradients) = (
        loss_and_gradients(name, backend, perturbed=perturbed, dtype=dtype)
        for backend in ("jax", "tfp")
    )
    allowed = tolerance(name, TOLERANCES[dtype])
    assert value == pytest.approx(reference, rel=allowed)
    for role, named in reference_gradients.items():
        # TFP solves for gradients with an absolute tolerance, and those of the first layers are
        # tiny at the start: there, errors are measured by the largest gradient.
        sizes = [np.abs(gradient).max(initial=0.0) for gradient in named.values()]
        for array, gradient in named.items():
            error = relative_error(gradients[role][array], gradient)
            if name in CONTINUOUS:
                error = np.abs(gradients[role][array] - gradient).max() / max(sizes)
            assert error < allowed, f"{role}: {array}"


@functools.cache
def trained(name, backend, dtype, gradient_clip):
    """Fifty steps on minibatches, in chunks that do not divide them."""
    roles, arrays, data = pair(name)
    return fit(
        likelihood_ratio,
        roles,
        arrays,
        data,
        backend=lrmf.get_backend(backend),
        config=FitConfig(
            steps=50, batch_size=32, learning_rate=0.01, chunk=25, gradient_clip=gradient_clip
        ),
        seed=np.random.SeedSequence(4),
        dtype=dtype,
        progress=False,
    )


# Gradients agree for every spec, so that a pair stands for what else a step is made of: the loop,
# Adam, clipping, and a model that has no arrays.
@pytest.mark.parametrize(
    ("name", "dtype", "gradient_clip"),
    [
        ("full-gaussian", "float64", 10.0),
        ("full-gaussian", "float32", 0.5),
        ("realnvp-realnvp", "float64", 10.0),
        ("identity-histogram", "float64", 10.0),
    ],
)
def test_fifty_training_steps_agree(name, dtype, gradient_clip):
    jax, tfp = (trained(name, backend, dtype, gradient_clip) for backend in ("jax", "tfp"))
    loss, reference = jax.history["loss"], tfp.history["loss"]
    assert loss.shape == (50,)
    assert loss[-10:].mean() < loss[:10].mean() - 0.05
    np.testing.assert_allclose(loss, reference, rtol=TOLERANCES[dtype])
    for role, named in tfp.arrays.items():
        for array, value in named.items():
            error = relative_error(jax.arrays[role][array], value)
            assert error < TOLERANCES[dtype], f"{role}: {array}"
