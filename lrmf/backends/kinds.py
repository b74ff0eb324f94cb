"""What kind of model a spec may be, and of which numbers: checked before anything is built."""

from __future__ import annotations

from typing import Any

from ..models import DTYPES, Classifier, Density, Flow, Map
from ..specs import DensitySpec, Discriminator, Network, Spec

__all__ = ["check_dtype", "check_kind"]


def check_dtype(dtype: object) -> None:
    """Refuse anything but the two floating types."""
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {DTYPES}, got {dtype!r}")


def check_kind(kind: Any, spec: Any) -> None:
    """Refuse a spec of another kind of model, and a spec's class given for a spec."""
    if isinstance(spec, type) and issubclass(spec, Spec):
        raise TypeError(f"expected a spec such as {spec.__name__}(), got the class itself")
    if kind is Classifier and not isinstance(spec, Discriminator):
        raise TypeError(f"expected a discriminator such as Discriminator(), got {spec}")
    if kind is not Classifier and isinstance(spec, Discriminator):
        wanted = "flow" if kind is Flow else "density"
        raise TypeError(f"{spec} gives logits, it is no {wanted}; as one choose RealNVP()")
    if kind is Map and not isinstance(spec, Network):
        raise TypeError(f"expected a network such as Network(), got {spec}")
    if kind in (Flow, Density) and isinstance(spec, Network):
        wanted = "flow" if kind is Flow else "density"
        raise TypeError(
            f"{spec} has neither inverse nor log-determinant, it is no {wanted}; CycleGAN takes "
            "it, and an invertible map is RealNVP()"
        )
    if kind is Flow and isinstance(spec, DensitySpec):
        raise TypeError(
            f"{spec} is a density, not a flow; as transform choose one of Affine(), RealNVP(), "
            "SplineFlow() and the other flows of lrmf"
        )
