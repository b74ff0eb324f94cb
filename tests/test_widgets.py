"""The widgets: pure pictures, clamped states, sliders that move them, and nothing that raises."""

import base64
import dataclasses
import functools
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from widget_cases import DATA, LABELS, corners, random_states

import lrmf
from lrmf import widgets
from lrmf.widgets.clouds import clouds_numbers
from lrmf.widgets.coupling_layer import coupling_numbers
from lrmf.widgets.descent import descent_numbers
from lrmf.widgets.gaussian_case import gaussian_numbers
from lrmf.widgets.mixture_distance import mixtures_numbers
from lrmf.widgets.shifted_bells import seen_numbers
from lrmf.widgets.vanishing import vanishing_numbers

CASES = {
    "clouds": (
        functools.partial(widgets.clouds, DATA.source, DATA.target, **LABELS),
        widgets.CloudsState,
        functools.partial(widgets.draw_clouds, data=DATA),
    ),
    "coupling": (widgets.coupling, widgets.CouplingState, widgets.draw_coupling),
    "descent": (widgets.descent, widgets.DescentState, widgets.draw_descent),
    "seen": (widgets.seen, widgets.SeenState, widgets.draw_seen),
    "gaussian": (widgets.gaussian, widgets.GaussianState, widgets.draw_gaussian),
    "mixtures": (widgets.mixtures, widgets.MixturesState, widgets.draw_mixtures),
    "vanishing": (widgets.vanishing_gradient, widgets.VanishingState, widgets.draw_vanishing),
}
NUMBERS = {
    "clouds": functools.partial(clouds_numbers, data=DATA),
    "descent": descent_numbers,
    "coupling": coupling_numbers,
    "seen": seen_numbers,
    "gaussian": gaussian_numbers,
    "mixtures": mixtures_numbers,
    "vanishing": vanishing_numbers,
}
every = pytest.mark.parametrize("name", CASES)


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


@every
def test_the_same_state_gives_the_same_picture_and_is_left_alone(name):
    _, state_type, draw = CASES[name]
    state = state_type()
    before = dataclasses.asdict(state)
    first, second = draw(state), draw(state)
    assert first is not second
    assert np.array_equal(pixels(first), pixels(second))
    assert dataclasses.asdict(state) == before


@every
def test_drawing_leaves_no_figure_and_no_setting_behind(name):
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    settings, figures = dict(mpl.rcParams), plt.get_fignums()
    CASES[name][0]().picture()
    assert dict(mpl.rcParams) == settings
    assert plt.get_fignums() == figures


@every
def test_axes_are_labelled(name):
    _, state_type, draw = CASES[name]
    top, bottom = draw(state_type()).axes[:2]
    assert top.get_xlabel()
    assert top.get_ylabel()
    assert bottom.get_xlabel()


@every
def test_numbers_are_clamped_to_their_ranges(name):
    state_type = CASES[name][1]
    for field in dataclasses.fields(state_type):
        low, high = field.metadata["low"], field.metadata["high"]
        for value, expected in (
            (low - 1, low),
            (-math.inf, low),
            (high + 1, high),
            (math.inf, high),
            (math.nan, field.default),
            (np.float32(low), low),
        ):
            assert getattr(state_type(**{field.name: value}), field.name) == pytest.approx(expected)
        assert low <= field.default <= high
        assert field.metadata["text"]


@pytest.mark.parametrize("value", ["1", None, [1.0], 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="mu must be a real number, got"):
        widgets.VanishingState(mu=value)


@every
def test_a_state_cannot_be_changed(name):
    state = CASES[name][1]()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(state, dataclasses.fields(state)[0].name, 1.0)


# Warnings are errors in these tests.


@every
def test_no_corner_of_the_ranges_raises_or_warns(name):
    for state in corners(CASES[name][1]):
        values = NUMBERS[name](state)
        assert all(np.isfinite(value) for value in values if isinstance(value, float))


@every
def test_far_states_can_be_drawn_and_described(name):
    explorer, state_type, _ = CASES[name]
    states = [*list(corners(state_type))[::21], *random_states(state_type, 2)]
    for state in states:
        made = explorer(**dataclasses.asdict(state))
        assert made.state == state
        assert made.picture().startswith(b"\x89PNG")
        assert not re.search(r"\b(nan|inf)\b", made.alt)
        assert len(made.alt) > 80


@every
def test_every_slider_moves_its_number_and_the_picture(name):
    made = CASES[name][0]()
    made.box  # noqa: B018  (builds the sliders and their reactions)
    assert set(made.sliders) == {field.name for field in dataclasses.fields(made.state)}
    for field in dataclasses.fields(made.state):
        slider, before = made.sliders[field.name], made._view.value
        target = 0.5 * (slider.value + slider.max)
        slider.value = target
        assert getattr(made.state, field.name) == pytest.approx(target)
        assert made._view.value != before
        assert slider.description


@every
def test_start_over_goes_back_to_the_start(name):
    made = CASES[name][0]()
    start, first = made.state, made._view.value
    button = made.box.children[-2]
    slider = next(iter(made.sliders.values()))
    slider.value = slider.max
    assert made.state != start
    button.click()
    assert made.state == start
    assert made._view.value == first


@every
def test_the_live_picture_has_a_text_for_those_who_do_not_see_it(name):
    made = CASES[name][0]()
    assert made._view.value.startswith('<img src="data:image/png;base64,')
    assert 'alt="' in made._view.value
    assert made.alt.split(",")[0] in made._view.value


def shown(monkeypatch, made):
    """What a cell that ends with the explorer displays."""
    displayed = []

    def display(thing, **options):
        displayed.append((thing, options) if options else thing)

    monkeypatch.setattr("IPython.display.display", display)
    made._ipython_display_()
    (thing,) = displayed
    return thing


def assert_still(thing, made):
    """The picture alone, with its text where pages and terminals look for it."""
    bundle, options = thing
    assert base64.b64decode(bundle["image/png"]) == made.picture()
    assert bundle["text/plain"] == made.alt
    assert options == {"metadata": {"image/png": {"alt": made.alt}}, "raw": True}


def test_a_live_notebook_shows_the_sliders(monkeypatch):
    monkeypatch.delenv("LRMF_STATIC_WIDGETS", raising=False)
    made = widgets.gaussian()
    assert shown(monkeypatch, made) is made.box


def test_a_static_page_shows_a_picture(monkeypatch):
    monkeypatch.setenv("LRMF_STATIC_WIDGETS", "1")
    made = widgets.gaussian()
    assert_still(shown(monkeypatch, made), made)


def test_without_ipywidgets_there_is_a_picture(monkeypatch):
    monkeypatch.delenv("LRMF_STATIC_WIDGETS", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    made = widgets.vanishing_gradient(mu=12.0)
    assert_still(shown(monkeypatch, made), made)


def test_importing_the_widgets_loads_neither_ipywidgets_nor_matplotlib():
    code = (
        "import sys, lrmf; lrmf.widgets.GaussianState();"
        "print([name for name in ('ipywidgets', 'matplotlib', 'jax', 'tensorflow')"
        " if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    assert lrmf.widgets is widgets
