"""The methods of "The comparison", the settings that were tried, and what the search chose.

Every method fits the same kind of flow T, a RealNVP of four blocks, with the same number of steps
and batches of one size; those that fit no flow are there because a sceptic would ask for them.
Twelve settings a method, and more where the best of twelve lay at an edge. What is no setting is
the library's default.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrmf
from lrmf.extras import import_pot

__all__ = ["BY_LABELS", "CHOSEN", "CLOSED", "FLOW", "GRIDS", "METHODS", "STEPS", "make"]

Settings = dict[str, Any]

STEPS = 2000
BATCH = 256
FLOW = lrmf.RealNVP(hidden=(64, 64))


def _lrmf(**settings: Any) -> Any:
    transform = lrmf.RealNVP(hidden=_widths(settings, "width", 64))
    width = _widths(settings, "density_width", 64)
    density = lrmf.RealNVP(blocks=settings.pop("density_blocks", 8), hidden=width)
    return lrmf.LRMF(transform=transform, density=density, **settings)


def _widths(settings: Settings, name: str, default: int) -> tuple[int, int]:
    width = settings.pop(name, default)
    return width, width


def _aub(**settings: Any) -> Any:
    density = lrmf.RealNVP(blocks=settings.pop("density_blocks", 8), hidden=(64, 64))
    return lrmf.AUB(transform=FLOW, target_transform=FLOW, density=density, **settings)


def _mmd(**settings: Any) -> Any:
    return lrmf.MMDFlow(transform=FLOW, bandwidths=tuple(settings.pop("bandwidths")), **settings)


def _sn_gan(**settings: Any) -> Any:
    return lrmf.AdversarialFlow(
        transform=FLOW, adversary=lrmf.Discriminator(hidden=(64, 64)), **settings
    )


def _game(**settings: Any) -> Any:
    return lrmf.AdversarialFlow(
        transform=FLOW, adversary=FLOW, density=FLOW, private_steps=1, **settings
    )


def _matched(**settings: Any) -> Any:
    # An extra that only this command needs.
    from book.results.comparison.flow_matching import FlowMatching

    return FlowMatching(**settings)


class Plan:
    """POT's exact plan: a point goes to its partner, a new one moves as its nearest neighbour."""

    def fit(self, *, Xs: np.ndarray, Xt: np.ndarray) -> Plan:
        """Couple all points."""
        self._plan = import_pot().da.EMDTransport(max_iter=10_000_000).fit(Xs=Xs, Xt=Xt)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Points of the source, moved."""
        return self._plan.transform(Xs=X)


class FreePoints:
    """MMD minimised over the points of the source themselves; it has no map for others.

    Args:
        bandwidths: of Gaussian kernels, whose sum is the kernel.
        learning_rate: of Adam, with a cosine schedule.
        steps, batch_size, seed: as everywhere.
    """

    def __init__(
        self, *, bandwidths: Any, learning_rate: float, steps: int, batch_size: int, seed: int
    ) -> None:
        self.bandwidths, self.learning_rate = tuple(bandwidths), learning_rate
        self.steps, self.batch_size, self.seed = steps, batch_size, seed

    def fit(self, *, Xs: np.ndarray, Xt: np.ndarray) -> FreePoints:
        """Move the points."""
        adam = optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.steps))
        rng = np.random.default_rng(self.seed)
        rows = [rng.integers(len(x), size=(self.steps, self.batch_size)) for x in (Xs, Xt)]
        target = jnp.asarray(Xt, jnp.float32)

        def pull(x: Any, y: Any) -> Any:
            # The unbiased estimate of MMD² without what does not depend on x.
            own = (_kernel(x, x, self.bandwidths).sum() - len(x) * len(self.bandwidths)) / (
                len(x) * (len(x) - 1)
            )
            return own - 2.0 * _kernel(x, y, self.bandwidths).mean()

        @jax.jit
        def follow(points: Any) -> Any:
            def step(state: Any, batch: Any) -> Any:
                points, moments = state
                gradient = jax.grad(lambda p: pull(p[batch[0]], target[batch[1]]))(points)
                updates, moments = adam.update(gradient, moments)
                return (optax.apply_updates(points, updates), moments), None

            return jax.lax.scan(step, (points, adam.init(points)), tuple(rows))[0][0]

        self.points_ = np.asarray(follow(jnp.asarray(Xs, jnp.float32)))
        return self


def _kernel(x: Any, y: Any, bandwidths: tuple[float, ...]) -> Any:
    squares = jnp.sum((x[:, None] - y[None]) ** 2, axis=-1)
    return sum(jnp.exp(-squares / (2.0 * h**2)) for h in bandwidths)


#: What makes each method's aligner from its settings.
METHODS: dict[str, Callable[..., Any]] = {
    "mmd": _mmd,
    "emd": lambda **settings: lrmf.EMDFlow(transform=FLOW, **settings),
    "sinkhorn": lambda **settings: lrmf.SinkhornFlow(transform=FLOW, **settings),
    "back-to-back": lambda **settings: lrmf.BackToBackFlow(transform=FLOW, **settings),
    "sn-gan": _sn_gan,
    "adversarial": _game,
    "aub": _aub,
    "lrmf": _lrmf,
    "flow-matching": lambda **settings: _matched(coupled=False, **settings),
    "ot-flow-matching": lambda **settings: _matched(coupled=True, **settings),
    "free-points": lambda **settings: FreePoints(**settings),
    "coral": lambda **_: lrmf.CORAL(),
    "gaussian-ot": lambda **_: lrmf.GaussianOT(),
    "entropic-ot": lambda **settings: lrmf.EntropicOT(**settings),
    "emd-plan": lambda **_: Plan(),
}
#: Methods without gradient steps.
CLOSED = ("coral", "gaussian-ot", "entropic-ot", "emd-plan")


def make(method: str, *, seed: int, steps: int = STEPS, **settings: Any) -> Any:
    """A method's aligner."""
    if method in CLOSED:
        return METHODS[method](**settings)
    settings |= {"seed": seed, "steps": steps, "batch_size": BATCH}
    if method not in ("free-points", "flow-matching", "ot-flow-matching"):
        settings["progress"] = False
    return METHODS[method](**settings)


def _grid(**values: Any) -> list[Settings]:
    return [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]


RATES = (3e-4, 1e-3, 3e-3, 1e-2)
KERNELS = ([0.1, 0.3, 1.0], [0.05, 0.1, 0.2, 0.4, 0.8], [0.5, 1.0, 2.0])
#: The settings that were tried for each method.
GRIDS: dict[str, list[Settings]] = {
    "mmd": _grid(bandwidths=KERNELS, learning_rate=RATES),
    "emd": _grid(cost=("sqeuclidean", "euclidean"), learning_rate=(3e-5, 1e-4, *RATES)),
    "sinkhorn": _grid(regularization=(0.02, 0.1, 0.5), learning_rate=RATES),
    "back-to-back": _grid(
        schedule=("constant", "cosine"), learning_rate=(1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    ),
    "sn-gan": _grid(
        learning_rate=(1e-4, 3e-4, 1e-3, 3e-3), adversary_learning_rate=(3e-4, 1e-3, 3e-3)
    ),
    "adversarial": _grid(
        learning_rate=(1e-4, 3e-4, 1e-3, 3e-3), adversary_learning_rate=(3e-4, 1e-3, 3e-3)
    ),
    "aub": _grid(density_blocks=(4, 8, 12), learning_rate=RATES),
    "lrmf": _grid(density_blocks=(4, 8, 12), learning_rate=RATES),
    "flow-matching": _grid(width=(64, 128), learning_rate=(1e-4, *RATES, 3e-2)),
    "ot-flow-matching": _grid(width=(64, 128), learning_rate=(1e-4, *RATES, 3e-2)),
    "free-points": _grid(bandwidths=KERNELS, learning_rate=(1e-3, 3e-3, 1e-2, 3e-2)),
    "entropic-ot": _grid(
        regularization=tuple(float(f"{x:.2g}") for x in np.geomspace(0.003, 3.0, 12))
    ),
}
#: Where the best of twelve lay at an edge, the grid was extended until it no longer did. But not
#: for the regularization of plans, whose limit has rows of its own, "emd" and "emd-plan", nor for
#: the width of flow matching, of which the larger of two was chosen.
FURTHER: dict[str, list[Settings]] = {
    "mmd": _grid(bandwidths=KERNELS[:2], learning_rate=(3e-5, 1e-4)),
    "sinkhorn": _grid(regularization=(0.02, 0.1), learning_rate=(3e-5, 1e-4)),
    "back-to-back": _grid(schedule=("cosine",), learning_rate=(1e-2, 3e-2)),
    "sn-gan": _grid(learning_rate=(3e-4, 1e-3), adversary_learning_rate=(1e-2,)),
    "adversarial": [
        *_grid(learning_rate=(1e-4, 3e-4, 1e-3), adversary_learning_rate=(1e-4,)),
        *_grid(learning_rate=(3e-5,), adversary_learning_rate=(3e-5, 1e-4, 3e-4)),
        *_grid(learning_rate=(1e-4,), adversary_learning_rate=(3e-5,)),
        *_grid(learning_rate=(1e-5,), adversary_learning_rate=(1e-5, 3e-5, 1e-4)),
        *_grid(learning_rate=(3e-5,), adversary_learning_rate=(1e-5,)),
    ],
    "lrmf": _grid(density_blocks=(16,), learning_rate=RATES[1:]),
    "flow-matching": _grid(width=(128,), learning_rate=(1e-1,)),
    "ot-flow-matching": _grid(width=(128,), learning_rate=(1e-1,)),
    "free-points": _grid(bandwidths=KERNELS[:1], learning_rate=(1e-1,)),
}
for _method, _settings in FURTHER.items():
    GRIDS[_method] += _settings

#: What the search chose: the smallest mean sliced Wasserstein distance of held-out points.
CHOSEN: dict[str, Settings] = {
    "mmd": {"bandwidths": [0.05, 0.1, 0.2, 0.4, 0.8], "learning_rate": 1e-4},
    "emd": {"cost": "euclidean", "learning_rate": 3e-4},
    "sinkhorn": {"regularization": 0.02, "learning_rate": 1e-4},
    "back-to-back": {"schedule": "cosine", "learning_rate": 3e-3},
    "sn-gan": {"learning_rate": 3e-4, "adversary_learning_rate": 3e-3},
    "adversarial": {"learning_rate": 3e-5, "adversary_learning_rate": 3e-5},
    "aub": {"density_blocks": 8, "learning_rate": 3e-3},
    "lrmf": {"density_blocks": 12, "learning_rate": 3e-3},
    "flow-matching": {"width": 128, "learning_rate": 3e-2},
    "ot-flow-matching": {"width": 128, "learning_rate": 3e-2},
    "free-points": {"bandwidths": [0.1, 0.3, 1.0], "learning_rate": 3e-2},
    "entropic-ot": {"regularization": 0.003},
}
#: What it would have chosen if it had seen labels, where that is another choice.
BY_LABELS: dict[str, Settings] = {
    "back-to-back": {"schedule": "cosine", "learning_rate": 1e-5},
    "ot-flow-matching": {"width": 64, "learning_rate": 1e-4},
    "free-points": {"bandwidths": [0.5, 1.0, 2.0], "learning_rate": 1e-3},
    "entropic-ot": {"regularization": 0.24},
}


def settings_of(method: str) -> Mapping[str, Any]:
    """The chosen settings; none for a method that has none."""
    return CHOSEN.get(method, {})
