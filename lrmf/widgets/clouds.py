"""Two datasets in the plane: how far a map should go, and an angle that no covariance can see."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from lrmf import distances, plots, theory
from lrmf.points import check_pair
from lrmf.widgets.explorer import Explorer, State, number
from lrmf.widgets.panels import two_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Clouds", "CloudsNumbers", "CloudsState", "clouds", "clouds_numbers", "draw_clouds"]

Array = NDArray[np.float64]
MOST = 400  # points of each dataset; more would take longer to draw than one likes to wait
ANGLES = np.arange(-180.0, 181.0, 15.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloudsState(State):
    """How far A goes on its straight way to the moments of B, and the angle it turns by there.

    A turns where its covariance is the identity, so that no angle changes mean or covariance.

    >>> import lrmf
    >>> lrmf.widgets.CloudsState(share=2.0, turn=90.0)  # no further than all of the way
    CloudsState(share=1.0, turn=90.0)
    """

    share: float = number("share of the way", 0.0, 0.0, 1.0, 0.05)
    turn: float = number("angle, degrees", 0.0, -180.0, 180.0, 5.0)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Clouds:
    """Two datasets in the plane, (n, 2) and (m, 2), and their labels where there are any.

    >>> import lrmf
    >>> pair = lrmf.data.moons(n=20)
    >>> data = lrmf.widgets.Clouds(source=pair.source, target=pair.target)
    >>> data.source.shape, data.source_labels is None
    ((20, 2), True)
    """

    source: Array
    target: Array
    source_labels: NDArray | None = None
    target_labels: NDArray | None = None


class CloudsNumbers(NamedTuple):
    """What is left: of the Gaussian distance (nats), of the energy distance, and the accuracy.

    The accuracy is that of the nearest neighbour's label; not-a-number where there are no labels.
    """

    gaussian: float
    energy: float
    accuracy: float


def moved(state: CloudsState, data: Clouds) -> Array:
    """Return the points of A where the state puts them, (n, 2)."""
    a, b = _moments(data.source), _moments(data.target)
    matrix, shift = theory.gaussian.monge_map(*a, *b)
    x = (1 - state.share) * data.source + state.share * (data.source @ matrix.T + shift)
    mean, cov = _moments(x)
    angle = np.deg2rad(state.turn)
    rotation = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn, shift = theory.gaussian.moment_matching_map(
        rotation, mean_a=mean, cov_a=cov, mean_b=mean, cov_b=cov
    )
    return np.asarray(x @ turn.T + shift)


def clouds_numbers(state: CloudsState, data: Clouds) -> CloudsNumbers:
    """Compare the moved points with B."""
    x = moved(state, data)
    accuracy = float("nan")
    if data.source_labels is not None and data.target_labels is not None:
        nearest = cdist(data.target, x).argmin(axis=1)
        accuracy = float(np.mean(data.source_labels[nearest] == data.target_labels))
    return CloudsNumbers(
        gaussian=float(theory.gaussian.distance(*_moments(x), *_moments(data.target))),
        energy=float(distances.energy_distance(x, data.target)),
        accuracy=accuracy,
    )


@functools.lru_cache(maxsize=32)
def _over_angles(state: CloudsState, data: Clouds) -> Array:
    """The numbers at every angle: kept, since a slider of the angle changes none of them."""
    return np.array([clouds_numbers(state.moved(turn=angle), data) for angle in ANGLES])


def draw_clouds(state: CloudsState, data: Clouds) -> Figure:
    """Draw B and the moved points of A, and what is left of two distances at every angle.

    >>> import lrmf
    >>> pair = lrmf.data.moons(n=20)
    >>> data = Clouds(source=pair.source, target=pair.target)
    >>> figure = draw_clouds(CloudsState(share=1.0), data)
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['first coordinate', 'angle, degrees']
    """
    n, start = clouds_numbers(state, data), clouds_numbers(CloudsState(), data)
    curves = _over_angles(state.moved(turn=0.0), data)
    figure, top, bottom = two_panels(7.0, 1.5)
    plots.scatter(top, transformed=moved(state, data), target=data.target)
    top.set(xlabel="first coordinate", ylabel="second coordinate")
    top.legend(loc="upper right")
    looks = (
        ("Gaussian distance", "shared", "--", max(start.gaussian, 1e-12)),
        ("energy distance", "highlight", "-", max(start.energy, 1e-12)),
        ("1-NN accuracy", "source", ":", 1.0),
    )
    for k, (label, color, style, unit) in enumerate(looks):
        if np.isnan(n[k]):
            continue
        bottom.plot(
            ANGLES, curves[:, k] / unit, style, color=plots.COLORS[color], label=label, linewidth=2
        )
        bottom.plot([state.turn], [n[k] / unit], "o", color=plots.COLORS[color])
    bottom.set(
        title=_title(n),
        xlabel="angle, degrees",
        ylabel="left of no map; accuracy",
        xticks=np.arange(-180, 181, 90),
    )
    bottom.set_ylim(-0.05, 1.35 * max(1.0, bottom.get_ylim()[1]))
    bottom.legend(loc="upper center", ncols=3, fontsize=9)
    return figure


def _title(n: CloudsNumbers) -> str:
    text = f"Gaussian distance {abs(n.gaussian):.3f} nats, energy {n.energy:.3f}"
    return text if np.isnan(n.accuracy) else f"{text}, accuracy {n.accuracy:.2f}"


def _describe(state: CloudsState, data: Clouds) -> str:
    n = clouds_numbers(state, data)
    known = not np.isnan(n.accuracy)
    accuracy = f", and the accuracy of the nearest neighbour is {n.accuracy:.2f}" if known else ""
    return (
        f"Two clouds of points, B in red and A in cyan after {state.share:.0%} of its way to the "
        f"mean and covariance of B, turned by {state.turn:.0f} degrees. Below, against the angle: "
        f"the Gaussian distance is a flat line at {abs(n.gaussian):.3f} nats; the energy distance "
        f"changes with the angle, and is {n.energy:.3f} here{accuracy}."
    )


def clouds(
    source: ArrayLike,
    target: ArrayLike,
    *,
    source_labels: ArrayLike | None = None,
    target_labels: ArrayLike | None = None,
    **start: float,
) -> Explorer:
    """Explore maps of two datasets in the plane: what moments, distances and labels say of them.

    Of more than 400 points, 400 are drawn at random, the same ones each time.

    Args:
        source: the points A, shape (n, 2).
        target: the points B, shape (m, 2).
        source_labels: of A, shape (n,); with those of B they show the accuracy of the nearest
            neighbour.
        target_labels: of B, shape (m,).
        **start: numbers of :class:`CloudsState` that differ from their start.

    Raises:
        ValueError: no points in the plane, values that are not finite, points on one line, labels
            of another number of points, or of one dataset alone.

    >>> import lrmf
    >>> pair = lrmf.data.moons(n=20)
    >>> explorer = lrmf.widgets.clouds(pair.source, pair.target, share=1.0)
    >>> print(explorer.alt)
    Two clouds of points, B in red and A in cyan after 100% of its way to the mean and ...
    """
    data = _clouds(source, target, source_labels, target_labels)
    return Explorer(
        CloudsState(**start),
        functools.partial(draw_clouds, data=data),
        functools.partial(_describe, data=data),
    )


def _clouds(source: ArrayLike, target: ArrayLike, of_a: object, of_b: object) -> Clouds:
    a, b = check_pair(source, target)
    if a.ndim != 2 or a.shape[1] != 2:
        raise ValueError(
            f"expected points in the plane, (n, 2), got {a.shape}; project them first, for example "
            "on the first two principal components of both datasets together"
        )
    if (of_a is None) != (of_b is None):
        raise ValueError("give the labels of both datasets, or of none")
    kept: dict[str, Any] = {}
    rng = np.random.default_rng(0)
    for name, points, given in (("source", a, of_a), ("target", b, of_b)):
        rows = np.sort(rng.permutation(len(points))[:MOST])
        kept[name] = points[rows]
        spreads = np.linalg.eigvalsh(_moments(kept[name])[1])
        if spreads[0] <= 1e-10 * spreads[1]:
            raise ValueError(f"the points of {name} lie on one line: no map can match moments")
        if given is not None:
            labels = np.asarray(given)
            if labels.shape != (len(points),):
                raise ValueError(
                    f"{name}_labels must be one for each of the {len(points)} points, got the "
                    f"shape {labels.shape}"
                )
            kept[f"{name}_labels"] = labels[rows]
    return Clouds(**kept)


def _moments(x: Array) -> tuple[Array, Array]:
    """Mean (2,) and covariance (2, 2), divided by n."""
    return x.mean(axis=0), np.cov(x.T, bias=True)
