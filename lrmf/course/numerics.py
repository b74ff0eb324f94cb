"""Right values by other means than a student uses: differences, root finding, quadrature."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrmf.course.containment import Failed
from lrmf.course.given import Given

__all__ = ["Layers", "Unwarp", "log_det", "pulled", "slope"]

Array = NDArray[np.float64]
# Wide enough for answers in single precision, whose noise it divides.
STEP = 0.01


def slope(function: Callable[[float], Any], x: float, step: float = STEP) -> Any:
    """Return the derivative of a function of one number, by differences of fourth order."""
    near = np.asarray(function(x + step)) - np.asarray(function(x - step))
    far = np.asarray(function(x + 2 * step)) - np.asarray(function(x - 2 * step))
    return (8 * near - far) / (12 * step)


def log_det(function: Callable[[Array], Any], x: Array) -> Array:
    """Return log|det| of the Jacobian of a map from (n, d) to (n, d) at each row of x."""
    n, d = x.shape
    columns = []
    for j in range(d):
        offset = np.zeros(d)
        offset[j] = STEP

        def at(k: float, offset: Array = offset) -> Array:
            y = np.asarray(function(x + k * offset), dtype=float)
            if y.shape != (n, d):
                raise Failed("shape", f"the moved points have the shape {y.shape}, not {(n, d)}.")
            return y

        columns.append((8 * (at(1) - at(-1)) - at(2) + at(-2)) / (12 * STEP))
    with np.errstate(all="ignore"):
        return np.asarray(np.linalg.slogdet(np.stack(columns, axis=-1))[1])


@dataclasses.dataclass(frozen=True, eq=False)
class Unwarp:
    """The inverse of some layer in the plane: points (n, 2) to points and log-determinants (n,)."""

    a: float
    b: float
    c: float

    def __call__(self, y: Any) -> tuple[Array, Array]:
        """Return the points that the layer came from, and log|det| of this map."""
        y = np.asarray(y, dtype=float)
        first, bend = y[:, 0], np.tanh(self.b * y[:, 0])
        z = np.stack([y[:, 1] * np.exp(self.a) + self.c * bend, first + 0.5 * bend], axis=1)
        return z, self.a + np.log1p(0.5 * self.b * (1 - bend**2))

    def __repr__(self) -> str:
        return f"layer({self.a:g}, {self.b:g}, {self.c:g})"


@dataclasses.dataclass(frozen=True)
class Layers(Given):
    """Two inverses of layers, in the order in which the layers are applied."""

    def sample(self, rng: np.random.Generator) -> tuple[Unwarp, ...]:
        return tuple(Unwarp(*np.round(rng.uniform(0.3, 1.2, size=3), 2)) for _ in range(2))

    def strategy(self) -> Any:
        from hypothesis import strategies as st

        half = st.integers(0, 2).map(lambda k: 0.5 * k)
        one = st.builds(Unwarp, half, half, half)
        return st.tuples(one, one)


def pulled(y: Array, inverses: Any) -> tuple[Array, list[Array]]:
    """Apply maps one after the other; returns the last points and each log-determinant."""
    log_dets = []
    for inverse in inverses:
        y, one = inverse(y)
        log_dets.append(one)
    return y, log_dets
