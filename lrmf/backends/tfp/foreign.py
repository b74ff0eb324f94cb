"""TFP bijectors and distributions in place of a spec.

Such an object computes with the variables it holds. It serves as a workspace: before each use
the wanted arrays are assigned to its variables, and afterwards its own values are put back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb, distributions as tfd

from ...models import Flow
from ...specs import Arrays, Shape
from .bijections import bijector
from .densities import distribution, pushed_forward

__all__ = [
    "ForeignBijector",
    "ForeignDistribution",
    "adopt",
    "check_events",
    "is_sampler",
    "preserved",
    "sample_foreign",
    "variables",
]


@dataclass(frozen=True, eq=False)
class ForeignBijector:
    """Stands for a spec: a TFP object and the names of its trainable variables."""

    model: Any
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ForeignDistribution(ForeignBijector):
    """The same for a TFP distribution."""


def adopt(model: Any, kind: Any) -> tuple[ForeignBijector, Arrays, Shape | None]:
    """A stand-in for the spec of a TFP object, and its named arrays."""
    event_shape: Shape | None = None
    if isinstance(model, tfb.Bijector):
        wrapper: type[ForeignBijector] = ForeignBijector
    elif isinstance(model, tfd.Distribution) and kind is not Flow:
        wrapper = ForeignDistribution
        if model.event_shape.is_fully_defined():
            event_shape = tuple(model.event_shape)
    else:
        raise TypeError(
            "the TFP backend takes lrmf specs and TFP bijectors (as density also TFP "
            f"distributions), got {type(model).__name__}"
        )
    if not model.trainable_variables:
        raise ValueError(
            f"{type(model).__name__} has no trainable variables: TFP loses those of a Keras 3 "
            "model in a closure, and of networks not built yet. Hold tf.Variables, and call the "
            "object once before passing it"
        )
    named = {
        f"{i:03d}/{variable.name}": variable.numpy()
        for i, variable in enumerate(model.trainable_variables)
    }
    return wrapper(model, tuple(named)), named, event_shape


def check_events(spec: Any, event_shape: Shape) -> None:
    """Refuse a foreign bijector that does not map events of this shape to such events.

    A bijector does not know its event shape, so it is tried on a few points: broadcasting would
    otherwise mix points, or fail deep inside the compiled loop.
    """
    if not isinstance(spec, ForeignBijector) or isinstance(spec, ForeignDistribution):
        return
    n = 7  # unlikely to be the size of anything in the bijector
    x = tf.zeros((n, *event_shape), spec.model.trainable_variables[0].dtype)
    try:
        y = spec.model.forward(x)
        log_det = spec.model.forward_log_det_jacobian(x, event_ndims=len(event_shape))
        fits = y.shape == x.shape and log_det.shape in ((), (1,), (n,))
        found = f"it maps {x.shape} to {y.shape} and gives log-determinants {log_det.shape}"
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        fits, found = False, str(error)
    if not fits:
        raise ValueError(
            f"{type(spec.model).__name__} does not map events of shape {event_shape} to such "
            f"events; make one for the data's event shape ({found})"
        )


def variables(spec: Any) -> dict[str, Any] | None:
    """The trainable variables of a foreign model by name, ``None`` for a spec."""
    if not isinstance(spec, ForeignBijector):
        return None
    return dict(zip(spec.names, spec.model.trainable_variables, strict=True))


@contextlib.contextmanager
def preserved(spec: Any) -> Iterator[None]:
    """Put the own values of a foreign model back afterwards, in a graph too."""
    held = (variables(spec) or {}).values()
    values = [tf.identity(v) for v in held]
    try:
        yield
    finally:
        for variable, value in zip(held, values, strict=True):
            variable.assign(value)


def _loaded(spec: ForeignBijector, arrays: Mapping[str, Any]) -> Any:
    for name, variable in (variables(spec) or {}).items():
        if variable.dtype != arrays[name].dtype:
            raise ValueError(
                f"{type(spec.model).__name__} computes with {variable.dtype.name} variables, but "
                f"{arrays[name].dtype.name} was asked for; set dtype={variable.dtype.name!r}, or "
                "make the object anew with variables of the other type"
            )
        variable.assign(arrays[name])
    return spec.model


@bijector.register
def _(spec: ForeignBijector, arrays: Mapping[str, Any]) -> tfb.Bijector:
    return _loaded(spec, arrays)


@distribution.register
def _(
    spec: ForeignBijector, arrays: Mapping[str, Any], event_shape: Shape, dtype: Any
) -> tfd.Distribution:
    return pushed_forward(_loaded(spec, arrays), event_shape, dtype)


@distribution.register
def _(
    spec: ForeignDistribution, arrays: Mapping[str, Any], event_shape: Shape, dtype: Any
) -> tfd.Distribution:
    return _loaded(spec, arrays)


def is_sampler(spec: Any) -> bool:
    """Whether the density brings its own sampler."""
    return isinstance(spec, ForeignDistribution)


def sample_foreign(spec: Any, arrays: Mapping[str, Any], n: int, seed: int) -> np.ndarray:
    """n samples by a foreign distribution's own sampler."""
    return _loaded(spec, arrays).sample(n, seed=(seed, 0)).numpy()
