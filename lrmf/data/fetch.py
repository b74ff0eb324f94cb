"""Finding data files: the folder ``LRMF_DATA_DIR`` first, then the cache, then a download.

Whatever the place, the content is checked before it is used: by the SHA-256 of the arrays where
it is known, else by the MD5 of the official file. A download becomes part of the cache in one
rename after that check, so the cache never holds half a file or a wrong one.
"""

import hashlib
import logging
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["DataFile", "DataUnavailableError", "cache_dir", "load"]

DATA_DIR_VARIABLE = "LRMF_DATA_DIR"
CACHE_DIR_VARIABLE = "LRMF_CACHE_DIR"

BASE_URLS = {
    "usps": "https://hastie.su.domains/ElemStatLearn/datasets/",
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
}

# Seconds to connect, and between two packets: without a network, fail soon.
_TIMEOUT = (10, 30)

_log = logging.getLogger(__name__)


class DataUnavailableError(OSError):
    """The data are neither in ``LRMF_DATA_DIR`` nor in the cache, and cannot be downloaded."""


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """One official file: where it is published, how to read it, how to recognise it.

    Attributes:
        dataset (str):
            Key into ``BASE_URLS``.
        name (str):
            The official file name, also the name in the cache.
        archive (str or None):
            A NumPy archive which may hold the same arrays in ``LRMF_DATA_DIR``.
        arrays (tuple of str):
            What the file holds, named as in the archive.
        sha256 (tuple of str):
            Of each array's bytes in C order. Empty where unknown; an archive is then not used.
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
    def url(self) -> str:
        """Where the file is published."""
        return BASE_URLS[self.dataset] + self.name


def cache_dir() -> Path:
    """Folder of the downloaded files: ``LRMF_CACHE_DIR``, or the usual place of the system.

    Asking for it does not create it.
    """
    chosen = os.environ.get(CACHE_DIR_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("lrmf"))


def load(file: DataFile) -> tuple[np.ndarray, ...]:
    """Return the arrays of a file from the first place that has it.

    Raises:
        DataUnavailableError:
            If no place has it and it cannot be downloaded. The message says how to get it.
        ValueError:
            If ``LRMF_DATA_DIR`` is not a folder, a file in it is damaged, or the download is.
        OSError:
            If the cache folder cannot be written.
    """
    folder = _data_dir()
    if folder is not None:
        arrays = _load_from_folder(folder, file)
        if arrays is not None:
            return arrays
    cached = cache_dir() / file.name
    if cached.is_file():
        try:
            return _read_official(cached, file)
        except ValueError as error:
            # The old file stays until a good one has replaced it.
            _log.warning("%s is damaged (%s); downloading it again", cached, error)
    return _download(file, cached)


def _data_dir() -> Path | None:
    chosen = os.environ.get(DATA_DIR_VARIABLE)
    if not chosen:
        return None
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
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
        if path.is_file():
            try:
                return read(path, file)
            except ValueError as error:
                raise ValueError(
                    f"{path} is damaged or not the file expected: {error}. Replace it, or remove "
                    f"it to use the cache or {file.url}"
                ) from error
    return None


def _read_archive(path: Path, file: DataFile) -> tuple[np.ndarray, ...]:
    try:
        # NumPy leaves a file open that it opened itself and then could not read.
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is not a .npz archive")
            arrays = tuple(archive[name] for name in file.arrays)
    except (EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"cannot read {' and '.join(file.arrays)} from it ({error})") from error
    _check_hashes(arrays, file)
    return arrays


def _read_official(path: Path, file: DataFile) -> tuple[np.ndarray, ...]:
    content = path.read_bytes()
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
        found = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        if found != expected:
            raise ValueError(f"expected SHA-256 {expected} for {name}, got {found}")


def _download(file: DataFile, destination: Path) -> tuple[np.ndarray, ...]:
    import pooch
    import requests

    _log.info("downloading %s to %s", file.url, destination)
    try:
        with _staging_folder(destination.parent) as staging, _quiet(pooch.get_logger()):
            pooch.retrieve(
                file.url,
                known_hash=None,  # the content is checked below, before it enters the cache
                fname=file.name,
                path=staging,
                downloader=pooch.HTTPDownloader(timeout=_TIMEOUT),
            )
            try:
                arrays = _read_official(staging / file.name, file)
            except ValueError as error:
                raise ValueError(
                    f"the download from {file.url} is damaged or not the file expected: {error}. "
                    f"Nothing was kept; try again later, or {_how_to_get_it(file)}"
                ) from error
            os.replace(staging / file.name, destination)
    except requests.RequestException as error:
        raise DataUnavailableError(
            f"cannot download {file.url} ({type(error).__name__}), and "
            f"{'the damaged' if destination.exists() else 'no'} {file.name} is in the cache folder "
            f"{destination.parent}. Where there is no network, {_how_to_get_it(file)}"
        ) from error
    return arrays


@contextmanager
def _staging_folder(cache: Path) -> Iterator[Path]:
    """Make a folder beside the cached files, for one rename to move a file into place."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".download-", dir=cache))
    except OSError as error:
        raise OSError(
            f"cannot write to the cache folder {cache} ({error.strerror}); set "
            f"{CACHE_DIR_VARIABLE} to a folder that can be written, or {DATA_DIR_VARIABLE} to one "
            "that already holds the data"
        ) from error
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Silence pooch's advice to copy a file hash: the arrays' hashes are what counts here."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _how_to_get_it(file: DataFile) -> str:
    archive = f"{file.archive} (arrays {', '.join(file.arrays)}) or " if file.sha256 else ""
    return (
        f"fetch {file.url} on another machine and set {DATA_DIR_VARIABLE} to a folder which holds "
        f"{archive}{file.name}"
    )
