"""Scalar transformers as TFP's bijectors."""

from __future__ import annotations

import functools
import math
from typing import Any

import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...specs import Shift, ShiftScale, Spline

__all__ = ["scalar_bijector"]


@functools.singledispatch
def scalar_bijector(transformer: Any, parameters: Any) -> tfb.Bijector:
    """The bijector of numbers with these parameters, ``(parameters, ...)``."""
    raise TypeError(f"the TFP backend has no {type(transformer).__name__}")


@scalar_bijector.register
def _(transformer: Shift, parameters: Any) -> tfb.Bijector:
    return tfb.Shift(parameters[0])


@scalar_bijector.register
def _(transformer: ShiftScale, parameters: Any) -> tfb.Bijector:
    shift, raw_scale = tf.unstack(parameters)
    log_scale = transformer.bound * tf.tanh(raw_scale / transformer.bound)
    return tfb.Shift(shift)(tfb.Scale(log_scale=log_scale))


@scalar_bijector.register
def _(transformer: Spline, parameters: Any) -> tfb.Bijector:
    bound, bins, least = transformer.bound, transformer.bins, transformer.minimum
    # TFP has bins last.
    last = tf.transpose(parameters, [*range(1, len(parameters.shape)), 0])
    raw_widths, raw_heights, raw_slopes = tf.split(last, [bins, bins, bins - 1], axis=-1)
    widths, heights = (
        2.0 * bound * (least + (1.0 - least * bins) * tf.nn.softmax(raw))
        for raw in (raw_widths, raw_heights)
    )
    slopes = least + tf.nn.softplus(raw_slopes + math.log(math.expm1(1.0 - least)))
    return tfb.RationalQuadraticSpline(widths, heights, slopes, range_min=-bound)
