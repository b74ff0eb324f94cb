"""Checkpoints: one file that holds how far each stage of a fit has come.

After an interruption, however rude, the same call with the same checkpoint file goes on from the
last write and ends where an uninterrupted run would have ended, bit for bit. The file belongs to
one fit at a time, and a write that fails costs no more than what it would have kept.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from . import storage
from .specs import Arrays

__all__ = ["Checkpoint", "CheckpointWarning", "Record"]

_KIND = "checkpoint"


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; the fit goes on without.

    To make it an error:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", CheckpointWarning)
    """


@dataclass(frozen=True)
class Record:
    """How far one stage has come: a JSON document and named arrays."""

    document: dict[str, Any]
    arrays: Arrays


class Checkpoint:
    """The records of a fit's stages, in memory and in a file, which is locked until `close`.

    Args:
        path: the file. What an earlier run wrote there is read.
        fingerprint: identifies settings and data; a file with another one is refused.
        every: write a running stage after this many steps.
        writes: whether this process writes the file, which others that fit with it only read.

    Raises:
        OSError: the file can't be written.
        ValueError: another fit is writing the file, or it is that of another one, or damaged.
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
        self._held = contextlib.ExitStack()
        target = storage.check_destination(self.path)
        try:
            if writes:
                # A file beside it: each write puts another one in its own place.
                lock = storage.beside(target, "lock")
                self._held.enter_context(storage.claimed(lock, wait=False))
            self._read()
        except storage.InUseError as error:
            raise ValueError(
                f"another fit is writing the checkpoint {self.path}; wait for it to end, or name "
                "another file"
            ) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the file to other fits."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read(self) -> None:
        if not self.path.exists():
            return
        arrays, document = storage.read(self.path, _KIND)
        stages = document.get("stages")
        if not isinstance(stages, dict):
            raise ValueError(f"the checkpoint {self.path} is damaged; remove it")
        if document.get("fingerprint") != self._fingerprint:
            raise ValueError(
                f"the checkpoint {self.path} belongs to another fit (its settings, data, backend "
                "or version of lrmf differ); remove it, or name another file"
            )
        for name, stage in stages.items():
            prefix = f"{name}:"
            self._records[name] = Record(
                stage,
                {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)},
            )

    def get(self, name: str) -> Record | None:
        """The record of a stage, if there is one."""
        return self._records.get(name)

    def put(self, name: str, document: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the record of a stage, and write the file.

        Warns ``CheckpointWarning`` where it can't be written: the fit is worth more.
        """
        with self._lock:
            self._records[name] = Record(document, dict(arrays))
            if not self._writes:
                return
            try:
                self._write()
            except OSError as error:
                warnings.warn(
                    f"the checkpoint {self.path} could not be written ({error}); the fit goes on, "
                    "and tries again at the next. Until then, what the file holds is older: free "
                    "some space, or see to its folder",
                    CheckpointWarning,
                    stacklevel=2,
                )

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
