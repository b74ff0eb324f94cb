"""AlignFlow, CycleGAN and RevGAN: their extremes, what they share, and what they lack."""

import math

import numpy as np
import pytest

import lrmf

PAIR, HELD_OUT = lrmf.data.blobs(seed=0), lrmf.data.blobs(seed=1)
SETTINGS = {
    "transform": lrmf.Affine(),
    "adversary": lrmf.Discriminator(hidden=(16,)),
    "steps": 300,
    "batch_size": 64,
    "learning_rate": 0.01,
    "adversary_learning_rate": 0.05,
    "progress": False,
}


def make(**changes):
    return lrmf.AlignFlow(**SETTINGS | changes)


def fit(model):
    return model.fit(Xs=PAIR.source, Xt=PAIR.target)


@pytest.fixture(scope="module")
def hybrid():
    # Of another spec than the flows, or their order would not show.
    return fit(make(likelihood_weight=0.3, shared=lrmf.Affine(kind="diagonal"), snapshot_every=150))


class TestWeights:
    def test_without_critics_it_is_back_to_back(self):
        model = fit(make(likelihood_weight=math.inf, steps=20))
        names = ("adversary", "adversary_learning_rate")
        settings = {k: v for k, v in SETTINGS.items() if k not in names}
        other = fit(lrmf.BackToBackFlow(**settings | {"steps": 20}))
        np.testing.assert_array_equal(model.history_["loss"], other.history_["loss"])
        np.testing.assert_array_equal(
            model.transform(HELD_OUT.source), other.transform(HELD_OUT.source)
        )
        assert model.source_adversary_ is model.target_adversary_ is model.shared_flow_ is None

    def test_the_loss_is_in_units_of_the_data(self):
        near, far = (
            make(likelihood_weight=0.3, steps=3).fit(Xs=s * PAIR.source, Xt=s * PAIR.target)
            for s in (1.0, 1000.0)
        )
        shift = 0.3 * 2 * 2 * np.log(1000.0)  # two domains of two features; a game has no units
        gap = far.history_["loss"] - near.history_["loss"]
        np.testing.assert_allclose(gap, shift, atol=1e-3)

    def test_one_critic(self):
        model = fit(make(critics="source", steps=3))
        assert isinstance(model.source_adversary_, lrmf.Classifier)
        assert model.target_adversary_ is None
        assert set(model.history_) == {"step", "source_adversary_loss", "loss"}


class TestSharedFlow:
    def test_the_densities_contain_it_and_the_map_does_not(self, hybrid):
        x = HELD_OUT.target
        z, log_det = hybrid.target_flow_.inverse(x)
        noise, further = hybrid.shared_flow_.inverse(z)
        normal = -0.5 * (noise**2).sum(axis=1) - np.log(2.0 * np.pi)
        np.testing.assert_allclose(
            hybrid.private_target_.log_prob(x), normal + log_det + further, rtol=1e-4, atol=1e-4
        )
        z, _ = hybrid.source_flow_.inverse(HELD_OUT.source)
        moved, _ = hybrid.target_flow_.forward(z)
        np.testing.assert_array_equal(hybrid.transform(HELD_OUT.source), moved)
        assert len(hybrid.transform_.parts) == 2  # not there and back
        # It has learned something.
        assert np.abs(hybrid.shared_flow_.arrays["log_scale"]).max() > 0.05

    def test_saved_with_its_snapshots(self, hybrid, tmp_path):
        hybrid.save(tmp_path / "hybrid.lrmf")
        loaded = lrmf.AlignFlow.load(tmp_path / "hybrid.lrmf", backend="tfp")
        x, y = HELD_OUT.source, HELD_OUT.target
        np.testing.assert_allclose(loaded.transform(x), hybrid.transform(x), atol=1e-3)
        for one, other in (
            (loaded.private_target_, hybrid.private_target_),
            (loaded.snapshots_[1][2], hybrid.snapshots_[1][2]),
        ):
            np.testing.assert_allclose(one.log_prob(y), other.log_prob(y), rtol=1e-3)
        critics = loaded.source_adversary_, hybrid.source_adversary_
        np.testing.assert_allclose(critics[0].logits(x), critics[1].logits(x), atol=1e-4)


@pytest.mark.usefixtures("nothing_compiles")
class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"likelihood_weight": 0.0, "shared": lrmf.Affine()}, ValueError, "nothing trains a"),
            ({"shared": lrmf.Gaussian()}, TypeError, r"^shared must be a flow spec such as"),
            ({"shared": lrmf.Affine(), "transform": 3}, TypeError, "^transform must be a flow sp"),
            ({"adversary": lrmf.Gaussian()}, TypeError, "expected a discriminator such as"),
            ({"transform": lrmf.Network()}, TypeError, "neither inverse nor log-determinant"),
        ],
    )
    def test_of_alignflow(self, changes, error, message):
        with pytest.raises(error, match=message):
            fit(make(**changes))

    def test_of_cyclegan(self):
        network = {"transform": lrmf.Network(hidden=(4,)), "backward": lrmf.Affine()}
        for settings in (SETTINGS, SETTINGS | network):
            message = r"expected a network such as Network\(\), got Affine"
            with pytest.raises(TypeError, match=message):
                fit(lrmf.CycleGAN(**settings))


class TestCycles:
    def test_cyclegan_says_that_it_has_no_inverse(self):
        message = "CycleGAN learns two networks .* has no inverse_transform; translate_back"
        with pytest.raises(AttributeError, match=message):
            lrmf.CycleGAN().inverse_transform(PAIR.target)
        assert not hasattr(lrmf.CycleGAN, "inverse_transform")

    def test_going_there_and_back(self):
        model = fit(lrmf.CycleGAN(**SETTINGS | {"transform": lrmf.Network(hidden=(16,))}))
        x = HELD_OUT.source
        moved = model.transform(x)
        left = np.abs(model.translate_back(moved) - x).mean()
        # Near, and not exact.
        assert 1e-4 < left < 0.2 * np.abs(moved - x).mean()
