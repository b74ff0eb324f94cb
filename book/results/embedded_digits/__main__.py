"""Regenerate the results of "Digits in a learned embedding".

``python -m book.results.embedded_digits`` needs Keras, which comes with TensorFlow. ``runs.json``,
beside this script, holds settings, versions, hardware and the numbers of each run; ``arrays.npz``
curves, which answers were right, and the embeddings of the first seed: weights of encoder and
decoder, and codes of some digits, in 16 bits. Those of the other seeds are left in ``_build``, and
trained anew where they are missing. `book.results.runner` has the options.

Runs: short trainings with other weights of the loss; then, for each seed and each way to bring the
digits to one size, an embedding and the rows of the table.
"""

from __future__ import annotations

from pathlib import Path

from book.results import runner
from book.results.embedded_digits.experiments import runs

__all__ = ["runs"]

FOLDER = Path(__file__).parent
# Seeds are made one after the other, and the chapter counts those that are whole.
COMPLETE = False
PACKAGES = ("jax", "keras", "optax", "POT", "numpy", "scipy", "scikit-learn")


if __name__ == "__main__":
    raise SystemExit(runner.main(FOLDER, runs, packages=PACKAGES, description=__doc__))
