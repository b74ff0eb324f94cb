"""What aligners share that learn a flow for each side, to or from a space between the two."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..backends.base import Backend, Role
from ..models import Composed, Flow
from ..specs import Arrays, Shape
from .trained import FITTED_MODELS, TrainedAligner

__all__ = ["TwoMapsAligner"]


class TwoMapsAligner(TrainedAligner):
    """An aligner with the parameters ``transform`` and ``target_transform``, a flow a side."""

    #: Which of the two, the source's and the target's, the map from A to B inverts.
    _inverted: ClassVar[tuple[bool, bool]]

    target_transform: Any

    def _models(self) -> FITTED_MODELS:
        # Where the target has no spec of its own, its flow has that of the source.
        return {
            name: (kind, "transform" if self._is_default(parameter) else parameter)
            for name, (kind, parameter) in super()._models().items()
        }

    def _is_default(self, parameter: str) -> bool:
        return parameter == "target_transform" and self.target_transform is None

    def _initial_maps(
        self,
        backend: Backend,
        event_shape: Shape,
        source_seed: np.random.SeedSequence,
        target_seed: np.random.SeedSequence,
    ) -> dict[str, tuple[Role, Arrays]]:
        target = self.transform_spec if self.target_transform is None else self.target_transform
        initial = {}
        for name, spec, seed in (
            ("transform", self.transform_spec, source_seed),
            ("target_transform", target, target_seed),
        ):
            role, arrays = backend.init(Flow, spec, event_shape, np.random.default_rng(seed))
            initial[name] = dataclasses.replace(role, name=name), arrays
        return initial

    def _flows(
        self, backend: Backend, roles: Mapping[str, Role], arrays: Mapping[str, Arrays]
    ) -> list[Flow]:
        return [
            backend.model(roles[name], arrays[name], self.dtype)
            for name in ("transform", "target_transform")
        ]

    def _composed(self, flows: Sequence[Flow]) -> Composed:
        return Composed(flows, inverted=self._inverted)
