"""The certificate: a distance, the controls it was measured with, and a decision in words."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .controls import Control

__all__ = ["Certificate", "Decision"]

Decision = Literal["aligned", "not aligned", "not decided"]

_LARGEST = 2.0 * np.log(2.0)

# Two standard errors, as everywhere in this library.
_ERRORS = 2.0
# So many features are named.
_NAMED = 5
# Of a fit's rows so large a share is among the held-out ones by no chance.
_SEEN = 0.05


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What held-out points say of two distributions, such as T(A) and B.

    It speaks of distributions, not of what points mean. Where labels have other proportions in A
    than in B, a map that aligns must take points of one label to another: weights of the points
    (``sample_weight_s``) repair that. Where several maps align, a few labels say which is meant:
    ``label_density`` of `LRMF`.

    Attributes:
        lrd: the likelihood-ratio distance of the family of tilts of the mixture, in nats: 2 log 2
            minus the held-out cross-entropies of a cross-fitted classifier. At most 2·JSD in
            expectation; about 0 where nothing can be seen, 2 log 2 = 1.386 for disjoint data.
        lrd_stderr: its standard error.
        controls: pairs of known distance made from the same points, and what was measured on them.
        tolerance: the largest distance in nats that counts as aligned.
        n_source: judged source points.
        n_target: judged target points.
        log_ratio_source: the judge's held-out log p_A/p_B at each source point ``(n,)``; NaN at
            points that were not judged, because there are more than the judge takes.
        log_ratio_target: the same at each target point.
        constant_features: the features, of flattened points, that are constant on one side but not
            on the other, or at another value there. They alone tell the sides apart.
        seen: the share of the rows that a fit remembers which are among those judged. Points that
            a map was fitted to may be alike where fresh ones are not.
        bound: the held-out LRMF loss with its constant (paper, equation 3), where asked for.
        bound_stderr: its standard error.
        family_lrd: the distance within the family M, by refitted copies, where asked for.
        family_lrd_stderr: its standard error.

    >>> import lrmf
    >>> a, b = np.random.default_rng(0).normal(size=(2, 1000, 2))
    >>> found = lrmf.lrd(a, b + 3.0, controls=False)
    >>> found.decision, found.lrd > 1.0  # without controls nothing is decided
    ('not decided', True)
    """

    lrd: float
    lrd_stderr: float
    controls: tuple[Control, ...]
    tolerance: float
    n_source: int
    n_target: int
    log_ratio_source: np.ndarray = field(repr=False, compare=False)
    log_ratio_target: np.ndarray = field(repr=False, compare=False)
    constant_features: tuple[int, ...] = ()
    seen: float = 0.0
    bound: float | None = None
    bound_stderr: float | None = None
    family_lrd: float | None = None
    family_lrd_stderr: float | None = None

    @property
    def decision(self) -> Decision:
        """``"aligned"``, ``"not aligned"`` or ``"not decided"``.

        Not aligned: the distance lies above the tolerance by two of its standard errors, and above
        the negative control by two of the difference. Aligned: it lies below the tolerance by two
        of its standard errors, and below what was measured on every pair whose distance *is* the
        tolerance by two of the difference. Otherwise, or without controls, not decided.
        """
        if self.lrd - _ERRORS * self.lrd_stderr > self.tolerance:
            seen = self.negative and all(self._above(c) for c in self.negative)
            return "not aligned" if seen else "not decided"
        seen = self.positive and not self.unseen
        return "aligned" if self._looks_aligned and seen else "not decided"

    @property
    def negative(self) -> tuple[Control, ...]:
        """The controls in which nothing differs."""
        return tuple(c for c in self.controls if c.truth == 0.0)

    @property
    def positive(self) -> tuple[Control, ...]:
        """The controls in which as much differs as the tolerance allows."""
        return tuple(c for c in self.controls if 0.0 < c.truth < 1.5 * self.tolerance)

    @property
    def unseen(self) -> tuple[Control, ...]:
        """The positive controls that can't be told from what was judged."""
        return tuple(c for c in self.positive if not self._below(c))

    @property
    def enough(self) -> int | None:
        """About how many points in all would decide; None where one cannot say.

        An extrapolation, right within a factor of a few: a classifier that pays κ/n nats for what
        it has to learn sees D²/(D + κ/n) of a distance D, with a variance of about 4 J/n.
        """
        n = self.n_source + self.n_target
        if self.decision != "not decided" or not self.positive:
            return None
        if not self._looks_aligned:
            gap = abs(self.tolerance - self.lrd)
            times = (_ERRORS * self.lrd_stderr / gap) ** 2 if gap > 0 else np.inf
            return _rounded(1.5 * n * times) if times < 100 else None
        wanted, most = 8.0 * _ERRORS**2, 0.0  # n J of a control that is told from nothing
        for unseen in self.unseen:
            prices = [
                n * c.truth * (c.truth / c.lrd - 1.0)
                for c in self.controls
                if c.shape == unseen.shape and c.lrd > _ERRORS * c.lrd_stderr
            ]
            if not prices:
                return None
            d, half = unseen.truth, wanted / 2.0
            root = np.sqrt(half**2 + wanted * max(min(prices), 0.0))
            most = max(most, (half + root) / d)
        return _rounded(max(1.5 * most, 2.0 * n))

    @property
    def verdict(self) -> str:
        """The decision, then distance, controls, judge and cure, each on a line of its own."""
        parts = self._controls(), self._judge(), self._warning(), self._cure()
        return "\n".join([self._first(), *itertools.chain(*parts)])

    def __str__(self) -> str:
        lines = [self.verdict]
        for name, value, stderr in (
            ("bound", self.bound, self.bound_stderr),
            ("family_lrd", self.family_lrd, self.family_lrd_stderr),
        ):
            if value is not None:
                lines.append(f"{name}: {value:.3f} ± {stderr:.3f} nats")
        return "\n".join(lines)

    def _above(self, control: Control) -> bool:
        return self.lrd - control.lrd > _ERRORS * np.hypot(self.lrd_stderr, control.lrd_stderr)

    def _below(self, control: Control) -> bool:
        return control.lrd - self.lrd > _ERRORS * np.hypot(self.lrd_stderr, control.lrd_stderr)

    @property
    def _looks_aligned(self) -> bool:
        """Whether only the controls stand between the distance and "aligned"."""
        return self.lrd + _ERRORS * self.lrd_stderr < self.tolerance

    def _first(self) -> str:
        return (
            f"{self.decision}: lrd {self.lrd:.3f} ± {self.lrd_stderr:.3f} nats, "
            f"tolerance {self.tolerance:g}, disjoint {_LARGEST:.3f}"
        )

    def _controls(self) -> list[str]:
        return [
            f"control: {c.lrd:.3f} ± {c.lrd_stderr:.3f} measured where the truth is {c.truth:.3g}"
            + (f" ({c.shape})" if c.truth else "")
            for c in self.controls
        ]

    def _judge(self) -> list[str]:
        return [f"judge: cross-fitted classifiers, {self.n_source} + {self.n_target} points"]

    def _warning(self) -> list[str]:
        if self.seen < _SEEN:
            return []
        return ["warning: the map was fitted to these very points; judge others, held out"]

    def _cure(self) -> list[str]:
        if self.decision == "aligned":
            return [
                "note: the distributions are alike; of labels this says nothing",
                "note: where labels' proportions differ, such a map mixes them up",
            ]
        if self.decision == "not aligned" and self.constant_features:
            named = ", ".join(map(str, self.constant_features[:_NAMED]))
            if (more := len(self.constant_features) - _NAMED) > 0:
                named += f" and {more} more"
            return [
                f"cause: of constant value on one side, and not so on the other: features {named}",
                "cure: leave these features out, as each alone tells the two apart",
            ]
        if self.decision == "not aligned":
            return [
                "cause: the two can be told apart",
                "lrmf.plots.log_ratio(ax, certificate, ...) of the judged points shows where",
            ]
        if not self.controls:
            return ["cause: judged without controls", "cure: judge with controls=True"]
        if self._looks_aligned:
            shapes = " and ".join(c.shape for c in self.unseen)
            what = f"a distance of {self.tolerance:g} ({shapes})"
            if all(c.lrd > _ERRORS * c.lrd_stderr for c in self.unseen):
                cause = f"too few points: {what} could measure as little as these"
            else:
                cause = f"too few points: {what} could go unseen"
        elif self.lrd - _ERRORS * self.lrd_stderr > self.tolerance:
            cause = "the negative control shows a distance where there is none"
        else:
            cause = f"too close to the tolerance of {self.tolerance:g} for this standard error"
        n = self.enough
        cure = (
            f"more points, {n:,} in all or more" if n else "many more points, or another tolerance"
        )
        return [f"cause: {cause}", f"cure: {cure}"]


def _rounded(n: float) -> int:
    """Round up to one digit."""
    unit = 10 ** int(np.floor(np.log10(n)))
    return int(np.ceil(n / unit)) * unit
