"""Regenerate the saved results of the chapter "RealNVP LRMF": ``python -m book.results.realnvp``.

Every run is one fit. ``runs.json``, beside this script, holds settings, versions, hardware and the
numbers of each run, ``arrays.npz`` its curves and moved points. `book.results.runner` has the
options, and goes on where an interrupted command stopped.

Runs: moons at -50 and +50 degrees, moons from a reflected start, the distance before any alignment,
moons at +50 degrees with three times the steps, blobs as on the page, at the paper's size and
learning rate, and trained for too long, and one fit of the moons in TensorFlow Probability.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.realnvp.experiments import HELD_OUT, MOONS, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "tensorflow", "tensorflow-probability", "optax", "numpy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(
            FOLDER,
            runs,
            packages=PACKAGES,
            description=__doc__,
            models={name: repr(value) for name, value in MOONS.items()},
            curve=runner.CURVE,
            held_out=HELD_OUT,
        )
    )
