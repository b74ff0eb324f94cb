"""Files as the official servers have them, written from arrays, and where to download them from."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from lrmf.data import download

DEAD_URL = "http://127.0.0.1:9/"  # the discard port: nothing listens


def point_downloads_to(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for dataset in download.MIRRORS:
        monkeypatch.setitem(download.MIRRORS, dataset, urls)


def sha256(array: np.ndarray) -> str:
    """Of type, shape and bytes, by another way than the library's."""
    head = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()


def usps_file(images: np.ndarray, labels: np.ndarray, *, decimals: int = 3) -> bytes:
    """Write grey values as text in [-1, 1], with any of the decimals that round back to them."""
    table = np.arange(-1000, 1001)
    grey = ((table + 1000) * 255 + 1000) // 2000
    first = np.searchsorted(grey, np.arange(256), side="left")
    last = np.searchsorted(grey, np.arange(256), side="right") - 1
    rng = np.random.default_rng(0)
    thousandths = table[rng.integers(first[images], last[images] + 1)].reshape(len(images), 256)
    names = np.array([f"{t / 1000:.{decimals}f}" for t in table])
    rows = names[thousandths + 1000]
    lines = [f"{label:.4f} {' '.join(row)} \n" for label, row in zip(labels, rows, strict=True)]
    return gzip.compress("".join(lines).encode(), compresslevel=1)


def idx_file(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return gzip.compress(header + array.tobytes(), compresslevel=1)


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


def everything_in(folder: Path) -> list[str]:
    """List a folder; a remembered failure is the business of other tests."""
    paths = folder.rglob("*") if folder.exists() else []
    return sorted(path.name for path in paths if path.suffix != ".json")
