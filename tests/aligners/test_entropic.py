"""EntropicOT against POT, the exact assignment and the closed form for normal densities."""

import warnings

import numpy as np
import ot
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

import lrmf

PAIR, HELD_OUT = lrmf.data.moons(n=80, seed=0), lrmf.data.moons(n=80, seed=1)
A, B = PAIR.source, PAIR.target[:70]


def fit(a=A, b=B, **settings):
    return lrmf.EntropicOT(**settings).fit(Xs=a, Xt=b)


def plan(model):
    costs = cdist(model.source_points_, model.target_points_, "sqeuclidean")
    potentials = model.source_potential_[:, None] + model.target_potential_
    return np.exp((potentials - costs) / model.epsilon_) / costs.size


@pytest.mark.parametrize("regularization", [1.0, 0.1, 0.02])
class TestPOT:
    def test_the_plan_is_pots(self, regularization):
        model = fit(regularization=regularization, tolerance=1e-9, max_iter=20_000)
        costs = cdist(A, B, "sqeuclidean")
        assert model.epsilon_ == pytest.approx(regularization * costs.mean())
        theirs = ot.sinkhorn(
            [], [], costs, model.epsilon_, method="sinkhorn_log", stopThr=1e-11, numItermax=20_000
        )
        np.testing.assert_allclose(plan(model), theirs, atol=1e-9 / len(A))
        np.testing.assert_allclose(plan(model).sum(axis=1), 1 / len(A), rtol=1e-9)
        np.testing.assert_allclose(plan(model).sum(axis=0), 1 / len(B), rtol=1e-5)

    def test_on_the_data_the_map_is_the_barycentric_projection(self, regularization):
        model = fit(regularization=regularization, cost_scale=None, tolerance=1e-9)
        theirs = ot.da.SinkhornTransport(reg_e=regularization, tol=1e-11, max_iter=20_000)
        theirs.fit(Xs=A, Xt=B)
        np.testing.assert_allclose(model.transform(A), theirs.transform(Xs=A), atol=1e-6)
        np.testing.assert_allclose(
            model.inverse_transform(B), theirs.inverse_transform(Xt=B), atol=1e-6
        )
        # Means are kept, up to the tolerance.
        np.testing.assert_allclose(model.transform(A).mean(axis=0), B.mean(axis=0), atol=1e-6)


def test_without_regularization_left_it_is_the_optimal_assignment():
    a, b = A[:40], PAIR.target[:40]
    _, partner = linear_sum_assignment(cdist(a, b, "sqeuclidean"))
    errors = []
    for regularization in (1e-2, 1e-3, 1e-4):
        model = fit(a, b, regularization=regularization, max_iter=100_000, tolerance=1e-4)
        errors.append(np.abs(model.transform(a) - b[partner]).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-2


def test_with_much_regularization_all_points_go_to_the_mean():
    moved = fit(regularization=1e5).transform(HELD_OUT.source)
    np.testing.assert_allclose(moved, np.tile(B.mean(axis=0), (len(moved), 1)), atol=1e-3)


@pytest.mark.parametrize("epsilon", [0.2, 1.0])
def test_between_normal_densities_it_is_affine(epsilon):
    """Janati et al., Entropic optimal transport between unbalanced Gaussian measures (2020)."""
    s, t = 1.0, 2.0
    grid = norm.ppf((np.arange(1500) + 0.5) / 1500)[:, None]
    model = fit(s * grid, 3.0 + t * grid, regularization=epsilon, cost_scale=None)
    half = epsilon / 2
    slope = (np.sqrt(4 * s**2 * t**2 + half**2) - half) / (2 * s**2)
    x = np.array([[-1.0], [-0.3], [0.0], [0.7], [1.5]])
    np.testing.assert_allclose(model.transform(x), 3.0 + slope * x, atol=0.01)
    # To first order the variance shrinks by ε t / 2 s.
    assert t**2 - (slope * s) ** 2 == pytest.approx(epsilon * t / (2 * s), rel=0.2)


def test_new_points_are_mapped_continuously_and_stay_in_the_hull():
    model = fit(regularization=0.01)
    line = np.linspace([-3.0, -3.0], [3.0, 3.0], 20_001)
    moved = model.transform(line)
    continuous, nearest = (
        ot.da.SinkhornTransport(reg_e=model.epsilon_, max_iter=20_000, out_of_sample_map=kind)
        .fit(Xs=A, Xt=B)
        .transform(Xs=line)
        for kind in ("continuous", "ferradans")
    )
    np.testing.assert_allclose(moved, continuous, atol=1e-5)
    jumps = [np.abs(np.diff(x, axis=0)).max() for x in (moved, nearest)]
    assert jumps[0] < 0.02 < 0.1 < jumps[1]
    assert np.all(moved >= B.min(axis=0) - 1e-12)
    assert np.all(moved <= B.max(axis=0) + 1e-12)


@pytest.mark.parametrize(
    ("scale", "function"), [("mean", np.mean), ("median", np.median), ("max", np.max)]
)
def test_cost_scale(scale, function):
    model = fit(regularization=0.2, cost_scale=scale)
    assert model.epsilon_ == pytest.approx(0.2 * function(cdist(A, B, "sqeuclidean")))
    # So units make no difference.
    other = fit(1e5 * A, 1e5 * B, regularization=0.2, cost_scale=scale)
    np.testing.assert_allclose(other.transform(1e5 * A), 1e5 * model.transform(A), rtol=1e-5)


class TestSmallRegularization:
    def test_it_stays_finite(self):
        with pytest.warns(ConvergenceWarning, match="raise max_iter or regularization"):
            model = fit(regularization=1e-7, max_iter=100)
        assert np.isfinite(model.transform(HELD_OUT.source)).all()

    def test_points_far_apart(self):
        model = fit(A, B + 1e4, regularization=1e-6, tolerance=1e-3, max_iter=50_000)
        assert np.isfinite(model.transform(A)).all()
        assert model.outcome_ == "finished"

    def test_what_overflows_is_refused(self):
        with pytest.raises(ValueError, match=r"^regularization=1e-320 is too small: costs of up"):
            fit(regularization=1e-320)


def test_too_few_iterations_are_said():
    with pytest.warns(
        ConvergenceWarning, match=r"^not converged: after 3 iterations .* of the mas"
    ):
        model = fit(max_iter=3, regularization=0.02)
    assert model.outcome_ == "not converged"
    assert model.status_.endswith("more than tolerance=1e-06; raise max_iter or regularization")
    assert model.n_iter_ == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(max_iter=2000).fit(Xs=A, Xt=B)
    assert model.outcome_ == "finished"
    assert model.status_ == f"finished: converged in {model.n_iter_} iterations"


def test_points_that_all_coincide():
    with pytest.raises(ValueError, match="the mean of the costs is zero, as points of Xs and Xt"):
        fit(np.ones((3, 2)), np.ones((4, 2)))
    model = fit(np.ones((3, 2)), np.ones((4, 2)), cost_scale=None)
    np.testing.assert_allclose(model.transform(np.zeros((1, 2))), 1.0)


def test_pot_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ot", None)
    with pytest.raises(ImportError, match=r'pip install "lrmf\[ot\]"'):
        fit()


def test_new_points_are_mapped_in_blocks(monkeypatch):
    model = fit()
    whole = model.transform(HELD_OUT.source)
    monkeypatch.setattr("lrmf.aligners.entropic._BLOCK", 200)
    np.testing.assert_allclose(model.transform(HELD_OUT.source), whole, atol=1e-12)


class TestStandardized:
    #: A power of two, and a shift that costs no digit that matters.
    UNITS, SHIFT = np.array([2.0**10, 2.0**-3]), 2.0**6

    def far(self, x):
        return x * self.UNITS + self.SHIFT

    def test_it_has_no_units(self, tmp_path):
        plain = fit(standardize=True)
        model = fit(self.far(A), self.far(B), standardize=True)
        assert model.epsilon_ == pytest.approx(plain.epsilon_)
        for x in (A, HELD_OUT.source):
            np.testing.assert_allclose(
                model.transform(self.far(x)), self.far(plain.transform(x)), rtol=1e-6
            )
        np.testing.assert_allclose(
            model.inverse_transform(self.far(B)), self.far(plain.inverse_transform(B)), rtol=1e-6
        )
        model.set_params(standardize=False).save(tmp_path / "model.lrmf")  # the fit's, not this
        loaded = lrmf.EntropicOT.load(tmp_path / "model.lrmf")
        assert loaded.standardize is True
        np.testing.assert_array_equal(loaded.transform(self.far(B)), model.transform(self.far(B)))

    def test_without_it_the_feature_of_large_numbers_decides(self):
        plain, model = fit(), fit(self.far(A), self.far(B))
        moved = (model.transform(self.far(A)) - self.SHIFT) / self.UNITS
        assert np.abs(moved - plain.transform(A)).max() > 0.1

    def test_it_is_the_map_of_points_standardised_by_hand(self):
        a, b = A * [1.0, 3.0], B * [5.0, 1.0]
        scale = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 2)
        model, by_hand = fit(a, b, standardize=True), fit(a / scale, b / scale)
        np.testing.assert_allclose(model.transform(a), by_hand.transform(a / scale) * scale)

    def test_constant_features_and_points_too_far_for_squares(self):
        a, b = A.copy(), B.copy()
        a[:, 1] = b[:, 1] = 7.0
        moved = fit(a, b, standardize=True).transform(a)
        np.testing.assert_allclose(moved[:, 1], 7.0)
        a[:, 1], b[:, 1] = 1e130, -1e130
        with pytest.raises(ValueError, match=r"^Xs divided by its deviations holds values up to"):
            fit(a * [1e-15, 1.0], b * [1e-15, 1.0], standardize=True)
