"""Training in TensorFlow: a chunk of steps is one loop compiled by XLA.

Arrays travel through the loop as tensors, not variables: none can be lost, and "the last good
arrays" is a reference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ...specs import Arrays
from ..base import Game, GamePlayer, Loss, Role, Trainer, as_game, gather
from .foreign import variables

if TYPE_CHECKING:
    from . import TFPBackend

__all__ = ["TFPTrainer", "loss_value_and_gradients"]

_EPSILON = 1e-8  # optax's default


def loss_value_and_gradients(
    backend: TFPBackend,
    loss: Loss,
    roles: tuple[Role, ...],
    dtype: str,
    arrays: Any,
    batch: Any,
    moved: tuple[str, ...] | None = None,
) -> Any:
    """The loss and its gradients, structured like the ``moved`` part of the arrays (or all)."""
    # A foreign model computes with its own variables, into which its arrays are assigned.
    foreign = {role.name: variables(role.spec) or {} for role in roles}
    held = [variable.ref() for named in foreign.values() for variable in named.values()]
    if len(held) != len(set(held)):
        raise ValueError(
            f"{' and '.join(foreign)} share variables, so they would be trained as one; make a "
            "TFP object with variables of its own for each"
        )
    sources = {
        name: named or arrays[name]
        for name, named in foreign.items()
        if moved is None or name in moved
    }
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tf.nest.flatten(sources))
        value = loss(backend.models(roles, arrays, dtype), batch)
    gradients = tape.gradient(value, sources, unconnected_gradients="zero")
    return value, gradients


def _adam(
    player: GamePlayer,
    arrays: Any,
    moments: Any,
    gradients: Any,
    learning_rate: Any,
    gradient_clip: float,
) -> Any:
    """One step of Adam, as optax takes it; Keras places epsilon elsewhere and drifts from it."""
    means, squares, count = moments
    first, second = player.betas
    norm = tf.linalg.global_norm(tf.nest.flatten(gradients))
    scale = tf.where(norm < gradient_clip, tf.ones_like(norm), gradient_clip / norm)
    gradients = tf.nest.map_structure(lambda g: g * scale, gradients)
    count = count + 1
    power = tf.cast(count, learning_rate.dtype)
    mean_correction = 1.0 - tf.pow(tf.constant(first, power.dtype), power)
    square_correction = 1.0 - tf.pow(tf.constant(second, power.dtype), power)
    means = tf.nest.map_structure(lambda m, g: first * m + (1.0 - first) * g, means, gradients)
    squares = tf.nest.map_structure(
        lambda v, g: second * v + (1.0 - second) * g * g, squares, gradients
    )
    arrays = tf.nest.map_structure(
        lambda a, m, v: (
            a - learning_rate * (m / mean_correction) / (tf.sqrt(v / square_correction) + _EPSILON)
        ),
        arrays,
        means,
        squares,
    )
    return arrays, (means, squares, count)


# Keyed by specs, so that fits of the same models share one compilation.
@functools.lru_cache(maxsize=32)
def _chunk_function(
    backend: TFPBackend, game: Game, roles: tuple[Role, ...], dtype: str, gradient_clip: float
) -> Callable[..., Any]:
    @tf.function(jit_compile=True, autograph=False)
    def chunk(state: Any, batches: Any, learning_rates: Any, extra: Any) -> Any:
        steps, players = learning_rates.shape[0], game.players

        def move(k: int, state: Any, rows: Any, learning_rate: Any, further: Any) -> Any:
            player, (arrays, moments) = players[k], state
            batch = rows | further
            value, gradients = loss_value_and_gradients(
                backend, player.loss, roles, dtype, arrays, batch, player.roles
            )
            own, moment = _adam(
                player,
                {role: arrays[role] for role in player.roles},
                moments[k],
                gradients,
                player.rate * learning_rate,
                gradient_clip,
            )
            return (arrays | own, (*moments[:k], moment, *moments[k + 1 :])), value

        def step(i: Any, state: Any, losses: Any) -> Any:
            values, start = [], 0
            for k, player in enumerate(players):

                def turn(j: Any, state: Any, _: Any, k: int = k, start: int = start) -> Any:
                    rows = {name: x[i, start + j] for name, x in batches.items()}
                    further = {name: x[i] for name, x in extra.items()}
                    return j + 1, *move(k, state, rows, learning_rates[i], further)

                turns, start = player.updates, start + player.updates
                loop = 0, state, tf.zeros((), dtype)
                _, state, value = (
                    turn(*loop)
                    if turns == 1
                    else tf.while_loop(
                        lambda j, *_, turns=turns: j < turns, turn, loop, maximum_iterations=turns
                    )
                )
                values.append(value)
            return i + 1, state, losses.write(i, tf.stack(values))

        losses = tf.TensorArray(dtype, size=steps, element_shape=(len(players),))
        _, state, losses = tf.while_loop(
            lambda i, *_: i < steps, step, (0, state, losses), maximum_iterations=steps
        )
        return state, losses.stack()

    return chunk


class TFPTrainer(Trainer):
    """See `lrmf.backends.base.Trainer`."""

    def __init__(
        self,
        backend: TFPBackend,
        loss: Loss | Game,
        roles: tuple[Role, ...],
        arrays: Mapping[str, Arrays],
        data: Mapping[str, Any],
        gradient_clip: float,
        dtype: str,
    ) -> None:
        game = as_game(loss, roles)
        self._backend, self._roles, self._dtype = backend, roles, dtype
        self._watched = game.players[-1].loss
        self._updates, self._plain = game.updates, game is not loss
        self._exact = tuple(role.exact() for role in roles)
        self._chunk = _chunk_function(backend, game, roles, dtype, float(gradient_clip))
        native = {
            role: {name: backend.asarray(value, dtype) for name, value in named.items()}
            for role, named in arrays.items()
        }
        zeros = tf.nest.map_structure(tf.zeros_like, native)
        moments = []
        for player in game.players:
            own = {role: zeros[role] for role in player.roles}
            moments.append((own, own, tf.constant(0)))
        self.state = (native, tuple(moments))
        self._data = dict(data)

    def run(
        self,
        indices: Mapping[str, np.ndarray],
        learning_rates: np.ndarray,
        extra: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        batches = gather(self._data, indices, self._updates, self._dtype)
        batches = {name: tf.constant(x) for name, x in batches.items()}
        rates = tf.constant(learning_rates, self._dtype)
        further = {name: tf.constant(x, self._dtype) for name, x in (extra or {}).items()}
        self.state, losses = self._chunk(self.state, batches, rates, further)
        return losses.numpy()[:, 0] if self._plain else losses.numpy()

    def evaluate(self, data: Mapping[str, np.ndarray]) -> float:
        batch = {name: self._backend.asarray(x, self._dtype) for name, x in data.items()}
        models = self._backend.models(self._exact, self.state[0], self._dtype)
        return float(self._watched(models, batch))

    def models(self) -> dict[str, Any]:
        return self._backend.models(self._roles, self.state[0], self._dtype)

    def arrays(self) -> dict[str, Arrays]:
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), self.state[0])

    def export_state(self) -> Arrays:
        return {f"{i:04d}": leaf.numpy() for i, leaf in enumerate(tf.nest.flatten(self.state))}

    def import_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        leaves = [tf.convert_to_tensor(arrays[name]) for name in sorted(arrays)]
        self.state = tf.nest.pack_sequence_as(self.state, leaves)
