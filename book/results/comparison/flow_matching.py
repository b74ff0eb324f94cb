"""Flow matching from A to B by ott-jax: ``pip install 'lrmf[bench]'``.

Lipman et al. (2023); with ``coupled``, minibatches are paired by an optimal plan (Tong et al.,
2024).
"""

from __future__ import annotations

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from ott.neural.methods.flow_matching import evaluate_velocity_field, interpolate_samples
from ott.neural.networks.velocity_field.mlp import MLP
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

__all__ = ["FlowMatching", "pairing"]

_SOLVER_STEPS = 50


class FlowMatching:
    """A velocity field, learned from straight lines between the points of two minibatches.

    Args:
        coupled: each minibatch is paired by its optimal plan instead of at random.
        width: of each of three hidden layers.
        learning_rate: of Adam, with a cosine schedule.
        steps, batch_size, seed: as everywhere.
    """

    def __init__(
        self,
        *,
        coupled: bool,
        width: int,
        learning_rate: float,
        steps: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.coupled, self.width, self.learning_rate = coupled, width, learning_rate
        self.steps, self.batch_size, self.seed = steps, batch_size, seed

    def fit(self, *, Xs: np.ndarray, Xt: np.ndarray) -> FlowMatching:
        """Learn the field, in the units of the target."""
        self._mean, self._scale = Xt.mean(axis=0), Xt.std(axis=0)
        a, b = (jnp.asarray(self._standard(x), jnp.float32) for x in (Xs, Xt))
        rng = np.random.default_rng(self.seed)
        rows = [rng.integers(len(x), size=(self.steps, self.batch_size)) for x in (a, b)]
        if self.coupled:
            here, there = np.asarray(a), np.asarray(b)
            for i, j in zip(*rows, strict=True):
                j[:] = j[pairing(here[i], there[j])]
        model = MLP(a.shape[1], hidden_dims=[self.width] * 3, rngs=nnx.Rngs(self.seed))
        static, arrays = nnx.split(model)
        adam = optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.steps))

        def loss(arrays: Any, i: Any, j: Any, key: Any) -> Any:
            batch = interpolate_samples(key, a[i], b[j])
            found = nnx.merge(static, arrays)(batch["t"], batch["x_t"])
            return jnp.mean((found - batch["v_t"]) ** 2)

        @jax.jit
        def learn(arrays: Any) -> Any:
            def step(state: Any, batch: Any) -> Any:
                arrays, moments = state
                updates, moments = adam.update(jax.grad(loss)(arrays, *batch), moments, arrays)
                return (optax.apply_updates(arrays, updates), moments), None

            keys = jax.random.split(jax.random.key(self.seed), self.steps)
            return jax.lax.scan(step, (arrays, adam.init(arrays)), (*rows, keys))[0][0]

        self._model = nnx.merge(static, jax.block_until_ready(learn(arrays)))
        self.parameters_ = sum(x.size for x in jax.tree.leaves(arrays))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Follow the field from time 0 to 1, by a midpoint rule of `_SOLVER_STEPS` steps."""

        @jax.jit
        @jax.vmap
        def follow(x: Any) -> Any:
            found = evaluate_velocity_field(
                self._model, x, num_steps=_SOLVER_STEPS, solver=diffrax.Midpoint()
            )
            return found.ys[-1]

        moved = np.asarray(follow(jnp.asarray(self._standard(X), jnp.float32)))
        return moved * self._scale + self._mean

    def _standard(self, x: np.ndarray) -> np.ndarray:
        return (np.asarray(x) - self._mean) / self._scale


def pairing(x0: np.ndarray, x1: np.ndarray) -> np.ndarray:
    """Which row of x1 the plan of least squared distance gives to each row of x0 ``(n,)``."""
    return np.asarray(linear_sum_assignment(cdist(x0, x1, "sqeuclidean"))[1])
