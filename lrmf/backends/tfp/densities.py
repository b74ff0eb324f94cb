"""Densities built from TFP's distributions."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb, distributions as tfd

from ...specs import FlowSpec, Gaussian, Histogram, Shape
from .bijections import bijector

__all__ = ["distribution", "pushed_forward"]


@functools.singledispatch
def distribution(
    spec: Any, arrays: Mapping[str, Any], event_shape: Shape, dtype: Any
) -> tfd.Distribution:
    """The TFP distribution that a spec and its arrays (tensors) describe."""
    raise TypeError(f"the TFP backend has no distribution for {type(spec).__name__}")


def pushed_forward(flow: tfb.Bijector, event_shape: Shape, dtype: Any) -> tfd.Distribution:
    """The distribution of f(z), z ~ N(0, I)."""
    normal = tfd.Normal(tf.zeros(event_shape, dtype), tf.ones([], dtype))
    base = tfd.Independent(normal, reinterpreted_batch_ndims=len(event_shape))
    return tfd.TransformedDistribution(base, flow)


class _Quantiles(tfb.Bijector):
    """From standard normal noise to the points of a histogram.

    Feature by feature it is the quantile function given the bins of the features before.
    """

    def __init__(self, spec: Histogram, probabilities: Any) -> None:
        self._spec, self._probabilities = spec, probabilities
        super().__init__(forward_min_event_ndims=1, dtype=probabilities.dtype, name="quantiles")

    def _forward(self, x: Any) -> Any:
        below_one = 1.0 - np.finfo(self.dtype.as_numpy_dtype).epsneg
        bins, cell, columns = self._spec.bins, tf.zeros(tf.shape(x)[0], tf.int32), []
        for k, edges in enumerate(map(np.array, self._spec.edges)):
            u = tf.minimum(tfd.Normal(tf.zeros([], x.dtype), 1.0).cdf(x[:, k]), below_one)
            grid = (math.prod(bins[:k]), bins[k], math.prod(bins[k + 1 :]))
            table = tf.reduce_sum(tf.reshape(self._probabilities, grid), axis=-1)
            upper = tf.cumsum(tf.gather(table, cell), axis=1)
            upper = upper / upper[:, -1:]
            index = tf.reduce_sum(tf.cast(upper <= u[:, tf.newaxis], tf.int32), axis=1)
            ends = tf.pad(upper, [[0, 0], [1, 0]])
            low, high = (tf.gather(ends, i, batch_dims=1) for i in (index, index + 1))
            left, width = (
                tf.gather(tf.constant(v, x.dtype), index) for v in (edges[:-1], np.diff(edges))
            )
            columns.append(left + width * (u - low) / (high - low))
            cell = cell * bins[k] + index
        return tf.stack(columns, axis=1)


class _Histogram(tfd.Distribution):
    """Constant in each cell of a grid, zero outside."""

    def __init__(self, spec: Histogram, logits: Any) -> None:
        self._spec = spec
        self._log_probabilities = tf.nn.log_softmax(tf.reshape(logits, [-1]))
        self.bijector = _Quantiles(spec, tf.exp(self._log_probabilities))
        super().__init__(
            dtype=logits.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            name="histogram",
        )

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([len(self._spec.edges)])

    def _batch_shape(self) -> tf.TensorShape:
        return tf.TensorShape([])

    def _log_prob(self, x: Any) -> Any:
        cell, log_volume, inside = 0, 0.0, True
        for k, edges in enumerate(map(np.array, self._spec.edges)):
            feature, ends = x[:, k], tf.constant(edges, x.dtype)
            above = feature[:, tf.newaxis] >= ends[1:-1]
            index = tf.reduce_sum(tf.cast(above, tf.int32), axis=1)
            cell = cell * self._spec.bins[k] + index
            log_volume += tf.gather(tf.constant(np.log(np.diff(edges)), x.dtype), index)
            inside = inside & (ends[0] <= feature) & (feature <= ends[-1])
        log_prob = tf.gather(self._log_probabilities, cell) - log_volume
        return tf.where(inside, log_prob, tf.constant(-math.inf, x.dtype))


@distribution.register
def _(
    spec: Gaussian, arrays: Mapping[str, Any], event_shape: Shape, dtype: Any
) -> tfd.Distribution:
    root = tf.linalg.set_diag(
        tf.linalg.band_part(arrays["lower"], -1, 0), tf.exp(arrays["log_diagonal"])
    )
    whiten = tfb.Chain([tfb.ScaleMatvecTriL(root), tfb.Shift(-arrays["mean"])])
    return pushed_forward(tfb.Invert(whiten), event_shape, dtype)


@distribution.register
def _(
    spec: Histogram, arrays: Mapping[str, Any], event_shape: Shape, dtype: Any
) -> tfd.Distribution:
    return _Histogram(spec, arrays["logits"])


@distribution.register
def _(
    spec: FlowSpec, arrays: Mapping[str, Any], event_shape: Shape, dtype: Any
) -> tfd.Distribution:
    return pushed_forward(bijector(spec, arrays), event_shape, dtype)
