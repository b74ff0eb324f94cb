"""Every named spec against what must hold for any flow or density, in both backends."""

import numpy as np
import pytest
from model_cases import (
    BACKENDS,
    CASES,
    CONTINUOUS,
    DENSITIES,
    FLOWS,
    GAUSSIANS,
    HISTOGRAMS,
    jacobians,
    native,
    native_scope,
    tolerance,
)
from scipy import stats

import lrmf
from lrmf.backends.base import ROWS

AFFINE = [name for name in FLOWS if isinstance(CASES[name].spec, lrmf.Affine)]
#: Of each way to compute a derivative in the points one: along an iteration, and of a solver. What
#: gradients reach through a map and the shared density is in test_gradients.py and test_parity.py.
DIFFERENTIATED = ("gaussian-2", "planar-2", "iaf-3", "glow-4x4x1", "ffjord-1", "histogram-1")
SMALL_DENSITIES = [name for name in DENSITIES if np.prod(CASES[name].event_shape) <= 2]

both_backends = pytest.mark.parametrize("backend", BACKENDS)


def affine_matrix(name):
    """The matrix of an affine case's map, from its arrays."""
    spec, arrays = CASES[name].spec, CASES[name].arrays()
    if spec.kind == "diagonal":
        return np.diag(np.exp(arrays["log_scale"]))
    matrix = arrays["matrix"]
    return matrix.T @ matrix if spec.kind == "positive_definite" else matrix


@both_backends
@pytest.mark.parametrize("name", FLOWS)
def test_inverse_undoes_forward_and_forward_undoes_inverse(name, backend):
    x, flow = CASES[name].points(), CASES[name].flow(backend)
    forward, inverse = flow.forward(x)[0], flow.inverse(x)[0]
    atol = tolerance(name, 1e-10)
    np.testing.assert_allclose(flow.inverse(forward)[0], x, rtol=0, atol=atol)
    np.testing.assert_allclose(flow.forward(inverse)[0], x, rtol=0, atol=atol)
    if name != "identity-2":
        assert np.abs(forward - x).max() > 0.1
        assert np.abs(forward - inverse).max() > 0.1


@both_backends
@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("name", FLOWS)
def test_log_det_is_that_of_the_jacobian(name, direction, backend):
    # As many points as differences of them fit into the rows that the other tests compile for.
    n = min(16, ROWS[0] // (2 * int(np.prod(CASES[name].event_shape))))
    x = CASES[name].points(n)
    method = getattr(CASES[name].flow(backend), direction)
    jacobian = jacobians(lambda x: method(x)[0], x)
    error = tolerance(name, 1e-6)  # of the differences
    np.testing.assert_allclose(method(x)[1], np.linalg.slogdet(jacobian)[1], rtol=error, atol=error)


@both_backends
@pytest.mark.parametrize("name", FLOWS)
def test_log_dets_cancel_on_a_round_trip(name, backend):
    flow = CASES[name].flow(backend)
    y, log_det = flow.forward(CASES[name].points())
    np.testing.assert_allclose(log_det + flow.inverse(y)[1], 0.0, atol=tolerance(name, 1e-10))
    if name != "identity-2":
        assert np.abs(log_det).max() > 0.05


@both_backends
@pytest.mark.parametrize("name", FLOWS)
def test_every_point_is_mapped_by_itself(name, backend):
    x, flow = CASES[name].points(), CASES[name].flow(backend)
    y, log_det = flow.forward(x)
    rows = np.array([3, 0, 7])
    # A solver chooses its steps for all points together.
    rtol, atol = tolerance(name, 1e-12), tolerance(name, 1e-13)
    np.testing.assert_allclose(flow.forward(x[rows])[0], y[rows], rtol=rtol, atol=atol)
    np.testing.assert_allclose(flow.forward(x[rows])[1], log_det[rows], rtol=rtol, atol=atol)


@both_backends
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_starts_at_the_identity(name, backend):
    x = CASES[name].points(200)
    for seed in range(3):
        arrays = CASES[name].arrays(seed, perturbed=False)
        flow = lrmf.get_backend(backend).flow(CASES[name].spec, arrays, dtype="float64")
        y, log_det = flow.forward(x)
        np.testing.assert_allclose(y, x, rtol=0, atol=3e-3)
        np.testing.assert_allclose(log_det, 0.0, atol=3e-3)


@both_backends
@pytest.mark.parametrize("d", [2, 3])
def test_positive_definite_map_is_the_product_of_its_matrix(d, backend):
    case = CASES[f"positive-definite-{d}"]
    arrays, x = case.arrays(), case.points()
    # Of an affine map differences err by rounding alone.
    (jacobian, *others) = jacobians(lambda x: case.flow(backend).forward(x)[0], x, step=1.0)
    for other in others:
        np.testing.assert_allclose(other, jacobian, atol=1e-12)
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-12)
    assert np.linalg.eigvalsh(jacobian).min() > 0
    expected = x @ (arrays["matrix"].T @ arrays["matrix"]).T + arrays["shift"]
    np.testing.assert_allclose(case.flow(backend).forward(x)[0], expected, atol=1e-12)


@both_backends
@pytest.mark.parametrize("name", AFFINE)
def test_affine_maps_are_what_their_arrays_say(name, backend):
    x, matrix = CASES[name].points(), affine_matrix(name)
    expected = np.stack([matrix @ row for row in x]) + CASES[name].arrays()["shift"]
    np.testing.assert_allclose(CASES[name].flow(backend).forward(x)[0], expected, atol=1e-12)


@both_backends
def test_a_coupling_block_keeps_the_features_that_condition_it(backend):
    spec = lrmf.RealNVP(blocks=1, hidden=(8,), split=2)
    arrays = spec.init((5,), np.random.default_rng(0))
    arrays["block_0/layer_1/bias"] += 0.5
    x = np.random.default_rng(1).normal(size=(10, 5))
    y = lrmf.get_backend(backend).flow(spec, arrays, dtype="float64").forward(x)[0]
    np.testing.assert_array_equal(y[:, :2], x[:, :2])
    # exp(2 tanh(r/2)) times x plus t, with r = t = 0.5 up to the starting weights' 1e-4.
    expected = x[:, 2:] * np.exp(2 * np.tanh(0.25)) + 0.5
    np.testing.assert_allclose(y[:, 2:], expected, atol=5e-3)


@both_backends
@pytest.mark.parametrize("name", SMALL_DENSITIES)
def test_a_density_integrates_to_one_and_its_samples_have_its_mean(name, backend):
    density, d = CASES[name].density(backend), CASES[name].features
    samples = density.sample(4000, seed=0)
    low, high = samples.min(axis=0), samples.max(axis=0)
    pad = 0.75 * (high - low)
    points = 101 if name in CONTINUOUS else 401  # a solver is slow, and its density smooth here
    axes = [np.linspace(a, b, points) for a, b in zip(low - pad, high + pad, strict=True)]
    if name in HISTOGRAMS:  # the midpoint rule is exact where no step lies inside a cell
        axes = [np.arange(-12.95, 13.0, 0.1) for _ in range(d)]
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    mass = np.exp(density.log_prob(grid)) * cell
    assert mass.sum() == pytest.approx(1.0, abs=2e-4)
    mean = mass @ grid
    stderr = samples.std(axis=0) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - mean) < 4.5 * stderr + 1e-3 * (high - low)).all()
    deviation = np.sqrt(mass @ (grid - mean) ** 2)
    np.testing.assert_allclose(samples.std(axis=0), deviation, rtol=0.1)


@both_backends
@pytest.mark.parametrize("name", GAUSSIANS + AFFINE)
def test_normal_densities_are_scipys(name, backend):
    arrays, x = CASES[name].arrays(), 2.0 * CASES[name].points()
    if name in GAUSSIANS:
        root = np.tril(arrays["lower"], -1) + np.diag(np.exp(arrays["log_diagonal"]))
        mean, cov = arrays["mean"], np.linalg.inv(root.T @ root)
    else:
        mean, cov = arrays["shift"], affine_matrix(name) @ affine_matrix(name).T
    density = CASES[name].density(backend)
    expected = stats.multivariate_normal(mean, cov)
    np.testing.assert_allclose(density.log_prob(x), expected.logpdf(x), rtol=1e-9)
    samples = density.sample(20_000, seed=3)
    stderr = np.sqrt(np.diag(cov) / len(samples))
    assert (np.abs(samples.mean(axis=0) - mean) < 4.5 * stderr).all()
    np.testing.assert_allclose(
        np.cov(samples, rowvar=False).reshape(cov.shape), cov, atol=0.05 * np.diag(cov).max()
    )


@both_backends
def test_identity_as_a_density_is_the_standard_normal(backend):
    x = CASES["full-3"].points()
    for dtype, rtol in (("float64", 1e-14), ("float32", 1e-6)):
        density = lrmf.get_backend(backend).density(lrmf.Identity(), {}, dtype=dtype)
        log_prob = density.log_prob(x)
        assert log_prob.dtype == dtype
        np.testing.assert_allclose(log_prob, stats.norm.logpdf(x).sum(axis=1), rtol=rtol)


@both_backends
@pytest.mark.parametrize("name", [name for name in DENSITIES if name in FLOWS])
def test_a_flow_as_a_density_is_the_law_of_its_image_of_standard_noise(name, backend):
    flow, density = CASES[name].flow(backend), CASES[name].density(backend)
    noise = np.random.default_rng(5).standard_normal((16, *CASES[name].event_shape))
    y, log_det = flow.forward(noise)
    expected = stats.norm.logpdf(noise).reshape(16, -1).sum(axis=1) - log_det
    np.testing.assert_allclose(density.log_prob(y), expected, rtol=tolerance(name, 1e-9))
    # The documented promise: seeds mean NumPy's generator, whatever the backend.
    np.testing.assert_allclose(density.sample(16, seed=5), y, rtol=tolerance(name, 1e-12))


@both_backends
@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_log_prob_is_differentiable_in_the_points(name, backend):
    density, x = CASES[name].density(backend), CASES[name].points()
    with native_scope(backend):
        points = native(backend, x)
        if backend == "jax":
            import jax

            gradient = jax.jit(jax.grad(lambda x: density.log_prob(x).sum()))(points)
        else:
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(points)
                total = tf.reduce_sum(density.log_prob(points))
            gradient = tape.gradient(total, points, unconnected_gradients="zero")
    direction = np.random.default_rng(0).normal(size=x.shape)
    # A solver's error, of which a small step would see the jumps, is far above rounding.
    step, rtol, atol = (1e-3, 1e-3, 1e-4) if name in CONTINUOUS else (1e-6, 1e-5, 1e-6)
    ahead, behind = (density.log_prob(x + sign * step * direction) for sign in (1, -1))
    np.testing.assert_allclose(
        np.sum((np.asarray(gradient) * direction).reshape(len(x), -1), axis=1),
        (ahead - behind) / (2 * step),
        rtol=rtol,
        atol=atol,
    )
