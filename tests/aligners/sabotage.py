"""Stages of a fit that go wrong, and what is looked at afterwards."""

import itertools

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import lrmf

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
