"""Processes forked from one that has computed: an error with the cure, never a hang."""

import multiprocessing
import pickle
import warnings

import numpy as np
import pytest

import lrmf

X = np.zeros((3, 2))
ARRAYS = lrmf.Affine().init((2,), np.random.default_rng(0))


def in_a_fork(function):
    """What a function raised in a forked process, which may take some seconds."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def run():
        try:
            there.send(("gave", function()))
        except BaseException as error:
            there.send((type(error), str(error)))

    process = context.Process(target=run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own, and JAX's
        process.start()
    try:
        assert here.poll(30), "it hangs"
        return here.recv()
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize("name", ["jax", "tfp"])
def test_a_backend_that_was_used_is_refused_in_a_fork(name):
    backend = lrmf.get_backend(name)
    flow = backend.flow(lrmf.Affine(), ARRAYS)
    density = backend.density(lrmf.Affine(), ARRAYS)
    flow.forward(X)
    uses = {
        "forward": lambda: flow.forward(X),
        "log_prob": lambda: density.log_prob(X),
        "sample": lambda: density.sample(3),
        "flow": lambda: backend.flow(lrmf.Affine(), ARRAYS),
        "fit": lambda: lrmf.MMDFlow(backend=name, steps=1).fit(Xs=X + 1, Xt=X),
    }

    def all_of_them():
        found = {}
        for use, function in uses.items():
            with pytest.raises(RuntimeError) as caught:
                function()
            found[use] = str(caught.value)
        return found

    kind, found = in_a_fork(all_of_them)
    assert kind == "gave", found
    for message in found.values():
        assert f"forked from one that has used the '{name}' backend" in message
        assert "multiprocessing.get_context('spawn')" in message
        assert "'loky'" in message
    flow.forward(X)  # the parent goes on


def test_a_backend_that_was_not_used_is_none_of_a_forks_business(monkeypatch):
    backend = lrmf.get_backend("jax")
    monkeypatch.setattr(backend, "_process", None)
    assert in_a_fork(backend.check_process) == ("gave", None)


def test_a_pickled_model_takes_the_backend_of_the_process_that_unpickles_it():
    backend = lrmf.get_backend("jax")
    flow = backend.flow(lrmf.Affine(), ARRAYS)
    assert pickle.loads(pickle.dumps(flow)).backend is backend


def test_what_needs_no_backend_works_in_a_fork():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40, 2))
    lrmf.get_backend("jax").flow(lrmf.Affine(), ARRAYS).forward(X)
    expected = lrmf.CORAL().fit(Xs=a, Xt=b).transform(a)
    kind, found = in_a_fork(lambda: lrmf.CORAL().fit(Xs=a, Xt=b).transform(a))
    assert kind == "gave", found
    np.testing.assert_array_equal(found, expected)
