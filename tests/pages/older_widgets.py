"""Put the versions of ipywidgets, ipykernel and IPython that Colab has into a folder."""

import os
import re
import subprocess
import sys

import pytest

from book.machinery.config import ROOT

PINNED = ("ipykernel", "ipython", "ipywidgets")
# What these need besides, and newer ones do not.
BESIDES = ("backcall", "ipython_genutils", "pickleshare")


def install(folder):
    """Install them, nothing else; returns the folder, for the head of ``PYTHONPATH``."""
    text = (ROOT / "constraints" / "colab.txt").read_text(encoding="utf8")
    pins = [re.search(rf"^{name}==\S+$", text, re.MULTILINE)[0] for name in PINNED]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    run = subprocess.run(
        [*command, "--target", str(folder), *pins, *BESIDES],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        if os.environ.get("CI"):
            raise RuntimeError(run.stderr)
        pytest.skip(f"no package index here that has {', '.join(pins)}: {run.stderr[-300:]}")
    return folder
