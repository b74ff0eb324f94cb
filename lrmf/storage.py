"""Files of named arrays and JSON: safetensors with one JSON document in its header.

What is promised of them:

- A file holds the SHA-256 of all its bytes, which is compared before anything in it is believed.
- A write happens beside the file and then takes its place: a reader sees the old file or the new
  one, whole, and so does everybody after a failed write, a full disk or a kill. The draft that a
  kill leaves behind is replaced by the next write.
- As with an editor, a symbolic link stays a link (its target is written), permissions stay, and
  a read-only file, a folder, a pipe or a device is refused. Other names of the file, hard links,
  keep the old content.
- The same content gives the same bytes.
- Files of all earlier versions of the format are read. They had no hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
from safetensors.numpy import load, save

from .checks import plain
from .specs import Arrays

try:
    import fcntl
except ImportError:  # where a file that is open can't be removed, which is a lock of its own
    fcntl = None  # type: ignore[assignment]

__all__ = ["InUseError", "beside", "check_destination", "claimed", "read", "replace", "write"]

_KEY = "lrmf"
#: 2: with a hash. Of 1, models say so, and checkpoints say nothing. 3: models say how the points of
#: each domain were standardised.
_VERSION = 3

# In the header, which is JSON: in no other place could these quotes stand unescaped.
_HASH = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_NO_HASH = "0" * 64


class InUseError(OSError):
    """Another process, or another thread, writes this file."""


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], document: Mapping[str, Any]
) -> None:
    """Write arrays and a JSON document, in which NumPy scalars may stand for plain values.

    Raises:
        OSError: the file can't be written; the old one, if any, is as it was.
        TypeError: JSON can't hold the document.
    """
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    # ascontiguousarray makes scalars one-dimensional.
    contiguous = {name: x.reshape(np.shape(arrays[name])) for name, x in contiguous.items()}
    text = json.dumps({"version": _VERSION, **document}, default=_to_json)
    content = _in_order(save(contiguous, metadata={_KEY: text, "sha256": _NO_HASH}))
    digest = hashlib.sha256(content).hexdigest()
    replace(path, content.replace(_hash_entry(_NO_HASH), _hash_entry(digest), 1))


def replace(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file at once or not at all, as the module promises.

    Raises ``OSError`` where it can't be written; the old one, if any, is as it was.
    """
    target = check_destination(path)
    old = target.stat() if target.exists() else None
    draft = beside(target, "draft")
    # What nobody else could read must not be readable as a draft.
    with claimed(draft, 0o666 if old is None else 0o600) as file:
        file.write(content)
        file.flush()
        if old is not None:
            _take_after(draft, old)
        os.fsync(file.fileno())
        if not _is_at(file, draft):  # where the file system knows no locks
            raise InUseError(f"can't write {path}: somebody else is writing it; write it again")
        if fcntl is None:
            file.close()
        os.replace(draft, target)


def check_destination(path: str | os.PathLike[str]) -> Path:
    """The file that a path means, behind links; what can't be written is refused at once.

    Raises ``OSError``, or one of its kinds.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"can't write {path}: the folder {target.parent} does not exist")
    if target.is_symlink():
        raise OSError(f"can't write {path}: its links go round in a circle")
    if target.exists():
        mode = target.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"can't write {path}: it is a folder")
        if not stat.S_ISREG(mode):
            raise OSError(f"can't write {path}: it is a pipe, a socket or a device; name a file")
        # Root may write to any file, but was told not to.
        if not mode & 0o222 or not os.access(target, os.W_OK):
            raise PermissionError(
                f"can't write {path}: it is read-only; make it writable, or name another file"
            )
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"can't write {path}: the folder {target.parent} is read-only")
    return target


def beside(target: Path, what: str) -> Path:
    """The name of a hidden file that goes with another one."""
    name = target.name
    if len(os.fsencode(name)) > 200:  # of the 255 bytes that most systems allow
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return target.with_name(f".{name}.{what}")


@contextlib.contextmanager
def claimed(path: Path, mode: int = 0o666, *, wait: bool = True) -> Iterator[BinaryIO]:
    """A new file, open for writing, that nobody else claims meanwhile; removed if still there.

    The lock is the system's on the open file, so that a file left behind by a process that was
    killed is nobody's, and is replaced.

    Raises ``InUseError`` where another process or thread claims it, instead of waiting for it.
    """
    file = _claim(path, mode, wait)
    try:
        yield file
    finally:
        if fcntl is None:
            file.close()
            path.unlink(missing_ok=True)
        elif _is_at(file, path):  # and locked: the name is nobody else's
            path.unlink()
        file.close()


def read(path: str | os.PathLike[str], kind: str) -> tuple[Arrays, dict[str, Any]]:
    """Read what `write` wrote, if its document says that it is of this kind.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file, it is damaged, or of a later version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        arrays, document = _unpacked(path.read_bytes())
        version, found = document.pop("version", 1), document["kind"]
    except (
        safetensors.SafetensorError,
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"{path} is not a file written by lrmf, or it is cut short or damaged ({error}); "
            "write it again"
        ) from error
    if version not in range(1, _VERSION + 1):
        raise ValueError(
            f"{path} has version {version} of the file format, this lrmf reads versions up to "
            f"{_VERSION}; use the lrmf that wrote it"
        )
    if found != kind:
        cure = "name the file of the model" if found == "checkpoint" else f"use {found}.load"
        if kind == "checkpoint":
            cure = "name another file"
        raise ValueError(f"{path} holds a {found}, expected a {kind}; {cure}")
    return arrays, document


def _unpacked(content: bytes) -> tuple[Arrays, dict[str, Any]]:
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    hashes = _HASH.findall(header)
    for found in hashes:
        hollow = content.replace(b'"sha256":"%b"' % found, _hash_entry(_NO_HASH), 1)
        if hashlib.sha256(hollow).hexdigest().encode() != found:
            raise ValueError("its content is not what its SHA-256 says")
    metadata = json.loads(header)["__metadata__"]
    document = json.loads(metadata[_KEY])
    # A damaged file must not pass for one of the time before hashes.
    if not hashes and (metadata.keys() != {_KEY} or document.get("version", 1) != 1):
        raise ValueError("its SHA-256 is missing")
    return load(content), document


def _in_order(content: bytes) -> bytes:
    """The same file with its metadata in one order, which safetensors leaves to chance."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def _hash_entry(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


def _to_json(value: Any) -> Any:
    found = plain(value)
    if found is value:
        raise TypeError(f"{type(value).__name__} is not JSON serializable")
    return found


def _claim(path: Path, mode: int, wait: bool) -> BinaryIO:
    while True:
        try:
            descriptor, is_new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), True
        except FileExistsError:
            try:
                descriptor, is_new = os.open(path, os.O_RDWR), False
            except FileNotFoundError:
                continue  # just removed
        file = os.fdopen(descriptor, "wb")
        try:
            _lock(file, wait)
            if _is_at(file, path):
                if is_new:
                    return file
                if fcntl is None:
                    file.close()
                path.unlink()  # left behind
        except BlockingIOError as error:
            file.close()
            raise InUseError(f"another process or thread has claimed {path}") from error
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: BinaryIO, wait: bool) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return  # a file system that knows no locks


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


def _take_after(path: Path, old: os.stat_result) -> None:
    """Give a file the owner, where that is allowed, and the permissions of another one."""
    mode = stat.S_IMODE(old.st_mode)
    if (os.stat(path).st_uid, os.stat(path).st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(path, old.st_uid, old.st_gid)
        except PermissionError:
            mode &= ~0o070  # of another group than it was
    os.chmod(path, mode)
