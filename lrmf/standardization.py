"""Standardisation inside aligners: data of any location and scale, learned from as z-scores.

An aligner with ``standardize`` learns from S_j(x) = (x - m_j) / s_j, feature by feature, for each
domain j, and gives models of x. All that it learns is of the standardised domains: a flow T' and
densities P', which become

    T = S_B⁻¹ ∘ T' ∘ S_A    P(x) = P'(S_B(x)) |det S_B|    P_j(x) = P'_j(S_j(x)) |det S_j|

for the shared density P, which lives where T leads, and private densities P_j. With
d_j = log|det S_j| = -Σ log s_j,

    log|det ∇T(a)| = log|det ∇T'(S_A a)| + d_A - d_B    log P(T(a)) = log P'(T'(S_A a)) + d_B
    log P_A(a) = log P'_A(S_A a) + d_A                  log P(b)    = log P'(S_B b) + d_B

and in -log|det ∇T(a)| - log P(T(a)) + log P_A(a) and -log P(b) + log P_B(b), the terms of a domain
in the losses of `LRMF` and `AUB`, the d cancel, point by point. Hence the loss with its constant,
the bound, and what refitted copies gain over the shared density are those of the pair S_A(A) and
S_B(B), for one family M, whatever the S_j are. They are invariant, too: A·10⁶ + 10⁶ and B·10⁶ + 10⁶
have the numbers of A and B. The constant alone grows by Σ d_j, and a loss without it falls by as
much; both are given for the data in their own units. The family M is pulled back by S_j: to one
family for all domains, if it is closed under such maps, as normal densities and affine flows are.
`lrmf.specs.Spec.standardized` is for families that are not; these have one S for all domains.

Where T starts is what the S_j decide, as T' starts at the identity:

- One S for all domains, of the moments of all of them together, leaves T at the identity, too.
- Means m_j of each domain let T start at the translation of the means. With one scale, the mean
  square deviation from these means, the d_j are equal.
- Means and deviations of each domain let T start at the map that matches the moments of each
  feature; deviations that differ by about one factor are made alike by one factor, so that what
  was turned and blown up keeps its shape.

`standardizations` takes the first where means and deviations are near, and so wherever domains were
turned or bent but not moved, and another where they are apart; `FAR` and `RATIO`, chosen with one
pair of moons, say when. Measured for `LRMF` on another pair at -50°
(``python -m book.results.starts``): the share of points that came to the wrong moon, and J in nats.
That features stretched alike get one factor is what the last row taught; on a fresh pair it
gave 0% and 0.002.

    source                 identity         moments of each  image of GaussianOT  chosen
    moved by 1 to 30       17 to 95%  0.11  14%  0.13        0.15%  0.07          0%  0.000
                                  to  1.37
    one feature x 1000     47%        0.87  14%  0.13        0%     0.007         0%  0.004
    both features x 10      8%        0.12  14%  0.13        0.15%  0.07          0%  0.001

Where domains are near, which leaves T at the identity, the start decides little. J of the same runs
from the identity, the moments of each and the image of GaussianOT, of one seed: moons at -30, 30,
-150 and 150 degrees end below 0.006 from all three, the last two with their labels exchanged; at
-90 and 90 degrees at 0.08, 0.13, 0.08 and at 0.25, 0.15, 0.09. Four clusters of 2,000 points a
side that were turned and bent end in 16 features at 0.06, 0.07, 0.07, and in 64, where so few
points say little, at 0.26, 0.24, 0.24. Moved away by ten deviations, and stretched by 0.1 to 10,
they end in 16 features at 1.37, 0.07, 0.06, and at 0.08 as chosen; in 64 features at 1.37, 0.24,
0.26, and at 0.27 as chosen: the identity is no start there, and the others are alike.

A map with nothing to learn, as `lrmf.Identity` is, can't undo a difference between the S_j: such an
aligner has one S for all domains. Each domain counts alike in moments of all, as in the losses, and
points count by their weights. What domains that a spec maps to a space of their own choice, as in
`AUB`, share is in units of the last one.

Points become standardised in float64 on the host, before anything is cast to float32, whose seven
digits hold nothing but the location of data around 3·10⁵ with a deviation of 0.01. Only what is
differentiated through, arrays of a backend, is standardised in the dtype of the model.

Maps are conjugated: of data in their own units a full or diagonal affine map stays one, while a
positive definite one is so of standardised points. Of images each channel is standardised, by the
moments of all its pixels: pixels that are constant, at a margin, keep the scale of the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .points import Rows
from .specs import Arrays, Shape

__all__ = [
    "FAR",
    "RATIO",
    "Moments",
    "Standardization",
    "Standardize",
    "check_standardize",
    "moments",
    "standardizations",
]

Array = NDArray[np.float64]
#: An aligner's parameter: whether, and whether by moments of all domains or of each.
Standardize = bool | Literal["together", "apart"]

#: Domains are apart where their means differ by more than so many deviations in some feature, or
#: where deviations of a feature differ by more than this factor.
FAR, RATIO = 0.5, 3.0


@dataclass(frozen=True, eq=False)
class Standardization:
    """The map S(x) = (x - location) / scale of the last axis: of features, or of channels.

    Attributes:
        location: m ``(k,)``, where k is the size of the last axis, in units of the data.
        scale: s ``(k,)``, positive.
    """

    location: Array
    scale: Array

    def apply(self, x: Any, dtype: str | None = None) -> Any:
        """S(x): float64 from NumPy arrays, or in the dtype of a backend's arrays, if it is given.

        Float32 has no digits left for points far from zero; NumPy arrays are safe.
        """
        if dtype is None:
            return (np.asarray(x, dtype=np.float64) - self.location) / self.scale
        return (x - self.location.astype(dtype)) / self.scale.astype(dtype)

    def undo(self, z: Any, dtype: str | None = None) -> Any:
        """S⁻¹(z), as `apply`."""
        if dtype is None:
            return np.asarray(z, dtype=np.float64) * self.scale + self.location
        return z * self.scale.astype(dtype) + self.location.astype(dtype)

    def log_det(self, event_shape: Shape) -> float:
        """log|det S| for points of this shape."""
        return -float(np.log(self.scale).sum()) * math.prod(event_shape[:-1])

    def bound(self, largest: float) -> float:
        """What |S(x)| can be at most for |x| up to ``largest``."""
        return (largest + float(np.abs(self.location).max())) / float(self.scale.min())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Standardization):
            return NotImplemented
        return np.array_equal(self.location, other.location) and np.array_equal(
            self.scale, other.scale
        )

    __hash__ = None  # type: ignore[assignment]

    def arrays(self) -> Arrays:
        """What decides it, by name."""
        return {"location": self.location, "scale": self.scale}

    @classmethod
    def pooled(cls, domains: Mapping[str, Moments]) -> Self:
        """That of domains together, each of which counts alike; a constant feature has scale 1."""
        means = np.stack([found.mean for found in domains.values()])
        deviations = np.stack([found.deviation for found in domains.values()])
        # In units of the largest number, whose squares are finite.
        unit = max(float(np.abs(means).max()), float(deviations.max())) or 1.0
        location = (means / unit).mean(axis=0)
        variance = ((deviations / unit) ** 2 + (means / unit - location) ** 2).mean(axis=0)
        low = np.stack([found.low for found in domains.values()]).min(axis=0)
        high = np.stack([found.high for found in domains.values()]).max(axis=0)
        constant = low == high
        scale = np.sqrt(variance) * unit
        return cls(
            np.where(constant, low, location * unit), np.where(constant | (scale == 0), 1.0, scale)
        )


def check_standardize(value: object) -> None:
    """Refuse what says nothing of how to standardise."""
    if isinstance(value, (bool, np.bool_)):
        return
    if not isinstance(value, str) or value not in ("together", "apart"):
        raise ValueError(f"standardize must be True or False, 'together' or 'apart', got {value!r}")


def standardizations(
    domains: Mapping[str, Moments], *, apart: bool | None = None
) -> dict[str, Standardization]:
    """That of each domain: one object for all of them, unless they are apart.

    Args:
        domains: the moments of each.
        apart: whether means and deviations are those of each domain. By default means are where
            domains are `FAR` apart or deviations differ, and deviations are in the features where
            they differ by a factor of `RATIO`. Features that are constant somewhere keep
            their place and scale.
    """
    together = Standardization.pooled(domains)
    if apart is False:
        return dict.fromkeys(domains, together)
    means = np.stack([found.mean for found in domains.values()])
    deviations = np.stack([found.deviation for found in domains.values()])
    varies = (deviations > 0).all(axis=0)
    # In units of the largest number of a feature, whose squares are finite.
    unit = np.maximum(np.abs(means).max(axis=0), deviations.max(axis=0))
    unit[unit == 0] = 1.0
    means, deviations = means / unit, deviations / unit
    within = np.sqrt((deviations**2).mean(axis=0))
    varies &= (deviations.min(axis=0) > 0) & (within > 0)
    if apart:
        moved, stretched = varies, varies
    else:
        stretched = varies & (deviations.max(axis=0) > RATIO * deviations.min(axis=0))
        far = varies & (np.ptp(means, axis=0) > FAR * within)
        moved = varies if (far | stretched).any() else np.zeros_like(varies)
    if not moved.any():
        return dict.fromkeys(domains, together)
    own = deviations
    if not apart and stretched.sum() > 1:
        own = _shared_factor(deviations, stretched)
    return {
        domain: Standardization(
            np.where(moved, found.mean, together.location),
            np.where(stretched, scale * unit, np.where(moved, within * unit, together.scale)),
        )
        for (domain, found), scale in zip(domains.items(), own, strict=True)
    }


def _shared_factor(deviations: Array, stretched: NDArray[np.bool_]) -> Array:
    """Scales of domains ``(j, k)`` that differ by one factor in features that are stretched alike.

    Then points keep their shape, which deviations of each feature would not: those of something
    that was turned and blown up say nothing of which feature is which.
    """
    logs = np.log(np.where(stretched, deviations, 1.0))
    logs = (logs - logs.mean(axis=0))[:, stretched]
    factors = np.exp(logs.mean(axis=1))[:, None]
    if (np.ptp(logs, axis=1) > np.log(RATIO)).any():
        return deviations
    alike = deviations / factors
    unit = np.where(alike.max(axis=0) > 0, alike.max(axis=0), 1.0)  # whose squares do not vanish
    return factors * unit * np.sqrt(((alike / unit) ** 2).mean(axis=0))


@dataclass(frozen=True, eq=False)
class Moments:
    """Of a domain's values of each feature, ``(k,)``; of images, of each channel."""

    mean: Array
    deviation: Array
    low: Array
    high: Array


def moments(x: Rows, weights: NDArray[np.float64] | None = None) -> Moments:
    """The (weighted) moments of a domain in one pass, about 8 MB at a time, in float64.

    Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances (1979).
    """
    k = x.shape[-1]
    # Of a chunk in units of its own, so that squares neither overflow nor vanish.
    unit, mass, mean, squares = 1.0, 0.0, np.zeros(k), np.zeros(k)
    low, high = np.full(k, np.inf), np.full(k, -np.inf)
    start = 0
    for chunk in x.chunks():
        values = np.asarray(chunk, dtype=np.float64).reshape(len(chunk), -1, k)
        low = np.minimum(low, values.min(axis=(0, 1)))
        high = np.maximum(high, values.max(axis=(0, 1)))
        largest = float(max(-low.min(), high.max())) or 1.0
        if start == 0:
            unit = largest
        elif largest > unit:
            mean, squares = mean * (unit / largest), squares * (unit / largest) ** 2
            unit = largest
        values = values / unit
        share = np.ones(len(chunk)) if weights is None else weights[start : start + len(chunk)]
        start += len(chunk)
        added = float(share.sum())
        if added == 0.0:
            continue
        rows = values.mean(axis=1)
        own = share @ rows / added
        spread = share @ ((values - own) ** 2).mean(axis=1)
        gap = own - mean
        total = mass + added
        mean = mean + gap * (added / total)
        squares = squares + spread + gap**2 * (mass * added / total)
        mass = total
    # Rounding makes a constant's deviation tiny, not zero.
    deviation = np.where(low == high, 0.0, np.sqrt(squares / mass) * unit)
    return Moments(mean * unit, deviation, low, high)
