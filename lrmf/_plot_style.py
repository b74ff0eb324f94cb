"""The look of the book's figures: one set of colours, and what every axis gets."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLORS", "RC", "label_axes", "style", "use_style"]

# Blue, red and cyan of Paul Tol's "vibrant" scheme: they stay apart in every common form of
# colour blindness, and in grey the cyan is much lighter than the blue.
COLORS: dict[str, str] = {
    "source": "#0077BB",
    "target": "#CC3311",
    "transformed": "#33BBEE",
    "shared": "#555555",
    "reference": "#222222",
    "highlight": "#EE7733",
}

# An opaque white card: the page around a figure may turn dark, the figure never does, so black
# text on it stays legible without a second picture.
RC: dict[str, Any] = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "axes.edgecolor": "#555555",
    "xtick.color": "#222222",
    "ytick.color": "#222222",
    "figure.figsize": (6.4, 4.0),
    "figure.dpi": 120,
    "savefig.dpi": 120,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "#DDDDDD",
}


def style() -> AbstractContextManager[None]:
    """Return a context manager: figures made inside it follow the book's style (:data:`RC`).

    >>> with style():
    ...     import matplotlib
    ...     matplotlib.rcParams["figure.facecolor"]
    'white'
    """
    return _matplotlib().rc_context(RC)


def use_style() -> None:
    """Make the book's style (:data:`RC`) the default for the rest of the notebook.

    >>> import lrmf
    >>> import matplotlib
    >>> with matplotlib.rc_context():
    ...     lrmf.plots.use_style()
    ...
    """
    _matplotlib().rcParams.update(RC)


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            'Figures need matplotlib, which is not installed. Run: pip install "lrmf[notebook]"'
        ) from error
    return matplotlib


def label_axes(ax: Axes, x: str, y: str) -> None:
    if not ax.get_xlabel():
        ax.set_xlabel(x)
    if not ax.get_ylabel():
        ax.set_ylabel(y)
