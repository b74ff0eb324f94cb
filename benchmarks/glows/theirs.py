"""Glow of normflows' blocks (PyTorch), composed as ours: image to image."""

from __future__ import annotations

from typing import Any

import normflows as nf  # type: ignore[import-untyped]
import numpy as np
import torch
from torch import nn

from benchmarks.glows import CLIP, Likelihood, Noisy, Run, Size

__all__ = ["aligner", "density"]

BATCH = 256


class Glow(nn.Module):
    """Levels of squeezes and blocks; ``forward`` goes from noise to images."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.squeeze = nf.flows.Squeeze()  # its inverse is the squeeze
        self.levels = nn.ModuleList(
            nn.ModuleList(nf.flows.GlowBlock(4 * 2**level, size.filters) for _ in range(size.steps))
            for level in range(size.levels)
        )

    def forward(self, z: Any, level: int = 0) -> Any:
        z, total = self.squeeze.inverse(z)[0], 0.0
        if level + 1 < len(self.levels):
            done, rest = z.chunk(2, dim=1)
            rest, total = self(rest, level + 1)
            z = torch.cat((done, rest), dim=1)
        for block in self.levels[level]:
            z, log_det = block(z)
            total = total + log_det
        return self.squeeze(z)[0], total

    def inverse(self, x: Any, level: int = 0) -> Any:
        x, total = self.squeeze.inverse(x)[0], 0.0
        for block in reversed(self.levels[level]):
            x, log_det = block.inverse(x)
            total = total + log_det
        if level + 1 < len(self.levels):
            done, rest = x.chunk(2, dim=1)
            rest, log_det = self.inverse(rest, level + 1)
            x, total = torch.cat((done, rest), dim=1), total + log_det
        return self.squeeze(x)[0], total

    def log_prob(self, x: Any) -> Any:
        z, log_det = self.inverse(x)
        dim = z[0].numel()
        return log_det - 0.5 * (z**2).sum(dim=(1, 2, 3)) - 0.5 * dim * np.log(2 * np.pi)


def aligner(peer: str, size: Size, data: np.ndarray) -> tuple[Run, int]:
    """LRMF with two Glows, as ours."""
    transform, density = Glow(size), Glow(size)
    images = torch.from_numpy(np.moveaxis(data, -1, 2).copy())

    def loss(rows: Any) -> Any:
        a, b = images[0][rows[0]], images[1][rows[1]]
        moved, log_det = transform(a)
        log_prob = density.log_prob(torch.cat((moved, b)))
        n = len(a)
        return -(log_det + log_prob[:n]).mean() - log_prob[n:].mean()

    steps = _steps([*transform.parameters(), *density.parameters()])

    def run(rows: np.ndarray, rate: float) -> np.ndarray:
        return np.array([steps(loss(torch.from_numpy(row)), rate) for row in rows])

    return run, sum(p.numel() for key, p in density.named_parameters() if ".flows.0." in key)


def density(peer: str, size: Size, data: Noisy, first: np.ndarray, seed: int) -> Likelihood:
    """Glow as a density, as ours."""
    torch.manual_seed(seed)
    model = Glow(size)

    def images(x: np.ndarray) -> Any:
        return torch.from_numpy(np.moveaxis(x, -1, 1).copy())

    with torch.no_grad():  # the norms see their first images
        model.inverse(images(data[first]))
    steps = _steps(list(model.parameters()))

    def run(rows: np.ndarray, rate: float) -> np.ndarray:
        batches = data[rows[:, 0]]  # as ours asks for them, so with the same noise
        return np.array([steps(-model.log_prob(images(x)).mean(), rate) for x in batches])

    def log_prob(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            parts = [
                model.log_prob(images(x[k : k + BATCH])).numpy() for k in range(0, len(x), BATCH)
            ]
        return np.concatenate(parts)

    return Likelihood(run, log_prob, sum(p.numel() for p in model.parameters()))


def _steps(weights: list[Any]) -> Any:
    """A function that takes one step of Adam down a loss, with the gradient's norm clipped."""
    optimiser = torch.optim.Adam(weights)

    def step(loss: Any, rate: float) -> float:
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
        return float(loss.detach())

    return step
