"""CORAL and GaussianOT against SciPy, POT and the theory's closed forms."""

import numpy as np
import ot
import pytest
from scipy.linalg import inv, sqrtm

import lrmf
from lrmf.theory import gaussian

KINDS = [lrmf.CORAL, lrmf.GaussianOT]


def clouds(features, seed=0, n=200, m=150):
    rng = np.random.default_rng([seed, features])
    mix = rng.normal(size=(2, features, features)) + np.eye(features)
    a, b = rng.normal(size=(n, features)) @ mix[0], rng.normal(size=(m, features)) @ mix[1]
    return a - 3.0, b + rng.normal(size=features)


def moments(x):
    return x.mean(axis=0), np.atleast_2d(np.cov(x.T, bias=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("features", [1, 2, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_moments_are_matched_exactly(kind, features, seed):
    a, b = clouds(features, seed)
    model = kind().fit(Xs=a, Xt=b)
    for x, y in ((model.transform(a), b), (model.inverse_transform(b), a)):
        for ours, theirs in zip(moments(x), moments(y), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(moments(y)[1]).max())


@pytest.mark.parametrize("regularization", [0.0, 0.3])
@pytest.mark.parametrize("features", [1, 2, 5])
class TestMaps:
    def test_coral_is_whitening_and_colouring(self, features, regularization):
        a, b = clouds(features)
        model = lrmf.CORAL(regularization=regularization).fit(Xs=a, Xt=b)
        (mean_a, cov_a), (mean_b, cov_b) = moments(a), moments(b)
        cov_a, cov_b = (c + regularization * np.eye(features) for c in (cov_a, cov_b))
        expected = (a - mean_a) @ inv(sqrtm(cov_a)) @ sqrtm(cov_b) + mean_b
        np.testing.assert_allclose(model.transform(a), expected, atol=1e-8)
        matrix, shift = gaussian.moment_matching_map(
            np.eye(features), mean_a=mean_a, cov_a=cov_a, mean_b=mean_b, cov_b=cov_b
        )
        np.testing.assert_allclose(model.matrix_, matrix, atol=1e-8)
        np.testing.assert_allclose(model.shift_, shift, atol=1e-8)

    def test_gaussian_ot_is_pots(self, features, regularization):
        a, b = clouds(features)
        model = lrmf.GaussianOT(regularization=regularization).fit(Xs=a, Xt=b)
        matrix, shift = ot.gaussian.empirical_bures_wasserstein_mapping(a, b, reg=regularization)
        np.testing.assert_allclose(model.matrix_, matrix, atol=1e-8)
        np.testing.assert_allclose(model.shift_, shift[0], atol=1e-8)
        assert np.array_equal(model.matrix_, model.matrix_.T)
        assert np.linalg.eigvalsh(model.matrix_)[0] > 0


def test_the_original_coral():
    """Algorithm 1 of Sun, Feng and Saenko: Σ + I, no means; here with covariances over n."""
    a, b = (x - x.mean(axis=0) for x in clouds(3))
    source, target = (np.cov(x.T, bias=True) + np.eye(3) for x in (a, b))
    original = a @ inv(sqrtm(source)) @ sqrtm(target)
    model = lrmf.CORAL(regularization=1.0).fit(Xs=a, Xt=b)
    np.testing.assert_allclose(model.transform(a), original, atol=1e-10)


def test_gaussian_ot_moves_points_least():
    a, b = clouds(3)
    costs = [
        np.mean(np.sum((kind().fit(Xs=a, Xt=b).transform(a) - a) ** 2, axis=1)) for kind in KINDS
    ]
    assert costs[1] < costs[0] - 0.05
    assert costs[1] == pytest.approx(gaussian.wasserstein(*moments(a), *moments(b)) ** 2)


def test_where_covariances_commute_both_are_one_map():
    a, b = clouds(2)
    turned = 2 * (a - a.mean(axis=0)) + 1
    first, second = (kind().fit(Xs=a, Xt=turned) for kind in KINDS)
    np.testing.assert_allclose(first.matrix_, second.matrix_, atol=1e-10)
    first, second = (kind().fit(Xs=a, Xt=b) for kind in KINDS)
    assert np.abs(first.matrix_ - second.matrix_).max() > 0.05


@pytest.mark.parametrize("kind", [lrmf.CORAL, lrmf.GaussianOT])
def test_no_magnitude_of_the_data_changes_a_map(kind):
    a, b = np.random.default_rng(0).normal(size=(2, 50, 2)) @ np.diag([1.0, 2.0])
    plain = kind().fit(Xs=a, Xt=b + 1.0).transform(a)
    for magnitude in (2.0**-600, 2.0**330, 2.0**460):  # up to 1e138
        model = kind().fit(Xs=a * magnitude, Xt=(b + 1.0) * magnitude)
        np.testing.assert_allclose(model.transform(a * magnitude) / magnitude, plain)
    with pytest.raises(ValueError, match=r"^Xs holds values up to .*, too large for their squares"):
        kind().fit(Xs=a * 1e150, Xt=b)


@pytest.mark.parametrize("kind", KINDS)
class TestSingularCovariances:
    @pytest.mark.parametrize("side", ["a constant", "a sum", "few points"])
    def test_of_the_source(self, kind, side):
        a, b = clouds(3)
        singular = {
            "a constant": np.where([True, True, False], a, 7.0),
            "a sum": np.column_stack([a[:, :2], a[:, 0] + a[:, 1]]),
            "few points": a[:3],
        }[side]
        message = r"^the covariance of Xs is singular: .* eigenvalues from .*; drop features that"
        with pytest.raises(ValueError, match=message):
            kind().fit(Xs=singular, Xt=b)
        model = kind(regularization=1e-3).fit(Xs=singular, Xt=b)
        back = model.inverse_transform(model.transform(singular))
        np.testing.assert_allclose(back, singular, atol=1e-6)

    def test_of_the_target(self, kind, tmp_path):
        a, b = clouds(3)
        flat = np.column_stack([b[:, :2], b[:, 0] + b[:, 1]])
        with pytest.warns(
            lrmf.DataWarning, match="^Xt: features 0, 1 and 2 are linearly dependent"
        ):
            model = kind().fit(Xs=a, Xt=flat)
        np.testing.assert_allclose(moments(model.transform(a))[1], moments(flat)[1], atol=1e-6)
        model.save(tmp_path / "model.lrmf")
        for fitted in (model, kind.load(tmp_path / "model.lrmf")):
            with pytest.raises(ValueError, match="no inverse, because the covariance of Xt was"):
                fitted.inverse_transform(flat)
            with pytest.raises(ValueError, match="no inverse, because the covariance of Xt was"):
                fitted.flow("jax")


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_flattened(kind):
    a, b = clouds(4)
    flat = kind().fit(Xs=a, Xt=b)
    pictures = kind().fit(Xs=a.reshape(-1, 2, 2), Xt=b.reshape(-1, 2, 2))
    moved = pictures.transform(a.reshape(-1, 2, 2))
    assert moved.shape == (200, 2, 2)
    np.testing.assert_array_equal(moved.reshape(-1, 4), flat.transform(a))


@pytest.mark.parametrize("kind", KINDS)
def test_as_a_flow(kind, backend):
    a, b = clouds(3)
    model = kind().fit(Xs=a, Xt=b)
    flow = model.flow(backend, dtype="float64")
    moved, log_det = flow.forward(a)
    np.testing.assert_allclose(moved, model.transform(a), atol=1e-10)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(model.matrix_)[1], atol=1e-10)
    np.testing.assert_allclose(flow.inverse(b)[0], model.inverse_transform(b), atol=1e-8)


def test_a_file_without_its_arrays(tmp_path):
    from lrmf import storage

    path = tmp_path / "model.lrmf"
    lrmf.CORAL().fit(Xs=clouds(2)[0], Xt=clouds(2)[1]).save(path)
    arrays, document = storage.read(path, "CORAL")
    del arrays["shift_"]
    storage.write(path, arrays, document)
    with pytest.raises(ValueError, match="is damaged: it lacks shift_; save the model again"):
        lrmf.CORAL.load(path)


@pytest.mark.parametrize("kind", [lrmf.CORAL, lrmf.GaussianOT])
class TestWhatAFitKeeps:
    A, B = np.random.default_rng(0).normal(size=(2, 50, 2))

    def test_a_fit_that_is_interrupted_changes_nothing(self, kind, monkeypatch):
        model = kind().fit(Xs=self.A, Xt=self.B)
        before = dict(vars(model))
        calls = []

        def interrupted(here, there):
            calls.append(here)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return here

        monkeypatch.setattr(kind, "_map", staticmethod(interrupted))
        with pytest.raises(KeyboardInterrupt):
            model.fit(Xs=self.A + 1.0, Xt=3 * self.B)
        assert vars(model) == before

    def test_a_file_holds_the_parameters_of_the_fit(self, kind, tmp_path):
        model = kind(regularization=np.float32(0.5)).fit(Xs=self.A, Xt=self.B)
        model.set_params(regularization="much").save(tmp_path / "model.lrmf")
        loaded = kind.load(tmp_path / "model.lrmf")
        assert type(loaded.regularization) is float
        assert loaded.regularization == 0.5
        loaded.save(tmp_path / "again.lrmf")
        assert (tmp_path / "again.lrmf").read_bytes() == (tmp_path / "model.lrmf").read_bytes()

    def test_standardised_it_has_no_units(self, kind, tmp_path):
        units = np.array([1e8, 1e-3])
        b = self.B @ [[1.0, 0.8], [0.0, 0.6]]
        plain = kind(standardize=True, regularization=0.1).fit(Xs=self.A, Xt=b)
        model = kind(standardize=True, regularization=0.1).fit(Xs=self.A * units, Xt=b * units)
        moved = plain.transform(self.A)
        np.testing.assert_allclose(model.transform(self.A * units) / units, moved)
        np.testing.assert_allclose(
            model.inverse_transform(b * units) / units, plain.inverse_transform(b)
        )
        assert not np.allclose(
            kind(regularization=0.1).fit(Xs=self.A, Xt=b).transform(self.A), moved
        )
        model.save(tmp_path / "model.lrmf")
        loaded = kind.load(tmp_path / "model.lrmf")
        assert loaded.standardize is True
        np.testing.assert_array_equal(loaded.transform(b), model.transform(b))
        with pytest.raises(
            ValueError, match=r"singular(.|\n)*from 0\.00\d+ to .*: set standardize=T"
        ):
            kind().fit(Xs=self.A * units, Xt=b * units)
        exact = kind(standardize=True).fit(Xs=self.A * units, Xt=b * units)
        moved = exact.transform(self.A * units) / units
        np.testing.assert_allclose(np.cov(moved.T, bias=True), np.cov(b.T, bias=True), rtol=1e-6)
