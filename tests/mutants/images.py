"""Faults of flows of images, of what they see of data, and of their integers."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

FLOWS = "tests/backends/test_image_flows.py"


def invariants(cases: str) -> tuple[str, ...]:
    """The generic checks of the named specs."""
    return ("tests/backends/test_invariants.py", "-k", cases)


jax = partial(Mutant, file="lrmf/backends/jax/images.py")
tfp = partial(Mutant, file="lrmf/backends/tfp/images.py")
specs = partial(Mutant, file="lrmf/specs/images.py", tests=(FLOWS,))
jet = partial(Mutant, file="lrmf/specs/jet.py", tests=(FLOWS, "-k", "jet"))
noise = partial(
    Mutant, file="lrmf/data/dequantization.py", tests=("tests/data/test_dequantization.py",)
)

MUTANTS = (
    jax(
        "jax glow: the log-determinant of one pixel for all",
        old="return jnp.broadcast_to(h * w * log_det, (n,))",
        new="return jnp.broadcast_to(log_det, (n,))",
        tests=invariants("jax and glow-4x4x2"),
    ),
    jax(
        "jax mixing: sign of the inverse's log-determinant",
        old="_of_pixels(-jnp.sum(self.log_diagonal), y)",
        new="_of_pixels(jnp.sum(self.log_diagonal), y)",
        tests=invariants("jax and glow-4x4x2"),
    ),
    jax(
        "jax mixing: factors in the other order",
        old="self.lower @ self.upper",
        new="self.upper @ self.lower",
        tests=(FLOWS, "-k", "mixing and jax"),
    ),
    jax(
        "jax jet: the inverse in the order of the map",
        old="(self.arrays, masks), reverse=inverse)",
        new="(self.arrays, masks))",
        tests=invariants("jax and jet"),
    ),
    jax(
        "jax jet: log-slopes of what is kept count",
        old="log_slopes = jnp.where(kept, 0.0, log_slopes)",
        new="log_slopes = jnp.where(kept, log_slopes, log_slopes)",
        tests=invariants("jax and jet"),
    ),
    tfp(
        "tfp jet: log-slopes of what is kept count",
        old="log_slopes = tf.where(masks[k], tf.zeros_like(inside), log_slopes)",
        new="log_slopes = tf.where(masks[k], log_slopes, log_slopes)",
        tests=invariants("tfp and jet"),
    ),
    tfp(
        "tfp glow: the diagonal of U is its logarithm",
        old="tf.exp(tf.linalg.diag_part(packed))",
        new="tf.linalg.diag_part(packed)",
        tests=(FLOWS, "-k", "mixing and tfp"),
    ),
    specs(
        "squeeze: pixels of a patch column by column",
        old="return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // patch, w // patch, -1)",
        new="return blocks.transpose(0, 1, 3, 4, 2, 5).reshape(n, h // patch, w // patch, -1)",
        tests=(FLOWS, "-k", "space_to_depth"),
    ),
    specs(
        "actnorm: a start for the other direction",
        old="if inverse:  # x = (y - b) exp(-s)",
        new="if not inverse:  # x = (y - b) exp(-s)",
        tests=(FLOWS, "-k", "seen_data"),
    ),
    specs(
        "actnorm: no floor",
        old="np.maximum(values.std(axis=0), self.floor)",
        new="values.std(axis=0)",
        tests=(FLOWS, "-k", "floor"),
    ),
    specs(
        "actnorm: a start that has seen nothing passes",
        old="if any(np.isnan(np.asarray(result)).all()",
        new="if False and any(np.isnan(np.asarray(result)).all()",
        tests=(FLOWS, "-k", "refused and forward"),
    ),
    jet(
        "jet: starts away from the identity",
        old="arrays[name] = np.zeros_like(arrays[name])",
        new="arrays[name] = arrays[name] + 1e-5",
    ),
    jet(
        "jet: one half of the channels is never moved",
        old="mask = np.broadcast_to(half ^ turn, (h, w, c))",
        new="mask = np.broadcast_to(half, (h, w, c))",
    ),
    Mutant(
        "glow: the next level sees what is done",
        "lrmf/specs/images.py",
        "own = x[..., x.shape[-1] // 2 :]",
        "own = x[..., : x.shape[-1] // 2]",
        (FLOWS, "-k", "what_is_left"),
    ),
    noise(
        "dequantised: one noise for every minibatch",
        old="np.random.default_rng([self._seed, self._content, _number(key)])",
        new="np.random.default_rng(self._seed)",
    ),
    noise(
        "dequantised: noise of half a step",
        old="(rows + rng.random(rows.shape))",
        new="(rows + 0.5 * rng.random(rows.shape))",
    ),
    noise(
        "bits per dimension: nats",
        old="/ math.log(2.0))",
        new="/ 1.0)",
    ),
)
