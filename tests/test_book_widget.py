"""The page's own script for the Gaussian case, run under Node and held against the library."""

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
from lrmf.widgets import GaussianState
from lrmf.widgets.gaussian_case import gaussian_numbers
from lrmf.widgets.panels import bells, log_density, signed

SCRIPT = ROOT / "book" / "_static" / "gaussian_widget.js"
call = partial(javascript.call, SCRIPT)


def states(n, *, beyond=0.0, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield {
            field.name: rng.uniform(field.metadata["low"] - beyond, field.metadata["high"] + beyond)
            for field in dataclasses.fields(GaussianState)
        }


def test_the_script_computes_what_the_library_computes():
    given = list(states(2000))
    results = call(*(["numbers", state] for state in given))
    for state, theirs in zip(given, results, strict=True):
        ours = gaussian_numbers(GaussianState(**state))._asdict()
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
    given = list(states(500, beyond=3.0))
    for state, theirs in zip(given, call(*(["clamp", s] for s in given)), strict=True):
        assert theirs == dataclasses.asdict(GaussianState(**state))
    nothing, wrong = call(["clamp", {}], ["clamp", {"a": "2", "b": None, "std_a": 1e9}])
    assert nothing == dataclasses.asdict(GaussianState())
    assert wrong == dataclasses.asdict(GaussianState(std_a=1e9))


def test_the_sliders_are_those_of_the_library():
    (controls,) = call(["CONTROLS"])
    for control, field in zip(controls, dataclasses.fields(GaussianState), strict=True):
        expected = {"name": field.name, "start": field.default, **field.metadata}
        assert control == expected


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
        ranges, call(*(["ticks", *row, 6] for row in ranges)), strict=True
    ):
        assert 2 <= len(values) <= 7 or high - low < 0.1
        steps = np.diff(values)
        assert np.allclose(steps, steps[0])
        assert low - 1e-9 <= values[0]
        assert values[-1] <= high + 1e-9
        assert f"{steps[0]:.0e}"[0] in "125"


def test_the_script_writes_numbers_like_the_library():
    given = [0.25, -0.25, 0.0, -0.0, 1e-9, -1e-9, 12.345, -7.0]
    results = call(*(["signed", value, 2] for value in given))
    assert results == [signed(value, 2) for value in given]


def test_the_script_stands_where_the_pages_have_the_picture():
    (figures,) = call(["FIGURES"])
    pages = ("likelihood_ratio/gaussian.md", "course/student/gaussian.md")
    for figure, page in zip(figures, pages, strict=True):
        text = (ROOT / "book" / page).read_text(encoding="utf8")
        assert text.count(f"    name: {figure}\n") == 1
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    settings = config["sphinx"]["config"]
    assert [SCRIPT.name, {"defer": "defer"}] in settings["html_js_files"]
    assert SCRIPT.with_suffix(".css").name in settings["html_css_files"]


def test_the_script_needs_no_other_host():
    text = SCRIPT.read_text(encoding="utf8")
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
    (event, handler), _ = app.connected
    assert event == "config-inited"
    handler(app, None)
    assert [listener.id for listener in app.events.listeners["doctree-resolved"]] == [0, 2]
