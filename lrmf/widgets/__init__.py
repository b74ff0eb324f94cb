"""Pictures with sliders: the theory's closed forms, to be moved by hand.

Each picture has three parts: a *state*, a frozen dataclass that clamps every number to its range; a
pure function from the state to a matplotlib figure; and an :class:`Explorer`, which shows the
figure under a slider for each number of the state. Without ipywidgets, and where the environment
variable ``LRMF_STATIC_WIDGETS`` is set because nobody can move a slider (the pages of the book), an
explorer shows the figure alone.

==========================  =======================  ========================
explorer                    state                    figure
==========================  =======================  ========================
:func:`coupling`            :class:`CouplingState`    :func:`draw_coupling`
:func:`gaussian`            :class:`GaussianState`   :func:`draw_gaussian`
:func:`mixtures`            :class:`MixturesState`   :func:`draw_mixtures`
:func:`seen`                :class:`SeenState`        :func:`draw_seen`
:func:`vanishing_gradient`  :class:`VanishingState`  :func:`draw_vanishing`
==========================  =======================  ========================

matplotlib is imported where it is used: ``pip install "lrmf[notebook]"``.
"""

from lrmf.widgets.coupling_layer import CouplingState, coupling, draw_coupling
from lrmf.widgets.explorer import Explorer, State
from lrmf.widgets.gaussian_case import GaussianState, draw_gaussian, gaussian
from lrmf.widgets.mixture_distance import MixturesState, draw_mixtures, mixtures
from lrmf.widgets.shifted_bells import SeenState, draw_seen, seen
from lrmf.widgets.vanishing import VanishingState, draw_vanishing, vanishing_gradient

__all__ = [
    "CouplingState",
    "Explorer",
    "GaussianState",
    "MixturesState",
    "SeenState",
    "State",
    "VanishingState",
    "coupling",
    "draw_coupling",
    "draw_gaussian",
    "draw_mixtures",
    "draw_seen",
    "draw_vanishing",
    "gaussian",
    "mixtures",
    "seen",
    "vanishing_gradient",
]
