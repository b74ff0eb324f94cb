"""Checks of parameters and of data: what is refused, with which words, and what passes."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from lrmf import checks
from lrmf.points import check_points

NAN, INF = float("nan"), float("inf")
GOOD = np.random.default_rng(0).normal(size=(30, 2))
BAD_VALUES = GOOD.copy()
BAD_VALUES[3] = np.nan
BAD_VALUES[5, 1] = -np.inf

# For each check: what it says, what it refuses, and what it lets pass.
PARAMETERS = {
    "positive_int": (
        lambda value: checks.check_positive_int("name", value),
        "name must be a positive integer, got ",
        (0, -5, 2.5, "100", True, None, NAN),
        (1, 10**9, np.int64(3)),
    ),
    "non_negative_int": (
        lambda value: checks.check_non_negative_int("name", value),
        "name must be zero or a positive integer, got ",
        (-5, 2.5, "100", True, None, NAN),
        (0, 1, np.int64(3)),
    ),
    "seed": (
        checks.check_seed,
        "seed must be a non-negative integer, got ",
        (-1, 0.5, "0", None, True),
        (0, 7, np.uint8(3)),
    ),
    "positive_number": (
        lambda value: checks.check_positive_number("name", value),
        "name must be a positive number, got ",
        (0, 0.0, -1e-3, NAN, INF, "0.1", True, None, [0.1], 10**400),
        (1, 0.5, np.float32(0.1)),
    ),
    "positive_number, infinite": (
        lambda value: checks.check_positive_number("name", value, infinite=True),
        "name must be a positive number, got ",
        (0.0, -1.0, -INF, NAN, "10", None),
        (1.0, INF),
    ),
    "non_negative_number": (
        lambda value: checks.check_non_negative_number("name", value),
        "name must be zero or a positive number, got ",
        (-1e-3, NAN, INF, "0.1", None, True, [0.1]),
        (0, 0.0, 1e9),
    ),
    "fraction": (
        lambda value: checks.check_fraction("name", value),
        r"name must lie in \[0, 1\), got ",
        (-0.1, 1.0, 1.5, NAN, "0.1", None, True),
        (0, 0.0, 0.999),
    ),
}

DATA = {
    "missing": (None, TypeError, r"Xs is missing; data go by name, as in fit\(Xs="),
    "a number": (3.0, ValueError, r"expected Xs of shape \(n, features\), got \(\)"),
    "a vector": (GOOD[:, 0], ValueError, r"expected Xs of shape .*, got \(30,\); one feature"),
    "empty": (GOOD[:0], ValueError, r"Xs has no rows, shape \(0, 2\); expected 2 or more"),
    "an empty list": ([], ValueError, r"expected Xs of shape \(n, features\), got \(0,\)"),
    "one row": (GOOD[:1], ValueError, r"Xs has only 1 row, shape \(1, 2\); expected 2 or more"),
    "no features": (GOOD[:, :0], ValueError, r"Xs has no features, shape \(30, 0\)"),
    "NaN and inf": (BAD_VALUES, ValueError, r"Xs holds 3 NaN or infinite values in 2 rows; re"),
    "too large": (GOOD * 1e200, ValueError, r"Xs holds values up to .*e\+200, too large for flo"),
    "strings": (np.full((30, 2), "1"), TypeError, r"Xs must hold real numbers, got ndarray wi"),
    "objects": (GOOD.astype(str).astype(object), TypeError, r"Xs must hold real numbers.*holds '"),
    "complex": (GOOD + 0j, TypeError, r"Xs must hold real numbers, .* dtype complex128"),
    "dates": (np.zeros((30, 2), "M8[s]"), TypeError, r"Xs must hold real numbers, .*datetime"),
    "a sparse matrix": (sparse.csr_array(GOOD), TypeError, r"Xs is a sparse matrix; .*toarray"),
    "masked values": (np.ma.masked_less(GOOD, 0), ValueError, r"Xs is a masked array with \d+ ma"),
    "ragged rows": ([[1.0], [1.0, 2.0]], ValueError, r"Xs is no array of numbers: its rows have"),
    "a dictionary": ({"x": GOOD}, TypeError, r"Xs must hold real numbers, got dict"),
}


@pytest.mark.parametrize(
    ("check", "message", "refused", "good"), PARAMETERS.values(), ids=PARAMETERS
)
def test_parameters(check, message, refused, good):
    for value in refused:
        with pytest.raises(ValueError, match=f"^{message}"):
            check(value)
    for value in good:
        check(value)


@pytest.mark.parametrize(("data", "error", "message"), DATA.values(), ids=DATA)
def test_data(data, error, message):
    with pytest.raises(error, match="^" + message):
        check_points(data, "Xs", minimum=2, dtype="float32")


def test_numbers_of_any_type_are_data():
    for x in (GOOD, GOOD.tolist(), GOOD.astype(np.float32), GOOD > 0, GOOD.astype(int)):
        checked = check_points(x, "Xs")
        assert checked.dtype == np.float64
        np.testing.assert_array_equal(checked, np.asarray(x, dtype=float))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([[1.0], [2.0, 3.0]], ValueError, "name must be a number .*: its parts differ in length"),
        (np.ma.masked_equal([1.0, 2.0], 1.0), ValueError, "name has masked values, .*; drop them"),
        ([1, 10**400], ValueError, r"name holds integers too large for float64 .*; take other"),
        (["1"], TypeError, "name must hold real numbers, got dtype <U1"),
        ([None, 1.0], TypeError, "name must hold real numbers, got dtype object"),
        (1j, TypeError, "name must hold real numbers, got dtype complex128"),
    ],
)
def test_what_is_no_array_of_numbers(values, error, message):
    with pytest.raises(error, match=message):
        checks.check_numbers("name", values)


def test_numbers_of_any_kind_are_numbers():
    for values in (3, [True, 2], np.float16([1.0]), [Fraction(1, 2), Decimal("0.5")], 2**70):
        found = checks.check_numbers("name", values)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, np.array(values, dtype=float))
