"""The one training problem that every peer solves: its size, arrays, data and FLOPs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "Batches", "Data", "Losses", "Workload"]

Arrays = dict[str, NDArray[np.float64]]
"""Named arrays of one RealNVP, `block_{k}/layer_{i}/weight` (in, out) and `.../bias` (out,)."""

Data = NDArray[np.float32]
Batches = NDArray[np.int32]
"""Row indices, shape `(steps, 2, batch)`: `[:, 0]` into the source, `[:, 1]` into the target."""

Losses = NDArray[np.float64]

LAYERS = 3

PARITY_STEPS = 10
"""Steps over which the losses of all peers must agree before any is timed."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """LRMF on RealNVP: minimise -mean log_det_T - mean log S(T(a)) - mean log S(b).

    T and S are RealNVPs of `blocks` couplings with hidden layers `(hidden, hidden)`; the
    optimiser is Adam on a gradient whose global norm is clipped at `clip`. Speed does not
    depend on `learning_rate`; parity does. At 1e-3 and hidden 512 the first steps overshoot
    and amplify float32 rounding to percents of the loss (in float64 both of our backends
    still agree to 1e-14); at 1e-4 all peers agree within 3e-5 after ten steps, while a rate
    10% off or a missing clip shows as 4e-4 or more at hidden 16, 64 and 512.
    """

    hidden: int
    features: int = 2
    blocks: int = 4
    batch: int = 256
    rows: int = 2000
    learning_rate: float = 1e-4
    clip: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "blocks", "batch", "rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.features < 2:
            raise ValueError(f"a coupling needs at least 2 features, got {self.features}.")

    @property
    def split(self) -> int:
        """Size of the first half: the untouched one in even blocks, the moved one in odd."""
        return self.features // 2

    def layer_sizes(self, block: int) -> tuple[int, int, int, int]:
        """Widths `(conditioning, hidden, hidden, 2 * transformed)` of one block's network."""
        conditioning = self.split if block % 2 == 0 else self.features - self.split
        return conditioning, self.hidden, self.hidden, 2 * (self.features - conditioning)

    def parameter_count(self) -> int:
        """Numbers trained in T and S together: every weight and bias."""
        one_flow = 0
        for block in range(self.blocks):
            sizes = self.layer_sizes(block)
            one_flow += sum((sizes[i] + 1) * sizes[i + 1] for i in range(LAYERS))
        return 2 * one_flow

    def flops_per_step(self) -> int:
        """Floating-point operations in the matrix products of one step (a product-sum is 2).

        With n = batch rows through T and 2n through S, and `c -> h -> h -> 2o` the network
        of a block, forward and weight gradient each take `ch + hh + 2ho` product-sums a row,
        and the input gradient `hh + 2ho` plus `ch` wherever something upstream is trained:

            2 * [ sum_blocks 3n * (2 * (ch + hh + 2ho) + (hh + 2ho))
                  + n * (sum of ch over T's blocks but the first)
                  + 2n * (sum of ch over S's blocks) - n * (ch of the S block applied first) ]

        That S block and T's first read data, so n rows of each need no input gradient. Adam
        and everything elementwise count as nothing: the share of the machine's rate that
        follows is a lower bound on how busy it is.
        """
        products = 0
        for block in range(self.blocks):
            c, h, _, out = self.layer_sizes(block)
            products += 3 * self.batch * (2 * (c * h + h * h + h * out) + h * h + h * out)
            into_transform = 0 if block == 0 else self.batch
            # As a density the flow is inverted, so data enter by its last block.
            into_density = self.batch if block == self.blocks - 1 else 2 * self.batch
            products += (into_transform + into_density) * c * h
        return 2 * products

    def initial_arrays(self) -> tuple[Arrays, Arrays]:
        """Draw starting arrays of T and S: dense, so that equal losses mean equal networks.

        The library itself starts T at the identity, where a wrong network would go
        unnoticed; speed does not depend on the values. Last layers are smaller than the
        others, see `learning_rate`.
        """
        rng = np.random.default_rng(self.seed)
        return self._arrays(rng), self._arrays(rng)

    def data(self) -> tuple[Data, Data]:
        """Source and target, each `(rows, features)`: correlated normals, one moved and turned."""
        rng = np.random.default_rng(self.seed + 1)
        source = rng.normal(size=(self.rows, self.features))
        mixing = np.eye(self.features) + 0.3 * rng.normal(size=(self.features, self.features))
        target = rng.normal(size=(self.rows, self.features)) @ mixing + 1.0
        return source.astype(np.float32), target.astype(np.float32)

    def batches(self, steps: int, rng: np.random.Generator) -> Batches:
        """Draw indices of `steps` pairs of minibatches, drawn with replacement."""
        return rng.integers(self.rows, size=(steps, 2, self.batch), dtype=np.int32)

    def _arrays(self, rng: np.random.Generator) -> Arrays:
        arrays: Arrays = {}
        for block in range(self.blocks):
            sizes = self.layer_sizes(block)
            for layer in range(LAYERS):
                shape = (sizes[layer], sizes[layer + 1])
                name = f"block_{block}/layer_{layer}"
                scale = 0.3 if layer == LAYERS - 1 else 1.0
                arrays[f"{name}/weight"] = scale * rng.normal(size=shape) / np.sqrt(shape[0])
                arrays[f"{name}/bias"] = 0.1 * rng.normal(size=shape[1])
        return arrays
