"""The JAX backend: plain functions of arrays, Adam from optax, steps in ``lax.scan``.

It depends on no part of TensorFlow Probability. flowjax bijections and distributions can take the
place of a spec.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from ...checks import check_positive_int
from ...specs import Arrays, Shape
from ..base import Backend, Game, Loss, Role
from . import (
    couplings as couplings,  # it registers its bijections, as the next ones do
    images as images,
    planar as planar,
)
from .bijections import bijection
from .densities import density
from .discriminators import image, logits
from .foreign import adopt, is_sampler, sample_foreign
from .training import JaxTrainer, loss_value, loss_value_and_gradients

__all__ = ["JaxBackend", "backend"]


def call(method: str, spec: Any, arrays: Mapping[str, Any], x: Any) -> Any:
    """A model's method by name."""
    if method == "logits":
        return logits(spec, arrays, x)
    if method == "image":
        return image(spec, arrays, x)
    if method in ("log_prob", "push"):
        return getattr(density(spec, arrays), method)(x)
    return getattr(bijection(spec, arrays), method)(x)


_compiled_call = functools.partial(jax.jit, static_argnums=(0, 1))(call)


def _enable_x64(on: bool) -> AbstractContextManager[Any]:
    """Doubles on or off for a while; JAX before 0.8, such as Colab's, has this elsewhere."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(on)
    from jax import experimental

    return experimental.enable_x64(on)  # type: ignore[attr-defined]


class JaxBackend(Backend):
    """See the package's docstring."""

    name = "jax"

    def adopt(self, model: Any, kind: Any) -> tuple[Any, Arrays, Shape | None]:
        return adopt(model, kind)

    def scope(self, dtype: str) -> AbstractContextManager[Any]:
        # JAX gives float32 for float64 unless told otherwise; the flag is part of its jit keys.
        return _enable_x64(dtype == "float64" or jax.config.read("jax_enable_x64"))

    def is_native(self, x: Any) -> bool:
        return isinstance(x, jax.Array)

    def is_known(self, x: Any) -> bool:
        return not isinstance(x, jax.core.Tracer)

    def asarray(self, x: Any, dtype: str) -> Any:
        # A copy, as JAX may share memory with NumPy, whose arrays change; of another type by NumPy,
        # as JAX would compile that for each shape.
        return jnp.array(x, dtype) if self.is_native(x) else jax.device_put(np.array(x, dtype))

    def namespace(self, *arrays: Any) -> Any:
        return np if all(isinstance(x, np.ndarray) for x in arrays) else jnp

    def call(self, method: str, spec: Any, arrays: Mapping[str, Any], x: Any) -> Any:
        return call(method, spec, arrays, x)

    def call_rows(
        self, method: str, spec: Any, arrays: Mapping[str, Any], x: np.ndarray, dtype: str
    ) -> Any:
        with self.scope(dtype):
            result = _compiled_call(method, spec, dict(arrays), np.asarray(x, dtype))
            return jax.tree.map(np.array, result)

    def sample(
        self,
        spec: Any,
        arrays: Mapping[str, Any],
        n: int,
        seed: int,
        event_shape: Shape,
        dtype: str,
    ) -> np.ndarray:
        if is_sampler(spec):
            with self.scope(dtype):
                return sample_foreign(spec, arrays, n, seed)
        return super().sample(spec, arrays, n, seed, event_shape, dtype)

    def trainer(
        self,
        loss: Loss | Game,
        roles: tuple[Role, ...],
        arrays: Mapping[str, Arrays],
        data: Mapping[str, Any],
        *,
        gradient_clip: float,
        dtype: str,
        devices: int | None = None,
    ) -> JaxTrainer:
        return JaxTrainer(self, loss, roles, arrays, data, gradient_clip, dtype, devices)

    def count_devices(self, devices: int | Literal["all"] | None) -> int | None:
        if devices is None:
            return None
        count = jax.device_count()
        if devices == "all":
            return count
        check_positive_int("devices", devices)
        if devices > count:
            raise ValueError(
                f"devices={devices}, but JAX has {count} ({jax.default_backend()}); lower it, or "
                "start the other hosts' processes and call jax.distributed.initialize() in each"
            )
        if jax.process_count() > 1 and devices != count:
            raise ValueError(
                f"devices={devices}: each of {jax.process_count()} processes takes part with all "
                f"its devices, {count} together; set devices='all'"
            )
        return int(devices)

    def writes_files(self) -> bool:
        return jax.process_index() == 0

    def loss_and_gradients(
        self,
        loss: Loss,
        roles: tuple[Role, ...],
        arrays: Mapping[str, Arrays],
        batch: Mapping[str, np.ndarray],
        *,
        dtype: str,
    ) -> tuple[float, dict[str, Arrays]]:
        with self.scope(dtype):
            native = jax.tree.map(lambda x: np.asarray(x, dtype), (dict(arrays), dict(batch)))
            value, gradients = loss_value_and_gradients(self, loss, roles, dtype, *native)
            return float(value), jax.tree.map(np.array, gradients)

    def loss(self, loss: Loss, roles: tuple[Role, ...], dtype: str, arrays: Any, batch: Any) -> Any:
        """A loss on arrays of the backend."""
        return loss_value(self, loss, roles, dtype, arrays, batch)


backend = JaxBackend()
