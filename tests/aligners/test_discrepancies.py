"""Flows that minimise a distance between samples: values and gradients against the distances."""

import itertools
import signal
import sys
import threading

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.special import rel_entr

import lrmf
from lrmf.backends.base import Role
from lrmf.distances import median_bandwidth, mmd2
from lrmf.objectives import MeanDiscrepancy
from lrmf.points import Rows

RNG = np.random.default_rng(0)
BATCH = {"source": RNG.normal(size=(9, 2)), "target": 1.5 * RNG.normal(size=(11, 2)) + 1.0}
ARRAYS = {"matrix": np.array([[1.2, -0.3], [0.4, 0.8]]), "shift": np.array([0.5, -0.2])}
PAIR = lrmf.data.blobs(n=200, seed=0)
TEST = lrmf.data.blobs(n=2000, seed=1)
EPSILON = 0.7

#: In the units of the data, in which costs and kernels are easily checked.
QUICK = {
    "transform": lrmf.Affine(),
    "standardize": False,
    "batch_size": 64,
    "learning_rate": 0.03,
    "progress": False,
}
KINDS = {
    "gaussian": (lrmf.MMDFlow, {}),
    "triangular-gap": (lrmf.MMDFlow, {"kernel": "triangular_gap"}),
    "emd": (lrmf.EMDFlow, {}),
    "euclidean-emd": (lrmf.EMDFlow, {"cost": "euclidean"}),
    "sinkhorn": (lrmf.SinkhornFlow, {}),
    "euclidean-sinkhorn": (lrmf.SinkhornFlow, {"cost": "euclidean"}),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, **changes):
    cls, settings = KINDS[kind]
    return cls(**{**QUICK, **settings, **changes})


def fit(model, **options):
    return model.fit(Xs=PAIR.source, Xt=PAIR.target, **options)


def entropic_cost(costs, epsilon):
    """OT_ε, from POT's plan in the log domain and the definition."""
    n, m = costs.shape
    plan = ot.sinkhorn(
        np.full(n, 1 / n), np.full(m, 1 / m), costs, epsilon,
        method="sinkhorn_log", numItermax=100_000, stopThr=1e-13,
    )  # fmt: skip
    return float(np.sum(plan * costs) + epsilon * np.sum(rel_entr(plan, 1 / (n * m))))


def divergence(x, y, cost, epsilon):
    between, first, second = (
        entropic_cost(cdist(a, b, cost), epsilon) for a, b in ((x, y), (x, x), (y, y))
    )
    return between - 0.5 * first - 0.5 * second


def oracle(kind):
    """The objective as a function of two samples, by others."""
    if kind == "gaussian":
        return lambda x, y: np.mean([mmd2(x, y, bandwidth=h) for h in (0.5, 2.0)])
    if kind == "triangular-gap":
        return lambda x, y: mmd2(x, y, kernel="triangular_gap")
    cost = "euclidean" if "euclidean" in kind else "sqeuclidean"
    if "emd" in kind:
        return lambda x, y: ot.emd2([], [], cdist(x, y, cost))
    return lambda x, y: divergence(x, y, cost, EPSILON)


def value_and_gradients(kind, backend, arrays=ARRAYS, batch=BATCH):
    engine = lrmf.get_backend(backend)
    roles = (Role("transform", lrmf.Flow, lrmf.Affine(), (2,)),)
    if KINDS[kind][0] is lrmf.MMDFlow:
        loss = MeanDiscrepancy(
            kernel=KINDS[kind][1].get("kernel", "gaussian"), bandwidths=(0.5, 2.0)
        )
    else:
        model = make(kind)
        if isinstance(model, lrmf.SinkhornFlow):
            model.set_params(max_iter=100_000, tolerance=1e-12)
            model.set_params(cost_scale=None, regularization=EPSILON)
        rows = {"target": Rows(batch["target"])}
        objective = model._objective(rows, {}, {"target": None}, np.random.SeedSequence(0))
        loss, flow = objective.loss, engine.flow(lrmf.Affine(), arrays, dtype="float64")
        batch = {**batch, **objective.assistant({"transform": flow}, batch)}
    value, gradients = engine.loss_and_gradients(
        loss, roles, {"transform": arrays}, batch, dtype="float64"
    )
    return value, gradients["transform"]


@each_kind
def test_the_loss_is_the_distance(kind, backend):
    moved = BATCH["source"] @ ARRAYS["matrix"].T + ARRAYS["shift"]
    value, _ = value_and_gradients(kind, backend)
    assert value == pytest.approx(oracle(kind)(moved, BATCH["target"]), rel=1e-8)


@each_kind
def test_what_fills_a_batch_up_changes_nothing(kind):
    filled = {}
    for side, x in BATCH.items():
        n = len(x)
        filled[side] = x[np.arange(n + 5) % n]
        filled[f"{side}_weight"] = np.where(np.arange(n + 5) < n, 1.0 / n, 0.0)
    value, gradients = value_and_gradients(kind, "jax", batch=filled)
    expected, others = value_and_gradients(kind, "jax")
    assert value == pytest.approx(expected, rel=1e-9)
    for name, gradient in others.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-7, atol=1e-9)


def slope_of_the_distance(kind, name, index, step=1e-4):
    """By central differences of the distance itself: the plans change with the arrays there."""
    values = []
    for sign in (1, -1):
        shifted = {key: x.copy() for key, x in ARRAYS.items()}
        shifted[name][index] += sign * step
        moved = BATCH["source"] @ shifted["matrix"].T + shifted["shift"]
        values.append(oracle(kind)(moved, BATCH["target"]))
    return (values[0] - values[1]) / (2 * step)


@each_kind
def test_the_gradient_is_that_of_the_distance(kind):
    # One test for both backends: the oracle takes longer than they do.
    found = [value_and_gradients(kind, backend)[1] for backend in ("jax", "tfp")]
    for name, array in ARRAYS.items():
        for index in np.ndindex(array.shape):
            expected = slope_of_the_distance(kind, name, index)
            for gradients in found:
                assert gradients[name][index] == pytest.approx(expected, rel=1e-5, abs=1e-6)


@each_kind
def test_points_that_coincide_do_not_spoil_the_gradient(kind, backend):
    # Minibatches are drawn with replacement.
    twice = {side: np.repeat(x, 2, axis=0) for side, x in BATCH.items()}
    twice["target"][:3] = twice["source"][:3] @ ARRAYS["matrix"].T + ARRAYS["shift"]
    value, gradients = value_and_gradients(kind, backend, batch=twice)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


# The other costs differ in the loss alone, which is tested.
one_of_each = pytest.mark.parametrize("kind", ["gaussian", "triangular-gap", "emd", "sinkhorn"])


@one_of_each
def test_held_out_moments_are_aligned(kind):
    train = lrmf.data.blobs(n=2000, seed=2)
    steps = 400 if kind in ("emd", "sinkhorn") else 700  # kernels see less of what is far apart
    model = make(kind, steps=steps, batch_size=128, learning_rate=0.1)
    model.fit(Xs=train.source, Xt=train.target)
    assert model.status_ == f"finished: {steps} steps."
    moved = model.transform(TEST.source)
    # Before, the largest of these differences are 4 and 1.1.
    np.testing.assert_allclose(moved.mean(axis=0), TEST.target.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(TEST.target.T), atol=0.4)
    history = model.history_["loss"]
    assert len(history) == steps
    assert history[-50:].mean() < 0.1 * history[0]


@one_of_each
def test_both_backends_give_the_same_losses_and_the_same_flow(kind):
    settings = {
        "steps": 20,
        "batch_size": 32,
        "validation_fraction": 0.1,
        "dtype": "float64",
    }
    jax, tfp = (fit(make(kind, backend=name, **settings)) for name in ("jax", "tfp"))
    for name in ("loss", "validation_loss"):
        np.testing.assert_allclose(jax.history_[name], tfp.history_[name], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        jax.transform(TEST.source), tfp.transform(TEST.source), rtol=1e-6, atol=1e-8
    )


def test_snapshots_are_flows_without_a_density():
    model = fit(make("gaussian", steps=200, snapshot_every=100))
    assert [(step, density) for step, _, density in model.snapshots_] == [
        (0, None), (100, None), (200, None),
    ]  # fmt: skip
    np.testing.assert_array_equal(
        model.snapshots_[-1][1].forward(TEST.source)[0], model.transform(TEST.source)
    )


STOPPED = {"steps": 300, "batch_size": 32, "checkpoint_every": 100, "snapshot_every": 100}


class TestInterruption:
    @staticmethod
    def stop_after(monkeypatch, backend, calls, action):
        made = type(lrmf.get_backend(backend))
        make_trainer = made.trainer

        def trainer(self, *arguments, **options):
            result = make_trainer(self, *arguments, **options)
            run, count = result.run, itertools.count()

            def stopped(*rest):
                if next(count) == calls:
                    action()
                return run(*rest)

            result.run = stopped
            return result

        monkeypatch.setattr(made, "trainer", trainer)

    def test_a_resumed_fit_ends_as_if_it_had_not_been_interrupted(self, monkeypatch, tmp_path):
        # With plans, a step is a call; chunks of steps are resumed in test_stopping.py.
        def interrupt():
            raise KeyboardInterrupt

        settings = {**STOPPED, "validation_fraction": 0.1}
        expected = fit(make("emd", **settings))
        with monkeypatch.context() as patch:
            self.stop_after(patch, "jax", 230, interrupt)
            stopped = fit(make("emd", **settings), checkpoint=tmp_path / "fit.ckpt")
        assert stopped.outcome_ == "interrupted"
        assert stopped.n_steps_ == 200
        assert not stopped.complete_
        resumed = fit(make("emd", **settings), checkpoint=tmp_path / "fit.ckpt")
        assert resumed.complete_
        np.testing.assert_equal(resumed.history_, expected.history_)
        np.testing.assert_equal(resumed.transform_.arrays, expected.transform_.arrays)
        assert len(resumed.snapshots_) == len(expected.snapshots_) == 4

    @pytest.mark.timeout(100)
    def test_ctrl_c_that_does_not_wake_the_main_thread(self, monkeypatch, ctrl_c):
        # As one that comes just before the main thread begins to wait: it finds out by itself.
        def interrupt():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)

        self.stop_after(monkeypatch, "jax", 3, interrupt)
        model = fit(make("emd", steps=10**6))
        assert model.outcome_ == "interrupted"
        assert 0 < model.n_steps_ < 10**6
        assert np.isfinite(model.transform(TEST.source)).all()


@pytest.mark.filterwarnings("ignore::lrmf.DivergenceWarning")
@pytest.mark.parametrize("kind", ["triangular-gap", "emd", "sinkhorn"])
def test_absurd_learning_rates_diverge_and_say_so(kind):
    model = fit(make(kind, learning_rate=1e30, steps=20))
    assert model.outcome_ == "diverged"
    assert "Lower learning_rate (now 1e+30)" in model.status_
    np.testing.assert_allclose(model.transform(PAIR.source), PAIR.source, rtol=1e-6)


class TestMMDFlow:
    def test_the_gaussian_kernel_is_bounded_so_its_loss_can_not_explode(self):
        model = fit(make("gaussian", learning_rate=1e30, steps=20))
        assert model.outcome_ == "finished"
        history = model.history_["loss"]
        assert history[-1] > 0.8 * history[0]  # where no kernel reaches from T(A) to B

    def test_bandwidths_of_its_own(self):
        model = fit(make("gaussian", steps=1))
        median = median_bandwidth(PAIR.source, PAIR.target)
        assert model.bandwidths_ == pytest.approx([f * median for f in (0.25, 0.5, 1, 2, 4)])
        assert fit(make("triangular-gap", steps=1)).bandwidths_ == ()

    def test_of_many_points_some_are_enough_for_the_median(self, monkeypatch):
        asked = []

        def median(x, y):
            asked.append(len(x) + len(y))
            return median_bandwidth(x, y)

        monkeypatch.setattr("lrmf.distances.median_bandwidth", median)
        pair = lrmf.data.blobs(n=3000, seed=2)
        model = make("gaussian", steps=1).fit(Xs=pair.source, Xt=pair.target)
        assert asked == [2000]
        assert model.bandwidths_[2] == pytest.approx(
            median_bandwidth(pair.source, pair.target), rel=0.05
        )

    def test_bandwidths_survive_a_file(self, tmp_path):
        model = fit(make("gaussian", bandwidths=[1, 2.5], steps=1))
        assert model.bandwidths_ == (1.0, 2.5)
        model.save(tmp_path / "model.lrmf")
        loaded = lrmf.MMDFlow.load(tmp_path / "model.lrmf", backend="tfp")
        assert loaded.bandwidths_ == (1.0, 2.5)
        assert loaded.bandwidths == (1, 2.5)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"batch_size": 1}, "batch_size must be 2 or more, got 1"),
            (
                {"kernel": "triangular_gap", "bandwidths": (1.0,)},
                r"bandwidths must be None for the triangular-gap kernel, .* got \(1.0,\)",
            ),
            (
                {"validation_fraction": 0.005},
                "validation_fraction=0.005 holds out 1 source point, but .* takes two; raise it",
            ),
        ],
    )
    def test_what_the_estimate_can_not_do(self, settings, message, nothing_compiles):
        with pytest.raises(ValueError, match="^" + message):
            fit(make("gaussian", **settings))


class TestTransport:
    @pytest.mark.parametrize("kind", ["emd", "sinkhorn"])
    def test_without_pot(self, kind, monkeypatch, nothing_compiles):
        monkeypatch.setitem(sys.modules, "ot", None)
        with pytest.raises(ImportError, match=r'needs POT.* pip install "lrmf\[ot\]"'):
            fit(make(kind))

    @pytest.mark.parametrize(
        ("scale", "expected"), [("mean", np.mean), ("median", np.median), ("max", np.max)]
    )
    def test_epsilon(self, scale, expected):
        model = fit(make("sinkhorn", cost_scale=scale, regularization=0.3, steps=1))
        costs = pdist(PAIR.target, "sqeuclidean")
        assert model.epsilon_ == pytest.approx(0.3 * expected(costs))
        model = fit(make("sinkhorn", cost_scale=None, regularization=0.3, steps=1))
        assert model.epsilon_ == 0.3

    @pytest.mark.filterwarnings("ignore::lrmf.DataWarning")
    def test_no_scale(self, nothing_compiles):
        zeros = np.zeros((5, 2))
        with pytest.raises(ValueError, match=r"^the mean of the costs is zero, .*cost_scale=None"):
            make("sinkhorn").fit(Xs=zeros, Xt=zeros)

    def test_a_small_epsilon_gives_the_exact_cost(self):
        exact = fit(make("emd", steps=5))
        entropic = fit(make("sinkhorn", cost_scale=None, regularization=1e-3, steps=5))
        # Both start from the same flow and draw the same minibatches. Half of a batch's pairs of
        # a point with itself cost nothing, so debiasing adds next to nothing.
        np.testing.assert_allclose(
            entropic.history_["loss"], exact.history_["loss"], rtol=0.01, atol=0.02
        )
