"""Draw a wrong answer against the right values."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_sweep"]


def draw_sweep(
    at: NDArray[np.float64],
    got: NDArray[np.float64],
    wanted: NDArray[np.float64],
    argument: str,
    name: str,
    mark: Any,
) -> tuple[bytes, str]:
    """Draw both curves over one argument, all others as in the failing case; PNG and its text."""
    if importlib.util.find_spec("matplotlib") is None or not np.isfinite(wanted).any():
        return b"", ""
    from matplotlib.figure import Figure

    from lrmf import plots

    with plots.style():
        figure = Figure(figsize=(5.2, 2.8), layout="constrained")
        ax = figure.subplots()
        ax.plot(at, wanted, color=plots.COLORS["reference"], linewidth=4, alpha=0.5, label="right")
        ax.plot(at, got, "--", color=plots.COLORS["highlight"], label="yours")
        if mark is not None:
            ax.axvline(float(mark), color=plots.COLORS["reference"], linestyle=":")
        ax.set(xlabel=argument, ylabel=name)
        ax.legend()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue(), (
        f"Two curves over {argument}: the right values of {name} in grey, yours dashed in orange."
    )
