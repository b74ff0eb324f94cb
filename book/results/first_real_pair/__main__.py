"""Regenerate the results of "A first real pair": ``python -m book.results.first_real_pair``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run,
``arrays.npz`` curves, tables of answers, and a few hundred points in three directions.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs: the held-out likelihood of MNIST for several numbers of components and widths of the network,
LRMF in several numbers of components, LRMF with more steps, the distance of digits that were
shrunk by hand, and what else the chapter says of one run; each with several seeds.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.first_real_pair.experiments import runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "optax", "numpy", "scipy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(
        runner.main(
            FOLDER,
            runs,
            packages=PACKAGES,
            description=__doc__,
        )
    )
