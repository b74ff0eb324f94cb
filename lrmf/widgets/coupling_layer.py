"""A coupling layer in the plane: what it does to a grid, and to volumes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrmf import plots
from lrmf.widgets.explorer import Explorer, State, number
from lrmf.widgets.panels import signed, two_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CouplingNumbers", "CouplingState", "coupling", "coupling_numbers", "draw_coupling"]

Array = NDArray[np.float64]
REACH = 1.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class CouplingState(State):
    """The layer y1 = x1, y2 = x2 exp(s(x1)) + t(x1) with s = c + a tanh(x1), t = b sin(2 x1).

    >>> import lrmf
    >>> lrmf.widgets.CouplingState(scale=9.0)  # no steeper than the slider allows
    CouplingState(scale=1.5, level=0.0, shift=0.4)
    """

    scale: float = number("a, slope of s", 0.8, -1.5, 1.5, 0.1)
    level: float = number("c, level of s", 0.0, -1.0, 1.0, 0.1)
    shift: float = number("b, size of t", 0.4, -1.5, 1.5, 0.1)


class CouplingNumbers(NamedTuple):
    """Log-determinants in nats at the left and right end, and their average over the grid."""

    left: float
    right: float
    mean: float


def log_det(state: CouplingState, x: Array) -> Array:
    """Return log|det| of the layer where the first coordinate is x: s(x)."""
    return np.asarray(state.level + state.scale * np.tanh(x))


def image(state: CouplingState, first: Array, second: Array) -> Array:
    """Return the second coordinate of the images of points; the first one stays."""
    return np.asarray(second * np.exp(log_det(state, first)) + state.shift * np.sin(2 * first))


def coupling_numbers(state: CouplingState) -> CouplingNumbers:
    """Compute the log-determinant at both ends of the grid, and its average."""
    values = log_det(state, np.linspace(-REACH, REACH, 201))
    return CouplingNumbers(float(values[0]), float(values[-1]), float(values.mean()))


def draw_coupling(state: CouplingState) -> Figure:
    """Draw the image of a square grid, coloured by the log-determinant, and s itself.

    >>> figure = draw_coupling(CouplingState(scale=0.5))
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['$y_1 = x_1$', '$x_1$']
    """
    x = np.linspace(-REACH, REACH, 19)
    first, second = np.meshgrid(x, x)
    moved = image(state, first, second)
    centres = 0.5 * (x[1:] + x[:-1])
    colors = np.tile(log_det(state, centres), (len(centres), 1))
    figure, top, bottom = two_panels(6.0, 1.8)
    top.pcolormesh(
        first, moved, colors, cmap="RdBu_r", vmin=-2.5, vmax=2.5, edgecolors="#777777",
        linewidth=0.3,
    )  # fmt: skip
    top.plot(
        [-REACH, REACH, REACH, -REACH, -REACH],
        [-REACH, -REACH, REACH, REACH, -REACH],
        "--",
        color=plots.COLORS["reference"],
        linewidth=1.2,
    )
    top.set(xlabel="$y_1 = x_1$", ylabel="$y_2$", title="image of the dashed square")
    top.grid(visible=False)
    line = np.linspace(-REACH, REACH, 201)
    bottom.plot(line, log_det(state, line), color=plots.COLORS["shared"])
    bottom.axhline(0.0, color=plots.COLORS["reference"], linewidth=1.0)
    bottom.set(xlabel="$x_1$", ylabel=r"$\log|\det\nabla T|$", ylim=(-2.7, 2.7))
    return figure


def _describe(state: CouplingState) -> str:
    n = coupling_numbers(state)
    ends = []
    for side, value in (("left", n.left), ("right", n.right)):
        text = signed(value, 2)
        verb = {"+": "stretched", "−": "squeezed"}.get(text[0], "left as they are")
        ends.append(f"{verb} on the {side} ({text} nats)")
    return (
        f"A square grid after a coupling layer, with cells {ends[0]} and {ends[1]}, and bent up "
        f"and down by up to {abs(state.shift):.1f}. Vertical lines stay where they are. Below, the "
        f"log-determinant against the first coordinate; its average is {signed(n.mean, 2)} nats."
    )


def coupling(**start: float) -> Explorer:
    """Explore a coupling layer: the image of a grid, and the log-determinant.

    Args:
        **start: numbers of :class:`CouplingState` that differ from their start.

    >>> import lrmf
    >>> print(lrmf.widgets.coupling(scale=0.0, level=0.0).alt)
    A square grid after a coupling layer, with cells left as they are on the left (...
    """
    return Explorer(CouplingState(**start), draw_coupling, _describe)
