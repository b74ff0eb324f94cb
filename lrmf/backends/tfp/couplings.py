"""Couplings and autoregressive blocks built from TFP's bijectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...specs import Autoregressive, Conditioner, Coupling, Dense
from .bijections import Together, bijector
from .convolutions import convolve
from .transformers import scalar_bijector

__all__ = ["convolutional"]


class _Coupling(Together):
    """A part of the features moves, given the others. The network runs once for a point.

    (`tfb.RealNVP` runs it for the value and again for the log-determinant, and a gradient then
    passes through both.) Inside, features or channels come first, then points, then pixels, as in
    the JAX backend.
    """

    def __init__(self, spec: Coupling, arrays: Mapping[str, Any]) -> None:
        rank = 1 if isinstance(spec.conditioner, Dense) else 3
        super().__init__(rank, "coupling")
        self._spec, self._arrays = spec, arrays

    def _compute(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        rank = len(x.shape)
        kept, inside = None, tf.transpose(x, [rank - 1, *range(rank - 1)])
        if self._spec.mask == "checkerboard":
            board = self._spec.checkerboard(tuple(x.shape[1:]))
            kept = np.moveaxis(board, -1, 0)[:, np.newaxis]
            given, moved = tf.where(kept, inside, tf.zeros_like(inside)), inside
        else:
            given, moved = (inside[half] for half in self._spec.halves(x.shape[-1]))
        shape = [
            self._spec.transformer.parameters,
            *moved.shape[:1],
            *tf.unstack(tf.shape(moved))[1:],
        ]
        scalar = scalar_bijector(self._spec.transformer, tf.reshape(self._network(given), shape))
        if inverse:
            y, log_slopes = scalar.inverse(moved), scalar.inverse_log_det_jacobian(moved)
        else:
            y, log_slopes = scalar.forward(moved), scalar.forward_log_det_jacobian(moved)
        log_slopes = log_slopes + tf.zeros_like(moved)  # a shift has only one for all
        if kept is not None:
            y, log_slopes = tf.where(kept, inside, y), tf.where(kept, tf.zeros_like(y), log_slopes)
        else:
            y = tf.concat((y, given) if self._spec.swap else (given, y), axis=0)
        total = tf.reduce_sum(log_slopes, axis=[0, *range(2, rank)])
        return tf.transpose(y, [*range(1, rank), 0]), total

    def _network(self, x: Any) -> Any:
        if isinstance(self._spec.conditioner, Dense):
            return _dense(self._spec.conditioner, self._arrays, x)
        return convolutional(self._spec.conditioner, self._arrays, x)


def _autoregressive(spec: Autoregressive, arrays: Mapping[str, Any]) -> tfb.Bijector:
    known: dict[Any, tfb.Bijector] = {}

    def given(y: Any) -> tfb.Bijector:
        # One run of the network serves a value and its log-determinant.
        if y.ref() not in known:
            columns = _dense(spec.conditioner, arrays, tf.transpose(y), spec.masks(y.shape[1]))
            columns = tf.reshape(columns, [-1, y.shape[1], tf.shape(y)[0]])
            known[y.ref()] = scalar_bijector(spec.transformer, tf.transpose(columns, [0, 2, 1]))
        return known[y.ref()]

    return tfb.MaskedAutoregressiveFlow(bijector_fn=given)


def _dense(
    spec: Conditioner, arrays: Mapping[str, Any], x: Any, masks: list[np.ndarray] | None = None
) -> Any:
    last = len(spec.hidden)
    for layer in range(last + 1):
        weight, bias = arrays[f"layer_{layer}/weight"], arrays[f"layer_{layer}/bias"]
        if masks is not None:
            weight = tf.where(masks[layer], weight, tf.zeros_like(weight))
        x = tf.matmul(weight, x, transpose_a=True) + bias[:, tf.newaxis]
        if layer < last:
            x = tf.nn.relu(x)
    return x


def convolutional(spec: Conditioner, arrays: Mapping[str, Any], x: Any) -> Any:
    """A convolutional network of images, channels first."""
    last = len(spec.hidden)
    for layer in range(last + 1):
        weight, bias = arrays[f"layer_{layer}/weight"], arrays[f"layer_{layer}/bias"]
        x = convolve(x, weight) + bias[:, tf.newaxis, tf.newaxis, tf.newaxis]
        if layer < last:
            x = tf.nn.relu(x)
    return x


@bijector.register
def _(spec: Coupling, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _Coupling(spec, arrays)


@bijector.register
def _(spec: Autoregressive, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _autoregressive(spec, arrays)
