"""What aligners share: parameters, names of features, and checks of their data."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils._set_output import _SetOutputMixin

from ..checks import plain
from ..judge import Certificate, lrd
from ..judge.seen import Remembered
from ..points import check_features, check_new_names, check_points, check_rows
from ..specs import Shape, Spec

__all__ = ["Absent", "Aligner", "once_fitted"]


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


class Absent:
    """A method of a base class that a class does not have."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __get__(self, aligner: Any, owner: type) -> Any:
        raise AttributeError(f"{owner.__name__} {self._why}")


class FitTransform:
    """The method that POT's estimators have; scikit-learn's takes one data set."""

    def fit_transform(
        self, Xs: Any = None, ys: Any = None, Xt: Any = None, yt: Any = None, **options: Any
    ) -> Any:
        """Fit, and map the source points: ``fit(Xs, ys, Xt, yt, **options).transform(Xs)``."""
        return self.fit(Xs, ys, Xt, yt, **options).transform(Xs)  # type: ignore[attr-defined]


class Aligner(FitTransform, OneToOneFeatureMixin, _SetOutputMixin, BaseEstimator, ABC):
    """An estimator that maps source points to the target's domain: NumPy in, NumPy out.

    Data frames are data, too, and ``set_output(transform="pandas")`` makes `transform` return
    them. Their columns must have the names and the order that they had in `fit`, where source and
    target must agree.

    Attributes:
        n_features_in_: number of features, of data that are vectors.
        feature_names_in_: their names ``(d,)``, where `fit` was given data frames.
    """

    #: The dtype that new points are checked against and mapped in.
    dtype: Any = "float64"
    #: Fitted attributes that a file holds: numbers and words.
    _facts: ClassVar[tuple[str, ...]] = ()
    #: What a message asks to be called first.
    _to_fit: ClassVar[str] = "fit(Xs=source, Xt=target)"
    _event_shape: Shape
    #: Rows of each domain; a file does not hold them.
    _remembered: tuple[Remembered, ...] = ()
    feature_names_in_: np.ndarray

    # scikit-learn reads and sets parameters as attributes of the same names, but `transform` is
    # a method here: its parameter lives in `transform_spec`.
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name; with ``deep`` the fields of specs, too.

        A field of the spec ``transform`` has the name ``transform__hidden``.
        """
        found = {name: getattr(self, _attribute(name)) for name in self._get_param_names()}
        return found | (_nested(found) if deep else {})

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name, or fields of specs, as ``transform__hidden=(8,)``."""
        known = self._get_param_names()
        values = self.get_params(deep=False)
        # Whole specs first: a field is that of the new one.
        for name, value in sorted(params.items(), key=lambda item: item[0].count("__")):
            own, _, field = name.partition("__")
            if own not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}"
                )
            values[own] = _replaced(values[own], field, value, name) if field else value
        for name, value in values.items():
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

    def transform(self, X: Any) -> np.ndarray:
        """Map source points to the target's domain, ``(n, *event_shape)``."""
        return self._moved(X, "X")

    @abstractmethod
    def _moved(self, x: Any, argument: str) -> np.ndarray:
        """The images of points, which the user calls ``argument``."""

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
            Xs: source points ``(n_s, *event_shape)`` that `fit` has not seen: of others the
                verdict warns, unless rows repeat, draw noise, or the aligner comes from a file.
            Xt: target points ``(n_t, *event_shape)`` that `fit` has not seen.
            tolerance: the largest distance in nats that counts as aligned, by default 0.1.
            sample_weight_s, sample_weight_t: weights of the points.
            seed: of the judge.
            controls: whether to judge pairs of known distance as well, without which there is no
                decision, and which take most of the time.

        Aligned means that the distributions are alike. Where they are, points of one label may
        still be mapped to those of another, and must be where labels have other proportions in A
        than in B: no method that does not see labels can know. The book's chapter "Aligned
        distributions, wrong labels" shows cures: weights of the points, and `LRMF` with a
        ``label_density``.

        Raises:
            NotFittedError: before a fit, or after one that did not reach the end.
            ValueError, TypeError: as `lrmf.lrd` does.
        """
        self._check_fitted()
        self._check_complete()
        found = lrd(
            self._moved(Xs, "Xs"),
            self._check_new(Xt, "Xt"),
            tolerance=self._tolerance if tolerance is None else tolerance,
            seed=seed,
            sample_weight_s=sample_weight_s,
            sample_weight_t=sample_weight_t,
            controls=controls,
        )
        return dataclasses.replace(found, seen=self._seen([(Xs, "Xs"), (Xt, "Xt")]))

    def _seen(self, given: Sequence[tuple[Any, str]]) -> float:
        """The largest share of a domain's remembered rows that are given."""
        shares = [r.share(check_rows(*g)) for r, g in zip(self._remembered, given, strict=False)]
        return max(shares, default=0.0)

    @once_fitted
    def score(self, Xs: Any, Xt: Any) -> float:
        """Minus the judge's distance of T(A) and B on held-out points, in nats: higher is better.

        It compares fits of any aligner, from -2 log 2 for disjoint data to about 0 for data that
        are alike. Of labels it knows nothing. With a few hundred points a side, distances below
        some 0.05 nats are all shrunken to about zero, so that good maps are level.

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
                f"this {type(self).__name__} is not fitted yet; call {self._to_fit}"
            )

    def _check_new(self, x: Any, argument: str) -> np.ndarray:
        self._check_fitted()
        check_new_names(self, x, argument)
        points = check_points(x, argument, dtype=self.dtype)
        check_features(points, argument, self.event_shape_, "the data of fit")
        return points

    @property
    def event_shape_(self) -> Shape:
        """The event shape of the data that the aligner was fitted to."""
        return self._event_shape

    @property
    def n_features_in_(self) -> int:
        """The number of features, of data that are vectors."""
        if len(self._event_shape) != 1:
            raise AttributeError(f"points of shape {self._event_shape} have no list of features")
        return self._event_shape[0]


def _attribute(parameter: str) -> str:
    return "transform_spec" if parameter == "transform" else parameter


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of specs among values, of specs in them, and so on."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Spec):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}  # type: ignore[arg-type]
            found |= {f"{name}__{k}": v for k, v in (fields | _nested(fields)).items()}
    return found


def _replaced(spec: Any, field: str, value: Any, name: str) -> Any:
    """The spec with another value of a field, or of a field of a field."""
    if not isinstance(spec, Spec):
        raise ValueError(
            f"{name.removesuffix('__' + field)} is {spec!r}, which has no fields that can be set; "
            "set it to a spec such as RealNVP() first, or in the same call"
        )
    own, _, rest = field.partition("__")
    fields = [f.name for f in dataclasses.fields(spec)]  # type: ignore[arg-type]
    if own not in fields:
        raise ValueError(f"{type(spec).__name__} has no field {own!r}; it has {', '.join(fields)}")
    if rest:
        value = _replaced(getattr(spec, own), rest, value, name)
    return dataclasses.replace(spec, **{own: value})  # type: ignore[type-var]
