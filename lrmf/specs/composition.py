"""Flows made of flows: chains and inverses."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .base import (
    Apply,
    Arrays,
    DensitySpec,
    FlowSpec,
    PartialShape,
    Shape,
    Spec,
    check_rng,
    common_shape,
)

__all__ = ["Chain", "Composition", "Inverse", "Wrapping", "check_flow"]


class Composition(FlowSpec):
    """Flows applied one after the other, the first of `parts` first.

    The arrays of part k have the names that it gives them, after ``prefix`` and ``"k/"``.

    >>> import lrmf
    >>> spec = lrmf.RealNVP(blocks=3)
    >>> isinstance(spec, lrmf.specs.Composition), len(spec.parts), spec.names
    (True, 3, ('block_0', 'block_1', 'block_2'))
    """

    prefix: ClassVar[str] = "block_"

    @property
    @abstractmethod
    def parts(self) -> tuple[FlowSpec, ...]:
        """The flows."""

    @property
    def names(self) -> tuple[str, ...]:
        """What stands before a slash in the names of each part's arrays."""
        return tuple(f"{self.prefix}{k}" for k in range(len(self.parts)))

    def parts_with_arrays(self, arrays: Mapping[str, Any]) -> list[tuple[FlowSpec, dict[str, Any]]]:
        """Each part with its arrays."""
        named: dict[str, dict[str, Any]] = {name: {} for name in self.names}
        for name, value in arrays.items():
            part, _, rest = name.partition("/")
            # A name that belongs to no part is reported by `check_arrays`.
            if part in named:
                named[part][rest] = value
        return list(zip(self.parts, named.values(), strict=True))

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        return self._joined([part.shapes(event_shape) for part in self.parts])

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        self.shapes(event_shape)
        return self._joined([part.init(event_shape, rng) for part in self.parts])

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape | None:
        found = []
        parts = self.parts_with_arrays(arrays)
        for own, (part, named) in zip(self.names, parts, strict=True):
            try:
                found.append(part.event_shape(named))
            except KeyError as error:
                raise KeyError(f"{own}/{error.args[0]}") from None
        return common_shape(found)

    @property
    def advice(self) -> str:
        return ". ".join(dict.fromkeys(part.advice for part in self.parts if part.advice))

    def check_points(self, x: np.ndarray, argument: str) -> None:
        for part in self.parts:
            part.check_points(x, argument)

    def check_result(self, x: Any, argument: str, results: tuple[Any, ...]) -> None:
        for part in self.parts:
            part.check_result(x, argument, results)

    @property
    def needs_data(self) -> bool:
        return any(part.needs_data for part in self.parts)

    def from_data(
        self, arrays: Mapping[str, Any], x: np.ndarray, apply: Apply, *, inverse: bool = False
    ) -> Arrays:
        pairs = self.parts_with_arrays(arrays)
        found: list[dict[str, Any]] = [named for _, named in pairs]
        order = range(len(pairs))
        for k in reversed(order) if inverse else order:
            part, named = pairs[k]
            found[k] = part.from_data(named, x, apply, inverse=inverse)
            x = apply(part, found[k], x, inverse)
        return self._joined(found)

    def _joined(self, named: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            f"{own}/{name}": value
            for own, part in zip(self.names, named, strict=True)
            for name, value in part.items()
        }


@dataclass(frozen=True, kw_only=True)
class Chain(Composition):
    """Flows applied one after the other, the first one first.

    Arrays: those of flow k with the prefix ``"k/"``.

    >>> from lrmf.specs import Affine, RealNVP
    >>> spec = Chain(flows=(Affine(kind="diagonal"), RealNVP(blocks=1, hidden=())))
    >>> sorted(spec.shapes((2,)))
    ['0/log_scale', '0/shift', '1/block_0/layer_0/bias', '1/block_0/layer_0/weight']
    """

    prefix: ClassVar[str] = ""

    flows: tuple[FlowSpec, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.flows, (tuple, list)) or not self.flows:
            raise ValueError(
                "Chain: flows must be a tuple of one flow spec or more, such as "
                f"(Affine(), RealNVP()), got {self.flows!r}"
            )
        for flow in self.flows:
            check_flow("Chain: flows", flow)
        object.__setattr__(self, "flows", tuple(self.flows))

    @property
    def parts(self) -> tuple[FlowSpec, ...]:
        return self.flows

    def exact(self) -> Self:
        return dataclasses.replace(self, flows=tuple(flow.exact() for flow in self.flows))


class Wrapping(FlowSpec):
    """A flow made of one other, with that flow's arrays."""

    flow: FlowSpec

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        return self.flow.shapes(event_shape)

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        return self.flow.init(event_shape, rng)

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape | None:
        return self.flow.event_shape(arrays)

    def exact(self) -> Self:
        return dataclasses.replace(self, flow=self.flow.exact())  # type: ignore[type-var]

    @property
    def advice(self) -> str:
        return self.flow.advice

    def check_points(self, x: np.ndarray, argument: str) -> None:
        self.flow.check_points(x, argument)

    def check_result(self, x: Any, argument: str, results: tuple[Any, ...]) -> None:
        self.flow.check_result(x, argument, results)

    @property
    def needs_data(self) -> bool:
        return self.flow.needs_data


@dataclass(frozen=True, kw_only=True)
class Inverse(Wrapping):
    """The inverse of a flow, with the flow's arrays.

    >>> from lrmf.specs import Affine
    >>> sorted(Inverse(flow=Affine()).shapes((2,)))
    ['matrix', 'shift']
    """

    flow: FlowSpec

    def __post_init__(self) -> None:
        check_flow("Inverse: flow", self.flow)

    def from_data(
        self, arrays: Mapping[str, Any], x: np.ndarray, apply: Apply, *, inverse: bool = False
    ) -> Arrays:
        return self.flow.from_data(arrays, x, apply, inverse=not inverse)


def check_flow(name: str, flow: object) -> None:
    """Refuse anything but a flow spec."""
    if isinstance(flow, FlowSpec):
        return
    if isinstance(flow, type) and issubclass(flow, Spec):
        raise TypeError(f"{name} takes specs such as {flow.__name__}(), got the class itself")
    if isinstance(flow, DensitySpec):
        raise TypeError(f"{name} takes flows, but {flow} is a density; Affine() is its flow")
    raise TypeError(
        f"{name} takes flow specs such as Affine() or RealNVP(), got {type(flow).__name__}"
    )
