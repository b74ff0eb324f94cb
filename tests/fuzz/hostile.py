"""What people hand to a library: data of every kind, and parameters of every type."""

import datetime
import decimal
import fractions
import tempfile
import warnings

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from scipy import sparse

MAGNITUDES = (1e-300, 1e-200, 1e-155, 1e-30, 1e-8, 1.0, 1e3, 1e8, 1e30, 1e100, 1e155, 1e200, 1e300)
PATTERNS = (
    "plain", "one NaN", "all NaN", "inf", "-inf", "row of NaN", "zeros", "identical rows",
    "constant feature", "twice a feature", "ties", "one far point", "two magnitudes",
)  # fmt: skip
DTYPES = (
    "float64", "float32", "float16", "longdouble", ">f8", ">f4", "int8", "int64", "uint64", "bool",
    "complex128", "object", "str", "bytes", "datetime64[s]", "timedelta64[s]", "structured",
)  # fmt: skip
CONTAINERS = (
    "array", "list", "tuple", "read-only", "negative strides", "Fortran", "every second",
    "masked", "unmasked", "sparse", "matrix", "memory map", "frame", "series",
)  # fmt: skip
OTHERS = (None, 0, 1.5, "points", b"points", True, {}, {"x": [1.0]}, {1.0, 2.0}, object, len)
SIZES = (0, 1, 2, 3, 7, 25, 40)

#: Wrong, odd and right values of parameters.
VALUES = (
    None, True, False, -1, 0, 1, 2, 3, 7, 0.5, -0.5, 1.0, 2.0, -0.0, 1e-300, 1e300, 1e-12, 1e6,
    float("nan"), float("inf"), -float("inf"), 10**400, -(10**400), 2**63, 2**70, 1j,
    "", "1", "mean", "median", "gaussian", "full", "float32", b"1",
    (), (1,), (2, 3), (0.5,), (-1,), [], [1.0], [4, 4], {}, {"a": 1}, set(), frozenset({1}),
    np.int64(3), np.int8(-1), np.uint64(2), np.float32(0.5), np.float64(1e-3), np.float64("nan"),
    np.float16(2.0), np.longdouble(0.25), np.bool_(True), np.str_("mean"), np.datetime64("2020"),
    np.array(1.0), np.array(2), np.array([1, 2]), np.array([]), np.array([[0.5]]), np.array("a"),
    decimal.Decimal("0.5"), fractions.Fraction(1, 2), datetime.date(2020, 1, 1), object(), int,
    np.float64, len, range(3), Ellipsis, NotImplemented, np.ma.masked, pd.NA, pd.Series([1.0]),
)  # fmt: skip

values = st.sampled_from(VALUES)


@st.composite
def points(draw, n=None, d=None):
    """Points as good as any or as bad as any; half of them are plain float64 arrays."""
    n = draw(st.sampled_from(SIZES)) if n is None else n
    d = draw(st.sampled_from((0, 1, 1, 2, 2, 2, 3))) if d is None else d
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = draw(st.sampled_from(((n, d),) * 8 + ((n,), (n, d, 2), (n, 1, d, 1), ())))
    x = _patterned(rng.normal(size=shape), draw(st.sampled_from(PATTERNS[:1] * 9 + PATTERNS)))
    x = x + draw(st.sampled_from((0.0, 0.0, 0.0, 1.0, 30.0, 1e6, 1e12)))
    with np.errstate(over="ignore"):
        x = x * draw(st.sampled_from(MAGNITUDES[5:6] * 9 + MAGNITUDES))
    x = _typed(np.asarray(x), draw(st.sampled_from(DTYPES[:1] * 17 + DTYPES)))
    return _contained(x, draw(st.sampled_from(CONTAINERS[:1] * 14 + CONTAINERS)), rng)


@st.composite
def pairs(draw):
    """Source and target, most of them with the same features."""
    if draw(st.integers(0, 15)) == 0:
        return tuple(draw(st.permutations((draw(st.sampled_from(OTHERS)), draw(points())))))
    if draw(st.integers(0, 15)) == 0:
        x = draw(points())
        return x, x
    if draw(st.booleans()):  # nothing but their values is odd
        return draw(_tables())
    d = draw(st.sampled_from((1, 2, 2, 2, 3, None)))
    n = st.sampled_from((*SIZES, 25, 40, 40))
    return draw(points(draw(n), d)), draw(points(draw(n), d))


@st.composite
def _tables(draw):
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    d = draw(st.sampled_from((1, 2, 2, 3)))
    scale = draw(st.sampled_from(MAGNITUDES[5:6] * 9 + MAGNITUDES[:-1]))
    shift = draw(st.sampled_from((0.0, 0.0, 1.0, 30.0, 1e6)))
    both = []
    for n in (30, 40):
        pattern = draw(st.sampled_from(PATTERNS[:1] * 19 + PATTERNS))
        both.append((_patterned(rng.normal(size=(n, d)), pattern) + shift) * scale)
    return tuple(both)


def _patterned(x, pattern):
    if x.ndim < 2 or x.size == 0:
        return x
    if pattern == "one NaN":
        x[-1, ..., 0] = np.nan
    elif pattern == "all NaN":
        x[...] = np.nan
    elif pattern in ("inf", "-inf"):
        x[0] = float(pattern)
    elif pattern == "row of NaN":
        x[len(x) // 2] = np.nan
    elif pattern == "zeros":
        x[...] = 0.0
    elif pattern == "identical rows":
        x[...] = x[0]
    elif pattern == "constant feature":
        x[:, 0] = 1.0
    elif pattern == "twice a feature":
        x[:, -1] = x[:, 0]
    elif pattern == "ties":
        x = np.round(x)
    elif pattern == "one far point":
        x[0] *= 1e9
    elif pattern == "two magnitudes":
        x[:, 0] *= 1e9
    return x


def _typed(x, dtype):
    if dtype == "structured":
        return np.zeros(x.shape, dtype=[("a", float), ("b", int)])
    with np.errstate(all="ignore"):
        if dtype in ("datetime64[s]", "timedelta64[s]", "uint64"):
            return np.clip(np.nan_to_num(np.abs(x)), 0, 1e15).astype("int64").astype(dtype)
        if dtype.startswith("int"):
            return np.clip(np.nan_to_num(x), -100, 100).astype(dtype)
        return x.astype(dtype)


def _contained(x, container, rng):
    if container in ("list", "tuple"):
        items = x.tolist()
        if isinstance(items, list) and len(items) > 2 and rng.random() < 0.3:
            items[1] = [0.0] * 5  # ragged
        return tuple(items) if container == "tuple" and isinstance(items, list) else items
    if container == "read-only":
        x.setflags(write=False)
    elif container == "negative strides" and x.ndim:
        return x[::-1]
    elif container == "Fortran":
        return np.asfortranarray(x)
    elif container == "every second" and x.ndim:
        return np.repeat(x, 2, axis=0)[::2]
    elif container in ("masked", "unmasked"):
        mask = rng.random(x.shape) < 0.2 if container == "masked" else False
        return np.ma.masked_array(x, mask=mask) if x.dtype.names is None else x
    elif container == "sparse" and x.ndim == 2 and x.dtype.kind == "f" and x.dtype.itemsize == 8:
        return sparse.csr_array(x.astype(float))
    elif container == "matrix" and x.ndim == 2:
        with warnings.catch_warnings(action="ignore"):
            return np.asmatrix(x)
    elif container == "memory map" and x.size and x.dtype.kind in "fiub":
        with tempfile.TemporaryFile() as file:
            mapped = np.memmap(file, dtype=x.dtype, mode="w+", shape=x.shape)
        mapped[...] = x
        return mapped
    elif container == "frame" and x.ndim == 2 and x.dtype.isnative and x.dtype.names is None:
        return pd.DataFrame(x)
    elif container == "series" and x.ndim == 1 and x.dtype.isnative and x.dtype.names is None:
        return pd.Series(x)
    return x
