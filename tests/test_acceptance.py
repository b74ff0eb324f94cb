"""What the library must reach on moons, at its defaults and over ten seeds."""

import time

import pytest
from sklearn.neighbors import KNeighborsClassifier

import lrmf

pytestmark = pytest.mark.slow

SEEDS = range(10)

#: The private models matter only to the bound, and fewer steps will do for it.
CHEAPER = {"private_steps": 3000}


def judge(seed, *, backend, **changes):
    """Certificate and 1-NN accuracy on held-out moons."""
    train, test = lrmf.data.moons(seed=seed), lrmf.data.moons(seed=1000 + seed)
    began = time.perf_counter()
    model = lrmf.LRMF(backend=backend, seed=seed, progress=False, **changes)
    model.fit(Xs=train.source, Xt=train.target)
    certificate = model.certificate(test.source, test.target)
    seconds = time.perf_counter() - began
    neighbours = KNeighborsClassifier(1).fit(test.target, test.target_labels)
    accuracy = neighbours.score(model.transform(test.source), test.source_labels)
    report = (
        f"seed {seed}: accuracy {accuracy:.4f}, bound {certificate.bound:.3f}, "
        f"{certificate.verdict} ({seconds:.0f} s)"
    )
    print(f"{backend}, {report}")
    return accuracy, certificate, report


# One test a backend, so that seeds share its compiled loops and are all shown when it fails.
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["jax", "tfp"])
def test_moons_are_aligned_and_certified(backend):
    good, reports = 0, []
    for seed in SEEDS:
        accuracy, certificate, report = judge(seed, backend=backend, **CHEAPER)
        good += accuracy >= 0.99 and certificate.verdict.startswith("aligned")
        reports.append(report)
    assert good >= 9, "\n".join([f"{good} of {len(reports)}:", *reports])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["jax", "tfp"])
def test_identity_is_not_aligned(backend):
    good, reports = 0, []
    for seed in SEEDS:
        accuracy, certificate, report = judge(
            seed,
            backend=backend,
            transform=lrmf.Identity(),
            steps=1000,
            private_steps=100,
            refit_steps=500,
        )
        # At -50° most nearest neighbours have the right label before any alignment.
        assert 0.9 < accuracy < 0.97
        good += certificate.verdict.startswith("not aligned")
        reports.append(report)
    assert good == len(SEEDS), "\n".join([f"{good} of {len(reports)}:", *reports])
