"""The distance of two mixtures for the normal family, and what it is made of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lrmf import theory
from lrmf.widgets.explorer import Explorer, State, number
from lrmf.widgets.panels import (
    Bells,
    bells,
    dashed,
    fill,
    grid,
    legend_above,
    signed,
    two_panels,
    waterfall,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MixturesNumbers", "MixturesState", "draw_mixtures", "mixtures", "mixtures_numbers"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixturesState(State):
    """Two equal mixtures: A = ½ N(c + g, s²) + ½ N(c − g, s²), and B likewise.

    >>> import lrmf
    >>> state = lrmf.widgets.MixturesState(gap_a=-1.0)
    >>> state.gap_a, state.gap_b
    (0.0, 2.0)
    """

    center_a: float = number("centre of A", -1.5, -4.0, 4.0, 0.1)
    gap_a: float = number("half gap of A", 0.0, 0.0, 4.0, 0.1)
    std_a: float = number("width of A", 0.8, 0.3, 2.0, 0.05)
    center_b: float = number("centre of B", 1.0, -4.0, 4.0, 0.1)
    gap_b: float = number("half gap of B", 2.0, 0.0, 4.0, 0.1)
    std_b: float = number("width of B", 0.6, 0.3, 2.0, 0.05)

    @property
    def densities(self) -> tuple[Bells, Bells]:
        """A and B."""
        modes = np.array([-1.0, 1.0])
        return (
            bells(self.center_a + self.gap_a * modes, self.std_a),
            bells(self.center_b + self.gap_b * modes, self.std_b),
        )


class MixturesNumbers(NamedTuple):
    """Terms of the distance, in nats; KL(P ‖ M) is the smallest over the normal densities M."""

    jsd: float
    kl_a: float
    kl_b: float
    kl_both: float
    distance: float
    shared: Bells


def mixtures_numbers(state: MixturesState) -> MixturesNumbers:
    """Compute the divergences by quadrature, and the distance from the moments alone.

    d_Λ(A, B; M) = 2 JSD(A, B) − KL(A ‖ M) − KL(B ‖ M) + 2 KL(½A + ½B ‖ M).
    """
    a, b = state.densities
    line = state.center_a, np.hypot(state.gap_a, state.std_a)
    other = state.center_b, np.hypot(state.gap_b, state.std_b)
    mean, cov = theory.gaussian.shared_moments(
        [line[0]], [[line[1] ** 2]], [other[0]], [[other[1] ** 2]]
    )
    shared = bells(mean, float(np.sqrt(cov[0, 0])))
    return MixturesNumbers(
        jsd=_jsd(a, b),
        kl_a=_kl([a], bells(*line)),
        kl_b=_kl([b], bells(*other)),
        kl_both=_kl([a, b], shared),
        distance=float(theory.gaussian.distance_1d(*line, *other)),
        shared=shared,
    )


def _kl(parts: Sequence[Bells], normal: Bells) -> float:
    """KL of the equal mixture of the parts to a normal density."""
    if all(np.ptp(means) == 0 and std == normal[1] for means, std in parts) and _agree(parts):
        return 0.0  # quadrature would look in vain for a first digit
    return theory.divergences.kl(_log(parts), _log([normal]), breakpoints=_breaks(parts))


def _jsd(a: Bells, b: Bells) -> float:
    if _agree([a, b]):
        return 0.0
    return theory.divergences.jsd(_log([a]), _log([b]), breakpoints=_breaks([a, b]))


def _agree(parts: Sequence[Bells]) -> bool:
    (first, std), *others = parts
    return all(other == std and np.array_equal(means, first) for means, other in others)


def _breaks(densities: Sequence[Bells]) -> list[float]:
    """The peaks, where the quadrature must look."""
    return [float(mean) for means, _ in densities for mean in means]


def _log(parts: Sequence[Bells]) -> Callable[[float], float]:
    """Return the log-density of the equal mixture of the parts.

    The quadrature asks for it a few thousand times, one point each: plain floats are fastest.
    """
    share = -math.log(len(parts)) - 0.5 * math.log(2 * math.pi)
    peaks = [
        (float(mean), std, share - math.log(len(means) * std))
        for means, std in parts
        for mean in means
    ]

    def value(x: float) -> float:
        logs = [top - 0.5 * ((x - mean) / std) ** 2 for mean, std, top in peaks]
        largest = max(logs)
        return largest + math.log(sum(math.exp(log - largest) for log in logs))

    return value


def draw_mixtures(state: MixturesState) -> Figure:
    """Draw both mixtures, their best normal density, and the terms of the distance.

    >>> figure = draw_mixtures(MixturesState(gap_a=1.0))
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('$x$', 'density')
    """
    n, (a, b) = mixtures_numbers(state), state.densities
    x = grid([a, b])
    figure, top, bottom = two_panels(5.6, 1.4)
    fill(top, x, a, "source", "$A$")
    fill(top, x, b, "target", "$B$")
    dashed(top, x, n.shared, "best normal for both")
    top.set(xlabel="$x$", ylabel="density")
    legend_above(top, 3)
    terms = {
        "2 JSD(A, B)": 2 * n.jsd,
        "−KL(A ‖ M)": -n.kl_a,
        "−KL(B ‖ M)": -n.kl_b,
        "2 KL(½A + ½B ‖ M)": 2 * n.kl_both,
    }
    waterfall(bottom, terms, ("distance", n.distance))
    bottom.set_title(f"distance {abs(n.distance):.3f}, twice the JSD {2 * n.jsd:.3f}")
    return figure


def _describe(state: MixturesState) -> str:
    n = mixtures_numbers(state)
    jsd, kl_a, kl_b, kl_both = (
        signed(term, 2) for term in (2 * n.jsd, -n.kl_a, -n.kl_b, 2 * n.kl_both)
    )
    return (
        f"The densities of two mixtures, A around {state.center_a:.1f} (blue) and B around "
        f"{state.center_b:.1f} (red), and the best normal density for both (dashed grey). Below, "
        f"bars add up to the distance, {abs(n.distance):.3f} nats: {jsd} from the Jensen–Shannon "
        f"divergence, {kl_a} and {kl_b} because A and B are not normal, {kl_both} because their "
        "mixture is not."
    )


def mixtures(**start: float) -> Explorer:
    """Explore the distance of two mixtures for the normal family, term by term.

    Args:
        **start: numbers of :class:`MixturesState` that differ from their start.

    >>> import lrmf
    >>> "bars add up to the distance" in lrmf.widgets.mixtures(gap_a=1.0).alt
    True
    """
    return Explorer(MixturesState(**start), draw_mixtures, _describe)
