"""The maps that are compared, each as it comes: the library's defaults, and nothing was tuned.

Only budgets are our choice. Flows take `STEPS` steps instead of 4,000, the discriminator of SN-GAN
learns twice in each instead of five times, and plans couple `PAIRED` codes of either side, because
their time and memory go with the product of both numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import lrmf
from lrmf.extras import import_pot

__all__ = ["FURTHER", "LRMF", "MAPS", "PAIRED", "STEPS", "fitted"]

STEPS = 1000
PAIRED = 3000
#: The rows of the table that have a map, in its order.
MAPS = (
    "coral",
    "gaussian",
    "emd",
    "sinkhorn",
    "realnvp",
    "spline",
    "back to back",
    "sn-gan",
)
#: Further ones of MNIST shrunk whole: RealNVP with four times the steps, and no map at all, whose
#: distance the family measures.
FURTHER = ("longer", "still")
LRMF = ("realnvp", "spline", *FURTHER)


class Barycentric:
    """POT's exact plan; a new point moves as its nearest neighbour among the coupled ones."""

    def __init__(self) -> None:
        self._plan = import_pot().da.EMDTransport(max_iter=10_000_000)

    def fit(self, *, Xs: np.ndarray, Xt: np.ndarray) -> Barycentric:
        """Couple source and target codes."""
        self._plan.fit(Xs=Xs, Xt=Xt)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Codes of the source, moved."""
        return self._plan.transform(Xs=X)


REALNVP = lrmf.RealNVP(hidden=(64, 64))


def fitted(name: str, a: np.ndarray, b: np.ndarray, *, seed: int, steps: int) -> Any:
    """The map of a row, fitted to codes ``(n, 32)``."""
    options: dict[str, Any] = {"seed": seed, "steps": steps, "progress": False}
    bounded = options | {
        "private_steps": None,
        "refit_steps": max(1, steps // 3),
        "snapshot_every": max(1, steps // 8),
    }
    if name in ("emd", "sinkhorn"):
        rng = np.random.default_rng(seed)
        a, b = (x[rng.permutation(len(x))[:PAIRED]] for x in (a, b))
    models: dict[str, Any] = {
        "coral": lambda: lrmf.CORAL(),
        "gaussian": lambda: lrmf.GaussianOT(),
        "emd": lambda: Barycentric(),
        "sinkhorn": lambda: lrmf.EntropicOT(),
        "realnvp": lambda: lrmf.LRMF(transform=REALNVP, **bounded),
        "longer": lambda: lrmf.LRMF(transform=REALNVP, **bounded),
        "still": lambda: lrmf.LRMF(transform=lrmf.Identity(), start="identity", **bounded),
        "spline": lambda: lrmf.LRMF(transform=lrmf.SplineFlow(hidden=(64, 64)), **bounded),
        "back to back": lambda: lrmf.BackToBackFlow(**options),
        "sn-gan": lambda: lrmf.AdversarialFlow(adversary_steps=2, **options),
    }
    return models[name]().fit(Xs=a, Xt=b)
