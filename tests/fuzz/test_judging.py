"""What judges samples, surfaces and likelihoods, and what splits them for a search."""

import inspect

import numpy as np
import pytest
from hostile import pairs, points, values
from hypothesis import given, settings, strategies as st
from outcomes import check
from sklearn.linear_model import LogisticRegression
from test_numbers import settings_of, small

import lrmf
from lrmf import selection, surfaces, two_sample

#: Densities with closed forms: others train.
TESTS = {
    "energy_test": (two_sample.energy_test, {}),
    "mmd_test": (two_sample.mmd_test, {}),
    "classifier_test": (two_sample.classifier_test, {"classifier": LogisticRegression()}),
    "likelihood_ratio_test": (two_sample.likelihood_ratio_test, {}),
    "score_test": (two_sample.score_test, {}),
}
ANIMAL = lrmf.data.quadrupeds(n=600).source
OF_MESHES = {name: getattr(surfaces, name) for name in ("edge_stretch", "flipped_faces", "skin")}
FEW = settings(max_examples=max(5, settings().max_examples // 8))


@pytest.mark.parametrize("name", TESTS)
@FEW
@given(data=st.data())
def test_two_sample_tests(name, data):
    function, given_values = TESTS[name]
    names = set(inspect.signature(function).parameters) - {"x", "y", "steps"}
    options = {"n_permutations": 5} | given_values | data.draw(settings_of(names))
    options = small(options, "n_permutations")
    x, y = data.draw(pairs())
    found = check(name, lambda: function(x, y, **options), x, y)
    assert found is None or 0 < found.pvalue <= 1


@given(points(), settings_of(("seed",)))
def test_scores(x, options):
    check("scores", lambda: two_sample.scores(x, **options), x)


@given(pairs(), settings_of(("k",)))
def test_clouds(pair, options):
    x, y = pair
    check("chamfer", lambda: surfaces.chamfer(x, y), x, y)
    check("neighbours_kept", lambda: surfaces.neighbours_kept(x, y, **options), x, y)


@pytest.mark.parametrize("name", OF_MESHES)
@FEW
@given(data=st.data())
def test_skins(name, data):
    moved = data.draw(points(len(ANIMAL.vertices), 3) | points() | values)
    # Vertices that meet are a stretch of minus infinity.
    check(name, lambda: OF_MESHES[name](ANIMAL, moved), moved, finite=False)


@given(points(d=3) | values, values | st.sampled_from(([[0, 1, 2]], [[0, 1, 9]], [[0, 0, 1]])))
def test_meshes(vertices, faces):
    check("Mesh", lambda: lrmf.data.Mesh(vertices=vertices, faces=faces), vertices)


@given(
    points() | values, values | st.sampled_from(((2,), (4, 4, 1), (0,))), settings_of(("levels",))
)
def test_bits(log_prob, shape, options):
    check(
        "bits_per_dimension",
        lambda: lrmf.data.bits_per_dimension(log_prob, shape, **options),
        log_prob,
        finite=False,  # a density may be zero
    )


@given(pairs(), settings_of(("n_splits", "seed"), odd=1))
def test_splits(pair, options):
    split = check("DomainSplit", lambda: selection.DomainSplit(**options))
    stacked = check("stack", lambda: selection.stack(*pair), *pair)
    if split is not None and stacked is not None:
        check("DomainSplit.split", lambda: list(split.split(*stacked)), *stacked)


@pytest.mark.parametrize("name", ["batches", "sensors", "surveys"])
@FEW
@given(data=st.data())
def test_worked_cases(name, data):
    options = small({"n": 40} | data.draw(settings_of(("n", "seed"), odd=0)), "n")
    check(name, lambda: vars(getattr(lrmf.data, name)(**options)))


def test_the_table_of_tests_is_whole():
    public = {name for name in two_sample.__all__ if name.endswith("_test")}
    assert public == set(TESTS)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 2))
    for name, (function, options) in TESTS.items():
        assert check(name, lambda f=function, o=options: f(x, x + 9, n_permutations=9, **o))
