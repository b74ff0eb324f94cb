"""The frame of the book: settings, address, cache, dependencies, and the checks of statements."""

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from book.machinery import address, cache
from book.machinery.config import ROOT, Book, BookError
from book.machinery.labels import Labels
from book.machinery.statements import PROVED, statements

PLACEHOLDER = "REPLACE" + "_ME"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def tracked_files():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def requirements(extra):
    return [Requirement(text) for text in (EXTRAS[extra] if extra else PROJECT["dependencies"])]


def locked():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): Version(version) for name, version in pins.items()}


def test_the_address_stands_in_one_place():
    """Until the book is published under its address, the placeholder stands in for it.

    The generated notebooks repeat it, because each must know where its install cell looks.
    """
    sources = [path for path in tracked_files() if path.suffix != ".ipynb" and path.is_file()]
    holders = [
        path.relative_to(ROOT).as_posix()
        for path in sources
        if PLACEHOLDER.encode() in path.read_bytes()
    ]
    assert holders in ([], ["_config.yml"])
    assert (ROOT / "_config.yml").read_text(encoding="utf8").count("github.com/") == 1


@pytest.fixture
def copied_config(tmp_path):
    """The settings without the chapters, in a folder of their own."""
    shutil.copy(ROOT / "_config.yml", tmp_path)
    contents = {"root": "start", "parts": []}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(contents), encoding="utf8")
    (tmp_path / "start.md").write_text("# Start\n", encoding="utf8")
    return tmp_path


def test_publishing_puts_the_address_in(copied_config):
    before = Book.read(ROOT)
    address.set_address("https://github.com/some-one/lrmf", "published", copied_config)
    book = Book.read(copied_config)
    assert book.requirement_source == "git+https://github.com/some-one/lrmf@published"
    assert book.colab(book.pages[0]) == (
        "https://colab.research.google.com/github/some-one/lrmf/blob/published/start.ipynb"
    )
    assert book.macros == before.macros


@pytest.mark.parametrize("url", ["https://example.org/a/b", "https://github.com/a", "a b"])
def test_other_addresses_are_refused(copied_config, url):
    with pytest.raises(BookError, match="expected https://github"):
        address.set_address(url, "main", copied_config)


def test_address_on_another_kind_of_line_is_refused(copied_config):
    path = copied_config / "_config.yml"
    text = path.read_text(encoding="utf8")
    path.write_text(text.replace("  branch: main\n", '  branch: "main"\n'), encoding="utf8")
    with pytest.raises(BookError, match="on lines of their own"):
        address.set_address("https://github.com/a/b", "published", copied_config)


def test_build_is_strict():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    execute, settings = config["execute"], config["sphinx"]["config"]
    assert execute["raise_on_error"] is True
    assert execute["allow_errors"] is False
    assert execute["stderr_output"] == "error"
    assert settings["html_copy_source"] is False
    assert "**/*.ipynb" in config["exclude_patterns"]
    recipe = re.search(r"^book:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf8"), re.M)
    assert recipe is not None
    assert "jupyter-book build . -n -W --keep-going" in recipe[1]


@pytest.fixture
def built(tmp_path):
    """A project with a library and a build that has executed chapters."""
    (tmp_path / "lrmf").mkdir()
    (tmp_path / "lrmf" / "code.py").write_text("x = 1\n", encoding="utf8")
    output = tmp_path / "_build"
    cache.clear_if_stale(output, tmp_path)
    (output / ".jupyter_cache").mkdir()
    (output / ".doctrees").mkdir()
    return tmp_path


def test_cache_is_kept_while_the_library_is_the_same(built):
    (built / "notes.md").write_text("Not an input.", encoding="utf8")
    assert cache.clear_if_stale(built / "_build", built) is False
    assert (built / "_build" / ".jupyter_cache").is_dir()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda lrmf: (lrmf / "code.py").write_text("x = 2\n"), id="changed"),
        pytest.param(lambda lrmf: (lrmf / "more.py").write_text("y = 1\n"), id="added"),
        pytest.param(lambda lrmf: (lrmf / "code.py").rename(lrmf / "new.py"), id="renamed"),
        pytest.param(lambda lrmf: (lrmf / "code.py").unlink(), id="removed"),
    ],
)
def test_cache_is_cleared_when_the_library_changes(built, change):
    change(built / "lrmf")
    assert cache.clear_if_stale(built / "_build", built) is True
    assert not (built / "_build" / ".jupyter_cache").exists()
    assert not (built / "_build" / ".doctrees").exists()
    assert cache.clear_if_stale(built / "_build", built) is False


def test_cache_is_cleared_when_other_data_are_at_hand(built):
    output = built / "_build"
    assert cache.clear_if_stale(output, built, data="real") is True
    (output / "executed").mkdir()
    assert cache.clear_if_stale(output, built, data="real") is False
    assert cache.clear_if_stale(output, built, data="stand-in") is True
    assert not (output / "executed").exists()


@pytest.mark.parametrize("extra", [None, "jax", "tfp", "course", "notebook", "book", "dev"])
def test_lock_satisfies_the_floors(extra):
    pins = locked()
    for requirement in requirements(extra):
        if requirement.name == "lrmf":
            continue
        assert requirement.specifier, f"{requirement} has no floor"
        assert all(part.operator in (">=", "<") for part in requirement.specifier)
        assert pins[requirement.name.lower()] in requirement.specifier


def test_lock_names_versions_and_nothing_else():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.+!]+", line), line


def test_a_runtime_keeps_its_own_jupyter():
    """A notebook's install cell takes these extras; Colab's widgets must stay what they are."""
    names = {
        requirement.name.lower()
        for extra in (None, "jax", "tfp", "notebook")
        for requirement in requirements(extra)
    }
    assert names.isdisjoint({"ipywidgets", "ipykernel", "ipython", "notebook", "jupyter-book"})


def test_citation_file_names_software_and_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    assert citation["version"] == PROJECT["version"]
    paper = citation["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == [
        "Usman",
        "Sud",
        "Dufour",
        "Saenko",
    ]
    assert paper["year"] == 2020


def marks_of_statements():
    """Yield label and whether it is a negative control, for each marked test."""
    for path in sorted((ROOT / "tests" / "statements").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.statement":
                (label,) = node.args
                control = any(word.arg == "control" for word in node.keywords)
                yield ast.literal_eval(label), control


def test_what_has_a_proof_has_a_label():
    """A definition or an example that no computation can test may do without."""
    proved = [label for label in Labels(Book.read(ROOT)).by_place.values() if label.kind in PROVED]
    assert all(label.name for label in proved)


def test_every_statement_has_a_check_and_a_control():
    names = [label.name for label in statements(Labels(Book.read(ROOT)))]
    assert {"def-coupling", "thm-gaussian-monge"} <= set(names)
    marks = set(marks_of_statements())
    unchecked = [name for name in names if (name, False) not in marks]
    uncontrolled = [name for name in names if (name, True) not in marks]
    assert unchecked == [], "statements without a check in tests/statements"
    assert uncontrolled == [], "statements without a negative control in tests/statements"


def test_every_check_belongs_to_a_statement():
    known = {label.name for label in statements(Labels(Book.read(ROOT)))}
    assert sorted({label for label, _ in marks_of_statements()} - known) == []


def test_every_citation_is_used_by_its_key():
    """A bibliography entry without year or author would break a page only when it is cited."""
    from pybtex.database import parse_file

    entries = parse_file(str(ROOT / "book" / "references.bib"), bib_format="bibtex").entries
    for key, entry in entries.items():
        assert entry.persons.get("author"), key
        assert re.fullmatch(r"\d{4}", entry.fields["year"]), key
        assert entry.fields["year"] in key, key
        # Older ones have no address; their place in a library must do.
        linked = any(field in entry.fields for field in ("doi", "url", "isbn"))
        assert linked or {"journal", "volume", "pages"} <= set(entry.fields.keys()), key


def test_machine_paths_are_not_published():
    """Notebooks come without outputs, so nobody's folders or results are in them."""
    for path in tracked_files():
        if path.suffix == ".ipynb" and path.is_file():
            text = Path(path).read_text(encoding="utf8")
            assert '"outputs": []' in text
            assert "Traceback" not in text
