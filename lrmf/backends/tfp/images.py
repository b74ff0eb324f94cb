"""Flows of images built from TFP's bijectors, as far as it has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...specs import ActNorm, ChannelMixing, Jet, LastChannels, Squeezing
from .bijections import Together, bijector
from .couplings import convolutional
from .transformers import scalar_bijector

__all__: list[str] = []


class _Squeezing(Together):
    """A flow of squeezed images."""

    def __init__(self, flow: tfb.Bijector, patch: int) -> None:
        super().__init__(3, "squeezing")
        self._flow, self._patch = flow, patch

    def _compute(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        y, log_det = _both(self._flow, _squeeze(x, self._patch), inverse=inverse)
        return _unsqueeze(y, self._patch), log_det


class _LastChannels(Together):
    """A flow of half of the channels."""

    def __init__(self, flow: tfb.Bijector) -> None:
        super().__init__(3, "last_channels")
        self._flow = flow

    def _compute(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        kept, moved = tf.split(x, 2, axis=-1)
        moved, log_det = _both(self._flow, moved, inverse=inverse)
        return tf.concat((kept, moved), axis=-1), log_det


class _Jet(Together):
    """Couplings of patches, channels first."""

    def __init__(self, spec: Jet, arrays: Mapping[str, Any]) -> None:
        super().__init__(3, "jet")
        self._spec, self._arrays = spec, arrays

    def _compute(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        spec = self._spec
        inside = tf.transpose(_squeeze(x, spec.patch), [3, 0, 1, 2])
        channels, _, h, w = inside.shape
        masks = np.moveaxis(spec.kept((h, w, channels)), -1, 1)[:, :, np.newaxis]
        total: Any = 0.0
        order = range(spec.couplings)
        for k in reversed(order) if inverse else order:
            given = tf.where(masks[k], inside, tf.zeros_like(inside))
            network = convolutional(spec.conditioner, spec.coupling_arrays(self._arrays, k), given)
            shape = [spec.transformer.parameters, channels, *tf.unstack(tf.shape(inside))[1:]]
            scalar = scalar_bijector(spec.transformer, tf.reshape(network, shape))
            y, log_slopes = _both(scalar, inside, inverse=inverse, rank=0)
            log_slopes = tf.where(masks[k], tf.zeros_like(inside), log_slopes)
            total = total + tf.reduce_sum(log_slopes, axis=[0, 2, 3])
            inside = tf.where(masks[k], inside, y)
        return _unsqueeze(tf.transpose(inside, [1, 2, 3, 0]), spec.patch), total


def _both(flow: tfb.Bijector, x: Any, *, inverse: bool, rank: int = 3) -> tuple[Any, Any]:
    """The image of points, or that by the inverse, and the log-determinant."""
    if inverse:
        return flow.inverse(x), flow.inverse_log_det_jacobian(x, event_ndims=rank)
    return flow.forward(x), flow.forward_log_det_jacobian(x, event_ndims=rank)


def _squeeze(x: Any, patch: int) -> Any:
    return x if patch == 1 else tf.nn.space_to_depth(x, patch)


def _unsqueeze(x: Any, patch: int) -> Any:
    return x if patch == 1 else tf.nn.depth_to_space(x, patch)


@bijector.register
def _(spec: Squeezing, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _Squeezing(bijector(spec.flow, arrays), spec.patch)


@bijector.register
def _(spec: LastChannels, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _LastChannels(bijector(spec.flow, arrays))


@bijector.register
def _(spec: ActNorm, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return tfb.Shift(arrays["shift"])(tfb.Scale(log_scale=arrays["log_scale"]))


@bijector.register
def _(spec: ChannelMixing, arrays: Mapping[str, Any]) -> tfb.Bijector:
    packed = arrays["lower_upper"]
    factors = tf.linalg.set_diag(packed, tf.exp(tf.linalg.diag_part(packed)))
    return tfb.ScaleMatvecLU(factors, permutation=tf.range(packed.shape[0]))


@bijector.register
def _(spec: Jet, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _Jet(spec, arrays)
