"""Regenerate the judge's hard cases: ``python -m book.results.judge_cases``.

``runs.json``, beside this script, holds settings, versions, hardware and, for each case, how often
the judge said what. `book.results.runner` has the options, and goes on where an interrupted command
stopped.

Runs: cases of which judges by refitted copies said the wrong thing, with fresh data ten times.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.judge_cases.experiments import runs

__all__ = ["runs"]

COMPLETE = True
FOLDER = Path(__file__).parent
PACKAGES = ("numpy", "scipy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__))
