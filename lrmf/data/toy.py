"""Toy pairs in the plane, as in the first experiment of Usman et al. (2020)."""

import math

import numpy as np

from lrmf.data.containers import Pair

__all__ = ["blobs", "moons"]

# The paper's text leaves out the parameters of its blobs; these are ours. The two clouds differ in
# mean, in spread and in the sign of the correlation, so no single moment explains the gap.
BLOB_SOURCE_MEAN = np.array([-2.0, 1.0])
BLOB_SOURCE_COVARIANCE = np.array([[0.6, 0.4], [0.4, 0.5]])
BLOB_TARGET_MEAN = np.array([2.0, -1.0])
BLOB_TARGET_COVARIANCE = np.array([[1.5, -0.7], [-0.7, 0.8]])

# Beyond it no digit of an angle or of a point of size one is left.
_LARGEST = 1e15

# Of scikit-learn's two moons: half circles around (0, 0) and (1, 1/2). With as many points on
# each, the sines cancel and this is the mean of the distribution, whatever the noise.
MOONS_MEAN = np.array([0.5, 0.25])


def blobs(*, n: int = 100, seed: int = 0) -> Pair:
    """Draw two Gaussian clouds in the plane, A from N(μ_A, Σ_A) and B from N(μ_B, Σ_B).

    The parameters are ``BLOB_SOURCE_MEAN``, ``BLOB_SOURCE_COVARIANCE``, ``BLOB_TARGET_MEAN`` and
    ``BLOB_TARGET_COVARIANCE`` of :mod:`lrmf.data.toy`. The paper takes 100 points a side, few
    enough for a RealNVP to overfit, but its text does not give the Gaussians.

    Args:
        n (int):
            Points in each domain.
        seed (int):
            Different seeds give independent pairs, so a second seed makes a test set.

    Returns:
        Pair:
            ``source`` and ``target`` of shape (n, 2), float64. All labels are 0: a Gaussian has one
            class, and no labelling of its points is right for every map between two of them.

    Raises:
        ValueError:
            If ``n`` is below 2 or ``seed`` is negative.
        TypeError:
            If either is not an integer.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(n=10_000)
    >>> pair.source.mean(axis=0).round(1), pair.target.mean(axis=0).round(1)
    (array([-2.,  1.]), array([ 2., -1.]))
    """
    n = _check_integer(n, name="n", minimum=2)
    source_seed, target_seed = _two_seeds(seed)
    source = np.random.default_rng(source_seed).multivariate_normal(
        BLOB_SOURCE_MEAN, BLOB_SOURCE_COVARIANCE, size=n, method="cholesky"
    )
    target = np.random.default_rng(target_seed).multivariate_normal(
        BLOB_TARGET_MEAN, BLOB_TARGET_COVARIANCE, size=n, method="cholesky"
    )
    labels = np.zeros(n, dtype=np.int64)
    return Pair(
        source=source,
        target=target,
        source_labels=labels,
        target_labels=labels.copy(),
        name="blobs",
    )


def moons(*, n: int = 2000, rotation: float = -50.0, noise: float = 0.05, seed: int = 0) -> Pair:
    """Draw two interleaved half circles, and the same shape turned about the target's mean.

    With R the rotation by ``rotation`` degrees, counter-clockwise when positive, and m = (½, ¼)
    the mean of the target's distribution,

        b ~ moons,    a = R (a′ − m) + m,    a′ ~ moons,

    where a′ and b are drawn independently: no source point is a turned target point.

    The sign decides what alignment can do for the labels. A nearest-neighbour classifier that
    learns on B and is tested on A (the measure of the paper's Figure 4) is right on about 93% of
    the points at −50° and on about 65% at +50°; one that learns on A and is tested on B, the
    other way round.

    Args:
        n (int):
            Points in each domain; half of them, rounded down, lie on the first moon.
        rotation (float):
            Degrees by which the source is turned against the target, counter-clockwise positive.
        noise (float):
            Standard deviation of the Gaussian noise on every coordinate.
        seed (int):
            Different seeds give pairs with independent noise, so a second seed makes a test set.
            The angles on the half circles are scikit-learn's: evenly spaced, not drawn.

    Returns:
        Pair:
            ``source`` and ``target`` of shape (n, 2), float64; the labels say which moon.

    Raises:
        ValueError:
            If ``n`` is below 2, ``rotation`` or ``noise`` is not finite, or ``noise`` or ``seed``
            is negative.
        TypeError:
            If an argument is not a number of the right kind.

    Shape, noise and 2,000 points are those of Usman et al. (2020), supplement 8.3. The paper says
    "rotated 50° relative to one another" and not which way.

    >>> import lrmf
    >>> pair = lrmf.data.moons(n=1000, rotation=180.0, noise=0.0)
    >>> pair.source[pair.source_labels == 0].mean(axis=0).round(2)  # the upper moon, now below
    array([ 1.  , -0.14])
    """
    from sklearn.datasets import make_moons

    n = _check_integer(n, name="n", minimum=2)
    rotation = _check_real(rotation, name="rotation", unit="degrees")
    noise = _check_real(noise, name="noise", unit="a standard deviation")
    if noise < 0:
        raise ValueError(f"noise is a standard deviation and cannot be negative, got {noise}")
    source_seed, target_seed = _two_seeds(seed)
    upright, source_labels = make_moons(n, noise=noise, random_state=_legacy_seed(source_seed))
    target, target_labels = make_moons(n, noise=noise, random_state=_legacy_seed(target_seed))
    return Pair(
        source=_rotate(upright, degrees=rotation, centre=MOONS_MEAN),
        target=target,
        source_labels=source_labels,
        target_labels=target_labels,
        name="moons",
    )


def _rotate(points: np.ndarray, *, degrees: float, centre: np.ndarray) -> np.ndarray:
    """Turn rows of the plane about a centre, counter-clockwise for positive angles."""
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (points - centre) @ matrix.T + centre


def _two_seeds(seed: int) -> list[np.random.SeedSequence]:
    """Derive independent streams for source and target.

    Taking ``seed`` and ``seed + 1`` instead would make one pair's target the next one's source.
    """
    return np.random.SeedSequence(_check_integer(seed, name="seed", minimum=0)).spawn(2)


def _legacy_seed(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1)[0])


def _check_integer(value: int, *, name: str, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    value = int(value)
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return value


def _check_real(value: float, *, name: str, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number ({unit}), got {value!r}")
    try:
        number = float(value) + 0.0  # no negative zero
    except OverflowError:
        number = math.inf
    if not abs(number) <= _LARGEST:
        raise ValueError(f"{name} must be finite, at most {_LARGEST:g} ({unit}), got {value!r:.40}")
    return number
