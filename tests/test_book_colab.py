"""Walk the path of a reader in Colab: a runtime, the notebook, its install cell, every cell.

As in Colab the runtime has JAX, TensorFlow and all the rest, in the versions of these tests, but
neither the library nor what the book is built with. The install cell takes the library from this
checkout.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from book.machinery.config import ROOT, Book
from book.machinery.course import fingerprints
from book.machinery.notebooks import chapters

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# The lightest notebook: the path is the same for all, and each is run by nbval besides.
NOTEBOOK = "book/intro"


#: Installed here, but no part of the runtime.
MISSING = ("lrmf", "_editable", "pip", "ipywidgets", "jupyter_book", "distutils")


@pytest.fixture
def runtime(tmp_path):
    """The interpreter of a virtual environment that borrows the packages of this one."""
    folder = tmp_path / "runtime"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    here, there = (
        Path(
            subprocess.run(
                [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
        )
        for interpreter in (sys.executable, python)
    )
    for entry in here.iterdir():
        if not entry.name.startswith(MISSING) and not (there / entry.name).exists():
            (there / entry.name).symlink_to(entry)
    return python


def installed(python):
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    )
    return {package["name"].lower(): package["version"] for package in json.loads(listed.stdout)}


def test_notebook_runs_in_a_bare_runtime(runtime, tmp_path, monkeypatch):
    (page,) = [page for page in chapters(Book.read(ROOT)) if page.name == NOTEBOOK]
    before = installed(runtime)
    assert {"jax", "tensorflow", "tensorflow-probability"} <= before.keys()
    assert not {"lrmf", "ipywidgets"} & before.keys()

    kernel = tmp_path / "kernels" / "bare"
    kernel.mkdir(parents=True)
    command = [str(runtime), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    specification = {"argv": command, "display_name": "Bare", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(specification), encoding="utf8")
    for name in ("PYTHONPATH", "MPLBACKEND", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("LRMF_INSTALL_SOURCE", ROOT.as_uri())

    notebook = nbformat.read(page.notebook, as_version=4)
    where = "import lrmf, sys; print(lrmf.__file__, sys.executable)"
    notebook.cells.append(nbformat.v4.new_code_cell(where))
    client = NotebookClient(
        notebook,
        kernel_name="bare",
        timeout=1500,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()

    library, python = notebook.cells[-1].outputs[0].text.split()
    assert python == str(runtime)
    assert library.startswith(str(runtime.parent.parent) + os.sep)
    after = installed(runtime)
    assert set(after) - set(before) == {"lrmf"}
    # What the runtime brought along stays as it was.
    assert {name: after[name] for name in before} == before
    assert "ipywidgets" not in after
    assert sys.executable != python
    assert solutions_in(Path(library).parent) == {}


def solutions_in(package):
    """Lines of solutions to the assignments in what the wheel installs, by file."""
    lines, found = fingerprints(), {}
    for path in package.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            text = path.read_text(encoding="utf8", errors="ignore")
            held = [line for line in lines if line in text]
            found |= {str(path): held} if held else {}
    return found


def test_a_solution_in_a_package_is_found(tmp_path):
    line = sorted(fingerprints())[0]
    (tmp_path / "results.json").write_text(f"before {line} after", encoding="utf8")
    assert solutions_in(tmp_path) == {str(tmp_path / "results.json"): [line]}
