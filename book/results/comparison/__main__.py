"""Regenerate the results of "The comparison": ``python -m book.results.comparison --workers 2``.

See `book.results.runner` for the options, and `book.results.comparison.experiments` for the runs:
the search for each method's settings on seeds of its own, all methods with the settings that it
chose on other seeds and at both angles, the adversarial methods over their training, and LRMF with
many settings, to choose among.
"""

from __future__ import annotations

from pathlib import Path

from book.results.comparison.experiments import runs
from book.results.comparison.methods import BY_LABELS, CHOSEN
from book.results.runner import main

PACKAGES = ("jax", "optax", "POT", "numpy", "scipy", "scikit-learn")

if __name__ == "__main__":
    raise SystemExit(
        main(
            Path(__file__).parent,
            runs,
            packages=PACKAGES,
            description=__doc__,
            chosen=CHOSEN,
            by_labels=BY_LABELS,
        )
    )
