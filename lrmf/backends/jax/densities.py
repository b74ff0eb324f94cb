"""Densities in JAX."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import jax.scipy.linalg

from ...specs import FlowSpec, Gaussian
from .bijections import Bijection, bijection

__all__ = ["JaxDensity", "PushedForward", "density"]


class JaxDensity(ABC):
    """log-density of points, and base noise made into samples."""

    @abstractmethod
    def log_prob(self, x: Any) -> Any:
        """log p(x), shape ``(n,)``."""

    @abstractmethod
    def push(self, noise: Any) -> Any:
        """Samples from standard normal noise of the same shape."""


@functools.singledispatch
def density(spec: Any, arrays: Mapping[str, Any]) -> JaxDensity:
    """The density that a spec and its arrays describe."""
    raise TypeError(f"the JAX backend has no density for {type(spec).__name__}")


class PushedForward(JaxDensity):
    """The density of f(z), z ~ N(0, I), for a bijection f."""

    def __init__(self, flow: Bijection) -> None:
        self.flow = flow

    def log_prob(self, x: Any) -> Any:
        z, log_det = self.flow.inverse(x)
        return _standard_normal(z) + log_det

    def push(self, noise: Any) -> Any:
        return self.flow.forward(noise)[0]


class _Gaussian(JaxDensity):
    """N(μ, (WᵀW)⁻¹), W lower triangular."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.mean, self.log_diagonal = arrays["mean"], arrays["log_diagonal"]
        self.root = jnp.tril(arrays["lower"], -1) + jnp.diag(jnp.exp(self.log_diagonal))

    def log_prob(self, x: Any) -> Any:
        return _standard_normal((x - self.mean) @ self.root.T) + jnp.sum(self.log_diagonal)

    def push(self, noise: Any) -> Any:
        return self.mean + jax.scipy.linalg.solve_triangular(self.root, noise.T, lower=True).T


def _standard_normal(z: Any) -> Any:
    return -0.5 * jnp.sum(z * z, axis=1) - 0.5 * z.shape[1] * math.log(2.0 * math.pi)


@density.register
def _(spec: Gaussian, arrays: Mapping[str, Any]) -> JaxDensity:
    return _Gaussian(arrays)


@density.register
def _(spec: FlowSpec, arrays: Mapping[str, Any]) -> JaxDensity:
    return PushedForward(bijection(spec, arrays))
