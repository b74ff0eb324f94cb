"""The made cases: their truth is what they say it is."""

import numpy as np
import pytest
from scipy import stats

import lrmf

CASES = [lrmf.data.batches, lrmf.data.sensors, lrmf.data.surveys]


@pytest.mark.parametrize("make", CASES)
def test_truth_has_the_target_distribution_and_the_source_has_not(make):
    case = make(n=4000, seed=3)
    assert case.source.shape == case.target.shape == case.truth.shape
    assert case.source.shape[1] == len(case.columns)
    assert len(np.unique(case.source_labels)) == len(case.label_names)
    for k in range(len(case.label_names)):
        own, others = case.truth[case.source_labels == k], case.target[case.target_labels == k]
        for j in range(own.shape[1]):
            assert stats.ks_2samp(own[:, j], others[:, j]).pvalue > 1e-4
    columns = zip(case.source.T, case.target.T, strict=True)
    far = [stats.ks_2samp(a, b).statistic for a, b in columns]
    assert max(far) > 0.2


def test_detectors_gain_spill_and_see_background():
    case = lrmf.data.batches(n=500, seed=1)
    light = np.sinh(case.truth)
    spilled = light.copy()
    spilled[:, 1:] += 0.12 * light[:, :-1]
    spilled[:, :-1] += 0.12 * light[:, 1:]
    gains = (np.sinh(case.source) - 1.0) / spilled
    np.testing.assert_allclose(gains, np.tile([1.8, 0.6, 1.3, 0.7, 1.5], (500, 1)), rtol=1e-6)


def test_each_sensor_drifts_by_an_increasing_function_of_its_own():
    case = lrmf.data.sensors(n=1000, seed=1)
    for source, truth in zip(case.source.T, case.truth.T, strict=True):
        assert (np.diff(source[np.argsort(truth)]) >= 0).all()


def test_weights_give_the_source_the_shares_of_the_target():
    case = lrmf.data.surveys(n=20_000, seed=1)
    shares = np.bincount(case.source_labels, case.source_weights) / case.source_weights.sum()
    np.testing.assert_allclose(shares, np.bincount(case.target_labels) / 20_000, atol=0.02)
    assert abs(np.bincount(case.source_labels) / 20_000 - shares).max() > 0.1
    # The way of asking is invertible: of two people, one with a larger true income says a larger.
    order = np.argsort(case.truth[:, 0])
    assert (np.diff(case.source[order, 0]) > 0).all()
    satisfaction = np.argsort(case.truth[:, 3])
    assert (np.diff(case.source[satisfaction, 3]) > 0).all()


@pytest.mark.parametrize("make", CASES)
def test_seeds_decide_and_bad_arguments_are_refused(make):
    one, same, other = make(n=10, seed=1), make(n=10, seed=1), make(n=10, seed=2)
    np.testing.assert_array_equal(one.source, same.source)
    assert not np.isclose(one.source, other.source).any()
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        make(n=1)
    with pytest.raises(TypeError, match="seed must be an integer"):
        make(seed=0.5)
