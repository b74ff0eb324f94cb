"""Cells for one backend: the rules for chapters, their notebooks, and the page's switch."""

import json
import re
import runpy
from functools import partial

import javascript
import nbformat
import pytest
from docutils import nodes, utils

from book.machinery import backends, notebooks
from book.machinery.config import ROOT, BookError

EXTENSION = ROOT / "book" / "_ext" / "backend_switch.py"
SCRIPT = ROOT / "book" / "_static" / "backend_switch.js"
call = partial(javascript.call, SCRIPT)
extension = runpy.run_path(str(EXTENSION))

JAX, TFP, BOTH = "backend-jax", "backend-tfp", "backend-agreement"


def code(*tags, figure=None):
    metadata = {"tags": list(tags)}
    if figure:
        metadata["mystnb"] = {"figure": figure}
    return nbformat.v4.new_code_cell("1 + 1", metadata=metadata)


def check(*cells):
    backends.check(cells, range(10, 10 * len(cells) + 10, 10))


TEXT = nbformat.v4.new_markdown_cell("text")


@pytest.mark.parametrize(
    "cells",
    [
        (),
        (TEXT, code(), code("hide-input")),
        (TEXT, code(JAX), code(TFP), code(BOTH)),
        (code(JAX), code(TFP), TEXT, code(), code(JAX, "hide-input"), code(TFP), code(BOTH)),
    ],
)
def test_pairs_and_one_comparison_are_right(cells):
    check(*cells)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ((code(TFP), code(JAX), code(BOTH)), "line 10: .* followed at once"),
        ((code(JAX), TEXT, code(TFP), code(BOTH)), "line 20: .* followed at once"),
        ((code(JAX), code(), code(TFP), code(BOTH)), "line 20: .* followed at once"),
        ((code(JAX), code(JAX), code(TFP), code(BOTH)), "line 20: .* followed at once"),
        ((code(JAX), code(TFP), code(TFP), code(BOTH)), "line 30: .* followed at once"),
        ((code(BOTH), code(JAX)), "the last cell has the tag backend-jax"),
        ((code(JAX), code(TFP)), "one cell must have the tag backend-agreement .* found 0"),
        ((code(JAX), code(TFP), code(BOTH), code(BOTH)), "one cell must .* found 2"),
        ((code(BOTH),), "no cell must have the tag backend-agreement .* found 1"),
        ((code(JAX, TFP),), "belongs to one backend or to both"),
        ((code(JAX, figure={"name": "fig-x"}),), "line 10: a figure must be there for both"),
    ],
)
def test_what_leaves_some_readers_without_a_cell_is_refused(cells, message):
    with pytest.raises(BookError, match=message):
        check(*cells)


def test_notebook_says_which_cell_is_for_which_backend():
    notebook = json.loads((ROOT / "book/experiments/realnvp.ipynb").read_text(encoding="utf8"))
    cells = notebook["cells"]
    assert "lrmf[jax,tfp,notebook]" in "".join(cells[0]["source"])
    tagged = [cell for cell in cells if {JAX, TFP} & set(cell["metadata"].get("tags", []))]
    assert len(tagged) >= 2
    for number, found in enumerate(tagged):
        assert found["source"][0] == ("# TensorFlow Probability\n" if number % 2 else "# JAX\n")
    (introduction,) = [cell for cell in cells if "".join(cell["source"]) == backends.INTRODUCTION]
    assert cells.index(introduction) == cells.index(tagged[0]) - 1


@pytest.mark.parametrize(
    ("tags", "solution", "first"),
    [
        ((JAX,), False, "# JAX"),
        ((TFP, "hide-input"), False, "# @title Code, TensorFlow Probability"),
        ((JAX,), True, "# @title Solution, JAX"),
        (("hide-input",), False, "# @title Code"),
        ((), False, "1 + 1"),
    ],
)
def test_first_line_in_the_notebook(tags, solution, first):
    assert notebooks._code_cell(code(*tags), solution)["source"].split("\n")[0] == first


def cell(*tags, printed=""):
    """What MyST-NB makes of a code cell."""
    result = nodes.container(classes=["cell", *(f"tag_{tag}" for tag in tags)])
    result += nodes.container("", nodes.literal_block("", "1 + 1"), classes=["cell_input"])
    if printed:
        output = nodes.literal_block(printed, printed, classes=["output"])
        result += nodes.container("", output, classes=["cell_output"])
    return result


def page(*cells):
    document = utils.new_document("page")
    section = nodes.section("", nodes.title("", "A title"), ids=["a-title"])
    document += section
    section += list(cells)
    extension["add_switch"](None, document, "page")
    return document, section


def test_page_without_such_cells_stays_as_it_is():
    document, section = page(cell(), cell("hide-input"))
    assert not list(document.findall(nodes.raw))
    assert len(section.children) == 3


def test_switch_stands_below_the_title_and_before_the_cells():
    document, section = page(
        cell(JAX), cell(TFP), cell(JAX), cell(TFP), cell(BOTH, printed="one\nApart by 3e-07\n")
    )
    (switch,) = document.findall(nodes.raw)
    assert section.index(switch) == 1
    assert switch["format"] == "html"
    assert 'href="#backend-agreement">Apart by 3&nbsp;·&nbsp;10<sup>−7</sup></a>' in switch.astext()
    assert SCRIPT.read_text(encoding="utf8") in switch.astext()
    assert [part["ids"] for part in section.children[2:]] == [
        ["backend-jax-1"],
        ["backend-tfp-1"],
        ["backend-jax-2"],
        ["backend-tfp-2"],
        ["backend-agreement"],
    ]
    names = [part.astext() for part in document.findall(nodes.paragraph)]
    assert names == ["JAX", "TensorFlow Probability"] * 2


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ([], "needs one cell with the tag backend-agreement.* this one has 0"),
        (["1", "2"], "this one has 2"),
        ([""], "with a number .* not ''"),
        (["3e-7\nThey agree."], "with a number .* not 'They agree.'"),
        (["agree to 3e-7 " + "on this page " * 10], "at most 90 characters"),
    ],
)
def test_page_that_does_not_say_how_far_the_backends_differ(printed, message, monkeypatch):
    with pytest.raises(ValueError, match=message):
        extension["headline"](printed)
    warnings = []
    monkeypatch.setattr(
        extension["logger"], "warning", lambda text, *args, **_: warnings.append(text % args)
    )
    page(cell(JAX), cell(TFP), *(cell(BOTH, printed=text) for text in printed))
    assert len(warnings) == 1
    assert re.search(message, warnings[0])


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("to 3e-07", "to 3&nbsp;·&nbsp;10<sup>−7</sup>"),
        ("to 1e-06", "to 10<sup>−6</sup>"),
        ("1.5e-10, 2e+03", "1.5&nbsp;·&nbsp;10<sup>−10</sup>, 2&nbsp;·&nbsp;10<sup>3</sup>"),
        ("0.004 < 1", "0.004 &lt; 1"),
        ("1e", "1e"),
    ],
)
def test_numbers_beside_the_switch_are_written_as_in_the_text(sentence, shown):
    assert f">{shown}</a>" in extension["switch_html"](sentence, "")


def test_switch_is_a_group_of_radio_buttons_with_a_name():
    html = extension["switch_html"]("", "")
    assert re.fullmatch(r"(?s)<fieldset.*<legend>[^<]+</legend>.*</fieldset>.*<script>.*", html)
    assert re.findall(r'type="radio" name="lrmf-backend" value="(\w+)"', html) == ["jax", "tfp"]
    assert "lrmf-agreement" not in html


def test_the_script_knows_the_same_backends():
    names, key = call(["BACKENDS"], ["KEY"])
    assert names == list(extension["NAMES"])
    assert [f"backend-{name}" for name in names] == list(backends.TAGS)
    assert list(extension["NAMES"].values()) == list(backends.TAGS.values())
    assert key == "lrmf-backend"


def test_the_script_makes_sense_of_what_was_stored():
    given = ["tfp", "jax", None, "", "torch", 3, "TFP"]
    assert call(*(["known", value] for value in given)) == ["tfp", *["jax"] * 6]


def test_the_script_tells_a_cell_s_backend():
    given = [
        ["cell", "tag_backend-tfp"],
        ["tag_hide-input", "tag_backend-jax", "cell"],
        ["cell", "tag_backend-agreement"],
        ["tag_backend-jax", "tag_backend-tfp"],
        [],
    ]
    results = call(*(["backendOf", classes] for classes in given))
    assert results == ["tfp", "jax", None, None, None]


def test_the_script_finds_the_block_that_stays_where_it_is():
    given = [[[-50, 10, 300, 700], 250], [[300, 700], 250], [[-50, -20], 250], [[5], 5]]
    assert call(*(["fixedBlock", *row] for row in given)) == [1, 0, 1, 0]


def test_the_script_reads_the_address():
    given = ["#backend-tfp-1", "", "#", "#a%20b", "#100%"]
    results = call(*(["idOf", value] for value in given))
    assert results == ["backend-tfp-1", "", "", "a b", "100%"]


STORAGE = """
const script = require(process.argv[1]);
const kept = {};
const good = () => ({ getItem: (k) => kept[k] ?? null, setItem: (k, v) => { kept[k] = v; } });
const blocked = () => { throw new Error("SecurityError"); };
const full = () => ({ getItem: () => "nonsense", setItem: () => { throw new Error("Quota"); } });
console.log(JSON.stringify([
  script.recall(good), script.remember(good, "tfp"), script.recall(good), kept,
  script.recall(blocked), script.remember(blocked, "tfp"),
  script.recall(full), script.remember(full, "tfp"),
]));
"""


def test_the_script_remembers_where_it_may():
    assert call(run=STORAGE) == [
        *("jax", True, "tfp", {"lrmf-backend": "tfp"}),
        *("jax", False),
        *("jax", False),
    ]


def test_the_script_needs_no_other_host_and_little_room():
    text = SCRIPT.read_text(encoding="utf8")
    assert "http" not in text
    assert "</script" not in text
    assert len(text) < 8_000  # it stands in every page that has a switch
