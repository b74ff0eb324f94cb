"""Regenerate the saved results on AlignFlow: ``python -m book.results.alignflow``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs, five seeds each: AlignFlow with five weights of the likelihood and with a shared flow, on
moons that are turned and on made pictures with a known truth; Flow-GAN on the latter; and AlignFlow
on the codes of digits that `book.results.embedded_digits` brings along, in both directions, without
labels and with a classifier of the source that watches the flows.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.alignflow.experiments import HELD_OUT, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "numpy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__, held_out=HELD_OUT)
    )
