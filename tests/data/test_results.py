import json

import numpy as np
import pytest

import lrmf
from lrmf.data import results


def test_the_results_of_a_chapter_are_found_and_can_be_read():
    folder = lrmf.data.saved_results("realnvp")
    document = json.loads((folder / "runs.json").read_text(encoding="utf8"))
    assert {"command", "environment", "seconds", "runs"} <= document.keys()
    with np.load(folder / "arrays.npz") as arrays:
        assert {name.rsplit("/", 1)[0] for name in arrays} <= document["runs"].keys()


def test_an_installed_copy_serves_where_there_is_no_checkout(tmp_path, monkeypatch):
    (tmp_path / "installed" / "somewhere").mkdir(parents=True)
    places = (tmp_path / "book" / "results", tmp_path / "installed")
    monkeypatch.setattr(results, "_PLACES", places)
    assert lrmf.data.saved_results("somewhere") == tmp_path / "installed" / "somewhere"


def test_an_unknown_chapter_is_refused_with_those_there_are(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"no saved results 'nowhere'; there are: .*realnvp"):
        lrmf.data.saved_results("nowhere")
    monkeypatch.setattr(results, "_PLACES", (tmp_path / "missing",))
    with pytest.raises(ValueError, match="none at all"):
        lrmf.data.saved_results("nowhere")
    with pytest.raises(ValueError, match=r"no saved results '\.\./data'"):
        lrmf.data.saved_results("../data")
