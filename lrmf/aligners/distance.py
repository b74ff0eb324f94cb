"""The likelihood-ratio distance of two data sets within a family, by refits, without a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..checks import check_fraction, check_seed
from ..points import check_pair
from ..specs import Gaussian, Identity
from .likelihood_ratio import LRMF

__all__ = ["LikelihoodRatioDistance", "family_lrd"]


@dataclass(frozen=True)
class LikelihoodRatioDistance:
    """A likelihood-ratio distance and its standard error, in nats.

    >>> distance = LikelihoodRatioDistance(value=0.31, stderr=0.02)
    >>> distance.value > 2 * distance.stderr  # more than chance
    True
    """

    value: float
    stderr: float


def family_lrd(
    Xs: Any,
    Xt: Any,
    *,
    density: Any = Gaussian(),
    backend: Literal["jax", "tfp"] = "jax",
    steps: int = 4000,
    held_out: float = 0.5,
    seed: int = 0,
    **options: Any,
) -> LikelihoodRatioDistance:
    """The likelihood-ratio distance d(A, B; M) within a family M (paper, Definition 2.1).

    d = max E_A[log P(a; θ_A)] + max E_B[log P(b; θ_B)] - max (E_A[log P(a; θ)] + E_B[log P(b; θ)])

    One shared model is fitted to both data sets, copies of it further to each alone, and their
    gains are measured on held-out points. About 0 when M can't tell A from B; at most 2 log 2 when
    M is rich, while a poor family, such as the default, has no upper end.

    It shows what a family sees, and depends on the budget of the refits, and in many
    dimensions on how they overfit. To judge whether two data sets are alike, take `lrmf.lrd`.

    Args:
        Xs: points of A ``(n_a, *event_shape)``.
        Xt: points of B ``(n_b, *event_shape)``.
        density: the family M, as in `LRMF`.
        backend: ``"jax"`` or ``"tfp"``.
        steps: steps for the shared model.
        held_out: share of both data sets on which the gains are measured. 0 measures on all the
            points that were fitted to: the likelihood-ratio test statistic per point, which is
            biased upwards.
        seed: of the split, the initial arrays and the minibatches.
        options: further parameters of `LRMF`; ``refit_steps`` is 2000 by default, ``learning_rate``
            1e-3 and ``schedule`` "cosine".

    Raises ``ValueError`` or ``TypeError`` for bad data, as `LRMF.fit` does.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 400, 1)) + np.array([0.0, 4.0])[:, None, None]
    >>> distance = family_lrd(a, b, learning_rate=0.02, steps=1000, progress=False)
    >>> bool(abs(distance.value - np.log(1 + 4.0)) < 0.3)  # log(1 + δ²/4σ²) for equal variances
    True
    """
    source, target = check_pair(Xs, Xt)
    check_fraction("held_out", held_out)
    check_seed(seed)
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    train, test = [], []
    for x, argument in ((source, "Xs"), (target, "Xt")):
        count = round(held_out * len(x))
        if held_out and not 2 <= count <= len(x) - 2:
            raise ValueError(
                f"held_out={held_out} splits the {len(x)} points of {argument} into "
                f"{len(x) - count} and {count}; both parts need two or more"
            )
        rows = rng.permutation(len(x))
        test.append(x[rows[:count]] if count else x)
        train.append(x[rows[count:]])
    defaults: dict[str, Any] = {"learning_rate": 1e-3, "schedule": "cosine", "refit_steps": 2000}
    model = LRMF(
        transform=Identity(),
        density=density,
        backend=backend,
        steps=steps,
        private_steps=1,  # only the bound would use the private models
        seed=seed,
        **defaults | options,
    )
    certificate = model.fit(Xs=train[0], Xt=train[1]).family_certificate(*test)
    return LikelihoodRatioDistance(certificate.lrd, certificate.lrd_stderr)
