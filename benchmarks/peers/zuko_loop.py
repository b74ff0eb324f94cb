"""zuko (PyTorch): `GeneralCouplingTransform`s, S as a zuko `Flow`.

A zuko flow maps data to noise, and inverting one of its transforms evaluates each network
twice. S is therefore built in that direction: its blocks run from last to first, and each
applies y = (x - shift) exp(-log_scale), which is the inverse of the block in T's direction.
"""

from __future__ import annotations

import torch
import zuko  # type: ignore[import-untyped]
from torch import Tensor, nn

from benchmarks.peers.torch_loop import TorchLoop, copy_network
from benchmarks.workload import Arrays, Data, Workload

__all__ = ["build"]


def build(
    workload: Workload, *, arrays: tuple[Arrays, Arrays], data: tuple[Data, Data]
) -> TorchLoop:
    """T as a composed transform, S as a flow towards a standard normal."""
    transform = zuko.lazy.LazyComposedTransform(*_blocks(workload, arrays[0], _Affine))
    base = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal,
        torch.zeros(workload.features),
        torch.ones(workload.features),
        buffer=True,
    )
    density = zuko.lazy.Flow(_blocks(workload, arrays[1], _InverseAffine)[::-1], base)

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_det = transform().call_and_ladj(x)
        return y, log_det

    def log_prob(x: Tensor) -> Tensor:
        value: Tensor = density().log_prob(x)
        return value

    return TorchLoop(
        workload, data, modules=(transform, density), forward=forward, log_prob=log_prob
    )


class _Affine(zuko.transforms.MonotonicAffineTransform):
    """y = x exp(log_scale) + shift, with log_scale = 2 tanh(s/2) instead of zuko's bound."""

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super(zuko.transforms.MonotonicAffineTransform, self).__init__()
        self.shift = shift
        self.log_scale = 2.0 * torch.tanh(scale / 2.0)
        self.scale = self.log_scale.exp()


class _InverseAffine(_Affine):
    """y = (x - shift) exp(-log_scale)."""

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__(shift, -scale)

    def _call(self, x: Tensor) -> Tensor:
        return (x - self.shift) * self.scale

    def _inverse(self, y: Tensor) -> Tensor:
        return y / self.scale + self.shift


def _blocks(workload: Workload, arrays: Arrays, univariate: type[_Affine]) -> list[nn.Module]:
    blocks = []
    for block in range(workload.blocks):
        first_half = torch.arange(workload.features) < workload.split
        coupling = zuko.flows.coupling.GeneralCouplingTransform(
            workload.features,
            mask=first_half if block % 2 == 0 else ~first_half,
            univariate=univariate,
            hidden_features=(workload.hidden, workload.hidden),
        )
        copy_network(coupling.hyper, arrays, block)
        blocks.append(coupling)
    return blocks
