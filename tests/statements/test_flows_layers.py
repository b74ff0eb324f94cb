"""Checks of the chapter "Normalizing flows": layers and their log-determinants."""

import flowjax.bijections as fb
import jax
import numpy as np
import pytest
from flow_cases import jacobian, log_det_error, realnvp
from scipy import linalg, optimize

import lrmf

SEEDS = range(3)
BACKENDS = ("jax", "tfp")

seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)
cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in (2, 3, 5) for seed in SEEDS])


# prop-planar


def planar_case(d, seed, product):
    """Vectors u, w and a bias with a given u·w."""
    rng = np.random.default_rng([d, seed])
    u, w, b = rng.normal(size=d), rng.normal(size=d), rng.normal()
    return u + (product - u @ w) * w / (w @ w), w, b


def planar(x, u, w, b):
    return x + np.tanh(x @ w + b)[:, None] * u


planar_cases = pytest.mark.parametrize(
    ("d", "seed"), [(d, seed) for d in (1, 2, 5) for seed in SEEDS]
)


@pytest.mark.statement("prop-planar")
@planar_cases
def test_planar_determinant(d, seed, record_property):
    rng = np.random.default_rng(seed)
    worst = 0.0
    for product in (-3.0, -0.7, 2.0):
        u, w, b = planar_case(d, seed, product)
        x = rng.normal(size=(50, d))
        formula = 1 + (1 - np.tanh(x @ w + b) ** 2) * (u @ w)
        determinant = np.linalg.det(jacobian(lambda p, a=(u, w, b): planar(p, *a), x))
        worst = max(worst, np.abs(formula - determinant).max())
    record_property("error", float(worst))
    assert worst < 1e-7


@pytest.mark.statement("prop-planar")
@seeds
def test_flowjax_agrees(seed, record_property):
    d = 4
    layer = fb.Planar(jax.random.key(0), dim=d)
    backend = lrmf.get_backend("jax")
    (name,) = backend.flow(layer).arrays
    parameters = np.random.default_rng(seed).normal(size=2 * d + 1)
    w, u, b = parameters[:d], parameters[d : 2 * d], parameters[-1]
    product = np.log1p(np.logaddexp(0, u @ w)) - 1
    assert product > -1
    u = u + (product - u @ w) * w / (w @ w)
    x = np.random.default_rng(seed).normal(size=(20, d))
    y, log_det = backend.flow(layer, {name: parameters}, dtype="float64").forward(x)
    mine = np.log(1 + (1 - np.tanh(x @ w + b) ** 2) * product)
    error = max(np.abs(y - planar(x, u, w, b)).max(), np.abs(log_det - mine).max())
    record_property("error", float(error))
    assert error < 1e-12


@pytest.mark.statement("prop-planar")
@planar_cases
def test_planar_maps_with_product_at_least_minus_one_are_inverted(d, seed, record_property):
    rng = np.random.default_rng(seed)
    worst = 0.0
    for product in (-1.0, -0.5, 3.0):
        u, w, b = planar_case(d, seed, product)
        x = rng.normal(size=(5, d))
        for point, y in zip(x, planar(x, u, w, b), strict=True):
            beta = w @ y + b

            def gap(a, beta=beta, product=product):
                return a + product * np.tanh(a) - beta

            alpha = optimize.brentq(gap, beta - 5, beta + 5, xtol=1e-14)
            worst = max(worst, np.abs(y - u * np.tanh(alpha) - point).max())
    record_property("error", float(worst))
    assert worst < 1e-6


@pytest.mark.statement("prop-planar", control=True)
@planar_cases
def test_below_minus_one_two_points_share_an_image(d, seed):
    u, w, b = planar_case(d, seed, -3.0)
    alpha = optimize.brentq(lambda a: a - 3 * np.tanh(a), 1.0, 5.0)
    y = -b * w / (w @ w)  # its feature is zero
    points = np.stack([y - u * np.tanh(a) for a in (-alpha, 0.0, alpha)])
    np.testing.assert_allclose(planar(points, u, w, b), np.tile(y, (3, 1)), atol=1e-9)
    assert np.abs(points[0] - points[2]).max() > 0.1


# prop-triangular


def increasing(x, seed):
    """A triangular map whose diagonal functions are not affine, and its log-determinant."""
    rng = np.random.default_rng(seed)
    d = x.shape[1]
    lower = np.tril(rng.normal(size=(2, d, d)), -1)
    scale, shift = np.tanh(x @ lower[0].T), np.sin(x @ lower[1].T)
    y = (x + x**3 / 3) * np.exp(scale) + shift
    return y, (np.log1p(x**2) + scale).sum(axis=1)


@pytest.mark.statement("prop-triangular")
@cases
def test_log_determinant_and_inverse_of_a_triangular_map(d, seed, record_property):
    x = np.random.default_rng([d, seed]).normal(size=(20, d))
    y, log_det = increasing(x, seed)
    error = log_det_error(lambda points: increasing(points, seed)[0], log_det, x)
    found = np.zeros_like(x)
    for row, target in enumerate(y):
        for i in range(d):

            def gap(value, row=row, i=i, target=target):
                point = found[row].copy()
                point[i] = value
                return increasing(point[None], seed)[0][0, i] - target[i]

            found[row, i] = optimize.brentq(gap, -20, 20, xtol=1e-13)
    error = max(error, float(np.abs(found - x).max()))
    record_property("error", float(error))
    assert error < 1e-7


@pytest.mark.statement("prop-triangular")
@backends
@cases
def test_a_coupling_block_is_triangular(d, seed, backend, record_property):
    flow = realnvp(backend, d, seed, blocks=1)
    x = np.random.default_rng(seed).normal(size=(30, d))
    matrices = jacobian(lambda points: flow.forward(points)[0], x)
    assert np.abs(np.triu(matrices, 1)).max() < 1e-9
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    error = np.abs(np.log(diagonal).sum(axis=1) - flow.forward(x)[1]).max()
    record_property("error", float(error))
    assert error < 1e-8


@pytest.mark.statement("prop-triangular")
@seeds
def test_an_autoregressive_layer_is_triangular(seed, record_property):
    layer = fb.MaskedAutoregressive(
        jax.random.key(seed), transformer=fb.Affine(), dim=4, nn_width=16, nn_depth=1
    )
    flow = lrmf.get_backend("jax").flow(layer, dtype="float64")
    x = np.random.default_rng(seed).normal(size=(30, 4))
    y, log_det = flow.forward(x)
    matrices = jacobian(lambda points: flow.forward(points)[0], x)
    assert np.median(np.abs(np.triu(matrices, 1)).max(axis=(1, 2))) < 1e-9
    error = log_det_error(lambda points: flow.forward(points)[0], log_det, x)
    record_property("error", float(error))
    assert error < 1e-8
    np.testing.assert_allclose(flow.inverse(y)[0], x, atol=1e-9)


@pytest.mark.statement("prop-triangular", control=True)
@cases
def test_the_diagonal_is_not_enough_for_a_map_that_is_not_triangular(d, seed):
    mix = np.random.default_rng(seed).normal(size=(d, d))
    x = np.random.default_rng([d, seed]).normal(size=(30, d))
    matrices = jacobian(lambda points: points + np.tanh(points @ mix.T), x)
    diagonal = np.log(np.abs(np.diagonal(matrices, axis1=1, axis2=2))).sum(axis=1)
    assert np.abs(np.linalg.slogdet(matrices)[1] - diagonal).max() > 1e-2


# prop-convolution


@pytest.mark.statement("prop-convolution")
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 2), (4, 3, 5)])
@seeds
def test_log_determinant_of_a_convolution(shape, seed, record_property):
    h, w, c = shape
    rng = np.random.default_rng([seed, c])
    matrix = rng.normal(size=(c, c))

    def convolve(x):
        return (x.reshape(-1, h, w, c) @ matrix.T).reshape(len(x), -1)

    found = np.linalg.slogdet(jacobian(convolve, rng.normal(size=(1, h * w * c))))[1][0]
    _, _, upper = linalg.lu(matrix)
    error = max(
        abs(found - h * w * np.linalg.slogdet(matrix)[1]),
        abs(found - h * w * np.log(np.abs(np.diag(upper))).sum()),
    )
    record_property("error", float(error))
    assert error < 1e-8


@pytest.mark.statement("prop-convolution", control=True)
@seeds
def test_pixels_with_matrices_of_their_own_break_the_formula(seed):
    matrices = np.random.default_rng(seed).normal(size=(6, 3, 3))
    found = np.linalg.slogdet(linalg.block_diag(*matrices))[1]
    assert abs(found - 6 * np.linalg.slogdet(matrices[0])[1]) > 0.1
