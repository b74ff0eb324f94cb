"""Aligners as steps of skada's pipelines, with skada itself."""

import subprocess
import sys

import numpy as np
import pytest
from aligner_cases import CASES, Bound
from skada import make_da_pipeline
from skada._mapping import CORALAdapter, LinearOTMappingAdapter
from skada.metrics import SupervisedScorer
from skada.model_selection import SourceTargetShuffleSplit
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import StandardScaler

import lrmf
from lrmf.adapters import AlignmentScorer, SkadaAdapter
from lrmf.selection import WORST

PAIR = lrmf.data.moons(n=150, seed=0)
ORDER = np.random.default_rng(0).permutation(300)
X = np.concatenate([PAIR.source, PAIR.target])[ORDER]
Y = np.concatenate([PAIR.source_labels, PAIR.target_labels])[ORDER]
DOMAIN = np.repeat([1, -2], 150)[ORDER]
SOURCE = DOMAIN >= 0
# How skada tells its scorers which points are target.
MASKED = np.where(SOURCE, Y, -1)
# The adapter knows no aligner from another: a closed form, a plan, a flow, and a map of networks.
BOUND = [
    pytest.param(Bound(CASES[name], CASES[name].backends[0]), id=name)
    for name in ("coral", "entropic-ot", "lrmf", "cyclegan")
]


def labels():
    """Skada masks labels of the target in the array that it is given."""
    return Y.copy()


class TestAdapter:
    @pytest.mark.parametrize("bound", BOUND)
    def test_source_points_are_mapped_and_target_points_stay(self, bound):
        model = bound.make()
        adapter = SkadaAdapter(model)
        moved = adapter.fit_transform(X, labels(), sample_domain=DOMAIN)
        alone = bound.make().fit(Xs=X[SOURCE], Xt=X[~SOURCE])
        np.testing.assert_array_equal(moved[SOURCE], alone.transform(X[SOURCE]))
        np.testing.assert_array_equal(moved[~SOURCE], X[~SOURCE])
        assert adapter.aligner is model
        assert not hasattr(model, "event_shape_")

    def test_without_domains_all_points_are_target(self):
        adapter = SkadaAdapter(lrmf.CORAL()).fit(X, sample_domain=DOMAIN)
        np.testing.assert_array_equal(adapter.transform(X), X)

    def test_fit_then_transform_is_fit_transform(self):
        first, second = SkadaAdapter(lrmf.CORAL()), SkadaAdapter(lrmf.CORAL())
        moved = first.fit(X, sample_domain=DOMAIN).transform(
            X, sample_domain=DOMAIN, allow_source=True
        )
        np.testing.assert_array_equal(moved, second.fit_transform(X, sample_domain=DOMAIN))

    def test_several_domains_of_a_side_are_pooled(self):
        several = DOMAIN * np.where(np.arange(300) % 3, 1, 3)
        assert len(set(several)) == 4
        pooled, apart = (
            SkadaAdapter(lrmf.CORAL()).fit_transform(X, sample_domain=domain)
            for domain in (DOMAIN, several)
        )
        np.testing.assert_array_equal(pooled, apart)

    def test_whole_numbers_are_mapped_as_real_ones(self):
        whole = np.round(10 * X).astype(int)
        moved = SkadaAdapter(lrmf.CORAL()).fit_transform(whole, sample_domain=DOMAIN)
        expected = SkadaAdapter(lrmf.CORAL()).fit_transform(
            whole.astype(float), sample_domain=DOMAIN
        )
        np.testing.assert_array_equal(moved, expected)

    def test_clone_and_nested_parameters(self):
        adapter = SkadaAdapter(lrmf.LRMF(steps=7))
        copied = clone(adapter).set_params(aligner__steps=9, aligner__transform=lrmf.Affine())
        assert copied.aligner is not adapter.aligner
        assert copied.get_params()["aligner__steps"] == 9
        assert copied.aligner.get_params()["transform"] == lrmf.Affine()
        assert adapter.aligner.steps == 7


class TestPipeline:
    def pipeline(self, aligner):
        return make_da_pipeline(StandardScaler(), SkadaAdapter(aligner), LogisticRegression())

    def accuracy(self, pipeline):
        pipeline.fit(X, labels(), sample_domain=DOMAIN)
        return pipeline.score(PAIR.target, PAIR.target_labels)

    @pytest.mark.parametrize("bound", BOUND)
    def test_an_aligner_helps_the_classifier(self, bound):
        plain = make_da_pipeline(StandardScaler(), LogisticRegression())
        assert self.accuracy(self.pipeline(bound.make())) > self.accuracy(plain)

    def test_parameters_through_the_pipeline(self):
        pipeline = self.pipeline(lrmf.LRMF()).set_params(skadaadapter__aligner__steps=11)
        assert pipeline.get_params()["skadaadapter__aligner__steps"] == 11
        assert clone(pipeline).get_params()["skadaadapter__aligner__steps"] == 11

    def test_cross_validation(self):
        scores = cross_val_score(
            self.pipeline(lrmf.GaussianOT()),
            X,
            MASKED,
            params={"sample_domain": DOMAIN, "target_labels": Y},
            cv=SourceTargetShuffleSplit(n_splits=3, test_size=0.3, random_state=0),
            scoring=SupervisedScorer(),
            error_score="raise",
        )
        assert scores.shape == (3,)
        assert np.all(scores > 0.7)

    def test_grid_search_over_the_aligners_parameters(self):
        search = GridSearchCV(
            self.pipeline(lrmf.EntropicOT()),
            {"skadaadapter__aligner__regularization": [0.05, 1000.0]},
            cv=SourceTargetShuffleSplit(n_splits=2, test_size=0.3, random_state=0),
            scoring=SupervisedScorer(),
            error_score="raise",
        ).fit(X, MASKED, sample_domain=DOMAIN, target_labels=Y)
        assert search.best_params_ == {"skadaadapter__aligner__regularization": 0.05}


class TestAlignmentScorer:
    def score(self, *steps):
        pipeline = make_da_pipeline(*steps, LogisticRegression())
        pipeline.fit(X, labels(), sample_domain=DOMAIN)
        return AlignmentScorer()(pipeline, X, MASKED, sample_domain=DOMAIN)

    def test_it_is_the_aligners_own_score(self):
        alone = lrmf.CORAL().fit(Xs=X[SOURCE], Xt=X[~SOURCE])
        assert self.score(SkadaAdapter(lrmf.CORAL())) == alone.score(X[SOURCE], X[~SOURCE])

    def test_it_judges_skadas_own_mappings_and_none(self):
        assert self.score(CORALAdapter(reg=None)) > self.score() + 0.1
        assert self.score() == -lrmf.lrd(X[SOURCE], X[~SOURCE], controls=False).lrd

    def test_a_failed_fit_has_the_worst_score_and_its_reason(self):
        pipeline = make_da_pipeline(SkadaAdapter(lrmf.CORAL()), LogisticRegression())
        pipeline.fit(X, labels(), sample_domain=DOMAIN)
        aligner = pipeline[0].base_estimator_.aligner_
        aligner.complete_, aligner.status_ = False, "diverged: lower learning_rate"
        with pytest.warns(FitFailedWarning, match="worst score, -1.386: diverged: lower learning"):
            assert AlignmentScorer()(pipeline, X, MASKED, sample_domain=DOMAIN) == WORST


class TestSkadasOwn:
    """Skada's own mappings as oracles of ours."""

    def test_coral(self):
        ours = SkadaAdapter(lrmf.CORAL()).fit_transform(X, sample_domain=DOMAIN)
        theirs = CORALAdapter(reg=None).fit_transform(X, sample_domain=DOMAIN)
        # Skada moves both domains to mean zero.
        np.testing.assert_allclose(ours - X[~SOURCE].mean(axis=0), theirs, atol=1e-10)

    def test_gaussian_ot(self):
        ours = SkadaAdapter(lrmf.GaussianOT(regularization=1e-3))
        theirs = LinearOTMappingAdapter(reg=1e-3)
        np.testing.assert_allclose(
            *(adapter.fit_transform(X, sample_domain=DOMAIN) for adapter in (ours, theirs)),
            atol=1e-10,
        )


class TestBadInput:
    @pytest.mark.parametrize(
        ("aligner", "name"), [(None, "NoneType"), (lrmf.CORAL, "CORAL"), (StandardScaler(), "Stan")]
    )
    def test_what_is_no_aligner(self, aligner, name):
        with pytest.raises(TypeError, match=f"aligner must be an lrmf aligner .*, got {name}"):
            SkadaAdapter(aligner).fit(X, sample_domain=DOMAIN)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (SOURCE, "no target points: no entry .* below 0"),
            (~SOURCE, "no source points: no entry"),
        ],
    )
    def test_a_side_without_points(self, rows, message):
        with pytest.raises(ValueError, match=message):
            SkadaAdapter(lrmf.CORAL()).fit(X[rows], sample_domain=DOMAIN[rows])

    def test_no_domains(self):
        with pytest.raises(TypeError, match=r"sample_domain is missing; fit\(X, y, sample_domain="):
            SkadaAdapter(lrmf.CORAL()).fit(X, labels())

    def test_not_fitted(self):
        with pytest.raises(NotFittedError, match="this SkadaAdapter is not fitted yet; call fit"):
            SkadaAdapter(lrmf.CORAL()).transform(X)

    def test_source_points_where_skada_expects_none(self):
        adapter = SkadaAdapter(lrmf.CORAL()).fit(X, sample_domain=DOMAIN)
        with pytest.raises(ValueError, match="'allow_source' is set to False"):
            adapter.transform(X, sample_domain=DOMAIN)

    @pytest.mark.filterwarnings("ignore::lrmf.DivergenceWarning")
    def test_a_fit_that_diverged_is_no_alignment(self):
        model = lrmf.LRMF(
            transform=lrmf.Affine(), density=lrmf.Gaussian(), steps=100, batch_size=64,
            private_steps=0, refit_steps=0, learning_rate=1e30, progress=False,
        )  # fmt: skip
        adapter = SkadaAdapter(model)
        with pytest.raises(RuntimeError, match=r"so nothing is aligned: diverged: .*Lower"):
            adapter.fit(X, sample_domain=DOMAIN)
        assert not hasattr(adapter, "aligner_")

    def test_what_the_aligner_refuses(self):
        constant = np.where([True, False], X, 1.0)
        with pytest.raises(ValueError, match="the covariance of Xs is singular"):
            SkadaAdapter(lrmf.CORAL()).fit(constant, sample_domain=DOMAIN)


def test_a_missing_extra_is_named_with_its_cure():
    code = """
import sys
sys.modules["skada"] = None
try:
    import lrmf.adapters
except ImportError as error:
    assert 'pip install "lrmf[skada]"' in str(error), error
    assert error.__cause__ is not None
    print("refused")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["refused"], result.stderr


def test_the_library_loads_neither_skada_nor_pot():
    code = """
import sys, lrmf
lrmf.LRMF(), lrmf.CORAL(), lrmf.EntropicOT()
print("skada" in sys.modules, "ot" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"], result.stderr
