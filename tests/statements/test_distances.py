"""Checks of the statements of "Distances between distributions", each with a negative control."""

import os

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats
from scipy.spatial.distance import cdist

from lrmf import distances
from lrmf.theory import divergences

# POT imports every array library it finds; these tests only give it NumPy arrays.
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")

import ot

SEEDS = range(3)
DIMENSIONS = (1, 2, 5)
seeds = pytest.mark.parametrize("seed", SEEDS)
dimensions = pytest.mark.parametrize("d", DIMENSIONS)
cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])

#: name -> f, f(0), f'(∞), its derivative, its conjugate, where the conjugate is finite.
DIVERGENCES = {
    "kl": (
        lambda t: t * np.log(t),
        (0.0, np.inf),
        lambda t: 1 + np.log(t),
        lambda s: np.exp(s - 1),
        (-np.inf, np.inf),
    ),
    "reverse kl": (
        lambda t: -np.log(t),
        (np.inf, 0.0),
        lambda t: -1 / t,
        lambda s: -1 - np.log(-s),
        (-np.inf, 0.0),
    ),
    "jsd": (
        lambda t: 0.5 * t * np.log(t) - 0.5 * (t + 1) * np.log((t + 1) / 2),
        (0.5 * np.log(2), 0.5 * np.log(2)),
        lambda t: 0.5 * np.log(2 * t / (t + 1)),
        lambda s: -0.5 * np.log(2 - np.exp(2 * s)),
        (-np.inf, 0.5 * np.log(2)),
    ),
    "tv": (
        lambda t: 0.5 * np.abs(t - 1),
        (0.5, 0.5),
        lambda t: 0.5 * np.sign(t - 1),
        lambda s: np.maximum(s, -0.5),
        (-np.inf, 0.5),
    ),
    "chi2": (
        lambda t: (t - 1) ** 2,
        (1.0, np.inf),
        lambda t: 2 * (t - 1),
        lambda s: s + s**2 / 4,
        (-2.0, np.inf),
    ),
}
divergence_names = pytest.mark.parametrize("name", DIVERGENCES)


def f_divergence(f, ends, p, q):
    """The definition in the text, for probabilities of finitely many points."""
    at_zero, slope = ends
    total = 0.0
    for a, b in zip(p, q, strict=True):
        if b > 0:
            total += b * (f(a / b) if a > 0 else at_zero)
        elif a > 0:
            total += slope * a
    return total


def histograms(seed, bins=8):
    rng = np.random.default_rng([seed, bins])
    return rng.dirichlet(np.ones(bins), size=2)


def samples(d, seed, m=40, n=60):
    rng = np.random.default_rng([d, seed])
    return rng.normal(size=(m, d)), rng.exponential(size=(n, d)) + 0.3


def weighted(d, seed, m=7, n=9):
    """Two distributions on finitely many points: points and weights of each."""
    rng = np.random.default_rng([d, seed, 1])
    x, y = rng.normal(size=(m, d)), rng.normal(size=(n, d)) + 0.5
    return x, y, rng.dirichlet(np.ones(m)), rng.dirichlet(np.ones(n))


# def-f-divergence


@pytest.mark.statement("def-f-divergence")
@seeds
@divergence_names
def test_the_usual_divergences_are_f_divergences(name, seed, record_property):
    f, ends, *_ = DIVERGENCES[name]
    # One point without mass, on the side where the divergence stays finite.
    p, q = (np.append(z, 0.0) for z in histograms(seed))
    filled = q if name in ("kl", "chi2") else p
    filled[-2:] = filled[-2] / 2
    expected = {
        "kl": lambda: divergences.histogram_kl(p, q),
        "reverse kl": lambda: divergences.histogram_kl(q, p),
        "jsd": lambda: divergences.histogram_jsd(p, q),
        "tv": lambda: divergences.histogram_total_variation(p, q),
        "chi2": lambda: ((p - q) ** 2 / q).sum(),
    }[name]()
    found = f_divergence(f, ends, p, q)
    error = abs(found - float(expected))
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("def-f-divergence", control=True)
@seeds
def test_without_the_last_term_mass_outside_goes_unnoticed(seed):
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.0, 0.5])
    f, (at_zero, slope), *_ = DIVERGENCES["tv"]
    assert f_divergence(f, (at_zero, slope), p, q) == pytest.approx(0.5)
    assert f_divergence(f, (at_zero, 0.0), p, q) == pytest.approx(0.25)


# prop-f-properties


@pytest.mark.statement("prop-f-properties")
@seeds
@divergence_names
def test_sign_invariance_and_largest_value(name, seed, record_property):
    f, ends, *_ = DIVERGENCES[name]
    p, q = histograms(seed)
    value = f_divergence(f, ends, p, q)
    assert value > 1e-3
    assert value <= sum(ends)
    order = np.random.default_rng(seed).permutation(len(p))
    moved = f_divergence(f, ends, p[order], q[order])
    errors = [abs(moved - value), abs(f_divergence(f, ends, p, p))]
    half = len(p) // 2
    apart = [
        np.where(keep, z, 0.0) for z, keep in ((p, np.arange(8) < half), (q, np.arange(8) >= half))
    ]
    apart = f_divergence(f, ends, *(z / z.sum() for z in apart))
    if np.isfinite(sum(ends)):
        errors.append(abs(apart - sum(ends)))
    else:
        assert apart == np.inf
    record_property("error", float(max(errors)))
    assert max(errors) < 1e-12


@pytest.mark.statement("prop-f-properties")
@seeds
def test_a_diffeomorphism_keeps_the_jsd_of_densities(seed, record_property):
    shift = 0.5 + seed
    before = divergences.jsd(stats.norm(0, 1).logpdf, stats.norm(shift, 1.5).logpdf)
    after = divergences.jsd(
        stats.lognorm(1.0).logpdf,
        stats.lognorm(1.5, scale=np.exp(shift)).logpdf,
        support=(0.0, np.inf),
        breakpoints=[0.01, 0.1, 1.0, 10.0, 100.0, 1e4],
    )
    record_property("error", abs(after - before))
    assert abs(after - before) < 1e-8


@pytest.mark.statement("prop-f-properties", control=True)
@seeds
def test_a_map_that_is_not_one_to_one_loses_divergence(seed):
    p, q = histograms(seed)
    folded = [z.reshape(-1, 2).sum(axis=1) for z in (p, q)]
    for f, ends, *_ in (DIVERGENCES["kl"], DIVERGENCES["jsd"]):
        assert f_divergence(f, ends, *folded) < f_divergence(f, ends, p, q) - 1e-3


@pytest.mark.statement("prop-f-properties", control=True)
@seeds
def test_a_function_that_is_not_convex_gives_negative_values(seed):
    p, q = histograms(seed)
    assert f_divergence(lambda t: t - t**2, (0.0, -np.inf), p, q) < -1e-3


# thm-f-variational


@pytest.mark.statement("thm-f-variational")
@seeds
@divergence_names
def test_every_critic_is_below_and_the_best_attains(name, seed, record_property):
    f, ends, derivative, conjugate, (low, high) = DIVERGENCES[name]
    p, q = histograms(seed)
    value = f_divergence(f, ends, p, q)
    best = derivative(p / q)
    error = abs(p @ best - q @ conjugate(best) - value)
    record_property("error", float(error))
    assert error < 1e-12
    rng = np.random.default_rng(seed)
    for size in (0.01, 0.1, 1.0):
        for _ in range(20):
            g = np.clip(best + size * rng.normal(size=len(p)), low + 1e-3, high - 1e-3)
            assert p @ g - q @ conjugate(g) <= value + 1e-12


@pytest.mark.statement("thm-f-variational")
@divergence_names
def test_the_conjugates_of_the_table_are_suprema(name, record_property):
    f, _, derivative, conjugate, (low, high) = DIVERGENCES[name]
    t = np.geomspace(1e-6, 1e6, 400_001)
    errors = []
    for ratio in (0.2, 0.7, 1.5, 4.0):
        s = derivative(ratio)
        assert low <= s <= high
        errors.append(abs((s * t - f(t)).max() - conjugate(s)))
    record_property("error", float(max(errors)))
    assert max(errors) < 1e-5


@pytest.mark.statement("thm-f-variational", control=True)
@seeds
@divergence_names
def test_without_the_conjugate_the_bound_breaks(name, seed):
    f, ends, derivative, *_ = DIVERGENCES[name]
    p, q = histograms(seed)
    best = 3 * derivative(p / q)
    assert p @ best - q @ best > f_divergence(f, ends, p, q) + 1e-3


# def-ipm


def metric(functions, p, q):
    return max(float(g @ p - g @ q) for g in functions)


@pytest.mark.statement("def-ipm")
@seeds
def test_an_integral_probability_metric_is_a_pseudometric(seed, record_property):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(20, 8))
    functions = np.concatenate([half, -half])
    p, q, r = rng.dirichlet(np.ones(8), size=3)
    error = abs(metric(functions, p, q) - metric(functions, q, p))
    record_property("error", error)
    assert error < 1e-15
    assert metric(functions, p, p) == 0
    assert metric(functions, p, q) > 0
    assert metric(functions, p, r) <= metric(functions, p, q) + metric(functions, q, r) + 1e-15


@pytest.mark.statement("def-ipm", control=True)
@seeds
def test_without_the_negative_functions_it_is_not_symmetric(seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(8), size=2)
    functions = [p - q, 2 * (p - q)]
    assert metric(functions, p, q) > 0 > metric(functions, q, p)


# prop-total-variation


@pytest.mark.statement("prop-total-variation")
@seeds
def test_the_four_forms_of_total_variation_agree(seed, record_property):
    p, q = histograms(seed)
    half_the_norm = float(divergences.histogram_total_variation(p, q))
    bits = (np.arange(2**8)[:, None] >> np.arange(8)) & 1  # all events
    by_events = (bits @ (p - q)).max()
    f, ends, *_ = DIVERGENCES["tv"]
    by_critics = -optimize.linprog(-(p - q), bounds=[(-0.5, 0.5)] * 8).fun
    values = [by_events, by_critics, f_divergence(f, ends, p, q)]
    error = max(abs(value - half_the_norm) for value in values)
    record_property("error", float(error))
    assert error < 1e-10


@pytest.mark.statement("prop-total-variation", control=True)
@seeds
def test_critics_up_to_one_give_twice_as_much(seed):
    p, q = histograms(seed)
    by_critics = -optimize.linprog(-(p - q), bounds=[(-1, 1)] * 8).fun
    expected = 2 * float(divergences.histogram_total_variation(p, q))
    assert by_critics == pytest.approx(expected, rel=1e-8)
    assert expected > 0.1


# thm-mmd


def gaussian_kernel(x, y):
    return np.exp(-cdist(x, y, "sqeuclidean") / 2)


def gap_kernel(x, y):
    lengths = np.linalg.norm(x, axis=1)[:, None] + np.linalg.norm(y, axis=1)
    return 0.5 * (lengths - cdist(x, y))


kernels = pytest.mark.parametrize("kernel", [gaussian_kernel, gap_kernel])


@pytest.mark.statement("thm-mmd")
@cases
@kernels
def test_no_critic_in_the_unit_ball_beats_the_witness(kernel, d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    points, signs = np.concatenate([x, y]), np.concatenate([a, -b])
    gram = kernel(points, points)
    squared = a @ kernel(x, x) @ a + b @ kernel(y, y) @ b - 2 * a @ kernel(x, y) @ b

    def score(coefficients):  # of f = Σ cᵢ k(zᵢ, ·), divided by its norm
        return signs @ gram @ coefficients / np.sqrt(coefficients @ gram @ coefficients)

    error = abs(score(signs) - np.sqrt(squared))
    record_property("error", float(error))
    assert error < 1e-10
    rng = np.random.default_rng(seed)
    for size in (0.01, 0.1, 1.0):
        for _ in range(20):
            assert score(signs + size * rng.normal(size=len(signs))) <= np.sqrt(squared) + 1e-12


@pytest.mark.statement("thm-mmd", control=True)
@cases
def test_what_is_not_a_kernel_can_give_a_negative_square(d, seed):
    x, y, a, b = weighted(d, seed)
    squared = a @ cdist(x, x) @ a + b @ cdist(y, y) @ b - 2 * a @ cdist(x, y) @ b
    assert squared < -1e-3


# prop-mmd-estimators


@pytest.mark.statement("prop-mmd-estimators")
@dimensions
def test_the_means_of_both_estimates(d, record_property):
    # P and Q on few points, so that the expectations are finite sums.
    x, y, a, b = weighted(d, 0, m=5, n=4)
    k_xx, k_yy, k_xy = gaussian_kernel(x, x), gaussian_kernel(y, y), gaussian_kernel(x, y)
    exact = a @ k_xx @ a + b @ k_yy @ b - 2 * a @ k_xy @ b
    m, n, repeats = 6, 9, 3000
    bias = (1 - a @ k_xx @ a) / m + (1 - b @ k_yy @ b) / n
    rng = np.random.default_rng(d)
    found = []
    for _ in range(repeats):
        sample = x[rng.choice(5, p=a, size=m)], y[rng.choice(4, p=b, size=n)]
        found.append(
            [
                distances.mmd2(*sample, bandwidth=1.0, unbiased=unbiased)
                for unbiased in (True, False)
            ]
        )
    found = np.array(found)
    errors = np.abs(found.mean(axis=0) - [exact, exact + bias])
    record_property("error", float(errors.max()))
    assert (errors < 4 * found.std(axis=0) / np.sqrt(repeats)).all()
    assert found[:, 1].min() >= 0
    equal = [distances.mmd2(*rng.normal(size=(2, 6, d)), bandwidth=1.0) for _ in range(100)]
    assert min(equal) < 0


@pytest.mark.statement("prop-mmd-estimators", control=True)
@dimensions
def test_points_that_depend_on_each_other_bias_both(d):
    rng = np.random.default_rng(d)
    values = []
    for _ in range(300):
        x, y = (np.repeat(rng.normal(size=(5, d)), 4, axis=0) for _ in range(2))
        values.append(distances.mmd2(x, y, bandwidth=1.0))
    assert np.mean(values) > 10 * np.std(values) / np.sqrt(len(values))


# def-energy


@pytest.mark.statement("def-energy")
@cases
def test_the_estimator_is_the_definition_for_empirical_distributions(d, seed, record_property):
    x, y = samples(d, seed)
    expected = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    error = abs(distances.energy_distance(x, y) - expected)
    record_property("error", float(error))
    assert error < 1e-12
    assert expected > 0


@pytest.mark.statement("def-energy", control=True)
@seeds
def test_without_a_finite_mean_the_estimates_do_not_settle(seed):
    def spread(law):
        """Of the largest term of 2E|X − Y| over the sum: zero in the limit if the mean exists."""
        x = np.abs(law.rvs(size=100_000, random_state=seed))
        return x.max() / x.sum()

    assert spread(stats.norm) < 1e-3 < 1e-2 < spread(stats.pareto(0.5))


# lem-negative-type


def balanced(d, seed):
    rng = np.random.default_rng([d, seed, 2])
    a = rng.normal(size=12)
    return rng.normal(size=(12, d)), a - a.mean()


@pytest.mark.statement("lem-negative-type")
@cases
def test_balanced_sums_of_distances_are_not_positive(d, seed, record_property):
    x, a = balanced(d, seed)
    found = a @ cdist(x, x) @ a
    assert found < 0
    # The identity of the proof, on the line exactly.
    s = np.sort(x[:, 0])
    steps = np.cumsum(a)[:-1]
    error = abs(a @ np.abs(s[:, None] - s) @ a + 2 * (steps**2) @ np.diff(s))
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("lem-negative-type", control=True)
@cases
def test_without_balance_or_with_cubes_the_sum_can_be_positive(d, seed):
    x, a = balanced(d, seed)
    assert np.abs(a) @ cdist(x, x) @ np.abs(a) > 0
    line = np.array([[0.0], [1.0], [2.0]]) * np.ones(d)
    second_difference = np.array([1.0, -2.0, 1.0])
    assert second_difference @ cdist(line, line) ** 3 @ second_difference > 1


# thm-energy-mmd


@pytest.mark.statement("thm-energy-mmd")
@cases
@pytest.mark.parametrize("exponent", [1.0, 0.5, 1.5])
def test_the_triangular_gap_is_a_kernel_and_gives_half_the_energy(
    exponent, d, seed, record_property
):
    x, y, a, b = weighted(d, seed)
    base = np.random.default_rng(seed).normal(size=(1, d))

    def rho(u, v):
        return cdist(u, v) ** exponent

    def kernel(u, v):
        return 0.5 * (rho(u, base) + rho(v, base).T - rho(u, v))

    points = np.concatenate([x, y])
    assert np.linalg.eigvalsh(kernel(points, points)).min() > -1e-10
    energy = 2 * a @ rho(x, y) @ b - a @ rho(x, x) @ a - b @ rho(y, y) @ b
    squared = a @ kernel(x, x) @ a + b @ kernel(y, y) @ b - 2 * a @ kernel(x, y) @ b
    error = abs(energy - 2 * squared)
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("thm-energy-mmd")
@cases
def test_the_library_agrees_with_the_theorem(d, seed, record_property):
    x, y = samples(d, seed)
    gap = distances.mmd2(x, y, kernel="triangular_gap", unbiased=False)
    full = gap_kernel(x, x).mean() + gap_kernel(y, y).mean() - 2 * gap_kernel(x, y).mean()
    error = max(abs(distances.energy_distance(x, y) - 2 * value) for value in (gap, full))
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("thm-energy-mmd", control=True)
@dimensions
def test_a_distance_that_is_not_of_negative_type_gives_no_kernel(d):
    line = np.arange(4.0)[:, None] * np.ones(d)
    rho = cdist(line, line) ** 3
    gap = 0.5 * (rho[:, :1] + rho[:1] - rho)
    assert np.linalg.eigvalsh(gap).min() < -0.1


# thm-energy-projections


def mean_coordinate(d):
    return special.gamma(d / 2) / (np.sqrt(np.pi) * special.gamma((d + 1) / 2))


@pytest.mark.statement("thm-energy-projections")
@seeds
def test_on_the_line_and_in_the_plane_by_quadrature(seed, record_property):
    x, y = (z[:, :1] for z in samples(1, seed))
    on_the_line = stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    x2, y2 = samples(2, seed, m=6, n=8)

    def along(angle):
        u = np.array([np.cos(angle), np.sin(angle)])
        return stats.energy_distance(x2 @ u, y2 @ u) ** 2

    # Periodic and piecewise smooth: the mean over many angles converges fast enough.
    angles = np.linspace(0, np.pi, 20_000, endpoint=False)
    in_the_plane = np.mean([along(t) for t in angles]) / mean_coordinate(2)
    errors = [
        abs(distances.energy_distance(x, y) - on_the_line),
        abs(distances.energy_distance(x2, y2) - in_the_plane),
    ]
    record_property("error", float(max(errors)))
    assert errors[0] < 1e-12
    assert errors[1] < 1e-6


@pytest.mark.statement("thm-energy-projections")
@pytest.mark.parametrize("d", [3, 5, 10])
def test_in_space_by_random_directions(d, record_property):
    rng = np.random.default_rng(d)
    u = rng.normal(size=(2000, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    x, y = samples(d, 0)
    values = np.array([stats.energy_distance(x @ v, y @ v) ** 2 for v in u]) / mean_coordinate(d)
    error = abs(values.mean() - distances.energy_distance(x, y))
    record_property("error", float(error))
    assert error < 4 * values.std() / np.sqrt(len(u))
    lengths = np.abs(u[:, 0])
    assert abs(lengths.mean() - mean_coordinate(d)) < 4 * lengths.std() / np.sqrt(len(u))


@pytest.mark.statement("thm-energy-projections", control=True)
@dimensions
def test_squared_lengths_see_only_the_means(d):
    x, _ = samples(d, 0)
    x = x - x.mean(axis=0)
    y = 3 * x

    def squares(u, v):
        return cdist(u, v, "sqeuclidean").mean()

    assert 2 * squares(x, y) - squares(x, x) - squares(y, y) == pytest.approx(0.0, abs=1e-10)
    assert distances.energy_distance(x, y) > 0.1


# def-wasserstein


def program(x, y, a, b, order):
    """W_p by SciPy's linear programming."""
    costs = cdist(x, y) ** order
    m, n = costs.shape
    rows = np.kron(np.eye(m), np.ones(n))
    columns = np.kron(np.ones(m), np.eye(n))
    solved = optimize.linprog(
        costs.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([a, b])
    )
    return solved.fun ** (1 / order), solved


@pytest.mark.statement("def-wasserstein")
@cases
@pytest.mark.parametrize("order", [1, 2])
def test_the_library_solves_the_linear_program(order, d, seed, record_property):
    x, y = samples(d, seed, m=8, n=11)
    expected, _ = program(x, y, np.full(8, 1 / 8), np.full(11, 1 / 11), order)
    error = abs(distances.wasserstein(x, y, order=order) - expected)
    record_property("error", float(error))
    assert error < 1e-8


@pytest.mark.statement("def-wasserstein", control=True)
@cases
def test_without_one_marginal_the_work_is_less(d, seed):
    x, y = samples(d, seed)
    nearest = cdist(x, y).min(axis=1).mean()  # everybody goes to the nearest point of Q
    assert nearest < distances.wasserstein(x, y) - 1e-2


# prop-wasserstein-shift


@pytest.mark.statement("prop-wasserstein-shift")
@cases
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("length", [0.01, 1.0, 100.0])
def test_a_shift_costs_its_length(length, order, d, seed, record_property):
    x, _ = samples(d, seed)
    direction = np.random.default_rng(seed).normal(size=d)
    shift = length * direction / np.linalg.norm(direction)
    error = abs(distances.wasserstein(x, x + shift, order=order) / length - 1)
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("prop-wasserstein-shift", control=True)
@cases
def test_a_stretch_costs_more_than_the_shift_of_the_mean(d, seed):
    x, _ = samples(d, seed)
    y = 2 * x + 0.5
    assert distances.wasserstein(x, y) > np.linalg.norm(y.mean(axis=0) - x.mean(axis=0)) + 0.01


# thm-weak-duality and thm-kantorovich


@pytest.mark.statement("thm-weak-duality")
@cases
def test_every_offer_is_below_every_plan(d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    rng = np.random.default_rng(seed)
    costs = cdist(x, y, "sqeuclidean")
    plans = [np.outer(a, b), ot.emd(a, b, costs)]
    plans += [ot.emd(a, b, rng.random(costs.shape)) for _ in range(10)]
    offers = []
    for _ in range(10):
        phi = rng.normal(size=len(a))
        offers.append((phi, (costs - phi[:, None]).min(axis=0)))
    worst = max(a @ phi + b @ psi for phi, psi in offers)
    assert worst <= min((plan * costs).sum() for plan in plans)
    best_plan, log = ot.emd(a, b, costs, log=True)
    slack = costs - log["u"][:, None] - log["v"]
    error = np.abs(slack[best_plan > 0]).max()
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("thm-weak-duality", control=True)
@cases
def test_an_offer_above_one_cost_beats_the_plan(d, seed):
    x, y, a, b = weighted(d, seed)
    costs = cdist(x, y)
    plan, log = ot.emd(a, b, costs, log=True)
    phi = log["u"] + 0.1  # violates the constraint along the plan
    assert a @ phi + b @ log["v"] > (plan * costs).sum() + 0.09


@pytest.mark.statement("thm-kantorovich")
@cases
@pytest.mark.parametrize("metric_name", ["euclidean", "sqeuclidean", "cityblock"])
def test_plan_and_offer_meet(metric_name, d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    costs = cdist(x, y, metric_name)
    plan, log = ot.emd(a, b, costs, log=True)
    assert (costs - log["u"][:, None] - log["v"]).min() > -1e-12
    error = abs((plan * costs).sum() - a @ log["u"] - b @ log["v"])
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("thm-kantorovich")
@cases
def test_one_lipschitz_critic_is_enough(d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    value, log = ot.emd2(a, b, cdist(x, y), log=True, return_matrix=True)

    def critic(z):
        return (cdist(z, y) - log["v"]).min(axis=1)

    error = abs(a @ critic(x) - b @ critic(y) - value)
    record_property("error", float(error))
    assert error < 1e-12
    rng = np.random.default_rng(seed)
    z, others = rng.normal(size=(2, 200, d))
    steps = np.abs(critic(z) - critic(others)) / np.linalg.norm(z - others, axis=1)
    assert steps.max() <= 1 + 1e-12


@pytest.mark.statement("thm-kantorovich", control=True)
@cases
def test_one_critic_is_not_enough_for_squared_lengths(d, seed):
    # With c(x, y) = |x − y|² no pair (f, −f) reaches the value: it would need
    # f(x) − f(y) ≤ |x − y|² for all points, also in between, so that f is constant.
    x, y, a, b = weighted(d, seed)
    points = np.concatenate([x, y])
    middle = np.concatenate([points + t * (points[::-1] - points) for t in np.linspace(0, 1, 9)])
    costs = cdist(middle, middle, "sqeuclidean")
    i, j = np.nonzero(costs + np.eye(len(middle)) > 0)
    keep = np.random.default_rng(seed).choice(len(i), size=min(len(i), 6000), replace=False)
    nearest = np.argsort(costs, axis=1)[:, 1:6]
    i = np.concatenate([i[keep], np.repeat(np.arange(len(middle)), 5)])
    j = np.concatenate([j[keep], nearest.ravel()])
    rows = np.zeros((len(i), len(middle)))
    rows[np.arange(len(i)), i], rows[np.arange(len(i)), j] = 1.0, -1.0
    objective = np.zeros(len(middle))
    objective[: len(x)], objective[len(x) : len(points)] = -a, b
    solved = optimize.linprog(objective, A_ub=rows, b_ub=costs[i, j], bounds=(None, None))
    value = ot.emd2(a, b, cdist(x, y, "sqeuclidean"))
    assert -solved.fun < 0.9 * value


# cor-w1-line


@pytest.mark.statement("cor-w1-line")
@seeds
def test_w1_on_the_line_is_the_area_between_the_distribution_functions(seed, record_property):
    x, y, a, b = weighted(1, seed)
    points = np.sort(np.concatenate([x, y])[:, 0])
    f = np.array([a[x[:, 0] <= t].sum() for t in points[:-1]])
    g = np.array([b[y[:, 0] <= t].sum() for t in points[:-1]])
    area = np.abs(f - g) @ np.diff(points)
    errors = [
        abs(area - value)
        for value in (
            ot.emd2(a, b, cdist(x, y)),
            stats.wasserstein_distance(x[:, 0], y[:, 0], a, b),
        )
    ]
    record_property("error", float(max(errors)))
    assert max(errors) < 1e-12


@pytest.mark.statement("cor-w1-line", control=True)
@seeds
def test_in_the_plane_the_mean_area_over_the_axes_is_not_w1(seed):
    x, y = samples(2, seed)
    on_axes = [stats.wasserstein_distance(x[:, k], y[:, k]) for k in range(2)]
    assert max(on_axes) < distances.wasserstein(x, y) - 1e-2


# prop-sinkhorn


@pytest.mark.statement("prop-sinkhorn")
@cases
@pytest.mark.parametrize("eps", [1.0, 0.2, 0.05])
def test_form_and_excess_of_the_entropic_plan(eps, d, seed, record_property):
    x, y, a, b = weighted(d, seed)
    costs = cdist(x, y)
    plan = ot.sinkhorn(
        a, b, costs, reg=eps, method="sinkhorn_log", stopThr=1e-12, numItermax=200_000
    )
    marginals = max(np.abs(plan.sum(axis=1) - a).max(), np.abs(plan.sum(axis=0) - b).max())
    scaled = eps * np.log(plan / np.outer(a, b)) + costs  # f_i + g_j: no interaction is left
    centred = scaled - scaled.mean(axis=0) - scaled.mean(axis=1)[:, None] + scaled.mean()
    error = max(marginals, np.abs(centred).max())
    record_property("error", float(error))
    assert error < 1e-9
    excess = (plan * costs).sum() - ot.emd2(a, b, costs)
    assert -1e-9 < excess < eps * min(stats.entropy(a), stats.entropy(b))

    def objective(other):
        return (other * costs).sum() + eps * special.rel_entr(other, np.outer(a, b)).sum()

    others = [np.outer(a, b), ot.emd(a, b, costs)]
    assert all(objective(plan) < objective(other) + 1e-9 for other in others)


@pytest.mark.statement("prop-sinkhorn", control=True)
@cases
def test_one_half_of_a_step_is_no_plan_and_can_cost_less(d, seed):
    x, y, a, b = weighted(d, seed)
    costs = cdist(x, y)
    half = np.outer(a, b) * np.exp(-costs / 0.05)
    half *= (a / half.sum(axis=1))[:, None]  # the rows are right, the columns are not
    assert (half * costs).sum() < ot.emd2(a, b, costs) - 1e-3


# thm-mmd-rate


@pytest.mark.statement("thm-mmd-rate")
@dimensions
@pytest.mark.parametrize("size", [5, 20, 80])
def test_the_squared_distance_of_a_sample_decays_like_one_over_its_size(size, d, record_property):
    # P on few points, so that the expectations are finite sums.
    x, _, a, _ = weighted(d, 0)
    lengths = cdist(x, x)
    rng = np.random.default_rng([size, d])
    counts = rng.multinomial(size, a, size=(2, 4000)) / size
    gaps = np.concatenate([counts - a, counts[:1] - counts[1:]])
    errors = []
    for matrix, factor in ((-lengths, 1.0), (gaussian_kernel(x, x), 1.0)):
        expected = (a @ np.diag(matrix) - a @ matrix @ a) * factor / size
        for gap, times in ((gaps[0], 1.0), (gaps[2], 2.0)):
            values = np.sum((gap @ matrix) * gap, axis=1)
            z = abs(values.mean() - times * expected) / (values.std() / np.sqrt(len(values)))
            assert z < 4.5
            errors.append(abs(values.mean() / (times * expected) - 1))
            assert np.sqrt(values.clip(0)).mean() <= np.sqrt(times * expected) * (1 + 1e-9) + 1e-3
    record_property("error", float(max(errors)))


@pytest.mark.statement("thm-mmd-rate")
@dimensions
def test_the_library_shows_the_law(d, record_property):
    rng = np.random.default_rng(d)
    values = np.array(
        [25 * distances.energy_distance(*rng.random((2, 25, d))) for _ in range(1500)]
    )
    pairs = np.linalg.norm(rng.random((400_000, d)) - rng.random((400_000, d)), axis=1)
    error = abs(values.mean() - 2 * pairs.mean())
    record_property("error", float(error))
    assert error < 4 * values.std() / np.sqrt(len(values)) + 4 * pairs.std() / 300


@pytest.mark.statement("thm-mmd-rate", control=True)
@dimensions
def test_points_that_come_in_copies_break_the_law(d):
    rng = np.random.default_rng(d)
    values = []
    for _ in range(300):
        x, y = (np.repeat(rng.random((5, d)), 5, axis=0) for _ in range(2))
        values.append(25 * distances.energy_distance(x, y))
    pairs = np.linalg.norm(rng.random((100_000, d)) - rng.random((100_000, d)), axis=1)
    assert np.mean(values) > 3 * 2 * pairs.mean()


# thm-w1-rate


def lower_bound(d, size, density=1.0):
    volume = np.pi ** (d / 2) / special.gamma(d / 2 + 1)
    return d / (d + 1) * (density * volume * size) ** (-1 / d)


@pytest.mark.statement("thm-w1-rate")
@pytest.mark.parametrize("size", [1, 4, 50])
def test_evenly_spaced_points_attain_the_bound_on_the_line(size, record_property):
    points = (np.arange(size) + 0.5) / size
    distance = integrate.quad(
        lambda t: abs(np.mean(points <= t) - t), 0, 1, points=points, limit=400
    )[0]
    error = abs(distance / lower_bound(1, size) - 1)
    record_property("error", float(error))
    assert error < 1e-8


@pytest.mark.statement("thm-w1-rate")
@pytest.mark.parametrize("d", [1, 2, 5, 10])
@pytest.mark.parametrize("size", [10, 200])
def test_no_sample_comes_closer_than_the_bound(size, d, record_property):
    rng = np.random.default_rng([size, d])
    for _ in range(3):
        points = rng.random((size, d))
        # W1(P̂, P) is at least the mean distance of P to the points, by 20,000 draws of P.
        nearest = cdist(rng.random((20_000, d)), points).min(axis=1)
        ratio = nearest.mean() / lower_bound(d, size)
        assert ratio > 1 - 4 * nearest.std() / np.sqrt(20_000) / lower_bound(d, size)
        record_property("error", float(max(0.0, 1 - ratio)))


@pytest.mark.statement("thm-w1-rate")
@pytest.mark.parametrize("size", [10, 100])
def test_the_upper_bound_on_the_line(size, record_property):
    rng = np.random.default_rng(size)
    grid = np.linspace(0, 1, 2001)
    found = []
    for _ in range(400):
        points = np.sort(rng.random(size))
        empirical = np.searchsorted(points, grid, side="right") / size
        found.append(integrate.trapezoid(np.abs(empirical - grid), grid))
    bound = size**-0.5 * np.pi / 8  # ∫ √(t (1 − t)) dt
    record_property("error", float(max(0.0, np.mean(found) - bound)))
    assert 0.7 * bound < np.mean(found) < bound


@pytest.mark.statement("thm-w1-rate", control=True)
@pytest.mark.parametrize("d", [3, 5, 10])
def test_without_a_density_samples_do_not_pay_for_the_dimension(d):
    rng = np.random.default_rng(d)
    on_a_line = np.zeros((200, d))
    on_a_line[:, 0] = rng.random(200)
    other = np.zeros((200, d))
    other[:, 0] = rng.random(200)
    assert distances.wasserstein(on_a_line, other) < lower_bound(d, 200)


@pytest.mark.statement("thm-w1-rate", control=True)
def test_the_rate_of_spaced_points_is_not_that_of_a_sample():
    size, rng = 400, np.random.default_rng(0)
    found = np.mean([distances.wasserstein(*rng.random((2, size))) for _ in range(50)])
    assert found > 5 * lower_bound(1, size)


# thm-permutation


def null_p_values(seed, draw, statistic, repeats, n_permutations=19):
    values = []
    for k in range(repeats):
        x, y = draw(np.random.default_rng([seed, k]))
        test = distances.permutation_test(
            statistic, x, y, n_permutations=n_permutations, seed=1000 * seed + k
        )
        values.append(test.pvalue)
    return np.array(values)


def independent(rng):
    z = rng.standard_t(3, size=(25, 2))
    return z[:10], z[10:]


@pytest.mark.statement("thm-permutation")
@seeds
@pytest.mark.parametrize("statistic", [distances.energy_distance, distances.mmd2])
def test_small_p_values_are_no_more_frequent_than_they_say(statistic, seed, record_property):
    values = null_p_values(seed, independent, statistic, repeats=400)
    worst = 0.0
    for alpha in (0.05, 0.1, 0.2, 0.5):
        excess = np.mean(values <= alpha) - alpha
        worst = max(worst, excess)
        assert excess < 4 * np.sqrt(alpha * (1 - alpha) / 400)
    record_property("error", float(worst))


@pytest.mark.statement("thm-permutation")
@seeds
def test_ties_only_make_it_more_careful(seed, record_property):
    def coins(rng):
        return rng.integers(2, size=(8, 1)), rng.integers(2, size=(8, 1))

    values = null_p_values(seed, coins, distances.energy_distance, repeats=400)
    excess = max(np.mean(values <= alpha) - alpha for alpha in (0.05, 0.1, 0.2, 0.5))
    record_property("error", float(max(0.0, excess)))
    assert excess < 4 * np.sqrt(0.25 / 400)


@pytest.mark.statement("thm-permutation", control=True)
@seeds
def test_without_the_one_it_rejects_too_often(seed):
    values = null_p_values(seed, independent, distances.energy_distance, 600, n_permutations=9)
    uncorrected = (values * 10 - 1) / 9
    assert np.mean(uncorrected <= 0.01) > 0.05


@pytest.mark.statement("thm-permutation", control=True)
@seeds
def test_points_that_come_in_copies_are_not_exchangeable(seed):
    def copies(rng):
        x, y = independent(rng)
        return np.repeat(x, 4, axis=0), np.repeat(y, 4, axis=0)

    values = null_p_values(seed, copies, distances.energy_distance, repeats=100)
    assert np.mean(values <= 0.05) > 0.3
