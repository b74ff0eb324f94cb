"""Regenerate the calibration of the judge: ``python -m book.results.judge_calibration``.

``runs.json``, beside this script, holds settings, versions, hardware and, for each block of 50
pairs, how often the judge said what, and how often three two-sample tests rejected.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs: pairs of one law, of distributions at the tolerance, and at twice the tolerance, by the kind
of their difference, dimension and number of points.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.judge_calibration.experiments import TOLERANCE, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("numpy", "scipy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__, tolerance=TOLERANCE)
    )
