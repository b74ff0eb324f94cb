"""The page that lists the book's statements and what became of their checks.

A check is a test in ``tests/statements`` with the mark ``statement(label)``. The command
``python -m book.results.statements`` runs them, and writes what it found and the page.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from book.machinery.config import ROOT, Book, BookError, Page
from book.machinery.labels import Label, Labels

__all__ = [
    "CHECKED",
    "PROVED",
    "RESULTS",
    "page_text",
    "read_results",
    "rounded",
    "statements",
    "write_page",
]

# What needs a proof needs a label and a check; the others need a check where they have a label.
PROVED = ("corollary", "lemma", "proposition", "theorem")
CHECKED = (*PROVED, "algorithm", "definition", "example")

RESULTS = ROOT / "book" / "results" / "statements" / "checks.json"
PAGE = "book/appendix/statements"

_NAMES = {
    **{name: name.upper() for name in ("gan", "iaf", "jsd", "kl", "lrd", "lrmf", "maf", "mmd")},
    **{name: name.capitalize() for name in ("gaussian", "jensen", "kantorovich", "monge")},
    **{name: name.capitalize() for name in ("sinkhorn", "wasserstein", "wilks")},
    "nice": "NICE",
    "pot": "POT",
    "realnvp": "RealNVP",
    "scipy": "SciPy",
}

_HEAD = """\
% Written by `make statements`; change book/machinery/statements.py instead.

(sec-statements)=
# Statements and their checks

A test proves nothing, but it finds the wrong sign that a reader of the proof passes over. This page
lists the lemmas, propositions, theorems and corollaries of the book, and those definitions,
examples and algorithms that say something about numbers, with the tests that hold them against
computed values. Each test is run over several seeds and dimensions, and in both backends where
flows are involved. Every such run is a *case*.

A *control* drops a hypothesis, or takes a case that violates a definition, and passes if the
statement then fails. It shows that the check can tell the difference.

The *error* is the largest that any case met, relative or absolute as the test says, and the test
bounds it. Small ones are rounding. Large ones belong to checks that compare with a simulation or a
fit. A dash stands where a check compares nothing up to an error, because it tests an inequality or
whether two things are identical.
"""


def statements(labels: Labels) -> list[Label]:
    """Return what must have checks, in the order of the book: labelled, of a kind in CHECKED."""
    return [label for label in labels.by_name.values() if label.kind in CHECKED]


def read_results(path: Path = RESULTS) -> dict[str, Any]:
    """Return the saved outcome of the checks."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
    return document


def page_text(labels: Labels, document: dict[str, Any]) -> str:
    """Return the source of the page.

    Raises:
        BookError: a statement has no outcome, or an outcome belongs to no statement.
    """
    wanted = statements(labels)
    known = {label.name for label in wanted}
    found = {check["label"] for check in document["checks"]}
    if known != found:
        raise BookError(
            f"the saved checks do not fit the statements, see {', '.join(sorted(known ^ found))}: "
            "run make statements"
        )
    blocks = [_HEAD, _summary(wanted, document)]
    for page, group in groupby(wanted, key=lambda label: label.page):
        blocks.append(_chapter(page, list(group), document["checks"]))
    return "\n".join(blocks)


def write_page(root: Path = ROOT) -> Path:
    """Write the page from the saved outcome, and return where it is."""
    path = root / f"{PAGE}.md"
    text = page_text(Labels(Book.read(root)), read_results())
    path.write_text(text, encoding="utf8")
    return path


def _summary(wanted: list[Label], document: dict[str, Any]) -> str:
    checks = document["checks"]
    controls = sum(check["control"] for check in checks)
    made = document["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in made["packages"].items())
    return (
        f"At present {len(wanted)} statements have {len(checks) - controls} checks and {controls} "
        f"controls with {sum(check['cases'] for check in checks):,} cases. They took "
        f"{_minutes(document['seconds'])} of one processor ({made['processor']}), with Python "
        f"{made['python']}, "
        f"{versions}. In a clone of the repository `make statements` runs them again and writes "
        "this page.\n"
    )


def _chapter(page: Page, labels: list[Label], checks: Iterable[dict[str, Any]]) -> str:
    mine = {label.name for label in labels}
    checks = [check for check in checks if check["label"] in mine]
    files = sorted({check["file"] for check in checks})
    above = "../" * PAGE.count("/")
    sources = ", ".join(f"[{posixpath.basename(file)}]({above}{file})" for file in files)
    rows = [row for label in labels for row in _rows(label, checks)]
    return "\n".join(
        [
            f"## {_title(page)}",
            "",
            f"The chapter: {{doc}}`/{page.name}`. The code of its checks: {sources}.",
            "",
            ":::{list-table}",
            ":header-rows: 1",
            ":class: statements",
            ":widths: 30 50 8 12",
            "",
            "* - Statement\n  - Check\n  - Cases\n  - Largest error",
            *rows,
            ":::",
            "",
        ]
    )


def _rows(label: Label, checks: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a row for each check of a statement; the first one names the statement."""
    title = f": {label.title}" if label.title else ""
    cell = f" {{prf:ref}}`{label.name}`{title}"
    mine = [check for check in checks if check["label"] == label.name]
    for check in sorted(mine, key=lambda check: check["control"]):
        words = ("*Control:* " if check["control"] else "") + _words(check["name"])
        error = "" if check["control"] else f" {rounded(check['error'])}"
        yield f"* -{cell}\n  - {words}\n  - {check['cases']}\n  -{error}"
        cell = ""


def _words(name: str) -> str:
    """Read the name of a test as a sentence.

    >>> _words("test_the_map_of_pot_is_affine")
    'The map of POT is affine.'
    """
    words = [_NAMES.get(word, word) for word in name.removeprefix("test_").split("_")]
    sentence = " ".join(words)
    return sentence[:1].upper() + sentence[1:] + "."


def rounded(error: float | None) -> str:
    r"""Write an error with one digit, and with two where it is large.

    >>> rounded(3.14e-12), rounded(0.0314), rounded(0.0), rounded(None)
    ('$3 \\cdot 10^{-12}$', '0.031', '0', '–')
    """
    if error is None:
        return "–"
    if error == 0:
        return "0"
    if error >= 1e-3:
        return f"{error:.2g}" if error < 100 else f"{error:.0f}"
    digit, exponent = f"{error:.0e}".split("e")
    return f"${digit} \\cdot 10^{{{int(exponent)}}}$"


def _minutes(seconds: float) -> str:
    """Round a duration as one would say it.

    >>> _minutes(41.2), _minutes(200.0)
    ('41 seconds', '3.4 minutes')
    """
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{math.ceil(seconds / 6) / 10:.1f} minutes"


def _title(page: Page) -> str:
    match = re.search(r"^# (.+)$", page.source.read_text(encoding="utf8"), re.MULTILINE)
    if match is None:
        raise BookError(f"{page.name}.md has no title")
    return match[1].strip()
