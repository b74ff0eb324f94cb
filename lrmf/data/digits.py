"""Handwritten digits: USPS, MNIST, and the pair of them."""

import warnings

import numpy as np

from lrmf.data.containers import Digits, Pair
from lrmf.data.fetch import DataFile, DataUnavailableError, load
from lrmf.data.formats import read_idx_images, read_idx_labels, read_usps
from lrmf.data.images import resize, slant, thicken

__all__ = ["FallbackWarning", "digits_pair", "mnist", "usps"]

USPS_FILES = {
    "train": DataFile(
        dataset="usps",
        name="zip.train.gz",
        archive="usps.npz",
        arrays=("x_train", "y_train"),
        sha256=(
            "a204fd123536aebc0f8aacb45427c93c9fa6ee29ff6c1036eabc6dd747d433d9",
            "0b3d82d400fe7ff2b0ba6570ac08facd039813e9af7fde5e7ab56010a6cf8885",
        ),
        read=read_usps,
    ),
    "test": DataFile(
        dataset="usps",
        name="zip.test.gz",
        archive="usps.npz",
        arrays=("x_test", "y_test"),
        sha256=(
            "2922244feade67e2465c55b85705cb5b6014d188b8ebed895285584843f11d01",
            "93d9f6ea60395c715e91e63c87db40de210ade5fc9ae07d7d16ae3509d1ee59b",
        ),
        read=read_usps,
    ),
}

MNIST_FILES = {
    "train": (
        DataFile(
            dataset="mnist",
            name="train-images-idx3-ubyte.gz",
            arrays=("x_train",),
            md5="f68b3c2dcbeaaa9fbdd348bbdeb94873",
            read=read_idx_images,
        ),
        DataFile(
            dataset="mnist",
            name="train-labels-idx1-ubyte.gz",
            arrays=("y_train",),
            md5="d53e105ee54ea40749a09fcbcd1e9432",
            read=read_idx_labels,
        ),
    ),
    "test": (
        DataFile(
            dataset="mnist",
            name="t10k-images-idx3-ubyte.gz",
            archive="mnist_t10k.npz",
            arrays=("x_test",),
            sha256=("2464f9fb40406d7393a5c95688822105de9683b3f12b280adac05f19592ccad9",),
            read=read_idx_images,
        ),
        DataFile(
            dataset="mnist",
            name="t10k-labels-idx1-ubyte.gz",
            archive="mnist_t10k.npz",
            arrays=("y_test",),
            sha256=("759a6cad8f34f5b42cfcf12e5e813bacd0da9cfe5a8e3da853c6e72f8c375933",),
            read=read_idx_labels,
        ),
    ),
}


class FallbackWarning(UserWarning):
    """Other data stand in for those asked for, which could not be had.

    >>> import lrmf
    >>> from unittest import mock
    >>> with mock.patch.dict("os.environ", LRMF_DATA_DIR="nowhere"):
    ...     with warnings.catch_warnings(record=True) as told:
    ...         warnings.simplefilter("always")
    ...         pair = lrmf.data.digits_pair(size=8)
    >>> told[0].category.__name__, pair.name
    ('FallbackWarning', 'sklearn-digits')
    """


def usps(*, split: str = "train") -> Digits:
    """Load the USPS digits: 16 × 16 pixels, 7,291 for training and 2,007 for testing.

    Args:
        split ({"train", "test"}): The official split.

    Returns:
        Digits:
            ``images`` of shape (n, 16, 16), float32 in [0, 1], and ``labels``.

    Raises:
        DataUnavailableError:
            If the data are not in ``LRMF_DATA_DIR`` (``usps.npz``, or ``zip.train.gz`` and
            ``zip.test.gz``), not in the cache, and cannot be downloaded.
        ValueError:
            If ``split`` is unknown, ``LRMF_DATA_DIR`` is not a folder, or a file in it is damaged.

    The data of *The Elements of Statistical Learning* (Hastie, Tibshirani and Friedman).

    >>> import lrmf
    >>> lrmf.data.usps(split="test")  # doctest: +SKIP
    Digits('usps', split='test', images=(2007, 16, 16))
    >>> lrmf.data.usps(split="validation")
    Traceback (most recent call last):
    ValueError: split must be 'train' or 'test', got 'validation'
    """
    _check_split(split)
    images, labels = load(USPS_FILES[split])
    return _digits(images, labels, name="usps", split=split)


def mnist(*, split: str = "train") -> Digits:
    """Load the MNIST digits: 28 × 28 pixels, 60,000 for training and 10,000 for testing.

    Args:
        split ({"train", "test"}):
            The official split. Each is two files, loaded when asked for: the test images can be had
            without the training images.

    Returns:
        Digits:
            ``images`` of shape (n, 28, 28), float32 in [0, 1], and ``labels``.

    Raises:
        DataUnavailableError:
            If the data are not in ``LRMF_DATA_DIR`` (``mnist_t10k.npz`` for the test images, or the
            official ``*-ubyte.gz``), not in the cache, and cannot be downloaded.
        ValueError:
            If ``split`` is unknown, ``LRMF_DATA_DIR`` is not a folder, or a file in it is damaged.

    The data of LeCun, Cortes and Burges.

    >>> import lrmf
    >>> lrmf.data.mnist(split="test")  # doctest: +SKIP
    Digits('mnist', split='test', images=(10000, 28, 28))
    >>> lrmf.data.mnist(split="validation")
    Traceback (most recent call last):
    ValueError: split must be 'train' or 'test', got 'validation'
    """
    _check_split(split)
    image_file, label_file = MNIST_FILES[split]
    (images,), (labels,) = load(image_file), load(label_file)
    return _digits(images, labels, name="mnist", split=split)


def digits_pair(
    *, split: str = "train", size: int = 16, mnist_split: str = "t10k", fallback: bool = True
) -> Pair:
    """Load USPS as the source and MNIST as the target, resized to one size.

    MNIST keeps its margin, so its digits are smaller on the square than those of USPS: that is
    part of the shift between the two.

    Args:
        split ({"train", "test"}):
            Which part of both.
        size (int):
            Height and width of the images; 16 leaves USPS as it is (see
            :func:`lrmf.data.images.resize`).
        mnist_split ({"t10k", "official"}):
            Where MNIST's two parts come from. ``"t10k"`` divides the 10,000 test images, and never
            looks for the training images: a small download, and the same pair on every machine.
            Every fifth image of each digit is for testing, which makes 8,004 and 1,996 images (a
            writer may be in both). ``"official"`` takes MNIST's own 60,000 and 10,000.
        fallback (bool):
            Where the data cannot be had, for whatever reason, use scikit-learn's bundled 8 × 8
            digits with a ``FallbackWarning``: half of them as they are, the other half slanted and
            with thicker strokes. Each of the 1,797 images is used once: 722 and 720 for training,
            179 and 176 for testing. Every digit makes up a tenth of each part, to within three
            images (among the training images of USPS, one in six is a zero, one in thirteen a
            five). With False, raise instead.

    Returns:
        Pair:
            ``source`` and ``target`` of shape (n, size, size), float32 in [0, 1], and both labels.
            ``name`` is ``"usps-mnist"``, or ``"sklearn-digits"`` where ``fallback`` is True; a page
            then shows ``notice``.

    Raises:
        DataUnavailableError:
            If ``fallback`` is False and the data cannot be had.
        ValueError:
            If an argument is out of range; if ``fallback`` is False and ``LRMF_DATA_DIR`` is not a
            folder, or a file in it is damaged.
        TypeError:
            If ``size`` is not an integer.

    Where the data cannot be had, as in a folder that does not exist, others stand in for them:

    >>> import lrmf
    >>> from unittest import mock
    >>> with mock.patch.dict("os.environ", LRMF_DATA_DIR="nowhere"), warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", lrmf.data.FallbackWarning)
    ...     pair = lrmf.data.digits_pair(size=8)
    >>> pair.source.shape, pair.target.shape
    ((722, 8, 8), (720, 8, 8))
    """
    _check_split(split)
    if isinstance(size, bool) or not isinstance(size, int | np.integer):
        raise TypeError(f"size must be an integer, got {size!r}")
    if size < 4:
        raise ValueError(f"size must be at least 4 pixels for a digit to be seen, got {size}")
    if not isinstance(mnist_split, str) or mnist_split not in ("t10k", "official"):
        raise ValueError(f"mnist_split must be 't10k' or 'official', got {mnist_split!r}")
    reason = ""
    try:
        # Both parts of both: a pair to learn from and one to test on must be of one kind.
        source = {part: usps(split=part) for part in ("train", "test")}[split]
        if mnist_split == "official":
            target = {part: mnist(split=part) for part in ("train", "test")}[split]
        else:
            target = _part_of_t10k(split)
    except (OSError, ValueError) as error:
        if not fallback:
            raise
        reason = _in_short(error)
        warnings.warn(
            "scikit-learn's 8 x 8 digits and a thickened, slanted half of them stand in for USPS "
            f"and MNIST: {error}",
            FallbackWarning,
            stacklevel=2,
        )
        source, target = _bundled_digits(split)
    return Pair(
        source=resize(source.images, size=size),
        target=resize(target.images, size=size),
        source_labels=source.labels,
        target_labels=target.labels,
        name="usps-mnist" if source.name == "usps" else source.name,
        fallback=source.name != "usps",
        reason=reason,
    )


def _in_short(error: Exception) -> str:
    """Say it for a page that gets published: without the paths of the machine that built it."""
    if isinstance(error, DataUnavailableError):
        return "no host delivered them"
    return "LRMF_DATA_DIR is not a folder, or a file in it is damaged"


def _part_of_t10k(split: str) -> Digits:
    digits = mnist(split="test")
    return _select(digits, _held_out(digits.labels) == (split == "test"), split=split)


def _bundled_digits(split: str) -> tuple[Digits, Digits]:
    from sklearn.datasets import load_digits

    bundle = load_digits()
    digits = Digits(
        images=resize((bundle.images / 16).astype(np.float32), size=16),
        labels=bundle.target.astype(np.int64),
        name="sklearn-digits",
        split="all",
    )
    # Different images in the two domains, as with USPS and MNIST: a copy would make them pairs.
    rank = _rank_in_class(digits.labels)
    in_split = _held_out(digits.labels) == (split == "test")
    source = _select(digits, in_split & (rank % 2 == 0), split=split)
    target = _select(digits, in_split & (rank % 2 == 1), split=split)
    changed = slant(thicken(target.images), slope=0.25)
    return source, Digits(
        images=changed, labels=target.labels, name=target.name, split=target.split
    )


def _digits(images: np.ndarray, labels: np.ndarray, *, name: str, split: str) -> Digits:
    return Digits(
        images=images.astype(np.float32) / np.float32(255),
        labels=labels.astype(np.int64),
        name=name,
        split=split,
    )


def _select(digits: Digits, mask: np.ndarray, *, split: str) -> Digits:
    return Digits(
        images=digits.images[mask], labels=digits.labels[mask], name=digits.name, split=split
    )


def _held_out(labels: np.ndarray) -> np.ndarray:
    return _rank_in_class(labels) % 5 == 4


def _rank_in_class(labels: np.ndarray) -> np.ndarray:
    """Count how many earlier samples share each sample's label.

    Ranks within a class, unlike positions in the file, split every class alike: scikit-learn's
    digits come in the order 0, 1, 2, ..., 9, and every second one would be an even digit.
    """
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    return rank


def _check_split(split: str) -> None:
    if not isinstance(split, str) or split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
