"""Grade a folder of submitted notebooks: a CSV file and a page for each student.

    python -m lrmf.course grade FOLDER --assignment flows --out RESULTS

Every notebook below the folder is one submission, named by its path. Results are written one by
one and taken up again: a notebook that has not changed since is not run again.
:mod:`lrmf.course.running` says what this protects from, and what not.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import html
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lrmf.course.assignments import ASSIGNMENTS
from lrmf.course.report import Report
from lrmf.course.running import PACKAGE, Limits, Outcome, network_can_be_cut, run_notebook

__all__ = ["grade"]


def grade(
    folder: Path,
    *,
    assignment: str,
    out: Path,
    points: Mapping[str, float] | None = None,
    limits: Limits | None = None,
    seed: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Grade all notebooks below a folder; returns the path of the CSV file.

    Args:
        folder: where the submissions lie, in any structure.
        assignment: which one, a key of ``ASSIGNMENTS``.
        out: where results go; made where it does not exist.
        points: of the tasks; one each by default.
        limits: of each notebook.
        seed: of the cases that are tried; a fresh one for each notebook by default.
        say: is told what happens.

    Raises:
        ValueError: there is no such assignment, no such task in ``points``, or no notebook.
    """
    if assignment not in ASSIGNMENTS:
        raise ValueError(f"there is no assignment {assignment!r}: {', '.join(ASSIGNMENTS)}")
    names = tuple(task.name for task in ASSIGNMENTS[assignment])
    worth = dict.fromkeys(names, 1.0) if points is None else dict(points)
    if set(worth) != set(names):
        raise ValueError(f"points must name the tasks {', '.join(names)}")
    notebooks = sorted(path for path in folder.rglob("*.ipynb") if _submitted(path, folder))
    if not notebooks:
        raise ValueError(f"there is no notebook below {folder}")
    out.mkdir(parents=True, exist_ok=True)
    if not network_can_be_cut():
        say("note: this system does not let us cut the network off; notebooks can use it")
    rows = []
    with _Guard() as library:
        for path in notebooks:
            student = path.relative_to(folder).with_suffix("").as_posix()
            record = _kept(_file(out, student, ".json"), path, assignment)
            if record is None:
                outcome = run_notebook(path, names=names, limits=limits or Limits(), seed=seed)
                if library.changed():
                    outcome = dataclasses.replace(
                        outcome, problem="the notebook changed the library of this computer"
                    )
                record = _record(student, path, assignment, outcome)
                _write(_file(out, student, ".json"), json.dumps(record, indent=1))
            rows.append(_row(record, worth))
            _write(_file(out, student, ".html"), _page(record, worth))
            say(f"{student}: {rows[-1]['points']:g} of {sum(worth.values()):g}")
    return _table(out / "grades.csv", rows, names)


class _Guard:
    """Sees whether a notebook changed the installed library, and puts it back."""

    def __enter__(self) -> _Guard:
        self._folder = tempfile.TemporaryDirectory(prefix="lrmf-pristine-")
        self._copy = Path(self._folder.name) / "lrmf"
        shutil.copytree(PACKAGE, self._copy, ignore=shutil.ignore_patterns("__pycache__"))
        self._before = _digest(PACKAGE)
        return self

    def changed(self) -> bool:
        if _digest(PACKAGE) == self._before:
            return False
        for path in PACKAGE.rglob("*.py"):
            if not (self._copy / path.relative_to(PACKAGE)).exists():
                path.unlink()
        shutil.copytree(self._copy, PACKAGE, dirs_exist_ok=True)
        return True

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()


def _submitted(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return not any(part.startswith(".") for part in parts) and path.is_file()


def _file(out: Path, student: str, suffix: str) -> Path:
    """One name for each path: a separator becomes two underscores, what is unusual a number."""
    safe = "".join(c if c.isalnum() or c in "-_. " else "_" for c in student.replace("/", "__"))
    mark = "" if safe == student else "-" + hashlib.sha256(student.encode()).hexdigest()[:6]
    return out / f"{safe[:150]}{mark}{suffix}"


def _record(student: str, path: Path, assignment: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "student": student,
        "assignment": assignment,
        "notebook": hashlib.sha256(path.read_bytes()).hexdigest(),
        "problem": outcome.problem,
        "errors": list(outcome.errors),
        "tasks": {report.name: _fields(report) for report in outcome.reports},
    }


def _fields(report: Report) -> dict[str, Any]:
    return {
        "passed": report.passed,
        "diagnosis": report.diagnosis,
        "text": report.text,
        "case": report.case,
    }


def _kept(file: Path, path: Path, assignment: str) -> dict[str, Any] | None:
    """Return the result that is there already, if it is of this very notebook."""
    try:
        record = json.loads(file.read_text(encoding="utf8"))
        same = record["notebook"] == hashlib.sha256(path.read_bytes()).hexdigest()
        return record if same and record["assignment"] == assignment else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    """Write a file in one step: whoever stops the program in between leaves the old one."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf8")
    os.replace(part, path)


def _row(record: dict[str, Any], worth: Mapping[str, float]) -> dict[str, Any]:
    tasks = record["tasks"]
    got = {name: worth[name] if tasks[name]["passed"] else 0.0 for name in worth}
    said = {
        f"{name} diagnosis": task["diagnosis"] for name, task in tasks.items() if task["diagnosis"]
    }
    total = 0.0 if "changed the library" in record["problem"] else sum(got.values())
    return (
        {"student": record["student"], "points": total, "problem": record["problem"]} | got | said
    )


def _table(path: Path, rows: list[dict[str, Any]], names: tuple[str, ...]) -> Path:
    columns = ["student", "points", *names, *(f"{name} diagnosis" for name in names), "problem"]
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    os.replace(part, path)
    return path


def _cell(value: Any) -> Any:
    """A name like ``=HYPERLINK(...)`` must not become a formula in somebody's spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" and value else value


def _page(record: dict[str, Any], worth: Mapping[str, float]) -> str:
    escape = html.escape
    lines = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>{escape(record['student'])}</title>",
        f"<h1>{escape(record['student'])}</h1>",
        f"<p>{_row(record, worth)['points']:g} of {sum(worth.values()):g} points</p>",
    ]
    if record["problem"]:
        lines.append(f"<p><strong>{escape(record['problem'])}</strong></p>")
    for name, task in record["tasks"].items():
        mark = "right" if task["passed"] else "not right"
        lines.append(f"<h2>{escape(name)}: {mark}</h2><p>{escape(task['text'])}</p>")
        if task["case"]:
            lines.append(f"<pre>{escape(task['case'])}</pre>")
    if record["errors"]:
        items = "".join(f"<li>{escape(error)}</li>" for error in record["errors"])
        lines.append(f"<h2>Cells that raised</h2><ul>{items}</ul>")
    return "\n".join(lines) + "\n"
