"""Games: their losses against SciPy, each player's gradient, and how they are trained."""

import dataclasses
import re

import numpy as np
import pytest
from scipy import stats

import lrmf
from lrmf.backends import BACKENDS
from lrmf.backends.base import Game, GamePlayer, Role
from lrmf.fitting import FitConfig, fit
from lrmf.games import (
    adversarial_lrd,
    classifier_game,
    density_game,
    discriminator_loss,
    generator_loss,
)

both_backends = pytest.mark.parametrize("backend", BACKENDS)

RNG = np.random.default_rng(0)
SOURCE = RNG.normal(size=(40, 2))
TARGET = 1.0 + 0.5 * RNG.standard_exponential(size=(50, 2))
BATCH = {"source": SOURCE, "target": TARGET}
PART = {"updates": 1, "rate": 1.0, "betas": (0.5, 0.9)}
LOSSES = ("non-saturating", "saturating", "hinge", "least-squares")

TRANSFORM = Role("transform", lrmf.Flow, lrmf.RealNVP(blocks=2, hidden=(6,)), (2,))
DISCRIMINATOR = Role("adversary", lrmf.Classifier, lrmf.Discriminator(hidden=(6,)), (2,))
ADVERSARY = Role("adversary", lrmf.Density, lrmf.RealNVP(blocks=2, hidden=(6,)), (2,))
SHARED = Role("density", lrmf.Density, lrmf.Gaussian(), (2,))

GAMES = {loss: (classifier_game(loss, **PART), (TRANSFORM, DISCRIMINATOR)) for loss in LOSSES}
GAMES["density"] = (density_game(**PART), (TRANSFORM, ADVERSARY, SHARED))
every_game = pytest.mark.parametrize(("game", "roles"), GAMES.values(), ids=GAMES)


def arrays(roles, *, perturbed=True):
    rng = np.random.default_rng(1)
    drawn = {role.name: role.spec.init((2,), rng) for role in roles}
    if perturbed:
        for named in drawn.values():
            for name, value in named.items():
                named[name] = value + 0.3 * rng.normal(size=value.shape)
    return drawn


def models(backend, roles):
    engine = lrmf.get_backend(backend)
    named = arrays(roles)
    return {role.name: engine.model(role, named[role.name], "float64") for role in roles}


class TestLosses:
    @both_backends
    @every_game
    def test_weights_count_points(self, game, roles, backend):
        rng = np.random.default_rng(2)
        made, batch, repeated = models(backend, roles), dict(BATCH), {}
        for side, x in BATCH.items():
            counts = rng.integers(0, 3, size=len(x))
            batch[f"{side}_weight"] = counts / counts.sum()
            repeated[side] = np.repeat(x, counts, axis=0)
        for player in game.players:
            found, expected = player.loss(made, batch), player.loss(made, repeated)
            assert float(found) == pytest.approx(float(expected), rel=1e-10)

    @both_backends
    def test_against_a_discriminator(self, backend):
        adversary = models(backend, (DISCRIMINATOR,))["adversary"]
        generated, real = (
            stats.logistic.cdf(adversary.logits(x).astype(float)) for x in (SOURCE, TARGET)
        )
        expected = -np.mean(np.log(real)) - np.mean(np.log(1.0 - generated))
        for loss in LOSSES[:2]:
            found = discriminator_loss(adversary, SOURCE, TARGET, loss=loss)
            assert found == pytest.approx(expected, rel=1e-10)
        assert discriminator_loss(adversary, SOURCE, TARGET) == found
        assert generator_loss(adversary, SOURCE) == pytest.approx(-np.mean(np.log(generated)))
        assert generator_loss(adversary, SOURCE, loss="saturating") == pytest.approx(
            np.mean(np.log(1.0 - generated))
        )

    @both_backends
    def test_of_the_hinge(self, backend):
        spec = lrmf.Discriminator(hidden=(), spectral_norm=False)
        named = {"layer_0/weight": np.array([[1.0], [-1.0]]), "layer_0/bias": np.array([0.5])}
        adversary = lrmf.get_backend(backend).classifier(spec, named, dtype="float64")
        generated, real = adversary.logits(SOURCE), adversary.logits(TARGET)
        # On each side there are points with a margin and points without.
        assert 0.0 < np.mean(generated < -1.0) < 1.0
        assert 0.0 < np.mean(real > 1.0) < 1.0
        expected = np.maximum(0.0, 1.0 - real).mean() + np.maximum(0.0, 1.0 + generated).mean()
        found = discriminator_loss(adversary, SOURCE, TARGET, loss="hinge")
        assert found == pytest.approx(expected, rel=1e-10)
        found = generator_loss(adversary, SOURCE, loss="hinge")
        assert found == pytest.approx(-generated.mean(), rel=1e-10)

    @both_backends
    def test_of_least_squares(self, backend):
        adversary = models(backend, (DISCRIMINATOR,))["adversary"]
        generated, real = adversary.logits(SOURCE), adversary.logits(TARGET)
        found = discriminator_loss(adversary, SOURCE, TARGET, loss="least-squares")
        assert found == pytest.approx(np.mean((real - 1.0) ** 2) + np.mean(generated**2))
        found = generator_loss(adversary, SOURCE, loss="least-squares")
        assert found == pytest.approx(np.mean((generated - 1.0) ** 2))

    @both_backends
    def test_logits_of_any_size_have_finite_losses(self, backend):
        engine, spec = lrmf.get_backend(backend), lrmf.Discriminator(hidden=(), spectral_norm=False)
        named = {"layer_0/weight": np.full((2, 1), 1e4), "layer_0/bias": np.zeros(1)}
        adversary = engine.classifier(spec, named)
        points = np.ones((3, 2))
        with engine.scope("float32"):
            native = engine.asarray(points, "float32")
            for x in (points, native):
                assert float(discriminator_loss(adversary, x, x)) == pytest.approx(2e4, rel=1e-6)
                assert float(generator_loss(adversary, -x)) == pytest.approx(2e4, rel=1e-6)

    @both_backends
    def test_of_the_distance_as_a_game(self, backend):
        named = models(backend, (TRANSFORM, ADVERSARY, SHARED))
        moved, _ = named["transform"].forward(SOURCE)
        expected = (
            named["adversary"].log_prob(moved).mean()
            - named["density"].log_prob(moved).mean()
            - named["density"].log_prob(TARGET).mean()
        )
        parts = (named["transform"], named["density"], named["adversary"], SOURCE, TARGET)
        assert adversarial_lrd(*parts) == pytest.approx(expected, rel=1e-10)
        assert adversarial_lrd(*parts, constant=2.5) == pytest.approx(expected + 2.5, rel=1e-10)

    @both_backends
    def test_at_the_best_normal_densities_it_is_their_distance(self, backend):
        # Closed form of Gaussian likelihood-ratio distances, by moments of the samples.
        engine = lrmf.get_backend(backend)

        def fitted(x):
            named = lrmf.theory.gaussian.density_arrays(x.mean(axis=0), np.cov(x.T, bias=True))
            return engine.density(lrmf.Gaussian(), named, dtype="float64")

        a, b = SOURCE, TARGET[:40]
        transform = engine.flow(lrmf.Identity(), {}, dtype="float64")
        value = adversarial_lrd(
            transform, fitted(np.r_[a, b]), fitted(a), a, b, constant=fitted(b).log_prob(b).mean()
        )
        moments = [m for x in (a, b) for m in (x.mean(axis=0), np.cov(x.T, bias=True))]
        assert value == pytest.approx(float(lrmf.theory.gaussian.distance(*moments)), rel=1e-9)

    @pytest.mark.parametrize("loss", ["wasserstein", None, "Hinge", np.array(LOSSES)])
    def test_unknown_ones_are_refused(self, loss):
        adversary = models("jax", (DISCRIMINATOR,))["adversary"]
        message = f"^loss must be one of {re.escape(str(LOSSES))}, got "
        with pytest.raises(ValueError, match=message):
            discriminator_loss(adversary, SOURCE, TARGET, loss=loss)
        with pytest.raises(ValueError, match=message):
            generator_loss(adversary, SOURCE, loss=loss)
        with pytest.raises(ValueError, match=message):
            classifier_game(loss, **PART)


class TestPlayers:
    def test_equal_games_are_equal(self):
        # So that fits of the same game share one compilation.
        assert classifier_game("hinge", **PART) == classifier_game("hinge", **PART)
        assert hash(density_game(**PART)) == hash(density_game(**PART))
        assert classifier_game("hinge", **PART) != classifier_game("saturating", **PART)
        assert density_game(**PART) != density_game(**PART | {"rate": 2.0})

    @every_game
    @both_backends
    def test_each_gradient_is_the_slope_of_the_players_loss(self, backend, game, roles):
        engine, start = lrmf.get_backend(backend), arrays(roles)
        for player in game.players:
            rng = np.random.default_rng(2)
            direction = {
                role: {name: rng.normal(size=value.shape) for name, value in start[role].items()}
                for role in player.roles
            }

            def at(t, player=player, direction=direction):
                moved = {
                    role: {
                        name: value + t * direction[role][name] if role in direction else value
                        for name, value in named.items()
                    }
                    for role, named in start.items()
                }
                return engine.loss_and_gradients(player.loss, roles, moved, BATCH, dtype="float64")

            _, gradients = at(0.0)
            slope = sum(
                np.sum(gradients[role][name] * value)
                for role, named in direction.items()
                for name, value in named.items()
            )
            differences = (at(1e-6)[0] - at(-1e-6)[0]) / 2e-6
            assert abs(slope) > 1e-3
            assert slope == pytest.approx(differences, rel=1e-5, abs=1e-7)

    def test_they_move_all_models_between_them(self):
        for game, roles in GAMES.values():
            moved = [role for player in game.players for role in player.roles]
            assert sorted(moved) == sorted(role.name for role in roles)


def adam(player, rate, start, moments, gradients, clip=10.0):
    """One step of Adam by hand."""
    norm = np.sqrt(sum(np.sum(g**2) for named in gradients.values() for g in named.values()))
    scale = min(1.0, clip / norm)
    (first, second), count = player.betas, moments.setdefault("count", 0) + 1
    moments["count"] = count
    for role, named in gradients.items():
        for name, gradient in named.items():
            mean, square = moments.get((role, name), (0.0, 0.0))
            mean = first * mean + (1 - first) * scale * gradient
            square = second * square + (1 - second) * (scale * gradient) ** 2
            moments[role, name] = mean, square
            step = mean / (1 - first**count) / (np.sqrt(square / (1 - second**count)) + 1e-8)
            start[role][name] = start[role][name] - player.rate * rate * step


class TestTraining:
    @both_backends
    def test_players_move_in_turn_each_on_minibatches_of_its_own(self, backend):
        game, roles = GAMES["density"]
        first, *rest = game.players
        first = dataclasses.replace(first, updates=3, rate=2.0, betas=(0.0, 0.9))
        game = Game((first, *rest))
        engine, expected = lrmf.get_backend(backend), arrays(roles)
        trainer = engine.trainer(game, roles, expected, BATCH, gradient_clip=10.0, dtype="float64")
        rng, steps = np.random.default_rng(3), 2
        indices = {
            name: rng.integers(len(x), size=(steps, game.updates, 8)) for name, x in BATCH.items()
        }
        rates = np.array([0.1, 0.05])
        losses = trainer.run(indices, rates)
        assert losses.shape == (steps, len(game.players))
        moments = [{} for _ in game.players]
        for step in range(steps):
            update = 0
            for k, player in enumerate(game.players):
                for _ in range(player.updates):
                    batch = {name: x[indices[name][step, update]] for name, x in BATCH.items()}
                    value, gradients = engine.loss_and_gradients(
                        player.loss, roles, expected, batch, dtype="float64"
                    )
                    own = {role: gradients[role] for role in player.roles}
                    adam(player, rates[step], expected, moments[k], own)
                    update += 1
                assert losses[step, k] == pytest.approx(value, rel=1e-9)
        for role, named in trainer.arrays().items():
            for name, value in named.items():
                np.testing.assert_allclose(value, expected[role][name], rtol=1e-7, atol=1e-9)

    # Of one game only: losses differ in a line, and each game compiles everything again.
    def test_fifty_steps_agree(self):
        game, roles = GAMES["density"]
        first, *rest = game.players
        game = Game((dataclasses.replace(first, updates=2), *rest))
        jax, tfp = (
            fit(
                game,
                roles,
                arrays(roles, perturbed=False),
                BATCH,
                backend=lrmf.get_backend(backend),
                config=FitConfig(steps=50, batch_size=32, learning_rate=0.003, chunk=25),
                seed=np.random.SeedSequence(4),
                dtype="float64",
                validation=BATCH,
                progress=False,
            )
            for backend in BACKENDS
        )
        losses = {"loss", "adversary_loss", "density_loss"}
        assert losses | {"step", "validation_step", "validation_loss"} == set(jax.history)
        for name, values in tfp.history.items():
            np.testing.assert_allclose(
                jax.history[name], values, rtol=1e-8, atol=1e-8, err_msg=name
            )
        for role, named in tfp.arrays.items():
            for name, value in named.items():
                np.testing.assert_allclose(jax.arrays[role][name], value, rtol=1e-8, atol=1e-8)

    # What makes a game of a loss is code that both backends share.
    def test_a_loss_is_the_game_of_one_player(self):
        _, roles = GAMES["density"]
        loss = density_game(**PART).players[-1].loss
        moved = tuple(role.name for role in roles)

        def run(objective):
            return fit(
                objective,
                roles,
                arrays(roles, perturbed=False),
                BATCH,
                backend=lrmf.get_backend("jax"),
                config=FitConfig(steps=20, batch_size=16, chunk=10),
                seed=np.random.SeedSequence(4),
                progress=False,
            )

        plain, game = run(loss), run(Game((GamePlayer(name="all", roles=moved, loss=loss),)))
        np.testing.assert_equal(plain.arrays, game.arrays)
        np.testing.assert_equal(plain.history, game.history)


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize(("value", "what"), [(np.nan, "became non-finite"), (1e9, "exploded")])
def test_whichever_loss_goes_wrong_the_fit_ends(monkeypatch, column, value, what):
    game, roles = GAMES["density"]
    engine = lrmf.get_backend("jax")
    make, calls = type(engine).trainer, []

    def trainer(*arguments, **options):
        made = make(*arguments, **options)
        run = made.run

        def spoiled(indices, rates, *rest):
            losses = np.array(run(indices, rates, *rest))
            calls.append(None)
            if len(calls) == 2:
                losses[3:, column] = value
            return losses

        made.run = spoiled
        return made

    monkeypatch.setattr(type(engine), "trainer", trainer)
    result = fit(
        game,
        roles,
        arrays(roles, perturbed=False),
        BATCH,
        backend=engine,
        config=FitConfig(steps=30, batch_size=16, chunk=10),
        seed=np.random.SeedSequence(4),
        progress=False,
    )
    assert (result.outcome, result.steps) == ("diverged", 10)
    assert f"the loss {what}" in result.status
    assert "at step 13; the arrays of step 10" in result.status
    assert len(result.history["loss"]) == len(result.history["adversary_loss"]) == 10
