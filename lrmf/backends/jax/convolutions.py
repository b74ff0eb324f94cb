"""Convolutions in JAX, with channels first, then images, then pixels."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

__all__ = ["convolve"]


def convolve(x: Any, weight: Any) -> Any:
    """Images ``(inputs, n, height, width)`` through filters ``(size, size, inputs, outputs)``.

    The size is 1 or 3, and images have zeros around them. By matrix products: on the CPU, XLA's
    own convolution is some forty times as slow in the loop over training steps.
    """
    size, _, inputs, outputs = weight.shape
    shape, columns = x.shape[1:], x.reshape(inputs, -1)
    if size == 1:
        return (weight[0, 0].T @ columns).reshape(outputs, *shape)
    # What is shifted is the thinner of the two sides.
    if inputs <= outputs:
        columns = jnp.concatenate(_shifted(x)).reshape(-1, columns.shape[1])
        return (weight.reshape(-1, outputs).T @ columns).reshape(outputs, *shape)
    every = (jnp.swapaxes(weight, 2, 3).reshape(-1, inputs) @ columns).reshape(-1, outputs, *shape)
    return sum(_shifted(image)[k] for k, image in enumerate(every))


def _shifted(x: Any) -> list[Any]:
    """Images moved by -1, 0 and 1 pixels along both axes, row by row."""
    height, width = x.shape[-2:]
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)])
    return [padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]
