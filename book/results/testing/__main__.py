"""Regenerate the saved results on testing: ``python -m book.results.testing``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs: level and power of five two-sample tests against a shift and against another shape with the
same moments, in 2 and 32 dimensions; and, five seeds each, how well three scores under several
densities tell MNIST's digits from what is none. The digits are downloaded, or found in the folder
that ``LRMF_DATA_DIR`` names.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.testing.experiments import LEVEL, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "optax", "numpy", "scipy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__, level=LEVEL))
