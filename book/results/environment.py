"""What saved numbers may depend on besides their code and settings."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lrmf

__all__ = ["environment"]


def environment(packages: Sequence[str]) -> dict[str, Any]:
    """Versions, of these packages too, and the processor."""
    processor = platform.processor()
    if (cpuinfo := Path("/proc/cpuinfo")).is_file():
        lines = cpuinfo.read_text(encoding="utf8").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = models[0] if models else processor
    return {
        "lrmf": lrmf.__version__,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "processor": processor or platform.machine(),
        "cores": os.cpu_count(),
    }
