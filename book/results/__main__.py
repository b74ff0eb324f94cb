"""Regenerate the saved results of all chapters: ``python -m book.results``.

Runs the commands of `COMMANDS`, ``python -m book.results.affine`` and so on, one after the other
with the options of this one; `book.results.runner` has them. Each goes on where it was interrupted,
so this command does. It stops at the first that fails. Whole, it takes hours.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from book.results import runner

__all__ = ["COMMANDS", "main"]

#: In the order of the chapters, but last those that download data.
COMMANDS = (
    "affine",
    "judge_calibration",
    "judge_cases",
    "judge_selection",
    "two_sample",
    "worked_cases",
    "labels",
    "defaults",
    "starts",
    "realnvp",
    "ffjord",
    "learned_density",
    "comparison",
    "meshes",
    "first_real_pair",
    "embedded_digits",
    "pixels",
    "alignflow",
    "testing",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all commands, each in a process of its own: what one compiled is gone for the next."""
    arguments = sys.argv[1:] if arguments is None else arguments
    runner.parser(__doc__).parse_args(arguments)
    for name in COMMANDS:
        command = f"python -m book.results.{name}"
        print(f"== {command}", flush=True)
        code = subprocess.call([sys.executable, "-m", f"book.results.{name}", *arguments])
        if code:
            print(f"{command} failed with exit code {code}", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
