"""Regenerate the saved results of the worked cases: ``python -m book.results.worked_cases``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs, five seeds each: three pairs whose truth is known, left as they are, aligned by five methods,
by LRMF, and by a linear map and LRMF after it.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.worked_cases.experiments import HELD_OUT, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("POT", "jax", "numpy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__, held_out=HELD_OUT)
    )
