"""What can be built: frozen descriptions of flows and densities, and their initial arrays.

A spec knows names and shapes, and draws initial arrays with NumPy. Backends compute with them, so
the same seed gives the same model in every backend. Arrays are float64 here; a model casts them.
"""

from .affine import Affine, Identity
from .base import Arrays, DensitySpec, FlowSpec, Shape, Spec
from .continuous import FFJORD, SolverError
from .coupling import RealNVP
from .densities import Gaussian, Histogram
from .description import spec_from_json, spec_to_json
from .discriminator import Discriminator

__all__ = [
    "Affine",
    "Arrays",
    "DensitySpec",
    "Discriminator",
    "FFJORD",
    "FlowSpec",
    "Gaussian",
    "Histogram",
    "Identity",
    "RealNVP",
    "Shape",
    "SolverError",
    "Spec",
    "spec_from_json",
    "spec_to_json",
]
