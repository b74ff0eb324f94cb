"""Faults of losses and of fitting."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

LOSSES = ("tests/test_objectives.py", "-k", "jax")
GAMES = ("tests/test_games.py", "-k", "jax and losses")
DISCREPANCY = ("tests/aligners/test_discrepancies.py", "-k", "jax and loss and distance")

fitting = partial(Mutant, file="lrmf/fitting.py", tests=("tests/test_fitting.py",))
ending = partial(Mutant, file="lrmf/fitting.py", tests=("tests/test_fit_endings.py",))
objectives = partial(Mutant, file="lrmf/objectives.py", tests=LOSSES)
games = partial(Mutant, file="lrmf/games.py", tests=GAMES)
models = partial(Mutant, file="lrmf/models.py")

FITTING = [
    fitting(
        "schedule: off by one step",
        file="lrmf/fit_config.py",
        old="        steps = np.arange(start, stop)\n",
        new="        steps = np.arange(start + 1, stop + 1)\n",
    ),
    fitting(
        "schedule: starts anew in every chunk",
        file="lrmf/fit_config.py",
        old="        steps = np.arange(start, stop)\n",
        new="        steps = np.arange(stop - start)\n",
    ),
    fitting(
        "schedule: a quarter of the cosine",
        file="lrmf/fit_config.py",
        old="self.learning_rate * 0.5 * (1.0 + np.cos(np.pi * steps / self.steps))",
        new="self.learning_rate * np.cos(0.5 * np.pi * steps / self.steps)",
    ),
    fitting(
        "schedule: no warm-up",
        file="lrmf/fit_config.py",
        old="return rates * np.minimum((steps + 1) / max(1, self.steps // 20), 1.0)",
        new="return rates",
    ),
    fitting(
        "memory: the batch that fits is a quarter, a sixteenth, ...",
        old="while size := size // 2:",
        new="while size := size // 4:",
        tests=("tests/test_fitting.py", "-k", "memory"),
    ),
    fitting(
        "fit: the seed is not passed on",
        old="rng = np.random.default_rng(seed)",
        new="rng = np.random.default_rng(np.random.SeedSequence(0))",
    ),
    fitting(
        "minibatches: only the first rows are drawn",
        file="lrmf/minibatches.py",
        old="rng.integers(n, size=(*shape, size))",
        new="rng.integers(size, size=(*shape, size))",
    ),
    fitting(
        "minibatches: the same one in all steps of a chunk",
        file="lrmf/minibatches.py",
        old="rng.integers(n, size=(*shape, size))",
        new="np.broadcast_to(rng.integers(n, size=size), (*shape, size))",
    ),
    fitting(
        "minibatches: weights ignored where points are drawn",
        file="lrmf/minibatches.py",
        old="np.cumsum(weight) / np.sum(weight)",
        new="np.cumsum(np.ones(n)) / n",
    ),
    fitting(
        "minibatches: what fills a batch up counts",
        file="lrmf/minibatches.py",
        old="shares[:n] = 1.0 if weights is None else weights",
        new="shares[:] = 1.0 if weights is None else np.resize(weights, size)",
    ),
    fitting(
        "early stopping: keeps the last arrays instead of the best",
        old="trainer.state, steps = run.best, state.best_step",
        new="steps = state.best_step",
    ),
    fitting(
        "early stopping: never stops",
        file="lrmf/fit_state.py",
        old="elif patience and state.step - state.best_step >= patience:",
        new="elif patience and state.step - state.best_step > 10**9:",
    ),
    ending(
        "divergence: a non-finite loss restores no arrays",
        old="run.back(before if fault == 0 else mark)",
        new="state.step = mark.step",
    ),
    ending(
        "divergence: a bad first loss of a chunk keeps the arrays that gave it",
        old="run.back(before if fault == 0 else mark)",
        new="run.back(mark)",
    ),
    ending(
        "divergence: NaN passes for a loss",
        file="lrmf/divergence.py",
        old="bad = ~np.isfinite(losses) | (far & lasts)",
        new="bad = far & lasts",
    ),
    ending(
        "divergence: one bad batch ends a fit",
        file="lrmf/divergence.py",
        old="bad = ~np.isfinite(losses) | (far & lasts)",
        new="bad = ~np.isfinite(losses) | far",
    ),
    ending(
        "divergence: nobody looks at the last step's arrays",
        old="end == config.steps and not are_finite(trainer.arrays())",
        new="end == config.steps and False",
    ),
    ending(
        "checkpoint: without the generator's state",
        file="lrmf/fit_state.py",
        old='self.rng.bit_generator.state = record.document["rng"]',
        new="pass",
    ),
    ending(
        "checkpoint: the best arrays are lost",
        file="lrmf/fit_state.py",
        old='"best/"))\n            self.best = self.trainer.state',
        new='"best/"))',
    ),
    ending(
        "interruption: the interrupted chunk's minibatches are not drawn again",
        file="lrmf/fit_state.py",
        old="self.trainer.state, self.rng.bit_generator.state = mark.trainer, mark.rng",
        new="self.trainer.state = mark.trainer",
    ),
    fitting(
        "snapshots: only where a chunk ends at a multiple",
        file="lrmf/fit_state.py",
        old="return start // every < stop // every",
        new="return stop % every == 0",
    ),
    fitting(
        "checks: NaN passes for a positive number",
        file="lrmf/checks.py",
        old="not _is_number(value) or not value > 0",
        new="not _is_number(value) or value <= 0",
    ),
    Mutant(
        "steps with an assistant: the first minibatch for all of them",
        "lrmf/stepwise.py",
        "x[indices[name][i]]",
        "x[indices[name][0]]",
        ("tests/test_stepwise.py",),
    ),
    Mutant(
        "steps with an assistant: the first learning rate for all of them",
        "lrmf/stepwise.py",
        "self._trainer.run(rows, learning_rates[step], further)",
        "self._trainer.run(rows, learning_rates[:1], further)",
        ("tests/test_stepwise.py",),
    ),
]

LOSS = [
    objectives(
        "loss: sign of the log-determinant",
        old="total = total - weight * mean(backend, log_det, share)",
        new="total = total + weight * mean(backend, log_det, share)",
    ),
    objectives(
        "loss: only the first map's log-determinant counts",
        old="total = total - weight * mean(backend, log_det, share)",
        new="total = total - (flow is maps[0]) * weight * mean(backend, log_det, share)",
    ),
    objectives(
        "loss: weights of domains left out",
        old="total = total - weight * mean(backend, log_prob[start:stop], share)",
        new="total = total - mean(backend, log_prob[start:stop], share)",
    ),
    objectives(
        "loss: the mean over both sides for each side's mean",
        old="weight * mean(backend, log_prob[start:stop], share)",
        new="weight * mean(backend, log_prob, None)",
    ),
    objectives(
        "loss: the constant is dropped",
        old="return alignment_loss([transform, None], density, [a, b]) + constant",
        new="return alignment_loss([transform, None], density, [a, b])",
    ),
    objectives(
        "loss: the constant counts twice",
        old="return alignment_loss([transform, None], density, [a, b]) + constant",
        new="return alignment_loss([transform, None], density, [a, b]) + 2.0 * constant",
    ),
    objectives(
        "loss: source and target of a minibatch swapped",
        old="[batch[domain] for domain, _ in self.maps],",
        new="[batch[domain] for domain, _ in self.maps[::-1]],",
    ),
    objectives(
        "loss: weights of points left out",
        old="else numpy.sum(weights * values)",
        new="else numpy.mean(values)",
    ),
    objectives(
        "maps: flows are learned the wrong way round",
        old="return flows[0] if inverted == [False] else Composed(flows, inverted=inverted)",
        new="return flows[0] if len(flows) == 1 else Composed(flows, inverted=inverted)",
    ),
    objectives(
        "mmd: weights of the target left out across the samples",
        old="numpy.sum(w[None] * rows, axis=1)",
        new="numpy.mean(rows, axis=1)",
    ),
    objectives(
        "mmd: pairs of a point with itself under weights",
        old="return (total - diagonal * squares) / (1.0 - squares)",
        new="return total",
    ),
    objectives(
        "mmd: a biased mean within a sample",
        old="- n * diagonal) / (n * (n - 1))",
        new="- n * diagonal) / (n * n)",
        tests=DISCREPANCY,
    ),
    objectives(
        "mmd: a kernel of another width",
        old="numpy.exp(-0.5 / h**2 * squares)",
        new="numpy.exp(-1.0 / h**2 * squares)",
        tests=DISCREPANCY,
    ),
    objectives(
        "sinkhorn: twice the debiasing term",
        old='total - 0.5 * numpy.sum(batch["source_plan"]',
        new='total - numpy.sum(batch["source_plan"]',
        tests=DISCREPANCY,
    ),
    objectives(
        "distances: an infinite slope where points coincide",
        old="numpy.where(positive, x, numpy.ones_like(x))",
        new="x",
        tests=("tests/aligners/test_discrepancies.py", "-k", "jax and coincide"),
    ),
    games(
        "game: saturating and non-saturating loss swapped",
        old='if loss == "saturating":',
        new='if loss == "non-saturating":',
    ),
    games(
        "game: the discriminator takes real points for generated",
        old="generated, real = logits[:count], logits[count:]",
        new="real, generated = logits[:count], logits[count:]",
    ),
    games(
        "game: a hinge without margin",
        old="real, generated = real - 1.0, generated + 1.0",
        new="real, generated = real, generated + 1.0",
    ),
    games(
        "game: sign of the adversary's gain",
        old="return gain + shared + constant",
        new="return -gain + shared + constant",
    ),
    games(
        "game: sum of logits for their mean",
        old="return -mean(backend, logits, weights)",
        new="return -mean(backend, logits, weights) * logits.shape[0]",
    ),
    games(
        "game: weights of both sides swapped",
        old='return batch.get("source_weight"), batch.get("target_weight")',
        new='return batch.get("target_weight"), batch.get("source_weight")',
    ),
]

MODELS = [
    models(
        "composed: the inverse keeps the order",
        old="for f, back in self.parts[::-1]])",
        new="for f, back in self.parts])",
        tests=("tests/aligners/test_two_maps.py", "-k", "Composed and jax"),
    ),
    models(
        "composed: log-determinants are subtracted",
        old="total = total + log_det",
        new="total = total - log_det",
        tests=("tests/aligners/test_two_maps.py", "-k", "Composed and jax"),
    ),
    models(
        "models: points of another event shape are accepted",
        old="if len(shape) < 2 or not fits(shape[1:], expected):",
        new="if len(shape) < 2:",
        tests=("tests/test_models.py", "-k", "jax and shape"),
    ),
    models(
        "models: arrays of another dtype are accepted",
        old="if found != self.dtype:",
        new="if False:",
        tests=("tests/test_models.py", "-k", "jax and dtype"),
    ),
]

MUTANTS = (*FITTING, *LOSS, *MODELS)
