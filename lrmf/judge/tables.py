"""Tables of numbers in files, read piece by piece, of which only the rows to be judged are kept.

CSV by Python's own reader, NPY by a memory map, Parquet by pyarrow.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["SUFFIXES", "Table", "read_table"]

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".npy", ".parquet", ".pq")

#: Rows that are read at a time.
_ROWS = 65_536
# What people write for a value that is missing.
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of a file that are judged, and what was counted in all of them.

    Attributes:
        path: the file.
        columns: their names; "1", "2", ... where the file has none.
        named: whether the file names its columns.
        rows: how many rows the file has.
        points: the rows that were kept ``(n, columns)``, float64.
        numbers: which rows these are ``(n,)``, counted from 1 and without the names.
        dropped: rows left out because of a missing value.
    """

    path: str
    columns: tuple[str, ...]
    named: bool
    rows: int
    points: np.ndarray
    numbers: np.ndarray
    dropped: int


def read_table(
    path: str,
    *,
    columns: Sequence[str] | None = None,
    drop_missing: bool = False,
    at_most: int = 50_000,
    seed: Sequence[int] = (0,),
) -> Table:
    r"""Read a file piece by piece and keep ``at_most`` of its rows, drawn with equal chances.

    Args:
        path: its name ends in one of `SUFFIXES`. The first line of a CSV file names its columns
            if a cell in it is no number.
        columns: those to read, in this order; by default all.
        drop_missing: leave rows out that have a missing, NaN or infinite value, in place of
            refusing the file.
        at_most: rows that are kept.
        seed: of the rows that are kept.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no table of numbers, has no rows, or has values missing; the message says
            which columns.
        ImportError: Parquet without pyarrow.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "people.csv"
    >>> _ = path.write_text("age,income\n31,2100\n45,3900\n")
    >>> read_table(str(path)).columns
    ('age', 'income')
    """
    names, named, pieces = _open(path, columns)
    keep = _Kept(at_most, np.random.default_rng(np.random.SeedSequence(list(seed))))
    missing = np.zeros(len(names), dtype=int)
    rows = dropped = 0
    for piece in pieces:
        numbers = rows + 1 + np.arange(len(piece))
        rows += len(piece)
        bad = ~np.isfinite(piece)
        if bad.any():
            missing += bad.sum(axis=0)
            whole = ~bad.any(axis=1)
            dropped += int((~whole).sum())
            piece, numbers = piece[whole], numbers[whole]
        keep.add(piece, numbers)
    if rows == 0:
        raise ValueError(f"{path} has no rows of numbers")
    if missing.any() and not drop_missing:
        where = ", ".join(f"{k:,} in {names[i]}" for i, k in enumerate(missing) if k)
        raise ValueError(
            f"{path} has {missing.sum():,} missing, NaN or infinite cells, in {dropped:,} of "
            f"{rows:,} rows: {where}; fill them in, or leave the rows out with --drop-missing"
        )
    points, numbers = keep.sorted(len(names))
    return Table(
        path=path,
        columns=tuple(names),
        named=named,
        rows=rows,
        points=points,
        numbers=numbers,
        dropped=dropped,
    )


class _Kept:
    """Some of the rows of a stream, each with the same chance: those with the smallest draws."""

    def __init__(self, at_most: int, rng: np.random.Generator) -> None:
        self._at_most, self._rng = at_most, rng
        self._draws = np.empty(0)
        self._points: np.ndarray | None = None
        self._numbers = np.empty(0, dtype=np.int64)

    def add(self, points: np.ndarray, numbers: np.ndarray) -> None:
        draws = self._rng.random(len(points))
        if self._points is not None:
            points = np.concatenate([self._points, points])
        draws = np.concatenate([self._draws, draws])
        numbers = np.concatenate([self._numbers, numbers])
        if len(points) > self._at_most:
            kept = np.argpartition(draws, self._at_most)[: self._at_most]
            points, draws, numbers = points[kept], draws[kept], numbers[kept]
        self._points, self._draws, self._numbers = points, draws, numbers

    def sorted(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        if self._points is None:
            return np.empty((0, width)), self._numbers
        order = np.argsort(self._numbers)
        return self._points[order], self._numbers[order]


def _open(path: str, wanted: Sequence[str] | None) -> tuple[list[str], bool, Iterator[np.ndarray]]:
    """Names of the columns, whether the file has them, and the rows in pieces."""
    name = path.lower()
    if not name.endswith(SUFFIXES):
        raise ValueError(
            f"{path}: unknown kind of file; its name must end in {', '.join(SUFFIXES)}"
        )
    if Path(path).is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist")
    if name.endswith(".npy"):
        return _npy(path, wanted)
    if name.endswith((".parquet", ".pq")):
        return _parquet(path, wanted)
    return _csv(path, wanted)


def _chosen(path: str, names: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    """Which columns of a file are meant."""
    names = list(names)
    meant = names if wanted is None else wanted
    if twice := sorted({name for name in meant if names.count(name) > 1}):
        raise ValueError(f"{path} has several columns {', '.join(twice)}; rename them")
    if wanted is None:
        if "" in names:
            raise ValueError(
                f"column {names.index('') + 1} of {path} has no name; it may be a row index, "
                "which is no feature: name the columns to judge with --columns, or name this one"
            )
        return list(range(len(names)))
    if not wanted:
        raise ValueError("columns names none; name those to judge, or leave it out")
    lacking = [name for name in wanted if name not in names]
    if lacking:
        raise ValueError(f"{path} has no column {', '.join(lacking)}; it has {_listed(names)}")
    return [names.index(name) for name in wanted]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _csv(path: str, wanted: Sequence[str] | None) -> tuple[list[str], bool, Iterator[np.ndarray]]:
    opened: Callable[..., Any] = gzip.open if path.lower().endswith(".gz") else open

    def lines() -> Iterator[tuple[int, list[str]]]:
        line = 1
        try:
            with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
                first = file.readline()
                delimiter = max(",;\t", key=first.count)  # the comma, where none is in it
                reader = csv.reader(itertools.chain([first], file), delimiter=delimiter)
                for row in reader:
                    line = reader.line_num
                    if row:
                        yield line, row
        except UnicodeDecodeError:
            raise ValueError(f"{path} is no text in UTF-8") from None
        except (csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is damaged near line {line}: {error}") from None

    stream = lines()
    try:
        line, first = next(stream)
    except StopIteration:
        raise ValueError(f"{path} is empty") from None
    named = any(_number(cell) is None for cell in first)
    names = [c.strip() for c in first] if named else [str(i + 1) for i in range(len(first))]
    columns = _chosen(path, names, wanted)
    rest = stream if named else itertools.chain([(line, first)], stream)
    return [names[i] for i in columns], named, _pieces(path, rest, names, columns)


def _pieces(
    path: str, stream: Iterator[tuple[int, list[str]]], names: list[str], columns: list[int]
) -> Iterator[np.ndarray]:
    everything = columns == list(range(len(names)))
    while block := list(itertools.islice(stream, _ROWS)):
        for line, row in block:
            if len(row) != len(names):
                raise ValueError(
                    f"{path} has {len(row)} cells in line {line}, and {len(names)} in the first"
                )
        rows = [row if everything else [row[i] for i in columns] for _, row in block]
        found = None
        if "_" not in "".join(map("".join, rows)):  # which Python takes inside of a number
            with contextlib.suppress(ValueError):  # something is missing, or text
                found = np.array(rows, dtype=np.float64)
        if found is None:
            found = np.array(
                [[_read(path, line, names[i], row[i]) for i in columns] for line, row in block]
            )
        yield found


def _read(path: str, line: int, column: str, cell: str) -> float:
    value = _number(cell)
    if value is None:
        raise ValueError(
            f"{path}: column {column} holds text, {cell.strip()[:40]!r} in line {line}; turn it "
            "into numbers, or name the other columns with --columns"
        )
    return value


def _number(cell: str) -> float | None:
    """The number that a cell holds, NaN where it is missing, None for text."""
    cell = cell.strip()
    if cell.lower() in _MISSING:
        return math.nan
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _npy(path: str, wanted: Sequence[str] | None) -> tuple[list[str], bool, Iterator[np.ndarray]]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is no NPY file of numbers: {error}") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is an archive of arrays (NPZ); save the one to judge as NPY")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds {array.dtype}; the judge takes real numbers")
    if array.ndim == 0:
        raise ValueError(f"{path} holds a single number; the judge takes one row for each point")
    width = math.prod(array.shape[1:])
    if width == 0:
        raise ValueError(f"{path} has no columns, shape {array.shape}")
    names = [str(i + 1) for i in range(width)]
    columns = _chosen(path, names, wanted)

    def pieces() -> Iterator[np.ndarray]:
        rows = max(1, min(_ROWS, 2**22 // width))
        for start in range(0, len(array), rows):
            block = np.asarray(array[start : start + rows], dtype=np.float64)
            yield block.reshape(len(block), width)[:, columns]

    return [names[i] for i in columns], False, pieces()


def _parquet(
    path: str, wanted: Sequence[str] | None
) -> tuple[list[str], bool, Iterator[np.ndarray]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            f"{path} needs pyarrow. Run: pip install pyarrow, or write the table as CSV"
        ) from error
    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path} is no Parquet file: {error}") from None
    names = list(file.schema_arrow.names)
    columns = _chosen(path, names, wanted)
    chosen = [names[i] for i in columns]

    def pieces() -> Iterator[np.ndarray]:
        for batch in file.iter_batches(batch_size=_ROWS, columns=chosen):
            yield np.stack([_values(path, name, batch.column(name)) for name in chosen], axis=1)

    return chosen, True, pieces()


def _values(path: str, name: str, column: Any) -> np.ndarray:
    """A column of a record batch as numbers, NaN where it is missing."""
    values = column.to_numpy(zero_copy_only=False)
    try:
        if values.dtype.kind == "O":  # Boolean or decimal numbers, some of them missing; or text
            if any(isinstance(value, str | bytes) for value in values):
                raise TypeError
            values = np.array([math.nan if v is None else float(v) for v in values])
        if values.dtype.kind not in "fiub":
            raise TypeError
    except TypeError:
        raise ValueError(
            f"{path}: column {name} holds no numbers but {column.type}; turn it into numbers, or "
            "name the other columns with --columns"
        ) from None
    return values.astype(np.float64)
