"""Bad input is refused with cause and cure, before anything is compiled."""

import sys

import numpy as np
import pytest
from aligner_cases import BOUND, CASES, GOOD, REFUSED

import lrmf

pytestmark = pytest.mark.usefixtures("nothing_compiles")

BAD_VALUES = GOOD.copy()
BAD_VALUES[3] = np.nan
BAD_VALUES[5, 1] = -np.inf
HOLDS = "^{} holds 3 NaN or infinite values in 2 rows; remove or impute them"


@pytest.fixture(params=BOUND)
def aligner(request):
    """A function that makes an aligner of the table, on a backend."""
    return request.param.make


# What else is refused, and with which words: tests/test_checks.py. Here: every door has that check.
@pytest.mark.parametrize("name", ["Xs", "Xt"])
class TestData:
    def test_of_aligners(self, aligner, name):
        with pytest.raises(ValueError, match=HOLDS.format(name)):
            aligner().fit(**{"Xs": GOOD, "Xt": GOOD} | {name: BAD_VALUES})
        with pytest.raises(ValueError, match=f"^{name} has only 1 row"):
            aligner().fit(**{"Xs": GOOD, "Xt": GOOD} | {name: GOOD[:1]})
        with pytest.raises(TypeError, match=f"^{name} is missing"):
            aligner().fit(**{"Xs" if name == "Xt" else "Xt": GOOD})

    def test_of_the_distance(self, backend, name):
        with pytest.raises(ValueError, match=HOLDS.format(name)):
            lrmf.family_lrd(**{"Xs": GOOD, "Xt": GOOD} | {name: BAD_VALUES}, backend=backend)


def test_data_are_keywords_or_in_the_order_of_pot(aligner):
    with pytest.raises(TypeError, match="Xt is missing"):
        aligner().fit(GOOD, GOOD)  # the second is ys


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((30, 3), "^expected Xt with 2 features like Xs, got 3$"),
        ((30, 1), "^expected Xt with 2 features like Xs, got 1$"),
        ((30, 2, 2), r"^expected Xt with 2 features like Xs, got event shape \(2, 2\)$"),
    ],
)
class TestFeaturesThatDiffer:
    def test_of_aligners(self, aligner, shape, message):
        with pytest.raises(ValueError, match=message):
            aligner().fit(Xs=GOOD, Xt=np.zeros(shape))

    def test_of_the_distance(self, backend, shape, message):
        with pytest.raises(ValueError, match=message):
            lrmf.family_lrd(GOOD, np.zeros(shape), backend=backend)


def test_event_shapes_that_differ(aligner):
    message = r"^expected Xt with event shape \(4, 4\) like Xs, got event shape \(4, 5\)$"
    with pytest.raises(ValueError, match=message):
        aligner().fit(Xs=np.zeros((5, 4, 4)), Xt=np.zeros((5, 4, 5)))
    message = r"^expected Xt with event shape \(4, 4\) like Xs, got 2 features$"
    with pytest.raises(ValueError, match=message):
        aligner().fit(Xs=np.zeros((5, 4, 4)), Xt=np.zeros((5, 2)))


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
        np.random.default_rng(0).normal(size=(5, 4, 4)),
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


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_parameters(case):
    for name, (values, message) in (REFUSED | dict(case.refused)).items():
        if name not in case.parameters():
            continue
        for value in values:
            model = case.kind(**{**case.settings, name: value})  # the constructor only stores
            with pytest.raises(ValueError, match=f"^{name} {message}"):
                model.fit(Xs=GOOD, Xt=GOOD)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_parameter_is_checked(case):
    elsewhere = {"transform", "density", "adversary", "backend", "patience"}  # below
    elsewhere |= {"target_transform"}  # in test_two_maps.py
    elsewhere |= {"shared", "backward"}  # in test_alignflow.py
    elsewhere |= {"devices"}  # in test_devices.py
    elsewhere |= {"label_density"}  # in test_labels.py
    known = {*REFUSED, *case.refused, *elsewhere}
    assert set(case.parameters()) <= known
    assert set(case.refused) <= set(case.parameters())


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
        lrmf.family_lrd(GOOD, GOOD, backend=name)


@pytest.mark.parametrize(("name", "module"), [("jax", "jax"), ("tfp", "tensorflow_probability")])
def test_missing_extra(small, monkeypatch, name, module):
    for loaded in list(sys.modules):
        if loaded.startswith(f"lrmf.backends.{name}"):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'pip install "lrmf\[{name}\]"'):
        small(backend=name).fit(Xs=GOOD, Xt=GOOD)


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "half", None, True])
def test_held_out(value):
    with pytest.raises(ValueError, match=r"^held_out must lie in \[0, 1\), got "):
        lrmf.family_lrd(GOOD, GOOD, held_out=value)


@pytest.mark.parametrize(("held_out", "parts"), [(0.02, "29 and 1"), (0.97, "1 and 29")])
def test_held_out_that_leaves_too_little(held_out, parts):
    message = f"held_out={held_out} splits the 30 points of Xt into {parts}; both parts need two"
    with pytest.raises(ValueError, match=message):
        lrmf.family_lrd(np.tile(GOOD, (10, 1)), GOOD, held_out=held_out)


@pytest.mark.parametrize("value", [-1, None, "0"])
def test_seed_of_lrd(value):
    with pytest.raises(ValueError, match=r"^seed must be a non-negative integer, got "):
        lrmf.family_lrd(GOOD, GOOD, seed=value)


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
