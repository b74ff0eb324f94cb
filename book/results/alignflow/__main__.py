"""Regenerate the saved results on AlignFlow: ``python -m book.results.alignflow``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs, five seeds each, on moons that are turned and on made pictures with a known truth: AlignFlow
with five weights of the likelihood, with a shared flow, its relatives RevGAN and CycleGAN, and for
comparison LRMF and the Gaussian transport map.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.alignflow.experiments import HELD_OUT, runs

__all__ = ["runs"]

#: The chapter's tables show what of it has been made.
COMPLETE = False
FOLDER = Path(__file__).parent
PACKAGES = ("jax", "numpy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__, held_out=HELD_OUT)
    )
