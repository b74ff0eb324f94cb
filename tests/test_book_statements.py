"""The page of statements: what it says, and that neither it nor its numbers are stale."""

import copy
import json
import subprocess
import sys

import pytest

from book.machinery.config import ROOT, Book, BookError
from book.machinery.labels import Labels
from book.machinery.statements import PAGE, page_text, read_results, statements
from book.results.statements.__main__ import Recorder, digests, updated

STALE = "run `make statements`"


@pytest.fixture(scope="module")
def labels():
    return Labels(Book.read(ROOT))


@pytest.fixture
def document():
    return read_results()


def collected(folder):
    """The checks that there are, as pytest finds them in a process of its own."""
    file = folder / "checks.json"
    command = [sys.executable, "-m", "book.results.statements", "--collect", str(file)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600)
    return json.loads(file.read_text(encoding="utf8"))


def cases(checks):
    return {
        (check["label"], check["control"], check["file"], check["name"]): check["cases"]
        for check in checks
    }


def test_the_saved_results_are_of_the_checks_that_there_are(tmp_path, document):
    assert cases(document["checks"]) == cases(collected(tmp_path)), STALE


def test_the_page_is_what_the_results_say(labels, document):
    page = (ROOT / f"{PAGE}.md").read_text(encoding="utf8")
    assert page == page_text(labels, document), STALE


def test_the_page_is_in_the_book():
    assert PAGE in {page.name for page in Book.read(ROOT).pages}


def test_the_results_say_where_they_come_from(document):
    assert document["command"] == "make statements"
    assert {"python", "packages", "processor", "cores"} <= document["environment"].keys()
    assert all(check["cases"] > 0 for check in document["checks"])
    total = sum(check["seconds"] for check in document["checks"])
    assert document["seconds"] == pytest.approx(total, abs=1.0)


def test_the_page_refers_to_every_statement_once(labels, document):
    page = page_text(labels, document)
    for label in statements(labels):
        assert page.count(f"{{prf:ref}}`{label.name}`") == 1
        assert label.title in page


def test_a_statement_without_an_outcome_is_refused(labels, document):
    lost = document["checks"].pop()["label"]
    document["checks"] = [check for check in document["checks"] if check["label"] != lost]
    with pytest.raises(BookError, match=f"do not fit the statements, see {lost}: run make"):
        page_text(labels, document)


def test_an_outcome_without_a_statement_is_refused(labels, document):
    document["checks"].append({**document["checks"][0], "label": "thm-of-nobody"})
    with pytest.raises(BookError, match="do not fit the statements, see thm-of-nobody: run make"):
        page_text(labels, document)


SUITE = """
import pytest

@pytest.mark.statement("lem-one")
@pytest.mark.parametrize("x", [1.0, 3.0, 2.0])
def test_one(x, record_property):
    record_property("error", x)

@pytest.mark.statement("lem-one", control=True)
@pytest.mark.statement("lem-two")
def test_two():
    pass

def test_of_nothing():
    pass
"""


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Run a suite of checks in this process, and return what the recorder noted."""

    def run(suite):
        # One process, one module of a name.
        file = tmp_path / f"test_{tmp_path.name}.py"
        file.write_text(suite, encoding="utf8")
        recorder = Recorder(["lem-one", "lem-two"])
        config = str(ROOT / "pyproject.toml")
        options = ["-q", "-p", "no:cacheprovider", "-c", config, "--rootdir", str(tmp_path)]
        options += ["-p", "no:unraisableexception"]  # collects the garbage of all other tests
        with monkeypatch.context() as patch:
            # Where the recorder believes the project to be.
            patch.setattr("book.results.statements.__main__.ROOT", tmp_path)
            pytest.main([*options, str(file)], plugins=[recorder])
        return recorder

    return run


def test_the_recorder_counts_cases_and_keeps_the_largest_error(record):
    recorder = record(SUITE)
    one, control, two = sorted(
        recorder.checks.values(), key=lambda check: (check["name"], not check["control"])
    )
    assert (one["label"], one["control"], one["cases"], one["error"]) == ("lem-one", False, 3, 3.0)
    assert (control["label"], control["control"], control["error"]) == ("lem-one", True, None)
    assert (two["label"], two["control"], two["cases"]) == ("lem-two", False, 1)
    assert recorder.failed == set()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("assert False", id="fails"),
        pytest.param("pytest.skip('no')", id="skips"),
        pytest.param("record_property('error', float('nan'))", id="not-a-number"),
    ],
)
def test_a_check_that_checked_nothing_has_failed(record, body):
    suite = SUITE.replace('record_property("error", x)', body)
    (failed,) = record(suite).failed
    assert failed.startswith("test_")


def test_a_file_that_failed_keeps_its_old_entries(document):
    file = document["checks"][0]["file"]
    recorder = Recorder([])
    recorder.failed = {file}
    after = updated(copy.deepcopy(document), recorder, [file])
    assert cases(after["checks"]) == cases(document["checks"])
    assert after["files"] == document["files"]


def test_entries_of_a_file_that_is_gone_are_dropped(document):
    gone = {**document["checks"][0], "file": "tests/statements/test_gone.py"}
    document["checks"].append(gone)
    document["files"][gone["file"]] = "0"
    after = updated(document, Recorder([]), [])
    assert gone["file"] not in {check["file"] for check in after["checks"]} | after["files"].keys()


def test_a_check_of_an_unknown_statement_is_left_out_and_its_file_runs_again(document, record):
    early = SUITE.replace("lem-", "lem-new-").replace("test_", "test_new_")
    recorder = record(SUITE + early)
    assert {check["label"] for check in recorder.checks.values()} == {"lem-one", "lem-two"}
    ((file, labels),) = recorder.early.items()
    assert labels == {"lem-new-one", "lem-new-two"}
    after = updated(document, recorder, [file])
    assert file not in after["files"]


def test_a_file_runs_again_when_what_it_imports_from_beside_it_changes(tmp_path, monkeypatch):
    files = {
        "test_one": "import numpy\nfrom one_cases import x\n",
        "test_two": "import numpy\n",
        "one_cases": "import other_cases\nx = 1\n",
        "other_cases": "y = 2\n",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf8")
    monkeypatch.setattr("book.results.statements.__main__.ROOT", tmp_path)
    monkeypatch.setattr("book.results.statements.__main__.FOLDER", tmp_path)
    before = digests()
    (tmp_path / "other_cases.py").write_text("y = 3\n", encoding="utf8")
    after = digests()
    assert before.keys() == {"test_one.py", "test_two.py"}
    assert {name for name in before if before[name] != after[name]} == {"test_one.py"}
