"""Faults of aligners and of the certificate."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

LRMF = "tests/aligners/test_lrmf.py"
BY_HAND = (LRMF, "-k", "not tfp and (hand or constant or bound or score)")
FITTED = (LRMF, "-k", "jax and (private or constant or refitted or history)")
REFITTED = (LRMF, "-k", "(refitted or identity) and not tfp")
TWO_MAPS = "tests/aligners/test_two_maps.py"
DIVERGENCE = "tests/aligners/test_divergence.py"
RECIPE = "tests/aligners/test_recipe.py"

certificate = partial(
    Mutant, file="lrmf/aligners/family.py", tests=("tests/aligners/test_family.py",)
)
shared = partial(Mutant, file="lrmf/aligners/shared_density.py")
base = partial(Mutant, file="lrmf/aligners/base.py")
recipe = partial(Mutant, file="lrmf/aligners/recipe.py")
held_out = partial(Mutant, file="lrmf/aligners/held_out.py")
closed_form = partial(
    Mutant, file="lrmf/aligners/closed_form.py", tests=("tests/aligners/test_closed_form.py",)
)
entropic = partial(
    Mutant, file="lrmf/aligners/entropic.py", tests=("tests/aligners/test_entropic.py",)
)
plans = partial(
    Mutant,
    file="lrmf/aligners/plans.py",
    tests=("tests/aligners/test_plans.py",),
)

CERTIFICATE = [
    certificate(
        "certificate: a variance for a standard error",
        old="return float(value), float(np.sqrt(variance))",
        new="return float(value), float(variance)",
    ),
    certificate(
        "certificate: n for n - 1",
        old="variance += np.var(x, ddof=1)",
        new="variance += np.var(x)",
    ),
    certificate(
        "certificate: sign of the distance",
        old="[_defended(gain) for gain in gains]",
        new="[_defended(-gain) for gain in gains]",
    ),
    certificate(
        "certificate: aligned without regard to the standard error",
        old="if self.lrd + 2.0 * self.lrd_stderr > self.tolerance:",
        new="if self.lrd > self.tolerance:",
    ),
    certificate(
        "certificate: not aligned without regard to the standard error",
        old="if self.lrd - 2.0 * self.lrd_stderr > self.tolerance:",
        new="if self.lrd > self.tolerance:",
    ),
    certificate(
        "certificate: a distance far below zero is called aligned",
        old="if self.lrd + 2.0 * self.lrd_stderr < -self.tolerance:",
        new="if self.lrd + 2.0 * self.lrd_stderr < -10.0:",
    ),
    certificate(
        "certificate: underfit private models go unseen",
        old="< -_UNDERFIT * self._scale:",
        new="< -1e3:",
    ),
    certificate(
        "certificate: numbers that overflowed are called aligned",
        old="np.isfinite([self.lrd, self.lrd_stderr, self.bound, self.bound_stderr]).all()",
        new="np.isfinite([self.lrd_stderr]).any()",
    ),
    certificate(
        "certificate: one impossible point decides",
        old="return np.logaddexp(np.log1p(-_SHARED_PART) + gain, np.log(_SHARED_PART))",
        new="return gain",
    ),
    certificate(
        "certificate: a weighted mean with the error of an unweighted one",
        old="variance += np.sum(share**2 * (x - mean) ** 2) / (1.0 - share @ share)",
        new="variance += np.var(x, ddof=1) / len(x)",
    ),
]

SHARED = [
    recipe(
        "lrmf: one private model for both sides of the constant",
        old='            own = result.arrays["density"]\n',
        new='            own = private[0].arrays["density"]\n',
        tests=FITTED,
    ),
    recipe(
        "lrmf: both private models learn the source",
        old="points[fit.domain],\n",
        new="points[next(iter(points))],\n",
        tests=FITTED,
    ),
    recipe(
        "lrmf: the history lacks the constant",
        old="            constant,\n        ),\n        snapshots",
        new="            0.0,\n        ),\n        snapshots",
        tests=FITTED,
    ),
    recipe(
        "lrmf: refit skipped",
        old="for fit, result in zip(recipe.refitted, refitted, strict=True):",
        new="for fit, result in ((f, fitted) for f in recipe.refitted):",
        tests=REFITTED,
    ),
    recipe(
        "lrmf: copies are refitted from the start, not from the shared density",
        old="fits(recipe.refitted, fitted.arrays, images or data)",
        new="fits(recipe.refitted, initial, images or data)",
        tests=REFITTED,
    ),
    recipe(
        "lrmf: copies are refitted to the source, not to its image",
        old="fits(recipe.refitted, fitted.arrays, images or data)",
        new="fits(recipe.refitted, fitted.arrays, data)",
        tests=FITTED,
    ),
    recipe(
        "fit: weights are not passed on to densities",
        old="weights[fit.domain],\n            )",
        new="None,\n            )",
        tests=(RECIPE, "-k", "Weights and (lrmf or mean)"),
    ),
    recipe(
        "fit: the constant is not weighted",
        old="np.mean(found) if weights is None else np.average(found, weights=weights)",
        new="np.mean(found)",
        tests=(RECIPE, "-k", "Weights and (lrmf or mean)"),
    ),
    held_out(
        "fit: weights are not split with the points",
        old="shares[domain] = None if own is None else own[some]",
        new="shares[domain] = None if own is None else own[: len(some)]",
        tests=(RECIPE, "-k", "split_with"),
    ),
    shared(
        "certificate: the bound without log-determinants",
        old="private.log_prob(chunk) - log_det - shared",
        new="private.log_prob(chunk) - shared",
        tests=BY_HAND,
    ),
    shared(
        "certificate: sign of the gains",
        old="gain = refitted.log_prob(image) - shared",
        new="gain = shared - refitted.log_prob(image)",
        tests=BY_HAND,
    ),
    shared(
        "certificate: the source's weights for the target",
        old="weights=[weights[domain] for domain in domains]",
        new='weights=[weights["source"]] * 2',
        tests=(RECIPE, "-k", "Weights and lrmf"),
    ),
    shared(
        "certificate: given for a fit that did not reach the end",
        old="        self._check_complete()\n        if not",
        new="        if not",
        tests=(DIVERGENCE, "-k", "absurd and jax"),
    ),
    shared(
        "lrmf: private_steps is ignored",
        old="steps = self.steps if self.private_steps is None else self.private_steps",
        new="steps = self.steps",
        tests=("tests/aligners/test_lrmf_fit.py", "-k", "private_steps or refit_learning_rate"),
    ),
    shared(
        "lrmf: the target is moved as well",
        old="(chunk, 0.0) if flow is None else flow.forward(chunk)",
        new="self.transform_.forward(chunk)",
        tests=BY_HAND,
    ),
    base(
        "score: lower is better",
        old="return -self.certificate(Xs, Xt, controls=False).lrd",
        new="return self.certificate(Xs, Xt, controls=False).lrd",
        tests=("tests/aligners/test_every_aligner.py", "-k", "judges"),
    ),
    base(
        "certificate: the source is judged unmoved",
        old='self._moved(Xs, "Xs"),',
        new='self._check_new(Xs, "Xs"),',
        tests=("tests/aligners/test_every_aligner.py", "-k", "judges"),
    ),
    Mutant(
        "lrd: measured on the points that it learned from",
        "lrmf/aligners/distance.py",
        "train.append(x[rows[count:]])",
        "train.append(x)",
        ("tests/aligners/test_distance.py", "-k", "HeldOut"),
    ),
    Mutant(
        "lrd: the seed does not decide the split",
        "lrmf/aligners/distance.py",
        "np.random.SeedSequence(seed).spawn(1)[0]",
        "np.random.SeedSequence(0).spawn(1)[0]",
        ("tests/aligners/test_distance.py", "-k", "HeldOut"),
    ),
]

OTHERS = [
    recipe(
        "aub: the map does not undo the target's flow",
        old="(role, not inverted) for role, inverted in back[::-1])",
        new="(role, inverted) for role, inverted in back[::-1])",
        tests=(TWO_MAPS, "-k", "TestAUB"),
    ),
    recipe(
        "maps: flows composed in the wrong order",
        old="flow = chained(parts, recipe.path(source, target))",
        new="flow = chained(parts, recipe.path(source, target)[::-1])",
        tests=(TWO_MAPS, "-k", "TestBackToBack"),
    ),
    recipe(
        "two maps: both flows start from the same arrays",
        old="rng = np.random.default_rng(seeds.get(name, 0))",
        new='rng = np.random.default_rng(seeds.get(name.removeprefix("target_"), 0))',
        tests=(TWO_MAPS, "-k", "apart"),
    ),
    Mutant(
        "aub: the domain to map to is the one to map from",
        "lrmf/aligners/upper_bound.py",
        "between(self._fitted_recipe, parts, names[domain], names[to])",
        "between(self._fitted_recipe, parts, names[to], names[domain])",
        ("tests/aligners/test_domains.py", "-k", "each_other"),
    ),
    Mutant(
        "adversarial: the adversary learns at the flow's rate",
        "lrmf/aligners/critics.py",
        "float(self.adversary_learning_rate / self.learning_rate)",
        "1.0",
        ("tests/aligners/test_adversarial.py", "-k", "rate and adversary"),
    ),
    Mutant(
        "mmd: bandwidths from the target alone",
        "lrmf/aligners/discrepancy.py",
        "of_source = rows < count",
        "rows = count + np.arange(len(rows)); of_source = rows < count",
        ("tests/aligners/test_discrepancies.py", "-k", "bandwidths or median"),
    ),
    Mutant(
        "sinkhorn: the target's own cost is left out",
        "lrmf/aligners/transport.py",
        "\n            - 0.5 * target.value",
        "",
        ("tests/aligners/test_discrepancies.py", "-k", "jax and loss and sinkhorn"),
    ),
    Mutant(
        "selection: a fit that diverged has the best score",
        file="lrmf/selection.py",
        old="value, failure = WORST, self.failure_",
        new="value, failure = 0.0, self.failure_",
        tests=("tests/test_selection.py", "-k", "failed and diverged"),
    ),
    Mutant(
        "selection: the score of an aligner that is not fitted can be asked for",
        file="lrmf/aligners/base.py",
        old='if not hasattr(aligner, "_event_shape"):\n            name',
        new="if False:\n            name",
        tests=("tests/test_selection.py", "-k", "alone"),
    ),
    plans(
        "entropic plan: Newton's method forgets the potentials that it starts from",
        old="        guess.target + epsilon * best,",
        new="        epsilon * best,",
    ),
    plans(
        "entropic plan: not normalised",
        old="return np.asarray(np.exp(exponents) / exponents.size)",
        new="return np.asarray(np.exp(exponents))",
    ),
    plans(
        "entropic plan: divergence without its factor",
        old="return float(epsilon * rel_entr(",
        new="return float(rel_entr(",
    ),
    plans(
        "entropic plan: potentials of a larger epsilon are forgotten",
        old="        guess.target + epsilon * (scalings[1] + np.log(m)),",
        new="        epsilon * (scalings[1] + np.log(m)),",
    ),
    entropic(
        "entropic map: sign of the cost",
        old="gains = potential - _costs(block, y)",
        new="gains = potential + _costs(block, y)",
    ),
    entropic(
        "entropic map: without the potential",
        old="gains = potential - _costs(block, y)",
        new="gains = -_costs(block, y)",
    ),
    entropic(
        "entropic map: standardised costs for the data, others for new points",
        old="points.reshape(len(points), -1) / unit, there / unit",
        new="points.reshape(len(points), -1), there",
    ),
    closed_form(
        "coral: colours before it whitens",
        old="return _power(there, 0.5) @ _power(here, -0.5)",
        new="return _power(here, -0.5) @ _power(there, 0.5)",
    ),
    closed_form(
        "gaussian transport: square root missing",
        old="_power(root @ there @ root, 0.5) @ inverse_root",
        new="(root @ there @ root) @ inverse_root",
    ),
    closed_form(
        "closed forms: covariances over n - 1",
        old="centred.T @ centred / len(points)",
        new="centred.T @ centred / (len(points) - 1)",
    ),
    closed_form(
        "closed forms: a singular covariance is accepted",
        old="if _is_singular(cov_a):",
        new="if not len(cov_a):",
    ),
    Mutant(
        "skada: source and target swapped",
        "lrmf/adapters.py",
        "source, target = X[rows], X[~rows]",
        "source, target = X[~rows], X[rows]",
        ("tests/test_adapters.py", "-k", "TestAdapter and coral"),
    ),
]

MUTANTS = (*CERTIFICATE, *SHARED, *OTHERS)
