"""A small convolutional network, which names what is on a picture or which side it is of."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

__all__ = ["STEPS", "Network"]

STEPS = 1500
BATCH = 64
CHUNK = 100  # steps in one compiled call
ROWS = 500  # pictures that are named in one
CHANNELS = (16, 32)
BOUND = 10.0  # what a map throws far out would overflow


class Network:
    """Two convolutions of 3 × 3 pixels and stride 2, then a linear layer; cross-entropy by Adam.

    Args:
        pictures: ``(n, h, w)`` or ``(n, h, w, 1)``, of sides that 4 divides.
        labels: ``(n,)``, integers from 0.
        seed: of weights and minibatches.
        steps: of Adam, with a rate that falls to zero along a cosine.
    """

    def __init__(
        self, pictures: np.ndarray, labels: np.ndarray, *, seed: int, steps: int = STEPS
    ) -> None:
        rng = np.random.default_rng(seed)
        x, labels = _prepared(pictures), np.asarray(labels, np.int32)
        inputs = [9, 9 * CHANNELS[0], x.shape[1] * x.shape[2] // 16 * CHANNELS[1]]
        outputs = [*CHANNELS, int(labels.max()) + 1]
        weights = [
            [
                jnp.asarray(rng.normal(0, np.sqrt(2 / i), (i, o)), jnp.float32),
                jnp.zeros(o, jnp.float32),
            ]
            for i, o in zip(inputs, outputs, strict=True)
        ]
        rates = 1e-3 * (1 + np.cos(np.pi * np.arange(steps) / steps))
        state = (weights, optax.scale_by_adam().init(weights))
        train = _compiled()[0]
        for start in range(0, steps, CHUNK):
            rows = rng.integers(len(x), size=(min(CHUNK, steps - start), BATCH))
            state = train(state, x[rows], labels[rows], rates[start : start + len(rows)])
        self._weights = state[0]

    def names(self, pictures: np.ndarray) -> np.ndarray:
        """The label of each picture."""
        x = _prepared(pictures)
        padded = np.concatenate([x, np.zeros((-len(x) % ROWS, *x.shape[1:]), np.float32)])
        scores = [
            _compiled()[1](self._weights, padded[k : k + ROWS]) for k in range(0, len(x), ROWS)
        ]
        return np.concatenate(scores).argmax(axis=1)[: len(x)]

    def accuracy(self, pictures: np.ndarray, labels: np.ndarray) -> float:
        """The share of pictures whose label is right."""
        return float(np.mean(self.names(pictures) == labels))


def _prepared(pictures: np.ndarray) -> np.ndarray:
    return np.clip(pictures.reshape(*pictures.shape[:3], 1), -BOUND, BOUND).astype(np.float32)


def _halved(x: Any) -> Any:
    """The 3 × 3 pixels around every second one; XLA's own convolution takes ten times as long."""
    _, h, w, _ = x.shape
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return jnp.concatenate(
        [x[:, i : i + h : 2, j : j + w : 2] for i in range(3) for j in range(3)], -1
    )


def _scores(weights: Any, x: Any) -> Any:
    for weight, bias in weights[:-1]:
        x = jax.nn.relu(_halved(x) @ weight + bias)
    weight, bias = weights[-1]
    return x.reshape(len(x), -1) @ weight + bias


@lru_cache(maxsize=1)
def _compiled() -> tuple[Any, Any]:
    adam = optax.scale_by_adam()

    def loss(weights: Any, x: Any, labels: Any) -> Any:
        each = optax.softmax_cross_entropy_with_integer_labels(_scores(weights, x), labels)
        return each.mean()

    def step(state: Any, now: Any) -> tuple[Any, None]:
        (weights, moments), (x, labels, rate) = state, now
        moves, moments = adam.update(jax.grad(loss)(weights, x, labels), moments)
        return (jax.tree.map(lambda w, m: w - rate * m, weights, moves), moments), None

    @jax.jit
    def train(state: Any, x: Any, labels: Any, rates: Any) -> Any:
        return jax.lax.scan(step, state, (x, labels, jnp.asarray(rates, jnp.float32)))[0]

    return train, jax.jit(_scores)
