"""Flows and chains of maps, for the checks of the chapters on RealNVP."""

import numpy as np

import lrmf


def spread_arrays(spec, d, rng):
    """Arrays far from the identity, as after a long training."""
    arrays = spec.init((d,), rng)
    return {name: value + 0.3 * rng.normal(size=value.shape) for name, value in arrays.items()}


def random_flow(backend, spec, d, seed):
    """A flow that is far from the identity."""
    arrays = spread_arrays(spec, d, np.random.default_rng([d, *np.atleast_1d(seed)]))
    return lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")


class Chain:
    """Maps applied one after the other, with the log-determinants added up."""

    def __init__(self, *maps):
        self.maps = maps

    def forward(self, x):
        total = np.zeros(len(x))
        for move in self.maps:
            x, log_det = move.forward(x)
            total = total + log_det
        return x, total


class Linear:
    """x ↦ K (x - centre) + centre."""

    def __init__(self, matrix, centre=0.0):
        self.matrix, self.centre = matrix, centre

    def forward(self, x):
        log_det = np.linalg.slogdet(self.matrix)[1]
        return (x - self.centre) @ self.matrix.T + self.centre, np.full(len(x), log_det)
