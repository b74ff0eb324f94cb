"""Games of translation: what each player minimises, and whose arrays it moves."""

import numpy as np
import pytest

import lrmf
from lrmf.backends import BACKENDS
from lrmf.backends.base import Role
from lrmf.games import discriminator_loss, generator_loss
from lrmf.objectives import Alignment
from lrmf.translation import Meeting, Networks, cycle_loss, translation_game

both_backends = pytest.mark.parametrize("backend", BACKENDS)
RNG = np.random.default_rng(0)
BATCH = {"source": RNG.normal(size=(30, 2)), "target": 1.0 + RNG.standard_exponential((40, 2))}
OPPONENT = {"updates": 2, "rate": 1.5, "betas": (0.5, 0.9)}

FLOW, NETWORK = lrmf.RealNVP(blocks=2, hidden=(6,)), lrmf.Network(hidden=(6,))
OWN = (("source", (("transform", True),)), ("target", (("target_transform", True),)))
ROLES = {
    "transform": (lrmf.Flow, FLOW),
    "target_transform": (lrmf.Flow, FLOW),
    "network": (lrmf.models.Map, NETWORK),
    "backward": (lrmf.models.Map, NETWORK),
    "source_adversary": (lrmf.Classifier, lrmf.Discriminator(hidden=(6,))),
    "target_adversary": (lrmf.Classifier, lrmf.Discriminator(hidden=(6,))),
    "prior": (lrmf.Density, lrmf.Identity()),
}


def arrays():
    rng = np.random.default_rng(1)
    drawn = {name: spec.init((2,), rng) for name, (_, spec) in ROLES.items()}
    return {
        role: {k: v + 0.3 * rng.normal(size=v.shape) for k, v in named.items()}
        for role, named in drawn.items()
    }


@pytest.fixture(scope="module", params=BACKENDS)
def models(request):
    engine = lrmf.get_backend(request.param)
    return {
        name: engine.model(Role(name, kind, spec, (2,)), arrays()[name], "float64")
        for name, (kind, spec) in ROLES.items()
    }


def test_flows_that_meet_translate_both_ways(models):
    translation = Meeting(maps=OWN)
    assert translation.roles == ("transform", "target_transform")
    z, _ = models["transform"].inverse(BATCH["source"])
    moved, _ = models["target_transform"].forward(z)
    np.testing.assert_allclose(translation(models, BATCH["source"], "source"), moved, rtol=1e-12)
    back = translation(models, moved, "target")
    np.testing.assert_allclose(back, BATCH["source"], rtol=1e-9, atol=1e-9)
    # A single flow from the source meets the target where that is.
    single = Meeting(maps=(("source", (("transform", False),)), ("target", ())))
    moved, _ = models["transform"].forward(BATCH["source"])
    np.testing.assert_allclose(single(models, BATCH["source"], "source"), moved, rtol=1e-12)
    home, _ = models["transform"].inverse(BATCH["target"])
    np.testing.assert_allclose(single(models, BATCH["target"], "target"), home, rtol=1e-12)
    assert single.roles == ("transform",)


def test_the_cycle_loss(models):
    a, b = BATCH["source"], BATCH["target"]
    networks = Networks(forward="network")
    there, back = models["network"].image, models["backward"].image
    expected = np.abs(back(there(a)) - a).sum(1).mean() + np.abs(there(back(b)) - b).sum(1).mean()
    assert cycle_loss(networks, models, BATCH) == pytest.approx(expected, rel=1e-12)
    assert expected > 0.1
    assert cycle_loss(Meeting(maps=OWN), models, BATCH) < 1e-8
    weights = np.arange(30) / 435.0
    weighted = {**BATCH, "source_weight": weights}
    expected += weights @ np.abs(back(there(a)) - a).sum(1)
    expected -= np.abs(back(there(a)) - a).sum(1).mean()
    assert cycle_loss(networks, models, weighted) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sides", [("source",), ("target",), ("source", "target")])
def test_what_each_player_minimises(models, sides):
    likelihood = Alignment(maps=OWN, density="prior")
    game = translation_game(
        Meeting(maps=OWN),
        sides=sides,
        loss="least-squares",
        likelihood=likelihood,
        likelihood_weight=0.25,
        **OPPONENT,
    )
    *critics, flow = game.players
    assert [player.name for player in critics] == [f"{side}_adversary" for side in sides]
    assert all(player.roles == (player.name,) for player in critics)
    assert {(p.updates, p.rate, p.betas) for p in critics} == {(2, 1.5, (0.5, 0.9))}
    assert (flow.roles, flow.updates) == (("transform", "target_transform"), 1)
    z = {side: models[chain[0][0]].inverse(BATCH[side])[0] for side, chain in OWN}
    moved = {
        "target": models["target_transform"].forward(z["source"])[0],
        "source": models["transform"].forward(z["target"])[0],
    }
    total = 0.25 * float(likelihood(models, BATCH))
    for side, player in zip(sides, critics, strict=True):
        network = models[player.name]
        expected = discriminator_loss(network, moved[side], BATCH[side], loss="least-squares")
        assert player.loss(models, BATCH) == pytest.approx(float(expected), rel=1e-9)
        total += float(generator_loss(network, moved[side], loss="least-squares"))
    assert flow.loss(models, BATCH) == pytest.approx(total, rel=1e-9)


def test_both_backends_move_the_players_alike():
    game = translation_game(
        Meeting(maps=OWN),
        sides=("source", "target"),
        loss="non-saturating",
        likelihood=Alignment(maps=OWN, density="prior"),
        likelihood_weight=0.25,
        **OPPONENT,
    )
    taking_part = {role for player in game.players for role in player.roles} | {"prior"}
    roles = tuple(Role(name, *ROLES[name], (2,)) for name in sorted(taking_part))
    given = {name: arrays()[name] for name in taking_part}
    for player in game.players:
        (value, gradients), (expected, others) = (
            lrmf.get_backend(backend).loss_and_gradients(
                player.loss, roles, given, BATCH, dtype="float64"
            )
            for backend in BACKENDS
        )
        assert value == pytest.approx(expected, rel=1e-9)
        for role in player.roles:
            for name, gradient in gradients[role].items():
                np.testing.assert_allclose(gradient, others[role][name], rtol=1e-7, atol=1e-9)
                assert (gradient != 0.0).any(), f"{role}: {name}"


def test_a_likelihood_of_weight_zero_is_not_computed(models):
    game = translation_game(
        Meeting(maps=OWN),
        sides=("target",),
        loss="hinge",
        likelihood=Alignment(maps=OWN, density="no such role"),
        **OPPONENT,
    )
    assert np.isfinite(game.players[-1].loss(models, BATCH))


def test_points_are_weighted_as_their_side_is(models):
    rng = np.random.default_rng(2)
    batch, repeated = dict(BATCH), {}
    for side, x in BATCH.items():
        counts = rng.integers(0, 3, size=len(x))
        batch[f"{side}_weight"] = counts / counts.sum()
        repeated[side] = np.repeat(x, counts, axis=0)
    game = translation_game(
        Networks(forward="network"),
        sides=("source", "target"),
        loss="non-saturating",
        cycle_weight=2.0,
        **OPPONENT,
    )
    for player in game.players:
        found, expected = player.loss(models, batch), player.loss(models, repeated)
        assert float(found) == pytest.approx(float(expected), rel=1e-10)
