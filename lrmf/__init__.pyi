from . import (
    aligners as aligners,
)
from . import (
    backends as backends,
)
from . import (
    data as data,
)
from . import (
    distances as distances,
)
from . import (
    games as games,
)
from . import (
    judge as judge,
)
from . import (
    objectives as objectives,
)
from . import (
    player as player,
)
from . import (
    plots as plots,
)
from . import (
    specs as specs,
)
from . import (
    theory as theory,
)
from . import (
    widgets as widgets,
)
from .aligners import (
    AUB as AUB,
)
from .aligners import (
    CORAL as CORAL,
)
from .aligners import (
    LRMF as LRMF,
)
from .aligners import (
    AdversarialFlow as AdversarialFlow,
)
from .aligners import (
    BackToBackFlow as BackToBackFlow,
)
from .aligners import (
    EMDFlow as EMDFlow,
)
from .aligners import (
    EntropicOT as EntropicOT,
)
from .aligners import (
    GaussianOT as GaussianOT,
)
from .aligners import (
    MMDFlow as MMDFlow,
)
from .aligners import (
    SinkhornFlow as SinkhornFlow,
)
from .aligners import family_lrd as family_lrd
from .backends import get_backend as get_backend
from .judge import Certificate as Certificate
from .judge import lrd as lrd
from .models import Classifier as Classifier
from .models import Density as Density
from .models import Flow as Flow
from .objectives import lrmf_loss as lrmf_loss
from .specs import (
    FFJORD as FFJORD,
)
from .specs import (
    IAF as IAF,
)
from .specs import (
    MAF as MAF,
)
from .specs import (
    NICE as NICE,
)
from .specs import (
    Affine as Affine,
)
from .specs import (
    Autoregressive as Autoregressive,
)
from .specs import (
    Chain as Chain,
)
from .specs import (
    Coupling as Coupling,
)
from .specs import (
    Discriminator as Discriminator,
)
from .specs import (
    Gaussian as Gaussian,
)
from .specs import (
    Histogram as Histogram,
)
from .specs import (
    Identity as Identity,
)
from .specs import (
    Inverse as Inverse,
)
from .specs import (
    Planar as Planar,
)
from .specs import (
    RealNVP as RealNVP,
)
from .specs import (
    SplineFlow as SplineFlow,
)

__version__: str
