"""Regenerate the results of "Meshes": ``python -m book.results.meshes``.

See `book.results.runner` for the options, and `book.results.meshes.experiments` for the runs: the
search for each method's learning rate on a seed of its own, then all methods with the rate that it
chose, on the made animals and on Spot and the cow, with points by area and by vertex. Spot and the
cow are downloaded, or found in the folder that ``LRMF_DATA_DIR`` names.
"""

from __future__ import annotations

from pathlib import Path

from book.results.meshes.experiments import CHOSEN, NOISE, runs
from book.results.runner import main

PACKAGES = ("jax", "optax", "POT", "trimesh", "scikit-image", "numpy", "scipy", "scikit-learn")

if __name__ == "__main__":
    raise SystemExit(
        main(
            Path(__file__).parent,
            runs,
            packages=PACKAGES,
            description=__doc__,
            chosen=CHOSEN,
            noise=NOISE,
        )
    )
