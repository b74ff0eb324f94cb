"""What can be built: frozen descriptions of flows and densities, and their initial arrays.

A spec knows names and shapes, and draws initial arrays with NumPy. Backends compute with them, so
the same seed gives the same model in every backend. Arrays are float64 here; a model casts them.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

__all__ = [
    "Affine",
    "Arrays",
    "DensitySpec",
    "FlowSpec",
    "Gaussian",
    "Histogram",
    "Identity",
    "RealNVP",
    "Spec",
    "spec_from_json",
    "spec_to_json",
]

Arrays = dict[str, np.ndarray]
Shape = tuple[int, ...]


class Spec(ABC):
    """A model's description: frozen, hashable, and validated when it is made."""

    @abstractmethod
    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        """Names and shapes of the arrays for events of this shape.

        Raises ``ValueError`` where the spec does not fit the event shape.
        """

    @abstractmethod
    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        """Draw the named initial arrays (float64).

        A flow starts at, or within about 1e-4 of, the identity.

        Args:
            event_shape: shape of one data point, ``(d,)`` for vectors.
            rng: a NumPy generator, the only source of randomness.
        """

    @abstractmethod
    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape | None:
        """The event shape these arrays were made for; ``None`` where any will do."""

    def check_points(self, x: np.ndarray, argument: str) -> None:
        """Refuse points ``(n, *event_shape)`` to which no density of this spec gives a value.

        Nearly all specs have densities that are positive everywhere.
        """
        return

    def check_arrays(self, arrays: Mapping[str, np.ndarray]) -> Shape | None:
        """Check names and shapes of ``arrays`` and return their event shape."""
        try:
            event_shape = self.event_shape(arrays)
        except KeyError as error:
            raise ValueError(
                f"arrays of {self} lack {error.args[0]!r}; make them with "
                "spec.init(event_shape, numpy.random.default_rng(seed))"
            ) from None
        except IndexError:
            raise ValueError(
                f"arrays of {self} have too few dimensions; make them with "
                "spec.init(event_shape, numpy.random.default_rng(seed))"
            ) from None
        if event_shape is None:
            expected: dict[str, Shape] = {}
        else:
            expected = self.shapes(event_shape)
        found = {name: tuple(np.shape(value)) for name, value in arrays.items()}
        if found != expected:
            wrong = sorted(
                name for name in found | expected if found.get(name) != expected.get(name)
            )
            raise ValueError(
                f"arrays do not fit {self}: "
                + "; ".join(
                    f"{name}: expected {expected.get(name, 'nothing of this name')}, "
                    f"got {found.get(name, 'nothing')}"
                    for name in wrong
                )
            )
        return event_shape


class FlowSpec(Spec):
    """An invertible map. It serves as the transform T or, pushed to N(0, I), as a density."""


class DensitySpec(Spec):
    """A density family that is not given by a flow spec."""


@dataclass(frozen=True, kw_only=True)
class Identity(FlowSpec):
    """The identity map T(x) = x. It has no arrays; with it, only the shared density is learned.

    >>> Identity().init((2,), np.random.default_rng(0))
    {}
    """

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        return {}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        _check_rng(rng)
        return {}

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Affine(FlowSpec):
    """An affine map, started at the identity (paper, Example 2.1 and Figure 8).

    - ``"full"``: T(x) = A x + b, with A = ``matrix`` (d, d) and b = ``shift`` (d,);
    - ``"diagonal"``: T(x) = exp(s) * x + b, with s = ``log_scale`` (d,);
    - ``"positive_definite"``: T(x) = AᵀA x + b, with A = ``matrix`` (d, d).

    >>> sorted(Affine(kind="diagonal").init((3,), np.random.default_rng(0)))
    ['log_scale', 'shift']
    """

    kind: Literal["full", "diagonal", "positive_definite"] = "full"

    def __post_init__(self) -> None:
        kinds = ("full", "diagonal", "positive_definite")
        if self.kind not in kinds:
            raise ValueError(f"Affine: kind must be one of {kinds}, got {self.kind!r}")

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = _vector_shape(self, event_shape, minimum=1)
        if self.kind == "diagonal":
            return {"log_scale": (d,), "shift": (d,)}
        return {"matrix": (d, d), "shift": (d,)}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        _check_rng(rng)
        shapes = self.shapes(event_shape)
        arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
        if "matrix" in arrays:
            arrays["matrix"] = np.eye(event_shape[0])
        return arrays

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return tuple(np.shape(arrays["shift"]))


@dataclass(frozen=True, kw_only=True)
class Gaussian(DensitySpec):
    """The normal densities, parameterised by mean and Σ^(-1/2) as in the paper (section 8.3).

    log p(x) = -|W (x - μ)|²/2 + log|det W| - (d/2) log 2π, where μ = ``mean`` (d,) and W is lower
    triangular with diagonal exp(``log_diagonal``) and, below it, ``lower`` (d, d). Its precision
    is WᵀW. Every normal density has exactly one such W. It starts as N(0, I).

    >>> sorted(Gaussian().init((2,), np.random.default_rng(0)))
    ['log_diagonal', 'lower', 'mean']
    """

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = _vector_shape(self, event_shape, minimum=1)
        return {"mean": (d,), "log_diagonal": (d,), "lower": (d, d)}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        _check_rng(rng)
        return {name: np.zeros(shape) for name, shape in self.shapes(event_shape).items()}

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return tuple(np.shape(arrays["mean"]))


@dataclass(frozen=True, kw_only=True)
class Histogram(DensitySpec):
    """The histogram densities on a grid of cells: a family that is closed under mixtures.

    log p(x) = (log-softmax of ``logits``)[c] - log|c| for x in the cell c of volume |c|. A cell
    holds its left edges, the last one of each feature its right edge too, as in `numpy.histogram`.
    Outside the grid the density is zero, and data for a fit must lie inside. It starts with equal
    probabilities for all cells.

    As M it makes the likelihood-ratio distance twice the Jensen-Shannon divergence of the binned
    data (`lrmf.theory.histogram`). It can't teach a transform: it is constant in each cell, so no
    gradient says where to move a point. Logits travel far: learning rates of some 0.05 suit them.

    Args:
        edges: increasing edges of the bins, one sequence for each feature; for one feature also
            the sequence itself.

    >>> Histogram(edges=[0, 1, 2]).edges
    ((0.0, 1.0, 2.0),)
    >>> Histogram(edges=([0, 1, 2], [0, 1, 3, 9])).bins
    (2, 3)
    """

    edges: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        edges: list[Any] = list(self.edges) if np.iterable(self.edges) else [self.edges]
        if not any(map(np.iterable, edges)):
            edges = [edges]
        for k, values in enumerate(edges):
            array = np.asarray(values)
            if array.ndim != 1 or array.size < 2 or array.dtype.kind not in "fiu":
                raise ValueError(
                    "Histogram: edges must hold two or more numbers for each feature, got "
                    f"{values!r} for feature {k}; numpy.linspace(low, high, bins + 1) makes some"
                )
            if not np.isfinite(array).all() or not (np.diff(array) > 0).all():
                raise ValueError(
                    f"Histogram: edges must be finite and increase, got {values!r} for feature "
                    f"{k}; sort them and drop repeated ones"
                )
        plain = tuple(tuple(map(float, np.asarray(values))) for values in edges)
        object.__setattr__(self, "edges", plain)

    @property
    def bins(self) -> tuple[int, ...]:
        """How many bins each feature has, the shape of ``logits``."""
        return tuple(len(edges) - 1 for edges in self.edges)

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = _vector_shape(self, event_shape, minimum=1)
        if d != len(self.edges):
            raise ValueError(
                f"Histogram has edges for {len(self.edges)} features, but events have {d}; give "
                "one sequence of edges for each feature"
            )
        return {"logits": self.bins}

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        _check_rng(rng)
        return {name: np.zeros(shape) for name, shape in self.shapes(event_shape).items()}

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        arrays["logits"]  # a missing one is reported by the caller
        return (len(self.edges),)

    def check_points(self, x: np.ndarray, argument: str) -> None:
        for k, (edges, values) in enumerate(zip(self.edges, x.T, strict=True)):
            if outside := int(np.sum((values < edges[0]) | (values > edges[-1]))):
                raise ValueError(
                    f"{argument} holds {outside} points outside the edges of the histogram, "
                    f"[{edges[0]:g}, {edges[-1]:g}] for feature {k}, where its density is zero: "
                    f"they go from {values.min():g} to {values.max():g}. Widen the edges"
                )


@dataclass(frozen=True, kw_only=True)
class RealNVP(FlowSpec):
    """Affine coupling blocks over alternating halves (Dinh et al., 2017).

    In even blocks the first ``split`` features pass unchanged and a network of them gives shift t
    and raw scale r of the others: y = x * exp(2 tanh(r/2)) + t. In odd blocks the two groups swap
    roles. Coordinates are never permuted, so that the flow starts at the identity for any number
    of blocks: last layers start at about 1e-4, hidden ones with He's normal weights.

    Args:
        blocks: number of coupling blocks; every feature is transformed from 2 on.
        hidden: widths of the networks' hidden layers (ReLU).
        split: how many features condition even blocks; half of them (rounded down) by default.

    Arrays: ``block_{k}/layer_{i}/weight`` (inputs, outputs) and ``.../bias`` (outputs,).

    >>> arrays = RealNVP(blocks=2, hidden=(8,)).init((2,), np.random.default_rng(0))
    >>> arrays["block_1/layer_0/weight"].shape
    (1, 8)
    """

    log_scale_bound: ClassVar[float] = 2.0

    blocks: int = 4
    hidden: tuple[int, ...] = (512, 512)
    split: int | None = None

    def __post_init__(self) -> None:
        if not _is_positive_int(self.blocks):
            raise ValueError(f"RealNVP: blocks must be a positive integer, got {self.blocks!r}")
        if not isinstance(self.hidden, (tuple, list)) or not all(
            map(_is_positive_int, self.hidden)
        ):
            raise ValueError(
                "RealNVP: hidden must be a tuple of positive integers, one per hidden layer, "
                f"got {self.hidden!r}"
            )
        if self.split is not None and not _is_positive_int(self.split):
            raise ValueError(
                f"RealNVP: split must be a positive integer or None, got {self.split!r}"
            )
        # Plain integers, so that equal specs look the same in a file.
        object.__setattr__(self, "blocks", int(self.blocks))
        object.__setattr__(self, "hidden", tuple(map(int, self.hidden)))
        if self.split is not None:
            object.__setattr__(self, "split", int(self.split))

    def halves(self, block: int, features: int) -> tuple[slice, slice]:
        """The features that condition a block, and those that it transforms."""
        split = features // 2 if self.split is None else self.split
        first, rest = slice(0, split), slice(split, features)
        return (first, rest) if block % 2 == 0 else (rest, first)

    def layer_shapes(self, block: int, features: int) -> list[Shape]:
        """Weight shapes (inputs, outputs) of a block's network."""
        condition, transformed = self.halves(block, features)
        outputs = 2 * (transformed.stop - transformed.start)
        widths = [condition.stop - condition.start, *self.hidden, outputs]
        return list(itertools.pairwise(widths))

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = _vector_shape(self, event_shape, minimum=2)
        if self.split is not None and self.split >= d:
            raise ValueError(
                f"RealNVP: split={self.split} leaves nothing to transform in events of {d} "
                f"features; choose 1 <= split <= {d - 1}, or None for halves"
            )
        shapes: dict[str, Shape] = {}
        for block in range(self.blocks):
            for layer, (inputs, outputs) in enumerate(self.layer_shapes(block, d)):
                shapes[f"block_{block}/layer_{layer}/weight"] = (inputs, outputs)
                shapes[f"block_{block}/layer_{layer}/bias"] = (outputs,)
        return shapes

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        _check_rng(rng)
        shapes = self.shapes(event_shape)
        last = len(self.hidden)
        arrays: Arrays = {}
        for name, shape in shapes.items():
            if name.endswith("bias"):
                continue
            bias = name.removesuffix("weight") + "bias"
            fan_in = shape[0]
            if f"/layer_{last}/" in name:
                # Small but not zero: a zero layer would give the hidden ones no gradient.
                arrays[name] = rng.normal(size=shape) * (1e-4 / math.sqrt(fan_in))
                arrays[bias] = np.zeros(shapes[bias])
            else:
                arrays[name] = rng.normal(size=shape) * math.sqrt(2.0 / fan_in)
                # Spread biases: with zero ones every kink of the first layer lies at the origin.
                arrays[bias] = rng.uniform(-1.0, 1.0, size=shapes[bias]) / math.sqrt(fan_in)
        return arrays

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        condition = np.shape(arrays["block_0/layer_0/weight"])[0]
        outputs = np.shape(arrays[f"block_0/layer_{len(self.hidden)}/bias"])[0]
        return (condition + outputs // 2,)


_SPECS: dict[str, type[Any]] = {
    spec.__name__: spec for spec in (Affine, Gaussian, Histogram, Identity, RealNVP)
}


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """A JSON-compatible description of a spec of this module."""
    return {"name": type(spec).__name__, **dataclasses.asdict(spec)}  # type: ignore[call-overload]


def spec_from_json(document: Mapping[str, Any]) -> Spec:
    """The spec that `spec_to_json` described.

    >>> spec_from_json(spec_to_json(RealNVP(hidden=(64, 64)))) == RealNVP(hidden=(64, 64))
    True
    """
    values = dict(document)
    name = values.pop("name", None)
    if name not in _SPECS:
        raise ValueError(f"unknown spec {name!r}; this version of lrmf knows {sorted(_SPECS)}")
    known = {field.name for field in dataclasses.fields(_SPECS[name])}
    if not values.keys() <= known:
        raise ValueError(
            f"{name} has no {sorted(values.keys() - known)}; this version of lrmf knows "
            f"{sorted(known)} of it, so use the version that wrote the description"
        )
    return _SPECS[name](**values)


def _vector_shape(spec: Spec, event_shape: Shape, *, minimum: int) -> Shape:
    shape = tuple(event_shape) if isinstance(event_shape, Iterable) else event_shape
    if not isinstance(shape, tuple) or len(shape) != 1 or not all(map(_is_positive_int, shape)):
        raise ValueError(
            f"{type(spec).__name__} models vectors: expected an event shape (d,), got {shape}; "
            "flatten each data point first"
        )
    if shape[0] < minimum:
        raise ValueError(
            f"{type(spec).__name__} needs at least {minimum} features, got {shape[0]}: a coupling "
            "block transforms some features given the others; use Affine for one feature"
        )
    return shape


def _check_rng(rng: object) -> None:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng must be a numpy.random.Generator such as numpy.random.default_rng(0), "
            f"got {type(rng).__name__}"
        )


def _is_positive_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 1)
