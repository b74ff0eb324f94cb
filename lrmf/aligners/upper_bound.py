"""The AUB aligner: both sides move, to a shared density."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from ..fitting import Schedule
from ..judge import Certificate, lrd
from ..models import Density, Flow
from ..objectives import Alignment
from ..specs import RealNVP
from ..standardization import Standardize
from .base import once_fitted
from .family import FamilyCertificate
from .parts import Objective, Part, flows
from .recipe import Recipe, between
from .shared_density import SharedDensityAligner

__all__ = ["AUB"]


class AUB(SharedDensityAligner):
    """Align A with B by flows of both to a shared density: the alignment upper bound.

    Minimises

        -E log|det ∇T_A(a)| - E log Q(T_A(a)) - E log|det ∇T_B(b)| - E log Q(T_B(b)) + c(A, B)

    over the flows T_A and T_B and the shared density Q, where c(A, B) = E log P_A(a) + E log P_B(b)
    with private densities of A and B. The map from A to B is T = T_B⁻¹ ∘ T_A. Where the private
    densities are those of A and B, -c(A, B) is the sum of their entropies, and the loss bounds
    twice the Jensen-Shannon divergence of T(A) and B from above, with equality where Q is the
    mixture of T_A(A) and T_B(B).

    With ``target_transform=lrmf.Identity()`` it is `LRMF`. With ``density=lrmf.Identity()``, which
    as a density is N(0, I), it is the maximum likelihood part of AlignFlow.

    The loss doesn't change when one flow is applied to the images of both sides and Q is pushed
    along, so the space between A and B is arbitrary. `family_certificate` looks there: its ``lrd``
    is that of T_A(A) and T_B(B) for the family M of Q.

    It takes any number of domains: ``fit(domains=[A, B, C])`` learns a flow for each, and the sums
    above go over all of them. The distance of k domains goes from 0 to k log k nats under a rich
    family: k times their generalised Jensen-Shannon divergence.

    Source: Cho, Gong and Inouye, Cooperative distribution alignment via JSD upper bound (2022),
    with weights 1/2 for each side; the loss here is twice theirs, as the paper of `LRMF` has it.

    Args:
        transform: the flow T_A: a spec, a flowjax bijection or a TFP bijector. Of more than two
            domains it is that of all but the last.
        target_transform: the flow T_B, that of the last domain; by default one of the same spec.
        density: the family M of Q: a spec, or a flow or distribution of the backend's library. A
            flow is pushed forward from N(0, I).
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps for the flows.
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
        gradient_clip: largest norm of a gradient.
        private_steps, refit_steps: as in `LRMF`.
        refit_learning_rate: their initial step size; by default as in `LRMF`.
        validation_fraction: share of both data sets that is held out to monitor the loss.
        patience: stop when the validation loss has not improved for so many steps.
        snapshot_every: keep the map about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        tolerance: the largest distance in nats that the certificate calls aligned.
        dtype: ``"float32"`` or ``"float64"``.
        devices: over how many devices each batch is divided, or ``"all"``, of all processes after
            ``jax.distributed.initialize``; in JAX only.
        progress: whether to show progress bars.

    Attributes:
        transform_: the map T = T_B⁻¹ ∘ T_A, from the first domain to the last, a `Composed` flow.
        maps_: the flows of all domains, in their order.
        source_map_, target_map_: the flows T_A and T_B, of two domains.
        density_: Q, where T_A and T_B lead.
        private_source_, private_target_: the densities fitted to A and to B.
        refitted_source_, refitted_target_: Q fitted further to T_A(A) and to T_B(B). Of more than
            two domains: ``private_domain_0_``, ``refitted_domain_0_`` and so on.
        constant_: c(A, B) on the training data, in nats; NaN, and left out of ``history_``,
            where there is none or a solver gave up (``status_``).
        history_: ``step`` and ``loss`` (with the constant) of every step, and
            ``validation_step`` and ``validation_loss`` where data were held out.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flows, and time for all of the fit.
        snapshots_: ``(step, transform, None)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = AUB(transform=lrmf.Affine(), density=lrmf.Gaussian(), steps=100, progress=False)
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    _facts = (*SharedDensityAligner._facts, "domains_")

    target_transform: Any

    source_map_: Flow
    target_map_: Flow
    #: The names of the domains; files of the first versions know of no others.
    domains_: tuple[str, ...] = ("source", "target")

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        target_transform: Any = None,
        density: Any = RealNVP(blocks=8, hidden=(64, 64)),
        backend: Literal["jax", "tfp"] = "jax",
        steps: int = 4000,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        seed: int = 0,
        standardize: Standardize = True,
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

    def fit(
        self,
        Xs: Any = None,
        ys: Any = None,
        Xt: Any = None,
        yt: Any = None,
        *,
        domains: Sequence[Any] | None = None,
        sample_weight_s: Any = None,
        sample_weight_t: Any = None,
        sample_weights: Sequence[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Learn the flows from source and target points, or from those of several domains.

        Args:
            Xs, ys, Xt, yt, sample_weight_s, sample_weight_t, checkpoint: as in `LRMF.fit`.
            domains: in place of ``Xs`` and ``Xt``, the points of two or more domains, each
                ``(n_j, *event_shape)``.
            sample_weights: for each of ``domains`` the weights of its points, or ``None``.

        Raises:
            ValueError, TypeError: as in `LRMF.fit`; fewer than two domains; both ways at once.
        """
        _check_one_way(domains, sample_weights, (Xs, Xt, sample_weight_s, sample_weight_t))
        if domains is None:
            return super().fit(
                Xs,
                ys,
                Xt,
                yt,
                sample_weight_s=sample_weight_s,
                sample_weight_t=sample_weight_t,
                checkpoint=checkpoint,
            )
        return self._fit(*_named(domains, sample_weights), checkpoint)

    def family_certificate(
        self,
        Xs: Any = None,
        Xt: Any = None,
        *,
        domains: Sequence[Any] | None = None,
        sample_weight_s: Any = None,
        sample_weight_t: Any = None,
        sample_weights: Sequence[Any] | None = None,
    ) -> FamilyCertificate:
        """Held-out evidence whether the images of the domains are indistinguishable to the family.

        As in `LRMF.family_certificate`; after a fit of several domains of all of them, ``domains``.
        """
        self._check_domains(domains)
        _check_one_way(domains, sample_weights, (Xs, Xt, sample_weight_s, sample_weight_t))
        if domains is None:
            return super().family_certificate(
                Xs, Xt, sample_weight_s=sample_weight_s, sample_weight_t=sample_weight_t
            )
        points, weights = _named(domains, sample_weights)
        return self._certificate(
            {d: (x, name, f"the image of {name}") for d, (x, name) in points.items()}, weights
        )

    def certificate(
        self,
        Xs: Any = None,
        Xt: Any = None,
        *,
        domains: Sequence[Any] | None = None,
        sample_weight_s: Any = None,
        sample_weight_t: Any = None,
        sample_weights: Sequence[Any] | None = None,
        tolerance: float | None = None,
        seed: int = 0,
        controls: bool = True,
    ) -> Certificate:
        """What held-out points say of T(A) against B, by the judge of `lrmf.lrd`.

        As for every aligner; after a fit of more than two domains of all of them, ``domains``: each
        is mapped to the last and judged against it, and the certificate is the worst of these.
        """
        self._check_domains(domains)
        _check_one_way(domains, sample_weights, (Xs, Xt, sample_weight_s, sample_weight_t))
        options: dict[str, Any] = {"tolerance": tolerance, "seed": seed, "controls": controls}
        if domains is None:
            return super().certificate(
                Xs, Xt, sample_weight_s=sample_weight_s, sample_weight_t=sample_weight_t, **options
            )
        self._check_complete()
        points, weights = _named(domains, sample_weights)
        *others, last = points
        target = self._check_new(*points[last])
        found = [
            lrd(
                self._moved_between(*points[name], j, -1),
                target,
                sample_weight_s=weights[name][0],
                sample_weight_t=weights[last][0],
                **options | {"tolerance": self.tolerance if tolerance is None else tolerance},
            )
            for j, name in enumerate(others)
        ]
        worst = max(found, key=lambda c: (_SEVERITY.index(c.decision), c.lrd))
        return dataclasses.replace(worst, seen=self._seen(list(points.values())))

    @once_fitted
    def score(
        self,
        Xs: Any = None,
        Xt: Any = None,
        *,
        domains: Sequence[Any] | None = None,
    ) -> float:
        """Minus the distance of `certificate`, in nats: higher is better."""
        return -self.certificate(Xs, Xt, domains=domains, controls=False).lrd

    def transform(self, X: Any, *, domain: int = 0, to: int = -1) -> np.ndarray:
        """Map points of one domain to another, by default of the first to the last.

        Args:
            X: points ``(n, *event_shape)``.
            domain: the number of the domain that they are from, in the order of `fit`.
            to: that of the domain to map to.
        """
        return self._moved_between(X, "X", domain, to)

    def inverse_transform(self, X: Any, *, domain: int = 0, to: int = -1) -> np.ndarray:
        """The inverse of `transform` with the same numbers of domains."""
        flow = self._between(domain, to)
        return self._mapped(X, lambda points: flow.inverse(points)[0], to)

    def _moved_between(self, x: Any, argument: str, domain: int, to: int) -> np.ndarray:
        flow = self._between(domain, to)
        return self._mapped(x, lambda points: flow.forward(points)[0], domain, argument)

    @property
    def maps_(self) -> list[Flow]:
        """The flows of all domains, in their order."""
        self._check_fitted()
        return [getattr(self, attribute) for attribute in _attributes(self.domains_)]

    def _check_domains(self, domains: Sequence[Any] | None) -> None:
        """Refuse another number of domains than `fit` had; ``None`` stands for two."""
        self._check_fitted()
        count = len(self.domains_)
        if domains is None and count != 2:
            raise TypeError(f"the fit had {count} domains; pass domains=[...]")
        if domains is not None and len(domains) != count:
            raise ValueError(f"expected {count} domains as in fit, got {len(domains)}")

    def _between(self, domain: int, to: int) -> Flow:
        self._check_fitted()
        names = self.domains_
        for name, number in (("domain", domain), ("to", to)):
            if not isinstance(number, (int, np.integer)) or not -len(names) <= number < len(names):
                raise ValueError(
                    f"{name} must be the number of one of the {len(names)} domains, got {number!r}"
                )
        parts = dict(zip(_roles(names), self.maps_, strict=True))
        return between(self._fitted_recipe, parts, names[domain], names[to])

    def _recipe(self, domains: Sequence[str]) -> Recipe:
        roles = _roles(domains)
        maps = {domain: ((role, False),) for domain, role in zip(domains, roles, strict=True)}
        density = Part(kind=Density, spec=self.density, parameter="density", attribute="density_")
        return Recipe(
            parts={
                **flows(roles, _attributes(domains), self.transform_spec, self.target_transform),
                "density": density,
            },
            maps=maps,
            objective=Objective(
                Alignment(maps=tuple(maps.items())),
                facts={"constant_": np.nan, "domains_": tuple(domains)},
                log_densities={"loss": dict.fromkeys(domains, -1)},
            ),
            config=self._config(),
            private=self._density_fits("private", domains),
            refitted=self._density_fits("refitted", domains),
            draws=(
                "transform",
                "density",
                "split",
                *(f"private {domain}" for domain in domains),
                "flow",
                *(f"refit {domain}" for domain in domains),
                *roles[1:],
            ),
        )


def _check_one_way(domains: Any, weights: Any, others: tuple[Any, ...]) -> None:
    """Refuse domains in two ways at once."""
    if domains is None and weights is not None:
        raise TypeError("sample_weights goes with domains=; of Xs it is sample_weight_s")
    if domains is not None and any(x is not None for x in others):
        raise TypeError("give either domains (and sample_weights), or Xs and Xt, not both")


def _named(
    domains: Any, weights: Any
) -> tuple[dict[str, tuple[Any, str]], dict[str, tuple[Any, str]]]:
    """Domains and weights, each with the name of its argument."""
    if not isinstance(domains, (list, tuple)) or len(domains) < 2:
        raise ValueError(
            "domains must be a list of the points of two or more domains, got "
            + (f"{len(domains)}" if isinstance(domains, (list, tuple)) else type(domains).__name__)
        )
    if weights is None:
        weights = [None] * len(domains)
    elif not isinstance(weights, (list, tuple)) or len(weights) != len(domains):
        raise ValueError(
            f"sample_weights must be a list of weights (or None) for each of {len(domains)} domains"
        )
    names: tuple[str, ...] = ("source", "target")
    if len(domains) > 2:
        names = tuple(f"domain_{j}" for j in range(len(domains)))
    return (
        {d: (x, f"domains[{j}]") for j, (d, x) in enumerate(zip(names, domains, strict=True))},
        {
            d: (w, f"sample_weights[{j}]")
            for j, (d, w) in enumerate(zip(names, weights, strict=True))
        },
    )


#: From the best decision to the worst.
_SEVERITY = ("aligned", "not decided", "not aligned")


def _roles(domains: Sequence[str]) -> tuple[str, ...]:
    between = (f"transform_{j}" for j in range(1, len(domains) - 1))
    return ("transform", *between, "target_transform")


def _attributes(domains: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{domain}_map_" for domain in domains)
