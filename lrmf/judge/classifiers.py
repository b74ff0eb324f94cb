"""Three ideas of where two sides differ, as classifiers: logits of "this point is from A".

Each function of `EXPERTS` learns from standardised points ``x`` of shape ``(n, d)``, their sides
``is_a`` ``(n,)`` and positive weights ``(n,)``, and returns a function that maps ``(m, d)`` to
logits ``(m, k)``, one column for each of the k ways in which it looks. Logits need not be
calibrated: on other points the judge learns how far to believe each column.

Sources: shrunken covariances, Chen, Wiesel, Eldar and Hero (2010), Shrinkage algorithms for MMSE
covariance estimation; random Fourier features, Rahimi and Recht (2007); boosted trees of
histograms, Ke et al. (2017), LightGBM, by scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import linalg
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

__all__ = ["EXPERTS", "boosting", "normal", "smooth"]

Logits = Callable[[np.ndarray], np.ndarray]
Expert = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], Logits]

# A logit beyond this says "certain"; float64 has no more to say about a probability.
_CERTAIN = 30.0
_BINS = 64
_COLUMNS = 48
_WAVES = 128


def normal(x: np.ndarray, is_a: np.ndarray, weight: np.ndarray, _: np.random.Generator) -> Logits:
    """The log-ratio of two normal densities, in three parts.

    The linear one; the quadratic one, with all directions; the quadratic one along the few
    directions in which the two variances differ most.
    """
    centre, pooled = _moments(x, weight)
    values, vectors = linalg.eigh(pooled)
    kept = values > 1e-9 * values[-1]  # fewer points than features, or features that repeat
    whitening = vectors[:, kept] / np.sqrt(values[kept])
    z = (x - centre) @ whitening
    sides = [_moments(z[side], weight[side]) for side in (is_a, ~is_a)]
    sizes = [weight[side].sum() ** 2 / np.sum(weight[side] ** 2) for side in (is_a, ~is_a)]
    means = [mean for mean, _ in sides]
    shrunken = [_shrunken(covariance, n) for (_, covariance), n in zip(sides, sizes, strict=True)]
    precisions = [linalg.inv(covariance) for covariance in shrunken]
    log_dets = [np.linalg.slogdet(covariance)[1] for covariance in shrunken]
    direction = linalg.solve((shrunken[0] + shrunken[1]) / 2.0, means[0] - means[1])
    middle = (means[0] + means[1]) / 2.0
    gaps, axes = linalg.eigh(sides[0][1] - sides[1][1])
    axes = axes[:, np.argsort(-np.abs(gaps))[:4]]
    spreads = [np.einsum("ij,ik,kj->j", axes, covariance, axes) for _, covariance in sides]
    spreads = [np.maximum(spread, 1e-6) for spread in spreads]

    def logits(new: np.ndarray) -> np.ndarray:
        y = (new - centre) @ whitening
        linear = (y - middle) @ direction
        parts = [(y - m) for m in means]
        full = [
            np.sum((p @ q) * p, axis=1) + d
            for p, q, d in zip(parts, precisions, log_dets, strict=True)
        ]
        along = [
            np.sum((p @ axes) ** 2 / s + np.log(s), axis=1)
            for p, s in zip(parts, spreads, strict=True)
        ]
        columns = [linear, 0.5 * (full[1] - full[0]) - linear, 0.5 * (along[1] - along[0])]
        return np.clip(np.stack(columns, axis=1), -_CERTAIN, _CERTAIN)

    return logits


def smooth(x: np.ndarray, is_a: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> Logits:
    """Logistic regression on random waves that are about as long as points are apart."""
    gaps = np.linalg.norm(
        x[rng.integers(len(x), size=500)] - x[rng.integers(len(x), size=500)], axis=1
    )
    length = np.median(gaps) / 2.0
    waves = rng.normal(size=(x.shape[1], _WAVES)) / (length if length > 0 else 1.0)
    phases = rng.uniform(0.0, 2.0 * np.pi, _WAVES)
    model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-2)
    model.fit(np.cos(x @ waves + phases), is_a, weight)
    return lambda new: model.decision_function(np.cos(new @ waves + phases))[:, None]


def boosting(
    x: np.ndarray, is_a: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> Logits:
    """Boosted trees, on the features whose means or mean squares differ most if there are many."""
    if x.shape[1] > _COLUMNS:
        share = np.where(is_a, weight / weight[is_a].sum(), -weight / weight[~is_a].sum())
        gap = np.maximum(np.abs(share @ x), np.abs(share @ x**2) / np.sqrt(2.0))
        columns = np.argsort(-gap)[:_COLUMNS]
    else:
        columns = np.arange(x.shape[1])
    # Binned here: scikit-learn's own binning takes a second where points have weights.
    levels = np.linspace(0.0, 1.0, _BINS + 1)[1:-1]
    edges = np.quantile(x[:, columns], levels, axis=0).T

    def binned(new: np.ndarray) -> np.ndarray:
        pairs = zip(edges, new[:, columns].T, strict=True)
        return np.stack([np.searchsorted(e, c, side="right") for e, c in pairs], axis=1)

    model = HistGradientBoostingClassifier(
        max_iter=50,
        max_leaf_nodes=12,
        l2_regularization=1.0,
        max_bins=_BINS,
        early_stopping=False,
        random_state=int(rng.integers(2**31)),
    )
    model.fit(binned(x), is_a, weight)
    return lambda new: model.decision_function(binned(new))[:, None]


EXPERTS: dict[str, Expert] = {"normal": normal, "smooth": smooth, "boosting": boosting}


def _moments(x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = weight / weight.sum()
    mean = share @ x
    return mean, ((x - mean).T * share) @ (x - mean)


def _shrunken(covariance: np.ndarray, n: float) -> np.ndarray:
    """Shrink towards a multiple of the identity: the oracle approximation for n normal points."""
    d = len(covariance)
    level = float(np.trace(covariance)) / d
    square = float(np.sum(covariance**2))
    excess = (n + 1.0 - 2.0 / d) * (square - d * level**2)
    share = ((1.0 - 2.0 / d) * square + (d * level) ** 2) / excess if excess > 0 else 1.0
    share = min(max(share, 1e-3), 1.0)  # never singular
    return (1.0 - share) * covariance + share * max(level, 1e-12) * np.eye(d)
