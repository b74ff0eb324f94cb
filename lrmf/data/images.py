"""Changing the size and the stroke of stacks of grey images."""

import numpy as np

__all__ = ["resize", "slant", "thicken"]


def resize(images: np.ndarray, *, size: int) -> np.ndarray:
    """Resize square images of shape (n, s, s) to (n, size, size), without aliasing.

    Where the images shrink by a factor f > 1, a Gaussian of standard deviation (f − 1) / 2 pixels
    first removes what the coarser grid cannot carry. Then the image is read off by linear
    interpolation at the centres of the new pixels, the old and the new grid covering the same
    square. Beyond the border the nearest pixel goes on, so a constant image stays as it is. This
    is what scikit-image does by default, computed with SciPy.

    Both steps take weighted means, so values stay within the range of the input.

    >>> import numpy as np
    >>> resize(np.array([[[0.0, 1.0], [0.0, 1.0]]]), size=4)[0, 0].round(2)
    array([0.  , 0.25, 0.75, 1.  ])
    """
    from scipy import ndimage

    old = images.shape[-1]
    if old == size:
        return images
    if old > size:
        sigma = (old / size - 1) / 2
        images = ndimage.gaussian_filter(images, sigma=(0, sigma, sigma), mode="nearest")
    factor = size / old
    return ndimage.zoom(images, (1, factor, factor), order=1, mode="nearest", grid_mode=True)


def slant(images: np.ndarray, *, slope: float) -> np.ndarray:
    """Shear images of shape (n, s, s) to the right above the middle and to the left below it.

    A pixel ``h`` rows above the middle moves ``slope * h`` pixels. What comes in is paper (0).
    """
    from scipy import ndimage

    middle = (images.shape[-1] - 1) / 2
    # ndimage asks where each new pixel comes from: column' = column - slope (middle - row).
    shear = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, slope, 1.0]])
    return ndimage.affine_transform(
        images, shear, offset=(0.0, 0.0, -slope * middle), order=1, mode="constant"
    )


def thicken(images: np.ndarray) -> np.ndarray:
    """Widen strokes by one pixel: each pixel takes the largest value of its 2 × 2 block."""
    from scipy import ndimage

    return ndimage.grey_dilation(images, size=(1, 2, 2), mode="constant")
