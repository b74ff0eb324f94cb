"""What every spec is, and the checks they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

__all__ = [
    "Apply",
    "Arrays",
    "DensitySpec",
    "FlowSpec",
    "PartialShape",
    "Shape",
    "Spec",
    "check_count",
    "check_rng",
    "common_shape",
    "fits",
    "image_shape",
    "is_positive_int",
    "plain_widths",
    "vector_shape",
]

Arrays = dict[str, np.ndarray]
Shape = tuple[int, ...]
#: The image of points by a flow spec and its arrays; with True, by the inverse.
Apply = Callable[["FlowSpec", Mapping[str, Any], np.ndarray, bool], np.ndarray]
#: An event shape with None for the sizes that arrays do not tell, as a convolution's height.
PartialShape = tuple[int | None, ...]

#: Stands for a size that arrays do not tell, and so do not depend on. It can be halved fourteen
#: times, and patches of up to sixteen pixels divide it.
_ANY_SIZE = 2**14 * 9 * 5 * 7 * 11 * 13


class Spec(ABC):
    """A model's description: frozen, hashable, and validated when it is made.

    >>> import lrmf
    >>> spec = lrmf.Gaussian()
    >>> arrays = spec.init((2,), np.random.default_rng(0))
    >>> {name: array.shape for name, array in arrays.items()} == spec.shapes((2,))
    True
    """

    #: Share of the learning rate at which a copy of a fitted density is fitted further. A network
    #: would use all of it to learn single points by heart, which the certificate, on held-out
    #: points, would have to pay for; densities with a few numbers per feature or bin can't.
    refit_share: ClassVar[float] = 0.1

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
    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> PartialShape | None:
        """The event shape these arrays were made for; ``None`` where any will do.

        A size in it is ``None`` where any will do, as height and width of a convolution's images.
        """

    def check_points(self, x: np.ndarray, argument: str) -> None:
        """Refuse points ``(n, *event_shape)`` to which no density of this spec gives a value.

        Nearly all specs have densities that are positive everywhere.
        """
        return

    def standardized(self, location: np.ndarray, scale: np.ndarray) -> Self:
        """The spec for points z = (x - location) / scale of what this one is for points x.

        Nearly all specs are for points in any units.
        """
        return self

    def exact(self) -> Self:
        """The spec to compute with outside of training, where nothing is estimated."""
        return self

    @property
    def advice(self) -> str:
        """What else may have made a loss non-finite, and the cure."""
        return ""

    def check_result(self, x: Any, argument: str, results: tuple[Any, ...]) -> None:
        """Refuse what a flow or density computed from points x where it could not compute."""
        return

    def check_arrays(self, arrays: Mapping[str, np.ndarray]) -> PartialShape | None:
        """Check names and shapes of ``arrays`` and return their event shape."""
        if not isinstance(arrays, Mapping):
            raise TypeError(
                f"arrays of {self} must be a mapping from names to arrays, such as "
                f"spec.init(event_shape, rng) makes, got {type(arrays).__name__}"
            )
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
            expected = self.shapes(tuple(_ANY_SIZE if n is None else n for n in event_shape))
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
    """An invertible map. It serves as the transform T or, pushed to N(0, I), as a density.

    >>> import lrmf
    >>> isinstance(lrmf.RealNVP(), lrmf.specs.FlowSpec)
    True
    >>> lrmf.RealNVP().needs_data, lrmf.specs.ActNorm(start="data").needs_data
    (False, True)
    """

    @property
    def needs_data(self) -> bool:
        """Whether arrays of `init` can't be used before `from_data` has completed them."""
        return False

    def from_data(
        self, arrays: Mapping[str, Any], x: np.ndarray, apply: Apply, *, inverse: bool = False
    ) -> Arrays:
        """The arrays of `init`, completed by points: the one place where a spec sees data.

        `lrmf.starting.from_data` calls it, and so do aligners before a fit.

        Args:
            arrays: as `init` made them.
            x: points ``(n, *event_shape)``.
            apply: the image of points by a flow spec with its arrays, or by its inverse.
            inverse: whether the points go through the inverse, as a density's do.
        """
        return dict(arrays)


class DensitySpec(Spec):
    """A density family that is not given by a flow spec.

    >>> import lrmf
    >>> [isinstance(spec, lrmf.specs.DensitySpec) for spec in (lrmf.Gaussian(), lrmf.Affine())]
    [True, False]
    """


def vector_shape(spec: object, event_shape: Shape, *, minimum: int) -> Shape:
    """The event shape ``(d,)``, d at least ``minimum``, or a ``ValueError``."""
    shape = _as_tuple(event_shape)
    if not _is_shape(shape, 1):
        raise ValueError(
            f"{type(spec).__name__} models vectors: expected an event shape (d,), got {shape}; "
            "flatten each data point first"
        )
    if shape[0] < minimum:
        raise ValueError(
            f"{type(spec).__name__} needs at least {minimum} features, got {shape[0]}: it "
            "transforms some features given the others; use Affine for one feature"
        )
    return shape


def image_shape(spec: object, event_shape: Shape) -> Shape:
    """The event shape ``(height, width, channels)``, or a ``ValueError``."""
    shape = _as_tuple(event_shape)
    if not _is_shape(shape, 3):
        raise ValueError(
            f"{type(spec).__name__} models images: expected an event shape (height, width, "
            f"channels), got {shape}; reshape each data point first"
            + (", of grey images x to x[..., numpy.newaxis]" if _is_shape(shape, 2) else "")
        )
    return shape


def _as_tuple(event_shape: Any) -> Any:
    """An event shape that may be a list or an array; what is none comes back to be refused."""
    known = isinstance(event_shape, (tuple, list)) or np.ndim(event_shape) == 1
    return tuple(event_shape) if known else event_shape


def _is_shape(shape: object, dimensions: int) -> bool:
    return (
        isinstance(shape, tuple) and len(shape) == dimensions and all(map(is_positive_int, shape))
    )


def fits(shape: Shape, event_shape: PartialShape | None) -> bool:
    """Whether an event shape is this one, up to sizes that are unknown."""
    return event_shape is None or (
        len(shape) == len(event_shape)
        and all(b in (None, a) for a, b in zip(shape, event_shape, strict=True))
    )


def common_shape(shapes: Iterable[PartialShape | None]) -> PartialShape | None:
    """What event shapes with unknown sizes say together.

    Raises ``ValueError`` where they contradict each other.

    >>> common_shape([None, (None, None, 3), (8, 8, None)])
    (8, 8, 3)
    """
    common: PartialShape | None = None
    for shape in shapes:
        if common is None or shape is None:
            common = shape if common is None else common
            continue
        sizes = [{a, b} - {None} for a, b in zip(common, shape, strict=False)]
        if len(common) != len(shape) or any(len(found) > 1 for found in sizes):
            raise ValueError(f"parts of one model have event shapes {common} and {shape}")
        common = tuple(next(iter(found), None) for found in sizes)
    return common


def plain_widths(owner: str, hidden: object) -> tuple[int, ...]:
    """Widths of hidden layers as a tuple of plain integers, so that equal specs look the same."""
    if not isinstance(hidden, (tuple, list)) or not all(map(is_positive_int, hidden)):
        raise ValueError(
            f"{owner}: hidden must be a tuple of positive integers, one per hidden layer, "
            f"got {hidden!r}"
        )
    return tuple(map(int, hidden))


def check_count(name: str, value: object) -> None:
    """Refuse anything but a positive integer of 31 bits, as a number of parts."""
    if not is_positive_int(value):
        raise ValueError(f"{name} must be a positive integer, got {value!r}")


def check_rng(rng: object) -> None:
    """Refuse anything but a NumPy generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng must be a numpy.random.Generator such as numpy.random.default_rng(0), "
            f"got {type(rng).__name__}"
        )


def is_positive_int(value: object) -> bool:
    """Whether this is an integer from 1 on, NumPy's included and truth values not.

    Of 31 bits at most: as a number of layers, more would end with the memory.
    """
    return (
        isinstance(value, (int, np.integer))
        and not isinstance(value, bool)
        and bool(1 <= value < 2**31)
    )
