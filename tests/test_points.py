"""Points as users bring them: read by row, from memory and from disk."""

import h5py
import numpy as np
import pytest
import zarr

from lrmf.points import Rows, check_points, check_rows, check_weights

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(500, 3))


class OnDisk:
    """What files offer: shape, dtype, and rows by a slice or by increasing numbers."""

    def __init__(self, x):
        self.x, self.shape, self.dtype, self.read = x, x.shape, x.dtype, 0

    def __getitem__(self, key):
        if not isinstance(key, slice):
            assert (np.diff(key) > 0).all()
        rows = self.x[key]
        self.read = max(self.read, len(rows))
        return rows


@pytest.fixture(params=["array", "memmap", "rows", "h5py", "zarr"])
def source(request, tmp_path):
    if request.param == "array":
        return POINTS
    if request.param == "rows":
        return OnDisk(POINTS)
    if request.param == "memmap":
        np.save(tmp_path / "x.npy", POINTS)
        return np.load(tmp_path / "x.npy", mmap_mode="r")
    if request.param == "h5py":
        return h5py.File(tmp_path / "x.h5", "w").create_dataset("x", data=POINTS)
    return zarr.array(POINTS)


def test_rows_are_read_by_number(source):
    rows = check_rows(source, "Xs")
    assert rows.shape == (500, 3)
    numbers = RNG.integers(500, size=(7, 4))
    np.testing.assert_array_equal(rows[numbers], POINTS[numbers])
    np.testing.assert_array_equal(rows[10:20], POINTS[10:20])
    order = RNG.permutation(500)[:100]
    part = rows.subset(order).subset(np.array([3, 1, 4]))
    np.testing.assert_array_equal(part[:], POINTS[order[[3, 1, 4]]])
    np.testing.assert_array_equal(np.concatenate(list(rows.chunks())), POINTS)
    np.testing.assert_array_equal(rows.through(lambda x: 2 * x)[:], 2 * POINTS)
    rows.check_unchanged("Xs")
    np.testing.assert_array_equal(check_points(source, "Xs"), POINTS)


@pytest.mark.parametrize("count", [3, 400])
def test_few_rows_and_many_are_picked_alike(count, monkeypatch):
    monkeypatch.setattr("lrmf.points._VALUES", 100)  # several slices
    numbers = RNG.integers(40, 500, size=count)
    np.testing.assert_array_equal(Rows(OnDisk(POINTS))[numbers], POINTS[numbers])


def test_nothing_is_read_whole():
    source = OnDisk(np.zeros((10**6, 3), dtype=np.float32))
    rows = check_rows(source, "Xs")
    rows.check_unchanged("Xs")
    assert source.read < 400_000


@pytest.mark.parametrize("shape", [(5000, 2), (5000, 3), (100, 8, 8, 3), (3, 10**6)])
def test_chunks_are_of_what_compiled_calls_take(shape):
    sizes = [len(chunk) for chunk in Rows(np.zeros(shape, dtype=np.int8)).chunks()]
    assert sum(sizes) == shape[0]
    for size in sizes[:-1]:
        assert size == 1 or size % 256 == 0


def test_points_that_change_are_refused():
    x = POINTS.copy()
    rows = check_rows(x, "Xs")
    x[17, 1] += 1e-9
    with pytest.raises(ValueError, match=r"^Xs changed while it was being read.*fit to a copy"):
        rows.check_unchanged("Xs")


def test_weights_are_scaled_to_the_mean_one():
    np.testing.assert_allclose(check_weights([1, 2, 3], "w", 3), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(check_weights(np.array([1e300, 3e300]), "w", 2), [0.5, 1.5])
    np.testing.assert_allclose(check_weights([True, False], "w", 2), [2.0, 0.0])
    assert check_weights(None, "w", 3) is None
    assert check_weights([4.0, 4.0], "w", 2) is None


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, 2.0], ValueError, r"expected w of shape \(3,\), a weight for each point, got \(2,"),
        (2.0, ValueError, r"expected w of shape \(3,\), .*, got \(\)"),
        ([[1.0], [1.0], [1.0]], ValueError, r"expected w of shape \(3,\), .*, got \(3, 1\)"),
        ([1.0, -1.0, 1.0], ValueError, "w must be zero or positive numbers"),
        ([1.0, np.nan, 1.0], ValueError, "w must be zero or positive numbers"),
        ([1.0, np.inf, 1.0], ValueError, "w must be zero or positive numbers"),
        ([0, 0, 0], ValueError, "w are all zero, so no point counts"),
        (["1", "1", "1"], TypeError, "w must hold real numbers, got dtype <U1"),
        ([None, 1.0, 1.0], TypeError, "w must hold real numbers, got dtype object"),
    ],
)
def test_bad_weights(weights, error, message):
    with pytest.raises(error, match="^" + message):
        check_weights(weights, "w", 3)
