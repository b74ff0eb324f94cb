"""Optimal transport plans of two samples, exact and entropic: NumPy arrays, by POT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from ..extras import import_pot

__all__ = ["EntropicPlan", "divergence", "exact_plan", "sinkhorn", "symmetric_sinkhorn"]

Array = NDArray[np.float64]

# Up to costs of so many ε, exp(-c/ε) stays within the range of float64, and its scaling too.
_LARGEST_EXPONENT = 500.0
# POT stops after 100,000 pivots unless told otherwise, too few for some thousands of points.
_PIVOTS = 10_000_000


@dataclass(frozen=True, eq=False)
class EntropicPlan:
    """What Sinkhorn's algorithm gave for costs c and ε.

    Attributes:
        source, target: dual potentials f ``(n,)`` and g ``(m,)``:
            P_ij = exp((f_i + g_j - c_ij) / ε) / (n m).
        n_iter: iterations.
        error: share of the mass that is in the wrong place.
    """

    source: Array
    target: Array
    n_iter: int
    error: float

    @property
    def value(self) -> float:
        """OT_ε = min Σ_ij P_ij c_ij + ε KL(P | uniform), as the dual objective gives it."""
        return float(self.source.mean() + self.target.mean())

    def plan(self, costs: Array, epsilon: float) -> Array:
        """P ``(n, m)``."""
        exponents = (self.source[:, None] + self.target - costs) / epsilon
        return np.asarray(np.exp(exponents) / exponents.size)


def exact_plan(costs: Array) -> Array:
    """The plan of least cost Σ_ij P_ij c_ij between uniform weights ``(n, m)``."""
    return np.asarray(import_pot().emd([], [], costs, numItermax=_PIVOTS))


def sinkhorn(costs: Array, epsilon: float, *, max_iter: int, tolerance: float) -> EntropicPlan:
    """Sinkhorn's algorithm by POT.

    A first guess of the potentials makes the costs of likely pairs zero, which leaves the plan as
    it is and keeps exp(-c/ε) within the range of float64. The log domain, which would do it for
    any ε, takes a hundred times as long. Where ε is small, the guess is the exact solution.
    """
    ot = import_pot()
    n, m = costs.shape
    f = costs.min(axis=1)
    g = (costs - f[:, None]).min(axis=0)
    if (costs - f[:, None] - g).max() > _LARGEST_EXPONENT * epsilon:
        _, exact = ot.emd([], [], costs, numItermax=_PIVOTS, log=True)
        f, g = exact["u"], exact["v"]
    reduced = np.maximum(costs - f[:, None] - g, 0.0)
    # The norm that POT looks at is at least the sum over √m.
    plan, log = ot.sinkhorn(
        np.full(n, 1 / n),
        np.full(m, 1 / m),
        reduced,
        epsilon,
        numItermax=max_iter,
        stopThr=tolerance / np.sqrt(m),
        warn=False,
        log=True,
    )
    return EntropicPlan(
        f + epsilon * np.log(n * log["u"]),
        g + epsilon * np.log(m * log["v"]),
        int(log["niter"]) + 1,
        float(np.abs(plan.sum(axis=0) - 1 / m).sum()),
    )


def symmetric_sinkhorn(
    costs: Array, epsilon: float, *, max_iter: int, tolerance: float
) -> EntropicPlan:
    """Sinkhorn's algorithm for the plan of a sample with itself, whose potentials are equal.

    Their average with the update converges in a few steps, where the plain algorithm takes
    hundreds. A cost of zero for each point with itself keeps the sums away from zero.

    Source: Feydy et al., Interpolating between optimal transport and MMD using Sinkhorn
    divergences (2019), section 3.1.
    """
    n = len(costs)
    kernel = np.exp(-costs / epsilon)
    u = np.full(n, 1 / np.sqrt(n))
    for n_iter in range(1, max_iter + 1):
        image = kernel @ u
        error = float(np.abs(u * image - 1 / n).sum())
        if error <= tolerance or n_iter == max_iter:
            break
        u = np.sqrt(u / (n * image))
    potential = epsilon * np.log(n * u)
    return EntropicPlan(potential, potential, n_iter, error)


def divergence(plan: Array, epsilon: float) -> float:
    """ε KL(P | uniform) of a plan of mass one."""
    return float(epsilon * rel_entr(plan, 1 / plan.size).sum())
