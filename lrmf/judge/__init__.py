"""The judge: whether two samples have one distribution, with controls whose distance is known."""

from .certificate import Certificate, Decision
from .controls import Control
from .distance import lrd
from .files import Comparison, judge_files, telling

__all__ = ["Certificate", "Control", "Decision", "Comparison", "judge_files", "lrd", "telling"]
