"""Games as aligners: what they reach, what their values are, and that they can be resumed."""

import os
import signal

import numpy as np
import pytest
from scipy import stats

import lrmf
from lrmf.theory import divergences

PAIR, HELD_OUT = lrmf.data.blobs(seed=0), lrmf.data.blobs(seed=1)
OTHER = {"jax": "tfp", "tfp": "jax"}

SETTINGS = {
    "transform": lrmf.Affine(),
    "steps": 300,
    "batch_size": 64,
    "learning_rate": 0.01,
    "adversary_learning_rate": 0.05,
    "adversary_steps": 2,
    "validation_fraction": 0.1,
    "snapshot_every": 100,
    "checkpoint_every": 100,
    "progress": False,
}
FORMS = {
    "discriminator": {"adversary": lrmf.Discriminator(hidden=(16,))},
    "density": {
        "adversary": lrmf.Gaussian(),
        "density": lrmf.Gaussian(),
        "learning_rate": 0.05,
        "adversary_learning_rate": 0.1,
        "private_steps": 300,
    },
}
every_form = pytest.mark.parametrize("form", FORMS)


def make(form, **changes):
    return lrmf.AdversarialFlow(**{**SETTINGS, **FORMS[form], **changes})


def fit(model, **options):
    return model.fit(Xs=PAIR.source, Xt=PAIR.target, **options)


@pytest.fixture(scope="module", params=[(f, b) for f in FORMS for b in OTHER], ids="-".join)
def fitted(request):
    form, backend = request.param
    return form, fit(make(form, backend=backend))


class TestFit:
    def test_what_a_fit_leaves(self, fitted):
        form, model = fitted
        assert model.outcome_ == "finished"
        assert model.complete_
        names = {"step", "loss", "adversary_loss", "validation_step", "validation_loss"}
        assert set(model.history_) == names | ({"density_loss"} if form == "density" else set())
        assert len(model.history_["adversary_loss"]) == 300
        assert [step for step, *_ in model.snapshots_] == [0, 100, 200, 300]
        _, flow, density = model.snapshots_[-1]
        np.testing.assert_equal(flow.arrays, model.transform_.arrays)
        if form == "discriminator":
            assert isinstance(model.adversary_, lrmf.Classifier)
            assert model.density_ is model.private_target_ is density is None
            assert model.constant_ == 0.0
        else:
            assert isinstance(model.adversary_, lrmf.Density)
            np.testing.assert_equal(density.arrays, model.density_.arrays)

    def test_the_constant_is_the_best_likelihood_of_the_target(self, fitted):
        form, model = fitted
        if form == "discriminator":
            pytest.skip("a discriminator's game has none")
        normal = stats.multivariate_normal(PAIR.target.mean(axis=0), np.cov(PAIR.target.T))
        assert model.constant_ == pytest.approx(normal.logpdf(PAIR.target).mean(), abs=0.2)
        # With it the game is worth the distance of what is left between T(A) and B.
        assert abs(model.history_["loss"][-50:].mean()) < 0.5

    def test_in_the_other_backend(self, fitted, tmp_path):
        _, model = fitted
        model.save(tmp_path / "game.lrmf")
        loaded = lrmf.AdversarialFlow.load(tmp_path / "game.lrmf", backend=OTHER[model.backend])
        x = HELD_OUT.source
        np.testing.assert_allclose(loaded.transform(x), model.transform(x), rtol=1e-4, atol=1e-4)
        assert (loaded.density_ is None) == (model.density_ is None)
        np.testing.assert_equal(loaded.history_, model.history_)
        np.testing.assert_equal(loaded.adversary_.arrays, model.adversary_.arrays)

    @every_form
    def test_the_other_form_after_the_first(self, form):
        other = next(name for name in FORMS if name != form)
        model = fit(make(other, steps=5, private_steps=5))
        fit(model.set_params(**make(form, steps=5, private_steps=5).get_params()))
        assert (model.density_ is None) == (form == "discriminator")


class TestDiscriminator:
    def test_against_a_fixed_flow_it_becomes_the_optimal_one(self):
        # `tests/test_games.py` compares what a game's steps do in both backends.
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(4000, 1)), rng.normal(1.0, 0.5, size=(4000, 1))
        model = lrmf.AdversarialFlow(
            transform=lrmf.Affine(),
            adversary=lrmf.Discriminator(hidden=(32, 32), spectral_norm=False),
            learning_rate=1e-12,
            adversary_learning_rate=0.01,
            steps=800,
            batch_size=1000,
            beta_1=0.9,
            beta_2=0.999,
            standardize="together",  # T starts at the identity, however far b lies
            progress=False,
        ).fit(Xs=a, Xt=b)
        np.testing.assert_allclose(model.transform(a), a, atol=1e-6)
        p, q = stats.norm(0.0, 1.0), stats.norm(1.0, 0.5)
        x = np.linspace(-3.0, 3.0, 301)
        found = stats.logistic.cdf(model.adversary_.logits(x[:, None]))
        optimal = q.pdf(x) / (p.pdf(x) + q.pdf(x))
        assert np.sqrt(np.mean((found - optimal) ** 2)) < 0.04
        best = np.log(4.0) - 2.0 * divergences.jsd(p.logpdf, q.logpdf, support=(-8.0, 8.0))
        assert model.history_["adversary_loss"][-100:].mean() == pytest.approx(best, abs=0.03)

    @pytest.mark.parametrize("loss", ["non-saturating", "saturating", "hinge"])
    def test_each_loss_aligns_a_shifted_pair(self, loss):
        rng = np.random.default_rng(1)
        a, b = rng.normal(size=(500, 2)), rng.normal([2.0, -1.0], size=(500, 2))
        model = make("discriminator", loss=loss, learning_rate=0.02).fit(Xs=a, Xt=b)
        left = model.transform(a).mean(axis=0) - b.mean(axis=0)
        assert np.linalg.norm(left) < 0.5  # of 2.24


class TestParameters:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"adversary": lrmf.Discriminator}, r"expected a spec such as Discriminator\(\), got"),
            ({"adversary": None}, "backend takes lrmf specs and .*, got NoneType"),
            ({"adversary": lrmf.Gaussian(), "density": lrmf.Discriminator()}, "it is no density"),
            ({"transform": lrmf.Discriminator()}, "gives logits, it is no flow; as one choose"),
        ],
        ids=["a class", "nothing", "no density", "no flow"],
    )
    @pytest.mark.usefixtures("nothing_compiles")
    def test_models_of_the_wrong_kind(self, backend, changes, message):
        with pytest.raises(TypeError, match=message):
            fit(make("discriminator", backend=backend, **changes))

    @pytest.mark.parametrize("name", ["adversary", "density"])
    @pytest.mark.usefixtures("nothing_compiles")
    def test_points_outside_a_histogram(self, name):
        histogram = lrmf.Histogram(edges=([0.0, 0.1], [0.0, 0.1]))
        with pytest.raises(ValueError, match=r"Xs holds \d+ points outside the edges"):
            fit(make("density", **{name: histogram}))

    def test_the_adversary_learns_at_its_own_rate(self):
        model = fit(make("discriminator", adversary_learning_rate=1e-12, steps=20))
        seeds = np.random.SeedSequence(0).spawn(10)
        start = model.adversary.init((2,), np.random.default_rng(seeds[1]))
        for name, value in model.adversary_.arrays.items():
            np.testing.assert_allclose(value, start[name], atol=1e-6)
        assert np.abs(model.transform_.arrays["shift"]).max() > 0.01


def interrupt_after(monkeypatch, backend, chunks, action):
    """Let an action happen in the game after so many of its chunks."""
    kind = type(lrmf.get_backend(backend))
    make_trainer = kind.trainer

    def trainer(self, loss, roles, arrays, data, **options):
        made = make_trainer(self, loss, roles, arrays, data, **options)
        if "adversary" in arrays:
            run, calls = made.run, []

            def watched(*arguments):
                calls.append(None)
                if len(calls) == chunks + 1:
                    action()
                return run(*arguments)

            made.run = watched
        return made

    monkeypatch.setattr(kind, "trainer", trainer)


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture
def ctrl_c():
    """Python's own answer to Ctrl-C, which a process started in the background lacks."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, previous) is signal.default_int_handler


class TestInterruption:
    def test_a_resumed_game_ends_as_if_never_interrupted(self, fitted, monkeypatch, tmp_path):
        form, expected = fitted
        path = tmp_path / "game.ckpt"
        with monkeypatch.context() as patch:
            interrupt_after(patch, expected.backend, 1, interrupt)
            model = fit(make(form, backend=expected.backend), checkpoint=path)
        assert (model.outcome_, model.n_steps_) == ("interrupted", 100)
        assert len(model.history_["adversary_loss"]) == 100
        np.testing.assert_equal(model.transform_.arrays, expected.snapshots_[1][1].arrays)
        resumed = fit(make(form, backend=expected.backend), checkpoint=path)
        np.testing.assert_equal(resumed.history_, expected.history_)
        np.testing.assert_equal(resumed.transform_.arrays, expected.transform_.arrays)
        np.testing.assert_equal(resumed.adversary_.arrays, expected.adversary_.arrays)
        assert resumed.status_ == expected.status_

    @every_form
    def test_ctrl_c(self, form, monkeypatch, ctrl_c):
        interrupt_after(monkeypatch, "jax", 2, press_ctrl_c)
        model = fit(make(form, steps=10**7, private_steps=10**7))
        assert model.outcome_ == "interrupted"
        assert 200 <= model.n_steps_ < 10**7
        assert "interrupted at step" in model.status_

    @pytest.mark.filterwarnings("ignore::lrmf.DivergenceWarning")
    @pytest.mark.parametrize("backend", OTHER)
    def test_an_absurd_learning_rate(self, backend):
        model = fit(make("density", backend=backend, learning_rate=1e30))
        assert model.outcome_ == "diverged"
        assert "Lower learning_rate (now 1e+30, of adversary 0.1, of density 0.1)" in model.status_
        assert all(np.isfinite(x).all() for x in model.transform_.arrays.values())

    @pytest.mark.filterwarnings("ignore::lrmf.DivergenceWarning")
    def test_an_absurd_learning_rate_of_the_adversary(self):
        model = fit(make("density", adversary_learning_rate=1e30))
        assert model.outcome_ == "diverged"
        assert "of adversary 1e+30" in model.status_
