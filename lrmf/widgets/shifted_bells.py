"""Two normal densities that move apart, and what four distances see of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lrmf import plots
from lrmf.widgets.explorer import Explorer, State, number
from lrmf.widgets.panels import bells, fill, legend_above, log_density, two_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SeenNumbers", "SeenState", "draw_seen", "seen", "seen_numbers"]

Array = NDArray[np.float64]
GRID = np.linspace(-24.0, 24.0, 2401)
STEP = float(GRID[1] - GRID[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeenState(State):
    """A = N(0, 1) and B = N(gap, spread²).

    >>> import lrmf
    >>> lrmf.widgets.SeenState(gap=-1.0)
    SeenState(gap=0.0, spread=1.0)
    """

    gap: float = number("gap of the means", 2.0, 0.0, 10.0, 0.1)
    spread: float = number("spread of B", 1.0, 0.3, 2.0, 0.05)


class SeenNumbers(NamedTuple):
    """Jensen–Shannon divergence (nats), total variation, W1, and the energy distance."""

    jsd: float
    total_variation: float
    wasserstein: float
    energy: float


def seen_numbers(state: SeenState) -> SeenNumbers:
    """Compute the four distances from both densities on a fine grid."""
    p, q = (
        np.exp(log_density(GRID, density))
        for density in (bells(0.0, 1.0), bells(state.gap, state.spread))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(r > 0, r * np.log(2 * r / (p + q)), 0.0) for r in (p, q)]
    cdf = stats.norm.cdf(GRID), stats.norm.cdf(GRID, state.gap, state.spread)
    gap = np.abs(cdf[0] - cdf[1])
    return SeenNumbers(
        jsd=float(0.5 * STEP * sum(term.sum() for term in terms)),
        total_variation=float(0.5 * STEP * np.abs(p - q).sum()),
        wasserstein=float(STEP * gap.sum()),
        energy=float(2 * STEP * np.square(gap).sum()),
    )


def draw_seen(state: SeenState) -> Figure:
    """Draw both densities, and the four distances against the gap.

    >>> figure = draw_seen(SeenState(gap=3.0))
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['$x$', 'gap of the means']
    """
    figure, top, bottom = two_panels(6.0, 1.0)
    x = np.linspace(-4.0, 14.0, 800)
    fill(top, x, bells(0.0, 1.0), "source", "$A$")
    fill(top, x, bells(state.gap, state.spread), "target", "$B$")
    top.set(xlabel="$x$", ylabel="density")
    legend_above(top, 2)
    gaps = np.linspace(0.0, 10.0, 41)
    curves = np.array([seen_numbers(state.moved(gap=gap)) for gap in gaps])
    here = seen_numbers(state)
    looks = (
        ("JSD / log 2", "target", "-", np.log(2)),
        ("TV", "shared", "--", 1.0),
        ("$W_1$ / 10", "source", "-.", 10.0),
        ("energy / 10", "highlight", ":", 10.0),
    )
    for k, (label, color, style, unit) in enumerate(looks):
        bottom.plot(
            gaps, curves[:, k] / unit, style, color=plots.COLORS[color], label=label, linewidth=2.2
        )
        bottom.plot([state.gap], [here[k] / unit], "o", color=plots.COLORS[color])
    bottom.set(xlabel="gap of the means", ylabel="distance", ylim=(0.0, 2.2))
    bottom.legend(loc="upper left", ncols=2)
    return figure


def _describe(state: SeenState) -> str:
    n = seen_numbers(state)
    return (
        f"Two bell curves, A in blue at 0 and B in red at {state.gap:.1f}. Below, four distances "
        f"against the gap; dots mark the present one. The Jensen–Shannon divergence is {n.jsd:.3f} "
        f"of at most 0.693 nats, total variation {n.total_variation:.3f} of at most 1: both level "
        f"off. W1 is {n.wasserstein:.2f} and the energy distance {n.energy:.2f}: both keep growing."
    )


def seen(**start: float) -> Explorer:
    """Explore what distances see: two normal densities that move apart.

    Args:
        **start: numbers of :class:`SeenState` that differ from their start.

    >>> import lrmf
    >>> print(lrmf.widgets.seen(gap=3.0).alt)
    Two bell curves, A in blue at 0 and B in red at 3.0. Below, four distances ...
    """
    return Explorer(SeenState(**start), draw_seen, _describe)
