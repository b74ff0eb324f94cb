"""Checks of the chapter "Model complexity": the maps that minimise the loss."""

import numpy as np
import pytest
from complexity_cases import (
    COV_B,
    MEAN_B,
    NODE_WEIGHTS,
    NODES,
    STANDARD,
    loss_of,
    misfit,
    moments_of,
    skewed,
    two_moments,
)
from flow_cases import affine_flow, grid, jacobian, log_normal, realnvp
from numpy.polynomial import legendre
from scipy import integrate, optimize, stats

from lrmf.theory import gaussian

SEEDS = range(3)
BACKENDS = ("jax", "tfp")

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


# exm-complexity-quadratic


def quadratic_loss(c, x, weights):
    u = x + c * x**2
    ratio = two_moments(u, weights)[1] / two_moments(x, weights)[1]
    return 0.5 * np.log(ratio) - weights @ np.log(1 + 2 * c * x)


@pytest.mark.statement("exm-complexity-quadratic")
@seeds
def test_loss_of_quadratics_and_its_slope_at_the_affine_map(seed, record_property):
    x, weights = skewed(seed)
    mean, var = two_moments(x, weights)
    mean_b, var_b = two_moments(2 + 1.5 * x, weights)
    worst = 0.0
    for c in (-0.4, -0.1, 0.3, 2.0):
        u = x + c * x**2
        m, v = two_moments(u, weights)
        scale = np.sqrt(var_b / v)
        image, slope = mean_b + scale * (u - m), scale * (1 + 2 * c * x)
        value = loss_of(
            image[:, None], np.log(slope), weights, [[var]], np.array([mean_b]), [[var_b]]
        )
        worst = max(worst, abs(value - quadratic_loss(c, x, weights)))
    h = 1e-5
    slope = (quadratic_loss(h, x, weights) - quadratic_loss(-h, x, weights)) / (2 * h)
    worst = max(worst, abs(slope - weights @ (x - mean) ** 3 / var))
    record_property("error", float(worst))
    assert worst < 1e-8
    best = optimize.minimize_scalar(
        quadratic_loss, args=(x, weights), bounds=(-0.499, 1), method="bounded"
    )
    assert best.fun < -1e-3


@pytest.mark.statement("exm-complexity-quadratic", control=True)
def test_without_skewness_the_affine_map_is_best():
    x, weights = (NODES + 1) / 2, NODE_WEIGHTS
    for density in (np.ones_like(x), stats.beta(3, 3).pdf(x), stats.beta(0.9, 0.9).pdf(x)):
        w = weights * density / (weights @ density)
        u = x - 0.5
        values = [
            0.5 * np.log(two_moments(u + c * u**2, w)[1] / two_moments(u, w)[1])
            - w @ np.log(1 + 2 * c * u)
            for c in np.linspace(-0.9, 0.9, 37)
        ]
        assert int(np.argmin(values)) == 18
        assert min(values) == pytest.approx(0.0, abs=1e-12)


# thm-complexity-unique


class OnTheLine:
    """The loss for polynomials on [0, 1], in coefficients, mean and scale of the shared normal."""

    def __init__(self, degree, seed):
        self.x, self.weights = skewed(seed)
        rng = np.random.default_rng([degree, seed])
        self.b = 1 + 2 * np.abs(rng.normal(size=30))
        basis = np.eye(degree + 1)
        self.values = legendre.legval(2 * self.x - 1, basis).T
        self.slopes = 2 * legendre.legval(2 * self.x - 1, legendre.legder(basis)).T

    def loss(self, coefficients, mean, std):
        """The loss as it is defined, up to the constant c(A, B)."""
        slope = self.slopes @ coefficients
        if std <= 0 or slope.min() <= 0:
            return np.inf
        return (
            -self.weights @ np.log(slope)
            - self.weights @ log_normal(self.values @ coefficients, mean, std)
            - log_normal(self.b, mean, std).mean()
        )

    def in_new_coordinates(self, z):
        return self.loss(z[:-2] / z[-1], z[-2] / z[-1], 1 / z[-1])

    def start(self, rng):
        while True:
            wiggle = rng.normal(size=self.values.shape[1])
            wiggle /= np.arange(1, len(wiggle) + 1) ** 3
            wiggle[1] = np.exp(rng.normal())
            z = np.append(wiggle, [2 * rng.normal(), np.exp(rng.normal())])
            if np.isfinite(self.in_new_coordinates(z)):
                return z


@pytest.mark.statement("thm-complexity-unique")
@pytest.mark.parametrize("degree", [1, 2, 3, 6])
@seeds
def test_the_loss_is_strictly_convex_in_the_new_coordinates(degree, seed):
    problem = OnTheLine(degree, seed)
    rng = np.random.default_rng(seed)
    for _ in range(100):
        first, second = problem.start(rng), problem.start(rng)
        share = rng.uniform(0.1, 0.9)
        between = problem.in_new_coordinates(share * first + (1 - share) * second)
        chord = share * problem.in_new_coordinates(first) + (
            1 - share
        ) * problem.in_new_coordinates(second)
        assert between < chord - 1e-12


@pytest.mark.statement("thm-complexity-unique")
@pytest.mark.parametrize("degree", [2, 3])
@seeds
def test_descent_in_the_old_coordinates_ends_on_one_map(degree, seed, record_property):
    problem = OnTheLine(degree, seed)
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(3):
        z = problem.start(rng)
        z = np.append(z[:-1] / z[-1], -np.log(z[-1]))
        for _ in range(5):  # restarts, because a simplex can stall
            z = optimize.minimize(
                lambda v: problem.loss(v[:-2], v[-2], np.exp(v[-1])),
                z,
                method="Nelder-Mead",
                options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000, "adaptive": True},
            ).x
        images.append(problem.values @ z[:-2])
    spread = np.ptp(images, axis=0).max()
    record_property("error", float(spread))
    assert spread < 1e-3


@pytest.mark.statement("thm-complexity-unique", control=True)
@seeds
def test_the_mirror_image_is_a_second_minimiser(seed):
    """Without T' > 0: T and its mirror image at the shared mean have the same loss."""
    x, weights = skewed(seed)
    b = np.random.default_rng(seed).normal(size=50)

    def loss(image, slope, mean, std):
        return (
            -weights @ np.log(np.abs(slope))
            - weights @ stats.norm.logpdf(image, mean, std)
            - stats.norm.logpdf(b, mean, std).mean()
        )

    image, slope = x + 0.3 * x**2, 1 + 0.6 * x
    mirrored = loss(2 * 0.4 - image, -slope, 0.4, 1.1)
    assert mirrored == pytest.approx(loss(image, slope, 0.4, 1.1), abs=1e-12)


@pytest.mark.statement("thm-complexity-unique", control=True)
def test_an_open_set_of_maps_can_have_no_minimiser_at_all():
    """x + cx² with c > -1/2 for A = Beta(1, 6): the loss falls towards the end that is left out."""
    x = (NODES + 1) / 2
    weights = NODE_WEIGHTS * (1 - x) ** 5
    weights /= weights.sum()
    losses = [
        0.5 * np.log(two_moments(x + c * x**2, weights)[1] / two_moments(x, weights)[1])
        - weights @ np.log1p(2 * c * x)
        for c in np.concatenate([-0.5 + np.geomspace(1e-9, 0.5, 60), np.linspace(0.1, 5, 30)])
    ]
    assert (np.diff(losses) > 0).all()
    assert losses[0] == pytest.approx(0.5 * np.log(0.6125) + 1 / 6, abs=1e-6)


@pytest.mark.statement("thm-complexity-unique", control=True)
def test_a_family_without_sums_can_have_two_minimisers():
    """Two maps alone: x + cx² and its image for the mirrored c, with symmetric A."""
    nodes, weights = NODES, NODE_WEIGHTS / NODE_WEIGHTS.sum()
    losses = [
        0.5 * np.log(two_moments(nodes + c * nodes**2, weights)[1])
        - weights @ np.log(1 + 2 * c * nodes)
        for c in (-0.3, 0.3, 0.0)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    assert losses[2] < losses[0] - 1e-3  # their average, which the theorem asks for, is better


# thm-complexity-rich


@pytest.mark.statement("thm-complexity-rich")
@backends
@seeds
def test_the_map_to_the_best_model_of_b_reaches_the_floor(seed, backend, record_property):
    """A = f(N(0, I)), and T is f⁻¹ followed by an affine map to the moments of B."""
    f = realnvp(backend, 2, seed, scale=0.15)
    root = np.linalg.cholesky(COV_B)
    z, cell = grid()
    weights = cell * np.exp(STANDARD.logpdf(z))
    a, log_f = f.forward(z)
    _, cov_a = moments_of(a, weights)
    floor = -misfit(STANDARD.entropy() + weights @ log_f, cov_a)
    back, log_back = f.inverse(a)
    image, log_affine = affine_flow(backend, root, MEAN_B).forward(back)
    value = loss_of(image, log_back + log_affine, weights, cov_a, MEAN_B, COV_B)
    error = abs(value - floor)
    record_property("error", float(error))
    assert error < 1e-7
    assert floor < -1e-3
    # Any other map stays above.
    for other in range(3):
        moved, log_det = realnvp(backend, 2, other + 20, scale=0.1).forward(image)
        total = log_back + log_affine + log_det
        assert loss_of(moved, total, weights, cov_a, MEAN_B, COV_B) > floor + 1e-3


@pytest.mark.statement("thm-complexity-rich")
@seeds
def test_increasing_rearrangement_on_the_line(seed, record_property):
    x, weights = skewed(seed)
    rate = 1.0 + seed
    cdf = -np.expm1(-rate * x) / -np.expm1(-rate)
    density = rate * np.exp(-rate * x) / -np.expm1(-rate)
    z = stats.norm.ppf(cdf)
    image, slope = 3 + 0.5 * z, 0.5 * density / stats.norm.pdf(z)
    var = two_moments(x, weights)[1]
    # Expectations under A of functions with logarithmic ends: by quadrature over the normal noise.
    entropy = -weights @ np.log(density)
    value = -weights @ np.log(slope) + np.log(0.25) - 0.5 * np.log(var) - np.log(0.5)
    floor = -misfit(entropy, [[var]])
    record_property("error", float(abs(value - floor)))
    assert value == pytest.approx(floor, abs=1e-3)
    assert two_moments(image, weights) == pytest.approx([3.0, 0.25], abs=1e-3)


@pytest.mark.statement("thm-complexity-rich")
@pytest.mark.parametrize("law", [stats.laplace(), stats.logistic(2.0, 0.7), stats.t(5, scale=3.0)])
def test_a_perfect_map_lies_above_the_floor_by_what_the_family_misses_of_b(law, record_property):
    """The increasing maps from a normal distribution to a symmetric one, and back."""

    def mean(f):
        return integrate.quad(lambda z: 2 * stats.norm.pdf(z) * f(z), 0, 12, epsabs=1e-11)[0]

    def onto(z):
        return law.isf(stats.norm.sf(z))

    log_slope = mean(lambda z: stats.norm.logpdf(z) - law.logpdf(onto(z)))
    var = mean(lambda z: (onto(z) - law.mean()) ** 2)
    constant = float(gaussian.constant([[1.0]], [[var]]))
    there = -log_slope - 2 * float(gaussian.max_log_likelihood([[var]])) + constant
    back = log_slope - 2 * float(gaussian.max_log_likelihood([[1.0]])) + constant
    missed = misfit(law.entropy(), [[law.var()]])
    error = max(abs(there - missed), abs(back + missed))
    record_property("error", error)
    assert error < 1e-6
    # The matching affine map has the loss zero: the floor of the first pair, where it beats the
    # perfect map, and above that of the second, where it does not.
    affine_loss = -0.5 * np.log(var) - 2 * float(gaussian.max_log_likelihood([[var]])) + constant
    assert affine_loss == pytest.approx(0, abs=1e-12)
    assert back < affine_loss - 0.01 < there - 0.02


@pytest.mark.statement("thm-complexity-rich", control=True)
@backends
def test_a_map_that_brings_a_to_b_itself_does_not_reach_the_floor(backend):
    """B = A, and M does not contain it: the identity has loss zero, above the floor."""
    f = realnvp(backend, 2, 0, scale=0.15)
    z, cell = grid()
    weights = cell * np.exp(STANDARD.logpdf(z))
    a, log_f = f.forward(z)
    mean_a, cov_a = moments_of(a, weights)
    floor = -misfit(STANDARD.entropy() + weights @ log_f, cov_a)
    value = loss_of(a, np.zeros(len(a)), weights, cov_a, mean_a, cov_a)
    assert abs(value) < 1e-6
    assert value > floor + 1e-3


# prop-complexity-sample


def shrink(s, kappa):
    return 1 / kappa + (1 - 1 / kappa) * (3 * s**2 - 2 * s**3)


def inverse_map(y, centres, radius, kappa):
    """The inverse of T: it squeezes a ball around each centre."""
    x = y.copy()
    for centre in centres:
        v = y - centre
        s = np.linalg.norm(v, axis=1) / radius
        inside = s < 1
        x[inside] = centre + shrink(s[inside], kappa)[:, None] * v[inside]
    return x


def spikes(d, seed):
    centres = np.random.default_rng([d, seed]).normal(size=(8, d))
    gaps = np.linalg.norm(centres[:, None] - centres, axis=2)[np.triu_indices(8, 1)]
    return centres, 0.45 * gaps.min()


@pytest.mark.statement("prop-complexity-sample")
@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("kappa", [2.0, 50.0, 1e4])
@seeds
def test_points_stay_and_their_log_determinants_grow(d, kappa, seed, record_property):
    centres, radius = spikes(d, seed)
    np.testing.assert_allclose(inverse_map(centres, centres, radius, kappa), centres, atol=1e-14)
    near = jacobian(lambda y: inverse_map(y, centres, radius, kappa), centres, step=1e-7 * radius)
    error = np.abs(-np.linalg.slogdet(near)[1] / (d * np.log(kappa)) - 1).max()
    record_property("error", float(error))
    assert error < 1e-4
    # A diffeomorphism: along a ray it increases, its derivative has no zero, and it meets the
    # identity smoothly.
    s = np.linspace(0, 1, 1001)
    assert (np.diff(s * shrink(s, kappa)) > 0).all()
    assert shrink(1.0, kappa) == 1.0
    ends = (shrink(1.0, kappa) - shrink(1 - 1e-6, kappa)) / 1e-6
    assert abs(ends) < 1e-5
    rng = np.random.default_rng(seed)
    points = np.repeat(centres, 20, axis=0)
    points = points + 0.5 * radius * rng.normal(size=points.shape)
    anywhere = jacobian(
        lambda y: inverse_map(y, centres, radius, kappa), points, step=1e-6 * radius
    )
    assert (np.linalg.det(anywhere) > 0).all()


@pytest.mark.statement("prop-complexity-sample", control=True)
@seeds
def test_with_all_of_a_the_same_maps_do_not_pay(seed):
    """A = B = N(0, 1) and normal M: the loss of the spiky maps is positive, and grows."""
    centres, radius = spikes(1, seed)
    y = np.linspace(-10, 10, 400_001)
    previous = 0.0
    for kappa in (2.0, 10.0, 100.0):
        x = inverse_map(y[:, None], centres, radius, kappa)[:, 0]
        # Expectations over A in the coordinates of the image.
        slope = np.gradient(x, y)
        density = stats.norm.pdf(x) * slope
        weights = density / density.sum()
        mean, var = two_moments(y, weights)
        value = -weights @ -np.log(slope) + np.log(
            gaussian.shared_moments([mean], [[var]], [0.0], [[1.0]])[1][0, 0]
        )
        assert value > previous - 1e-6
        previous = value
    assert previous > 1e-3
