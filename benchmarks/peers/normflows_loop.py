"""normflows (PyTorch): `AffineCouplingBlock`s in a `NormalizingFlow`."""

from __future__ import annotations

import normflows as nf  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn

from benchmarks.peers.torch_loop import TorchLoop, copy_network
from benchmarks.workload import Arrays, Data, Workload

__all__ = ["build"]


def build(
    workload: Workload, *, arrays: tuple[Arrays, Arrays], data: tuple[Data, Data]
) -> TorchLoop:
    """T and S as two flows over a fixed standard normal, with the given arrays.

    Raises:
        ValueError: If the number of features is odd: its split puts the larger half first.
    """
    if workload.features % 2:
        raise ValueError(f"normflows splits features evenly, got {workload.features} of them.")
    transform, density = (_flow(workload, named) for named in arrays)
    return TorchLoop(
        workload,
        data,
        modules=(transform, density),
        forward=transform.forward_and_log_det,
        log_prob=density.log_prob,
    )


class _BoundedScale(nn.Module):
    """A network whose outputs (shift, s, shift, s, ...) become (shift, 2 tanh(s/2), ...)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        output = self.network(x)
        shift, raw = output[:, 0::2], output[:, 1::2]
        return torch.stack([shift, 2.0 * torch.tanh(raw / 2.0)], dim=-1).flatten(1)


def _flow(workload: Workload, arrays: Arrays) -> nf.NormalizingFlow:
    blocks = []
    for block in range(workload.blocks):
        network = nf.nets.MLP(list(workload.layer_sizes(block)))
        copy_network(network, arrays, block)
        blocks.append(
            nf.flows.AffineCouplingBlock(
                _BoundedScale(network),
                split_mode="channel" if block % 2 == 0 else "channel_inv",
            )
        )
    base = nf.distributions.DiagGaussian(workload.features, trainable=False)
    return nf.NormalizingFlow(base, blocks)
