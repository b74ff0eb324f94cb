"""What the figures of :mod:`lrmf.plots` need before anything is drawn: checked data and grids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Extent",
    "history_columns",
    "plane_grid",
    "plane_points",
    "rows_by_label",
    "running_mean",
    "shades",
]

Extent = tuple[float, float, float, float]
"""A plotting window ``(x_min, x_max, y_min, y_max)``."""


def plane_points(points: ArrayLike, *, name: str) -> NDArray[np.float64]:
    array = np.asarray(points, dtype=float)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) == 0:
        raise ValueError(
            f"expected {name} of shape (n, 2), at least one point, got {array.shape}; for data of "
            "more features choose two of them, e.g. x[:, :2]."
        )
    return array


def rows_by_label(labels: ArrayLike | None, n: int, *, name: str) -> list[NDArray[np.bool_]]:
    if labels is None:
        return [np.ones(n, dtype=bool)]
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"expected {n} labels for {name}, shape ({n},), got {array.shape}.")
    return [array == value for value in np.unique(array)]


def plane_grid(
    extent: Extent, resolution: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    x_min, x_max, y_min, y_max = extent
    if not (x_min < x_max and y_min < y_max):
        raise ValueError(
            f"extent must be (x_min, x_max, y_min, y_max) with min < max, got {tuple(extent)}."
        )
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2 grid points an axis, got {resolution}.")
    grid_x, grid_y = np.meshgrid(
        np.linspace(x_min, x_max, resolution), np.linspace(y_min, y_max, resolution)
    )
    return grid_x, grid_y, np.stack([grid_x.ravel(), grid_y.ravel()], axis=1)


def shades(color: str, count: int) -> list[tuple[float, float, float]]:
    from matplotlib.colors import to_rgb

    full = np.asarray(to_rgb(color))
    strengths = np.linspace(0.12, 0.9, count) if count > 1 else np.array([0.5])
    return [tuple(float(c) for c in 1 - s * (1 - full)) for s in strengths]  # type: ignore[misc]


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    if len(values) == 0:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)


def history_columns(
    history: Mapping[str, ArrayLike], step: str, loss: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    missing = [key for key in (step, loss) if key not in history]
    if missing:
        raise ValueError(
            f"the history has no {missing[0]!r} (it has {sorted(history)}); pass model.history_ "
            "of a fitted model."
        )
    columns = tuple(np.asarray(history[key], dtype=float) for key in (step, loss))
    if columns[0].ndim != 1 or columns[0].shape != columns[1].shape or columns[0].size == 0:
        raise ValueError(
            f"{step!r} and {loss!r} must be one-dimensional, of equal length and not empty, got "
            f"{columns[0].shape} and {columns[1].shape}."
        )
    return columns[0], columns[1]
