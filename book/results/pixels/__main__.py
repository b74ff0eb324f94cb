"""Regenerate the results of "Glow in pixel space": ``python -m book.results.pixels``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run,
``arrays.npz`` losses and a few images. `book.results.runner` has the options, and goes on where an
interrupted command stopped. The digits are looked for as `lrmf.data.digits_pair` does.

Runs: of each of three seeds the digits as they are, two flows back to back, and LRMF from three
starts.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.pixels.experiments import runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "optax", "numpy", "scipy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__))
