"""The table of named specs that the generic checks run over, and what they share."""

import contextlib
from dataclasses import dataclass

import numpy as np
import pytest

import lrmf
from lrmf.specs import Convolutional, Dense, FlowSpec, Shift, Spec

BACKENDS = ("jax", "tfp")

HIDDEN = (8,)


@dataclass(frozen=True)
class Case:
    """A spec and the number of features, or the shape of images, that it is tried on."""

    spec: Spec
    features: int | tuple[int, ...]

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.features if isinstance(self.features, tuple) else (self.features,)

    def arrays(self, seed: int = 1, *, perturbed: bool = True) -> dict[str, np.ndarray]:
        """Arrays far from the initial ones (but well conditioned), or the initial ones."""
        rng = np.random.default_rng([seed, *self.event_shape])
        arrays = self.spec.init(self.event_shape, rng)
        if perturbed:
            for name, value in arrays.items():
                fan_in = np.prod(value.shape[:-1]) if value.ndim > 1 else 1
                arrays[name] = value + 0.4 * rng.normal(size=value.shape) / np.sqrt(fan_in)
        return arrays

    def points(self, n: int = 16, seed: int = 2) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(n, *self.event_shape))

    def flow(self, backend: str, *, perturbed: bool = True, dtype: str = "float64") -> lrmf.Flow:
        arrays = self.arrays(perturbed=perturbed)
        return lrmf.get_backend(backend).flow(self.spec, arrays, dtype=dtype)

    def density(
        self, backend: str, *, perturbed: bool = True, dtype: str = "float64"
    ) -> lrmf.Density:
        arrays = self.arrays(perturbed=perturbed)
        return lrmf.get_backend(backend).density(
            self.spec, arrays, dtype=dtype, event_shape=self.event_shape
        )


#: Wide enough for all the data of these tests, with edges that are multiples of 0.5.
EDGES = (-12.0, -6.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.5, 3.0, 12.0)

CONVOLUTION = Convolutional(hidden=(4, 4))

#: For solutions of differential equations.
SOLVER = {"rtol": 1e-7, "atol": 1e-7}

CASES = {
    "identity-2": Case(lrmf.Identity(), 2),
    "full-1": Case(lrmf.Affine(), 1),
    "full-2": Case(lrmf.Affine(), 2),
    "full-3": Case(lrmf.Affine(kind="full"), 3),
    "diagonal-1": Case(lrmf.Affine(kind="diagonal"), 1),
    "diagonal-2": Case(lrmf.Affine(kind="diagonal"), 2),
    "diagonal-3": Case(lrmf.Affine(kind="diagonal"), 3),
    "positive-definite-1": Case(lrmf.Affine(kind="positive_definite"), 1),
    "positive-definite-2": Case(lrmf.Affine(kind="positive_definite"), 2),
    "positive-definite-3": Case(lrmf.Affine(kind="positive_definite"), 3),
    "realnvp-2-one-block": Case(lrmf.RealNVP(blocks=1, hidden=HIDDEN), 2),
    "realnvp-2-two-blocks": Case(lrmf.RealNVP(blocks=2, hidden=HIDDEN), 2),
    "realnvp-2-four-blocks": Case(lrmf.RealNVP(blocks=4, hidden=(8, 8)), 2),
    "realnvp-3-three-blocks": Case(lrmf.RealNVP(blocks=3, hidden=HIDDEN), 3),
    "realnvp-3-no-hidden-layer": Case(lrmf.RealNVP(blocks=2, hidden=()), 3),
    "realnvp-5-four-blocks": Case(lrmf.RealNVP(blocks=4, hidden=HIDDEN), 5),
    "realnvp-5-split-four": Case(lrmf.RealNVP(blocks=3, hidden=HIDDEN, split=4), 5),
    "nice-3": Case(lrmf.NICE(blocks=2, hidden=HIDDEN), 3),
    "spline-3": Case(lrmf.SplineFlow(blocks=1, hidden=HIDDEN, bins=3), 3),
    "maf-3": Case(lrmf.MAF(blocks=2, hidden=HIDDEN), 3),
    "iaf-3": Case(lrmf.IAF(blocks=1, hidden=(8, 8)), 3),
    "planar-2": Case(lrmf.Planar(blocks=2), 2),
    "chain-2": Case(
        lrmf.Chain(
            flows=(
                lrmf.Inverse(flow=lrmf.Affine(kind="diagonal")),
                lrmf.Coupling(swap=True, conditioner=Dense(hidden=()), transformer=Shift()),
            )
        ),
        2,
    ),
    "channels-4x4x2": Case(
        lrmf.Coupling(mask="channels", conditioner=CONVOLUTION),
        (4, 4, 2),
    ),
    "checkerboard-4x4x1": Case(
        lrmf.Chain(
            flows=tuple(
                lrmf.Coupling(mask="checkerboard", swap=swap, conditioner=CONVOLUTION)
                for swap in (False, True)
            )
        ),
        (4, 4, 1),
    ),
    "glow-4x4x1": Case(lrmf.Glow(levels=2, steps=1, hidden=(4,)), (4, 4, 1)),
    "glow-4x4x2": Case(lrmf.Glow(levels=1, steps=2, hidden=(4,)), (4, 4, 2)),
    "jet-4x4x2": Case(lrmf.Jet(couplings=4, hidden=(4,)), (4, 4, 2)),
    "ffjord-1": Case(lrmf.FFJORD(blocks=1, hidden=(6,), **SOLVER), 1),
    "ffjord-2": Case(lrmf.FFJORD(blocks=2, hidden=(6, 5), **SOLVER), 2),
    "ffjord-3-no-hidden-layer": Case(lrmf.FFJORD(blocks=1, hidden=(), **SOLVER), 3),
    "gaussian-1": Case(lrmf.Gaussian(), 1),
    "gaussian-2": Case(lrmf.Gaussian(), 2),
    "gaussian-3": Case(lrmf.Gaussian(), 3),
    "histogram-1": Case(lrmf.Histogram(edges=EDGES), 1),
    "histogram-2": Case(lrmf.Histogram(edges=(EDGES, (-12.0, -1.0, 0.5, 12.0))), 2),
}
#: Compositions whose parts are few, each compiled in seconds: a check that others imply is left
#: out. A map that agrees with its Jacobian, and an inverse that undoes it with log-determinants
#: that cancel, are a pair; so are gradients that agree between two backends, and gradients.
COMPOSED = (
    *("nice-3", "spline-3", "maf-3", "iaf-3"),
    *("chain-2", "channels-4x4x2", "checkerboard-4x4x1"),
    *("glow-4x4x1", "glow-4x4x2", "jet-4x4x2"),
)
CONTINUOUS = [name for name, case in CASES.items() if isinstance(case.spec, lrmf.FFJORD)]
FLOWS = [name for name, case in CASES.items() if isinstance(case.spec, FlowSpec)]
DENSITIES = list(CASES)
GAUSSIANS = [name for name, case in CASES.items() if isinstance(case.spec, lrmf.Gaussian)]
HISTOGRAMS = [name for name, case in CASES.items() if isinstance(case.spec, lrmf.Histogram)]


def affordable(name: str, backend: str) -> bool:
    """Whether gradients of a case take seconds, not a minute.

    TFP solves an adjoint equation for those of a solver, step by step. The cases with one block
    do for most; `test_continuous.py` compares those of both blocks with JAX's, once.
    """
    return not (name == "ffjord-2" and backend == "tfp")


def where_affordable(names: list[str]) -> pytest.MarkDecorator:
    """Each case in each backend that gives its gradients in time."""
    return pytest.mark.parametrize(
        ("name", "backend"),
        [
            pytest.param(name, backend, id=f"{name}-{backend}")
            for name in names
            for backend in BACKENDS
            if affordable(name, backend)
        ],
    )


def in_both_directions(names: list[str]) -> pytest.MarkDecorator:
    """`where_affordable`, each case forwards and inverted."""
    return pytest.mark.parametrize(
        ("name", "direction", "backend"),
        [
            pytest.param(name, direction, backend, id=f"{name}-{direction}-{backend}")
            for name in names
            for direction in ("forward", "inverse")
            for backend in BACKENDS
            if affordable(name, backend) and not (name in COMPOSED and direction == "inverse")
        ],
    )


def tolerance(name: str, otherwise: float) -> float:
    """What a case may be off by.

    A solver keeps each step's error below its tolerance, so all of them, and the point to which
    TFP's interpolates the last one, are some ten times as far off; TFP's gradients solve another
    equation, for the adjoint.
    """
    return 1e-5 if name in CONTINUOUS else otherwise


def native_scope(backend: str) -> contextlib.AbstractContextManager:
    """Where float64 arrays of the backend may be made."""
    return lrmf.get_backend(backend).scope("float64")


def native(backend: str, x: np.ndarray):
    """An array of the backend, in the array's own dtype."""
    return lrmf.get_backend(backend).asarray(x, str(x.dtype))


def jacobians(backend: str, function, x: np.ndarray) -> np.ndarray:
    """Jacobians ``(n, outputs, inputs)`` of a map of batches, by automatic differentiation.

    Entries of images are counted row by row.
    """
    shape, rows = x.shape[1:], x.reshape(len(x), -1)
    if backend == "jax":
        import jax

        with native_scope("jax"):
            # Compiled at once: dispatching each operation by itself costs seconds.
            row_wise = jax.jacrev(lambda row: function(row.reshape(1, *shape)).reshape(-1))
            return np.asarray(jax.jit(jax.vmap(row_wise))(native("jax", rows)))
    import tensorflow as tf

    with tf.GradientTape(persistent=True) as tape:
        inputs = native("tfp", rows)
        tape.watch(inputs)
        outputs = function(tf.reshape(inputs, x.shape))
        columns = tf.unstack(tf.reshape(outputs, [len(x), -1]), axis=1)
    return np.stack([tape.gradient(column, inputs).numpy() for column in columns], axis=1)


def relative_error(value: np.ndarray, reference: np.ndarray) -> float:
    """The largest difference, relative to the largest entry."""
    scale = np.abs(reference).max(initial=0.0)
    return float(np.abs(value - reference).max(initial=0.0) / scale) if scale else 0.0
