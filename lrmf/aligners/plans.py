"""Optimal transport plans of two samples, exact and entropic: NumPy arrays, by POT."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import rel_entr

from ..extras import import_pot
from ..units import exponent, scaled

__all__ = ["EntropicPlan", "divergence", "exact_plan", "sinkhorn", "symmetric_sinkhorn"]

Array = NDArray[np.float64]

# exp(-c/ε) and the vectors that scale it stay within float64's range for costs up to so many ε.
_LARGEST_EXPONENT = 500.0
# POT stops after 100,000 pivots unless told otherwise, too few for some thousands of points.
_PIVOTS = 10_000_000
# Iterations after which Sinkhorn's algorithm has converged or will take thousands.
_PATIENCE = 200


@dataclass(frozen=True, eq=False)
class EntropicPlan:
    """What Sinkhorn's algorithm gave for costs c and ε.

    Attributes:
        source, target: dual potentials f ``(n,)`` and g ``(m,)``:
            P_ij = exp((f_i + g_j - c_ij) / ε) / (n m).
        n_iter: iterations, each of them two products with the kernel.
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
    # POT takes differences of costs below some absolute size for zero.
    near_one = scaled(costs, -exponent(costs))
    return np.asarray(import_pot().emd([], [], near_one, numItermax=_PIVOTS))


def sinkhorn(costs: Array, epsilon: float, *, max_iter: int, tolerance: float) -> EntropicPlan:
    """Sinkhorn's algorithm by POT, for small ε after larger ones (ε-scaling).

    The potentials of one ε are subtracted from the costs for the next. This leaves the plan as it
    is, and the kernel exp(-c/ε) of likely pairs near one. Where ε is so small that the algorithm
    creeps, Newton's method goes on from what it reached.
    """
    f = costs.min(axis=1)
    g = (costs - f[:, None]).min(axis=0)
    solution = EntropicPlan(f, g, 0, np.inf)
    start = float((costs - f[:, None] - g).max()) / _LARGEST_EXPONENT
    while start > epsilon and solution.n_iter < max_iter:
        solution = _refined(solution, costs, start, max_iter=max_iter, tolerance=1e-3)
        start /= 4
    first = min(max_iter, solution.n_iter + _PATIENCE)
    solution = _refined(solution, costs, epsilon, max_iter=first, tolerance=tolerance)
    if solution.error <= tolerance or solution.n_iter >= max_iter:
        return solution
    half = (solution.n_iter + max_iter) // 2  # it may end at what it can tell from rounding
    solution = _newton(solution, costs, epsilon, max_iter=half, tolerance=tolerance)
    if solution.error <= tolerance or solution.n_iter >= max_iter:
        return solution
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


def _newton(
    guess: EntropicPlan, costs: Array, epsilon: float, *, max_iter: int, tolerance: float
) -> EntropicPlan:
    """Go on from potentials by Newton's method on the semi-dual, in a trust region.

    With f chosen for g so that the rows are right, the dual objective -F(g) is concave, and

        ∇F = P'1 - 1/m,    ∇²F = (diag(P'1) - n P'P) / ε.

    Products with the second derivative cost what an iteration of Sinkhorn's algorithm does. Far
    fewer are needed, because Lanczos' method sees all of them at once.

    Source: Cuturi and Peyré, A smoothed dual approach for variational Wasserstein problems (2016).
    """
    n, m = costs.shape
    reduced = (costs - guess.source[:, None] - guess.target) / epsilon
    done = 0

    def at(g: Array) -> tuple[Array, Array, Array]:
        exponents = g - reduced
        largest = exponents.max(axis=1, keepdims=True)
        shares = np.exp(exponents - largest)
        sums = shares.sum(axis=1, keepdims=True)
        shares /= sums
        return -(np.log(sums / m) + largest)[:, 0], shares, shares.mean(axis=0)

    last: tuple[Array, tuple[Array, Array, Array]] = (np.zeros(m), at(np.zeros(m)))

    # All is multiplied by m, for a second derivative near one.
    def value(g: Array) -> tuple[float, Array]:
        nonlocal last, done
        last = (g.copy(), at(g))
        done += 1
        f, _, columns = last[1]
        return -m * float(f.mean() + g.mean()), m * columns - 1

    def curvature(g: Array, v: Array) -> Array:
        nonlocal last, done
        if not np.array_equal(g, last[0]):
            last = (g.copy(), at(g))
        done += 1
        if guess.n_iter + done > max_iter:
            raise _Exhausted
        _, shares, columns = last[1]
        return np.asarray(m * (columns * v - shares.T @ (shares @ v) / n))

    best = np.zeros(m)

    def keep(g: Array) -> None:
        nonlocal best
        if np.isfinite(g).all():
            best = g.copy()

    # The last steps before the limits of float64 make SciPy divide by zero.
    with contextlib.suppress(_Exhausted), np.errstate(all="ignore"):
        optimize.minimize(
            value,
            best,
            jac=True,
            hessp=curvature,
            method="trust-krylov",
            callback=keep,
            options={
                "gtol": tolerance * np.sqrt(m),  # of a norm that is at least the sum over √m
                "initial_trust_radius": np.sqrt(m),
                "max_trust_radius": 1e3 * np.sqrt(m),
            },
        )
    f, _, columns = at(best)
    return EntropicPlan(
        guess.source + epsilon * f,
        guess.target + epsilon * best,
        guess.n_iter + done,
        float(np.abs(columns - 1 / m).sum()),
    )


class _Exhausted(Exception):
    """No iteration is left."""


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
