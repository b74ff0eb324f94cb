"""Regenerate the saved results on labels: ``python -m book.results.labels``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs, five seeds each: three clusters whose proportions differ, with and without weights; moons that
are turned, under affine maps, and under the default ones with and without ten known labels a side.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.labels.experiments import HELD_OUT, KNOWN, runs

__all__ = ["runs"]

#: The chapter's table shows what of it has been made.
COMPLETE = False
FOLDER = Path(__file__).parent
PACKAGES = ("jax", "numpy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(
            FOLDER, runs, packages=PACKAGES, description=__doc__, held_out=HELD_OUT, known=KNOWN
        )
    )
