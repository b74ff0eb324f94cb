"""Entropic optimal transport as an aligner: no flow, no training, one map for every point."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import distance as pairwise
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning

from ..checks import check_bool, check_positive_int, check_positive_number
from ..extras import import_pot
from ..points import check_pair, feature_names
from .computed import ComputedAligner, check_squares, shared_deviations, warn_of_points
from .plans import sinkhorn

__all__ = ["EntropicOT"]

Array = NDArray[np.float64]

_SCALES: dict[str, Callable[[Array], Any]] = {"mean": np.mean, "median": np.median, "max": np.max}
# Entries of a cost matrix held at once where new points are mapped (32 MB).
_BLOCK = 2**22


class EntropicOT(ComputedAligner):
    """Optimal transport smoothed by entropy, with the barycentre of a point's plan as its image.

    The plan between the points x_i of the source and y_j of the target is

        P = argmin Σ_ij P_ij |x_i - y_j|² + ε KL(P | uniform),    Σ_j P_ij = 1/n,  Σ_i P_ij = 1/m,

    and the map takes a point to the mean of the targets that it is coupled with,

        T(x) = Σ_j w_j(x) y_j,    w(x) = softmax_j((g_j - |x - y_j|²) / ε),

    where g is the dual potential of the target. At a point x_i of the data, w_j(x_i) = n P_ij:
    there T is the barycentric projection. New points are mapped by the same formula, the entropic
    map of Pooladian and Niles-Weed, as by POT's ``ot.da.SinkhornTransport``. It is smooth, while
    the displacement of the nearest point of the data (Ferradans et al., POT's other choice) jumps
    from one point's cell to the next; it estimates the optimal map, and never leaves the convex
    hull of the target points.

    T averages, so T(A) is narrower than B: by ε/2 in variance along each direction, to first
    order, where A and B are equally wide. Where ε is large all points go to the mean of B. As ε
    goes to zero T goes to the optimal assignment of the data. `inverse_transform` is the same map
    from B to A; it undoes T only as ε goes to zero.

    Memory and time go with n · m, for each of some hundred iterations. Needs POT:
    ``pip install "lrmf[ot]"``.

    Sources: Cuturi, Sinkhorn distances (2013); Courty et al., Optimal transport for domain
    adaptation (2017); Pooladian and Niles-Weed, Entropic estimation of optimal transport maps
    (2021).

    Args:
        regularization: ε, in units of ``cost_scale``.
        cost_scale: ``"mean"``, ``"median"`` or ``"max"`` of the costs |x_i - y_j|², or None for
            an ε in squared units of the (standardised) data.
        max_iter: the most iterations of Sinkhorn's algorithm. They go up as ε goes down.
        tolerance: share of the mass that may be left in the wrong place.
        standardize: take the costs of features divided by their deviations, the mean squares of
            both domains', so that units of features do not matter. By default costs are those of
            the data in their own units, in which features of large numbers decide.

    Attributes:
        epsilon_: ε, in squared units of the (standardised) data.
        source_points_, target_points_: the data ``(n, d)`` and ``(m, d)``.
        source_potential_, target_potential_: the dual potentials f ``(n,)`` and g ``(m,)``, in
            squared units of the (standardised) data:
            P_ij = exp((f_i + g_j - |x_i - y_j|²) / ε) / (n m).
        n_iter_: iterations.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first words:
            finished, not converged.

    >>> a = np.array([[0.0, 0.0], [0.0, 1.0]])
    >>> model = EntropicOT(regularization=0.05, cost_scale=None).fit(Xs=a, Xt=a + [4.0, 0.0])
    >>> model.transform(a).round(6).tolist()
    [[4.0, 0.0], [4.0, 1.0]]
    """

    _arrays = ("source_points_", "target_points_", "source_potential_", "target_potential_")
    _facts = ("epsilon_", "n_iter_", "status_", "outcome_")

    source_points_: Array
    target_points_: Array
    source_potential_: Array
    target_potential_: Array

    def __init__(
        self,
        *,
        regularization: float = 0.05,
        cost_scale: Literal["mean", "median", "max"] | None = "mean",
        max_iter: int = 2000,
        tolerance: float = 1e-6,
        standardize: bool = False,
    ) -> None:
        self.regularization = regularization
        self.cost_scale = cost_scale
        self.max_iter = max_iter
        self.tolerance = tolerance
        self.standardize = standardize

    def fit(self, Xs: Any = None, ys: Any = None, Xt: Any = None, yt: Any = None) -> Self:
        """Compute plan and potentials of source and target points.

        Args:
            Xs: source points ``(n_s, *event_shape)``.
            ys: accepted as in POT, never used.
            Xt: target points ``(n_t, *event_shape)``.
            yt: accepted as in POT, never used.

        Warns:
            ConvergenceWarning: more iterations are needed; the map averages with weights that
                sum to one all the same. ``status_`` says so, too.
            DataWarning: outliers, which decide the scale of the costs.

        Raises:
            ValueError, TypeError: bad data or parameters.
            ImportError: POT is missing.
        """
        own = self._plain()
        own._check_parameters()
        given = source, target = check_pair(Xs, Xt)
        names = feature_names({"Xs": Xs, "Xt": Xt})
        check_squares(source, "Xs")
        check_squares(target, "Xt")
        import_pot()
        warn_of_points({"Xs": source, "Xt": target}, names, looks=("extreme",))
        source, target = (x.reshape(len(x), -1) for x in (source, target))
        unit = shared_deviations(source, target) if own.standardize else 1.0
        check_squares(source / unit, "Xs divided by its deviations")
        check_squares(target / unit, "Xt divided by its deviations")
        costs = _costs(source / unit, target / unit)
        scale = 1.0 if own.cost_scale is None else float(_SCALES[own.cost_scale](costs))
        if scale == 0:
            raise ValueError(
                f"the {own.cost_scale} of the costs is zero, as points of Xs and Xt coincide; set "
                "cost_scale=None, for a regularization in squared units of the data"
            )
        epsilon = float(own.regularization) * scale
        solution = sinkhorn(costs, epsilon, max_iter=own.max_iter, tolerance=own.tolerance)
        if not np.isfinite(solution.error):
            raise ValueError(
                f"regularization={own.regularization!r} is too small: costs of up to "
                f"{costs.max():.3g} over epsilon={epsilon:.3g} overflow; raise it"
            )
        finished = solution.error <= own.tolerance
        status = (
            f"finished: converged in {solution.n_iter} iterations"
            if finished
            else f"not converged: after {solution.n_iter} iterations {solution.error:.2g} of the "
            f"mass is in the wrong place, more than tolerance={own.tolerance:g}; raise max_iter "
            "or regularization"
        )
        self._keep(
            own,
            *given,
            names,
            source_points_=source,
            target_points_=target,
            source_potential_=solution.source,
            target_potential_=solution.target,
            epsilon_=epsilon,
            n_iter_=solution.n_iter,
            outcome_="finished" if finished else "not converged",
            status_=status,
        )
        if not finished:
            warnings.warn(self.status_, ConvergenceWarning, stacklevel=2)
        return self

    def _moved(self, x: Any, argument: str) -> np.ndarray:
        return self._barycentres(x, argument, "target")

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Map target points to the source's domain, by the entropic map from B to A.

        The inverse of `transform` as ε goes to zero, else only near it. Shape
        ``(n, *event_shape)``.
        """
        return self._barycentres(X, "X", "source")

    def _check_parameters(self) -> None:
        check_positive_number("regularization", self.regularization)
        if self.cost_scale is not None and (
            not isinstance(self.cost_scale, str) or self.cost_scale not in _SCALES
        ):
            raise ValueError(
                f"cost_scale must be one of {tuple(_SCALES)} or None, got {self.cost_scale!r}"
            )
        check_positive_int("max_iter", self.max_iter)
        check_positive_number("tolerance", self.tolerance)
        check_bool("standardize", self.standardize)

    def _barycentres(self, x: Any, argument: str, side: Literal["source", "target"]) -> np.ndarray:
        points = self._check_new(x, argument)
        there = getattr(self, f"{side}_points_")
        potential = getattr(self, f"{side}_potential_")
        unit: Any = 1.0
        if self._fitted_parameters["standardize"]:
            unit = shared_deviations(self.source_points_, self.target_points_)
        x, y = points.reshape(len(points), -1) / unit, there / unit
        check_squares(x, argument)
        images = []
        for block in _blocks(x, len(y)):
            gains = potential - _costs(block, y)
            gains -= gains.max(axis=1, keepdims=True)
            with np.errstate(over="ignore"):  # to minus infinity: no weight
                images.append(softmax(gains / self.epsilon_, axis=1) @ there)
        return np.concatenate(images).reshape(points.shape)


def _costs(x: Array, y: Array) -> Array:
    return np.asarray(pairwise.cdist(x, y, "sqeuclidean"))


def _blocks(x: Array, width: int) -> Iterator[Array]:
    rows = max(1, _BLOCK // width)
    for start in range(0, len(x), rows):
        yield x[start : start + rows]
