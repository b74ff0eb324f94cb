"""Regenerate the results of "Glow in pixel space": ``python -m book.results.pixels``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run,
``arrays.npz`` losses and a few images. `book.results.runner` has the options, and goes on where an
interrupted command stopped. The digits are looked for as `lrmf.data.digits_pair` does.

Runs: of each of three seeds two flows back to back, the digits as they are, LRMF from three starts,
and three remedies. ``--size paper`` takes the paper's Glow instead, 32 × 32 pixels, 3 levels of 8
steps and 512 filters, and writes to ``paper/`` beside this script; ``--devices all`` divides each
batch over all GPUs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from book.results import runner
from book.results.pixels.experiments import SIZES, runs

__all__ = ["main", "runs"]

FOLDER = Path(__file__).parent
# Seeds are made one after the other, and the chapter counts those that are whole.
COMPLETE = False
PACKAGES = ("jax", "optax", "numpy", "scipy", "scikit-learn")


def main(arguments: Sequence[str]) -> int:
    """Run the command at one size."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--size", choices=list(SIZES), default="cores")
    parser.add_argument("--devices")
    own, rest = parser.parse_known_args(arguments)
    devices = int(own.devices) if (own.devices or "").isdigit() else own.devices
    facts = {}
    if own.size != "cores":
        facts["command"] = f"python -m book.results.pixels --size {own.size}"
    return runner.main(
        FOLDER if own.size == "cores" else FOLDER / own.size,
        partial(runs, size=own.size, devices=devices),
        packages=PACKAGES,
        arguments=rest,
        description=__doc__,
        **facts,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
