"""Scalar transformers: what a coupling does to a feature, given its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from ..checks import check_positive_number
from .base import check_count

__all__ = ["Shift", "ShiftScale", "Spline", "Transformer"]


class Transformer(ABC):
    """An increasing map of numbers with parameters; all of them zero make it the identity.

    >>> import lrmf
    >>> [kind().parameters for kind in (lrmf.specs.Shift, lrmf.specs.ShiftScale, lrmf.specs.Spline)]
    [1, 2, 23]
    """

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many parameters there are for each number transformed."""


@dataclass(frozen=True, kw_only=True)
class Shift(Transformer):
    """y = x + t, which leaves volumes alone (Dinh et al., 2015).

    >>> import lrmf
    >>> layer = lrmf.specs.Coupling(transformer=lrmf.specs.Shift())
    >>> layer.transformer.parameters
    1
    """

    @property
    def parameters(self) -> int:
        return 1


@dataclass(frozen=True, kw_only=True)
class ShiftScale(Transformer):
    """y = x exp(b tanh(r/b)) + t, an affine map with a bounded log-scale (Dinh et al., 2017).

    Args:
        bound: the bound b > 0 of the log-scale. Parameters are t and r.

    >>> import lrmf
    >>> lrmf.specs.ShiftScale(bound=3.0)
    ShiftScale(bound=3.0)
    """

    bound: float = 2.0

    def __post_init__(self) -> None:
        check_positive_number("ShiftScale: bound", self.bound)
        object.__setattr__(self, "bound", float(self.bound))

    @property
    def parameters(self) -> int:
        return 2


@dataclass(frozen=True, kw_only=True)
class Spline(Transformer):
    """A monotone rational-quadratic spline on [-b, b], the identity outside (Durkan et al., 2019).

    In the bin [x_k, x_k + w_k] of height h_k and slope s = h_k / w_k, with ξ = (x - x_k) / w_k,

        y = y_k + h_k (s ξ² + δ_k ξ(1-ξ)) / (s + (δ_k + δ_{k+1} - 2s) ξ(1-ξ)).

    Of the 3K - 1 parameters for K bins, the first K give the widths 2b (m + (1 - Km) softmax),
    the next K the heights alike, and the last K - 1 the derivatives δ_k = m + softplus(r + c) at
    inner knots, m = 1e-3, with the c that makes it 1 for r = 0. At both ends it is 1.

    Args:
        bins: their number K.
        bound: the end b > 0 of the spline, in the units of the data; aligners standardise theirs.

    >>> import lrmf
    >>> lrmf.specs.Spline(bins=4)
    Spline(bins=4, bound=3.0)
    """

    #: Least width and height of a bin, relative to the interval, and least derivative.
    minimum: ClassVar[float] = 1e-3

    bins: int = 8
    bound: float = 3.0

    def __post_init__(self) -> None:
        check_count("Spline: bins", self.bins)
        if self.bins * self.minimum >= 1.0:
            raise ValueError(
                f"Spline: bins must be below {1.0 / self.minimum:.0f}, as each takes at least "
                f"{self.minimum} of the interval, got {self.bins}"
            )
        check_positive_number("Spline: bound", self.bound)
        object.__setattr__(self, "bins", int(self.bins))
        object.__setattr__(self, "bound", float(self.bound))

    @property
    def parameters(self) -> int:
        return 3 * self.bins - 1
