"""What aligners share: parameters, checks of their data, and maps from NumPy to NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ..models import Flow
from ..specs import Shape

__all__ = ["Aligner", "FlowAligner", "check_features", "check_pair", "check_points"]


def check_points(x: Any, argument: str, *, minimum: int = 1, dtype: str = "float64") -> np.ndarray:
    """Data points ``(n, *event_shape)`` as an array of real numbers.

    ``dtype`` is what the model will compute in; it must be able to hold them.

    Raises:
        TypeError: missing, or not numbers.
        ValueError: wrong rank, too few rows, no features, NaN, infinite or too large values.
    """
    if x is None:
        raise TypeError(f"{argument} is missing; data go by name, as in fit(Xs=source, Xt=target)")
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{argument} must hold real numbers, got {type(x).__name__} with dtype {array.dtype}"
        )
    if array.ndim < 2:
        raise ValueError(
            f"expected {argument} of shape (n, features), got {array.shape}; one feature is "
            "a column: x.reshape(-1, 1)"
        )
    if array.shape[0] < minimum:
        rows = "no rows" if array.shape[0] == 0 else f"only {array.shape[0]} row"
        raise ValueError(f"{argument} has {rows}, shape {array.shape}; expected {minimum} or more")
    if 0 in array.shape[1:]:
        raise ValueError(f"{argument} has no features, shape {array.shape}")
    bad = int(np.size(array) - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ValueError(
            f"{argument} holds {bad} NaN or infinite values in "
            f"{np.count_nonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))} rows; "
            "remove or impute them"
        )
    array = array.astype(np.float64)
    largest = float(np.max(np.abs(array)))
    if largest > float(np.finfo(dtype).max):
        raise ValueError(
            f"{argument} holds values up to {largest:.3g}, too large for {dtype}; standardise "
            "the data"
        )
    return array


def check_pair(
    source: Any, target: Any, *, dtype: str = "float64"
) -> tuple[np.ndarray, np.ndarray]:
    """Source and target, each with two or more rows and with the same features."""
    first = check_points(source, "Xs", minimum=2, dtype=dtype)
    second = check_points(target, "Xt", minimum=2, dtype=dtype)
    check_features(second, "Xt", first.shape[1:], "Xs")
    return first, second


def check_features(x: np.ndarray, argument: str, expected: Shape, like: str) -> None:
    """Refuse points of another event shape."""
    if x.shape[1:] != expected:
        wanted, got = (
            f"{shape[0]} features" if len(shape) == 1 else f"event shape {shape}"
            for shape in (expected, x.shape[1:])
        )
        raise ValueError(
            f"expected {argument} with {wanted} like {like}, "
            f"got {got.removesuffix(' features') if len(expected) == len(x.shape) - 1 else got}"
        )


class Aligner(ABC, BaseEstimator):
    """An estimator that maps source points to the target's domain: NumPy in, NumPy out."""

    #: The dtype that new points are checked against and mapped in.
    dtype: Any = "float64"
    _event_shape: Shape

    # scikit-learn reads and sets parameters as attributes of the same names, but `transform` is
    # a method here: its parameter lives in `transform_spec`.
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name."""
        return {name: getattr(self, _attribute(name)) for name in self._get_param_names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name."""
        known = self._get_param_names()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}"
                )
            setattr(self, _attribute(name), value)
        return self

    def _store(self, parameters: Mapping[str, Any]) -> None:
        """Keep the constructor's arguments, given as its ``locals()``."""
        for name in self._get_param_names():
            setattr(self, _attribute(name), parameters[name])

    @abstractmethod
    def fit(self, Xs: Any = None, ys: Any = None, Xt: Any = None, yt: Any = None) -> Self:
        """Learn the map from source points ``Xs`` and target points ``Xt``, not from labels."""

    @abstractmethod
    def transform(self, X: Any) -> np.ndarray:
        """Map source points to the target's domain, ``(n, *event_shape)``."""

    @abstractmethod
    def score(self, Xs: Any, Xt: Any) -> float:
        """How well the map of source points fits target points: higher is better."""

    def _check_fitted(self) -> None:
        if not hasattr(self, "_event_shape"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(Xs=source, Xt=target)"
            )

    def _check_new(self, x: Any, argument: str, *, minimum: int = 1) -> np.ndarray:
        self._check_fitted()
        points = check_points(x, argument, minimum=minimum, dtype=self.dtype)
        check_features(points, argument, self.event_shape_, "the data of fit")
        return points

    @property
    def event_shape_(self) -> Shape:
        """The event shape of the data that the aligner was fitted to."""
        return self._event_shape


class FlowAligner(Aligner):
    """An aligner whose map is a fitted flow ``transform_``."""

    transform_: Flow

    def transform(self, X: Any) -> np.ndarray:
        points = self._check_new(X, "X")
        return self.transform_.forward(points)[0]

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Map target points to the source's domain, ``(n, *event_shape)``."""
        points = self._check_new(X, "X")
        return self.transform_.inverse(points)[0]


def _attribute(parameter: str) -> str:
    return "transform_spec" if parameter == "transform" else parameter
