"""Pictures with sliders: the theory's closed forms, to be moved by hand.

Each picture has three parts: a *state*, a frozen dataclass that clamps every number to its range; a
pure function from the state to a matplotlib figure; and an :class:`Explorer`, which shows the
figure under a slider for each number of the state. Without ipywidgets, and where the environment
variable ``LRMF_STATIC_WIDGETS`` is set because nobody can move a slider (the pages of the book), an
explorer shows the figure alone. One explorer is made from data, two arrays; its figure is a
function of a state and of these.

==========================  =======================  ========================
explorer                    state                    figure
==========================  =======================  ========================
:func:`clouds`              :class:`CloudsState`      :func:`draw_clouds`
:func:`coupling`            :class:`CouplingState`    :func:`draw_coupling`
:func:`descent`             :class:`DescentState`     :func:`draw_descent`
:func:`gaussian`            :class:`GaussianState`   :func:`draw_gaussian`
:func:`mixtures`            :class:`MixturesState`   :func:`draw_mixtures`
:func:`seen`                :class:`SeenState`        :func:`draw_seen`
:func:`vanishing_gradient`  :class:`VanishingState`  :func:`draw_vanishing`
==========================  =======================  ========================

matplotlib is imported where it is used: ``pip install "lrmf[notebook]"``.
"""

from lrmf.widgets.clouds import Clouds, CloudsState, clouds, draw_clouds
from lrmf.widgets.coupling_layer import CouplingState, coupling, draw_coupling
from lrmf.widgets.descent import DescentState, descent, draw_descent
from lrmf.widgets.explorer import Explorer, State
from lrmf.widgets.gaussian_case import GaussianState, draw_gaussian, gaussian
from lrmf.widgets.mixture_distance import MixturesState, draw_mixtures, mixtures
from lrmf.widgets.shifted_bells import SeenState, draw_seen, seen
from lrmf.widgets.vanishing import VanishingState, draw_vanishing, vanishing_gradient

__all__ = [
    "Clouds",
    "CloudsState",
    "CouplingState",
    "DescentState",
    "Explorer",
    "GaussianState",
    "MixturesState",
    "SeenState",
    "State",
    "VanishingState",
    "clouds",
    "coupling",
    "descent",
    "draw_clouds",
    "draw_coupling",
    "draw_descent",
    "draw_gaussian",
    "draw_mixtures",
    "draw_seen",
    "draw_vanishing",
    "gaussian",
    "mixtures",
    "seen",
    "vanishing_gradient",
]
