"""The decision and its words, from numbers made by hand."""

import dataclasses

import numpy as np
import pytest

import lrmf
from lrmf.judge import Certificate, Control


def control(shape, truth, lrd, stderr=0.01):
    return Control(shape=shape, truth=truth, lrd=lrd, lrd_stderr=stderr)


NOTHING = control("none", 0.0, 0.0)
SEEN = (control("spread", 0.1, 0.08), control("waves", 0.1, 0.09))
TWICE = (control("spread", 0.2, 0.16), control("waves", 0.2, 0.18))


def certificate(lrd, stderr=0.01, *, controls=(NOTHING, *SEEN, *TWICE), tolerance=0.1, **changes):
    return Certificate(
        lrd=lrd,
        lrd_stderr=stderr,
        controls=controls,
        tolerance=tolerance,
        n_source=500,
        n_target=700,
        log_ratio_source=np.zeros(500),
        log_ratio_target=np.zeros(700),
        **changes,
    )


@pytest.mark.parametrize(
    ("lrd", "stderr", "controls", "decision"),
    [
        (0.0, 0.01, (NOTHING, *SEEN), "aligned"),
        # Below the tolerance, but not by two standard errors.
        (0.0, 0.051, (NOTHING, *SEEN), "not decided"),
        (0.0, 0.051, (NOTHING, control("waves", 0.1, 0.3)), "not decided"),
        (0.0, 0.049, (NOTHING, control("waves", 0.1, 0.3)), "aligned"),
        # Below the tolerance, but not below what the tolerance looks like: 0.08 ± 0.01.
        (0.06, 0.01, (NOTHING, *SEEN), "not decided"),
        (0.05, 0.01, (NOTHING, *SEEN), "aligned"),
        (0.0, 0.01, (NOTHING, SEEN[0], control("waves", 0.1, 0.02)), "not decided"),
        (0.0, 0.01, (NOTHING, SEEN[0], control("waves", 0.1, 0.09, 0.05)), "not decided"),
        # A control at twice the tolerance does not count.
        (0.0, 0.01, (NOTHING, *SEEN, control("waves", 0.2, 0.0)), "aligned"),
        (0.0, 0.01, (NOTHING, *TWICE), "not decided"),
        (0.0, 0.01, (), "not decided"),
        (0.13, 0.01, (NOTHING, *SEEN), "not aligned"),
        (0.13, 0.02, (NOTHING, *SEEN), "not decided"),
        # Above the tolerance, but so is a pair in which nothing differs.
        (0.3, 0.02, (control("none", 0.0, 0.28), *SEEN), "not decided"),
        (1.0, 0.02, (), "not decided"),
    ],
)
def test_decision(lrd, stderr, controls, decision):
    found = certificate(lrd, stderr, controls=controls)
    assert found.decision == decision
    assert found.verdict.startswith(f"{decision}: lrd {lrd:.3f} ± {stderr:.3f} nats")


def test_the_tolerance_decides():
    assert certificate(0.2, tolerance=0.1).decision == "not aligned"
    wide = (NOTHING, control("waves", 0.4, 0.35))
    assert certificate(0.2, tolerance=0.4, controls=wide).decision == "aligned"


def test_the_verdict_names_distance_controls_judge_points_and_tolerance():
    assert certificate(0.0).verdict.splitlines() == [
        "aligned: lrd 0.000 ± 0.010 nats, tolerance 0.1, disjoint 1.386",
        "control: 0.000 ± 0.010 measured where the truth is 0",
        "control: 0.080 ± 0.010 measured where the truth is 0.1 (spread)",
        "control: 0.090 ± 0.010 measured where the truth is 0.1 (waves)",
        "control: 0.160 ± 0.010 measured where the truth is 0.2 (spread)",
        "control: 0.180 ± 0.010 measured where the truth is 0.2 (waves)",
        "judge: cross-fitted classifiers, 500 + 700 points",
        "note: the distributions are alike; of labels this says nothing",
        "note: where labels' proportions differ, such a map mixes them up",
    ]


@pytest.mark.parametrize(
    ("found", "cause", "cure"),
    [
        (
            certificate(0.0, controls=(NOTHING, SEEN[0], control("waves", 0.1, 0.02))),
            "cause: too few points: a distance of 0.1 (waves) could go unseen",
            "cure: many more points, or another tolerance",
        ),
        (
            certificate(0.0, controls=(NOTHING, control("waves", 0.1, 0.04, 0.018))),
            "cause: too few points: a distance of 0.1 (waves) could measure as little as these",
            "cure: more points, 3,000 in all or more",
        ),
        # 0.02 from the tolerance with an error of 0.02: four times the points, and half again.
        (certificate(0.12, 0.02), "too close to the tolerance", "cure: more points, 8,000 in all"),
        (certificate(0.1, 0.02), "too close to the tolerance", "cure: many more points"),
        (certificate(0.3, controls=(control("none", 0.0, 0.3), *SEEN)), "negative control", "cure"),
        (certificate(0.3, controls=()), "without controls", "cure: judge with controls=True"),
        (certificate(0.3), "lrmf.plots.log_ratio(ax, certificate, ...)", ""),
    ],
)
def test_cause_and_cure(found, cause, cure):
    *_, first, second = found.verdict.splitlines() if cure else (*found.verdict.splitlines(), "")
    assert cause in first
    assert cure in second


def test_more_points_are_asked_for_where_less_is_seen():
    def enough(*seen):
        shapes = zip((0.1, 0.2), seen, strict=True)
        shown = tuple(control("waves", truth, lrd, 0.002) for truth, lrd in shapes)
        return certificate(0.0, 0.02, controls=(NOTHING, *shown)).enough

    few, many = enough(0.03, 0.06), enough(0.0, 0.006)
    assert 2400 <= few < many


def test_what_was_asked_for_is_told():
    text = str(
        certificate(0.0, bound=0.25, bound_stderr=0.02, family_lrd=0.1, family_lrd_stderr=0.01)
    )
    assert text.splitlines()[-2:] == ["bound: 0.250 ± 0.020 nats", "family_lrd: 0.100 ± 0.010 nats"]
    assert str(certificate(0.0)) == certificate(0.0).verdict


def test_points_that_the_map_was_fitted_to_are_warned_of():
    assert "warning" not in certificate(0.0, seen=0.04).verdict
    text = certificate(0.0, seen=0.06).verdict
    assert "warning: the map was fitted to these very points; judge others, held out" in text


def test_a_certificate_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        certificate(0.0).lrd = 1.0


class TestConstantFeatures:
    """What is constant on one side is named; what is so on both, at one value, is left out."""

    A, B = np.random.default_rng(5).normal(size=(2, 100, 8))

    def test_of_one_side(self):
        a, b = self.A.copy(), self.B.copy()
        a[:, 1], a[:, 6], b[:, 6] = 0.0, 1.0, 2.0
        found = lrmf.lrd(a, b)
        assert found.constant_features == (1, 6)
        assert "cause: of constant value on one side, and not so on the other: features 1, 6" in (
            found.verdict
        )
        assert "cure: leave these features out" in found.verdict
        assert lrmf.lrd(a, b, controls=False).constant_features == (1, 6)

    def test_of_both_sides_at_one_value(self):
        a, b = self.A.copy(), self.B.copy()
        a[:, 1] = b[:, 1] = 3.0
        assert lrmf.lrd(a, b, controls=False).constant_features == ()

    def test_of_many_some_are_named(self):
        found = lrmf.lrd(self.A, np.zeros_like(self.B))
        assert "features 0, 1, 2, 3, 4 and 3 more" in found.verdict
