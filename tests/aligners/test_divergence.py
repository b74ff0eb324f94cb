"""Fits that diverge keep what was good, and say so."""

import numpy as np
import pytest
from sabotage import PAIR, STAGES, finite, fit, refused_certificate, sabotage, spoil

import lrmf
from lrmf.aligners import stages
from lrmf.fitting import FitResult
from lrmf.specs import SolverError


@pytest.mark.filterwarnings("ignore::lrmf.DivergenceWarning")
class TestDivergence:
    @pytest.mark.parametrize("learning_rate", [1e3, 1e30])
    @pytest.mark.parametrize(
        ("backend", "density"),
        [
            pytest.param("jax", lrmf.Gaussian(), id="jax-normal"),
            pytest.param("tfp", lrmf.Gaussian(), id="tfp-normal"),
            pytest.param("jax", lrmf.RealNVP(blocks=2, hidden=(8,)), id="jax-nvp"),
        ],
    )
    def test_absurd_learning_rate(self, small, backend, learning_rate, density):
        model = fit(small(backend=backend, learning_rate=learning_rate, density=density))
        assert model.outcome_ == "diverged"
        assert "the loss became non-finite" in model.status_ or "exploded" in model.status_
        assert f"Lower learning_rate (now {learning_rate:g})" in model.status_
        assert model.n_steps_ == len(model.history_["loss"]) == 0
        assert finite(model)
        # Step 0 is the last good one: T is still the identity.
        np.testing.assert_allclose(model.transform(PAIR.source), PAIR.source, rtol=1e-6)
        assert "diverged" in refused_certificate(model)

    @pytest.mark.parametrize("learning_rate", [1e3, 1e30])
    def test_one_absurd_step_is_never_called_aligned(self, small, learning_rate):
        model = fit(small(learning_rate=learning_rate, steps=1, private_steps=1))
        assert model.outcome_ == "diverged"
        assert refused_certificate(model)

    def test_after_good_steps(self, small, backend, monkeypatch):
        # What a rounding error or one bad point may do: NaN arrays in the middle of a chunk.
        sabotage(monkeypatch, backend, "flow", chunk=2, action=spoil)
        model = fit(small(backend=backend, snapshot_every=100))
        assert model.outcome_ == "diverged"
        assert "at step 200; the arrays of step 100, the last good ones, were" in model.status_
        assert model.n_steps_ == len(model.history_["loss"]) == 100
        step, flow, density = model.snapshots_[-1]
        assert step == 100
        np.testing.assert_equal(model.transform_.arrays, flow.arrays)
        np.testing.assert_equal(model.density_.arrays, density.arrays)
        good = fit(small(backend=backend, snapshot_every=100)).snapshots_[1]
        np.testing.assert_equal(model.transform_.arrays, good[1].arrays)
        assert np.isfinite(model.history_["loss"]).all()
        assert "diverged" in refused_certificate(model)

    @pytest.mark.parametrize("stage", STAGES[1:])
    def test_in_another_stage(self, small, monkeypatch, stage):
        sabotage(monkeypatch, "jax", stage, chunk=0, action=spoil)
        model = fit(small(standardize=False))  # `sabotage` knows the sides by their values
        assert model.status_.startswith(f"{stage}: diverged: the loss became non-finite")
        assert model.outcome_ == "diverged"
        assert model.n_steps_ == 300  # the flow itself is fine
        assert finite(model)
        assert stage in refused_certificate(model)

    def test_absurd_scale(self, small, backend):
        raw = {"backend": backend, "standardize": False}
        with pytest.raises(ValueError, match=r"Xs holds values up to .*e\+60, too large for float"):
            small(**raw).fit(Xs=PAIR.source * 1e60, Xt=PAIR.target * 1e60)
        model = small(**raw).fit(Xs=PAIR.source * 1e30, Xt=PAIR.target * 1e30)
        assert model.outcome_ == "diverged"
        assert "The first step was already bad: check the scale of the data" in model.status_
        assert finite(model)
        assert len(model.history_["loss"]) == 0
        assert refused_certificate(model)

    def test_it_warns_and_so_does_each_use_of_what_was_kept(self, small, tmp_path):
        model = small(learning_rate=1e30, private_steps=0, refit_steps=0)
        with pytest.warns(lrmf.DivergenceWarning, match="^LRMF: diverged: .*Lower learning_rate"):
            fit(model)
        model.save(tmp_path / "model.lrmf")
        for same in (model, lrmf.LRMF.load(tmp_path / "model.lrmf")):
            for method in (same.transform, same.inverse_transform):
                with pytest.warns(lrmf.DivergenceWarning, match="mapped by a fit that diverged: "):
                    method(PAIR.source)

    def test_a_diverged_model_can_be_saved(self, small, tmp_path):
        model = fit(small(learning_rate=1e30))
        model.save(tmp_path / "model.lrmf")
        loaded = lrmf.LRMF.load(tmp_path / "model.lrmf")
        assert loaded.status_ == model.status_
        assert "diverged" in refused_certificate(loaded)


def test_a_divergence_as_an_error_leaves_the_aligner_as_it_was(small):
    model = small(learning_rate=1e30, private_steps=0, refit_steps=0)
    with pytest.raises(lrmf.DivergenceWarning, match="Lower learning_rate"):
        fit(model)
    assert not hasattr(model, "status_")


FOLLOWED = lrmf.FFJORD(blocks=1, hidden=(4,), max_steps=8)


def train(monkeypatch, *, stiff, steps=2, interrupted=None):
    """In place of each stage: a few steps without a change, and one field that became too stiff.

    That is what a last step may do, as no loss meets its arrays. Nothing compiles but the solver.
    """

    def fit(loss, roles, arrays, data, *, name, **options):
        if name == stiff:
            arrays = {
                role: {key: 1e4 * x if "layer" in key else x for key, x in named.items()}
                for role, named in arrays.items()
            }
        return FitResult(
            arrays=arrays,
            history={"step": 1 + np.arange(steps), "loss": np.ones(steps)},
            outcome="interrupted" if name == interrupted else "finished",
            status="interrupted at step 2" if name == interrupted else "finished: 2 steps.",
            steps=steps,
            seconds=0.0,
        )

    monkeypatch.setattr(stages, "fit", fit)


@pytest.mark.filterwarnings("ignore::lrmf.DivergenceWarning")
class TestASolverThatGivesUpOnAllTheData:
    GAVE_UP = "diverged: after 2 steps, with all the data at once, the ODE solver of FFJORD gave up"
    CURE = "max_steps=8. Raise max_steps or the tolerances"

    # How TFP's solver gives up is tested in test_continuous.py.
    @pytest.mark.parametrize(
        ("kind", "backend"), [(lrmf.LRMF, "jax"), (lrmf.AUB, "jax"), (lrmf.LRMF, "tfp")]
    )
    def test_the_flow(self, kind, backend, monkeypatch):
        train(monkeypatch, stiff="flow")
        # Refits need the images of all the data.
        judged = {"private_steps": None, "refit_steps": 2}
        model = fit(kind(transform=FOLLOWED, density=lrmf.Gaussian(), backend=backend, **judged))
        assert model.outcome_ == "diverged"
        assert model.status_.startswith(self.GAVE_UP)
        assert self.CURE in model.status_
        assert model.status_.endswith("What was learned is kept.")
        assert model.n_steps_ == len(model.history_["loss"]) == 2
        assert np.isfinite(model.constant_)
        np.testing.assert_equal(model.refitted_target_.arrays, model.density_.arrays)
        assert "gave up" in refused_certificate(model)
        with pytest.raises(SolverError, match="gave up"):
            model.transform(PAIR.source)

    @pytest.mark.parametrize("side", ["source", "target"])
    def test_a_private_density(self, side, monkeypatch, tmp_path):
        train(monkeypatch, stiff=f"private {side}")
        model = fit(
            lrmf.LRMF(
                transform=lrmf.Affine(),
                density=FOLLOWED,
                private_steps=None,
                standardize=False,
            )
        )
        assert model.outcome_ == "diverged"
        assert model.status_.startswith(f"private {side}: {self.GAVE_UP}")
        # The bound has no constant, the flow has its losses all the same.
        assert np.isnan(model.constant_)
        np.testing.assert_equal(model.history_["loss"], np.ones(2))
        np.testing.assert_equal(model.transform(PAIR.source), PAIR.source.astype("float32"))
        assert f"private {side}" in refused_certificate(model)
        model.save(tmp_path / "model.lrmf")
        assert np.isnan(lrmf.LRMF.load(tmp_path / "model.lrmf").constant_)

    def test_the_private_density_of_a_game(self, monkeypatch):
        train(monkeypatch, stiff="private target")
        model = fit(
            lrmf.AdversarialFlow(
                transform=lrmf.Affine(),
                adversary=lrmf.Gaussian(),
                density=FOLLOWED,
                standardize=False,
            )
        )
        assert model.status_.startswith(f"private target: {self.GAVE_UP}")
        assert not model.complete_
        assert np.isnan(model.constant_)
        np.testing.assert_equal(model.history_["loss"], np.ones(2))

    def test_an_earlier_failure_is_the_one_to_tell(self, monkeypatch):
        train(monkeypatch, stiff="flow", interrupted="private source")
        model = fit(lrmf.LRMF(transform=FOLLOWED, density=lrmf.Gaussian(), private_steps=None))
        assert model.status_ == "private source: interrupted at step 2"
        assert model.outcome_ == "interrupted"

    @pytest.mark.parametrize("stage", ["flow", "private source"])
    def test_where_nothing_was_learned_it_is_an_error(self, stage, monkeypatch):
        train(monkeypatch, stiff=stage, steps=0)
        fits = {"private_steps": None, "refit_steps": 2}
        model = lrmf.LRMF(transform=FOLLOWED, density=FOLLOWED, **fits)
        with pytest.raises(SolverError, match=r"max_steps=8\. Raise max_steps"):
            fit(model)
        assert not hasattr(model, "status_")

    @pytest.mark.parametrize("kind", [lrmf.EMDFlow, lrmf.SinkhornFlow])
    def test_while_a_plan_is_made(self, kind, monkeypatch):
        # An affine map that overflows does here as a solver that gives up.
        pytest.importorskip("ot")
        refuse = FOLLOWED.check_result
        monkeypatch.setattr(lrmf.Affine, "check_result", lambda _, *found: refuse(*found))
        model = kind(transform=lrmf.Affine(), steps=120, learning_rate=1e30, batch_size=16)
        fit(model)
        assert model.outcome_ == "diverged"
        assert "the arrays of step 0, the last good ones, were restored" in model.status_
        assert np.isfinite(model.transform(PAIR.source)).all()
