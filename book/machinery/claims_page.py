"""Write the page of the claims ledger: ``make claims``.

``claims`` has the ledger and its numbers; here is what a reader sees of them.
"""

from __future__ import annotations

import json
import posixpath
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from book.machinery.claims import (
    CHECKS,
    VERDICTS,
    Claim,
    Number,
    check,
    read_claims,
    shown,
    statement,
)
from book.machinery.config import ROOT, Book, BookError
from book.machinery.labels import Label, Labels

__all__ = ["PAGE", "TARGET", "main", "page_text", "write_page"]

PAGE = "book/appendix/claims"
TARGET = ROOT / f"{PAGE}.md"

# A sign beside each word: one finds the halves by running down the column.
SIGNS = {"reproduced": "●", "partly": "◐", "not reproduced": "○", "not yet run": "–"}

_MEANINGS = {
    "reproduced": "proved, with checks of the proof, or measured as the source has it",
    "partly": "something of it holds; something does not, or was not tried yet",
    "not reproduced": "we tried, and it did not come out",
    "not yet run": "the chapter is not written, or nobody has tried",
}

_READING = """\
A statement's *cases* are the runs of its checks, over seeds, dimensions and backends;
{ref}`sec-statements` lists them. Of several runs we give mean ± standard deviation over the seeds,
and in parentheses their number, the smallest and the largest value. No number of ours on this page
was typed: each one is read from a result file, which a command makes anew.
"""

_SOURCES = {
    "paper": ("The paper, its supplement and its poster", "{cite:t}`usman2020lrmf`."),
    "alignflow": ("AlignFlow", "Slides on {cite:t}`grover2020alignflow`."),
    "lecture": (
        "The lecture",
        "Lecture 11 of Joan Bruna's course *Inference and Representation*, New York University.",
    ),
}

_HEAD = """\
% Written by `make claims` from book/claims.yml; change that file, or book/machinery/claims_page.py.

(sec-claims)=
# Claims and what became of them

What do the sources of this book claim, and did it come out when we tried? Each claim has a verdict,
our number beside theirs, what it cost to find out, and the place where you can try it yourself.
Where ours differs, the entry says why, or that we do not know.
"""


def page_text(claims: list[Claim], labels: Labels, book: Book) -> str:
    """Return the source of the page.

    Raises:
        BookError: the ledger does not fit the book, see `check`.
    """
    check(claims, labels, book)
    blocks = [_HEAD, _summary(claims), _READING, _table(claims)]
    by_source = sorted(claims, key=lambda claim: list(_SOURCES).index(claim.source))
    for source, group in groupby(by_source, key=lambda claim: claim.source):
        title, words = _SOURCES[source]
        blocks.append(f"## {title}\n\n{words}\n")
        blocks.extend(_block(claim, labels, book.root) for claim in group)
    blocks.append(_files(claims, book.root))
    return "\n".join(blocks)


def write_page(path: Path = TARGET) -> None:
    """Write the page."""
    book = Book.read()
    path.write_text(page_text(read_claims(), Labels(book), book), encoding="utf8")


def main() -> int:
    """Run the command."""
    try:
        write_page()
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {PAGE}.md")
    return 0


def _summary(claims: list[Claim]) -> str:
    lines = []
    for verdict in VERDICTS:
        mine = [claim for claim in claims if claim.verdict == verdict]
        links = ", ".join(f"{{ref}}`{claim.number} <claim-{claim.number}>`" for claim in mine)
        head = f"* {SIGNS[verdict]} **{verdict}: {len(mine)}** ({_MEANINGS[verdict]})"
        lines.append(f"{head}: {links}" if mine else head)
    return "\n".join([*lines, ""])


def _table(claims: list[Claim]) -> str:
    rows = [
        f"* - {claim.number}\n"
        f"  - {{ref}}`{claim.title} <claim-{claim.number}>`\n"
        f"  - {SIGNS[claim.verdict]} {claim.verdict}"
        for claim in claims
    ]
    return "\n".join(
        [
            f"## {len(claims)} claims at a glance",
            "",
            ":::{list-table}",
            ":header-rows: 1",
            ":class: statements",
            ":widths: 6 70 24",
            "",
            "* - No.\n  - Claim\n  - Verdict",
            *rows,
            ":::",
            "",
        ]
    )


def _block(claim: Claim, labels: Labels, root: Path) -> str:
    place = f" · {claim.place}" if claim.place else ""
    lines = [
        f"(claim-{claim.number})=",
        f"### {claim.number}. {claim.title}",
        "",
        f"{SIGNS[claim.verdict]} **{claim.verdict}**{place}",
    ]
    entries = [
        ("The claim", claim.paper),
        ("Here", _measured(claim.measured, root)),
        ("Try it", _where(claim, labels)),
    ]
    differs = claim.verdict in ("partly", "not reproduced")
    entries.append(("Where ours differs" if differs else "Remark", claim.differs))
    entries.append(("Cost", _cost(claim, root)))
    for term, words in entries:
        if words:
            body = words.strip().replace("\n", "\n  ")
            lines += ["", term, f": {body}"]
    return "\n".join([*lines, ""])


def _measured(numbers: Iterable[Number], root: Path) -> str:
    lines = []
    for number in numbers:
        if number.statement:
            text = f"{{prf:ref}}`{number.statement}`: {shown(number, root)}"
        else:
            value, bracket, spread = shown(number, root).partition(" (")
            text = f"{number.what}: **{value}**{bracket}{spread}"
            text += f"; theirs {number.paper}" if number.paper else ""
        lines.append(f"* {text}")
    return "\n".join(lines)


def _where(claim: Claim, labels: Labels) -> str:
    found = [labels[name] for name in claim.where]
    sections = [label for label in labels.by_name.values() if label.kind == "section"]
    # A chapter's own label, the first on its page, says nothing after the chapter's name.
    chapters = {label.page.name: label.name for label in reversed(sections)}
    parts = []
    for page, group in groupby(found, key=lambda label: label.page):
        places = [_reference(label) for label in group if label.name != chapters[page.name]]
        parts.append(f"{{doc}}`/{page.name}`{': ' * bool(places)}{', '.join(places)}")
    if claim.planned:
        parts.append(f"Planned: `{claim.planned}`")
    if claim.none:
        parts.append(claim.none)
    return ". ".join(part.rstrip(".") for part in parts) + "."


def _reference(label: Label) -> str:
    role = {"section": "ref", "figure": "numref", "equation": "eq", "table": "numref"}
    role |= {"exercise": "ref", "solution": "ref"}
    return f"{{{role.get(label.kind, 'prf:ref')}}}`{label.name}`"


def _cost(claim: Claim, root: Path) -> str:
    lines = [f"* {number.what}: {shown(number, root)}" for number in claim.cost]
    if checked := [number.statement for number in claim.measured if number.statement]:
        seconds = sum(statement(label, root)[3] for label in checked)
        lines.append(f"* the checks: {max(seconds, 1):.0f} s of a processor")
    return "\n".join(lines)


def _files(claims: list[Claim], root: Path) -> str:
    numbers = [number for claim in claims for number in (*claim.measured, *claim.cost)]
    files = {number.file for number in numbers if number.file}
    files |= {CHECKS for number in numbers if number.statement}
    above = "../" * PAGE.count("/")
    rows = []
    for file in sorted(files):
        document: dict[str, Any] = json.loads((root / file).read_text(encoding="utf8"))
        made = document["environment"]
        name = posixpath.join(*file.split("/")[2:])
        rows.append(
            f"* - [{name}]({above}{file})\n"
            f"  - `{document['command']}`\n"
            f"  - {document['seconds'] / 60:.1f}\n"
            f"  - {made['processor']}, {made['cores']} cores"
        )
    return "\n".join(
        [
            "## Where the numbers come from",
            "",
            "Each file also holds settings and versions. In a clone its command makes it anew, and",
            "`make claims` then writes this page.",
            "",
            ":::{list-table}",
            ":header-rows: 1",
            ":class: statements",
            ":widths: 28 36 12 24",
            "",
            "* - File\n  - Command\n  - Minutes\n  - Machine",
            *rows,
            ":::",
            "",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
