"""The claims ledger: that it is complete, that its numbers come from result files, and its page."""

import copy
import json
import re

import pytest
import yaml

from book.machinery import claims as ledger
from book.machinery.claims import (
    CHECKS,
    LEDGER,
    VERDICTS,
    Number,
    check,
    read_claims,
    resolve,
    shown,
    statement,
)
from book.machinery.claims_page import PAGE, TARGET, main, page_text, write_page
from book.machinery.config import ROOT, Book, BookError
from book.machinery.labels import Labels
from book.results.quoted.__main__ import FILE, example, main as quoted, sizes

STALE = "run `make claims`"
COUNT = 39
SOURCES = {"paper": 26, "alignflow": 7, "lecture": 6}


@pytest.fixture(scope="module")
def book():
    return Book.read(ROOT)


@pytest.fixture(scope="module")
def labels(book):
    return Labels(book)


@pytest.fixture(scope="module")
def claims():
    return read_claims()


@pytest.fixture
def entry():
    """A claim that is decided, as the file has it."""
    return {
        "claim": 1,
        "title": "A claim",
        "source": "paper",
        "paper": "It is 0.96.",
        "verdict": "reproduced",
        "where": ["sec-introduction"],
        "measured": [{"what": "accuracy", "file": "runs.json", "key": "runs/a */x"}],
        "cost": [{"what": "a fit", "file": "runs.json", "key": "seconds"}],
    }


@pytest.fixture
def read(tmp_path):
    """Write entries to a file, and read them as a ledger."""

    def read(*entries):
        path = tmp_path / "claims.yml"
        path.write_text(yaml.safe_dump(list(entries), allow_unicode=True), encoding="utf8")
        return read_claims(path)

    return read


@pytest.fixture
def results(tmp_path):
    """A folder with a result file and the saved checks of one statement."""
    runs = {
        "a seed 0": {"x": 0.25, "verdict": "aligned within noise", "curve": [1.0, 2.0]},
        "a seed 1": {"x": -0.75, "verdict": "not aligned", "curve": [3.0, 4.0]},
        "b seed 0": {"x": 7.0, "verdict": "aligned", "curve": []},
    }
    bad = {"nan": float("nan"), "flag": True}
    (tmp_path / "runs.json").write_text(json.dumps({"runs": runs, "bad": bad}), encoding="utf8")

    def saved(control, cases, error):
        return {
            "label": "lem-x",
            "control": control,
            "cases": cases,
            "error": error,
            "seconds": 1.5,
        }

    path = tmp_path / CHECKS
    path.parent.mkdir(parents=True)
    checks = [saved(False, 3, 1e-12), saved(False, 2, 2e-9), saved(True, 9, 0.5)]
    path.write_text(json.dumps({"checks": checks}), encoding="utf8")
    return tmp_path


def reference(key, **options):
    return Number(file="runs.json", key=key, **options)


# The ledger itself.


def test_every_claim_is_there_once_and_in_order(claims):
    assert [claim.number for claim in claims] == list(range(1, COUNT + 1))
    counts = {source: sum(claim.source == source for claim in claims) for source in SOURCES}
    assert counts == SOURCES
    assert len({claim.title for claim in claims}) == COUNT


def test_the_ledger_fits_the_book(claims, labels, book):
    check(claims, labels, book)


def test_every_claim_names_its_chapter_or_says_why_not(claims, labels, book):
    pages = {page.name for page in book.pages}
    for claim in claims:
        assert claim.where or claim.planned or claim.none, claim.number
        assert all(labels[name].page.name in pages for name in claim.where), claim.number
        if claim.planned:
            assert re.fullmatch(r"book/[a-z]+/[a-z_]+", claim.planned), claim.number


def test_every_number_comes_from_a_result_file(claims):
    seen = 0
    for claim in claims:
        for number in (*claim.measured, *claim.cost):
            if number.statement:
                assert statement(number.statement)[0] > 0
            else:
                assert number.file.startswith("book/results/")
                assert number.file.endswith(".json")
                assert ledger.values(number)
            seen += 1
    assert seen > 50


def test_no_number_has_a_sentence_for_its_value():
    """The file's own words: digits stand in what is theirs, in names and in references only."""
    for item in yaml.safe_load(LEDGER.read_text(encoding="utf8")):
        for number in [*item.get("measured", ()), *item.get("cost", ())]:
            assert isinstance(number, dict)
            assert number.keys() == {"statement"} or {"what", "file", "key"} <= number.keys()


def test_the_results_that_are_quoted_say_where_they_come_from(claims):
    numbers = [number for claim in claims for number in (*claim.measured, *claim.cost)]
    for file in {number.file for number in numbers if number.file} | {CHECKS}:
        document = json.loads((ROOT / file).read_text(encoding="utf8"))
        assert document["seconds"] > 0
        assert document["command"].startswith(("python -m book.results.", "make "))
        assert {"processor", "cores", "python", "packages"} <= document["environment"].keys()


# The page.


def test_the_page_is_what_the_ledger_says(claims, labels, book):
    page = TARGET.read_text(encoding="utf8")
    assert page == page_text(claims, labels, book), STALE


def test_the_page_is_in_the_book(book):
    assert PAGE in {page.name for page in book.pages}


def test_the_page_has_every_claim_and_counts_the_verdicts(claims, labels, book):
    page = page_text(claims, labels, book)
    for claim in claims:
        assert page.count(f"(claim-{claim.number})=\n### {claim.number}. {claim.title}\n") == 1
    for verdict in VERDICTS:
        count = sum(claim.verdict == verdict for claim in claims)
        assert f"**{verdict}: {count}**" in page
    for number in (number for claim in claims for number in claim.measured if number.file):
        assert f"{number.what}: {shown(number)}" in page.replace("**", "")


def test_the_page_is_written(tmp_path):
    write_page(tmp_path / "claims.md")
    assert (tmp_path / "claims.md").read_text(encoding="utf8") == TARGET.read_text(encoding="utf8")


def test_the_command_says_what_is_wrong(monkeypatch, capsys):
    def broken():
        raise BookError("claim 7: gone")

    monkeypatch.setattr("book.machinery.claims_page.write_page", broken)
    assert main() == 1
    assert "error: claim 7: gone" in capsys.readouterr().err


# What the machinery does with a reference.


def test_numbers_are_found_by_wildcards_and_in_lists(results):
    assert resolve(reference("runs/a seed */x"), results) == [0.25, -0.75]
    assert resolve(reference("runs/*/curve/0"), results) == [1.0, 3.0]
    assert resolve(reference("runs/a */curve/*"), results) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("key", "options", "text"),
    [
        ("runs/a */x", {}, "−0.250 ± 0.707 (2 runs, −0.750 to 0.250)"),
        ("runs/a */x", {"show": "range", "format": ".1f"}, "−0.8 to 0.2 (2 runs)"),
        ("runs/*/x", {"show": "max", "unit": "nats", "format": ".0f"}, "7 nats"),
        ("runs/*/x", {"show": "min", "format": ".2f"}, "−0.75"),
        ("runs/a */x", {"show": "mean", "format": ".2f"}, "−0.25"),
        ("runs/a */x", {"show": "mean", "format": ".0f"}, "0"),
        ("runs/b */x", {"unit": "s"}, "7.000 s"),
        ("runs/*/verdict", {"show": "count", "begins": "aligned"}, "2 of 3"),
    ],
)
def test_a_reference_is_shown_with_its_spread(results, key, options, text):
    assert shown(reference(key, **options), results) == text


def test_a_statement_shows_cases_error_and_controls(results):
    assert statement("lem-x", results) == (5, 1, 2e-9, 4.5)
    text = shown(Number(statement="lem-x"), results)
    assert text == "5 cases, largest error $2 \\cdot 10^{-9}$, 1 control"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (Number(file="gone.json", key="x"), "there is no result file gone.json"),
        (reference("runs/c */x"), "has nothing under 'runs/c \\*/x'"),
        (reference("runs/a */verdict"), "'aligned within noise' is not a number"),
        (reference("bad/flag"), "True is not a number"),
        (reference("bad/nan"), "nan is not finite"),
        (Number(statement="lem-y"), "has no check of 'lem-y': run make statements"),
    ],
)
def test_what_no_result_file_has_is_refused(results, number, message):
    with pytest.raises(BookError, match=message):
        shown(number, results)


# What a ledger may not say.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"verdict": None}, "'verdict' is missing"),
        ({"claim": "1"}, "'claim' should be its number"),
        ({"title": ["A"]}, "'title' should be text"),
        ({"verdict": "true"}, "the verdict 'true' is none of"),
        ({"source": "hearsay"}, "the source 'hearsay' is none of"),
        ({"verdict": "not yet run"}, "name the chapter under 'planned', or why 'none'"),
        ({"where": []}, "a verdict needs 'where' and 'measured'"),
        ({"measured": []}, "a verdict needs 'where' and 'measured'"),
        ({"verdict": "partly"}, "'differs' should say where ours differs, and why"),
        ({"verdict": "not reproduced"}, "'differs' should say where ours differs, and why"),
        ({"cost": []}, "the cost of what was measured is missing"),
        ({"measured": [0.93]}, "0.93 is no reference"),
        ({"measured": ["0.93"]}, "'0.93' is no reference"),
        ({"measured": [{"what": "x", "value": "0.93"}]}, "unknown field 'value' of a number"),
        ({"measured": [{"what": "x", "file": "runs.json"}]}, "a number needs 'key'"),
    ],
)
def test_fields_that_do_not_fit_are_refused(read, entry, change, message):
    entry = {name: value for name, value in {**entry, **change}.items() if value is not None}
    with pytest.raises(BookError, match=message):
        read(entry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": 3}, "'key' of a number should be text"),
        ({"show": "median"}, "'show' is none of"),
        ({"show": "count"}, "'count' and 'begins' go together"),
        ({"begins": "aligned"}, "'count' and 'begins' go together"),
    ],
)
def test_references_that_do_not_fit_are_refused(read, entry, change, message):
    entry["measured"][0] |= change
    with pytest.raises(BookError, match=message):
        read(entry)


def test_a_ledger_is_a_list_of_fields(read, tmp_path):
    with pytest.raises(BookError, match="expected fields with names"):
        read("claim")
    path = tmp_path / "claims.yml"
    path.write_text("claim: 1\n", encoding="utf8")
    with pytest.raises(BookError, match="expected a list of claims"):
        read_claims(path)


@pytest.mark.parametrize(
    "words",
    [
        "We got 0.93.",
        "in 8 of 8 seeds",
        "93%",
        "about 1e-3",
        "$a = 0.93$",
        "2.5 nats",
        "Figure 4: 97",
    ],
)
@pytest.mark.parametrize("field", ["title", "none", "differs", "what"])
def test_a_bare_number_is_refused(read, entry, field, words):
    if field == "what":
        entry["measured"][0]["what"] = words
    else:
        entry[field] = words
    with pytest.raises(BookError, match=r"the number in '.+' comes from no result file"):
        read(entry)


@pytest.mark.parametrize(
    "words",
    [
        "1-NN accuracy at −50° and +50°",
        "Figures 2 and 9, Example 2.2, Lemma 2.1, Section 8.4, Setup 3",
        "see {prf:ref}`thm-2`, `book.2`, [a page](page-3.md) and $\\frac12 a^2$",
        "eight seeds",
    ],
)
def test_names_may_have_digits(read, entry, words):
    entry["differs"] = words
    assert read(entry)[0].differs == words


def changed(claims, place, **changes):
    """The claims with other fields at one place, past the checks of single entries."""
    claims = copy.copy(claims)
    claims[place] = type(claims[place])(**{**claims[place].__dict__, **changes})
    return claims


def test_claims_out_of_order_are_refused(claims, labels, book):
    with pytest.raises(BookError, match="claim 3 stands where claim 2 should"):
        check([claims[0], *claims[2:]], labels, book)


def test_a_label_that_no_chapter_has_is_refused(claims, labels, book):
    with pytest.raises(BookError, match="claim 1: nothing in the book has the label 'sec-gone'"):
        check(changed(claims, 0, where=("sec-gone",)), labels, book)


def test_a_planned_chapter_that_is_there_asks_for_its_verdict(claims, labels, book):
    with pytest.raises(
        BookError, match="claim 1: book/intro is in the book now; say under 'where'"
    ):
        check(changed(claims, 0, planned="book/intro"), labels, book)


def test_a_number_that_is_gone_is_refused_for_the_page(claims, labels, book):
    gone = Number(what="x", file="book/results/realnvp/runs.json", key="runs/gone/x")
    with pytest.raises(BookError, match="has nothing under 'runs/gone/x'"):
        page_text(changed(claims, 0, measured=(gone,)), labels, book)


# The numbers that chapters compute live.


def test_the_quoted_numbers_are_what_the_code_gives():
    saved = json.loads(FILE.read_text(encoding="utf8"))
    fresh = example(seeds=2)
    for kind in ("quadrature", "law"):
        assert saved["example 2.2"][kind] == pytest.approx(fresh[kind], rel=1e-6)
    for name, fit in fresh["simulated"].items():
        assert saved["example 2.2"]["simulated"][name] == pytest.approx(fit, rel=1e-4)
    assert saved["parameters"] == sizes()
    assert len(saved["example 2.2"]["simulated"]) == 2 * saved["settings"]["seeds"]


def test_the_command_of_the_quoted_numbers_takes_no_arguments(capsys):
    assert quoted(["--fresh"]) == 2
    assert "takes no arguments" in capsys.readouterr().err
