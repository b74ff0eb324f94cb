"""Regenerate the saved results of the library's defaults: ``python -m book.results.defaults``.

Every run is one fit at the library's defaults, judged on 4,000 fresh points a side.
`book.results.runner` has the options, and goes on where an interrupted command stopped.

Runs: fifty fresh seeds of the moons at -50 degrees in JAX and three in TensorFlow Probability; six
clusters in 2, 8, 16 and 64 dimensions under a bent distortion, three pairs each, beside Gaussian
optimal transport, MMD and EMD flows, LRMF and MMD also with the other's map; clusters under an
affine distortion, of few points and of many; ten seeds of AUB, of the moons at +50 degrees, and of
FFJORD.
"""

from __future__ import annotations

from pathlib import Path

import lrmf
from book.results import runner
from book.results.defaults.experiments import runs

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
            defaults={name: repr(value) for name, value in lrmf.LRMF().get_params().items()}
            | {f"transform of {d} features": repr(lrmf.default_transform((d,))) for d in (2, 3)},
        )
    )
