import numpy as np
import pytest

from lrmf.data.images import resize, slant, thicken


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((6, 16, 16), dtype=np.float32)


@pytest.mark.parametrize("size", [4, 8, 15, 16, 17, 28, 32])
def test_resizing_gives_the_size_the_type_and_the_range(images, size):
    resized = resize(images, size=size)
    assert resized.shape == (6, size, size)
    assert resized.dtype == np.float32
    assert resized.min() >= images.min()
    assert resized.max() <= images.max()


@pytest.mark.parametrize("size", [8, 23])
def test_each_image_is_resized_by_itself(images, size):
    together = resize(images, size=size)
    alone = np.concatenate([resize(image[None], size=size) for image in images])
    np.testing.assert_array_equal(together, alone)


def test_the_same_size_changes_nothing(images):
    np.testing.assert_array_equal(resize(images, size=16), images)


@pytest.mark.parametrize("size", [8, 16, 28])
def test_constant_images_stay_constant(size):
    np.testing.assert_allclose(resize(np.full((1, 16, 16), 0.7), size=size), 0.7)


@pytest.mark.parametrize("size", [17, 28, 32])
def test_enlarging_is_linear_interpolation_at_the_pixel_centres(images, size):
    """NumPy's one-dimensional interpolation, along the rows and then along the columns."""
    centres = (np.arange(size) + 0.5) * 16 / size - 0.5
    old = np.arange(16)
    for image, resized in zip(images, resize(images.astype(float), size=size), strict=True):
        rows = np.array([np.interp(centres, old, row) for row in image])
        both = np.array([np.interp(centres, old, column) for column in rows.T]).T
        np.testing.assert_allclose(resized, both, atol=1e-9)


def test_shrinking_does_not_alias():
    """Stripes finer than the new grid turn to grey; plain sampling would leave broad bands."""
    stripes = np.tile(np.arange(28) % 2, (1, 28, 1)).astype(float)
    inner = resize(stripes, size=12)[0, :, 2:-2]
    sampled = np.interp((np.arange(12) + 0.5) * 28 / 12 - 0.5, np.arange(28), stripes[0, 0])
    assert np.ptp(sampled[2:-2]) > 0.6
    assert np.ptp(inner) < 0.35


def test_orientation_and_place_are_kept():
    image = np.zeros((1, 28, 28))
    image[0, 4:8, 18:22] = 1  # upper right: rows 4-7 of 28 and columns 18-21
    small = resize(image, size=14)[0]
    rows, columns = np.indices(small.shape)
    assert (small * rows).sum() / small.sum() == pytest.approx(2.5, abs=0.05)
    assert (small * columns).sum() / small.sum() == pytest.approx(9.5, abs=0.05)
    assert small.sum() == pytest.approx(4, rel=0.05)


def test_slanting_moves_the_top_to_the_right():
    bar = np.zeros((1, 17, 17))
    bar[0, :, 8] = 1
    slanted = slant(bar, slope=0.25)[0]
    centres = slanted @ np.arange(17) / slanted.sum(axis=1)
    np.testing.assert_allclose(centres, 8 + 0.25 * (8 - np.arange(17)), atol=1e-6)


def test_slanting_by_nothing_changes_nothing(images):
    np.testing.assert_allclose(slant(images, slope=0.0), images, atol=1e-6)


def test_thickening_widens_a_stroke_by_one_pixel():
    bar = np.zeros((2, 9, 9))
    bar[0, :, 4] = 1
    thick = thicken(bar)
    np.testing.assert_array_equal(thick[0].sum(axis=1), 2)
    np.testing.assert_array_equal(thick[1], 0)  # nothing leaks from image to image
