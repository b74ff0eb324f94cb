"""The pages' own scripts for pictures that move, run under Node and held against the library."""

import dataclasses
import math
import os
import re
import runpy
import shutil
from functools import partial
from pathlib import Path

import javascript
import numpy as np
import pytest
import yaml

from book.machinery.config import ROOT
from lrmf.widgets import CouplingState, GaussianState, coupling
from lrmf.widgets.coupling_layer import coupling_numbers, image
from lrmf.widgets.gaussian_case import gaussian_numbers
from lrmf.widgets.panels import bells, log_density, signed

STATIC = ROOT / "book" / "_static"
SHARED = STATIC / "sliders.js"
GAUSSIAN, COUPLING = STATIC / "gaussian_widget.js", STATIC / "coupling_widget.js"
SCRIPTS = {
    GAUSSIAN: (GaussianState, gaussian_numbers),
    COUPLING: (CouplingState, coupling_numbers),
}
FIGURES = {
    GAUSSIAN: ["likelihood_ratio/gaussian.md", "course/student/gaussian.md"],
    COUPLING: ["course/student/flows.md"],
}
call, shared = partial(javascript.call, GAUSSIAN), partial(javascript.call, SHARED)
every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def states(n, kind=GaussianState, *, beyond=0.0, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield {
            field.name: rng.uniform(field.metadata["low"] - beyond, field.metadata["high"] + beyond)
            for field in dataclasses.fields(kind)
        }


@every_script
def test_a_script_computes_what_the_library_computes(script):
    kind, numbers = SCRIPTS[script]
    given = list(states(2000, kind))
    results = javascript.call(script, *(["numbers", state] for state in given))
    for state, theirs in zip(given, results, strict=True):
        ours = numbers(kind(**state))._asdict()
        assert theirs.keys() == ours.keys()
        for name, value in ours.items():
            # Where the library subtracts two numbers of size one, their rounding stays.
            assert theirs[name] == pytest.approx(value, rel=1e-9, abs=1e-13), name


def test_the_script_is_exact_near_the_optimum():
    """log cosh and log(1 + x) of small numbers, against their series."""
    for ratio in (1e-3, 1e-5):
        state = {"mean_a": 0.0, "std_a": 1.0, "mean_b": 0.0, "std_b": 1.0, "b": 0.0}
        (result,) = call(["numbers", {**state, "a": math.exp(ratio)}])
        assert result["spread"] == pytest.approx(ratio**2 / 2, rel=1e-4, abs=1e-16)
        (result,) = call(["numbers", {**state, "a": 1.0, "b": ratio}])
        assert result["location"] == pytest.approx(math.log1p(ratio**2 / 4), rel=1e-9)


def test_the_script_clamps_like_the_library():
    (controls,) = call(["CONTROLS"])
    given = list(states(500, beyond=3.0))
    for state, theirs in zip(given, shared(*(["clamp", controls, s] for s in given)), strict=True):
        assert theirs == dataclasses.asdict(GaussianState(**state))
    wrong = {"a": "2", "b": None, "std_a": 1e9}
    nothing, mended = shared(["clamp", controls, {}], ["clamp", controls, wrong])
    assert nothing == dataclasses.asdict(GaussianState())
    assert mended == dataclasses.asdict(GaussianState(std_a=1e9))


@every_script
def test_the_sliders_are_those_of_the_library(script):
    (controls,) = javascript.call(script, ["CONTROLS"])
    for control, field in zip(controls, dataclasses.fields(SCRIPTS[script][0]), strict=True):
        expected = {"name": field.name, "start": field.default, **field.metadata}
        assert control == expected


def test_the_script_moves_a_grid_like_the_library():
    rng = np.random.default_rng(0)
    given = [(state, *rng.uniform(-1.5, 1.5, size=2)) for state in states(200, CouplingState)]
    results = javascript.call(COUPLING, *(["image", *map(_plain, row)] for row in given))
    for (state, first, second), theirs in zip(given, results, strict=True):
        assert theirs == pytest.approx(float(image(CouplingState(**state), first, second)))


def _plain(value):
    return value if isinstance(value, dict) else float(value)


def test_the_script_says_what_the_library_says_of_a_layer():
    given = [*states(50, CouplingState), dataclasses.asdict(CouplingState(scale=0.0, shift=0.0))]
    numbers = javascript.call(COUPLING, *(["numbers", state] for state in given))
    for name in ("describe", "describeLine"):
        said = javascript.call(
            COUPLING, *([name, state, n] for state, n in zip(given, numbers, strict=True))
        )
        for state, text in zip(given, said, strict=True):
            assert text.replace("The log-d", "the log-d") in coupling(**state).alt


def test_colours_of_cells_end_where_the_picture_s_do():
    (most,) = javascript.call(COUPLING, ["color", 2.5])
    results = javascript.call(COUPLING, *(["color", v] for v in (-9.0, -2.5, 0.0, 2.5, 9.0)))
    assert results[0] == results[1] == "rgb(33, 102, 172)"  # blue: squeezed
    assert results[2] == "rgb(247, 247, 247)"
    assert results[3] == results[4] == most == "rgb(178, 24, 43)"  # red: stretched


def test_the_script_draws_the_same_densities():
    rng = np.random.default_rng(0)
    given = [
        (float(x), float(mean), float(std))
        for x, mean, std in zip(
            rng.normal(size=200), rng.normal(size=200), np.exp(rng.normal(size=200)), strict=True
        )
    ]
    for (x, mean, std), theirs in zip(
        given, call(*(["density", *row] for row in given)), strict=True
    ):
        assert theirs == pytest.approx(
            float(np.exp(log_density(x, bells(mean, std)))), rel=1e-9, abs=1e-300
        )


def test_the_ticks_are_round_and_cover_the_range():
    rng = np.random.default_rng(0)
    ranges = [(float(low), float(low + width)) for low, width in 50 * rng.random((200, 2)) + 0.01]
    for (low, high), values in zip(
        ranges, shared(*(["ticks", *row, 6] for row in ranges)), strict=True
    ):
        assert 2 <= len(values) <= 7 or high - low < 0.1
        steps = np.diff(values)
        assert np.allclose(steps, steps[0])
        assert low - 1e-9 <= values[0]
        assert values[-1] <= high + 1e-9
        assert f"{steps[0]:.0e}"[0] in "125"


def test_the_script_writes_numbers_like_the_library():
    given = [0.25, -0.25, 0.0, -0.0, 1e-9, -1e-9, 12.345, -7.0]
    results = shared(*(["signed", value, 2] for value in given))
    assert results == [signed(value, 2) for value in given]


@every_script
def test_a_script_stands_where_the_pages_have_the_picture(script):
    (figures,) = javascript.call(script, ["FIGURES"])
    for figure, page in zip(figures, FIGURES[script], strict=True):
        text = (ROOT / "book" / page).read_text(encoding="utf8")
        assert text.count(f"    name: {figure}\n") == 1


def test_the_pages_load_the_scripts_in_their_order():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    settings = config["sphinx"]["config"]
    loaded = [entry for entry in settings["html_js_files"] if entry[0] != "reading.js"]
    assert loaded == [[path.name, {"defer": "defer"}] for path in (SHARED, *SCRIPTS)]
    assert "sliders.css" in settings["html_css_files"]


@pytest.mark.parametrize("script", [SHARED, *SCRIPTS], ids=lambda path: path.stem)
def test_a_script_needs_no_other_host(script):
    text = script.read_text(encoding="utf8")
    addresses = set(re.findall(r"https?://[^\s\"'`]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert len(text) < 20_000


def test_without_node_the_skip_can_be_seen_and_ci_fails(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no Node\.js here"):
        javascript.node()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"install Node\.js"):
        javascript.node()
    assert "export CI=" in (ROOT / ".ci" / "run").read_text(encoding="utf8")


class App:
    """As much of Sphinx as the extension touches."""

    class Events:
        def __init__(self):
            self.listeners = {"env-before-read-docs": [], "doctree-resolved": []}

    class Listener:
        def __init__(self, number, module):
            self.id = number
            self.handler = lambda: None
            self.handler.__module__ = module

    def __init__(self):
        self.events = self.Events()
        self.connected = []

    def connect(self, event, handler):
        self.connected.append((event, handler))

    def disconnect(self, number):
        for listeners in self.events.listeners.values():
            listeners[:] = [listener for listener in listeners if listener.id != number]


def test_the_build_asks_for_pictures_and_drops_thebe(monkeypatch):
    monkeypatch.setenv("LRMF_STATIC_WIDGETS", "")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    folder = config["sphinx"]["local_extensions"]["static_pages"]
    extension = runpy.run_path(str(Path(ROOT) / folder / "static_pages.py"))
    app = App()
    modules = ["myst_nb.render", "sphinx_thebe", "sphinx_book_theme"]
    app.events.listeners["doctree-resolved"] += [
        App.Listener(k, module) for k, module in enumerate(modules)
    ]
    extension["setup"](app)
    assert os.environ["LRMF_STATIC_WIDGETS"] == "1"
    events, handlers = zip(*app.connected, strict=True)
    assert events == ("config-inited", "config-inited", "builder-inited")
    handler = handlers[0]
    handler(app, None)
    assert [listener.id for listener in app.events.listeners["doctree-resolved"]] == [0, 2]
