"""Figures of models on the plane: where a density is high, and where a flow moves points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrmf._plot_data import Extent, plane_grid, shades
from lrmf._plot_style import COLORS, label_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet
    from matplotlib.quiver import Quiver

__all__ = ["density", "displacement"]

_MASSES = (0.99, 0.95, 0.8, 0.6, 0.4, 0.2)


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
    label_axes(ax, "$x_1$", "$x_2$")
    return contours


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
    label_axes(ax, "$x_1$", "$x_2$")
    return quiver
