"""Packages that only parts of the library need, imported when these are used."""

from __future__ import annotations

from typing import Any

__all__ = ["import_pot"]


def import_pot() -> Any:
    """POT, Python Optimal Transport.

    POT imports every array library it finds. To spare the seconds this can take, set the
    environment variables ``POT_BACKEND_DISABLE_JAX``, ``..._TENSORFLOW`` or ``..._PYTORCH`` to 1
    before.

    Raises:
        ImportError: it is missing; the message names the extra to install.
    """
    try:
        import ot
    except ImportError as error:
        raise ImportError(
            f"Optimal transport needs POT, which could not be imported ({error}). Run: "
            'pip install "lrmf[ot]"'
        ) from error
    return ot
