"""Fitting, common to all models and backends: minibatches, chunks of steps, and what comes between.

Minibatches are drawn by a NumPy generator, so every backend sees the same ones. A chunk of steps
runs inside one compiled call; between chunks come the check that the loss is finite, snapshots,
validation, early stopping, checkpoints and the progress bar.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm.asyncio import tqdm_asyncio
from tqdm.auto import tqdm

from .backends.base import Backend, Game, Loss, Role, Trainer
from .checkpoints import Checkpoint
from .divergence import are_finite, divergence_status, find_fault
from .failures import lacks_memory
from .fit_config import FitConfig, Schedule
from .fit_state import FitRun, Outcome, Progress, crosses
from .minibatches import Minibatches, Points, Weights
from .specs import Arrays
from .stepwise import Assistant, StepwiseTrainer

__all__ = ["FitConfig", "FitResult", "Schedule", "fit"]


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a fit gave.

    Attributes:
        arrays: the learned arrays by role.
        history: ``step`` and ``loss``, one entry per step, in a game also the other players'
            losses, as ``<name>_loss``; ``validation_step`` and ``validation_loss``, one per
            chunk, where there were validation data.
        outcome: ``"finished"``, ``"stopped early"``, ``"diverged"`` or ``"interrupted"``.
        status: what happened and, if it went wrong, the cure.
        steps: steps behind the arrays.
        seconds: time spent, compilation and earlier parts of a resumed fit included.
        snapshots: ``(step, arrays)`` pairs.
    """

    arrays: dict[str, Arrays]
    history: dict[str, np.ndarray]
    outcome: Outcome
    status: str
    steps: int
    seconds: float
    snapshots: list[tuple[int, dict[str, Arrays]]] = field(default_factory=list)


def fit(
    loss: Loss | Game,
    roles: tuple[Role, ...],
    arrays: Mapping[str, Arrays],
    data: Mapping[str, Points],
    *,
    backend: Backend,
    config: FitConfig,
    seed: np.random.SeedSequence,
    dtype: str = "float32",
    weights: Weights | None = None,
    validation: Mapping[str, np.ndarray] | None = None,
    checkpoint: Checkpoint | None = None,
    name: str = "fit",
    progress: bool = True,
    stop: threading.Event | None = None,
    devices: int | None = None,
    assistant: Assistant | None = None,
    constants: Mapping[str, np.ndarray] | None = None,
    batch_sizes: Mapping[str, int] | None = None,
    annealed: Mapping[str, np.ndarray] | None = None,
) -> FitResult:
    """Minimise a loss over the arrays of several models.

    Args:
        loss: a function of models (by role) and a batch (by data name) that gives a scalar, or
            a game of several players with losses of their own.
        roles: the models in the loss.
        arrays: their initial arrays by role.
        data: data sets by name, each ``(n, *event_shape)``, an array or `Rows`.
        backend: computes.
        config: how to fit.
        seed: of the minibatches.
        dtype: ``"float32"`` or ``"float64"``.
        weights: of the points of a data set, ``(n,)``. A data set larger than a batch, or with an
            assistant any, is drawn from in their proportion; in the batches of another they are
            ``<name>_weight``.
        validation: a batch of held-out points, as from `whole`.
        checkpoint: the file to resume from and to write to.
        name: of this fit, in the checkpoint and on the progress bar.
        progress: whether to show a progress bar, or one line where nobody watches: where the
            standard error is no terminal.
        devices: over how many each batch is divided.
        stop: when set, by another thread, the fit ends as on ``KeyboardInterrupt``.
        assistant: computes further arrays of each batch, before each step.
        constants: further arrays of every batch.
        batch_sizes: of data sets that take another one than the config's.
        annealed: further arrays of every batch, multiplied by a factor that falls linearly from 1
            to 0 in the first half of the steps, and is 0 in the second.

    A loss that is not finite, or that explodes, ends the fit with the last good arrays; so does
    ``KeyboardInterrupt``. ``status`` tells.

    Raises:
        MemoryError: a step found no memory. It names the largest half, quarter, ... of the batch
            that does, which it finds by taking a step with it.
    """

    def made() -> Trainer:
        trainer = backend.trainer(
            loss,
            roles,
            arrays,
            data,
            gradient_clip=config.gradient_clip,
            dtype=dtype,
            devices=devices,
        )
        return trainer if assistant is None else StepwiseTrainer(trainer, data, assistant)

    trainer = made()
    updates = (loss.updates,) if isinstance(loss, Game) else ()
    rng = np.random.default_rng(seed)

    def batches(most: int) -> Minibatches:
        sizes = {name: min(size, most) for name, size in (batch_sizes or {}).items()}
        return Minibatches(
            data,
            weights or {},
            min(most, config.batch_size),
            drawn=assistant is not None,
            multiple=devices or 1,
            sizes=sizes,
        )

    def drawn(minibatches: Minibatches, start: int, end: int) -> tuple[Any, Any, Any]:
        return (
            minibatches.draw(rng, (end - start, *updates)),
            config.learning_rates(start, end),
            minibatches.weights(end - start)
            | _repeated(constants or {}, end - start)
            | _annealed(annealed or {}, np.arange(start, end) / config.steps),
        )

    most = max([config.batch_size, *(batch_sizes or {}).values()])
    minibatches = batches(most)

    def chunk(start: int, end: int) -> np.ndarray:
        try:
            return trainer.run(*drawn(minibatches, start, end))
        except Exception as error:
            if not lacks_memory(error):
                raise
            fits = _largest(most, lambda size: made().run(*drawn(batches(size), start, end)))
            advice = (
                f"batch_size={fits} fits"
                if fits
                else "Not even batch_size=1 does: take smaller networks, or fewer features"
            )
            raise MemoryError(
                f"{name}: a step with batch_size={most} finds no memory. {advice}"
            ) from error

    run = FitRun(trainer, rng, config)
    if checkpoint is not None and (record := checkpoint.get(name)) is not None:
        run.restore(record)
    began = time.perf_counter() - run.state.seconds
    state, status = run.state, ""
    # Read here, because tqdm's bar for notebooks overrides TQDM_DISABLE with a default of its own.
    silent = not progress or os.environ.get("TQDM_DISABLE", "") not in ("", "0")
    # A log file gets one line instead, as the bars of stages side by side would fill it.
    watched = tqdm is not tqdm_asyncio or sys.stderr.isatty()
    hidden = silent or not watched
    bar = tqdm(total=config.steps, initial=state.step, desc=name, leave=False, disable=hidden)
    mark = run.mark()
    try:
        while state.outcome is None and state.step < config.steps:
            before, mark = mark, run.mark()
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            start, end = state.step, min(state.step + config.chunk, config.steps)
            losses = chunk(start, end)
            fault, value = find_fault(losses, state.losses)
            if fault is None and end == config.steps and not are_finite(trainer.arrays()):
                # Only the last chunk's arrays meet no further loss that would tell.
                fault, value = len(losses), np.nan
            if fault is not None:
                # A bad first loss blames the arrays that the chunk before ended with.
                run.back(before if fault == 0 else mark)
                state.outcome = "diverged"
                status = divergence_status(config, state.step, start + fault, value, roles, loss)
                break
            state.step = end
            state.losses.extend(losses.tolist())
            bar.update(end - start)
            bar.set_postfix(loss=f"{np.mean(losses.T[-1]):.3f}", refresh=False)
            if not run.look(start, validation, settled=not annealed or 2 * end >= config.steps):
                run.back(mark)
                state.outcome = "diverged"
                status = (
                    f"diverged: the loss of held-out points became non-finite at step {end}; the "
                    f"arrays of step {state.step}, the last good ones, were restored. Look for "
                    "outliers among the points, or lower learning_rate "
                    f"(now {config.learning_rate:g})"
                )
                break
            state.seconds = time.perf_counter() - began
            if checkpoint is not None and crosses(start, end, checkpoint.every):
                checkpoint.put(name, *run.record())
    except KeyboardInterrupt:
        # Whatever it broke into, a resumed fit draws this chunk's minibatches again.
        run.back(mark)
        state.outcome = "interrupted"
    finally:
        bar.close()
    state.seconds = time.perf_counter() - began
    if checkpoint is not None and state.outcome in (None, "stopped early", "interrupted"):
        checkpoint.put(name, *run.record())
    steps = state.step
    if config.patience and state.validation and state.outcome != "diverged":
        trainer.state, steps = run.best, state.best_step
    status = status or _status(state, config)
    if not (silent or watched):
        tqdm.write(f"{name}: {status}", file=sys.stderr)
    return FitResult(
        arrays=trainer.arrays(),
        history=_history(state, loss),
        outcome=state.outcome or "finished",
        status=status,
        steps=steps,
        seconds=state.seconds,
        snapshots=run.snapshots,
    )


def _repeated(constants: Mapping[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    return {name: np.broadcast_to(x, (steps, *np.shape(x))) for name, x in constants.items()}


def _annealed(arrays: Mapping[str, np.ndarray], progress: np.ndarray) -> dict[str, np.ndarray]:
    factor = np.maximum(0.0, 1.0 - 2.0 * progress)
    return {name: np.multiply.outer(factor, x) for name, x in arrays.items()}


def _largest(size: int, step: Callable[[int], Any]) -> int:
    """The largest half, quarter, ... of a batch whose step finds memory, or 0."""
    while size := size // 2:
        try:
            step(size)
        except Exception as error:
            if not lacks_memory(error):
                raise
        else:
            break
    return size


def _status(state: Progress, config: FitConfig) -> str:
    if state.outcome == "stopped early":
        return (
            f"stopped early at step {state.step}: the validation loss had not improved for "
            f"{config.patience} steps; the arrays of step {state.best_step}, the best ones, "
            "were kept."
        )
    if state.outcome == "interrupted":
        return (
            f"interrupted at step {state.step} of {config.steps}; what was learned is kept. Fit "
            "with a checkpoint file to be able to go on."
        )
    return f"finished: {state.step} steps."


def _history(state: Progress, loss: Loss | Game) -> dict[str, np.ndarray]:
    names = ["loss"]
    if isinstance(loss, Game):
        names = [*(f"{player.name}_loss" for player in loss.players[:-1]), "loss"]
    columns = np.array(state.losses).reshape(-1, len(names)).T
    history = {
        "step": np.arange(1, len(state.losses) + 1),
        **dict(zip(names, columns, strict=True)),
    }
    if state.validation:
        steps, losses = zip(*state.validation, strict=True)
        history |= {"validation_step": np.array(steps), "validation_loss": np.array(losses)}
    return history
