"""Densities in JAX."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np

from ...specs import FlowSpec, Gaussian, Histogram
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


class _Histogram(JaxDensity):
    """Constant in each cell of a grid, zero outside."""

    def __init__(self, spec: Histogram, logits: Any) -> None:
        self.edges, self.bins = [np.array(edges) for edges in spec.edges], spec.bins
        self.log_probabilities = jax.nn.log_softmax(logits.ravel())

    def log_prob(self, x: Any) -> Any:
        cell: Any = 0
        log_volume: Any = 0.0
        inside: Any = True
        for k, edges in enumerate(self.edges):
            feature, low, high = x[:, k], *edges[[0, -1]].astype(x.dtype)
            index = jnp.searchsorted(jnp.asarray(edges[1:-1], x.dtype), feature, side="right")
            cell = cell * self.bins[k] + index
            log_volume = log_volume + jnp.asarray(np.log(np.diff(edges)), x.dtype)[index]
            inside = inside & (low <= feature) & (feature <= high)
        return jnp.where(inside, self.log_probabilities[cell] - log_volume, -jnp.inf)

    def push(self, noise: Any) -> Any:
        # Feature by feature, the quantile function given the bins of the features before.
        shares, columns = jnp.exp(self.log_probabilities), []
        cell: Any = 0
        below_one = 1.0 - jnp.finfo(noise.dtype).epsneg
        for k, edges in enumerate(self.edges):
            u = jnp.minimum(jax.scipy.stats.norm.cdf(noise[:, k]), below_one)
            table = shares.reshape(math.prod(self.bins[:k]), self.bins[k], -1).sum(axis=-1)
            upper = jnp.cumsum(jnp.broadcast_to(table[cell], (len(u), self.bins[k])), axis=1)
            upper = upper / upper[:, -1:]
            index = jnp.sum(upper <= u[:, None], axis=1)
            ends = jnp.pad(upper, ((0, 0), (1, 0)))
            low, high = (
                jnp.take_along_axis(ends, i[:, None], axis=1)[:, 0] for i in (index, index + 1)
            )
            left, width = (jnp.asarray(v, u.dtype)[index] for v in (edges[:-1], np.diff(edges)))
            columns.append(left + width * (u - low) / (high - low))
            cell = cell * self.bins[k] + index
        return jnp.stack(columns, axis=1)


def _standard_normal(z: Any) -> Any:
    size = math.prod(z.shape[1:])
    return -0.5 * jnp.sum(z * z, axis=range(1, z.ndim)) - 0.5 * size * math.log(2.0 * math.pi)


@density.register
def _(spec: Gaussian, arrays: Mapping[str, Any]) -> JaxDensity:
    return _Gaussian(arrays)


@density.register
def _(spec: Histogram, arrays: Mapping[str, Any]) -> JaxDensity:
    return _Histogram(spec, arrays["logits"])


@density.register
def _(spec: FlowSpec, arrays: Mapping[str, Any]) -> JaxDensity:
    return PushedForward(bijection(spec, arrays))
