"""Faults of the judge: its distance, what shrinks it, its controls and its decisions."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

crossing = partial(
    Mutant, file="lrmf/judge/cross_fitting.py", tests=("tests/judge/test_cross_fitting.py",)
)
controls = partial(Mutant, file="lrmf/judge/controls.py", tests=("tests/judge/test_controls.py",))
certificate = partial(
    Mutant, file="lrmf/judge/certificate.py", tests=("tests/judge/test_certificate.py",)
)
pair = partial(Mutant, file="lrmf/judge/pair.py")

files = partial(Mutant, tests=("tests/judge/test_files.py",))

MUTANTS = (
    files(
        "judge: of a long file the first rows are kept",
        file="lrmf/judge/tables.py",
        old="kept = np.argpartition(draws, self._at_most)[: self._at_most]",
        new="kept = np.arange(self._at_most)",
    ),
    files(
        "judge: rows are numbered as they come through",
        file="lrmf/judge/tables.py",
        old="piece, numbers = piece[whole], numbers[whole]",
        new="piece, numbers = piece[whole], numbers[: whole.sum()] + 1",
    ),
    files(
        "judge: columns go by place, not by name",
        file="lrmf/judge/files.py",
        old="order = [second.columns.index(name) for name in first.columns]",
        new="order = list(range(len(first.columns)))",
    ),
    files(
        "judge: noise tells columns apart",
        file="lrmf/judge/files.py",
        old="chance = (k - 1) / (len(ratio) - 1)",
        new="chance = -0.1",
    ),
    crossing(
        "judge: log 2 for 2 log 2", old="gain = np.log(2.0) -", new="gain = 0.5 * np.log(2.0) -"
    ),
    crossing(
        "judge: sides exchanged in the gain",
        old="np.where(is_a, -log_ratio, log_ratio)",
        new="np.where(is_a, log_ratio, -log_ratio)",
    ),
    crossing(
        "judge: one error for both sides",
        old="variance += share**2 @",
        new="variance = share**2 @",
    ),
    crossing(
        "judge: n for n - 1",
        old="/ (1.0 - share @ share)",
        new="",
    ),
    crossing(
        "judge: sides weigh what their points do",
        old="weight[side] *= 0.5 * len(weight) / weight[side].sum()",
        new="weight[side] *= 1.0",
    ),
    crossing(
        "judge: experts see the fold that they judge",
        old="train = np.flatnonzero(~np.isin(fold, pair))",
        new="train = np.flatnonzero(~np.isin(fold, pair[:1]))",
    ),
    crossing(
        "judge: slopes see the fold that they judge",
        old="unseen = np.concatenate([logits[j, k] for j in others])",
        new="unseen = np.concatenate([logits[j, others[j == others[0]]] for j in others])",
    ),
    crossing(
        "judge: logits are believed as they come",
        old="return np.asarray(found.x / scale)",
        new="return np.ones(len(scale))",
    ),
    crossing("judge: slopes cost nothing", old="_PRICE = 1.0", new="_PRICE = 0.0"),
    crossing("judge: slopes may be negative", old="[(0.0, None)]", new="[(None, None)]"),
    controls(
        "coin: its entropy in bits",
        old="entropy = special.entr(w) + special.entr(1.0 - w)",
        new="entropy = (special.entr(w) + special.entr(1.0 - w)) / np.log(2.0)",
    ),
    controls(
        "coin: JSD for twice it",
        old="return float(2.0 * (p * mixture) @",
        new="return float((p * mixture) @",
    ),
    controls(
        "coin: the pooled points for the mixture",
        old="mixture = (a + b) / 2.0",
        new="mixture = np.ones(len(a))",
    ),
    controls("coin: its own probability for w", old="w = a / (a + b)", new="w = probability"),
    controls(
        "coin: one size for both pseudo-domains",
        old="@ special.expit(slope * tilt + offset) - share)",
        new="@ special.expit(slope * tilt + offset) - 0.5)",
    ),
    certificate(
        "certificate: aligned without regard to the standard error of lrd",
        old="return self.lrd + _ERRORS * self.lrd_stderr < self.tolerance",
        new="return self.lrd < self.tolerance",
    ),
    certificate(
        "certificate: not aligned without regard to the standard error of lrd",
        old="if self.lrd - _ERRORS * self.lrd_stderr > self.tolerance:\n            seen",
        new="if self.lrd > self.tolerance:\n            seen",
    ),
    certificate(
        "certificate: aligned though controls went unseen",
        old="seen = self.positive and not self.unseen",
        new="seen = self.positive",
    ),
    certificate(
        "certificate: aligned without controls",
        old="seen = self.positive and not self.unseen",
        new="seen = not self.unseen",
    ),
    certificate(
        "certificate: controls at twice the tolerance count",
        old="0.0 < c.truth < 1.5 * self.tolerance",
        new="0.0 < c.truth",
    ),
    certificate(
        "certificate: not aligned against the negative control",
        old='return "not aligned" if seen else "not decided"',
        new='return "not aligned"',
    ),
    pair(
        "judge: units count",
        old="stats.rankdata(x, axis=0)",
        new="(x - x.min(axis=0)) + 1.0",
        tests=("tests/judge/test_lrd.py", "-k", "units or one_law"),
    ),
    pair(
        "judge: sample weights are ignored",
        old="self.weight = weights[rows] / weights[rows].mean()",
        new="self.weight = np.ones(len(rows))",
        tests=("tests/judge/test_lrd.py", "-k", "proportions"),
    ),
    Mutant(
        name="certificate: the target of fit is not recognised",
        file="lrmf/aligners/base.py",
        old='self._seen([(Xs, "Xs"), (Xt, "Xt")])',
        new='self._seen([(Xs, "Xs")])',
        tests=("tests/judge/test_seen.py",),
    ),
    Mutant(
        "seen: rows that are equal by chance count",
        "lrmf/judge/seen.py",
        ".mean() - repeated)",
        ".mean())",
        ("tests/judge/test_seen.py", "-k", "chance"),
    ),
)
