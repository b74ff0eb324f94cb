"""The generated notebooks: what becomes of each MyST construct, and that none is stale."""

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from book.machinery.citations import Citations
from book.machinery.config import ROOT, Book, BookError
from book.machinery.labels import Labels
from book.machinery.notebooks import KEPT, chapters, main, notebook, write_notebooks
from book.machinery.tex import expand_macros

FIXTURE = Path(__file__).parent / "book_fixture"
HEAD = (FIXTURE / "chapter.md").read_text(encoding="utf8").split("\n---\n")[0] + "\n---\n\n"


@pytest.fixture
def small_book(tmp_path):
    """A book of two chapters with the settings of the real one."""
    shutil.copytree(FIXTURE, tmp_path / "book")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    contents = {
        "format": "jb-book",
        "root": "book/index",
        "parts": [
            {"caption": "One", "numbered": True, "chapters": [{"file": "book/other"}]},
            {"caption": "Two", "numbered": True, "chapters": [{"file": "book/chapter"}]},
        ],
    }
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(contents), encoding="utf8")
    (tmp_path / "book" / "index.md").write_text("# Start\n", encoding="utf8")
    return tmp_path


def cells_of(root, name="chapter"):
    book = Book.read(root)
    page = next(page for page in book.pages if page.name == f"book/{name}")
    text = notebook(book, Labels(book), Citations(book.bibliographies), page)
    return json.loads(text)["cells"]


def markdown_of(root, text, name="other"):
    """Render a text as the second chapter, and return it without the install cell."""
    (root / "book" / f"{name}.md").write_text(HEAD + text, encoding="utf8")
    cells = cells_of(root, name)
    return "\n\n".join("".join(cell["source"]) for cell in cells[1:])


@pytest.fixture
def chapter(small_book):
    """All Markdown of the fixture's chapter as one text."""
    cells = [cell for cell in cells_of(small_book) if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param("We write $\\mathbb{E}[x]$ and $\\operatorname{KL}(P\\|Q)$", id="macros"),
        pytest.param("see Fig. 2.1, Theorem 2.1 and\n(2.1).", id="references"),
        pytest.param("Usman et al. [2020] introduced it", id="cite-textual"),
        pytest.param("[Dinh et al., 2017, Grover et al., 2020].", id="cite-parenthetical"),
        pytest.param("`` {ref}`x` `` and a literal `\\E`.", id="code-is-left-alone"),
        pytest.param("A footnote.<sup>1</sup>", id="footnote-mark"),
        pytest.param("<sup>1</sup> It explains $\\mathbb{E}$, and cites Papa", id="footnote"),
        pytest.param("* A list with A second section", id="reference-in-a-list"),
        pytest.param("  **Note.**\n\n  Nested, with $\\mathbb{R}^d$.", id="nested-admonition"),
        pytest.param("**Definition 2.1** (Sum).\n\nThe *sum* of", id="definition"),
        pytest.param("**Theorem 2.1** (Sums commute).\n\nFor all", id="theorem"),
        pytest.param("$$\na + b = b + a\n\\tag{2.1}\n$$\n\nand nothing", id="equation"),
        pytest.param("\\end{aligned}\n$$\n\n$\\square$", id="end-of-proof"),
        pytest.param("*Proof.*\n\nAnother one.\n\n$\\square$", id="proof"),
        pytest.param("**Lemma 2.1.**\n\nAn untitled lemma.", id="no-title"),
        pytest.param("**Fig. 2.1.** A line, with $\\mathbb{E}[x]$ and Usman", id="drawn-figure"),
        pytest.param("**Exercise 2.1** (Add up).\n\nShow (2.1)", id="exercise"),
        pytest.param(
            "<details>\n<summary>Solution to Exercise 2.1 (Add up)</summary>\n\nIt is $2$",
            id="solution",
        ),
        pytest.param("\\tag{2.2}\n$$\n\n</details>", id="equation-in-a-solution"),
        pytest.param("**Exercise 2.2** (Compute).\n\nCompute it.", id="exercise-with-code"),
        pytest.param("**Solution to Exercise 2.2 (Compute).**\n\nWe find", id="solution-with-code"),
        pytest.param("| $d_{\\Lambda}$ | the distance [Usman et al., 2020] |", id="table"),
        pytest.param(
            "**Table 2.1.** A table\n\n| a | b |\n| --- | --- |\n| $1$ | 2 |", id="list-table"
        ),
        pytest.param("![A grey square.](attachment:picture.svg)", id="picture"),
        pytest.param("**Fig. 2.2.** A square; compare Fig. 2.1.", id="caption"),
        pytest.param("<summary>A title with $\\mathbb{E}$</summary>\n\nInside.", id="dropdown"),
        pytest.param("Outer.\n\n**Example 2.1** (Inner).\n\nInner text.", id="nested"),
        pytest.param("**Aside.**\n\nIn the margin.", id="margin"),
        pytest.param("the second section, this page, with a title, and\nFigure 2.1", id="links"),
        pytest.param("Exercise 2.2, Solution to Exercise 2.1 (Add up)", id="solution-reference"),
        pytest.param("**Term**\n– its definition with $\\mathbb{E}$.", id="definition-list"),
        pytest.param("[Theorem 1.1](https://colab.research.google.com/github/", id="other-page"),
        pytest.param("## References\n\n* Laurent Dinh, Jascha", id="reference-list"),
    ],
)
def test_construct_becomes_plain_markdown(chapter, expected):
    assert expected in chapter


def test_nothing_of_myst_is_left(chapter):
    rest = chapter.replace("`` {ref}`x` ``", "").replace("`\\E`", "")
    for mark in (
        ":::",
        "```{",
        "{ref}`",
        "{cite",
        "{prf:",
        ":label:",
        ")=",
        "\\E",
        "\\R",
        "\\dLam",
    ):
        assert mark not in rest


def test_code_cells(small_book):
    code = [cell for cell in cells_of(small_book) if cell["cell_type"] == "code"]
    install, plain, figure, stub, solution, player = code
    assert "LRMF_INSTALL_SOURCE" in "".join(install["source"])
    assert "".join(plain["source"]) == "import matplotlib.pyplot as plt"
    assert figure["metadata"]["tags"] == ["hide-input"]
    assert "".join(figure["source"]).startswith("# @title Code of the figure\n")
    assert "".join(stub["source"]) == "# your turn"
    assert solution["metadata"] == {"cellView": "form", "jupyter": {"source_hidden": True}}
    # Its text is an argument of the player, not of the cell.
    assert "alt=" in "".join(player["source"])
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_picture_travels_in_the_notebook(small_book):
    (cell,) = [cell for cell in cells_of(small_book) if "attachments" in cell]
    assert list(cell["attachments"]["picture.svg"]) == ["image/svg+xml"]


def test_same_source_same_notebook(small_book):
    assert cells_of(small_book) == cells_of(small_book)
    assert [cell["id"] for cell in cells_of(small_book)][:2] == ["cell-000", "cell-001"]


def test_stale_and_missing_notebooks_are_named(small_book):
    path, other = small_book / "book" / "chapter.ipynb", small_book / "book" / "other.ipynb"
    assert write_notebooks(small_book, check=True) == [other, path]
    assert not path.exists()
    assert write_notebooks(small_book) == [other, path]
    assert write_notebooks(small_book, check=True) == []
    source = path.with_suffix(".md")
    source.write_text(source.read_text(encoding="utf8") + "\nOne more.\n", encoding="utf8")
    assert write_notebooks(small_book, check=True) == [path]


def test_notebook_without_chapter_is_refused(small_book):
    (small_book / "book" / "gone.ipynb").write_text("{}", encoding="utf8")
    with pytest.raises(BookError, match=r"notebooks without a chapter: .*gone\.ipynb"):
        write_notebooks(small_book)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# T\n\n{unknown}`x`", r"other\.md, line 14: the notebooks know no role \{unknown\}"),
        ("# T\n\n:::{tab-set}\n:::", r"line 14: the notebooks know no directive \{tab-set\}"),
        ("# T\n\n{ref}`nowhere`", r"line 14: nothing in the book has the label 'nowhere'"),
        ("# T\n\n{ref}`fig-line`", r"refer to fig-line with \{numref\}"),
        ("# T\n\n{numref}`thm-sum`", r"\{numref\} is for figures, tables and exercises"),
        ("# T\n\n{eq}`thm-sum`", r"\{eq\} is for equations, not thm-sum"),
        ("# T\n\n{prf:ref}`eq-sum`", r"\{prf:ref\} is for statements, not eq-sum"),
        ("# T\n\n{cite:t}`nobody1900`", r"the bibliography has no entry 'nobody1900'"),
        ("# T\n\n{doc}`nowhere`", r"no page of the book is at nowhere"),
        ("# T\n\n[there](nowhere.md)", r"no page of the book is at nowhere"),
        ("# T\n\n\\begin{align}\na &= b\n\\end{align}", r"a bare LaTeX environment"),
        ("# T\n\n<div>\n\n</div>", r"raw HTML does not show"),
        ("# T\n\nsome <b>bold</b>", r"raw HTML does not show in every notebook: <b>"),
        ("# T\n\n![a](picture.svg)", r"use a \{figure\} with :alt: and a caption"),
        (
            "# T\n\n:::{figure} picture.svg\n:alt: Grey.\n:::",
            r"a figure needs :alt: and a caption",
        ),
        (
            "# T\n\n:::{figure} no.svg\n:alt: Grey.\n\nA square.\n:::",
            r"there is no file no\.svg",
        ),
        ("# T\n\n:::{list-table} X\n\n* - a\n:::", r"needs :header-rows: 1"),
        ("# T\n\n* ```{note}\n  x\n  ```", r"start the block on a line of its own"),
        ("# T\n\n(here)=\nNo heading.", r"line 14: the target 'here' must stand right before"),
        ("(sec-chapter)=\n# T", r"the label 'sec-chapter' was given before"),
        ("# T\n\n| a |\n| - |\n| $P\\|Q\\E$ |", r"write \\Vert instead of a bar"),
        (
            "# T\n\n::::{note}\n\n:::{note}\n{unknown}`x`\n:::\n::::",
            r"line 17: the notebooks know no role",
        ),
        ("```{code-cell} python\n:tags: [remove-input]\n```", r"unknown tag remove-input"),
        (
            "```{code-cell} python\n:tags: [remove-stderr]\nwarn()\n```",
            r"only a cell that ends in the notice of a stand-in may hide its warnings",
        ),
        (
            "```{code-cell} python\n---\nmystnb:\n  figure:\n    caption: A.\n---\n```",
            r"a figure needs a text that says what one sees",
        ),
        (
            "```{code-cell} python\n---\nmystnb: {image: {alt: A}, figure: {caption: A}}\n---\n```",
            r"a figure needs a caption and a name",
        ),
    ],
)
def test_what_a_notebook_cannot_show_is_refused(small_book, text, message):
    with pytest.raises(BookError, match=message):
        markdown_of(small_book, text)


def test_blank_lines_set_blocks_apart(small_book):
    text = markdown_of(small_book, "# T\n\nBefore\n:::{note}\nInside\n:::\nafter.")
    assert text.endswith("Before\n\n**Note.**\n\nInside\n\nafter.")


def test_two_roles_in_a_table_row(small_book):
    text = markdown_of(small_book, "# T\n\n| a | b |\n| - | - |\n| $\\E$ | $\\E$ {eq}`eq-sum` |")
    assert "| $\\mathbb{E}$ | $\\mathbb{E}$ [(2.1)](https://colab" in text


def test_sections_below_a_chapter_are_refused(small_book):
    path = small_book / "_toc.yml"
    contents = yaml.safe_load(path.read_text(encoding="utf8"))
    contents["parts"][0]["chapters"][0]["sections"] = [{"file": "book/chapter"}]
    path.write_text(yaml.safe_dump(contents), encoding="utf8")
    with pytest.raises(BookError, match="has pages below it"):
        Book.read(small_book)


def test_missing_page_is_refused(small_book):
    (small_book / "book" / "other.md").unlink()
    with pytest.raises(BookError, match=r"there is no file book/other\.md"):
        Book.read(small_book)


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        (r"\E x", r"\mathbb{E} x"),
        (r"\E[x]", r"\mathbb{E}[x]"),
        (r"A^\T B_\T", r"A^{\mathsf{T}} B_{\mathsf{T}}"),
        (r"\Ex \E", r"\Ex \mathbb{E}"),
        (r"\half\R", r"\frac{1}{2}\mathbb{R}"),
        (r"\pair{a}{b_{1}} c", r"(a, b_{1}) c"),
        (r"\pair xy", r"(x, y)"),
        (r"\twice{\E}", r"\mathbb{E}\mathbb{E}"),
        (r"a\mid b", r"a\mid b"),
        (r"a\given b", r"a\mid b"),
    ],
)
def test_macros_are_written_out(tex, expected):
    macros = {
        "E": (r"\mathbb{E}", 0),
        "R": (r"\mathbb{R}", 0),
        "T": (r"\mathsf{T}", 0),
        "half": (r"\frac{1}{2}", 0),
        "pair": (r"(#1, #2)", 2),
        "twice": (r"#1#1", 1),
        "given": (r"\mid", 0),
    }
    assert expand_macros(tex, macros) == expected


@pytest.mark.parametrize(
    ("tex", "message"),
    [
        (r"\one", r"\\one lacks an argument"),
        (r"\one{a", r"the argument of \\one has no closing brace"),
        (r"\loop", "defined by itself"),
    ],
)
def test_macros_that_cannot_be_written_out(tex, message):
    with pytest.raises(BookError, match=message):
        expand_macros(tex, {"one": ("#1", 1), "loop": (r"\loop", 0)})


def test_no_notebook_is_stale():
    """After a change of a chapter, run `make notebooks`."""
    stale = write_notebooks(ROOT, check=True)
    assert stale == [], "stale notebooks: run `make notebooks`"


def test_command_lists_the_notebooks(capsys):
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out.split()
    assert listed == [str(page.notebook.relative_to(ROOT)) for page in chapters(Book.read(ROOT))]
    assert listed


def run_install_cell(monkeypatch, *, importable):
    """Run the install cell of a chapter; the commands it would have started, with versions read."""
    commands = []

    def run(command, check):
        at = command.index("-c") + 1
        versions = Path(command[at]).read_text(encoding="utf8").split()
        commands.append(([*command[:at], versions, *command[at + 1 :]], check))

    monkeypatch.setattr("subprocess.run", run)
    if not importable:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    page = chapters(Book.read(ROOT))[0]
    cell = json.loads(page.notebook.read_text(encoding="utf8"))["cells"][0]
    exec("".join(cell["source"]), {})
    return commands


def test_install_cell_does_nothing_where_the_library_is(monkeypatch):
    assert run_install_cell(monkeypatch, importable=True) == []


def test_install_cell_takes_the_library_from_the_book_s_address(monkeypatch):
    monkeypatch.delenv("LRMF_INSTALL_SOURCE", raising=False)
    ((command, check),) = run_install_cell(monkeypatch, importable=False)
    source = Book.read(ROOT).requirement_source
    assert command[1:6] == ["-m", "pip", "install", "--quiet", "-c"]
    assert command[7:] == [f"lrmf[jax,tfp,notebook] @ {source}"]
    assert check is True


def test_install_cell_keeps_what_the_runtime_has(monkeypatch):
    ((command, _),) = run_install_cell(monkeypatch, importable=False)
    kept = dict(line.split("==") for line in command[6])
    assert {name: version(name) for name in kept} == kept
    # A package may write its name with an underscore: tf_keras.
    names = {name.replace("_", "-").lower() for name in kept}
    assert {"jax", "jaxlib", "numpy", "scipy", "tensorflow", "tf-keras"} <= names
    colab = (ROOT / "constraints" / "colab.txt").read_text(encoding="utf8")
    listed = set(re.findall(r"^([\w-]+)[=~]=", colab, re.MULTILINE))
    assert listed - {"anywidget"} <= set(KEPT)


def test_install_cell_can_take_another_source(monkeypatch):
    monkeypatch.setenv("LRMF_INSTALL_SOURCE", "file:///somewhere")
    ((command, _),) = run_install_cell(monkeypatch, importable=False)
    assert command[-1] == "lrmf[jax,tfp,notebook] @ file:///somewhere"
