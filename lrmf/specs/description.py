"""Specs as JSON documents, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .affine import Affine, Identity
from .base import Spec
from .continuous import FFJORD
from .coupling import RealNVP
from .densities import Gaussian, Histogram
from .discriminator import Discriminator

__all__ = ["spec_from_json", "spec_to_json"]

_SPECS: dict[str, type[Any]] = {
    spec.__name__: spec
    for spec in (Affine, Discriminator, FFJORD, Gaussian, Histogram, Identity, RealNVP)
}


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """A JSON-compatible description of a spec of this package."""
    return {"name": type(spec).__name__, **dataclasses.asdict(spec)}  # type: ignore[call-overload]


def spec_from_json(document: Mapping[str, Any]) -> Spec:
    """The spec that `spec_to_json` described.

    >>> spec_from_json(spec_to_json(RealNVP(hidden=(64, 64)))) == RealNVP(hidden=(64, 64))
    True
    """
    values = dict(document)
    name = values.pop("name", None)
    if name not in _SPECS:
        raise ValueError(f"unknown spec {name!r}; this version of lrmf knows {sorted(_SPECS)}")
    known = {field.name for field in dataclasses.fields(_SPECS[name])}
    if not values.keys() <= known:
        raise ValueError(
            f"{name} has no {sorted(values.keys() - known)}; this version of lrmf knows "
            f"{sorted(known)} of it, so use the version that wrote the description"
        )
    return _SPECS[name](**values)
