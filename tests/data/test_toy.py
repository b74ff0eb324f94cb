import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from lrmf.data import toy

LOADERS = [lrmf.data.blobs, lrmf.data.moons]


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'sklearn', 'scipy', 'platformdirs', 'requests', 'jax', 'tensorflow'}"
    code = f"import lrmf.data, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("loader", "default"), [(lrmf.data.blobs, 100), (lrmf.data.moons, 2000)])
def test_shapes(loader, default):
    for pair, n in [(loader(), default), (loader(n=7), 7), (loader(n=2), 2)]:
        assert pair.source.shape == pair.target.shape == (n, 2)
        assert pair.source_labels.shape == pair.target_labels.shape == (n,)
        assert pair.source.dtype == pair.target.dtype == np.float64
        assert pair.name == loader.__name__
        assert not pair.fallback


@pytest.mark.parametrize("loader", LOADERS)
def test_the_same_seed_gives_the_same_pair(loader):
    one, two = loader(n=50, seed=3), loader(n=50, seed=3)
    np.testing.assert_array_equal(one.source, two.source)
    np.testing.assert_array_equal(one.target, two.target)
    np.testing.assert_array_equal(one.source_labels, two.source_labels)
    np.testing.assert_array_equal(one.target_labels, two.target_labels)


@pytest.mark.parametrize("loader", LOADERS)
def test_source_and_target_of_all_seeds_are_independent(loader):
    """Standardised draws of any two samples are uncorrelated, also between adjacent seeds."""
    samples = []
    for seed in range(4):
        if loader is lrmf.data.blobs:
            pair = loader(n=4000, seed=seed)
            moments = [
                (toy.BLOB_SOURCE_MEAN, toy.BLOB_SOURCE_COVARIANCE),
                (toy.BLOB_TARGET_MEAN, toy.BLOB_TARGET_COVARIANCE),
            ]
            for x, (mean, covariance) in zip((pair.source, pair.target), moments, strict=True):
                samples.append(np.linalg.solve(np.linalg.cholesky(covariance), (x - mean).T).T)
        else:
            pair = loader(n=4000, rotation=0.0, seed=seed)
            samples += [pair.source - toy.MOONS_MEAN, pair.target - toy.MOONS_MEAN]
    columns = np.concatenate([sample.T for sample in samples])
    correlations = np.corrcoef(columns)
    # The coordinates within one sample of moons are dependent; only pairs of samples count.
    sample_of = np.repeat(np.arange(len(samples)), 2)
    between = sample_of[:, None] != sample_of[None, :]
    assert np.abs(correlations[between]).max() < 5 / np.sqrt(4000)


def test_no_source_point_of_the_moons_is_a_turned_target_point():
    pair = lrmf.data.moons(n=200)
    upright = turn(pair.source, degrees=50.0, centre=toy.MOONS_MEAN)
    distances = np.linalg.norm(upright[:, None] - pair.target[None], axis=-1)
    assert distances.min() > 1e-6


def test_blobs_have_the_stated_moments():
    pair = lrmf.data.blobs(n=100_000)
    for x, mean, covariance in [
        (pair.source, toy.BLOB_SOURCE_MEAN, toy.BLOB_SOURCE_COVARIANCE),
        (pair.target, toy.BLOB_TARGET_MEAN, toy.BLOB_TARGET_COVARIANCE),
    ]:
        np.testing.assert_allclose(x.mean(axis=0), mean, atol=0.02)
        np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.03)
        # Gaussian, not only of the right moments: squared Mahalanobis distances are chi-squared.
        squared = ((x - mean) @ np.linalg.inv(covariance) * (x - mean)).sum(axis=1)
        assert stats.kstest(squared, stats.chi2(df=2).cdf).pvalue > 1e-3
    assert set(pair.source_labels) == set(pair.target_labels) == {0}


def test_the_target_of_the_moons_is_upright():
    """Take scikit-learn's noiseless moons for the shape, and measure the noise around it."""
    pair = lrmf.data.moons(n=2000, noise=0.05)
    clean, clean_labels = make_moons(20_000, noise=None)
    for label in (0, 1):
        points = pair.target[pair.target_labels == label]
        assert len(points) == 1000
        shape = clean[clean_labels == label]
        gaps = np.linalg.norm(points[:, None] - shape[None, ::20], axis=-1).min(axis=1)
        # The distance to a curve is the noise across it.
        assert np.sqrt(np.mean(gaps**2)) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("rotation", [-50.0, 50.0, 0.0, 90.0, 200.0])
@pytest.mark.parametrize("n", [2000, 1001])
def test_the_source_is_turned_counter_clockwise_about_the_mean_of_the_target(rotation, n):
    pair = lrmf.data.moons(n=n, rotation=rotation, noise=0.0)
    turned = turn(pair.target, degrees=rotation, centre=np.array([0.5, 0.25]))
    # The same points in another order.
    np.testing.assert_allclose(sort_rows(pair.source), sort_rows(turned), atol=1e-9)
    if n % 2 == 0:
        np.testing.assert_allclose(pair.target.mean(axis=0), [0.5, 0.25], atol=1e-9)
        np.testing.assert_allclose(pair.source.mean(axis=0), [0.5, 0.25], atol=1e-9)


def test_a_quarter_turn_takes_east_to_north():
    pair = lrmf.data.moons(n=1000, rotation=90.0, noise=0.0)
    # Upright, moon 1 lies to the east of moon 0; after a quarter turn it lies to the north.
    towards = [
        labelled_mean(x, labels, 1) - labelled_mean(x, labels, 0)
        for x, labels in [
            (pair.target, pair.target_labels),
            (pair.source, pair.source_labels),
        ]
    ]
    assert towards[0][0] > 0.9
    assert towards[1][1] == pytest.approx(towards[0][0])


@pytest.mark.parametrize(("rotation", "low", "high"), [(-50.0, 0.91, 0.95), (50.0, 0.62, 0.69)])
def test_nearest_neighbour_accuracy_depends_on_the_sign(rotation, low, high):
    """Learn on the target, test on the source, as in the paper's Figure 4."""
    accuracies = []
    for seed in range(8):
        pair = lrmf.data.moons(rotation=rotation, seed=seed)
        classifier = KNeighborsClassifier(1).fit(pair.target, pair.target_labels)
        accuracies.append(classifier.score(pair.source, pair.source_labels))
        # The other way round, the two signs change places.
        classifier = KNeighborsClassifier(1).fit(pair.source, pair.source_labels)
        assert classifier.score(pair.target, pair.target_labels) == pytest.approx(
            0.65 if rotation < 0 else 0.93, abs=0.04
        )
    assert low < min(accuracies)
    assert max(accuracies) < high


def test_noise_of_the_source_has_the_same_size():
    still = lrmf.data.moons(n=2000, noise=0.0)
    assert np.unique(still.source.round(9), axis=0).shape[0] > 1990  # a curve, not a few points
    noisy = lrmf.data.moons(n=2000, noise=0.3)
    clean = still.source
    gaps = np.linalg.norm(noisy.source[:, None] - clean[None], axis=-1).min(axis=1)
    assert 0.1 < np.sqrt(np.mean(gaps**2)) < 0.3


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": 1}, ValueError, "n must be at least 2, got 1"),
        ({"n": -5}, ValueError, "n must be at least 2, got -5"),
        ({"n": 10.0}, TypeError, "n must be an integer, got 10.0"),
        ({"n": True}, TypeError, "n must be an integer, got True"),
        ({"n": "10"}, TypeError, "n must be an integer, got '10'"),
        ({"n": np.array([3])}, TypeError, r"n must be an integer, got array\(\[3\]\)"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"seed": None}, TypeError, "seed must be an integer, got None"),
    ],
)
def test_bad_counts_and_seeds(loader, arguments, error, message):
    with pytest.raises(error, match=message):
        loader(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"noise": -0.1}, ValueError, "noise is a standard deviation and cannot be negative"),
        ({"noise": float("nan")}, ValueError, "noise must be finite, at most"),
        ({"noise": None}, TypeError, "noise must be a number"),
        ({"noise": 10**400}, ValueError, r"noise must be finite, at most 1e\+15 \(a standard"),
        ({"rotation": np.array([1.0])}, TypeError, "rotation must be a number"),
        (
            {"rotation": float("inf")},
            ValueError,
            r"rotation must be finite, .*grees\), got inf",
        ),
        ({"rotation": "50"}, TypeError, "rotation must be a number .*, got '50'"),
    ],
)
def test_bad_moons(arguments, error, message):
    with pytest.raises(error, match=message):
        lrmf.data.moons(**arguments)


def test_arguments_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        lrmf.data.moons(100)


def test_numpy_numbers_are_accepted():
    pair = lrmf.data.moons(n=np.int64(10), rotation=np.float32(-50), seed=np.int32(1))
    assert pair.source.shape == (10, 2)


def test_a_pair_is_frozen():
    with pytest.raises(AttributeError, match="cannot assign"):
        lrmf.data.blobs().source = np.zeros((2, 2))


def turn(points: np.ndarray, *, degrees: float, centre: np.ndarray) -> np.ndarray:
    """Turn by multiplying with exp(i angle), which is counter-clockwise for positive angles."""
    complex_points = (points - centre) @ np.array([1, 1j])
    turned = complex_points * np.exp(1j * np.deg2rad(degrees))
    return np.stack([turned.real, turned.imag], axis=1) + centre


def sort_rows(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.round(6).T)]


def labelled_mean(points: np.ndarray, labels: np.ndarray, label: int) -> np.ndarray:
    return points[labels == label].mean(axis=0)
