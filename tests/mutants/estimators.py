"""Faults of what all estimators share: data, weights, parameters, fits and files."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

LRMF = "tests/aligners/test_lrmf.py"
FITTED = (LRMF, "-k", "jax and (private or constant or refitted or history)")
VALIDATION = ("tests/aligners/test_lrmf_fit.py", "-k", "validation")
STOPPING = "tests/aligners/test_stopping.py"
DIVERGENCE = "tests/aligners/test_divergence.py"
POINTS = ("tests/test_checks.py", "tests/test_points.py")
RECIPE = "tests/aligners/test_recipe.py"
PARAMETERS = ("tests/aligners/test_estimator.py", "-k", "params or clone")

points = partial(Mutant, file="lrmf/points.py", tests=POINTS)
base = partial(Mutant, file="lrmf/aligners/base.py")
trained = partial(Mutant, file="lrmf/aligners/trained.py")
recipe = partial(Mutant, file="lrmf/aligners/recipe.py")
held_out = partial(Mutant, file="lrmf/aligners/held_out.py")
units = partial(Mutant, file="lrmf/aligners/units.py")

MUTANTS = (
    points(
        "data: NaN is accepted",
        old="    if bad.any():",
        new="    if bad.all() and len(bad) > 99:",
    ),
    points(
        "data: the first column is blamed for text",
        old="names[i % len(names)] for i in strange",
        new="names[0] for i in strange",
        tests=("tests/aligners/test_frames.py", "-k", "that_are_none"),
    ),
    points(
        "data: gaps are counted by row",
        old="np.count_nonzero(~finite, axis=0)",
        new="np.count_nonzero(~finite.all(axis=1))",
        tests=("tests/aligners/test_frames.py", "-k", "that_are_none"),
    ),
    points(
        "data: event shapes that differ are accepted",
        old="if x.shape[1:] != expected:",
        new="if len(x.shape[1:]) != len(expected):",
        tests=("tests/test_distances.py", "-k", "refused or needs"),
    ),
    points(
        "data: one row is enough where two are needed",
        old="if shape[0] < minimum:",
        new="if shape[0] < 1:",
    ),
    points(
        "data: rows of a part are numbered as in the whole",
        old="numbers = rows if self._rows is None else self._rows[rows]",
        new="numbers = rows",
    ),
    points(
        "data: rows from a file come in the file's order",
        old="return rows[places.reshape(key.shape)]",
        new="return rows[np.sort(places).reshape(key.shape)]",
    ),
    points(
        "data: a change goes unseen",
        old="if checksum != self._whole.checksum:",
        new="if checksum == -1:",
    ),
    points(
        "weights: their scale matters",
        old="array / array.mean()",
        new="array",
    ),
    base(
        "parameters: get_params loses one",
        old="for name in self._get_param_names()}",
        new='for name in self._get_param_names() if name != "seed"}',
        tests=PARAMETERS,
    ),
    base(
        "parameters: unknown names are set",
        old="if own not in known:",
        new="if not known:",
        tests=PARAMETERS,
    ),
    trained(
        "transform: forward and inverse swapped",
        old="lambda points: self.transform_.forward(points)[0]",
        new="lambda points: self.transform_.inverse(points)[0]",
        tests=(LRMF, "-k", "jax and (transform or moments)"),
    ),
    trained(
        "fit: an aligner's seed is not passed on",
        old="seed=own.seed,",
        new="seed=0,",
        tests=("tests/aligners/test_every_aligner.py", "-k", "seed and lrmf-jax"),
    ),
    held_out(
        "validation: on training rows",
        old="(held_out, held, rows[:count])",
        new="(held_out, held, rows[count:])",
        tests=VALIDATION,
    ),
    held_out(
        "validation: held-out rows are learned from as well",
        old="(data, kept, rows[count:])",
        new="(data, kept, rows)",
        tests=(RECIPE, "-k", "apart"),
    ),
    recipe(
        "fit: points that changed go unseen",
        old="x.check_unchanged(arguments[domain])",
        new="x.chunks()",
        tests=(RECIPE, "-k", "change_during"),
    ),
    trained(
        "fit: a half of the result is assigned before the fit ends",
        old="        recipe = extended = own._recipe(tuple(domains))\n",
        new="        recipe = extended = self._fitted_recipe = own._recipe(tuple(domains))\n",
        tests=(RECIPE, "-k", "as_it_was and lrmf"),
    ),
    trained(
        "checkpoint: other data are not noticed",
        old="digest.update(np.ascontiguousarray(chunk).tobytes())",
        new="pass",
        tests=(STOPPING, "-k", "other_data"),
    ),
    trained(
        "fit: a divergence is kept quiet",
        old='if result.facts["outcome_"] == "diverged":',
        new="if False:",
        tests=(DIVERGENCE, "-k", "warns or as_an_error"),
    ),
    Mutant(
        "labels: points that are held out are learned from",
        "lrmf/aligners/labels.py",
        "own = labels[domain][x.numbers]",
        "own = labels[domain][: len(x)]",
        ("tests/aligners/test_labels.py", "-k", "held_out_or"),
    ),
    Mutant(
        "labels: they decide to the end",
        "lrmf/fitting.py",
        "np.maximum(0.0, 1.0 - 2.0 * progress)",
        "np.ones_like(progress)",
        ("tests/test_fitting.py", "-k", "annealed"),
    ),
    Mutant(
        "labels: all weights are one",
        "lrmf/objectives.py",
        'batch["label_weights"][k] * loss',
        "loss",
        ("tests/aligners/test_labels.py", "-k", "by_hand and jax"),
    ),
    units(
        "fit: the constant is subtracted from the history",
        old="np.isnan(constant) else constant)",
        new="np.isnan(constant) else -constant)",
        tests=FITTED,
    ),
    Mutant(
        "fit: a private fit that diverged is no failure",
        "lrmf/aligners/stages.py",
        'result.outcome in ("diverged", "interrupted")',
        'result.outcome == "interrupted"',
        (DIVERGENCE, "-k", "another_stage"),
    ),
    Mutant(
        "saved files: arrays that do not fit are read",
        "lrmf/aligners/persistence.py",
        "if shapes[0] != shapes[1]:",
        "if len(shapes[0]) != len(shapes[1]):",
        ("tests/aligners/test_bad_files.py", "-k", "do_not_fit"),
    ),
)
