"""Checks of the statements of the chapter "The alignment problem", each with a negative control."""

import itertools
import math
import os

import numpy as np
import pytest
from scipy import integrate, linalg, optimize, special, stats

import lrmf

# POT imports every array library it finds; these tests only give it NumPy arrays.
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")

import ot

SEEDS = range(3)
BACKENDS = ("jax", "tfp")

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)
dimensions = pytest.mark.parametrize("d", [1, 2, 3, 5])

# Sources with a continuous distribution function, and targets that may have jumps and gaps.
SOURCES = {
    "normal": stats.norm(1, 2),
    "gamma": stats.gamma(2.5),
    "student": stats.t(3),
    "beta": stats.beta(0.5, 2),
}
TARGETS = {
    "normal": stats.norm(-1, 0.5),
    "lognormal": stats.lognorm(0.7),
    "poisson": stats.poisson(2.5),
    "logistic": stats.logistic(2, 3),
}
pairs = pytest.mark.parametrize(("source", "target"), list(itertools.product(SOURCES, TARGETS)))
smooth_pairs = pytest.mark.parametrize(
    ("source", "target"),
    [(a, b) for a, b in itertools.product(SOURCES, TARGETS) if b != "poisson"],
)


def worst(values):
    return float(np.max(np.abs(values)))


def covariance(rng, d):
    root = rng.normal(size=(d, d)) + np.eye(d)
    return root @ root.T + 0.2 * np.eye(d)


def orthogonal(d, seed):
    if d == 1:
        return np.array([[(-1.0) ** seed]])
    return stats.ortho_group.rvs(d, random_state=seed)


def root_of(cov, exponent):
    return linalg.fractional_matrix_power(cov, exponent).real


def affine_flow(backend, matrix, shift):
    arrays = {"matrix": np.asarray(matrix, float), "shift": np.asarray(shift, float)}
    return lrmf.get_backend(backend).flow(lrmf.Affine(), arrays, dtype="float64")


def random_realnvp(backend, d, seed):
    spec = lrmf.RealNVP(blocks=3, hidden=(16,))
    rng = np.random.default_rng([d, seed])
    arrays = {
        name: value + 0.3 * rng.normal(size=value.shape)
        for name, value in spec.init((d,), rng).items()
    }
    return lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")


def log_det_numerically(function, x, step=1e-5):
    """log|det| of the Jacobian at the rows of x, by central differences of fourth order."""
    columns = [
        (8 * (function(x + h) - function(x - h)) - function(x + 2 * h) + function(x - 2 * h))
        / (12 * step)
        for h in step * np.eye(x.shape[1])
    ]
    return np.linalg.slogdet(np.stack(columns, axis=-1))[1]


# def-align


@pytest.mark.statement("def-align")
@backends
@dimensions
@seeds
def test_densities_of_an_aligning_flow_obey_the_change_of_variables(
    seed, d, backend, record_property
):
    rng = np.random.default_rng([d, seed])
    cov, mean = covariance(rng, d), rng.normal(size=d)
    matrix, shift = covariance(rng, d), rng.normal(size=d)
    source = stats.multivariate_normal(mean, cov)
    target = stats.multivariate_normal(matrix @ mean + shift, matrix @ cov @ matrix.T)
    x = source.rvs(size=200, random_state=seed).reshape(-1, d)
    y, log_det = affine_flow(backend, matrix, shift).forward(x)
    error = worst(source.logpdf(x) - target.logpdf(y) - log_det)
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("def-align")
@pytest.mark.parametrize("source", list(SOURCES))
def test_that_density_gives_every_interval_its_probability(source, record_property):
    a = SOURCES[source]

    def forward(x):
        return x + x**3 / 5

    def target_density(y):
        """The p_B for which the change of variables holds, with this map and this source."""
        x = optimize.brentq(lambda v: forward(v) - y, -60, 60, xtol=1e-14)
        return a.pdf(x) / (1 + 3 * x**2 / 5)

    errors = []
    for low, high in ((0.1, 0.35), (0.35, 0.9)):
        left, right = a.ppf(low), a.ppf(high)
        value, _ = integrate.quad(target_density, forward(left), forward(right), epsabs=1e-11)
        errors.append(value - (high - low))
    record_property("error", worst(errors))
    assert worst(errors) < 1e-8


@pytest.mark.statement("def-align", control=True)
@pytest.mark.parametrize("source", ["gamma", "student"])
def test_equal_means_and_variances_are_not_alignment(source):
    a, b = SOURCES[source], stats.norm(0, 1)

    def standardise(x):
        return (x - a.mean()) / a.std()

    x = a.ppf(np.linspace(0.01, 0.99, 99))
    log_det = -np.log(a.std())
    assert worst(a.logpdf(x) - b.logpdf(standardise(x)) - log_det) > 0.1
    assert abs(a.cdf(a.mean() - a.std()) - b.cdf(-1.0)) > 0.01


# prop-align-increasing


@pytest.mark.statement("prop-align-increasing")
@pairs
def test_the_rearrangement_has_the_distribution_of_the_target(source, target, record_property):
    a, b = SOURCES[source], TARGETS[target]
    u = (np.arange(20_000) + 0.5) / 20_000
    x = a.ppf(u)
    moved = b.ppf(a.cdf(x))
    assert np.all(np.diff(moved) >= 0)
    values = np.unique(moved)
    share = np.searchsorted(moved, values, side="right") / len(moved)
    # Only the values of the grid itself, at which both functions take their jumps.
    error = worst(share - b.cdf(values))
    record_property("error", error)
    assert error < 1.5 / len(u)


@pytest.mark.statement("prop-align-increasing")
@pytest.mark.parametrize("seed", range(5))
def test_sorting_is_the_only_monotone_map_between_samples(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=6), rng.gamma(2.0, size=6)
    order = a.argsort()
    monotone = [
        key for key in itertools.permutations(range(6)) if np.all(np.diff(b[list(key)][order]) > 0)
    ]
    assert len(monotone) == 1
    uniform = np.full(6, 1 / 6)
    plan = ot.emd_1d(a, b, uniform, uniform)
    np.testing.assert_array_equal(plan.argmax(axis=1), monotone[0])


@pytest.mark.statement("prop-align-increasing")
@pairs
def test_every_other_increasing_map_misses_the_target(source, target):
    a, b = SOURCES[source], TARGETS[target]
    x = a.ppf((np.arange(20_000) + 0.5) / 20_000)
    # Ranks pushed towards one end: still increasing, but no longer the rearrangement.
    for power in (0.7, 1.4):
        other = b.ppf(a.cdf(x) ** power)
        assert np.all(np.diff(other) >= 0)
        values = np.unique(other)
        share = np.searchsorted(other, values, side="right") / len(other)
        assert worst(share - b.cdf(values)) > 0.05


@pytest.mark.statement("prop-align-increasing", control=True)
@pytest.mark.parametrize("mass", [0.1, 0.5])
def test_a_source_with_an_atom_is_not_aligned(mass):
    b = TARGETS["normal"]
    # A is zero with probability `mass` and otherwise uniform on (0, 1); F_A jumps at zero.
    u = (np.arange(20_000) + 0.5) / 20_000
    a = np.maximum(0.0, (u - mass) / (1 - mass))
    moved = b.ppf(mass + (1 - mass) * a)
    below = b.ppf(mass / 2)
    assert np.mean(moved <= below) == 0.0
    assert b.cdf(below) == pytest.approx(mass / 2)


# cor-align-line


def density_error(a, b, function, x):
    log_det = log_det_numerically(lambda v: function(v[:, 0])[:, None], x[:, None], step=1e-5)
    return a.logpdf(x) - b.logpdf(function(x)) - log_det


@pytest.mark.statement("cor-align-line")
@smooth_pairs
def test_both_continuous_maps_align(source, target, record_property):
    a, b = SOURCES[source], TARGETS[target]
    x = a.ppf(np.linspace(0.05, 0.95, 61))
    up = density_error(a, b, lambda v: b.ppf(a.cdf(v)), x)
    down = density_error(a, b, lambda v: b.ppf(a.sf(v)), x)
    error = max(worst(up), worst(down))
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("cor-align-line")
@smooth_pairs
def test_a_continuous_map_with_another_median_does_not_align(source, target):
    a, b = SOURCES[source], TARGETS[target]
    x = a.ppf(np.linspace(0.05, 0.95, 61))
    for power in (0.8, 1.3):
        for function in (
            lambda v, p=power: b.ppf(a.cdf(v) ** p),
            lambda v, p=power: b.ppf(a.sf(v) ** p),
        ):
            assert worst(density_error(a, b, function, x)) > 0.1


@pytest.mark.statement("cor-align-line", control=True)
@smooth_pairs
def test_a_map_that_may_jump_is_a_third_solution(source, target):
    a, b = SOURCES[source], TARGETS[target]

    def shifted(v):
        return b.ppf((a.cdf(v) + 1 / 3) % 1)

    x = a.ppf(np.linspace(0.05, 0.95, 60))
    x = x[np.abs(a.cdf(x) - 2 / 3) > 0.02]
    assert worst(density_error(a, b, shifted, x)) < 1e-5
    assert worst(shifted(x) - b.ppf(a.cdf(x))) > 0.1
    assert worst(shifted(x) - b.ppf(a.sf(x))) > 0.1


# exa-align-cipher


def keys_that_fit(a, b):
    return [key for key in itertools.permutations(range(len(a))) if np.array_equal(a, b[list(key)])]


@pytest.mark.statement("exa-align-cipher")
@pytest.mark.parametrize("letters", [3, 5, 7])
@pytest.mark.parametrize("seed", range(4))
def test_the_keys_are_counted_by_the_multiplicities(seed, letters, record_property):
    rng = np.random.default_rng([seed, letters])
    a = rng.integers(1, 4, size=letters)
    b = rng.permutation(a)
    keys = keys_that_fit(a, b)
    counts = np.unique(a, return_counts=True)[1]
    error = abs(len(keys) - math.prod(math.factorial(m) for m in counts))
    record_property("error", float(error))
    assert error == 0
    # One key, and the exchanges of letters of B that are equally frequent, give all of them.
    exchanges = keys_that_fit(b, b)
    assert {tuple(np.array(s)[list(keys[0])]) for s in exchanges} == set(keys)


@pytest.mark.statement("exa-align-cipher", control=True)
@pytest.mark.parametrize("seed", range(4))
def test_no_key_fits_other_frequencies(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 4, size=6)
    b = rng.permutation(a)
    b[0] += 3
    assert keys_that_fit(a, b) == []


# def-align-symmetry


@pytest.mark.statement("def-align-symmetry")
@pytest.mark.parametrize("seed", range(4))
def test_symmetries_form_a_group(seed):
    b = np.random.default_rng(seed).integers(1, 4, size=6)
    group = set(keys_that_fit(b, b))
    assert tuple(range(6)) in group
    for s in group:
        assert tuple(np.argsort(s)) in group
        for r in group:
            assert tuple(np.array(s)[list(r)]) in group


@pytest.mark.statement("def-align-symmetry", control=True)
@pytest.mark.parametrize("seed", range(4))
def test_keys_between_different_domains_are_no_group(seed):
    rng = np.random.default_rng(seed)
    a = np.array([1, 1, 2, 3, 4, 5])
    b = np.roll(a, 1 + rng.integers(4))
    keys = set(keys_that_fit(a, b))
    assert len(keys) == 2
    assert tuple(range(6)) not in keys


# prop-align-coset


def source_log_density(flow, target, x):
    """The density of the domain that the flow aligns with the target, whatever the flow is."""
    y, log_det = flow.forward(x)
    return target.logpdf(y) + log_det


@pytest.mark.statement("prop-align-coset")
@backends
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_a_symmetry_after_an_aligning_flow_aligns(seed, d, backend, record_property):
    flow = random_realnvp(backend, d, seed)
    target = stats.multivariate_normal(np.zeros(d), np.eye(d))
    symmetry = affine_flow(backend, orthogonal(d, seed), np.zeros(d))
    x, _ = flow.inverse(target.rvs(size=200, random_state=seed))
    y, first = flow.forward(x)
    z, second = symmetry.forward(y)
    error = worst(source_log_density(flow, target, x) - target.logpdf(z) - first - second)
    record_property("error", error)
    assert error < 1e-9
    assert worst(z - y) > 0.1


@pytest.mark.statement("prop-align-coset")
@backends
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_the_symmetry_moves_to_the_source(seed, d, backend, record_property):
    flow = random_realnvp(backend, d, seed)
    target = stats.multivariate_normal(np.zeros(d), np.eye(d))
    symmetry = affine_flow(backend, orthogonal(d, seed), np.zeros(d))
    x, _ = flow.inverse(target.rvs(size=200, random_state=seed))
    y, first = flow.forward(x)
    z, second = symmetry.forward(y)
    # R = T⁻¹ ∘ S ∘ T is a symmetry of A, and T ∘ R = S ∘ T.
    image, third = flow.inverse(z)
    density = source_log_density(flow, target, x) - source_log_density(flow, target, image)
    error = max(worst(density - first - second - third), worst(flow.forward(image)[0] - z))
    record_property("error", error)
    assert error < 1e-7


@pytest.mark.statement("prop-align-coset")
@pytest.mark.parametrize("seed", range(4))
def test_all_solutions_are_a_coset_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 4, size=6)
    b = rng.permutation(a)
    solutions = set(keys_that_fit(a, b))
    one = np.array(min(solutions))
    assert {tuple(np.array(s)[one]) for s in keys_that_fit(b, b)} == solutions
    assert {tuple(one[list(r)]) for r in keys_that_fit(a, a)} == solutions
    assert len(keys_that_fit(a, a)) == len(solutions)


@pytest.mark.statement("prop-align-coset", control=True)
@backends
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_a_map_that_is_no_symmetry_spoils_the_alignment(seed, d, backend):
    flow = random_realnvp(backend, d, seed)
    target = stats.multivariate_normal(np.zeros(d), np.eye(d))
    stretch = affine_flow(backend, np.diag(np.r_[2.0, 0.5, np.ones(d - 2)]), np.zeros(d))
    x, _ = flow.inverse(target.rvs(size=200, random_state=seed))
    y, first = flow.forward(x)
    z, second = stretch.forward(y)
    assert worst(source_log_density(flow, target, x) - target.logpdf(z) - first - second) > 0.5


# prop-align-gaussian


def affine_symmetry(mean, cov, q):
    matrix = root_of(cov, 0.5) @ q @ root_of(cov, -0.5)
    return matrix, mean - matrix @ mean


@pytest.mark.statement("prop-align-gaussian")
@backends
@dimensions
@seeds
def test_orthogonal_matrices_give_the_affine_symmetries(seed, d, backend, record_property):
    rng = np.random.default_rng([d, seed])
    mean, cov = rng.normal(size=d), covariance(rng, d)
    matrix, shift = affine_symmetry(mean, cov, orthogonal(d, seed))
    law = stats.multivariate_normal(mean, cov)
    x = law.rvs(size=200, random_state=seed).reshape(-1, d)
    y, log_det = affine_flow(backend, matrix, shift).forward(x)
    error = worst(law.logpdf(x) - law.logpdf(y) - log_det)
    record_property("error", error)
    assert error < 1e-8


@pytest.mark.statement("prop-align-gaussian")
@dimensions
@seeds
def test_every_affine_symmetry_comes_from_an_orthogonal_matrix(seed, d, record_property):
    cov = covariance(np.random.default_rng([d, seed]), d)
    # Another way to find one: Cholesky factors, with a rotation of their own between them.
    factor = np.linalg.cholesky(cov)
    matrix = factor @ orthogonal(d, seed + 7) @ np.linalg.inv(factor)
    q = root_of(cov, -0.5) @ matrix @ root_of(cov, 0.5)
    error = worst(q.T @ q - np.eye(d))
    record_property("error", error)
    assert error < 1e-9


@pytest.mark.statement("prop-align-gaussian", control=True)
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_a_shear_is_no_symmetry(seed, d):
    rng = np.random.default_rng([d, seed])
    mean, cov = rng.normal(size=d), covariance(rng, d)
    q = np.eye(d)
    q[0, 1] = 0.5
    matrix, shift = affine_symmetry(mean, cov, q)
    law = stats.multivariate_normal(mean, cov)
    x = law.rvs(size=200, random_state=seed)
    # |det K| = 1, as for a symmetry: volume alone does not make one.
    assert abs(np.linalg.det(matrix)) == pytest.approx(1.0)
    assert worst(law.logpdf(x) - law.logpdf(x @ matrix.T + shift)) > 0.3


# prop-align-swirl


def swirl(x, generator, speed):
    """Q(|x|) x with Q(r) = exp(speed · r · generator)."""
    frequency, vectors = np.linalg.eigh(1j * generator)
    phases = np.exp(-1j * speed * np.linalg.norm(x, axis=1)[:, None] * frequency)
    return ((x @ vectors.conj()) * phases @ vectors.T).real


def antisymmetric(d, seed):
    m = np.random.default_rng([d, seed]).normal(size=(d, d))
    return (m - m.T) / 2


@pytest.mark.statement("prop-align-swirl")
@pytest.mark.parametrize("law", ["normal", "student", "shell"])
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_swirls_preserve_rotation_invariant_densities(seed, d, law, record_property):
    log_density = {
        "normal": lambda x: -0.5 * (x**2).sum(axis=1),
        "student": lambda x: -0.5 * (3 + d) * np.log1p((x**2).sum(axis=1) / 3),
        "shell": lambda x: -20 * (np.linalg.norm(x, axis=1) - 1) ** 2,
    }[law]
    x = np.random.default_rng([d, seed, 1]).normal(size=(50, d))
    generator = antisymmetric(d, seed)

    def move(v):
        return swirl(v, generator, 1.5)

    error = worst(log_density(x) - log_density(move(x)) - log_det_numerically(move, x))
    record_property("error", error)
    assert error < 1e-6
    assert worst(move(x) - x) > 0.5


@pytest.mark.statement("prop-align-swirl")
@seeds
def test_the_turn_may_jump_with_the_radius(seed, record_property):
    x = np.random.default_rng(seed).normal(size=(100_000, 2))
    ring = np.floor(4 * np.linalg.norm(x, axis=1))
    angle = np.random.default_rng(seed + 9).uniform(0, 2 * np.pi, size=1000)[ring.astype(int)]
    moved = np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1]
    error = stats.kstest(moved, "norm").statistic
    record_property("error", error)
    assert error < 1.95 / np.sqrt(len(x))


@pytest.mark.statement("prop-align-swirl", control=True)
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_swirls_spoil_a_density_that_has_corners(seed, d):
    def log_density(x):
        return -np.abs(x).sum(axis=1)

    x = np.random.default_rng([d, seed, 1]).normal(size=(50, d))
    generator = antisymmetric(d, seed)

    def move(v):
        return swirl(v, generator, 1.5)

    assert worst(log_density(x) - log_density(move(x)) - log_det_numerically(move, x)) > 0.3


# thm-align-symmetries


class Mixture:
    """A mixture of normal densities with diagonal covariances, and its Rosenblatt map."""

    def __init__(self, d, seed, components=4):
        rng = np.random.default_rng([d, seed])
        self.weight = rng.dirichlet(np.full(components, 3.0))
        self.mean = 1.5 * rng.normal(size=(components, d))
        self.std = rng.uniform(0.4, 1.0, size=(components, d))

    def parts(self, x, upto):
        """log of weight × density of the first `upto` coordinates, by component."""
        z = (x[:, None, :upto] - self.mean[:, :upto]) / self.std[:, :upto]
        return np.log(self.weight) + (stats.norm.logpdf(z) - np.log(self.std[:, :upto])).sum(axis=2)

    def logpdf(self, x):
        return special.logsumexp(self.parts(x, x.shape[1]), axis=1)

    def sample(self, n, rng):
        k = rng.choice(len(self.weight), size=n, p=self.weight)
        return self.mean[k] + self.std[k] * rng.normal(size=(n, self.mean.shape[1]))

    def conditional(self, x, k, value):
        """F_k(value | x_1 … x_{k−1})."""
        weight = special.softmax(self.parts(x, k), axis=1)
        z = (value[:, None] - self.mean[:, k]) / self.std[:, k]
        return (weight * stats.norm.cdf(z)).sum(axis=1)

    def to_normal(self, x):
        columns = [self.conditional(x, k, x[:, k]) for k in range(x.shape[1])]
        return stats.norm.ppf(np.stack(columns, axis=1))

    def from_normal(self, z):
        u, x = stats.norm.cdf(z), np.zeros_like(z)
        for k in range(z.shape[1]):
            low, high = np.full(len(z), -12.0), np.full(len(z), 12.0)
            for _ in range(60):
                middle = (low + high) / 2
                below = self.conditional(x, k, middle) < u[:, k]
                low, high = np.where(below, middle, low), np.where(below, high, middle)
            x[:, k] = (low + high) / 2
        return x

    def symmetry(self, q):
        return lambda x: self.from_normal(self.to_normal(x) @ q.T)


symmetry_cases = pytest.mark.parametrize(
    ("d", "seed"), [(d, seed) for d in (1, 2, 3) for seed in SEEDS]
)


@pytest.mark.statement("thm-align-symmetries")
@symmetry_cases
def test_rotations_in_normal_coordinates_preserve_the_mixture(d, seed, record_property):
    mixture = Mixture(d, seed)
    x = mixture.sample(60, np.random.default_rng(seed))
    move = mixture.symmetry(orthogonal(d, seed + 1))
    error = worst(
        mixture.logpdf(x) - mixture.logpdf(move(x)) - log_det_numerically(move, x, step=1e-4)
    )
    record_property("error", error)
    assert error < 1e-4
    if d > 1:
        assert worst(move(x) - x) > 0.3


@pytest.mark.statement("thm-align-symmetries")
@symmetry_cases
def test_the_rosenblatt_map_is_a_bijection_onto_the_normal_law(d, seed, record_property):
    mixture = Mixture(d, seed)
    x = mixture.sample(60, np.random.default_rng(seed))
    z = mixture.to_normal(x)
    log_normal = stats.norm.logpdf(z).sum(axis=1)
    density = mixture.logpdf(x) - log_normal - log_det_numerically(mixture.to_normal, x, step=1e-4)
    error = max(worst(density), worst(mixture.from_normal(z) - x))
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("thm-align-symmetries")
@symmetry_cases
def test_the_symmetries_compose_as_the_matrices_and_differ_as_they_do(d, seed, record_property):
    mixture = Mixture(d, seed)
    x = mixture.sample(60, np.random.default_rng(seed))
    one, two = orthogonal(d, seed), orthogonal(d, seed + 1)
    both = mixture.symmetry(one)(mixture.symmetry(two)(x))
    error = worst(both - mixture.symmetry(one @ two)(x))
    record_property("error", error)
    assert error < 1e-7
    assert worst(mixture.symmetry(one)(x) - mixture.symmetry(two)(x)) > 0.1


@pytest.mark.statement("thm-align-symmetries", control=True)
@symmetry_cases
def test_a_matrix_that_is_not_orthogonal_gives_no_symmetry(d, seed):
    mixture = Mixture(d, seed)
    x = mixture.sample(60, np.random.default_rng(seed))
    q = 1.2 * np.eye(d) if d == 1 else np.diag(np.r_[1.5, 1 / 1.5, np.ones(d - 2)])
    move = mixture.symmetry(q)
    log_det = log_det_numerically(move, x, step=1e-4)
    assert worst(mixture.logpdf(x) - mixture.logpdf(move(x)) - log_det) > 0.1


# def-align-semantic


def joint(points, labels):
    table = np.zeros((6, 2), dtype=int)
    np.add.at(table, (points, labels), 1)
    return table


def labelled_samples(seed):
    """Six places, each filled twice, whose label is a function of the place."""
    rng = np.random.default_rng(seed)
    label_of = rng.permutation([0, 0, 0, 1, 1, 1])
    target = np.repeat(np.arange(6), 2)
    truth = rng.permutation(6)  # the map from A's places to B's
    source = np.repeat(np.arange(6), 2)
    return source, label_of[truth][source], target, label_of[target], truth


@pytest.mark.statement("def-align-semantic")
@pytest.mark.parametrize("seed", range(4))
def test_semantic_alignment_implies_marginal_alignment(seed):
    source, source_labels, target, target_labels, _ = labelled_samples(seed)
    semantic = marginal = 0
    for key in itertools.permutations(range(6)):
        moved = np.array(key)[source]
        same = np.array_equal(joint(moved, source_labels), joint(target, target_labels))
        equal = np.array_equal(np.bincount(moved), np.bincount(target))
        assert equal or not same
        semantic, marginal = semantic + same, marginal + equal
    # Uniform places: every key is marginal, those that keep the classes are semantic.
    assert (semantic, marginal) == (math.factorial(3) ** 2, math.factorial(6))


@pytest.mark.statement("def-align-semantic", control=True)
@pytest.mark.parametrize("seed", range(4))
def test_marginal_alignment_does_not_imply_semantic_alignment(seed):
    source, source_labels, target, target_labels, truth = labelled_samples(seed)
    place = {k: np.flatnonzero(target_labels[::2] == k)[0] for k in (0, 1)}
    swap = np.arange(6)
    swap[[place[0], place[1]]] = place[1], place[0]
    moved = swap[truth][source]
    assert np.array_equal(np.bincount(moved), np.bincount(target))
    assert not np.array_equal(joint(moved, source_labels), joint(target, target_labels))


# thm-align-labels


def classes(d):
    """Two classes on disjoint boxes, and the Rosenblatt maps of their densities ∏ 2xᵢ and ∏ 1."""
    to_cube = (lambda x: x**2, lambda x: x - 2)
    from_cube = (lambda u: np.sqrt(u), lambda u: u + 2)
    return to_cube, from_cube


def label_of(x):
    return (x[:, 0] > 1.5).astype(int)


def swapped(x, alpha):
    to_cube, from_cube = classes(x.shape[1])
    k, out = label_of(x), x.copy()
    for own in (0, 1):
        u = to_cube[own](x[k == own])
        away = u[:, 0] > alpha
        rows = np.flatnonzero(k == own)[away]
        out[rows] = from_cube[1 - own](u[away])
    return out


def grid_of_two_classes(d, shares, n=4096):
    """Low-discrepancy points of B; the classes have the given numbers of points per n."""
    u = stats.qmc.Halton(d, scramble=True, rng=np.random.default_rng(d)).random(n)
    _, from_cube = classes(d)
    parts = [
        from_cube[k](np.resize(u[: round(n * share)], (round(n * share), d)))
        for k, share in enumerate(shares)
    ]
    return np.concatenate(parts)


def gap_of_distribution_functions(x, y, rng):
    """The largest difference of two samples' shares in 200 random lower orthants."""
    at = rng.uniform(0, 3, size=(200, x.shape[1]))
    shares = [(v[:, None] <= at).all(axis=2).mean(axis=0) for v in (x, y)]
    return worst(shares[0] - shares[1])


@pytest.mark.statement("thm-align-labels")
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_any_share_of_labels_can_be_right(d, alpha, record_property):
    x = grid_of_two_classes(d, (1.0, 1.0))
    moved = swapped(x, alpha)
    right = np.mean(label_of(moved) == label_of(x))
    gap = gap_of_distribution_functions(x, moved, np.random.default_rng(d))
    error = max(abs(right - alpha), gap)
    record_property("error", error)
    assert error < 0.01


@pytest.mark.statement("thm-align-labels", control=True)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_classes_of_unequal_size_cannot_be_swapped(d, alpha):
    x = grid_of_two_classes(d, (1.0, 0.5))
    moved = swapped(x, alpha)
    assert gap_of_distribution_functions(x, moved, np.random.default_rng(d)) > 0.05
