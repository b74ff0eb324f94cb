"""flowjax bijections and distributions in place of a spec."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...models import Flow
from ...specs import Arrays, Shape
from .bijections import Bijection, bijection
from .densities import JaxDensity, PushedForward, density

__all__ = ["ForeignBijection", "ForeignDistribution", "adopt", "is_sampler", "sample_foreign"]


@dataclass(frozen=True, eq=False)
class ForeignBijection:
    """Stands for a spec: what is left of a flowjax bijection without its trainable arrays."""

    names: tuple[str, ...]
    structure: Any
    static: Any


@dataclass(frozen=True, eq=False)
class ForeignDistribution(ForeignBijection):
    """The same for a flowjax distribution."""


def adopt(model: Any, kind: Any) -> tuple[ForeignBijection, Arrays, Shape | None]:
    """Split a flowjax object into a stand-in for its spec and named arrays."""
    # Whoever made a flowjax object has imported flowjax; no need to import it to say no.
    if "flowjax" in sys.modules:
        import equinox
        import paramax
        from flowjax.bijections import AbstractBijection
        from flowjax.distributions import AbstractDistribution

        wrapper: type[ForeignBijection] | None = None
        if isinstance(model, AbstractBijection):
            wrapper = ForeignBijection
        elif isinstance(model, AbstractDistribution) and kind is not Flow:
            wrapper = ForeignDistribution
        if wrapper is not None:
            if model.cond_shape is not None:
                raise ValueError(
                    f"{type(model).__name__} is conditional (cond_shape={model.cond_shape}); "
                    "pass an unconditional one: nothing here would give it a condition"
                )
            parameters, static = equinox.partition(
                model,
                equinox.is_inexact_array,
                is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable),
            )
            leaves, structure = jax.tree.flatten_with_path(parameters)
            if not leaves:
                raise ValueError(
                    f"{type(model).__name__} has no trainable arrays, so there is nothing to "
                    "learn; take one with parameters that are not frozen (NonTrainable), or a "
                    "spec such as lrmf.Identity()"
                )
            named = {
                f"{i:03d}{jax.tree_util.keystr(path)}": np.array(leaf)
                for i, (path, leaf) in enumerate(leaves)
            }
            return wrapper(tuple(named), structure, static), named, tuple(model.shape)
    raise TypeError(
        "the JAX backend takes lrmf specs and flowjax bijections (as density also flowjax "
        f"distributions), got {type(model).__name__}"
    )


def _rebuild(spec: ForeignBijection, arrays: Mapping[str, Any]) -> Any:
    import equinox
    import paramax

    parameters = jax.tree.unflatten(spec.structure, [arrays[name] for name in spec.names])
    return paramax.unwrap(equinox.combine(parameters, spec.static))


class _FlowjaxBijection(Bijection):
    def __init__(self, model: Any) -> None:
        self.model = model

    def forward(self, x: Any) -> tuple[Any, Any]:
        return jax.vmap(self.model.transform_and_log_det)(x)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return jax.vmap(self.model.inverse_and_log_det)(y)


class _FlowjaxDistribution(JaxDensity):
    def __init__(self, model: Any) -> None:
        self.model = model

    def log_prob(self, x: Any) -> Any:
        return self.model.log_prob(x)

    def push(self, noise: Any) -> Any:
        raise NotImplementedError(
            "a flowjax distribution samples by its own means: use sample_foreign"
        )


@bijection.register
def _(spec: ForeignBijection, arrays: Mapping[str, Any]) -> Bijection:
    return _FlowjaxBijection(_rebuild(spec, arrays))


@density.register
def _(spec: ForeignBijection, arrays: Mapping[str, Any]) -> JaxDensity:
    return PushedForward(bijection(spec, arrays))


@density.register
def _(spec: ForeignDistribution, arrays: Mapping[str, Any]) -> JaxDensity:
    return _FlowjaxDistribution(_rebuild(spec, arrays))


def is_sampler(spec: Any) -> bool:
    """Whether the density brings its own sampler."""
    return isinstance(spec, ForeignDistribution)


def sample_foreign(spec: Any, arrays: Mapping[str, Any], n: int, seed: int) -> np.ndarray:
    """n samples by a foreign distribution's own sampler."""
    model = _rebuild(spec, {name: jnp.asarray(value) for name, value in arrays.items()})
    return np.array(model.sample(jax.random.key(seed), (n,)))
