"""The LRMF aligner."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from ..fitting import Schedule
from ..models import Density, Flow
from ..objectives import likelihood_ratio
from ..specs import Affine, Chain, FlowSpec, RealNVP, Shape
from ..standardization import Standardize
from .gaussian_start import gaussian_start, has_closed_form
from .labels import check_label_density
from .parts import Objective, Part
from .recipe import Recipe
from .shared_density import SharedDensityAligner

__all__ = ["LRMF", "default_transform"]

#: Up to so many features `default_transform` is what it is in the plane.
FEW = 2


def default_transform(event_shape: Shape) -> FlowSpec:
    """The flow that `LRMF` takes for points of this shape where none is named.

    Of up to two features ``RealNVP(hidden=(64, 64))``, which needs two. Of more, twice an `Affine`
    map and two couplings of narrow networks: a smaller map, which fits less noise, and one that
    mixes features which couplings of fixed halves never see together. (Of the two the width counted
    for more, on pairs for tuning.) Tried with up to 64 features; the affine maps hold d² numbers
    each. Images need a map of their own, such as `Glow` or `Jet`.

    >>> default_transform((2,))
    RealNVP(blocks=4, hidden=(64, 64), split=None)
    >>> len(default_transform((16,)).flows)
    4
    """
    if len(event_shape) != 1 or event_shape[0] <= FEW:
        return RealNVP(hidden=(64, 64))
    return Chain(flows=(Affine(), RealNVP(blocks=2, hidden=(16, 16))) * 2)


class LRMF(SharedDensityAligner):
    """Align a source A with a target B by a log-likelihood-ratio minimising flow T.

    Minimises the LRMF loss (paper, Definition 2.2 and Algorithm 1)

        -E log|det ∇T(a)| - E log P_S(T(a)) - E log P_S(b) + c(A, B)

    over the flow T and the shared density S, by Adam on minibatches. With ``private_steps``,
    private densities of A and B are fitted, too, and give c(A, B): with this constant the loss of
    an alignment is zero if they fit A and B; with poor ones other maps have a zero as well, or
    less. With ``refit_steps`` copies of S are fitted further, one to T(A) and one to B, for
    `family_certificate`. The map needs neither, nor does `certificate`.

    Of points far from those of `fit` no data say where they belong. T takes them where its spec
    goes on to: `RealNVP` linearly, by some large factor, `SplineFlow` nowhere beyond its bound, so
    many deviations from the mean of the data. No certificate speaks of them.

    With more features T has to be smaller, not larger, or it overfits. Six clusters in 16
    dimensions, 5,000 points a side, that were turned, scaled and bent, are left at 0.02 to 0.03
    nats on three fresh pairs, in 5 to 9 seconds of processor; with the plane's T at 0.10 to 0.11,
    by `GaussianOT` at 0.80 to 1.18. In 64 dimensions they are left at 0.12, and 100,000 points a
    side at 0.001; 500 points in 16 dimensions at 0.51, of which the certificate says *not aligned*
    (``python -m book.results.defaults``).

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector. ``None`` takes what
            `default_transform` gives for the data of `fit`; a loaded aligner names that.
        density: the family M: a spec, or a flow or distribution of the backend's library. A flow
            is pushed forward from N(0, I).
        label_density: a spec, such as ``Gaussian()``, makes `fit` learn from the labels ``ys`` and
            ``yt``, of which few need to be known. The points of each label form a pair of their own
            under the same T, with a shared density of this family and the LRMF loss, and the sum
            of these is added to the loss, with a weight that falls from 10 to 0 in half of the
            steps: labels help to decide which of several alignments is found, and the distributions
            do the rest. Few points stand for their neighbours (a smoothed bootstrap). It helps maps
            of few parameters, such as ``Affine()``; one that can move ten points and leave the
            others behind may end worse than without. The certificate says no more of labels than
            before. By default labels are not used.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps for the flow.
        batch_size: points per side and step; a side of at most this size is used whole.
        learning_rate: Adam's initial step size.
        seed: of initial arrays, minibatches and the validation split.
        standardize: learn from features of mean 0 and deviation 1, so that data of any location
            and scale align alike (`lrmf.standardization`): by the moments of all domains together,
            or, where these lie far apart, by means and scales of each, so that T starts where
            these agree. ``"together"`` and ``"apart"`` always take the one or the other. Of
            images each channel is standardised.
        start: ``"identity"`` lets T start there, wherever the data are. By default it does unless
            they are far apart (see ``standardize``) or there is a closed form, of `Affine` and
            `Gaussian`: the optimum of the loss without labels (of diagonal maps the one that
            matches deviations). Steps of gradient descent can take long to come near it, and with
            a full matrix end in a map that turns the data by some angle.
        schedule: ``"cosine"`` decays the learning rate to zero, ``"warmup cosine"`` lets it rise
            over the first twentieth of the steps before, ``"constant"`` keeps it.
        gradient_clip: largest norm of a gradient.
        private_steps: steps for each private density, ``None`` for as many as ``steps``; 0 fits
            none, and the loss comes without its constant.
        refit_steps: steps for each refitted copy of the shared density; 0 fits none. Only
            `family_certificate` needs private densities and copies.
        refit_learning_rate: their initial step size; by default a tenth of ``learning_rate``,
            which keeps networks from overfitting, and all of it for `Gaussian` and `Histogram`.
        validation_fraction: share of both data sets that is held out to monitor the loss.
        patience: stop when the validation loss has not improved for so many steps.
        snapshot_every: keep the models about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        tolerance: the largest distance in nats that the certificate calls aligned.
        dtype: ``"float32"`` or ``"float64"``.
        devices: over how many devices each batch is divided, or ``"all"``, of all processes after
            ``jax.distributed.initialize``; in JAX only.
        progress: whether to show progress bars.

    Attributes:
        transform_: the fitted flow, a `Flow`.
        density_: the shared density, a `Density`.
        private_source_, private_target_: the densities fitted to A and to B.
        refitted_source_, refitted_target_: the shared density fitted further to T(A) and to B.
        constant_: c(A, B) on the training data, in nats; NaN, and left out of ``history_``,
            where there is none or a solver gave up (``status_``).
        history_: ``step`` and ``loss`` (with the constant) of every step, and
            ``validation_step`` and ``validation_loss`` where data were held out. With
            ``label_density`` the first half of ``loss`` also holds the weighted losses of the
            labels, of standardised points and without constants; ``validation_loss`` does not.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flow, and time for all of the fit.
        snapshots_: ``(step, transform, density)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = LRMF(transform=lrmf.Affine(), density=lrmf.Gaussian(), steps=100, progress=False)
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    start: Literal["identity"] | None

    transform_: Flow
    private_source_: Density
    private_target_: Density
    refitted_source_: Density
    refitted_target_: Density

    def __init__(
        self,
        *,
        transform: Any = None,
        density: Any = RealNVP(blocks=8, hidden=(64, 64)),
        label_density: Any = None,
        backend: Literal["jax", "tfp"] = "jax",
        steps: int = 4000,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        seed: int = 0,
        standardize: Standardize = True,
        start: Literal["identity"] | None = None,
        schedule: Schedule = "warmup cosine",
        gradient_clip: float = 10.0,
        private_steps: int | None = 0,
        refit_steps: int = 0,
        refit_learning_rate: float | None = None,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        snapshot_every: int | None = None,
        checkpoint_every: int = 1000,
        tolerance: float = 0.1,
        dtype: Literal["float32", "float64"] = "float32",
        devices: int | Literal["all"] | None = None,
        progress: bool = True,
    ) -> None:
        self._store(locals())

    def _choose_models(self, event_shape: Shape) -> None:
        if self.transform_spec is None:
            self.transform_spec = default_transform(event_shape)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.start is not None and (not isinstance(self.start, str) or self.start != "identity"):
            raise ValueError(f"start must be 'identity' or None, got {self.start!r}")
        if self.start == "identity" and self.standardize == "apart":
            raise ValueError(
                'start="identity" and standardize="apart", by which T starts at the map that '
                "matches moments, contradict each other; leave out one of them"
            )
        check_label_density(self.label_density)

    @property
    def _standardize(self) -> Standardize:
        if self.start == "identity" and self.standardize:
            return "together"
        return self.standardize

    def _recipe(self, domains: Sequence[str]) -> Recipe:
        start = None
        if self.start is None and has_closed_form(self.transform_spec, self.density):
            start = partial(gaussian_start, self.transform_spec.kind)
        return Recipe(
            start=start,
            parts={
                "transform": Part(
                    kind=Flow,
                    spec=self.transform_spec,
                    parameter="transform",
                    attribute="transform_",
                ),
                "density": Part(
                    kind=Density, spec=self.density, parameter="density", attribute="density_"
                ),
            },
            maps={"source": (("transform", False),), "target": ()},
            objective=Objective(
                likelihood_ratio,
                facts={"constant_": np.nan},
                log_densities={"loss": dict.fromkeys(domains, -1)},
            ),
            config=self._config(),
            private=self._density_fits("private", domains),
            refitted=self._density_fits("refitted", domains),
            snapshot="density_",
        )
