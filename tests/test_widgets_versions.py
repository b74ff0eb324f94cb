"""The tests of the widgets once more, with the ipywidgets, IPython and ipykernel of Colab."""

import os
import subprocess
import sys

import older_widgets
import pytest

from book.machinery.config import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# What touches ipywidgets or IPython; the pictures are the same.
ONLY = "slider or start_over or live or static_page or without_ipywidgets"


def test_the_widgets_work_with_the_versions_of_colab(tmp_path):
    folder = older_widgets.install(tmp_path / "older")
    path = os.pathsep.join([str(folder), str(ROOT)])
    tests = ROOT / "tests" / "test_widgets.py"
    code = (
        "import sys, ipywidgets, IPython, pytest\n"
        "print(ipywidgets.__version__, IPython.__version__)\n"
        f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {str(tests)!r}, '-k', {ONLY!r}]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.startswith("7.7.1 7.34.0\n"), run.stdout[:500] + run.stderr[-500:]
    assert run.returncode == 0, run.stdout[-3000:]
    assert " passed" in run.stdout
