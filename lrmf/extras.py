"""Packages that only parts of the library need, imported when these are used."""

from __future__ import annotations

from typing import Any

__all__ = ["import_marching_cubes", "import_pot", "import_trimesh"]


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


def import_trimesh() -> Any:
    """trimesh, for files, samples and neighbours of triangle meshes.

    Raises:
        ImportError: it is missing; the message names the extra to install.
    """
    try:
        import trimesh
    except ImportError as error:
        raise ImportError(_no_meshes("trimesh", error)) from error
    return trimesh


def import_marching_cubes() -> Any:
    """scikit-image's ``marching_cubes``, which finds the surface where a function is zero.

    Raises:
        ImportError: it is missing; the message names the extra to install.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError as error:
        raise ImportError(_no_meshes("scikit-image", error)) from error
    return marching_cubes


def _no_meshes(package: str, error: ImportError) -> str:
    return (
        f"Meshes need {package}, which could not be imported ({error}). Run: "
        'pip install "lrmf[meshes]"'
    )
