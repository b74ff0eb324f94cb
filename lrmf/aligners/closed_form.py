"""Aligners that need no training, since two means and two covariances decide their map.

All they see of the data are the first two moments, the covariances divided by n. Points of more
axes, such as pictures, are flattened.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ..backends import get_backend
from ..checks import check_bool, check_non_negative_number
from ..degenerate import LOOKS, degeneracies
from ..models import Flow
from ..points import Rows, check_pair, feature_names
from ..specs import Affine
from ..standardization import moments
from .computed import (
    ComputedAligner,
    check_squares,
    largest_deviation,
    shared_deviations,
    warn_of_points,
)

__all__ = ["CORAL", "AffineAligner", "GaussianOT"]

Array = NDArray[np.float64]


class AffineAligner(ComputedAligner):
    """An aligner T(x) = K x + b whose K follows from the two covariances.

    A subclass says in `_map` how. Its shift brings mean to mean, and the inverse is the map from
    target to source.
    """

    _arrays = ("matrix_", "shift_", "inverse_matrix_")

    matrix_: Array
    shift_: Array
    inverse_matrix_: Array

    def __init__(self, *, regularization: float = 0.0, standardize: bool = False) -> None:
        self.regularization = regularization
        self.standardize = standardize

    @staticmethod
    @abstractmethod
    def _map(here: Array, there: Array) -> Array:
        """The matrix for the covariance ``here``, which is regular, and the one ``there``."""

    def fit(self, Xs: Any = None, ys: Any = None, Xt: Any = None, yt: Any = None) -> Self:
        """Compute the map from the moments of source and target points.

        Args:
            Xs: source points ``(n_s, *event_shape)``.
            ys: accepted as in POT, never used.
            Xt: target points ``(n_t, *event_shape)``.
            yt: accepted as in POT, never used.

        Raises:
            ValueError, TypeError: bad data or parameters, and a covariance of ``Xs`` that is
                singular.

        Warns:
            DataWarning: outliers, which decide moments, or no inverse, as Xt is flat.
        """
        own = self._plain()
        check_non_negative_number("regularization", own.regularization)
        check_bool("standardize", own.standardize)
        source, target = check_pair(Xs, Xt)
        names = feature_names({"Xs": Xs, "Xt": Xt})
        check_squares(source, "Xs")
        check_squares(target, "Xt")
        # K has no units: those of powers of covariances neither overflow nor vanish.
        if own.standardize:
            unit = shared_deviations(source, target)
        else:
            unit = np.array(largest_deviation(source, target))
        mean_a, cov_a = _moments(source, unit)
        mean_b, cov_b = _moments(target, unit)
        amount = float(own.regularization)
        if not own.standardize:
            amount = min(amount / float(unit) / float(unit), 1e100)
        extra = amount * np.eye(len(mean_a))
        cov_a, cov_b = cov_a + extra, cov_b + extra
        if _is_singular(cov_a):
            units = np.outer(unit, unit) if own.standardize else unit**2
            raise ValueError(_singular(cov_a * units, "Xs", source, names))
        invertible = not _is_singular(cov_b)
        warn_of_points({"Xs": source}, names, looks=("extreme",))
        warn_of_points({"Xt": target}, names, looks=("extreme",) if invertible else LOOKS[::2])

        def in_units_of_the_data(matrix: Array) -> Array:
            return matrix * unit[:, None] / unit if own.standardize else matrix

        matrix = in_units_of_the_data(self._map(cov_a, cov_b))
        self._keep(
            own,
            source,
            target,
            names,
            matrix_=matrix,
            shift_=mean_b - matrix @ mean_a,
            # An array of no rows says that there is no inverse, in a file as well.
            inverse_matrix_=in_units_of_the_data(self._map(cov_b, cov_a))
            if invertible
            else np.zeros((0, len(mean_a))),
        )
        return self

    def _moved(self, x: Any, argument: str) -> np.ndarray:
        points = self._check_new(x, argument)
        return (_flat(points) @ self.matrix_.T + self.shift_).reshape(points.shape)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Map target points to the source's domain, ``(n, *event_shape)``.

        Raises:
            ValueError: the covariance of the target points was singular.
        """
        points = self._check_new(X, "X")
        self._check_inverse()
        return ((_flat(points) - self.shift_) @ self.inverse_matrix_.T).reshape(points.shape)

    def flow(
        self,
        backend: Literal["jax", "tfp"] = "jax",
        *,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> Flow:
        """The map as a flow of a backend, of (flattened) points.

        Raises:
            ValueError: there is no inverse, as in `inverse_transform`.
        """
        self._check_fitted()
        self._check_inverse()
        arrays = {"matrix": self.matrix_, "shift": self.shift_}
        return get_backend(backend).flow(Affine(), arrays, dtype=dtype)

    def _check_inverse(self) -> None:
        if not len(self.inverse_matrix_):
            raise ValueError(
                f"this {type(self).__name__} has no inverse, because the covariance of Xt was "
                "singular: a feature is constant or a function of others, or there were too few "
                "points; drop such features, or fit with a positive regularization"
            )


class CORAL(AffineAligner):
    """Correlation alignment: whiten the source, then colour it like the target.

        T(x) = C_B^½ C_A^(-½) (x - μ_A) + μ_B,    C = Σ + regularization · I

    with symmetric roots. Without regularization T(A) has the mean and the covariance of B exactly.
    Of all affine maps that do, this is the one of optimal transport, `GaussianOT`, only where the
    covariances commute.

    The original (Sun, Feng and Saenko, 2016, Algorithm 1) has C = Σ + I, with covariances divided
    by n - 1, and leaves the means alone, because it z-scores both domains before. On centred data
    ``CORAL(regularization=1.0)`` is that map up to the factor in the covariances. With any
    regularization the moments agree only approximately.

    Source: Sun, Feng and Saenko, Return of frustratingly easy domain adaptation (AAAI 2016).

    Args:
        regularization: what is added to the diagonals of both covariances, in squared units of
            the (standardised) data. Covariances of constant or repeated features need it.
        standardize: take the covariances of features divided by their deviations, the mean
            squares of both domains', so that units of features do not matter. By default the map
            is that of the data in their own units, in which features of large numbers decide.

    Attributes:
        matrix_: K ``(d, d)`` of T(x) = K x + b.
        shift_: b ``(d,)``.
        inverse_matrix_: the inverse of K, or of shape ``(0, d)`` where there is none.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(100, 2)), rng.normal(size=(80, 2)) * [3.0, 1.0] + [5.0, 0.0]
    >>> moved = CORAL().fit(Xs=a, Xt=b).transform(a)
    >>> np.allclose(moved.mean(axis=0), b.mean(axis=0))
    True
    >>> np.allclose(np.cov(moved.T, bias=True), np.cov(b.T, bias=True))
    True
    """

    @staticmethod
    def _map(here: Array, there: Array) -> Array:
        return _power(there, 0.5) @ _power(here, -0.5)


class GaussianOT(AffineAligner):
    """Optimal transport of one normal density to another, applied to the data.

        T(x) = K (x - μ_A) + μ_B,    K = C_A^(-½) (C_A^½ C_B C_A^½)^½ C_A^(-½),
        C = Σ + regularization · I

    K is symmetric and positive definite. Without regularization T(A) has the mean and the
    covariance of B exactly, and no other map that achieves this moves the points of A less in the
    mean of squares, whatever the data: for normal data it is optimal transport, for others the
    best that their moments tell. The same map as POT's ``ot.da.LinearTransport``.

    Source: Knott and Smith, On the optimal mapping of distributions (1984); Peyré and Cuturi,
    Computational optimal transport (2019), Remark 2.31.

    Args:
        regularization: what is added to the diagonals of both covariances, in squared units of
            the (standardised) data. Covariances of constant or repeated features need it.
        standardize: take the covariances of features divided by their deviations, the mean
            squares of both domains', so that units of features do not matter. By default the map
            is that of the data in their own units, in which features of large numbers decide.

    Attributes:
        matrix_: K ``(d, d)`` of T(x) = K x + b.
        shift_: b ``(d,)``.
        inverse_matrix_: the inverse of K, or of shape ``(0, d)`` where there is none.

    >>> a, b = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.diag([1.0, 3.0])
    >>> model = GaussianOT().fit(Xs=a, Xt=np.concatenate([b, -b]))
    >>> model.matrix_.round(6).tolist()
    [[1.0, 0.0], [0.0, 3.0]]
    """

    @staticmethod
    def _map(here: Array, there: Array) -> Array:
        root, inverse_root = _power(here, 0.5), _power(here, -0.5)
        matrix = inverse_root @ _power(root @ there @ root, 0.5) @ inverse_root
        return 0.5 * (matrix + matrix.T)


def _flat(x: np.ndarray) -> Array:
    return x.reshape(len(x), -1)


def _moments(x: np.ndarray, unit: Array) -> tuple[Array, Array]:
    """The mean of points, and their covariance in squares of units, divided by n."""
    points = _flat(x)
    mean = points.mean(axis=0)
    centred = (points - mean) / unit
    return mean, centred.T @ centred / len(points)


def _power(cov: Array, exponent: float) -> Array:
    """A symmetric power of a covariance; rounding's negative eigenvalues count as zero."""
    eigenvalues, vectors = np.linalg.eigh(cov)
    return np.asarray((vectors * np.maximum(eigenvalues, 0.0) ** exponent) @ vectors.T)


def _is_singular(cov: Array) -> bool:
    eigenvalues = np.linalg.eigvalsh(cov)
    # The rounding of the covariance alone moves eigenvalues by so much.
    return bool(eigenvalues[0] <= len(cov) * 1e-14 * eigenvalues[-1])


def _singular(cov: Array, argument: str, points: np.ndarray, names: Sequence[str] | None) -> str:
    eigenvalues = np.linalg.eigvalsh(cov)
    rows = Rows(_flat(points))
    found = degeneracies(rows, moments(rows), looks=("flat",), names=names)
    scales = np.sqrt(np.diag(cov))
    if not found and len(points) > len(cov) and scales.min() < 1e-6 * scales.max():
        found = [
            (
                f"the deviations of its features go from {scales.min():.3g} to {scales.max():.3g}: "
                "set standardize=True"
            )
        ]
    smallest, largest = max(eigenvalues[0], 0.0), eigenvalues[-1]
    return "; ".join(
        [
            (
                f"the covariance of {argument} is singular: {len(points)} points of {len(cov)} "
                f"features, eigenvalues from {smallest:.3g} to {largest:.3g}"
            ),
            *found,
            (
                "drop features that are constant or functions of others, use more points than "
                "features, or set a positive regularization, such as a thousandth of a feature's "
                "variance"
            ),
        ]
    )
