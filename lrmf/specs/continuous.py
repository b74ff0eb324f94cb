"""Flows that integrate a velocity field."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from ..checks import check_positive_number
from .base import Arrays, FlowSpec, Shape, check_rng, is_positive_int, plain_widths, vector_shape

__all__ = ["FFJORD", "SolverError", "probes"]


class SolverError(ArithmeticError):
    """An ODE solver gave up; the message names tolerance, steps and cure.

    >>> import lrmf
    >>> points, log_det = np.full((5, 2), np.nan), np.full(5, np.nan)
    >>> lrmf.FFJORD().check_result(points, "x", (log_det,))  # as after each computation
    Traceback (most recent call last):
    lrmf.specs.continuous.SolverError: x holds 5 rows with NaN or infinite values, ...
    """


@dataclass(frozen=True, kw_only=True)
class FFJORD(FlowSpec):
    """A continuous flow: points follow velocity fields (Grathwohl et al., 2019).

    Block after block, a point z and its log-determinant l solve, from time 0 to 1,

        dz/dt = v(z, t),    dl/dt = tr ∂v(z, t)/∂z,

    where v is a network with tanh units and, in each layer i, W_iᵀ h + b_i + t c_i before them.
    The inverse integrates from 1 to 0. Both backends take adaptive Runge-Kutta steps of order 5
    for all points together. A step counts when the fourth powers of its errors, each relative to
    ``atol + rtol |z|``, have a mean of at most one. All of this is smooth in points and arrays.

    It starts near the identity: last layers start at about 1e-4, so v almost vanishes.

    Args:
        blocks: how many fields follow each other.
        hidden: widths of each field's hidden layers.
        trace: ``"exact"`` sums the diagonal of the Jacobian, at a cost that grows with the number
            of features; ``"hutchinson"`` *trains* with εᵀ(∂v/∂z)ε in its place, see `probes`.
            Everything outside of training is exact in either case.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step, in the units of the data, which an aligner standardises.
        max_steps: how many steps a block may take, rejected ones included, before its solver
            gives up.

    Arrays: ``block_{k}/layer_{i}/weight`` (inputs, outputs), ``.../bias`` and ``.../time``
    (outputs,).

    >>> arrays = FFJORD(blocks=1, hidden=(8,)).init((2,), np.random.default_rng(0))
    >>> {name.removeprefix("block_0/"): value.shape for name, value in arrays.items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'layer_0/weight': (2, 8), 'layer_0/bias': (8,), 'layer_0/time': (8,),
     'layer_1/weight': (8, 2), 'layer_1/bias': (2,), 'layer_1/time': (2,)}
    """

    #: What a solver tries first. Near the identity two steps do.
    first_step: ClassVar[float] = 0.5

    blocks: int = 2
    hidden: tuple[int, ...] = (16, 16, 16)
    trace: Literal["exact", "hutchinson"] = "exact"
    rtol: float = 1e-4
    atol: float = 1e-4
    max_steps: int = 100

    def __post_init__(self) -> None:
        for name in ("blocks", "max_steps"):
            if not is_positive_int(value := getattr(self, name)):
                raise ValueError(f"FFJORD: {name} must be a positive integer, got {value!r}")
        if not isinstance(self.trace, str) or self.trace not in ("exact", "hutchinson"):
            raise ValueError(f"FFJORD: trace must be 'exact' or 'hutchinson', got {self.trace!r}")
        for name in ("rtol", "atol"):
            check_positive_number(f"FFJORD: {name}", getattr(self, name))
            object.__setattr__(self, name, float(getattr(self, name)))
        # Plain integers, so that equal specs look the same in a file.
        for name in ("blocks", "max_steps"):
            object.__setattr__(self, name, int(getattr(self, name)))
        object.__setattr__(self, "hidden", plain_widths("FFJORD", self.hidden))

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = vector_shape(self, event_shape, minimum=1)
        shapes: dict[str, Shape] = {}
        for block in range(self.blocks):
            for layer, sizes in enumerate(itertools.pairwise([d, *self.hidden, d])):
                name = f"block_{block}/layer_{layer}"
                shapes[f"{name}/weight"] = sizes
                shapes[f"{name}/bias"] = shapes[f"{name}/time"] = sizes[1:]
        return shapes

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        arrays: Arrays = {}
        shapes = self.shapes(event_shape)
        for name, shape in shapes.items():
            last = f"/layer_{len(self.hidden)}/" in name
            fan_in = shapes[f"{name.rpartition('/')[0]}/weight"][0]
            if name.endswith("weight"):
                # Small but not zero: a zero layer would give the hidden ones no gradient.
                scale = 1e-4 if last else 1.0
                arrays[name] = rng.normal(size=shape) * (scale / math.sqrt(fan_in))
            elif last:
                arrays[name] = np.zeros(shape)
            else:
                arrays[name] = rng.uniform(-1.0, 1.0, size=shape) / math.sqrt(fan_in)
        return arrays

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return tuple(np.shape(arrays[f"block_0/layer_{len(self.hidden)}/bias"]))

    def layers(self, arrays: Mapping[str, Any], block: int) -> list[dict[str, Any]]:
        """The arrays of a block's field, layer by layer, by what they are."""
        return [
            {
                what: arrays[f"block_{block}/layer_{layer}/{what}"]
                for what in ("weight", "bias", "time")
            }
            for layer in range(len(self.hidden) + 1)
        ]

    def exact(self) -> Self:
        return dataclasses.replace(self, trace="exact")

    @property
    def advice(self) -> str:
        return (
            f"The ODE solver of FFJORD may have given up: a field became too stiff for {self._how}"
        )

    def check_result(self, x: Any, argument: str, results: tuple[Any, ...]) -> None:
        if all(np.isfinite(np.asarray(result)).all() for result in results):
            return
        finite = np.isfinite(np.atleast_2d(np.asarray(x))).all(axis=1)
        if bad := int(np.sum(~finite)):
            raise SolverError(
                f"{argument} holds {bad} rows with NaN or infinite values, and the ODE solver of "
                "FFJORD moves all points together; remove them"
            )
        raise SolverError(
            f"the ODE solver of FFJORD gave up: its field is too stiff for {self._how}"
        )

    @property
    def _how(self) -> str:
        return (
            f"rtol={self.rtol:g}, atol={self.atol:g} and max_steps={self.max_steps}. Raise "
            "max_steps or the tolerances (below about 1e-6 they need float64), or train with a "
            "lower learning_rate"
        )


def probes(n: int, features: int) -> np.ndarray:
    """Rademacher probes ε of a batch, shape ``(n, features)``: the same ones at every call.

    εᵀ J ε estimates tr J without bias, as E[ε εᵀ] = I (Hutchinson, 1990). Probes that stay the
    same would leave something for training to exploit: on average over a batch they have some
    correlation between features. These have none. Each 2^k consecutive rows, 2^k ≥ features,
    are a Hadamard matrix with random signs and rows shuffled, so their mean of ε εᵀ is exactly I.
    A minibatch gives each probe to random points, and the estimate of its mean trace is unbiased.

    >>> eps = probes(8, 3)
    >>> np.array_equal(eps.T @ eps / 8, np.eye(3))
    True
    """
    from scipy.linalg import hadamard  # here: importing the specs stays light

    rng = np.random.default_rng(features)
    size = 1 << max(1, math.ceil(math.log2(features)))
    table = hadamard(size)[:, :features] * rng.choice([-1.0, 1.0], size=features)
    groups = [table[rng.permutation(size)] for _ in range(-(-n // size))]
    return np.concatenate(groups)[:n] if groups else np.zeros((0, features))
