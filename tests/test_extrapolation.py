"""Where flows take points far from the data: no farther than their documentation says."""

import numpy as np
import pytest

import lrmf

DIRECTIONS = np.random.default_rng(0).normal(size=(200, 2))
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)


def moved(spec, radius):
    """Far points under a flow of random weights, much larger than those that it starts with."""
    arrays = spec.init((2,), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    arrays = {name: value + 0.5 * rng.normal(size=value.shape) for name, value in arrays.items()}
    flow = lrmf.get_backend("jax").flow(spec, arrays, "float64")
    return flow.forward(radius * DIRECTIONS)[0]


def test_realnvp_goes_on_in_proportion():
    spec = lrmf.RealNVP(hidden=(8,))
    near, far = (np.linalg.norm(moved(spec, radius), axis=1).max() for radius in (1e4, 1e7))
    assert near > 1e5
    assert far / near == pytest.approx(1e3, rel=0.2)


@pytest.mark.parametrize("radius", [10.0, 1e3])
def test_splines_leave_far_points_where_they_are(radius):
    points = radius * DIRECTIONS
    images = moved(lrmf.SplineFlow(hidden=(8,)), radius)
    assert (np.abs(images) <= np.maximum(np.abs(points), 3.0) + 1e-9).all()
    far = np.abs(points) > 3.0
    np.testing.assert_array_equal(images[far], points[far])
