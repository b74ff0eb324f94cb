"""Convolutions in TensorFlow, with channels first, then images, then pixels."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["convolve"]


def convolve(x: Any, weight: Any) -> Any:
    """Images ``(inputs, n, height, width)`` through filters ``(size, size, inputs, outputs)``.

    The size is 1 or 3, and images have zeros around them. By matrix products, as in JAX.
    """
    size, _, inputs, outputs = weight.shape
    shape, columns = tf.shape(x)[1:], tf.reshape(x, [inputs, -1])
    if size == 1:
        product = tf.matmul(weight[0, 0], columns, transpose_a=True)
        return tf.reshape(product, [outputs, *tf.unstack(shape)])
    if inputs <= outputs:
        columns = tf.reshape(tf.concat(_shifted(x), axis=0), [size**2 * inputs, -1])
        product = tf.matmul(tf.reshape(weight, [-1, outputs]), columns, transpose_a=True)
        return tf.reshape(product, [outputs, *tf.unstack(shape)])
    rows = tf.reshape(tf.transpose(weight, [0, 1, 3, 2]), [-1, inputs])
    every = tf.reshape(tf.matmul(rows, columns), [size**2, outputs, *tf.unstack(shape)])
    return tf.add_n([_shifted(image)[k] for k, image in enumerate(tf.unstack(every))])


def _shifted(x: Any) -> list[Any]:
    """Images moved by -1, 0 and 1 pixels along both axes, row by row."""
    height, width = x.shape[-2:]
    padded = tf.pad(x, [[0, 0]] * (len(x.shape) - 2) + [[1, 1], [1, 1]])
    return [padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]
