"""Checks of the chapter "The alignment problem": symmetries, each with a negative control."""

import numpy as np
import pytest
from alignment_cases import keys_that_fit
from flow_cases import affine_flow, covariance, largest, log_det_numerically
from scipy import linalg, special, stats

import lrmf

SEEDS = range(3)
BACKENDS = ("jax", "tfp")

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)
dimensions = pytest.mark.parametrize("d", [1, 2, 3, 5])


def orthogonal(d, seed):
    if d == 1:
        return np.array([[(-1.0) ** seed]])
    return stats.ortho_group.rvs(d, random_state=seed)


def root_of(cov, exponent):
    return linalg.fractional_matrix_power(cov, exponent).real


def random_realnvp(backend, d, seed):
    spec = lrmf.RealNVP(blocks=3, hidden=(16,))
    rng = np.random.default_rng([d, seed])
    arrays = {
        name: value + 0.3 * rng.normal(size=value.shape)
        for name, value in spec.init((d,), rng).items()
    }
    return lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")


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


def aligned(backend, d, seed):
    """A flow, a target, and points of the domain that the flow aligns with it."""
    flow = random_realnvp(backend, d, seed)
    target = stats.multivariate_normal(np.zeros(d), np.eye(d))
    x, _ = flow.inverse(target.rvs(size=200, random_state=seed))
    return flow, target, x


@pytest.mark.statement("prop-align-coset")
@backends
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_a_symmetry_after_an_aligning_flow_aligns(seed, d, backend, record_property):
    flow, target, x = aligned(backend, d, seed)
    symmetry = affine_flow(backend, orthogonal(d, seed), np.zeros(d))
    y, first = flow.forward(x)
    z, second = symmetry.forward(y)
    error = largest(source_log_density(flow, target, x) - target.logpdf(z) - first - second)
    record_property("error", error)
    assert error < 1e-9
    assert largest(z - y) > 0.1


@pytest.mark.statement("prop-align-coset")
@backends
@pytest.mark.parametrize("d", [2, 3, 5])
@seeds
def test_the_symmetry_moves_to_the_source(seed, d, backend, record_property):
    flow, target, x = aligned(backend, d, seed)
    symmetry = affine_flow(backend, orthogonal(d, seed), np.zeros(d))
    y, first = flow.forward(x)
    z, second = symmetry.forward(y)
    # R = T⁻¹ ∘ S ∘ T is a symmetry of A, and T ∘ R = S ∘ T.
    image, third = flow.inverse(z)
    density = source_log_density(flow, target, x) - source_log_density(flow, target, image)
    error = max(largest(density - first - second - third), largest(flow.forward(image)[0] - z))
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
    flow, target, x = aligned(backend, d, seed)
    stretch = affine_flow(backend, np.diag(np.r_[2.0, 0.5, np.ones(d - 2)]), np.zeros(d))
    y, first = flow.forward(x)
    z, second = stretch.forward(y)
    assert largest(source_log_density(flow, target, x) - target.logpdf(z) - first - second) > 0.5


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
    error = largest(law.logpdf(x) - law.logpdf(y) - log_det)
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
    error = largest(q.T @ q - np.eye(d))
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
    assert largest(law.logpdf(x) - law.logpdf(x @ matrix.T + shift)) > 0.3


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

    error = largest(log_density(x) - log_density(move(x)) - log_det_numerically(move, x))
    record_property("error", error)
    assert error < 1e-6
    assert largest(move(x) - x) > 0.5


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

    assert largest(log_density(x) - log_density(move(x)) - log_det_numerically(move, x)) > 0.3


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
    error = largest(
        mixture.logpdf(x) - mixture.logpdf(move(x)) - log_det_numerically(move, x, step=1e-4)
    )
    record_property("error", error)
    assert error < 1e-4
    if d > 1:
        assert largest(move(x) - x) > 0.3


@pytest.mark.statement("thm-align-symmetries")
@symmetry_cases
def test_the_rosenblatt_map_is_a_bijection_onto_the_normal_law(d, seed, record_property):
    mixture = Mixture(d, seed)
    x = mixture.sample(60, np.random.default_rng(seed))
    z = mixture.to_normal(x)
    log_normal = stats.norm.logpdf(z).sum(axis=1)
    density = mixture.logpdf(x) - log_normal - log_det_numerically(mixture.to_normal, x, step=1e-4)
    error = max(largest(density), largest(mixture.from_normal(z) - x))
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("thm-align-symmetries")
@symmetry_cases
def test_the_symmetries_compose_as_the_matrices_and_differ_as_they_do(d, seed, record_property):
    mixture = Mixture(d, seed)
    x = mixture.sample(60, np.random.default_rng(seed))
    one, two = orthogonal(d, seed), orthogonal(d, seed + 1)
    both = mixture.symmetry(one)(mixture.symmetry(two)(x))
    error = largest(both - mixture.symmetry(one @ two)(x))
    record_property("error", error)
    assert error < 1e-7
    assert largest(mixture.symmetry(one)(x) - mixture.symmetry(two)(x)) > 0.1


@pytest.mark.statement("thm-align-symmetries", control=True)
@symmetry_cases
def test_a_matrix_that_is_not_orthogonal_gives_no_symmetry(d, seed):
    mixture = Mixture(d, seed)
    x = mixture.sample(60, np.random.default_rng(seed))
    q = 1.2 * np.eye(d) if d == 1 else np.diag(np.r_[1.5, 1 / 1.5, np.ones(d - 2)])
    move = mixture.symmetry(q)
    log_det = log_det_numerically(move, x, step=1e-4)
    assert largest(mixture.logpdf(x) - mixture.logpdf(move(x)) - log_det) > 0.1
