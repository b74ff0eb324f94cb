"""Regenerate the comparison of judges: ``python -m book.results.two_sample``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs, five seeds each: the certificate, a classifier two-sample test and an MMD permutation test on
five kinds of difference, each at two known distances, and on none.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.two_sample.experiments import DISTANCES, LEVEL, POINTS, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("numpy", "scikit-learn", "scipy")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(
            FOLDER,
            runs,
            packages=PACKAGES,
            description=__doc__,
            distances=DISTANCES,
            level=LEVEL,
            points=POINTS,
        )
    )
