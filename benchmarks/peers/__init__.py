"""The implementations that are timed against each other, all behind `Peer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Protocol

from benchmarks.workload import Arrays, Batches, Data, Losses, Workload

__all__ = ["PEERS", "Entry", "Peer", "available", "build"]


class Peer(Protocol):
    """One training run, resumed by every call of `step`."""

    @property
    def parameters(self) -> int:
        """How many numbers are trained, counted in the peer's own variables."""

    def step(self, batches: Batches) -> Losses:
        """Take one step a row of `batches`; return each step's loss before its update."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where a peer lives and what the report says of it.

    `chunk` is the number of steps between two looks at the clock: for `lrmf`, the length of
    the compiled chunk that its fit uses by default.
    """

    module: str
    requires: tuple[str, ...]
    description: str
    chunk: int = 10
    options: Mapping[str, str] = field(default_factory=dict)


PEERS: Mapping[str, Entry] = MappingProxyType(
    {
        "lrmf-jax": Entry(
            module="ours",
            requires=("jax", "optax"),
            description="lrmf, JAX backend",
            chunk=100,
            options={"backend": "jax"},
        ),
        "lrmf-tfp": Entry(
            module="ours",
            requires=("tensorflow_probability", "tf_keras"),
            description="lrmf, TFP backend",
            chunk=100,
            options={"backend": "tfp"},
        ),
        "tfp-loop": Entry(
            module="tfp_loop",
            requires=("tensorflow_probability", "tf_keras"),
            description="plain TFP, one tf.function call a step",
        ),
        "normflows": Entry(
            module="normflows_loop",
            requires=("torch", "normflows"),
            description="normflows (PyTorch), eager loop",
        ),
        "zuko": Entry(
            module="zuko_loop",
            requires=("torch", "zuko"),
            description="zuko (PyTorch), eager loop",
        ),
    }
)


def available(name: str) -> bool:
    """Whether everything that the peer needs is installed (nothing is imported)."""
    return all(find_spec(package) is not None for package in PEERS[name].requires)


def build(
    name: str, workload: Workload, *, arrays: tuple[Arrays, Arrays], data: tuple[Data, Data]
) -> Peer:
    """Build the peer `name` with T and S at `arrays`, ready to take steps on `data`.

    Raises:
        ValueError: If no peer has that name.
    """
    if name not in PEERS:
        raise ValueError(f"unknown peer {name!r}; choose from {', '.join(PEERS)}.")
    entry = PEERS[name]
    module = import_module(f"benchmarks.peers.{entry.module}")
    peer: Peer = module.build(workload, arrays=arrays, data=data, **entry.options)
    return peer
