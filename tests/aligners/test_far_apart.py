"""Domains that lie far apart: each is standardised by moments of its own, and all numbers agree."""

import json

import numpy as np
import pytest

import lrmf
from tests.aligners.aligner_cases import CASES, back, mapped

PAIR = lrmf.data.moons(n=300, seed=0)
OTHER = lrmf.data.moons(n=300, seed=1)
TRAINED = [name for name, case in CASES.items() if "steps" in case.parameters()]
#: Powers of two, so that no digit of the data is lost.
FACTOR, SHIFT = np.array([2.0**10, 1.0]), 2.0**8
LOG_DET = -float(np.log(FACTOR).sum())


def far(x):
    return x * FACTOR + SHIFT


def make(name, **changes):
    case = CASES[name]
    steps = {k: 3 for k in ("steps", "private_steps", "refit_steps") if k in case.parameters()}
    start = {"start": None} if "start" in case.parameters() else {}
    return case.kind(**case.settings | steps | start | {"snapshot_every": 1} | changes)


def by_hand(own):
    """What an aligner with these standardisations learns from."""
    return own["source"].apply(PAIR.source * FACTOR + SHIFT), own["target"].apply(PAIR.target)


@pytest.fixture(scope="module", params=TRAINED)
def fits(request):
    """One aligner fitted to domains far apart, and to what it standardises them to."""
    name = request.param
    density = {"density": lrmf.RealNVP(blocks=2, hidden=(8,))} if name == "lrmf" else {}
    options = {"validation_fraction": 0.2, **density}
    model = make(name, **options).fit(Xs=far(PAIR.source), Xt=PAIR.target)
    a, b = by_hand(model.standardizations_)
    return make(name, **options, standardize=False).fit(Xs=a, Xt=b), model


def test_what_is_learned_is_that_of_the_standardised_domains(fits):
    plain, model = fits
    own = model.standardizations_
    assert model.standardization_ is own["target"]
    assert own["source"].scale[0] / own["target"].scale[0] > 500
    x, y = far(OTHER.source), OTHER.target
    np.testing.assert_allclose(
        own["target"].apply(model.transform(x)),
        plain.transform(own["source"].apply(x)),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        own["source"].apply(back(model, y)),
        back(plain, own["target"].apply(y)),
        atol=1e-5,
    )
    if not isinstance(model.transform_, lrmf.Flow):
        return
    log_det = model.transform_.forward(x)[1]
    np.testing.assert_allclose(
        log_det,
        plain.transform_.forward(own["source"].apply(x))[1]
        + own["source"].log_det((2,))
        - own["target"].log_det((2,)),
        atol=1e-4,
    )


def test_losses_and_constants_are_in_units_of_the_data(fits):
    plain, model = fits
    own = {j: units.log_det((2,)) for j, units in model.standardizations_.items()}
    both = own["source"] + own["target"]
    missing = {"loss": 0.0}
    if hasattr(model, "constant_") and np.isfinite(model.constant_) and model.constant_:
        known = both if hasattr(model, "private_source_") else own["target"]
        assert model.constant_ == pytest.approx(plain.constant_ + known, abs=1e-4)
    elif hasattr(model, "private_source_"):  # a likelihood for itself
        missing["loss"] = -both * getattr(model, "likelihood_weight", 1.0)
    if getattr(model, "adversary_", None) is not None and model.density_ is not None:
        missing |= {"adversary_loss": -own["target"], "density_loss": -2 * own["target"]}
    for column, shift in missing.items():
        np.testing.assert_allclose(
            model.history_[column], plain.history_[column] + shift, rtol=1e-4, atol=1e-4
        )


def test_public_densities_are_of_the_data_in_their_own_units(fits):
    plain, model = fits
    own = model.standardizations_
    for name in ("private_source_", "private_target_", "density_", "refitted_source_"):
        if getattr(model, name, None) is None:
            continue
        domain = "source" if name == "private_source_" else "target"
        points = far(OTHER.source) if domain == "source" else OTHER.target
        np.testing.assert_allclose(
            getattr(model, name).log_prob(points),
            getattr(plain, name).log_prob(own[domain].apply(points)) + own[domain].log_det((2,)),
            rtol=1e-4,
            atol=1e-4,
        )
    if hasattr(model, "family_certificate"):
        found = model.family_certificate(far(OTHER.source), OTHER.target)
        expected = plain.family_certificate(
            own["source"].apply(far(OTHER.source)), own["target"].apply(OTHER.target)
        )
        assert found.lrd == pytest.approx(expected.lrd, abs=1e-4)
        assert found.bound == pytest.approx(expected.bound, abs=1e-4)


def test_they_come_back_from_files(fits, tmp_path):
    _, model = fits
    model.save(tmp_path / "model.lrmf")
    loaded = type(model).load(tmp_path / "model.lrmf")
    assert loaded.standardizations_ == model.standardizations_
    x = far(OTHER.source)
    np.testing.assert_array_equal(loaded.transform(x), model.transform(x))
    np.testing.assert_array_equal(back(loaded, OTHER.target), back(model, OTHER.target))
    for name in ("private_source_", "density_"):
        if getattr(model, name, None) is not None:
            np.testing.assert_array_equal(
                getattr(loaded, name).log_prob(x), getattr(model, name).log_prob(x)
            )
    for found, expected in zip(loaded.snapshots_, model.snapshots_, strict=True):
        np.testing.assert_array_equal(mapped(found[1], x), mapped(expected[1], x))


def test_the_loss_is_that_of_its_definition():
    a, b = far(PAIR.source), PAIR.target
    model = make("lrmf", batch_size=1024, steps=1).fit(Xs=a, Xt=b)
    _, transform, density = model.snapshots_[0]
    constant = model.private_source_.log_prob(a).mean() + model.private_target_.log_prob(b).mean()
    found = [float(lrmf.lrmf_loss(transform, density, a, b, constant=c)) for c in (constant, 0.0)]
    assert model.constant_ == pytest.approx(constant, abs=1e-4)
    assert model.history_["loss"][0] == pytest.approx(found[0], abs=1e-3)
    assert model.history_["loss"][0] - model.constant_ == pytest.approx(found[1], abs=1e-3)


#: One step that hardly moves T.
STILL = {
    "transform": lrmf.RealNVP(blocks=2, hidden=(8,)),
    "density": lrmf.RealNVP(blocks=2, hidden=(8,)),
    "steps": 1,
    "learning_rate": 1e-9,
    "progress": False,
}


class TestStart:
    """Where T starts: a flow of one step has hardly moved."""

    def start(self, a, b, **changes):
        model = lrmf.LRMF(**STILL | changes).fit(Xs=a, Xt=b)
        return model, model.transform(a)

    def test_at_the_translation_of_means_that_are_apart(self):
        a = PAIR.source + 30.0
        model, moved = self.start(a, PAIR.target)
        expected = a - a.mean(axis=0) + PAIR.target.mean(axis=0)
        np.testing.assert_allclose(moved, expected, atol=2e-3)
        np.testing.assert_allclose(model.transform_.forward(a)[1], np.zeros(len(a)), atol=2e-3)

    def test_at_the_deviations_of_features_that_differ_by_much(self):
        a = PAIR.source * [1000.0, 1.0]
        _, moved = self.start(a, PAIR.target)
        np.testing.assert_allclose(moved[:, 0].std(), PAIR.target[:, 0].std(), rtol=1e-2)
        np.testing.assert_allclose(moved[:, 1].std(), a[:, 1].std(), rtol=1e-2)
        np.testing.assert_allclose(moved.mean(axis=0), PAIR.target.mean(axis=0), atol=2e-3)

    def test_at_one_factor_for_features_that_are_stretched_alike(self):
        a = PAIR.source * 10.0
        _, moved = self.start(a, PAIR.target)
        factors = moved.std(axis=0) / a.std(axis=0)
        assert factors[0] == pytest.approx(factors[1], rel=1e-3)
        ratios = PAIR.target.std(axis=0) / a.std(axis=0)
        assert factors[0] == pytest.approx(np.sqrt(ratios.prod()), rel=1e-3)
        assert ratios[0] / ratios[1] > 1.2  # so that the deviations of each are others

    def test_at_factors_of_their_own_for_features_that_are_not(self):
        a = PAIR.source * [10.0, 1000.0]
        _, moved = self.start(a, PAIR.target)
        np.testing.assert_allclose(moved.std(axis=0), PAIR.target.std(axis=0), rtol=1e-2)

    def test_new_points_are_measured_in_their_own_units(self):
        a = PAIR.source * 1e39  # beyond float32 in the units of the target
        _, moved = self.start(a, PAIR.target)
        assert np.isfinite(moved).all()
        np.testing.assert_allclose(moved.mean(axis=0), PAIR.target.mean(axis=0), atol=1e-2)

    @pytest.mark.parametrize("changes", [{"start": "identity"}, {"standardize": "together"}])
    def test_at_the_identity_where_that_is_asked_for(self, changes):
        a = PAIR.source + 30.0
        model, moved = self.start(a, PAIR.target, **changes)
        np.testing.assert_allclose(moved, a, atol=5e-2)
        assert model.standardizations_["source"] is model.standardizations_["target"]

    def test_at_the_moments_where_that_is_asked_for(self):
        _, moved = self.start(PAIR.source, PAIR.target, standardize="apart")
        np.testing.assert_allclose(moved.std(axis=0), PAIR.target.std(axis=0), rtol=1e-2)

    @pytest.mark.parametrize("rotation", range(-180, 180, 30))
    def test_at_the_identity_for_moons_at_all_angles(self, rotation):
        pair = lrmf.data.moons(n=200, rotation=float(rotation), seed=3)
        own = units(pair.source, pair.target)
        assert own["source"] is own["target"]

    def test_points_of_no_variation_keep_their_place(self):
        a, b = PAIR.source.copy(), PAIR.target + 30.0
        a[:, 1] = 5.0
        own = units(a, b)
        assert own["source"].location[0] != own["target"].location[0]
        assert own["source"].location[1] == own["target"].location[1]

    def test_numbers_too_large_or_small_for_squares(self):
        for factor in (1e200, 1e-200):
            own = units(PAIR.source * factor, (PAIR.target + 30.0) * factor)
            for domain, x in (("source", PAIR.source), ("target", PAIR.target + 30.0)):
                z = own[domain].apply(x * factor)
                np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-6)
                assert (np.abs(z).max(axis=0) < 5).all()


def units(a, b):
    model = lrmf.MMDFlow(transform=lrmf.Affine(), bandwidths=(1.0,), steps=1, progress=False).fit(
        Xs=a, Xt=b
    )
    return model.standardizations_


class TestOneForAll:
    """Where a map or a density can't do with units of each domain."""

    HISTOGRAM = lrmf.Histogram(edges=((-50.0, 0.0, 50.0), (-50.0, 0.0, 50.0)))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"transform": lrmf.Identity()}, r"needs a map of the source that can learn"),
            ({"density": HISTOGRAM}, r"needs a density without units of its own, unlike Histogram"),
        ],
    )
    def test_by_default_it_is_chosen_and_the_other_is_refused(self, changes, message):
        a = PAIR.source + 30.0
        model = lrmf.LRMF(**STILL | changes).fit(Xs=a, Xt=PAIR.target)
        assert model.standardizations_["source"] is model.standardizations_["target"]
        if "transform" in changes:
            np.testing.assert_allclose(model.transform(a), a)
        with pytest.raises(ValueError, match=f'^standardize="apart" {message}.*="together"'):
            model.set_params(standardize="apart").fit(Xs=a, Xt=PAIR.target)

    def test_a_fixed_map_of_the_last_domain_stays_the_identity(self):
        a = PAIR.source + 30.0
        model = lrmf.AUB(**STILL, target_transform=lrmf.Identity()).fit(Xs=a, Xt=PAIR.target)
        assert model.standardizations_["source"] is not model.standardizations_["target"]
        moved = model.target_map_.forward(OTHER.target)[0]
        np.testing.assert_allclose(moved, OTHER.target, atol=1e-6)

    def test_starts_that_contradict_each_other(self):
        model = lrmf.LRMF(**STILL, start="identity", standardize="apart")
        with pytest.raises(ValueError, match=r'^start="identity" and standardize="apart", by'):
            model.fit(Xs=PAIR.source, Xt=PAIR.target)


def test_many_domains_far_from_each_other():
    a, b, c = PAIR.source, PAIR.target + 30.0, OTHER.source * 100.0
    model = lrmf.AUB(**STILL, private_steps=1, refit_steps=1).fit(domains=[a, b, c])
    for j, x in enumerate((a, b, c)):
        for k, y in enumerate((a, b, c)):
            moved = model.transform(x, domain=j, to=k)
            np.testing.assert_allclose(moved.mean(axis=0), y.mean(axis=0), atol=1e-3 * y.std())
            # Features that are stretched alike share a factor, so proportions stay.
            sizes = [np.linalg.norm(z.std(axis=0)) for z in (moved, y)]
            assert sizes[0] == pytest.approx(sizes[1], rel=0.1)
            back = model.inverse_transform(moved, domain=j, to=k)
            np.testing.assert_allclose(back, x, atol=1e-4 * x.std())
    # Untrained densities of standardised points are all the same, so that the bound is zero.
    assert model.family_certificate(domains=[a, b, c]).bound == pytest.approx(0.0, abs=1e-2)
    _, worst = min((units.bound(1e300), j) for j, units in model.standardizations_.items())
    assert worst == "domain_2"


def test_labels_are_of_the_standardised_pairs_too():
    a, y = PAIR.source + 30.0, PAIR.source_labels
    model = lrmf.LRMF(**STILL, label_density=lrmf.Gaussian())
    model.fit(Xs=a, ys=y, Xt=PAIR.target, yt=PAIR.target_labels)
    near = lrmf.LRMF(**STILL, label_density=lrmf.Gaussian(), standardize=False)
    own = model.standardizations_
    near.fit(
        Xs=own["source"].apply(a), ys=y, Xt=own["target"].apply(PAIR.target), yt=PAIR.target_labels
    )
    np.testing.assert_allclose(
        model.transform(a), own["target"].undo(near.transform(own["source"].apply(a))), atol=1e-4
    )


def test_new_points_are_measured_by_the_units_of_their_domain():
    model = lrmf.LRMF(**STILL).fit(Xs=PAIR.source * 1e30, Xt=PAIR.target)
    assert np.isfinite(model.transform(PAIR.source * 1e30)).all()
    with pytest.raises(ValueError, match=r"^X holds values up to 1e\+39.* too large for float32"):
        model.inverse_transform([[1e39, 0.0]])


@pytest.mark.parametrize("place", ["moved by 1", "moved by 3", "moved by 10", "moved by 30"])
def test_the_saved_runs_say_of_starts_what_is_said_of_them(place):
    document = (lrmf.data.saved_results("starts") / "runs.json").read_text(encoding="utf8")
    runs = json.loads(document)["runs"]
    found = {start: runs[f"moons {place} {start}"] for start in ("identity", "moments", "default")}
    assert found["default"]["lrd"] < 0.001
    assert found["default"]["accuracy"] == 1.0
    assert found["default"]["decision"] == "aligned"
    assert 0.04 < found["identity"]["accuracy"] < 0.84
    assert found["moments"]["accuracy"] == 0.863
    assert {run["decision"] for name, run in found.items() if name != "default"} <= {
        "not aligned",
        "not decided",
    }
