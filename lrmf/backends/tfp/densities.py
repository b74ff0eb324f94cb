"""Densities built from TFP's distributions."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from ...specs import FlowSpec, Gaussian, Shape
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
    spec: FlowSpec, arrays: Mapping[str, Any], event_shape: Shape, dtype: Any
) -> tfd.Distribution:
    return pushed_forward(bijector(spec, arrays), event_shape, dtype)
