"""Data of any location and scale: an aligner standardises inside, and all it gives agrees."""

import numpy as np
import pytest

import lrmf
from lrmf import storage
from tests.aligners.aligner_cases import CASES, back, mapped

PAIR = lrmf.data.blobs(n=300, seed=0)
OTHER = lrmf.data.blobs(n=300, seed=1)
TRAINED = [name for name, case in CASES.items() if "steps" in case.parameters()]
#: Powers of two, so that no digit of the data is lost.
FACTOR, SHIFT = np.array([2.0**10, 2.0**-3]), 2.0**20
LOG_DET = -float(np.log(FACTOR).sum())


def far(x):
    return x * FACTOR + SHIFT


def near(x):
    return (x - SHIFT) / FACTOR


def make(name, **changes):
    case = CASES[name]
    steps = {k: 3 for k in ("steps", "private_steps", "refit_steps") if k in case.parameters()}
    return case.kind(**case.settings | steps | {"snapshot_every": 1} | changes)


@pytest.fixture(scope="module", params=[(name, "jax") for name in TRAINED] + [("lrmf", "tfp")])
def fits(request):
    """One aligner fitted to data, and to the same data in other units."""
    name, backend = request.param
    options = {"backend": backend, "validation_fraction": 0.2}
    return (
        make(name, **options).fit(Xs=PAIR.source, Xt=PAIR.target),
        make(name, **options).fit(Xs=far(PAIR.source), Xt=far(PAIR.target)),
    )


def test_units_change_nothing(fits):
    plain, model = fits
    np.testing.assert_allclose(
        near(model.transform(far(OTHER.source))), plain.transform(OTHER.source), atol=1e-6
    )
    np.testing.assert_allclose(
        near(back(model, far(OTHER.target))), back(plain, OTHER.target), atol=1e-6
    )
    # With its constant the loss has no units; a log-density for itself has.
    alone = hasattr(model, "private_source_") and not hasattr(model, "constant_")
    missing = 2 * getattr(model, "likelihood_weight", 1.0) if alone else 0
    for column in ("loss", "validation_loss"):
        np.testing.assert_allclose(
            model.history_[column],
            plain.history_[column] - missing * LOG_DET,
            rtol=1e-4,
            atol=1e-5,
        )


def test_public_models_are_of_the_data_in_their_own_units(fits):
    plain, model = fits
    x, y = far(OTHER.source), far(OTHER.target)
    moved = mapped(model.transform_, x)
    np.testing.assert_array_equal(moved, model.transform(x))
    if isinstance(model.transform_, lrmf.Flow):
        log_dets = model.transform_.forward(x)[1], plain.transform_.forward(OTHER.source)[1]
        np.testing.assert_allclose(*log_dets, atol=1e-5)
    _, flow, density = model.snapshots_[-1]
    np.testing.assert_array_equal(mapped(flow, x), moved)
    for name in ("density_", "private_source_", "private_target_", "refitted_source_"):
        if getattr(model, name, None) is not None:
            np.testing.assert_allclose(
                getattr(model, name).log_prob(y),
                getattr(plain, name).log_prob(OTHER.target) + LOG_DET,
                atol=1e-4,
            )
    if density is not None:
        np.testing.assert_allclose(
            density.log_prob(y), plain.snapshots_[-1][2].log_prob(OTHER.target) + LOG_DET, atol=1e-4
        )
    if isinstance(model, lrmf.BackToBackFlow):  # its flows are of noise
        z = OTHER.source
        np.testing.assert_allclose(
            near(model.target_flow_.forward(z)[0]), plain.target_flow_.forward(z)[0], atol=1e-6
        )
        points = model.target_flow_.forward(z)
        expected = -0.5 * (z**2).sum(axis=1) - np.log(2 * np.pi) - points[1]
        np.testing.assert_allclose(
            model.private_target_.log_prob(points[0]), expected, rtol=1e-5, atol=1e-4
        )


def test_certificates_have_no_units(fits):
    plain, model = fits
    if not hasattr(model, "family_certificate"):
        pytest.skip("has none")
    assert model.constant_ == pytest.approx(plain.constant_ + 2 * LOG_DET, abs=1e-5)
    found = model.family_certificate(far(OTHER.source), far(OTHER.target))
    expected = plain.family_certificate(OTHER.source, OTHER.target)
    for name in ("lrd", "lrd_stderr", "bound", "bound_stderr"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-4)


def test_the_loss_is_that_of_its_definition():
    model = make("lrmf", batch_size=1024, steps=1).fit(Xs=far(PAIR.source), Xt=far(PAIR.target))
    _, transform, density = model.snapshots_[0]
    by_hand = lrmf.lrmf_loss(
        transform,
        density,
        far(PAIR.source),
        far(PAIR.target),
        constant=model.private_source_.log_prob(far(PAIR.source)).mean()
        + model.private_target_.log_prob(far(PAIR.target)).mean(),
    )
    assert model.history_["loss"][0] == pytest.approx(float(by_hand), abs=1e-4)
    assert model.history_["loss"][0] - model.constant_ == pytest.approx(
        float(lrmf.lrmf_loss(transform, density, far(PAIR.source), far(PAIR.target))), abs=1e-3
    )


def test_the_moments_are_of_all_domains_and_by_weight():
    weights = np.linspace(1.0, 3.0, 300)
    model = make("lrmf", standardize="together")
    model.fit(Xs=PAIR.source, Xt=PAIR.target[:100], sample_weight_s=weights)
    means = np.average(PAIR.source, axis=0, weights=weights), PAIR.target[:100].mean(axis=0)
    np.testing.assert_allclose(model.standardization_.location, np.mean(means, axis=0))
    x = PAIR.source
    model = make("aub", standardize="together").fit(domains=[x, x, x + 9.0])
    np.testing.assert_allclose(model.standardization_.location, x.mean(axis=0) + 3.0)


def test_without_the_data_are_learned_from_as_they_are():
    model = make("mmd-triangular-gap", standardize=False, steps=1)
    model.fit(Xs=PAIR.source, Xt=PAIR.target)
    assert model.standardization_ is None
    doubled = make("mmd-triangular-gap", standardize=False, steps=1)
    doubled.fit(Xs=2 * PAIR.source, Xt=2 * PAIR.target)
    np.testing.assert_allclose(doubled.history_["loss"], 2 * model.history_["loss"], rtol=1e-4)
    with pytest.raises(ValueError, match=r"^Xs holds values up to .* too large for float32"):
        model.fit(Xs=1e200 * PAIR.source, Xt=PAIR.target)


def test_points_too_far_from_the_data_of_fit():
    model = make("lrmf").fit(Xs=1e200 * PAIR.source, Xt=1e200 * PAIR.target)
    assert np.isfinite(model.transform(1e200 * OTHER.source)).all()
    with pytest.raises(ValueError, match=r"^X holds values up to 1e\+250, .* too large for float3"):
        model.transform([[1e250, 0.0]])


class TestFiles:
    @pytest.mark.parametrize("name", ["aub", "back-to-back", "adversarial-density"])
    def test_standardised_models_come_back(self, name, tmp_path):
        model = make(name).fit(Xs=far(PAIR.source), Xt=far(PAIR.target))
        model.save(tmp_path / "model.lrmf")
        loaded = type(model).load(tmp_path / "model.lrmf")
        x = far(OTHER.source)
        np.testing.assert_array_equal(loaded.transform(x), model.transform(x))
        np.testing.assert_array_equal(
            loaded.private_target_.log_prob(x), model.private_target_.log_prob(x)
        )
        for found, expected in zip(loaded.snapshots_, model.snapshots_, strict=True):
            assert found[0] == expected[0]
            np.testing.assert_array_equal(found[1].forward(x)[0], expected[1].forward(x)[0])
            assert (found[2] is None) == (expected[2] is None)
            if found[2] is not None:
                np.testing.assert_array_equal(found[2].log_prob(x), expected[2].log_prob(x))
        again = loaded.fit(Xs=far(PAIR.source), Xt=far(PAIR.target))
        np.testing.assert_array_equal(again.transform(x), model.transform(x))

    def test_a_histogram_keeps_its_edges(self, tmp_path):
        edges = np.arange(0.0, 5.0)
        a, b = np.random.default_rng(0).uniform(size=(2, 300, 1)) * 4
        a[0], b[0] = 4.0, 0.0
        model = lrmf.LRMF(
            transform=lrmf.Identity(),
            density=lrmf.Histogram(edges=edges),
            steps=100,
            batch_size=1024,
            learning_rate=0.1,
            private_steps=100,
            refit_steps=100,
            progress=False,
        ).fit(Xs=a, Xt=b)
        inside = np.array([[0.0], [0.999], [1.0], [4.0]])
        log_prob = model.density_.log_prob(inside)
        assert log_prob[0] == log_prob[1] != log_prob[2]
        widths = np.exp(model.density_.log_prob(edges[:-1, None]))
        assert widths.sum() == pytest.approx(1.0, abs=1e-5)
        certificate = model.family_certificate(a, b)
        with pytest.raises(ValueError, match=r"^the image of Xs holds 1 points outside the edges"):
            model.family_certificate(np.append(a, [[4.1]], axis=0), b)
        model.save(tmp_path / "model.lrmf")
        loaded = lrmf.LRMF.load(tmp_path / "model.lrmf")
        assert loaded.family_certificate(a, b) == certificate

    def test_files_of_the_first_versions(self, tmp_path):
        """They know of no standardisation: their models are of the data as they are."""
        model = make("lrmf", standardize=False).fit(Xs=PAIR.source, Xt=PAIR.target)
        model.save(tmp_path / "model.lrmf")
        arrays, document = storage.read(tmp_path / "model.lrmf", "LRMF")
        assert not any(name.startswith("standardization") for name in arrays)
        del document["parameters"]["standardize"]
        storage.write(tmp_path / "old.lrmf", arrays, document)
        loaded = lrmf.LRMF.load(tmp_path / "old.lrmf")
        assert loaded.standardize is False
        assert loaded.standardization_ is None
        x = OTHER.source
        np.testing.assert_array_equal(loaded.transform(x), model.transform(x))

    def test_a_damaged_standardisation(self, tmp_path):
        make("lrmf").fit(Xs=PAIR.source, Xt=PAIR.target).save(tmp_path / "model.lrmf")
        arrays, document = storage.read(tmp_path / "model.lrmf", "LRMF")
        del arrays["standardizations_/target/scale"]
        storage.write(tmp_path / "model.lrmf", arrays, document)
        with pytest.raises(ValueError, match="damaged: its standardisation does not fit points of"):
            lrmf.LRMF.load(tmp_path / "model.lrmf")


def test_single_precision_in_other_units_far_from_zero_ends_where_the_plain_fit_does():
    units, origin = np.array([1e4, 1e7]), 3e5

    def far32(x):
        return (x * units + origin).astype(np.float32)

    # Rounding decides Adam's first steps, so that the ends are compared, of fits without noise.
    settings = {"steps": 600, "batch_size": 512, "learning_rate": 0.05, "snapshot_every": None}
    plain, model = (
        make("lrmf", **settings).fit(Xs=given(PAIR.source), Xt=given(PAIR.target))
        for given in (lambda x: x, far32)
    )
    moved = (model.transform(far32(OTHER.source)) - origin) / units
    np.testing.assert_allclose(moved, plain.transform(OTHER.source), atol=0.02)
    # T has gone further than that.
    assert np.abs(moved - OTHER.source).max() > 1.0


def test_degenerate_data_are_told_at_fit_time():
    rng = np.random.default_rng(0)
    constant, binary = PAIR.source.copy(), PAIR.target.copy()
    constant[:, 1], binary[:, 0] = 3.0, rng.integers(2, size=300)
    message = r"^Xs: feature 1 is constant(.|\n)*Xt: feature 0 is discrete \(2 different values"
    with pytest.warns(lrmf.DataWarning, match=message) as told:
        make("lrmf").fit(Xs=constant, Xt=binary)
    assert [w.filename for w in told] == [__file__]
    spoiled = PAIR.source.copy()
    spoiled[:3] *= 1e3
    with pytest.warns(lrmf.DataWarning, match="Xs: features 0 and 1 are heavy-tailed"):
        lrmf.EntropicOT().fit(Xs=spoiled, Xt=PAIR.target)
    with pytest.warns(lrmf.DataWarning, match="Xs: features 0 and 1 are heavy-tailed") as told:
        lrmf.CORAL().fit(Xs=spoiled, Xt=PAIR.target)
    assert [w.filename for w in told] == [__file__]
