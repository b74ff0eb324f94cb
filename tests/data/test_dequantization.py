"""Integers as points of a density: noise that is drawn anew, and bits per dimension."""

import numpy as np
import pytest
from scipy import stats

from lrmf.data import Dequantized, bits_per_dimension
from lrmf.points import check_rows

IMAGES = np.random.default_rng(0).integers(256, size=(300, 4, 4), dtype=np.uint8)


def test_values_lie_in_their_integers_cell_and_are_uniform_there():
    x = Dequantized(IMAGES)
    assert x.shape == (300, 4, 4, 1)
    assert x.dtype == np.float64
    assert len(x) == 300
    assert x.levels == 256
    rows = x[:]
    np.testing.assert_array_equal(np.floor(rows * 256)[..., 0], IMAGES)
    noise = (rows * 256) % 1.0
    assert stats.kstest(noise.ravel(), "uniform").pvalue > 1e-3
    assert repr(x) == "Dequantized((300, 4, 4, 1), levels=256, seed=0)"
    np.testing.assert_array_equal(x.images[..., 0], IMAGES)


def test_each_minibatch_has_noise_of_its_own_and_each_row_of_it():
    rows = check_rows(Dequantized(IMAGES), "x")
    first, second = rows[np.array([3, 3, 5])], rows[np.array([3, 4, 5])]
    assert (first[0] != first[1]).any()
    assert (first[0] != second[0]).any()
    np.testing.assert_array_equal(np.floor(first * 256), np.floor(first[[1, 0, 2]] * 256))
    chunk = rows[np.array([[3, 5], [3, 5]])]
    assert (chunk[0] != chunk[1]).all(axis=(1, 2, 3)).all()


def test_who_asks_the_same_again_gets_the_same():
    x, again, other = Dequantized(IMAGES), Dequantized(IMAGES), Dequantized(IMAGES, seed=1)
    some = np.array([1, 2, 7])
    np.testing.assert_array_equal(x[some], again[some])
    np.testing.assert_array_equal(x[2:9], again[2:9])
    assert (x[some] != other[some]).any()
    rows = check_rows(x, "x")
    rows.check_unchanged("x")
    part = rows.subset(np.arange(100, 200))
    np.testing.assert_array_equal(np.floor(part[:3] * 256)[..., 0], IMAGES[100:103])


def test_the_largest_noise_stays_below_the_next_integer():
    class Highest:
        def random(self, shape):
            return np.full(shape, np.nextafter(1.0, 0.0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "default_rng", lambda _: Highest())
        x = Dequantized(np.full((1, 1, 1), 200, np.uint8))[:]
    assert np.floor(x * 256).item() == 200


def test_bits_per_dimension_are_those_of_the_integers():
    # Integers 0 and 1 of 4, each pixel by itself with probabilities 1/4 and 3/4.
    p = np.array([0.25, 0.75])
    entropy = -(p * np.log2(p)).sum()
    counts = np.array([1, 3])
    log_prob = counts @ np.log(4 * p)  # of four pixels, one of them 0
    bits = bits_per_dimension(np.array([log_prob]), (2, 2, 1), levels=4)
    assert bits == pytest.approx(entropy)
    assert bits_per_dimension(0.0, (3, 3, 3)) == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dequantized(IMAGES, levels=1), "levels must lie between 2 and 65536, got 1"),
        (lambda: Dequantized(IMAGES, levels=2.5), r"levels must be an integer, got 2\.5"),
        (lambda: Dequantized(IMAGES, levels=16), r"from 0 to 15, got values from 0 to 255; set"),
        (lambda: Dequantized(IMAGES.astype(int) - 9), "from 0 to 255, got values from -9 to 246"),
        (lambda: Dequantized(IMAGES, seed=-1), "seed must be a non-negative integer, got -1"),
        (lambda: Dequantized(IMAGES[0]), r"shape \(n, height, width, channels\).*got \(4, 4\)"),
        (lambda: Dequantized(IMAGES[:0]), r"hold some, got \(0, 4, 4\)"),
        (
            lambda: Dequantized(np.zeros((2, 3, 8, 8), np.uint8)),
            r"\(2, 3, 8, 8\) seem to have their channels first.*moveaxis\(images, 1, -1\)",
        ),
        (lambda: bits_per_dimension([0.0], ()), r"event_shape must hold positive .*got \(\)"),
        (lambda: bits_per_dimension([0.0], 2), "event_shape must hold positive integers.*got 2"),
        (lambda: bits_per_dimension([0.0], (0, 2)), "each size in event_shape must be a p.*got 0"),
        (lambda: bits_per_dimension([0.0], ("a",)), "each size in event_shape must be .*got 'a'"),
        (lambda: bits_per_dimension([0.0], (2,), levels=None), "levels must be a positive integ"),
        (lambda: bits_per_dimension([0.0], (2,), levels=1), "levels must be 2 or more, got 1"),
    ],
)
def test_bad_images_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_images_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match=r"integers from 0 to 255, got dtype float64.*rint\(255"):
        Dequantized(IMAGES / 255)


def test_other_images_get_other_noise():
    first, second = (Dequantized(x)[:] * 256 for x in (IMAGES, IMAGES // 2))
    assert not np.isclose(first - IMAGES[..., None], second - (IMAGES // 2)[..., None]).any()
