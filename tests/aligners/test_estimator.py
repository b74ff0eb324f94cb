"""LRMF keeps scikit-learn's habits, although its `transform` is a parameter and a method.

What holds of every aligner is tested in test_every_aligner.py.
"""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

import lrmf

DEFAULTS = {
    "transform": None,
    "density": lrmf.RealNVP(blocks=8, hidden=(64, 64)),
    "backend": "jax",
    "steps": 4000,
    "batch_size": 256,
    "learning_rate": 2e-3,
    "seed": 0,
    "private_steps": 0,
    "refit_steps": 0,
}


def test_documented_defaults():
    parameters = lrmf.LRMF().get_params(deep=False)
    for name, value in DEFAULTS.items():
        assert parameters[name] == value


@pytest.mark.parametrize("features", [2, 3])
def test_a_transform_left_to_the_data(features, small, tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 60, features))
    model = small(transform=None, steps=2).fit(Xs=a, Xt=b)
    chosen = lrmf.default_transform((features,))
    assert isinstance(chosen, lrmf.RealNVP) == (features == 2)
    assert model.get_params()["transform"] is None
    again = small(transform=chosen, steps=2).fit(Xs=a, Xt=b)
    np.testing.assert_array_equal(model.transform(a), again.transform(a))
    model.save(tmp_path / "model.npz")
    loaded = lrmf.LRMF.load(tmp_path / "model.npz")
    assert loaded.get_params()["transform"] == chosen
    np.testing.assert_array_equal(model.transform(a), loaded.transform(a))


def test_get_params_names_the_constructors_arguments():
    expected = set(inspect.signature(lrmf.LRMF.__init__).parameters) - {"self"}
    assert set(lrmf.LRMF().get_params(deep=False)) == expected
    assert set(lrmf.LRMF().get_params(deep=False)) == expected


def test_get_params_gives_back_what_was_passed(small):
    transform = lrmf.Affine(kind="diagonal")
    model = small(transform=transform, steps=7)
    assert model.get_params()["transform"] is transform
    assert model.get_params()["steps"] == 7


def test_transform_the_method_survives_transform_the_parameter(small):
    assert inspect.ismethod(small().transform)
    assert inspect.ismethod(small().set_params(transform=lrmf.Affine()).transform)


def test_set_params(small):
    model = small()
    transform = lrmf.Affine(kind="diagonal")
    assert model.set_params(transform=transform, seed=5) is model
    assert model.get_params()["transform"] is transform
    assert model.seed == 5
    assert model.set_params() is model


@pytest.mark.parametrize("name", ["learning_rte", "transform_spec", "flow__kind", "fit"])
def test_set_params_refuses_unknown_names(small, name):
    with pytest.raises(ValueError, match=f"LRMF has no parameter '{name}'; it has backend, "):
        small().set_params(**{name: 1})


def test_clone(small):
    model = small(transform=lrmf.Affine(kind="diagonal"), seed=3)
    model.transform_ = "something fitted"
    copied = clone(model)
    assert copied is not model
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "transform_")


def test_the_constructor_does_not_validate():
    model = lrmf.LRMF(transform="?", steps=-1, backend="abacus", seed="x", dtype=None)
    assert model.get_params()["transform"] == "?"
    assert clone(model).steps == -1


def test_parameters_from_a_grid(small):
    grid = ParameterGrid({"transform": [lrmf.Affine(), lrmf.Identity()], "seed": [0, 1]})
    assert len([small(**point) for point in grid]) == 4


def test_repr_shows_what_differs_from_the_defaults():
    model = lrmf.LRMF(transform=lrmf.Affine(kind="diagonal"), steps=7)
    assert repr(model) == "LRMF(steps=7, transform=Affine(kind='diagonal'))"
    assert repr(lrmf.LRMF()) == "LRMF()"


def test_notebook_repr(small):
    model = small(transform=lrmf.Affine(kind="diagonal"))
    bundle = model._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == repr(model)
    for html in (bundle["text/html"], model._repr_html_()):
        assert "Not fitted" in html
        assert "Affine(kind=&#x27;diagonal&#x27;)" in html


def test_the_seed_decides_the_initial_arrays(small):
    # That it decides minibatches is tested of every aligner.
    pair = lrmf.data.blobs(n=64, seed=0)  # one batch
    density = lrmf.RealNVP(blocks=2, hidden=(4,))
    first, second = (
        small(density=density, seed=seed, steps=1, private_steps=0, refit_steps=0).fit(
            Xs=pair.source, Xt=pair.target
        )
        for seed in (3, 4)
    )
    assert not np.array_equal(first.history_["loss"], second.history_["loss"])
