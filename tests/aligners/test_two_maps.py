"""Aligners with a flow for each side: AUB, which contains LRMF, and the back-to-back flow."""

import itertools
import os
import signal

import numpy as np
import pytest
from scipy import stats

import lrmf
from lrmf.models import Composed
from lrmf.objectives import alignment_loss

PAIR = lrmf.data.blobs(n=200, seed=0)
TEST = lrmf.data.blobs(n=2000, seed=1)

#: Whole chunks of a hundred steps, because a rest is compiled by itself.
SETTINGS = {
    "transform": lrmf.Affine(),
    "steps": 200,
    "batch_size": 64,
    "learning_rate": 0.03,
    "snapshot_every": 100,
    "progress": False,
}
SHARED = {**SETTINGS, "density": lrmf.Gaussian(), "private_steps": 200, "refit_steps": 200}


def fit(model, **options):
    return model.fit(Xs=PAIR.source, Xt=PAIR.target, **options)


# Of one backend: `TestBoth` compares the other's losses and flow with it.
@pytest.fixture(scope="module")
def aub():
    return fit(lrmf.AUB(**SHARED))


@pytest.fixture(scope="module")
def back_to_back():
    """Whole data sets as batches, so that the maximum likelihood is reached."""
    settings = {**SETTINGS, "steps": 1500, "batch_size": 200, "dtype": "float64"}
    return fit(lrmf.BackToBackFlow(**settings))


class TestAUB:
    def test_with_the_targets_map_frozen_it_is_lrmf(self):
        settings = {
            **SHARED,
            "transform": lrmf.RealNVP(blocks=2, hidden=(8,)),
            "validation_fraction": 0.2,
        }
        special = fit(lrmf.AUB(**settings, target_transform=lrmf.Identity()))
        expected = fit(lrmf.LRMF(**settings))
        for name, values in expected.history_.items():
            np.testing.assert_allclose(special.history_[name], values, rtol=1e-5, atol=1e-5)
        assert special.constant_ == expected.constant_
        for x, y in (
            (special.source_map_, expected.transform_),
            (special.density_, expected.density_),
            (special.refitted_source_, expected.refitted_source_),
        ):
            for name, array in y.arrays.items():
                np.testing.assert_allclose(x.arrays[name], array, rtol=1e-4, atol=1e-5)
        certificates = [m.family_certificate(TEST.source, TEST.target) for m in (special, expected)]
        assert certificates[0].lrd == pytest.approx(certificates[1].lrd, abs=1e-5)
        assert certificates[0].bound == pytest.approx(certificates[1].bound, abs=1e-5)

    def test_the_map_goes_through_the_shared_space(self, aub):
        there, _ = aub.source_map_.forward(TEST.source)
        expected, _ = aub.target_map_.inverse(there)
        np.testing.assert_array_equal(aub.transform(TEST.source), expected)
        assert np.abs(there - TEST.source).max() > 0.1
        assert np.abs(expected - there).max() > 0.1
        np.testing.assert_allclose(aub.inverse_transform(expected), TEST.source, atol=1e-4)

    def test_held_out_moments_are_aligned(self, aub):
        moved = aub.transform(TEST.source)
        np.testing.assert_allclose(moved.mean(axis=0), TEST.target.mean(axis=0), atol=0.3)
        np.testing.assert_allclose(np.cov(moved.T), np.cov(TEST.target.T), atol=0.6)

    def test_the_score_is_minus_the_bound_by_hand(self, aub):
        loss = alignment_loss(
            [aub.source_map_, aub.target_map_], aub.density_, [TEST.source, TEST.target]
        )
        constant = (
            aub.private_source_.log_prob(TEST.source).mean()
            + aub.private_target_.log_prob(TEST.target).mean()
        )
        bound = aub.family_certificate(TEST.source, TEST.target).bound
        assert bound == pytest.approx(loss + constant, abs=1e-4)

    def test_refitted_copies_are_fitted_where_the_shared_density_lives(self, aub):
        image, _ = aub.target_map_.forward(PAIR.target)
        law = stats.multivariate_normal(image.mean(axis=0), np.cov(image.T, bias=True))
        np.testing.assert_allclose(
            aub.refitted_target_.log_prob(image), law.logpdf(image), atol=0.3
        )

    def test_snapshots_have_no_density_because_it_lives_elsewhere(self, aub):
        assert [(step, density) for step, _, density in aub.snapshots_] == [
            (0, None), (100, None), (200, None),
        ]  # fmt: skip
        moved, _ = aub.snapshots_[0][1].forward(TEST.source)
        # Domains that are apart start at the translation of their means.
        shift = PAIR.target.mean(axis=0) - PAIR.source.mean(axis=0)
        np.testing.assert_allclose(moved, TEST.source + shift, atol=1e-5)

    @pytest.mark.parametrize("target", [None, lrmf.Affine(kind="diagonal")])
    def test_saved_and_loaded(self, target, tmp_path):
        model = fit(lrmf.AUB(**SHARED, target_transform=target))
        model.save(tmp_path / "model.lrmf")
        loaded = lrmf.AUB.load(tmp_path / "model.lrmf", backend="tfp")
        assert loaded.target_transform == target
        np.testing.assert_allclose(
            loaded.transform(TEST.source), model.transform(TEST.source), rtol=1e-5, atol=1e-5
        )
        bounds = [m.family_certificate(TEST.source, TEST.target).bound for m in (loaded, model)]
        assert bounds[0] == pytest.approx(bounds[1], abs=1e-4)


class TestBackToBack:
    def test_each_flow_is_its_sides_maximum_likelihood_normal(self, back_to_back):
        for density, x in (
            (back_to_back.private_source_, PAIR.source),
            (back_to_back.private_target_, PAIR.target),
        ):
            law = stats.multivariate_normal(x.mean(axis=0), np.cov(x.T, bias=True))
            np.testing.assert_allclose(
                density.log_prob(TEST.source), law.logpdf(TEST.source), rtol=1e-3, atol=1e-3
            )

    def test_the_loss_ends_at_the_entropies_of_these(self, back_to_back):
        entropy = sum(
            stats.multivariate_normal(cov=np.cov(x.T, bias=True)).entropy()
            for x in (PAIR.source, PAIR.target)
        )
        assert back_to_back.history_["loss"][-1] == pytest.approx(entropy, abs=1e-4)

    def test_the_map_goes_through_the_prior(self, back_to_back):
        noise, _ = back_to_back.source_flow_.inverse(PAIR.source)
        np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=1e-2)
        np.testing.assert_allclose(np.cov(noise.T, bias=True), np.eye(2), atol=1e-2)
        expected, _ = back_to_back.target_flow_.forward(noise)
        np.testing.assert_array_equal(back_to_back.transform(PAIR.source), expected)

    def test_moments_are_aligned(self, back_to_back):
        moved = back_to_back.transform(PAIR.source)
        np.testing.assert_allclose(moved.mean(axis=0), PAIR.target.mean(axis=0), atol=1e-2)
        np.testing.assert_allclose(np.cov(moved.T), np.cov(PAIR.target.T), atol=2e-2)

    def test_snapshots_have_the_targets_density(self, back_to_back):
        step, flow, density = back_to_back.snapshots_[-1]
        assert step == 1500
        np.testing.assert_array_equal(
            flow.forward(TEST.source)[0], back_to_back.transform(TEST.source)
        )
        np.testing.assert_array_equal(
            density.log_prob(TEST.target), back_to_back.private_target_.log_prob(TEST.target)
        )

    def test_flows_of_other_kinds(self):
        model = lrmf.BackToBackFlow(
            **{**SETTINGS, "steps": 2}, target_transform=lrmf.RealNVP(blocks=2, hidden=(4,))
        )
        fit(model)
        assert model.source_flow_.spec == lrmf.Affine()
        assert model.target_flow_.spec == lrmf.RealNVP(blocks=2, hidden=(4,))

    def test_a_density_is_no_flow(self, nothing_compiles):
        with pytest.raises(TypeError, match="is a density, not a flow"):
            fit(lrmf.BackToBackFlow(target_transform=lrmf.Gaussian(), progress=False))


@pytest.mark.parametrize("kind", [lrmf.AUB, lrmf.BackToBackFlow])
class TestBoth:
    def settings(self, kind, **changes):
        return {**(SHARED if kind is lrmf.AUB else SETTINGS), **changes}

    def test_both_backends_give_the_same_losses_and_the_same_flow(self, kind):
        settings = self.settings(
            kind, transform=lrmf.RealNVP(blocks=2, hidden=(8,)), steps=50, dtype="float64"
        )
        if kind is lrmf.AUB:
            settings |= {"private_steps": 0, "refit_steps": 0}
        jax, tfp = (fit(kind(**settings, backend=name)) for name in ("jax", "tfp"))
        np.testing.assert_allclose(jax.history_["loss"], tfp.history_["loss"], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(
            jax.transform(TEST.source), tfp.transform(TEST.source), rtol=1e-6, atol=1e-8
        )

    def test_the_two_flows_start_apart_from_each_other(self, kind):
        model = fit(kind(**self.settings(kind, transform=lrmf.RealNVP(hidden=(8,)), steps=1)))
        # At step 0: a step would tear equal ones apart.
        _, start, _ = model.snapshots_[0]
        first, second = (flow.arrays for flow, _ in start.parts)
        assert any(not np.array_equal(first[name], second[name]) for name in first)

    def test_a_tfp_object_can_not_serve_as_both_flows(self, kind):
        tfb = pytest.importorskip("tensorflow_probability").bijectors
        tf = pytest.importorskip("tensorflow")
        flow = tfb.Shift(tf.Variable([0.0, 0.0]))
        with pytest.raises(ValueError, match=r"^transform and target_transform.* share variables"):
            fit(kind(**self.settings(kind, transform=flow, backend="tfp")))

    def test_flows_of_a_library(self, kind):
        tfb = pytest.importorskip("tensorflow_probability").bijectors
        tf = pytest.importorskip("tensorflow")
        flows = [tfb.Shift(tf.Variable([0.0, 0.0])) for _ in range(2)]
        model = fit(
            kind(
                **self.settings(kind, transform=flows[0], steps=300, learning_rate=0.1),
                target_transform=flows[1],
                backend="tfp",
            )
        )
        moved = model.transform(PAIR.source)
        gap = PAIR.target.mean(axis=0) - PAIR.source.mean(axis=0)
        np.testing.assert_allclose(moved - PAIR.source, np.broadcast_to(gap, moved.shape), atol=0.5)

    def test_a_resumed_fit_ends_as_if_it_had_not_been_interrupted(
        self, kind, monkeypatch, tmp_path
    ):
        settings = self.settings(kind, steps=300, checkpoint_every=100)
        expected = fit(kind(**settings))

        def interrupt():
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            stop_after(patch, "jax", 2, interrupt)
            stopped = fit(kind(**settings), checkpoint=tmp_path / "fit.ckpt")
        assert stopped.outcome_ == "interrupted"
        assert stopped.n_steps_ == 200
        resumed = fit(kind(**settings), checkpoint=tmp_path / "fit.ckpt")
        np.testing.assert_equal(resumed.history_, expected.history_)
        np.testing.assert_equal(resumed.transform_.arrays, expected.transform_.arrays)

    def test_ctrl_c(self, kind, monkeypatch, ctrl_c):
        stop_after(monkeypatch, "jax", 3, lambda: os.kill(os.getpid(), signal.SIGINT))
        model = fit(kind(**self.settings(kind, steps=10**6)))
        assert model.outcome_ == "interrupted"
        assert 300 <= model.n_steps_ < 10**6
        assert np.isfinite(model.transform(TEST.source)).all()


def stop_after(monkeypatch, backend, calls, action):
    made = type(lrmf.get_backend(backend))
    make_trainer = made.trainer

    def trainer(self, loss, roles, arrays, *rest, **options):
        result = make_trainer(self, loss, roles, arrays, *rest, **options)
        if "target_transform" in arrays:
            run, count = result.run, itertools.count()

            def stopped(*arguments):
                if next(count) == calls:
                    action()
                return run(*arguments)

            result.run = stopped
        return result

    monkeypatch.setattr(made, "trainer", trainer)


class TestComposed:
    ARRAYS = (
        {"matrix": np.array([[1.5, -0.3], [0.4, 0.8]]), "shift": np.array([0.5, -1.0])},
        {"log_scale": np.array([0.3, -0.6]), "shift": np.array([2.0, 1.0])},
    )
    X = np.random.default_rng(0).normal(size=(6, 2))

    def flows(self, backend, dtype="float64"):
        engine = lrmf.get_backend(backend)
        specs = lrmf.Affine(), lrmf.Affine(kind="diagonal")
        return [engine.flow(s, a, dtype=dtype) for s, a in zip(specs, self.ARRAYS, strict=True)]

    def test_it_is_one_map_after_the_other(self, backend):
        matrix, shift = self.ARRAYS[0].values()
        scale, offset = np.exp(self.ARRAYS[1]["log_scale"]), self.ARRAYS[1]["shift"]
        flow = Composed(self.flows(backend), inverted=[False, True])
        y, log_det = flow.forward(self.X)
        np.testing.assert_allclose(y, (self.X @ matrix.T + shift - offset) / scale)
        np.testing.assert_allclose(
            log_det, np.log(abs(np.linalg.det(matrix))) - np.log(scale).sum(), rtol=1e-10
        )
        back, inverse_log_det = flow.inverse(y)
        np.testing.assert_allclose(back, self.X)
        np.testing.assert_allclose(inverse_log_det, -log_det)

    def test_forwards_by_default(self, backend):
        first, second = self.flows(backend)
        expected, _ = second.forward(first.forward(self.X)[0])
        np.testing.assert_array_equal(Composed([first, second]).forward(self.X)[0], expected)

    def test_native_arrays(self, backend):
        engine = lrmf.get_backend(backend)
        flow = Composed(self.flows(backend), inverted=[True, False])
        with engine.scope("float64"):
            native, log_det = flow.forward(engine.asarray(self.X, "float64"))
        assert engine.is_native(native)
        assert engine.is_native(log_det)
        np.testing.assert_allclose(np.asarray(native), flow.forward(self.X)[0])

    def test_arrays_and_description(self, backend):
        flow = Composed(self.flows(backend))
        assert sorted(flow.arrays) == ["0/matrix", "0/shift", "1/log_scale", "1/shift"]
        np.testing.assert_array_equal(flow.arrays["1/shift"], [2.0, 1.0])
        assert flow.event_shape == (2,)
        assert repr(flow).startswith("Composed((Affine(kind='full'), Affine(kind='diagonal'))")

    def test_function_evaluations(self):
        engine = lrmf.get_backend("jax")
        spec = lrmf.FFJORD(blocks=1, hidden=(4,))
        arrays = spec.init((2,), np.random.default_rng(0))
        flow = engine.flow(spec, arrays)
        there, back = (
            flow.function_evaluations(self.X),
            flow.function_evaluations(self.X, inverse=True),
        )
        assert Composed([flow]).function_evaluations(self.X) == there
        assert Composed([flow], inverted=[True]).function_evaluations(self.X) == back
        assert Composed([flow, flow]).function_evaluations(self.X) >= 2 * min(there, back)
        with pytest.raises(TypeError, match="solves no differential equation"):
            Composed(self.flows("jax")).function_evaluations(self.X)

    def test_what_can_not_be_composed(self):
        first, second = self.flows("jax")
        with pytest.raises(ValueError, match=r"one flow or more, .*: 0 flows, 0 of inverted"):
            Composed([])
        with pytest.raises(ValueError, match=": 2 flows, 1 of inverted"):
            Composed([first, second], inverted=[True])
        for other in (self.flows("tfp")[1], self.flows("jax", "float32")[1]):
            with pytest.raises(
                ValueError, match="only be composed if they have one backend, dtype"
            ):
                Composed([first, other])
        line = lrmf.get_backend("jax").flow(
            lrmf.Affine(kind="diagonal"),
            {"log_scale": np.zeros(1), "shift": np.zeros(1)},
            "float64",
        )
        with pytest.raises(ValueError, match=r"jax, float64, \(2,\); jax, float64, \(1,\)"):
            Composed([first, line])
