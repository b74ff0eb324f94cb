"""The Gaussian case: two normal densities on the line and the map T(x) = a x + b."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

from lrmf import plots, theory
from lrmf.widgets.explorer import Explorer, State, number
from lrmf.widgets.panels import (
    bells,
    dashed,
    fill,
    grid,
    legend_above,
    log_density,
    signed,
    two_panels,
    waterfall,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GaussianNumbers", "GaussianState", "draw_gaussian", "gaussian", "gaussian_numbers"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianState(State):
    """Means and standard deviations of A and B, and the map T(x) = a x + b (Example 2.1).

    >>> import lrmf
    >>> state = lrmf.widgets.GaussianState(a=2.0)
    >>> state.a, state.moved(b=99.0).b
    (2.0, 15.0)
    """

    mean_a: float = number("μ_A, mean of A", -1.0, -3.0, 3.0, 0.1)
    std_a: float = number("σ_A, spread of A", 0.5, 0.5, 2.0, 0.05)
    mean_b: float = number("μ_B, mean of B", 2.0, -3.0, 3.0, 0.1)
    std_b: float = number("σ_B, spread of B", 1.5, 0.5, 2.0, 0.05)
    a: float = number("a, scale of T", 1.0, 0.2, 5.0, 0.05)
    b: float = number("b, shift of T", 0.0, -15.0, 15.0, 0.1)


class GaussianNumbers(NamedTuple):
    """What the picture shows: the terms of the loss in nats, and the optimum."""

    log_det: float
    moved: float
    target: float
    constant: float
    loss: float
    spread: float
    location: float
    shared_mean: float
    shared_std: float
    best_a: float
    best_b: float


def gaussian_numbers(state: GaussianState) -> GaussianNumbers:
    """Compute the terms of the LRMF loss with its best shared density P_S.

    loss = −log a − E log P_S(T(A)) − E log P_S(B) + c(A, B) = spread + location, where spread =
    log cosh log(a σ_A/σ_B) is the loss that would be left if the means agreed.
    """
    line = {
        "mean_a": state.mean_a,
        "std_a": state.std_a,
        "mean_b": state.mean_b,
        "std_b": state.std_b,
    }
    mean, std = state.a * state.mean_a + state.b, state.a * state.std_a
    shared_mean, shared_cov = theory.gaussian.shared_moments(
        [mean], [[std**2]], [state.mean_b], [[state.std_b**2]]
    )
    center, width = float(shared_mean[0]), math.sqrt(shared_cov[0, 0])

    def cross_entropy(m: float, s: float) -> float:
        entropy = -float(theory.gaussian.max_log_likelihood([[s**2]]))
        return entropy + float(theory.divergences.gaussian_kl_1d(m, s, center, width))

    loss = float(theory.gaussian.loss_1d(state.a, state.b, **line))
    centred = state.mean_b - state.a * state.mean_a
    spread = float(theory.gaussian.loss_1d(state.a, centred, **line))
    best_a, best_b = theory.gaussian.optimum_1d(**line)
    return GaussianNumbers(
        log_det=-math.log(state.a),
        moved=cross_entropy(mean, std),
        target=cross_entropy(state.mean_b, state.std_b),
        constant=float(theory.gaussian.constant([[state.std_a**2]], [[state.std_b**2]])),
        loss=loss,
        spread=spread,
        location=loss - spread,
        shared_mean=center,
        shared_std=width,
        best_a=float(best_a),
        best_b=float(best_b),
    )


def draw_gaussian(state: GaussianState) -> Figure:
    """Draw A, B, T(A) and their best shared normal density, and the terms of the loss.

    >>> figure = draw_gaussian(GaussianState(a=2.0))
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('$x$', 'density')
    """
    n = gaussian_numbers(state)
    source, target = bells(state.mean_a, state.std_a), bells(state.mean_b, state.std_b)
    moved = bells(state.a * state.mean_a + state.b, state.a * state.std_a)
    shared = bells(n.shared_mean, n.shared_std)
    x = grid([source, target, moved])
    figure, top, bottom = two_panels(5.6, 1.4)
    fill(top, x, target, "target", "$B$")
    fill(top, x, moved, "transformed", "$T(A)$")
    dashed(top, x, shared, "best shared")
    y = [math.exp(value) for value in log_density(x, source)]
    top.plot(x, y, ":", color=plots.COLORS["source"], label="$A$")
    top.set(
        title=f"$T(x) = {state.a:.2f}\\,x {state.b:+.2f}$, "
        f"the best is ${n.best_a:.2f}\\,x {n.best_b:+.2f}$",
        xlabel="$x$",
        ylabel="density",
    )
    legend_above(top, 4)
    terms = {
        "$-\\log a$": n.log_det,
        "$-\\log P_S(T(A))$": n.moved,
        "$-\\log P_S(B)$": n.target,
        "$c(A, B)$": n.constant,
    }
    waterfall(bottom, terms, ("loss", n.loss))
    bottom.set_title(
        f"loss {abs(n.loss):.3f} = spread {abs(n.spread):.3f} + location {abs(n.location):.3f}"
    )
    return figure


def _describe(state: GaussianState) -> str:
    n = gaussian_numbers(state)
    log_det, moved, target, constant = (
        signed(term, 2) for term in (n.log_det, n.moved, n.target, n.constant)
    )
    return (
        f"Bell curves: A around {state.mean_a:.1f} (dotted blue), B around {state.mean_b:.1f} "
        f"(red), T(A) around {state.a * state.mean_a + state.b:.1f} (cyan), and their best shared "
        f"normal density (dashed grey). Below, bars add up to the loss, {abs(n.loss):.3f} nats: "
        f"{log_det} from the log-determinant, {moved} and {target} from the shared density on T(A) "
        f"and on B, {constant} from the constant."
    )


def gaussian(**start: float) -> Explorer:
    """Explore the Gaussian case: densities of A, B and T(A), the terms of the loss, its optimum.

    Args:
        **start: numbers of :class:`GaussianState` that differ from their start.

    >>> import lrmf
    >>> print(lrmf.widgets.gaussian(mean_a=-2.0).alt)
    Bell curves: A around -2.0 (dotted blue), ...
    """
    return Explorer(GaussianState(**start), draw_gaussian, _describe)
