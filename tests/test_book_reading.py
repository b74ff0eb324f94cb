"""What makes a page readable: where lines break, what scrolls, and which icons it loads."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import javascript
import pydata_sphinx_theme
import pytest
from docutils import nodes

from book.machinery.config import ROOT, Book

icons = runpy.run_path(str(ROOT / "book" / "_ext" / "light_icons.py"))
breaks = runpy.run_path(str(ROOT / "book" / "_ext" / "line_breaks.py"))
THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"


def test_the_theme_s_script_keeps_the_icons_that_are_shown():
    script = (THEME / "scripts" / "fontawesome.js").read_text(encoding="utf8")
    light = icons["lighten"](script, {"github", "search"})
    assert len(light) < 0.1 * len(script)
    assert '"magnifying-glass":[' in light  # what "search" is called today
    assert "github:[" in light
    assert "monero:[" in script
    assert "monero:[" not in light


def test_icons_are_looked_for_in_all_pages(tmp_path):
    path = tmp_path / icons["SCRIPT"]
    path.parent.mkdir(parents=True)
    path.with_name("pydata-sphinx-theme.js").write_text('"fa-bars"', encoding="utf8")
    (tmp_path / "page.html").write_text('<i class="fa-solid fa-moon">', encoding="utf8")
    before = 'a={moon:[1,2,[],"f0","M1"],"bars":[1,2,[9],"f1","M2"],sun:[1,2,[],"f2","M3"]}'
    for error, kind, icon in (
        (ValueError(), "html", "M3"),
        (None, "latex", "M3"),
        (None, "html", "M2"),
    ):
        path.write_text(before, encoding="utf8")
        app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format=kind))
        icons["_lighten_script"](app, error)
        after = path.read_text(encoding="utf8")
        assert icon in after
    assert "M1" in after
    assert "M3" not in after


def test_messages_wrap_and_tables_of_numbers_do_not():
    document = nodes.container()
    for line in ("x" * 101, "y" * 100):
        document += nodes.literal_block(text=f"short\n{line}")
    breaks["set_breaks"](None, document, "page")
    assert [block["classes"] for block in document.children] == [["message"], []]


def test_no_line_of_a_table_ends_within_a_measured_value():
    document = nodes.container()
    cell, prose = nodes.entry(), nodes.paragraph(text="1 ± 2")
    cell += nodes.paragraph(text="0.93 ± 0.01 (10)")
    document += [cell, prose]
    breaks["set_breaks"](None, document, "page")
    assert cell.astext() == "0.93\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.01 (10)"
    assert prose.astext() == "1 ± 2"


@pytest.mark.parametrize(
    ("scrolled", "sides"), [(0, "right"), (50, "left right"), (100, "left"), (99, "left")]
)
def test_a_scrolling_box_fades_where_more_of_it_lies(scrolled, sides):
    script = ROOT / "book" / "_static" / "reading.js"
    assert javascript.call(script, ["rest", scrolled, 300, 200], ["rest", 0, 200, 200]) == [
        sides,
        "",
    ]


def test_an_id_that_many_elements_have_stays_with_the_first():
    unique = runpy.run_path(str(ROOT / "book" / "_ext" / "unique_ids.py"))
    document = nodes.container(ids=["proof", "thm-a"])
    document += [nodes.section(ids=["proof"]), nodes.section(ids=["proof", "thm-b"])]
    holder = nodes.container()
    holder += document
    unique["drop_repeated"](holder, sections=False)
    assert [section["ids"][0] for section in holder.findall(nodes.section)] == ["proof", "proof"]
    unique["drop_repeated"](holder)
    found = [element["ids"] for element in holder.findall(nodes.Element) if element["ids"]]
    assert found == [["proof", "thm-a"], ["thm-b"]]


def _prose(page):
    """A chapter's text without its head, its code and its displayed formulas."""
    text = page.source.read_text(encoding="utf8")
    for left_out in (r"^---.*?---\n", r"```\{code-cell\}.*?```", r"\$\$.*?\$\$"):
        text = re.sub(left_out, "", text, flags=re.DOTALL)
    return text


PARTS = ("book/matching/", "book/likelihood_ratio/", "book/experiments/")
CHAPTERS = [page for page in Book.read(ROOT).pages if page.name.startswith(PARTS)]
EXERCISE = re.compile(
    r"^:{3,}\{exercise(?:-start)?\}.*\n:label: .*\n(?::{3,}\n)?\n*\*\(([^,)]*)", re.MULTILINE
)


def test_the_chapters_are_all_there():
    assert len(CHAPTERS) >= 27
    assert {page.name.rpartition("/")[0] + "/" for page in CHAPTERS} == set(PARTS)


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_a_chapter_is_read_in_one_sitting(page):
    prose = _prose(page)
    assert len(prose.split()) <= 3000
    _, _, after_title = prose.partition("\n# ")
    assert after_title.splitlines()[2].startswith("*In short.* ")
    assert "{numref}" in after_title.splitlines()[2]


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_a_chapter_s_exercises_have_levels_and_start_with_three_warm_ups(page):
    prose = _prose(page)
    levels = EXERCISE.findall(prose)
    assert len(levels) == len(re.findall(r"^:{3,}\{exercise(?:-start)?\}", prose, re.MULTILINE))
    assert set(levels) <= {"warm-up", "easy", "medium", "hard"}
    assert levels == sorted(levels, key=["warm-up", "easy", "medium", "hard"].index)
    warm_ups = levels.count("warm-up")
    if warm_ups == 1:  # one exercise that asks for three numbers
        _, _, body = prose.partition("*(warm-up)*")
        body, _, _ = body.partition("{solution}")
        warm_ups = len(re.findall(r"^\d+\. |\(\d\) ", body, re.MULTILINE))
    assert warm_ups >= 3


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_a_chapter_hides_what_it_imports(page):
    text = page.source.read_text(encoding="utf8")
    for cell in re.findall(r"```\{code-cell\}.*?\n(.*?)```", text, flags=re.DOTALL):
        head, code = re.fullmatch(r"(---\n.*?---\n|(?::.*\n)*)(.*)", cell, re.DOTALL).groups()
        if re.search(r"^(?:import|from) ", code, re.MULTILINE):
            assert "hide-input" in head


def test_the_ways_through_the_book_lead_to_chapters_and_the_last_one_to_all():
    text = (ROOT / "book" / "intro.md").read_text(encoding="utf8")

    def links(start, end):
        part = text[text.index(start) : text.index(end)]
        return {f"book/{name}" for name in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", part)}

    hour, day = links("\nOne hour\n", "\nOne day\n"), links("\nOne day\n", "\nEverything\n")
    everything = links("(sec-plan)=", "\n## Conventions")
    pages = {page.name for page in Book.read(ROOT).pages} - {"book/intro"}
    assert 0 < len(hour) < len(day) < len(everything)
    assert hour <= day <= everything == pages
