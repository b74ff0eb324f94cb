"""Faults of translation games, of the aligners made of them, and of two-sample tests."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

translation = partial(
    Mutant, file="lrmf/translation.py", tests=("tests/test_translation.py", "-k", "jax")
)
alignflow = partial(Mutant, file="lrmf/aligners/alignflow.py")
two_sample = partial(Mutant, file="lrmf/two_sample.py", tests=("tests/test_two_sample.py",))
scores = partial(Mutant, file="lrmf/scores.py", tests=("tests/test_two_sample.py",))
NETWORK = ("tests/backends/test_network.py", "-k", "jax")

MUTANTS = (
    translation(
        "translation: back by the wrong map",
        old="chained(models, chains[SIDES[origin]])",
        new="chained(models, chains[origin])",
    ),
    translation(
        "translation: the last flow is not inverted",
        old="x, _ = back.inverse(x)",
        new="x, _ = back.forward(x)",
    ),
    translation(
        "translation: both networks go forwards",
        old='models[self.forward if origin == "source" else self.backward]',
        new="models[self.forward]",
    ),
    translation(
        "translation: critics see points of the other domain",
        old="            batch[self.side],\n",
        new="            batch[origin],\n",
    ),
    translation(
        "translation: weights of sides exchanged",
        old='weights=(batch.get(f"{origin}_weight"), batch.get(f"{self.side}_weight")),',
        new='weights=(batch.get(f"{self.side}_weight"), batch.get(f"{origin}_weight")),',
    ),
    translation(
        "translation: the likelihood is not weighed",
        old="self.likelihood_weight * self.likelihood(models, batch)",
        new="self.likelihood(models, batch)",
    ),
    translation(
        "translation: one half of a cycle",
        old="total = total + mean(backend, distances",
        new="total = mean(backend, distances",
    ),
    Mutant(
        "games: least squares to the other label",
        "lrmf/games.py",
        "mean(backend, (logits - 1.0) ** 2, weights)",
        "mean(backend, (logits + 1.0) ** 2, weights)",
        ("tests/test_games.py", "-k", "least and jax"),
    ),
    Mutant(
        "jax: a network without its residual",
        "lrmf/backends/jax/discriminators.py",
        "return x + columns.T",
        "return columns.T",
        NETWORK,
    ),
    alignflow(
        "alignflow: critics without end",
        old="if self.likelihood_weight == math.inf:",
        new="if False:",
        tests=("tests/aligners/test_alignflow.py", "-k", "back_to_back"),
    ),
    alignflow(
        "alignflow: units of one domain in the loss",
        old="dict.fromkeys(maps, -share(",
        new="dict.fromkeys(maps, -2.0 * share(",
        tests=("tests/aligners/test_alignflow.py", "-k", "units"),
    ),
    Mutant(
        "flow-gan: noise is standardised as data are",
        "lrmf/aligners/flow_gan.py",
        'noise=("source",),',
        "noise=(),",
        ("tests/aligners/test_flow_gan.py", "-k", "critic_alone"),
    ),
    Mutant(
        "flow-gan: noise is drawn for nobody",
        "lrmf/aligners/flow_gan.py",
        "noise={} if own.likelihood_weight == math.inf else",
        "noise={} if False else",
        ("tests/aligners/test_flow_gan.py", "-k", "without_a_critic"),
    ),
    Mutant(
        "recipe: what all domains share, there and back",
        "lrmf/aligners/recipe.py",
        "while len(there) > 1 and len(back) > 1 and there[-1] == back[-1]:",
        "while False:",
        ("tests/aligners/test_alignflow.py", "-k", "contain"),
    ),
    Mutant(
        "recipe: snapshots forget what cancels in the map",
        "lrmf/aligners/recipe.py",
        "return shown | {role: f.arrays",
        "return {role: f.arrays",
        ("tests/aligners/test_alignflow.py", "-k", "snapshots"),
    ),
    Mutant(
        "parts: shared layers applied last",
        "lrmf/aligners/parts.py",
        "spec = Chain(flows=tuple(flow.spec for flow in flows))",
        "spec = Chain(flows=tuple(flow.spec for flow in flows[::-1]))",
        ("tests/statements/test_alignflow.py", "tests/aligners/test_alignflow.py", "-k", "contain"),
    ),
    two_sample(
        "tests: half of Wilks' statistic",
        old="return float(2.0 * (highest(a)",
        new="return float(1.0 * (highest(a)",
    ),
    two_sample(
        "tests: a score test of unlike samples",
        old="m * n / (m + n) * gap @ gap",
        new="m * n * gap @ gap",
    ),
    scores(
        "tests: scores are not whitened",
        old="return centred @ directions[kept].T / scale, int(kept.sum())",
        new="return centred @ directions[kept].T, int(kept.sum())",
    ),
    two_sample(
        "tests: a classifier is asked about what it learned",
        old="test.append(points[rows[:count]])",
        new="test.append(points[rows[count:]])",
    ),
)
