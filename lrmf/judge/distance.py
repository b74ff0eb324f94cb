"""`lrd`: two arrays in, a certificate out."""

from __future__ import annotations

from typing import Any

from ..checks import check_positive_number, check_seed
from .certificate import Certificate
from .controls import SHAPES
from .pair import Pair

__all__ = ["check_tolerance", "lrd"]


def check_tolerance(tolerance: float) -> None:
    """Refuse anything but a positive number below 1/2, in nats."""
    check_positive_number("tolerance", tolerance)
    if tolerance >= 0.5:
        raise ValueError(
            f"tolerance must lie below 0.5 nats, got {tolerance:g}; disjoint data have 1.386"
        )


def lrd(
    Xs: Any,
    Xt: Any,
    *,
    tolerance: float = 0.1,
    seed: int = 0,
    sample_weight_s: Any = None,
    sample_weight_t: Any = None,
    controls: bool = True,
) -> Certificate:
    """Judge whether two samples have one distribution.

    J = 2 log 2 - (cross-entropy of c on A + cross-entropy of c on B), in nats,

    where c is a classifier's probability of "from A" at points that it has not seen. For every c
    this is at most 2·JSD(A, B) in expectation: the likelihood-ratio distance of the family of tilts
    of the mixture, {2 w(x) m(x)}, with the maximum over w replaced by what could be learned.

    Args:
        Xs: independent points of A ``(n_a, *event_shape)``.
        Xt: independent points of B ``(n_b, *event_shape)``.
        tolerance: the largest distance in nats that counts as aligned, below 1/2.
        seed: of folds, classifiers and controls.
        sample_weight_s: weights of the points of A ``(n_a,)``, zero or more; equal by default.
        sample_weight_t: weights of the points of B ``(n_b,)``.
        controls: False leaves the controls out, and with them the decision: six times as fast.

    Each feature counts by its ranks among all points, so that units and other increasing
    transformations drop out. Above 50,000 points a side, that many are drawn.

    Raises:
        TypeError: data or weights that are not numbers.
        ValueError: data that cannot be judged: too few points, NaN, nothing that varies, weights
            that are negative or all zero, or a tolerance out of range.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 1000, 2))
    >>> lrd(a, b).decision
    'aligned'
    >>> lrd(a, b + 1.0).decision
    'not aligned'
    """
    check_tolerance(tolerance)
    check_seed(seed)
    pair = Pair(Xs, Xt, sample_weight_s=sample_weight_s, sample_weight_t=sample_weight_t, seed=seed)
    found = pair.measure()
    log_ratio_source, log_ratio_target = pair.log_ratios(found)
    wanted = [("none", 0.0)] + [(s, k * tolerance) for k in (1.0, 2.0) for s in SHAPES]
    return Certificate(
        lrd=found.value,
        lrd_stderr=found.stderr,
        controls=tuple(pair.control(*w) for w in wanted) if controls else (),
        tolerance=float(tolerance),
        n_source=pair.n_source,
        n_target=pair.n_target,
        constant_features=pair.constant,
        log_ratio_source=log_ratio_source,
        log_ratio_target=log_ratio_target,
    )
