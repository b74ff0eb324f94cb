"""What aligners share: parameters, and checks of their data."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ..checks import plain
from ..judge import Certificate, lrd
from ..points import check_features, check_points
from ..specs import Shape

__all__ = ["Aligner", "once_fitted"]


class once_fitted:
    """A method that an aligner has once it is fitted, as what asks for it before is told.

    scikit-learn's searches ask for ``score`` before all else. Handed source and target they would
    go on to a table of NaN, whose first line they would call the best.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, aligner: Aligner | None, owner: type) -> Any:
        if aligner is None:
            return self._method
        if not hasattr(aligner, "_event_shape"):
            name = type(aligner).__name__
            # No NotFittedError, which is an AttributeError: `hasattr` would answer no to it.
            raise ValueError(
                f"this {name} is not fitted yet; call fit(Xs=source, Xt=target) before score. "
                "Searches of scikit-learn split one array: give them "
                f"lrmf.selection.StackedAligner({name}()) and lrmf.selection.stack(source, target)"
            )
        return self._method.__get__(aligner, owner)


class Aligner(ABC, BaseEstimator):
    """An estimator that maps source points to the target's domain: NumPy in, NumPy out."""

    #: The dtype that new points are checked against and mapped in.
    dtype: Any = "float64"
    #: Fitted attributes that a file holds: numbers and words.
    _facts: ClassVar[tuple[str, ...]] = ()
    _event_shape: Shape

    # scikit-learn reads and sets parameters as attributes of the same names, but `transform` is
    # a method here: its parameter lives in `transform_spec`.
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name."""
        return {name: getattr(self, _attribute(name)) for name in self._get_param_names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name, or those of their specs: ``transform__hidden``."""
        known = self._get_param_names()
        for path, value in sorted(params.items(), key=lambda item: item[0].count("__")):
            name, _, inside = path.partition("__")
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {path!r}; it has {', '.join(known)}"
                )
            if inside:
                value = _replaced(getattr(self, _attribute(name)), inside, value, name)
            setattr(self, _attribute(name), value)
        return self

    def _store(self, parameters: Mapping[str, Any]) -> None:
        """Keep the constructor's arguments, given as its ``locals()``."""
        for name in self._get_param_names():
            setattr(self, _attribute(name), parameters[name])

    def _plain(self) -> Self:
        """An aligner like this one before `fit`, with plain values in place of NumPy's scalars.

        What is fitted and saved is this one's; `get_params` gives back what was given.
        """
        return type(self)(
            **{name: plain(value) for name, value in self.get_params(deep=False).items()}
        )

    @abstractmethod
    def fit(self, Xs: Any = None, ys: Any = None, Xt: Any = None, yt: Any = None) -> Self:
        """Learn the map from source points ``Xs`` and target points ``Xt``, not from labels."""

    @abstractmethod
    def transform(self, X: Any) -> np.ndarray:
        """Map source points to the target's domain, ``(n, *event_shape)``."""

    def certificate(
        self,
        Xs: Any,
        Xt: Any,
        *,
        tolerance: float | None = None,
        sample_weight_s: Any = None,
        sample_weight_t: Any = None,
        seed: int = 0,
        controls: bool = True,
    ) -> Certificate:
        """What held-out points say of T(A) against B, by the judge of `lrmf.lrd`.

        Args:
            Xs: source points ``(n_s, *event_shape)`` that `fit` has not seen.
            Xt: target points ``(n_t, *event_shape)`` that `fit` has not seen.
            tolerance: the largest distance in nats that counts as aligned, by default 0.1.
            sample_weight_s, sample_weight_t: weights of the points.
            seed: of the judge.
            controls: whether to judge pairs of known distance as well, without which there is no
                decision, and which take most of the time.

        Aligned means that the distributions are alike. Where they are, points of one label may
        still be mapped to those of another: no method that does not see labels can know.

        Raises:
            NotFittedError: before a fit, or after one that did not reach the end.
            ValueError, TypeError: as `lrmf.lrd` does.
        """
        self._check_fitted()
        self._check_complete()
        return lrd(
            self.transform(self._check_new(Xs, "Xs")),
            self._check_new(Xt, "Xt"),
            tolerance=self._tolerance if tolerance is None else tolerance,
            seed=seed,
            sample_weight_s=sample_weight_s,
            sample_weight_t=sample_weight_t,
            controls=controls,
        )

    @once_fitted
    def score(self, Xs: Any, Xt: Any) -> float:
        """Minus the judge's distance of T(A) and B on held-out points, in nats: higher is better.

        It compares fits of any aligner, from -2 log 2 for disjoint data to about 0 for data that
        are alike. Of labels it knows nothing.

        Args:
            Xs: held-out source points ``(n_s, *event_shape)``.
            Xt: held-out target points ``(n_t, *event_shape)``.

        Raises the errors of `certificate`, but a plain ``ValueError`` before a fit.
        """
        return -self.certificate(Xs, Xt, controls=False).lrd

    @property
    def _tolerance(self) -> float:
        return 0.1

    def _check_complete(self) -> None:
        """Refuse to judge the map of a fit that did not reach its end."""

    def _check_fitted(self) -> None:
        if not hasattr(self, "_event_shape"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(Xs=source, Xt=target)"
            )

    def _check_new(self, x: Any, argument: str) -> np.ndarray:
        self._check_fitted()
        points = check_points(x, argument, dtype=self.dtype)
        check_features(points, argument, self.event_shape_, "the data of fit")
        return points

    @property
    def event_shape_(self) -> Shape:
        """The event shape of the data that the aligner was fitted to."""
        return self._event_shape


def _replaced(spec: Any, path: str, value: Any, parameter: str) -> Any:
    """A spec with another value of one argument, or of an argument's own: ``conditioner__hidden``.

    Raises ``ValueError`` where there is no such argument, and the errors of the spec.
    """
    name, _, inside = path.partition("__")
    described = dataclasses.is_dataclass(spec) and not isinstance(spec, type)
    arguments = [field.name for field in dataclasses.fields(spec)] if described else []
    if name not in arguments:
        raise ValueError(
            f"{parameter}={spec!r} has no argument {name!r}"
            + (f"; it has {', '.join(arguments)}" if arguments else "; only specs have arguments")
        )
    if inside:
        value = _replaced(getattr(spec, name), inside, value, name)
    return dataclasses.replace(spec, **{name: value})


def _attribute(parameter: str) -> str:
    return "transform_spec" if parameter == "transform" else parameter
