"""What the tests of aligners share."""

import shutil
import signal

import pytest
from aligner_cases import PAIR

import lrmf


@pytest.fixture(params=["jax", "tfp"])
def backend(request):
    """The name of a backend: every test that takes it runs with both."""
    return request.param


@pytest.fixture
def nothing_compiles(monkeypatch):
    """Fail where a trainer is made or a model is evaluated: bad input must be refused before."""

    def refuse(*_, **__):
        raise RuntimeError("the backend was asked to compute")

    for name in ("jax", "tfp"):
        for method in ("trainer", "call", "call_numpy"):
            monkeypatch.setattr(type(lrmf.get_backend(name)), method, refuse)


@pytest.fixture(scope="session")
def small():
    """A function that makes an aligner that fits in a second; keyword arguments change it."""

    def make(**changes):
        settings = {
            "transform": lrmf.Affine(),
            "density": lrmf.Gaussian(),
            "start": "identity",
            "steps": 300,
            "private_steps": 200,
            "refit_steps": 200,
            "batch_size": 64,
            "learning_rate": 0.02,
            "progress": False,
        }
        return lrmf.LRMF(**settings | changes)

    return make


@pytest.fixture
def ctrl_c():
    """Python's own answer to Ctrl-C, which a process started in the background lacks."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, previous) is signal.default_int_handler


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A small file, for damage."""
    path = tmp_path_factory.mktemp("models") / "small.lrmf"
    model = lrmf.LRMF(
        transform=lrmf.Identity(),
        density=lrmf.Gaussian(),
        steps=1,
        private_steps=1,
        refit_steps=1,
        progress=False,
    )
    model.fit(Xs=PAIR.source, Xt=PAIR.target).save(path)
    return path


@pytest.fixture
def damaged(file, tmp_path):
    path = tmp_path / "damaged.lrmf"
    shutil.copy(file, path)
    return path
