"""How an LRMF aligner is fitted: types, snapshots, early stopping, minibatches, settings."""

import numpy as np
import pytest
from scipy import stats

import lrmf
import lrmf.fitting

TRAIN, TEST = lrmf.data.blobs(n=400, seed=0), lrmf.data.blobs(n=300, seed=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(small, backend, dtype):
    model = small(backend=backend, dtype=dtype).fit(Xs=TRAIN.source, Xt=TRAIN.target)
    # As far as standardised points have digits.
    assert model.transform(TEST.source).dtype == np.float64
    assert model.inverse_transform(TEST.source).dtype == np.float64
    model.set_params(standardize=False).fit(Xs=TRAIN.source, Xt=TRAIN.target)
    assert model.transform(TEST.source).dtype == dtype
    for name in ("transform_", "density_", "private_source_", "refitted_target_"):
        assert all(x.dtype == dtype for x in getattr(model, name).arrays.values())


def test_snapshots_show_the_models_under_way(small):
    model = small(steps=400, snapshot_every=150, standardize=False)
    model.fit(Xs=TRAIN.source, Xt=TRAIN.target)
    assert [step for step, _, _ in model.snapshots_] == [0, 200, 300]
    flows = [flow.forward(TEST.source)[0] for _, flow, _ in model.snapshots_]
    np.testing.assert_allclose(flows[0], TEST.source, rtol=1e-6)
    densities = [density.log_prob(TEST.source) for _, _, density in model.snapshots_]
    np.testing.assert_allclose(densities[0], stats.norm.logpdf(TEST.source).sum(axis=1), rtol=1e-4)
    for values in (flows, densities):
        assert not np.allclose(values[1], values[2], atol=1e-3)


@pytest.fixture(scope="module")
def stopped():
    # Few points and a flexible density: the held-out loss soon rises. Both backends stop by the
    # same code, and `test_discrepancies.py` compares their held-out losses.
    model = lrmf.LRMF(
        transform=lrmf.Affine(),
        density=lrmf.RealNVP(blocks=2, hidden=(32,)),
        steps=3000,
        private_steps=100,
        refit_steps=100,
        learning_rate=1e-2,
        schedule="constant",
        validation_fraction=0.3,
        patience=300,
        snapshot_every=100,
        progress=False,
    )
    return model.fit(Xs=TRAIN.source[:60], Xt=TRAIN.target[:60])


def test_validation_stops_early_with_the_best_arrays(stopped):
    assert stopped.outcome_ == "stopped early"
    losses, steps = (stopped.history_[f"validation_{name}"] for name in ("loss", "step"))
    best = int(np.argmin(losses))
    assert stopped.n_steps_ == steps[best]
    assert steps[-1] == steps[best] + 300 < 3000
    assert f"the arrays of step {steps[best]}, the best ones, were kept" in stopped.status_
    (snapshot,) = (s for s in stopped.snapshots_ if s[0] == steps[best])
    np.testing.assert_equal(stopped.transform_.arrays, snapshot[1].arrays)
    np.testing.assert_equal(stopped.density_.arrays, snapshot[2].arrays)


def test_a_fit_that_stopped_early_has_a_certificate(stopped):
    assert stopped.family_certificate(TEST.source, TEST.target).lrd > -1.0


def test_validation_loss_is_that_of_points_which_were_held_out(stopped):
    # 18 of 60 points a side, and no batch ever held more than the other 42.
    rng = np.random.default_rng(np.random.SeedSequence(0).spawn(8)[2])
    held_out = [x[:60][rng.permutation(60)[:18]] for x in (TRAIN.source, TRAIN.target)]
    expected = lrmf.lrmf_loss(stopped.transform_, stopped.density_, *held_out)
    best = stopped.history_["validation_loss"].min() - stopped.constant_
    assert best == pytest.approx(float(expected), rel=1e-4)


def test_both_backends_see_the_same_minibatches(small, monkeypatch):
    seen = {"jax": [], "tfp": []}

    def watch(name):
        made = type(lrmf.get_backend(name))
        make_trainer = made.trainer

        def trainer(self, loss, roles, arrays, data, **options):
            result = make_trainer(self, loss, roles, arrays, data, **options)
            run = result.run

            def watched(indices, rates, extra):
                record = tuple(sorted(data)), {k: data[k][v].tobytes() for k, v in indices.items()}
                seen[name].append((*record, rates.tobytes(), sorted(extra)))
                return run(indices, rates, extra)

            result.run = watched
            return result

        monkeypatch.setattr(made, "trainer", trainer)

    for name in seen:
        watch(name)
        model = small(backend=name, transform=lrmf.Identity())
        model.fit(Xs=TRAIN.source, Xt=TRAIN.target)
    # Stages run side by side, in any order.
    first, second = (sorted(map(repr, records)) for records in seen.values())
    assert len(first) == 3 + 4 * 2
    assert first == second


def test_both_backends_give_the_same_model(small):
    models = [
        small(backend=name, dtype="float64").fit(Xs=TRAIN.source, Xt=TRAIN.target)
        for name in ("jax", "tfp")
    ]
    first, second = models
    np.testing.assert_allclose(first.history_["loss"], second.history_["loss"], rtol=1e-8)
    np.testing.assert_allclose(
        first.transform(TEST.source), second.transform(TEST.source), rtol=1e-8
    )
    certificates = [model.family_certificate(TEST.source, TEST.target) for model in models]
    assert certificates[0].lrd == pytest.approx(certificates[1].lrd, rel=1e-6)
    assert certificates[0].bound == pytest.approx(certificates[1].bound, rel=1e-6)


def configs(model):
    """The settings of a private fit and of a refit."""
    recipe = model._recipe(("source", "target"))
    return recipe.private[0].config, recipe.refitted[0].config


def test_default_refit_learning_rate(small):
    shares = {
        lrmf.Gaussian(): 1.0,
        lrmf.Histogram(edges=[0, 1]): 1.0,
        lrmf.Affine(): 0.1,
        lrmf.RealNVP(hidden=(8,)): 0.1,
        "an object of a library": 0.1,
    }
    for density, share in shares.items():
        _, refit = configs(small(density=density, learning_rate=0.02))
        assert refit.learning_rate == pytest.approx(0.02 * share)
    private, refit = configs(small(refit_learning_rate=0.3))
    assert refit.learning_rate == 0.3
    assert private.learning_rate == 0.02


def test_private_steps_default_to_steps(small):
    for private_steps, expected in ((None, 77), (5, 5)):
        private, _ = configs(small(private_steps=private_steps, steps=77))
        assert private.steps == expected


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_for_every_stage_or_none(small, monkeypatch, progress):
    shown = {}

    class Bar:
        def __init__(self, *, desc, disable, **_):
            shown[desc] = not disable

        def update(self, n):
            pass

        def set_postfix(self, **_):
            pass

        def close(self):
            pass

    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(lrmf.fitting, "tqdm", Bar)
    small(progress=progress).fit(Xs=TRAIN.source, Xt=TRAIN.target)
    stages = ("flow", "private source", "private target", "refit source", "refit target")
    assert shown == dict.fromkeys(stages, progress)
