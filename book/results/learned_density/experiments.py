"""The runs of "Fitting the map to a learned density": three ways to train, near and far."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.runner import Arrays, Numbers, Run
from lrmf.fitting import FitConfig, fit
from lrmf.models import Density, Flow
from lrmf.objectives import (
    alignment_loss,
    likelihood,
    likelihood_ratio,
    negative_log_likelihood,
)

__all__ = ["ARMS", "compute", "runs"]

ARMS = ("frozen", "together", "lrmf")
SEEDS = range(10)
FEW_SEEDS = range(5)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
DISTANCES = {"near": 0.0, "far": 6.0}  # by which A is shifted to the right
BETWEEN = (1.5, 3.0, 12.0)
STEPS = 1000
HELD_OUT = 1000  # added to a seed: that of the pair that nothing is fitted to

TRANSFORM = lrmf.RealNVP(hidden=(64, 64))
DENSITY = lrmf.RealNVP(hidden=(64, 64))


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs; ``steps`` makes them tiny."""

    def run(name: str, seed: int, shift: float, arms: Sequence[str], rates: Sequence[float]) -> Run:
        settings = {
            "seed": seed,
            "shift": shift,
            "arms": list(arms),
            "rates": list(rates),
            "steps": steps or STEPS,
        }
        return Run(name=f"{name} seed {seed}", compute=compute, settings=settings)

    for seed in SEEDS:
        for name, shift in DISTANCES.items():
            yield run(name, seed, shift, ARMS, RATES)
    for shift in BETWEEN:
        for seed in FEW_SEEDS:
            yield run(f"shift {shift:g}", seed, shift, ("frozen", "lrmf"), (1e-3,))


def compute(
    *, seed: int, shift: float, arms: Sequence[str], rates: Sequence[float], steps: int
) -> tuple[Numbers, Arrays]:
    """Fit a density to B, then T in each way at each learning rate, and judge on held-out points.

    All ways start from the same arrays. Minibatches of both sides come from one generator, so those
    of A are the same where B's are drawn, too: not in the frozen fit after its first chunk.
    """
    backend = lrmf.get_backend("jax")
    train, test = (lrmf.data.moons(seed=s) for s in (seed, seed + HELD_OUT))
    a, a_test = (pair.source + np.array([shift, 0.0]) for pair in (train, test))
    seeds = np.random.SeedSequence(seed).spawn(4)
    starts = {
        name: backend.init(kind, spec, (2,), np.random.default_rng(s))
        for (name, kind, spec), s in zip(
            (("transform", Flow, TRANSFORM), ("density", Density, DENSITY)), seeds[:2], strict=True
        )
    }
    roles = {name: role for name, (role, _) in starts.items()}
    arrays = {name: initial for name, (_, initial) in starts.items()}
    common: dict[str, Any] = {"backend": backend, "progress": False}
    fitted = fit(
        likelihood,
        (roles["density"],),
        {"density": arrays["density"]},
        {"data": train.target},
        config=FitConfig(steps=2 * steps),
        seed=seeds[2],
        **common,
    )
    learned = backend.density(DENSITY, fitted.arrays["density"])
    # A is B's shape, turned and shifted: one likelihood serves both private models.
    private = float(np.mean(learned.log_prob(test.target)))
    judge = KNeighborsClassifier(1).fit(train.target, train.target_labels)

    def frozen(models: dict[str, Any], batch: dict[str, Any]) -> Any:
        return alignment_loss([models["transform"]], learned, [batch["source"]])

    def together(models: dict[str, Any], batch: dict[str, Any]) -> Any:
        # The density learns from B alone: the map sees it, but does not train it.
        shared = models["density"]
        constant = {name: jax.lax.stop_gradient(x) for name, x in shared.native_arrays.items()}
        seen = Density(
            shared.spec, constant, backend, dtype=shared.dtype, event_shape=shared.event_shape
        )
        moved = alignment_loss([models["transform"]], seen, [batch["source"]])
        return moved + negative_log_likelihood(shared, batch["target"])

    losses = {"frozen": frozen, "together": together, "lrmf": likelihood_ratio}

    def learn(arm: str, rate: float) -> Numbers:
        names = ("transform",) if arm == "frozen" else ("transform", "density")
        data = {"source": a} if arm == "frozen" else {"source": a, "target": train.target}
        began = time.perf_counter()
        result = fit(
            losses[arm],
            tuple(roles[name] for name in names),
            {name: arrays[name] for name in names},
            data,
            config=FitConfig(steps=steps, learning_rate=rate),
            seed=seeds[3],
            **common,
        )
        seconds = time.perf_counter() - began
        density = learned
        if arm != "frozen":
            density = backend.density(DENSITY, result.arrays["density"])
        moved, log_det = backend.flow(TRANSFORM, result.arrays["transform"]).forward(a_test)
        loss = -np.mean(log_det + density.log_prob(moved)) - np.mean(density.log_prob(test.target))
        distance = lrmf.family_lrd(
            moved,
            test.target,
            standardize=False,
            density=DENSITY,
            steps=500,
            refit_steps=500,
            progress=False,
        )
        called = judge.predict(moved)
        return {
            "accuracy": float(np.mean(called == test.source_labels)),
            # Of a map that aligns, half of the points end on either moon.
            "smaller_share": float(min(np.mean(called == 0), np.mean(called == 1))),
            "loss": float(loss + 2 * private),
            "lrd": distance.value,
            "lrd_stderr": distance.stderr,
            "outcome": result.outcome,
            "fit_seconds": round(seconds, 1),
        }

    numbers: Numbers = {
        "accuracy_before": float(judge.score(a_test, test.source_labels)),
        "private": private,
    }
    for arm in arms:
        numbers[arm] = {f"{rate:g}": learn(arm, rate) for rate in rates}
    return numbers, {}
