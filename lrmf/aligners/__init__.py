"""Aligners: estimators with ``fit``, ``transform``, ``inverse_transform`` and ``score``."""

from .adversarial import AdversarialFlow
from .closed_form import CORAL, GaussianOT
from .discrepancy import MMDFlow
from .distance import LikelihoodRatioDistance, lrd
from .entropic import EntropicOT
from .likelihood_ratio import LRMF
from .transport import EMDFlow, SinkhornFlow

__all__ = [
    "CORAL",
    "LRMF",
    "AdversarialFlow",
    "EMDFlow",
    "EntropicOT",
    "GaussianOT",
    "MMDFlow",
    "SinkhornFlow",
    "LikelihoodRatioDistance",
    "lrd",
]
