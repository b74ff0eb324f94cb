"""Bijections built from TFP's bijectors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
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


@bijector.register
def _(spec: RealNVP, arrays: Mapping[str, Any]) -> tfb.Bijector:
    (features,) = spec.event_shape(arrays)
    couplings = []
    for block in range(spec.blocks):
        condition, _ = spec.halves(block, features)
        masked = condition.stop - condition.start
        couplings.append(
            tfb.RealNVP(
                num_masked=masked if block % 2 == 0 else -masked,
                bijector_fn=_coupling(spec, arrays, block),
            )
        )
    return tfb.Chain(couplings[::-1])


def _coupling(spec: RealNVP, arrays: Mapping[str, Any], block: int) -> Callable[..., tfb.Bijector]:
    def bijector_fn(x: Any, _: int, **__: Any) -> tfb.Bijector:
        last = len(spec.hidden)
        for layer in range(last + 1):
            name = f"block_{block}/layer_{layer}"
            x = tf.matmul(x, arrays[f"{name}/weight"]) + arrays[f"{name}/bias"]
            if layer < last:
                x = tf.nn.relu(x)
        shift, raw_scale = tf.split(x, 2, axis=-1)
        bound = spec.log_scale_bound
        return tfb.Shift(shift)(tfb.Scale(log_scale=bound * tf.tanh(raw_scale / bound)))

    return bijector_fn
