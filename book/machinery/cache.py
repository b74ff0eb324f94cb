"""Forget executed chapters when what they ran with changed: code, packages, or data.

The cache of executed notebooks goes by the chapters' sources alone, and a page that Sphinx has
read is not read again. Both would keep figures that an older library drew.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import sys
from pathlib import Path

from book.machinery.config import ROOT, digest

__all__ = ["clear_if_stale"]

# What a chapter's outputs depend on besides its own source.
INPUTS = (
    *("lrmf/**/*.py", "lrmf/**/*.js", "lrmf/**/*.css", "constraints.txt"),
    *("book/results/**/*.json", "book/results/**/*.npz", "book/machinery/ipython/**/*.py"),
)


def clear_if_stale(output: Path, root: Path = ROOT, *, data: str = "") -> bool:
    """Remove what was executed with other inputs; returns whether something was removed.

    Args:
        output: the build's folder.
        root: where the inputs lie.
        data: what the chapters found, or what stood in for it.
    """
    stamp = output / "inputs.sha256"
    installed = sorted({f"{d.name} {d.version}" for d in importlib.metadata.distributions()})
    environment = repr((sys.version, installed, data))
    current = f"{digest(root, INPUTS)} {hashlib.sha256(environment.encode()).hexdigest()}"
    if stamp.is_file() and stamp.read_text(encoding="utf8") == current:
        return False
    found = False
    for name in ("executed", ".jupyter_cache", ".doctrees", "jupyter_execute"):
        found |= (output / name).is_dir()
        shutil.rmtree(output / name, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    stamp.write_text(current, encoding="utf8")
    return found
