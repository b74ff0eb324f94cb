"""Faults of standardisation, of what is said of degenerate data, and of names."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

OWN = ("tests/test_standardization.py", "-k", "not tfp")
FAR = ("tests/aligners/test_far_apart.py",)
SCALE = ("tests/aligners/test_scale.py", "-k", "not tfp")

standardization = partial(Mutant, file="lrmf/standardization.py", tests=OWN)
models = partial(Mutant, file="lrmf/models.py", tests=OWN)
units = partial(Mutant, file="lrmf/aligners/units.py", tests=FAR)
recipe = partial(Mutant, file="lrmf/aligners/recipe.py", tests=SCALE)
degenerate = partial(Mutant, file="lrmf/degenerate.py", tests=("tests/test_degenerate.py",))

MUTANTS = (
    standardization(
        "standardisation: squares of what domains share vanish",
        old="np.where(alike.max(axis=0) > 0, alike.max(axis=0), 1.0)",
        new="1.0",
    ),
    standardization(
        "standardisation: the way between the domains is left out",
        old="(means / unit - location) ** 2",
        new="0.0 * (means / unit - location) ** 2",
    ),
    standardization(
        "standardisation: chunks have moments of their own",
        old="squares + spread + gap**2 * (mass * added / total)",
        new="squares + spread",
    ),
    standardization(
        "standardisation: the pixels of a channel count once",
        old="math.prod(event_shape[:-1])",
        new="1.0",
    ),
    models(
        "density: the volume of the units is left out",
        old='self._call("log_prob", x, units=self.before), x, (self.before, 1.0)',
        new='self._call("log_prob", x, units=self.before), x, (self.before, 0.0)',
    ),
    models(
        "flow: the volume of the units has the wrong sign",
        old="(here, 1.0), (there, -1.0)",
        new="(here, -1.0), (there, 1.0)",
    ),
    models(
        "models: points are cast before they are standardised",
        old="x = x if units is None else units.apply(x)\n",
        new="x = x if units is None else units.apply(x.astype(self.dtype), self.dtype)\n",
    ),
    recipe(
        "fit: the constant is that of standardised points",
        old="constant = sum(units.log_det(fit.domain, event_shape) for fit in recipe.private)",
        new="constant = 0.0",
    ),
    recipe(
        "fit: the history is that of standardised points",
        old="k: units.missing(n, event_shape) for",
        new="k: 0.0 * units.missing(n, event_shape) for",
    ),
    recipe(
        "fit: snapshots are of standardised points",
        old="recipe.frame({name: restored(name, own)",
        new="recipe.frame({name: model(name, own)",
    ),
    Mutant(
        "back to back: noise is standardised",
        "lrmf/aligners/units.py",
        "len(chain) - 1 and not part.of_noise else None",
        "len(chain) - 1 else None",
        SCALE,
    ),
    Mutant(
        "files: an old file is taken for a standardised one",
        "lrmf/aligners/persistence.py",
        '("standardize", False), ("start"',
        '("standardize", True), ("start"',
        SCALE,
    ),
    units(
        "far apart: private densities are in units of the target",
        old="            before = self.of(domain)",
        new="            before = self.meeting",
    ),
    units(
        "far apart: maps take points in units of the target",
        old="here = self.of(domain) if k == 0 else None",
        new="here = self.meeting if k == 0 else None",
    ),
    units(
        "far apart: what is missing is that of the target, as often",
        old="sum(count * self.log_det(j, event_shape) for",
        new="sum(count * self.log_det(list(self.domains)[-1], event_shape) for",
    ),
    units(
        "far apart: a fixed map is asked to bring domains together",
        old="all(isinstance(spec, Spec) and not spec.shapes(event_shape) for spec in specs)",
        new="False",
    ),
    units(
        "far apart: a histogram gets edges of each domain",
        old="if any(spec != first for spec in others):",
        new="if False:",
    ),
    standardization(
        "far apart: domains are never",
        old="moved = varies if (far | stretched).any() else np.zeros_like(varies)",
        new="moved = np.zeros_like(varies)",
        tests=FAR,
    ),
    standardization(
        "far apart: deviations never differ",
        old="stretched = varies & (deviations.max(axis=0) > RATIO * deviations.min(axis=0))",
        new="stretched = np.zeros_like(varies)",
        tests=FAR,
    ),
    standardization(
        "far apart: features that are stretched alike lose their shape",
        old="if not apart and stretched.sum() > 1:",
        new="if False:",
        tests=FAR,
    ),
    standardization(
        "far apart: features that are not stretched alike get one factor",
        old="if (np.ptp(logs, axis=1) > np.log(RATIO)).any():",
        new="if False:",
        tests=FAR,
    ),
    Mutant(
        "far apart: new points are measured by the units of the target",
        "lrmf/aligners/trained.py",
        "units = list(self.standardizations_.values())[domain]",
        "units = list(self.standardizations_.values())[-1]",
        FAR,
    ),
    degenerate(
        "data: constants are sound",
        old="constant = found.low == found.high",
        new="constant = found.low > found.high",
    ),
    degenerate(
        "data: copies are sound",
        old="eigenvalues < _DEPENDENT",
        new="eigenvalues < -1.0",
    ),
    Mutant(
        "names: their order does not matter",
        "lrmf/points.py",
        "if list(names) == list(first):",
        "if set(names) == set(first):",
        ("tests/aligners/test_frames.py", "-k", "GaussianOT"),
    ),
)
