"""Aligners: estimators with ``fit``, ``transform``, ``inverse_transform`` and ``score``."""

from .adversarial import AdversarialFlow
from .alignflow import AlignFlow
from .back_to_back import BackToBackFlow
from .closed_form import CORAL, GaussianOT
from .cycle import CycleGAN, RevGAN
from .discrepancy import MMDFlow
from .distance import LikelihoodRatioDistance, family_lrd
from .entropic import EntropicOT
from .flow_gan import FlowGAN
from .likelihood_ratio import LRMF, default_transform
from .transport import EMDFlow, SinkhornFlow
from .upper_bound import AUB

__all__ = [
    "AUB",
    "CORAL",
    "LRMF",
    "AdversarialFlow",
    "AlignFlow",
    "BackToBackFlow",
    "CycleGAN",
    "EMDFlow",
    "EntropicOT",
    "FlowGAN",
    "GaussianOT",
    "MMDFlow",
    "RevGAN",
    "SinkhornFlow",
    "LikelihoodRatioDistance",
    "default_transform",
    "family_lrd",
]
