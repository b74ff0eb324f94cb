"""Data that no density describes well: named once, at fit time, with the cure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .failures import warn
from .points import Rows
from .standardization import Moments, Standardization

__all__ = ["LOOKS", "DataWarning", "degeneracies", "warn_of_degenerate"]

#: Of how many values and rows of a domain, at most, the looks are taken.
_VALUES, _ROWS = 2**18, 5000
#: A feature with fewer different values than this share of its points is discrete, and a value
#: that so many points share is an atom.
_DISTINCT, _ATOM = 0.1, 0.2
#: Rows are repeated where fewer than this share of them are different.
_DIFFERENT = 0.3
#: Of fewer points, neither atoms nor repeated rows are told.
_FEW = 20
#: Values are lost where a cast leaves fewer than this share of different ones.
_KEPT = 0.99
#: How far, in deviations of the middle half of a feature's points, the farthest may lie. Of 5,000
#: points, a normal density reaches 4, a log-normal one 40, Student's with three degrees 25.
_FAR = 60.0
#: Smallest eigenvalue of a correlation matrix that is no linear dependence: what is left of a
#: feature, given the others, is a hundred-thousandth of its deviation.
_DEPENDENT = 1e-10
#: So many features are named in a message.
_NAMED = 5


#: What `degeneracies` looks for.
LOOKS = ("flat", "repeated", "extreme")


class DataWarning(UserWarning):
    """Data that spoil what is learned from them; the message names the features and the cure.

    >>> import warnings
    >>> import lrmf
    >>> a, b = np.random.default_rng(0).normal(size=(2, 50, 2))
    >>> b[:, 1] = 3.0  # a feature that does not vary
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = lrmf.GaussianOT().fit(Xs=a, Xt=b)
    >>> [w.category.__name__ for w in caught]
    ['DataWarning']
    """


def warn_of_degenerate(
    domains: Mapping[str, Rows],
    found: Mapping[str, Moments],
    arguments: Mapping[str, str],
    *,
    looks: Sequence[str] = LOOKS,
    names: Sequence[str] | None = None,
    units: Mapping[str, Standardization] | None = None,
    dtype: str = "float64",
) -> None:
    """Warn of what `degeneracies` finds in the points of domains, in one `DataWarning`.

    Args:
        domains: the points of each.
        found: their moments.
        arguments: what the user calls each domain.
        looks: what to look for, see `degeneracies`.
        names: of the features.
        units: how the points of each are standardised before they are cast.
        dtype: what they are cast to.
    """
    lines = [
        f"{arguments[domain]}: {line}"
        for domain, x in domains.items()
        for line in degeneracies(
            x,
            found[domain],
            looks=looks,
            names=names,
            units=None if units is None else units[domain],
            dtype=dtype,
        )
    ]
    if lines:
        warn("\n".join(lines), DataWarning)


def degeneracies(
    x: Rows,
    found: Moments,
    *,
    looks: Sequence[str] = LOOKS,
    names: Sequence[str] | None = None,
    units: Standardization | None = None,
    dtype: str = "float64",
) -> list[str]:
    """What is wrong with the features of a domain, each with its cure; nothing of sound data.

    Extremes are those of all points, all else is seen in a sample. Of images, channels are the
    features.

    Args:
        x: the points ``(n, *event_shape)``.
        found: their moments.
        looks: ``"flat"``, for constant features, copies and linear functions of others;
            ``"repeated"``, for discrete features, those with an atom, and repeated rows;
            ``"extreme"``, for outliers, heavy tails, and values that a cast can't tell apart.
        names: of the features.
        units: how points are standardised before they are cast.
        dtype: what they are cast to.
    """
    k = x.shape[-1]
    size = min(len(x), _ROWS, max(500, _VALUES // math.prod(x.shape[1:])))
    rows = np.asarray(x[np.sort(np.random.default_rng(0).permutation(len(x))[:size])])
    values = rows.reshape(-1, k)
    constant = found.low == found.high
    distinct = np.array([len(np.unique(column)) for column in values.T])
    lines = []
    if "flat" in looks:
        if constant.any():
            lines.append(
                f"{_features(constant, names)} constant, and no density describes a constant: "
                "drop it"
            )
        lines += _dependent(values, constant, names)
    if "repeated" in looks:
        lines += _repeated(rows, values, distinct, constant, names)
    if "extreme" in looks:
        lines += _far(values, found, names)
        lines += _lost(values, distinct, names, units, dtype)
    return lines


def _repeated(
    rows: np.ndarray,
    values: np.ndarray,
    distinct: np.ndarray,
    constant: np.ndarray,
    names: Sequence[str] | None,
) -> list[str]:
    """Discrete features, atoms and repeated rows."""
    n, lines = len(values), []
    discrete = ~constant & (distinct <= max(3, int(_DISTINCT * n))) & (distinct <= n // 3)
    if discrete.any():
        least, most = distinct[discrete].min(), distinct[discrete].max()
        count = f"{least}" if least == most else f"{least} to {most}"
        lines.append(
            f"{_features(discrete, names)} discrete ({count} different values among {n}), and a "
            "density grows without bound where values repeat: add noise of the width of a step, "
            "or leave it out"
        )
    most_frequent = np.array([np.unique(v, return_counts=True)[1].max() for v in values.T])
    atom = ~constant & ~discrete & (most_frequent > _ATOM * n) & (n >= _FEW)
    if atom.any():
        lines.append(
            f"{_features(atom, names)} of one value in more than {_ATOM:.0%} of the points, where "
            "a density grows without bound: add noise there, or model these points apart"
        )
    if not lines and not constant.any() and len(rows) >= _FEW:
        different = len(np.unique(rows.reshape(len(rows), -1), axis=0))
        if different < _DIFFERENT * len(rows):
            lines.append(
                f"only {different} of {len(rows)} rows are different, and a density grows without "
                "bound at rows that repeat: give each once, with its count as sample weight"
            )
    return lines


def _far(values: np.ndarray, found: Moments, names: Sequence[str] | None) -> list[str]:
    """Outliers and heavy tails."""
    middle = np.percentile(values.astype(np.float64), (25, 50, 75), axis=0)
    deviation = (middle[2] - middle[0]) / 1.349
    distance = np.maximum(found.high - middle[1], middle[1] - found.low)
    far = (deviation > 0) & (distance > _FAR * deviation)
    if not far.any():
        return []
    worst = float((distance[far] / deviation[far]).max())
    return [
        (
            f"{_features(far, names)} heavy-tailed or with outliers, up to {worst:.3g} deviations "
            "of the middle half from the median: drop or clip them, or transform the feature "
            "(by logarithms, or quantiles)"
        )
    ]


def _lost(
    values: np.ndarray,
    distinct: np.ndarray,
    names: Sequence[str] | None,
    units: Standardization | None,
    dtype: str,
) -> list[str]:
    """Values that are different and become equal."""
    exact = values.astype(np.float64)
    seen = exact if units is None else units.apply(exact)
    left, left_exact = (
        np.array([len(np.unique(column)) for column in x.T]) for x in (seen.astype(dtype), exact)
    )
    lost = left < _KEPT * distinct
    if not lost.any():
        return []
    worst = int(np.argmin(left / distinct))
    cure = 'set dtype="float64"'
    if dtype == "float64" or (left_exact < _KEPT * distinct).any():
        cure = "subtract what its values have in common first"
    return [
        (
            f"{_features(lost, names)} cut short in {dtype} (of {distinct[worst]} different values "
            f"{left[worst]} are left): {cure}"
        )
    ]


def _dependent(values: np.ndarray, constant: np.ndarray, names: Sequence[str] | None) -> list[str]:
    """Copies and linear functions among features that vary."""
    kept = np.flatnonzero(~constant)
    x = values[:, kept].astype(np.float64)
    if len(kept) < 2 or len(x) <= len(kept):
        return []
    x = x - x.mean(axis=0)
    x /= np.abs(x).max(axis=0, initial=np.finfo(float).tiny)
    norm = np.sqrt((x**2).sum(axis=0))
    if not norm.all():
        return []  # a rare value that the sample lacks
    x /= norm
    eigenvalues, vectors = np.linalg.eigh(x.T @ x)
    null = vectors[:, eigenvalues < _DEPENDENT]
    if not null.size:
        return []
    involved = np.zeros(values.shape[1], dtype=bool)
    involved[kept[(np.abs(null) > 1e-3).any(axis=1)]] = True
    return [
        (
            f"{_features(involved, names)} linearly dependent (copies, sums or multiples of each "
            "other), and no density describes points on a plane: drop those that follow from "
            "others, or take principal components"
        )
    ]


def _features(chosen: np.ndarray, names: Sequence[str] | None) -> str:
    """The features by number and name, with the verb."""
    numbers = np.flatnonzero(chosen)
    words = [str(j) if names is None else f"{j} ({names[j]!r})" for j in numbers[:_NAMED]]
    if len(numbers) > _NAMED:
        words.append(f"{len(numbers) - _NAMED} more")
    if len(words) == 1:
        return f"feature {words[0]} is"
    return f"features {', '.join(words[:-1])} and {words[-1]} are"
