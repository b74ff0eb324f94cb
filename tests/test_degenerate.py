"""Data that no density describes well are named, with the cure; sound data are left alone."""

import re

import numpy as np
import pytest

import lrmf
from lrmf.degenerate import degeneracies
from lrmf.points import Rows
from lrmf.standardization import Standardization, moments

RNG = np.random.default_rng(0)
SOUND = RNG.normal(size=(400, 4))


def lines(x, **options):
    rows = Rows(np.asarray(x))
    return degeneracies(rows, moments(rows), **options)


def changed(feature, values, x=SOUND):
    x = x.copy()
    x[:, feature] = values
    return x


def outliers(count=2):
    x = SOUND.copy()
    x[:count, 2] = 100.0
    return x


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (changed(1, 3.0), "feature 1 is constant, and no density .*: drop it"),
        (changed(1, SOUND[:, 0] * 3 - 7), "features 0 and 1 are linearly dependent .*: drop those"),
        (changed(3, SOUND[:, 0] + SOUND[:, 2]), "features 0, 2 and 3 are linearly dependent"),
        (changed(1, SOUND[:, 1] > 0), "feature 1 is discrete .2 different values among 400.*noise"),
        (changed(1, np.round(SOUND[:, 1])), r"feature 1 is discrete .\d different values"),
        (np.round(SOUND / 2, 1), "features 0, 1, 2 and 3 are discrete .* add noise"),
        (
            changed(2, np.maximum(SOUND[:, 2], 0)),
            "feature 2 is of one value in more than 20% of the points.*: add noise there",
        ),
        (np.repeat(SOUND[:20], 20, axis=0)[:, :3], "discrete .20 different values among 400"),
        (np.repeat(SOUND[:90], 4, axis=0), "only 90 of 360 rows are different.* as sample weight"),
        (outliers(), r"feature 2 is heavy-tailed or with outliers, up to [\d.]+ dev.*: drop or"),
        (changed(0, RNG.standard_cauchy(400)), "feature 0 is heavy-tailed"),
        (
            np.concatenate([changed(1, 2.0), changed(1, 3.0)])[:, [1] * 7 + [0]],
            "features 0, 1, 2, 3, 4 and 2 more are discrete",
        ),
        (RNG.normal(size=(20, 8, 8, 2)) * [1, 0], "feature 1 is constant"),
    ],
)
def test_what_is_wrong_is_named(x, message):
    found = lines(x)
    assert any(re.search(message, line) for line in found), found


@pytest.mark.parametrize(
    "x",
    [
        SOUND,
        SOUND * 1e6 + 1e6,
        SOUND[:5],
        SOUND[:2],
        RNG.lognormal(size=(2000, 2)),
        RNG.standard_t(3, size=(2000, 2)),
        SOUND[RNG.integers(400, size=400)],  # a bootstrap sample
        RNG.normal(size=(30, 64)),  # fewer points than features
        np.round(10 * SOUND[:100]).astype(int),
        lrmf.data.moons(n=300).source * [1, 1e3],
        np.where(np.arange(400)[:, None] < 200, SOUND, SOUND + 50.0)[:, :2],
    ],
)
def test_sound_data_are_left_alone(x):
    assert lines(x) == []


def test_names_and_looks():
    x = changed(1, 3.0)
    assert "feature 1 ('b') is constant" in lines(x, names=list("abcd"))[0]
    assert lines(x, looks=("repeated", "extreme")) == []
    assert lines(np.repeat(SOUND[:90], 4, axis=0), looks=("flat",)) == []


def test_extremes_are_those_of_all_points():
    x = RNG.normal(size=(20_000, 2))
    x[17, 1] = 1e3  # not in the sample
    assert "feature 1 is heavy-tailed" in lines(x)[0]


class TestCasts:
    def test_of_standardised_points(self):
        x = SOUND + 1e9
        assert "cut short in float32" in lines(x, dtype="float32")[0]
        units = Standardization.pooled({"x": moments(Rows(x))})
        assert lines(x, dtype="float32", units=units) == []

    def test_of_integers(self):
        steps = RNG.integers(10**4, size=(500, 2))
        assert lines(2**40 + steps, dtype="float64") == []
        assert 'set dtype="float64"' in lines(2**24 + steps, dtype="float32")[0]
        huge = 2**60 + steps
        assert "subtract what its values have in common" in lines(huge, dtype="float64")[0]
        assert "subtract what its values have in common" in lines(huge, dtype="float32")[0]

    def test_by_outliers(self):
        x = SOUND.copy()
        x[0] = 1e12
        units = Standardization.pooled({"x": moments(Rows(x))})
        found = lines(x, dtype="float32", units=units)
        assert any("heavy-tailed" in line for line in found)
        assert any("cut short in float32" in line for line in found)
