"""Bijections built from TFP's bijectors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...specs import Affine, Identity, RealNVP

__all__ = ["bijector"]


@functools.singledispatch
def bijector(spec: Any, arrays: Mapping[str, Any]) -> tfb.Bijector:
    """The TFP bijector that a spec and its arrays (tensors) describe."""
    raise TypeError(f"the TFP backend has no bijector for {type(spec).__name__}")


class _LinearOperatorQR(tf.linalg.LinearOperatorFullMatrix):
    """A full matrix whose determinant and solve XLA can compile (it has QR, but not LU)."""

    def _log_abs_determinant(self) -> Any:
        triangular = tf.linalg.qr(self.matrix).r
        return tf.reduce_sum(tf.math.log(tf.abs(tf.linalg.diag_part(triangular))), axis=-1)

    def _solve(self, rhs: Any, adjoint: bool = False, adjoint_arg: bool = False) -> Any:
        matrix = tf.linalg.adjoint(self.matrix) if adjoint else self.matrix
        rhs = tf.linalg.adjoint(rhs) if adjoint_arg else rhs
        orthogonal, triangular = tf.linalg.qr(matrix)
        return tf.linalg.triangular_solve(
            triangular, tf.matmul(orthogonal, rhs, adjoint_a=True), lower=False
        )


@bijector.register
def _(spec: Identity, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return tfb.Identity()


@bijector.register
def _(spec: Affine, arrays: Mapping[str, Any]) -> tfb.Bijector:
    shift = tfb.Shift(arrays["shift"])
    if spec.kind == "diagonal":
        return shift(tfb.Scale(log_scale=arrays["log_scale"]))
    matrix = tfb.ScaleMatvecLinearOperator(_LinearOperatorQR(arrays["matrix"]))
    if spec.kind == "full":
        return shift(matrix)
    adjoint = tfb.ScaleMatvecLinearOperator(_LinearOperatorQR(tf.transpose(arrays["matrix"])))
    return tfb.Chain([shift, adjoint, matrix])


class _Coupling(tfb.Bijector):
    """An affine coupling as in `tfb.RealNVP`, whose network runs once for a point.

    `tfb.RealNVP` runs it for the value and again for the log-determinant, and a gradient then
    passes through both. Inside, features come first and points last, as in the JAX backend.
    """

    def __init__(
        self, spec: RealNVP, arrays: Mapping[str, Any], *, block: int, features: int
    ) -> None:
        super().__init__(forward_min_event_ndims=1, name=f"coupling_{block}")
        self._spec, self._arrays, self._block = spec, arrays, block
        self._condition, self._transformed = spec.halves(block, features)
        self._known: dict[Any, tuple[Any, Any]] = {}

    def _forward(self, x: Any) -> Any:
        shift, log_scale = self._network(x)
        return self._join(x, x[:, self._transformed] * tf.exp(log_scale) + shift)

    def _inverse(self, y: Any) -> Any:
        shift, log_scale = self._network(y)
        return self._join(y, (y[:, self._transformed] - shift) * tf.exp(-log_scale))

    def _forward_log_det_jacobian(self, x: Any) -> Any:
        return tf.reduce_sum(self._network(x)[1], axis=-1)

    def _inverse_log_det_jacobian(self, y: Any) -> Any:
        return -tf.reduce_sum(self._network(y)[1], axis=-1)

    def _join(self, x: Any, transformed: Any) -> Any:
        kept = x[:, self._condition]
        parts = (kept, transformed) if self._block % 2 == 0 else (transformed, kept)
        return tf.concat(parts, axis=-1)

    def _network(self, x: Any) -> tuple[Any, Any]:
        """Shift and log-scale given the features that the coupling leaves alone."""
        key = x.ref()
        if key not in self._known:
            last, bound = len(self._spec.hidden), self._spec.log_scale_bound
            hidden = tf.transpose(x[:, self._condition])
            for layer in range(last + 1):
                name = f"block_{self._block}/layer_{layer}"
                weight, bias = self._arrays[f"{name}/weight"], self._arrays[f"{name}/bias"]
                hidden = tf.matmul(weight, hidden, transpose_a=True) + bias[:, tf.newaxis]
                if layer < last:
                    hidden = tf.nn.relu(hidden)
            shift, raw_scale = tf.split(tf.transpose(hidden), 2, axis=-1)
            self._known[key] = shift, bound * tf.tanh(raw_scale / bound)
        return self._known[key]


@bijector.register
def _(spec: RealNVP, arrays: Mapping[str, Any]) -> tfb.Bijector:
    (features,) = spec.event_shape(arrays)
    couplings = [
        _Coupling(spec, arrays, block=block, features=features) for block in range(spec.blocks)
    ]
    return tfb.Chain(couplings[::-1])
