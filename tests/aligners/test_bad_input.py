"""Bad input is refused with cause and cure, before anything is compiled."""

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import lrmf

pytestmark = pytest.mark.usefixtures("nothing_compiles")

GOOD = np.random.default_rng(0).normal(size=(30, 2))
BAD_VALUES = GOOD.copy()
BAD_VALUES[3] = np.nan
BAD_VALUES[5, 1] = -np.inf

# How both arguments are refused, and by what.
DATA = {
    "missing": (None, TypeError, r"{name} is missing; data go by name, as in fit\(Xs="),
    "a number": (3.0, ValueError, r"expected {name} of shape \(n, features\), got \(\)"),
    "a vector": (GOOD[:, 0], ValueError, r"expected {name} of shape .*, got \(30,\); one feature"),
    "empty": (GOOD[:0], ValueError, r"{name} has no rows, shape \(0, 2\); expected 2 or more"),
    "an empty list": ([], ValueError, r"expected {name} of shape \(n, features\), got \(0,\)"),
    "one row": (GOOD[:1], ValueError, r"{name} has only 1 row, shape \(1, 2\); expected 2 or more"),
    "no features": (GOOD[:, :0], ValueError, r"{name} has no features, shape \(30, 0\)"),
    "NaN and inf": (BAD_VALUES, ValueError, r"{name} holds 3 NaN or infinite values in 2 rows; re"),
    "too large": (GOOD * 1e60, ValueError, r"{name} holds values up to .*e\+60, too large"),
    "strings": (np.full((30, 2), "1"), TypeError, r"{name} must hold real numbers, got ndarray wi"),
    "objects": (GOOD.astype(object), TypeError, r"{name} must hold real numbers.*dtype object"),
    "complex": (GOOD + 0j, TypeError, r"{name} must hold real numbers, .* dtype complex128"),
    "dates": (np.zeros((30, 2), "M8[s]"), TypeError, r"{name} must hold real numbers, .*datetime"),
    "a dictionary": ({"x": GOOD}, TypeError, r"{name} must hold real numbers, got dict"),
}


@pytest.mark.parametrize(("data", "error", "message"), DATA.values(), ids=DATA)
@pytest.mark.parametrize("name", ["Xs", "Xt"])
def test_data(small, backend, name, data, error, message):
    arguments = {"Xs": GOOD, "Xt": GOOD} | {name: data}
    with pytest.raises(error, match="^" + message.format(name=name)):
        small(backend=backend).fit(**arguments)
    with pytest.raises(error, match="^" + message.format(name=name)):
        lrmf.lrd(**arguments, backend=backend)


@pytest.mark.parametrize("name", ["Xs", "Xt"])
def test_an_argument_left_out(small, backend, name):
    with pytest.raises(TypeError, match=f"^{name} is missing"):
        small(backend=backend).fit(**{"Xs" if name == "Xt" else "Xt": GOOD})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((30, 3), "^expected Xt with 2 features like Xs, got 3$"),
        ((30, 1), "^expected Xt with 2 features like Xs, got 1$"),
        ((30, 2, 2), r"^expected Xt with 2 features like Xs, got event shape \(2, 2\)$"),
    ],
)
def test_features_that_differ(small, backend, shape, message):
    with pytest.raises(ValueError, match=message):
        small(backend=backend).fit(Xs=GOOD, Xt=np.zeros(shape))
    with pytest.raises(ValueError, match=message):
        lrmf.lrd(GOOD, np.zeros(shape), backend=backend)


def test_event_shapes_that_differ(small, backend):
    message = r"^expected Xt with event shape \(4, 4\) like Xs, got event shape \(4, 5\)$"
    with pytest.raises(ValueError, match=message):
        small(backend=backend).fit(Xs=np.zeros((5, 4, 4)), Xt=np.zeros((5, 4, 5)))
    message = r"^expected Xt with event shape \(4, 4\) like Xs, got 2 features$"
    with pytest.raises(ValueError, match=message):
        small(backend=backend).fit(Xs=np.zeros((5, 4, 4)), Xt=np.zeros((5, 2)))


SPECS = {
    "RealNVP on one feature": (
        {"transform": lrmf.RealNVP(hidden=(8,))},
        GOOD[:, :1],
        ValueError,
        "RealNVP needs at least 2 features, got 1.*use Affine",
    ),
    "RealNVP density on one feature": (
        {"density": lrmf.RealNVP(hidden=(8,))},
        GOOD[:, :1],
        ValueError,
        "RealNVP needs at least 2 features, got 1",
    ),
    "a split that leaves nothing": (
        {"transform": lrmf.RealNVP(hidden=(8,), split=2)},
        GOOD,
        ValueError,
        "split=2 leaves nothing to transform in events of 2 features; choose 1 <= split <= 1",
    ),
    "pictures": (
        {},
        np.zeros((5, 4, 4)),
        ValueError,
        r"expected an event shape \(d,\), got \(4, 4\); flatten",
    ),
    "a density as transform": (
        {"transform": lrmf.Gaussian()},
        GOOD,
        TypeError,
        r"Gaussian\(\) is a density, not a flow; as transform choose one of .*RealNVP\(\)",
    ),
    "a class as transform": (
        {"transform": lrmf.Affine},
        GOOD,
        TypeError,
        r"expected a spec such as Affine\(\), got the class itself",
    ),
    "a class as density": (
        {"density": lrmf.Gaussian},
        GOOD,
        TypeError,
        r"expected a spec such as Gaussian\(\), got the class itself",
    ),
    "a name as transform": (
        {"transform": "realnvp"},
        GOOD,
        TypeError,
        "backend takes lrmf specs and .*, got str",
    ),
    "nothing as density": (
        {"density": None},
        GOOD,
        TypeError,
        "backend takes lrmf specs and .*, got NoneType",
    ),
}


@pytest.mark.parametrize(("changes", "data", "error", "message"), SPECS.values(), ids=SPECS)
def test_specs(small, backend, changes, data, error, message):
    with pytest.raises(error, match=message):
        small(backend=backend, **changes).fit(Xs=data, Xt=data)


COUNTS = (0, -5, 2.5, "100", True, float("nan"))
PARAMETERS = {
    **dict.fromkeys(
        ("steps", "batch_size", "private_steps", "refit_steps", "checkpoint_every"),
        ((*COUNTS,), "must be a positive integer, got "),
    ),
    "snapshot_every": (COUNTS, "must be a positive integer, got "),
    **dict.fromkeys(
        ("learning_rate", "refit_learning_rate", "tolerance"),
        (
            (0, 0.0, -1e-3, float("nan"), float("inf"), "0.1", True, [0.1]),
            "must be a positive number, got ",
        ),
    ),
    "gradient_clip": ((0.0, -1.0, float("nan"), "10", None), "must be a positive number, got "),
    "validation_fraction": (
        (-0.1, 1.0, 1.5, float("nan"), "0.1", None, True),
        r"must lie in \[0, 1\), got ",
    ),
    "seed": ((-1, 0.5, "0", None, True), "must be a non-negative integer, got "),
    "schedule": (("linear", None), "must be 'cosine' or 'constant', got "),
    "dtype": (("float16", np.float32, None, "double"), r"must be one of \('float32', 'float64'\)"),
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param(name, value, message, id=f"{name}={value}")
        for name, (values, message) in PARAMETERS.items()
        for value in values
    ],
)
def test_parameters(small, name, value, message):
    model = small(**{name: value})  # the constructor only stores
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        model.fit(Xs=GOOD, Xt=GOOD)


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_patience(small, value):
    with pytest.raises(ValueError, match=r"^patience must be a positive integer, got "):
        small(patience=value, validation_fraction=0.1).fit(Xs=GOOD, Xt=GOOD)


def test_patience_needs_held_out_data(small, backend):
    with pytest.raises(ValueError, match="patience needs held-out data: set validation_fraction"):
        small(backend=backend, patience=100).fit(Xs=GOOD, Xt=GOOD)


@pytest.mark.parametrize(
    ("source", "target", "side"), [(GOOD[:4], GOOD, "source"), (GOOD, GOOD[:4], "target")]
)
def test_a_validation_fraction_that_leaves_too_little(small, backend, source, target, side):
    message = f"validation_fraction=0.7 leaves 1 of 4 {side} points to learn from; lower it"
    with pytest.raises(ValueError, match=message):
        small(backend=backend, validation_fraction=0.7).fit(Xs=source, Xt=target)


@pytest.mark.parametrize("name", ["torch", "", None, "JAX", 3])
def test_unknown_backend(small, name):
    with pytest.raises(ValueError, match=r"unknown backend .*; choose one of \('jax', 'tfp'\)"):
        small(backend=name).fit(Xs=GOOD, Xt=GOOD)
    with pytest.raises(ValueError, match="unknown backend"):
        lrmf.lrd(GOOD, GOOD, backend=name)


@pytest.mark.parametrize(("name", "module"), [("jax", "jax"), ("tfp", "tensorflow_probability")])
def test_missing_extra(small, monkeypatch, name, module):
    for loaded in list(sys.modules):
        if loaded.startswith(f"lrmf.backends.{name}"):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'pip install "lrmf\[{name}\]"'):
        small(backend=name).fit(Xs=GOOD, Xt=GOOD)


def test_data_are_keywords_or_in_the_order_of_pot(small):
    with pytest.raises(TypeError, match="Xt is missing"):
        small().fit(GOOD, GOOD)  # the second is ys


def test_constructor_takes_keywords_only():
    with pytest.raises(TypeError, match="positional"):
        lrmf.LRMF(lrmf.Affine())
    with pytest.raises(TypeError, match="unexpected keyword"):
        lrmf.LRMF(learning_rte=0.1)


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "half", None, True])
def test_held_out(value):
    with pytest.raises(ValueError, match=r"^held_out must lie in \[0, 1\), got "):
        lrmf.lrd(GOOD, GOOD, held_out=value)


@pytest.mark.parametrize(("held_out", "parts"), [(0.02, "29 and 1"), (0.97, "1 and 29")])
def test_held_out_that_leaves_too_little(held_out, parts):
    message = f"held_out={held_out} splits the 30 points of Xt into {parts}; both parts need two"
    with pytest.raises(ValueError, match=message):
        lrmf.lrd(np.tile(GOOD, (10, 1)), GOOD, held_out=held_out)


@pytest.mark.parametrize("value", [-1, None, "0"])
def test_seed_of_lrd(value):
    with pytest.raises(ValueError, match=r"^seed must be a non-negative integer, got "):
        lrmf.lrd(GOOD, GOOD, seed=value)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.transform(GOOD),
        lambda model: model.inverse_transform(GOOD),
        lambda model: model.certificate(GOOD, GOOD),
        lambda model: model.score(GOOD, GOOD),
        lambda model: model.save("never.lrmf"),
    ],
)
def test_not_fitted(small, use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = r"this LRMF is not fitted yet; call fit\(Xs=source, Xt=target\)"
    with pytest.raises(NotFittedError, match=message):
        use(small())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("checkpoint", ["nowhere/fit.ckpt", "."])
def test_a_checkpoint_that_cannot_be_written(small, tmp_path, checkpoint):
    with pytest.raises(OSError, match="can't write"):
        small().fit(Xs=GOOD, Xt=GOOD, checkpoint=tmp_path / checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_is_none(small, tmp_path):
    path = tmp_path / "fit.ckpt"
    path.write_text("my notes")
    with pytest.raises(ValueError, match="is not a file written by lrmf"):
        small().fit(Xs=GOOD, Xt=GOOD, checkpoint=path)
    assert path.read_text() == "my notes"
