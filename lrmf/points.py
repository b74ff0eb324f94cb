"""Data as users bring them: checked, and read by row from memory or from disk."""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _check_feature_names, _get_feature_names

from .checks import check_numbers
from .specs import Shape

__all__ = [
    "Rows",
    "check_features",
    "check_new_names",
    "check_pair",
    "check_points",
    "check_rows",
    "check_weights",
    "feature_names",
    "sample_rows",
    "weighted",
]

#: How many values are read at a time (8 MB in float64).
_VALUES = 2**20
#: One row in so many is enough for reading all of them.
_DENSE = 64


class Rows:
    """Points ``(n, *event_shape)`` that are read by row, never copied whole.

    Args:
        source: an array, or anything with ``shape``, ``dtype`` and row indexing, such as a memory
            map (the fastest from disk) or a data set of an h5py or zarr file. One that ``draws``,
            as `lrmf.data.Dequantized`, is given the rows' numbers as they are asked for.
        rows: which rows of it are meant, by default all.
        whole: of which this is a part.
        seen: a function of points ``(n, *event_shape)`` that all pass when they are read.
    """

    def __init__(
        self,
        source: Any,
        rows: np.ndarray | None = None,
        whole: Rows | None = None,
        seen: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self._source, self._rows, self._whole, self._seen = source, rows, whole or self, seen
        # Threads may read one source, and files have a position.
        self._lock: threading.Lock = threading.Lock() if whole is None else whole._lock
        self.dtype = source.dtype
        self.checksum, self.largest = 0, 0.0
        n = int(source.shape[0]) if rows is None else len(rows)
        self.shape: Shape = (n, *map(int, source.shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        """The rows of a slice, or with these numbers, as an array."""
        rows = self._read(key)
        return rows if self._seen is None else self._seen(rows)

    def _read(self, key: slice | np.ndarray) -> np.ndarray:
        if self._rows is not None:
            key = self._rows[key]
        if isinstance(self._source, np.ndarray) or getattr(self._source, "draws", False):
            return np.asarray(self._source[key])
        with self._lock:
            return np.asarray(self._source[key]) if isinstance(key, slice) else self._picked(key)

    def _picked(self, key: np.ndarray) -> np.ndarray:
        """Rows of a source that wants increasing numbers, each of them once."""
        numbers, places = np.unique(key, return_inverse=True)
        if numbers.size == 0:
            return np.empty((*key.shape, *self.shape[1:]), dtype=self.dtype)
        # Slices are many times as fast as single rows where most of what they read is wanted.
        first, stop = int(numbers[0]), int(numbers[-1]) + 1
        if len(numbers) * _DENSE >= stop - first:
            block = max(1, _VALUES // math.prod(self.shape[1:]))
            parts = []
            for start in range(first, stop, block):
                end = min(start + block, stop)
                inside = numbers[np.searchsorted(numbers, start) : np.searchsorted(numbers, end)]
                if len(inside):
                    parts.append(np.asarray(self._source[start:end])[inside - start])
            rows = np.concatenate(parts)
        else:
            rows = np.asarray(self._source[numbers])
        return rows[places.reshape(key.shape)]

    @property
    def numbers(self) -> np.ndarray:
        """Which rows of the source these are."""
        return np.arange(len(self)) if self._rows is None else self._rows

    def subset(self, rows: np.ndarray) -> Rows:
        """Some of the rows, in this order."""
        numbers = rows if self._rows is None else self._rows[rows]
        return Rows(self._source, numbers, self._whole, self._seen)

    def seen_through(self, function: Callable[[np.ndarray], np.ndarray]) -> Rows:
        """The images of the points by a function, computed whenever rows are read."""
        return Rows(self._source, self._rows, self._whole, function)

    def chunks(self) -> Iterator[np.ndarray]:
        """All of the rows, about 8 MB at a time, in multiples of what compiled calls take."""
        rows = max(1, _VALUES // math.prod(self.shape[1:]))
        rows -= rows % next((size for size in (2048, 256) if size <= rows), 1)
        for start in range(0, len(self), rows):
            yield self[start : start + rows]

    def through(self, function: Callable[[np.ndarray], np.ndarray]) -> Rows:
        """The images of all the rows by a function of points, in memory."""
        return Rows(np.concatenate([function(chunk) for chunk in self.chunks()]))

    def check_unchanged(self, argument: str) -> None:
        """Refuse points of a source that has changed since `check_rows` read it."""
        checksum = 0
        for chunk in self._whole.chunks():
            checksum = _checksum(chunk, checksum)
        if checksum != self._whole.checksum:
            raise ValueError(
                f"{argument} changed while it was being read, so the fit is of no one data set; "
                "fit to a copy, or wait until nothing writes to it"
            )


def check_rows(x: Any, argument: str, *, minimum: int = 1, dtype: str = "float64") -> Rows:
    """Data points ``(n, *event_shape)`` of real numbers, read once, not copied.

    ``dtype`` is what the model will compute in; it must be able to hold them.

    Raises:
        TypeError: missing, or not numbers.
        ValueError: wrong rank, too few rows, no features, NaN, infinite or too large values.
    """
    if x is None:
        raise TypeError(f"{argument} is missing; data go by name, as in fit(Xs=source, Xt=target)")
    if sparse.issparse(x):
        raise TypeError(f"{argument} is a sparse matrix; pass a dense one, x.toarray()")
    if np.ma.is_masked(x):
        raise ValueError(
            f"{argument} is a masked array with {np.ma.count_masked(x)} masked values; fill them, "
            "or drop their rows"
        )
    array = x if _reads_rows(x) and x.dtype.kind != "O" else _array(x, argument)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{argument} must hold real numbers, got {type(x).__name__} with dtype {array.dtype}"
        )
    shape = tuple(array.shape)
    if len(shape) < 2:
        raise ValueError(
            f"expected {argument} of shape (n, features), got {shape}; one feature is "
            "a column: x.reshape(-1, 1)"
        )
    if shape[0] < minimum:
        rows = "no rows" if shape[0] == 0 else f"only {shape[0]} row"
        raise ValueError(f"{argument} has {rows}, shape {shape}; expected {minimum} or more")
    if 0 in shape[1:]:
        raise ValueError(f"{argument} has no features, shape {shape}")
    points = Rows(array)
    bad, bad_rows = np.zeros(shape[1:], dtype=int), 0
    largest = 0.0
    for chunk in points.chunks():
        points.checksum = _checksum(chunk, points.checksum)
        finite = np.isfinite(chunk)
        if not finite.all():
            bad += np.count_nonzero(~finite, axis=0)
            bad_rows += int(np.count_nonzero(~finite.reshape(len(chunk), -1).all(axis=1)))
        elif chunk.dtype.kind != "b":
            largest = max(largest, -float(chunk.min()), float(chunk.max()))
    if bad.any():
        names = _columns(x)
        where = [f"{k} in {name}" for name, k in zip(names, bad, strict=True) if k] if names else []
        raise ValueError(
            f"{argument} holds {bad.sum()} NaN or infinite values in {bad_rows} rows"
            f"{': ' if where else ''}{_listed(where)}; remove or impute them"
        )
    points.largest = largest
    if largest > float(np.finfo(dtype).max):
        raise ValueError(
            f"{argument} holds values up to {largest:.3g}, too large for {dtype}; standardise "
            "the data"
        )
    return points


def check_points(x: Any, argument: str, *, minimum: int = 1, dtype: str = "float64") -> np.ndarray:
    """The same as an array of float64 numbers, a copy."""
    points = check_rows(x, argument, minimum=minimum, dtype=dtype)
    return np.array(points[:], dtype=np.float64)


def check_pair(source: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Source and target, each with two or more rows and with the same features."""
    feature_names({"Xs": source, "Xt": target})
    first = check_points(source, "Xs", minimum=2)
    second = check_points(target, "Xt", minimum=2)
    check_features(second, "Xt", first.shape[1:], "Xs")
    return first, second


def feature_names(given: Mapping[str, Any]) -> list[str] | None:
    """The names of the features that data frames have, by the names of their arguments.

    Raises:
        TypeError: some column names are text, some are not.
        ValueError: data frames with other names, or in another order.
    """
    found = {argument: _get_feature_names(x) for argument, x in given.items()}
    named = {argument: names for argument, names in found.items() if names is not None}
    if not named:
        return None
    (like, first), *others = named.items()
    for argument, names in others:
        if list(names) == list(first):
            continue
        missing = [name for name in first if name not in set(names)]
        extra = [name for name in names if name not in set(first)]
        if missing or extra:
            how = [f"lacks {missing}"] if missing else []
            how += [f"has {extra}"] if extra else []
            raise ValueError(
                f"{argument} and {like} have columns of different names: {argument} "
                f"{' and '.join(how)}; give both the same columns"
            )
        raise ValueError(
            f"{argument} has the columns of {like} in another order, {list(names)} in place of "
            f"{list(first)}; reorder them: {argument}[list({like}.columns)]"
        )
    return list(first)


def check_new_names(aligner: Any, x: Any, argument: str) -> None:
    """Refuse new points whose columns have other names than the data of a fit, or another order.

    scikit-learn finds them, and warns of data without names; what it says goes on with the cure.
    """
    try:
        _check_feature_names(aligner, x, reset=False)
    except ValueError as error:
        names = aligner.feature_names_in_
        found = _get_feature_names(x)
        cure = f"{argument}[list(model.feature_names_in_)]"
        how = (
            f"reorder them: {cure}"
            if set(found) == set(names)
            else f"give it the columns {list(names)}: {cure} where it has them all"
        )
        raise ValueError(f"{argument}: {str(error).strip()}\n{how}") from None


def check_features(x: Rows | np.ndarray, argument: str, expected: Shape, like: str) -> None:
    """Refuse points of another event shape."""
    if x.shape[1:] != expected:
        wanted, got = (
            f"{shape[0]} features" if len(shape) == 1 else f"event shape {shape}"
            for shape in (expected, x.shape[1:])
        )
        raise ValueError(
            f"expected {argument} with {wanted} like {like}, "
            f"got {got.removesuffix(' features') if len(expected) == len(x.shape) - 1 else got}"
        )


def check_weights(weights: Any, argument: str, count: int) -> np.ndarray | None:
    """Weights of a sample's points ``(n,)``, scaled to the mean 1; ``None`` where all are equal.

    Raises:
        TypeError: not numbers.
        ValueError: another number of them, NaN, infinite or negative ones, or no positive one.
    """
    if weights is None:
        return None
    array = check_numbers(argument, weights)
    if array.shape != (count,):
        raise ValueError(
            f"expected {argument} of shape ({count},), a weight for each point, got {array.shape}"
        )
    if not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"{argument} must be zero or positive numbers; NaN and infinity are none")
    if not array.any():
        raise ValueError(f"{argument} are all zero, so no point counts; leave some above zero")
    # Divided by the largest first, or the sum could overflow.
    array /= array.max()
    return None if array.min() == 1.0 else array / array.mean()


def weighted(x: Rows, weights: Any, argument: str) -> tuple[Rows, np.ndarray | None]:
    """The points that have a weight, two or more, and their weights, as `check_weights` gives them.

    Raises the errors of `check_weights`, and ``ValueError`` where a single point has all of it.
    """
    found = check_weights(weights, argument, len(x))
    if found is None or found.all():
        return x, found
    rows = np.flatnonzero(found)
    if len(rows) < 2:
        raise ValueError(f"{argument} leave a single point above zero; two or more must count")
    kept = found[rows]
    return x.subset(rows), None if kept.min() == kept.max() else kept


def sample_rows(
    n: int, size: int, weights: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Numbers of ``size`` of n rows, or of all of fewer: different ones, or drawn by weights."""
    if weights is None:
        return rng.permutation(n)[:size]
    return rng.choice(n, size=min(n, size), p=weights / weights.sum())


def _columns(x: Any) -> list[str] | None:
    """The columns of a data frame as text; ``None`` for what is none."""
    names = getattr(x, "columns", None)
    # Those of an Arrow table are its data.
    if names is None or not all(isinstance(name, (str, int, tuple)) for name in names):
        return None
    return [str(name) for name in names]


def _listed(words: list[str]) -> str:
    return ", ".join(words[:10]) + (f" and {len(words) - 10} more" if len(words) > 10 else "")


def _array(x: Any, argument: str) -> np.ndarray:
    """Numbers as an array: those of lists and frames, nullable ones and those of dtype object."""
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"{argument} is no array of numbers: its rows have different lengths, or it is "
            f"no table ({error})"
        ) from None
    if array.dtype.kind != "O":
        return array
    # As scikit-learn's check_array does, but text that looks like a number is none.
    values = [np.nan if v is None or type(v).__name__ == "NAType" else v for v in array.flat]
    strange = [i for i, v in enumerate(values) if not isinstance(v, (Real, Decimal, np.bool_))]
    if strange:
        message = (
            f"{argument} must hold real numbers, got {type(x).__name__} with dtype object, which "
            f"holds {values[strange[0]]!r}"
        )
        if names := _columns(x):
            at = dict.fromkeys(names[i % len(names)] for i in strange)
            message += f"; leave out or turn into numbers: {_listed(list(at))}"
        raise TypeError(message)
    try:
        return np.array(values, dtype=np.float64).reshape(array.shape)
    except OverflowError:
        raise ValueError(
            f"{argument} holds integers too large for float64; standardise the data"
        ) from None


def _checksum(chunk: np.ndarray, before: int) -> int:
    return zlib.crc32(np.ascontiguousarray(chunk).view(np.uint8).data, before)


def _reads_rows(x: Any) -> bool:
    """Whether x may be left where it is: rows can be read by their numbers."""
    if isinstance(x, np.ndarray):
        return True
    of_numpy = isinstance(getattr(x, "dtype", None), np.dtype)
    # JAX would compile a gathering for each number of rows; frames index by label.
    elsewhere = hasattr(x, "addressable_shards") or hasattr(x, "iloc")
    return of_numpy and not elsewhere and hasattr(x, "shape") and hasattr(x, "__getitem__")
