"""Fitting: what goes in, minibatches, and what is looked at between chunks."""

import itertools

import numpy as np
import pytest

import lrmf.fitting
import lrmf.minibatches
from lrmf.fitting import FitConfig, fit
from tests.descent import DATA, HELD_OUT, START, NumPyBackend, assert_same, run


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
