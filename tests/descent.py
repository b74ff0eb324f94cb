"""A trainer in NumPy, exact and fast, by which the tests of fitting see what happens in a fit."""

import numpy as np

from lrmf.backends.base import Trainer
from lrmf.fitting import FitConfig, fit

__all__ = ["DATA", "HELD_OUT", "START", "Descent", "NumPyBackend", "assert_same", "run"]

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
