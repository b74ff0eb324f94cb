"""The judge: whether two samples have one distribution, with controls whose distance is known."""

from .certificate import Certificate, Decision
from .controls import Control
from .distance import lrd

__all__ = ["Certificate", "Control", "Decision", "lrd"]
