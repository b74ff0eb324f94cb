"""What scikit-learn and POT lead their users to expect, of every aligner in the table."""

import inspect

import numpy as np
import pytest
from aligner_cases import BOUND, CASES, GOOD, HELD_OUT, PAIR
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import lrmf
from lrmf.aligners.base import Aligner


@pytest.fixture(scope="module", params=BOUND)
def fitted(request):
    """A bound case and its aligner, fitted to `PAIR`. Tests only look at it."""
    bound = request.param
    return bound, fit(bound.make())


@pytest.fixture(scope="module")
def unaligned(fitted):
    """The same aligner with settings under which it can't align."""
    bound, _ = fitted
    return fit(bound.make(**bound.case.unaligned))


def fit(model, source=PAIR.source, target=PAIR.target):
    return model.fit(Xs=source, Xt=target)


def test_the_table_holds_every_public_aligner():
    names = (getattr(lrmf, name) for name in lrmf.__all__)
    public = {x for x in names if inspect.isclass(x) and issubclass(x, Aligner)}
    # It has one domain, so nothing here fits it: tests/aligners/test_flow_gan.py.
    assert public - {lrmf.FlowGAN} == {case.kind for case in CASES.values()}


class TestParameters:
    @pytest.fixture(params=CASES.values(), ids=CASES)
    def case(self, request):
        return request.param

    def test_all_have_defaults_and_go_by_name(self, case):
        case.kind()
        for parameter in inspect.signature(case.kind.__init__).parameters.values():
            if parameter.name != "self":
                assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        with pytest.raises(TypeError, match="positional"):
            case.kind(1.0)
        with pytest.raises(TypeError, match="unexpected keyword"):
            case.kind(learning_rte=0.1)

    def test_get_params_gives_back_what_was_passed(self, case):
        names = set(inspect.signature(case.kind.__init__).parameters) - {"self"}
        given = {name: object() for name in names}  # the constructor does not validate
        assert case.kind(**given).get_params() == given
        assert case.kind(**given).get_params(deep=False) == given

    def test_set_params(self, case):
        model = case.kind(**case.settings)
        given = {name: object() for name in case.parameters()}
        assert model.set_params(**given) is model
        assert model.get_params() == given
        assert model.set_params() is model

    @pytest.mark.parametrize("name", ["learning_rte", "transform_", "fit"])
    def test_set_params_refuses_unknown_names(self, case, name):
        message = f"^{case.kind.__name__} has no parameter '{name}'; it has "
        with pytest.raises(ValueError, match=message):
            case.kind().set_params(**{name: 1})

    def test_clone(self, case):
        model = case.kind(**case.settings)
        model.learned_ = "something"
        copied = clone(model)
        assert copied is not model
        assert copied.get_params() == model.get_params()
        assert not hasattr(copied, "learned_")

    def test_repr(self, case):
        assert repr(case.kind()) == f"{case.kind.__name__}()"
        assert "Not fitted" in case.kind()._repr_html_()


class TestFit:
    def test_fitting_again_with_labels_is_the_first_fit(self, fitted):
        bound, model = fitted
        # Another number of features is compiled by itself: closed forms and one other do.
        kept = slice(1 if bound.backend is None or bound.case is CASES["lrmf"] else 2)
        other = fit(bound.make(**bound.case.unaligned), PAIR.target[:, kept], PAIR.source[:, kept])
        assert other.event_shape_ == (kept.stop,)
        parameters = bound.make().get_params()
        other.set_params(**parameters)
        source, target = PAIR.source.copy(), PAIR.target.copy()
        labels = np.arange(len(source)) % 3
        nonsense = np.full(len(target), "nonsense")
        # What was learned before is forgotten, and labels are never used.
        assert other.fit(source, labels, target, nonsense) is other
        assert_same(other, model)
        assert "Not fitted" not in other._repr_html_()
        # Neither parameters nor data are changed.
        assert other.get_params() == parameters
        np.testing.assert_array_equal(PAIR.source, source)
        np.testing.assert_array_equal(PAIR.target, target)

    def test_refused_data_leave_an_earlier_fit_alone(self, fitted):
        _, model = fitted
        before = model.transform(HELD_OUT.source)
        with pytest.raises(ValueError, match="expected Xt with 2 features like Xs, got 3"):
            model.fit(Xs=GOOD, Xt=np.zeros((5, 3)))
        np.testing.assert_array_equal(model.transform(HELD_OUT.source), before)

    def test_whatever_holds_numbers_is_data(self, fitted):
        bound, _ = fitted
        frame = pytest.importorskip("pandas").DataFrame
        source, target = np.round(10 * PAIR.source), np.round(10 * PAIR.target)
        read_only = target.astype(int)
        read_only.flags.writeable = False
        first, second = (
            fit(bound.make(**bound.case.unaligned), *given)
            for given in (
                (frame(source, columns=["a", "b"]), target.tolist()),
                (np.asfortranarray(source.astype(np.float32)), read_only),
            )
        )
        moved = first.transform(frame(source, columns=["a", "b"]))
        np.testing.assert_array_equal(moved, second.transform(source))

    def test_another_seed_another_fit(self, fitted):
        bound, model = fitted
        if "seed" not in model.get_params():
            pytest.skip("draws nothing")
        other = fit(bound.make(seed=model.seed + 1))
        assert not np.array_equal(model.transform(GOOD), other.transform(GOOD))


class TestMap:
    def test_transform_of_new_points(self, fitted):
        _, model = fitted
        assert model.event_shape_ == (2,)
        moved = model.transform(HELD_OUT.source)
        assert type(moved) is np.ndarray
        assert moved.dtype.kind == "f"
        assert moved.shape == HELD_OUT.source.shape
        assert np.isfinite(moved).all()

    @pytest.mark.parametrize("method", ["transform", "inverse_transform"])
    def test_each_point_is_mapped_by_itself(self, fitted, method):
        _, model = fitted
        if not hasattr(model, method):
            pytest.skip("has no inverse")
        x = HELD_OUT.source
        scale = np.abs(x).max()
        whole = getattr(model, method)(x)
        for part in (slice(0, 1), slice(None, None, -1), slice(3, 40, 2)):
            np.testing.assert_allclose(
                getattr(model, method)(x[part]), whole[part], atol=1e-5 * scale
            )

    def test_the_map_brings_the_mean_to_the_targets(self, fitted):
        _, model = fitted
        gap = np.linalg.norm(PAIR.source.mean(axis=0) - PAIR.target.mean(axis=0))
        moved = model.transform(HELD_OUT.source).mean(axis=0)
        left = np.linalg.norm(moved - HELD_OUT.target.mean(axis=0))
        assert left < 0.5 * gap

    def test_the_inverse_undoes_the_map(self, fitted):
        bound, model = fitted
        error = bound.case.round_trip
        if not hasattr(model, "inverse_transform"):
            assert error is None
            pytest.skip("has no inverse")
        back = model.inverse_transform(model.transform(HELD_OUT.source))
        assert back.shape == HELD_OUT.source.shape
        if error is not None:
            np.testing.assert_allclose(back, HELD_OUT.source, atol=error)


def test_the_score_is_higher_where_the_aligner_could_align(fitted, unaligned):
    _, model = fitted
    held_out = (HELD_OUT.source, HELD_OUT.target)
    assert model.score(*held_out) > unaligned.score(*held_out)


def test_certificate_and_score_are_the_judges():
    model = fit(lrmf.GaussianOT())
    found = model.certificate(HELD_OUT.source, HELD_OUT.target, tolerance=0.2, seed=3)
    moved = model.transform(HELD_OUT.source)
    assert found == lrmf.lrd(moved, HELD_OUT.target, tolerance=0.2, seed=3)
    score = model.score(HELD_OUT.source, HELD_OUT.target)
    assert type(score) is float
    assert score == -lrmf.lrd(moved, HELD_OUT.target, controls=False).lrd
    weights = np.arange(len(moved))
    found = model.certificate(
        HELD_OUT.source, HELD_OUT.target, sample_weight_s=weights, controls=False
    )
    expected = lrmf.lrd(moved, HELD_OUT.target, sample_weight_s=weights, controls=False)
    assert found == expected


def test_saved_and_loaded_it_is_the_same(fitted, tmp_path):
    _, model = fitted
    if not hasattr(model, "save"):
        pytest.skip("cannot be saved")
    model.save(tmp_path / "model.lrmf")
    loaded = type(model).load(tmp_path / "model.lrmf")
    assert loaded.get_params() == model.get_params()
    assert_same(loaded, model)


class TestNotFitted:
    @pytest.fixture(params=BOUND)
    def model(self, request):
        return request.param.make()

    @pytest.mark.parametrize(
        "method", ["transform", "inverse_transform", "score", "certificate", "save"]
    )
    def test_every_use_is_refused(self, model, method, tmp_path, monkeypatch):
        if not hasattr(type(model), method):
            pytest.skip(f"has no {method}")
        monkeypatch.chdir(tmp_path)
        pair = (GOOD, GOOD)
        arguments = {"score": pair, "certificate": pair, "save": ("never.lrmf",)}
        name = type(model).__name__
        error = ValueError if method == "score" else NotFittedError
        with pytest.raises(error, match=rf"^this {name} is not fitted yet; call fit\(Xs="):
            getattr(model, method)(*arguments.get(method, (GOOD,)))
        assert list(tmp_path.iterdir()) == []


class TestNewPoints:
    """Points that `fit` has not seen are checked as those of `fit` are."""

    @pytest.mark.parametrize("method", ["transform", "inverse_transform"])
    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            (None, TypeError, "X is missing"),
            (GOOD[:0], ValueError, "X has no rows"),
            (GOOD[:, 0], ValueError, r"expected X of shape \(n, features\), got \(30,\)"),
            (GOOD[:, :1], ValueError, "expected X with 2 features like the data of fit, got 1"),
            (np.where(GOOD > 1, np.nan, GOOD), ValueError, r"X holds \d+ NaN or infinite values"),
            (GOOD.astype(str), TypeError, "X must hold real numbers"),
        ],
    )
    def test_of_the_maps(self, fitted, method, data, error, message):
        _, model = fitted
        if not hasattr(model, method):
            pytest.skip("has no inverse")
        with pytest.raises(error, match="^" + message):
            getattr(model, method)(data)

    @pytest.mark.parametrize("name", ["Xs", "Xt"])
    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            (None, TypeError, "{} is missing"),
            (GOOD[:1], ValueError, "{} has "),
            (GOOD[:, :1], ValueError, "expected {} with 2 features like the data of fit, got 1"),
        ],
    )
    def test_of_the_score(self, fitted, name, data, error, message):
        _, model = fitted
        with pytest.raises(error, match="^" + message.format(name)):
            model.score(**{"Xs": GOOD, "Xt": GOOD} | {name: data})


def assert_same(first, second):
    x, y = HELD_OUT.source, HELD_OUT.target
    np.testing.assert_array_equal(first.transform(x), second.transform(x))
    if hasattr(second, "inverse_transform"):
        np.testing.assert_array_equal(first.inverse_transform(y), second.inverse_transform(y))
