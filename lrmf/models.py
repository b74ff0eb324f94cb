"""Flow, Map, Density and Classifier: a spec, named arrays and the backend that computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import check_seed
from .specs import FFJORD, Arrays, PartialShape, Spec
from .specs.base import common_shape, fits

if TYPE_CHECKING:
    from .backends.base import Backend
    from .standardization import Standardization

__all__ = ["DTYPES", "Classifier", "Composed", "Density", "Flow", "Map", "Model"]

DTYPES = ("float32", "float64")


class Model:
    """What flows, densities and classifiers share. Arrays come back as they went in.

    NumPy arrays (or lists) are cast to the model's dtype and give NumPy arrays. Arrays of the
    backend (JAX arrays and tracers, TensorFlow tensors) must have that dtype and give arrays of
    the backend, so that they can be differentiated through.

    Those that an aligner fitted may be models of data of any location and scale: ``before`` and,
    of flows, ``after`` are what the data are standardised by (`lrmf.standardization`). Then spec
    and arrays are those of the model of standardised points, and NumPy arrays are standardised,
    and images given back, in float64.
    """

    def __init__(
        self,
        spec: Any,
        arrays: Mapping[str, Any],
        backend: Backend,
        *,
        dtype: str = "float32",
        event_shape: PartialShape | None = None,
        before: Standardization | None = None,
    ) -> None:
        self.spec = spec
        self.backend = backend
        self.dtype = dtype
        self.event_shape = event_shape
        self.native_arrays = dict(arrays)
        self.before = before

    @property
    def arrays(self) -> Arrays:
        """The named arrays, as NumPy arrays."""
        return {name: np.asarray(value) for name, value in self.native_arrays.items()}

    def _call(
        self, method: str, x: Any, argument: str = "x", units: Standardization | None = None
    ) -> Any:
        """What a method gives for points, standardised by ``units``."""
        self.backend.check_process()
        native = self.backend.is_native(x)
        if not native:
            try:
                x = np.asarray(x)
            except ValueError:
                raise ValueError(
                    f"{argument} is no array of points: its rows differ in length"
                ) from None
            if x.dtype.kind not in "fiub":
                raise TypeError(f"{argument} must hold real numbers, got dtype {x.dtype}")
        shape = tuple(x.shape)
        expected = self.event_shape
        if len(shape) < 2 or not fits(shape[1:], expected):
            sizes = ["d"] if expected is None else ["any" if k is None else k for k in expected]
            wanted = f"(n, {', '.join(map(str, sizes))})"
            one = expected is not None and len(shape) == len(expected) and fits(shape, expected)
            raise ValueError(
                f"expected {argument} of shape {wanted}, got {shape}"
                + (f"; a single point is {argument}[None]" if one else "")
            )
        if native:
            found = x.dtype.name
            if found != self.dtype:
                raise TypeError(
                    f"{argument} has dtype {found}, but the model computes in {self.dtype}; "
                    f"cast {argument} to {self.dtype} first"
                )
            with self.backend.scope(self.dtype):
                x = x if units is None else units.apply(x, self.dtype)
                result = self.backend.call(method, self.spec, self.native_arrays, x)
        else:
            arrays = self.native_arrays
            x = x if units is None else units.apply(x)
            limit = float(np.finfo(self.dtype).max)
            if x.dtype.itemsize > 4 and bool((np.isfinite(x) & (np.abs(x) > limit)).any()):
                raise ValueError(
                    f"{argument} holds values too large for {self.dtype}; standardise the data"
                )
            result = self.backend.call_numpy(method, self.spec, arrays, x, self.dtype)
        self._check(x, argument, result)
        return result

    def _check(self, x: Any, argument: str, result: Any) -> None:
        """Let the spec refuse what could not be computed, where there are values to look at."""
        results = result if isinstance(result, tuple) else (result,)
        if isinstance(self.spec, Spec) and all(map(self.backend.is_known, results)):
            self.spec.check_result(x, argument, results)

    def __repr__(self) -> str:
        standardized = "" if self.before is None else ", standardized"
        return (
            f"{type(self).__name__}({self.spec}, backend={self.backend.name!r}, "
            f"dtype={self.dtype!r}, event_shape={self.event_shape}{standardized})"
        )

    def _restored(self, z: Any, units: Standardization | None) -> Any:
        """Standardised points in units of the data."""
        if units is None:
            return z
        if not self.backend.is_native(z):
            return units.undo(z)
        with self.backend.scope(self.dtype):
            return units.undo(z, self.dtype)

    def _shifted(self, values: Any, x: Any, *terms: tuple[Standardization | None, float]) -> Any:
        """Values of points x and multiples of log-determinants of standardisations."""
        shape = tuple(np.shape(x))[1:]
        constant = sum(sign * units.log_det(shape) for units, sign in terms if units is not None)
        if constant == 0.0:
            return values
        with self.backend.scope(self.dtype):
            return values + constant


class Map(Model):
    """A map of R^d that promises images and no more: no inverse, no Jacobian determinant."""

    def __init__(
        self,
        spec: Any,
        arrays: Mapping[str, Any],
        backend: Backend,
        *,
        after: Standardization | None = None,
        **options: Any,
    ) -> None:
        super().__init__(spec, arrays, backend, **options)
        self.after = after

    def image(self, x: Any) -> Any:
        """The images of x, ``(n, *event_shape)`` as x is.

        Raises ``ValueError`` for another shape and ``TypeError`` for anything but real numbers.
        """
        return self._restored(self._call("image", x, "x", self.before), self.after)


class Flow(Model):
    """An invertible map T of R^d with a tractable Jacobian determinant.

    ``log_det`` MUST be log|det| of the Jacobian of the map just applied: that of T at x for
    `forward`, that of T⁻¹ at y for `inverse`; shape ``(n,)``, in nats. So the two cancel on a
    round trip.

    >>> import lrmf
    >>> spec, backend = lrmf.Affine(), lrmf.get_backend("jax")
    >>> flow = backend.flow(spec, spec.init((2,), np.random.default_rng(0)))
    >>> y, log_det = flow.forward(np.ones((3, 2)))
    >>> y.shape, log_det.shape
    ((3, 2), (3,))
    """

    def __init__(
        self,
        spec: Any,
        arrays: Mapping[str, Any],
        backend: Backend,
        *,
        after: Standardization | None = None,
        **options: Any,
    ) -> None:
        super().__init__(spec, arrays, backend, **options)
        self.after = after

    def forward(self, x: Any) -> tuple[Any, Any]:
        """T(x) and log|det ∇T(x)| for x of shape ``(n, *event_shape)``.

        Raises ``ValueError`` for another shape and ``TypeError`` for anything but real numbers.
        """
        return self._mapped("forward", x, "x", self.before, self.after)

    def inverse(self, y: Any) -> tuple[Any, Any]:
        """T⁻¹(y) and log|det ∇T⁻¹(y)| for y of shape ``(n, *event_shape)``."""
        return self._mapped("inverse", y, "y", self.after, self.before)

    def _mapped(
        self,
        method: str,
        x: Any,
        argument: str,
        here: Standardization | None,
        there: Standardization | None,
    ) -> tuple[Any, Any]:
        z, log_det = self._call(method, x, argument, here)
        if here is not there:  # or their determinants cancel
            log_det = self._shifted(log_det, x, (here, 1.0), (there, -1.0))
        return self._restored(z, there), log_det

    def function_evaluations(self, x: Any, *, inverse: bool = False) -> int:
        """How often `forward` (or `inverse`) evaluates a velocity field to map these points.

        One evaluation takes all points: this counts what one solve of all of them takes, where
        `forward` solves for some 2,000 at a time. Raises ``TypeError`` for a flow that solves no
        differential equation.
        """
        if not isinstance(self.spec, FFJORD):
            raise TypeError(
                f"{self.spec} solves no differential equation, so it has no function evaluations "
                "to count; FFJORD has"
            )
        method, units = (
            ("inverse_evaluations", self.after) if inverse else ("forward_evaluations", self.before)
        )
        return int(self._call(method, x, units=units))


class Composed(Flow):
    """Flows applied one after the other, each of them forwards or inverted.

    Its ``spec`` is the tuple of theirs. Its arrays are theirs, the k-th flow's with the prefix
    ``"k/"``.

    Args:
        flows: the first is applied first.
        inverted: for each of them, whether its inverse is applied; by default none is.

    Raises:
        ValueError: no flows, another number of ``inverted``, or flows of different backends,
            dtypes or event shapes.
    """

    def __init__(self, flows: Sequence[Flow], *, inverted: Sequence[bool] | None = None) -> None:
        if inverted is None:
            inverted = [False] * len(flows)
        if not len(flows) == len(inverted) > 0:
            raise ValueError(
                "expected one flow or more, and for each whether it is inverted: "
                f"{len(flows)} flows, {len(inverted)} of inverted"
            )
        kinds = {(flow.backend.name, flow.dtype) for flow in flows}
        try:
            event_shape = common_shape(flow.event_shape for flow in flows)
        except ValueError:
            kinds = set()
        if len(kinds) != 1:
            raise ValueError(
                "flows can only be composed if they have one backend, dtype and event shape, got "
                + "; ".join(f"{f.backend.name}, {f.dtype}, {f.event_shape}" for f in flows)
            )
        self.parts = tuple(zip(flows, map(bool, inverted), strict=True))
        super().__init__(
            tuple(flow.spec for flow in flows),
            {
                f"{k}/{name}": value
                for k, flow in enumerate(flows)
                for name, value in flow.native_arrays.items()
            },
            flows[0].backend,
            dtype=flows[0].dtype,
            event_shape=event_shape,
        )

    def forward(self, x: Any) -> tuple[Any, Any]:
        return self._apply(x, [(f.inverse if back else f.forward) for f, back in self.parts])

    def inverse(self, y: Any) -> tuple[Any, Any]:
        return self._apply(y, [(f.forward if back else f.inverse) for f, back in self.parts[::-1]])

    def function_evaluations(self, x: Any, *, inverse: bool = False) -> int:
        total = 0
        for flow, back in self.parts[::-1] if inverse else self.parts:
            total += flow.function_evaluations(x, inverse=back != inverse)
            x, _ = flow.inverse(x) if back != inverse else flow.forward(x)
        return total

    @staticmethod
    def _apply(x: Any, maps: list[Any]) -> tuple[Any, Any]:
        x, total = maps[0](x)
        for apply in maps[1:]:
            x, log_det = apply(x)
            total = total + log_det
        return x, total


class Density(Model):
    """A member of a density family M: log-densities in nats, and samples.

    >>> import lrmf
    >>> spec, backend = lrmf.Gaussian(), lrmf.get_backend("jax")
    >>> density = backend.density(spec, spec.init((2,), np.random.default_rng(0)))
    >>> density.log_prob(density.sample(5, seed=1)).shape
    (5,)
    """

    def log_prob(self, x: Any) -> Any:
        """log p(x), shape ``(n,)``, in nats, for x of shape ``(n, *event_shape)``."""
        return self._shifted(self._call("log_prob", x, units=self.before), x, (self.before, 1.0))

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw n points, shape ``(n, *event_shape)``; the same ones in both backends.

        The noise comes from NumPy's generator; a foreign distribution uses its own sampler.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"n must be a positive integer, got {n!r}")
        check_seed(seed)
        if self.event_shape is None or None in self.event_shape:
            raise ValueError(
                f"{self.spec} fits more than one event shape, so how much to sample is unknown; "
                "give one to backend.density(..., event_shape=...)"
            )
        self.backend.check_process()
        sample = self.backend.sample(
            self.spec,
            self.native_arrays,
            int(n),
            seed,
            self.event_shape,  # type: ignore[arg-type]
            self.dtype,
        )
        self._check(np.zeros(()), "noise", sample)
        return np.asarray(self._restored(sample, self.before))


class Classifier(Model):
    """A function that tells real points from others: the logit h of D(x) = 1/(1 + exp(-h(x))).

    >>> import lrmf
    >>> spec, backend = lrmf.Discriminator(hidden=(8,)), lrmf.get_backend("jax")
    >>> judge = backend.classifier(spec, spec.init((2,), np.random.default_rng(0)))
    >>> judge.logits(np.zeros((4, 2))).shape
    (4,)
    """

    def logits(self, x: Any) -> Any:
        """h(x), shape ``(n,)``, for x of shape ``(n, *event_shape)``: high where x looks real."""
        return self._call("logits", x, units=self.before)
