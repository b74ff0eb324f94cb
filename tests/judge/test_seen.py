"""Points that a map was fitted to, and are judged nevertheless."""

import numpy as np
import pytest

import lrmf
from lrmf.judge.seen import Remembered
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
