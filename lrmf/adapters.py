"""Aligners in pipelines of skada: ``pip install "lrmf[skada]"``.

This module is imported by name, ``from lrmf.adapters import SkadaAdapter``, because skada is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.pipeline import Pipeline

from .aligners.base import Aligner
from .selection import WORST, judged

try:
    from skada.base import BaseAdapter
    from skada.metrics import _BaseDomainAwareScorer
    from skada.utils import check_X_domain, extract_source_indices
except ImportError as error:
    raise ImportError(
        f"lrmf.adapters needs skada, which could not be imported ({error}). Run: "
        'pip install "lrmf[skada]"'
    ) from error

__all__ = ["AlignmentScorer", "SkadaAdapter"]


class SkadaAdapter(BaseAdapter):
    """An aligner as a step of a skada pipeline: source points are mapped, target points stay.

    The aligner is fitted to the source points (``sample_domain >= 0``) and the target points
    (``sample_domain < 0``) of the data, never to labels. What comes later in the pipeline learns
    from the mapped source points. Several source domains are pooled, and so are several target
    domains, as in skada's own mappings. Features are vectors.

    Source: the protocol is that of ``skada.base.BaseAdapter`` (Gnassounou et al., SKADA, 2024).

    Args:
        aligner: an lrmf aligner. It is cloned, never fitted itself. Its parameters are parameters
            of the pipeline, as in ``pipeline.set_params(skadaadapter__aligner__steps=1000)``.

    Attributes:
        aligner_: the fitted aligner.

    >>> import lrmf
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skada import make_da_pipeline
    >>> pair = lrmf.data.moons(n=200)
    >>> X = np.concatenate([pair.source, pair.target])
    >>> domain = np.repeat([1, -2], 200)
    >>> y = np.concatenate([pair.source_labels, pair.target_labels])
    >>> pipeline = make_da_pipeline(SkadaAdapter(lrmf.GaussianOT()), LogisticRegression())
    >>> pipeline = pipeline.fit(X, y, sample_domain=domain)  # skada masks the target's labels
    >>> round(pipeline.score(pair.target, pair.target_labels), 1)
    0.8
    """

    def __init__(self, aligner: Aligner) -> None:
        super().__init__()
        self.aligner = aligner

    def fit(self, X: Any, y: Any = None, *, sample_domain: Any = None, **_: Any) -> Self:
        """Fit a clone of the aligner to the source and the target points of X.

        Args:
            X: points ``(n, d)`` of all domains.
            y: never used.
            sample_domain: ``(n,)``, zero or more for source and below zero for target points.

        Raises:
            TypeError: ``aligner`` is none, or ``sample_domain`` is missing.
            ValueError: there are no source or no target points; what the aligner refuses.
            RuntimeError: the aligner's fit diverged or was interrupted. What comes later would
                learn from points that are not aligned, and its score would not tell; a grid search
                gives such a candidate no score (its ``error_score``).
        """
        if not isinstance(self.aligner, Aligner):
            raise TypeError(
                "aligner must be an lrmf aligner such as lrmf.LRMF(), got "
                f"{getattr(self.aligner, '__name__', type(self.aligner).__name__)}"
            )
        if sample_domain is None:
            raise TypeError(
                "sample_domain is missing; fit(X, y, sample_domain=...) tells source points "
                "(0 or more) from target points (below 0)"
            )
        X, sample_domain = check_X_domain(X, sample_domain)
        rows = extract_source_indices(sample_domain)
        source, target = X[rows], X[~rows]
        for points, side, sign in ((source, "source", "0 or more"), (target, "target", "below 0")):
            if not len(points):
                raise ValueError(
                    f"there are no {side} points: no entry of sample_domain is {sign}; an aligner "
                    "needs points of both domains"
                )
        aligner = clone(self.aligner).fit(Xs=source, Xt=target)
        if not getattr(aligner, "complete_", True):  # closed forms always are
            raise RuntimeError(
                f"the aligner's fit did not reach its end, so nothing is aligned: {aligner.status_}"
            )
        self.aligner_ = aligner
        return self

    def fit_transform(
        self, X: Any, y: Any = None, *, sample_domain: Any = None, **params: Any
    ) -> np.ndarray:
        """Fit, and give X with its source points mapped, ``(n, d)``."""
        self.fit(X, y, sample_domain=sample_domain, **params)
        return self.transform(X, sample_domain=sample_domain, allow_source=True)

    def transform(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_domain: Any = None,
        allow_source: bool = False,
        **_: Any,
    ) -> np.ndarray:
        """X with its source points mapped, ``(n, d)``; without ``sample_domain`` all are target.

        Raises:
            ValueError: there are source points, and ``allow_source`` is false.
        """
        if not hasattr(self, "aligner_"):
            raise NotFittedError(
                "this SkadaAdapter is not fitted yet; call fit(X, sample_domain=...)"
            )
        X, sample_domain = check_X_domain(X, sample_domain, allow_source=allow_source)
        rows = extract_source_indices(sample_domain)
        moved = np.array(X, dtype=float)
        if rows.any():
            moved[rows] = self.aligner_.transform(moved[rows])
        return moved


class AlignmentScorer(_BaseDomainAwareScorer):
    """How well a pipeline of skada aligns, by the judge of `lrmf.lrd`: ``scoring=`` of a search.

    Minus the judge's distance, in nats, of source and target points as the last step sees them:
    from -2 log 2, where they are disjoint, to about 0, where they are alike. It takes any of
    skada's mappings, and no labels, so it may choose between settings where the target has none.
    Folds need 20 points or more of both domains. A fit that diverged, or whose points overflow,
    gets -2 log 2 and a `FitFailedWarning` with the reason.

    Alignment is not accuracy: what maps everything to one point of a label is aligned, too.
    Where target labels may be used, take skada's ``SupervisedScorer``.

    >>> import lrmf
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skada import make_da_pipeline
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skada.model_selection import SourceTargetShuffleSplit
    >>> pair = lrmf.data.moons(n=200)
    >>> X, domain = lrmf.selection.stack(pair.source, pair.target)
    >>> y = np.concatenate([pair.source_labels, np.full(200, -1)])  # skada's word for "unknown"
    >>> search = GridSearchCV(
    ...     make_da_pipeline(SkadaAdapter(lrmf.GaussianOT()), LogisticRegression()),
    ...     {"skadaadapter__aligner__regularization": [100.0, 0.0]},
    ...     scoring=AlignmentScorer(),
    ...     cv=SourceTargetShuffleSplit(n_splits=2, test_size=0.3, random_state=0),
    ... )
    >>> search.fit(X, y, sample_domain=domain).best_params_
    {'skadaadapter__aligner__regularization': 0.0}
    """

    def __init__(self) -> None:
        super().__init__(None, 1, None)

    def _score(
        self, _: Any, estimator: Any, X: Any, y: Any = None, sample_domain: Any = None, **__: Any
    ) -> float:
        X, sample_domain = check_X_domain(X, sample_domain, allow_nd=True)
        rows = extract_source_indices(sample_domain)
        failures = [a.status_ for a in _aligners(estimator) if not getattr(a, "complete_", True)]
        value, failure = WORST, "; ".join(failures)
        if not failure:
            seen = X
            if isinstance(estimator, Pipeline) and len(estimator) > 1:
                seen = estimator[:-1].transform(X, sample_domain=sample_domain, allow_source=True)
            value, failure = judged(np.asarray(seen)[rows], np.asarray(seen)[~rows])
        if failure:
            warnings.warn(
                f"{estimator} gets the worst score, {WORST:.3f}: {failure}",
                FitFailedWarning,
                stacklevel=2,
            )
        return value


def _aligners(estimator: Any) -> Iterator[Any]:
    """The fitted aligners of a pipeline."""
    for _, step in getattr(estimator, "steps", ()):
        adapter = getattr(step, "base_estimator_", step)
        if isinstance(adapter, SkadaAdapter):
            yield adapter.aligner_
