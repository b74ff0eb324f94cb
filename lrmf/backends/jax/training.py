"""Training in JAX: a chunk of steps is one compiled ``lax.scan``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ...specs import Arrays
from ..base import Loss, Role, Trainer

if TYPE_CHECKING:
    from . import JaxBackend

__all__ = ["JaxTrainer", "loss_value", "loss_value_and_gradients"]


def loss_value(
    backend: JaxBackend, loss: Loss, roles: tuple[Role, ...], dtype: str, arrays: Any, batch: Any
) -> Any:
    """The loss as a function of arrays."""
    return loss(backend.models(roles, arrays, dtype), batch)


loss_value_and_gradients = functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))(
    jax.value_and_grad(loss_value, argnums=4)
)
_compiled_loss = functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))(loss_value)


def _optimiser(gradient_clip: float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(gradient_clip), optax.scale_by_adam())


# Module-level and keyed by specs, so that fits of the same models share one compilation.
@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _chunk(
    backend: JaxBackend,
    loss: Loss,
    roles: tuple[Role, ...],
    dtype: str,
    gradient_clip: float,
    state: Any,
    data: Any,
    indices: Any,
    learning_rates: Any,
) -> Any:
    optimiser = _optimiser(gradient_clip)

    def step(state: Any, inputs: Any) -> Any:
        arrays, moments = state
        rows, learning_rate = inputs
        batch = {name: data[name][rows[name]] for name in data}
        value, gradients = jax.value_and_grad(loss_value, argnums=4)(
            backend, loss, roles, dtype, arrays, batch
        )
        updates, moments = optimiser.update(gradients, moments)
        arrays = jax.tree.map(lambda a, u: a - learning_rate * u, arrays, updates)
        return (arrays, moments), value

    return jax.lax.scan(step, state, (indices, learning_rates))


class JaxTrainer(Trainer):
    """See `lrmf.backends.base.Trainer`."""

    def __init__(
        self,
        backend: JaxBackend,
        loss: Loss,
        roles: tuple[Role, ...],
        arrays: Mapping[str, Arrays],
        data: Mapping[str, np.ndarray],
        gradient_clip: float,
        dtype: str,
    ) -> None:
        self._static = (backend, loss, roles, dtype)
        self._exact = (backend, loss, tuple(role.exact() for role in roles), dtype)
        self._gradient_clip = float(gradient_clip)
        self._scope = functools.partial(backend.scope, dtype)
        self._dtype = dtype
        with self._scope():
            native = jax.tree.map(
                lambda x: jnp.asarray(x, dtype), {k: dict(v) for k, v in arrays.items()}
            )
            self.state = (native, _optimiser(self._gradient_clip).init(native))
            self._data = {name: jnp.asarray(x, dtype) for name, x in data.items()}

    def run(self, indices: Mapping[str, np.ndarray], learning_rates: np.ndarray) -> np.ndarray:
        with self._scope():
            rows = {name: jnp.asarray(value, jnp.int32) for name, value in indices.items()}
            rates = jnp.asarray(learning_rates, self._dtype)
            self.state, losses = _chunk(
                *self._static, self._gradient_clip, self.state, self._data, rows, rates
            )
            return np.asarray(losses)

    def evaluate(self, data: Mapping[str, np.ndarray]) -> float:
        with self._scope():
            batch = {name: jnp.asarray(x, self._dtype) for name, x in data.items()}
            return float(_compiled_loss(*self._exact, self.state[0], batch))

    def arrays(self) -> dict[str, Arrays]:
        return jax.tree.map(np.array, self.state[0])

    def export_state(self) -> Arrays:
        leaves = jax.tree.leaves(self.state)
        return {f"{i:04d}": np.array(leaf) for i, leaf in enumerate(leaves)}

    def import_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        structure = jax.tree.structure(self.state)
        with self._scope():
            leaves = [jnp.asarray(arrays[name]) for name in sorted(arrays)]
            self.state = jax.tree.unflatten(structure, leaves)
