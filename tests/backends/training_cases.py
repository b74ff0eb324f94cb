"""The same small LRMF problem for every named spec, and specs to be trained on it."""

import functools

import numpy as np
from model_cases import CASES, EDGES, HIDDEN, Case

import lrmf
from lrmf.backends.base import Role
from lrmf.objectives import likelihood_ratio
from lrmf.specs import FlowSpec

#: Pairs of transform and shared density.
PAIRS = {
    "full-gaussian": (lrmf.Affine(), lrmf.Gaussian(), 3),
    "realnvp-realnvp": (
        lrmf.RealNVP(blocks=4, hidden=HIDDEN),
        lrmf.RealNVP(blocks=2, hidden=HIDDEN),
        2,
    ),
    "identity-histogram": (lrmf.Identity(), lrmf.Histogram(edges=(EDGES, EDGES)), 2),
}


def roles_and_arrays(transform, density, *, perturbed):
    """Both roles of the LRMF loss, and arrays for them (from different seeds)."""
    roles = (
        Role("transform", lrmf.Flow, transform.spec, transform.event_shape),
        Role("density", lrmf.Density, density.spec, density.event_shape),
    )
    arrays = {
        "transform": transform.arrays(1, perturbed=perturbed),
        "density": density.arrays(2, perturbed=perturbed),
    }
    return roles, arrays


def data(event_shape, n_source=40, n_target=50):
    """Source and target that no affine map aligns."""
    rng = np.random.default_rng(event_shape)
    return {
        "source": rng.normal(size=(n_source, *event_shape)),
        "target": 1.0 + 0.5 * rng.standard_exponential(size=(n_target, *event_shape)),
    }


def problem(name, *, perturbed=True):
    """Roles, arrays and a batch for the LRMF loss with a named spec in both roles."""
    density = CASES[name]
    transform = density
    if not isinstance(density.spec, FlowSpec):
        transform = Case(lrmf.Affine(), density.features)
    roles, arrays = roles_and_arrays(transform, density, perturbed=perturbed)
    return roles, arrays, data(density.event_shape)


@functools.cache
def loss_and_gradients(name, backend, *, perturbed, dtype):
    """The LRMF loss of `problem` and its gradients: computed once, checked in several tests."""
    return lrmf.get_backend(backend).loss_and_gradients(
        likelihood_ratio, *problem(name, perturbed=perturbed), dtype=dtype
    )


def pair(name, *, perturbed=False):
    """Roles, arrays and data of a named pair of specs."""
    transform, density, features = PAIRS[name]
    roles, arrays = roles_and_arrays(
        Case(transform, features), Case(density, features), perturbed=perturbed
    )
    return roles, arrays, data((features,))
