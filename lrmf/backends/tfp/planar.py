"""Planar flows as a TFP bijector, which TFP does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...specs import PlanarBlock
from .bijections import bijector

__all__: list[str] = []


class _Planar(tfb.Bijector):
    """T(x) = x + û tanh(wᵀx + b)."""

    def __init__(self, spec: PlanarBlock, arrays: Mapping[str, Any]) -> None:
        super().__init__(forward_min_event_ndims=1, name="planar")
        self._weight, self._bias = arrays["weight"], arrays["bias"]
        product = tf.tensordot(arrays["direction"], self._weight, 1)
        #: wᵀû, above -1.
        self._fold = tf.nn.softplus(product + spec.offset) - 1.0
        self._direction = arrays["direction"] + (
            self._fold - product
        ) * self._weight / tf.reduce_sum(self._weight**2)

    def _forward(self, x: Any) -> Any:
        return x + tf.tanh(self._level(x))[:, tf.newaxis] * self._direction

    def _inverse(self, y: Any) -> Any:
        return y - tf.tanh(self._solve(self._level(y)))[:, tf.newaxis] * self._direction

    def _forward_log_det_jacobian(self, x: Any) -> Any:
        return tf.math.log1p(self._fold * (1.0 - tf.tanh(self._level(x)) ** 2))

    def _level(self, x: Any) -> Any:
        return tf.linalg.matvec(x, self._weight) + self._bias

    def _solve(self, level: Any) -> Any:
        """The α of α + fold tanh(α) = level."""
        fold, end = tf.stop_gradient(self._fold), tf.stop_gradient(level)
        steps = np.finfo(level.dtype.as_numpy_dtype).nmant + 2

        def halve(low: Any, high: Any) -> tuple[Any, Any]:
            middle = 0.5 * (low + high)
            above = middle + fold * tf.tanh(middle) > end
            return tf.where(above, low, middle), tf.where(above, middle, high)

        width = tf.abs(fold)
        ends = tf.while_loop(
            lambda *_: True, halve, (end - width, end + width), maximum_iterations=steps
        )
        # One step of Newton's: it changes no more than the last digits, but it has the gradient.
        root = tf.stop_gradient(0.5 * (ends[0] + ends[1]))
        bent = tf.tanh(root)
        slope = tf.stop_gradient(1.0 + self._fold * (1.0 - bent * bent))
        return root - (root + self._fold * bent - level) / slope


@bijector.register
def _(spec: PlanarBlock, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _Planar(spec, arrays)
