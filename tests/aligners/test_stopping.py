"""Fits that diverge or are interrupted keep what was good, and say so."""

import itertools
import os
import signal
import threading

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import lrmf
from lrmf.aligners import stages
from lrmf.fitting import FitResult
from lrmf.specs import SolverError

PAIR = lrmf.data.blobs(n=100, seed=0)
STAGES = ("flow", "private source", "private target", "refit source", "refit target")
MODELS = (
    "transform_", "density_", "private_source_", "private_target_",
    "refitted_source_", "refitted_target_",
)  # fmt: skip


def fit(model, **options):
    return model.fit(Xs=PAIR.source, Xt=PAIR.target, **options)


def finite(model):
    return all(
        np.isfinite(array).all()
        for name in MODELS
        for array in getattr(model, name).arrays.values()
    )


def refused_certificate(model):
    """Why the fit can't be certified."""
    with pytest.raises(NotFittedError, match="nothing to certify") as caught:
        model.family_certificate(PAIR.source, PAIR.target)
    with pytest.raises(NotFittedError, match="nothing to certify"):
        model.score(PAIR.source, PAIR.target)
    return str(caught.value)


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

    @pytest.mark.parametrize("kind", [lrmf.LRMF, lrmf.AUB])
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
    def test_a_private_density(self, side, backend, monkeypatch, tmp_path):
        train(monkeypatch, stiff=f"private {side}")
        model = fit(
            lrmf.LRMF(
                transform=lrmf.Affine(),
                density=FOLLOWED,
                backend=backend,
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

    def test_the_private_density_of_a_game(self, backend, monkeypatch):
        train(monkeypatch, stiff="private target")
        model = fit(
            lrmf.AdversarialFlow(
                transform=lrmf.Affine(),
                adversary=lrmf.Gaussian(),
                density=FOLLOWED,
                backend=backend,
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
    def test_where_nothing_was_learned_it_is_an_error(self, stage, backend, monkeypatch):
        train(monkeypatch, stiff=stage, steps=0)
        fits = {"private_steps": None, "refit_steps": 2}
        model = lrmf.LRMF(transform=FOLLOWED, density=FOLLOWED, backend=backend, **fits)
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


def sabotage(monkeypatch, backend, stage, *, chunk, action):
    """Let ``action(trainer, run)`` take the place of a chunk of a stage."""
    made = type(lrmf.get_backend(backend))
    make_trainer = made.trainer

    def is_wanted(arrays, data):
        kind, _, side = stage.rpartition(" ")
        if stage == "flow":
            return "transform" in arrays
        if "transform" in arrays or any(map(np.any, arrays["density"].values())) != (
            kind == "refit"
        ):
            return False
        # A validation split may have taken rows away and changed their order.
        is_target = np.isin(data["data"][:1][0, 0], PAIR.target[:, 0])
        return is_target == (side == "target")

    def trainer(self, loss, roles, arrays, data, **options):
        result = make_trainer(self, loss, roles, arrays, data, **options)
        if is_wanted(arrays, data):
            run, calls = result.run, itertools.count()

            def sabotaged(*batches):
                if next(calls) == chunk:
                    return action(result, lambda: run(*batches))
                return run(*batches)

            result.run = sabotaged
        return result

    monkeypatch.setattr(made, "trainer", trainer)


def spoil(trainer, run):
    """NaN arrays at the start of a chunk."""
    trainer.import_state(
        {name: np.full_like(value, np.nan) if value.dtype.kind == "f" else value
         for name, value in trainer.export_state().items()}
    )  # fmt: skip
    return run()


def send(trainer, run):
    """A real Ctrl-C at the start of a chunk."""
    os.kill(os.getpid(), signal.SIGINT)
    return run()


def interrupt(trainer, run):
    run()
    raise KeyboardInterrupt


@pytest.fixture(scope="module", params=["jax", "tfp"])
def uninterrupted(request):
    model = lrmf.LRMF(**SETTINGS, backend=request.param)
    return request.param, fit(model)


SETTINGS = {
    "transform": lrmf.Affine(),
    "density": lrmf.Gaussian(),
    "start": "identity",
    "standardize": False,  # `sabotage` knows the sides by their values
    "steps": 400,
    "private_steps": 300,
    "refit_steps": 300,
    "batch_size": 32,
    "learning_rate": 0.02,
    "snapshot_every": 100,
    "validation_fraction": 0.1,
    "checkpoint_every": 100,
    "progress": False,
}


class TestInterruption:
    @pytest.mark.parametrize("stage", STAGES)
    @pytest.mark.parametrize("chunk", [0, 2])
    def test_each_stage(self, uninterrupted, monkeypatch, tmp_path, stage, chunk):
        backend, expected = uninterrupted
        path = tmp_path / "fit.ckpt"
        with monkeypatch.context() as patch:
            sabotage(patch, backend, stage, chunk=chunk, action=interrupt)
            model = fit(lrmf.LRMF(**SETTINGS, backend=backend), checkpoint=path)
        assert model.outcome_ == "interrupted"
        assert not model.complete_
        assert "interrupted at step" in model.status_
        assert "what was learned is kept" in model.status_
        assert "interrupted" in refused_certificate(model)
        assert finite(model)
        if stage == "flow":
            # What the uninterrupted fit had at this point.
            assert model.n_steps_ == 100 * chunk == len(model.history_["loss"])
            _, flow, density = expected.snapshots_[chunk]
            np.testing.assert_equal(model.transform_.arrays, flow.arrays)
            np.testing.assert_equal(model.density_.arrays, density.arrays)
        elif stage.startswith("refit"):
            # The flow had ended before.
            assert model.n_steps_ == 400
            np.testing.assert_equal(model.transform_.arrays, expected.transform_.arrays)
            np.testing.assert_equal(model.history_, expected.history_)
            assert model.status_.startswith("refit")

        assert os.listdir(tmp_path) == ["fit.ckpt"]
        resumed = fit(lrmf.LRMF(**SETTINGS, backend=backend), checkpoint=path)
        assert_same(resumed, expected)

    def test_without_a_checkpoint(self, small, monkeypatch):
        sabotage(monkeypatch, "jax", "flow", chunk=1, action=interrupt)
        model = fit(small())
        assert model.status_.startswith("interrupted at step 100 of 300; what was learned is kept")
        assert "Fit with a checkpoint file to be able to go on" in model.status_
        assert model.transform(PAIR.source).shape == (100, 2)
        # Learned something: no longer the identity.
        assert np.abs(model.transform(PAIR.source) - PAIR.source).max() > 0.1

    def test_a_real_signal(self, small, monkeypatch, ctrl_c):
        # Ctrl-C reaches the main thread while other threads compute.
        sabotage(monkeypatch, "jax", "flow", chunk=3, action=send)
        model = fit(small(steps=10**7, private_steps=10**7))
        assert model.outcome_ == "interrupted"
        assert 300 <= model.n_steps_ < 10**7
        assert len(model.history_["loss"]) == model.n_steps_
        assert "interrupted" in refused_certificate(model)

    def test_a_signal_while_the_threads_start(self, small, monkeypatch, ctrl_c):
        submit, calls = stages.ThreadPoolExecutor.submit, itertools.count()

        def interrupted(pool, *arguments):
            if next(calls) == 0:
                os.kill(os.getpid(), signal.SIGINT)
            return submit(pool, *arguments)

        monkeypatch.setattr(stages.ThreadPoolExecutor, "submit", interrupted)
        model = fit(small(steps=10**7, private_steps=10**7))
        assert model.outcome_ == "interrupted"
        assert model.n_steps_ == 0
        assert finite(model)

    def test_a_handler_of_somebody_else_is_left_alone(self, small, monkeypatch, ctrl_c):
        received = []
        signal.signal(signal.SIGINT, lambda *_: received.append("theirs"))

        sabotage(monkeypatch, "jax", "flow", chunk=1, action=send)
        model = fit(small())
        signal.signal(signal.SIGINT, signal.default_int_handler)
        assert received == ["theirs"]
        assert model.outcome_ == "finished"

    def test_an_error_in_one_stage_ends_the_others(self, small, monkeypatch):
        def fail(trainer, run):
            raise MemoryError("no memory left")

        sabotage(monkeypatch, "jax", "private source", chunk=1, action=fail)
        with pytest.raises(MemoryError, match="private source: a step with batch_size=64 finds no"):
            fit(small(steps=10**7))
        # But for that of progress bars, a daemon.
        left = [thread for thread in threading.enumerate() if not thread.daemon]
        assert left == [threading.main_thread()]


class TestCheckpointOfLRMF:
    def test_a_finished_fit_is_read_not_run(self, small, backend, tmp_path, monkeypatch):
        path = tmp_path / "fit.ckpt"
        first = fit(small(backend=backend), checkpoint=path)

        def fail(trainer, run):
            raise RuntimeError("ran again")

        for stage in STAGES:
            sabotage(monkeypatch, backend, stage, chunk=0, action=fail)
        assert_same(fit(small(backend=backend), checkpoint=path), first)

    @pytest.mark.parametrize(
        "changes",
        [
            {"seed": 1},
            {"backend": "tfp"},
            {"learning_rate": 0.021},
            {"steps": 301},
            {"transform": lrmf.Affine(kind="diagonal")},
            {"density": lrmf.RealNVP(hidden=(8,))},
            {"dtype": "float64"},
            {"validation_fraction": 0.1},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_other_settings_are_refused(self, small, tmp_path, changes):
        path = tmp_path / "fit.ckpt"
        fit(small(), checkpoint=path)
        before = path.read_bytes()
        with pytest.raises(
            ValueError, match=r"belongs to another fit \(its settings, data, backend or"
        ):
            fit(small(**changes), checkpoint=path)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("side", ["source", "target"])
    def test_other_data_are_refused(self, small, tmp_path, side):
        path = tmp_path / "fit.ckpt"
        fit(small(), checkpoint=path)
        data = {"source": PAIR.source.copy(), "target": PAIR.target.copy()}
        data[side][7, 1] = np.nextafter(data[side][7, 1], 9)
        with pytest.raises(ValueError, match="belongs to another fit"):
            small().fit(Xs=data["source"], Xt=data["target"], checkpoint=path)

    def test_what_changes_no_result_may_change(self, small, tmp_path):
        path = tmp_path / "fit.ckpt"
        first = fit(small(), checkpoint=path)
        again = fit(small(tolerance=0.4, checkpoint_every=7), checkpoint=path)
        assert_same(again, first)
        assert again.family_certificate(PAIR.source, PAIR.target).tolerance == 0.4

    def test_a_model_file_is_no_checkpoint(self, small, tmp_path):
        fit(small()).save(tmp_path / "model.lrmf")
        with pytest.raises(ValueError, match="holds a LRMF, expected a checkpoint"):
            fit(small(), checkpoint=tmp_path / "model.lrmf")


def assert_same(first, second):
    for name in MODELS:
        np.testing.assert_equal(
            getattr(first, name).arrays, getattr(second, name).arrays, err_msg=name
        )
    for name in ("history_", "constant_", "status_", "outcome_", "n_steps_", "complete_"):
        np.testing.assert_equal(getattr(first, name), getattr(second, name), err_msg=name)
    for a, b in zip(first.snapshots_, second.snapshots_, strict=True):
        np.testing.assert_equal((a[0], a[1].arrays, a[2].arrays), (b[0], b[1].arrays, b[2].arrays))
    certificates = (model.family_certificate(PAIR.source, PAIR.target) for model in (first, second))
    numbers = [(c.lrd, c.lrd_stderr, c.bound, c.bound_stderr) for c in certificates]
    assert numbers[0] == numbers[1]
