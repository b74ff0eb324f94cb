"""The folder of one's own data: it comes before cache and network, and is never written to."""

from pathlib import Path

import numpy as np
import pytest
from official_files import assert_equal, everything_in

import lrmf
from lrmf.data import fetch


def save_archive(path: Path, arrays, names=("x_train", "y_train")) -> None:
    np.savez_compressed(path, **dict(zip(names, arrays, strict=True)))


def test_the_data_folder_comes_before_the_cache(server, data_dir, cache, file, content, arrays):
    server.serve(file.name, content)
    save_archive(data_dir / "usps.npz", arrays)
    assert_equal(fetch.load(file), arrays)
    assert server.asked == []
    assert not cache.exists()
    # Nobody looks at what the cache has, or this would be replaced by a download.
    cache.mkdir()
    (cache / file.name).write_bytes(b"damaged")
    assert_equal(fetch.load(file), arrays)
    assert server.asked == []
    assert (cache / file.name).read_bytes() == b"damaged"


def test_the_data_folder_may_hold_the_official_file(
    no_network, data_dir, cache, file, content, arrays
):
    (data_dir / file.name).write_bytes(content)
    assert_equal(fetch.load(file), arrays)
    assert not cache.exists()


def test_what_the_data_folder_lacks_is_downloaded(server, data_dir, cache, file, content, arrays):
    server.serve(file.name, content)
    assert_equal(fetch.load(file), arrays)
    assert everything_in(data_dir) == []
    assert everything_in(cache) == [file.name]


def test_a_data_folder_that_does_not_exist(no_network, cache, file, monkeypatch):
    monkeypatch.setenv(fetch.DATA_DIR_VARIABLE, "no/such/folder")
    with pytest.raises(
        ValueError, match=r"LRMF_DATA_DIR is 'no/such/folder', and /.* not a folder"
    ):
        fetch.load(file)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/data", "x" * 5000])
def test_a_data_folder_with_an_impossible_name(no_network, cache, file, monkeypatch, name):
    monkeypatch.setenv(fetch.DATA_DIR_VARIABLE, name)
    with pytest.raises(ValueError, match="is not a folder; set it to the absolute path"):
        fetch.load(file)


def test_a_data_folder_that_is_a_file(no_network, cache, file, tmp_path, monkeypatch):
    (tmp_path / "usps.npz").write_bytes(b"")
    monkeypatch.setenv(fetch.DATA_DIR_VARIABLE, str(tmp_path / "usps.npz"))
    with pytest.raises(ValueError, match=r"usps\.npz is not a folder"):
        fetch.load(file)


def test_a_data_folder_that_lacks_the_file_is_mentioned(no_network, data_dir, file):
    with pytest.raises(
        lrmf.data.DataUnavailableError, match="is in LRMF_DATA_DIR or the cache folder"
    ):
        fetch.load(file)


def test_an_empty_variable_is_no_data_folder(server, cache, file, content, arrays, monkeypatch):
    monkeypatch.setenv(fetch.DATA_DIR_VARIABLE, "")
    server.serve(file.name, content)
    assert_equal(fetch.load(file), arrays)


def test_a_damaged_official_file_in_the_data_folder(no_network, data_dir, file, content):
    (data_dir / file.name).write_bytes(content[:-1])
    with pytest.raises(ValueError, match=f"{file.name} is damaged .*cut short"):
        fetch.load(file)
    assert everything_in(data_dir) == [file.name]
