"""Data frames, names of features, and the numbers that frames hold."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import lrmf
from lrmf.points import check_points

PAIR = lrmf.data.blobs(n=100, seed=0)


def frame(x, *names):
    return pd.DataFrame(x, columns=list(names))


A, B = frame(PAIR.source, "x", "y"), frame(PAIR.target, "x", "y")
SMALL = {
    "transform": lrmf.Affine(),
    "density": lrmf.Gaussian(),
    "steps": 3,
    "private_steps": 3,
    "refit_steps": 3,
    "batch_size": 64,  # as others have compiled
    "progress": False,
}


@pytest.fixture(params=[lrmf.GaussianOT, lrmf.LRMF, lrmf.AUB])
def model(request):
    return request.param(**{} if request.param is lrmf.GaussianOT else SMALL)


class TestNames:
    def test_are_kept(self, model, tmp_path):
        assert not hasattr(model, "n_features_in_")
        model.fit(Xs=A, Xt=B)
        assert model.n_features_in_ == 2
        model.save(tmp_path / "model.lrmf")
        for fitted in (model, type(model).load(tmp_path / "model.lrmf")):
            assert fitted.feature_names_in_.tolist() == ["x", "y"]
            assert fitted.feature_names_in_.dtype == object
            assert fitted.get_feature_names_out().tolist() == ["x", "y"]
        # Of arrays there are none, also after a fit to frames.
        model.fit(Xs=PAIR.source, Xt=PAIR.target)
        assert not hasattr(model, "feature_names_in_")
        assert model.n_features_in_ == 2

    def test_and_their_order_are_checked(self, model):
        with pytest.raises(ValueError, match=r"^Xt has the columns of Xs in another order, \['y'"):
            model.fit(Xs=A, Xt=B[["y", "x"]])
        with pytest.raises(ValueError, match=r"^Xt and Xs have columns of different names: Xt lac"):
            model.fit(Xs=A, Xt=frame(PAIR.target, "x", "z"))
        with pytest.raises(ValueError, match=r"names: Xt has \['z'\]; give both the same columns$"):
            model.fit(Xs=A, Xt=B.assign(z=1.0))
        assert not hasattr(model, "event_shape_")
        model.fit(Xs=A, Xt=B)
        order = "Feature names must be in the same order(.|\n)*reorder them: "
        for method in (model.transform, model.inverse_transform):
            cure = re.escape("X[list(model.feature_names_in_)]")
            with pytest.raises(ValueError, match=f"^X: The feature (.|\n)*{order}{cure}$"):
                method(A[["y", "x"]])
        with pytest.raises(ValueError, match=rf"^Xt: The feature (.|\n)*{order}Xt\["):
            model.score(A, B[["y", "x"]])
        with pytest.raises(ValueError, match=r"names should match(.|\n)*the columns \['x', 'y'\]"):
            model.transform(frame(PAIR.source, "x", "z"))
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            model.transform(PAIR.source)

    def test_of_two_samples_for_the_judge(self):
        with pytest.raises(ValueError, match=r"^Xt has the columns of Xs in another order"):
            lrmf.lrd(A, B[["y", "x"]])

    def test_of_several_domains(self):
        with pytest.raises(
            ValueError, match=r"^domains\[2\] has the columns of domains\[0\] in an"
        ):
            lrmf.AUB(**SMALL).fit(domains=[A, B, A[["y", "x"]]])

    def test_stand_in_warnings(self):
        spoiled = A.assign(y=1.0)
        with pytest.warns(lrmf.DataWarning, match=r"^Xs: feature 1 \('y'\) is constant"):
            lrmf.LRMF(**SMALL).fit(Xs=spoiled, Xt=B)
        with pytest.raises(ValueError, match=r"singular: .*; feature 1 \('y'\) is constant"):
            lrmf.CORAL().fit(Xs=spoiled, Xt=B)

    def test_pictures_have_none(self):
        x = np.random.default_rng(0).normal(size=(40, 2, 3))
        model = lrmf.GaussianOT().fit(Xs=x, Xt=x)
        with pytest.raises(AttributeError, match=r"points of shape \(2, 3\) have no list of feat"):
            model.n_features_in_  # noqa: B018


class TestOutput:
    def test_frames_come_back(self, model):
        model.set_output(transform="pandas")
        moved = model.fit_transform(Xs=A.set_index(A.index + 7), Xt=B)
        assert isinstance(moved, pd.DataFrame)
        assert list(moved.columns) == ["x", "y"]
        assert moved.index[0] == 7
        same = model.transform(A)
        np.testing.assert_array_equal(moved, same)
        # What the library computes from it is as before.
        assert type(model.score(A, B)) is float
        model.set_output(transform="default")
        assert type(model.transform(A)) is np.ndarray

    def test_fit_transform_is_both(self, model):
        moved = model.fit_transform(PAIR.source, None, PAIR.target)
        np.testing.assert_array_equal(moved, model.transform(PAIR.source))


class TestNumbers:
    @pytest.mark.parametrize(
        "x",
        [
            pd.DataFrame({"x": pd.array([1, 2], dtype="Int64"), "y": [0.5, 3]}),
            pd.DataFrame({"x": [1, 2], "y": [0.5, 3]}, dtype=object),
            np.array([[1, 0.5], [np.int8(2), Decimal(3)]], dtype=object),
            pd.DataFrame({"x": pd.array([1, 2], dtype="UInt8"), "y": pd.array([0.5, 3])}),
        ],
    )
    def test_of_any_dtype(self, x):
        np.testing.assert_array_equal(check_points(x, "X"), [[1, 0.5], [2, 3]])

    @pytest.mark.parametrize(
        ("x", "error", "message"),
        [
            (pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}), ValueError, "holds 1 NaN"),
            (
                pd.DataFrame({"x": [1, 2], "y": [0.5, np.nan], "z": [np.inf, np.nan]}),
                ValueError,
                "holds 3 NaN or infinite values in 2 rows: 1 in y, 2 in z; remove or impute them$",
            ),
            (
                pd.DataFrame({"x": [1, 2], "y": ["a", "b"], "z": ["c", 1]}),
                TypeError,
                r"must hold real numbers.*holds 'a'; leave out or turn into numbers: y, z$",
            ),
            (
                pd.DataFrame({f"c{k}": ["a", "b"] for k in range(12)}),
                TypeError,
                "must hold real numbers.* numbers: c0, c1, .*, c9 and 2 more$",
            ),
            ([[1.0], [None]], ValueError, "holds 1 NaN or infinite values in 1 rows"),
            (pd.DataFrame({"x": [1, 2], "y": ["1", "2"]}), TypeError, r"must hold real.*holds '1'"),
            (np.array([[1j]], dtype=object), TypeError, "must hold real numbers.*holds 1j"),
            ([[10**400]], ValueError, "holds integers too large for float64; standardise"),
            ([[1, 2], [3]], ValueError, "is no array of numbers: its rows have different lengths"),
        ],
    )
    def test_that_are_none(self, x, error, message):
        with pytest.raises(error, match="^X " + message):
            check_points(x, "X")


class TestFields:
    """Fields of specs are parameters, too, by scikit-learn's double underscores."""

    def test_are_set(self):
        model = lrmf.LRMF(transform=lrmf.RealNVP(), density=lrmf.Gaussian())
        assert model.set_params(transform__hidden=(8,), steps=5) is model
        assert model.transform_spec == lrmf.RealNVP(hidden=(8,))
        assert model.get_params()["transform__hidden"] == (8,)
        assert "transform__hidden" not in model.get_params(deep=False)
        model.set_params(transform__blocks=2, transform=lrmf.RealNVP(hidden=(4,)))
        assert model.transform_spec == lrmf.RealNVP(blocks=2, hidden=(4,))
        assert clone(model).transform_spec == model.transform_spec
        model.set_params(transform=lrmf.Inverse(flow=lrmf.RealNVP()))
        model.set_params(transform__flow__hidden=(3,))
        assert model.get_params()["transform__flow__hidden"] == (3,)

    def test_that_are_none(self):
        model = lrmf.LRMF(transform=lrmf.RealNVP(), density=lrmf.Gaussian())
        for name, message in (
            ("transform__widths", "^RealNVP has no field 'widths'; it has blocks, hidden, split"),
            ("backend__name", "^backend is 'jax', which has no fields"),
            ("density__mean", "^Gaussian has no field 'mean'"),
            ("flow__hidden", "^LRMF has no parameter 'flow__hidden'"),
        ):
            with pytest.raises(ValueError, match=message):
                model.set_params(steps=7, **{name: 1})
        assert model.steps == 4000  # a refused call changes nothing
