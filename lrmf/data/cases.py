"""Pairs of the kind people have, made by code so that the truth is known point by point."""

from dataclasses import dataclass

import numpy as np

from lrmf.data.containers import Pair
from lrmf.data.toy import _check_integer, _two_seeds

__all__ = ["Case", "batches", "sensors", "surveys"]

_TYPES = ("T cells", "B cells", "monocytes", "NK cells")
_TYPE_SHARES = np.array([0.45, 0.25, 0.2, 0.1])
# Rows are types, columns are markers, on the arcsinh scale.
_LEVELS = np.array(
    [
        [4.0, 0.6, 0.8, 3.2, 1.5],
        [0.7, 4.2, 0.9, 1.0, 2.6],
        [0.8, 0.8, 4.4, 2.4, 3.4],
        [1.2, 0.5, 1.6, 0.9, 2.0],
    ]
)
_GAINS = np.array([1.8, 0.6, 1.3, 0.7, 1.5])
_BACKGROUND = 1.0
# Rows are gases, columns are sensors: how strongly each responds.
_SENSITIVITY = np.array(
    [
        [2.0, 1.4, 0.6, 0.3, 1.0, 0.5],
        [0.4, 1.0, 2.2, 1.3, 0.3, 0.9],
        [0.5, 0.4, 0.9, 1.9, 1.2, 2.1],
    ]
)
_OFFSETS = np.array([0.3, -0.2, 0.4, 0.1, -0.1, 0.25])
_DRIFT = np.array([0.75, 1.2, 0.9, 0.7, 1.1, 0.85])
_POWERS = np.array([0.9, 1.15, 1.1, 0.85, 1.2, 0.95])
_SURVEY_SHARES = np.array([[0.5, 0.3, 0.2], [0.3, 0.35, 0.35]])
# Rows are levels of education, columns are the answers.
_ANSWERS = np.array([[7.2, 6.6, 34.0, 6.2], [7.7, 7.0, 37.0, 6.6], [8.3, 7.4, 40.0, 7.0]])
_DEVIATIONS = np.array([0.35, 0.35, 6.0, 1.2])


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Case(Pair):
    """A pair with its truth: what the target's instrument would have shown of each source point.

    Attributes:
        truth (array, shape (n, d)):
            The right image of each source point.
        columns (tuple of str):
            What is measured.
        label_names (tuple of str):
            What the labels mean.
        source_weights (array, shape (n,), or None):
            Weights of the source points under which both domains hold the labels in equal
            proportions; None where they do so by themselves.

    >>> import lrmf
    >>> case = lrmf.data.batches(n=100)
    >>> case.truth.shape == case.source.shape
    True
    """

    truth: np.ndarray
    columns: tuple[str, ...]
    label_names: tuple[str, ...]
    source_weights: np.ndarray | None = None


def batches(*, n: int = 2000, seed: int = 0) -> Case:
    """Draw cells measured on two days, as by flow cytometry: five markers, four types of cells.

    Values are arcsinh-transformed intensities. On the source's day each detector had another gain,
    the background was higher, and light of each channel spilled over into its neighbours:

        a = arcsinh(G S sinh(z) + 1),    truth z, where b ~ z,

    with gains G and spillover S. Both days hold the types in equal proportions, as aliquots of one
    control sample would.

    Args:
        n (int):
            Cells on each day.
        seed (int):
            Different seeds give independent pairs.

    Returns:
        Case:
            ``source``, ``target`` and ``truth`` of shape (n, 5); labels are the types.

    Raises:
        ValueError:
            If ``n`` is below 2 or ``seed`` is negative.
        TypeError:
            If either is not an integer.

    >>> import lrmf
    >>> lrmf.data.batches(n=100).columns
    ('CD3', 'CD19', 'CD14', 'CD4', 'CD45')
    """
    rngs, n = _two_rngs(seed, n)
    labels = [rng.choice(4, size=n, p=_TYPE_SHARES) for rng in rngs]
    truth, target = (_cells(own, rng) for own, rng in zip(labels, rngs, strict=True))
    spill = np.eye(5) + 0.12 * (np.eye(5, k=1) + np.eye(5, k=-1))
    source = np.arcsinh(_GAINS * (np.sinh(truth) @ spill) + _BACKGROUND)
    return Case(
        source=source,
        target=target,
        truth=truth,
        source_labels=labels[0],
        target_labels=labels[1],
        columns=("CD3", "CD19", "CD14", "CD4", "CD45"),
        label_names=_TYPES,
        name="batches",
    )


def sensors(*, n: int = 2000, seed: int = 0) -> Case:
    """Draw readings of six gas sensors, and later ones after every sensor has drifted by itself.

    A reading r holds the responses to one of three gases of some concentration, and noise. Offset,
    sensitivity and curvature of every sensor have changed for the source, with o, g and p:

        a_j = o_j + g_j r_j^{p_j},    truth r, where b ~ r.

    Each sensor's change is an increasing function of its own reading, so that bringing the
    quantiles of every column in line undoes it.

    Args:
        n (int):
            Readings in each domain.
        seed (int):
            Different seeds give independent pairs.

    Returns:
        Case:
            ``source``, ``target`` and ``truth`` of shape (n, 6); labels are the gases.

    Raises:
        ValueError:
            If ``n`` is below 2 or ``seed`` is negative.
        TypeError:
            If either is not an integer.

    >>> import lrmf
    >>> case = lrmf.data.sensors(n=100)
    >>> import numpy as np
    >>> np.all(np.diff(case.source[np.argsort(case.truth[:, 0]), 0]) >= 0)
    np.True_
    """
    rngs, n = _two_rngs(seed, n)
    labels = [rng.choice(3, size=n, p=[0.4, 0.35, 0.25]) for rng in rngs]
    truth, target = (_readings(own, rng) for own, rng in zip(labels, rngs, strict=True))
    return Case(
        source=_OFFSETS + _DRIFT * truth**_POWERS,
        target=target,
        truth=truth,
        source_labels=labels[0],
        target_labels=labels[1],
        columns=tuple(f"sensor {j + 1}" for j in range(6)),
        label_names=("ethanol", "acetone", "toluene"),
        name="sensors",
    )


def surveys(*, n: int = 2000, seed: int = 0) -> Case:
    """Draw two years of a survey: the population has changed, and so has the way of asking.

    Log income, log spending, weekly hours and satisfaction, by three levels of education. Within
    a level people are the same in both years, but shares of the levels went from 0.5, 0.3, 0.2 to
    0.3, 0.35, 0.35. In the source's year, by telephone, high incomes were understated, spending was
    recalled in proportion to them, and satisfaction overstated where it was low. Education is known
    for everybody, so that ``source_weights`` can give the source the shares of the target.

    Args:
        n (int):
            People in each year.
        seed (int):
            Different seeds give independent pairs.

    Returns:
        Case:
            ``source``, ``target`` and ``truth`` of shape (n, 4), and ``source_weights``; labels are
            the levels of education.

    Raises:
        ValueError:
            If ``n`` is below 2 or ``seed`` is negative.
        TypeError:
            If either is not an integer.

    >>> import lrmf
    >>> case = lrmf.data.surveys(n=10_000)
    >>> people = case.source_labels == 2  # tertiary education
    >>> round(people.mean(), 1), round(case.source_weights[people].sum() / 10_000, 2)
    (np.float64(0.2), np.float64(0.35))
    """
    rngs, n = _two_rngs(seed, n)
    labels = [
        rng.choice(3, size=n, p=shares) for rng, shares in zip(rngs, _SURVEY_SHARES, strict=True)
    ]
    truth, target = (_people(own, rng) for own, rng in zip(labels, rngs, strict=True))
    income, spending, hours, satisfaction = truth.T
    source = np.stack(
        [
            income - 0.5 * np.logaddexp(0.0, 4.0 * (income - 7.8)) / 4.0,
            spending + 0.35 * (income - 7.6) + 0.2,
            hours,
            satisfaction + 0.7 * np.logaddexp(0.0, 7.0 - satisfaction),
        ],
        axis=1,
    )
    weights = (_SURVEY_SHARES[1] / _SURVEY_SHARES[0])[labels[0]]
    return Case(
        source=source,
        target=target,
        truth=truth,
        source_labels=labels[0],
        target_labels=labels[1],
        source_weights=weights,
        columns=("log income", "log spending", "hours", "satisfaction"),
        label_names=("primary", "secondary", "tertiary"),
        name="surveys",
    )


def _two_rngs(seed: int, n: int) -> tuple[list[np.random.Generator], int]:
    n = _check_integer(n, name="n", minimum=2)
    return [np.random.default_rng(own) for own in _two_seeds(seed)], n


def _cells(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(scale=0.7, size=(len(labels), 5))
    size = rng.normal(scale=0.3, size=(len(labels), 1))  # large cells are bright everywhere
    return np.asarray(_LEVELS[labels] + noise + size)


def _readings(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    concentration = rng.lognormal(mean=0.3, sigma=0.5, size=(len(labels), 1))
    noise = rng.lognormal(sigma=0.2, size=(len(labels), 6))
    return np.asarray(np.log1p(2.0 * concentration * _SENSITIVITY[labels]) * noise)


def _people(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shared = rng.normal(size=(len(labels), 1)) * np.array([0.8, 0.6, 0.5, 0.3])
    own = rng.normal(size=(len(labels), 4)) * np.sqrt(1.0 - np.array([0.8, 0.6, 0.5, 0.3]) ** 2)
    return np.asarray(_ANSWERS[labels] + _DEVIATIONS * (shared + own))
