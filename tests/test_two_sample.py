"""Two-sample tests: their level and power, how they calibrate, and what they refuse."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

import lrmf
from lrmf.fitting import fit
from lrmf.two_sample import (
    TwoSampleTest,
    classifier_test,
    energy_test,
    likelihood_ratio_test,
    mmd_test,
    score_test,
)

TESTS = {
    "mmd": mmd_test,
    "energy": energy_test,
    "classifier": lambda x, y, **o: classifier_test(x, y, classifier=LogisticRegression(), **o),
    "likelihood-ratio": likelihood_ratio_test,
    "score": score_test,
}
every_test = pytest.mark.parametrize("name", TESTS)


def pair(seed, *, shift=0.0, n=40, d=2):
    x, y = np.random.default_rng(seed).normal(size=(2, n, d))
    return x, y + shift


@every_test
def test_level(name):
    found = [TESTS[name](*pair(s), n_permutations=39, seed=s).pvalue for s in range(60)]
    # At the level 1/4 at most 15 of 60 are expected; 25 have a chance of 0.2 %.
    assert np.mean(np.array(found) <= 0.25) < 25 / 60
    assert np.mean(found) > 0.4


@every_test
def test_power(name):
    found = [TESTS[name](*pair(s, shift=1.0), n_permutations=39, seed=s) for s in range(5)]
    assert all(isinstance(result, TwoSampleTest) for result in found)
    assert all(result.pvalue == 1 / 40 for result in found[:4])
    assert all("39 relabellings" in result.how for result in found)


@every_test
def test_numbers_on_the_line_and_other_units(name):
    x, y = pair(0, shift=0.4, d=1)
    first = TESTS[name](x[:, 0], y[:, 0], n_permutations=99)
    other = TESTS[name](1e3 * x + 5e3, 1e3 * y + 5e3, n_permutations=99)
    if name != "classifier":  # whose penalty has units
        assert first.pvalue == pytest.approx(other.pvalue, abs=0.021)


def test_a_classifier_that_learns_by_heart_raises_no_alarms():
    nearest = KNeighborsClassifier(1)
    found = [
        classifier_test(*pair(s), classifier=nearest, n_permutations=39, seed=s).pvalue
        for s in range(20)
    ]
    assert np.mean(np.array(found) <= 0.05) < 6 / 20  # a chance of 0.03 % at the level


def test_the_likelihood_ratio_is_that_of_scipys_densities():
    x, y = pair(1, shift=0.3)

    def best(z):
        law = stats.multivariate_normal(z.mean(axis=0), np.cov(z.T, bias=True))
        return law.logpdf(z).sum()

    expected = 2 * (best(x) + best(y) - best(np.concatenate([x, y])))
    found = likelihood_ratio_test(x, y, null="chi2")
    assert found.statistic == pytest.approx(expected, rel=1e-9)
    assert found.pvalue == pytest.approx(stats.chi2(5).sf(expected), rel=1e-9)
    assert found.how == "chi-squared law, 5 degrees"


def test_near_the_null_the_score_statistic_is_the_likelihood_ratio():
    x, y = pair(2, n=4000)
    score = score_test(x, y, null="chi2")
    ratio = likelihood_ratio_test(x, y, null="chi2")
    assert score.statistic == pytest.approx(ratio.statistic, rel=0.05)
    assert score.how == ratio.how


def test_the_score_statistic_does_not_depend_on_coordinates():
    x, y = pair(3, shift=0.5)
    matrix = np.array([[2.0, 0.3], [-1.0, 0.7]])
    one = score_test(x, y, null="chi2", ridge=0.0).statistic
    other = score_test(x @ matrix, y @ matrix, null="chi2", ridge=0.0).statistic
    assert one == pytest.approx(other, rel=1e-8)


def test_a_flows_scores_see_what_moments_do_not():
    rng = np.random.default_rng(4)
    angle = rng.uniform(0.0, 2.0 * np.pi, size=150)
    ring = np.sqrt(2.0) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    cloud = rng.normal(size=(150, 2))
    flow = lrmf.RealNVP(blocks=2, hidden=(8,))
    options = {"n_permutations": 99, "density": flow, "steps": 200}
    assert score_test(cloud, ring, **options).pvalue == 0.01
    assert score_test(cloud, rng.normal(size=(150, 2)), **options).pvalue > 0.05
    assert score_test(cloud[:, :1], ring[:, :1] * 0 + cloud[:, 1:], n_permutations=19).pvalue > 0.05


class TestBadInput:
    @every_test
    @pytest.mark.parametrize(
        ("x", "y", "error", "message"),
        [
            (None, np.zeros((5, 2)), TypeError, "x is missing"),
            (np.zeros((1, 2)), np.zeros((5, 2)), ValueError, "x has only 1 row"),
            (np.eye(5), np.zeros((5, 2)), ValueError, "expected y with 5 features like x, got 2"),
            (np.full((5, 2), np.nan), np.eye(5, 2), ValueError, "x holds 10 NaN"),
        ],
    )
    def test_data(self, name, x, y, error, message):
        with pytest.raises(error, match=message):
            TESTS[name](x, y)

    @every_test
    def test_relabellings_and_seeds(self, name):
        for value in (0, 1.5, None):
            with pytest.raises(ValueError, match="n_permutations must be a positive integer"):
                TESTS[name](*pair(0), n_permutations=value)
        with pytest.raises(ValueError, match="seed must be a non-negative integer"):
            TESTS[name](*pair(0), seed=-1)

    def test_of_the_classifier(self):
        with pytest.raises(TypeError, match=r"must have fit and predict_proba.*got LinearSVC"):
            classifier_test(*pair(0), classifier=LinearSVC())
        with pytest.raises(ValueError, match="splits the 3 points of x into 1 and 2; both parts"):
            classifier_test(*pair(0, n=3))
        with pytest.raises(ValueError, match=r"held_out must lie in \[0, 1\)"):
            classifier_test(*pair(0), held_out=1.0)

    def test_of_the_likelihood_ratio(self):
        with pytest.raises(
            TypeError, match=r"takes a closed form: .*got RealNVP.*score_test takes"
        ):
            likelihood_ratio_test(*pair(0), density=lrmf.RealNVP())
        with pytest.raises(ValueError, match=r"x has 4 points of 5 features.*has no maximum"):
            likelihood_ratio_test(*pair(0, n=4, d=5))
        x, y = pair(0)
        with pytest.raises(ValueError, match=r"a feature of [xy] is a function of others"):
            likelihood_ratio_test(x[:, [0, 0]], y[:, [0, 0]])
        for null in ("wilks", np.array(["chi2", "chi2"])):
            with pytest.raises(ValueError, match="null must be 'permutation' or 'chi2', got "):
                likelihood_ratio_test(x, y, null=null)

    def test_of_the_score(self):
        with pytest.raises(TypeError, match=r"density must be Gaussian\(\) or the spec of a flow"):
            score_test(*pair(0), density="normal")
        with pytest.raises(ValueError, match="no chi-squared law holds for a flow"):
            score_test(*pair(0), density=lrmf.RealNVP(), null="chi2")
        with pytest.raises(ValueError, match="needs more points than the 20 parameters, got 12"):
            score_test(*pair(0, n=6, d=5), null="chi2")
        with pytest.raises(ValueError, match=r"ridge must lie in \[0, 1\)"):
            score_test(*pair(0), ridge=-1.0)
        with pytest.raises(ValueError, match="steps must be a positive integer"):
            score_test(*pair(0), steps=0)


@pytest.mark.parametrize("name", ["likelihood-ratio", "score"])
def test_no_feature_is_too_small_to_be_seen(name):
    x, y = pair(0, shift=np.array([0.0, 3.0]))
    units = np.array([1.0, 1e-16])
    found, plain = (TESTS[name](*z, n_permutations=99) for z in ((x * units, y * units), (x, y)))
    assert found.pvalue == plain.pvalue == 0.01
    assert found.statistic == pytest.approx(plain.statistic)


@pytest.mark.parametrize("test", [score_test, likelihood_ratio_test])
@pytest.mark.parametrize("magnitude", [2.0**-1000, 2.0**1000])
def test_no_magnitude_changes_a_test(test, magnitude):
    x, y = pair(0, shift=0.4)
    found, plain = test(x * magnitude, y * magnitude), test(x, y)
    assert found.pvalue == plain.pvalue
    assert found.statistic == pytest.approx(plain.statistic)


def test_a_relabelling_that_leaves_a_side_flat_counts_as_extreme():
    x, y = pair(0, n=10)
    x[:, 1], y[:, 1] = np.eye(10)[0], np.eye(10)[1]
    assert likelihood_ratio_test(x, y, n_permutations=99).pvalue > 0.3
    x[:, 1] = 0.0
    with pytest.raises(ValueError, match="a feature of x is a function of others, or constant"):
        likelihood_ratio_test(x, y)


@pytest.mark.parametrize("outcome", ["interrupted", "diverged"])
def test_a_fit_that_did_not_end_is_told(outcome, monkeypatch):
    def cut(*arguments, **options):
        return dataclasses.replace(
            fit(*arguments, **options), outcome=outcome, status="diverged at 2"
        )

    monkeypatch.setattr("lrmf.fitting.fit", cut)
    told = (
        pytest.raises(KeyboardInterrupt)
        if outcome == "interrupted"
        else pytest.warns(lrmf.DivergenceWarning, match="a fit that diverged at 2")
    )
    with told:
        score_test(*pair(0), density=lrmf.Affine(), steps=2, n_permutations=9)


def test_rows_of_different_lengths_are_told():
    with pytest.raises(ValueError, match="x is no array of numbers: its rows have different len"):
        energy_test([[1.0, 2.0], [3.0]], [[1.0, 2.0], [3.0, 4.0]])
