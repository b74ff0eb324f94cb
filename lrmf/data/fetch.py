"""Finding data files: the folder ``LRMF_DATA_DIR`` first, then the cache, then a download.

Whatever the place, the content is checked before it is used: by the SHA-256 of the arrays where
it is known (of type, shape and values), else by the MD5 of the official file. Sizes are checked
before anything is unpacked. A download becomes part of the cache in one rename after that check,
so the cache never holds half a file or a wrong one. Where the cache
cannot be written, the download is used all the same.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrmf import storage
from lrmf.data import download
from lrmf.data.download import LARGEST, MIRRORS, REMEMBERED, Failure

__all__ = ["DataFile", "DataUnavailableError", "cache_dir", "load"]

DATA_DIR_VARIABLE = "LRMF_DATA_DIR"
CACHE_DIR_VARIABLE = "LRMF_CACHE_DIR"

_log = logging.getLogger(__name__)
# Without a handler, Python prints warnings on stderr, where they fail the build of a page.
_log.addHandler(logging.NullHandler())


class DataUnavailableError(OSError):
    """The data are neither in ``LRMF_DATA_DIR`` nor in the cache, and cannot be downloaded.

    >>> import lrmf
    >>> issubclass(lrmf.data.DataUnavailableError, OSError)  # as if a file were missing
    True
    """


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """One official file: where it is published, how to read it, how to recognise it.

    Attributes:
        dataset (str):
            Key into ``MIRRORS``.
        name (str):
            The official file name, also the name in the cache.
        archive (str or None):
            A NumPy archive which may hold the same arrays in ``LRMF_DATA_DIR``.
        arrays (tuple of str):
            What the file holds, named as in the archive.
        sha256 (tuple of str):
            Of each array, by `array_hash`. Empty where unknown; an archive is then not used.
        md5 (str or None):
            Of the official file, where the arrays' hashes are unknown.
        read (callable):
            From the file's bytes to the tuple of arrays.
    """

    dataset: str
    name: str
    arrays: tuple[str, ...]
    read: Callable[[bytes], tuple[np.ndarray, ...]]
    archive: str | None = None
    sha256: tuple[str, ...] = ()
    md5: str | None = None

    def __post_init__(self) -> None:
        if not self.sha256 and self.md5 is None:
            raise ValueError(f"give sha256 or md5 of {self.name}: a download has to be checked")

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the file is published, in the order in which to ask."""
        return tuple(mirror + self.name for mirror in MIRRORS[self.dataset])


def cache_dir() -> Path:
    """Folder of the downloaded files: ``LRMF_CACHE_DIR``, or the usual place of the system.

    Asking for it does not create it. Raises ``ValueError`` for the home of an unknown user.

    >>> import lrmf
    >>> lrmf.data.cache_dir().is_absolute()
    True
    """
    chosen = os.environ.get(CACHE_DIR_VARIABLE)
    if chosen:
        folder = os.path.expanduser(chosen)
        if folder.startswith("~"):
            raise ValueError(
                f"{CACHE_DIR_VARIABLE} is {chosen!r}, the home of a user who is not known here; "
                "set it to an absolute path"
            )
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_cache_dir("lrmf"))


def load(file: DataFile) -> tuple[np.ndarray, ...]:
    """Return the arrays of a file from the first place that has it.

    Raises:
        DataUnavailableError:
            If no place has it, and no mirror delivers it or one attempt has failed in the last ten
            minutes. The message says how to get it, and how to have it tried again at once.
        ValueError:
            If ``LRMF_DATA_DIR`` is not a folder, or a file in it is damaged.
    """
    folder = _data_dir()
    if folder is not None:
        arrays = _load_from_folder(folder, file)
        if arrays is not None:
            return arrays
    cached = cache_dir() / file.name
    if os.path.isfile(cached):
        try:
            return _read_official(cached, file)
        except (OSError, ValueError) as error:
            # The old file stays until a good one has replaced it.
            _log.warning("%s is damaged (%s); downloading it again", cached, error)
    failure = download.recall(file.dataset, cached.parent)
    if failure is not None:
        raise _unavailable(file, cached, failure)
    return _download(file, cached)


def _data_dir() -> Path | None:
    chosen = os.environ.get(DATA_DIR_VARIABLE)
    if not chosen:
        return None
    # Unlike the methods of Path, these functions raise nothing, whatever the variable holds.
    folder = Path(os.path.expanduser(chosen))
    if not os.path.isdir(folder):
        raise ValueError(
            f"{DATA_DIR_VARIABLE} is {chosen!r}, and {folder.absolute()} is not a folder; "
            "set it to the absolute path of the folder with the data, or unset it to download them"
        )
    return folder


def _load_from_folder(folder: Path, file: DataFile) -> tuple[np.ndarray, ...] | None:
    candidates: list[tuple[Path, Callable[[Path, DataFile], tuple[np.ndarray, ...]]]] = []
    if file.archive is not None and file.sha256:
        candidates.append((folder / file.archive, _read_archive))
    candidates.append((folder / file.name, _read_official))
    for path, read in candidates:
        if os.path.isfile(path):
            try:
                return read(path, file)
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"{path} is damaged or not the file expected: {error}. Replace it, or remove "
                    f"it to use the cache or {file.urls[0]}"
                ) from error
    return None


def _read_archive(path: Path, file: DataFile) -> tuple[np.ndarray, ...]:
    _check_size(path.stat().st_size)
    try:
        # NumPy leaves a file open that it opened itself and then could not read.
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is not a .npz archive")
            for entry in archive.zip.infolist() if archive.zip else ():
                _check_size(entry.file_size)
            arrays = tuple(archive[name] for name in file.arrays)
    except Exception as error:  # NumPy and zipfile let through what any decompressor raises
        raise ValueError(f"cannot read {' and '.join(file.arrays)} from it ({error})") from error
    _check_hashes(arrays, file)
    return arrays


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"{size / 1e6:.0f} MB long, more than the {LARGEST / 1e6:.0f} MB allowed")


def _read_official(path: Path, file: DataFile) -> tuple[np.ndarray, ...]:
    _check_size(path.stat().st_size)
    return _read_content(path.read_bytes(), file)


def _read_content(content: bytes, file: DataFile) -> tuple[np.ndarray, ...]:
    if file.md5 is not None:
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if md5 != file.md5:
            raise ValueError(f"expected MD5 {file.md5}, got {md5}")
    arrays = file.read(content)
    _check_hashes(arrays, file)
    return arrays


def _check_hashes(arrays: tuple[np.ndarray, ...], file: DataFile) -> None:
    if not file.sha256:
        return
    for name, array, expected in zip(file.arrays, arrays, file.sha256, strict=True):
        found = array_hash(array)
        if found != expected:
            raise ValueError(f"expected SHA-256 {expected} for {name}, got {found}")


def array_hash(array: np.ndarray) -> str:
    """The SHA-256 of an array: of its data type and shape, and its bytes in C order.

    >>> array_hash(np.zeros(2, np.uint8)) == array_hash(np.zeros((2, 1), np.uint8))
    False
    """
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _download(file: DataFile, cached: Path) -> tuple[np.ndarray, ...]:
    from urllib3.exceptions import HTTPError

    failures = []
    for url in file.urls:
        _log.info("downloading %s to %s", url, cached)
        try:
            content = download.get(url)
            arrays = _read_content(content, file)
        except (OSError, ValueError, HTTPError) as error:
            failures.append(download.failure_of(url, error))
        else:
            _keep(content, cached)
            return arrays
    what = f"{file.name} from {'; '.join(failures)}"
    raise _unavailable(file, cached, download.remember(file.dataset, cached.parent, what))


def _keep(content: bytes, cached: Path) -> None:
    """Put a good download in the cache; where that fails, the next process downloads it again."""
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        storage.replace(cached, content)
    except OSError as error:
        _log.warning(
            "%s was downloaded and is used, but cannot be kept in the cache folder %s (%s); set %s "
            "to a folder that can be written",
            cached.name,
            cached.parent,
            error.strerror or error,
            CACHE_DIR_VARIABLE,
        )


def _unavailable(file: DataFile, cached: Path, failure: Failure) -> DataUnavailableError:
    age = time.time() - failure.when
    earlier = f" {age:.0f} s ago" if age >= 1 else ""
    damaged = "the damaged" if os.path.isfile(cached) else "no"
    where = f"the cache folder {cached.parent}"
    if os.environ.get(DATA_DIR_VARIABLE):
        where = f"{DATA_DIR_VARIABLE} or {where}"
    return DataUnavailableError(
        f"cannot download {file.name}, and {damaged} {file.name} is in {where}. "
        f"Tried{earlier}: {failure.what}. Where there is no network, {_how_to_get_it(file)}. "
        f"After a failure, {file.dataset.upper()} is not tried again for {REMEMBERED / 60:.0f} "
        f"minutes; to have it tried at once, {failure.try_again}"
    )


def _how_to_get_it(file: DataFile) -> str:
    archive = f"{file.archive} (arrays {', '.join(file.arrays)}) or " if file.sha256 else ""
    return (
        f"fetch {file.urls[0]} on another machine and set {DATA_DIR_VARIABLE} to a folder which "
        f"holds {archive}{file.name}"
    )
