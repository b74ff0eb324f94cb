"""Inputs for checks: at random to begin with, and by Hypothesis, which makes them small.

Numbers from Hypothesis are multiples of a quarter, so that the smallest failing case is one that a
person can compute by hand.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bits",
    "Choice",
    "Covariances",
    "Given",
    "Matrices",
    "Points",
    "PointsOf",
    "Real",
    "Stretch",
    "Stretches",
    "Units",
]

Array = NDArray[np.float64]


class Given:
    """One argument of a student's function: a random value of it, and a strategy for small ones."""

    def sample(self, rng: np.random.Generator) -> Any:
        """Return a value without anything special about it."""
        raise NotImplementedError

    def strategy(self) -> Any:
        """Return a Hypothesis strategy."""
        raise NotImplementedError


def _quarters(low: float, high: float, step: float) -> Any:
    from hypothesis import strategies as st

    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return st.integers(first, last).map(lambda k: k * step)


@dataclasses.dataclass(frozen=True)
class Real(Given):
    """A number from an interval; Hypothesis goes as ``far`` as that, where it is given."""

    low: float
    high: float
    step: float = 0.25
    far: float | None = None

    def sample(self, rng: np.random.Generator) -> float:
        return float(np.round(rng.uniform(self.low, self.high), 3))

    def strategy(self) -> Any:
        return _quarters(self.low, self.far or self.high, self.step)


@dataclasses.dataclass(frozen=True)
class Choice(Given):
    """One of a few values."""

    values: tuple[Any, ...]

    def sample(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.integers(len(self.values)))]

    def strategy(self) -> Any:
        from hypothesis import strategies as st

        return st.sampled_from(self.values)


@dataclasses.dataclass(frozen=True)
class Points(Given):
    """Points of shape (n, d), or (n,) where ``d`` is 0; ``least`` to ``most`` of them.

    With ``spread`` the simplest ones are not all equal but the corners of a cube, so that they have
    a variance in each of up to three coordinates. Hypothesis goes as ``far`` as that.
    """

    d: int = 2
    least: int = 1
    most: int = 6
    span: float = 2.0
    step: float = 0.25
    far: float | None = None
    spread: bool = False

    def sample(self, rng: np.random.Generator) -> Array:
        n = int(rng.integers(max(self.least, self.most - 2), self.most + 1))
        x = rng.normal(rng.normal(0.0, 0.5), 0.6 * self.span, size=(n, self.d) if self.d else n)
        return np.asarray(np.clip(x, -2 * self.span, 2 * self.span), dtype=float).round(3)

    def strategy(self) -> Any:
        from hypothesis import strategies as st
        from hypothesis.extra import numpy as arrays

        k = int((self.far or self.span) / self.step)
        shape = st.integers(self.least, self.most).map(lambda n: (n, self.d) if self.d else (n,))
        return arrays.arrays(np.int64, shape, elements=st.integers(-k, k)).map(self._placed)

    def _placed(self, steps: Array) -> Array:
        x = steps * self.step
        if not self.spread:
            return x
        i = np.arange(len(x))
        corners = np.stack([i & 1, (i >> 1) & 1, (i ^ (i >> 1)) & 1], axis=1) * 2.0 - 1.0
        return x + (corners[:, : self.d] if self.d else corners[:, 0])


@dataclasses.dataclass(frozen=True)
class PointsOf(Given):
    """Points in one of several spaces."""

    spaces: tuple[Points, ...]

    def sample(self, rng: np.random.Generator) -> Array:
        return self.spaces[int(rng.integers(len(self.spaces)))].sample(rng)

    def strategy(self) -> Any:
        from hypothesis import strategies as st

        return st.one_of(*(space.strategy() for space in self.spaces))


@dataclasses.dataclass(frozen=True)
class Units(Given):
    """Directions, not of length one: (n, d) without a zero row."""

    d: int = 2
    most: int = 3

    def sample(self, rng: np.random.Generator) -> Array:
        return np.round(rng.normal(size=(self.most, self.d)) * 1.5 + 0.1, 3)

    def strategy(self) -> Any:
        return Points(self.d, 1, self.most).strategy().filter(lambda x: (x != 0).any(1).all())


@dataclasses.dataclass(frozen=True, eq=False)
class Stretch:
    """What a conditioner network could be: ``scale * tanh(x @ weight + bias)``, one output a row.

    It is a function from (n, k) to (n, m) that a student's function gets as an argument.
    """

    weight: Array
    bias: Array

    def __call__(self, x: Any) -> Array:
        """Return (n, m) for (n, k)."""
        return np.tanh(np.asarray(x, dtype=float) @ self.weight + self.bias)

    def __repr__(self) -> str:
        if not self.weight.any():
            return f"x ↦ {np.round(np.tanh(self.bias), 4).tolist()} everywhere"
        return f"x ↦ tanh(x @ {self.weight.tolist()} + {self.bias.tolist()})"


@dataclasses.dataclass(frozen=True)
class Stretches(Given):
    """A function from (n, k) to (n, m); its simplest values are constants."""

    k: int
    m: int

    def sample(self, rng: np.random.Generator) -> Stretch:
        return Stretch(
            np.round(rng.normal(size=(self.k, self.m)), 2),
            np.round(rng.uniform(0.2, 0.8, size=self.m), 2),
        )

    def strategy(self) -> Any:
        from hypothesis import strategies as st
        from hypothesis.extra import numpy as arrays

        def make(numbers: Array) -> Stretch:
            weight = numbers[: self.k * self.m].reshape(self.k, self.m)
            return Stretch(0.5 * weight, 0.5 * numbers[self.k * self.m :])

        size = (self.k + 1) * self.m
        return arrays.arrays(np.int64, size, elements=st.integers(-2, 2)).map(make)


@dataclasses.dataclass(frozen=True)
class Matrices(Given):
    """A (d, d) matrix that is far from singular."""

    d: int = 2

    def sample(self, rng: np.random.Generator) -> Array:
        turn = np.linalg.qr(rng.normal(size=(self.d, self.d)))[0]
        return np.asarray(turn @ np.diag(rng.uniform(0.5, 2.0, size=self.d)) @ turn.T @ turn).round(
            2
        )

    def strategy(self) -> Any:
        from hypothesis import strategies as st
        from hypothesis.extra import numpy as arrays

        entries = arrays.arrays(np.int64, (self.d, self.d), elements=st.integers(-4, 4))
        return entries.map(lambda m: np.eye(self.d) + 0.5 * m).filter(
            lambda m: abs(np.linalg.det(m)) > 0.2
        )


@dataclasses.dataclass(frozen=True)
class Covariances(Given):
    """A (d, d) covariance matrix."""

    d: int = 2

    def sample(self, rng: np.random.Generator) -> Array:
        root = Matrices(self.d).sample(rng)
        return np.round(root @ root.T + 0.25 * np.eye(self.d), 3)

    def strategy(self) -> Any:
        return Matrices(self.d).strategy().map(lambda m: m @ m.T)


@dataclasses.dataclass(frozen=True)
class Bits(Given):
    """An (n, k) array of zeros and ones."""

    k: int
    most: int = 12

    def sample(self, rng: np.random.Generator) -> Array:
        return rng.integers(0, 2, size=(int(rng.integers(8, self.most + 1)), self.k)).astype(float)

    def strategy(self) -> Any:
        from hypothesis import strategies as st
        from hypothesis.extra import numpy as arrays

        shape = st.integers(1, self.most).map(lambda n: (n, self.k))
        return arrays.arrays(np.int64, shape, elements=st.integers(0, 1)).map(
            lambda x: x.astype(float)
        )
