from . import (
    aligners as aligners,
    backends as backends,
    certificate as certificate,
    data as data,
    objectives as objectives,
    plots as plots,
    specs as specs,
    theory as theory,
)
from .aligners import LRMF as LRMF, lrd as lrd
from .backends import get_backend as get_backend
from .certificate import Certificate as Certificate
from .models import Density as Density, Flow as Flow
from .objectives import lrmf_loss as lrmf_loss
from .specs import (
    Affine as Affine,
    Gaussian as Gaussian,
    Identity as Identity,
    RealNVP as RealNVP,
)

__version__: str
