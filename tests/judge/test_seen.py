"""Points that a map was fitted to, and are judged nevertheless."""

import numpy as np
import pytest

import lrmf
from lrmf.judge.seen import Remembered, _hashes
from lrmf.points import Rows

A, B, FRESH = np.random.default_rng(0).normal(size=(3, 1500, 3))


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        (A, 1.0),
        (A[::-1].astype(np.float32), 1.0),
        (np.concatenate([FRESH, A[:300]]), 0.2),
        (FRESH, 0.0),
        (A[:, [1, 0, 2]], 0.0),
        (-A, 0.0),
    ],
)
def test_rows_are_recognised(rows, share):
    assert Remembered(Rows(A)).share(Rows(rows)) == pytest.approx(share, abs=0.02)


def test_equal_rows_say_nothing_where_rows_repeat():
    counts = np.random.default_rng(0).poisson(3.0, size=(2, 1500, 2))
    assert Remembered(Rows(counts[0])).share(Rows(counts[1])) == 0.0


@pytest.mark.parametrize(
    ("n", "draw"),
    [
        (100_000, lambda rng, n: rng.uniform(size=(n, 2)).round(3)),
        (60_000, lambda rng, n: rng.normal(100.0, 1.0, size=(n, 1))),
    ],
    ids=["three decimals", "float32 far from zero"],
)
def test_rows_that_are_equal_by_chance_say_nothing(n, draw):
    rng = np.random.default_rng(1)
    # As often as not, some of the remembered rows are equal, and nothing is remembered.
    samples = (draw(rng, 2000) for _ in range(20))
    memory, x = next((m, x) for x in samples if len((m := Remembered(Rows(x)))._hashes))
    fresh = draw(rng, n)
    assert np.isin(memory._hashes, _hashes(Rows(fresh))).mean() > 0.08
    share = memory.share(Rows(fresh))
    assert type(share) is float
    assert share < 0.03
    assert memory.share(Rows(np.concatenate([fresh[:1000], x]))) > 0.95


def test_no_value_is_an_error():
    x = np.array([[1e-310, 1.0], [1e300, 2.0], [-1e300, 3.0]])
    with np.errstate(all="raise"):
        assert Remembered(Rows(x)).share(Rows(x[::-1])) == 1.0


def test_large_rows_are_read_in_pieces(monkeypatch):
    sizes = []
    images = np.random.default_rng(0).integers(0, 256, size=(100, 64, 64, 3)).astype(np.uint8)
    read = Rows._read
    monkeypatch.setattr(Rows, "_read", lambda *own: sizes.append(found := read(*own)) or found)
    assert Remembered(Rows(images)).share(Rows(images)) == 1.0
    assert max(x.size for x in sizes) <= 2**20 < images.size


def test_minus_zero_is_zero():
    zeros = np.array([[0.0, 1.0], [2.0, 0.0]])
    assert Remembered(Rows(zeros)).share(Rows(np.where(zeros == 0.0, -0.0, zeros))) == 1.0


@pytest.mark.parametrize("seen", ["nothing", "the source", "the target"])
def test_a_certificate_of_the_points_of_fit_warns(seen):
    model = lrmf.GaussianOT().fit(Xs=A, Xt=B)
    source, target = A if seen == "the source" else FRESH, B if seen == "the target" else -FRESH
    found = model.certificate(source, target, controls=False)
    assert ("warning: the map was fitted to these very points" in found.verdict) == (
        seen != "nothing"
    )


def test_samples_of_a_flow_judged_by_the_points_of_fit_warn():
    model = lrmf.FlowGAN(transform=lrmf.Affine(), likelihood_weight=np.inf, steps=1, progress=False)
    model.fit(A[:200])
    for x, seen in ((A[:200], 1.0), (FRESH[:200], 0.0)):
        found = model.certificate(x, controls=False)
        assert found.seen == seen
        assert ("warning: the map was fitted" in found.verdict) == (seen == 1.0)
