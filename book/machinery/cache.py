"""Forget executed chapters when the code they ran changed.

The cache of executed notebooks goes by the chapters' sources alone, and a page that Sphinx has
read is not read again. Both would keep figures that an older library drew.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from book.machinery.config import ROOT, digest

__all__ = ["clear_if_stale", "main"]

# What a chapter's outputs depend on besides its own source.
INPUTS = ("lrmf/**/*.py", "constraints.txt", "book/results/**/*")


def clear_if_stale(output: Path, root: Path = ROOT) -> bool:
    """Remove what was executed with other inputs; returns whether something was removed."""
    stamp = output / "inputs.sha256"
    current = digest(root, INPUTS)
    if stamp.is_file() and stamp.read_text(encoding="utf8") == current:
        return False
    found = False
    for name in (".jupyter_cache", ".doctrees", "jupyter_execute"):
        found |= (output / name).is_dir()
        shutil.rmtree(output / name, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    stamp.write_text(current, encoding="utf8")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "_build", help="the build's folder")
    options = parser.parse_args(arguments)
    if clear_if_stale(options.output):
        print("The library changed: every chapter is executed again.")


if __name__ == "__main__":
    main()
