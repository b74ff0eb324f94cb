"""States that clamp their numbers, and the sliders that move them."""

from __future__ import annotations

import base64
import dataclasses
import functools
import html
import importlib.util
import io
import math
import numbers
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from lrmf import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explorer", "State", "number"]

AnyState = TypeVar("AnyState", bound="State")


def number(text: str, start: float, low: float, high: float, step: float) -> Any:
    """Declare a number of a state: what its slider is called, where it starts, range and step."""
    return dataclasses.field(
        default=start, metadata={"text": text, "low": low, "high": high, "step": step}
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """Numbers that are clamped to their ranges; what is not-a-number becomes the start.

    Raises ``TypeError`` for a value that is no real number.

    >>> from lrmf.widgets import GaussianState
    >>> GaussianState(std_a=-1.0).std_a, GaussianState(a=1e9).a, GaussianState(b=math.nan).b
    (0.5, 5.0, 0.0)
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, numbers.Real):
                raise TypeError(f"{field.name} must be a real number, got {value!r}")
            exact = float(value)
            if math.isnan(exact):
                exact = float(field.default)  # type: ignore[arg-type]
            low, high = field.metadata["low"], field.metadata["high"]
            object.__setattr__(self, field.name, float(min(max(exact, low), high)))

    def moved(self: AnyState, **changes: float) -> AnyState:
        """Return the state with other numbers, clamped again."""
        return dataclasses.replace(self, **changes)


class Explorer:
    """A picture and a slider for each number of its state; the last line of a cell shows it.

    Args:
        state: where the sliders start.
        draw: pure function from a state to a figure.
        describe: what one sees in that figure, in words.

    >>> import lrmf
    >>> explorer = lrmf.widgets.seen(gap=3.0)
    >>> isinstance(explorer, lrmf.widgets.Explorer), explorer.state
    (True, SeenState(gap=3.0, spread=1.0))
    >>> explorer.picture()[1:4]
    b'PNG'
    """

    def __init__(
        self, state: State, draw: Callable[[Any], Figure], describe: Callable[[Any], str]
    ) -> None:
        self.state = state
        self._start, self._draw, self._describe = state, draw, describe
        self._following = True

    @property
    def alt(self) -> str:
        """What one sees, in words."""
        return self._describe(self.state)

    def picture(self) -> bytes:
        """Return the figure of the current state as a PNG."""
        buffer = io.BytesIO()
        with plots.style():
            self._draw(self.state).savefig(buffer, format="png")
        return buffer.getvalue()

    @functools.cached_property
    def sliders(self) -> dict[str, Any]:
        """The ipywidgets sliders, by the names of their numbers."""
        import ipywidgets

        made = {}
        for field in dataclasses.fields(self.state):
            made[field.name] = ipywidgets.FloatSlider(
                value=getattr(self.state, field.name),
                min=field.metadata["low"],
                max=field.metadata["high"],
                step=field.metadata["step"],
                description=field.metadata["text"],
                continuous_update=False,
                style={"description_width": "9em"},
                layout=ipywidgets.Layout(width="32em", max_width="98%"),
            )
        return made

    @functools.cached_property
    def box(self) -> Any:
        """The ipywidgets box that holds the sliders, a button to start over, and the picture."""
        import ipywidgets

        button = ipywidgets.Button(description="Start over")
        for slider in self.sliders.values():
            slider.observe(lambda _: self._follow(), names="value")
        button.on_click(lambda _: self._start_over())
        return ipywidgets.VBox([*self.sliders.values(), button, self._view])

    @functools.cached_property
    def _view(self) -> Any:
        import ipywidgets

        return ipywidgets.HTML(value=self._image())

    def _follow(self) -> None:
        if self._following:
            values = {name: slider.value for name, slider in self.sliders.items()}
            self.state = self.state.moved(**values)
            self._view.value = self._image()

    def _start_over(self) -> None:
        self._following = False  # draw once, not for each slider
        for name, slider in self.sliders.items():
            slider.value = getattr(self._start, name)
        self._following = True
        self._follow()

    def _image(self) -> str:
        data = base64.b64encode(self.picture()).decode("ascii")
        style = "max-width: 100%; height: auto"
        alt = html.escape(self.alt)
        return f'<img src="data:image/png;base64,{data}" alt="{alt}" style="{style}">'

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # A page is made from a run that stands for the notebook's too: its sliders must exist.
        box = None if importlib.util.find_spec("ipywidgets") is None else self.box
        if box is None or os.environ.get("LRMF_STATIC_WIDGETS"):
            # Colab's IPython 7 has no Image with a text for those who cannot see it.
            picture = base64.b64encode(self.picture()).decode("ascii")
            texts = {"image/png": {"alt": self.alt}}
            display({"image/png": picture, "text/plain": self.alt}, metadata=texts, raw=True)
        else:
            display(box)
