"""Backends compute with models. `get_backend` imports one when it is asked for."""

from __future__ import annotations

import contextlib
import gc
import importlib
from collections.abc import Iterator

from .base import Backend

__all__ = ["BACKENDS", "Backend", "get_backend"]

BACKENDS = ("jax", "tfp")


def get_backend(name: str) -> Backend:
    """The backend of this name, imported lazily.

    Raises:
        ValueError: there is no backend of this name.
        ImportError: its packages are missing; the message names the install command.

    >>> get_backend("jax").name
    'jax'
    """
    if not isinstance(name, str) or name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; choose one of {BACKENDS}")
    try:
        with _without_collections():
            module = importlib.import_module(f".{name}", __name__)
    except ImportError as error:
        raise ImportError(
            f"the {name!r} backend needs packages that could not be imported ({error}); "
            f'install them with: pip install "lrmf[{name}]"'
        ) from error
    return module.backend


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Import in peace.

    A backend makes some hundred thousand objects that stay, and Python's collector of garbage
    would go through all of them again and again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
