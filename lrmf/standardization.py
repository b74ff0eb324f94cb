"""Standardisation inside aligners: data of any location and scale, learned from as z-scores.

An aligner with ``standardize=True`` learns from S(x) = (x - m) / s, feature by feature, and gives
models of x: a flow T' of standardised points becomes T = S⁻¹ ∘ T' ∘ S, and a density P' becomes
P(x) = P'(S(x)) |det S|, with |det S| = Π 1/s. So, with d = log|det S|,

    log|det ∇T(a)| = log|det ∇T'(Sa)| + d - d        log P(T(a)) = log P'(T'(Sa)) + d
    log P_A(a) = log P'_A(Sa) + d                    log P(b)    = log P'(Sb) + d

and in -log|det ∇T(a)| - log P(T(a)) + log P_A(a), the terms of a domain in the losses of `LRMF` and
`AUB`, the d cancel, point by point. Hence the loss with its constant, the bound, and what refitted
copies gain over the shared density are those of the standardised problem, and they are invariant:
A·10⁶ + 10⁶ and B·10⁶ + 10⁶ have the numbers of A and B. The constant alone grows by d for each
private density, and a loss without it falls by as much; both are given for the data in their own
units. The family M is pulled back by S: the same one, if it is closed under such maps, as normal
densities and affine flows are. `lrmf.specs.Spec.standardized` is for families that are not.

m and s are the moments of all domains together, each counting alike as in the losses, and points by
their weights. One S for all domains leaves T where it starts: S⁻¹ ∘ S is the identity too. The
moments of each domain would be another start, and those of the target alone would leave a source
of a thousand times its scale where no network learns.

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
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .points import Rows
from .specs import Arrays, Shape

__all__ = ["Moments", "Standardization", "moments"]

Array = NDArray[np.float64]


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
    return Moments(mean * unit, np.sqrt(squares / mass) * unit, low, high)
