"""The command behind the saved results of the chapter on learned densities."""

import json

import numpy as np
import pytest

from book.results.learned_density.__main__ import FOLDER
from book.results.learned_density.experiments import ARMS, compute, runs
from book.results.runner import rounded


def test_the_saved_runs_are_those_that_the_command_makes():
    saved = json.loads((FOLDER / "runs.json").read_text(encoding="utf8"))["runs"]
    planned = {run.name: rounded(run.settings) for run in runs()}
    assert {name: run["settings"] for name, run in saved.items()} == planned
    assert list(saved) == list(planned)


def test_a_run_compares_three_ways_from_the_same_start():
    numbers, arrays = compute(seed=0, shift=6.0, arms=ARMS, rates=(1e-9,), steps=2)
    ways = [numbers[arm]["1e-09"] for arm in ARMS]
    assert not arrays
    # Two steps of no length: the map of each way is still the identity, and A is far away.
    assert {way["accuracy"] for way in ways} == {numbers["accuracy_before"]}
    assert {way["outcome"] for way in ways} == {"finished"}
    assert all(way["lrd"] > 0.3 for way in ways)
    # The densities of the last two are at the start that they share.
    assert ways[1]["loss"] == pytest.approx(ways[2]["loss"], rel=1e-4)
    assert np.isfinite(ways[0]["loss"])
