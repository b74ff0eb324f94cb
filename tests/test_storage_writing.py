"""How files are written: whole or not at all, and with respect for what is there."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from lrmf import storage

ARRAYS, DOCUMENT = {"a": np.arange(6.0).reshape(2, 3)}, {"kind": "thing", "number": 0.1}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "thing.lrmf"


def test_the_file_has_the_permissions_of_any_new_file(path):
    other = path.with_name("other")
    other.touch()
    storage.write(path, ARRAYS, DOCUMENT)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


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


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def umask(mask):
    before = os.umask(mask)
    yield
    os.umask(before)


@pytest.mark.parametrize(("mask", "expected"), [(0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_heeds_the_umask_and_leaves_it_alone(path, monkeypatch, mask, expected):
    with umask(mask), monkeypatch.context() as patch:
        patch.setattr(os, "umask", _refuse)
        storage.write(path, ARRAYS, DOCUMENT)
    assert mode(path) == expected


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o777])
def test_an_old_file_keeps_its_permissions(path, monkeypatch, kept):
    storage.write(path, ARRAYS, DOCUMENT)
    path.chmod(kept)
    replace, drafts = os.replace, []
    monkeypatch.setattr(os, "replace", lambda a, b: drafts.append(mode(a)) or replace(a, b))
    storage.write(path, {}, {"kind": "other"})
    assert mode(path) == kept
    assert drafts == [kept]


def test_what_others_may_not_read_they_may_not_read_as_a_draft(path, monkeypatch):
    storage.write(path, ARRAYS, DOCUMENT)
    path.chmod(0o600)
    chmod, drafts = os.chmod, []
    monkeypatch.setattr(os, "chmod", lambda a, b: drafts.append(mode(a)) or chmod(a, b))
    storage.write(path, {}, {"kind": "other"})
    assert drafts == [0o600]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_old_file_keeps_its_owner(path, monkeypatch):
    storage.write(path, ARRAYS, DOCUMENT)
    os.chown(path, 1234, 4321)
    path.chmod(0o664)
    storage.write(path, {}, {"kind": "other"})
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (1234, 4321, 0o664)

    def forbid(*_):
        raise PermissionError

    monkeypatch.setattr(os, "chown", forbid)
    storage.write(path, {}, {"kind": "other"})
    assert mode(path) == 0o604  # the group is another one now


def test_a_read_only_file_is_refused(path):
    storage.write(path, ARRAYS, DOCUMENT)
    path.chmod(0o444)
    before = path.read_bytes()
    with pytest.raises(PermissionError, match=r"thing\.lrmf: it is read-only; make it writable"):
        storage.write(path, {}, {"kind": "other"})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_link_stays_and_its_target_is_written(path):
    link, folder = path.with_name("link"), path.with_name("folder")
    folder.mkdir()
    link.symlink_to("folder/target")
    for kind in ("new", "old"):
        storage.write(link, {}, {"kind": kind})
        assert link.is_symlink()
        assert storage.read(folder / "target", kind) == storage.read(link, kind)
    assert os.listdir(folder) == ["target"]


def test_links_in_a_circle(path):
    path.symlink_to(path.name)
    with pytest.raises(OSError, match="its links go round in a circle"):
        storage.write(path, ARRAYS, DOCUMENT)
    assert path.is_symlink()


def test_what_is_no_regular_file_is_refused(path):
    os.mkfifo(path)
    for special in (path, Path(os.devnull)):
        with pytest.raises(OSError, match="it is a pipe, a socket or a device; name a file"):
            storage.write(special, ARRAYS, DOCUMENT)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert os.listdir(path.parent) == [path.name]


def test_a_write_that_was_killed_leaves_nothing_for_long(path):
    storage.write(path, ARRAYS, DOCUMENT)
    before = path.read_bytes()
    code = (
        "import os, signal, sys; from lrmf import storage\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "storage.write(sys.argv[1], {}, {'kind': 'other'})"
    )
    child = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert child.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert len(os.listdir(path.parent)) == 2
    storage.write(path, {}, {"kind": "other"})
    assert os.listdir(path.parent) == [path.name]
    assert storage.read(path, "other") == ({}, {"kind": "other"})


def test_threads_that_write_one_file_take_turns(path):
    storage.write(path, {}, {"kind": "thing"})
    faults = []

    def write(number):
        try:
            for _ in range(20):
                storage.write(path, {"a": np.full(1000, number)}, {"kind": "thing"})
                storage.read(path, "thing")
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert os.listdir(path.parent) == [path.name]


def test_a_claim_is_refused_while_there_is_another(path):
    with storage.claimed(path, wait=False):
        with (
            pytest.raises(storage.InUseError, match="another process or thread has claimed"),
            storage.claimed(path, wait=False),
        ):
            pass
        assert path.exists()
    assert not path.exists()
    with storage.claimed(path, wait=False):
        pass


def test_a_draft_that_somebody_else_replaced_is_not_moved(path, monkeypatch):
    def steal(_):
        draft = next(p for p in path.parent.iterdir() if p != path)
        draft.unlink()
        draft.write_text("theirs")

    storage.write(path, ARRAYS, DOCUMENT)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", steal)
    with pytest.raises(storage.InUseError, match="somebody else is writing it; write it again"):
        storage.write(path, {}, {"kind": "other"})
    assert path.read_bytes() == before


def test_long_names(tmp_path):
    paths = [tmp_path / ("é" * 124 + end + ".lrmf") for end in "ab"]  # nearly all that Linux allows
    for path in paths:
        storage.write(path, ARRAYS, DOCUMENT)
        assert storage.read(path, "thing")[1] == DOCUMENT
    drafts = {storage.beside(path, "draft") for path in paths}
    assert len(drafts) == 2
