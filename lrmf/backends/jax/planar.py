"""Planar flows in JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ...specs import PlanarBlock
from .bijections import Bijection, bijection

__all__: list[str] = []


class _Planar(Bijection):
    """T(x) = x + û tanh(wᵀx + b)."""

    def __init__(self, spec: PlanarBlock, arrays: Mapping[str, Any]) -> None:
        self.weight, self.bias = arrays["weight"], arrays["bias"]
        product = arrays["direction"] @ self.weight
        #: wᵀû, above -1.
        self.fold = jax.nn.softplus(product + spec.offset) - 1.0
        self.direction = arrays["direction"] + (self.fold - product) * self.weight / (
            self.weight @ self.weight
        )

    def forward(self, x: Any) -> tuple[Any, Any]:
        bent = jnp.tanh(x @ self.weight + self.bias)
        return x + bent[:, None] * self.direction, self._log_det(bent)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        bent = jnp.tanh(self._solve(y @ self.weight + self.bias))
        return y - bent[:, None] * self.direction, -self._log_det(bent)

    def _log_det(self, bent: Any) -> Any:
        return jnp.log1p(self.fold * (1.0 - bent * bent))

    def _solve(self, level: Any) -> Any:
        """The α of α + fold tanh(α) = level."""
        fold, end = jax.lax.stop_gradient((self.fold, level))

        def halve(_: Any, ends: tuple[Any, Any]) -> tuple[Any, Any]:
            low, high = ends
            middle = 0.5 * (low + high)
            above = middle + fold * jnp.tanh(middle) > end
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        width = jnp.abs(fold)
        steps = jnp.finfo(level.dtype).nmant + 2
        low, high = jax.lax.fori_loop(0, steps, halve, (end - width, end + width))
        # One step of Newton's: it changes no more than the last digits, but it has the gradient.
        root = jax.lax.stop_gradient(0.5 * (low + high))
        bent = jnp.tanh(root)
        slope = jax.lax.stop_gradient(1.0 + self.fold * (1.0 - bent * bent))
        return root - (root + self.fold * bent - level) / slope


@bijection.register
def _(spec: PlanarBlock, arrays: Mapping[str, Any]) -> Bijection:
    return _Planar(spec, arrays)
