"""What `lrmf.standardization` says of where T starts is what the saved runs say."""

import json

import pytest

import lrmf

RUNS = json.loads((lrmf.data.saved_results("starts") / "runs.json").read_text(encoding="utf8"))[
    "runs"
]
STARTS = ("identity", "moments", "gaussian")


def distances(name, starts=STARTS):
    return [round(RUNS[f"{name} {start}"]["lrd"], 2) for start in starts]


@pytest.mark.parametrize("angle", [-150, -30, 30, 150])
def test_moons_at_these_angles_are_aligned_from_everywhere(angle):
    runs = [RUNS[f"moons {angle:+d} {start}"] for start in STARTS]
    assert all(run["lrd"] < 0.006 for run in runs)
    assert {run["decision"] for run in runs} == {"aligned"}
    assert {run["accuracy"] for run in runs} == ({0.0} if abs(angle) == 150 else {1.0})


def test_at_right_angles_from_nowhere():
    assert distances("moons -90") == [0.08, 0.13, 0.08]
    assert distances("moons +90") == [0.25, 0.15, 0.09]


def test_clusters_of_many_features_that_lie_near():
    assert distances("16 features near") == [0.06, 0.07, 0.07]
    assert distances("64 features near") == [0.26, 0.24, 0.24]


def test_clusters_of_many_features_that_lie_far():
    assert distances("16 features far", (*STARTS, "default")) == [1.37, 0.07, 0.06, 0.08]
    assert distances("64 features far", (*STARTS, "default")) == [1.37, 0.24, 0.26, 0.27]
