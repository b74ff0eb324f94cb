"""The pages for those who use the library: generated ones are fresh, what they name exists."""

import ast
import doctest
import inspect
import json
import re
import runpy
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from docutils import nodes
from PIL import Image
from sphinx import addnodes

import lrmf
from book.machinery import benchmarks_page, interface, pdf
from book.machinery.config import ROOT, BookError

LIBRARY = ROOT / "book" / "library"
gallery = runpy.run_path(str(ROOT / "book" / "_ext" / "gallery.py"))


def test_pages_of_the_interface_are_fresh():
    for name, text in interface.pages().items():
        stale = f"{name} is stale; run make interface"
        assert (interface.FOLDER / name).read_text(encoding="utf8") == text, stale


def test_every_public_name_has_one_entry():
    text = "\n".join(interface.pages().values())
    listed = re.findall(r"^\.\. auto\w+:: (\S+)$", text, re.MULTILINE)
    assert len(listed) == len(set(listed))
    for name in lrmf.__all__:
        if not isinstance(getattr(lrmf, name), ModuleType):
            assert f"lrmf.{name}" in listed
    assert {"lrmf.judge.judge_files", "lrmf.distances.mmd2", "lrmf.plots.scatter"} <= set(listed)


def test_what_is_on_no_page_stops_the_command(monkeypatch, capsys):
    left = {name: page for name, page in interface.PAGES.items() if name != "judge"}
    monkeypatch.setattr(interface, "PAGES", left)
    with pytest.raises(BookError, match=r"on no page of the interface: .*lrmf\.lrd"):
        interface.pages()
    assert interface.main([]) == 1
    assert "error: on no page" in capsys.readouterr().err


def has_running_example(text):
    """Whether a docstring has an example, and one that is not skipped."""
    found = doctest.DocTestParser().get_examples(text or "")
    return any(not example.options.get(doctest.SKIP) for example in found)


def test_every_class_and_function_of_the_interface_has_an_example_that_runs():
    """What is left are constants and types of arguments, which have no docstrings of their own."""
    text = "\n".join(interface.pages().values())
    kinds = re.findall(r"^\.\. auto(\w+):: (\S+)$", text, re.MULTILINE)
    paths = [path for kind, path in kinds if kind in ("class", "exception", "function")]
    assert {"lrmf.LRMF", "lrmf.widgets.draw_seen", "lrmf.specs.SolverError"} <= set(paths)
    assert [path for path in paths if not has_running_example(resolve(path).__doc__)] == []


@pytest.mark.parametrize("text", [None, "Adds.", "Adds.\n\n>>> add(1, 2)  # doctest: +SKIP\n3\n"])
def test_an_example_that_is_skipped_is_none(text):
    assert not has_running_example(text)
    assert has_running_example(f"{text}\n\n>>> 1 + 2\n3\n")


def test_page_of_the_benchmarks_is_fresh():
    found = benchmarks_page.document()
    text = benchmarks_page.page_text(found)
    assert benchmarks_page.TARGET.read_text(encoding="utf8") == text, "run make interface"
    fastest = found["training"][0]["peers"]["lrmf-jax"]["steps_per_second"]["median"]
    assert f"| {fastest:,.0f} (" in text
    other = json.loads(json.dumps(found))
    other["imports"]["lrmf"]["import_seconds"]["median"] = 0.3
    assert "| <= 0.2 s | 0.3 s | **no** |" in benchmarks_page.page_text(other)


def calls(text):
    """The calls of ``lrmf.…`` in a page's fragments of Python, and of methods of ``model``."""
    for code in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if code.startswith("%"):
            continue
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), [word.arg for word in node.keywords]
    for span in re.findall(r"`(lrmf\.[A-Za-z.]+\(.*?\))`", text):
        for node in ast.walk(ast.parse(span)):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), [word.arg for word in node.keywords]


def resolve(path):
    thing = lrmf
    for name in path.split(".")[1:]:
        thing = getattr(thing, name)
    return thing


def known_arguments(path, words):
    """Check that what a fragment calls exists and takes these arguments; whether it was ours."""
    if made := re.fullmatch(r"(lrmf\.\w+)\(.*\)\.(\w+)", path):
        thing = getattr(resolve(made[1]), made[2])
    elif path.startswith("lrmf."):
        thing = resolve(path)
    elif path.startswith("model."):
        owner = lrmf.AUB if "domains" in words else lrmf.LRMF
        thing = getattr(owner, path.removeprefix("model."))
    else:
        return False
    taken = inspect.signature(thing).parameters
    assert set(words) <= set(taken), (path, words)
    return True


@pytest.mark.parametrize("name", ["guide", "install", "news", "judge_files", "quick_start"])
def test_what_the_pages_call_exists(name):
    text = (LIBRARY / f"{name}.md").read_text(encoding="utf8")
    checked = sum(known_arguments(path, words) for path, words in calls(text))
    assert checked >= (15 if name == "guide" else 0)
    for path in re.findall(r"`(lrmf\.[A-Za-z_.]+)`", text):
        resolve(path)


def test_a_wrong_argument_in_a_page_is_seen():
    (path, words), *_ = calls("```python\nlrmf.LRMF(step=3)\n```\n")
    with pytest.raises(AssertionError):
        known_arguments(path, words)


def test_names_in_code_become_links():
    links = runpy.run_path(str(ROOT / "book" / "_ext" / "code_links.py"))

    def code(*lines):
        dotted = '<span class="o">.</span>'
        rows = [
            dotted.join(f'<span class="n">{name}</span>' for name in line.split("."))
            if " " not in line
            else line
            for line in lines
        ]
        inside = "\n".join(rows)
        return f'<div class="highlight-ipython3 x"><div><pre>{inside}</pre></div></div>'

    targets = {"lrmf.LRMF": "a.html#lrmf.LRMF", "lrmf.plots.scatter": "b.html#s"}
    body = "<p>lrmf.LRMF</p>" + code(
        "from lrmf import plots", "lrmf.LRMF.load", "plots.scatter", "other.scatter", "lrmf.nothing"
    )
    found = links["linked"](body, targets.get)
    assert re.findall(r'<a class="lrmf-code" href="([^"]+)"', found) == list(targets.values())
    assert re.sub("<[^>]+>", "", found) == re.sub("<[^>]+>", "", body)
    assert found.startswith("<p>lrmf.LRMF</p>")
    # Without the import, plots is a name like any other.
    assert "b.html" not in links["linked"](code("plots.scatter"), targets.get)


def test_formulas_of_docstrings_become_mathematics():
    docs = runpy.run_path(str(ROOT / "book" / "_ext" / "interface_docs.py"))
    text = inspect.getdoc(lrmf.LRMF).splitlines()
    found = docs["rendered"](text)
    (at,) = (i for i, line in enumerate(found) if line == ".. math::")
    assert found[at + 1 : at + 4 : 2] == ["", ""]
    assert found[at + 2].startswith(
        r"   -\mathbb{E} \operatorname{log}|\operatorname{det} ∇T(a)| - "
    )
    # An example, a list and the fields of arguments are none.
    plain = ["Text.", "", ">>> 1", "1", "", ":param x: of", "", "    more", "", "* a", "", "    b"]
    assert docs["rendered"](plain) == plain


def test_gallery_takes_captioned_figures_with_a_picture(tmp_path):
    document = nodes.document("", "")
    for k, (uri, caption) in enumerate(
        [("a.png", "What it\nshows. And more."), ("b.svg", "Drawn."), ("c.png", None)]
    ):
        figure = nodes.figure(ids=[f"fig-{k}"])
        figure += nodes.image(uri=uri, alt=f"alt {k}")
        if caption:
            figure += nodes.caption("", caption)
        document += figure
    (found,) = gallery["figures"](document, "page", tmp_path)
    assert (found.anchor, found.alt, found.caption) == ("fig-0", "alt 0", "What it shows.")
    assert found.file == tmp_path / "a.png"
    caption = next(document.findall(nodes.caption))
    caption.clear()
    caption += [nodes.Text("The loss "), addnodes.pending_xref("", nodes.Text("eq-loss"))]
    (found,) = gallery["figures"](document, "page", tmp_path)
    assert found.caption == "alt 0."  # no reader knows a label


def test_thumbnails_are_small_and_keep_their_proportions(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, size=(600, 1200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    gallery["thumbnail"](tmp_path / "a.png", tmp_path / "small" / "a.webp")
    with Image.open(tmp_path / "small" / "a.webp") as small:
        assert small.size == (320, 160)


def test_one_page_for_all_writes_what_pages_write():
    pages = runpy.run_path(str(ROOT / "book" / "_ext" / "static_pages.py"))

    handlers = {"html": {"cell": 1, "proof": 2}, "singlehtml": {"proof": 3}}
    app = SimpleNamespace(registry=SimpleNamespace(translation_handlers=handlers))
    pages["_nodes_of_one_page"](app)
    assert handlers["singlehtml"] == {"cell": 1, "proof": 3}


def test_downloads_are_what_is_there():
    downloads = runpy.run_path(str(ROOT / "book" / "_ext" / "downloads.py"))
    (menu,) = downloads["buttons"]("book/a/b", notebook=True, pdf="../../lrmf.pdf")
    assert [link["url"] for link in menu["buttons"]] == ["b.ipynb", "../../lrmf.pdf"]
    (menu,) = downloads["buttons"]("book/a/b", notebook=True, pdf=None)
    assert [link["url"] for link in menu["buttons"]] == ["b.ipynb"]


def test_without_a_browser_there_is_no_pdf(monkeypatch, capsys):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="no Chromium was found; install one of"):
        pdf.chromium()
    assert pdf.main([]) == 1
    assert "no Chromium" in capsys.readouterr().err


def test_versions_of_the_package_agree_with_its_changelog():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf8")
    assert f'version = "{lrmf.__version__}"' in project
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    assert f"## {lrmf.__version__}" in changes


def test_lowest_versions_are_the_floors():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf8")
    lowest = (ROOT / "constraints" / "lowest.txt").read_text(encoding="utf8")
    pinned = dict(line.split("==") for line in lowest.splitlines() if "==" in line)
    for extra in ("dependencies", "jax", "tfp", "ot"):
        listed = re.search(rf"^{extra} = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)[1]
        for name, floor in re.findall(r'"([A-Za-z-]+)>=([\d.]+)"', listed):
            number = [int(part) for part in pinned[name].split(".")]
            wanted = [int(part) for part in floor.split(".")]
            assert number[: len(wanted)] == wanted, name
