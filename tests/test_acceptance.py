"""What the library must reach on moons at its defaults, for a few of the seeds of the saved run."""

import json
import time

import pytest
from sklearn.neighbors import KNeighborsClassifier

import lrmf

pytestmark = pytest.mark.slow


def judge(seed, *, backend="jax", **changes):
    """Fitted moons, their certificate, 1-NN accuracy on held-out points, and all in a line."""
    train, test = lrmf.data.moons(seed=seed), lrmf.data.moons(seed=1000 + seed)
    began = time.perf_counter()
    model = lrmf.LRMF(backend=backend, seed=seed, progress=False, **changes)
    model.fit(Xs=train.source, Xt=train.target)
    certificate = model.certificate(test.source, test.target)
    seconds = time.perf_counter() - began
    neighbours = KNeighborsClassifier(1).fit(test.target, test.target_labels)
    accuracy = neighbours.score(model.transform(test.source), test.source_labels)
    first, *_ = certificate.verdict.splitlines()
    report = f"{backend}, seed {seed}: accuracy {accuracy:.4f}, {first} ({seconds:.0f} s)"
    print(report)
    return model, certificate, accuracy, report


def test_fifty_fresh_seeds_are_aligned_in_the_saved_run():
    folder = lrmf.data.saved_results("defaults")
    saved = json.loads((folder / "runs.json").read_text(encoding="utf8"))["runs"]
    runs = [run for name, run in saved.items() if name.startswith("moons LRMF jax -50 seed")]
    assert len(runs) == 50
    assert all(run["decision"] == "aligned" and run["accuracy"] >= 0.99 for run in runs)
    assert max(run["lrd"] for run in runs) <= 0.03


def test_what_is_said_of_sixteen_dimensions():
    folder = lrmf.data.saved_results("defaults")
    saved = json.loads((folder / "runs.json").read_text(encoding="utf8"))["runs"]
    found = {method: saved[f"clusters bent 16 {method}"] for method in ("LRMF", "deep LRMF")}
    assert [round(run["lrd"], 2) for run in found.values()] == [0.11, 0.08]
    assert {run["decision"] for run in found.values()} == {"not decided"}
    assert round(saved["clusters bent 16 GaussianOT"]["lrd"], 2) == 0.80


# One test for all seeds, so that they share the compiled loops and are all shown when it fails.
def test_moons_of_three_seeds_are_aligned():
    reports = []
    for seed in range(3):
        _, certificate, accuracy, report = judge(seed)
        reports.append(report)
        assert accuracy >= 0.99, "\n".join(reports)
        assert certificate.decision == "aligned", "\n".join(reports)


def test_moons_are_aligned_in_the_other_backend():
    _, certificate, accuracy, report = judge(0, backend="tfp")
    assert accuracy >= 0.99, report
    assert certificate.decision == "aligned", report


def test_the_familys_own_certificate_agrees_and_the_bound_is_tight():
    model, *_ = judge(0, private_steps=3000, refit_steps=2000)
    test = lrmf.data.moons(seed=1000)
    certificate = model.family_certificate(test.source, test.target)
    assert certificate.verdict.startswith("aligned")
    assert abs(certificate.bound) < 0.15, certificate


def test_identity_is_not_aligned():
    for seed in range(3):
        # Both backends judge by the same code.
        _, certificate, accuracy, report = judge(seed, transform=lrmf.Identity(), steps=1)
        # At -50° most nearest neighbours have the right label before any alignment.
        assert 0.9 < accuracy < 0.97
        assert certificate.decision == "not aligned", report
