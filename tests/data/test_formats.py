import gzip
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from official_files import idx_file, usps_file

from lrmf.data.formats import read_idx_images, read_idx_labels, read_usps

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 16, 16), dtype=np.uint8)
LABELS = np.array([0, 9, 3, 7, 1], dtype=np.uint8)


@pytest.mark.parametrize("decimals", [3, 4])
def test_usps_text_is_read_back(decimals):
    images, labels = read_usps(usps_file(IMAGES, LABELS, decimals=decimals))
    assert images.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_usps_grey_values_are_rounded_half_up_for_every_possible_decimal():
    values = [Fraction(t, 1000) for t in range(-1000, 1001)]
    padded = [*values, *[Fraction(0)] * (-len(values) % 256)]
    lines = [
        "3 " + " ".join(f"{float(v):.3f}" for v in padded[start : start + 256])
        for start in range(0, len(padded), 256)
    ]
    images, _ = read_usps("\n".join(lines).encode())
    expected = [floor((v + 1) * 255 / 2 + Fraction(1, 2)) for v in padded]
    assert images.ravel().tolist() == expected
    assert (min(expected), max(expected)) == (0, 255)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"<html>please log in</html>", "not a table of numbers: it starts with b'<html>"),
        (b"\xff\xfe", "not a table of numbers"),
        (b"3 0.5 0.5\n", "expected 257 numbers on a line .*, got 3"),
        (b"3 " + b"0 " * 256 + b"\n4 0 0", "not a table of numbers"),
        (b"10 " + b"0 " * 256, "expected labels 0 to 9"),
        (b"3.5 " + b"0 " * 256, "expected labels 0 to 9"),
        (b"3 " + b"0 " * 255 + b"1.001", "grey values from -1 to 1"),
        (b"3 " + b"0 " * 255 + b"nan", "grey values from -1 to 1"),
    ],
)
def test_what_is_not_usps(content, message):
    with pytest.raises(ValueError, match=message):
        read_usps(content)


def test_idx_is_read_back():
    images = RNG.integers(0, 256, (3, 28, 20), dtype=np.uint8)
    (read,) = read_idx_images(idx_file(images))
    np.testing.assert_array_equal(read, images)
    (read,) = read_idx_labels(idx_file(LABELS))
    np.testing.assert_array_equal(read, LABELS)


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_idx_images, b"", "not an IDX file of bytes with 3 dimension"),
        (read_idx_images, b"<html>", "it starts with b'<html>'"),
        (read_idx_images, idx_file(LABELS), "not an IDX file of bytes with 3 dimension"),
        (read_idx_labels, idx_file(IMAGES), "not an IDX file of bytes with 1 dimension"),
        (
            read_idx_labels,
            gzip.decompress(idx_file(LABELS))[:-1],
            "the header announces 5 bytes, 4 follow",
        ),
        (
            read_idx_images,
            gzip.decompress(idx_file(IMAGES)) + b"x",
            "the header announces 1280 bytes, 1281 follow",
        ),
    ],
    # gzip writes the time into its bytes; names made of them differ between test processes.
    ids=["empty", "html", "labels", "images", "short", "long"],
)
def test_what_is_not_idx(read, content, message):
    with pytest.raises(ValueError, match=message):
        read(content)


@pytest.mark.parametrize("cut", [3, 20, -9, -1])
def test_cut_short_files_are_noticed(cut):
    for read, content in [
        (read_usps, usps_file(IMAGES, LABELS)),
        (read_idx_images, idx_file(IMAGES)),
    ]:
        with pytest.raises(ValueError, match="the compressed file is cut short or damaged"):
            read(content[:cut])


def test_a_flipped_byte_is_noticed():
    content = bytearray(idx_file(IMAGES))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(ValueError, match="the compressed file is cut short or damaged"):
        read_idx_images(bytes(content))


def test_what_unpacks_without_end_is_not_unpacked():
    bomb = gzip.compress(bytes(70_000_000), compresslevel=1)
    with pytest.raises(ValueError, match="unpacked it is longer than 60 MB"):
        read_idx_images(bomb)
