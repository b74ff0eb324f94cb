"""Files of arrays and JSON: what went in comes out, or nothing does."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

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


def test_the_file_has_the_permissions_of_any_new_file(path):
    other = path.with_name("other")
    other.touch()
    storage.write(path, ARRAYS, DOCUMENT)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


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


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        storage.write(tmp_path / "nowhere" / "thing.lrmf", ARRAYS, DOCUMENT)
    assert os.listdir(tmp_path) == []


def test_a_folder_is_no_destination(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        storage.write(tmp_path, ARRAYS, DOCUMENT)


def test_read_only_folder(path, monkeypatch):
    # Permission bits do not stop root, who runs the tests in many containers.
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(PermissionError, match=r"the folder .* is read-only"):
        storage.write(path, ARRAYS, DOCUMENT)
    assert os.listdir(path.parent) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not stop root")
def test_read_only_folder_for_real(path):
    path.parent.chmod(0o500)
    with pytest.raises(PermissionError, match=r"the folder .* is read-only"):
        storage.write(path, ARRAYS, DOCUMENT)
    path.parent.chmod(0o700)


class _DiskFull(OSError):
    pass


def _refuse(*_, **__):
    raise _DiskFull("no space left on device")


@pytest.mark.parametrize("function", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize("error", [_DiskFull, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_alone(path, monkeypatch, function, error):
    def fail(*_, **__):
        raise error

    storage.write(path, ARRAYS, DOCUMENT)
    before = path.read_bytes()
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(error):
        storage.write(path, {"other": np.ones(5)}, {"kind": "other"})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_failed_first_write_leaves_nothing(path, monkeypatch):
    monkeypatch.setattr(os, "fsync", _refuse)
    with pytest.raises(_DiskFull):
        storage.write(path, ARRAYS, DOCUMENT)
    assert os.listdir(path.parent) == []


def test_the_new_file_replaces_the_old_one_only_when_complete(path, monkeypatch):
    storage.write(path, ARRAYS, DOCUMENT)
    old, seen = path.read_bytes(), []
    replace = os.replace

    def spy(source, destination):
        # Moving is atomic only within one file system.
        assert Path(source).parent == path.parent
        seen.append((Path(source).read_bytes(), Path(destination).read_bytes()))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", spy)
    storage.write(path, {"other": np.ones(5)}, {"kind": "other"})
    assert seen == [(path.read_bytes(), old)]


def test_what_json_cannot_hold_writes_nothing(path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        storage.write(path, ARRAYS, {"kind": object()})
    assert os.listdir(path.parent) == []
