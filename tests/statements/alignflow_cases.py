"""Models far from their start, for the checks of AlignFlow."""

import numpy as np

import lrmf
from lrmf.backends.base import Role


def models(seed, roles):
    """Models far from their start, in double precision."""
    engine, rng = lrmf.get_backend("jax"), np.random.default_rng(seed)
    made = {}
    for name, (kind, spec) in roles.items():
        arrays = {k: v + 0.3 * rng.normal(size=v.shape) for k, v in spec.init((2,), rng).items()}
        made[name] = engine.model(Role(name, kind, spec, (2,)), arrays, "float64")
    return made
