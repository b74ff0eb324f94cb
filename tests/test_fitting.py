"""Fitting, mostly with a trainer in NumPy: what happens between chunks, exactly and fast."""

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
from lrmf.backends.base import Trainer
from lrmf.checkpoints import Checkpoint
from lrmf.fitting import FitConfig, fit

DATA = {"x": np.random.default_rng(1).normal(3.0, 1.0, size=(50, 2))}
HELD_OUT = {"x": np.random.default_rng(2).normal(3.0, 1.0, size=(20, 2))}
START = {"model": {"center": np.array([0.0, 10.0]), "count": np.zeros(())}, "nothing": {}}


class Descent(Trainer):
    """Gradient descent on E|x - center|²/2, with events by step number."""

    def __init__(self, arrays, data, events, validation):
        self.state = (arrays["model"]["center"], arrays["model"]["count"])
        self.data, self.events = data, events
        self.validation = None if validation is None else iter(validation)
        self.indices, self.extra = [], []

    def run(self, indices, learning_rates, extra=None):
        self.indices.append(indices)
        self.extra.append(extra)
        center, count = self.state
        losses = []
        for step, rate in enumerate(learning_rates):
            event = self.events.get(int(count), {})
            if "raise" in event:
                raise event["raise"]
            batch = self.data["x"][indices["x"][step]]
            losses.append(event.get("loss", 0.5 * np.mean(np.sum((batch - center) ** 2, axis=1))))
            center = center - rate * (center - batch.mean(axis=0)) + event.get("move", 0.0)
            count = count + 1
        self.state = (center, count)
        return np.array(losses)

    def evaluate(self, data):
        event = self.events.get(("evaluate", int(self.state[1])), {})
        if "raise" in event:
            raise event["raise"]
        if self.validation is not None:
            return next(self.validation)
        return float(0.5 * np.mean(np.sum((data["x"] - self.state[0]) ** 2, axis=1)))

    def models(self):
        return {"model": self.state[0].copy()}

    def arrays(self):
        center, count = self.state
        return {"model": {"center": center.copy(), "count": np.array(count)}, "nothing": {}}

    def export_state(self):
        return {"0": self.state[0].copy(), "1": np.array(self.state[1])}

    def import_state(self, arrays):
        self.state = (arrays["0"], arrays["1"])


class NumPyBackend:
    """Makes a `Descent`, and keeps it for a look inside."""

    def __init__(self, events=None, validation=None):
        self.events, self.validation = events or {}, validation

    def trainer(self, loss, roles, arrays, data, *, gradient_clip, dtype, devices):
        self.made = Descent(arrays, data, self.events, self.validation)
        return self.made


def run(
    events=None,
    *,
    validation=None,
    scripted=None,
    checkpoint=None,
    seed=0,
    stop=None,
    backend=None,
    weights=None,
    **config,
):
    defaults = {"steps": 500, "batch_size": 8, "learning_rate": 0.02, "schedule": "constant"}
    return fit(
        None,
        (),
        START,
        DATA,
        backend=backend or NumPyBackend(events, scripted),
        config=FitConfig(**defaults | config),
        seed=np.random.SeedSequence(seed),
        weights=weights,
        validation=validation,
        checkpoint=checkpoint,
        stop=stop,
        progress=False,
    )


def assert_same(first, second, *, but=()):
    """Equal to the last bit, except for the time it took."""
    for name in {"arrays", "history", "outcome", "status", "steps", "snapshots"} - set(but):
        np.testing.assert_equal(getattr(first, name), getattr(second, name), err_msg=name)


class TestConfig:
    @pytest.mark.parametrize("name", ["steps", "batch_size", "chunk", "snapshot_every", "patience"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, 100.0, True, "100", float("nan")])
    def test_counts(self, name, value):
        with pytest.raises(ValueError, match=rf"^{name} must be a positive integer, got "):
            FitConfig(**{name: value})

    @pytest.mark.parametrize("name", ["steps", "batch_size", "chunk"])
    def test_counts_are_needed(self, name):
        with pytest.raises(ValueError, match=rf"^{name} must be a positive integer, got None"):
            FitConfig(**{name: None})

    @pytest.mark.parametrize("name", ["learning_rate", "gradient_clip"])
    @pytest.mark.parametrize("value", [0, 0.0, -1e-3, float("nan"), "0.1", None, True, [0.1], 1j])
    def test_rates(self, name, value):
        with pytest.raises(ValueError, match=rf"^{name} must be a positive number, got "):
            FitConfig(**{name: value})

    def test_an_infinite_learning_rate(self):
        with pytest.raises(ValueError, match="learning_rate must be a positive number, got inf"):
            FitConfig(learning_rate=float("inf"))

    def test_an_infinite_clip_does_not_clip(self):
        assert FitConfig(gradient_clip=float("inf")).gradient_clip == float("inf")

    @pytest.mark.parametrize("value", ["linear", None, "Cosine"])
    def test_schedule(self, value):
        with pytest.raises(
            ValueError, match="schedule must be 'cosine', 'warmup cosine' or 'constant', got"
        ):
            FitConfig(schedule=value)

    def test_numpy_numbers_are_numbers(self):
        config = FitConfig(steps=np.int64(7), learning_rate=np.float32(0.5))
        assert (config.steps, config.learning_rate) == (7, 0.5)

    def test_cosine_schedule(self):
        config = FitConfig(steps=1000, learning_rate=0.3)
        rates = config.learning_rates(0, 1000)
        assert rates[0] == 0.3
        assert rates[500] == pytest.approx(0.15)
        assert 0.0 < rates[-1] < 1e-5
        assert np.all(np.diff(rates) < 0.0)
        pieces = [config.learning_rates(i, i + 250) for i in range(0, 1000, 250)]
        np.testing.assert_array_equal(np.concatenate(pieces), rates)

    def test_warm_up(self):
        config = FitConfig(steps=1000, learning_rate=0.3, schedule="warmup cosine")
        plain = FitConfig(steps=1000, learning_rate=0.3).learning_rates(0, 1000)
        rates = config.learning_rates(0, 1000)
        np.testing.assert_allclose(rates[:50] / plain[:50], np.arange(1, 51) / 50)
        np.testing.assert_array_equal(rates[50:], plain[50:])
        np.testing.assert_array_equal(config.learning_rates(30, 70), rates[30:70])
        assert np.isfinite(FitConfig(steps=3, schedule="warmup cosine").learning_rates(0, 3)).all()

    def test_constant_schedule(self):
        config = FitConfig(steps=1000, learning_rate=0.3, schedule="constant")
        np.testing.assert_array_equal(config.learning_rates(990, 1000), np.full(10, 0.3))


class TestResult:
    def test_an_ordinary_fit(self):
        result = run(steps=450)
        assert (result.outcome, result.steps) == ("finished", 450)
        assert result.status == "finished: 450 steps."
        assert result.seconds > 0.0
        np.testing.assert_array_equal(result.history["step"], np.arange(1, 451))
        assert set(result.history) == {"step", "loss"}
        # The first loss is that of the first minibatch, before any step.
        rows = np.random.default_rng(np.random.SeedSequence(0)).integers(50, size=(100, 8))[0]
        first = 0.5 * np.mean(np.sum((DATA["x"][rows] - [0.0, 10.0]) ** 2, axis=1))
        assert result.history["loss"][0] == pytest.approx(first)
        np.testing.assert_allclose(result.arrays["model"]["center"], 3.0, atol=0.3)
        assert result.snapshots == []

    def test_the_caller_keeps_their_arrays(self):
        before = {name: value.copy() for name, value in START["model"].items()}
        run()
        for name, value in before.items():
            np.testing.assert_array_equal(START["model"][name], value)

    def test_the_last_chunk_is_shorter(self):
        backend = NumPyBackend()
        run(steps=250, backend=backend)
        assert [len(indices["x"]) for indices in backend.made.indices] == [100, 100, 50]

    def test_same_seed_same_fit(self):
        assert_same(run(seed=3), run(seed=3))

    def test_another_seed_another_fit(self):
        assert not np.array_equal(run(seed=3).history["loss"], run(seed=4).history["loss"])


class TestMinibatches:
    def drawn(self, **options):
        backend = NumPyBackend()
        run(backend=backend, **options)
        return np.concatenate([indices["x"] for indices in backend.made.indices])

    def test_rows_are_drawn_anew_in_every_step(self):
        rows = self.drawn()
        assert rows.shape == (500, 8)
        assert set(np.unique(rows)) == set(range(50))
        assert len(np.unique(rows, axis=0)) == 500
        counts = np.bincount(rows.ravel(), minlength=50)
        assert counts.min() > 40  # 80 each on average
        assert counts.max() < 120

    @pytest.mark.parametrize(("batch_size", "size"), [(50, 50), (51, 51), (1000, 512)])
    def test_a_small_data_set_is_used_whole(self, batch_size, size):
        backend = NumPyBackend()
        run(backend=backend, batch_size=batch_size)
        rows = np.concatenate([indices["x"] for indices in backend.made.indices])
        assert rows.shape == (500, size)
        np.testing.assert_array_equal(rows[:, :50], np.tile(np.arange(50), (500, 1)))
        for extra in backend.made.extra:
            # What fills the batch up has no weight.
            expected = np.where(np.arange(size) < 50, 1 / 50, 0.0)
            np.testing.assert_allclose(extra["x_weight"], np.tile(expected, (100, 1)))

    def test_a_large_data_set_is_drawn_by_its_weights(self):
        weights = np.where(np.arange(50) < 10, 0.0, np.arange(50))
        rows = self.drawn(weights={"x": weights}).ravel()
        assert rows.min() == 10
        shares = np.bincount(rows, minlength=50) / len(rows)
        np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.01)

    def test_a_small_data_set_keeps_its_weights(self):
        backend = NumPyBackend()
        run(backend=backend, batch_size=64, weights={"x": np.arange(50.0)})
        (weights,) = {extra["x_weight"][0].tobytes() for extra in backend.made.extra}
        expected = np.zeros(64)
        expected[:50] = np.arange(50.0) / np.arange(50.0).sum()
        np.testing.assert_allclose(np.frombuffer(weights), expected)

    def test_a_batch_of_all_points_has_one_of_few_sizes(self):
        rng = np.random.default_rng(0)
        sizes = set()
        for n in (1, 2, 17, 500, 512, 513, 1000, 1024):
            x = rng.normal(size=(n, 2))
            batch = lrmf.minibatches.whole({"x": x, "y": x}, {"y": np.arange(1.0, n + 1)})
            sizes.add(len(batch["x"]))
            np.testing.assert_array_equal(batch["x"][:n], x)
            if n not in (512, 1024):
                assert np.sum(batch["x_weight"][:, None] * batch["x"], axis=0) == pytest.approx(
                    x.mean(axis=0)
                )
            else:
                assert "x_weight" not in batch
            assert np.sum(batch["y_weight"][:, None] * batch["y"], axis=0) == pytest.approx(
                np.average(x, axis=0, weights=np.arange(1.0, n + 1))
            )
        assert sizes == {512, 1024}

    def test_a_batch_below_the_data_set_is_drawn(self):
        assert self.drawn(batch_size=49).shape == (500, 49)


class TestSnapshots:
    def test_cadence(self):
        result = run(steps=500, snapshot_every=150)
        # At the first chunk end after 150, 300 and 450.
        assert [step for step, _ in result.snapshots] == [0, 200, 300, 500]
        centers = [arrays["model"]["center"] for _, arrays in result.snapshots]
        np.testing.assert_array_equal(centers[0], [0.0, 10.0])
        np.testing.assert_array_equal(centers[-1], result.arrays["model"]["center"])
        for first, second in itertools.pairwise(centers):
            assert not np.array_equal(first, second)

    def test_a_snapshot_is_what_a_shorter_fit_gives(self):
        snapshots = dict(run(steps=500, snapshot_every=100).snapshots)
        np.testing.assert_equal(snapshots[300], run(steps=300).arrays)

    def test_a_fine_cadence_gives_one_per_chunk(self):
        result = run(steps=250, snapshot_every=1)
        assert [step for step, _ in result.snapshots] == [0, 100, 200, 250]


class TestValidation:
    def test_loss_on_held_out_data_at_every_chunk_end(self):
        result = run(steps=250, validation=HELD_OUT, snapshot_every=1)
        np.testing.assert_array_equal(result.history["validation_step"], [100, 200, 250])
        for (_, arrays), value in zip(
            result.snapshots[1:], result.history["validation_loss"], strict=True
        ):
            center = arrays["model"]["center"]
            expected = 0.5 * np.mean(np.sum((HELD_OUT["x"] - center) ** 2, axis=1))
            assert value == pytest.approx(expected)
        assert result.steps == 250

    def test_validation_alone_changes_nothing(self):
        first, second = run(), run(validation=HELD_OUT)
        assert_same(first, second, but={"history"})
        np.testing.assert_array_equal(first.history["loss"], second.history["loss"])

    def test_early_stopping_goes_back_to_the_best_arrays(self):
        values = [5.0, 4.0, 3.0, 3.5, 3.6, 0.0]
        result = run(
            steps=1000, validation=HELD_OUT, scripted=values, patience=200, snapshot_every=100
        )
        assert result.outcome == "stopped early"
        assert result.status == (
            "stopped early at step 500: the validation loss had not improved for 200 steps; "
            "the arrays of step 300, the best ones, were kept."
        )
        assert result.steps == 300
        np.testing.assert_equal(result.arrays, dict(result.snapshots)[300])
        np.testing.assert_array_equal(result.history["validation_loss"], values[:5])
        assert len(result.history["loss"]) == 500

    def test_patience_shorter_than_a_chunk(self):
        result = run(steps=1000, validation=HELD_OUT, scripted=[2.0, 2.0, 0.0], patience=1)
        assert (result.outcome, result.steps) == ("stopped early", 100)

    def test_with_patience_a_finished_fit_has_the_best_arrays_too(self):
        result = run(
            steps=300,
            validation=HELD_OUT,
            scripted=[2.0, 1.0, 3.0],
            patience=200,
            snapshot_every=100,
        )
        assert (result.outcome, result.steps) == ("finished", 200)
        np.testing.assert_equal(result.arrays, dict(result.snapshots)[200])

    @pytest.mark.parametrize("patience", [None, 300])
    def test_a_validation_loss_that_is_no_number_ends_the_fit(self, patience):
        scripted = itertools.chain([2.0, 1.0], itertools.repeat(np.nan))
        result = run(steps=1000, validation=HELD_OUT, scripted=scripted, patience=patience)
        assert (result.outcome, result.steps) == ("diverged", 200)
        assert "the loss of held-out points became non-finite at step 300" in result.status
        assert "the arrays of step 200, the last good ones, were restored" in result.status
        np.testing.assert_equal(result.arrays, run(steps=200).arrays)


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


def test_annealed_arrays_and_batch_sizes_of_their_own():
    backend = NumPyBackend()
    fit(
        None,
        (),
        START,
        DATA,
        backend=backend,
        config=FitConfig(steps=300, batch_size=8),
        seed=np.random.SeedSequence(0),
        constants={"constant": np.ones(2)},
        annealed={"annealed": np.array([1.0, 3.0])},
        batch_sizes={"x": 5},
    )
    extra = {
        name: np.concatenate([e[name] for e in backend.made.extra])
        for name in ("annealed", "constant")
    }
    factor = np.clip(1.0 - np.arange(300) / 150.0, 0.0, None)
    np.testing.assert_allclose(extra["annealed"], np.stack([factor, 3.0 * factor], axis=1))
    np.testing.assert_array_equal(extra["constant"], np.ones((300, 2)))
    assert {i["x"].shape for i in backend.made.indices} == {(100, 5)}


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
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        import numpy as np
        import test_fitting as t
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


class Small(NumPyBackend):
    """Has memory for so many points in a step, or says in a library's words that it has not."""

    def __init__(self, points, words):
        super().__init__()
        self.points, self.words = points, words

    def trainer(self, *arguments, **options):
        made = super().trainer(*arguments, **options)
        run = made.run

        def limited(indices, learning_rates, extra=None):
            if indices["x"].shape[-1] > self.points:
                raise RuntimeError(self.words)
            return run(indices, learning_rates, extra)

        made.run = limited
        return made


@pytest.mark.parametrize(
    "words",
    [
        "RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.",
        "OOM when allocating tensor with shape[4096,64,64]",
    ],
)
def test_a_batch_too_large_for_the_memory_names_one_that_fits(words):
    def fitted(points):
        config = FitConfig(steps=4, batch_size=40)
        return fit(None, (), START, DATA, backend=Small(points, words), config=config,
                   seed=np.random.SeedSequence(0), progress=False)  # fmt: skip

    assert fitted(40).outcome == "finished"
    for points, fits in ((25, 20), (19, 10)):
        message = rf"fit: .*batch_size=40 finds no memory\. batch_size={fits} fits"
        with pytest.raises(MemoryError, match=message):
            fitted(points)
    with pytest.raises(MemoryError, match="Not even batch_size=1 does: take smaller networks"):
        fitted(0)
    words = "something else"
    with pytest.raises(RuntimeError, match="something else"):
        fit(None, (), START, DATA, backend=Small(0, words), config=FitConfig(steps=4),
            seed=np.random.SeedSequence(0), progress=False)  # fmt: skip
