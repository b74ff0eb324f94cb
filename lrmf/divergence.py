"""When a fit has gone wrong, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .backends.base import Game, Loss, Role
from .fit_config import FitConfig
from .specs import Arrays, Spec

__all__ = ["are_finite", "divergence_status", "find_fault"]

#: A loss this far (in nats) above the first ones is no noise of ordinary minibatches.
_FAR = 1e4
#: So many in a row, up to the end of a chunk, are no single batch either.
_LASTS = 10


def find_fault(losses: np.ndarray, earlier: list[Any]) -> tuple[int | None, float]:
    """Where, if at all, a chunk of losses is not finite or has exploded, and that loss.

    An explosion lasts. A single batch whose loss is far above the others, since a deep density
    stretches one of its points beyond all measure, does little harm: its gradient is clipped. So
    half of a chunk has to be far above. In a game what one player wins another may lose, so all
    of them are looked at.
    """
    reference = np.asarray(earlier[0] if earlier else losses[0])
    with np.errstate(invalid="ignore"):
        far = losses > reference + _FAR * (1.0 + np.abs(reference))
    lasts = (2 * far.sum(axis=0) >= len(losses)) | far[-_LASTS:].all(axis=0)
    bad = ~np.isfinite(losses) | (far & lasts)
    if not bad.any():
        return None, 0.0
    first = int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
    return first, float(losses[first][bad[first]].ravel()[0])


def are_finite(arrays: Mapping[str, Arrays]) -> bool:
    """Whether all numbers of all arrays are."""
    return all(np.isfinite(x).all() for named in arrays.values() for x in named.values())


def divergence_status(
    config: FitConfig,
    kept: int,
    step: int,
    value: float,
    roles: tuple[Role, ...],
    loss: Loss | Game,
) -> str:
    """What is said of a loss that ended a fit: where it happened, what was kept, and the cure.

    Args:
        config: that of the fit.
        kept: the step whose arrays were restored.
        step, value: the loss.
        roles: the models in it, some of which know advice.
        loss: its function, or the game of several.
    """
    what = "exploded" if np.isfinite(value) else "became non-finite"
    others = loss.players[:-1] if isinstance(loss, Game) else ()
    rates = "".join(f", of {p.name} {p.rate * config.learning_rate:g}" for p in others)
    cause = (
        "The first step was already bad: check the scale of the data (standardise them)"
        if step == 0 and not others  # who have moved before the first loss of a game's last player
        else f"Lower learning_rate (now {config.learning_rate:g}{rates}) or gradient_clip "
        f"(now {config.gradient_clip:g}), or standardise the data"
    )
    # An explosion has a value, which no solver that gave up would have given.
    specs = [] if np.isfinite(value) else [r.spec for r in roles if isinstance(r.spec, Spec)]
    advice = "".join(f" {text}." for text in dict.fromkeys(spec.advice for spec in specs) if text)
    return (
        f"diverged: the loss {what} ({value:.3g}) at step {step}; the arrays of step {kept}, the "
        f"last good ones, were restored. {cause}.{advice}"
    )
