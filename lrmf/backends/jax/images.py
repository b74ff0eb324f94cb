"""Flows of images in JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np

from ...specs import ActNorm, ChannelMixing, Jet, LastChannels, Squeezing
from ...specs.images import squeeze, unsqueeze
from .bijections import Bijection, bijection
from .couplings import convolutional
from .transformers import apply

__all__: list[str] = []


class _Squeezing(Bijection):
    """A flow of squeezed images."""

    def __init__(self, flow: Bijection, patch: int) -> None:
        self.flow, self.patch = flow, patch

    def forward(self, x: Any) -> tuple[Any, Any]:
        return self._around(self.flow.forward, x)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return self._around(self.flow.inverse, y)

    def _around(self, apply: Any, x: Any) -> tuple[Any, Any]:
        y, log_det = apply(squeeze(x, self.patch))
        return unsqueeze(y, self.patch), log_det


class _LastChannels(Bijection):
    """A flow of half of the channels."""

    def __init__(self, flow: Bijection) -> None:
        self.flow = flow

    def forward(self, x: Any) -> tuple[Any, Any]:
        return self._beside(self.flow.forward, x)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return self._beside(self.flow.inverse, y)

    def _beside(self, apply: Any, x: Any) -> tuple[Any, Any]:
        kept, moved = jnp.split(x, 2, axis=-1)
        moved, log_det = apply(moved)
        return jnp.concatenate((kept, moved), axis=-1), log_det


class _ActNorm(Bijection):
    """T(x) = x exp(s) + b, channel by channel."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.log_scale, self.shift = arrays["log_scale"], arrays["shift"]

    def forward(self, x: Any) -> tuple[Any, Any]:
        return x * jnp.exp(self.log_scale) + self.shift, _of_pixels(jnp.sum(self.log_scale), x)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        x = (y - self.shift) * jnp.exp(-self.log_scale)
        return x, _of_pixels(-jnp.sum(self.log_scale), y)


class _ChannelMixing(Bijection):
    """T(x) = L U x, pixel by pixel."""

    def __init__(self, packed: Any) -> None:
        self.log_diagonal = jnp.diag(packed)
        self.lower = jnp.tril(packed, -1) + jnp.eye(len(packed), dtype=packed.dtype)
        self.upper = jnp.triu(packed, 1) + jnp.diag(jnp.exp(self.log_diagonal))

    def forward(self, x: Any) -> tuple[Any, Any]:
        return x @ (self.lower @ self.upper).T, _of_pixels(jnp.sum(self.log_diagonal), x)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        # The matrix once, for all pixels: it is as small as they are many.
        solve = jax.scipy.linalg.solve_triangular
        half = solve(
            self.lower, jnp.eye(len(self.lower), dtype=y.dtype), lower=True, unit_diagonal=True
        )
        matrix = solve(self.upper, half)
        return y @ matrix.T, _of_pixels(-jnp.sum(self.log_diagonal), y)


def _of_pixels(log_det: Any, x: Any) -> Any:
    """The log-determinant of all pixels, for each image, from that of one."""
    n, h, w, _ = x.shape
    return jnp.broadcast_to(h * w * log_det, (n,))


class _Jet(Bijection):
    """Couplings of patches, one compiled for all, channels first."""

    def __init__(self, spec: Jet, arrays: Mapping[str, Any]) -> None:
        self.spec, self.arrays = spec, dict(arrays)

    def forward(self, x: Any) -> tuple[Any, Any]:
        return self._all(x, inverse=False)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return self._all(y, inverse=True)

    def _all(self, x: Any, *, inverse: bool) -> tuple[Any, Any]:
        spec = self.spec
        inside = jnp.moveaxis(squeeze(x, spec.patch), -1, 0)
        channels, _, h, w = inside.shape
        masks = np.moveaxis(spec.kept((h, w, channels)), -1, 1)[:, :, np.newaxis]

        def couple(state: Any, own: Any) -> tuple[Any, None]:
            (x, total), (arrays, kept) = state, own
            network = convolutional(spec.conditioner, arrays, jnp.where(kept, x, 0.0))
            parameters = network.reshape(spec.transformer.parameters, *x.shape)
            y, log_slopes = apply(spec.transformer, parameters, x, inverse=inverse)
            log_slopes = jnp.where(kept, 0.0, log_slopes)
            return (jnp.where(kept, x, y), total + jnp.sum(log_slopes, axis=(0, 2, 3))), None

        start = inside, jnp.zeros(x.shape[0], x.dtype)
        (y, log_det), _ = jax.lax.scan(couple, start, (self.arrays, masks), reverse=inverse)
        return unsqueeze(jnp.moveaxis(y, 0, -1), spec.patch), log_det


@bijection.register
def _(spec: Squeezing, arrays: Mapping[str, Any]) -> Bijection:
    return _Squeezing(bijection(spec.flow, arrays), spec.patch)


@bijection.register
def _(spec: LastChannels, arrays: Mapping[str, Any]) -> Bijection:
    return _LastChannels(bijection(spec.flow, arrays))


@bijection.register
def _(spec: ActNorm, arrays: Mapping[str, Any]) -> Bijection:
    return _ActNorm(arrays)


@bijection.register
def _(spec: ChannelMixing, arrays: Mapping[str, Any]) -> Bijection:
    return _ChannelMixing(arrays["lower_upper"])


@bijection.register
def _(spec: Jet, arrays: Mapping[str, Any]) -> Bijection:
    return _Jet(spec, arrays)
