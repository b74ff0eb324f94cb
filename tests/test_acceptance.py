"""What the library must reach on moons at its defaults, for a few of the seeds of the saved run."""

import json
import time
from pathlib import Path

import optimised
import pytest
from sklearn.neighbors import KNeighborsClassifier

import lrmf

pytestmark = pytest.mark.slow


def judge(seed, *, backend="jax", **changes):
    """Fit moons, and judge them on held-out points: what the tests look at, and all in a line."""
    train, test = lrmf.data.moons(seed=seed), lrmf.data.moons(seed=1000 + seed)
    began = time.perf_counter()
    model = lrmf.LRMF(backend=backend, seed=seed, progress=False, **changes)
    model.fit(Xs=train.source, Xt=train.target)
    certificate = model.certificate(test.source, test.target)
    seconds = time.perf_counter() - began
    neighbours = KNeighborsClassifier(1).fit(test.target, test.target_labels)
    accuracy = neighbours.score(model.transform(test.source), test.source_labels)
    first, *_ = certificate.verdict.splitlines()
    found = {"accuracy": accuracy, "decision": certificate.decision}
    if "refit_steps" in changes:
        of_the_family = model.family_certificate(test.source, test.target)
        found |= {"verdict": of_the_family.verdict, "bound": of_the_family.bound}
    found["report"] = (
        f"{backend}, seed {seed}: accuracy {accuracy:.4f}, {first} ({seconds:.0f} s) {found}"
    )
    return found


def judged(*arguments):
    """`judge` of each keyword arguments, one after the other in a process that optimises its code.

    So fits share what they compiled, as a user's do.
    """
    printed = optimised.run(
        f"import json, {Path(__file__).stem} as tests\n"
        f"print(json.dumps([tests.judge(**options) for options in {arguments!r}]))"
    )
    results = json.loads(printed.splitlines()[-1])
    print(*(found["report"] for found in results), sep="\n")
    return results


def saved_runs():
    """What `python -m book.results.defaults` found, by run."""
    folder = lrmf.data.saved_results("defaults")
    return json.loads((folder / "runs.json").read_text(encoding="utf8"))["runs"]


def test_fifty_fresh_seeds_are_aligned_in_the_saved_run():
    saved = saved_runs()
    runs = [run for name, run in saved.items() if name.startswith("moons LRMF jax -50 seed")]
    assert len(runs) == 50
    assert all(run["decision"] == "aligned" and run["accuracy"] >= 0.99 for run in runs)
    assert max(run["lrd"] for run in runs) <= 0.03


@pytest.mark.parametrize("method", ["AUB jax", "FFJORD jax", "LRMF tfp"])
def test_fresh_seeds_of_others_are_aligned_in_the_saved_run(method):
    saved = saved_runs()
    runs = [run for name, run in saved.items() if name.startswith(f"moons {method} -50 seed")]
    assert len(runs) == (3 if method == "LRMF tfp" else 10)
    assert all(run["decision"] == "aligned" and run["accuracy"] >= 0.99 for run in runs)
    assert max(run["lrd"] for run in runs) <= 0.05


def test_what_is_said_of_many_features():
    saved = saved_runs()

    def runs(d, method):
        names = (f"clusters bent {d} {method}{seed}" for seed in ("", " seed 1001", " seed 1002"))
        return [saved[name] for name in names]

    def distances(d, method):
        return [round(run["lrd"], 2) for run in runs(d, method)]

    for d in (8, 16):
        assert {run["decision"] for run in runs(d, "LRMF")} == {"aligned"}
    assert distances(16, "LRMF") == [0.02, 0.02, 0.03]
    assert max(run["processor_seconds"] for run in runs(16, "LRMF")) < 10
    assert distances(16, "GaussianOT") == [0.80, 0.85, 1.18]
    assert distances(16, "wide LRMF") == [0.11, 0.11, 0.10]
    assert distances(16, "small MMDFlow") == [0.13, 0.24, 0.26]
    assert distances(16, "MMDFlow") == [0.18, 0.30, 0.36]
    assert distances(64, "LRMF") == [0.12, 0.12, 0.13]
    assert {run["decision"] for run in runs(64, "LRMF")} == {"not aligned"}
    few, many = saved["clusters bent 16 n=500 LRMF"], saved["clusters bent 64 n=100000 LRMF"]
    assert (round(few["lrd"], 2), few["decision"]) == (0.51, "not aligned")
    assert (round(many["lrd"], 3), many["decision"]) == (0.001, "aligned")


def test_moons_are_aligned_and_the_familys_own_certificate_agrees():
    # The copies are fitted after the flow, to which they change nothing: one fit shows both.
    (found,) = judged({"seed": 0, "private_steps": 3000, "refit_steps": 2000})
    assert found["accuracy"] >= 0.99, found["report"]
    assert found["decision"] == "aligned", found["report"]
    assert found["verdict"].startswith("aligned"), found["report"]
    assert abs(found["bound"]) < 0.15, found["report"]


def test_moons_are_aligned_in_the_other_backend():
    (found,) = judged({"seed": 0, "backend": "tfp"})
    assert found["accuracy"] >= 0.99, found["report"]
    assert found["decision"] == "aligned", found["report"]


def test_identity_is_not_aligned():
    # Both backends judge by the same code.
    found = judge(0, transform=lrmf.Identity(), density=lrmf.Gaussian(), steps=1)
    # At -50° most nearest neighbours have the right label before any alignment.
    assert 0.9 < found["accuracy"] < 0.97
    assert found["decision"] == "not aligned", found["report"]
