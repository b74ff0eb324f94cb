r"""Settings by search: aligners in scikit-learn's ``GridSearchCV``, ``RandomizedSearchCV`` and kin.

These split one array X and its y by rows, and an aligner takes two samples. So source and target
go stacked, y says which points are which, and :class:`StackedAligner` takes them apart again:

>>> import lrmf
>>> from sklearn.model_selection import GridSearchCV
>>> pair = lrmf.data.blobs(n=200)
>>> X, domain = stack(pair.source, pair.target)
>>> settings = {"aligner__regularization": [0.0, 1.0, 100.0]}
>>> search = GridSearchCV(StackedAligner(lrmf.GaussianOT()), settings, cv=DomainSplit(3))
>>> search = search.fit(X, domain)
>>> search.best_params_
{'aligner__regularization': 0.0}
>>> search.best_estimator_.aligner_.transform(pair.source).shape  # fitted to all points
(200, 2)

A candidate is scored on the folds that it has not seen by minus the judge's distance, in nats, as
`Aligner.score` does: from `WORST` to about 0. A fit that diverged gets `WORST` and a warning with
the reason. With ``error_score=WORST`` so does one that was refused, such as to a singular
covariance; scikit-learn's own NaN counts as still worse. With ``n_jobs=2`` two fits run at a time,
by joblib, and so on whatever joblib runs on: ``with joblib.parallel_config("dask"):
search.fit(X, domain)`` once a ``distributed.Client`` is there, and ``"ray"`` after
``ray.util.joblib.register_ray()``. Both were tried with two workers (Dask 2026.8, Ray 2.60), and
gave the scores of a search without them. Settings of a spec are reached by its parameter:
``aligner__density__hidden``.

In skada's pipelines, `lrmf.adapters.AlignmentScorer` scores instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import StratifiedKFold

from .aligners.base import Aligner
from .checks import check_positive_int, check_seed
from .judge import lrd
from .judge.pair import MINIMUM
from .points import check_pair, check_points, feature_names
from .specs import SolverError

__all__ = ["WORST", "DomainSplit", "StackedAligner", "stack"]

#: The score of disjoint data, -2 log 2 nats, and of a fit that failed: there is no lower one.
WORST = -2.0 * float(np.log(2.0))


def stack(Xs: Any, Xt: Any) -> tuple[np.ndarray, np.ndarray]:
    """Source and target points as one array, and which domain each is from.

    Args:
        Xs: source points ``(n_s, *event_shape)``.
        Xt: target points ``(n_t, *event_shape)``.

    Returns:
        The points ``(n_s + n_t, *event_shape)``, and ``(n_s + n_t,)`` with 1 for source and -1 for
        target points, as in skada's ``sample_domain``.

    Raises:
        ValueError, TypeError: what `Aligner.fit` refuses.

    >>> X, domain = stack(np.zeros((3, 2)), np.ones((2, 2)))
    >>> X.shape, domain.tolist()
    ((5, 2), [1, 1, 1, -1, -1])
    """
    source, target = check_pair(Xs, Xt)
    X, names = np.concatenate([source, target]), feature_names({"Xs": Xs, "Xt": Xt})
    if names is not None:
        import pandas as pd

        X = pd.DataFrame(X, columns=names)
    return X, np.repeat([1, -1], [len(source), len(target)])


class StackedAligner(ClassifierMixin, BaseEstimator):
    """An aligner that is fitted to, and scored on, the stacked points of both domains.

    It counts as a classifier, of domains, so that scikit-learn's own folds (``cv=5``) hold both
    domains in equal shares. `DomainSplit` shuffles the points besides, and checks their number.

    Args:
        aligner: an lrmf aligner. It is cloned, never fitted itself. Its parameters, and those of
            its specs, are parameters of a search: ``aligner__steps``,
            ``aligner__density__hidden``.

    Attributes:
        aligner_: the fitted aligner.
        failure_: why the fit can't be used, and the cure; empty where it can.

    >>> import lrmf
    >>> from lrmf.selection import StackedAligner, stack
    >>> pair = lrmf.data.moons(n=100)
    >>> X, domain = stack(pair.source, pair.target)
    >>> model = StackedAligner(lrmf.GaussianOT()).fit(X, domain)
    >>> model.aligner_.transform(pair.source).shape
    (100, 2)
    """

    aligner_: Aligner
    failure_: str

    def __init__(self, aligner: Aligner) -> None:
        self.aligner = aligner

    def fit(self, X: Any, y: Any) -> Self:
        """Fit a clone of the aligner.

        Args:
            X: points of both domains ``(n, *event_shape)``.
            y: their domains ``(n,)``: zero or more for source, below zero for target points.

        Raises:
            ValueError, TypeError: what the aligner refuses, or domains that are no such numbers.
        """
        if not isinstance(self.aligner, Aligner):
            raise TypeError(
                "aligner must be an lrmf aligner such as lrmf.LRMF(), got "
                f"{getattr(self.aligner, '__name__', type(self.aligner).__name__)}"
            )
        source, target = _apart(X, y)
        fitted, failure = clone(self.aligner), ""
        try:
            fitted.fit(Xs=source, Xt=target)
            if not getattr(fitted, "complete_", True):
                failure = fitted.status_
        except SolverError as error:
            failure = str(error)
        self.aligner_, self.failure_ = fitted, failure
        return self

    def score(self, X: Any, y: Any) -> float:
        """Minus the judge's distance of T(A) and B in nats; `WORST` where the fit failed.

        Warns:
            FitFailedWarning: the fit failed: it diverged, it was interrupted, or its map overflows
                at these points. The warning has the settings and the reason.
        """
        if not hasattr(self, "aligner_"):
            raise NotFittedError("this StackedAligner is not fitted yet; call fit(X, domain)")
        source, target = _apart(X, y)
        value, failure = WORST, self.failure_
        if not failure:
            try:
                value, failure = judged(np.asarray(self.aligner_.transform(source)), target)
            except SolverError as error:
                failure = str(error)
        if failure:
            warnings.warn(
                f"{self.aligner} gets the worst score, {WORST:.3f}: {failure}",
                FitFailedWarning,
                stacklevel=2,
            )
        return value


class DomainSplit(StratifiedKFold):
    """Shuffled folds in which both domains have equal shares: ``cv=`` of a search.

    Args:
        n_splits: how many folds, two or more.
        seed: of the shuffle.

    >>> X, domain = stack(np.zeros((60, 2)), np.ones((40, 2)))
    >>> [int(domain[test].sum()) for _, test in DomainSplit(2).split(X, domain)]  # 30 - 20
    [10, 10]
    """

    def __init__(self, n_splits: int = 5, *, seed: int = 0) -> None:
        check_seed(seed)
        check_positive_int("n_splits", n_splits)
        if n_splits < 2:
            raise ValueError(f"n_splits must be 2 or more, got {n_splits}")
        super().__init__(n_splits=n_splits, shuffle=True, random_state=seed % 2**32)
        self.seed = seed

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give the numbers of the rows to fit to, and of those to score on, for each fold.

        Args:
            X: points of both domains ``(n, *event_shape)``.
            y: their domains ``(n,)``: zero or more for source, below zero for target points.
            groups: accepted as in scikit-learn, never used.

        Raises:
            ValueError: a fold has too few points of a domain for the judge.
        """
        source = _is_source(y, len(X))
        for side, count in (("source", source.sum()), ("target", (~source).sum())):
            if count // self.n_splits < MINIMUM:
                raise ValueError(
                    f"{count} {side} points in {self.n_splits} folds are {count // self.n_splits} "
                    f"a fold; the judge needs {MINIMUM} or more, and hundreds to tell settings "
                    "apart; take fewer folds or more points"
                )
        yield from super().split(X, source)


def judged(moved: np.ndarray, target: np.ndarray) -> tuple[float, str]:
    """Minus the judge's distance, or `WORST` and the reason where images are not finite."""
    bad = int(np.count_nonzero(~np.isfinite(moved.reshape(len(moved), -1)).all(axis=1)))
    if bad:
        return WORST, f"the map overflows at {bad} of {len(moved)} held-out points"
    return -lrd(moved, target, controls=False).lrd, ""


def _apart(X: Any, y: Any) -> tuple[Any, Any]:
    if isinstance(X, (list, tuple)):
        X = check_points(X, "X")
    if len(getattr(X, "shape", ())) < 2:
        raise TypeError(
            "X must hold the points of both domains, as lrmf.selection.stack gives them; got "
            f"{type(X).__name__}"
        )
    source = _is_source(y, X.shape[0])
    for count, side, sign in (
        (source.sum(), "source", "0 or more"),
        ((~source).sum(), "target", "below 0"),
    ):
        if not count:
            raise ValueError(
                f"there are no {side} points: no domain is {sign}; an aligner needs points of "
                "both, so take folds that hold both, such as cv=lrmf.selection.DomainSplit(5)"
            )
    rows = X.iloc if hasattr(X, "iloc") else X
    return rows[np.flatnonzero(source)], rows[np.flatnonzero(~source)]


def _is_source(y: Any, n: int) -> np.ndarray:
    try:
        domains = np.asarray(y)
    except ValueError:  # a list of lists
        domains = np.empty(0, dtype=object)
    if domains.dtype.kind not in "fiu" or domains.shape != (n,) or not np.isfinite(domains).all():
        raise ValueError(
            f"y must hold {n} numbers, zero or more for source and below zero for target points, "
            f"as lrmf.selection.stack gives them; got {type(y).__name__} of shape {domains.shape} "
            f"and dtype {domains.dtype}"
        )
    return np.asarray(domains >= 0)
