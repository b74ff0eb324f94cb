"""What the PyTorch peers share: copying arrays into their networks, and the eager loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.workload import LAYERS, Arrays, Batches, Data, Losses, Workload

__all__ = ["TorchLoop", "copy_network"]

ForwardAndLogDet = Callable[[Tensor], tuple[Tensor, Tensor]]
LogProb = Callable[[Tensor], Tensor]


class TorchLoop:
    """Eager training of T and S; S scores T(a) and b in one call, the faster way here."""

    def __init__(
        self,
        workload: Workload,
        data: tuple[Data, Data],
        *,
        modules: tuple[nn.Module, nn.Module],
        forward: ForwardAndLogDet,
        log_prob: LogProb,
    ) -> None:
        self._forward, self._log_prob = forward, log_prob
        self._variables = [
            variable
            for module in modules
            for variable in module.parameters()
            if variable.requires_grad
        ]
        self._optimizer = torch.optim.Adam(self._variables, lr=workload.learning_rate)
        self._clip = workload.clip
        self._batch = workload.batch
        self._source, self._target = (torch.from_numpy(rows) for rows in data)

    @property
    def parameters(self) -> int:
        """See `Peer`."""
        return sum(variable.numel() for variable in self._variables)

    def step(self, batches: Batches) -> Losses:
        """See `Peer`."""
        losses = [self._train(batch) for batch in torch.from_numpy(batches).long()]
        return np.array([float(loss) for loss in losses])

    def _train(self, batch: Tensor) -> Tensor:
        a, b = self._source[batch[0]], self._target[batch[1]]
        self._optimizer.zero_grad()
        y, log_det = self._forward(a)
        scores = self._log_prob(torch.cat([y, b]))
        loss = -log_det.mean() - scores[: self._batch].mean() - scores[self._batch :].mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self._variables, self._clip)
        self._optimizer.step()
        return loss.detach()


def copy_network(network: nn.Module, arrays: Arrays, block: int) -> None:
    """Copy one block's arrays into `network`, a stack of `Linear`-like modules.

    Both PyTorch libraries read (shift, scale) of a feature from neighbouring outputs, where
    ours come as all shifts, then all scales: the last layer's outputs are reordered.

    Raises:
        ValueError: If the network has another number of layers than the arrays.
    """
    linears = [module for module in network.modules() if "weight" in module._parameters]
    if len(linears) != LAYERS:
        raise ValueError(f"expected a network of {LAYERS} linear layers, got {len(linears)}.")
    with torch.no_grad():
        for layer, linear in enumerate(linears):
            weight = arrays[f"block_{block}/layer_{layer}/weight"].T
            bias = arrays[f"block_{block}/layer_{layer}/bias"]
            if layer == LAYERS - 1:
                order = np.arange(len(bias)).reshape(2, -1).T.ravel()
                weight, bias = weight[order], bias[order]
            linear.get_parameter("weight").copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            linear.get_parameter("bias").copy_(torch.from_numpy(bias))
