"""Faults of what the two backends compute."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]


def invariants(cases: str) -> tuple[str, ...]:
    """The generic checks of the named specs."""
    return ("tests/backends/test_invariants.py", "-k", cases)


NETWORKS = "tests/backends/test_discriminator.py"
CONTINUOUS = "tests/backends/test_continuous.py"
HISTOGRAM = "tests/backends/test_histogram.py"
PARITY = ("tests/backends/test_parity.py", "-k", "training and full-gaussian")

ROWS = ("tests/test_models.py", "-k", "ManyRows and jax")

jax_maps = partial(Mutant, file="lrmf/backends/jax/bijections.py")
jax_densities = partial(Mutant, file="lrmf/backends/jax/densities.py")
jax_training = partial(Mutant, file="lrmf/backends/jax/training.py")
JAX_PLAYERS = ("tests/test_games.py", "-k", "turn and jax")

SHARED = [
    Mutant(
        "rows: the padding is given back",
        file="lrmf/backends/base.py",
        old="np.concatenate(parts)[: len(x)]",
        new="np.concatenate(parts)",
        tests=ROWS,
    ),
    Mutant(
        "rows: every chunk starts at the first point",
        file="lrmf/backends/base.py",
        old="chunk = points[start : start + ROWS[-1]]",
        new="chunk = points[: min(len(points) - start, ROWS[-1])]",
        tests=ROWS,
    ),
    Mutant(
        "minibatches: of the first row alone",
        file="lrmf/backends/base.py",
        old="np.asarray(x[indices[name].reshape(len(indices[name]), updates, -1)], dtype)",
        new="np.asarray(x[0 * indices[name].reshape(len(indices[name]), updates, -1)], dtype)",
        tests=("tests/test_games.py", "-k", "turn and jax"),
    ),
]

JAX = [
    jax_maps(
        "jax affine: sign of the log-determinant",
        old="return y, jnp.broadcast_to(self.log_abs_det, x.shape[:1])",
        new="return y, jnp.broadcast_to(-self.log_abs_det, x.shape[:1])",
        tests=invariants("jax and full"),
    ),
    jax_maps(
        "jax affine: sign of the inverse's log-determinant",
        old="return x, jnp.broadcast_to(-self.log_abs_det, y.shape[:1])",
        new="return x, jnp.broadcast_to(self.log_abs_det, y.shape[:1])",
        tests=invariants("jax and full"),
    ),
    jax_maps(
        "jax diagonal: sign of the log-determinant",
        old="return y, jnp.broadcast_to(jnp.sum(self.log_scale), x.shape[:1])",
        new="return y, jnp.broadcast_to(-jnp.sum(self.log_scale), x.shape[:1])",
        tests=invariants("jax and diagonal"),
    ),
    jax_maps(
        "jax diagonal: mean for sum in the log-determinant",
        old="return y, jnp.broadcast_to(jnp.sum(self.log_scale), x.shape[:1])",
        new="return y, jnp.broadcast_to(jnp.mean(self.log_scale), x.shape[:1])",
        tests=invariants("jax and diagonal"),
    ),
    jax_maps(
        "jax positive definite: log-determinant of one factor only",
        old="matrix, log_abs_det = matrix.T @ matrix, 2.0 * log_abs_det",
        new="matrix, log_abs_det = matrix.T @ matrix, log_abs_det",
        tests=invariants("jax and positive"),
    ),
    jax_maps(
        "jax positive definite: factors the other way round",
        old="matrix, log_abs_det = matrix.T @ matrix, 2.0 * log_abs_det",
        new="matrix, log_abs_det = matrix @ matrix.T, 2.0 * log_abs_det",
        tests=invariants("jax and positive"),
    ),
    Mutant(
        "jax ffjord: sign of the log-determinant",
        "lrmf/backends/jax/continuous.py",
        "return (-velocity, -trace) if self.inverse else (velocity, trace)",
        "return (-velocity, trace) if self.inverse else (velocity, -trace)",
        (CONTINUOUS, "-k", "jax and scipy"),
    ),
    Mutant(
        "jax ffjord: the inverse does not run backwards in time",
        "lrmf/backends/jax/continuous.py",
        "self._network(1.0 - time if self.inverse else time, state[0], layers)",
        "self._network(time, state[0], layers)",
        invariants("jax and inverse and ffjord-2"),
    ),
    Mutant(
        "jax ffjord: a solver that gave up says nothing",
        "lrmf/backends/jax/continuous.py",
        "jnp.where(succeeded, y, jnp.nan)",
        "jnp.where(succeeded, y, y)",
        (CONTINUOUS, "-k", "gives_up and jax"),
    ),
    Mutant(
        "jax ffjord: the gradient leaves out the first step",
        "lrmf/backends/jax/continuous.py",
        "jax.lax.while_loop(lambda carry: carry[0] > 0, back, start)",
        "jax.lax.while_loop(lambda carry: carry[0] > 1, back, start)",
        (CONTINUOUS, "-k", "gradient and diffrax"),
    ),
    jax_densities(
        "jax: the base density's constant is dropped",
        old=" - 0.5 * size * math.log(2.0 * math.pi)",
        new="",
        tests=invariants("jax and gaussian"),
    ),
    jax_densities(
        "jax: sign of the log-determinant in a flow's density",
        old="return _standard_normal(z) + log_det",
        new="return _standard_normal(z) - log_det",
        tests=invariants("jax and diagonal"),
    ),
    jax_densities(
        "jax gaussian: sign of the log-determinant",
        old="@ self.root.T) + jnp.sum(self.log_diagonal)",
        new="@ self.root.T) - jnp.sum(self.log_diagonal)",
        tests=invariants("jax and gaussian"),
    ),
    jax_densities(
        "jax gaussian: the diagonal counts twice",
        old='jnp.tril(arrays["lower"], -1)',
        new='jnp.tril(arrays["lower"])',
        tests=invariants("jax and gaussian"),
    ),
    jax_densities(
        "jax histogram: the volume of a cell is left out",
        old="self.log_probabilities[cell] - log_volume, -jnp.inf",
        new="self.log_probabilities[cell], -jnp.inf",
        tests=(HISTOGRAM, "-k", "jax"),
    ),
    jax_densities(
        "jax histogram: cells hold their right edges",
        old='side="right"',
        new='side="left"',
        tests=(HISTOGRAM, "-k", "jax"),
    ),
    jax_training(
        "jax: gradients are not clipped",
        old="optax.clip_by_global_norm(gradient_clip), optax",
        new="optax.identity(), optax",
        tests=PARITY,
    ),
    jax_training(
        "jax: Adam's decay rates are not passed on",
        old="optax.scale_by_adam(b1=first, b2=second)",
        new="optax.scale_by_adam()",
        tests=JAX_PLAYERS,
    ),
    jax_training(
        "jax: every player learns at the same rate",
        old="a - player.rate * learning_rate * u",
        new="a - learning_rate * u",
        tests=JAX_PLAYERS,
    ),
    jax_training(
        "jax: validation uses the estimated trace",
        old="tuple(role.exact() for role in roles)",
        new="roles",
        tests=(CONTINUOUS, "-k", "outside and jax"),
    ),
    Mutant(
        "jax: float64 computes in float32",
        "lrmf/backends/jax/__init__.py",
        '_enable_x64(dtype == "float64" or jax.config.read("jax_enable_x64"))',
        "_enable_x64(False)",
        ("tests/test_models.py", "-k", "jax and dtype"),
    ),
    Mutant(
        "loss: sum for mean",
        "lrmf/objectives.py",
        "return numpy.mean(values) if weights is None",
        "return numpy.sum(values) if weights is None",
        ("tests/test_objectives.py", "-k", "jax"),
    ),
    Mutant(
        "jax: spectral norm skipped",
        "lrmf/backends/jax/discriminators.py",
        "if spec.spectral_norm:",
        "if False:",
        (NETWORKS, "-k", "jax"),
    ),
    Mutant(
        "jax: frozen arrays of a flowjax object are trained",
        "lrmf/backends/jax/foreign.py",
        "is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)",
        "is_leaf=None",
        ("tests/backends/test_foreign_jax.py", "-k", "frozen"),
    ),
    Mutant(
        "jax: forward and inverse of a flowjax object swapped",
        "lrmf/backends/jax/foreign.py",
        "return jax.vmap(self.model.transform_and_log_det)(x)",
        "return jax.vmap(self.model.inverse_and_log_det)(x)",
        ("tests/backends/test_foreign_jax.py", "-k", "bijection"),
    ),
]

tfp_maps = partial(Mutant, file="lrmf/backends/tfp/bijections.py")
tfp_training = partial(Mutant, file="lrmf/backends/tfp/training.py")
TFP_PLAYERS = ("tests/test_games.py", "-k", "turn and tfp")

TFP = [
    tfp_maps(
        "tfp affine: sign of the log-determinant",
        old="return tf.reduce_sum(tf.math.log(tf.abs(",
        new="return -tf.reduce_sum(tf.math.log(tf.abs(",
        tests=invariants("tfp and full"),
    ),
    tfp_maps(
        "tfp positive definite: factors the other way round",
        old="return tfb.Chain([shift, adjoint, matrix])",
        new="return tfb.Chain([shift, matrix, adjoint])",
        tests=invariants("tfp and positive"),
    ),
    tfp_maps(
        "tfp diagonal: shifts before it scales",
        old='return shift(tfb.Scale(log_scale=arrays["log_scale"]))',
        new='return tfb.Scale(log_scale=arrays["log_scale"])(shift)',
        tests=invariants("tfp and diagonal"),
    ),
    Mutant(
        "tfp: the inverse comes with the log-determinant of the map",
        "lrmf/backends/tfp/__init__.py",
        "flow.inverse(x), flow.inverse_log_det_jacobian(x, event_ndims=rank)",
        "flow.inverse(x), flow.forward_log_det_jacobian(x, event_ndims=rank)",
        invariants("tfp and diagonal"),
    ),
    Mutant(
        "tfp ffjord: blocks in the wrong order",
        "lrmf/backends/tfp/continuous.py",
        "for k in reversed(range(spec.blocks))",
        "for k in range(spec.blocks)",
        (CONTINUOUS, "-k", "tfp and scipy"),
    ),
    Mutant(
        "tfp ffjord: the trace sums one column",
        "lrmf/backends/tfp/continuous.py",
        "[row[:, k] for k, row in enumerate(rows)]",
        "[row[:, 0] for k, row in enumerate(rows)]",
        (CONTINUOUS, "-k", "tfp and scipy"),
    ),
    Mutant(
        "tfp gaussian: sign of the mean",
        "lrmf/backends/tfp/densities.py",
        'tfb.Shift(-arrays["mean"])',
        'tfb.Shift(arrays["mean"])',
        invariants("tfp and gaussian"),
    ),
    Mutant(
        "tfp: a density is that of the inverse flow",
        "lrmf/backends/tfp/densities.py",
        "return tfd.TransformedDistribution(base, flow)",
        "return tfd.TransformedDistribution(base, tfb.Invert(flow))",
        invariants("tfp and full"),
    ),
    Mutant(
        "tfp histogram: the volume of a cell is left out",
        "lrmf/backends/tfp/densities.py",
        "log_prob = tf.gather(self._log_probabilities, cell) - log_volume",
        "log_prob = tf.gather(self._log_probabilities, cell)",
        (HISTOGRAM, "-k", "tfp"),
    ),
    tfp_training(
        "tfp: gradients are not clipped",
        old="scale = tf.where(norm < gradient_clip, tf.ones_like(norm), gradient_clip / norm)",
        new="scale = tf.ones_like(norm)",
        tests=PARITY,
    ),
    tfp_training(
        "tfp: Adam's means are not corrected",
        old="(m / mean_correction)",
        new="m",
        tests=TFP_PLAYERS,
    ),
    tfp_training(
        "tfp: every player learns at the same rate",
        old="player.rate * learning_rate,",
        new="learning_rate,",
        tests=TFP_PLAYERS,
    ),
    tfp_training(
        "tfp: validation uses the estimated trace",
        old="self._exact = tuple(role.exact() for role in roles)",
        new="self._exact = roles",
        tests=(CONTINUOUS, "-k", "outside and tfp"),
    ),
    Mutant(
        "tfp: Frobenius norm for spectral norm",
        "lrmf/backends/tfp/discriminators.py",
        "weight = weight / spectral_norm(weight, spec.squarings)",
        "weight = weight / tf.norm(weight)",
        (NETWORKS, "-k", "tfp"),
    ),
    Mutant(
        "tfp: an object keeps what was assigned to its variables",
        "lrmf/backends/tfp/foreign.py",
        "            variable.assign(value)",
        "            pass",
        ("tests/backends/test_foreign_tfp.py", "-k", "alone"),
    ),
    Mutant(
        "backends: samples ignore the seed",
        "lrmf/backends/base.py",
        "np.random.default_rng(seed).standard_normal",
        "np.random.default_rng(0).standard_normal",
        ("tests/test_models.py", "-k", "jax and sampl"),
    ),
]

MUTANTS = (*SHARED, *JAX, *TFP)
