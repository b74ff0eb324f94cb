"""Build a small book with the real settings: the pages are right, and what is wrong turns it red.

Sphinx is the oracle for the numbers that the notebooks compute themselves.
"""

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from book.machinery import execute
from book.machinery.config import ROOT, Book, BookError
from book.machinery.labels import Labels
from book.machinery.notebooks import chapters, write_notebooks
from book.machinery.pages import execution_seconds, problems, sphinx_numbers
from lrmf.player.page import SCRIPTS, STYLE

pytestmark = pytest.mark.slow
FIXTURE = Path(__file__).parent / "book_fixture"


def make_book(root):
    """Copy the fixture and the real settings into a folder."""
    shutil.copytree(FIXTURE, root / "book" / "fixture")
    copied = ("references.bib", "appendix/bibliography.md", "_static", "_ext")
    for name in (f"book/{file}" for file in copied):
        target = root / name
        target.parent.mkdir(exist_ok=True, parents=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    shutil.copy(ROOT / "_config.yml", root)
    contents = {
        "format": "jb-book",
        "root": "book/index",
        "parts": [
            {"caption": "One", "numbered": True, "chapters": [{"file": "book/fixture/other"}]},
            {"caption": "Two", "numbered": True, "chapters": [{"file": "book/fixture/chapter"}]},
            {"caption": "Appendices", "chapters": [{"file": "book/appendix/bibliography"}]},
        ],
    }
    (root / "_toc.yml").write_text(yaml.safe_dump(contents), encoding="utf8")
    (root / "book" / "index.md").write_text("# Start\n", encoding="utf8")


def build(root):
    """Build as the Makefile does."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", ".", "-n", "-W", "--keep-going"]
    # The kernel draws into the page, not with the backend of these tests.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    run = subprocess.run(
        command,
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return run.returncode, run.stdout + run.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    make_book(root)
    write_notebooks(root)
    book = Book.read(root)
    assert execute.run(book, chapters(book), root / "_build", workers=1) == 0
    assert execute.fill_cache(book, chapters(book), root / "_build") == 2
    code, log = build(root)
    assert code == 0, log
    assert "Executing notebook" not in log  # see test_outputs_are_those_of_the_notebooks
    return root


@pytest.fixture
def altered(built, tmp_path):
    """The built book once more, to be changed."""
    return shutil.copytree(built, tmp_path / "book")


def edit(root, old, new):
    """Put a text into the chapter in the place of another; returns the chapter's source."""
    source = root / "book/fixture/chapter.md"
    text = source.read_text(encoding="utf8")
    assert old in text
    source.write_text(text.replace(old, new), encoding="utf8")
    return source


def test_numbers_are_those_of_sphinx(built):
    environment = pickle.loads((built / "_build/.doctrees/environment.pickle").read_bytes())
    theirs = sphinx_numbers(environment)
    ours = {
        name: label.number
        for name, label in Labels(Book.read(built)).by_name.items()
        if label.kind not in ("section", "solution")
    }
    assert len(ours) >= 10
    assert ours == {name: theirs[name] for name in ours}


def test_outputs_are_those_of_the_notebooks(built):
    executed = nbformat.read(built / "_build/executed/book/fixture/other.ipynb", as_version=4)
    printed = [
        out.text for cell in executed.cells for out in cell.get("outputs", ()) if "text" in out
    ]
    html = (built / "_build/html/book/fixture/other.html").read_text(encoding="utf8")
    assert printed
    for text in printed:
        assert text in html


@pytest.mark.parametrize(("end", "kept"), [("", 1), (";", 0), (";  # quiet", 0)])
def test_a_semicolon_silences_the_value_of_a_cell(end, kept):
    value = nbformat.v4.new_output("execute_result", {"text/plain": "<Figure>"})
    picture = nbformat.v4.new_output("display_data", {"image/png": "..."})
    cell = nbformat.v4.new_code_cell(f"draw(';'){end}", outputs=[value, picture])
    assert execute._shown(cell) == [value, picture][1 - kept :]


def test_only_chapters_whose_cells_changed_are_executed_again(altered):
    book = Book.read(altered)
    assert execute.outdated(book, chapters(book), altered / "_build") == []
    edit(altered, "nothing else.", "nothing more.")
    write_notebooks(altered)
    assert execute.outdated(book, chapters(book), altered / "_build") == []
    source = edit(altered, "assert 1 + 1 == 2", "assert 2 + 2 == 4")
    write_notebooks(altered)
    (page,) = execute.outdated(book, chapters(book), altered / "_build")
    assert page.source == source


def test_outputs_of_other_code_are_never_shown(altered):
    book = Book.read(altered)
    # A shorter cell in the source, the old one still in the notebook.
    edit(altered, "assert 1 + 1 == 2", "")
    with pytest.raises(BookError, match=r"chapter\.ipynb is stale; run make notebooks"):
        execute.fill_cache(book, chapters(book), altered / "_build")


def test_a_damaged_record_is_run_again(altered):
    book = Book.read(altered)
    record = altered / "_build/executed/book/fixture/chapter.ipynb"
    record.write_text(record.read_text(encoding="utf8")[:200], encoding="utf8")
    (page,) = execute.outdated(book, chapters(book), altered / "_build")
    assert page.notebook.name == record.name


def test_a_failing_notebook_is_not_kept(altered):
    edit(altered, "assert 1 + 1 == 2", "assert 1 + 1 == 3")
    write_notebooks(altered)
    book = Book.read(altered)
    due = execute.outdated(book, chapters(book), altered / "_build")
    assert execute.run(book, due, altered / "_build", workers=1) == 1
    assert execute.outdated(book, chapters(book), altered / "_build") == due


def test_a_notebook_that_fails_when_run_again_is_forgotten(altered):
    book = Book.read(altered)
    (page,) = [page for page in chapters(book) if page.name.endswith("chapter")]
    # The environment broke it, not its cells.
    (altered / "book" / "fixture" / "matplotlib.py").write_text("raise ImportError", "utf8")
    assert execute.run(book, [page], altered / "_build", workers=1) == 1
    assert execute.outdated(book, chapters(book), altered / "_build") == [page]


def test_pages_have_no_problems(built):
    assert list(problems(Book.read(built), built / "_build")) == []
    assert execution_seconds(built / "_build")["book/fixture/chapter"] > 0


def test_text_of_references_is_that_of_the_page(built):
    html = (built / "_build/html/book/fixture/chapter.html").read_text(encoding="utf8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))
    for expected in (
        "see Fig. 2.1, Theorem 2.1 and (2.1).",
        "Usman et al. [2020] introduced it",
        "[Dinh et al., 2017, Grover et al., 2020]",
        "with a title, and Figure 2.1, Table 2.1, (2.2), Lemma 2.1",
        "Solution to Exercise 2.1 (Add up), the other, Theorem 1.1.",
    ):
        assert expected in text


def test_mathjax_comes_with_the_book(built):
    html = (built / "_build/html/book/fixture/chapter.html").read_text(encoding="utf8")
    scripts = re.findall(r'<script[^>]* src="([^"]+)"', html)
    assert any("mathjax/" in script for script in scripts)
    assert [script for script in scripts if script.startswith("http")] == []


def test_a_page_with_a_player_loads_its_scripts_once(built):
    pages = built / "_build/html/book/fixture"
    html = (pages / "chapter.html").read_text(encoding="utf8")
    plain = (pages / "other.html").read_text(encoding="utf8")
    player = html[html.index('<figure class="align-default" id="fig-moving">') :]
    assert 'aria-label="A point moves to the right."' in player
    assert "Fig. 2.3" in player[: player.index("</figcaption>")]
    for name in (STYLE, *SCRIPTS):
        assert html.count(f"_static/{name}?") == 1
        assert (built / "_build/html/_static" / name).is_file()
        assert name not in plain
    assert "DecompressionStream" not in html


def test_both_backends_stand_in_the_page_and_the_switch_before_them(built):
    html = (built / "_build/html/book/fixture/other.html").read_text(encoding="utf8")
    found = [
        html.index(part)
        for part in (
            '<fieldset class="lrmf-backends">',
            "agree to 3&nbsp;·&nbsp;10<sup>−7</sup></a>",
            'const KEY = "lrmf-backend"',
            'id="backend-jax-1"',
            '<p class="backend-name">JAX</p>',
            "a result of JAX",
            'id="backend-tfp-1"',
            '<p class="backend-name">TensorFlow Probability</p>',
            "a result of TFP",
            'id="backend-agreement"',
        )
    ]
    assert found == sorted(found)
    plain = (built / "_build/html/book/fixture/chapter.html").read_text(encoding="utf8")
    assert "lrmf-backends" not in plain


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(
            lambda html: html.replace('alt="A line that goes up from zero to one."', 'alt=""'),
            "a picture has no alt text",
            id="alt-text",
        ),
        pytest.param(
            lambda html: html.replace("fixture/chapter.ipynb", "fixture/chapter.md"),
            "the Colab button leads to",
            id="colab",
        ),
        pytest.param(lambda html: html + " " * 1_000_000, "the budget is 1 MB", id="size"),
        pytest.param(
            lambda html: html.replace('class="lrmf-backends"', ""),
            "there are 0 switches for 2 cells",
            id="switch",
        ),
        pytest.param(
            lambda html: html.replace('class="lrmf-agreement"', ""),
            "nothing beside the switch",
            id="agreement",
        ),
    ],
)
def test_problem_of_a_page_is_found(altered, damage, message):
    name = "other" if "switch" in message else "chapter"
    page = altered / f"_build/html/book/fixture/{name}.html"
    page.write_text(damage(page.read_text(encoding="utf8")), encoding="utf8")
    (problem,) = problems(Book.read(altered), altered / "_build")
    assert message in problem


def test_wrong_number_is_found(altered):
    extra = ":::{prf:theorem}\n:label: thm-new\nNew.\n:::\n\n(sec-second)="
    edit(altered, "(sec-second)=", extra)
    found = list(problems(Book.read(altered), altered / "_build"))
    assert any("thm-sum is theorem 2.1 on the page, 2.2 in the notebook" in line for line in found)


def test_missing_notebook_and_published_sources_are_found(altered):
    (altered / "book/fixture/chapter.ipynb").unlink()
    (altered / "_build/html/_sources").mkdir()
    first, second = problems(Book.read(altered), altered / "_build")
    assert "the sources are published" in first
    assert "there is no chapter.ipynb" in second


@pytest.mark.parametrize(
    ("faults", "messages"),
    [
        pytest.param({"1 + 1 == 2": "1 + 1 == 3"}, ["AssertionError"], id="failing-cell"),
        pytest.param(
            {
                "assert 1 + 1 == 2": 'import warnings; warnings.warn("careful")',
                "{eq}`eq-one`": "{eq}`eq-none`",
            },
            # Each is a warning, and the build takes any warning for an error.
            ["stderr was found in the cell outputs", "WARNING: equation not found"],
            id="warning-in-a-cell-and-broken-reference",
        ),
        pytest.param(
            {"assert 1 + 1 == 2": ":tags: [backend-jax]\n\nassert 1 + 1 == 2"},
            ["needs one cell with the tag backend-agreement"],
            id="backends-not-compared",
        ),
    ],
)
def test_build_turns_red(altered, faults, messages):
    for old, new in faults.items():
        edit(altered, old, new)
    code, log = build(altered)
    assert code != 0
    for message in messages:
        assert message in log
