"""Gradient descent on the loss of LRMF, on the line: its landscape, and where the steps lead."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrmf import plots, theory
from lrmf.widgets.explorer import Explorer, State, number
from lrmf.widgets.panels import two_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DescentNumbers", "DescentState", "descent", "descent_numbers", "draw_descent"]

Array = NDArray[np.float64]
STD_B = 2.0
GOAL = 1e-3  # the loss that Task 4 of the course asks for


@dataclasses.dataclass(frozen=True, kw_only=True)
class DescentState(State):
    """Steps from T(x) = x towards a loss of zero, A = N(mean, spread²) and B = N(0, 2²).

    >>> import lrmf
    >>> state = lrmf.widgets.DescentState(steps=1e6)
    >>> state.steps, state.rate_a
    (400.0, 0.2)
    """

    rate_a: float = number("rate of log a", 0.2, 0.0, 2.0, 0.05)
    rate_b: float = number("rate of b", 0.2, 0.0, 20.0, 0.2)
    steps: float = number("steps", 60.0, 0.0, 400.0, 10.0)
    mean_a: float = number("μ_A, mean of A", 2.0, -4.0, 4.0, 0.1)
    std_a: float = number("σ_A, spread of A", 0.5, 0.25, 2.0, 0.05)

    @property
    def moments(self) -> dict[str, float]:
        """What the functions of lrmf.theory.gaussian for the line take."""
        return {"mean_a": self.mean_a, "std_a": self.std_a, "mean_b": 0.0, "std_b": STD_B}


class DescentNumbers(NamedTuple):
    """Where the steps end, the loss there in nats, and the optimum."""

    log_a: float
    b: float
    loss: float
    best_log_a: float
    best_b: float


@functools.lru_cache(maxsize=8)
def _path(state: DescentState) -> Array:
    """Every (log a, b) of the descent, the start included: shape (steps + 1, 2).

    No rate within reach makes it overflow: the loss is a logarithm, so its gradient is bounded.
    """
    cov_a, cov_b = [[state.std_a**2]], [[STD_B**2]]
    log_a = shift = 0.0
    points = [(log_a, shift)]
    for _ in range(round(state.steps)):
        a = math.exp(log_a)
        by_a, by_b = theory.gaussian.loss_gradient(
            [[a]], [shift], mean_a=[state.mean_a], cov_a=cov_a, mean_b=[0.0], cov_b=cov_b
        )
        log_a -= state.rate_a * a * float(by_a[0, 0])  # the chain rule, from a to log a
        shift -= state.rate_b * float(by_b[0])
        points.append((log_a, shift))
    return np.array(points)


def descent_numbers(state: DescentState) -> DescentNumbers:
    """Take the steps, and compute where they lead and where they should."""
    path = _path(state)
    log_a, b = (float(value) for value in path[-1])
    best_a, best_b = theory.gaussian.optimum_1d(**state.moments)
    return DescentNumbers(
        log_a=log_a,
        b=b,
        loss=float(theory.gaussian.loss_1d(math.exp(log_a), b, **state.moments)),
        best_log_a=math.log(best_a),
        best_b=float(best_b),
    )


def draw_descent(state: DescentState) -> Figure:
    """Draw the contour lines of the loss with the path, and the loss against the steps.

    >>> figure = draw_descent(DescentState(steps=10.0))
    >>> figure.axes[1].get_xlabel(), figure.axes[1].get_ylabel()
    ('step', 'loss, nats')
    """
    n, path = descent_numbers(state), _path(state)
    reach = 0.75 * max(abs(n.best_b), 8.0)
    low, high = min(0.0, n.best_b) - reach, max(0.0, n.best_b) + reach
    log_a, b = np.meshgrid(np.linspace(-1.0, 3.0, 121), np.linspace(low, high, 121))
    values = theory.gaussian.loss_1d(np.exp(log_a), b, **state.moments)
    figure, top, bottom = two_panels(6.4, 1.7)
    with plots.style():
        lines = top.contour(
            log_a, b, values, levels=[0.05, 0.2, 0.5, 1, 1.5, 2, 3, 4], colors="#888888"
        )
        top.clabel(lines, fontsize=8)
    top.plot(*path.T, ".-", color=plots.COLORS["highlight"], markersize=4, label="steps")
    marks = (("start", (0.0, 0.0), "x", "source"), ("optimum", None, "o", "target"))
    for label, place, mark, role in marks:
        x, y = place or (n.best_log_a, n.best_b)
        top.plot(x, y, mark, color=plots.COLORS[role], markersize=9, label=label, linestyle="none")
    top.set(xlabel=r"$\log a$", ylabel="$b$", xlim=(-1.0, 3.0), ylim=(low, high))
    top.legend(loc="upper right")
    losses = theory.gaussian.loss_1d(np.exp(path[:, 0]), path[:, 1], **state.moments)
    bottom.semilogy(np.maximum(losses, 1e-9), color=plots.COLORS["highlight"])
    bottom.axhline(GOAL, color=plots.COLORS["reference"], linestyle="--", linewidth=1.0)
    bottom.text(0.99, GOAL, "what Task 4 asks for", va="bottom", ha="right", fontsize=9,
                transform=bottom.get_yaxis_transform())  # fmt: skip
    bottom.set(
        title=f"loss {n.loss:.3g} after {len(path) - 1} steps",
        xlabel="step",
        ylabel="loss, nats",
        xlim=(0.0, max(state.steps, 1.0)),
        ylim=(1e-6, 20.0),
    )
    return figure


def _describe(state: DescentState) -> str:
    n = descent_numbers(state)
    reached = "below" if n.loss < GOAL else "above"
    return (
        "Contour lines of the loss over log a and b, with a cross at the origin, where the descent "
        f"starts, and a red dot at log a = {n.best_log_a:.2f} and b = {n.best_b + 0.0:.1f}, where "
        f"the loss is zero. {round(state.steps)} steps, in orange, lead to "
        f"log a = {n.log_a + 0.0:.2f} and b = {n.b + 0.0:.1f}. Below, the loss against the steps: "
        f"it ends at {n.loss:.2g} nats, {reached} the dashed line at 0.001."
    )


def descent(**start: float) -> Explorer:
    """Explore gradient descent on the loss of LRMF: rates, steps, and where A starts.

    Args:
        **start: numbers of :class:`DescentState` that differ from their start.

    >>> import lrmf
    >>> "the loss against the steps" in lrmf.widgets.descent(steps=10.0).alt
    True
    """
    return Explorer(DescentState(**start), draw_descent, _describe)
