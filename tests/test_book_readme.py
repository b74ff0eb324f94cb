"""The README's example runs as printed, and its links lead somewhere."""

import json
import re

import optimised
import pytest

import lrmf
from book.machinery import picture
from book.machinery.config import ROOT, BookError

README = (ROOT / "README.md").read_text(encoding="utf8")


@pytest.mark.slow
def test_example_aligns_and_its_picture_is_drawn(tmp_path):
    printed = optimised.run(
        "import warnings\n"
        "from pathlib import Path\n"
        "from book.machinery import picture\n"
        'warnings.simplefilter("error")\n'
        'warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation")\n'
        "names = picture.run_example()\n"
        'assert names["moved"].shape == names["test"].source.shape\n'
        f"picture.draw(names, Path({str(tmp_path)!r}) / 'picture.png')"
    )
    assert printed.startswith("aligned")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_example_must_be_there(tmp_path):
    (tmp_path / "README.md").write_text("Nothing here.", encoding="utf8")
    with pytest.raises(BookError, match=r"README\.md has no block of Python code"):
        picture.run_example(tmp_path)


def test_example_has_about_ten_lines():
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len([line for line in code.split("\n") if line.strip()]) <= 10


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    files = [link for link in links if "://" not in link and not link.startswith("../../actions")]
    assert all((ROOT / file).is_file() for file in files), files


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_commands_that_are_named_exist(name):
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    text = (ROOT / name).read_text(encoding="utf8")
    for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_judge_s_errors_are_those_of_the_saved_runs():
    folder = lrmf.data.saved_results("judge_calibration")
    runs = json.loads((folder / "runs.json").read_text(encoding="utf8"))["runs"].values()
    pairs, wrong = sum(run["pairs"] for run in runs), 0
    for run in runs:
        truth = run["settings"]["truth"]
        count = run["aligned" if truth > 0.1 else "not aligned"]
        assert truth == 0.1 or count == 0
        wrong += count
    decided = pairs - sum(run["not decided"] for run in runs)
    told = f"Of {pairs:,} pairs of known distance it decided {decided:,}, and was wrong on {wrong},"
    assert told in README.replace("\n", " ")
