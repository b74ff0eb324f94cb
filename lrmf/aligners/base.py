"""What aligners share: parameters, and checks of their data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ..points import check_features, check_points
from ..specs import Shape

__all__ = ["Aligner"]


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


def _attribute(parameter: str) -> str:
    return "transform_spec" if parameter == "transform" else parameter
