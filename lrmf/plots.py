"""Figures of the book: one set of colours, and the handful of pictures every chapter draws.

Every function takes a matplotlib ``ax`` first and keyword-only options after its data, draws
into that ``ax``, labels the axes where they carry no label yet, and returns the artists. The
source A is blue, the target B red, the transformed source T(A) cyan, as in the paper; the shared
density S is a neutral grey. Markers differ too, so that no figure rests on colour alone.

matplotlib is imported where it is used: ``pip install "lrmf[notebook]"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lrmf._plot_data import (
    Extent,
    history_columns,
    plane_grid,
    plane_points,
    rows_by_label,
    running_mean,
    shades,
)
from lrmf._plot_judge import log_ratio
from lrmf._plot_mesh import mesh, part_colors

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.contour import QuadContourSet
    from matplotlib.patches import Ellipse
    from matplotlib.quiver import Quiver

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

# Blue, red and cyan of Paul Tol's "vibrant" scheme: they stay apart in every common form of
# colour blindness, and in grey the cyan is much lighter than the blue.
COLORS: dict[str, str] = {
    "source": "#0077BB",
    "target": "#CC3311",
    "transformed": "#33BBEE",
    "shared": "#555555",
    "reference": "#222222",
    "highlight": "#EE7733",
}

# An opaque white card: the page around a figure may turn dark, the figure never does, so black
# text on it stays legible without a second picture.
RC: dict[str, Any] = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "axes.edgecolor": "#555555",
    "xtick.color": "#222222",
    "ytick.color": "#222222",
    "figure.figsize": (6.4, 4.0),
    "figure.dpi": 120,
    "savefig.dpi": 120,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "#DDDDDD",
}

_LABELS = {"source": "$A$ (source)", "target": "$B$ (target)", "transformed": "$T(A)$"}
# One row of markers per role, one column per class label.
_MARKERS = {"source": "o^sD", "target": "xP*1", "transformed": "ov<p"}
_MASSES = (0.99, 0.95, 0.8, 0.6, 0.4, 0.2)


def style() -> AbstractContextManager[None]:
    """Return a context manager: figures made inside it follow the book's style (:data:`RC`).

    >>> with style():
    ...     import matplotlib
    ...     matplotlib.rcParams["figure.facecolor"]
    'white'
    """
    return _matplotlib().rc_context(RC)


def use_style() -> None:
    """Make the book's style (:data:`RC`) the default for the rest of the notebook.

    >>> import lrmf
    >>> import matplotlib
    >>> with matplotlib.rc_context():
    ...     lrmf.plots.use_style()
    ...
    """
    _matplotlib().rcParams.update(RC)


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
    _label_axes(ax, "$x_1$", "$x_2$")
    return artists


def density(
    ax: Axes,
    model: Any,
    *,
    extent: Extent,
    resolution: int = 120,
    color: str = COLORS["shared"],
    masses: Sequence[float] = _MASSES,
    alpha: float = 0.8,
) -> QuadContourSet:
    """Fill the highest-density regions of a model on the plane.

    The contours are level sets of ``exp(log_prob)``; each encloses one of the shares ``masses``
    of the probability that falls inside ``extent``, so a broad and a sharply peaked density are
    equally legible. The darkest region is the most likely one.

    Raises ``ValueError`` for an empty ``extent``, a share outside (0, 1), a ``log_prob`` that is
    not a number, or no probability inside ``extent``.

    Args:
        model: object with ``log_prob(x) -> (n,)`` (nats), or such a function.
        extent: (x_min, x_max, y_min, y_max), see :func:`extent_of`.
        resolution: grid points along each axis.
        color: of the darkest region.
        masses: enclosed shares.
        alpha: opacity.

    >>> import lrmf
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> spec = lrmf.Gaussian()
    >>> model = lrmf.get_backend("jax").density(spec, spec.init((2,), np.random.default_rng(0)))
    >>> found = lrmf.plots.density(Figure().subplots(), model, extent=(-3, 3, -3, 3), resolution=20)
    >>> len(found.levels)
    7
    """
    shares = np.sort(np.asarray(masses, dtype=float))[::-1]
    if shares.size == 0 or shares[0] >= 1 or shares[-1] <= 0:
        raise ValueError(f"masses must lie strictly between 0 and 1, got {tuple(masses)}.")
    grid_x, grid_y, points = plane_grid(extent, resolution)
    log_prob = model.log_prob if hasattr(model, "log_prob") else model
    values = np.asarray(log_prob(points), dtype=float).reshape(grid_x.shape)
    if np.isnan(values).any():
        raise ValueError(
            f"log_prob is not a number at {int(np.isnan(values).sum())} of {values.size} grid "
            "points: the model diverged; draw an earlier snapshot, or train again with a lower "
            "learning rate."
        )
    peak = values.max()
    if peak == -np.inf:
        raise ValueError(f"the model has no probability inside extent={extent}: widen it.")
    heights = np.exp(values - peak)
    descending = np.sort(heights, axis=None)[::-1]
    enclosed = np.cumsum(descending) / descending.sum()
    thresholds = descending[np.searchsorted(enclosed, shares)]
    # A last level above the peak closes the darkest region; unique() merges shares that a
    # coarse grid cannot tell apart.
    levels = np.append(np.unique(thresholds[thresholds < 1.0]), 1.0 + 1e-9)
    if len(levels) < 2:
        levels = np.array([0.0, 1.0 + 1e-9])
    contours = ax.contourf(
        grid_x, grid_y, heights, levels=levels, colors=shades(color, len(levels) - 1), alpha=alpha
    )
    ax.set_xlim(extent[0], extent[1])
    ax.set_ylim(extent[2], extent[3])
    _label_axes(ax, "$x_1$", "$x_2$")
    return contours


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
    _label_axes(ax, "training step", "loss (nats)")
    return artists


def displacement(
    ax: Axes,
    flow: Any,
    *,
    extent: Extent,
    resolution: int = 18,
    cmap: str = "viridis",
    colorbar: bool = True,
) -> Quiver:
    """Draw where a flow moves the points of a grid: direction as arrows, distance as colour.

    All arrows have one length, so that a large displacement does not hide its neighbours; the
    colour of an arrow is |T(x) − x|.

    Raises ``ValueError`` for an empty ``extent`` or a displacement that is not finite.

    Args:
        flow: object with ``forward(x) -> (y, log_det)``, or a function ``x -> y``.
        extent: (x_min, x_max, y_min, y_max), see :func:`extent_of`.
        resolution: arrows along each axis.
        cmap: colour map of the distances.
        colorbar: whether to add a colour bar to the figure.

    >>> import lrmf
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> spec = lrmf.Affine()
    >>> flow = lrmf.get_backend("jax").flow(spec, spec.init((2,), np.random.default_rng(0)))
    >>> ax, square = Figure().subplots(), (-1, 1, -1, 1)
    >>> arrows = lrmf.plots.displacement(ax, flow, extent=square, resolution=4)
    >>> arrows.N
    16
    """
    grid_x, grid_y, points = plane_grid(extent, resolution)
    moved = flow.forward(points)[0] if hasattr(flow, "forward") else flow(points)
    moved = np.asarray(moved, dtype=float)
    if not np.isfinite(moved).all():
        raise ValueError(
            f"the flow moves {int((~np.isfinite(moved)).any(axis=-1).sum())} of {len(points)} grid "
            "points to infinity or not-a-number: narrow the extent, or check that training "
            "converged."
        )
    steps = moved - points
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    units = steps / np.where(lengths > 0, lengths, 1.0)[:, None]
    arrow = 0.8 * min(extent[1] - extent[0], extent[3] - extent[2]) / max(resolution - 1, 1)
    quiver = ax.quiver(
        grid_x,
        grid_y,
        units[:, 0].reshape(grid_x.shape) * arrow,
        units[:, 1].reshape(grid_x.shape) * arrow,
        lengths.reshape(grid_x.shape),
        cmap=cmap,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        pivot="mid",
        width=0.005,
    )
    if colorbar:
        ax.figure.colorbar(quiver, ax=ax, label="distance moved, $|T(x) - x|$")
    _label_axes(ax, "$x_1$", "$x_2$")
    return quiver


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
    _label_axes(ax, "$x_1$", "$x_2$")
    return ellipses


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            'Figures need matplotlib, which is not installed. Run: pip install "lrmf[notebook]"'
        ) from error
    return matplotlib


def _label_axes(ax: Axes, x: str, y: str) -> None:
    if not ax.get_xlabel():
        ax.set_xlabel(x)
    if not ax.get_ylabel():
        ax.set_ylabel(y)
