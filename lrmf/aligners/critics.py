"""What aligners that play against critics share: how critics learn, and checks of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..checks import check_fraction, check_positive_int, check_positive_number
from ..games import ClassifierLoss, classifier_game
from ..models import Classifier
from ..translation import critic
from .parts import Part
from .trained import TrainedAligner

__all__ = ["GameAligner", "critics"]


class GameAligner(TrainedAligner):
    """An aligner whose flow plays against adversaries that learn at a rate of their own."""

    adversary: Any
    loss: ClassifierLoss
    adversary_learning_rate: float
    adversary_steps: int
    beta_1: float
    beta_2: float

    def _opponent(self) -> dict[str, Any]:
        """The adversaries' part of `lrmf.backends.base.GamePlayer`."""
        return {
            "updates": self.adversary_steps,
            "rate": float(self.adversary_learning_rate / self.learning_rate),
            "betas": (float(self.beta_1), float(self.beta_2)),
        }

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_positive_number("adversary_learning_rate", self.adversary_learning_rate)
        check_positive_int("adversary_steps", self.adversary_steps)
        check_fraction("beta_1", self.beta_1)
        check_fraction("beta_2", self.beta_2)
        classifier_game(self.loss, updates=1, rate=1.0, betas=(0.0, 0.0))


def critics(
    sides: Iterable[str], spec: Any, *, attribute: str = "{side}_adversary_"
) -> dict[str, Part]:
    """The critics of these domains, by role."""
    return {
        critic(side): Part(
            kind=Classifier,
            spec=spec,
            parameter="adversary",
            attribute=attribute.format(side=side),
            domain=side,
        )
        for side in sides
    }
