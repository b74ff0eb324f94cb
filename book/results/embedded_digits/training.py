"""How an embedding is trained: a VAE-GAN (Larsen et al., 2016) of both collections, unlabelled.

Built of Keras layers on Keras's JAX backend, whose models are pure functions of their weights, so
that one compiled loop takes many steps. (Equinox has the layers, too, but not their usual initial
weights; Flax and PyTorch are no dependencies of this project.) The layers are dense: on a processor
a step with convolutions takes nine times as long, and 16 × 16 pixels are few.

An encoder gives q(z|x) = N(mean, scale²), a decoder a picture of z, and a discriminator D tells
pictures of the data from decoded ones. With x̃ the picture of a draw from q(z|x), x' that of a draw
from N(0, I), f the last hidden layer of D, and N pixels,

    encoder        KL(q(z|x) | N(0, I)) + N/2 log mean (x - x̃)² + w |f(x) - f(x̃)|²
    decoder        N/2 log mean (x - x̃)² + w |f(x) - f(x̃)|² + v (-log D(x̃) - log D(x'))
    discriminator  -log D(x) - ½ log(1 - D(x̃)) - ½ log(1 - D(x'))

Without w the first line is a negative ELBO in nats up to a constant, with the best of all
deviations of a pixel (Rybkin, Daniilidis and Levine, 2021), so that nobody has to choose one.
Larsen et al. have w alone and no pixels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
from keras import layers

from book.results.embedded_digits.embedding import DIM, LEAK, PIXELS, Embedding

__all__ = ["CHUNK", "critic", "decoder", "encoder", "train"]

WIDTHS = (256, 128)  # of the encoder's hidden layers; the decoder has them in reverse
CRITIC_WIDTHS = (256, 256)
BATCH = 64  # pictures of either collection
CHUNK = 50  # steps in one compiled call
RATE = 1e-3

Weights = list[Any]


def _dense(inputs: int, widths: Sequence[int], *last: Any) -> keras.Model:
    hidden = [
        layer
        for width in widths
        for layer in (layers.Dense(width), layers.LeakyReLU(negative_slope=LEAK))
    ]
    return keras.Sequential([keras.Input((inputs,)), *hidden, *last])


def encoder() -> keras.Model:
    """Pictures ``(n, 256)`` to means and log-scales ``(n, 2 DIM)``."""
    return _dense(PIXELS, WIDTHS, layers.Dense(2 * DIM))


def decoder() -> keras.Model:
    """Codes ``(n, DIM)`` to pictures ``(n, 256)`` in [0, 1]."""
    return _dense(DIM, WIDTHS[::-1], layers.Dense(PIXELS, activation="sigmoid"))


def critic() -> keras.Model:
    """Pictures to the features f ``(n, 256)`` and the logit of D ``(n, 1)``."""
    body = _dense(PIXELS, CRITIC_WIDTHS)
    return keras.Model(body.inputs, [body.outputs[0], layers.Dense(1)(body.outputs[0])])


def train(
    a: np.ndarray,
    b: np.ndarray,
    *,
    seed: int,
    steps: int,
    features: float,
    adversary: float,
) -> tuple[Embedding, dict[str, np.ndarray]]:
    """Train on pictures ``(n, 16, 16)`` of both collections, as many of each in a step.

    Args:
        a, b: the two collections.
        seed: of initial weights, minibatches and draws.
        steps: of Adam, with a learning rate that falls to zero along a cosine.
        features: w, of the discriminator's features.
        adversary: v, of the game.

    Returns:
        The embedding, and what became of the losses per `CHUNK` steps: ``kl`` in nats, ``error``
        (mean square of a pixel's), ``critic`` (the discriminator's loss, in nats).
    """
    keras.utils.set_random_seed(seed)
    models = (encoder(), decoder(), critic())
    sides = [jnp.asarray(x.reshape(-1, PIXELS)) for x in (a, b)]
    weights = [[v.value for v in m.trainable_variables] for m in models]
    optimiser = optax.scale_by_adam(b1=0.5, b2=0.9)
    # All that differs is input, not constant, so that all trainings share what is compiled.
    balance = jnp.asarray([features, adversary])
    rates = jnp.asarray(RATE * 0.5 * (1 + np.cos(np.pi * np.arange(steps) / steps)))
    states = [optimiser.init(w) for w in weights]

    def call(model: keras.Model, own: Weights, x: Any) -> Any:
        return model.stateless_call(own, [], x)[0]

    def losses(weights: list[Weights], x: Any, key: Any, balance: Any) -> tuple[Any, Any]:
        own_encoder, own_decoder, own_critic = weights
        held = jax.lax.stop_gradient
        draw, prior = jax.random.normal(key, (2, len(x), DIM))
        mean, log_scale = jnp.split(call(models[0], own_encoder, x), 2, axis=1)
        kl = 0.5 * jnp.sum(mean**2 + jnp.exp(2 * log_scale) - 1 - 2 * log_scale, axis=1).mean()
        again = call(models[1], own_decoder, mean + jnp.exp(log_scale) * draw)
        invented = call(models[1], own_decoder, prior)
        error = jnp.mean((x - again) ** 2)
        pixels = PIXELS / 2 * jnp.log(error)

        # The discriminator as encoder and decoder see it: its own weights held.
        seen, _ = call(models[2], held(own_critic), x)
        drawn, _ = call(models[2], held(own_critic), again)
        # What the game asks goes to the decoder alone.
        _, logit_again = call(
            models[2],
            held(own_critic),
            call(models[1], own_decoder, held(mean + jnp.exp(log_scale) * draw)),
        )
        _, logit_invented = call(models[2], held(own_critic), invented)
        alike = jnp.sum((held(seen) - drawn) ** 2, axis=1).mean()
        fooled = (jax.nn.softplus(-logit_again) + jax.nn.softplus(-logit_invented)).mean()

        # And as it learns: pictures held.
        _, real = call(models[2], own_critic, x)
        _, false = call(models[2], own_critic, held(jnp.concatenate([again, invented])))
        told = jax.nn.softplus(-real).mean() + jax.nn.softplus(false).mean()
        total = kl + pixels + balance[0] * alike + balance[1] * fooled + told
        return total, jnp.stack([kl, error, told])

    def step(sides: list[Any], balance: Any, state: Any, now: Any) -> tuple[Any, Any]:
        (weights, states), (key, rate) = state, now
        rows, noise = jax.random.split(key)
        picked = [
            side[jax.random.randint(k, (BATCH,), 0, len(side))]
            for side, k in zip(sides, jax.random.split(rows), strict=True)
        ]
        x = jnp.concatenate(picked)
        grads, parts = jax.grad(losses, has_aux=True)(weights, x, noise, balance)
        moves = [optimiser.update(g, s) for g, s in zip(grads, states, strict=True)]
        weights = [
            [old - rate * move for old, move in zip(own, m, strict=True)]
            for own, (m, _) in zip(weights, moves, strict=True)
        ]
        return (weights, [s for _, s in moves]), parts

    @jax.jit
    def chunk(state: Any, sides: list[Any], balance: Any, keys: Any, rates: Any) -> tuple[Any, Any]:
        return jax.lax.scan(partial(step, sides, balance), state, (keys, rates))

    state, seen = (weights, states), []
    keys = jax.random.split(jax.random.key(seed), steps)
    for start in range(0, steps, CHUNK):
        now = slice(start, start + CHUNK)
        state, parts = chunk(state, sides, balance, keys[now], rates[now])
        seen.append(np.asarray(parts).mean(axis=0))
    arrays = {
        f"{part}.{k}": np.asarray(w)
        for part, own in zip(("encoder", "decoder"), state[0][:2], strict=True)
        for k, w in enumerate(own)
    }
    curves = dict(zip(("kl", "error", "critic"), np.float32(seen).T, strict=True))
    return Embedding(arrays), curves
