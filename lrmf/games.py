"""The games of adversarial alignment: what each player minimises, written once for every backend.

The flow T moves A towards B, and an adversary looks for what still tells them apart. In the first
game the adversary is a discriminator, in the second one a density that is fitted to T(A).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from .backends.base import Game, GamePlayer
from .models import Classifier, Density, Flow
from .objectives import alignment_loss, mean, negative_log_likelihood

__all__ = [
    "ClassifierLoss",
    "adversarial_lrd",
    "classifier_game",
    "density_game",
    "discriminator_loss",
    "generator_loss",
]

ClassifierLoss = Literal["non-saturating", "saturating", "hinge", "least-squares"]


def discriminator_loss(
    adversary: Classifier,
    moved: Any,
    b: Any,
    *,
    loss: ClassifierLoss = "non-saturating",
    weights: tuple[Any, Any] = (None, None),
) -> Any:
    """What a discriminator with logits h minimises, a scalar.

    -E[log D(b)] - E[log(1 - D(T(a)))] with D = 1/(1 + exp(-h)), in nats (Goodfellow et al.,
    2014). Its minimum over all functions, at h = log p_B - log p_T(A), is log 4 - 2 JSD(T(A), B).
    With ``"hinge"`` it is E[max(0, 1 - h(b))] + E[max(0, 1 + h(T(a)))] (Miyato et al., 2018). With
    ``"least-squares"`` it is E[(h(b) - 1)²] + E[h(T(a))²] (Mao et al., 2017), whose minimum over
    all functions is at h = p_B / (p_B + p_T(A)).

    Args:
        adversary: the discriminator.
        moved: T(a) ``(n_a, *event_shape)``, the generated points.
        b: the real ones ``(n_b, *event_shape)``.
        loss: of which game; the first two differ in the generator's part only.
        weights: of the generated and of the real points, each ``(n,)`` with sum one, or ``None``.

    >>> import numpy as np, lrmf
    >>> spec, backend = lrmf.Discriminator(hidden=()), lrmf.get_backend("jax")
    >>> arrays = {"layer_0/weight": np.ones((1, 1)), "layer_0/bias": np.zeros(1)}
    >>> x = np.zeros((5, 1))
    >>> print(f"{discriminator_loss(backend.classifier(spec, arrays), x, x):.4f}")  # log 4
    1.3863
    """
    _check_loss(loss)
    backend, count = adversary.backend, moved.shape[0]
    logits = adversary.logits(backend.namespace(moved, b).concatenate([moved, b]))
    generated, real = logits[:count], logits[count:]
    if loss == "least-squares":
        return mean(backend, (real - 1.0) ** 2, weights[1]) + mean(
            backend, generated**2, weights[0]
        )
    numpy = backend.namespace(logits)
    cost = partial(_positive_part if loss == "hinge" else _softplus, numpy)
    if loss == "hinge":
        real, generated = real - 1.0, generated + 1.0
    return mean(backend, cost(-real), weights[1]) + mean(backend, cost(generated), weights[0])


def generator_loss(
    adversary: Classifier,
    moved: Any,
    *,
    loss: ClassifierLoss = "non-saturating",
    weights: Any = None,
) -> Any:
    """What a generator minimises against a discriminator with logits h, a scalar.

    ``"non-saturating"``: -E[log D(T(a))]; ``"saturating"``: E[log(1 - D(T(a)))], both in nats
    (Goodfellow et al., 2014); ``"hinge"``: -E[h(T(a))] (Miyato et al., 2018); ``"least-squares"``:
    E[(h(T(a)) - 1)²] (Mao et al., 2017).

    Args:
        adversary: the discriminator.
        moved: T(a) ``(n_a, *event_shape)``.
        loss: of which game.
        weights: of the points ``(n_a,)``, with sum one.

    >>> import numpy as np, lrmf
    >>> spec, backend = lrmf.Discriminator(hidden=()), lrmf.get_backend("jax")
    >>> arrays = {"layer_0/weight": np.ones((1, 1)), "layer_0/bias": np.zeros(1)}
    >>> undecided = backend.classifier(spec, arrays)  # h = 0 at x = 0
    >>> print(f"{generator_loss(undecided, np.zeros((5, 1))):.4f}")  # log 2
    0.6931
    """
    _check_loss(loss)
    backend = adversary.backend
    logits = adversary.logits(moved)
    if loss == "hinge":
        return -mean(backend, logits, weights)
    if loss == "least-squares":
        return mean(backend, (logits - 1.0) ** 2, weights)
    numpy = backend.namespace(logits)
    if loss == "saturating":
        return -mean(backend, _softplus(numpy, logits), weights)
    return mean(backend, _softplus(numpy, -logits), weights)


def adversarial_lrd(
    transform: Flow,
    density: Density,
    adversary: Density,
    a: Any,
    b: Any,
    *,
    constant: float = 0.0,
    weights: tuple[Any, Any] = (None, None),
) -> Any:
    """The likelihood-ratio distance as a game (paper, equation 1), a scalar in nats.

    E[log P_A'(T(a))] - E[log P_S(T(a))] - E[log P_S(b)] + max E[log P(b)]

    The adversary P_A' maximises it, the shared density P_S minimises it, and then it is
    d(T(A), B; M), which T minimises. The log-determinant of the LRMF loss is an upper bound of
    the first term, up to a constant and E_bias, which makes an adversary superfluous.

    Args:
        transform: the flow T.
        density: the shared density S.
        adversary: the private density A' of T(A).
        a: source batch ``(n_a, *event_shape)``.
        b: target batch ``(n_b, *event_shape)``.
        constant: max E[log P(b)].
        weights: of the source's and of the target's points, each with sum one, or ``None``.

    >>> import numpy as np, lrmf
    >>> backend, rng = lrmf.get_backend("jax"), np.random.default_rng(0)
    >>> flow = backend.flow(lrmf.Affine(), lrmf.Affine().init((2,), rng))
    >>> density = backend.density(lrmf.Gaussian(), lrmf.Gaussian().init((2,), rng))
    >>> a, b = rng.normal(size=(2, 100, 2))
    >>> best = float(density.log_prob(b).mean())
    >>> value = adversarial_lrd(flow, density, density, a, b, constant=best)
    >>> abs(float(value)) < 1e-5  # an adversary that is the shared density gains nothing
    True
    """
    moved, _ = transform.forward(a)
    gain = -negative_log_likelihood(adversary, moved, weights[0])
    shared = alignment_loss([None, None], density, [moved, b], sample_weights=weights)
    return gain + shared + constant


def classifier_game(loss: ClassifierLoss, **opponent: Any) -> Game:
    """A discriminator against a flow; ``opponent`` is the discriminator's part of `GamePlayer`.

    Roles: ``transform`` and ``adversary``; data: ``source`` and ``target``.

    >>> game = classifier_game("hinge", updates=5, rate=1e-3, betas=(0.5, 0.9))
    >>> [(player.name, player.updates) for player in game.players]
    [('adversary', 5), ('flow', 1)]
    """
    _check_loss(loss)
    return _game({"adversary": _Discriminator(loss)}, _Generator(loss), **opponent)


def density_game(**opponent: Any) -> Game:
    """A private and a shared density against a flow, as in `adversarial_lrd`.

    The shared density and the flow minimise the same; it is a player of its own so that it, like
    the adversary, can keep up with the flow. ``opponent`` is both densities' part of `GamePlayer`.

    Roles: ``transform``, ``density`` and ``adversary``; data: ``source`` and ``target``.

    >>> game = density_game(updates=5, rate=1e-3, betas=(0.5, 0.9))
    >>> [(player.name, player.updates) for player in game.players]
    [('adversary', 5), ('density', 5), ('flow', 1)]
    """
    return _game({"adversary": _private_loss, "density": _shared_loss}, _distance, **opponent)


def _game(
    opponents: dict[str, Callable[..., Any]],
    flow_loss: Callable[..., Any],
    *,
    updates: int,
    rate: float,
    betas: tuple[float, float],
) -> Game:
    players = [
        GamePlayer(name=name, roles=(name,), loss=loss, updates=updates, rate=rate, betas=betas)
        for name, loss in opponents.items()
    ]
    flow = GamePlayer(name="flow", roles=("transform",), loss=flow_loss, betas=betas)
    return Game((*players, flow))


# Equal ones compare equal, so that equal games share one compilation.
@dataclass(frozen=True)
class _Discriminator:
    loss: ClassifierLoss

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        moved, _ = models["transform"].forward(batch["source"])
        return discriminator_loss(
            models["adversary"], moved, batch["target"], loss=self.loss, weights=_weights(batch)
        )


@dataclass(frozen=True)
class _Generator:
    loss: ClassifierLoss

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        moved, _ = models["transform"].forward(batch["source"])
        weights = _weights(batch)[0]
        return generator_loss(models["adversary"], moved, loss=self.loss, weights=weights)


def _private_loss(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    moved, _ = models["transform"].forward(batch["source"])
    return negative_log_likelihood(models["adversary"], moved, _weights(batch)[0])


def _shared_loss(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    moved, _ = models["transform"].forward(batch["source"])
    return alignment_loss(
        [None, None], models["density"], [moved, batch["target"]], sample_weights=_weights(batch)
    )


def _distance(models: dict[str, Any], batch: dict[str, Any]) -> Any:
    return adversarial_lrd(
        models["transform"],
        models["density"],
        models["adversary"],
        batch["source"],
        batch["target"],
        weights=_weights(batch),
    )


def _weights(batch: dict[str, Any]) -> tuple[Any, Any]:
    """The weights of both sides' points, where the batch has them."""
    return batch.get("source_weight"), batch.get("target_weight")


def _softplus(numpy: Any, x: Any) -> Any:
    """log(1 + exp(x)), entry by entry, by the functions of a `Backend.namespace`."""
    return numpy.logaddexp(x, numpy.zeros_like(x))


def _positive_part(numpy: Any, x: Any) -> Any:
    """max(x, 0), entry by entry."""
    return numpy.maximum(x, numpy.zeros_like(x))


def _check_loss(loss: object) -> None:
    if not isinstance(loss, str) or loss not in get_args(ClassifierLoss):
        raise ValueError(f"loss must be one of {get_args(ClassifierLoss)}, got {loss!r}")
