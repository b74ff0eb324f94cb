"""What the loaders return: a pair of domains, or the images of one domain."""

from dataclasses import dataclass, replace

import numpy as np

from lrmf.data.notice import StandInNotice

__all__ = ["Pair", "Digits"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pair:
    """A source dataset A, a target dataset B, and the labels of both.

    The labels serve to judge an alignment, never to find one.

    Attributes:
        source, target (array, shape (n, ...) and (m, ...)):
            The samples, one per row.
        source_labels, target_labels (array of int, shape (n,) and (m,)):
            The class of each sample.
        name (str):
            Which data these are, for example ``"moons"``.
        fallback (bool):
            True where the data asked for could not be had and others stand in for them.
        reason (str):
            Why they could not be had, in a few words; empty for the data asked for.

    >>> import lrmf
    >>> lrmf.data.moons(n=100)
    Pair('moons', source=(100, 2), target=(100, 2))
    """

    source: np.ndarray
    target: np.ndarray
    source_labels: np.ndarray
    target_labels: np.ndarray
    name: str
    fallback: bool = False
    reason: str = ""

    @property
    def notice(self) -> StandInNotice | None:
        """None for the data asked for, so that a cell which ends in it shows nothing.

        Where others stand in, a notice that a page and a notebook show as a box, and a terminal as
        text. Pages that load digits end a cell with it, above the first result.
        """
        return StandInNotice(self.reason) if self.fallback else None

    def flatten(self) -> "Pair":
        """Return the same pair with every sample as one row of numbers, shapes (n, d) and (m, d).

        >>> import numpy as np
        >>> images, labels = np.zeros((3, 4, 4)), np.zeros(3, dtype=int)
        >>> pair = Pair(source=images, target=images, source_labels=labels, target_labels=labels,
        ...             name="blank")
        >>> pair.flatten()
        Pair('blank', source=(3, 16), target=(3, 16))
        """
        return replace(
            self,
            source=self.source.reshape(len(self.source), -1),
            target=self.target.reshape(len(self.target), -1),
        )

    def __repr__(self) -> str:
        shapes = f"source={self.source.shape}, target={self.target.shape}"
        return f"Pair({self.name!r}, {shapes}{', fallback=True' if self.fallback else ''})"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Digits:
    """Handwritten digits of one dataset and one split.

    Attributes:
        images (float32 array, shape (n, height, width)):
            Grey values in [0, 1]; the ink is 1, the paper 0.
        labels (int64 array, shape (n,)):
            The digit on each image, 0 to 9.
        name, split (str):
            For example ``"usps"`` and ``"train"``.

    >>> import lrmf
    >>> images, labels = np.zeros((5, 16, 16), np.float32), np.arange(5)
    >>> lrmf.data.Digits(images=images, labels=labels, name="mine", split="train")
    Digits('mine', split='train', images=(5, 16, 16))
    """

    images: np.ndarray
    labels: np.ndarray
    name: str
    split: str

    def __repr__(self) -> str:
        return f"Digits({self.name!r}, split={self.split!r}, images={self.images.shape})"
