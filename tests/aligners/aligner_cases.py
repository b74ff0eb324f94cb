"""The table of aligners that the generic checks run over: a new aligner adds its line here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import lrmf
from lrmf.aligners.base import Aligner

BACKENDS = ("jax", "tfp")


def back(model: Any, y: np.ndarray) -> np.ndarray:
    """A target's points mapped by the inverse, or by the network that stands in its place."""
    return (getattr(model, "translate_back", None) or model.inverse_transform)(y)


def mapped(model: Any, x: np.ndarray) -> np.ndarray:
    """T(x) of a flow, or of another map."""
    return model.forward(x)[0] if isinstance(model, lrmf.Flow) else model.image(x)


@dataclass(frozen=True)
class Case:
    """An aligner, and what the generic checks have to know of it.

    Attributes:
        kind: its class.
        settings: with them it aligns `PAIR` in a second or two.
        unaligned: changes to them under which it can't align, for a score to compare with; best
            such that nothing is compiled anew.
        round_trip: the largest error of ``inverse_transform(transform(x))``, in units of the
            data; None where the aligner has no inverse, or none that undoes its map.
        refused: values of its own parameters that `fit` refuses, and how the message goes on
            after the parameter's name; `REFUSED` has those of parameters that many share.
        on: backends to run it on; one where tests of the aligner's own compare both, because an
            estimator's habits are the same code.
    """

    kind: type[Aligner]
    settings: Mapping[str, Any] = field(default_factory=dict)
    unaligned: Mapping[str, Any] = field(
        default_factory=lambda: {"learning_rate": 1e-9, "steps": 100}
    )
    round_trip: float | None = 1e-3
    refused: Mapping[str, tuple[tuple[Any, ...], str]] = field(default_factory=dict)
    on: tuple[str, ...] = BACKENDS

    def parameters(self) -> dict[str, Any]:
        return self.kind(**self.settings).get_params(deep=False)

    @property
    def backends(self) -> tuple[str | None, ...]:
        return self.on if "backend" in self.parameters() else (None,)


@dataclass(frozen=True)
class Bound:
    """A case with the backend to run it on, None for an aligner that has none."""

    case: Case
    backend: str | None

    def make(self, **changes: Any) -> Aligner:
        backend = {} if self.backend is None else {"backend": self.backend}
        return self.case.kind(**{**self.case.settings, **backend, **changes})


#: Which compares with a word one by one.
PAIR_OF_NUMBERS = np.array([1, 2])
NATURAL = (
    (-5, 2.5, "100", True, float("nan"), 10**400),
    "must be zero or a positive integer, got ",
)
COUNT = ((0, -5, 2.5, "100", True, float("nan"), 10**400), "must be a positive integer, got ")
POSITIVE = (
    (0, 0.0, -1e-3, float("nan"), float("inf"), "0.1", True, [0.1], 10**400),
    "must be a positive number, got ",
)
REFUSED = {
    **dict.fromkeys(("steps", "batch_size", "checkpoint_every"), COUNT),
    **dict.fromkeys(("private_steps", "refit_steps"), NATURAL),
    "snapshot_every": COUNT,
    **dict.fromkeys(("learning_rate", "refit_learning_rate", "tolerance"), POSITIVE),
    "gradient_clip": ((0.0, -1.0, float("nan"), "10", None), "must be a positive number, got "),
    "validation_fraction": (
        (-0.1, 1.0, 1.5, float("nan"), "0.1", None, True),
        r"must lie in \[0, 1\), got ",
    ),
    "progress": ((None, 1, "yes"), "must be True or False, got "),
    "standardize": (
        (None, 1, "yes", ["apart"]),
        "must be True or False, 'together' or 'apart', got ",
    ),
    "seed": ((-1, 0.5, "0", None, True), "must be a non-negative integer, got "),
    "schedule": (("linear", None), "must be 'cosine', 'warmup cosine' or 'constant', got "),
    "dtype": (("float16", np.float32, None, "double"), r"must be one of \('float32', 'float64'\)"),
}

#: Of the regularization that closed forms can do without.
EXTRA = {
    "regularization": (
        (-1e-3, float("nan"), float("inf"), "0.1", None, True, [0.1], 10**400),
        "must be zero or a positive number, got ",
    ),
    "standardize": ((None, 1, "yes", "together"), "must be True or False, got "),
}

#: Small flows and few steps. A line takes what its aligner has of them.
TRAINED = {
    "transform": lrmf.Affine(),
    "steps": 300,
    "batch_size": 64,
    "learning_rate": 0.02,
    "progress": False,
}

GAME = {**TRAINED, "adversary_learning_rate": 0.05}


def still(game: Mapping[str, Any]) -> dict[str, Any]:
    """Changes under which a game hardly moves.

    The players' rates keep their exact ratio, which is part of what is compiled.
    """
    rates = ("learning_rate", "adversary_learning_rate")
    return {"steps": 100, **{name: 2.0**-24 * game[name] for name in rates}}


FRACTION = ((-0.1, 1.0, float("nan"), "0.5", None, True), r"must lie in \[0, 1\), got ")
GAME_REFUSED = {
    "private_steps": COUNT,
    "loss": (
        ("wasserstein", None, ["hinge"], PAIR_OF_NUMBERS),
        r"must be one of \('non-saturating', 'saturating', ",
    ),
    "adversary_learning_rate": POSITIVE,
    "adversary_steps": COUNT,
    "beta_1": FRACTION,
    "beta_2": FRACTION,
}

#: A game against critics.
CRITICS = {**GAME, "learning_rate": 0.01, "adversary": lrmf.Discriminator(hidden=(16,))}
TRANSLATION_REFUSED = {k: v for k, v in GAME_REFUSED.items() if k != "private_steps"}
ZERO = (
    (-1e-3, -1, float("nan"), "0.1", None, True, [0.1], 10**400),
    "must be zero or a positive number, got ",
)
WEIGHT = {"likelihood_weight": ((*ZERO[0], float("-inf")), ZERO[1])}
CRITICS_OF = (
    ("none", None, ("source",), "", PAIR_OF_NUMBERS),
    "must be 'both', 'source' or 'target', ",
)

#: A plan for each batch takes longer than the step.
PLANS = {**TRAINED, "steps": 100, "batch_size": 32, "learning_rate": 0.05}

SHARED = {**TRAINED, "density": lrmf.Gaussian(), "private_steps": 200, "refit_steps": 200}

COST = {"cost": (("cityblock", None, 2), "must be 'sqeuclidean' or 'euclidean', got ")}
ENTROPIC = {
    "regularization": POSITIVE,
    "cost_scale": (
        ("mode", 1.0, True, ["mean"]),
        r"must be one of \('mean', 'median', 'max'\) or ",
    ),
    "max_iter": COUNT,
}

#: For an aligner whose own tests compare the backends.
JAX = ("jax",)

CASES = {
    "lrmf": Case(
        lrmf.LRMF,
        {**SHARED, "start": "identity"},
        refused={"start": (("moments", 0, True, PAIR_OF_NUMBERS), "must be 'identity' or None, ")},
    ),
    "aub": Case(lrmf.AUB, SHARED, on=JAX),
    "back-to-back": Case(lrmf.BackToBackFlow, TRAINED, on=JAX),
    "alignflow": Case(
        lrmf.AlignFlow,
        {**CRITICS, "likelihood_weight": 0.3},
        unaligned=still(CRITICS),
        on=JAX,
        refused={**TRANSLATION_REFUSED, **WEIGHT, "critics": CRITICS_OF},
    ),
    "cyclegan": Case(
        lrmf.CycleGAN,
        {**CRITICS, "transform": lrmf.Network(hidden=(16,))},
        unaligned=still(CRITICS),
        round_trip=None,  # it has no inverse
        on=JAX,
        refused={**TRANSLATION_REFUSED, "cycle_weight": ZERO},
    ),
    "revgan": Case(
        lrmf.RevGAN, CRITICS, unaligned=still(CRITICS), refused=TRANSLATION_REFUSED, on=JAX
    ),
    "mmd-gaussian": Case(
        lrmf.MMDFlow,
        on=JAX,
        settings={**TRAINED, "bandwidths": (0.5, 2.0, 8.0)},
        refused={
            "kernel": (("energy", None, 1.0), "must be 'gaussian' or 'triangular_gap', got "),
            "bandwidths": (
                (1.0, (), (1.0, 0.0), (-1.0,), (float("nan"),), "0.5", ("a",), [[1.0]], (True,)),
                "must be None or positive numbers such as ",
            ),
        },
    ),
    "mmd-triangular-gap": Case(
        lrmf.MMDFlow,
        on=JAX,
        settings={**TRAINED, "kernel": "triangular_gap"},
        refused={
            "kernel": (("laplace", None, 1), "must be 'gaussian' or 'triangular_gap', got "),
            "bandwidths": (
                (1.0, (0.5, 1.0)),
                "must be None for the triangular-gap kernel, which has none, got ",
            ),
        },
    ),
    "emd": Case(lrmf.EMDFlow, PLANS, refused=COST, on=JAX),
    "sinkhorn": Case(lrmf.SinkhornFlow, PLANS, refused={**COST, **ENTROPIC}, on=JAX),
    "coral": Case(lrmf.CORAL, unaligned={"regularization": 1e6}, round_trip=1e-9, refused=EXTRA),
    "gaussian-ot": Case(
        lrmf.GaussianOT, unaligned={"regularization": 1e6}, round_trip=1e-9, refused=EXTRA
    ),
    "entropic-ot": Case(
        lrmf.EntropicOT,
        unaligned={"regularization": 100.0},
        round_trip=None,  # both maps average
        refused={**ENTROPIC, "standardize": EXTRA["standardize"]},
    ),
    "adversarial-discriminator": Case(
        lrmf.AdversarialFlow,
        CRITICS,
        unaligned=still(CRITICS),
        refused=GAME_REFUSED,
        on=JAX,
    ),
    "adversarial-density": Case(
        lrmf.AdversarialFlow,
        {**GAME, "adversary": lrmf.Gaussian(), "density": lrmf.Gaussian(), "private_steps": 200},
        unaligned=still(GAME),
        refused=GAME_REFUSED,
        on=JAX,
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
