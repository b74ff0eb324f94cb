"""Games of translation: critics of one or both domains against the maps between them.

A critic of a domain looks at real points of it and at the translated points of the other domain.
What translates may be flows that meet in the middle (`Meeting`), which is invertible, or two
networks that know nothing of each other (`Networks`), which is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .backends.base import Game, GamePlayer
from .games import ClassifierLoss, discriminator_loss, generator_loss
from .objectives import Alignment, Chain, chained, mean

__all__ = [
    "SIDES",
    "Meeting",
    "Networks",
    "Translation",
    "critic",
    "cycle_loss",
    "translation_game",
]

#: The domains, each with the other one.
SIDES: Mapping[str, str] = {"source": "target", "target": "source"}


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """Translation by flows: to where the domains meet, and from there to the other domain.

    The two directions are inverse to each other, whatever the flows are.

    Args:
        maps: for each domain its name and the chain of roles that leads to the meeting place.
    """

    maps: tuple[tuple[str, Chain], ...]

    def __call__(self, models: Mapping[str, Any], x: Any, origin: str) -> Any:
        """Points of the domain ``origin`` in the other domain."""
        chains = dict(self.maps)
        if (there := chained(models, chains[origin])) is not None:
            x, _ = there.forward(x)
        if (back := chained(models, chains[SIDES[origin]])) is not None:
            x, _ = back.inverse(x)
        return x

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the flows."""
        return tuple(dict.fromkeys(role for _, chain in self.maps for role, _ in chain))


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Translation by two networks, one for each direction, neither of which has an inverse."""

    forward: str = "transform"
    backward: str = "backward"

    def __call__(self, models: Mapping[str, Any], x: Any, origin: str) -> Any:
        """Points of the domain ``origin`` in the other domain."""
        return models[self.forward if origin == "source" else self.backward].image(x)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the networks."""
        return (self.forward, self.backward)


Translation = Meeting | Networks


def critic(side: str) -> str:
    """The role of a domain's critic."""
    return f"{side}_adversary"


def cycle_loss(
    translation: Translation, models: Mapping[str, Any], batch: Mapping[str, Any]
) -> Any:
    """E|G_B→A(G_A→B(a)) - a|₁ + E|G_A→B(G_B→A(b)) - b|₁, a scalar in units of the points.

    Zero, up to rounding, where the translation is a `Meeting`.

    Source: Zhu et al., Unpaired image-to-image translation using cycle-consistent adversarial
    networks (2017), equation 2.
    """
    total: Any = 0.0
    for side, other in SIDES.items():
        x = batch[side]
        back = translation(models, translation(models, x, side), other)
        backend = next(iter(models.values())).backend
        numpy = backend.namespace(x, back)
        distances = numpy.sum(numpy.reshape(numpy.abs(back - x), (x.shape[0], -1)), axis=1)
        total = total + mean(backend, distances, batch.get(f"{side}_weight"))
    return total


def translation_game(
    translation: Translation,
    *,
    sides: Sequence[str],
    loss: ClassifierLoss,
    updates: int,
    rate: float,
    betas: tuple[float, float],
    likelihood: Alignment | None = None,
    likelihood_weight: float = 0.0,
    cycle_weight: float = 0.0,
) -> Game:
    """Critics of some domains, each a player, against all that translates.

    What translates minimises, over the sides that have a critic,

        Σ_side generator_loss(C_side, translated points) + λ_l likelihood + λ_c cycle_loss

    and each critic its `lrmf.games.discriminator_loss`.

    Roles: those of the translation and, for each side, `critic` of it; data: ``source`` and
    ``target``.

    Args:
        translation: what translates.
        sides: the domains that have a critic, ``"source"``, ``"target"`` or both.
        loss: of critics and generators.
        updates, rate, betas: the critics' part of `GamePlayer`.
        likelihood: a loss in nats that is added with the weight ``likelihood_weight`` λ_l.
        likelihood_weight: λ_l, at least zero.
        cycle_weight: λ_c, at least zero.
    """
    critics = [
        GamePlayer(
            name=critic(side),
            roles=(critic(side),),
            loss=_Critic(translation, side, loss),
            updates=updates,
            rate=rate,
            betas=betas,
        )
        for side in sides
    ]
    objective = _Translator(
        translation,
        tuple(sides),
        loss,
        likelihood if likelihood_weight > 0.0 else None,
        likelihood_weight,
        cycle_weight,
    )
    roles = dict.fromkeys(translation.roles)
    if objective.likelihood is not None:
        roles |= dict.fromkeys(r for _, chain in objective.likelihood.maps for r, _ in chain)
    flow = GamePlayer(name="flow", roles=tuple(roles), loss=objective, betas=betas)
    return Game((*critics, flow))


# Equal ones compare equal, so that equal games share one compilation.
@dataclass(frozen=True)
class _Critic:
    translation: Translation
    side: str
    loss: ClassifierLoss

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        origin = SIDES[self.side]
        return discriminator_loss(
            models[critic(self.side)],
            self.translation(models, batch[origin], origin),
            batch[self.side],
            loss=self.loss,
            weights=(batch.get(f"{origin}_weight"), batch.get(f"{self.side}_weight")),
        )


@dataclass(frozen=True)
class _Translator:
    translation: Translation
    sides: tuple[str, ...]
    loss: ClassifierLoss
    likelihood: Alignment | None
    likelihood_weight: float
    cycle_weight: float

    def __call__(self, models: dict[str, Any], batch: dict[str, Any]) -> Any:
        total: Any = 0.0
        for side in self.sides:
            origin = SIDES[side]
            moved = self.translation(models, batch[origin], origin)
            total = total + generator_loss(
                models[critic(side)],
                moved,
                loss=self.loss,
                weights=batch.get(f"{origin}_weight"),
            )
        if self.likelihood is not None:
            total = total + self.likelihood_weight * self.likelihood(models, batch)
        if self.cycle_weight > 0.0:
            total = total + self.cycle_weight * cycle_loss(self.translation, models, batch)
        return total
