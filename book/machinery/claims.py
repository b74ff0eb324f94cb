"""The claims ledger: what ``book/claims.yml`` may say, and the numbers that its references name.

The head of that file describes the fields. No measured number stands in it: an entry names a result
file and what to take from it, or the label of a statement whose checks have saved their errors.
``claims_page`` turns the ledger into a page of the book.
"""

from __future__ import annotations

import fnmatch
import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from book.machinery.config import ROOT, Book, BookError
from book.machinery.labels import Labels
from book.machinery.statements import rounded

__all__ = [
    "CHECKS",
    "LEDGER",
    "SHOWS",
    "SOURCES",
    "VERDICTS",
    "Claim",
    "Number",
    "check",
    "read_claims",
    "resolve",
    "shown",
    "statement",
    "values",
]

LEDGER = ROOT / "book" / "claims.yml"
CHECKS = "book/results/statements/checks.json"

VERDICTS = ("reproduced", "partly", "not reproduced", "not yet run")
SOURCES = ("paper", "alignflow", "lecture")
SHOWS = ("spread", "range", "mean", "min", "max", "count")

_TEXTS = ("title", "source", "place", "paper", "verdict", "planned", "none", "differs")
_FIELDS = (*_TEXTS, "claim", "where", "measured", "cost")
_NUMBER_FIELDS = ("what", "file", "key", "show", "format", "begins", "unit", "paper")

# A number in free text is refused, because nothing would notice when it is no longer true. What
# follows are names that contain digits.
_NAMES = re.compile(
    r"""
    \{[a-z:]+\}`[^`]*`                  # a role
    | `[^`]*`                           # code
    | \$[^$]*\$                         # a formula
    | \[[^\]]*\]\([^)]*\)               # a link
    | \b(?:Figures?|Examples?|Lemmas?|Theorems?|Definitions?|Sections?|Supplement|Setups?|Claims?
         |Algorithm|Chapters?)\s\d+(?:\.\d+)*[a-d]?(?:\s(?:and|to)\s\d+(?:\.\d+)*[a-d]?)?
    | [+−]?\d+°                         # the angle of a dataset
    | \b\d-NN\b | \b\d-d\b | \b[AB]\d\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FORMULA = re.compile(r"\$[^$]*\$")


@dataclass(frozen=True)
class Number:
    """A reference to what was measured: in a result file, or by the checks of a statement."""

    what: str = ""
    file: str = ""
    key: str = ""
    show: str = "spread"
    format: str = ".3f"
    begins: str = ""
    unit: str = ""
    paper: str = ""
    statement: str = ""


@dataclass(frozen=True)
class Claim:
    """One entry of the ledger; empty fields are absent ones."""

    number: int
    title: str
    source: str
    paper: str
    verdict: str
    place: str = ""
    where: tuple[str, ...] = ()
    planned: str = ""
    none: str = ""
    measured: tuple[Number, ...] = ()
    cost: tuple[Number, ...] = ()
    differs: str = ""


def read_claims(path: Path = LEDGER) -> list[Claim]:
    """Read the ledger.

    Raises:
        BookError: a field is unknown, missing or of the wrong type, or a free text has a number.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf8"))
    if not isinstance(entries, list):
        raise BookError(f"{path.name}: expected a list of claims")
    return [_claim(entry, place) for place, entry in enumerate(entries, start=1)]


def check(claims: list[Claim], labels: Labels, book: Book) -> None:
    """See that the ledger fits the book; every number is resolved on the way.

    Raises:
        BookError: a claim is out of order, does not say where it is decided or why nowhere, names
            what the book does not have, or a number that no result file has.
    """
    pages = {page.name for page in book.pages}
    for place, claim in enumerate(claims, start=1):
        if claim.number != place:
            raise BookError(f"claim {claim.number} stands where claim {place} should")
        for name in claim.where:
            if name not in labels.by_name:
                raise BookError(f"claim {place}: nothing in the book has the label '{name}'")
        if claim.planned in pages:
            raise BookError(
                f"claim {place}: {claim.planned} is in the book now; say under 'where', "
                "'measured' and 'verdict' what it found, and take 'planned' away"
            )
        for number in (*claim.measured, *claim.cost):
            shown(number, book.root)


def values(number: Number, root: Path = ROOT) -> list[Any]:
    """Return what a reference names in its result file, in the order of the file.

    The key is a path of names between slashes; a name may hold the wildcards of file names.

    Raises:
        BookError: there is no such file or nothing under the key.
    """
    document = _document(root / number.file, number.file)
    found = list(_find(document, number.key.split("/")))
    if not found:
        raise BookError(f"{number.file} has nothing under '{number.key}'")
    return found


def resolve(number: Number, root: Path = ROOT) -> list[float]:
    """Return the numbers that a reference names.

    Raises:
        BookError: as `values`, or what is found is not a finite number.
    """
    found = values(number, root)
    for value in found:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BookError(f"{number.file}, '{number.key}': {value!r} is not a number")
        if not math.isfinite(value):
            raise BookError(f"{number.file}, '{number.key}': {value} is not finite")
    return [float(value) for value in found]


def shown(number: Number, root: Path = ROOT) -> str:
    """Write what a reference names: mean and standard deviation, the range, and how many runs.

    Raises:
        BookError: as `resolve` and `statement`.
    """
    if number.statement:
        cases, controls, error, _ = statement(number.statement, root)
        text = f"{cases} {'case' if cases == 1 else 'cases'}"
        if error is not None:
            text += f", largest error {rounded(error)}"
        return f"{text}, {controls} {'control' if controls == 1 else 'controls'}"
    if number.show == "count":
        found = values(number, root)
        return f"{sum(str(v).startswith(number.begins) for v in found)} of {len(found)}"
    found = resolve(number, root)
    unit = f" {number.unit}" if number.unit else ""

    def write(value: float) -> str:
        text = format(value, number.format)
        if float(text) == 0:
            text = text.removeprefix("-")
        return text.replace("-", "−")

    low, high = write(min(found)), write(max(found))
    if number.show in ("min", "max"):
        return f"{low if number.show == 'min' else high}{unit}"
    if number.show == "mean" or len(found) == 1:
        return f"{write(statistics.fmean(found))}{unit}"
    if number.show == "range":
        return f"{low} to {high}{unit} ({len(found)} runs)"
    mean, spread = write(statistics.fmean(found)), write(statistics.stdev(found))
    return f"{mean} ± {spread}{unit} ({len(found)} runs, {low} to {high})"


def statement(label: str, root: Path = ROOT) -> tuple[int, int, float | None, float]:
    """Return of a statement's checks: cases, controls, the largest error, processor seconds.

    Raises:
        BookError: no check of it was saved.
    """
    saved = _document(root / CHECKS, CHECKS)["checks"]
    mine = [check for check in saved if check["label"] == label]
    if not mine:
        raise BookError(f"{CHECKS} has no check of '{label}': run make statements")
    checks = [check for check in mine if not check["control"]]
    errors = [check["error"] for check in checks if check["error"] is not None]
    return (
        sum(check["cases"] for check in checks),
        len(mine) - len(checks),
        max(errors) if errors else None,
        sum(check["seconds"] for check in mine),
    )


def _claim(entry: Any, place: int) -> Claim:
    if not isinstance(entry, Mapping):
        raise BookError(f"claim {place}: expected fields with names")
    if unknown := sorted(entry.keys() - set(_FIELDS)):
        raise BookError(f"claim {place}: unknown field {unknown[0]!r}")
    for name in ("claim", "title", "source", "paper", "verdict"):
        if name not in entry:
            raise BookError(f"claim {place}: the field '{name}' is missing")
    if isinstance(entry["claim"], bool) or not isinstance(entry["claim"], int):
        raise BookError(f"claim {place}: 'claim' should be its number")
    for name in _TEXTS:
        if not isinstance(entry.get(name, ""), str):
            raise BookError(f"claim {place}: '{name}' should be text")
    claim = Claim(
        number=entry["claim"],
        **{name: entry.get(name, "").strip() for name in _TEXTS},
        where=tuple(entry.get("where", ())),
        measured=tuple(_number(item, place) for item in entry.get("measured", ())),
        cost=tuple(_number(item, place) for item in entry.get("cost", ())),
    )
    _fits(claim, place)
    return claim


def _fits(claim: Claim, place: int) -> None:
    """Raise where the fields of a claim do not go together."""
    if claim.verdict not in VERDICTS:
        raise BookError(f"claim {place}: the verdict '{claim.verdict}' is none of {VERDICTS}")
    if claim.source not in SOURCES:
        raise BookError(f"claim {place}: the source '{claim.source}' is none of {SOURCES}")
    if claim.verdict == "not yet run":
        if not (claim.planned or claim.none):
            raise BookError(f"claim {place}: name the chapter under 'planned', or why 'none'")
    elif not (claim.where and claim.measured):
        raise BookError(f"claim {place}: a verdict needs 'where' and 'measured'")
    if claim.verdict in ("partly", "not reproduced") and not claim.differs:
        raise BookError(f"claim {place}: 'differs' should say where ours differs, and why")
    files = any(number.file for number in claim.measured)
    if files and not claim.cost:
        raise BookError(f"claim {place}: the cost of what was measured is missing")
    for name in ("title", "none", "differs"):
        _no_numbers(getattr(claim, name), f"claim {place}, '{name}'")
    for number in (*claim.measured, *claim.cost):
        _no_numbers(number.what, f"claim {place}, 'what'")


def _number(item: Any, place: int) -> Number:
    if not isinstance(item, Mapping):
        raise BookError(
            f"claim {place}: {item!r} is no reference; name file and key, or a statement"
        )
    if item.keys() == {"statement"}:
        return Number(statement=str(item["statement"]))
    if unknown := sorted(item.keys() - set(_NUMBER_FIELDS)):
        raise BookError(f"claim {place}: unknown field {unknown[0]!r} of a number")
    for name in ("what", "file", "key"):
        if name not in item:
            raise BookError(f"claim {place}: a number needs '{name}'")
    for name, value in item.items():
        if not isinstance(value, str):
            raise BookError(f"claim {place}: '{name}' of a number should be text")
    if item.get("show", "spread") not in SHOWS:
        raise BookError(f"claim {place}: 'show' is none of {SHOWS}")
    if (item.get("show") == "count") != ("begins" in item):
        raise BookError(f"claim {place}: 'count' and 'begins' go together")
    return Number(**item)


def _no_numbers(text: str, what: str) -> None:
    """Raise where a text holds digits that are no name; in formulas a decimal is a number, too."""
    decimal = [found for found in _FORMULA.findall(text) if re.search(r"\d\.\d", found)]
    rest = re.search(r"\S*\d\S*", _NAMES.sub("", text))
    if decimal or rest:
        word = decimal[0] if decimal else rest and rest[0]
        raise BookError(
            f"{what}: the number in '{word}' comes from no result file; refer to it under "
            "'measured', or spell it out if it was not measured"
        )


@cache
def _read(path: Path, modified: int) -> Any:
    return json.loads(path.read_text(encoding="utf8"))


def _document(path: Path, name: str) -> Any:
    if not path.is_file():
        raise BookError(f"there is no result file {name}")
    return _read(path, path.stat().st_mtime_ns)


def _find(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
    elif isinstance(value, Mapping):
        for name in value:
            if fnmatch.fnmatchcase(name, path[0]):
                yield from _find(value[name], path[1:])
    elif isinstance(value, list):
        for place, item in enumerate(value):
            if fnmatch.fnmatchcase(str(place), path[0]):
                yield from _find(item, path[1:])
