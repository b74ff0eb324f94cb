import contextlib
import errno
import gzip
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from official_files import (
    DEAD_URL,
    assert_equal,
    everything_in,
    idx_file,
    point_downloads_to,
    sha256,
    usps_file,
)

import lrmf
from lrmf.data import digits, fetch
from lrmf.data.formats import read_usps


def forget(cache: Path) -> None:
    for marker in cache.glob("*.json"):
        marker.unlink()


# Download and cache


def test_a_download_is_checked_cached_and_not_repeated(server, cache, file, content, arrays):
    server.serve(file.name, content)
    assert_equal(fetch.load(file), arrays)
    assert everything_in(cache) == [file.name]
    assert (cache / file.name).read_bytes() == content
    assert_equal(fetch.load(file), arrays)
    assert server.asked == [file.name]


def test_the_cache_serves_without_a_network(server, cache, file, content, arrays, monkeypatch):
    server.serve(file.name, content)
    fetch.load(file)
    point_downloads_to(monkeypatch, DEAD_URL)
    assert_equal(fetch.load(file), arrays)


def test_a_damaged_cached_file_is_replaced(server, cache, file, content, arrays, caplog):
    cache.mkdir()
    (cache / file.name).write_bytes(content[:-20])
    server.serve(file.name, content)
    with caplog.at_level(logging.WARNING):
        assert_equal(fetch.load(file), arrays)
    assert "is damaged" in caplog.text
    assert (cache / file.name).read_bytes() == content


def test_a_damaged_cached_file_without_a_network(no_network, cache, file, content):
    cache.mkdir()
    (cache / file.name).write_bytes(content[:-20])
    with pytest.raises(lrmf.data.DataUnavailableError, match=f"the damaged {file.name} is in"):
        fetch.load(file)
    assert everything_in(cache) == [file.name]


def test_the_default_cache_is_the_one_of_the_system(monkeypatch):
    monkeypatch.delenv(fetch.CACHE_DIR_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    found = lrmf.data.cache_dir()
    assert found.name == "lrmf"
    if sys.platform == "linux":
        assert found == Path("/somewhere/lrmf")


def test_the_cache_can_be_chosen(monkeypatch):
    monkeypatch.setenv(fetch.CACHE_DIR_VARIABLE, "~/elsewhere")
    assert lrmf.data.cache_dir() == Path.home() / "elsewhere"


def test_a_cache_of_nobody(monkeypatch):
    monkeypatch.setenv(fetch.CACHE_DIR_VARIABLE, "~nobody-of-this-name/lrmf")
    with pytest.raises(ValueError, match=r"LRMF_CACHE_DIR is .*a user who is not known here; set"):
        lrmf.data.cache_dir()


def test_a_server_that_labels_the_file_as_a_compressed_transfer(
    server, cache, file, content, arrays
):
    server.serve(file.name, content, headers={"Content-Encoding": "gzip"})
    assert_equal(fetch.load(file), arrays)
    assert_equal(fetch.load(file), arrays)
    assert server.asked == [file.name]


# Downloads that fail


def other_digits() -> bytes:
    images = np.zeros((60, 16, 16), dtype=np.uint8)
    return usps_file(images, np.zeros(60, dtype=np.uint8))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "cut short or damaged"),
        (lambda content: b"<html>Log in to this network</html>", "not a table of numbers"),
        (lambda content: b"", "it is empty"),
        (lambda content: other_digits(), "expected SHA-256 [0-9a-f]{64} for x_train, got"),
        (
            lambda content: gzip.compress(
                gzip.decompress(content).replace(b"\n9.0000", b"\n8.0000", 1)
            ),
            "expected SHA-256 [0-9a-f]{64} for y_train, got",
        ),
    ],
)
def test_a_wrong_download_is_refused_and_nothing_is_kept(
    server, cache, file, content, damage, message
):
    server.serve(file.name, damage(content))
    with pytest.raises(
        lrmf.data.DataUnavailableError, match=f"Tried: {file.name} from 127.0.0.1:.*{message}"
    ):
        fetch.load(file)
    assert everything_in(cache) == []
    forget(cache)
    server.serve(file.name, content)  # the next try is not spoilt by the first
    fetch.load(file)


def test_a_proxy_that_answers_with_a_page(server, cache, file, monkeypatch):
    point_downloads_to(monkeypatch, "http://mirror.invalid/")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, server.url)
    address = f"http://mirror.invalid/{file.name}"  # a proxy is asked for the whole address
    server.serve(address, b"<html>Log in to this network</html>")
    with pytest.raises(
        lrmf.data.DataUnavailableError, match=r"from mirror\.invalid: .*not a table of numbers"
    ):
        fetch.load(file)
    assert server.asked == [address]
    assert everything_in(cache) == []


def test_a_wrong_download_does_not_replace_the_cached_file(server, cache, file, content):
    cache.mkdir()
    damaged = content[:-1]
    (cache / file.name).write_bytes(damaged)
    server.serve(file.name, b"worse")
    with pytest.raises(lrmf.data.DataUnavailableError, match="not a table of numbers"):
        fetch.load(file)
    assert everything_in(cache) == [file.name]
    assert (cache / file.name).read_bytes() == damaged


def test_a_connection_that_breaks_leaves_nothing(server, cache, file, content):
    headers = {"Content-Length": str(len(content) + 1000)}
    server.serve(file.name, content, headers=headers)
    with pytest.raises(lrmf.data.DataUnavailableError, match="cannot download"):
        fetch.load(file)
    assert everything_in(cache) == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_refuses(server, cache, file, status):
    server.serve(file.name, b"no", status=status)
    with pytest.raises(lrmf.data.DataUnavailableError, match=f"HTTP status {status}"):
        fetch.load(file)
    assert everything_in(cache) == []


def test_an_interrupted_download_leaves_nothing(server, cache, file, content, monkeypatch):
    def interrupt(content, file):
        raise KeyboardInterrupt

    server.serve(file.name, content)
    monkeypatch.setattr(fetch, "_read_content", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch.load(file)
    assert not cache.exists()


def test_offline_and_nothing_cached_says_how_to_get_the_data(no_network, cache, file):
    with pytest.raises(lrmf.data.DataUnavailableError) as caught:
        fetch.load(file)
    message = str(caught.value)
    for part in [
        "cannot download zip.train.gz",
        "no zip.train.gz is in the cache folder",
        "from 127.0.0.1:9: Failed to establish a new connection: [Errno 111] Connection refused",
        f"fetch {DEAD_URL}zip.train.gz on another machine",
        str(cache),
        "set LRMF_DATA_DIR to a folder",
        "usps.npz (arrays x_train, y_train) or zip.train.gz",
    ]:
        assert part in message


# A cache that cannot be written: the download is used all the same


def test_a_cache_folder_that_is_a_file(
    server, tmp_path, cache, file, content, arrays, monkeypatch, caplog
):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    monkeypatch.setenv(fetch.CACHE_DIR_VARIABLE, str(taken))
    server.serve(file.name, content)
    assert_equal(fetch.load(file), arrays)
    assert f"cannot be kept in the cache folder {taken} (File exists)" in caplog.text
    assert "set LRMF_CACHE_DIR" in caplog.text
    assert taken.read_text() == "mine"


def test_a_disk_without_room(server, cache, file, content, arrays, monkeypatch, caplog):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    server.serve(file.name, content)
    assert_equal(fetch.load(file), arrays)
    assert f"cannot be kept in the cache folder {cache} (No space left on device)" in caplog.text
    assert everything_in(cache) == []


def test_a_log_nobody_asked_for_prints_nothing(file, tmp_path):
    """What a cell prints on stderr fails the build of its page."""
    code = "from lrmf.data import fetch; fetch._log.warning('damaged')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@contextlib.contextmanager
def without_privileges():
    """Drop the privilege of root to write to read-only folders."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only_cache(monkeypatch):
    if os.name != "posix":
        pytest.skip("folder permissions are POSIX's")
    monkeypatch.delenv(fetch.DATA_DIR_VARIABLE, raising=False)
    # pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    monkeypatch.setenv(fetch.CACHE_DIR_VARIABLE, str(folder))
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_cache_folder(server, read_only_cache, file, content, arrays, caplog):
    import requests  # noqa: F401  (may be unreadable without privileges)

    server.serve(file.name, content)
    with without_privileges():
        assert_equal(fetch.load(file), arrays)
    assert f"{read_only_cache} (Permission denied)" in caplog.text
    assert everything_in(read_only_cache) == []


def test_a_read_only_cache_folder_that_holds_the_data(
    no_network, read_only_cache, file, content, arrays
):
    read_only_cache.chmod(0o755)
    (read_only_cache / file.name).write_bytes(content)
    read_only_cache.chmod(0o555)
    with without_privileges():
        assert_equal(fetch.load(file), arrays)


def test_the_md5_decides_where_the_hashes_of_the_arrays_are_unknown(server, cache, small_digits):
    file = digits.MNIST_FILES["train"][0]
    content = small_digits.files[file.name]
    # The same array, compressed in another way: not the official file.
    server.serve(file.name, gzip.compress(gzip.decompress(content), compresslevel=9))
    with pytest.raises(lrmf.data.DataUnavailableError, match=f"expected MD5 {file.md5}, got"):
        fetch.load(file)
    assert everything_in(cache) == []
    forget(cache)
    server.serve(file.name, content)
    assert_equal(fetch.load(file), small_digits.mnist["train"][:1])


def test_a_file_nobody_could_check():
    with pytest.raises(ValueError, match=r"give sha256 or md5 of x\.gz"):
        fetch.DataFile(dataset="usps", name="x.gz", arrays=("x",), read=read_usps)


def test_the_published_addresses_and_hashes_are_complete():
    files = [*digits.USPS_FILES.values(), *sum(digits.MNIST_FILES.values(), ())]
    assert len({file.name for file in files}) == len(files) == 6
    for file in files:
        assert all(url.startswith("https://") and url.endswith(file.name) for url in file.urls)
        hosts = {url.split("/")[2] for url in file.urls}
        assert len(hosts) == len(file.urls) >= {"usps": 2, "mnist": 3}[file.dataset]
        assert file.md5 or [len(digest) for digest in file.sha256] == [64] * len(file.arrays)


# The real files


def test_official_files_reproduce_the_hashes(server, cache, real_data):
    """The official formats, rebuilt from the real arrays, through a real HTTP download."""
    archive = np.load(real_data / "usps.npz", allow_pickle=False)
    for split, file in digits.USPS_FILES.items():
        images, labels = archive[f"x_{split}"], archive[f"y_{split}"]
        server.serve(file.name, usps_file(images, labels))
        found = fetch.load(file)
        assert_equal(found, (images, labels))
        assert tuple(sha256(array) for array in found) == file.sha256
    assert everything_in(cache) == ["zip.test.gz", "zip.train.gz"]


def test_official_mnist_files_reproduce_the_hashes(server, cache, real_data):
    archive = np.load(real_data / "mnist_t10k.npz", allow_pickle=False)
    for file in digits.MNIST_FILES["test"]:
        array = archive[file.arrays[0]]
        server.serve(file.name, idx_file(array))
        (found,) = fetch.load(file)
        np.testing.assert_array_equal(found, array)
        assert (sha256(found),) == file.sha256
