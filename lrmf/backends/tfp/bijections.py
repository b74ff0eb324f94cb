"""Bijections built from TFP's bijectors."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...specs import FFJORD, Affine, Composition, Identity, Inverse

__all__ = ["Together", "bijector"]


@functools.singledispatch
def bijector(spec: Any, arrays: Mapping[str, Any]) -> tfb.Bijector:
    """The TFP bijector that a spec and its arrays (tensors) describe."""
    raise TypeError(f"the TFP backend has no bijector for {type(spec).__name__}")


class Together(tfb.Bijector):
    """A bijector whose value and log-determinant are computed together, and once for a point."""

    def __init__(self, rank: int, name: str) -> None:
        super().__init__(forward_min_event_ndims=rank, name=name)
        self._known: dict[Any, tuple[Any, Any]] = {}

    @abstractmethod
    def _compute(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        """The image of a point and the log-determinant there."""

    def _forward(self, x: Any) -> Any:
        return self._through(x, inverse=False)[0]

    def _inverse(self, y: Any) -> Any:
        return self._through(y, inverse=True)[0]

    def _forward_log_det_jacobian(self, x: Any) -> Any:
        return self._through(x, inverse=False)[1]

    def _inverse_log_det_jacobian(self, y: Any) -> Any:
        return self._through(y, inverse=True)[1]

    def _through(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        key = x.ref(), inverse
        if key not in self._known:
            self._known[key] = self._compute(x, inverse=inverse)
        return self._known[key]


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
def _(spec: FFJORD, arrays: Mapping[str, Any]) -> tfb.Bijector:
    from .continuous import continuous

    return continuous(spec, arrays)


@bijector.register
def _(spec: Composition, arrays: Mapping[str, Any]) -> tfb.Bijector:
    parts = [bijector(part, named) for part, named in spec.parts_with_arrays(arrays)]
    # A chain applies its last bijector first.
    return tfb.Chain(parts[::-1])


@bijector.register
def _(spec: Inverse, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return tfb.Invert(bijector(spec.flow, arrays))
