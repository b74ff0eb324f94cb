"""What an import loads, and what happens where a backend's packages are missing."""

import gc
import importlib
import subprocess
import sys

import pytest

import lrmf
from lrmf.backends import BACKENDS

HEAVY = ("jax", "tensorflow", "tensorflow_probability", "sklearn", "scipy", "flowjax", "matplotlib")


def run(code):
    """Run code in a fresh interpreter in which warnings are errors; what it printed."""
    warnings = ["-W", "error", "-W", "ignore:distutils Version classes:DeprecationWarning"]
    result = subprocess.run(
        [sys.executable, *warnings, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_import_and_specs_load_nothing_heavy():
    code = f"""
import sys
import numpy as np
import lrmf
lrmf.RealNVP(hidden=(8,)).init((2,), np.random.default_rng(0))
print(*(name for name in {HEAVY} if name in sys.modules))
"""
    assert run(code) == []


def test_naming_the_aligner_loads_no_backend():
    code = "import sys, lrmf; lrmf.LRMF(); print('jax' in sys.modules, 'tensorflow' in sys.modules)"
    assert run(code) == ["False", "False"]


def test_every_public_name_is_there():
    assert {"LRMF", "lrd", "lrmf_loss", "get_backend", "RealNVP", "Affine"} <= set(lrmf.__all__)
    for name in lrmf.__all__:
        assert getattr(lrmf, name) is not None
    assert set(lrmf.__all__) <= set(dir(lrmf))


FIT = """
import sys
for name in {missing}:
    sys.modules[name] = None  # whoever imports it gets an ImportError
import numpy as np
import lrmf
a, b = np.random.default_rng(0).normal(size=(2, 20, 2))
model = lrmf.LRMF(transform=lrmf.Affine(), density=lrmf.Gaussian(), backend={backend!r}, steps=2,
    private_steps=2, refit_steps=2, progress=False).fit(Xs=a, Xt=b)
assert np.isfinite(model.family_certificate(a, b).lrd)
assert model.density_.sample(3).shape == (3, 2)
print(*(name for name in {absent} if name in sys.modules))
"""


def test_the_jax_backend_imports_no_part_of_tensorflow():
    absent = ["tensorflow", "tensorflow_probability", "tf_keras", "flowjax"]
    assert run(FIT.format(backend="jax", missing=[], absent=absent)) == []


@pytest.mark.slow
def test_the_tfp_backend_works_without_jax():
    missing = ["jax", "jaxlib", "flowjax", "optax", "equinox"]
    run(FIT.format(backend="tfp", missing=missing, absent=[]))


@pytest.mark.parametrize(
    ("backend", "package"), [("jax", "jax"), ("jax", "optax"), ("tfp", "tensorflow")]
)
def test_a_missing_extra_is_named_with_its_cure(backend, package):
    code = f"""
import sys
sys.modules[{package!r}] = None
import lrmf
try:
    lrmf.get_backend({backend!r})
except ImportError as error:
    assert 'pip install "lrmf[{backend}]"' in str(error), error
    assert {package!r} in str(error), error
    assert error.__cause__ is not None
    print("refused")
"""
    assert run(code) == ["refused"]


@pytest.mark.parametrize("name", ["torch", "JAX", "", None, 3, ["jax"]], ids=str)
def test_an_unknown_backend_is_refused(name):
    with pytest.raises(ValueError, match=r"unknown backend .*; choose one of \('jax', 'tfp'\)"):
        lrmf.get_backend(name)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_is_made_once_and_knows_its_name(name):
    backend = lrmf.get_backend(name)
    assert backend.name == name
    assert lrmf.get_backend(name) is backend


@pytest.mark.parametrize("missing", [False, True], ids=["there", "missing"])
@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_garbage_is_not_collected_during_an_import(enabled, missing, monkeypatch):
    seen, before, real = [], gc.isenabled(), importlib.import_module

    def watched(name, package=None):
        if package == "lrmf.backends":
            seen.append(gc.isenabled())
            if missing:
                raise ImportError("no module")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", watched)
    try:
        (gc.enable if enabled else gc.disable)()
        if missing:
            with pytest.raises(ImportError, match="packages that could not be imported"):
                lrmf.get_backend("jax")
        else:
            lrmf.get_backend("jax")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False]
