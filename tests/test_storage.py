"""Files of arrays and JSON: what went in comes out, or nothing does."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies as st

from lrmf import storage

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "float64": np.array([np.pi, -0.0, 1e-300]),
    "int32": np.array([-1, 2], dtype=np.int32),
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 4)),
    "folder/transposed": np.arange(6.0).reshape(2, 3).T,
}
DOCUMENT = {"kind": "thing", "number": 0.1, "infinity": float("inf"), "large": 2**127, "text": "±θ"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "thing.lrmf"


def test_round_trip_is_exact(path):
    storage.write(path, ARRAYS, DOCUMENT)
    arrays, document = storage.read(path, "thing")
    assert document == DOCUMENT
    assert set(arrays) == set(ARRAYS)
    for name, expected in ARRAYS.items():
        assert arrays[name].dtype == expected.dtype
        assert arrays[name].shape == expected.shape
        assert arrays[name].tobytes() == np.ascontiguousarray(expected).tobytes()


def test_the_same_content_gives_the_same_bytes(path):
    contents = set()
    for _ in range(12):
        storage.write(path, ARRAYS, DOCUMENT)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_a_file_without_arrays(path):
    storage.write(str(path), {}, DOCUMENT)
    assert storage.read(str(path), "thing") == ({}, DOCUMENT)


def test_other_programs_can_read_the_file(path):
    storage.write(path, ARRAYS, DOCUMENT)
    assert set(safetensors.numpy.load_file(path)) == set(ARRAYS)


def test_a_relative_name_lands_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage.write("thing.lrmf", ARRAYS, DOCUMENT)
    assert os.listdir(tmp_path) == ["thing.lrmf"]


SMALL = ({"a": np.arange(3.0)}, {"kind": "thing", "number": 0.1})


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small file, and its content."""
    path = tmp_path_factory.mktemp("files") / "small.lrmf"
    storage.write(path, *SMALL)
    return path, path.read_bytes()


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"small\.lrmf is not a file written by lrmf, or it is"):
        storage.read(path, "thing")


def test_flipped_bits_are_noticed(small):
    path, content = small
    for place in range(0, 8 * len(content), 5):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        refused(path, damaged)


def test_cuts_are_noticed(small):
    path, content = small
    for length in range(0, len(content), 3):
        refused(path, content[:length])
        refused(path, content[length + 1 :])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_other_damage_is_noticed(small, data):
    path, content = small
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        stop = min(len(content), start + data.draw(st.integers(0, 40)))
        damaged[start:stop] = data.draw(
            st.one_of(
                st.binary(max_size=20),
                st.just(bytes(stop - start)),
                st.just(damaged[start:stop] * 2),
                st.sampled_from([b"", content[:50], b'"sha256":"', b"version", b"0" * 64]),
            )
        )
    if damaged != content:
        refused(path, damaged)


def test_a_file_whose_hash_is_gone_is_none_of_the_first_version(path):
    safetensors.numpy.save_file({}, path, metadata={"lrmf": '{"version": 2, "kind": "thing"}'})
    with pytest.raises(ValueError, match="its SHA-256 is missing"):
        storage.read(path, "thing")


def test_a_later_version_is_refused(path, monkeypatch):
    monkeypatch.setattr(storage, "_VERSION", 4)
    storage.write(path, ARRAYS, DOCUMENT)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"has version 4 of the file format, this lrmf reads"):
        storage.read(path, "thing")


def test_numpy_scalars_become_plain(path):
    given = {
        "kind": np.str_("thing"),
        "steps": np.int64(3),
        "rate": np.float32(0.5),
        "on": np.True_,
    }
    storage.write(path, {}, given)
    _, document = storage.read(path, "thing")
    assert document == {"kind": "thing", "steps": 3, "rate": 0.5, "on": True}


def test_missing_file(path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*thing\.lrmf"):
        storage.read(path, "thing")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.1, 0.3, 0.5, 0.8, 0.99, 1.0])
def test_a_truncated_file_is_refused(path, share):
    storage.write(path, ARRAYS, DOCUMENT)
    content = path.read_bytes()
    length = min(round(share * len(content)), len(content) - 1)
    path.write_bytes(content[:length])
    with pytest.raises(ValueError, match=r"thing\.lrmf is not a file written by lrmf, or it is"):
        storage.read(path, "thing")


def _no_metadata(path):
    safetensors.numpy.save_file({"weight": np.zeros(3)}, path)


def _metadata(value):
    def write(path):
        safetensors.numpy.save_file({"weight": np.zeros(3)}, path, metadata=value)

    return write


FOREIGN = {
    "nothing": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("loss,step\n0.1,100\n" * 100),
    "numpy": lambda path: np.zeros(1000).dump(path),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "json": lambda path: path.write_text(json.dumps(DOCUMENT)),
    "safetensors without metadata": _no_metadata,
    "safetensors of another program": _metadata({"format": "pt"}),
    "no JSON": _metadata({"lrmf": "{"}),
    "JSON, but no object": _metadata({"lrmf": "[1, 2]"}),
    "JSON null": _metadata({"lrmf": "null"}),
    "no kind": _metadata({"lrmf": '{"version": 1}'}),
    "nested without end": _metadata({"lrmf": "[" * 100_000}),
}


@pytest.mark.parametrize("write", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused(path, write):
    write(path)
    with pytest.raises(ValueError, match=r"is not a file written by lrmf.*write it again"):
        storage.read(path, "thing")


def test_another_kind_is_refused(path):
    storage.write(path, ARRAYS, DOCUMENT)
    with pytest.raises(ValueError, match="holds a thing, expected a checkpoint"):
        storage.read(path, "checkpoint")


def test_what_json_cannot_hold_writes_nothing(path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        storage.write(path, ARRAYS, {"kind": object()})
    assert os.listdir(path.parent) == []
