"""What might help in pixel space: other starts, noise that falls, coarse images first."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import lrmf
from lrmf.data import Dequantized

__all__ = ["NOISE", "SCALES", "Annealed", "CoarseToFine", "join", "split", "started"]

#: Deviations of the noise in an annealed fit, one after the other; dequantisation adds 1/256.
NOISE = (0.3, 0.1, 0.03, 0.0)
SCALES = (4, 2, 1)  # pixels of the image on a side of one pixel that is seen


def started(arrays: Mapping[str, Any]) -> type[lrmf.LRMF]:
    """LRMF that starts at the arrays of ``transform`` and ``density``."""

    class Started(lrmf.LRMF):
        def _recipe(self, domains: Any) -> Any:
            return dataclasses.replace(super()._recipe(domains), start=lambda *_: arrays)

    return Started


class Noisy(Dequantized):
    """Images with normal noise, which is drawn anew where the dequantised ones are."""

    def __init__(self, images: np.ndarray, *, deviation: float, seed: int) -> None:
        super().__init__(images, seed=seed)
        self._deviation = deviation

    def __getitem__(self, key: Any) -> np.ndarray:
        x = super().__getitem__(key)
        rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(x).data))
        return x + self._deviation * rng.normal(size=x.shape)


class _Staged:
    """Several fits of LRMF in a row, which share its steps."""

    def __init__(self, *, steps: int, refit_steps: int, seed: int, **options: Any) -> None:
        self.steps, self.refit_steps, self.seed, self.options = steps, refit_steps, seed, options
        self.history_: dict[str, np.ndarray] = {}
        self.status_ = ""

    def _stage(self, kind: type[lrmf.LRMF], stages: int, last: bool, a: Any, b: Any) -> lrmf.LRMF:
        model = kind(
            steps=max(1, self.steps // stages),
            refit_steps=self.refit_steps if last else 0,
            seed=self.seed,
            **self.options,
        ).fit(Xs=a, Xt=b)
        self.status_ = model.status_
        if last:
            self.density_ = model.density_
            self.refitted_source_ = model.refitted_source_
            self.refitted_target_ = model.refitted_target_
            self.history_ = model.history_
        return model

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Images, moved."""
        return self.transform_.forward(x)[0]

    transform_: Any


class Annealed(_Staged):
    """Images under noise, of which each stage has less; it starts at the arrays of the last one.

    Each stage standardises its own images, so these are arrays in somewhat other units.
    """

    def fit(self, *, Xs: Dequantized, Xt: Dequantized) -> Annealed:
        """Fit to dequantised images."""
        kind = lrmf.LRMF
        for deviation in NOISE:
            noisy = [Noisy(x.images, deviation=deviation, seed=self.seed) for x in (Xs, Xt)]
            model = self._stage(kind, len(NOISE), deviation == NOISE[-1], *noisy)
            arrays = {"transform": model.transform_.arrays, "density": model.density_.arrays}
            kind = started(arrays)
        self.transform_ = model.transform_
        return self


class CoarseToFine(_Staged):
    """Averages of many pixels first; then of fewer, in images whose averages have been moved."""

    def fit(self, *, Xs: Dequantized, Xt: Dequantized) -> CoarseToFine:
        """Fit to dequantised images."""
        flows: list[Any] = []
        whole = [np.asarray(x[:], np.float32) for x in (Xs, Xt)]
        for scale in SCALES:
            a, b = (_averages(x, scale) for x in whole)
            if flows:
                mean, details = split(a)
                a = join(Moved(flows).forward(mean)[0], details)
            model = self._stage(lrmf.LRMF, len(SCALES), scale == SCALES[-1], a, b)
            flows.append(model.transform_)
        self.transform_ = Moved(flows)
        return self


class Moved:
    """Flows of images of h / 2^k, ..., h / 2, h pixels, each of averages that the last moved."""

    def __init__(self, flows: Sequence[Any]) -> None:
        self.flows = flows

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images ``(n, h, w, 1)``, moved, and the log-determinants ``(n,)``."""
        *coarser, last = self.flows
        log_det = np.zeros(len(x))
        if coarser:
            mean, details = split(x)
            mean, log_det = Moved(coarser).forward(mean)
            x = join(mean, details)
        y, own = last.forward(x)
        return y, log_det + own


def split(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages of 2 × 2 pixels ``(n, h/2, w/2, 1)``, and what is left ``(n, h, w, 1)``."""
    mean = _averages(x, 2)
    return mean, x - _spread(mean)


def join(mean: np.ndarray, details: np.ndarray) -> np.ndarray:
    """The images whose averages and details `split` gives; it keeps ratios of volumes."""
    return _spread(mean) + details


def _averages(x: np.ndarray, scale: int) -> np.ndarray:
    n, h, w, c = x.shape
    return x.reshape(n, h // scale, scale, w // scale, scale, c).mean(axis=(2, 4))


def _spread(mean: np.ndarray) -> np.ndarray:
    return mean.repeat(2, axis=1).repeat(2, axis=2)
