"""Figures of the book: one set of colours, and the handful of pictures every chapter draws.

Every function takes a matplotlib ``ax`` first and keyword-only options after its data, draws
into that ``ax``, labels the axes where they carry no label yet, and returns the artists. The
source A is blue, the target B red, the transformed source T(A) cyan, as in the paper; the shared
density S is a neutral grey. Markers differ too, so that no figure rests on colour alone.

matplotlib is imported where it is used: ``pip install "lrmf[notebook]"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lrmf._plot_data import Extent, history_columns, plane_points, rows_by_label, running_mean
from lrmf._plot_judge import log_ratio
from lrmf._plot_mesh import mesh, part_colors
from lrmf._plot_model import density, displacement
from lrmf._plot_style import COLORS, RC, label_axes, style, use_style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.patches import Ellipse

__all__ = [
    "COLORS",
    "RC",
    "density",
    "displacement",
    "ellipse",
    "extent_of",
    "log_ratio",
    "loss_curve",
    "mesh",
    "part_colors",
    "scatter",
    "style",
    "use_style",
]

_LABELS = {"source": "$A$ (source)", "target": "$B$ (target)", "transformed": "$T(A)$"}
# One row of markers per role, one column per class label.
_MARKERS = {"source": "o^sD", "target": "xP*1", "transformed": "ov<p"}


def extent_of(*points: ArrayLike, margin: float = 0.15) -> Extent:
    """Return the window ``(x_min, x_max, y_min, y_max)`` that holds all the ``(n, 2)`` arrays.

    ``margin`` is the share of the width (height) left free on each side.

    >>> extent_of([[0.0, 0.0], [1.0, 2.0]], margin=0.5)
    (-0.5, 1.5, -1.0, 3.0)
    """
    if not points:
        raise ValueError("extent_of needs at least one array of points, got none; pass A and B.")
    stacked = np.concatenate([plane_points(p, name="points") for p in points])
    low, high = stacked.min(axis=0), stacked.max(axis=0)
    pad = margin * np.where(high > low, high - low, 1.0)
    (x_min, y_min), (x_max, y_max) = low - pad, high + pad
    return float(x_min), float(x_max), float(y_min), float(y_max)


def scatter(
    ax: Axes,
    *,
    source: ArrayLike | None = None,
    target: ArrayLike | None = None,
    transformed: ArrayLike | None = None,
    source_labels: ArrayLike | None = None,
    target_labels: ArrayLike | None = None,
    size: float = 14.0,
    alpha: float = 0.7,
) -> dict[str, list[PathCollection]]:
    """Draw datasets A (blue), B (red) and T(A) (cyan) as points of the plane.

    Returns a dict from ``"source"``, ``"target"``, ``"transformed"`` to the collections drawn,
    one per class label. Raises ``ValueError`` where no dataset is given, one is not ``(n, 2)``,
    or its labels have another length.

    Args:
        source, target, transformed: (n, 2) arrays, at least one of them.
        source_labels, target_labels: (n,) class labels, shown as different markers; those of the
            source also mark T(A).
        size: of a marker, in points squared.
        alpha: opacity.

    >>> import lrmf
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> list(lrmf.plots.scatter(ax, source=[[0.0, 1.0]], target=[[1.0, 1.0]]))
    ['source', 'target']
    """
    datasets = {"source": source, "target": target, "transformed": transformed}
    labels = {"source": source_labels, "target": target_labels, "transformed": source_labels}
    if all(points is None for points in datasets.values()):
        raise ValueError("scatter has nothing to draw: pass source=, target= or transformed=.")
    artists: dict[str, list[PathCollection]] = {}
    for role, points in datasets.items():
        if points is None:
            continue
        array = plane_points(points, name=role)
        artists[role] = []
        for k, rows in enumerate(rows_by_label(labels[role], len(array), name=role)):
            marker = _MARKERS[role][k % len(_MARKERS[role])]
            collection = ax.scatter(
                array[rows, 0],
                array[rows, 1],
                s=size,
                c=COLORS[role],
                marker=marker,
                alpha=alpha,
                linewidths=0.9 if marker in "x1" else 0.0,
                label=_LABELS[role] if k == 0 else None,
                zorder=2.5,
            )
            artists[role].append(collection)
    label_axes(ax, "$x_1$", "$x_2$")
    return artists


def loss_curve(
    ax: Axes,
    history: Mapping[str, ArrayLike],
    *,
    window: int | None = None,
    color: str = COLORS["shared"],
    label: str = "LRMF loss",
    zero_line: bool = True,
    validation: bool = True,
) -> dict[str, Artist]:
    """Draw a training history: the loss of each step, its running mean, and the zero line.

    The loss contains the constant c(A, B), so zero is the value at which T(A) and B are
    equivalent with respect to M (paper, Theorem 2.3). The running mean at step t averages the
    last ``window`` losses, fewer at the start; it ends at the first loss that is not finite.

    Returns a dict of the lines: ``"loss"``, ``"mean"``, and where drawn ``"zero"`` and
    ``"validation"``. Raises ``ValueError`` for a history without the entries, empty or of unequal
    lengths, and for a window below one.

    Args:
        history: mapping with ``"step"`` and ``"loss"`` (nats), and maybe ``"validation_step"``
            and ``"validation_loss"``, such as ``model.history_``.
        window: steps in the running mean; a fiftieth of the run when not given.
        color, label: of the curve.
        zero_line, validation: whether to draw them.

    >>> import lrmf
    >>> from matplotlib.figure import Figure
    >>> history = {"step": [0, 1, 2, 3], "loss": [2.0, 1.0, 0.5, 0.2]}
    >>> list(lrmf.plots.loss_curve(Figure().subplots(), history, window=2))
    ['zero', 'loss', 'mean']
    """
    steps, losses = history_columns(history, "step", "loss")
    if window is None:
        window = max(1, len(losses) // 50)
    if window < 1:
        raise ValueError(f"window must be at least one step, got {window}.")
    finite = np.isfinite(losses)
    stop = len(losses) if finite.all() else int(np.argmin(finite))
    artists: dict[str, Artist] = {}
    if zero_line:
        artists["zero"] = ax.axhline(
            0.0, color=COLORS["reference"], linestyle="--", linewidth=1.0, label="zero: aligned"
        )
    # The raw losses are drawn over the prefix that is finite: a NaN has no place on an axis.
    (artists["loss"],) = ax.plot(
        steps[:stop], losses[:stop], color=color, alpha=0.3, linewidth=0.8, zorder=1.5
    )
    (artists["mean"],) = ax.plot(
        steps[:stop],
        running_mean(losses[:stop], window),
        color=color,
        label=label if window == 1 else f"{label}, mean of {window} steps",
    )
    if validation and "validation_loss" in history:
        where, held_out = history_columns(history, "validation_step", "validation_loss")
        (artists["validation"],) = ax.plot(
            where,
            held_out,
            color=COLORS["highlight"],
            marker=".",
            linestyle=":",
            label="held-out",
        )
    label_axes(ax, "training step", "loss (nats)")
    return artists


def ellipse(
    ax: Axes,
    mean: ArrayLike,
    cov: ArrayLike,
    *,
    n_std: float | Sequence[float] = 2.0,
    color: str = COLORS["shared"],
    label: str | None = None,
    linestyle: str = "-",
    fill: bool = False,
) -> list[Ellipse]:
    """Draw ellipses: the points with ``(x − m)ᵀ Σ⁻¹ (x − m) = n_std²`` of a mean and a covariance.

    Raises ``ValueError`` for wrong shapes, a covariance that is not symmetric positive
    semi-definite, and a radius that is not positive.

    Args:
        mean: (2,) array.
        cov: (2, 2) array.
        n_std: one radius in standard deviations, or several.
        color, label, linestyle, fill: of the ellipses; the label goes to the first one.

    >>> import lrmf
    >>> from matplotlib.figure import Figure
    >>> found = lrmf.plots.ellipse(Figure().subplots(), [0, 0], [[1, 0], [0, 4]], n_std=(1, 2))
    >>> [drawn.height for drawn in found]
    [2.0, 4.0]
    """
    from matplotlib.patches import Ellipse

    center, matrix = np.asarray(mean, dtype=float), np.asarray(cov, dtype=float)
    if center.shape != (2,) or matrix.shape != (2, 2):
        raise ValueError(
            "an ellipse needs a mean of shape (2,) and a covariance of shape (2, 2), got "
            f"{center.shape} and {matrix.shape}."
        )
    eigenvalues, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    tolerance = 1e-9 * max(float(np.abs(eigenvalues).max()), 1e-300)
    if not np.allclose(matrix, matrix.T) or eigenvalues[0] < -tolerance:
        raise ValueError(
            "cov must be symmetric and positive semi-definite, got eigenvalues "
            f"{eigenvalues.round(6).tolist()}; pass a covariance matrix, e.g. np.cov(x.T)."
        )
    radii = np.atleast_1d(np.asarray(n_std, dtype=float))
    if radii.size == 0 or (radii <= 0).any():
        raise ValueError(f"n_std must be positive, got {n_std}.")
    widths = 2 * np.sqrt(np.clip(eigenvalues, 0.0, None))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    ellipses = []
    for k, radius in enumerate(radii):
        patch = Ellipse(
            (float(center[0]), float(center[1])),
            width=float(radius * widths[1]),
            height=float(radius * widths[0]),
            angle=angle,
            facecolor=color if fill else "none",
            edgecolor=color,
            linestyle=linestyle,
            linewidth=1.8,
            alpha=0.35 if fill else 1.0,
            label=label if k == 0 else None,
            zorder=3.0,
        )
        ax.add_patch(patch)
        ellipses.append(patch)
    ax.autoscale_view()
    label_axes(ax, "$x_1$", "$x_2$")
    return ellipses
