"""Regenerate the choice among fifty maps: ``python -m book.results.judge_selection``.

``runs.json``, beside this script, holds settings, versions, hardware and what was measured on each
map. `book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs: eight pairs of datasets, and fifty maps for each: methods, settings and seeds, good and bad.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.judge_selection.experiments import runs

__all__ = ["runs"]

COMPLETE = True
FOLDER = Path(__file__).parent
PACKAGES = ("numpy", "scipy", "scikit-learn", "jax", "POT")


if __name__ == "__main__":
    raise SystemExit(runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__))
