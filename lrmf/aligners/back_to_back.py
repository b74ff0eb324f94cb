"""The back-to-back aligner: two densities fitted by themselves, their flows joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..fitting import Schedule
from ..models import Density, Flow
from ..objectives import Alignment
from ..specs import Identity, RealNVP
from ..standardization import Standardize
from .parts import Objective, Part, flows
from .recipe import Recipe
from .trained import TrainedAligner

__all__ = ["BackToBackFlow"]


class BackToBackFlow(TrainedAligner):
    """Align A with B by flows from a common prior to each, back to back: T = F ∘ G⁻¹.

    Minimises

        -E log p_G(a) - E log p_F(b),    p_G the density of G(z), p_F that of F(z), z ~ N(0, I),

    over the flows G and F: two fits by maximum likelihood that know nothing of each other, taken
    in one step. Then G⁻¹ takes A to N(0, I) and F takes N(0, I) to B.

    The likelihoods certify nothing about alignment. T(A) is B if both flows are perfect, but the
    errors of both add up: where G⁻¹(A) is not normal, F maps what no point of B taught it. Nothing
    in the objective keeps points near where they were, either: each flow may turn the prior, which
    has no preferred direction, by its own angle.

    Sources: Usman et al., Log-likelihood ratio minimizing flows (2020), the baseline of section 4;
    Grover et al., AlignFlow: Cycle consistent learning from multiple domains via normalizing flows
    (2020), without its adversarial part.

    Args:
        transform: the flow G: a spec, a flowjax bijection or a TFP bijector.
        target_transform: the flow F; by default one of the same spec.
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps.
        batch_size: points per side and step; a side of at most this size is used whole.
        learning_rate: Adam's initial step size.
        seed: of initial arrays, minibatches and the validation split.
        standardize: learn from features of mean 0 and deviation 1, so that data of any location
            and scale align alike (`lrmf.standardization`): by the moments of all domains together,
            or, where these lie far apart, by means and scales of each, so that T starts where
            these agree. ``"together"`` and ``"apart"`` always take the one or the other. Of
            images each channel is standardised.
        schedule: ``"cosine"`` decays the learning rate to zero, ``"warmup cosine"`` lets it rise
            over the first twentieth of the steps before, ``"constant"`` keeps it.
        gradient_clip: largest norm of a gradient, of both flows together.
        validation_fraction: share of both data sets that is held out to monitor the loss.
        patience: stop when the validation loss has not improved for so many steps.
        snapshot_every: keep map and density about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        dtype: ``"float32"`` or ``"float64"``.
        devices: over how many devices each batch is divided, or ``"all"``, of all processes after
            ``jax.distributed.initialize``; in JAX only.
        progress: whether to show a progress bar.

    Attributes:
        transform_: the map T = F ∘ G⁻¹, a `Composed` flow.
        source_flow_, target_flow_: the flows G and F.
        private_source_, private_target_: the densities p_G of A and p_F of B.
        history_: ``step`` and ``loss`` of every step, and ``validation_step`` and
            ``validation_loss`` where data were held out, in nats.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flows, and time for the fit.
        snapshots_: ``(step, transform, private target density)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = BackToBackFlow(transform=lrmf.Affine(), steps=100, progress=False)
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    target_transform: Any

    source_flow_: Flow
    target_flow_: Flow
    private_source_: Density
    private_target_: Density

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        target_transform: Any = None,
        backend: Literal["jax", "tfp"] = "jax",
        steps: int = 4000,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        seed: int = 0,
        standardize: Standardize = True,
        schedule: Schedule = "cosine",
        gradient_clip: float = 10.0,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        snapshot_every: int | None = None,
        checkpoint_every: int = 1000,
        dtype: Literal["float32", "float64"] = "float32",
        devices: int | Literal["all"] | None = None,
        progress: bool = True,
    ) -> None:
        self._store(locals())

    def _recipe(self, domains: Sequence[str]) -> Recipe:
        maps = {"source": (("transform", True),), "target": (("target_transform", True),)}
        parts = flows(
            ("transform", "target_transform"),
            ("source_flow_", "target_flow_"),
            self.transform_spec,
            self.target_transform,
            of_noise=True,
        )
        return Recipe(
            parts={**parts, "prior": Part(kind=Density, spec=Identity())},
            maps=maps,
            objective=Objective(
                Alignment(maps=tuple(maps.items()), density="prior"),
                log_densities={"loss": dict.fromkeys(domains, -1)},
            ),
            config=self._config(),
            pushed={
                "private_source_": ("transform",),
                "private_target_": ("target_transform",),
            },
            snapshot="private_target_",
        )
