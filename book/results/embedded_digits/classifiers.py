"""What judges labels: the nearest neighbour among codes, and a small network of pictures.

The network is dense. On a processor a convolutional one takes ten times as long, which is the time
of all maps together.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

__all__ = ["EPOCHS", "Network", "nearest"]

EPOCHS = 20
WIDTH = 128


def nearest(x: np.ndarray, y: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """The labels of the nearest neighbours of tested codes among (x, y)."""
    return KNeighborsClassifier(1).fit(x, y).predict(tested)


class Network:
    """A network of one hidden layer that has learned (pictures ``(n, 16, 16)``, labels)."""

    def __init__(
        self, pictures: np.ndarray, labels: np.ndarray, *, seed: int, epochs: int = EPOCHS
    ) -> None:
        self._model = MLPClassifier((WIDTH,), random_state=seed, max_iter=epochs)
        with warnings.catch_warnings():
            # Its epochs are counted, not waited out.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(_flat(pictures), labels)

    def names(self, pictures: np.ndarray) -> np.ndarray:
        """The label of each picture."""
        return np.asarray(self._model.predict(_flat(pictures)))


def _flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1)
