"""Training in JAX: a chunk of steps is one compiled ``lax.scan``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ...specs import Arrays
from ..base import Game, GamePlayer, Loss, Role, Trainer, as_game, gather

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


def _optimiser(player: GamePlayer, gradient_clip: float) -> optax.GradientTransformation:
    first, second = player.betas
    return optax.chain(
        optax.clip_by_global_norm(gradient_clip), optax.scale_by_adam(b1=first, b2=second)
    )


# Module-level and keyed by specs, so that fits of the same models share one compilation.
@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4, 5))
def _chunk(
    backend: JaxBackend,
    game: Game,
    roles: tuple[Role, ...],
    dtype: str,
    gradient_clip: float,
    whole: NamedSharding | None,
    state: Any,
    batches: Any,
    learning_rates: Any,
    extra: Any,
) -> Any:
    def move(k: int, learning_rate: Any, further: Any, state: Any, rows: Any) -> Any:
        player, (arrays, moments) = game.players[k], state
        batch = rows | further

        def loss(own: Any) -> Any:
            return loss_value(backend, player.loss, roles, dtype, arrays | own, batch)

        own = {role: arrays[role] for role in player.roles}
        value, gradients = jax.value_and_grad(loss)(own)
        updates, moment = _optimiser(player, gradient_clip).update(gradients, moments[k])
        own = jax.tree.map(lambda a, u: a - player.rate * learning_rate * u, own, updates)
        return (arrays | own, (*moments[:k], moment, *moments[k + 1 :])), value

    def step(state: Any, inputs: Any) -> Any:
        rows, learning_rate, further = inputs
        start, values = 0, []
        for k, player in enumerate(game.players):
            turn, stop = functools.partial(move, k, learning_rate, further), start + player.updates
            if player.updates == 1:
                state, value = turn(state, {name: rows[name][start] for name in rows})
            else:
                mine = {name: rows[name][start:stop] for name in rows}
                state, losses = jax.lax.scan(turn, state, mine)
                value = losses[-1]
            values.append(value)
            start = stop
        if whole is not None:  # batches are divided over devices; every device has the arrays
            state = jax.lax.with_sharding_constraint(state, whole)
        return state, jnp.stack(values)

    return jax.lax.scan(step, state, (batches, learning_rates, extra))


class JaxTrainer(Trainer):
    """See `lrmf.backends.base.Trainer`."""

    def __init__(
        self,
        backend: JaxBackend,
        loss: Loss | Game,
        roles: tuple[Role, ...],
        arrays: Mapping[str, Arrays],
        data: Mapping[str, Any],
        gradient_clip: float,
        dtype: str,
        devices: int | None,
    ) -> None:
        game, exact = as_game(loss, roles), tuple(role.exact() for role in roles)
        self._static = (backend, game, roles, dtype)
        self._exact = (backend, game.players[-1].loss, exact, dtype)
        self._updates, self._plain = game.updates, game is not loss
        self._gradient_clip = float(gradient_clip)
        self._scope = functools.partial(backend.scope, dtype)
        self._dtype = dtype
        self._mesh = None
        if devices is not None:
            self._mesh = jax.make_mesh((devices,), ("batch",), axis_types=(AxisType.Auto,))
        with self._scope():
            # By NumPy, as JAX would compile each of these little operations for each shape.
            native = jax.tree.map(
                lambda x: np.array(x, dtype), {k: dict(v) for k, v in arrays.items()}
            )
            moments = tuple(
                jax.eval_shape(
                    _optimiser(player, self._gradient_clip).init,
                    {r: native[r] for r in player.roles},
                )
                for player in game.players
            )
            zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), moments)
            self.state = self._placed((native, zeros))
        self._data = dict(data)

    def run(
        self,
        indices: Mapping[str, np.ndarray],
        learning_rates: np.ndarray,
        extra: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        with self._scope():
            further = {name: np.asarray(x, self._dtype) for name, x in (extra or {}).items()}
            rates = np.asarray(learning_rates, self._dtype)
            own = {name: rows[..., self._part(rows.shape[-1])] for name, rows in indices.items()}
            batches = gather(self._data, own, self._updates, self._dtype)
            if self._mesh is not None:
                batches, further = self._divided(batches), self._placed(further)
            self.state, losses = _chunk(
                *self._static,
                self._gradient_clip,
                self._sharding(),
                self.state,
                batches,
                self._placed(rates),
                further,
            )
            losses = np.asarray(losses)
            return losses[:, 0] if self._plain else losses

    def _part(self, batch: int) -> slice:
        """Which rows of a batch this process reads."""
        if self._mesh is None:
            return slice(None)
        count = batch // jax.process_count()
        return slice(jax.process_index() * count, (jax.process_index() + 1) * count)

    def _sharding(self, *axes: str | None) -> NamedSharding | None:
        """Arrays whose axes are divided like this over the devices of all processes."""
        return None if self._mesh is None else NamedSharding(self._mesh, PartitionSpec(*axes))

    def _divided(self, batches: Any) -> Any:
        """Batches, of which this process has read its part, over the devices of all processes."""
        sharding = self._sharding(None, None, "batch")
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batches)

    def _placed(self, arrays: Any) -> Any:
        """Arrays that every device has a copy of."""
        if (whole := self._sharding()) is None:
            return jax.device_put(arrays)
        return jax.tree.map(
            lambda x: jax.make_array_from_process_local_data(whole, np.asarray(x)), arrays
        )

    def evaluate(self, data: Mapping[str, np.ndarray]) -> float:
        with self._scope():
            batch = {name: np.asarray(x, self._dtype) for name, x in data.items()}
            return float(_compiled_loss(*self._exact, self._local(), batch))

    def models(self) -> dict[str, Any]:
        backend, _, roles, dtype = self._static
        return backend.models(roles, self._local(), dtype)

    def _local(self) -> Any:
        """The current arrays on one device of this process."""
        if self._mesh is None:
            return self.state[0]
        return jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), self.state[0])

    def arrays(self) -> dict[str, Arrays]:
        return jax.tree.map(np.array, self.state[0])

    def export_state(self) -> Arrays:
        leaves = jax.tree.leaves(self.state)
        return {f"{i:04d}": np.array(leaf) for i, leaf in enumerate(leaves)}

    def import_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        structure = jax.tree.structure(self.state)
        with self._scope():
            leaves = [np.array(arrays[name]) for name in sorted(arrays)]
            self.state = self._placed(jax.tree.unflatten(structure, leaves))
