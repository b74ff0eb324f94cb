"""Couplings and autoregressive blocks built from TFP's bijectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...specs import Autoregressive, Coupling, Dense
from .bijections import bijector
from .transformers import scalar_bijector

__all__: list[str] = []


class _Coupling(tfb.Bijector):
    """A part of the features moves, given the others. The network runs once for a point.

    (`tfb.RealNVP` runs it for the value and again for the log-determinant, and a gradient then
    passes through both.) Inside, vectors have features first and points last, as in the JAX
    backend.
    """

    def __init__(self, spec: Coupling, arrays: Mapping[str, Any]) -> None:
        rank = 1 if isinstance(spec.conditioner, Dense) else 3
        super().__init__(forward_min_event_ndims=rank, name="coupling")
        self._spec, self._arrays = spec, arrays
        self._known: dict[Any, tuple[Any, Any]] = {}

    def _forward(self, x: Any) -> Any:
        return self._through(x, inverse=False)[0]

    def _inverse(self, y: Any) -> Any:
        return self._through(y, inverse=True)[0]

    def _forward_log_det_jacobian(self, x: Any) -> Any:
        return self._through(x, inverse=False)[1]

    def _inverse_log_det_jacobian(self, y: Any) -> Any:
        return self._through(y, inverse=True)[1]

    def _through(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        """The image of a point and the log-determinant there, computed together and once."""
        key = x.ref(), inverse
        if key not in self._known:
            vectors = len(x.shape) == 2
            inside = tf.transpose(x) if vectors else x
            apply = self._checkerboard if self._spec.mask == "checkerboard" else self._halves
            y, log_slopes = apply(inside, inverse=inverse)
            axes = [0] if vectors else list(range(1, len(x.shape)))
            self._known[key] = (
                tf.transpose(y) if vectors else y,
                tf.reduce_sum(log_slopes, axis=axes),
            )
        return self._known[key]

    def _halves(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        axis = 0 if len(x.shape) == 2 else -1
        kept, moved = (
            x[half] if axis == 0 else x[..., half] for half in self._spec.halves(x.shape[axis])
        )
        moved, log_slopes = self._move(kept, moved, inverse=inverse)
        return tf.concat((moved, kept) if self._spec.swap else (kept, moved), axis=axis), log_slopes

    def _checkerboard(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        if len(x.shape) == 2:
            kept = self._spec.checkerboard((x.shape[0],))[:, np.newaxis]
        else:
            kept = self._spec.checkerboard(tuple(x.shape[1:]))
        y, log_slopes = self._move(tf.where(kept, x, tf.zeros_like(x)), x, inverse=inverse)
        return tf.where(kept, x, y), tf.where(kept, tf.zeros_like(x), log_slopes)

    def _move(self, kept: Any, moved: Any, *, inverse: bool) -> tuple[Any, Any]:
        scalar = scalar_bijector(self._spec.transformer, self._network(kept))
        if inverse:
            log_slopes = scalar.inverse_log_det_jacobian(moved, event_ndims=0)
            return scalar.inverse(moved), log_slopes + tf.zeros_like(moved)
        log_slopes = scalar.forward_log_det_jacobian(moved, event_ndims=0)
        return scalar.forward(moved), log_slopes + tf.zeros_like(moved)

    def _network(self, x: Any) -> Any:
        """Parameters first, then features and points, or points and pixels and channels."""
        network, count = self._spec.conditioner, self._spec.transformer.parameters
        if isinstance(network, Dense):
            columns = _dense(network, self._arrays, x)
            return tf.reshape(columns, [count, -1, tf.shape(x)[1]])
        images = _convolutional(len(network.hidden), self._arrays, x)
        images = tf.reshape(images, [*tf.unstack(tf.shape(images))[:3], count, -1])
        return tf.transpose(images, [3, 0, 1, 2, 4])


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
    spec: Dense, arrays: Mapping[str, Any], x: Any, masks: list[np.ndarray] | None = None
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


def _convolutional(last: int, arrays: Mapping[str, Any], x: Any) -> Any:
    for layer in range(last + 1):
        weight, bias = arrays[f"layer_{layer}/weight"], arrays[f"layer_{layer}/bias"]
        x = bias + tf.nn.conv2d(x, weight, strides=1, padding="SAME")
        if layer < last:
            x = tf.nn.relu(x)
    return x


@bijector.register
def _(spec: Coupling, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _Coupling(spec, arrays)


@bijector.register
def _(spec: Autoregressive, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _autoregressive(spec, arrays)
