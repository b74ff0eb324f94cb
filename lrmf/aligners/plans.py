"""Optimal transport plans of two samples, exact and entropic: NumPy arrays, by POT."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from ..extras import import_pot

__all__ = ["EntropicPlan", "divergence", "exact_plan", "sinkhorn", "symmetric_sinkhorn"]

Array = NDArray[np.float64]

# exp(-c/ε) and the vectors that scale it stay within float64's range for costs up to so many ε.
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
    """Sinkhorn's algorithm by POT, for small ε after larger ones (ε-scaling).

    The potentials of one ε are subtracted from the costs for the next. This leaves the plan as it
    is, and the kernel exp(-c/ε) of likely pairs near one.
    """
    f = costs.min(axis=1)
    g = (costs - f[:, None]).min(axis=0)
    solution = EntropicPlan(f, g, 0, np.inf)
    start = float((costs - f[:, None] - g).max()) / _LARGEST_EXPONENT
    while start > epsilon and solution.n_iter < max_iter:
        solution = _refined(solution, costs, start, max_iter=max_iter, tolerance=1e-3)
        start /= 4
    return _refined(solution, costs, epsilon, max_iter=max_iter, tolerance=tolerance)


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


def _refined(
    guess: EntropicPlan, costs: Array, epsilon: float, *, max_iter: int, tolerance: float
) -> EntropicPlan:
    """Go on from potentials: by products with the kernel or, where these fail, by its logarithm."""
    ot = import_pot()
    n, m = costs.shape
    reduced = costs - guess.source[:, None] - guess.target
    left = max(1, max_iter - guess.n_iter)
    for method, names in (("sinkhorn", ("u", "v")), ("sinkhorn_log", ("log_u", "log_v"))):
        # A kernel that underflows makes POT break off with a warning, and us try again.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            plan, log = ot.sinkhorn(
                np.full(n, 1 / n),
                np.full(m, 1 / m),
                reduced,
                epsilon,
                method=method,
                numItermax=left,
                stopThr=tolerance / np.sqrt(m),  # of a norm that is at least the sum over √m
                warn=False,
                log=True,
            )
            scalings = [log[name] if "log" in method else np.log(log[name]) for name in names]
        error = float(np.abs(plan.sum(axis=0) - 1 / m).sum())
        done = int(log["niter"]) + 1
        if error <= tolerance or (np.isfinite(error) and done == left):
            break
    return EntropicPlan(
        guess.source + epsilon * (scalings[0] + np.log(n)),
        guess.target + epsilon * (scalings[1] + np.log(m)),
        guess.n_iter + done,
        error,
    )
