"""The TensorFlow Probability backend: its bijectors and distributions, steps in one XLA loop.

TFP bijectors and distributions can take the place of a spec.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from ...specs import Arrays, Shape
from ..base import ROWS, Backend, Game, Loss, Role
from . import (
    couplings as couplings,  # it registers its bijectors, as the next ones do
    images as images,
    planar as planar,
)
from .bijections import bijector
from .densities import distribution
from .discriminators import image, logits
from .foreign import adopt, check_events, is_sampler, preserved, sample_foreign, variables
from .training import TFPTrainer, loss_value_and_gradients

__all__ = ["TFPBackend", "backend"]


# Models of the same kind share one graph for each shape. It gives the same numbers as operation by
# operation, sixty times as fast where a differential equation is solved.
@functools.lru_cache(maxsize=256)
def _graph(
    backend: TFPBackend, method: str, spec: Any, shape: Shape, dtype: str
) -> Callable[..., Any]:
    return tf.function(functools.partial(backend.call, method, spec), autograph=False)


class TFPBackend(Backend):
    """See the package's docstring."""

    name = "tfp"

    def adopt(self, model: Any, kind: Any) -> tuple[Any, Arrays, Shape | None]:
        return adopt(model, kind)

    def thread_safe(self, role: Role) -> bool:
        return variables(role.spec) is None

    def init(
        self, kind: Any, spec: Any, event_shape: Shape, rng: np.random.Generator
    ) -> tuple[Role, Arrays]:
        role, arrays = super().init(kind, spec, event_shape, rng)
        check_events(role.spec, event_shape)
        return role, arrays

    def scope(self, dtype: str) -> AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def is_native(self, x: Any) -> bool:
        return isinstance(x, (tf.Tensor, tf.Variable))

    def is_known(self, x: Any) -> bool:
        return not tf.is_symbolic_tensor(x)

    def asarray(self, x: Any, dtype: str) -> Any:
        return tf.convert_to_tensor(np.asarray(x), dtype=dtype)

    def namespace(self, *arrays: Any) -> Any:
        return np if all(isinstance(x, np.ndarray) for x in arrays) else tf.experimental.numpy

    def call(self, method: str, spec: Any, arrays: Mapping[str, Any], x: Any) -> Any:
        with preserved(spec):
            # A new tensor: bijectors remember what they mapped to the old one, whatever has
            # become of their variables since.
            return self._call(method, spec, arrays, tf.identity(x))

    def _call(self, method: str, spec: Any, arrays: Mapping[str, Any], x: Any) -> Any:
        if method == "logits":
            return logits(spec, arrays, x)
        if method == "image":
            return image(spec, arrays, x)
        if method in ("log_prob", "push"):
            density = distribution(spec, arrays, tuple(x.shape[1:]), x.dtype)
            return density.log_prob(x) if method == "log_prob" else density.bijector.forward(x)
        if method.endswith("_evaluations"):
            from .continuous import evaluations

            return evaluations(spec, arrays, x, inverse=method.startswith("inverse"))
        flow, rank = bijector(spec, arrays), len(x.shape) - 1
        if method == "forward":
            y, log_det = flow.forward(x), flow.forward_log_det_jacobian(x, event_ndims=rank)
        else:
            y, log_det = flow.inverse(x), flow.inverse_log_det_jacobian(x, event_ndims=rank)
        # A constant Jacobian comes without the batch dimension.
        return y, tf.broadcast_to(log_det, tf.shape(x)[:1])

    def call_rows(
        self, method: str, spec: Any, arrays: Mapping[str, Any], x: np.ndarray, dtype: str
    ) -> Any:
        tensor = self.asarray(x, dtype)
        # A foreign model computes with its variables, one call at a time; and a graph would be
        # traced for each new number of rows, which a count of evaluations is worth.
        counts = method.endswith("_evaluations")
        if variables(spec) is not None or not (counts or len(x) in ROWS):
            result = self.call(method, spec, arrays, tensor)
        else:
            named = {name: tf.convert_to_tensor(value, dtype) for name, value in arrays.items()}
            result = _graph(self, method, spec, x.shape, dtype)(named, tensor)
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), result)

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
            with preserved(spec):
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
    ) -> TFPTrainer:
        return TFPTrainer(self, loss, roles, arrays, data, gradient_clip, dtype)

    def count_devices(self, devices: int | Literal["all"] | None) -> int | None:
        if devices is None:
            return None
        raise ValueError(
            f"devices={devices!r}: the TFP backend fits on one device, whose compiled loop holds "
            "all arrays; set devices=None, or backend='jax', which divides batches over several"
        )

    def loss_and_gradients(
        self,
        loss: Loss,
        roles: tuple[Role, ...],
        arrays: Mapping[str, Arrays],
        batch: Mapping[str, np.ndarray],
        *,
        dtype: str,
    ) -> tuple[float, dict[str, Arrays]]:
        native = {
            role: {name: self.asarray(value, dtype) for name, value in named.items()}
            for role, named in arrays.items()
        }
        tensors = {name: self.asarray(x, dtype) for name, x in batch.items()}
        value, gradients = loss_value_and_gradients(self, loss, roles, dtype, native, tensors)
        return float(value), tf.nest.map_structure(lambda tensor: tensor.numpy(), gradients)


backend = TFPBackend()
