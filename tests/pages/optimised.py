"""Python in a process of its own that optimises what it compiles, as a user's does.

The tests compile without (`conftest.py`), which fits of thousands of steps would pay for.
"""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["run"]


def run(code):
    """Run it where the project and the files of tests can be imported; return what it printed."""
    tests = Path(__file__).parents[1]
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (tests.parent, tests, tests / "pages")))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
