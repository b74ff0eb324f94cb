"""USPS and MNIST in whitened principal components, as on the page."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from sklearn.decomposition import PCA

import lrmf
from lrmf.data.images import resize

__all__ = ["Digits", "digits", "shrink"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits:
    """Both domains in whitened principal components, all 256 of them."""

    a: np.ndarray
    b: np.ndarray
    a_test: np.ndarray
    b_test: np.ndarray
    a_labels: np.ndarray
    b_labels: np.ndarray
    a_test_labels: np.ndarray
    b_test_labels: np.ndarray
    a_images: np.ndarray
    b_images: np.ndarray
    a_test_images: np.ndarray
    pca: PCA
    scale: np.ndarray

    def encode(self, pictures: np.ndarray, k: int) -> np.ndarray:
        """Pictures as their first k whitened components."""
        return self.pca.transform(pictures)[:, :k] / self.scale[:k]

    def first(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The first k components of A, B, and the held-out A and B."""
        return self.a[:, :k], self.b[:, :k], self.a_test[:, :k], self.b_test[:, :k]


@functools.cache
def digits() -> Digits:
    """USPS and MNIST as on the page."""
    train = lrmf.data.digits_pair(fallback=False).flatten()
    test = lrmf.data.digits_pair(split="test", fallback=False).flatten()
    rng = np.random.default_rng(0)
    images = [
        x + rng.uniform(-0.5, 0.5, x.shape) / 255
        for x in (train.source, train.target, test.source, test.target)
    ]
    pca = PCA(svd_solver="covariance_eigh").fit(np.concatenate(images[:2]))
    scale = np.sqrt(pca.explained_variance_)
    a, b, a_test, b_test = (pca.transform(x) / scale for x in images)
    return Digits(
        a=a,
        b=b,
        a_test=a_test,
        b_test=b_test,
        a_labels=train.source_labels,
        b_labels=train.target_labels,
        a_test_labels=test.source_labels,
        b_test_labels=test.target_labels,
        a_images=images[0],
        b_images=images[1],
        a_test_images=images[2],
        pca=pca,
        scale=scale,
    )


def shrink(pictures: np.ndarray, size: int) -> np.ndarray:
    """Pictures of 16 x 16 pixels shrunk to fewer, in the middle of a margin."""
    margin = (16 - size) // 2
    border = ((0, 0), (margin, margin), (margin, margin))
    return np.pad(resize(pictures.reshape(-1, 16, 16), size=size), border).reshape(-1, 256)
