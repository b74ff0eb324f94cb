"""The table of named specs that the generic checks run over, and what they share."""

import contextlib
from dataclasses import dataclass

import numpy as np

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

#: Each compiles a dozen functions in both backends: a case has something that no other one has.
CASES = {
    "identity-2": Case(lrmf.Identity(), 2),
    "full-1": Case(lrmf.Affine(), 1),
    "full-2": Case(lrmf.Affine(), 2),
    "full-3": Case(lrmf.Affine(kind="full"), 3),
    "diagonal-2": Case(lrmf.Affine(kind="diagonal"), 2),
    "positive-definite-2": Case(lrmf.Affine(kind="positive_definite"), 2),
    "positive-definite-3": Case(lrmf.Affine(kind="positive_definite"), 3),
    "realnvp-2-four-blocks": Case(lrmf.RealNVP(blocks=4, hidden=(8, 8)), 2),
    "realnvp-3-no-hidden-layer": Case(lrmf.RealNVP(blocks=2, hidden=()), 3),
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
#: Compositions whose parts are few, each compiled in seconds: what parts decide is tried in theirs.
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


def jacobians(function, x: np.ndarray, *, step: float = 1e-4) -> np.ndarray:
    """Jacobians ``(n, outputs, inputs)`` of a map of batches, by central differences.

    Entries of images are counted row by row. All points go through in one batch, for which a solver
    chooses its steps together: it is one smooth map of them.
    """
    n, d = len(x), x[0].size
    moved = x.reshape(n, 1, 1, d) + step * np.array([1.0, -1.0])[:, None, None] * np.eye(d)
    ahead, behind = np.moveaxis(
        function(moved.reshape(-1, *x.shape[1:])).reshape(n, 2, d, -1), 1, 0
    )
    return np.swapaxes(ahead - behind, 1, 2) / (2 * step)


def relative_error(value: np.ndarray, reference: np.ndarray) -> float:
    """The largest difference, relative to the largest entry; where all are zero, as it is."""
    scale = np.abs(reference).max(initial=0.0)
    return float(np.abs(value - reference).max(initial=0.0) / (scale or 1.0))
