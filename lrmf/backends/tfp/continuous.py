"""FFJORD built from TFP's bijector and its Dormand-Prince solver."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb, math as tfm

from ...specs import FFJORD
from ...specs.continuous import probes

__all__ = ["continuous", "evaluations"]


class _Solver(tfm.ode.DormandPrince):
    """Gives NaN after too many steps.

    TFP's own ``max_num_steps`` is an assertion, which XLA drops: a stiff field, or a NaN, would
    then loop for ever. It also covers the solver of the adjoint equation, whose status TFP drops.
    """

    def __init__(self, spec: FFJORD, final_time: float = 1.0, **options: Any) -> None:
        self._final_time, self._max_steps = final_time, spec.max_steps
        #: The number of evaluations of each solve, for `evaluations`.
        self.counts: list[Any] = []
        super().__init__(rtol=spec.rtol, atol=spec.atol, first_step_size=spec.first_step, **options)

    def _step(self, solver_state: Any, diagnostics: Any, **options: Any) -> Any:
        state, diagnostics = super()._step(solver_state, diagnostics, **options)
        tried = diagnostics.num_ode_fn_evaluations // self.ODE_FN_EVALS_PER_STEP
        under_way = state.current_time <= tf.cast(self._final_time, state.current_time.dtype)
        gave_up = (tried >= self._max_steps) & under_way

        def spoil(x: Any) -> Any:
            return tf.where(gave_up, tf.constant(np.nan, x.dtype), x)

        return state._replace(
            # Past the end, so that the solver stops there.
            current_time=tf.where(
                gave_up, tf.constant(np.inf, state.current_time.dtype), state.current_time
            ),
            interpolating_coefficients=tf.nest.map_structure(
                spoil, state.interpolating_coefficients
            ),
        ), diagnostics

    def _solve(self, *arguments: Any, **options: Any) -> Any:
        results = super()._solve(*arguments, **options)
        # TFP leaves out the evaluation at the start.
        self.counts.append(results.diagnostics.num_ode_fn_evaluations + 1)
        return results


def _velocity(time: Any, state: Any, **layers: Any) -> Any:
    """The field of a block at points ``(n, d)``."""
    last = len(layers) // 3 - 1
    for layer in range(last + 1):
        weight, bias, shift = (layers[f"{layer}/{what}"] for what in ("weight", "bias", "time"))
        state = tf.matmul(state, weight) + (bias + time * shift)
        if layer < last:
            state = tf.tanh(state)
    return state


def _exact_trace(ode_fn: Any, state_shape: Any, dtype: Any) -> Any:
    """TFP's ``trace_jacobian_exact`` without its loop over features, which XLA can't compile."""

    def augmented(time: Any, state_and_trace: Any, **layers: Any) -> tuple[Any, Any]:
        state, _ = state_and_trace
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(state)
            velocity = ode_fn(time, state, **layers)
            columns = tf.unstack(velocity, axis=1)
        rows = [tape.gradient(column, state) for column in columns]
        # The bijector adds them up.
        return velocity, tf.stack([row[:, k] for k, row in enumerate(rows)], axis=1)

    return augmented


def _probed_trace(ode_fn: Any, state_shape: Any, dtype: Any) -> Any:
    """TFP's ``trace_jacobian_hutchinson`` with the probes of the spec."""
    directions = tf.constant(probes(*state_shape), dtype)

    def augmented(time: Any, state_and_trace: Any, **layers: Any) -> tuple[Any, Any]:
        state, _ = state_and_trace
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state)
            velocity = ode_fn(time, state, **layers)
        return velocity, directions * tape.gradient(velocity, state, directions)

    return augmented


def _block(spec: FFJORD, arrays: Mapping[str, Any], block: int, counts: list[Any]) -> tfb.Bijector:
    layers = {
        f"{layer}/{what}": array
        for layer, named in enumerate(spec.layers(arrays, block))
        for what, array in named.items()
    }
    solver = _Solver(spec, make_adjoint_solver_fn=lambda: _Solver(spec, final_time=0.0))
    solver.counts = counts
    return tfb.FFJORD(
        _velocity,
        # Constants, because TFP gives what a field closes over no gradient.
        ode_solve_fn=functools.partial(solver.solve, constants=layers),
        trace_augmentation_fn=_exact_trace if spec.trace == "exact" else _probed_trace,
        dtype=next(iter(layers.values())).dtype,
    )


def continuous(
    spec: FFJORD, arrays: Mapping[str, Any], counts: list[Any] | None = None
) -> tfb.Bijector:
    """The blocks in a chain; ``counts`` is extended by each solve's number of evaluations."""
    counts = [] if counts is None else counts
    # A chain applies its last bijector first.
    return tfb.Chain([_block(spec, arrays, k, counts) for k in reversed(range(spec.blocks))])


def evaluations(spec: FFJORD, arrays: Mapping[str, Any], x: Any, *, inverse: bool) -> Any:
    """How often a field is evaluated to map points."""
    counts: list[Any] = []
    chain = continuous(spec, arrays, counts)
    (chain.inverse if inverse else chain.forward)(x)
    return tf.add_n(counts)
