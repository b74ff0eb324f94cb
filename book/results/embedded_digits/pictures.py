"""USPS and MNIST at one size, both ways to bring them there, in the same order of digits."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

import lrmf
from lrmf.data.images import resize

__all__ = ["SIDES", "SIZES", "Pictures", "pictures"]

#: ``"whole"`` shrinks MNIST's 28 × 28 pixels, margin and all; ``"box"`` the 20 × 20 in the middle,
#: to which MNIST's makers had scaled the digit. USPS digits fill their 16 × 16 pixels.
SIZES = ("whole", "box")
SIDES = ("a", "b", "a_test", "b_test")
_MARGIN = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures ``(n, 16, 16)`` in [0, 1] and labels of USPS (A) and MNIST (B)."""

    a: np.ndarray
    b: np.ndarray
    a_test: np.ndarray
    b_test: np.ndarray
    labels: dict[str, np.ndarray]


@functools.cache
def pictures(size: str) -> Pictures:
    """Both collections, in `lrmf.data.digits_pair`'s two parts each."""
    found, labels = {}, {}
    for split, suffix in (("train", ""), ("test", "_test")):
        pair = lrmf.data.digits_pair(split=split, size=28, fallback=False)
        small = lrmf.data.digits_pair(split=split, size=16, fallback=False)
        found[f"a{suffix}"], labels[f"a{suffix}"] = small.source, pair.source_labels
        inside = pair.target[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        found[f"b{suffix}"] = small.target if size == "whole" else resize(inside, size=16)
        labels[f"b{suffix}"] = pair.target_labels
    return Pictures(**{side: x.astype(np.float32) for side, x in found.items()}, labels=labels)
