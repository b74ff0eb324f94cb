"""Bijections in JAX: value and log-determinant together, forward and inverse."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ...specs import FFJORD, Affine, Identity, RealNVP

__all__ = ["Bijection", "bijection"]


class Bijection(ABC):
    """``log_det`` MUST be log|det| of the Jacobian of the map just applied, shape ``(n,)``."""

    @abstractmethod
    def forward(self, x: Any) -> tuple[Any, Any]:
        """T(x) and log|det ∇T(x)|."""

    @abstractmethod
    def inverse(self, y: Any) -> tuple[Any, Any]:
        """T⁻¹(y) and log|det ∇T⁻¹(y)|."""


@functools.singledispatch
def bijection(spec: Any, arrays: Mapping[str, Any]) -> Bijection:
    """The bijection that a spec and its arrays describe."""
    raise TypeError(f"the JAX backend has no bijection for {type(spec).__name__}")


class _Identity(Bijection):
    def forward(self, x: Any) -> tuple[Any, Any]:
        return x, jnp.zeros(x.shape[0], x.dtype)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return self.forward(y)


class _Linear(Bijection):
    """T(x) = M x + b."""

    def __init__(self, matrix: Any, shift: Any, log_abs_det: Any) -> None:
        self.matrix, self.shift, self.log_abs_det = matrix, shift, log_abs_det

    def forward(self, x: Any) -> tuple[Any, Any]:
        y = x @ self.matrix.T + self.shift
        return y, jnp.broadcast_to(self.log_abs_det, x.shape[:1])

    def inverse(self, y: Any) -> tuple[Any, Any]:
        x = jnp.linalg.solve(self.matrix, (y - self.shift).T).T
        return x, jnp.broadcast_to(-self.log_abs_det, y.shape[:1])


class _Diagonal(Bijection):
    """T(x) = exp(s) * x + b."""

    def __init__(self, log_scale: Any, shift: Any) -> None:
        self.log_scale, self.shift = log_scale, shift

    def forward(self, x: Any) -> tuple[Any, Any]:
        y = x * jnp.exp(self.log_scale) + self.shift
        return y, jnp.broadcast_to(jnp.sum(self.log_scale), x.shape[:1])

    def inverse(self, y: Any) -> tuple[Any, Any]:
        x = (y - self.shift) * jnp.exp(-self.log_scale)
        return x, jnp.broadcast_to(-jnp.sum(self.log_scale), y.shape[:1])


class _Couplings(Bijection):
    """RealNVP: affine couplings over alternating halves.

    Inside, features come first and points last: XLA's matrix products on the CPU are several
    times faster in the weights' gradient that way.
    """

    def __init__(self, spec: RealNVP, arrays: Mapping[str, Any]) -> None:
        self.spec, self.arrays = spec, arrays

    def forward(self, x: Any) -> tuple[Any, Any]:
        columns, total = x.T, jnp.zeros(x.shape[0], x.dtype)
        for block in range(self.spec.blocks):
            condition, transformed = self.spec.halves(block, x.shape[1])
            kept = columns[condition]
            shift, log_scale = self._network(block, kept)
            columns = _join(kept, columns[transformed] * jnp.exp(log_scale) + shift, block)
            total = total + jnp.sum(log_scale, axis=0)
        return columns.T, total

    def inverse(self, y: Any) -> tuple[Any, Any]:
        columns, total = y.T, jnp.zeros(y.shape[0], y.dtype)
        for block in reversed(range(self.spec.blocks)):
            condition, transformed = self.spec.halves(block, y.shape[1])
            kept = columns[condition]
            shift, log_scale = self._network(block, kept)
            columns = _join(kept, (columns[transformed] - shift) * jnp.exp(-log_scale), block)
            total = total - jnp.sum(log_scale, axis=0)
        return columns.T, total

    def _network(self, block: int, x: Any) -> tuple[Any, Any]:
        last = len(self.spec.hidden)
        for layer in range(last + 1):
            name = f"block_{block}/layer_{layer}"
            x = self.arrays[f"{name}/weight"].T @ x + self.arrays[f"{name}/bias"][:, None]
            if layer < last:
                x = jax.nn.relu(x)
        shift, raw_scale = jnp.split(x, 2)
        bound = self.spec.log_scale_bound
        return shift, bound * jnp.tanh(raw_scale / bound)


def _join(kept: Any, transformed: Any, block: int) -> Any:
    return jnp.concatenate((kept, transformed) if block % 2 == 0 else (transformed, kept))


@bijection.register
def _(spec: Identity, arrays: Mapping[str, Any]) -> Bijection:
    return _Identity()


@bijection.register
def _(spec: Affine, arrays: Mapping[str, Any]) -> Bijection:
    if spec.kind == "diagonal":
        return _Diagonal(arrays["log_scale"], arrays["shift"])
    matrix = arrays["matrix"]
    log_abs_det = jnp.linalg.slogdet(matrix)[1]
    if spec.kind == "positive_definite":
        matrix, log_abs_det = matrix.T @ matrix, 2.0 * log_abs_det
    return _Linear(matrix, arrays["shift"], log_abs_det)


@bijection.register
def _(spec: FFJORD, arrays: Mapping[str, Any]) -> Bijection:
    # Imported where it is used: diffrax takes almost as long as JAX itself.
    from .continuous import Continuous

    return Continuous(spec, arrays)


@bijection.register
def _(spec: RealNVP, arrays: Mapping[str, Any]) -> Bijection:
    return _Couplings(spec, arrays)
