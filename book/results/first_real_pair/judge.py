"""What an alignment of the digits is judged by: certificates, and classifiers' answers."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.first_real_pair.digits import Digits
from book.results.runner import Numbers

__all__ = ["Judge", "distance_of", "numbers_of"]


class Judge:
    """Classifiers that learn from one side's labels and are tested on the other's.

    Nearest neighbours are looked for in the distance of the pictures, so before whitening.
    """

    def __init__(self, data: Digits, k: int) -> None:
        self.data, self.scale = data, data.scale[:k]
        self.b, self.b_test = data.b[:, :k], data.b_test[:, :k]
        self.without = self.names(data.a[:, :k], data.a_labels, self.b_test) == data.b_test_labels

    def names(self, x: np.ndarray, y: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """The labels of the nearest neighbours among (x, y)."""
        return KNeighborsClassifier(1).fit(x * self.scale, y).predict(tested * self.scale)

    def __call__(self, model: lrmf.LRMF, a: np.ndarray, a_test: np.ndarray) -> Numbers:
        """Accuracies, and the discordant counts of McNemar's test against no transform."""
        data, moved = self.data, model.transform(a)
        correct = self.names(moved, data.a_labels, self.b_test) == data.b_test_labels
        reverse = self.names(self.b, data.b_labels, model.transform(a_test)) == data.a_test_labels
        return {
            "nearest": float(correct.mean()),
            "logistic": self.logistic(moved, data.a_labels),
            "only_with": int(np.sum(correct & ~self.without)),
            "only_without": int(np.sum(self.without & ~correct)),
            "reverse_nearest": float(reverse.mean()),
        }

    def logistic(self, x: np.ndarray, y: np.ndarray) -> float:
        """Accuracy of a logistic regression that learns from (x, y)."""
        classifier = LogisticRegression(max_iter=5000).fit(x, y)
        return float(classifier.score(self.b_test, self.data.b_test_labels))

    def reference(self) -> Numbers:
        """Accuracies of classifiers that learn from MNIST's own labels."""
        named = self.names(self.b, self.data.b_labels, self.b_test)
        return {
            "nearest": float(np.mean(named == self.data.b_test_labels)),
            "logistic": self.logistic(self.b, self.data.b_labels),
        }


def distance_of(model: lrmf.LRMF, a: np.ndarray, b: np.ndarray) -> Numbers:
    """The distance, and how often the refitted copies tell the sides apart.

    A point is taken for one of T(A) where the copy fitted to T(A) gives it the higher density.
    """
    certificate = model.family_certificate(a, b)
    sides = [
        model.refitted_source_.log_prob(x) > model.refitted_target_.log_prob(x)
        for x in (model.transform(a), b)
    ]
    return {
        "lrd": certificate.lrd,
        "lrd_stderr": certificate.lrd_stderr,
        "told_apart": float((np.mean(sides[0]) + np.mean(~sides[1])) / 2),
    }


def numbers_of(model: lrmf.LRMF, a: np.ndarray, b: np.ndarray) -> Numbers:
    """The whole certificate."""
    certificate = model.family_certificate(a, b)
    return {
        **distance_of(model, a, b),
        "bound": certificate.bound,
        "bound_stderr": certificate.bound_stderr,
        "verdict": certificate.verdict.partition(":")[0],
    }
