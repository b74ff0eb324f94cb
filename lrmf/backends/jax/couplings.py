"""Couplings and autoregressive blocks in JAX.

Inside, features or channels come first, then points, then pixels: XLA's matrix products on the CPU
are several times faster in the weights' gradient that way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...specs import Autoregressive, Conditioner, Coupling, Dense
from .bijections import Bijection, bijection
from .convolutions import convolve
from .transformers import apply

__all__ = ["convolutional"]


class _Coupling(Bijection):
    """A part of the features moves, given the others."""

    def __init__(self, spec: Coupling, arrays: Mapping[str, Any]) -> None:
        self.spec, self.arrays = spec, arrays

    def forward(self, x: Any) -> tuple[Any, Any]:
        return self._apply(x, inverse=False)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return self._apply(y, inverse=True)

    def _apply(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        kept, inside = None, jnp.moveaxis(x, -1, 0)
        if self.spec.mask == "checkerboard":
            kept = np.moveaxis(self.spec.checkerboard(x.shape[1:]), -1, 0)[:, np.newaxis]
            given, moved = jnp.where(kept, inside, 0.0), inside
        else:
            given, moved = (inside[half] for half in self.spec.halves(x.shape[-1]))
        parameters = self._network(given)
        parameters = parameters.reshape(self.spec.transformer.parameters, *moved.shape)
        y, log_slopes = apply(self.spec.transformer, parameters, moved, inverse=inverse)
        if kept is not None:
            y, log_slopes = jnp.where(kept, inside, y), jnp.where(kept, 0.0, log_slopes)
        else:
            y = jnp.concatenate((y, given) if self.spec.swap else (given, y))
        return jnp.moveaxis(y, 0, -1), jnp.sum(log_slopes, axis=(0, *range(2, y.ndim)))

    def _network(self, x: Any) -> Any:
        if isinstance(self.spec.conditioner, Dense):
            return _dense(self.spec.conditioner, self.arrays, x)
        return convolutional(self.spec.conditioner, self.arrays, x)


class _Autoregressive(Bijection):
    """A feature moves, given the images of those before it."""

    def __init__(self, spec: Autoregressive, arrays: Mapping[str, Any]) -> None:
        self.spec, self.arrays = spec, arrays

    def forward(self, x: Any) -> tuple[Any, Any]:
        columns = x.T
        start = jnp.zeros_like(columns), jnp.zeros_like(columns)
        # Each pass gets one feature more right, and the last one all log-slopes.
        (y, log_slopes), _ = jax.lax.scan(
            lambda state, _: (self._step(state[0], columns, inverse=False), None),
            start,
            length=len(columns),
        )
        return y.T, jnp.sum(log_slopes, axis=0)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        columns = y.T
        x, log_slopes = self._step(columns, columns, inverse=True)
        return x.T, jnp.sum(log_slopes, axis=0)

    def _step(self, given: Any, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        masks = self.spec.masks(len(given))
        parameters = _dense(self.spec.conditioner, self.arrays, given, masks)
        return apply(
            self.spec.transformer, parameters.reshape(-1, *given.shape), x, inverse=inverse
        )


def _dense(
    spec: Conditioner, arrays: Mapping[str, Any], x: Any, masks: list[np.ndarray] | None = None
) -> Any:
    last = len(spec.hidden)
    for layer in range(last + 1):
        weight, bias = arrays[f"layer_{layer}/weight"], arrays[f"layer_{layer}/bias"]
        if masks is not None:
            weight = jnp.where(masks[layer], weight, 0.0)
        x = weight.T @ x + bias[:, None]
        if layer < last:
            x = jax.nn.relu(x)
    return x


def convolutional(spec: Conditioner, arrays: Mapping[str, Any], x: Any) -> Any:
    """A convolutional network of images, channels first."""
    last = len(spec.hidden)
    for layer in range(last + 1):
        weight, bias = arrays[f"layer_{layer}/weight"], arrays[f"layer_{layer}/bias"]
        x = convolve(x, weight) + bias[:, None, None, None]
        if layer < last:
            x = jax.nn.relu(x)
    return x


@bijection.register
def _(spec: Coupling, arrays: Mapping[str, Any]) -> Bijection:
    return _Coupling(spec, arrays)


@bijection.register
def _(spec: Autoregressive, arrays: Mapping[str, Any]) -> Bijection:
    return _Autoregressive(spec, arrays)
