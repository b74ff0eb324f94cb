"""Faults of specs and of the arrays that they start from."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

PROBES = ("tests/backends/test_continuous.py", "-k", "probes and signs")

specs = partial(Mutant, tests=("tests/test_specs.py",))

MUTANTS = (
    Mutant(
        "affine: starts away from the identity",
        "lrmf/specs/affine.py",
        'arrays["matrix"] = np.eye(event_shape[0])',
        'arrays["matrix"] = 2.0 * np.eye(event_shape[0])',
        ("tests/backends/test_invariants.py", "-k", "jax and full"),
    ),
    specs(
        "ffjord: certificates use the estimated trace",
        "lrmf/specs/continuous.py",
        'return dataclasses.replace(self, trace="exact")',
        "return self",
    ),
    Mutant(
        "ffjord: Hutchinson's probes are not fixed",
        "lrmf/specs/continuous.py",
        "rng = np.random.default_rng(features)",
        "rng = np.random.default_rng()",
        PROBES,
    ),
    Mutant(
        "ffjord: probes with correlation between features",
        "lrmf/specs/continuous.py",
        "groups = [table[rng.permutation(size)] for _ in range(-(-n // size))]",
        "groups = [rng.choice([-1.0, 1.0], (size, features)) for _ in range(-(-n // size))]",
        PROBES,
    ),
    specs(
        "specs: arrays of any shape are accepted",
        "lrmf/specs/base.py",
        "if found != expected:",
        "if found.keys() != expected.keys():",
    ),
    specs(
        "specs: matrices are accepted as events",
        "lrmf/specs/base.py",
        "isinstance(shape, tuple) and len(shape) == dimensions and",
        "isinstance(shape, tuple) and len(shape) >= dimensions and",
    ),
    specs(
        "specs: a description with unknown fields is read",
        "lrmf/specs/description.py",
        "if not values.keys() <= known:",
        "if False:",
    ),
    specs(
        "histogram: points below the edges are accepted",
        "lrmf/specs/densities.py",
        "np.sum((values < edges[0]) | (values > edges[-1]))",
        "np.sum(values > edges[-1])",
    ),
    Mutant(
        "discriminator: spectral_norm is lost",
        "lrmf/specs/discriminator.py",
        'object.__setattr__(self, "spectral_norm", bool(self.spectral_norm))',
        'object.__setattr__(self, "spectral_norm", True)',
        ("tests/backends/test_discriminator.py", "-k", "jax"),
    ),
)
