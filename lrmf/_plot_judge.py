"""The figure of a certificate: where the two sides differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lrmf.judge import Certificate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

__all__ = ["log_ratio"]


def log_ratio(
    ax: Axes,
    certificate: Certificate,
    Xs: ArrayLike,
    Xt: ArrayLike,
    *,
    features: tuple[int, int] = (0, 1),
    share: float = 0.1,
) -> tuple[PathCollection, PathCollection]:
    """Draw where the two sides of a certificate differ.

    All judged points are coloured by the held-out log-ratio, log p_A/p_B: blue where there is more
    of A, red where there is more of B, grey where nothing differs. Rings mark the points whose
    log-ratio is largest in absolute value.

    Args:
        ax: to draw into.
        certificate: from `lrmf.lrd` of the same points, or an aligner's.
        Xs: source points ``(n_a, *event_shape)`` as they were judged: for an aligner's certificate
            moved ones, ``model.transform(Xs)``.
        Xt: target points ``(n_b, *event_shape)``.
        features: which two to draw, of the flattened points; one feature is drawn against the
            log-ratio.
        share: the share of points with a ring; points of log-ratio zero have none.

    Raises ``ValueError`` for another number of points than the certificate's; that others have
    other values is not noticed.

    >>> import lrmf
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> points = np.random.default_rng(0).normal(size=(2, 100, 2))
    >>> certificate = lrmf.lrd(points[0], points[1] + 1.0, controls=False)
    >>> drawn = lrmf.plots.log_ratio(Figure().subplots(), certificate, points[0], points[1] + 1.0)
    >>> len(drawn)
    2
    """
    sides = [np.asarray(x, dtype=float) for x in (Xs, Xt)]
    ratios = [certificate.log_ratio_source, certificate.log_ratio_target]
    for x, ratio, name in zip(sides, ratios, ("Xs", "Xt"), strict=True):
        if len(x) != len(ratio):
            raise ValueError(f"{name} has {len(x)} points, the certificate is of {len(ratio)}")
    points = np.concatenate([x.reshape(len(x), -1) for x in sides])
    ratio = np.concatenate(ratios)
    judged = np.isfinite(ratio)
    points, ratio = points[judged], ratio[judged]
    order = np.argsort(np.abs(ratio))  # the largest on top
    points, ratio = points[order], ratio[order]
    if points.shape[1] == 1:
        x, y, labels = points[:, 0], ratio, ("$x$", "log-ratio (nats)")
    else:
        x, y = points[:, list(features)].T
        labels = (f"$x_{{{features[0] + 1}}}$", f"$x_{{{features[1] + 1}}}$")
    reach = max(float(np.abs(ratio).max()), 1e-12)
    coloured = ax.scatter(x, y, c=ratio, cmap=_colours(), vmin=-reach, vmax=reach, s=9)
    first = max(round((1.0 - share) * len(ratio)), np.count_nonzero(ratio == 0.0))
    rings = ax.scatter(
        x[first:], y[first:], s=40, facecolors="none", edgecolors="#222222", linewidths=0.7
    )
    ax.set_xlabel(ax.get_xlabel() or labels[0])
    ax.set_ylabel(ax.get_ylabel() or labels[1])
    ax.figure.colorbar(coloured, ax=ax, label=r"$\log\, p_A/p_B$ (nats)")
    return coloured, rings


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("sides", ["#CC3311", "#CCCCCC", "#0077BB"])
