"""What judges labels: the nearest neighbour among codes, and a small convolutional network."""

from __future__ import annotations

import numpy as np
from keras import Input, Sequential, layers, losses, utils
from sklearn.neighbors import KNeighborsClassifier

from book.results.embedded_digits.embedding import SIDE

__all__ = ["EPOCHS", "Network", "nearest"]

EPOCHS = 3
BATCH = 128


def nearest(x: np.ndarray, y: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """The labels of the nearest neighbours of tested codes among (x, y)."""
    return KNeighborsClassifier(1).fit(x, y).predict(tested)


class Network:
    """A network of two convolutions that has learned (pictures ``(n, 16, 16)``, labels)."""

    def __init__(
        self, pictures: np.ndarray, labels: np.ndarray, *, seed: int, epochs: int = EPOCHS
    ) -> None:
        utils.set_random_seed(seed)
        self._model = Sequential(
            [
                Input((SIDE, SIDE, 1)),
                layers.Conv2D(8, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(),
                layers.Conv2D(16, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(64, activation="relu"),
                layers.Dense(10),
            ]
        )
        self._model.compile(
            optimizer="adam", loss=losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        self._model.fit(pictures[..., None], labels, batch_size=BATCH, epochs=epochs, verbose=0)

    def names(self, pictures: np.ndarray) -> np.ndarray:
        """The label of each picture."""
        return self._model.predict(pictures[..., None], batch_size=1024, verbose=0).argmax(axis=1)
