"""Readers for the official files of USPS (text) and MNIST (IDX), plain or gzipped."""

import gzip
import io
import math
import zlib

import numpy as np

__all__ = ["read_usps", "read_idx_images", "read_idx_labels"]

_GZIP_MAGIC = b"\x1f\x8b"
_IDX_UNSIGNED_BYTE = 0x08
# Bytes; MNIST's training images have 47 MB and USPS's text 15, and a small file could unpack to any
# number.
_LARGEST_IDX = 60_000_000
_LARGEST_TEXT = 20_000_000


def read_usps(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Read ``zip.train`` or ``zip.test``: lines of a label and 256 grey values in [−1, 1].

    The text has rounded decimals. Integers make the result the same on every machine: with
    t = round(1000 x), the grey value is u = ⌊(255 (t + 1000) + 1000) / 2000⌋, which takes −1 to 0
    and 1 to 255.

    Returns:
        images : uint8 array, shape (n, 16, 16)
        labels : uint8 array, shape (n,)

    Raises:
        ValueError:
            If the content is cut short, or is no such table.

    Source: Hastie, Tibshirani and Friedman, *The Elements of Statistical Learning*.

    >>> line = b"7 " + b"-1.000 " * 255 + b"0.003"
    >>> images, labels = read_usps(line)
    >>> int(images[0, 0, 0]), int(images[0, 15, 15]), int(labels[0])
    (0, 128, 7)
    """
    text = _decompress(content, _LARGEST_TEXT)
    if not text.strip():
        raise ValueError("it is empty")
    try:
        table = np.loadtxt(io.StringIO(text.decode("ascii")), ndmin=2)
    except ValueError as error:
        raise ValueError(f"not a table of numbers: it starts with {text[:40]!r}") from error
    if table.shape[1] != 257:
        raise ValueError(f"expected 257 numbers on a line (label, 16 x 16), got {table.shape[1]}")
    digits, values = table[:, 0], table[:, 1:]
    if not (np.isin(digits, np.arange(10)).all() and (np.abs(values) <= 1).all()):
        raise ValueError("expected labels 0 to 9 and grey values from -1 to 1")
    thousandths = np.rint(1000 * values).astype(np.int64)
    grey = ((thousandths + 1000) * 255 + 1000) // 2000
    return grey.astype(np.uint8).reshape(-1, 16, 16), digits.astype(np.uint8)


def read_idx_images(content: bytes) -> tuple[np.ndarray]:
    """Read ``*-idx3-ubyte``: one uint8 array of shape (n, height, width).

    Raises:
        ValueError:
            If the content is cut short, or is no IDX file with three dimensions of bytes.
    """
    return (_read_idx(content, dimensions=3),)


def read_idx_labels(content: bytes) -> tuple[np.ndarray]:
    """Read ``*-idx1-ubyte``: one uint8 array of shape (n,).

    Raises:
        ValueError:
            If the content is cut short, or is no IDX file with one dimension of bytes.
    """
    return (_read_idx(content, dimensions=1),)


def _read_idx(content: bytes, *, dimensions: int) -> np.ndarray:
    raw = _decompress(content, _LARGEST_IDX)
    header = 4 + 4 * dimensions
    if len(raw) < header or raw[:4] != bytes([0, 0, _IDX_UNSIGNED_BYTE, dimensions]):
        raise ValueError(
            f"not an IDX file of bytes with {dimensions} dimension(s): it starts with {raw[:40]!r}"
        )
    shape = tuple(int(size) for size in np.frombuffer(raw[4:header], dtype=">u4"))
    if len(raw) - header != math.prod(shape):
        raise ValueError(
            f"the header announces {math.prod(shape)} bytes, {len(raw) - header} follow"
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)


def _decompress(content: bytes, largest: int) -> bytes:
    # Some servers label a .gz file as a compressed transfer, and the client then unpacks it.
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            unpacked = stream.read(largest + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"the compressed file is cut short or damaged ({error})") from error
    if len(unpacked) > largest:
        raise ValueError(
            f"unpacked it is longer than {largest / 1e6:.0f} MB, as no official file is"
        )
    return unpacked
