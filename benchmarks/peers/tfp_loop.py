"""Plain TensorFlow Probability: what a user writes from its documentation.

Coupling networks are tf.Variables handed to `tfb.RealNVP` through `bijector_fn`, S is a
`tfd.TransformedDistribution`, T(a) and b are scored by separate `log_prob` calls, and each
step is one call of a `tf.function`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from benchmarks.workload import LAYERS, PARITY_STEPS, Arrays, Batches, Data, Losses, Workload

__all__ = ["build"]

tfb, tfd = tfp.bijectors, tfp.distributions


def build(workload: Workload, *, arrays: tuple[Arrays, Arrays], data: tuple[Data, Data]) -> TfpLoop:
    """T, S and their optimiser with the given arrays."""
    return TfpLoop(workload, arrays, data)


class TfpLoop:
    """The training loop; `step` calls the compiled step once for each row."""

    def __init__(
        self, workload: Workload, arrays: tuple[Arrays, Arrays], data: tuple[Data, Data]
    ) -> None:
        transform, transform_variables = _real_nvp(workload, arrays[0])
        density_flow, density_variables = _real_nvp(workload, arrays[1])
        base = tfd.MultivariateNormalDiag(loc=tf.zeros(workload.features))
        density = tfd.TransformedDistribution(distribution=base, bijector=density_flow)
        variables = transform_variables + density_variables
        # Keras adds epsilon before the bias correction, the others after it. No constant makes
        # them equal at every step; this one is their 1e-8 at the last step that is compared.
        optimizer = tf_keras.optimizers.Adam(
            workload.learning_rate,
            epsilon=1e-8 * float(np.sqrt(1.0 - 0.999**PARITY_STEPS)),
            global_clipnorm=workload.clip,
        )
        source, target = (tf.constant(rows) for rows in data)

        @tf.function
        def train(batch: tf.Tensor) -> tf.Tensor:
            a, b = tf.gather(source, batch[0]), tf.gather(target, batch[1])
            with tf.GradientTape() as tape:
                log_det = transform.forward_log_det_jacobian(a, event_ndims=1)
                loss = (
                    -tf.reduce_mean(log_det)
                    - tf.reduce_mean(density.log_prob(transform.forward(a)))
                    - tf.reduce_mean(density.log_prob(b))
                )
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return loss

        self._train = train
        self._variables = variables

    @property
    def parameters(self) -> int:
        """See `Peer`."""
        return sum(int(np.prod(variable.shape)) for variable in self._variables)

    def step(self, batches: Batches) -> Losses:
        """See `Peer`."""
        losses = [self._train(tf.constant(batch)) for batch in batches]
        return np.array([float(loss) for loss in losses])


def _real_nvp(workload: Workload, arrays: Arrays) -> tuple[Any, list[tf.Variable]]:
    """Build the chain of couplings, first block innermost, and its variables."""
    blocks, variables = [], []
    for block in range(workload.blocks):
        layers = [
            tuple(
                tf.Variable(arrays[f"block_{block}/layer_{layer}/{part}"], dtype=tf.float32)
                for part in ("weight", "bias")
            )
            for layer in range(LAYERS)
        ]
        variables += [variable for layer in layers for variable in layer]
        # A negative count makes the last features the conditioning ones.
        untouched = workload.split if block % 2 == 0 else workload.split - workload.features
        blocks.append(tfb.RealNVP(num_masked=untouched, bijector_fn=_coupling(layers)))
    return tfb.Chain(blocks[::-1]), variables


def _coupling(layers: list[tuple[tf.Variable, ...]]) -> Any:
    """Give the affine map that one block's network chooses for the features it transforms."""

    def bijector(x: tf.Tensor, _output_units: int) -> Any:
        for weight, bias in layers[:-1]:
            x = tf.nn.relu(tf.matmul(x, weight) + bias)
        weight, bias = layers[-1]
        shift, raw = tf.split(tf.matmul(x, weight) + bias, 2, axis=-1)
        return tfb.Shift(shift)(tfb.Scale(log_scale=2.0 * tf.tanh(raw / 2.0)))

    return bijector
