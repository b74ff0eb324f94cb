"""Losses against their definitions, with log-densities from SciPy."""

import numpy as np
import pytest
from scipy import stats

import lrmf
from lrmf.backends import BACKENDS
from lrmf.objectives import (
    Alignment,
    MeanDiscrepancy,
    alignment_loss,
    likelihood,
    likelihood_ratio,
    negative_log_likelihood,
)

#: Both domains have a map to a shared density, or are mapped back to a prior.
UPPER_BOUND = Alignment(
    maps=(("source", (("transform", False),)), ("target", (("target_transform", False),)))
)
BACK_TO_BACK = Alignment(
    maps=(("source", (("transform", True),)), ("target", (("target_transform", True),))),
    density="prior",
)

both_backends = pytest.mark.parametrize("backend", BACKENDS)

MATRIX = np.array([[1.5, -0.3], [0.4, 0.8]])
SHIFT = np.array([0.5, -1.0])
SCALE = np.array([0.6, 1.7])
MEAN = np.array([0.2, 0.7])
COV = np.array([[0.9, 0.3], [0.3, 1.4]])

RNG = np.random.default_rng(0)
SOURCE = RNG.normal(size=(7, 2))
TARGET = 2.0 * RNG.normal(size=(11, 2)) + 1.0


def full(backend):
    arrays = {"matrix": MATRIX, "shift": SHIFT}
    return lrmf.get_backend(backend).flow(lrmf.Affine(), arrays, dtype="float64")


def diagonal(backend):
    arrays = {"log_scale": np.log(SCALE), "shift": -SHIFT}
    return lrmf.get_backend(backend).flow(lrmf.Affine(kind="diagonal"), arrays, dtype="float64")


def density(backend):
    root = np.linalg.cholesky(np.linalg.inv(COV)[::-1, ::-1]).T[::-1, ::-1]  # WᵀW = Σ⁻¹
    arrays = {"mean": MEAN, "log_diagonal": np.log(np.diag(root)), "lower": root}
    return lrmf.get_backend(backend).density(lrmf.Gaussian(), arrays, dtype="float64")


def term(x, log_det):
    """E[-log|det| - log Q] by hand."""
    return -log_det - stats.multivariate_normal(MEAN, COV).logpdf(x).mean()


LOG_DET = np.log(abs(np.linalg.det(MATRIX)))
SOURCE_TERM = term(SOURCE @ MATRIX.T + SHIFT, LOG_DET)
TARGET_TERM = term(TARGET, 0.0)
MOVED_TARGET_TERM = term(TARGET * SCALE - SHIFT, np.log(SCALE).sum())


@both_backends
def test_the_lrmf_loss_is_its_definition(backend):
    loss = lrmf.lrmf_loss(full(backend), density(backend), SOURCE, TARGET)
    assert loss == pytest.approx(SOURCE_TERM + TARGET_TERM, rel=1e-12)


@both_backends
def test_the_constant_is_added(backend):
    models = full(backend), density(backend)
    loss = lrmf.lrmf_loss(*models, SOURCE, TARGET, constant=-3.5)
    assert loss == pytest.approx(SOURCE_TERM + TARGET_TERM - 3.5, rel=1e-12)


@both_backends
def test_an_optimal_constant_makes_the_loss_a_bound_of_zero(backend):
    """With the best private normal densities and T = Id on equal data sets, the loss is zero."""
    mean, cov = SOURCE.mean(axis=0), np.cov(SOURCE, rowvar=False, bias=True)
    best = stats.multivariate_normal(mean, cov).logpdf(SOURCE).mean()
    arrays = lrmf.theory.gaussian.density_arrays(mean, cov)
    engine = lrmf.get_backend(backend)
    shared = engine.density(lrmf.Gaussian(), arrays, dtype="float64")
    identity = engine.flow(lrmf.Identity(), {}, dtype="float64")
    loss = lrmf.lrmf_loss(identity, shared, SOURCE, SOURCE, constant=2 * best)
    assert loss == pytest.approx(0.0, abs=1e-12)


@both_backends
def test_negative_log_likelihood_is_its_definition(backend):
    value = negative_log_likelihood(density(backend), TARGET)
    assert value == pytest.approx(TARGET_TERM, rel=1e-12)


@both_backends
def test_every_domain_may_have_a_map_and_a_weight(backend):
    maps = [full(backend), diagonal(backend), None]
    batches = [SOURCE, TARGET, TARGET]
    terms = np.array([SOURCE_TERM, MOVED_TARGET_TERM, TARGET_TERM])
    loss = alignment_loss(maps, density(backend), batches)
    assert loss == pytest.approx(terms.sum(), rel=1e-12)
    weights = np.array([0.2, 0.5, 3.0])
    loss = alignment_loss(maps, density(backend), batches, weights=weights)
    assert loss == pytest.approx(weights @ terms, rel=1e-12)


@both_backends
def test_lrmf_is_alignment_with_the_targets_map_frozen(backend):
    models = full(backend), density(backend)
    expected = alignment_loss([models[0], None], models[1], [SOURCE, TARGET])
    assert lrmf.lrmf_loss(*models, SOURCE, TARGET) == expected
    assert lrmf.lrmf_loss(*models, TARGET, SOURCE) != pytest.approx(expected, abs=0.1)


@both_backends
def test_a_standard_normal_density_gives_the_likelihood_of_a_flow(backend):
    """AlignFlow's term: -log|det| - log N(T(x); 0, I) is the flow's negative log-likelihood."""
    engine, flow = lrmf.get_backend(backend), diagonal(backend)
    inverse = {"log_scale": -np.log(SCALE), "shift": SHIFT / SCALE}
    law = engine.density(lrmf.Affine(kind="diagonal"), inverse, dtype="float64")
    prior = engine.density(lrmf.Identity(), {}, dtype="float64")
    loss = alignment_loss([flow], prior, [TARGET])
    assert loss == pytest.approx(negative_log_likelihood(law, TARGET), rel=1e-12)


class Spy:
    """A density that counts its calls and keeps what it was asked for."""

    def __init__(self, density):
        self.density, self.backend, self.asked = density, density.backend, []

    def log_prob(self, x):
        self.asked.append(x)
        return self.density.log_prob(x)


@both_backends
def test_the_shared_density_is_called_once_on_the_concatenated_batch(backend):
    spy = Spy(density(backend))
    loss = lrmf.lrmf_loss(full(backend), spy, SOURCE, TARGET)
    (asked,) = spy.asked
    np.testing.assert_allclose(asked, np.concatenate([SOURCE @ MATRIX.T + SHIFT, TARGET]))
    assert loss == pytest.approx(SOURCE_TERM + TARGET_TERM, rel=1e-12)


@both_backends
def test_native_batches_give_a_native_loss(backend):
    engine = lrmf.get_backend(backend)
    with engine.scope("float64"):
        a, b = (engine.asarray(x, "float64") for x in (SOURCE, TARGET))
        loss = lrmf.lrmf_loss(full(backend), density(backend), a, b, constant=1.0)
    assert engine.is_native(loss)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(SOURCE_TERM + TARGET_TERM + 1.0, rel=1e-12)


@both_backends
def test_lists_are_batches_too(backend):
    models = full(backend), density(backend)
    expected = lrmf.lrmf_loss(*models, SOURCE, TARGET)
    assert lrmf.lrmf_loss(*models, SOURCE.tolist(), TARGET.tolist()) == expected


@both_backends
def test_losses_for_training_take_roles_by_name(backend):
    models = {"transform": full(backend), "density": density(backend)}
    batch = {"source": SOURCE, "target": TARGET}
    value = likelihood_ratio(models, batch)
    assert value == pytest.approx(SOURCE_TERM + TARGET_TERM, rel=1e-12)
    models["target_transform"] = diagonal(backend)
    value = UPPER_BOUND(models, batch)
    assert value == pytest.approx(SOURCE_TERM + MOVED_TARGET_TERM, rel=1e-12)
    models["prior"] = lrmf.get_backend(backend).density(lrmf.Identity(), {}, dtype="float64")
    laws = (SHIFT, MATRIX @ MATRIX.T), (-SHIFT, np.diag(SCALE**2))
    expected = sum(
        stats.multivariate_normal(*law).logpdf(x).mean()
        for law, x in zip(laws, (SOURCE, TARGET), strict=True)
    )
    assert BACK_TO_BACK(models, batch) == pytest.approx(-expected, rel=1e-12)
    assert likelihood(models, {"data": TARGET}) == pytest.approx(TARGET_TERM, rel=1e-12)


@pytest.mark.parametrize(
    ("maps", "batches", "weights", "message"),
    [
        ([None], [SOURCE, TARGET], None, "one batch per map.*: 1 maps, 2 batches"),
        ([], [], None, "one batch per map and at least one: 0 maps, 0 batches"),
        ([None, None], [SOURCE, TARGET], [1.0], "one weight per map: 2 maps, 1 weights"),
        (
            [None, None],
            [SOURCE, TARGET[:, :1]],
            None,
            r"with one event shape, got \[\(7, 2\), \(11, 1\)\]",
        ),
        ([None], [SOURCE[0]], None, r"shape \(n, \*event_shape\) .*, got \[\(2,\)\]"),
        ([None, None], [SOURCE, TARGET[:0]], None, r"a batch is empty.*\[\(7, 2\), \(0, 2\)\]"),
    ],
)
def test_bad_batches_are_refused(maps, batches, weights, message):
    with pytest.raises(ValueError, match=message):
        alignment_loss(maps, density("jax"), batches, weights=weights)


def weighted(counts):
    """Weights that count points so many times, and the rows that they stand for."""
    return counts / counts.sum(), np.repeat(np.arange(len(counts)), counts)


@both_backends
def test_weights_count_points(backend):
    models = {"transform": full(backend), "density": density(backend)}
    v, rows = weighted(np.array([0, 1, 2, 0, 3, 1, 1]))
    w, others = weighted(np.array([1, 0, 2, 2, 1, 1, 0, 0, 1, 3, 1]))
    batch = {"source": SOURCE, "target": TARGET, "source_weight": v, "target_weight": w}
    expected = likelihood_ratio(models, {"source": SOURCE[rows], "target": TARGET[others]})
    assert likelihood_ratio(models, batch) == pytest.approx(expected, rel=1e-12)
    expected = likelihood(models, {"data": TARGET[others]})
    found = likelihood(models, {"data": TARGET, "data_weight": w})
    assert found == pytest.approx(expected, rel=1e-12)


@both_backends
@pytest.mark.parametrize(
    "loss",
    [
        MeanDiscrepancy(kernel="gaussian", bandwidths=(0.7, 2.0)),
        MeanDiscrepancy(kernel="triangular_gap"),
    ],
)
def test_weighted_mean_discrepancy(backend, loss):
    """Equal weights are none, points of weight zero are not there, and in between by hand."""
    models = {"transform": full(backend)}
    plain = loss(models, {"source": SOURCE[:4], "target": TARGET[:5]})
    v, w = np.zeros(7), np.zeros(11)
    v[:4], w[:5] = 1 / 4, 1 / 5
    batch = {"source": SOURCE, "target": TARGET}
    found = loss(models, batch | {"source_weight": v, "target_weight": w})
    assert found == pytest.approx(float(plain), rel=1e-10)
    one = loss(models, {"source": SOURCE[:4], "target": TARGET, "target_weight": w})
    assert one == pytest.approx(float(plain), rel=1e-10)
    other = loss(models, {"source": SOURCE, "target": TARGET[:5], "source_weight": v})
    assert other == pytest.approx(float(plain), rel=1e-10)
    v, w = RNG.dirichlet(np.ones(7)), RNG.dirichlet(np.ones(11))
    x = SOURCE @ MATRIX.T + SHIFT

    def kernel(x, y):
        lengths = np.linalg.norm(x[:, None] - y[None], axis=-1)
        if loss.kernel == "triangular_gap":
            return -0.5 * lengths
        return np.mean([np.exp(-0.5 * (lengths / h) ** 2) for h in loss.bandwidths], axis=0)

    def within(x, w):
        pairs = np.outer(w, w)
        np.fill_diagonal(pairs, 0.0)
        return np.sum(pairs * kernel(x, x)) / pairs.sum()

    expected = within(x, v) + within(TARGET, w) - 2 * v @ kernel(x, TARGET) @ w
    found = loss(models, batch | {"source_weight": v, "target_weight": w})
    assert found == pytest.approx(expected, rel=1e-10)
