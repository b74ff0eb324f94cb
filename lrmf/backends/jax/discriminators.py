"""Dense networks in JAX: discriminators, and maps without an inverse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from ...specs import Discriminator, Network

__all__ = ["image", "logits", "spectral_norm"]


def logits(spec: Discriminator, arrays: Mapping[str, Any], x: Any) -> Any:
    """h(x), shape ``(n,)``."""
    return _columns(spec, arrays, x)[0]


def image(spec: Network, arrays: Mapping[str, Any], x: Any) -> Any:
    """The network's images of points, both of shape ``(n, d)``."""
    columns = _columns(spec, arrays, x)
    return x + columns.T


def _columns(spec: Discriminator | Network, arrays: Mapping[str, Any], x: Any) -> Any:
    """What the last layer gives, ``(outputs, n)``."""
    # Features come first and points last, as in the networks of flows.
    columns, last = x.T, len(spec.hidden)
    for layer in range(last + 1):
        weight, bias = arrays[f"layer_{layer}/weight"], arrays[f"layer_{layer}/bias"]
        if spec.spectral_norm:
            weight = weight / spectral_norm(weight, spec.squarings)
        columns = weight.T @ columns + bias[:, None]
        if layer < last:
            columns = jnp.maximum(columns, spec.slope * columns)
    return columns


def spectral_norm(weight: Any, squarings: int) -> Any:
    """The Schatten norm of order 4 * 2^squarings, just above the largest singular value."""
    rows, columns = weight.shape
    norm = jnp.linalg.norm(weight)
    weight = weight / norm
    gram = weight @ weight.T if rows < columns else weight.T @ weight
    log_rest = 0.0
    for k in range(squarings + 1):
        # Scaled before it is squared, so that no power leaves the range of the numbers.
        if k:
            gram = gram @ gram
        size = jnp.linalg.norm(gram)
        gram = gram / size
        log_rest = log_rest + jnp.log(size) / 2 ** (k + 1)
    return norm * jnp.exp(log_rest)
