"""Faults of standardisation, of what is said of degenerate data, and of names."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

OWN = ("tests/test_standardization.py", "-k", "not tfp")
SCALE = ("tests/aligners/test_scale.py", "-k", "not tfp")

standardization = partial(Mutant, file="lrmf/standardization.py", tests=OWN)
models = partial(Mutant, file="lrmf/models.py", tests=OWN)
recipe = partial(Mutant, file="lrmf/aligners/recipe.py", tests=SCALE)
degenerate = partial(Mutant, file="lrmf/degenerate.py", tests=("tests/test_degenerate.py",))

MUTANTS = (
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
        old="constant = len(recipe.private) * log_det",
        new="constant = 0.0",
    ),
    recipe(
        "fit: the history is that of standardised points",
        old="{name: count * log_det for",
        new="{name: 0.0 * log_det for",
    ),
    recipe(
        "fit: snapshots are of standardised points",
        old="recipe.frame({name: restored(name, own)",
        new="recipe.frame({name: model(name, own)",
    ),
    Mutant(
        "back to back: noise is standardised",
        "lrmf/aligners/parts.py",
        '"before": None if self.of_noise else units,',
        '"before": units,',
        SCALE,
    ),
    Mutant(
        "files: an old file is taken for a standardised one",
        "lrmf/aligners/persistence.py",
        '("standardize", False), ("start"',
        '("standardize", True), ("start"',
        SCALE,
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
