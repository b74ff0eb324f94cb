"""Example 2.2: how the gradient vanishes as two mixtures move apart."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from lrmf import plots, theory
from lrmf.widgets.explorer import Explorer, State, number
from lrmf.widgets.panels import bells, dashed, fill, grid, two_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "VanishingNumbers",
    "VanishingState",
    "draw_vanishing",
    "vanishing_gradient",
    "vanishing_numbers",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VanishingState(State):
    """A has modes at μ ± δ, B at ±δ, each of width σ₀.

    >>> import lrmf
    >>> lrmf.widgets.VanishingState(mu=100.0)
    VanishingState(mu=60.0, delta=1.0, sigma0=0.5)
    """

    mu: float = number("μ, distance", 7.0, 0.5, 60.0, 0.5)
    delta: float = number("δ, half gap", 1.0, 0.2, 3.0, 0.1)
    sigma0: float = number("σ₀, width", 0.5, 0.2, 3.0, 0.1)

    @property
    def shape(self) -> dict[str, float]:
        """What the functions of lrmf.theory.mixtures take."""
        return {"delta": self.delta, "sigma0": self.sigma0}


class VanishingNumbers(NamedTuple):
    """The gradient, the law that it follows, and the samples that would show it."""

    log_gradient: float
    slope: float
    intercept: float
    log_samples: float


def vanishing_numbers(state: VanishingState) -> VanishingNumbers:
    """Compute log |∂L/∂μ|, the law √(−log |∂L/∂μ|) ≈ slope · μ + intercept, and log₁₀ samples."""
    return VanishingNumbers(
        log_gradient=float(theory.mixtures.log_gradient(state.mu, **state.shape)),
        slope=float(theory.mixtures.asymptotic_slope(**state.shape)),
        intercept=float(theory.mixtures.asymptotic_intercept(**state.shape)),
        log_samples=float(theory.mixtures.log_samples(state.mu, **state.shape)),
    )


def draw_vanishing(state: VanishingState) -> Figure:
    """Draw A, B, the shared model and its responsibilities, and how the gradient falls with μ.

    >>> figure = draw_vanishing(VanishingState(mu=10.0))
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('$x$', 'density')
    """
    n = vanishing_numbers(state)
    modes = state.delta * np.array([-1.0, 1.0])
    a, b = bells(state.mu + modes, state.sigma0), bells(modes, state.sigma0)
    means, std = theory.mixtures.shared_parameters(state.mu, **state.shape)
    shared = bells(means, float(std))
    figure, top, bottom = two_panels(6.4, 1.0)
    x = grid([a, b, shared])
    fill(top, x, a, "source", "$A$")
    fill(top, x, b, "target", "$B$")
    dashed(top, x, shared, "shared model")
    top.set(xlabel="$x$", ylabel="density", ylim=(0.0, 1.5 * top.get_ylim()[1]))
    top.plot([], [], color=plots.COLORS["highlight"], label="responsibility $r(x)$")
    top.legend(loc="upper center", ncols=2)
    with plots.style():
        right = top.twinx()
    share = special.expit((state.mu / std**2) * (x - state.mu / 2))
    right.plot(x, share, color=plots.COLORS["highlight"])
    right.set(ylabel="$r(x)$", ylim=(0.0, 1.5), yticks=(0.0, 0.5, 1.0))
    right.grid(visible=False)
    right.spines["right"].set_visible(True)

    mu = np.linspace(0.5, 60.0, 120)
    curve = _root(theory.mixtures.log_gradient(mu, **state.shape))
    law = n.slope * mu + n.intercept
    formula = f"law: ${n.slope:.3f}\\,\\mu {n.intercept:+.3f}$"
    bottom.plot(mu, curve, color=plots.COLORS["shared"], label="quadrature")
    bottom.plot(mu, law, "--", color=plots.COLORS["highlight"], label=formula)
    here = float(_root(n.log_gradient))
    bottom.plot(state.mu, here, "o", color=plots.COLORS["source"], label=f"$\\mu = {state.mu:g}$")
    bottom.set(
        title=f"gradient {_power(n.log_gradient / math.log(10))}; samples for ten percent: "
        f"{_power(n.log_samples)}",
        xlabel="$\\mu$",
        ylabel="$\\sqrt{-\\log\\,|\\partial L/\\partial\\mu|}$",
        ylim=(0.0, None),
    )
    bottom.legend(loc="upper left")
    return figure


def _root(log_gradient: ArrayLike) -> NDArray[np.float64]:
    """√(−log |∂L/∂μ|), zero where the gradient exceeds one."""
    return np.sqrt(np.maximum(-np.asarray(log_gradient, dtype=float), 0.0))


def _power(exponent: float) -> str:
    """Write a power of ten; small ones as numbers."""
    if -3 < exponent < 3:
        return f"{10**exponent:.2g}"
    return f"$10^{{{exponent:.0f}}}$"


def _describe(state: VanishingState) -> str:
    n = vanishing_numbers(state)
    return (
        f"Above, the densities of A around {state.mu:g} (blue) and of B around 0 (red), each with "
        f"modes {2 * state.delta:g} apart, the shared model (dashed grey), and the share of its "
        "right component (orange), which rises from 0 to 1 halfway. Below, the root of minus the "
        "log of the gradient against the distance: a grey curve from quadrature along a dashed "
        f"orange line. The point marks distance {state.mu:g}, where the gradient is ten to the "
        f"power {n.log_gradient / math.log(10):.1f}."
    )


def vanishing_gradient(**start: float) -> Explorer:
    """Explore how the gradient of Example 2.2 vanishes.

    Args:
        **start: numbers of :class:`VanishingState` that differ from their start.

    >>> import lrmf
    >>> "where the gradient is ten to the power" in lrmf.widgets.vanishing_gradient(mu=10.0).alt
    True
    """
    return Explorer(VanishingState(**start), draw_vanishing, _describe)
