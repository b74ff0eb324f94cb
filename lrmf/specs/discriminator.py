"""Networks that tell points of one kind from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Arrays, Shape, Spec, check_rng, plain_widths, vector_shape
from .network import dense_init, dense_shapes

__all__ = ["Discriminator"]


@dataclass(frozen=True, kw_only=True)
class Discriminator(Spec):
    """A network that gives each point a logit: the log-odds that it is a real one.

    h(x) = W_L a(... a(W_1 x + c_1) ...) + c_L with leaky rectifiers a (slope 0.1). With spectral
    normalisation (Miyato et al., 2018) each W is divided by its spectral norm, the largest factor
    by which it stretches a vector, so that |h(x) - h(y)| <= |x - y|.

    Miyato et al. estimate the norm from below by power iteration, one step for each training
    step, with a vector as state. Here it is not estimated but bounded, by the Schatten norm
    |W|_p = (Σ_i s_i^p)^(1/p) of the singular values for p = 256, from six squarings of the Gram
    matrix WᵀW (Delattre et al., Efficient bound of Lipschitz constant for convolutional layers by
    Gram iteration, 2023). That is a smooth function of W alone, and never too small: at most by
    r^(1/256) too large for the rank r, 2 % for r = 128. So slopes are at most one from the first
    step on.

    Args:
        hidden: widths of the hidden layers.
        spectral_norm: whether to divide weights by their norms.

    Arrays: ``layer_{i}/weight`` (inputs, outputs) and ``layer_{i}/bias`` (outputs,). Hidden
    layers start with He's normal weights.

    >>> sorted(Discriminator(hidden=(8,)).init((2,), np.random.default_rng(0)))
    ['layer_0/bias', 'layer_0/weight', 'layer_1/bias', 'layer_1/weight']
    """

    slope: ClassVar[float] = 0.1
    #: The Gram matrix to the power 2^6 has the norm |W|_p^(p/2), p = 4 * 2^6.
    squarings: ClassVar[int] = 6

    hidden: tuple[int, ...] = (128, 128)
    spectral_norm: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.spectral_norm, (bool, np.bool_)):
            raise ValueError(
                f"Discriminator: spectral_norm must be True or False, got {self.spectral_norm!r}"
            )
        # Plain numbers, so that equal specs look the same in a file.
        object.__setattr__(self, "hidden", plain_widths("Discriminator", self.hidden))
        object.__setattr__(self, "spectral_norm", bool(self.spectral_norm))

    def shapes(self, event_shape: Shape) -> dict[str, Shape]:
        (d,) = vector_shape(self, event_shape, minimum=1)
        return dense_shapes((d, *self.hidden, 1))

    def init(self, event_shape: Shape, rng: np.random.Generator) -> Arrays:
        check_rng(rng)
        return dense_init(self.shapes(event_shape), rng)

    def event_shape(self, arrays: Mapping[str, np.ndarray]) -> Shape:
        return (np.shape(arrays["layer_0/weight"])[0],)
