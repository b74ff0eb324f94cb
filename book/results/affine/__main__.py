"""Regenerate the saved results of "Affine LRMF": ``python -m book.results.affine``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs: positive definite maps under normal densities on blobs and moons, ten seeds in each backend,
with the moments of training and of fresh points; and for moons the distance under RealNVP
densities before and after that map, and after an affine map that was fitted under them.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.affine.experiments import HELD_OUT, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "tensorflow", "tensorflow-probability", "numpy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(
            FOLDER,
            runs,
            packages=PACKAGES,
            description=__doc__,
            held_out=HELD_OUT,
        )
    )
