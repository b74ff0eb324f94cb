"""Bijections built from TFP's bijectors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...specs import FFJORD, Affine, Identity, RealNVP

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


class _Couplings(tfb.Bijector):
    """RealNVP: affine couplings over alternating halves, whose networks run once for a point.

    A chain of `tfb.RealNVP` runs each network for the value and again for the log-determinant,
    and a gradient then passes through both. Inside, features come first and points last, as in
    the JAX backend.
    """

    def __init__(self, spec: RealNVP, arrays: Mapping[str, Any]) -> None:
        super().__init__(forward_min_event_ndims=1, name="real_nvp")
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
            columns, total = tf.transpose(x), tf.zeros(tf.shape(x)[:1], x.dtype)
            blocks = range(self._spec.blocks)
            for block in reversed(blocks) if inverse else blocks:
                condition, transformed = self._spec.halves(block, x.shape[1])
                kept, moved = columns[condition], columns[transformed]
                shift, log_scale = self._network(block, kept)
                if inverse:
                    moved, log_det = (moved - shift) * tf.exp(-log_scale), -log_scale
                else:
                    moved, log_det = moved * tf.exp(log_scale) + shift, log_scale
                columns = tf.concat((kept, moved) if block % 2 == 0 else (moved, kept), axis=0)
                total = total + tf.reduce_sum(log_det, axis=0)
            self._known[key] = tf.transpose(columns), total
        return self._known[key]

    def _network(self, block: int, x: Any) -> tuple[Any, Any]:
        """Shift and log-scale given the features that the coupling leaves alone."""
        last, bound = len(self._spec.hidden), self._spec.log_scale_bound
        for layer in range(last + 1):
            name = f"block_{block}/layer_{layer}"
            weight, bias = self._arrays[f"{name}/weight"], self._arrays[f"{name}/bias"]
            x = tf.matmul(weight, x, transpose_a=True) + bias[:, tf.newaxis]
            if layer < last:
                x = tf.nn.relu(x)
        shift, raw_scale = tf.split(x, 2, axis=0)
        return shift, bound * tf.tanh(raw_scale / bound)


@bijector.register
def _(spec: FFJORD, arrays: Mapping[str, Any]) -> tfb.Bijector:
    from .continuous import continuous

    return continuous(spec, arrays)


@bijector.register
def _(spec: RealNVP, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _Couplings(spec, arrays)
