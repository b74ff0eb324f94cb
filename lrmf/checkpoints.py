"""Checkpoints: one file that holds how far each stage of a fit has come.

After an interruption, however rude, the same call with the same checkpoint file goes on from the
last write and ends where an uninterrupted run would have ended, bit for bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import storage
from .specs import Arrays

__all__ = ["Checkpoint", "Record"]

_KIND = "checkpoint"


@dataclass(frozen=True)
class Record:
    """How far one stage has come: a JSON document and named arrays."""

    document: dict[str, Any]
    arrays: Arrays


class Checkpoint:
    """The records of a fit's stages, in memory and in a file.

    Args:
        path: the file. What an earlier run wrote there is read.
        fingerprint: identifies settings and data; a file with another one is refused.
        every: write a running stage after this many steps.
        writes: whether this process writes the file, which others that fit with it only read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fingerprint: str,
        every: int,
        writes: bool = True,
    ) -> None:
        self.path = Path(path)
        self.every, self._writes = every, writes
        self._fingerprint = fingerprint
        self._records: dict[str, Record] = {}
        self._lock = threading.Lock()  # stages may run side by side
        storage.check_destination(self.path)
        if not self.path.exists():
            return
        arrays, document = storage.read(self.path, _KIND)
        if document["fingerprint"] != fingerprint:
            raise ValueError(
                f"the checkpoint {self.path} belongs to another fit (its settings, data or "
                "backend differ); remove it, or name another file"
            )
        for name, stage in document["stages"].items():
            prefix = f"{name}:"
            self._records[name] = Record(
                stage,
                {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)},
            )

    def get(self, name: str) -> Record | None:
        """The record of a stage, if there is one."""
        return self._records.get(name)

    def put(self, name: str, document: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the record of a stage, and write the file."""
        with self._lock:
            self._records[name] = Record(document, dict(arrays))
            if self._writes:
                self._write()

    def _write(self) -> None:
        storage.write(
            self.path,
            {
                f"{stage}:{key}": value
                for stage, record in self._records.items()
                for key, value in record.arrays.items()
            },
            {
                "kind": _KIND,
                "fingerprint": self._fingerprint,
                "stages": {stage: record.document for stage, record in self._records.items()},
            },
        )
