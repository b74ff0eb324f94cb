"""Aligners: estimators with ``fit``, ``transform``, ``inverse_transform`` and ``score``."""

from .discrepancy import MMDFlow
from .distance import LikelihoodRatioDistance, lrd
from .likelihood_ratio import LRMF

__all__ = ["LRMF", "MMDFlow", "LikelihoodRatioDistance", "lrd"]
