"""Submissions are graded in processes of their own, whatever they do."""

import csv
import json
import sys
import types

import nbformat
import numpy as np
import pytest

from book.machinery.config import ROOT, Book
from book.machinery.course import assignments
from book.machinery.instructor import solved
from lrmf import course
from lrmf.course import grading, wire
from lrmf.course.__main__ import main
from lrmf.course.containment import Opaque
from lrmf.course.given import Stretch
from lrmf.course.running import Limits, Outcome, run_notebook

NAMES = tuple(name for name in course.TASKS if name.startswith("flows."))


@pytest.fixture(scope="module")
def hand_in():
    """Make a notebook from answers and cells to be put in before the tasks."""
    (flows,) = [one for one in assignments() if one.name == "flows"]
    student = nbformat.read(ROOT / "book/course/student/flows.ipynb", as_version=4)
    # The pictures take time and say nothing here.
    student.cells = [cell for cell in student.cells if "widgets.coupling()" not in cell.source]
    right = {one.name: one.code for one in flows.exercises}

    def write(path, answers=None, cell=""):
        made = solved(flows, student, {**right, **(answers or {})}, Book.read())
        made.cells.insert(3, nbformat.v4.new_code_cell(cell))
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(made, path)
        return path

    return write


def outcome(path, seconds=60.0):
    return run_notebook(path, names=NAMES, limits=Limits(seconds=seconds), seed=0)


def test_answers_are_judged_whatever_the_notebook_does(hand_in, tmp_path):
    answers = {
        "flows.radial": "def radial_log_det(x, a):\n    raise RuntimeError('boom')",
        "flows.inverse": "def inverse(y, s, t):\n    import os; os._exit(1)",
        "flows.log_prob": "def log_prob(y, inverses):\n    return (1 for _ in y)",
    }
    # It floods the output, patches the checks in its process and in its files, and raises.
    cell = (
        "print('x' * 3_000_000)\n"
        "import lrmf.course, pathlib\n"
        "lrmf.course.tasks.close = lambda *_: True\n"
        "path = pathlib.Path(lrmf.__file__).parent / 'course/tasks.py'\n"
        "path.write_text('raise SystemExit')\n"
        "raise ValueError('in a cell')"
    )
    found = outcome(hand_in(tmp_path / "a.ipynb", answers, cell))
    assert [report.diagnosis for report in found.reports] == [
        "", "raised", "", "not run", "no number", "",
    ]  # fmt: skip
    assert "boom" in found.reports[1].text
    assert found.errors == ("code cell 3: ValueError: in a cell",)
    assert found.problem == ""
    assert (grading.PACKAGE / "course/tasks.py").read_text(encoding="utf8").startswith('"""Tasks')


def test_a_notebook_that_hangs_is_ended(hand_in, tmp_path):
    found = outcome(hand_in(tmp_path / "a.ipynb", cell="while True: pass"), seconds=2.0)
    assert found.problem == "no answer within 2 s."
    assert not any(found.reports)


def test_forged_answers_are_refused(hand_in, tmp_path):
    cell = (
        "import os\nfor fd in range(3, 1000):\n    try:\n        os.write(fd, b'[1]\\n')\n"
        "    except OSError:\n        pass"
    )
    found = outcome(hand_in(tmp_path / "a.ipynb", cell=cell))
    assert "something that is no answer" in found.problem


@pytest.mark.parametrize("text", ["no notebook", '{"cells": 3}', '{"cells": [{}]}', "[]"])
def test_what_is_no_notebook_is_said(tmp_path, text):
    path = tmp_path / "a.ipynb"
    path.write_text(text, encoding="utf8")
    found = outcome(path)
    assert found.problem == "this is not a notebook that can be read"
    assert len(found.reports) == len(NAMES)


@pytest.fixture
def pretend(monkeypatch):
    """Outcomes without running anything; returns the notebooks that were asked for."""
    asked = []

    def run(path, *, names, limits, seed):
        asked.append(path.name)
        passed = "good" in path.read_text(encoding="utf8")
        reports = (course.Report(name=name, passed=passed, text="<b>") for name in names)
        return Outcome(reports=tuple(reports), errors=("code cell 1: <i>",))

    monkeypatch.setattr(grading, "run_notebook", run)
    monkeypatch.setattr(grading, "network_can_be_cut", lambda: False)
    return asked


def submit(folder, **texts):
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf8")


def rows(table):
    with table.open(encoding="utf8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_grades_are_written_and_taken_up_again(pretend, tmp_path):
    submit(tmp_path / "in", a__sam="good", b__sam="bad", **{"=evil()": "good"})
    points = dict.fromkeys(NAMES, 2.0)
    said = []
    options = {"assignment": "flows", "out": tmp_path / "out", "points": points, "say": said.append}
    table = rows(grading.grade(tmp_path / "in", **options))
    assert {name: row["points"] for name, row in table.items()} == {
        "a/sam": "12.0", "b/sam": "0.0", "'=evil()": "12.0",
    }  # fmt: skip
    assert "does not let us cut the network" in said[0]
    pages = [path.read_text(encoding="utf8") for path in (tmp_path / "out").glob("*.html")]
    assert len(pages) == 3
    assert all("&lt;b&gt;" in page and "<i>" not in page for page in pages)
    submit(tmp_path / "in", b__sam="good now")
    pretend.clear()
    (tmp_path / "out" / next(p.name for p in (tmp_path / "out").glob("a__*.json"))).write_text("{")
    table = rows(grading.grade(tmp_path / "in", **options))
    assert pretend == ["sam.ipynb", "sam.ipynb"]  # the one that changed, and the damaged record
    assert table["b/sam"]["points"] == "12.0"


def test_a_changed_library_is_put_back(pretend, tmp_path, monkeypatch):
    package = tmp_path / "lrmf"
    package.mkdir()
    (package / "a.py").write_text("right", encoding="utf8")
    monkeypatch.setattr(grading, "PACKAGE", package)
    run = grading.run_notebook

    def tampers(*arguments, **options):
        (package / "a.py").write_text("wrong", encoding="utf8")
        (package / "b.py").write_text("new", encoding="utf8")
        return run(*arguments, **options)

    monkeypatch.setattr(grading, "run_notebook", tampers)
    submit(tmp_path / "in", a="good")
    table = grading.grade(tmp_path / "in", assignment="flows", out=tmp_path / "out")
    assert rows(table)["a"]["points"] == "0.0"
    assert "changed the library" in rows(table)["a"]["problem"]
    assert (package / "a.py").read_text(encoding="utf8") == "right"
    assert not (package / "b.py").exists()


def test_what_an_instructor_gets_wrong_is_said(pretend, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(ValueError, match="there is no notebook below"):
        grading.grade(folder, assignment="flows", out=tmp_path / "out")
    with pytest.raises(ValueError, match="there is no assignment 'none': distances"):
        grading.grade(folder, assignment="none", out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"points must name the tasks flows\.density"):
        grading.grade(folder, assignment="flows", out=tmp_path / "out", points={"x": 1})
    assert main(["grade", str(folder), "--assignment", "flows"]) == 1
    assert "there is no notebook below" in capsys.readouterr().err
    submit(folder, a="good")
    points = tmp_path / "points.json"
    points.write_text(json.dumps(dict.fromkeys(NAMES, 1)), encoding="utf8")
    arguments = ["grade", str(folder), "--assignment", "flows", "--points", str(points)]
    assert main(arguments) == 0
    assert "a: 6 of 6" in capsys.readouterr().out
    assert (tmp_path / "in-graded" / "grades.csv").is_file()


def test_values_survive_the_wire():
    value = {"x": np.eye(2, dtype="float32"), "y": (1, 2.5, None, "é", frozenset({"a"}))}
    back = wire.decode(wire.encode(value))
    assert back["x"].dtype == "float32"
    assert np.array_equal(back["x"], np.eye(2))
    assert back["y"] == value["y"]
    function = wire.decode(wire.encode(Stretch(np.ones((1, 1)), np.zeros(1))))
    assert function(np.ones((1, 1))) == pytest.approx(np.tanh(1.0))
    for strange in (Opaque("generator"), object(), np.array(["a"]), 10**30):
        wire.decode(wire.encode(strange))
    arrays = (  # of objects, and of text
        '{"array": "", "dtype": "O", "shape": [0]}',
        '{"array": "YQ==", "dtype": "S1", "shape": [1]}',
    )
    for line in ("{", '{"no": 1}', *arrays, '{"function": "os", "of": {}}'):
        with pytest.raises(ValueError, match="a line that is no value"):
            wire.decode(line)


@pytest.fixture
def ran(monkeypatch):
    """The notebooks that check_notebook runs; the first of their tasks comes out wrong."""
    seen = []

    def run(path, *, names, limits):
        seen.append(json.loads(path.read_text(encoding="utf8")))
        reports = (
            course.Report(name=name, passed=bool(k), text="said") for k, name in enumerate(names)
        )
        return Outcome(reports=tuple(reports), errors=("code cell 1: NameError",), problem="so")

    monkeypatch.setattr("lrmf.course.running.run_notebook", run)
    return seen


NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "source": ["course.check(\n", "    'flows.density', f)"]},
        {"cell_type": "code", "source": 'course.check("flows.radial", g)'},
    ]
}


def test_a_notebook_is_checked_from_the_top(ran, tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(NOTEBOOK), encoding="utf8")
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    text = repr(course.check_notebook())
    assert ran == [NOTEBOOK]
    assert "1 of 2 tasks are right when the notebook runs from the top" in text
    for line in ("so", "✗ flows.density: said", "✓ flows.radial", "code cell 1: NameError"):
        assert line in text


def test_in_colab_the_notebook_is_asked_for(ran, monkeypatch):
    colab = types.ModuleType("google.colab")
    colab._message = types.SimpleNamespace(
        blocking_request=lambda what, timeout_sec: {"ipynb": NOTEBOOK}
    )
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert len(course.check_notebook()) == 2
    assert ran == [NOTEBOOK]


def test_on_windows_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lrmf.course.running", None)
    with pytest.raises(ImportError, match=r"needs Linux or macOS .* restart the kernel"):
        course.check_notebook("a.ipynb")


def test_a_notebook_that_cannot_be_checked_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    with pytest.raises(ValueError, match="cannot find out which notebook this is"):
        course.check_notebook()
    path = tmp_path / "a.ipynb"
    path.write_text("[", encoding="utf8")
    with pytest.raises(ValueError, match="is not a notebook that can be read"):
        course.check_notebook(path)
    path.write_text('{"cells": []}', encoding="utf8")
    with pytest.raises(ValueError, match="checks no task of the course"):
        course.check_notebook(path)
