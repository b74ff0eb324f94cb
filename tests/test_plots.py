"""The figures: the artists are there, hold the right numbers, and bad input is refused."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import multivariate_normal

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

from lrmf import plots


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    figure.canvas.draw()
    plt.close(figure)


class _Shift:
    """T(x) = x + shift, with the interface of a flow."""

    def __init__(self, shift):
        self.shift = np.asarray(shift, dtype=float)

    def forward(self, x):
        return x + self.shift, np.zeros(len(x))


class _Normal:
    """The standard normal density, with the interface of a density."""

    def log_prob(self, x):
        return multivariate_normal.logpdf(x, np.zeros(2))


def test_style_holds_inside_the_block_only():
    before = mpl.rcParams["axes.grid"]
    with plots.style():
        assert mpl.rcParams["axes.grid"] is True
        assert mpl.rcParams["figure.facecolor"] == "white"
    assert mpl.rcParams["axes.grid"] == before


def test_use_style_stays():
    with mpl.rc_context():
        plots.use_style()
        assert mpl.rcParams["axes.edgecolor"] == plots.RC["axes.edgecolor"]


def test_style_without_matplotlib_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "lrmf\[notebook\]"'):
        plots.style()


# Machado, Oliveira and Fernandes (2009), severity 1.0.
_SIGHT = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def _lab(color, sight):
    rgb = np.asarray(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(_SIGHT[sight]) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.asarray(to_xyz) @ linear / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _closest(colors, sight):
    points = [_lab(color, sight) for color in colors]
    return min(np.linalg.norm(p - q) for i, p in enumerate(points) for q in points[i + 1 :])


@pytest.mark.parametrize("sight", _SIGHT)
def test_the_roles_stay_apart_for_every_eye(sight):
    roles = ("source", "target", "transformed", "shared")
    assert _closest([plots.COLORS[role] for role in roles], sight) > 20


def test_the_colour_check_notices_a_bad_palette():
    assert _closest(["tab:red", "tab:green"], "deuteranopia") < 20


def test_extent_of_covers_the_points_with_a_margin():
    window = plots.extent_of([[0.0, -1.0]], [[4.0, 1.0]], margin=0.25)
    assert window == (-1.0, 5.0, -1.5, 1.5)


def test_extent_of_a_single_point_is_not_empty():
    x_min, x_max, y_min, y_max = plots.extent_of([[2.0, 3.0]])
    assert x_min < 2 < x_max
    assert y_min < 3 < y_max


def test_extent_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one array"):
        plots.extent_of()


def test_scatter_draws_each_dataset_in_its_colour(ax):
    rng = np.random.default_rng(0)
    data = {role: rng.normal(size=(n, 2)) for role, n in zip(plots.COLORS, (5, 6, 7), strict=False)}
    artists = plots.scatter(ax, **data)
    assert set(artists) == {"source", "target", "transformed"}
    for role, points in data.items():
        (collection,) = artists[role]
        np.testing.assert_array_equal(collection.get_offsets(), points)
        np.testing.assert_allclose(collection.get_facecolor()[0, :3], to_rgb(plots.COLORS[role]))
    assert ax.get_xlabel() == "$x_1$"
    assert ax.get_ylabel() == "$x_2$"


def test_scatter_splits_by_label_and_names_each_dataset_once(ax):
    points = np.arange(12.0).reshape(6, 2)
    artists = plots.scatter(ax, source=points, source_labels=[0, 1, 1, 0, 1, 1])
    first, second = artists["source"]
    np.testing.assert_array_equal(first.get_offsets(), points[[0, 3]])
    np.testing.assert_array_equal(second.get_offsets(), points[[1, 2, 4, 5]])
    assert not np.array_equal(
        first.get_paths()[0].vertices.shape, second.get_paths()[0].vertices.shape
    )
    assert len(ax.get_legend_handles_labels()[1]) == 1


def test_scatter_keeps_the_axis_labels_it_finds(ax):
    ax.set_xlabel("first principal component")
    plots.scatter(ax, target=np.zeros((2, 2)))
    assert ax.get_xlabel() == "first principal component"


def test_scatter_refuses_bad_input(ax):
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.scatter(ax)
    with pytest.raises(ValueError, match=r"expected target of shape \(n, 2\).*got \(4, 3\)"):
        plots.scatter(ax, target=np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"expected 4 labels for source.*got \(3,\)"):
        plots.scatter(ax, source=np.zeros((4, 2)), source_labels=[0, 1, 1])


def test_density_levels_enclose_the_stated_mass(ax):
    contours = plots.density(
        ax, _Normal(), extent=(-6, 6, -6, 6), resolution=400, masses=(0.5, 0.9)
    )
    # The region of N(0, I) in the plane with mass m is the disc in which the density is at least
    # 1 − m times its peak.
    np.testing.assert_allclose(contours.levels[:-1], [0.1, 0.5], rtol=0.02)
    assert ax.get_xlim() == (-6, 6)


def test_density_accepts_a_function_and_unlikely_scales(ax):
    contours = plots.density(ax, lambda x: -1e4 - (x**2).sum(axis=1), extent=(-3, 3, -3, 3))
    assert len(contours.levels) == 7
    assert np.all(np.diff(contours.levels) > 0)


def test_a_flat_density_is_one_region(ax):
    contours = plots.density(ax, lambda x: np.zeros(len(x)), extent=(0, 1, 0, 1))
    assert len(contours.levels) == 2


def test_density_refuses_bad_input(ax):
    with pytest.raises(ValueError, match="masses must lie strictly between 0 and 1"):
        plots.density(ax, _Normal(), extent=(0, 1, 0, 1), masses=(0.5, 1.0))
    with pytest.raises(ValueError, match="min < max"):
        plots.density(ax, _Normal(), extent=(1, 0, 0, 1))
    with pytest.raises(ValueError, match="at least 2 grid points"):
        plots.density(ax, _Normal(), extent=(0, 1, 0, 1), resolution=1)
    with pytest.raises(ValueError, match="not a number at 9 of 9 grid points"):
        plots.density(ax, lambda x: x[:, 0] * np.nan, extent=(0, 1, 0, 1), resolution=3)
    with pytest.raises(ValueError, match="no probability inside"):
        plots.density(ax, lambda x: np.full(len(x), -np.inf), extent=(0, 1, 0, 1))


def test_loss_curve_draws_loss_mean_and_zero(ax):
    history = {"step": np.arange(1, 7), "loss": np.array([6.0, 4.0, 2.0, 0.0, 0.0, 0.0])}
    artists = plots.loss_curve(ax, history, window=2)
    np.testing.assert_array_equal(artists["loss"].get_ydata(), history["loss"])
    np.testing.assert_array_equal(artists["mean"].get_ydata(), [6.0, 5.0, 3.0, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(artists["zero"].get_ydata(), [0.0, 0.0])
    assert ax.get_ylabel() == "loss (nats)"


def test_loss_curve_stops_at_the_first_loss_that_is_not_finite(ax):
    history = {"step": [1, 2, 3, 4], "loss": [2.0, 1.0, np.inf, 0.5]}
    artists = plots.loss_curve(ax, history, window=2, zero_line=False)
    np.testing.assert_array_equal(artists["mean"].get_ydata(), [2.0, 1.5])
    assert "zero" not in artists


def test_loss_curve_draws_the_held_out_loss(ax):
    history = {
        "step": [1, 2, 3],
        "loss": [3.0, 2.0, 1.0],
        "validation_step": [1, 3],
        "validation_loss": [3.5, 1.5],
    }
    assert "validation" not in plots.loss_curve(ax, history, validation=False)
    artists = plots.loss_curve(ax, history)
    np.testing.assert_array_equal(artists["validation"].get_xydata(), [[1, 3.5], [3, 1.5]])


def test_loss_curve_refuses_bad_input(ax):
    with pytest.raises(ValueError, match="has no 'loss'"):
        plots.loss_curve(ax, {"step": [1]})
    with pytest.raises(ValueError, match="of equal length and not empty"):
        plots.loss_curve(ax, {"step": [1, 2], "loss": [1.0]})
    with pytest.raises(ValueError, match="window must be at least one step, got 0"):
        plots.loss_curve(ax, {"step": [1], "loss": [1.0]}, window=0)


def test_displacement_shows_direction_and_length(ax):
    quiver = plots.displacement(ax, _Shift([3.0, 4.0]), extent=(0, 10, 0, 10), resolution=5)
    np.testing.assert_allclose(quiver.get_array().ravel(), 5.0)
    np.testing.assert_allclose(quiver.U / quiver.V, 0.75)
    np.testing.assert_allclose(np.hypot(quiver.U, quiver.V), 0.8 * 10 / 4)
    assert quiver.colorbar is not None


def test_displacement_of_the_identity_has_no_arrows(ax):
    quiver = plots.displacement(ax, lambda x: x, extent=(0, 1, 0, 1), colorbar=False)
    np.testing.assert_array_equal(np.hypot(quiver.U, quiver.V), 0.0)
    assert quiver.colorbar is None


def test_displacement_refuses_a_flow_that_is_not_finite(ax):
    with pytest.raises(ValueError, match="4 of 4 grid points to infinity"):
        plots.displacement(ax, _Shift([np.nan, 0]), extent=(0, 1, 0, 1), resolution=2)


@pytest.mark.parametrize("seed", range(4))
def test_ellipse_is_the_level_set_of_the_quadratic_form(ax, seed):
    rng = np.random.default_rng(seed)
    mean, root = rng.normal(size=2), rng.normal(size=(2, 2))
    cov = root @ root.T
    inner, outer = plots.ellipse(ax, mean, cov, n_std=(1.0, 3.0))
    for patch, radius in ((inner, 1.0), (outer, 3.0)):
        corners = patch.get_patch_transform().transform([[1, 0], [0, 1], [-1, 0], [0, -1]])
        offset = corners - mean
        form = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(cov), offset)
        np.testing.assert_allclose(form, radius**2, rtol=1e-6)


def test_ellipse_refuses_bad_input(ax):
    with pytest.raises(ValueError, match=r"mean of shape \(2,\).*got \(3,\)"):
        plots.ellipse(ax, np.zeros(3), np.eye(2))
    with pytest.raises(ValueError, match="positive semi-definite"):
        plots.ellipse(ax, np.zeros(2), np.diag([1.0, -1.0]))
    with pytest.raises(ValueError, match="positive semi-definite"):
        plots.ellipse(ax, np.zeros(2), [[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(ValueError, match="n_std must be positive"):
        plots.ellipse(ax, np.zeros(2), np.eye(2), n_std=0.0)
