"""Regenerate the saved results of where T starts: ``python -m book.results.starts``.

Every run is one fit at the library's defaults but for the start, judged on 2,000 fresh points a
side. `book.results.runner` has the options, and goes on where an interrupted command stopped.

Starts: the identity, the map that matches the moments of each feature, the image of Gaussian
optimal transport, and the library's choice. Data: moons whose source is moved away or stretched,
moons at angles all around, and clusters of 16 and 64 features that lie near each other or far.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.starts.experiments import runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
#: Some of the runs have still to be made: those of further seeds.
COMPLETE = False
PACKAGES = ("jax", "optax", "numpy", "scipy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__))
