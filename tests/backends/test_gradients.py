"""Losses and their gradients: they reach every array, and they are the loss's."""

import numpy as np
import pytest
from model_cases import (
    BACKENDS,
    CASES,
    COMPOSED,
    CONTINUOUS,
    GAUSSIANS,
    HISTOGRAMS,
    affordable,
    tolerance,
)
from training_cases import loss_and_gradients, problem

import lrmf
from lrmf.objectives import likelihood_ratio


@pytest.mark.parametrize(
    ("name", "perturbed", "backend"),
    [
        pytest.param(name, perturbed, backend, id=f"{name}-{where}-{backend}")
        for name in CASES
        for where, perturbed in (("initial", False), ("perturbed", True))
        for backend in BACKENDS
        # A solver's gradients take seconds, and its start is like any other point.
        if affordable(name, backend) and (perturbed or name not in CONTINUOUS)
        if perturbed or not (name in COMPOSED and backend == "tfp")
        # Its last layers start at zero, and so hidden ones wait for these to move.
        if perturbed or not name.startswith("jet")
    ],
)
def test_the_gradient_reaches_every_array(name, perturbed, backend):
    _, arrays, _ = problem(name, perturbed=perturbed)
    value, gradients = loss_and_gradients(name, backend, perturbed=perturbed, dtype="float64")
    assert np.isfinite(value)
    for role, named in arrays.items():
        assert gradients[role].keys() == named.keys()
        for array, value in named.items():
            gradient = gradients[role][array]
            assert gradient.shape == value.shape
            assert gradient.dtype == np.float64
            assert np.isfinite(gradient).all()
            if name in GAUSSIANS and array == "lower":
                # Only what lies below the diagonal is used; of a 1 x 1 matrix, nothing.
                assert (np.triu(gradient) == 0.0).all()
                assert (gradient[np.tril_indices(len(gradient), -1)] != 0.0).all()
            elif name in HISTOGRAMS and array == "shift":
                # A histogram is constant in each bin: it does not say where to move a point.
                assert (gradient == 0.0).all()
            else:
                assert (gradient != 0.0).any(), f"{role}: {array}"


# TFP's are compared with these in test_parity.py.
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_slopes_of_the_loss(name):
    roles, arrays, batch = problem(name)
    engine = lrmf.get_backend("jax")
    rng = np.random.default_rng(3)
    directions = {
        role: {key: rng.normal(size=value.shape) for key, value in named.items()}
        for role, named in arrays.items()
    }

    def loss_at(t):
        moved = {
            role: {key: value + t * directions[role][key] for key, value in named.items()}
            for role, named in arrays.items()
        }
        return engine.loss_and_gradients(likelihood_ratio, roles, moved, batch, dtype="float64")

    _, gradients = loss_at(0.0)
    slope = sum(
        np.sum(gradients[role][key] * directions[role][key])
        for role, named in arrays.items()
        for key in named
    )
    step = 1e-6
    by_differences = (loss_at(step)[0] - loss_at(-step)[0]) / (2 * step)
    error = 10.0 * tolerance(name, 1e-7)
    assert slope == pytest.approx(by_differences, rel=error, abs=error)
