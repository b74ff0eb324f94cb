"""Aligners in pipelines of skada: ``pip install "lrmf[skada]"``.

This module is imported by name, ``from lrmf.adapters import SkadaAdapter``, because skada is.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from .aligners.base import Aligner

try:
    from skada.base import BaseAdapter
    from skada.utils import check_X_domain, extract_source_indices
except ImportError as error:
    raise ImportError(
        f"SkadaAdapter needs skada, which could not be imported ({error}). Run: "
        'pip install "lrmf[skada]"'
    ) from error

__all__ = ["SkadaAdapter"]


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
