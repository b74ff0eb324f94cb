"""What the figures of the widgets have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf import plots
from lrmf.theory import mixtures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Bells",
    "bells",
    "dashed",
    "fill",
    "grid",
    "legend_above",
    "log_density",
    "signed",
    "two_panels",
    "waterfall",
]

Array = NDArray[np.float64]
# An equal mixture of normal densities: its means and their common standard deviation.
Bells = tuple[Array, float]


def bells(means: ArrayLike, std: float) -> Bells:
    """Return an equal mixture of normal densities; one mean gives one normal density."""
    return np.atleast_1d(np.asarray(means, dtype=float)), float(std)


def log_density(x: ArrayLike, density: Bells) -> Array:
    """Return the log-density at the points x, in nats."""
    return mixtures.log_density(x, means=density[0], std=density[1])


def grid(densities: Iterable[Bells], points: int = 800) -> Array:
    """Return points that cover four standard deviations of every bell."""
    low, high = zip(*((m.min() - 4 * s, m.max() + 4 * s) for m, s in densities), strict=True)
    return np.linspace(min(low), max(high), points)


def two_panels(height: float, ratio: float) -> tuple[Figure, Axes, Axes]:
    """Return a figure with two panels, one above the other, which a narrow screen can show.

    The figure does not go through pyplot: nothing is shown twice, and none is left open.
    """
    from matplotlib.figure import Figure

    with plots.style():
        figure = Figure(figsize=(6.4, height), layout="constrained")
        top, bottom = figure.subplots(2, 1, height_ratios=(ratio, 1.0))
    return figure, top, bottom


def fill(ax: Axes, x: Array, density: Bells, role: str, label: str) -> None:
    """Fill the area under a density in the colour of its role."""
    y, color = np.exp(log_density(x, density)), plots.COLORS[role]
    ax.fill_between(x, y, color=color, alpha=0.3, linewidth=0.0)
    ax.plot(x, y, color=color, label=label)


def dashed(ax: Axes, x: Array, density: Bells, label: str) -> None:
    """Draw a shared density."""
    y = np.exp(log_density(x, density))
    ax.plot(x, y, "--", color=plots.COLORS["shared"], label=label)


def legend_above(ax: Axes, columns: int) -> None:
    """Give the legend room above the curves, which may peak anywhere."""
    ax.set_ylim(0.0, 1.25 * ax.get_ylim()[1])
    ax.legend(loc="upper center", ncols=columns)


def signed(value: float, digits: int = 3) -> str:
    """Write a number with its sign; what rounds to zero has none.

    >>> signed(0.25), signed(-1e-9), signed(-2.0, 1)
    ('+0.250', '0.000', '−2.0')
    """
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def waterfall(ax: Axes, terms: Mapping[str, float], total: tuple[str, float]) -> None:
    """Draw terms as bars, each from where the one above it ended, and their sum below them."""
    ends = np.cumsum(list(terms.values()))
    starts = np.concatenate([[0.0], ends[:-1]])
    rows = np.arange(len(terms) + 1)
    reach = max(np.ptp([0.0, *ends]), 0.1)
    colors = [plots.COLORS["shared"]] * len(terms) + [plots.COLORS["highlight"]]
    widths, lefts = [*terms.values(), total[1]], [*starts, 0.0]
    ax.barh(rows, widths, left=lefts, color=colors, height=0.6)
    for row, left, width in zip(rows, lefts, widths, strict=True):
        edge = max(left, left + width)
        ax.text(edge + 0.015 * reach, float(row), signed(width), va="center", fontsize=10)
    low, high = min(0.0, ends.min()), max(0.0, ends.max())
    ax.set_xlim(low - 0.03 * reach, max(high, low + reach) + 0.17 * reach)
    ax.axvline(0.0, color=plots.COLORS["reference"], linewidth=1.0)
    ax.set_yticks(rows, [*terms, total[0]])
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("nats")
