"""Searches over settings by scikit-learn itself: what they pick, and how they fail."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score

import lrmf
from lrmf.selection import WORST, DomainSplit, StackedAligner, stack
from lrmf.specs import SolverError

PAIR = lrmf.data.blobs(n=120, seed=0)
X, DOMAIN = stack(PAIR.source, PAIR.target)
CLOSED = StackedAligner(lrmf.GaussianOT())


class Failing(lrmf.GaussianOT):
    """Ends as a trained aligner may: diverged, given up, or with a map that overflows."""

    def __init__(self, *, regularization=0.0, end=""):
        super().__init__(regularization=regularization)
        self.end = end

    def fit(self, Xs=None, ys=None, Xt=None, yt=None):
        super().fit(Xs=Xs, Xt=Xt)
        if self.end == "solver":
            raise SolverError("the solver gave up; take fewer blocks")
        self.complete_ = self.end != "diverged"
        self.status_ = "diverged: lower learning_rate"
        return self

    def transform(self, X):
        if self.end == "late solver":
            raise SolverError("the solver gave up; take fewer blocks")
        return super().transform(X) * (np.inf if self.end == "overflow" else 1.0)


class TestSearches:
    def test_eight_settings_in_parallel_pick_what_a_user_would(self):
        settings = {"aligner__regularization": [500.0, 200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 0.0]}
        search = GridSearchCV(CLOSED, settings, cv=DomainSplit(2), n_jobs=2).fit(X, DOMAIN)
        scores = search.cv_results_["mean_test_score"]
        assert len(scores) == 8
        assert np.isfinite(scores).all()
        # Of these only the last gives T(A) the moments of B.
        assert search.best_params_ == {"aligner__regularization": 0.0}
        assert scores[0] < -0.2 < scores[-1]
        alone = cross_val_score(CLOSED, X, DOMAIN, cv=DomainSplit(2), error_score="raise")
        assert scores[-1] == np.mean(alone)
        best = search.best_estimator_
        assert best.aligner_.transform(PAIR.source).shape == PAIR.source.shape
        assert search.score(X, DOMAIN) == best.aligner_.score(PAIR.source, PAIR.target)
        assert not hasattr(search.estimator.aligner, "event_shape_")

    def test_a_random_search_over_the_settings_of_a_spec(self):
        # Of one step, so nothing but the spec's kind can matter.
        model = lrmf.LRMF(transform=lrmf.RealNVP(hidden=(4,)), steps=1)
        search = StackedAligner(model)
        changed = clone(search).set_params(aligner__transform__hidden=(8,), aligner__steps=2)
        assert changed.aligner.get_params()["transform"] == lrmf.RealNVP(hidden=(8,))
        assert changed.aligner.steps == 2
        assert model.get_params()["transform"] == lrmf.RealNVP(hidden=(4,))
        random = RandomizedSearchCV(
            CLOSED, {"aligner__regularization": [0.0, 50.0]}, n_iter=2, cv=2, random_state=0
        )
        assert random.fit(X, DOMAIN).best_params_ == {"aligner__regularization": 0.0}

    def test_scikit_learns_own_folds_hold_both_domains(self):
        scores = cross_val_score(CLOSED, X, DOMAIN, cv=2, error_score="raise")
        assert np.isfinite(scores).all()

    def test_the_domains_labels_are_those_of_skada(self):
        several = np.where(DOMAIN > 0, np.arange(240) % 2, -1 - np.arange(240) % 2)
        one, other = (clone(CLOSED).fit(X, y).score(X, y) for y in (DOMAIN, several))
        assert one == other


class TestFailures:
    @pytest.mark.parametrize(
        ("end", "reason"),
        [
            ("diverged", "diverged: lower learning_rate"),
            ("solver", "the solver gave up; take fewer blocks"),
            ("late solver", "the solver gave up; take fewer blocks"),
            ("overflow", "the map overflows at 60 of 60 held-out points"),
        ],
    )
    def test_a_failed_fit_has_the_worst_score_and_its_reason(self, end, reason):
        search = GridSearchCV(
            StackedAligner(Failing()), {"aligner__end": [end, ""]}, cv=DomainSplit(2), refit=False
        )
        with pytest.warns(FitFailedWarning, match=f"gets the worst score, -1.386: {reason}"):
            search.fit(X, DOMAIN)
        failed, sound = search.cv_results_["mean_test_score"]
        assert failed == WORST
        assert sound > WORST
        assert search.best_params_ == {"aligner__end": ""}

    def test_a_refused_fit_has_the_worst_score_where_asked_for(self):
        constant = np.where([True, False], X, 1.0)
        with pytest.warns(FitFailedWarning, match="the covariance of Xs is singular"):
            search = GridSearchCV(
                CLOSED,
                {"aligner__regularization": [0.0, 1.0]},
                cv=DomainSplit(2),
                error_score=WORST,
            ).fit(constant, DOMAIN)
        assert search.cv_results_["mean_test_score"][0] == WORST
        assert search.best_params_ == {"aligner__regularization": 1.0}

    @pytest.mark.parametrize(
        "fit",
        [
            lambda search: search.fit(PAIR.source, PAIR.target),
            lambda search: search.fit(PAIR.source, PAIR.target[:50]),
            lambda search: search.fit(PAIR.source, Xt=PAIR.target),
        ],
    )
    @pytest.mark.parametrize("model", [lrmf.LRMF(), lrmf.AUB(), lrmf.GaussianOT()])
    def test_an_aligner_alone_names_what_to_search_with(self, fit, model):
        message = (
            r"not fitted yet; call fit\(Xs=source, Xt=target\) before score\. Searches .* give "
            rf"them lrmf\.selection\.StackedAligner\({type(model).__name__}\(\)\) and lrmf\.sel"
        )
        with pytest.raises(ValueError, match=message):
            fit(GridSearchCV(model, {}))


class TestBadInput:
    def test_folds_with_too_few_points_for_the_judge(self):
        with pytest.raises(ValueError, match=r"120 source points in 7 folds are 17 a fold; .* 20"):
            GridSearchCV(CLOSED, {}, cv=DomainSplit(7)).fit(X, DOMAIN)
        with pytest.raises(ValueError, match="30 target points in 2 folds are 15 a fold"):
            list(DomainSplit(2).split(X[:150], DOMAIN[:150]))

    def test_a_seed(self):
        with pytest.raises(ValueError, match="seed must be a non-negative integer, got None"):
            DomainSplit(2, seed=None)
        assert len(list(DomainSplit(2, seed=2**40).split(X, DOMAIN))) == 2

    @pytest.mark.parametrize("n_splits", [None, "2", 0, 2.5, {1}])
    def test_numbers_of_folds(self, n_splits):
        with pytest.raises(ValueError, match="n_splits must be a positive integer, got"):
            DomainSplit(n_splits)
        with pytest.raises(ValueError, match="n_splits must be 2 or more, got 1"):
            DomainSplit(1)

    @pytest.mark.parametrize(
        "y",
        [
            DOMAIN[:9],
            np.where(DOMAIN > 0, "a", "b"),
            DOMAIN > 0,
            np.ones((240, 1)),
            None,
            [[1], [1, 2]],
        ],
    )
    def test_domains(self, y):
        with pytest.raises(ValueError, match="y must hold 240 numbers, zero or more for source"):
            clone(CLOSED).fit(X, y)

    @pytest.mark.parametrize("x", [3.0, np.zeros(240), None])
    def test_points(self, x):
        with pytest.raises(TypeError, match=r"X must hold the points of both domains, as .*; got"):
            clone(CLOSED).fit(x, DOMAIN)

    @pytest.mark.parametrize(("sign", "side"), [(1, "target"), (-1, "source")])
    def test_a_domain_without_points(self, sign, side):
        with pytest.raises(ValueError, match=f"no {side} points: .* cv=lrmf.selection.DomainS"):
            clone(CLOSED).fit(X, np.full(240, sign))

    @pytest.mark.parametrize(("aligner", "name"), [(None, "NoneType"), (lrmf.CORAL, "CORAL")])
    def test_what_is_no_aligner(self, aligner, name):
        with pytest.raises(TypeError, match=f"aligner must be an lrmf aligner .*, got {name}"):
            StackedAligner(aligner).fit(X, DOMAIN)

    def test_not_fitted(self):
        with pytest.raises(NotFittedError, match="this StackedAligner is not fitted yet; call fit"):
            clone(CLOSED).score(X, DOMAIN)
