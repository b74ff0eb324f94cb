"""Distances of samples: oracles, invariances, calibration and power of the test, refusals."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics.pairwise import rbf_kernel

import lrmf
from lrmf import distances, kernels
from lrmf.theory import gaussian

# POT imports every array library it finds; these tests only give it NumPy arrays.
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")

import ot

SEEDS = range(3)
DIMENSIONS = (1, 2, 5)
cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])

triangular_gap = functools.partial(distances.mmd2, kernel="triangular_gap")
biased_gap = functools.partial(distances.mmd2, kernel="triangular_gap", unbiased=False)
gaussian_mmd2 = functools.partial(distances.mmd2, bandwidth=1.3)
biased_mmd2 = functools.partial(distances.mmd2, bandwidth=1.3, unbiased=False)
unbiased_energy = functools.partial(distances.energy_distance, unbiased=True)
w1 = distances.wasserstein
w2 = functools.partial(distances.wasserstein, order=2)
sliced_1 = functools.partial(distances.sliced_wasserstein, n_projections=50)
sliced_2 = functools.partial(distances.sliced_wasserstein, n_projections=50, order=2)

#: name -> statistic, whether it is zero for equal samples, its degree in the scale of the data.
STATISTICS = {
    "mmd2": (distances.mmd2, False, 0),
    "biased mmd2": (functools.partial(distances.mmd2, unbiased=False), True, 0),
    "triangular gap": (triangular_gap, False, 1),
    "biased triangular gap": (biased_gap, True, 1),
    "energy": (distances.energy_distance, True, 1),
    "unbiased energy": (unbiased_energy, False, 1),
    "W1": (w1, True, 1),
    "W2": (w2, True, 1),
    "sliced W1": (sliced_1, True, 1),
    "sliced W2": (sliced_2, True, 1),
}
named = pytest.mark.parametrize("name", STATISTICS)


def samples(d, seed, m=40, n=60):
    rng = np.random.default_rng([d, seed])
    x = rng.normal(size=(m, d))
    y = rng.exponential(size=(n, d)) + 0.3 * np.arange(d)
    return x, y


def means_of_pairs(kernel, x, y, unbiased):
    """MMD² term by term, as it is defined."""

    def within(z):
        pairs = [kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]
        diagonal = [] if unbiased else [kernel(a, a) for a in z]
        return np.mean(pairs + diagonal)

    return within(x) + within(y) - 2 * np.mean([kernel(a, b) for a in x for b in y])


# Oracles


@cases
@pytest.mark.parametrize("unbiased", [True, False])
def test_gaussian_mmd2_is_that_of_scikit_learns_kernel(d, seed, unbiased):
    x, y = samples(d, seed)
    gamma = 1 / (2 * 0.7**2)
    k_xx, k_yy, k_xy = (
        rbf_kernel(x, gamma=gamma),
        rbf_kernel(y, gamma=gamma),
        rbf_kernel(x, y, gamma=gamma),
    )
    if unbiased:
        within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (k_xx, k_yy)]
    else:
        within = [k_xx.mean(), k_yy.mean()]
    expected = sum(within) - 2 * k_xy.mean()
    found = distances.mmd2(x, y, bandwidth=0.7, unbiased=unbiased)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-13)


@cases
@pytest.mark.parametrize("unbiased", [True, False])
def test_triangular_gap_mmd2_is_that_of_the_full_kernel_about_any_origin(d, seed, unbiased):
    x, y = samples(d, seed, m=9, n=7)
    origin = np.random.default_rng(seed).normal(size=d)

    def kernel(a, b):
        gap = np.linalg.norm(a - origin) + np.linalg.norm(b - origin) - np.linalg.norm(a - b)
        return gap / 2

    expected = means_of_pairs(kernel, x, y, unbiased)
    found = distances.mmd2(x, y, kernel="triangular_gap", unbiased=unbiased)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    energy = distances.energy_distance(x, y, unbiased=unbiased)
    assert energy == pytest.approx(2 * found, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_energy_distance_on_the_line_is_scipys_squared(seed):
    x, y = (z[:, 0] for z in samples(1, seed))
    assert distances.energy_distance(x, y) == pytest.approx(
        stats.energy_distance(x, y) ** 2, rel=1e-9
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_w1_on_the_line_is_scipys(seed):
    x, y = (z[:, 0] for z in samples(1, seed))
    expected = stats.wasserstein_distance(x, y)
    assert distances.wasserstein(x, y) == pytest.approx(expected, rel=1e-9)
    assert distances.sliced_wasserstein(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("d", [2, 3])
def test_w1_in_space_is_scipys_linear_program(d):
    x, y = samples(d, 0, m=12, n=15)
    expected = stats.wasserstein_distance_nd(x, y)
    assert distances.wasserstein(x, y) == pytest.approx(expected, rel=1e-6)


@cases
def test_w2_of_a_gaussian_monge_map_is_the_closed_form(d, seed):
    x, _ = samples(d, seed, m=80)
    root = np.random.default_rng(seed).normal(size=(d, d))
    matrix = root @ root.T + 0.3 * np.eye(d)
    y = x @ matrix + 1.0  # the gradient of a convex function: optimal for |x − y|²
    covs = [np.cov(z.T, bias=True).reshape(d, d) for z in (x, y)]
    expected = gaussian.wasserstein(x.mean(axis=0), covs[0], y.mean(axis=0), covs[1])
    assert distances.wasserstein(x, y, order=2) == pytest.approx(float(expected), rel=1e-9)


@cases
@pytest.mark.parametrize("order", [1, 2])
def test_sliced_wasserstein_is_the_mean_over_directions(d, seed, order):
    x, y = samples(d, seed)
    directions = ot.sliced.get_random_projections(d, 30, seed=seed)
    powers = [ot.wasserstein_1d(x @ u, y @ u, p=order) for u in directions.T]
    found = distances.sliced_wasserstein(x, y, order=order, n_projections=30, seed=seed)
    assert found == pytest.approx(np.mean(powers) ** (1 / order), rel=1e-9)
    assert found <= distances.wasserstein(x, y, order=order) + 1e-12


@cases
def test_gaussian_mmd2_estimates_the_closed_form_of_two_normals(d, seed):
    rng = np.random.default_rng([d, seed, 5])
    h, shift = 1.5, np.full(d, 0.5)

    def expectation(gap, var):  # E k(X, Y) for X − Y normal with this mean and variance per axis
        total = h**2 + var
        return (h**2 / total) ** (d / 2) * np.exp(-0.5 * gap @ gap / total)

    expected = 2 * expectation(np.zeros(d), 2.0) - 2 * expectation(shift, 2.0)
    values = [
        distances.mmd2(rng.normal(size=(60, d)), rng.normal(size=(40, d)) + shift, bandwidth=h)
        for _ in range(150)
    ]
    assert abs(np.mean(values) - expected) < 4 * np.std(values) / np.sqrt(len(values))


def test_the_median_heuristic_is_the_median_of_all_pairs():
    x, y = samples(2, 0, m=6, n=5)
    pooled = np.concatenate([x, y])
    lengths = [np.linalg.norm(a - b) for i, a in enumerate(pooled) for b in pooled[:i]]
    assert distances.median_bandwidth(x, y) == pytest.approx(np.median(lengths), rel=1e-12)
    by_name = distances.mmd2(x, y, bandwidth="median")
    assert by_name == distances.mmd2(x, y)
    assert by_name == distances.mmd2(x, y, bandwidth=distances.median_bandwidth(x, y))


def test_sums_in_blocks_are_the_sums(monkeypatch):
    x, y = samples(3, 0)
    whole = distances.mmd2(x, y), distances.energy_distance(x, y)
    monkeypatch.setattr(kernels, "BLOCK", 150)
    in_blocks = distances.mmd2(x, y), distances.energy_distance(x, y)
    assert in_blocks == pytest.approx(whole, rel=1e-12)


# Invariances


@named
@pytest.mark.parametrize("d", DIMENSIONS)
def test_symmetry_scale_rotation_and_order_of_the_points(name, d):
    statistic, zero_when_equal, degree = STATISTICS[name]
    x, y = samples(d, 0)
    rng = np.random.default_rng(1)
    value = statistic(x, y)
    assert isinstance(value, float)
    assert statistic(y, x) == pytest.approx(value, rel=1e-9)
    assert statistic(rng.permutation(x), rng.permutation(y)) == pytest.approx(value, rel=1e-9)
    assert statistic(x + 7.0, y + 7.0) == pytest.approx(value, rel=1e-7)
    assert statistic(3 * x, 3 * y) == pytest.approx(3**degree * value, rel=1e-9)
    if not name.startswith("sliced"):  # turned data meet other random directions
        turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
        assert statistic(x @ turn, y @ turn) == pytest.approx(value, rel=1e-9)
    if zero_when_equal:
        assert statistic(x, x[::-1]) == pytest.approx(0.0, abs=1e-7)
        assert value > 1e-3
    else:
        assert statistic(x, x[::-1]) < 0


@named
@pytest.mark.parametrize("magnitude", [2.0**-1000, 1e-300, 1e-8, 1e-7, 1e155, 2.0**1000, 1e300])
@pytest.mark.parametrize("d", [1, 2])
def test_no_magnitude_of_the_data_costs_a_digit(name, d, magnitude):
    statistic, _, degree = STATISTICS[name]
    x, y = samples(d, 0)
    value = statistic(x, y)
    found = statistic(magnitude * x, magnitude * y) / magnitude**degree
    if np.log2(magnitude) % 1 == 0:
        assert found == value
    assert found == pytest.approx(value, rel=1e-12)


def test_bandwidths_of_any_magnitude():
    x, y = samples(2, 0)
    for scale in (1e-300, 1e300):
        found = distances.mmd2(scale * x, scale * y, bandwidth=0.7 * scale)
        assert found == pytest.approx(distances.mmd2(x, y, bandwidth=0.7), rel=1e-12)
        assert distances.median_bandwidth(scale * x, scale * y) == pytest.approx(
            scale * distances.median_bandwidth(x, y), rel=1e-12
        )
    assert distances.mmd2(1e-300 * x, 1e-300 * y, bandwidth=1e300) == 0.0
    assert distances.mmd2(1e300 * x, 1e300 * y, bandwidth=1e-300) == 0.0  # no two are near


@named
def test_doubling_every_point_changes_no_distance_of_distributions(name):
    statistic, zero_when_equal, _ = STATISTICS[name]
    x, y = samples(2, 0)
    same = statistic(np.repeat(x, 2, axis=0), y) == pytest.approx(statistic(x, y), rel=1e-6)
    if name == "biased mmd2":  # the median heuristic pools the points
        fixed = biased_mmd2(np.repeat(x, 2, axis=0), y)
        assert fixed == pytest.approx(biased_mmd2(x, y), rel=1e-9)
    else:
        assert same == zero_when_equal


@cases
def test_a_shift_of_far_samples_costs_its_length(d, seed):
    x, _ = samples(d, seed)
    shift = np.zeros(d)
    shift[0] = 100.0
    assert distances.wasserstein(x, x + shift) == pytest.approx(100.0, rel=1e-9)
    assert distances.wasserstein(x, x + shift, order=2) == pytest.approx(100.0, rel=1e-9)
    within = distances.energy_distance(x, x[:1])  # 2E|X − x₀| − E|X − X'|
    spread = 2 * np.linalg.norm(x - x[0], axis=1).mean() - within
    assert distances.energy_distance(x, x + shift) == pytest.approx(200 - 2 * spread, rel=1e-3)


@named
def test_numbers_and_images_are_accepted(name):
    statistic = STATISTICS[name][0]
    x, y = samples(4, 0)
    assert statistic(x[:, 0], y[:, 0]) == statistic(x[:, :1], y[:, :1])
    assert statistic(x.reshape(-1, 2, 2), y.reshape(-1, 2, 2)) == statistic(x, y)
    assert statistic(x.tolist(), y.tolist()) == statistic(x, y)


# Refusals

X = np.zeros((5, 2)) + np.arange(5)[:, None]
ALL = [*(statistic for statistic, _, _ in STATISTICS.values()), distances.median_bandwidth]


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize(
    ("x", "y", "error", "match"),
    [
        (X, np.ones((5, 3)), ValueError, "expected y with 2 features like x, got 3"),
        (X, 3.0, ValueError, r"expected y of shape \(n, features\), got \(\)"),
        (X, np.ones((0, 2)), ValueError, "y has no rows"),
        (np.ones((4, 0)), X, ValueError, "x has no features"),
        (np.where(X == 3, np.nan, X), X, ValueError, "x holds 2 NaN or infinite .*; remove"),
        (X, np.where(X > 2, np.inf, X), ValueError, "y holds 4 NaN or infinite values in 2 rows"),
        (X, [["a", "b"]], TypeError, "y must hold real numbers"),
        (None, X, TypeError, "x is missing"),
    ],
)
def test_samples_are_refused_with_cause_and_cure(function, x, y, error, match):
    with pytest.raises(error, match=match):
        function(x, y)
    with pytest.raises(error, match=match):
        distances.permutation_test(function, x, y)


@pytest.mark.parametrize("function", [distances.mmd2, triangular_gap, unbiased_energy])
def test_an_unbiased_estimate_needs_two_points_a_side(function):
    with pytest.raises(ValueError, match=r"x has only 1 row, .* expected 2 or more"):
        function(X[:1], X)
    with pytest.raises(ValueError, match=r"y has only 1 row, .* expected 2 or more"):
        distances.permutation_test(function, X, X[:1])


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, np.nan, np.inf, True, [1.0]])
def test_a_bandwidth_must_be_positive(bandwidth):
    with pytest.raises(ValueError, match="bandwidth must be a positive number, got"):
        distances.mmd2(X, X, bandwidth=bandwidth)


@pytest.mark.parametrize("function", [w1, sliced_1, distances.energy_distance, triangular_gap])
def test_a_distance_beyond_float64_is_refused(function):
    far = np.array([1.7e308, 1.6e308])
    with pytest.raises(ValueError, match=r"is too large for float64 .*; divide the points by a sc"):
        function(far, -far)
    if function not in (w1, sliced_1):
        with pytest.raises(ValueError, match="is too large for float64"):
            distances.permutation_test(function, far, -far)


def test_other_wrong_options_are_refused():
    with pytest.raises(ValueError, match="must be a positive number or 'median', got 'mean'"):
        distances.mmd2(X, X, bandwidth="mean")
    with pytest.raises(ValueError, match=r"has no bandwidth, got 1\.0; leave it out, or choose"):
        distances.mmd2(X, X, kernel="triangular_gap", bandwidth=1.0)
    with pytest.raises(ValueError, match=r"unknown kernel 'rbf'; choose one of \('gaussian'"):
        distances.mmd2(X, X, kernel="rbf")
    with pytest.raises(ValueError, match="unknown kernel array"):
        distances.mmd2(X, X, kernel=np.array(["gaussian"] * 2))
    with pytest.raises(ValueError, match="unknown kernel 'rbf'"):
        distances.permutation_test(functools.partial(distances.mmd2, kernel="rbf"), X, X)
    with pytest.raises(ValueError, match=r"bandwidth 0, because .*; pass a positive bandwidth"):
        distances.mmd2(np.ones((5, 2)), np.ones((5, 2)))
    for function in (distances.wasserstein, distances.sliced_wasserstein):
        for order in (3, True, [1, 2], np.array([1, 2]), "1", None):
            with pytest.raises(ValueError, match="order must be 1 or 2, got "):
                function(X, X, order=order)
    for call in (
        lambda: distances.energy_distance(X, X, unbiased="no"),
        lambda: distances.mmd2(X, X, unbiased=None),
        lambda: distances.permutation_test(
            functools.partial(distances.mmd2, unbiased=1), X, X[:4], n_permutations=5
        ),
    ):
        with pytest.raises(ValueError, match="unbiased must be True or False, got "):
            call()
    with pytest.raises(ValueError, match="n_projections must be a positive integer, got 0"):
        distances.sliced_wasserstein(X, X, n_projections=0)
    with pytest.raises(ValueError, match="seed must be a non-negative integer, got -1"):
        distances.sliced_wasserstein(X, X, seed=-1)


def test_without_pot_the_install_command_is_named():
    code = """
import sys
sys.modules["ot"] = None
from lrmf import distances, kernels
assert distances.energy_distance([0.0], [2.0]) == 4.0
for function in (distances.wasserstein, distances.sliced_wasserstein):
    try:
        function([0.0], [2.0])
    except ImportError as error:
        assert 'pip install "lrmf[ot]"' in str(error), error
        assert error.__cause__ is not None
        print("refused")
print("jax" in sys.modules, "tensorflow" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["refused", "refused", "False", "False"]


def test_the_module_is_public():
    assert lrmf.distances is distances
    assert "distances" in lrmf.__all__


def test_a_long_seed_is_a_seed():
    x, y = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
    found = [distances.sliced_wasserstein(x, y, n_projections=3, seed=s) for s in (2**40, 2**41)]
    assert np.isfinite(found).all()
    assert found[0] != found[1]
