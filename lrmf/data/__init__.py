"""Pairs of datasets to align: toy distributions in the plane, handwritten digits, and meshes.

Importing this package loads NumPy and nothing heavier. Digits, Spot and the cow are looked for in
the folder that ``LRMF_DATA_DIR`` names, then in the cache, and then downloaded (see
:mod:`lrmf.data.fetch` and :mod:`lrmf.data.download`).
"""

from lrmf.data.cases import Case, batches, sensors, surveys
from lrmf.data.containers import Digits, Pair
from lrmf.data.dequantization import Dequantized, bits_per_dimension
from lrmf.data.digits import FallbackWarning, digits_pair, mnist, usps
from lrmf.data.fetch import DataUnavailableError, cache_dir
from lrmf.data.mesh import Mesh, MeshPair
from lrmf.data.mesh_files import meshes, read_obj
from lrmf.data.quadrupeds import quadrupeds
from lrmf.data.results import saved_results
from lrmf.data.toy import blobs, moons

__all__ = [
    "blobs",
    "moons",
    "batches",
    "sensors",
    "surveys",
    "usps",
    "mnist",
    "digits_pair",
    "quadrupeds",
    "meshes",
    "read_obj",
    "Pair",
    "Case",
    "Digits",
    "Dequantized",
    "bits_per_dimension",
    "Mesh",
    "MeshPair",
    "FallbackWarning",
    "DataUnavailableError",
    "cache_dir",
    "saved_results",
]
