"""Write the pack for instructors: solutions, rubrics, errors and diagnoses, plans, exports.

``make instructor`` writes it; nothing of it is published.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from book.machinery.config import ROOT, Book, BookError
from book.machinery.course import PAGES, SOURCES, Assignment, Exercise, assignments
from book.machinery.tex import expand_macros

__all__ = ["guide", "otter_test", "solved", "table_of_checks", "write_pack"]


def solved(assignment: Assignment, notebook: Any, answers: dict[str, str], book: Book) -> Any:
    """Return a notebook in which the named tasks are answered by code, with reasons where known.

    Args:
        assignment: whose exercises are to be answered.
        notebook: the student's notebook, as nbformat reads it; left alone.
        answers: code for each task; the others stay as they are.
        book: whose macros the reasons use.
    """
    made = copy.deepcopy(notebook)
    cells = []
    for cell in made.cells:
        cells.append(cell)
        for one in assignment.exercises:
            line = f'course.check("{one.name}", {one.answer})'
            if cell.cell_type != "code" or line not in cell.source or one.name not in answers:
                continue
            code = answers[one.name]
            cell.source = f"{code.rstrip()}\n\n\n{line}"
            if code == one.code:
                text = (
                    f"**Solution.** {expand_macros(one.why, book.macros)}\n\n*Points.* {one.rubric}"
                )
                cells.append(nbformat.v4.new_markdown_cell(text))
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index:03d}"
    made.cells = cells
    return made


def write_pack(folder: Path, root: Path = ROOT) -> Iterator[Path]:
    """Write the pack into a folder; yields what was written."""
    book = Book.read(root)
    everything = assignments(root)
    folder.mkdir(parents=True, exist_ok=True)
    for assignment in everything:
        path = root / PAGES / f"{assignment.name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        answers = {one.name: one.code for one in assignment.exercises}
        target = folder / f"{assignment.name}-solution.ipynb"
        nbformat.write(solved(assignment, notebook, answers, book), target)
        yield target
        points = folder / f"{assignment.name}-points.json"
        worth = {one.name: one.points for one in assignment.exercises}
        points.write_text(json.dumps(worth, indent=1) + "\n", encoding="utf8")
        yield points
        for one in assignment.exercises:
            test = folder / "otter" / assignment.name / "tests" / f"{_identifier(one.name)}.py"
            test.parent.mkdir(parents=True, exist_ok=True)
            test.write_text(otter_test(one), encoding="utf8")
            yield test
    plans = folder / "plans.md"
    plans.write_text((root / SOURCES / "plans.md").read_text(encoding="utf8"), encoding="utf8")
    yield plans
    target = folder / "guide.md"
    target.write_text(guide(everything, book), encoding="utf8")
    yield target


def guide(everything: list[Assignment], book: Book) -> str:
    """Return the guide: time and points, rubrics, usual errors with diagnoses, how checks fared."""
    lines = [
        "# Instructor's guide",
        "",
        "Times are those that the authors planned with; nobody has measured a class yet.",
        "",
    ]
    for assignment in everything:
        minutes = sum(one.minutes for one in assignment.exercises)
        points = sum(one.points for one in assignment.exercises)
        lines += [f"## {assignment.title}", "", f"{minutes} minutes, {points} points.", ""]
        for one in assignment.exercises:
            lines += _section(one, book)
    lines += ["## The checks, checked", "", *table_of_checks(everything), ""]
    return "\n".join(lines)


def table_of_checks(everything: list[Assignment], seed: int = 0) -> list[str]:
    """Run every right answer and every mutant through its check; returns a Markdown table.

    Raises:
        BookError: a right answer fails, or a mutant does not get its own diagnosis.
    """
    lines = [
        "| task | right answers that pass | errors that get their diagnosis |",
        "| --- | --- | --- |",
    ]
    total = 0
    for assignment in everything:
        names = setup(assignment)
        for one in assignment.exercises:
            rights = (one.code, *one.alternatives)
            for code in rights:
                report = examine(one, code, names, seed)
                if not report.passed:
                    raise BookError(f"{one.name}: a right answer fails: {report}")
            for code, finds in one.mutants:
                report = examine(one, code, names, seed)
                if report.passed or report.diagnosis != finds:
                    raise BookError(f"{one.name}: {finds!r} is found to be {report.diagnosis!r}")
            total += len(one.mutants)
            lines.append(
                f"| {one.name} | {len(rights)} | {len(one.mutants)} of {len(one.mutants)} |"
            )
    return [*lines, "", f"All {total} errors are found, each as what it is."]


def setup(assignment: Assignment) -> dict[str, Any]:
    """Return the names that an assignment's first cell defines."""
    source = "\n".join(
        line
        for line in assignment.setup.split("\n")
        if not line.startswith((":tags:", "plots.use"))
    )
    names: dict[str, Any] = {}
    exec(compile(source, assignment.name, "exec"), names)
    return names


def examine(one: Exercise, code: str, names: dict[str, Any], seed: int) -> Any:
    """Return the report about an answer given by its code."""
    from lrmf.course import task

    return task(one.name).examine(one.value(code, names), seed=seed)


def otter_test(one: Exercise) -> str:
    """Return a test file for Otter, and so for Gradescope, which calls the course's check."""
    return (
        "from otter.test_files import test_case\n\n"
        "from lrmf.course import task\n\n"
        "OK_FORMAT = False\n"
        f'name = "{one.name}"\n'
        f"points = {one.points}\n\n\n"
        f"@test_case(points={one.points}, hidden=False)\n"
        f"def test_{_identifier(one.name)}(env):\n"
        f'    report = task("{one.name}").examine(eval({one.answer!r}, env))\n'
        "    assert report.passed, str(report)\n"
    )


def _section(one: Exercise, book: Book) -> list[str]:
    from lrmf.course import task

    texts = _texts(task(one.name))
    lines = [
        f"### {one.title}",
        "",
        f"`{one.name}`: {one.level}, {one.minutes} minutes, {one.points} points. {one.rubric}",
        "",
        expand_macros(one.why, book.macros),
        "",
        "| usual error | what the check says |",
        "| --- | --- |",
    ]
    for _, finds in one.mutants:
        said = texts.get(finds, "what is wrong with the form of the answer")
        said = said.replace("\n", " ").replace("|", "\\|")
        lines.append(f"| {finds} | {said} |")
    return [*lines, ""]


def _texts(task: Any) -> dict[str, str]:
    """The texts of all diagnoses of a task, by their names."""
    texts = {"special case": getattr(task, "special", "")}
    for aspect in getattr(task, "aspects", ()):
        texts[f"{aspect.name}: other"] = aspect.text
        texts |= {mistake.name: mistake.text for mistake in aspect.mistakes}
    texts |= {one.name: one.text for one in getattr(task, "requirements", ())}
    thoughts = getattr(task, "thoughts", {})
    return texts | {f"statement {k}": f"Think again about {k}: {v}" for k, v in thoughts.items()}


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)
