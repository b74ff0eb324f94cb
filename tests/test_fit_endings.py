"""How fits end: diverged, interrupted, resumed, and what a progress bar shows until then."""

import io
import itertools
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import lrmf.fitting
import lrmf.minibatches
from lrmf.checkpoints import Checkpoint
from lrmf.fitting import FitConfig, fit
from tests.descent import DATA, HELD_OUT, START, NumPyBackend, assert_same, run


class TestDivergence:
    @pytest.mark.parametrize(
        ("loss", "what", "step", "lasting"),
        [
            (np.nan, r"became non-finite \(nan\)", 201, 1),
            (np.inf, r"became non-finite \(inf\)", 250, 1),
            (-np.inf, r"became non-finite \(-inf\)", 299, 1),
            (1e9, r"exploded \(1e\+09\)", 201, 99),
            (1e9, r"exploded \(1e\+09\)", 250, 50),
        ],
    )
    def test_the_last_good_arrays_are_restored(self, loss, what, step, lasting):
        bad = {at: {"loss": loss} for at in range(step, step + lasting)}
        result = run(bad, snapshot_every=100, validation=HELD_OUT)
        assert (result.outcome, result.steps) == ("diverged", 200)
        good = run(steps=200)
        np.testing.assert_equal(result.arrays, good.arrays)
        np.testing.assert_array_equal(result.history["loss"], good.history["loss"])
        np.testing.assert_array_equal(result.history["validation_step"], [100, 200])
        assert [step for step, _ in result.snapshots] == [0, 100, 200]
        with pytest.raises(ValueError, match=what):
            raise ValueError(result.status)
        assert f"at step {step}; the arrays of step 200, the last good ones" in result.status
        assert "Lower learning_rate (now 0.02) or gradient_clip (now 10)" in result.status

    @pytest.mark.parametrize("loss", [np.nan, np.inf])
    def test_a_bad_first_loss_of_a_chunk_blames_the_arrays_it_started_from(self, loss):
        result = run({300: {"loss": loss}}, snapshot_every=100, validation=HELD_OUT)
        assert (result.outcome, result.steps) == ("diverged", 200)
        np.testing.assert_equal(result.arrays, run(steps=200).arrays)
        assert [step for step, _ in result.snapshots] == [0, 100, 200]
        assert len(result.history["loss"]) == 200
        np.testing.assert_array_equal(result.history["validation_step"], [100, 200])
        assert "at step 300; the arrays of step 200" in result.status

    @pytest.mark.parametrize("loss", [np.nan, np.inf])
    def test_a_bad_first_step_blames_the_data(self, loss):
        result = run({0: {"loss": loss}})
        assert (result.outcome, result.steps) == ("diverged", 0)
        np.testing.assert_equal(result.arrays, START)
        assert len(result.history["loss"]) == 0
        assert "The first step was already bad: check the scale of the data" in result.status
        assert "learning_rate" not in result.status

    def test_arrays_that_the_last_step_spoiled(self):
        result = run({499: {"move": np.nan}})
        assert (result.outcome, result.steps) == ("diverged", 400)
        np.testing.assert_equal(result.arrays, run(steps=400).arrays)
        assert "non-finite (nan) at step 500; the arrays of step 400" in result.status

    def test_noise_is_no_divergence(self):
        result = run({250: {"loss": 1e4}, 260: {"loss": -1e4}})
        assert result.outcome == "finished"

    def test_what_counts_as_an_explosion_grows_with_the_first_loss(self):
        result = run({0: {"loss": 1e6}, **{at: {"loss": 1e8} for at in range(200, 300)}})
        assert result.outcome == "finished"

    def test_an_explosion_lasts(self):
        short, late = (
            {at: {"loss": 1e9} for at in steps} for steps in (range(241, 290), range(490, 500))
        )
        assert run(short).outcome == "finished"
        result = run(late)
        assert (result.outcome, result.steps) == ("diverged", 400)

    def test_with_patience_the_last_good_arrays_come_back(self):
        result = run(
            {250: {"loss": np.nan}}, validation=HELD_OUT, scripted=[1.0, 2.0], patience=1000
        )
        assert (result.outcome, result.steps) == ("diverged", 200)


def interrupted(place, **options):
    return run({place: {"raise": KeyboardInterrupt}}, **options)


class TestInterruption:
    @pytest.mark.parametrize("step", [0, 50, 250, 499])
    def test_what_was_learned_is_kept(self, step):
        kept = step // 100 * 100
        result = interrupted(step, snapshot_every=100, validation=HELD_OUT)
        assert (result.outcome, result.steps) == ("interrupted", kept)
        assert result.status.startswith(f"interrupted at step {kept} of 500; what was learned is")
        assert "checkpoint" in result.status
        expected = run(steps=kept).arrays if kept else START
        np.testing.assert_equal(result.arrays, expected)
        assert len(result.history["loss"]) == kept
        assert [step for step, _ in result.snapshots] == list(range(0, kept + 1, 100))

    def test_with_patience_the_best_arrays_are_kept(self):
        result = interrupted(
            350,
            validation=HELD_OUT,
            scripted=[2.0, 1.0, 3.0],
            patience=1000,
            snapshot_every=100,
        )
        assert (result.outcome, result.steps) == ("interrupted", 200)
        np.testing.assert_equal(result.arrays, dict(result.snapshots)[200])

    def test_a_stop_event_interrupts(self):
        stop = threading.Event()
        stop.set()
        result = run(stop=stop)
        assert (result.outcome, result.steps) == ("interrupted", 0)
        np.testing.assert_equal(result.arrays, START)

    def test_other_errors_are_raised(self):
        with pytest.raises(MemoryError):
            run({250: {"raise": MemoryError}})


RESUMABLE = {"snapshot_every": 100, "validation": HELD_OUT, "patience": 10_000}


@pytest.fixture
def checkpoint(tmp_path):
    """A function that opens the checkpoint file as a new process would."""
    return lambda: Checkpoint(tmp_path / "fit.ckpt", fingerprint="this", every=200)


class TestResuming:
    @pytest.mark.parametrize(
        "place", [0, 50, 250, 499, ("evaluate", 100), ("evaluate", 300), ("evaluate", 500)]
    )
    def test_after_an_interruption(self, checkpoint, place):
        first = interrupted(place, checkpoint=checkpoint(), **RESUMABLE)
        assert first.outcome == "interrupted"
        resumed = run(checkpoint=checkpoint(), **RESUMABLE)
        assert_same(resumed, run(**RESUMABLE))
        assert resumed.seconds > first.seconds

    @pytest.mark.parametrize("place", [250, 499, ("evaluate", 300), ("evaluate", 500)])
    def test_after_a_sudden_end(self, checkpoint, place):
        # The file is as the last regular write left it.
        with pytest.raises(MemoryError):
            run({place: {"raise": MemoryError}}, checkpoint=checkpoint(), **RESUMABLE)
        backend = NumPyBackend()
        resumed = run(backend=backend, checkpoint=checkpoint(), **RESUMABLE)
        assert_same(resumed, run(**RESUMABLE))
        assert sum(len(indices["x"]) for indices in backend.made.indices) in (300, 100)

    def test_twice(self, checkpoint):
        interrupted(150, checkpoint=checkpoint(), **RESUMABLE)
        interrupted(350, checkpoint=checkpoint(), **RESUMABLE)
        assert_same(run(checkpoint=checkpoint(), **RESUMABLE), run(**RESUMABLE))

    def test_after_an_interrupted_write(self, checkpoint, monkeypatch):
        def fail(*_):
            raise KeyboardInterrupt

        opened = checkpoint()
        write = opened._write
        monkeypatch.setattr(opened, "_write", fail)
        with pytest.raises(KeyboardInterrupt):  # broke into the last write, too
            run(checkpoint=opened, **RESUMABLE)
        monkeypatch.setattr(opened, "_write", write)
        opened.close()
        assert_same(run(checkpoint=checkpoint(), **RESUMABLE), run(**RESUMABLE))

    def test_after_a_write_that_was_interrupted_once(self, checkpoint, monkeypatch):
        opened = checkpoint()
        put, calls = opened.put, itertools.count()

        def fail_at_the_second(*record):
            if next(calls) == 1:
                raise KeyboardInterrupt
            put(*record)

        monkeypatch.setattr(opened, "put", fail_at_the_second)
        values = [5.0, 4.0, 3.0, 2.0, 1.0]
        first = run(checkpoint=opened, scripted=values, **RESUMABLE)
        # Step 400 was reached and validated, but the fit went back to where it surely stood.
        assert (first.outcome, first.steps) == ("interrupted", 300)
        np.testing.assert_equal(first.arrays, run(steps=300).arrays)
        opened.close()
        resumed = run(checkpoint=checkpoint(), scripted=values[3:], **RESUMABLE)
        assert_same(resumed, run(scripted=values, **RESUMABLE))

    def test_without_patience(self, checkpoint):
        options = {"validation": HELD_OUT, "schedule": "cosine"}
        interrupted(250, checkpoint=checkpoint(), **options)
        assert_same(run(checkpoint=checkpoint(), **options), run(**options))

    def test_best_arrays_survive(self, checkpoint):
        values = [2.0, 1.0, 3.0, 3.0, 3.0]
        options = RESUMABLE | {"patience": 300}
        interrupted(350, scripted=values[:3], checkpoint=checkpoint(), **options)
        resumed = run(scripted=values[3:], checkpoint=checkpoint(), **options)
        assert (resumed.outcome, resumed.steps) == ("stopped early", 200)
        assert_same(resumed, run(scripted=values, **options))

    @pytest.mark.parametrize("scripted", [None, [2.0, 1.0, 3.0]])
    def test_what_has_ended_is_not_run_again(self, checkpoint, scripted):
        options = RESUMABLE | {"patience": 100 if scripted else None}
        first = run(scripted=scripted, checkpoint=checkpoint(), **options)
        assert first.outcome == ("stopped early" if scripted else "finished")
        again = run({0: {"raise": MemoryError}}, checkpoint=checkpoint(), **options)
        assert_same(first, again)
        assert again.seconds >= first.seconds

    def test_a_divergence_is_not_written(self, checkpoint):
        spoiled = {350: {"loss": np.nan}}
        first = run(spoiled, checkpoint=checkpoint(), **RESUMABLE)
        again = run(spoiled, checkpoint=checkpoint(), **RESUMABLE)
        assert first.outcome == "diverged"
        assert_same(first, again)


class TestProgress:
    def bars(self, monkeypatch, **options):
        made = []

        class Bar:
            def __init__(self, **arguments):
                made.append(self)
                self.arguments, self.updates, self.closed = arguments, [], False

            def update(self, n):
                self.updates.append(n)

            def set_postfix(self, **_):
                pass

            def close(self):
                self.closed = True

        monkeypatch.setattr(lrmf.fitting, "tqdm", Bar)
        fit(
            None,
            (),
            START,
            DATA,
            config=FitConfig(steps=250),
            seed=np.random.SeedSequence(0),
            name="private source",
            **options,
        )
        (bar,) = made
        return bar

    def test_the_bar_counts_steps(self, monkeypatch):
        bar = self.bars(monkeypatch, backend=NumPyBackend())
        assert bar.arguments["total"] == 250
        assert bar.arguments["desc"] == "private source"
        assert bar.updates == [100, 100, 50]
        assert bar.closed

    def test_the_bar_is_closed_after_an_interruption(self, monkeypatch):
        bar = self.bars(monkeypatch, backend=NumPyBackend({150: {"raise": KeyboardInterrupt}}))
        assert bar.updates == [100]
        assert bar.closed

    def test_a_notebook_bar_obeys_the_environment(self, monkeypatch):
        # tqdm's bar for notebooks does not look at TQDM_DISABLE itself.
        monkeypatch.setenv("TQDM_DISABLE", "1")
        assert self.bars(monkeypatch, backend=NumPyBackend()).arguments["disable"] is True
        monkeypatch.setenv("TQDM_DISABLE", "0")
        assert self.bars(monkeypatch, backend=NumPyBackend()).arguments["disable"] is False

    def test_a_resumed_bar_starts_where_the_fit_stood(self, monkeypatch, checkpoint):
        options = {"config": FitConfig(steps=250), "seed": np.random.SeedSequence(0)}
        backend = NumPyBackend({150: {"raise": KeyboardInterrupt}})
        fit(None, (), START, DATA, backend=backend, checkpoint=checkpoint(), name="private source",
            progress=False, **options)  # fmt: skip
        bar = self.bars(monkeypatch, backend=NumPyBackend(), checkpoint=checkpoint())
        assert bar.arguments["initial"] == 100

    @pytest.mark.parametrize(
        ("progress", "environment", "shown"),
        [
            (True, {}, "fit: finished: 200 steps.\n"),
            (False, {}, ""),
            (True, {"TQDM_DISABLE": "1"}, ""),
        ],
    )
    def test_in_a_log_file_one_line_or_none(self, progress, environment, shown):
        # tqdm reads its environment when it is imported.
        script = f"""
        import numpy as np
        import tests.descent as t
        t.fit(None, (), t.START, t.DATA, backend=t.NumPyBackend(), config=t.FitConfig(steps=200),
              seed=np.random.SeedSequence(0), progress={progress})
        """
        inherited = {k: v for k, v in os.environ.items() if k != "TQDM_DISABLE"}
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env=inherited
            | environment
            | {"PYTHONPATH": os.path.dirname(os.path.dirname(__file__))},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == ""
        assert done.stderr == shown

    def test_on_a_terminal_a_bar(self, monkeypatch):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        monkeypatch.delenv("TQDM_DISABLE", raising=False)
        options = {"config": FitConfig(steps=200), "seed": np.random.SeedSequence(0)}
        fit(None, (), START, DATA, backend=NumPyBackend(), **options)
        assert "0/200" in terminal.getvalue()
        assert "finished" not in terminal.getvalue()
