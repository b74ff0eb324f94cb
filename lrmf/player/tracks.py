"""What one method did during training, checked and ready to be drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrmf._plot_data import Extent, history_columns
from lrmf.checks import check_positive_int
from lrmf.plots import extent_of

__all__ = ["Track"]

ELLIPSES = ("source", "target", "transformed", "shared")
MAX_LABELS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """Frames of one method's training: its moved points, and what else is drawn with them.

    Lengths are in units of the data. Shapes: k frames, n points.

    Args:
        title: of the panel.
        steps: ``(k,)`` training steps of the frames, increasing.
        points: ``(k, n, 2)`` the moved source T(A) at each frame; row i is the same point in all.
        target: ``(m, 2)`` points of B, which stay.
        labels: ``(n,)`` classes of the points, at most 10 of them.
        color_by: ``"label"`` gives each class a colour and a marker of its own, ``"origin"`` each
            point a hue by its direction from the centre at the first frame, ``"role"`` all of
            them the colour of T(A). By default ``"label"`` where there are labels.
        density: ``(k, g, g)`` the shared density at the cells of a grid over ``extent``, up to a
            factor; rows go up the second axis, columns along the first. Its shade says which
            share of the probability lies in less dense cells.
        extent: ``(x_min, x_max, y_min, y_max)`` of the panel; what lies outside is not drawn.
        grid: ``(k, lines, p, 2)`` polylines, such as the image of a grid under T.
        loss: ``(steps, values)``, each ``(s,)``: any number of steps, with the loss in nats.
        loss_label: of the loss axis.
        ellipses: names among ``"source"``, ``"target"``, ``"transformed"``, ``"shared"``, each
            with ``(mean, covariance)`` of shapes ``(k, 2)`` and ``(k, 2, 2)``, or ``(2,)`` and
            ``(2, 2)`` for one that stays. Drawn at 3 standard deviations.
        axis_labels: of the two axes.

    Raises:
        ValueError: shapes that do not fit, nothing to show, values that are not finite.

    >>> import lrmf
    >>> points = np.zeros((3, 5, 2)) + np.arange(3.0)[:, None, None]  # three frames of five points
    >>> track = lrmf.player.Track(title="moving on", steps=[0, 10, 20], points=points)
    >>> track.points.shape, track.color_by
    ((3, 5, 2), 'role')
    """

    title: str
    steps: Any
    points: Any
    target: Any = None
    labels: Any = None
    color_by: Literal["label", "origin", "role"] | None = None
    density: Any = None
    extent: Extent | None = None
    grid: Any = None
    loss: tuple[Any, Any] | None = None
    loss_label: str = "loss (nats)"
    ellipses: Mapping[str, tuple[Any, Any]] | None = None
    axis_labels: tuple[str, str] = ("x₁", "x₂")

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        if not isinstance(self.title, str) or not self.title.strip():
            raise ValueError(f"a track needs a title, such as 'LRMF', got {self.title!r}")
        put("steps", _numbers("steps", self.steps, "(k,)", 1))
        k = len(self.steps)
        if (np.diff(self.steps) <= 0).any():
            raise ValueError(
                f"steps must increase from frame to frame, got {_short(self.steps)}; sort the "
                "frames, and keep one of each step"
            )
        put("points", _numbers("points", self.points, "(k, n, 2)", 3))
        if self.points.shape[0] != k or self.points.shape[2] != 2:
            raise ValueError(
                f"expected points of shape ({k}, n, 2) for {k} steps, got {self.points.shape}"
            )
        n = self.points.shape[1]
        if self.target is not None:
            put("target", _numbers("target", self.target, "(m, 2)", 2))
            if self.target.shape[1] != 2:
                raise ValueError(f"expected target of shape (m, 2), got {self.target.shape}")
        put("extent", self._checked_extent())
        if self.labels is not None:
            put("labels", _labels(self.labels, n))
        elif self.color_by == "label":
            raise ValueError("color_by='label' needs labels, one for each point")
        if self.color_by is None:
            put("color_by", "role" if self.labels is None else "label")
        if not isinstance(self.color_by, str) or self.color_by not in ("label", "origin", "role"):
            raise ValueError(f"color_by must be 'label', 'origin' or 'role', got {self.color_by!r}")
        if self.density is not None:
            put("density", _density(self.density, k))
        if self.grid is not None:
            put("grid", _numbers("grid", self.grid, "(k, lines, p, 2)", 4))
            if self.grid.shape[0] != k or self.grid.shape[2] < 2 or self.grid.shape[3] != 2:
                raise ValueError(
                    f"expected grid of shape ({k}, lines, p, 2) with two or more points a line, "
                    f"got {self.grid.shape}"
                )
        if self.loss is not None:
            put("loss", _loss(self.loss))
        put("ellipses", {} if self.ellipses is None else _ellipses(self.ellipses, k))

    @classmethod
    def from_aligner(
        cls,
        model: Any,
        Xs: ArrayLike,
        Xt: ArrayLike,
        *,
        title: str,
        labels: ArrayLike | None = None,
        color_by: Literal["label", "origin", "role"] | None = None,
        frames: int = 24,
        points: int = 300,
        density: bool = True,
        grid: bool = True,
        resolution: int = 40,
        extent: Extent | None = None,
        project: Callable[[NDArray[np.float64]], ArrayLike] | None = None,
        **options: Any,
    ) -> Track:
        """Make a track of a fitted aligner, from ``snapshots_`` and ``history_``.

        Args:
            model: fitted with ``snapshot_every``.
            Xs: source points ``(n, d)``, moved by the flow of each snapshot.
            Xt: target points ``(m, d)``.
            title: of the panel.
            labels: ``(n,)`` classes of the source points.
            color_by: see `Track`.
            frames: at most so many snapshots; they are chosen so that the points move about the
                same distance between any two of them.
            points: at most so many points a side, drawn evenly from all.
            density: whether to draw the shared density, where the snapshots have one.
            grid: whether to draw the image of a grid under T.
            resolution: cells of the density along each axis.
            extent: of the panel; by default it holds A, B and T(A) at the end.
            project: function from ``(n, d)`` to ``(n, 2)``, for data of more than two features,
                such as two principal components. Then density and grid are left out.
            options: other arguments of `Track`.

        Raises:
            ValueError: a model without snapshots, or data that are not of the plane.
        """
        snapshots = getattr(model, "snapshots_", None)
        if not snapshots:
            raise ValueError(
                f"this {type(model).__name__} has no snapshots; fit it with snapshot_every=100"
            )
        for name, value in (("frames", frames), ("points", points), ("resolution", resolution)):
            check_positive_int(name, value)
        source, target = np.asarray(Xs, dtype=float), np.asarray(Xt, dtype=float)
        if labels is not None:
            labels = np.asarray(labels)
            if labels.shape != source.shape[:1]:
                raise ValueError(
                    f"expected {len(source)} labels, one for each row of Xs, got {labels.shape}"
                )
        rows = _spread(len(source), points)
        source, target = source[rows], target[_spread(len(target), points)]
        to_plane = _plane if project is None else project
        density, grid = density and project is None, grid and project is None
        start, goal = (np.asarray(to_plane(x), dtype=float) for x in (source, target))
        moved = [
            np.asarray(to_plane(flow.forward(source)[0]), dtype=float) for _, flow, _ in snapshots
        ]
        if extent is None:
            extent = extent_of(start, goal, moved[-1], margin=0.08)
        chosen = _evenly_moving(np.stack(moved), extent, frames)
        picked = [snapshots[i] for i in chosen]
        heights = images = None
        if density and all(shared is not None for _, _, shared in picked):
            cells = _cells(extent, resolution)
            log_prob = [np.asarray(shared.log_prob(cells)) for _, _, shared in picked]
            heights = np.stack([np.exp(x - x.max()) for x in log_prob])
            heights = heights.reshape(len(picked), resolution, resolution)
        if grid:
            lines = _grid_lines(extent_of(start, margin=0.1))
            flat = lines.reshape(-1, 2)
            images = np.stack(
                [np.asarray(flow.forward(flat)[0]).reshape(lines.shape) for _, flow, _ in picked]
            )
        history = getattr(model, "history_", {})
        if "loss" not in options and "loss" in history:
            where, values = history_columns(history, "step", "loss")
            finite = np.isfinite(values)
            if finite.any():
                options["loss"] = (where[finite], values[finite])
        return cls(
            title=title,
            steps=[step for step, _, _ in picked],
            points=np.stack([moved[i] for i in chosen]),
            target=goal,
            labels=None if labels is None else labels[rows],
            color_by=color_by,
            density=heights,
            extent=extent,
            grid=images,
            **options,
        )

    def _checked_extent(self) -> Extent:
        if self.extent is None:
            shown = [self.points[0], self.points[-1]]
            return extent_of(*shown, *([] if self.target is None else [self.target]), margin=0.08)
        extent = tuple(float(x) for x in self.extent)
        if len(extent) != 4 or not all(map(math.isfinite, extent)):
            raise ValueError(f"extent must be four finite numbers, got {self.extent}")
        if not (extent[0] < extent[1] and extent[2] < extent[3]):
            raise ValueError(
                f"extent must be (x_min, x_max, y_min, y_max) with min < max, got {extent}"
            )
        return extent


def _numbers(name: str, values: Any, shape: str, rank: int) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.ndim != rank or array.size == 0:
        raise ValueError(f"expected {name} of shape {shape}, not empty, got {array.shape}")
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ValueError(
            f"{name} holds {bad} NaN or infinite values; leave out the frames of a run that "
            "diverged"
        )
    return array.astype(np.float64)


def _short(values: NDArray[np.float64]) -> str:
    head = ", ".join(f"{x:g}" for x in values[:8])
    return f"[{head}{', ...' if len(values) > 8 else ''}]"


def _labels(labels: Any, n: int) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"expected {n} labels, one for each point, got shape {array.shape}")
    count = len(np.unique(array))
    if count > MAX_LABELS:
        raise ValueError(
            f"labels have {count} classes, more than the {MAX_LABELS} that can be told apart; join "
            "some of them, or use color_by='origin' without labels"
        )
    return array


def _density(values: Any, k: int) -> NDArray[np.float64]:
    array = _numbers("density", values, "(k, g, g)", 3)
    if array.shape[0] != k or array.shape[1] != array.shape[2]:
        raise ValueError(f"expected density of shape ({k}, g, g) for {k} steps, got {array.shape}")
    if (array < 0).any():
        raise ValueError("density has negative values: pass exp(log_prob), not log_prob")
    empty = np.flatnonzero(array.sum(axis=(1, 2)) == 0)
    if len(empty):
        raise ValueError(
            f"density is zero on all of frame {empty[0]}: widen the extent, or take the largest "
            "log_prob off before exp"
        )
    return array


def _loss(loss: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not isinstance(loss, Sequence) or len(loss) != 2:
        raise ValueError("loss must be a pair (steps, values)")
    steps = _numbers("the steps of the loss", loss[0], "(s,)", 1)
    values = _numbers("loss", loss[1], "(s,)", 1)
    if steps.shape != values.shape:
        raise ValueError(f"the loss has {len(steps)} steps and {len(values)} values")
    if (np.diff(steps) <= 0).any():
        raise ValueError(f"the steps of the loss must increase, got {_short(steps)}")
    return steps, values


def _ellipses(
    ellipses: Mapping[str, tuple[Any, Any]], k: int
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    checked = {}
    for name, (mean, cov) in ellipses.items():
        if name not in ELLIPSES:
            raise ValueError(f"ellipses are named {', '.join(ELLIPSES)}; got {name!r}")
        means, covs = np.asarray(mean, dtype=float), np.asarray(cov, dtype=float)
        if means.ndim == 1:
            means, covs = means[None], covs[None]
        means = _numbers(f"the mean of {name}", means, "(k, 2)", 2)
        covs = _numbers(f"the covariance of {name}", covs, "(k, 2, 2)", 3)
        if len(means) not in (1, k) or means.shape[1:] != (2,) or covs.shape != (len(means), 2, 2):
            raise ValueError(
                f"expected {name} with a mean of shape ({k}, 2) and a covariance of shape "
                f"({k}, 2, 2), got {means.shape} and {covs.shape}"
            )
        if not np.allclose(covs, covs.swapaxes(1, 2)) or (np.linalg.eigvalsh(covs) < 0).any():
            raise ValueError(
                f"the covariance of {name} must be symmetric and positive semi-definite"
            )
        checked[name] = (means, covs)
    return checked


def _plane(x: NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(x, dtype=float)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(
            f"expected data of shape (n, 2), got {array.shape}; for more features pass project=, "
            "such as a function to two principal components"
        )
    return array


def _spread(n: int, count: int) -> NDArray[np.intp]:
    """Rows drawn at random, always the same, in their order."""
    if n <= count:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, size=count, replace=False))


def _evenly_moving(moved: NDArray[np.float64], extent: Extent, count: int) -> list[int]:
    """Frames between which the points move about equally far; the first and the last are kept.

    A share of the distance counts time, so that the timeline does not leap over a plateau.
    """
    if len(moved) <= count:
        return list(range(len(moved)))
    width = max(extent[1] - extent[0], extent[3] - extent[2])
    lengths = np.minimum(np.linalg.norm(np.diff(moved, axis=0), axis=-1).mean(axis=1), width)
    total = lengths.sum() or 1.0
    travelled = np.concatenate([[0.0], np.cumsum(lengths / total + 1.0 / len(lengths))])
    wanted = np.linspace(0.0, travelled[-1], count)
    chosen = {int(np.abs(travelled - w).argmin()) for w in wanted}
    return sorted(chosen | {0, len(moved) - 1})


def _cells(extent: Extent, resolution: int) -> NDArray[np.float64]:
    """Centres of the cells, row by row from the bottom."""
    x_min, x_max, y_min, y_max = extent
    at = (np.arange(resolution) + 0.5) / resolution
    grid_x, grid_y = np.meshgrid(x_min + at * (x_max - x_min), y_min + at * (y_max - y_min))
    return np.stack([grid_x.ravel(), grid_y.ravel()], axis=1)


def _grid_lines(extent: Extent, lines: int = 9, along: int = 25) -> NDArray[np.float64]:
    """Vertical, then horizontal lines over a window, ``(2 lines, along, 2)``."""
    x_min, x_max, y_min, y_max = extent
    xs, ys = np.linspace(x_min, x_max, lines), np.linspace(y_min, y_max, lines)
    fine_x, fine_y = np.linspace(x_min, x_max, along), np.linspace(y_min, y_max, along)
    vertical = np.stack(np.meshgrid(xs, fine_y, indexing="ij"), axis=-1)
    horizontal = np.stack(np.meshgrid(fine_x, ys, indexing="xy"), axis=-1)
    return np.concatenate([vertical, horizontal])
