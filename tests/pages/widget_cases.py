"""Data for the widgets, and states from all over their ranges."""

import dataclasses
import itertools

import numpy as np

from lrmf import widgets

RNG = np.random.default_rng(0)
DATA = widgets.Clouds(
    source=RNG.normal(size=(60, 2)) @ [[2.0, 0.5], [0.0, 0.5]],
    target=RNG.normal(size=(50, 2)) + 1.0,
    source_labels=np.arange(60) % 3,
    target_labels=np.arange(50) % 3,
)
LABELS = {"source_labels": DATA.source_labels, "target_labels": DATA.target_labels}


def corners(state_type):
    """All states with every number at one end of its range."""
    fields = dataclasses.fields(state_type)
    ends = [(field.metadata["low"], field.metadata["high"]) for field in fields]
    for values in itertools.product(*ends):
        yield state_type(**{f.name: value for f, value in zip(fields, values, strict=True)})


def random_states(state_type, n, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        numbers = {
            field.name: rng.uniform(field.metadata["low"], field.metadata["high"])
            for field in dataclasses.fields(state_type)
        }
        yield state_type(**numbers)
