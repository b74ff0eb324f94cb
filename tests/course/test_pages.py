"""Pages and notebooks follow from the sources, and nothing that is published holds a solution."""

import shutil

import nbformat
import pytest
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from book.machinery import course as machinery
from book.machinery.config import ROOT, Book, BookError
from book.machinery.instructor import guide, otter_test, solved, table_of_checks
from book.machinery.pages import _solutions
from lrmf import course


def test_pages_are_up_to_date():
    assert machinery.write_pages(check=True) == []


def test_every_task_has_its_exercise(exercises):
    assert set(exercises) == set(course.TASKS)
    for name, (one, _) in exercises.items():
        assert one.level == course.task(name).level
        assert 5 <= one.minutes <= 30


def test_an_assignment_takes_an_hour_or_an_hour_and_a_half():
    for assignment in machinery.assignments():
        assert 60 <= sum(one.minutes for one in assignment.exercises) <= 90


def published():
    """What the wheel holds, and what the site is made from."""
    for folder in ("lrmf", "book/results", "book/course/student"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".pyi", ".md", ".ipynb", ".js"):
                yield path


def test_neither_wheel_nor_site_holds_a_solution():
    lines = machinery.fingerprints()
    assert len(lines) > 150
    for path in published():
        text = path.read_text(encoding="utf8")
        if path.suffix == ".ipynb":
            text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
        held = [line for line in lines if line in text]
        assert not held, f"{path} holds {held}"


def test_a_solution_in_a_built_page_is_found(tmp_path):
    index = tmp_path / "searchindex.js"
    index.write_text('docnames:["book/course/student/flows"]', encoding="utf8")
    assert list(_solutions(Book.read(), tmp_path)) == []
    line = "white = np.linalg.solve(root_a, (a - a.mean(axis=0)).T)"
    (tmp_path / "page.html").write_text(f"<p>{line}</p>", encoding="utf8")
    (problem,) = _solutions(Book.read(), tmp_path)
    assert problem == f"page.html holds a line of a solution: {line}"
    # As Sphinx writes it.
    code = highlight(line, PythonLexer(), HtmlFormatter())
    assert line not in code
    (tmp_path / "page.html").write_text(code, encoding="utf8")
    assert list(_solutions(Book.read(), tmp_path)) == [problem]
    (tmp_path / "page.html").unlink()
    index.write_text('docnames:["book/course/flows"]', encoding="utf8")
    (problem,) = _solutions(Book.read(), tmp_path)
    assert problem.startswith('the search index knows "book/course/flows"')


@pytest.fixture
def source(tmp_path):
    """One assignment below a root of its own; returns its file."""
    folder = tmp_path / "book/course"
    folder.mkdir(parents=True)
    return shutil.copy(ROOT / "book/course/flows.md", folder)


def test_a_stale_page_is_named_and_written(source, tmp_path):
    (path,) = machinery.write_pages(tmp_path, check=True)
    assert not path.exists()
    machinery.write_pages(tmp_path)
    assert machinery.write_pages(tmp_path, check=True) == []
    assert "%%%" not in path.read_text(encoding="utf8")
    assert "np.arcsinh" not in path.read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("%%% rubric flows.density", "%%% rubbish flows.density", "cannot read"),
        ("%%% rubric flows.density", "%%% solution flows.density", "two blocks of the kind"),
        ("%%% rubric flows.density\n", "", "no block rubric"),
        ('course.check("flows.density", log_density)', "pass", "without a check"),
        ("%%% end\n\n## Task 1", "%%% end\n\nText.\n\n## Task 1", "before its heading"),
        ("%%% solution flows.density\n", "%%% solution flows.density\nSo\n", "start"),
        ('" - np.log(a)", new', '" - np.log(z)", new', "mutant of other code"),
        ("# Assignment 2: a layer of a flow", "", "has no title"),
    ],
)
def test_a_broken_source_is_refused(source, tmp_path, old, new, message):
    with open(source, encoding="utf8") as file:
        text = file.read()
    assert old in text
    with open(source, "w", encoding="utf8") as file:
        file.write(text.replace(old, new, 1))
    with pytest.raises(BookError, match=message):
        machinery.assignments(tmp_path)


def test_a_block_without_an_end_is_refused(source, tmp_path):
    with open(source, "a", encoding="utf8") as file:
        file.write("%%% rubric flows.radial\n")
    with pytest.raises(BookError, match="no %%% end"):
        machinery.assignments(tmp_path)


def test_the_pack_holds_solutions_and_diagnoses():
    (flows,) = [one for one in machinery.assignments() if one.name == "flows"]
    book = Book.read()
    notebook = nbformat.read(ROOT / "book/course/student/flows.ipynb", as_version=4)
    answers = {one.name: one.code for one in flows.exercises}
    text = nbformat.writes(solved(flows, notebook, answers, book))
    assert "np.arcsinh" in text
    assert "**Solution.**" in text
    assert "    ...\\n" not in text
    written = guide([], book)
    assert "All 0 errors" in written
    test = otter_test(flows.exercises[0])
    compile(test, "otter", "exec")
    assert "eval('log_density', env)" in test


def test_a_check_that_misses_an_error_stops_the_pack(monkeypatch):
    (flows,) = [one for one in machinery.assignments() if one.name == "flows"]
    last = flows.exercises[-1]
    wrong = type(flows)(**{**vars(flows), "exercises": (last,)})
    assert table_of_checks([wrong])[2] == "| flows.statements | 3 | 6 of 6 |"
    for change, message in (
        ({"code": "true_statements = {'c'}\n"}, "a right answer fails"),
        ({"mutants": (("true_statements = {'a', 'b', 'd'}", "x"),)}, "'x' is found to be ''"),
    ):
        broken = type(last)(**{**vars(last), **change})
        with pytest.raises(BookError, match=message):
            table_of_checks([type(flows)(**{**vars(flows), "exercises": (broken,)})])
