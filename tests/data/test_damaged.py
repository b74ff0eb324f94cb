"""Damaged files in the data folder: each is named, and none is used."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from lrmf.data import fetch


@pytest.fixture
def arrays(small_digits) -> tuple[np.ndarray, np.ndarray]:
    return small_digits.usps["train"]


def save_archive(path: Path, arrays, names=("x_train", "y_train")) -> None:
    np.savez_compressed(path, **dict(zip(names, arrays, strict=True)))


def write_cut_archive(path, arrays):
    save_archive(path, arrays)
    path.write_bytes(path.read_bytes()[:-100])


def write_flipped_archive(path, arrays):
    save_archive(path, arrays)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def write_pickled_archive(path, arrays):
    np.savez(path, x_train=np.array([{}], dtype=object), y_train=arrays[1])


def write_changed_pixel(path, arrays):
    images = arrays[0].copy()
    images[3, 5, 7] ^= 1
    save_archive(path, (images, arrays[1]))


def write_single_array(path, arrays):
    with path.open("wb") as stream:
        np.save(stream, arrays[0])


def write_bomb(path, arrays):
    save_archive(path, (np.zeros(30_000_000, dtype=np.uint8), arrays[1]))
    assert path.stat().st_size < 100_000


def write_other_shape(path, arrays):
    save_archive(path, (arrays[0].reshape(-1, 256), arrays[1]))


def write_other_type(path, arrays):
    save_archive(path, (arrays[0], arrays[1].view(np.int8)))


def write_unknown_compression(path, arrays):
    save_archive(path, arrays)
    # The method, in the local header and in the directory.
    content = bytearray(path.read_bytes())
    content[8], content[content.index(b"PK\x01\x02") + 10] = 77, 77
    path.write_bytes(bytes(content))


def write_broken_lzma(path, arrays):
    save_archive(path, arrays)
    content = bytearray(path.read_bytes())
    content[8], content[content.index(b"PK\x01\x02") + 10] = 14, 14
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_bomb, "30 MB long, more than the 20 MB allowed"),
        (lambda path, arrays: path.write_bytes(bytes(20_000_001)), "20 MB long, more than"),
        (write_other_shape, "expected SHA-256 [0-9a-f]{64} for x_train, got"),
        (write_other_type, "expected SHA-256 [0-9a-f]{64} for y_train, got"),
        (write_unknown_compression, "compression method is not supported"),
        (write_broken_lzma, "cannot read x_train and y_train from it"),
        (lambda path, arrays: path.write_bytes(b""), "cannot read x_train and y_train from it"),
        (lambda path, arrays: path.write_bytes(b"not an archive"), "pickle"),
        (write_cut_archive, "cannot read x_train and y_train from it"),
        (write_flipped_archive, "cannot read x_train and y_train from it"),
        (write_pickled_archive, "allow_pickle=False"),
        (write_single_array, "it is not a .npz archive"),
        (
            lambda path, arrays: save_archive(path, arrays, names=("images", "labels")),
            "cannot read x_train and y_train from it",
        ),
        (write_changed_pixel, "expected SHA-256 [0-9a-f]{64} for x_train, got"),
    ],
)
def test_a_damaged_archive_in_the_data_folder(
    server, data_dir, cache, file, content, arrays, write, message
):
    """It is named, left alone, and not passed over in silence for a download."""
    server.serve(file.name, content)
    path = data_dir / "usps.npz"
    write(path, arrays)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"usps.npz is damaged .*{message}.*Replace it, or remove"):
        fetch.load(file)
    assert path.read_bytes() == before
    assert server.asked == []


def test_flipped_bits_and_cuts_are_refused(server, data_dir, cache, file, content, arrays):
    rng = np.random.default_rng(0)
    archive = data_dir / "usps.npz"
    save_archive(archive, arrays)
    for path, sound in ((archive, archive.read_bytes()), (data_dir / file.name, content)):
        for damaged in (*flipped(sound, rng, 60), *cut(sound, rng, 20)):
            path.write_bytes(damaged)
            # Times, names of compressors and the like say nothing about the data.
            with contextlib.suppress(ValueError):
                np.testing.assert_equal(fetch.load(file), arrays)
        path.unlink()


def flipped(content, rng, count):
    for place in rng.integers(8 * len(content), size=count):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        yield bytes(damaged)


def cut(content, rng, count):
    return (content[:length] for length in rng.integers(len(content), size=count))
