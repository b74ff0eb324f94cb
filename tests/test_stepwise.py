"""Steps with an assistant, on a trainer in NumPy: who is asked what, and what comes of it."""

import numpy as np
import pytest

from lrmf.backends.base import Trainer
from lrmf.fitting import FitConfig, fit
from lrmf.stepwise import StepwiseTrainer

X, Y = np.arange(20.0).reshape(10, 2), -np.arange(6.0).reshape(3, 2)


class Walk(Trainer):
    """Adds each step's ``push`` to its position; the loss is where it was, plus the batch's sum."""

    def __init__(self):
        self.state = np.zeros(2)
        self.calls = []

    def run(self, indices, learning_rates, extra=None):
        self.calls.append(({k: v.shape for k, v in indices.items()}, learning_rates.tolist()))
        losses = []
        for i, rate in enumerate(learning_rates):
            losses.append(self.state.sum() + X[indices["x"][i]].sum())
            self.state = self.state + rate * extra["push"][i] + extra.get("more", np.zeros(9))[i]
        return np.array(losses)

    def evaluate(self, data):
        return float(self.state.sum() + data["x"].sum() + 100 * data["push"].sum())

    def models(self):
        return {"model": self.state.copy()}

    def arrays(self):
        return {"model": {"position": self.state.copy()}}

    def export_state(self):
        return {"0": self.state.copy()}

    def import_state(self, arrays):
        self.state = arrays["0"]


@pytest.fixture
def asked():
    return []


@pytest.fixture
def trainer(asked):
    def assistant(models, batch):
        asked.append((models["model"].copy(), {k: v.copy() for k, v in batch.items()}))
        return {"push": models["model"] + batch["x"].sum(axis=0)}

    return StepwiseTrainer(Walk(), {"x": X, "y": Y}, assistant)


INDICES = {"x": np.array([[0, 3], [5, 5], [9, 1]]), "y": np.array([[0], [2], [1]])}
RATES = np.array([1.0, 0.5, 0.1])


def test_the_assistant_sees_each_batch_and_the_models_of_that_step(trainer, asked):
    trainer.run(INDICES, RATES)
    position = np.zeros(2)
    for (model, batch), rows, others, rate in zip(
        asked, INDICES["x"], INDICES["y"], RATES, strict=True
    ):
        np.testing.assert_allclose(model, position)
        np.testing.assert_array_equal(batch["x"], X[rows])
        np.testing.assert_array_equal(batch["y"], Y[others])
        position = position + rate * (position + X[rows].sum(axis=0))
    np.testing.assert_allclose(trainer.state, position)


def test_each_step_is_a_call_with_its_own_rows_and_rate(trainer):
    losses = trainer.run(INDICES, RATES)
    assert trainer._trainer.calls == [({"x": (1, 2), "y": (1, 1)}, [rate]) for rate in RATES]
    assert losses.shape == (3,)
    assert losses[0] == X[[0, 3]].sum()


def test_what_joins_the_batch_anyway_is_handed_on_row_by_row(trainer):
    trainer.run(INDICES, RATES, {"more": np.array([1.0, 10.0, 100.0])})
    with_more = trainer.state
    trainer.state = np.zeros(2)
    trainer.run(INDICES, RATES)
    # Each is doubled, or more, by what the assistant makes of the position.
    assert (with_more - trainer.state).min() > 111.0


def test_it_helps_to_evaluate_too(trainer, asked):
    trainer.state = np.array([1.0, 2.0])
    assert trainer.evaluate({"x": X[:2]}) == pytest.approx(3 + 6 + 100 * (3 + 6))
    assert len(asked) == 1


def test_state_and_arrays_are_those_of_the_trainer(trainer):
    trainer.import_state({"0": np.array([3.0, 4.0])})
    np.testing.assert_array_equal(trainer.state, [3.0, 4.0])
    np.testing.assert_array_equal(trainer.arrays()["model"]["position"], [3.0, 4.0])
    np.testing.assert_array_equal(trainer.models()["model"], [3.0, 4.0])
    np.testing.assert_array_equal(trainer.export_state()["0"], [3.0, 4.0])
    trainer.state = np.zeros(2)
    np.testing.assert_array_equal(trainer._trainer.state, [0.0, 0.0])


def test_a_fit_takes_an_assistant():
    class Backend:
        def trainer(self, loss, roles, arrays, data, *, gradient_clip, dtype, devices):
            return Walk()

    calls = []

    def assistant(models, batch):
        calls.append(len(batch["x"]))
        return {"push": np.ones(2)}

    result = fit(
        None,
        (),
        {"model": {"position": np.zeros(2)}},
        {"x": X},
        backend=Backend(),
        config=FitConfig(
            steps=150, batch_size=4, learning_rate=0.1, schedule="constant", chunk=100
        ),
        seed=np.random.SeedSequence(0),
        validation={"x": X[:2]},
        assistant=assistant,
        progress=False,
    )
    np.testing.assert_allclose(result.arrays["model"]["position"], [15.0, 15.0])
    # Two chunks, after each of which the loss is validated.
    assert calls == [4] * 100 + [2] + [4] * 50 + [2]
    assert len(result.history["loss"]) == 150
    assert result.history["validation_loss"][-1] == pytest.approx(30 + 6 + 200)
