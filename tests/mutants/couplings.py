"""Faults of couplings, of autoregressive and planar blocks, and of what is made of them."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

ORACLES = "tests/backends/test_couplings.py"


def invariants(cases: str) -> tuple[str, ...]:
    """The generic checks of the named specs."""
    return ("tests/backends/test_invariants.py", "-k", cases)


specs = partial(Mutant, file="lrmf/specs/coupling.py", tests=("tests/test_specs.py",))
composed = partial(Mutant, tests=("tests/test_composed_specs.py",))
jax = partial(Mutant, file="lrmf/backends/jax/couplings.py")
jax_scalar = partial(Mutant, file="lrmf/backends/jax/transformers.py")
jax_chain = partial(Mutant, file="lrmf/backends/jax/bijections.py")
jax_planar = partial(Mutant, file="lrmf/backends/jax/planar.py", tests=invariants("jax and planar"))
tfp = partial(Mutant, file="lrmf/backends/tfp/couplings.py")
tfp_scalar = partial(Mutant, file="lrmf/backends/tfp/transformers.py")
tfp_planar = partial(Mutant, file="lrmf/backends/tfp/planar.py", tests=invariants("tfp and planar"))

SPLINES = {backend: (ORACLES, "-k", f"splines and {backend}") for backend in ("jax", "tfp")}
REALNVP = {backend: invariants(f"{backend} and realnvp-3") for backend in ("jax", "tfp")}

SPECS = [
    specs(
        "realnvp: mask of the other half",
        old="return (rest, first) if self.swap else (first, rest)",
        new="return (first, rest) if self.swap else (rest, first)",
    ),
    specs(
        "realnvp: the halves never swap",
        old="return (rest, first) if self.swap else (first, rest)",
        new="return first, rest",
    ),
    specs(
        "realnvp: starts far from the identity",
        file="lrmf/specs/conditioners.py",
        old="rng.normal(size=shape) * (1e-4 / math.sqrt(fan_in))",
        new="rng.normal(size=shape) * (1.0 / math.sqrt(fan_in))",
    ),
    composed(
        "checkerboard: columns of one colour",
        file="lrmf/specs/coupling.py",
        old="np.indices(axes).sum(axis=0) % 2",
        new="np.indices(axes)[-1] % 2",
    ),
    composed(
        "nice: every block moves the same features",
        file="lrmf/specs/coupling.py",
        old='mask="checkerboard", swap=k % 2 == 1',
        new='mask="checkerboard", swap=False',
    ),
    composed(
        "autoregressive: a feature sees itself",
        file="lrmf/specs/autoregressive.py",
        old="degrees[-1][:, np.newaxis] < last]",
        new="degrees[-1][:, np.newaxis] <= last]",
    ),
    composed(
        "autoregressive: hidden units lose the features of their own degree",
        file="lrmf/specs/autoregressive.py",
        old="[a[:, np.newaxis] <= b for a, b",
        new="[a[:, np.newaxis] < b for a, b",
    ),
    composed(
        "convolution: inner layers see their neighbours",
        file="lrmf/specs/conditioners.py",
        old="(1, 1, *pair) if k in inside",
        new="(3, 3, *pair) if k in inside",
    ),
    composed(
        "chain: estimates outside of training",
        file="lrmf/specs/composition.py",
        old="flows=tuple(flow.exact() for flow in self.flows)",
        new="flows=self.flows",
    ),
    Mutant(
        "iaf: its blocks are those of maf",
        "lrmf/specs/autoregressive.py",
        "return tuple(Inverse(flow=block) for block in _blocks(self))",
        "return _blocks(self)",
        (ORACLES, "-k", "loop"),
    ),
    Mutant(
        "planar: starts away from the identity",
        "lrmf/specs/planar.py",
        "math.log(math.e - 1.0)",
        "0.0",
        invariants("jax and planar and identity"),
    ),
    Mutant(
        "splines: knots of another derivative at the start",
        "lrmf/backends/jax/transformers.py",
        "math.log(math.expm1(1.0 - least))",
        "0.0",
        invariants("jax and spline and identity"),
    ),
]

JAX = [
    jax_scalar(
        "jax realnvp: sign of the log-determinant",
        old="return x * jnp.exp(log_scale) + shift, log_scale",
        new="return x * jnp.exp(log_scale) + shift, -log_scale",
        tests=REALNVP["jax"],
    ),
    jax_scalar(
        "jax realnvp: sign of the inverse's log-determinant",
        old="return (x - shift) * jnp.exp(-log_scale), -log_scale",
        new="return (x - shift) * jnp.exp(-log_scale), log_scale",
        tests=REALNVP["jax"],
    ),
    jax_scalar(
        "jax realnvp: scales without a bound",
        old="log_scale = transformer.bound * jnp.tanh(raw_scale / transformer.bound)",
        new="log_scale = raw_scale",
        tests=invariants("jax and coupling"),
    ),
    jax_chain(
        "jax realnvp: the inverse takes the blocks in forward order",
        old="[part.inverse for part in reversed(self.parts)]",
        new="[part.inverse for part in self.parts]",
        tests=REALNVP["jax"],
    ),
    jax_chain(
        "jax: an inverse is the flow itself",
        old="return self.flow.inverse(x)",
        new="return self.flow.forward(x)",
        tests=(ORACLES, "-k", "loop and jax"),
    ),
    jax(
        "jax coupling: the parts change places",
        old="(y, given) if self.spec.swap else (given, y)",
        new="(given, y)",
        tests=invariants("jax and realnvp-3"),
    ),
    jax(
        "jax checkerboard: the network sees what moves",
        old="jnp.where(kept, inside, 0.0), inside",
        new="inside, inside",
        tests=invariants("jax and checkerboard"),
    ),
    jax(
        "jax checkerboard: what stays counts in the log-determinant",
        old="jnp.where(kept, 0.0, log_slopes)",
        new="log_slopes",
        tests=invariants("jax and checkerboard"),
    ),
    jax(
        "jax autoregressive: weights are not masked",
        old="if masks is not None:",
        new="if False:",
        tests=invariants("jax and maf"),
    ),
    jax(
        "jax autoregressive: a pass too few",
        old="length=len(columns),",
        new="length=len(columns) - 1,",
        tests=invariants("jax and maf"),
    ),
    jax_scalar(
        "jax spline: sign of the inverse's log-slope",
        old="-log_slope if inverse else log_slope",
        new="log_slope",
        tests=SPLINES["jax"],
    ),
    jax_scalar(
        "jax spline: the inverse looks for its bin among the widths",
        old="(bottoms if inverse else lefts)",
        new="lefts",
        tests=SPLINES["jax"],
    ),
    jax_scalar(
        "jax spline: derivatives of a bin's ends swapped",
        old="slopes[:-1], slopes[1:]",
        new="slopes[1:], slopes[:-1]",
        tests=SPLINES["jax"],
    ),
    jax_scalar(
        "jax spline: the other root",
        old="(-b - jnp.sqrt(b * b - 4.0 * a * c))",
        new="(-b + jnp.sqrt(b * b - 4.0 * a * c))",
        tests=SPLINES["jax"],
    ),
    jax_scalar(
        "jax spline: another slope outside",
        old="jnp.where(inside, value, x)",
        new="jnp.where(inside, value, 2.0 * x)",
        tests=SPLINES["jax"],
    ),
    jax_scalar(
        "jax convolution: filters turned by half",
        file="lrmf/backends/jax/convolutions.py",
        old="for i in range(3) for j in range(3)]",
        new="for i in (2, 1, 0) for j in (2, 1, 0)]",
        tests=(ORACLES, "-k", "scipys and jax"),
    ),
    jax_planar(
        "jax planar: sign of the inverse's log-determinant",
        old="self.direction, -self._log_det(bent)",
        new="self.direction, self._log_det(bent)",
    ),
    jax_planar(
        "jax planar: the inverse has no gradient",
        old="return root - (root + self.fold * bent - level) / slope",
        new="return root",
    ),
    jax_planar(
        "jax planar: half the bracket",
        old="width = jnp.abs(fold)",
        new="width = 0.5 * jnp.abs(fold)",
        tests=(ORACLES, "-k", "planar and jax"),
    ),
]

TFP = [
    tfp(
        "tfp realnvp: sign of the inverse's log-determinant",
        old="scalar.inverse_log_det_jacobian(moved)",
        new="-scalar.inverse_log_det_jacobian(moved)",
        tests=REALNVP["tfp"],
    ),
    tfp_scalar(
        "tfp realnvp: scales before it shifts",
        old="return tfb.Shift(shift)(tfb.Scale(log_scale=log_scale))",
        new="return tfb.Scale(log_scale=log_scale)(tfb.Shift(shift))",
        tests=("tests/backends/test_parity.py", "-k", "realnvp-3 and float64 and flows"),
    ),
    Mutant(
        "tfp realnvp: the blocks in backward order",
        "lrmf/backends/tfp/bijections.py",
        "return tfb.Chain(parts[::-1])",
        "return tfb.Chain(parts)",
        ("tests/backends/test_parity.py", "-k", "realnvp-3 and float64 and flows"),
    ),
    tfp(
        "tfp checkerboard: what stays counts in the log-determinant",
        old="tf.where(kept, tf.zeros_like(y), log_slopes)",
        new="log_slopes",
        tests=invariants("tfp and checkerboard"),
    ),
    tfp(
        "tfp autoregressive: weights are not masked",
        old="if masks is not None:",
        new="if False:",
        tests=invariants("tfp and maf"),
    ),
    tfp_scalar(
        "tfp spline: heights for widths",
        old="tfb.RationalQuadraticSpline(widths, heights, slopes",
        new="tfb.RationalQuadraticSpline(heights, widths, slopes",
        tests=SPLINES["tfp"],
    ),
    tfp_scalar(
        "tfp convolution: filters turned by half",
        file="lrmf/backends/tfp/convolutions.py",
        old="for i in range(3) for j in range(3)]",
        new="for i in (2, 1, 0) for j in (2, 1, 0)]",
        tests=(ORACLES, "-k", "scipys and tfp"),
    ),
    tfp_planar(
        "tfp planar: sign of the log-determinant",
        old="return tf.math.log1p(self._fold",
        new="return -tf.math.log1p(self._fold",
    ),
    tfp_planar(
        "tfp planar: the inverse has no gradient",
        old="return root - (root + self._fold * bent - level) / slope",
        new="return root",
    ),
]

MUTANTS = (*SPECS, *JAX, *TFP)
