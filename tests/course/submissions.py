"""Thirty made submissions, right, wrong and hostile, and the points that each should get.

``python -m tests.course.submissions FOLDER`` writes them, grades them, and says which points are
not as expected. It takes some minutes, since one of them hangs until its time is up.
"""

from __future__ import annotations

import csv
import sys
import textwrap
from pathlib import Path

import nbformat

from book.machinery.config import ROOT, Book
from book.machinery.course import assignments
from book.machinery.instructor import solved
from lrmf.course.grading import grade
from lrmf.course.running import Limits

FORGE = """
import json, os
forged = {"errors": [], "answers": {"flows.density": {"callable": True}}}
for fd in range(3, 30):
    try:
        os.write(fd, (json.dumps(forged) + "\\n").encode())
    except OSError:
        pass
"""
PATCH = """
from lrmf.course import report, tasks
tasks.Function.examine = lambda self, a, **k: report.Report(name=self.name, passed=True)
import lrmf.course
lrmf.course.check = lambda name, answer: True
"""
EDIT = """
import pathlib, lrmf
path = pathlib.Path(lrmf.__file__).parent / "course" / "tasks.py"
path.write_text(path.read_text().replace("if not close(", "if False and not close("))
"""
SWALLOW = """
def inverse(y, s, t):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""
STRANGE = {
    "flows.density": "def log_density(y, a, b):\n    return (v for v in [1])",
    "flows.radial": "def radial_log_det(x, a):\n    return 'right'",
    "flows.coupling": "forward = 3",
    "flows.inverse": "def inverse(y):\n    return y",
    "flows.log_prob": "def log_prob(y, inverses):\n    return np.full(len(y), np.nan)",
    "flows.statements": "true_statements = 7",
}
# A cell that is put in, and the points that are left with right answers to the six tasks.
CELLS = {
    "hangs in a cell": ("while True:\n    pass", 0),
    "prints megabytes": ("for _ in range(200):\n    print('x' * 1_000_000)", 6),
    "takes memory": ("blocks = [np.ones((1000, 1000, 100)) for _ in range(200)]", 6),
    "forges answers": (FORGE, 0),
    "calls home": ("import urllib.request\nurllib.request.urlopen('http://example.com')", 6),
    "ends itself": ("import os\nos._exit(0)", 0),
    "leaves children": (
        "import subprocess\nsubprocess.Popen(['sleep', '300'], start_new_session=True)",
        6,
    ),
    "fills the disk": ("with open('big', 'wb') as f:\n    f.write(b'x' * 300_000_000)", 6),
}
# One answer in the place of the right one.
ANSWERS = {
    "raises": ("flows.coupling", "raise RuntimeError('boom')"),
    "is no Python": ("flows.coupling", "def forward(x, s, t:\n    return"),
    "hangs": ("flows.inverse", "def inverse(y, s, t):\n    while True:\n        pass"),
    "hangs and swallows": ("flows.inverse", SWALLOW),
    "takes memory when called": (
        "flows.coupling",
        "def forward(x, s, t):\n    return [np.ones((1000, 1000, 200)) for _ in range(200)]",
    ),
}


def write(folder: Path) -> dict[str, int]:
    """Write the submissions; returns the points that each should get."""
    (flows,) = [one for one in assignments() if one.name == "flows"]
    student = nbformat.read(ROOT / "book/course/student/flows.ipynb", as_version=4)
    right = {one.name: one.code for one in flows.exercises}
    expected = {}

    def save(name: str, points: int, answers: dict[str, str], cell: str = "") -> None:
        made = solved(flows, student, answers, Book.read())
        made.cells.insert(3, nbformat.v4.new_code_cell(textwrap.dedent(cell)))
        path = folder / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(made, path)
        expected[name] = points

    save("right", 6, right)
    save("empty", 0, {})
    for k in range(2):
        save(
            f"right another way {k}", 6, {one.name: one.alternatives[k] for one in flows.exercises}
        )
    for k in range(5):
        save(f"usual errors {k}", 0, {one.name: one.mutants[k][0] for one in flows.exercises})
    for name, (cell, points) in CELLS.items():
        save(name, points, right, cell)
    for name, (task, code) in ANSWERS.items():
        save(name, 5, right | {task: code})
    save("patches the checks", 0, {}, PATCH)
    save("edits lrmf", 0, {}, EDIT)
    save("returns strange things", 0, STRANGE)
    save("monday/sam", 6, right)
    save("tuesday/sam", 0, {})
    save("=HYPERLINK(evil)", 6, right)
    for name, text in (("no notebook", "text"), ("half a notebook", '{"cells": 3}')):
        (folder / f"{name}.ipynb").write_text(text, encoding="utf8")
        expected[name] = 0
    return expected


def main(folder: Path) -> int:
    """Write and grade; returns 1 where points are not as expected."""
    expected = write(folder / "submitted")
    table = grade(
        folder / "submitted",
        assignment="flows",
        out=folder / "graded",
        limits=Limits(seconds=60.0),
        say=print,
    )
    with table.open(encoding="utf8") as file:
        got = {row["student"].lstrip("'"): float(row["points"]) for row in csv.DictReader(file)}
    wrong = {name for name in expected if got.get(name) != expected[name]}
    for name in sorted(wrong):
        print(f"{name}: {got.get(name)} points, not {expected[name]}")
    print(f"{len(expected) - len(wrong)} of {len(expected)} submissions got the points they should")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
