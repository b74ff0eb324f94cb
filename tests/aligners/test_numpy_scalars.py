"""NumPy's scalars in place of numbers, words and truth values, in every parameter."""

import contextlib

import numpy as np
import pytest
from aligner_cases import CASES, PAIR
from sklearn.base import clone

from lrmf.fingerprints import fingerprint

#: Of each plain type, the scalars that people have: sums, means, entries and choices of arrays.
KINDS = {
    bool: (np.bool_,),
    int: (np.uint8, np.int64, np.int32),
    float: (np.float64, np.float32),
    str: (np.str_,),
}

#: For parameters that are None by default.
GIVEN = {"patience": 5, "snapshot_every": 1, "private_steps": 2, "refit_learning_rate": 0.5}


def scalars(value):
    """The NumPy scalars, or tuples of them, that hold exactly this value."""
    if isinstance(value, tuple):
        return list(zip(*map(scalars, value), strict=False))
    exact = []
    for kind in KINDS.get(type(value), ()):
        with contextlib.suppress(OverflowError), np.errstate(over="ignore"):
            exact += [kind(value)] if kind(value).item() == value else []
    return exact


def parameters(case):
    """All of a case's parameters, none of which stays None if it need not."""
    found = case.kind(**case.settings).get_params(deep=False)
    found |= {name: GIVEN[name] for name, value in found.items() if value is None and name in GIVEN}
    return found


def settings_of(case):
    """With them a fit takes one chunk of steps, of the size that other tests have compiled."""
    few = dict.fromkeys(("steps", "private_steps", "refit_steps"), 100)
    few |= {"checkpoint_every": 50, "learning_rate": 0.015625, "regularization": 0.0625}
    found = case.kind(**case.settings).get_params(deep=False)
    if "adversary_learning_rate" in found:  # the ratio is part of what is compiled
        ratio = found["adversary_learning_rate"] / found["learning_rate"]
        few["adversary_learning_rate"] = ratio * few["learning_rate"]
    return found | {name: value for name, value in few.items() if name in found}


@pytest.mark.parametrize(
    ("case", "name"),
    [(c, p) for c in CASES for p, v in parameters(CASES[c]).items() if type(v) in (*KINDS, tuple)],
)
def test_a_parameter_is_kept_as_given_and_used_as_plain(case, name):
    case = CASES[case]
    value = parameters(case)[name]
    for given in scalars(value):
        model = case.kind(**case.settings | {name: given})
        assert model.get_params()[name] is given
        assert clone(model).get_params()[name] == value
        assert repr(model)
        assert repr(model._plain().get_params()[name]) == repr(value)
        plain = case.kind(**case.settings | {name: value}).get_params()
        assert fingerprint(model.get_params()) == fingerprint(plain)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_fit_with_nothing_but_numpys_scalars(case, tmp_path):
    plain = settings_of(case)
    given = {name: (scalars(value) or [value])[-1] for name, value in plain.items()}
    if "dtype" in given:
        given["dtype"] = np.dtype("float32")
    model, expected = case.kind(**given), case.kind(**plain)
    file = {"checkpoint": tmp_path / "fit.ckpt"} if "checkpoint_every" in plain else {}
    model.fit(Xs=PAIR.source, Xt=PAIR.target, **file)
    expected.fit(Xs=PAIR.source, Xt=PAIR.target, **file)  # the checkpoint is its, too
    moved = expected.transform(PAIR.source)
    np.testing.assert_array_equal(model.transform(PAIR.source), moved)
    model.save(tmp_path / "model.lrmf")
    loaded = case.kind.load(tmp_path / "model.lrmf")
    np.testing.assert_array_equal(loaded.transform(PAIR.source), moved)
    assert loaded.get_params() == expected.get_params()
    assert {name: type(value) for name, value in loaded.get_params().items()} == {
        name: type(value) for name, value in expected.get_params().items()
    }
