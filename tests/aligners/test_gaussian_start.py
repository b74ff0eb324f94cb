"""With affine maps and normal densities the optimum is known, and T starts there."""

import numpy as np
import pytest
from scipy import stats

import lrmf
from lrmf.theory import gaussian


def moments(x):
    return x.mean(axis=0), np.cov(x.T, bias=True)


PAIR = lrmf.data.moons(n=400, seed=0)


def fit(kind, **changes):
    settings = {"steps": 1, "private_steps": 1, "refit_steps": 1, "snapshot_every": 1}
    return lrmf.LRMF(
        transform=lrmf.Affine(kind=kind),
        density=lrmf.Gaussian(),
        progress=False,
        **settings | {"batch_size": 1024, "learning_rate": 1e-9} | changes,
    ).fit(Xs=PAIR.source * [1, 100], Xt=PAIR.target * [1, 100])


@pytest.mark.parametrize("standardize", [True, False])
def test_a_full_map_is_that_of_optimal_transport(standardize):
    model = fit("full", standardize=standardize, dtype="float64")
    x, y = PAIR.source * [1, 100], PAIR.target * [1, 100]
    expected = lrmf.GaussianOT().fit(Xs=x, Xt=y).transform(x)
    np.testing.assert_allclose(model.transform(x), expected, rtol=1e-6, atol=1e-6)
    mean, cov = moments(y)
    np.testing.assert_allclose(
        model.density_.log_prob(y), stats.multivariate_normal(mean, cov).logpdf(y), rtol=1e-5
    )
    # The distance of T(A) and B is zero, so the loss is that of the private densities.
    assert model.history_["loss"][0] - model.constant_ == pytest.approx(
        -float(gaussian.constant(moments(x)[1], cov)), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["positive_definite", "diagonal"])
def test_of_other_kinds(kind):
    model = fit(kind)
    moved, y = model.transform(PAIR.source * [1, 100]), PAIR.target * [1, 100]
    for found, expected in zip(moments(moved), moments(y), strict=True):
        if kind == "diagonal" and found.ndim == 2:
            found, expected = np.diag(found), np.diag(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_weights_count():
    weights = np.linspace(0.1, 1.0, 400)
    model = lrmf.LRMF(
        transform=lrmf.Affine(), density=lrmf.Gaussian(), progress=False,
        steps=1, private_steps=1, refit_steps=1, learning_rate=1e-9,
    )  # fmt: skip
    model.fit(Xs=PAIR.source, Xt=PAIR.target, sample_weight_s=weights)
    moved = model.transform(PAIR.source)
    np.testing.assert_allclose(
        np.average(moved, axis=0, weights=weights), PAIR.target.mean(axis=0), atol=1e-5
    )


@pytest.mark.filterwarnings("ignore::lrmf.DataWarning")
def test_a_singular_covariance_has_none():
    x = PAIR.source.copy()
    x[:, 1] = x[:, 0]
    model = lrmf.LRMF(
        transform=lrmf.Affine(), density=lrmf.Gaussian(), progress=False, snapshot_every=1,
        steps=1, private_steps=1, refit_steps=1,
    ).fit(Xs=x, Xt=PAIR.target)  # fmt: skip
    np.testing.assert_allclose(model.snapshots_[0][1].forward(x)[0], x, atol=1e-6)
