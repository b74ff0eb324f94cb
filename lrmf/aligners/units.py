"""In which units each model of a recipe takes its points and gives its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models import Density
from ..specs import Shape, Spec
from ..standardization import Moments, Standardization, Standardize, standardizations

if TYPE_CHECKING:
    from .recipe import Recipe

__all__ = ["Units", "restored_history"]


@dataclass(frozen=True, eq=False)
class Units:
    """How the points of each domain are standardised, if at all, and so what models are of.

    Attributes:
        recipe: whose models.
        domains: by domain, in the order of the recipe. All domains meet in units of the last.
    """

    recipe: Recipe
    domains: Mapping[str, Standardization] | None

    @classmethod
    def choose(
        cls,
        recipe: Recipe,
        measured: Mapping[str, Moments],
        standardize: Standardize,
        event_shape: Shape,
    ) -> Units:
        """Those of data with these moments, as the aligner's parameter asks.

        Raises ``ValueError`` where it asks for units of each domain, and a map or a density has to
        know one for all.
        """
        if not standardize:
            return cls(recipe, None)
        measured = {domain: own for domain, own in measured.items() if domain not in recipe.noise}
        if standardize == "together":
            return cls(recipe, standardizations(measured, apart=False))
        own = cls(recipe, standardizations(measured, apart=standardize == "apart" or None))
        if own.together:
            return own
        if reason := own._obstacle(event_shape):
            if standardize == "apart":
                raise ValueError(f'standardize="apart" {reason}; set standardize="together"')
            return cls(recipe, standardizations(measured, apart=False))
        return own

    @property
    def together(self) -> bool:
        """Whether all domains have the same."""
        return self.domains is None or len({id(own) for own in self.domains.values()}) == 1

    @property
    def meeting(self) -> Standardization | None:
        """Those of the place where all domains meet: of the last one."""
        return None if self.domains is None else list(self.domains.values())[-1]

    def of(self, domain: str) -> Standardization | None:
        """Those of a domain; noise has none."""
        return None if self.domains is None else self.domains.get(domain)

    def log_det(self, domain: str, event_shape: Shape) -> float:
        """log|det S_j| of a domain's points, of this shape."""
        own = self.of(domain)
        return 0.0 if own is None else own.log_det(event_shape)

    def missing(self, counts: float | Mapping[str, float], event_shape: Shape) -> float:
        """So many log-determinants of each domain, or of the place where all meet."""
        if not isinstance(counts, Mapping):
            counts = {list(self.recipe.maps)[-1]: counts}
        return sum(count * self.log_det(j, event_shape) for j, count in counts.items())

    def spec(self, role: str) -> Any:
        """The spec of a role's model of standardised points."""
        return self.recipe.parts[role].standardized(self.meeting).spec

    def restored(self, role: str, model: Any, domain: str | None = None) -> Any:
        """A role's model of points in units of the data.

        Args:
            role: of the recipe.
            model: that of standardised points.
            domain: whose points a copy of a density was fitted to, if to one domain's own.
        """
        part = self.recipe.parts[role]
        before, after = self._ends(role)
        if domain is not None:
            before = self.of(domain)
        return part.restored(model, before, after)

    def _ends(self, role: str) -> tuple[Standardization | None, Standardization | None]:
        """Those of what a role's model takes and, of a flow, gives."""
        part = self.recipe.parts[role]
        for domain, chain in self.recipe.maps.items():
            for k, (name, inverted) in enumerate(chain):
                if name == role:
                    here = self.of(domain) if k == 0 else None
                    there = self.meeting if k == len(chain) - 1 and not part.of_noise else None
                    return (there, here) if inverted else (here, there)
        own = self.meeting if part.domain is None else self.of(part.domain)
        return own, own if part.image is None else self.of(part.image)

    def _obstacle(self, event_shape: Shape) -> str:
        """What keeps domains from units of their own, if anything."""
        used = [role for chain in self.recipe.maps.values() for role, _ in chain]
        if len(set(used)) < len(used):
            return "needs a map of its own for each domain"
        for domain, chain in list(self.recipe.maps.items())[:-1]:
            specs = [self.recipe.parts[role].spec for role, _ in chain]
            if all(isinstance(spec, Spec) and not spec.shapes(event_shape) for spec in specs):
                return f"needs a map of the {domain} that can learn, and this one is fixed"
        for part in self.recipe.parts.values():
            if part.kind is Density and isinstance(part.spec, Spec) and self.domains is not None:
                first, *others = (part.standardized(own).spec for own in self.domains.values())
                if any(spec != first for spec in others):
                    return f"needs a density without units of its own, unlike {part.spec}"
        return ""


def restored_history(
    history: Mapping[str, np.ndarray], missing: Mapping[str, float], constant: float
) -> dict[str, np.ndarray]:
    """A history in units of the data, with a constant in the map's losses, if it is known."""
    shifts = dict(missing)
    shifts["loss"] = shifts.get("loss", 0.0) + (0.0 if np.isnan(constant) else constant)
    shifts["validation_loss"] = shifts["loss"]
    return {name: v + shifts[name] if name in shifts else v for name, v in history.items()}
