"""The figure of a certificate."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lrmf import plots
from lrmf.judge import Certificate


def certificate(source, target):
    return Certificate(
        lrd=0.5,
        lrd_stderr=0.1,
        controls=(),
        tolerance=0.1,
        n_source=len(source),
        n_target=len(target),
        log_ratio_source=np.array(source),
        log_ratio_target=np.array(target),
    )


X = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 2.0], [2.0, 2.0, 3.0]])


def test_points_are_coloured_and_the_largest_have_rings():
    ax = Figure().subplots()
    found = certificate([0.1, 2.0, np.nan], [0.0, -3.0, 0.2])
    coloured, rings = plots.log_ratio(ax, found, X, 10.0 + X, features=(0, 2), share=0.4)
    np.testing.assert_allclose(coloured.get_array(), [0.0, 0.1, 0.2, 2.0, -3.0])
    np.testing.assert_allclose(rings.get_offsets(), [[1.0, 2.0], [11.0, 12.0]])
    assert coloured.get_clim() == (-3.0, 3.0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_{1}$", "$x_{3}$")
    red, blue = coloured.to_rgba([-3.0, 3.0])
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_nothing_differs():
    nothing = certificate([0.0] * 3, [0.0] * 3)
    coloured, rings = plots.log_ratio(Figure().subplots(), nothing, X, X)
    assert len(coloured.get_offsets()) == 6
    assert len(rings.get_offsets()) == 0


def test_one_feature_is_drawn_against_the_log_ratio():
    ax = Figure().subplots()
    found = certificate([1.0, 2.0, 3.0], [0.0] * 3)
    coloured, _ = plots.log_ratio(ax, found, X[:, :1], X[:, :1])
    np.testing.assert_allclose(coloured.get_offsets()[-1], [2.0, 3.0])
    assert ax.get_ylabel() == "log-ratio (nats)"


def test_other_points_are_refused():
    with pytest.raises(ValueError, match="Xt has 2 points, the certificate is of 3"):
        plots.log_ratio(Figure().subplots(), certificate([0.0] * 3, [0.0] * 3), X, X[:2])
