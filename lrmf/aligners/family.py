"""What refitted copies and private densities say: held-out numbers and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["FamilyCertificate"]

# How far below zero the bound must lie to blame the private models or the transform, as a share of
# the scale. Separately optimised networks differ by some tenths of a nat; half of it is no noise.
_UNDERFIT = 0.5

# How much of the shared model is mixed into the refitted ones before they are compared with it.
_SHARED_PART = 0.01


@dataclass(frozen=True, kw_only=True)
class FamilyCertificate:
    """Whether held-out data say that T(A) and B are indistinguishable to the family M.

    By the paper's own criterion, and no better than the family, the budget of the refits and the
    number of points allow: see `lrmf.lrd` for a judge of any alignment.

    Attributes:
        lrd: the likelihood-ratio distance d(T(A), B; M) in nats, refitted: what copies of the
            shared model gain, each fitted further to one side alone, on held-out data. (They are
            mixed with 1% of the shared model, or a single point could decide.) From 0
            (indistinguishable) to 2 log 2 (disjoint), twice the Jensen-Shannon divergence when M
            is rich; a poor family, such as `Gaussian`, has no upper end.
        lrd_stderr: its standard error, from per-point terms.
        bound: the held-out LRMF loss with its constant c(A, B), in nats (paper, equation 3). It
            compares separately optimised models, and so it carries their optimisation noise and
            can fall below zero.
        bound_stderr: its standard error, from per-point terms; optimisation noise not included.
        tolerance: the largest distance in nats that counts as aligned.
        n_source: held-out source points.
        n_target: held-out target points.
        n_domains: how many domains were compared; of more than two, the numbers are those of the
            first and the last one's points.
    """

    lrd: float
    lrd_stderr: float
    bound: float
    bound_stderr: float
    tolerance: float
    n_source: int
    n_target: int
    n_domains: int = 2

    @classmethod
    def from_terms(
        cls,
        *,
        gains: Sequence[np.ndarray],
        bounds: Sequence[np.ndarray],
        weights: Sequence[np.ndarray | None],
        tolerance: float,
    ) -> FamilyCertificate:
        """A certificate from the per-point terms of both numbers, one array per domain.

        The first domain counts as the source and the last as the target. Weights are those of the
        points, or ``None``.
        """
        # Overflow shows in the verdict.
        with np.errstate(invalid="ignore", over="ignore"):
            lrd, lrd_stderr = _sum_of_means([_defended(gain) for gain in gains], weights)
            bound, bound_stderr = _sum_of_means(bounds, weights)
        return cls(
            lrd=lrd,
            lrd_stderr=lrd_stderr,
            bound=bound,
            bound_stderr=bound_stderr,
            tolerance=tolerance,
            n_source=len(gains[0]),
            n_target=len(gains[-1]),
            n_domains=len(gains),
        )

    @property
    def _scale(self) -> float:
        """The distance of disjoint domains and a rich family, in nats: 2 log 2 of two."""
        return self.n_domains * float(np.log(self.n_domains))

    @property
    def verdict(self) -> str:
        """``"aligned ..."``, ``"not aligned ..."`` or ``"not decided ..."``, and why.

        Aligned: the distance plus two standard errors lies below the tolerance. Not aligned: the
        distance minus two standard errors lies above it. Otherwise, or with a distance or a bound
        clearly below zero, where a sound fit leaves neither, or with numbers that overflowed, the
        data do not decide.
        """
        distance = f"lrd {self.lrd:.3f} ± {self.lrd_stderr:.3f} nats"
        if self.lrd - 2.0 * self.lrd_stderr > self.tolerance:
            return (
                f"not aligned: {distance}; disjoint data have {self._scale:.3f} under a rich "
                "family, more under a poor one. More steps, a richer transform or a closer start "
                "(the image of GaussianOT) may help"
            )
        if not np.isfinite([self.lrd, self.lrd_stderr, self.bound, self.bound_stderr]).all():
            return (
                f"not decided: {distance}, bound {self.bound:.3f} ± {self.bound_stderr:.3f} nats; "
                "log-densities overflow at some of these points: look for outliers, standardise "
                'the data, or fit with dtype="float64"'
            )
        if self.lrd + 2.0 * self.lrd_stderr < -self.tolerance:
            return (
                f"not decided: {distance}, clearly below zero, so the refitted copies overfit "
                "their training data; fit to more points, or lower refit_steps"
            )
        if self.bound + 2.0 * self.bound_stderr < -_UNDERFIT * self._scale:
            return (
                f"not decided: the bound, {self.bound:.3f} ± {self.bound_stderr:.3f} nats, lies "
                "clearly below zero: the private models are underfit or overfit (raise or lower "
                "private_steps), or the transform made the source easier to describe for the "
                "family (take a richer one)"
            )
        if self.lrd + 2.0 * self.lrd_stderr > self.tolerance:
            return (
                f"not decided: {distance}, too close to the tolerance of {self.tolerance:g} for "
                "this standard error; use more held-out points"
            )
        return f"aligned within noise: {distance}"

    def __str__(self) -> str:
        return (
            f"lrd   {self.lrd:+.3f} ± {self.lrd_stderr:.3f} nats\n"
            f"bound {self.bound:+.3f} ± {self.bound_stderr:.3f} nats\n"
            f"{self.verdict}"
        )


def _defended(gain: np.ndarray) -> np.ndarray:
    """The gain of a mixture, 99% refitted and 1% shared model, over the shared model.

    It costs at most 0.01 nats, and one held-out point that the refitted model finds impossible
    costs log 100, not its mean. Such mixtures lie a little outside a family that is not convex.
    """
    return np.logaddexp(np.log1p(-_SHARED_PART) + gain, np.log(_SHARED_PART))


def _sum_of_means(
    terms: Sequence[np.ndarray], weights: Sequence[np.ndarray | None]
) -> tuple[float, float]:
    """The sum of independent means, weighted or not, and its standard error."""
    value, variance = 0.0, 0.0
    for x, weight in zip(terms, weights, strict=True):
        if weight is None:
            value += np.mean(x)
            variance += np.var(x, ddof=1) / len(x)
        else:
            share = weight / weight.sum()
            mean = np.sum(share * x)
            value += mean
            # Of a ratio of means, to first order; for equal weights as above.
            variance += np.sum(share**2 * (x - mean) ** 2) / (1.0 - share @ share)
    return float(value), float(np.sqrt(variance))
