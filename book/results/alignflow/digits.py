"""Digits by AlignFlow, in the codes that come with the book: without labels, and with a teacher.

The protocol behind the published numbers teaches a classifier on the source first, and lets it
watch while the flows adapt: a translated digit should keep the class that the classifier sees in it
(CyCADA's semantic loss; Hoffman et al., 2018). So labels of the source enter the *map*. Here that
is one more term of the game, for codes in 32 dimensions in the place of pictures.
"""

from __future__ import annotations

import dataclasses
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import lrmf
from book.results.runner import Arrays, Numbers
from lrmf.backends.base import Game, Loss
from lrmf.translation import Meeting

__all__ = ["ARMS", "DIRECTIONS", "STEPS", "bundled", "compute"]

#: What the codes are of: MNIST's 20 x 20 pixels in the middle, resized to the 16 x 16 of USPS.
EMBEDDING = "embedding box seed=0"
DIRECTIONS = {"usps to mnist": ("a", "b"), "mnist to usps": ("b", "a")}
#: ``watched``: with the teacher. The first two rows have no map.
ARMS = (
    "source only",
    "target",
    "alignflow 0.01",
    "alignflow inf",
    "watched 0.01",
)
STEPS = 800
DRAWS = 4  # of each digit's code
WIDTH, EPOCHS = 64, 20  # of the classifiers
TEACHER = 1.0  # weight of the teacher's term; nothing was tuned

FLOW = lrmf.RealNVP(blocks=4, hidden=(32, 32))
CRITIC = lrmf.Discriminator(hidden=(64, 64))
ROLES = (("source", (("transform", True),)), ("target", (("target_transform", True),)))

Sides = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


@cache
def bundled() -> Sides:
    """Mean, scale and label of the codes of each side: ``a`` is USPS, ``b`` MNIST."""
    folder = Path(__file__).parents[1] / "embedded_digits"
    with np.load(folder / "arrays.npz") as file:
        return {
            side: tuple(
                np.asarray(file[f"{EMBEDDING}/{side}.{name}"], kind)
                for name, kind in (("mean", np.float32), ("scale", np.float32), ("labels", int))
            )
            for side in ("a", "b", "a_test", "b_test")
        }  # type: ignore[return-value]


def compute(*, direction: str, arm: str, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """Fit a map, teach a classifier on translated source digits, and ask it about the target's."""
    source, target = DIRECTIONS[direction]
    a, a_labels = _draws(source, seed)
    b, b_labels = _draws(target, seed)
    tested, _, tested_labels = bundled()[f"{target}_test"]
    held_out, held_labels = _draws(f"{source}_test", seed)
    numbers: Numbers = {}
    if arm in ("source only", "target"):
        learned, labels = (a, a_labels) if arm == "source only" else (b, b_labels)
        moved = held_out
    else:
        model = _model(arm, steps, seed, (a, a_labels)).fit(Xs=a, Xt=b)
        learned, labels, moved = model.transform(a), a_labels, model.transform(held_out)
        numbers |= {
            "outcome": model.outcome_,
            "seconds": model.seconds_,
        }
        # Do translated digits keep their class, in the eyes of a classifier of the target?
        reader = _classifier(b, b_labels, seed)
        numbers["kept"] = float(np.mean(reader.predict(moved) == held_labels))
    judge = _classifier(learned, labels, seed)
    numbers["accuracy"] = float(np.mean(judge.predict(tested) == tested_labels))
    if arm != "target":
        fresh, _ = _draws(f"{target}_test", seed)
        size = len(tested)  # each digit once
        numbers["lrd"] = lrmf.lrd(moved[:size], fresh[:size], controls=False).lrd
    return numbers, {}


def _draws(side: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws from q(z|x), every digit once, then every digit again; and labels."""
    mean, scale, labels = bundled()[side]
    rng = np.random.default_rng([seed, sorted(bundled()).index(side)])
    noise = rng.standard_normal((DRAWS, *mean.shape))
    return (mean + scale * noise).reshape(-1, mean.shape[1]), np.tile(labels, DRAWS)


def _classifier(x: np.ndarray, y: np.ndarray, seed: int) -> MLPClassifier:
    with warnings.catch_warnings():
        # Its epochs are counted, not waited out.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier((WIDTH,), random_state=seed, max_iter=EPOCHS, alpha=1e-2).fit(x, y)


def _model(arm: str, steps: int, seed: int, taught: tuple[np.ndarray, np.ndarray]) -> Any:
    kind, _, weight = arm.partition(" ")
    settings: dict[str, Any] = {
        "steps": steps, "seed": seed, "batch_size": 128, "learning_rate": 1e-3, "progress": False,
    }  # fmt: skip
    make = watched(_classifier(*taught, seed)) if kind == "watched" else lrmf.AlignFlow
    return make(
        transform=FLOW,
        adversary=CRITIC,
        adversary_steps=1,
        likelihood_weight=float(weight),
        standardize=False,  # codes are near N(0, I), and the teacher knows them as they are
        **settings,
    )


def watched(teacher: MLPClassifier) -> type[lrmf.AlignFlow]:
    """AlignFlow whose flows also minimise a teacher's surprise at the classes of what they move."""
    arrays = {f"weight_{k}": w for k, w in enumerate(teacher.coefs_)}
    arrays |= {f"bias_{k}": b for k, b in enumerate(teacher.intercepts_)}

    class Watched(lrmf.AlignFlow):
        def _recipe(self, domains: Any) -> Any:
            recipe = super()._recipe(domains)
            objective: Any = recipe.objective
            *critics, flows = objective.loss.players
            flows = dataclasses.replace(flows, loss=_Watched(flows.loss, len(teacher.coefs_)))
            changed = dataclasses.replace(objective, loss=Game((*critics, flows)), constants=arrays)
            return dataclasses.replace(recipe, objective=changed)

    return Watched


# Equal ones compare equal, so that equal games share one compilation.
@dataclasses.dataclass(frozen=True)
class _Watched:
    """A loss, and cross-entropies of the classes of a and T(a), and of b and T⁻¹(b)."""

    loss: Loss
    layers: int

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        translation, found = Meeting(maps=ROLES), self.loss(models, batch)
        for side in ("source", "target"):
            seen = jnp.argmax(self._log_classes(batch, batch[side]), axis=1)
            moved = self._log_classes(batch, translation(models, batch[side], side))
            found = found - TEACHER * jnp.mean(jnp.take_along_axis(moved, seen[:, None], axis=1))
        return found

    def _log_classes(self, batch: dict[str, Any], x: Any) -> Any:
        for k in range(self.layers):
            x = (x if k == 0 else jax.nn.relu(x)) @ batch[f"weight_{k}"] + batch[f"bias_{k}"]
        return jax.nn.log_softmax(x)
