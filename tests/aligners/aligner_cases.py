"""The table of aligners that the generic checks run over: a new aligner adds its line here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import lrmf
from lrmf.aligners.base import Aligner

BACKENDS = ("jax", "tfp")


@dataclass(frozen=True)
class Case:
    """An aligner, and what the generic checks have to know of it.

    Attributes:
        kind: its class.
        settings: with them it aligns `PAIR` in a second or two.
        unaligned: changes to them under which it can't align, for a score to compare with.
        round_trip: the largest error of ``inverse_transform(transform(x))``, in units of the
            data; None where the aligner has no inverse, or none that undoes its map.
    """

    kind: type[Aligner]
    settings: Mapping[str, Any] = field(default_factory=dict)
    unaligned: Mapping[str, Any] = field(default_factory=lambda: {"steps": 1})
    round_trip: float | None = 1e-3

    def parameters(self) -> dict[str, Any]:
        return self.kind(**self.settings).get_params()

    @property
    def backends(self) -> tuple[str | None, ...]:
        return BACKENDS if "backend" in self.parameters() else (None,)


@dataclass(frozen=True)
class Bound:
    """A case with the backend to run it on, None for an aligner that has none."""

    case: Case
    backend: str | None

    def make(self, **changes: Any) -> Aligner:
        backend = {} if self.backend is None else {"backend": self.backend}
        return self.case.kind(**{**self.case.settings, **backend, **changes})


#: Small flows and few steps. A line takes what its aligner has of them.
TRAINED = {
    "transform": lrmf.Affine(),
    "steps": 300,
    "batch_size": 64,
    "learning_rate": 0.02,
    "progress": False,
}

CASES = {
    "lrmf": Case(
        lrmf.LRMF, {**TRAINED, "density": lrmf.Gaussian(), "private_steps": 200, "refit_steps": 200}
    ),
}

#: For ``pytest.mark.parametrize`` or a fixture's ``params``: each aligner on each backend.
BOUND = [
    pytest.param(Bound(case, backend), id=name if backend is None else f"{name}-{backend}")
    for name, case in CASES.items()
    for backend in case.backends
]

#: What the generic checks align: a stretched, turned and shifted cloud.
PAIR, HELD_OUT = lrmf.data.blobs(seed=0), lrmf.data.blobs(seed=1)

GOOD = np.random.default_rng(0).normal(size=(30, 2))
