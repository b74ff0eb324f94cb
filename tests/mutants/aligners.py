"""Faults of aligners and of the certificate."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

LRMF = "tests/aligners/test_lrmf.py"
BY_HAND = (LRMF, "-k", "jax and (hand or constant or bound or score)")
FITTED = (LRMF, "-k", "jax and (private or constant or refitted or history)")
REFITTED = (LRMF, "-k", "(refitted or identity) and not tfp")
VALIDATION = (LRMF, "-k", "validation and not tfp")
TWO_MAPS = "tests/aligners/test_two_maps.py"
STOPPING = "tests/aligners/test_stopping.py"
POINTS = ("tests/test_distances.py", "-k", "refused or needs")
PARAMETERS = ("tests/aligners/test_estimator.py", "-k", "params or clone")

certificate = partial(Mutant, file="lrmf/certificate.py", tests=("tests/test_certificate.py",))
shared = partial(Mutant, file="lrmf/aligners/shared_density.py")
base = partial(Mutant, file="lrmf/aligners/base.py")
trained = partial(Mutant, file="lrmf/aligners/trained.py")
closed_form = partial(
    Mutant, file="lrmf/aligners/closed_form.py", tests=("tests/aligners/test_closed_form.py",)
)
entropic = partial(
    Mutant, file="lrmf/aligners/entropic.py", tests=("tests/aligners/test_entropic.py",)
)
plans = partial(
    Mutant,
    file="lrmf/aligners/plans.py",
    tests=("tests/aligners/test_discrepancies.py", "-k", "plans"),
)

CERTIFICATE = [
    certificate(
        "certificate: a variance for a standard error",
        old="return value, float(np.sqrt(variance))",
        new="return value, float(variance)",
    ),
    certificate(
        "certificate: n for n - 1",
        old="variance = np.var(first, ddof=1)",
        new="variance = np.var(first)",
    ),
    certificate(
        "certificate: sign of the distance",
        old="_sum_of_means(_defended(gain_source), _defended(gain_target))",
        new="_sum_of_means(_defended(-gain_source), _defended(-gain_target))",
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
        old="if self.bound + 2.0 * self.bound_stderr < -_UNDERFIT:",
        new="if self.bound + 2.0 * self.bound_stderr < -1e3:",
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
]

SHARED = [
    shared(
        "lrmf: one private model for both sides of the constant",
        old='"private target", self.private_target_, "target")',
        new='"private target", self.private_source_, "target")',
        tests=FITTED,
    ),
    shared(
        "lrmf: both private models learn the source",
        old='density_stage(f"{kind} {side}", role, arrays, x, config, seed)',
        new='density_stage(f"{kind} {side}", role, arrays, data["source"], config, seed)',
        tests=FITTED,
    ),
    shared(
        "lrmf: the history lacks the constant",
        old="return with_constant(result.history, self.constant_)",
        new="return dict(result.history)",
        tests=FITTED,
    ),
    shared(
        "lrmf: refit skipped",
        old='("refitted", refitted)):',
        new='("refitted", [result, result])):',
        tests=REFITTED,
    ),
    shared(
        "lrmf: copies are refitted from the start, not from the shared density",
        old='result.arrays["density"],\n                images',
        new='job.arrays["density"],\n                images',
        tests=REFITTED,
    ),
    shared(
        "lrmf: copies are refitted to the source, not to its image",
        old="images or job.data,",
        new="job.data,",
        tests=FITTED,
    ),
    shared(
        "certificate: the bound without log-determinants",
        old='- log_dets["source"]\n',
        new="",
        tests=BY_HAND,
    ),
    shared(
        "certificate: sign of the target's gain",
        old='self.refitted_target_.log_prob(images["target"]) - shared["target"]',
        new='shared["target"] - self.refitted_target_.log_prob(images["target"])',
        tests=BY_HAND,
    ),
    shared(
        "certificate: given for a fit that did not reach the end",
        old="if not self.complete_:",
        new="if self.complete_ is None:",
        tests=(STOPPING, "-k", "absurd and jax"),
    ),
    shared(
        "lrmf: private_steps is ignored",
        old="private = self.steps if self.private_steps is None else self.private_steps",
        new="private = self.steps",
        tests=(LRMF, "-k", "private_steps or refit_learning_rate"),
    ),
    Mutant(
        "lrmf: the target is moved as well",
        "lrmf/aligners/likelihood_ratio.py",
        'return self.transform_.forward(x) if side == "source" else (x, 0.0)',
        "return self.transform_.forward(x)",
        BY_HAND,
    ),
    Mutant(
        "lrmf: sign of the score",
        "lrmf/aligners/likelihood_ratio.py",
        "return -self.certificate(Xs, Xt).bound",
        "return self.certificate(Xs, Xt).bound",
        BY_HAND,
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

TRAINED = [
    base(
        "data: NaN is accepted",
        old='    if bad:\n        raise ValueError(\n            f"{argument} holds {bad} NaN',
        new='    if bad < 0:\n        raise ValueError(\n            f"{argument} holds {bad} NaN',
        tests=POINTS,
    ),
    base(
        "data: event shapes that differ are accepted",
        old="if x.shape[1:] != expected:",
        new="if len(x.shape[1:]) != len(expected):",
        tests=POINTS,
    ),
    base(
        "data: one row is enough where two are needed",
        old="if array.shape[0] < minimum:",
        new="if array.shape[0] < 1:",
        tests=POINTS,
    ),
    base(
        "parameters: get_params loses one",
        old="for name in self._get_param_names()}",
        new='for name in self._get_param_names() if name != "seed"}',
        tests=PARAMETERS,
    ),
    base(
        "parameters: unknown names are set",
        old="if name not in known:",
        new="if not known:",
        tests=PARAMETERS,
    ),
    base(
        "transform: forward and inverse swapped",
        old="return self.transform_.forward(points)[0]",
        new="return self.transform_.inverse(points)[0]",
        tests=(LRMF, "-k", "jax and (transform or moments)"),
    ),
    trained(
        "fit: an aligner's seed is not passed on",
        old="seeds = np.random.SeedSequence(self.seed).spawn(10)",
        new="seeds = np.random.SeedSequence(0).spawn(10)",
        tests=("tests/aligners/test_every_aligner.py", "-k", "seed and lrmf-jax"),
    ),
    trained(
        "validation: on training rows",
        old="held_out[side], data[side] = x[rows[:count]], x[rows[count:]]",
        new="held_out[side], data[side] = x[rows[count:]], x[rows[count:]]",
        tests=VALIDATION,
    ),
    trained(
        "validation: held-out rows are learned from as well",
        old="held_out[side], data[side] = x[rows[:count]], x[rows[count:]]",
        new="held_out[side], data[side] = x[rows[:count]], x[rows]",
        tests=VALIDATION,
    ),
    trained(
        "checkpoint: other data are not noticed",
        old="digest.update(np.ascontiguousarray(x).tobytes())",
        new="pass",
        tests=(STOPPING, "-k", "other_data"),
    ),
    trained(
        "fit: the constant is subtracted from the history",
        old="values + shift if name",
        new="values - shift if name",
        tests=FITTED,
    ),
    Mutant(
        "fit: a private fit that diverged is no failure",
        "lrmf/aligners/stages.py",
        'result.outcome in ("diverged", "interrupted")',
        'result.outcome == "interrupted"',
        (STOPPING, "-k", "another_stage"),
    ),
    Mutant(
        "saved files: any version is read",
        "lrmf/aligners/persistence.py",
        "if version != _VERSION:",
        "if not version:",
        ("tests/aligners/test_persistence.py", "-k", "version or (arrays and fit)"),
    ),
    Mutant(
        "saved files: arrays that do not fit are read",
        "lrmf/aligners/persistence.py",
        "if shapes[0] != shapes[1]:",
        "if len(shapes[0]) != len(shapes[1]):",
        ("tests/aligners/test_persistence.py", "-k", "version or (arrays and fit)"),
    ),
]

OTHERS = [
    Mutant(
        "aub: the source's flow for both sides of the certificate",
        "lrmf/aligners/upper_bound.py",
        '(self.source_map_ if side == "source" else self.target_map_).forward(x)',
        "self.source_map_.forward(x)",
        (TWO_MAPS, "-k", "AUB and jax"),
    ),
    Mutant(
        "aub: the map does not undo the target's flow",
        "lrmf/aligners/upper_bound.py",
        "_inverted = (False, True)",
        "_inverted = (False, False)",
        (TWO_MAPS, "-k", "AUB and jax"),
    ),
    Mutant(
        "back to back: flows composed in the wrong order",
        "lrmf/aligners/back_to_back.py",
        "self.transform_ = self._composed([self.source_flow_, self.target_flow_])",
        "self.transform_ = self._composed([self.target_flow_, self.source_flow_])",
        (TWO_MAPS, "-k", "BackToBack and jax"),
    ),
    Mutant(
        "two maps: both flows start from the same arrays",
        "lrmf/aligners/two_maps.py",
        '("target_transform", target, target_seed)',
        '("target_transform", target, source_seed)',
        (TWO_MAPS, "-k", "apart"),
    ),
    Mutant(
        "adversarial: sign of the constant in the score",
        "lrmf/aligners/adversarial.py",
        '"target": target})) - self.constant_',
        '"target": target})) + self.constant_',
        ("tests/aligners/test_adversarial.py", "-k", "score and density-jax"),
    ),
    Mutant(
        "adversarial: the adversary learns at the flow's rate",
        "lrmf/aligners/adversarial.py",
        "float(self.adversary_learning_rate / self.learning_rate)",
        "1.0",
        ("tests/aligners/test_adversarial.py", "-k", "rate and adversary"),
    ),
    Mutant(
        "mmd: bandwidths from the target alone",
        "lrmf/aligners/discrepancy.py",
        'np.concatenate([job.data["source"], job.data["target"]])',
        'job.data["target"]',
        ("tests/aligners/test_discrepancies.py", "-k", "bandwidths or median"),
    ),
    Mutant(
        "sinkhorn: the target's own cost is left out",
        "lrmf/aligners/transport.py",
        "\n            - 0.5 * target.value",
        "",
        ("tests/aligners/test_discrepancies.py", "-k", "jax and loss and sinkhorn"),
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
        old="softmax((potential - _costs(block, there))",
        new="softmax((potential + _costs(block, there))",
    ),
    entropic(
        "entropic map: without the potential",
        old="softmax((potential - _costs(block, there))",
        new="softmax(-_costs(block, there)",
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

MUTANTS = (*CERTIFICATE, *SHARED, *TRAINED, *OTHERS)
