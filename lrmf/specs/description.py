"""Specs as JSON documents, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..checks import plain
from .affine import Affine, Identity
from .autoregressive import IAF, MAF, Autoregressive
from .base import Spec
from .composition import Chain, Inverse
from .conditioners import Convolutional, Dense
from .continuous import FFJORD
from .coupling import NICE, Coupling, RealNVP, SplineFlow
from .densities import Gaussian, Histogram
from .discriminator import Discriminator
from .glow import Glow
from .images import ActNorm, ChannelMixing, LastChannels, Squeezed
from .jet import Jet
from .network import Network
from .planar import Planar
from .transformers import Shift, ShiftScale, Spline

__all__ = ["spec_from_json", "spec_to_json"]

_SPECS: dict[str, type[Any]] = {
    spec.__name__: spec
    for spec in (
        *(Affine, Autoregressive, Chain, Coupling, Discriminator, FFJORD, Gaussian, Histogram),
        *(IAF, Identity, Inverse, MAF, NICE, Network, Planar, RealNVP, SplineFlow),
        *(ActNorm, ChannelMixing, Glow, Jet, LastChannels, Squeezed),
    )
}
_PARTS = {part.__name__: part for part in (Convolutional, Dense, Shift, ShiftScale, Spline)}


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """A JSON-compatible description of a spec of this package; a part of it has its own.

    >>> import lrmf
    >>> lrmf.specs.spec_to_json(lrmf.Gaussian())
    {'name': 'Gaussian'}
    """
    return _described(spec)


def spec_from_json(document: Mapping[str, Any]) -> Spec:
    """The spec that `spec_to_json` described.

    >>> spec_from_json(spec_to_json(RealNVP(hidden=(64, 64)))) == RealNVP(hidden=(64, 64))
    True
    """
    return _restored(document, _SPECS)


def _described(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_described(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return plain(value)
    fields = {f.name: _described(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return {"name": type(value).__name__, **fields}


def _restored(value: Any, kinds: Mapping[str, type[Any]]) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(_restored(item, kinds) for item in value)
    if not isinstance(value, Mapping):
        return value
    values = dict(value)
    name = values.pop("name", None)
    if name not in kinds:
        raise ValueError(f"unknown spec {name!r}; this version of lrmf knows {sorted(kinds)}")
    known = {field.name for field in dataclasses.fields(kinds[name])}
    if not values.keys() <= known:
        raise ValueError(
            f"{name} has no {sorted(values.keys() - known)}; this version of lrmf knows "
            f"{sorted(known)} of it, so use the version that wrote the description"
        )
    return kinds[name](**{key: _restored(item, _SPECS | _PARTS) for key, item in values.items()})
