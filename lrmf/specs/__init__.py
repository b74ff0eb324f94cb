"""What can be built: frozen descriptions of flows and densities, and their initial arrays.

A spec knows names and shapes, and draws initial arrays with NumPy. Backends compute with them, so
the same seed gives the same model in every backend. Arrays are float64 here; a model casts them.

Flows compose. A `Coupling` is a mask, a conditioner (`Dense`, `Convolutional`) and a transformer
(`Shift`, `ShiftScale`, `Spline`); a `Chain` applies flows one after the other, and `Inverse`
turns one round. `RealNVP`, `NICE`, `SplineFlow`, `MAF`, `IAF` and `Planar` are such compositions
with a name. So is `Glow`, of images, whose parts are `Squeezed`, `LastChannels`, `ActNorm` and
`ChannelMixing`; `Jet` is a stack of couplings of image patches.
"""

from .affine import Affine, Identity
from .autoregressive import IAF, MAF, Autoregressive
from .base import Arrays, DensitySpec, FlowSpec, PartialShape, Shape, Spec
from .composition import Chain, Composition, Inverse
from .conditioners import Conditioner, Convolutional, Dense
from .continuous import FFJORD, SolverError
from .coupling import NICE, Coupling, RealNVP, SplineFlow
from .densities import Gaussian, Histogram
from .description import spec_from_json, spec_to_json
from .discriminator import Discriminator
from .glow import Glow
from .images import ActNorm, ChannelMixing, LastChannels, Squeezed, Squeezing
from .jet import Jet
from .network import Network
from .planar import Planar, PlanarBlock
from .transformers import Shift, ShiftScale, Spline, Transformer

__all__ = [
    "ActNorm",
    "Affine",
    "Arrays",
    "Autoregressive",
    "Chain",
    "ChannelMixing",
    "Composition",
    "Conditioner",
    "Convolutional",
    "Coupling",
    "Dense",
    "DensitySpec",
    "Discriminator",
    "FFJORD",
    "FlowSpec",
    "Gaussian",
    "Glow",
    "Histogram",
    "IAF",
    "Identity",
    "Inverse",
    "Jet",
    "LastChannels",
    "MAF",
    "NICE",
    "Network",
    "PartialShape",
    "Planar",
    "PlanarBlock",
    "RealNVP",
    "Shape",
    "Shift",
    "ShiftScale",
    "SolverError",
    "Spec",
    "Spline",
    "SplineFlow",
    "Squeezed",
    "Squeezing",
    "Transformer",
    "spec_from_json",
    "spec_to_json",
]
