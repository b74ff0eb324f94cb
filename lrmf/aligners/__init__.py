"""Aligners: estimators with ``fit``, ``transform``, ``inverse_transform`` and ``score``."""

from .adversarial import AdversarialFlow
from .discrepancy import MMDFlow
from .distance import LikelihoodRatioDistance, lrd
from .likelihood_ratio import LRMF

__all__ = ["AdversarialFlow", "LRMF", "MMDFlow", "LikelihoodRatioDistance", "lrd"]
