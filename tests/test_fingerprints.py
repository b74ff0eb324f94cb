"""Fingerprints: of what is computed, not of what is printed."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest

import lrmf
from lrmf.fingerprints import fingerprint


class Thing:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def scaled(factor):
    return lambda x: factor * x


CYCLE = Thing(size=1)
CYCLE.itself = CYCLE

SAME = {
    "NumPy's scalars": (
        (3, 0.5, "jax", True), (np.int64(3), np.float64(0.5), np.str_("jax"), np.True_),
    ),
    "order of keys": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "order of a set": ({"a", "b", "c"}, {"c", "b", "a"}),
    "arrays": (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))),
    "specs": (lrmf.RealNVP(blocks=2, hidden=[8]), lrmf.RealNVP(blocks=np.int64(2), hidden=(8,))),
    "closures": (scaled(2.0), scaled(2.0)),
    "labels": (Thing(name="dense_1", size=3), Thing(name="dense_2", size=3)),
    "objects of no attributes": (Thing(lock=object()), Thing(lock=object())),
}  # fmt: skip
OTHER = {
    "numbers": (1, 2),
    "types of numbers": (1, "1"),
    "truth": (1, True),
    "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "data types": (np.zeros(2), np.zeros(4, np.float32)),
    "arrays too long to print": (np.zeros(5000), np.eye(1, 5000, 2500)[0]),
    "lists and tuples": ([1, 2], (1, 2)),
    "specs": (lrmf.RealNVP(hidden=(8,)), lrmf.RealNVP(hidden=(9,))),
    "classes of specs": (lrmf.NICE(hidden=(8,)), lrmf.RealNVP(hidden=(8,))),
    "functions": (np.tanh, np.sinh),
    "code": (lambda x: x + 1, lambda x: x - 1),
    "constants": (lambda x: x + 1, lambda x: x + 2),
    "names in code": (lambda x: np.sin(x), lambda x: np.cos(x)),
    "closures": (scaled(2.0), scaled(3.0)),
    "defaults": (lambda x, y=1: x, lambda x, y=2: x),
    "partials": (functools.partial(scaled, 2), functools.partial(scaled, 3)),
    "methods": (Thing(a=1).__init__, Thing(a=2).__init__),
    "what a class does": (
        type("Own", (), {"f": lambda self: 1})(), type("Own", (), {"f": lambda self: 2})(),
    ),
    "attributes": (Thing(size=3), Thing(size=4)),
    "deep attributes": (Thing(a=Thing(b=[1, {"c": 2}])), Thing(a=Thing(b=[1, {"c": 3}]))),
    "cycles": (CYCLE, Thing(size=1, itself=None)),
}  # fmt: skip


@pytest.mark.parametrize(("one", "two"), SAME.values(), ids=SAME)
def test_the_same(one, two):
    assert fingerprint(one) == fingerprint(two)


@pytest.mark.parametrize(("one", "two"), OTHER.values(), ids=OTHER)
def test_another(one, two):
    assert fingerprint(one) != fingerprint(two)


FLOWJAX = """
import jax, jax.numpy as jnp
from flowjax import bijections, distributions, flows
from lrmf.fingerprints import fingerprint

def flow(**options):
    base = distributions.Normal(jnp.zeros(2))
    return flows.coupling_flow(
        jax.random.key(0), base_dist=base, flow_layers=2, nn_width=4, **options)

made = [
    flow(),
    flow(nn_activation=jax.nn.silu),
    flow(nn_activation=lambda x: 2 * x),
    flow(nn_activation=lambda x: 3 * x),
    flow(invert=False),
    bijections.RationalQuadraticSpline(knots=5, interval=3),
    bijections.RationalQuadraticSpline(knots=5, interval=4),
]
found = [fingerprint(model) for model in made]
"""


def test_flowjax_objects_are_the_same_in_a_new_process():
    here = {}
    exec(FLOWJAX, here)
    assert len(set(here["found"])) == len(here["found"])
    child = subprocess.run(
        [sys.executable, "-c", f"{FLOWJAX}\nprint(*found)"],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    # What this test executes stands in no module, as a script does not.
    assert [a == b for a, b in zip(child.stdout.split(), here["found"], strict=True)] == [True] * 7


def test_tfp_objects_count_by_what_they_were_called_with():
    import tensorflow as tf
    from tensorflow_probability import bijectors as tfb, distributions as tfd

    def network(activation):
        return tfb.AutoregressiveNetwork(
            params=2, hidden_units=[8], event_shape=[2], activation=activation
        )

    def shifted(*bijectors, by=0.0):
        return tfb.Chain([tfb.Shift(tf.Variable([by, by])), *bijectors])

    def inline(factor):
        return tfb.Inline(forward_fn=lambda x: factor * x, forward_min_event_ndims=0)

    def make():
        return [
            shifted(tfb.SinhArcsinh(tailweight=1.0)),
            shifted(tfb.SinhArcsinh(tailweight=3.0)),
            shifted(tfb.SinhArcsinh(tailweight=1.0), by=1.0),
            shifted(tfb.Permute([0, 1])),
            shifted(tfb.Permute([1, 0])),
            shifted(tfb.Exp()),
            shifted(tfb.Invert(tfb.Exp())),
            inline(2.0),
            inline(3.0),
            tfb.MaskedAutoregressiveFlow(network("tanh")),
            tfb.MaskedAutoregressiveFlow(network("relu")),
            tfd.MultivariateNormalDiag(tf.Variable([0.0, 0.0]), [1.0, 1.0]),
            tfd.MultivariateNormalDiag(tf.Variable([0.0, 0.0]), [1.0, 2.0]),
            tf.float32,
            tf.float64,
        ]

    found = [fingerprint(model) for model in make()]
    assert len(set(found)) == len(found)
    assert [fingerprint(model) for model in make()[:9]] == found[:9]
