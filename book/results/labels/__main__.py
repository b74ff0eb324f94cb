"""Regenerate the saved results on labels: ``python -m book.results.labels``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs, five seeds each: moons that are turned the far way, with and without ten known labels a side;
three clusters whose proportions differ, without a cure, with weights, and with labels.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.labels.experiments import HELD_OUT, KNOWN, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "numpy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(
            FOLDER, runs, packages=PACKAGES, description=__doc__, held_out=HELD_OUT, known=KNOWN
        )
    )
