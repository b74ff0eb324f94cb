"""FFJORD in JAX: diffrax takes the steps, and a gradient goes back over those that it took."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from ...specs import FFJORD
from ...specs.continuous import probes
from .bijections import Bijection

__all__ = ["Continuous", "Field", "solve"]

#: Coefficients of Tsit5: the stages' times, what they are made of, and the step's end. Its last
#: stage lies at the end of the step.
_TABLEAU = diffrax.Tsit5.tableau
_TIMES, _STAGES = np.asarray(_TABLEAU.c), [np.asarray(row) for row in _TABLEAU.a_lower]


@dataclass(frozen=True)
class Field:
    """What a block integrates: velocity and trace of a network, forwards or backwards in time.

    Inside, features come first and points last, as in the coupling flows.
    """

    spec: FFJORD
    inverse: bool

    def __call__(self, time: Any, state: Any, layers: Any) -> tuple[Any, Any]:
        """dz/dt and dl/dt for ``state = (z, l)``, shapes ``(d, n)`` and ``(n,)``."""
        velocity, trace = self._network(1.0 - time if self.inverse else time, state[0], layers)
        return (-velocity, -trace) if self.inverse else (velocity, trace)

    def _network(self, time: Any, z: Any, layers: Any) -> tuple[Any, Any]:
        d, n = z.shape
        exact = self.spec.trace == "exact"
        # Directions e, and with them their images under the layers' Jacobian at each point.
        directions = jnp.eye(d, dtype=z.dtype)[..., None]
        if not exact:
            directions = jnp.asarray(probes(n, d).T, z.dtype)[None]
        images = list(directions)
        *hidden, last = layers
        for number, layer in enumerate(hidden):
            weight, shift = layer["weight"].T, layer["bias"] + time * layer["time"]
            if number == 0:
                z, *images = [weight @ x for x in (z, *images)]
            else:
                # One product for the points and all images costs half of one for each.
                z, *images = jnp.split(
                    weight @ jnp.concatenate((z, *images), axis=1), 1 + len(images), axis=1
                )
            z = jnp.tanh(z + shift[:, None])
            slope = 1.0 - z * z
            images = [slope * image for image in images]
        velocity = last["weight"].T @ z + (last["bias"] + time * last["time"])[:, None]
        if exact:
            trace = sum(last["weight"][:, k] @ image for k, image in enumerate(images))
        else:
            trace = jnp.sum(directions[0] * (last["weight"].T @ images[0]), axis=0)
        return velocity, jnp.broadcast_to(trace, (n,))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def solve(field: Field, state: Any, layers: Any) -> tuple[Any, Any]:
    """The state at time 1, NaN where the solver gave up, and how many steps it tried.

    Its gradient is that of the steps that were taken, their sizes held fixed (a discrete
    adjoint): exact for the numbers computed, whatever the tolerance. Only reverse mode, once.
    """
    solution = _solution(field, state, layers, diffrax.SaveAt(t1=True))
    return jax.tree.map(lambda x: x[0], solution.ys), solution.stats["num_steps"]


def _forward(field: Field, state: Any, layers: Any) -> Any:
    solution = _solution(field, state, layers, diffrax.SaveAt(t0=True, steps=True))
    taken = solution.stats["num_accepted_steps"]
    end = jax.tree.map(lambda x: x[taken], solution.ys)
    return (end, solution.stats["num_steps"]), (solution.ts, solution.ys, taken, layers)


def _backward(field: Field, residuals: Any, cotangents: Any) -> Any:
    times, states, taken, layers = residuals

    def back(carry: Any) -> Any:
        k, cotangent, total = carry
        k = k - 1
        step = functools.partial(_step, field, times[k], times[k + 1])
        _, pull = jax.vjp(step, jax.tree.map(lambda x: x[k], states), layers)
        cotangent, gradient = pull(cotangent)
        return k, cotangent, jax.tree.map(jnp.add, total, gradient)

    start = taken, cotangents[0], jax.tree.map(jnp.zeros_like, layers)
    _, cotangent, total = jax.lax.while_loop(lambda carry: carry[0] > 0, back, start)
    return cotangent, total


solve.defvjp(_forward, _backward)


def _solution(field: Field, state: Any, layers: Any, saveat: diffrax.SaveAt) -> Any:
    spec = field.spec
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=0.0,
        t1=1.0,
        dt0=spec.first_step,
        y0=state,
        args=layers,
        saveat=saveat,
        stepsize_controller=diffrax.PIDController(rtol=spec.rtol, atol=spec.atol, norm=_norm),
        adjoint=diffrax.ForwardMode(),
        max_steps=spec.max_steps,
        throw=False,
    )
    succeeded = solution.result == diffrax.RESULTS.successful
    ys = jax.tree.map(lambda y: jnp.where(succeeded, y, jnp.nan), solution.ys)
    return dataclasses.replace(solution, ys=ys)


def _norm(errors: Any) -> Any:
    """The norm in which TFP's solver measures: between a mean, blind to outliers, and a maximum."""
    total = sum(jnp.sum(jnp.square(x * x)) for x in jax.tree.leaves(errors))
    return (total / sum(x.size for x in jax.tree.leaves(errors))) ** 0.25


def _step(field: Field, start: Any, end: Any, state: Any, layers: Any) -> Any:
    """One Runge-Kutta step."""
    size = end - start
    slopes = [field(start, state, layers)]
    for time, row in zip(_TIMES.tolist(), _STAGES, strict=True):
        stage = jax.tree.map(
            lambda y, *ks, row=row: y + size * sum(map(operator.mul, row.tolist(), ks)),
            state,
            *slopes,
        )
        slopes.append(field(start + time * size, stage, layers))
    return stage


class Continuous(Bijection):
    """One solve per block, in a ``lax.scan``: a field is compiled once, however many there are."""

    def __init__(self, spec: FFJORD, arrays: Mapping[str, Any]) -> None:
        blocks = [spec.layers(arrays, block) for block in range(spec.blocks)]
        self.spec, self.blocks = spec, jax.tree.map(lambda *x: jnp.stack(x), *blocks)

    def forward(self, x: Any) -> tuple[Any, Any]:
        return self._solve(x, inverse=False)[:2]

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return self._solve(y, inverse=True)[:2]

    def forward_evaluations(self, x: Any) -> Any:
        """How often `forward` evaluates a field."""
        return self._solve(x, inverse=False)[2]

    def inverse_evaluations(self, y: Any) -> Any:
        """How often `inverse` evaluates a field."""
        return self._solve(y, inverse=True)[2]

    def _solve(self, x: Any, *, inverse: bool) -> tuple[Any, Any, Any]:
        field = Field(self.spec, inverse)
        state = x.T, jnp.zeros(x.shape[0], x.dtype)
        (z, log_det), steps = jax.lax.scan(
            lambda state, layers: solve(field, state, layers), state, self.blocks, reverse=inverse
        )
        # The last stage of a step is the first one of the next.
        return z.T, log_det, jnp.sum(len(_TIMES) * steps + 1)
