"""Flow-GAN: a density of one data set, by likelihood, against a critic, or both."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import lrmf

X, NEW = (100.0 + 3.0 * lrmf.data.blobs(n=300, seed=s).target for s in (0, 1))
SETTINGS = {
    "transform": lrmf.Affine(),
    "adversary": lrmf.Discriminator(hidden=(16,)),
    "steps": 300,
    "batch_size": 64,
    "learning_rate": 0.02,
    "adversary_learning_rate": 0.05,
    "noise_points": 500,
    "progress": False,
}


def make(**changes):
    return lrmf.FlowGAN(**SETTINGS | changes)


@pytest.fixture(scope="module", params=[0.5, math.inf])
def model(request):
    return make(likelihood_weight=request.param).fit(X)


def test_the_density_is_that_of_the_data(model):
    best = stats.multivariate_normal(X.mean(axis=0), np.cov(X.T)).logpdf(NEW).mean()
    assert model.score(NEW) == pytest.approx(best, abs=0.1)
    assert model.score_samples(NEW).mean() == pytest.approx(model.score(NEW))
    assert (model.adversary_ is None) == (model.likelihood_weight == math.inf)
    np.testing.assert_allclose(model.sample(4000).mean(axis=0), X.mean(axis=0), atol=0.5)
    assert model.certificate(NEW, controls=False).lrd < 0.1


def test_it_maps_noise_to_data_and_back(model):
    noise = np.random.default_rng(0).normal(size=(50, 2))
    flow = model.transform_
    np.testing.assert_allclose(flow.inverse(flow.forward(noise)[0])[0], noise, atol=1e-3)
    z = flow.inverse(NEW)[0]
    np.testing.assert_allclose([z.mean(), z.std()], [0.0, 1.0], atol=0.2)


def test_in_the_other_backend(model, tmp_path):
    model.save(tmp_path / "flow.lrmf")
    loaded = lrmf.FlowGAN.load(tmp_path / "flow.lrmf", backend="tfp")
    np.testing.assert_allclose(loaded.score_samples(NEW), model.score_samples(NEW), rtol=1e-4)
    assert loaded.get_params()["likelihood_weight"] == model.likelihood_weight


def test_against_a_critic_alone_samples_are_alike():
    model = make(likelihood_weight=0.0, learning_rate=0.01).fit(X)
    assert model.certificate(NEW, controls=False).lrd < 0.2
    assert "target_adversary_loss" in model.history_


def test_without_a_critic_no_noise_is_drawn(monkeypatch):
    monkeypatch.setattr("lrmf.aligners.flow_gan.np", None)
    assert make(likelihood_weight=math.inf).fit(X).n_steps_ == 300
    with pytest.raises(AttributeError, match="random"):
        make(steps=1).fit(X)


def test_weights_and_labels():
    weights = (X[:, 0] > np.median(X[:, 0])).astype(float)
    model = make(likelihood_weight=math.inf).fit(X, np.zeros(len(X)), sample_weight=weights)
    expected = X[weights > 0].mean(axis=0)
    np.testing.assert_allclose(model.sample(4000).mean(axis=0), expected, atol=0.5)


@pytest.mark.usefixtures("nothing_compiles")
class TestBadInput:
    @pytest.mark.parametrize("value", [-1.0, math.nan, "1", None, True, -math.inf])
    def test_weights_of_the_likelihood(self, value):
        with pytest.raises(ValueError, match="likelihood_weight must be zero or a positive num"):
            make(likelihood_weight=value).fit(X)

    @pytest.mark.parametrize("value", [0, 1.5, "9", None])
    def test_noise(self, value):
        with pytest.raises(ValueError, match="noise_points must be a positive integer"):
            make(noise_points=value).fit(X)

    def test_data(self):
        with pytest.raises(TypeError, match="X is missing"):
            make().fit()
        with pytest.raises(ValueError, match="X has only 1 row"):
            make().fit(X[:1])
        with pytest.raises(ValueError, match="NaN or infinite"):
            make().fit(np.where(X.mean() < X, np.nan, X))

    @pytest.mark.parametrize("method", ["sample", "score_samples", "certificate"])
    def test_before_the_fit(self, method):
        with pytest.raises(NotFittedError, match="this FlowGAN is not fitted yet"):
            getattr(make(), method)(3 if method == "sample" else X)
        with pytest.raises(ValueError, match="this FlowGAN is not fitted yet"):
            make().score(X)


def test_searches_of_scikit_learn_take_it_as_it_is():
    found = cross_val_score(make(likelihood_weight=math.inf), X, cv=2)
    assert np.isfinite(found).all()
    with pytest.raises(NotFittedError, match=r"call fit\(X\)$"):
        make().score(X)


def test_it_maps_no_data_to_other_data(model):
    for name in ("transform", "inverse_transform", "fit_transform"):
        with pytest.raises(AttributeError, match="FlowGAN maps no data to other data"):
            getattr(model, name)


def test_integers_are_no_images_with_a_density():
    images = np.random.default_rng(0).integers(0, 256, (40, 2, 2, 1), dtype=np.uint8)
    flow = lrmf.Glow(levels=1, steps=1, hidden=(2,))
    with pytest.raises((TypeError, ValueError), match="Dequantized"):
        make(transform=flow, likelihood_weight=math.inf, steps=1).fit(images)
