"""Files of named arrays and JSON: safetensors with one JSON document in its header.

Files are written beside their place and then moved there, so that a reader never sees half of one
and an old file survives a failed write.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save

from .specs import Arrays

__all__ = ["check_destination", "read", "write"]

_KEY = "lrmf"


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], document: Mapping[str, Any]
) -> None:
    """Write arrays and a JSON document to a file, atomically."""
    path = Path(path)
    check_destination(path)
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    # ascontiguousarray makes scalars one-dimensional.
    contiguous = {name: x.reshape(np.shape(arrays[name])) for name, x in contiguous.items()}
    content = save(contiguous, metadata={_KEY: json.dumps(document)})
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def check_destination(path: Path) -> None:
    """Refuse a path that can't be written, before anything is computed for it."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"can't write {path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"can't write {path}: it is a folder")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"can't write {path}: the folder {path.parent} is read-only")


def read(path: str | os.PathLike[str], kind: str) -> tuple[Arrays, dict[str, Any]]:
    """Read what `write` wrote, if its document says that it is of this kind.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file, or it is cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        document = json.loads(metadata[_KEY])
        found = document["kind"]
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a file written by lrmf, or it is cut short or damaged ({error}); "
            "write it again"
        ) from error
    if found != kind:
        raise ValueError(f"{path} holds a {found}, expected a {kind}")
    return arrays, document


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
