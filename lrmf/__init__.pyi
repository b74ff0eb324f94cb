from . import (
    adapters as adapters,
    aligners as aligners,
    backends as backends,
    course as course,
    data as data,
    distances as distances,
    games as games,
    judge as judge,
    objectives as objectives,
    player as player,
    plots as plots,
    selection as selection,
    specs as specs,
    starting as starting,
    surfaces as surfaces,
    theory as theory,
    two_sample as two_sample,
    widgets as widgets,
)
from .aligners import (
    AUB as AUB,
    CORAL as CORAL,
    LRMF as LRMF,
    AdversarialFlow as AdversarialFlow,
    AlignFlow as AlignFlow,
    BackToBackFlow as BackToBackFlow,
    CycleGAN as CycleGAN,
    EMDFlow as EMDFlow,
    EntropicOT as EntropicOT,
    FlowGAN as FlowGAN,
    GaussianOT as GaussianOT,
    MMDFlow as MMDFlow,
    RevGAN as RevGAN,
    SinkhornFlow as SinkhornFlow,
    default_transform as default_transform,
    family_lrd as family_lrd,
)
from .backends import get_backend as get_backend
from .checkpoints import CheckpointWarning as CheckpointWarning
from .degenerate import DataWarning as DataWarning
from .failures import DivergenceWarning as DivergenceWarning
from .judge import Certificate as Certificate, lrd as lrd
from .models import Classifier as Classifier, Density as Density, Flow as Flow
from .objectives import lrmf_loss as lrmf_loss
from .specs import (
    FFJORD as FFJORD,
    IAF as IAF,
    MAF as MAF,
    NICE as NICE,
    Affine as Affine,
    Autoregressive as Autoregressive,
    Chain as Chain,
    Coupling as Coupling,
    Discriminator as Discriminator,
    Gaussian as Gaussian,
    Glow as Glow,
    Histogram as Histogram,
    Identity as Identity,
    Inverse as Inverse,
    Jet as Jet,
    Network as Network,
    Planar as Planar,
    RealNVP as RealNVP,
    SplineFlow as SplineFlow,
)

__version__: str
