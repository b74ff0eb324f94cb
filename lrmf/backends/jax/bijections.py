"""Bijections in JAX: value and log-determinant together, forward and inverse."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from ...specs import FFJORD, Affine, Composition, Identity, Inverse

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


class _Chain(Bijection):
    def __init__(self, parts: list[Bijection]) -> None:
        self.parts = parts

    def forward(self, x: Any) -> tuple[Any, Any]:
        return _through(x, [part.forward for part in self.parts])

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return _through(y, [part.inverse for part in reversed(self.parts)])


def _through(x: Any, maps: list[Any]) -> tuple[Any, Any]:
    total = jnp.zeros(x.shape[0], x.dtype)
    for apply in maps:
        x, log_det = apply(x)
        total = total + log_det
    return x, total


class _Inverse(Bijection):
    def __init__(self, flow: Bijection) -> None:
        self.flow = flow

    def forward(self, x: Any) -> tuple[Any, Any]:
        return self.flow.inverse(x)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return self.flow.forward(y)


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
def _(spec: Composition, arrays: Mapping[str, Any]) -> Bijection:
    return _Chain([bijection(part, named) for part, named in spec.parts_with_arrays(arrays)])


@bijection.register
def _(spec: Inverse, arrays: Mapping[str, Any]) -> Bijection:
    return _Inverse(bijection(spec.flow, arrays))
