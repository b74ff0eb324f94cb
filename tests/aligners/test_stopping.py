"""Fits that are interrupted keep what was good, say so, and go on from their checkpoint."""

import itertools
import os
import signal
import threading

import numpy as np
import pytest
from sabotage import MODELS, PAIR, STAGES, finite, fit, refused_certificate, sabotage

import lrmf
from lrmf.aligners import stages


def send(trainer, run):
    """A real Ctrl-C at the start of a chunk."""
    os.kill(os.getpid(), signal.SIGINT)
    return run()


def interrupt(trainer, run):
    run()
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def uninterrupted(request):
    model = lrmf.LRMF(**SETTINGS, backend=request.param)
    return request.param, fit(model)


SETTINGS = {
    "transform": lrmf.Affine(),
    "density": lrmf.Gaussian(),
    "start": "identity",
    "standardize": False,  # `sabotage` knows the sides by their values
    "steps": 300,
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
    # What goes on is code of all backends; of each are the states that a checkpoint holds.
    @pytest.mark.parametrize(
        ("uninterrupted", "stage", "chunk"),
        [("jax", stage, chunk) for stage in STAGES for chunk in (0, 2)]
        + [("tfp", "flow", 2), ("tfp", "refit target", 2)],
        indirect=["uninterrupted"],
    )
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
            assert model.n_steps_ == 300
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
    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, small, tmp_path_factory):
        """A fit and its checkpoint, which tests leave as it is."""
        path = tmp_path_factory.mktemp("finished") / "fit.ckpt"
        return fit(small(), checkpoint=path), path

    def test_a_finished_fit_is_read_not_run(self, finished, small, monkeypatch):
        first, path = finished

        def fail(trainer, run):
            raise RuntimeError("ran again")

        for stage in STAGES:
            sabotage(monkeypatch, "jax", stage, chunk=0, action=fail)
        assert_same(fit(small(), checkpoint=path), first)

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
    def test_other_settings_are_refused(self, finished, small, changes):
        _, path = finished
        before = path.read_bytes()
        with pytest.raises(
            ValueError, match=r"belongs to another fit \(its settings, data, backend or"
        ):
            fit(small(**changes), checkpoint=path)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("side", ["source", "target"])
    def test_other_data_are_refused(self, finished, small, side):
        data = {"source": PAIR.source.copy(), "target": PAIR.target.copy()}
        data[side][7, 1] = np.nextafter(data[side][7, 1], 9)
        with pytest.raises(ValueError, match="belongs to another fit"):
            small().fit(Xs=data["source"], Xt=data["target"], checkpoint=finished[1])

    def test_what_changes_no_result_may_change(self, finished, small):
        first, path = finished
        again = fit(small(tolerance=0.4, checkpoint_every=7), checkpoint=path)
        assert_same(again, first)
        assert again.family_certificate(PAIR.source, PAIR.target).tolerance == 0.4

    def test_a_model_file_is_no_checkpoint(self, finished, small, tmp_path):
        finished[0].save(tmp_path / "model.lrmf")
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
