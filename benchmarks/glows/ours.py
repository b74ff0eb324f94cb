"""Glow by lrmf, in JAX or TFP."""

from __future__ import annotations

from typing import Any

import numpy as np

import lrmf
from benchmarks.glows import CLIP, Likelihood, Noisy, Run, Size
from lrmf.backends.base import Role
from lrmf.models import Density, Flow
from lrmf.objectives import likelihood, likelihood_ratio
from lrmf.starting import from_data

__all__ = ["aligner", "density"]


def aligner(peer: str, size: Size, data: np.ndarray) -> tuple[Run, int]:
    """LRMF with two Glows, on images ``(2, n, h, w, 1)``; and the couplings' trained numbers."""
    spec, shape = _spec(size), (size.pixels, size.pixels, 1)
    arrays = {
        role: spec.init(shape, np.random.default_rng(k))
        for k, role in enumerate(("transform", "density"))
    }
    roles = (Role("transform", Flow, spec, shape), Role("density", Density, spec, shape))
    trainer = _backend(peer).trainer(
        likelihood_ratio,
        roles,
        arrays,
        {"source": data[0], "target": data[1]},
        gradient_clip=CLIP,
        dtype="float32",
    )

    def run(rows: np.ndarray, rate: float) -> np.ndarray:
        indices = {side: rows[:, k] for k, side in enumerate(("source", "target"))}
        return trainer.run(indices, np.full(len(rows), rate))

    return run, sum(x.size for key, x in arrays["density"].items() if "/coupling/" in key)


def density(peer: str, size: Size, data: Noisy, first: np.ndarray, seed: int) -> Likelihood:
    """Glow as a density of images; the norms begin at the moments of the ``first`` ones."""
    backend, shape = _backend(peer), (size.pixels, size.pixels, 1)
    spec = _spec(size, start="data")
    arrays = from_data(spec, spec.init(shape, np.random.default_rng(seed)), data[first])
    trainer = backend.trainer(
        likelihood,
        (Role("density", Density, spec, shape),),
        {"density": arrays},
        {"data": data},
        gradient_clip=CLIP,
        dtype="float32",
    )

    def run(rows: np.ndarray, rate: float) -> np.ndarray:
        return trainer.run({"data": rows[:, 0]}, np.full(len(rows), rate))

    def log_prob(x: np.ndarray) -> np.ndarray:
        return np.asarray(backend.density(spec, trainer.arrays()["density"]).log_prob(x))

    return Likelihood(run, log_prob, sum(x.size for x in arrays.values()))


def _backend(peer: str) -> Any:
    return lrmf.get_backend(peer.removeprefix("lrmf-"))


def _spec(size: Size, **options: Any) -> lrmf.Glow:
    return lrmf.Glow(levels=size.levels, steps=size.steps, hidden=size.filters, **options)
