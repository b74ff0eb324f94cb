"""Regenerate the chapter's saved results: ``python -m book.results.learned_density``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
It is written anew after each one, so an interrupted command goes on where it stopped. ``--fresh``
starts over; ``--list`` names the runs; ``--steps 20`` makes them tiny and writes elsewhere;
``--workers 2`` makes two at a time.

A run is a pair of moons, near or far apart. In each, a density is fitted to B, and the map then in
three ways at several learning rates: against that density, together with a density that learns
from B alone, and by LRMF.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.learned_density.experiments import DENSITY, HELD_OUT, TRANSFORM, runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "optax", "numpy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(
            FOLDER,
            runs,
            packages=PACKAGES,
            description=__doc__,
            models={"transform": repr(TRANSFORM), "density": repr(DENSITY)},
            held_out=HELD_OUT,
        )
    )
