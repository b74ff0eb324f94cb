r"""Pairs whose distance is known, made from the very points that are judged.

A coin with probability r(x) sends every pooled point to one of two pseudo-domains. With the pooled
distribution p, α = E_p[r] and the mixture m = ½ (A' + B') of the two pseudo-domains,

    A' = r p / α,    B' = (1 - r) p / (1 - α),    w = A' / (A' + B'),
    2 JSD(A', B') = 2 E_m[log 2 - H(w)],    H(w) = -w log w - (1 - w) log(1 - w),

exactly, for every r. With r constant it is zero: the negative control. A positive control tilts r
along a random function g, logit r = s g + o, with s such that the distance is the wanted one, and o
such that the pseudo-domains have the sizes of the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

__all__ = ["SHAPES", "Control", "coin", "coin_distance", "spread", "waves"]


@dataclass(frozen=True, kw_only=True)
class Control:
    """What the judge measured on a pair whose distance is known.

    Attributes:
        shape: ``"none"`` for the negative control, else how it is tilted, one of `SHAPES`.
        truth: 2·JSD of the pair in nats.
        lrd: the measured distance in nats.
        lrd_stderr: its standard error.

    >>> import lrmf
    >>> control = lrmf.judge.Control(shape="none", truth=0.0, lrd=0.003, lrd_stderr=0.004)
    >>> abs(control.lrd - control.truth) < 2 * control.lrd_stderr  # it holds
    True
    """

    shape: str
    truth: float
    lrd: float
    lrd_stderr: float


def waves(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sample of a Gaussian process as smooth as the points are far apart."""
    directions = rng.normal(size=(x.shape[1], 300)) / np.sqrt(2.0 * x.shape[1])
    return np.cos(x @ directions + rng.uniform(0.0, 2.0 * np.pi, 300)) @ rng.normal(size=300)


def spread(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random quadratic form: variances and correlations of all features change."""
    form = rng.normal(size=(x.shape[1], x.shape[1]))
    return np.sum((x @ form) * x, axis=1)


SHAPES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "spread": spread,
    "waves": waves,
}


def coin(
    x: np.ndarray,
    weight: np.ndarray,
    share: float,
    shape: str,
    distance: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Probabilities r(x) of "from A'" ``(n,)`` whose pseudo-domains are at this distance.

    Args:
        x: standardised pooled points ``(n, d)``, not all equal.
        weight: their positive weights ``(n,)``.
        share: α, the share of A'.
        shape: one of `SHAPES`.
        distance: the wanted 2·JSD in nats; 0 needs no shape. Where the points are too few or too
            alike, the largest that can be had.
        rng: of the random function.
    """
    if distance == 0.0:
        return np.full(len(x), share)
    p = weight / weight.sum()
    tilt = SHAPES[shape](x, rng)
    if np.ptp(tilt) <= 1e-9 * np.abs(tilt).max():
        tilt = waves(x, rng)  # two values, equally often, have no spread to change
    tilt = tilt - p @ tilt
    # A few far points must not carry the whole tilt.
    tilt = np.tanh(tilt / (3.0 * np.sqrt(p @ tilt**2)))

    def probability(slope: float) -> np.ndarray:
        reach = abs(slope) + 40.0

        def excess(offset: float) -> float:
            return float(p @ special.expit(slope * tilt + offset) - share)

        return special.expit(slope * tilt + optimize.brentq(excess, -reach, reach))

    def miss(slope: float) -> float:
        return coin_distance(probability(slope), weight) - distance

    steepest = 1e3
    if miss(steepest) < 0.0:
        return probability(steepest)
    return probability(optimize.brentq(miss, 0.0, steepest, xtol=1e-9))


def coin_distance(probability: np.ndarray, weight: np.ndarray) -> float:
    """2·JSD in nats of the pseudo-domains that a coin with these probabilities makes."""
    p = weight / weight.sum()
    share = p @ probability
    a, b = probability / share, (1.0 - probability) / (1.0 - share)
    mixture = (a + b) / 2.0
    w = a / (a + b)
    entropy = special.entr(w) + special.entr(1.0 - w)
    return float(2.0 * (p * mixture) @ (np.log(2.0) - entropy))
