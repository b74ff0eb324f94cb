"""What aligners share that minimise an upper bound over a shared density: their certificate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from ..checks import check_non_negative_int, check_positive_number
from ..judge import Certificate
from ..judge.distance import check_tolerance
from ..models import Density
from ..objectives import chained
from ..points import weighted
from ..specs import Spec
from .family import FamilyCertificate
from .parts import DensityFit
from .trained import TrainedAligner

__all__ = ["SharedDensityAligner"]


class SharedDensityAligner(TrainedAligner):
    """An aligner that maps the domains to where one density of a family M is to fit them.

    With ``private_steps`` it fits private densities of the domains, which give the bound its
    constant, and with ``refit_steps`` afterwards copies of the shared density to the image of each
    domain, for `family_certificate`.
    """

    _facts = (*TrainedAligner._facts, "constant_")

    density: Any
    private_steps: int | None
    refit_steps: int
    refit_learning_rate: float | None
    tolerance: float

    density_: Density
    constant_: float

    def _density_fits(self, kind: str, domains: Sequence[str]) -> tuple[DensityFit, ...]:
        """The private densities, or the refitted copies of the shared one."""
        if kind == "private":
            steps = self.steps if self.private_steps is None else self.private_steps
            stage = "private"
            rate: float | None = self.learning_rate
        else:
            stage, steps, rate = "refit", self.refit_steps, self.refit_learning_rate
            if rate is None:
                # Nothing is known of an object of a backend's library: as for any spec.
                spec = self.density if isinstance(self.density, Spec) else Spec
                rate = spec.refit_share * self.learning_rate
        if steps == 0:
            return ()
        config = self._config(steps=steps, learning_rate=rate, snapshot_every=None, patience=None)
        return tuple(
            DensityFit(
                stage=f"{stage} {domain}",
                attribute=f"{kind}_{domain}_",
                part="density",
                domain=domain,
                config=config,
            )
            for domain in domains
        )

    def family_certificate(
        self, Xs: Any, Xt: Any, *, sample_weight_s: Any = None, sample_weight_t: Any = None
    ) -> FamilyCertificate:
        """Held-out evidence whether T(A) and B are indistinguishable to the family M.

        Args:
            Xs: held-out source points ``(n_s, *event_shape)``.
            Xt: held-out target points ``(n_t, *event_shape)``.
            sample_weight_s, sample_weight_t: weights of the points, as in `fit`.

        The private models and the refitted copies were fitted to the training data by `fit`. With
        few points, a map that made the training data alike leaves the copies nothing to learn,
        however much fresh points differ: `lrmf.family_lrd` of mapped points that `fit` did not
        see refits on points of their own. `certificate`, by the judge, has no such weakness.
        """
        return self._certificate(
            {"source": (Xs, "Xs", "the image of Xs"), "target": (Xt, "Xt", "the image of Xt")},
            {
                "source": (sample_weight_s, "sample_weight_s"),
                "target": (sample_weight_t, "sample_weight_t"),
            },
        )

    def _certificate(
        self,
        given: dict[str, tuple[Any, str, str]],
        given_weights: dict[str, tuple[Any, str]],
    ) -> FamilyCertificate:
        """The certificate of domains and weights, each with what the user calls it."""
        domains = {
            d: self._check_rows(x, name, k, minimum=2)
            for k, (d, (x, name, _)) in enumerate(given.items())
        }
        weights: dict[str, np.ndarray | None] = {}
        for domain, (w, name) in given_weights.items():
            domains[domain], weights[domain] = weighted(domains[domain], w, name)
        self._check_complete()
        if not self._has_family:
            raise NotFittedError(
                "the fit had no private densities or refitted copies, which this certificate "
                "compares; fit with private_steps and refit_steps above 0"
            )
        recipe = self._fitted_recipe
        parts = {
            role: getattr(self, part.attribute)
            for role, part in recipe.parts.items()
            if part.attribute is not None
        }
        family = recipe.parts["density"].spec
        gains, bounds = [], []
        for domain, x in domains.items():
            flow = chained(parts, recipe.maps[domain])
            refitted = getattr(self, f"refitted_{domain}_")
            private = getattr(self, f"private_{domain}_")
            terms = []
            for chunk in x.chunks():
                image, log_det = (chunk, 0.0) if flow is None else flow.forward(chunk)
                shared = self.density_.log_prob(image)
                if isinstance(family, Spec) and not np.isfinite(shared).all():
                    family.check_points(image, given[domain][1 if flow is None else 2])
                # Log-densities that overflow to -inf leave NaN; the verdict says so.
                with np.errstate(invalid="ignore"):
                    gain = refitted.log_prob(image) - shared
                    terms.append((gain, private.log_prob(chunk) - log_det - shared))
            own_gains, own_bounds = (np.concatenate(parts) for parts in zip(*terms, strict=True))
            gains.append(own_gains)
            bounds.append(own_bounds)
        return FamilyCertificate.from_terms(
            gains=gains,
            bounds=bounds,
            weights=[weights[domain] for domain in domains],
            tolerance=self.tolerance,
        )

    def certificate(
        self,
        Xs: Any,
        Xt: Any,
        *,
        tolerance: float | None = None,
        sample_weight_s: Any = None,
        sample_weight_t: Any = None,
        seed: int = 0,
        controls: bool = True,
    ) -> Certificate:
        """As for every aligner; with ``bound`` and ``family_lrd`` where the fit prepared them."""
        found = super().certificate(
            Xs,
            Xt,
            tolerance=tolerance,
            sample_weight_s=sample_weight_s,
            sample_weight_t=sample_weight_t,
            seed=seed,
            controls=controls,
        )
        if not self._has_family:
            return found
        family = self.family_certificate(
            Xs, Xt, sample_weight_s=sample_weight_s, sample_weight_t=sample_weight_t
        )
        return dataclasses.replace(
            found,
            bound=family.bound,
            bound_stderr=family.bound_stderr,
            family_lrd=family.lrd,
            family_lrd_stderr=family.lrd_stderr,
        )

    @property
    def _has_family(self) -> bool:
        """Whether the fit had what `family_certificate` compares."""
        return bool(self._fitted_recipe.private and self._fitted_recipe.refitted)

    @property
    def _tolerance(self) -> float:
        return self.tolerance

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_tolerance(self.tolerance)
        if self.refit_learning_rate is not None:
            check_positive_number("refit_learning_rate", self.refit_learning_rate)
        if self.private_steps is not None:
            check_non_negative_int("private_steps", self.private_steps)
        check_non_negative_int("refit_steps", self.refit_steps)
