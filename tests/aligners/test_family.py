"""The certificate's numbers and its verdict, from per-point terms made by hand."""

import dataclasses
import math

import numpy as np
import pytest

from lrmf.aligners.family import FamilyCertificate

ALIGNED = {
    "lrd": 0.02,
    "lrd_stderr": 0.01,
    "bound": -0.1,
    "bound_stderr": 0.05,
    "tolerance": 0.1,
    "n_source": 500,
    "n_target": 500,
}


def certificate(**changes):
    return FamilyCertificate(**{**ALIGNED, **changes})


def from_terms(*, tolerance=0.1, weights=(None, None), **terms):
    zeros = dict.fromkeys(
        ("gain_source", "gain_target", "bound_source", "bound_target"), np.zeros(4)
    )
    terms = zeros | terms
    gains, bounds = (
        [terms[f"{kind}_{side}"] for side in ("source", "target")] for kind in ("gain", "bound")
    )
    return FamilyCertificate.from_terms(
        gains=gains, bounds=bounds, weights=weights, tolerance=tolerance
    )


def test_numbers_are_sums_of_the_two_sides_means():
    certificate = from_terms(
        # Gains of 99% refitted and 1% shared model: log(0.99 e^g + 0.01) = 1, 3 and so on.
        gain_source=np.log((np.exp([1.0, 3.0]) - 0.01) / 0.99),
        gain_target=np.log((np.exp([10.0, 10.0, 40.0]) - 0.01) / 0.99),
        bound_source=np.array([-1.0, 0.0]),
        bound_target=np.array([5.0, 6.0, 7.0]),
        tolerance=0.3,
    )
    assert certificate.lrd == pytest.approx(2.0 + 20.0)
    assert certificate.bound == pytest.approx(-0.5 + 6.0)
    # Unbiased variances by hand: 2 and 300 for the gains, 1/2 and 1 for the bound.
    assert certificate.lrd_stderr == pytest.approx(math.sqrt(2.0 / 2 + 300.0 / 3))
    assert certificate.bound_stderr == pytest.approx(math.sqrt(0.5 / 2 + 1.0 / 3))
    assert (certificate.n_source, certificate.n_target, certificate.tolerance) == (2, 3, 0.3)


def test_weights_are_those_of_repeated_points():
    rng = np.random.default_rng(0)
    gains, counts = rng.normal(size=50), rng.integers(0, 4, size=50)
    terms = dict.fromkeys(("gain_source", "bound_source"), gains)
    weighted = from_terms(**terms, weights=(counts.astype(float), None))
    repeated = from_terms(gain_source=np.repeat(gains, counts))
    assert weighted.lrd == pytest.approx(repeated.lrd)
    # Repeated points are no new evidence: the error is that of 50 points, not of as many copies.
    assert weighted.lrd_stderr > repeated.lrd_stderr
    equal = from_terms(**terms, weights=(np.full(50, 7.0), None))
    assert equal.lrd_stderr == pytest.approx(from_terms(gain_source=gains).lrd_stderr)


def test_points_of_weight_zero_are_no_evidence():
    gains, weights = np.array([0.5, -0.5, 3.0, 4.0]), np.array([1.0, 1.0, 0.0, 0.0])
    terms = dict.fromkeys(("gain_source", "bound_source"), gains)
    found = from_terms(**terms, weights=(weights, None))
    alone = from_terms(gain_source=gains[:2], bound_source=gains[:2])
    assert found.bound_stderr == pytest.approx(alone.bound_stderr)


def test_the_standard_error_of_a_weighted_mean_covers_its_spread():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        gains, weights = rng.normal(size=200), rng.exponential(size=200)
        found.append(from_terms(gain_source=gains, bound_source=gains, weights=(weights, None)))
    spread = np.std([certificate.bound for certificate in found])
    assert np.mean([c.bound_stderr for c in found]) == pytest.approx(spread, rel=0.12)


def test_copies_that_learned_nothing_are_at_distance_zero():
    certificate = from_terms()
    assert abs(certificate.lrd) < 1e-15
    assert certificate.lrd_stderr < 1e-15


@pytest.mark.parametrize("gain", [-1e3, -1e300, -math.inf])
def test_one_impossible_point_costs_log_100(gain):
    gains = np.zeros(1000)
    gains[7] = gain
    certificate = from_terms(gain_source=gains)
    assert certificate.lrd == pytest.approx(-math.log(100.0) / 1000)
    assert certificate.lrd_stderr == pytest.approx(math.log(100.0) / 1000)
    assert certificate.verdict.startswith("aligned")


def test_standard_errors_are_the_bootstraps():
    rng = np.random.default_rng(0)
    source, target = rng.exponential(size=300), rng.normal(size=150) * 2.0
    certificate = from_terms(
        gain_source=source, gain_target=target, bound_source=source, bound_target=target
    )
    rows = [(rng.integers(300, size=300), rng.integers(150, size=150)) for _ in range(4000)]

    def bootstrapped(first, second):
        return np.std([first[i].mean() + second[j].mean() for i, j in rows])

    assert certificate.bound_stderr == pytest.approx(bootstrapped(source, target), rel=0.05)
    mixed = [np.log(0.99 * np.exp(gain) + 0.01) for gain in (source, target)]
    assert certificate.lrd_stderr == pytest.approx(bootstrapped(*mixed), rel=0.05)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "aligned"),
        # Two standard errors around the distance against the tolerance, just inside and outside.
        ({"lrd": 0.0799, "lrd_stderr": 0.01}, "aligned"),
        ({"lrd": 0.0801, "lrd_stderr": 0.01}, "not decided"),
        ({"lrd": 0.1199, "lrd_stderr": 0.01}, "not decided"),
        ({"lrd": 0.1201, "lrd_stderr": 0.01}, "not aligned"),
        ({"lrd": 0.02, "lrd_stderr": 0.05}, "not decided"),
        ({"lrd": 0.3, "lrd_stderr": 0.3}, "not decided"),
        ({"lrd": 1.3, "lrd_stderr": 0.02}, "not aligned"),
        ({"lrd": 1.3, "lrd_stderr": 0.02, "tolerance": 1.5}, "aligned"),
        ({"lrd": -0.05, "lrd_stderr": 0.01}, "aligned"),
        ({"lrd": -0.1199, "lrd_stderr": 0.01}, "aligned"),
        ({"lrd": -0.1201, "lrd_stderr": 0.01}, "not decided"),
        ({"lrd": -0.5, "lrd_stderr": 0.25}, "aligned"),
        # The bound plus two standard errors against minus log 2.
        ({"bound": -0.79, "bound_stderr": 0.05}, "aligned"),
        ({"bound": -0.80, "bound_stderr": 0.05}, "not decided"),
        ({"bound": -2.0, "bound_stderr": 1.0}, "aligned"),
        ({"bound": 3.0, "bound_stderr": 0.05}, "aligned"),
        # Evidence against alignment stands, whatever the private models did.
        ({"lrd": 1.3, "lrd_stderr": 0.02, "bound": -2.0}, "not aligned"),
        ({"lrd": 1.3, "lrd_stderr": 0.02, "bound": math.nan}, "not aligned"),
        # Numbers that overflowed are no evidence of anything.
        ({"lrd": math.nan, "lrd_stderr": math.nan}, "not decided"),
        ({"lrd": math.inf, "lrd_stderr": math.nan}, "not decided"),
        ({"lrd": -math.inf, "lrd_stderr": math.nan}, "not decided"),
        ({"lrd_stderr": math.inf}, "not decided"),
        ({"bound": math.nan}, "not decided"),
        ({"bound": math.inf}, "not decided"),
        ({"bound_stderr": math.nan}, "not decided"),
    ],
)
def test_verdict(changes, verdict):
    text = certificate(**changes).verdict
    assert text.startswith(verdict)
    if verdict == "aligned":
        assert "not" not in text.split()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lrd": 1.29, "lrd_stderr": 0.02}, "lrd 1.290 ± 0.020 nats; disjoint data have 1.386"),
        ({"lrd": 1.29, "lrd_stderr": 0.02}, "More steps, a richer transform or a closer start"),
        ({"lrd_stderr": 0.07}, "0.020 ± 0.070 nats, too close to the tolerance of 0.1"),
        ({"lrd_stderr": 0.07}, "use more held-out points"),
        ({"bound": -1.0}, "-1.000 ± 0.050 nats, lies clearly below zero"),
        ({"bound": -1.0}, "private models are underfit or overfit (raise or lower private_steps)"),
        ({"lrd": -0.4}, "-0.400 ± 0.010 nats, clearly below zero, so the refitted copies overfit"),
        ({"lrd": -0.4}, "lower refit_steps"),
        ({"lrd": math.nan}, "log-densities overflow"),
        ({}, "aligned within noise: lrd 0.020 ± 0.010 nats"),
    ],
)
def test_verdict_names_numbers_and_cure(changes, reason):
    assert reason in certificate(**changes).verdict


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_terms_that_overflowed_do_not_decide(bad, side):
    overflowed = np.array([0.0, bad, bad, 0.0])
    assert from_terms(**{f"bound_{side}": overflowed}).verdict.startswith("not decided")
    if bad != -math.inf:
        assert from_terms(**{f"gain_{side}": overflowed}).verdict.startswith("not decided")


def test_text_shows_both_numbers_and_the_verdict():
    assert str(certificate()).splitlines() == [
        "lrd   +0.020 ± 0.010 nats",
        "bound -0.100 ± 0.050 nats",
        certificate().verdict,
    ]


def test_a_certificate_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        certificate().lrd = 0.0
