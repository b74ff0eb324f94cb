"""The list of mutants fits the library, and its command tells the killed from the survivors."""

import json
from pathlib import Path

import pytest

from tests.mutants.__main__ import ALL, main
from tests.mutants.runner import ROOT, Mutant, check_unchanged, examine, faults_of

#: Some that take a second each; ``make mutants`` runs all of them.
QUICK = (
    "realnvp: mask of the other half",
    "certificate: a variance for a standard error",
    "images: axes swapped",
    "files: everything becomes float32",
    "usps: grey values rounded down",
)

FORMATS = ("tests/data/test_formats.py",)
HARMLESS = Mutant(
    "a comment",
    "lrmf/data/formats.py",
    '_GZIP_MAGIC = b"\\x1f\\x8b"\n',
    '_GZIP_MAGIC = b"\\x1f\\x8b"  # as in RFC 1952\n',
    FORMATS,
)


def with_tests(*tests):
    return Mutant(HARMLESS.name, HARMLESS.file, HARMLESS.old, HARMLESS.new, tests)


def test_every_mutant_fits_the_sources():
    assert len(ALL) >= 45
    assert faults_of(ALL) == []


@pytest.mark.parametrize(
    ("mutant", "fault"),
    [
        (Mutant("m", "lrmf/checks.py", "nowhere", "x", FORMATS), "occurs 0 times in lrmf/checks"),
        (Mutant("m", "lrmf/checks.py", "raise", "x", FORMATS), r"occurs \d+ times in lrmf/checks"),
        (Mutant("m", "lrmf/nothing.py", "raise", "x", FORMATS), "occurs 0 times in lrmf/nothing"),
        (Mutant("m", HARMLESS.file, HARMLESS.old, HARMLESS.old, FORMATS), "changes nothing"),
        (with_tests("tests/nothing.py", "-k", "x"), "there is no tests/nothing.py"),
        (with_tests("-k", "tests"), "names no tests"),
    ],
)
def test_an_entry_that_does_not_fit_is_told(mutant, fault, capsys):
    assert main([], [mutant]) == 2
    with pytest.raises(AssertionError, match=fault):
        raise AssertionError(capsys.readouterr().out)


def test_a_name_stands_for_one_mutant():
    assert faults_of([HARMLESS, HARMLESS]) == ["a comment: 2 mutants have this name"]


@pytest.mark.parametrize("name", QUICK)
def test_a_fault_is_seen(name):
    (mutant,) = (mutant for mutant in ALL if mutant.name == name)
    source = (ROOT / mutant.file).read_bytes()
    outcome = examine(mutant)
    assert (outcome.verdict, outcome.detail) == ("killed", "")
    assert outcome.test.startswith(mutant.tests[0])
    assert (ROOT / mutant.file).read_bytes() == source


def test_a_change_without_effect_survives(tmp_path: Path, capsys):
    path = tmp_path / "outcomes.json"
    assert main(["--only", "comm", "--trust", "--json", str(path)], [HARMLESS]) == 1
    (row,) = json.loads(path.read_text())
    assert (row["name"], row["verdict"], row["test"]) == ("a comment", "survived", "")
    assert row["seconds"] > 0.0
    assert capsys.readouterr().out.endswith("survived: a comment\n")


def test_a_run_without_tests_kills_nothing():
    outcome = examine(with_tests(*FORMATS, "-k", "no_such_test"))
    assert outcome.verdict == "error"
    assert "no test was collected" in outcome.detail


def test_tests_that_fail_anyway_kill_nothing(monkeypatch, capsys):
    monkeypatch.setattr("tests.mutants.__main__.check_unchanged", lambda *_, **__: ("broken", 1.0))
    assert main([], [HARMLESS]) == 2
    assert "wrong: a comment: broken" in capsys.readouterr().out


def test_tests_that_do_not_end_are_told():
    fault, _ = check_unchanged(FORMATS, timeout=0.01)
    assert fault == "the tests did not end within 0 s"


def test_a_pattern_that_matches_nothing_is_told(capsys):
    assert main(["--only", "zzz"]) == 2
    assert capsys.readouterr().out == "no mutant's name matches 'zzz'\n"


def test_the_list_can_be_read(capsys):
    assert main(["--list", "--only", "quarter"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert (
        "schedule: a quarter of the cosine  [lrmf/fit_config.py: tests/test_fitting.py]" in listed
    )
    assert all("quarter" in line for line in listed)
