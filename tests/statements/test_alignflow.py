"""Checks of "AlignFlow and its kin"."""

import numpy as np
import pytest
from alignflow_cases import models
from scipy import special, stats

import lrmf
from lrmf.objectives import Alignment, alignment_loss
from lrmf.translation import Meeting, Networks, cycle_loss

seeds = pytest.mark.parametrize("seed", range(5))
SPEC = lrmf.RealNVP(blocks=2, hidden=(8,))
OWN = (("source", (("transform", True),)), ("target", (("target_transform", True),)))


def batch(seed, n=200):
    rng = np.random.default_rng([seed, 1])
    return {"source": rng.normal(size=(n, 2)), "target": 1.0 + rng.normal(size=(n, 2))}


# prop-af-cycle


@pytest.mark.statement("prop-af-cycle")
@seeds
def test_flows_that_meet_have_a_cycle_loss_of_zero(seed, record_property):
    made = models(seed, dict.fromkeys(("transform", "target_transform"), (lrmf.Flow, SPEC)))
    found = float(cycle_loss(Meeting(maps=OWN), made, batch(seed)))
    record_property("error", found)
    assert found < 1e-9


@pytest.mark.statement("prop-af-cycle", control=True)
@seeds
def test_two_maps_that_know_nothing_of_each_other_have_not(seed):
    network = (lrmf.models.Map, lrmf.Network(hidden=(8,)))
    made = models(seed, {"transform": network, "backward": network})
    assert float(cycle_loss(Networks(), made, batch(seed))) > 0.1


# prop-af-composition


#: Laws of the line with their exact flows from N(0, 1).
LAWS = {
    "logistic": stats.logistic(-1.0, 0.7),
    "gumbel": stats.gumbel_r(0.5, 1.3),
    "normal": stats.norm(2.0, 0.4),
    "student": stats.t(5.0, 0.0, 2.0),
}

PAIRS = [(a, b) for a in LAWS for b in LAWS if a != b]


def flow(law, z):
    return law.ppf(stats.norm.cdf(z))


def composed(a, b, x):
    """T = G_B o G_A^-1 for exact flows, and its derivative."""
    y = flow(b, stats.norm.ppf(a.cdf(x)))
    h = 1e-5
    ahead, behind = (flow(b, stats.norm.ppf(a.cdf(x + s))) for s in (h, -h))
    return y, (ahead - behind) / (2.0 * h)


@pytest.mark.statement("prop-af-composition")
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_composition_of_consistent_flows_takes_one_law_to_the_other(a, b, record_property):
    a, b = LAWS[a], LAWS[b]
    x = a.ppf(np.linspace(0.02, 0.98, 97))
    y, slope = composed(a, b, x)
    error = np.abs(a.pdf(x) / slope / b.pdf(y) - 1.0).max()
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("prop-af-composition", control=True)
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_with_one_flow_that_is_not_consistent_it_does_not(a, b):
    a, b = LAWS[a], LAWS[b]
    x = a.ppf(np.linspace(0.02, 0.98, 97))
    y, slope = composed(a, b, 1.2 * x)
    assert np.abs(a.pdf(x) / (1.2 * slope) / b.pdf(y) - 1.0).max() > 0.1


def values(a, b, stretch):
    """NLL of A and game of B when both flows see noise that is stretched; and their least values.

    Means over quantiles: of log q_A at points of A, and of an optimal critic's log at points of B
    and at translated points of A.
    """
    u = (np.arange(20_000) + 0.5) / 20_000
    x, y, h = a.ppf(u), b.ppf(u), 1e-5

    def slope(f, z):
        return (f(z + h) - f(z - h)) / (2.0 * h)

    def to_noise(law, x):
        return stats.norm.ppf(law.cdf(x)) / stretch[law is b]

    z = to_noise(a, x)
    nll = -(stats.norm.logpdf(z) - np.log(slope(lambda s: flow(a, stretch[0] * s), z))).mean()

    def moved_density(y):
        # T = G_B o G_A^-1 with T^-1 = G_A o G_B^-1.
        back = lambda t: flow(a, stretch[0] * to_noise(b, t))  # noqa: E731
        return a.pdf(back(y)) * slope(back, y)

    moved = flow(b, stretch[1] * z)
    real, fake = (np.array([b.pdf(t), moved_density(t)]) for t in (y, moved))
    game = np.log(real[0] / real.sum(axis=0)).mean() + np.log(fake[1] / fake.sum(axis=0)).mean()
    return nll, game, -a.logpdf(x).mean(), -np.log(4.0)


@pytest.mark.statement("prop-af-composition")
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_then_likelihoods_and_games_are_at_their_least_values(a, b, record_property):
    nll, game, entropy, floor = values(LAWS[a], LAWS[b], (1.0, 1.0))
    error = max(abs(nll - entropy), abs(game - floor))
    record_property("error", error)
    assert error < 1e-5


@pytest.mark.statement("prop-af-composition", control=True)
@pytest.mark.parametrize("stretch", [(1.2, 1.0), (1.0, 1.2)])
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_with_one_that_is_not_consistent_the_game_is_above_its_own(a, b, stretch):
    nll, game, entropy, floor = values(LAWS[a], LAWS[b], stretch)
    assert game > floor + 5e-3
    # And so is the likelihood of the flow that is not, and of no other.
    assert (nll > entropy + 5e-3) == (stretch[0] > 1.0)


# thm-af-critics


class Bent:
    """T(x) = u + 0.4 sin(u) with u = scale x + shift: increasing, and nowhere of one slope."""

    def __init__(self, scale, shift):
        self.scale, self.shift = scale, shift

    def __call__(self, x):
        u = self.scale * x + self.shift
        return u + 0.4 * np.sin(u)

    def slope(self, x):
        return self.scale * (1.0 + 0.4 * np.cos(self.scale * x + self.shift))

    def inverse(self, y):
        low, high = np.full_like(y, -400.0), np.full_like(y, 400.0)
        for _ in range(80):
            middle = 0.5 * (low + high)
            below = self(middle) < y
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)


CASES = [
    (stats.norm(0.0, 1.0), stats.norm(1.0, 0.6), Bent(0.8, 0.4)),
    (stats.logistic(0.5, 0.6), stats.gumbel_r(0.0, 1.0), Bent(1.5, -0.3)),
    (stats.t(4.0), stats.norm(-0.5, 1.4), Bent(0.5, 0.0)),
]

cases = pytest.mark.parametrize(("a", "b", "flow"), CASES, ids=range(len(CASES)))

GRID_A = np.linspace(-2.0, 3.0, 101)


def of_translated(a, b, flow):
    """The critics of A and of B that see real points beside translated ones, as functions."""

    def in_a(x):
        return a.pdf(x) / (a.pdf(x) + b.pdf(flow(x)) * flow.slope(x))

    def in_b(y):
        x = flow.inverse(y)
        return b.pdf(y) / (b.pdf(y) + a.pdf(x) / flow.slope(x))

    return in_a, in_b


@pytest.mark.statement("thm-af-critics")
@cases
def test_critics_of_translated_points_add_up_to_one(a, b, flow, record_property):
    in_a, in_b = of_translated(a, b, flow)
    error = np.abs(in_a(GRID_A) + in_b(flow(GRID_A)) - 1.0).max()
    record_property("error", error)
    assert error < 1e-12


@pytest.mark.statement("thm-af-critics", control=True)
@cases
def test_critics_that_are_not_optimal_do_not(a, b, flow):
    # Those of the same odds, but without the change of volume.
    x = GRID_A
    y = flow(x)
    in_a, in_b = a.pdf(x) / (a.pdf(x) + b.pdf(y)), b.pdf(y) / (b.pdf(y) + a.pdf(x) / flow.slope(x))
    assert np.abs(in_a + in_b - 1.0).max() > 0.05


def of_samples(a, b, flow):
    """Densities, and critics that see real points beside samples of flows with G_B = T o G_A."""
    x, model_b = GRID_A, stats.norm(0.3, 1.1)
    y = flow(x)
    model_a = model_b.pdf(y) * flow.slope(x)
    in_a, in_b = a.pdf(x) / (a.pdf(x) + model_a), b.pdf(y) / (b.pdf(y) + model_b.pdf(y))
    return a.pdf(x), b.pdf(y), in_a, in_b


@pytest.mark.statement("thm-af-critics")
@cases
def test_critics_of_samples_need_the_jacobian(a, b, flow, record_property):
    p_a, p_b, in_a, in_b = of_samples(a, b, flow)
    expected = in_b * p_a / (in_b * p_a + (1.0 - in_b) * p_b * flow.slope(GRID_A))
    error = np.abs(in_a - expected).max()
    record_property("error", error)
    assert error < 1e-13


@pytest.mark.statement("thm-af-critics", control=True)
@cases
def test_the_formula_as_printed_holds_for_neither(a, b, flow):
    x, slope = GRID_A, flow.slope(GRID_A)
    for p_a, p_b, in_a, in_b in (
        (
            a.pdf(x),
            b.pdf(flow(x)),
            *(c(t) for c, t in zip(of_translated(a, b, flow), (x, flow(x)), strict=True)),
        ),
        of_samples(a, b, flow),
    ):
        printed = in_b * p_a / (p_a + p_b * (1.0 - in_b) * slope)
        assert np.abs(in_a - printed).max() > 0.1


@pytest.mark.statement("thm-af-critics")
@cases
def test_both_games_have_the_value_of_the_divergence(a, b, flow, record_property):
    # Games as means over quantiles of both laws; the divergence by densities on a grid of B.
    in_a, in_b = of_translated(a, b, flow)
    u = (np.arange(100_000) + 0.5) / 100_000
    x, y = a.ppf(u), b.ppf(u)

    def value(critic, real, fake):
        return np.log(critic(real)).mean() + np.log1p(-critic(fake)).mean()

    games = value(in_b, y, flow(x)), value(in_a, x, flow.inverse(y))
    grid = np.linspace(-60.0, 60.0, 400_001)
    p, q = b.pdf(grid), a.pdf(flow.inverse(grid)) / flow.slope(flow.inverse(grid))
    middle = np.maximum(0.5 * (p + q), 1e-300)
    jsd = 0.5 * (special.rel_entr(p, middle) + special.rel_entr(q, middle)).sum()
    expected = 2.0 * jsd * (grid[1] - grid[0]) - np.log(4.0)
    error = np.abs(np.array(games) - expected).max()
    record_property("error", error)
    assert error < 1e-4
    # And no other critic has more.
    for change in (0.1, -0.1):
        bent = special.expit(special.logit(in_b(y)) + change)
        other = special.expit(special.logit(in_b(flow(x))) + change)
        assert np.log(bent).mean() + np.log1p(-other).mean() < games[0] - 1e-4


# prop-af-extremes


SCALES = np.linspace(0.3, 3.0, 541)

GRID = np.linspace(-14.0, 14.0, 4001)


def densities(seed):
    """That of a mixture, and those of normal models, one for each of `SCALES`, on `GRID`."""
    rng = np.random.default_rng(seed)
    means, shares = rng.uniform(-2.0, 2.0, size=2), rng.dirichlet([4.0, 4.0])
    data = sum(s * stats.norm(m, 0.4).pdf(GRID) for s, m in zip(shares, means, strict=True))
    law = stats.norm(0.0, SCALES[:, None])
    return data, law.pdf(GRID), law.logpdf(GRID)


def terms(seed):
    """V = 2 JSD and N = -E log p of the models."""
    data, models, log_models = densities(seed)
    middle = 0.5 * (data + models)
    jsd = special.rel_entr(data, middle) + special.rel_entr(models, middle)
    step = GRID[1] - GRID[0]
    return jsd.sum(axis=1) * step, -(data * log_models).sum(axis=1) * step


WEIGHTS = np.array([0.0, 1e-4, 1e-2, 0.1, 1.0, 10.0, 1e3])


@pytest.mark.statement("prop-af-extremes")
@seeds
def test_a_larger_weight_trades_the_game_for_likelihood(seed, record_property):
    game, likelihood = terms(seed)
    chosen = [int(np.argmin(game + w * likelihood)) for w in WEIGHTS]
    assert (np.diff(likelihood[chosen]) <= 1e-12).all()
    assert (np.diff(game[chosen]) >= -1e-12).all()
    best = int(np.argmin(likelihood))
    excess = likelihood[chosen] - likelihood.min()
    room = (game[best] - game.min()) / np.maximum(WEIGHTS, 1e-300)
    record_property("error", max(0.0, (excess - room).max()))
    assert (excess <= room + 1e-12).all()
    loss = game[chosen] - game.min()
    assert (loss <= WEIGHTS * (likelihood[chosen[0]] - likelihood.min()) + 1e-12).all()


@pytest.mark.statement("prop-af-extremes", control=True)
@seeds
def test_with_critics_that_lag_nothing_is_traded(seed):
    # Each weight's minimum is that before the critic that was optimal for the weight before it.
    data, models, _ = densities(seed)
    value, likelihood = terms(seed)
    chosen, step = [0], GRID[1] - GRID[0]
    for w in WEIGHTS:
        fake = models[chosen[-1]] / (data + models[chosen[-1]])
        game = (models * np.log(np.maximum(fake, 1e-300))).sum(axis=1) * step
        chosen.append(int(np.argmin(game + w * likelihood)))
    assert (np.diff(value[chosen[1:]]) < -1e-3).any()


# prop-af-shared


def shared_losses(seed, *, next_to_noise):
    roles = dict.fromkeys(("transform", "target_transform", "shared"), (lrmf.Flow, SPEC))
    made = models(seed, roles | {"prior": (lrmf.Density, lrmf.Identity())})
    last, first = ((("shared", True),), ()) if next_to_noise else ((), (("shared", True),))
    maps = tuple((domain, (*first, *chain, *last)) for domain, chain in OWN)
    found = Alignment(maps=maps, density="prior")(made, batch(seed))
    q = lrmf.aligners.parts.pushed(made["shared"])
    inverses = [
        lrmf.models.Composed([made[role]], inverted=[True])
        for role in ("transform", "target_transform")
    ]
    expected = alignment_loss(inverses, q, [batch(seed)[d] for d, _ in OWN])
    return float(found), float(expected)


@pytest.mark.statement("prop-af-shared")
@seeds
def test_layers_shared_next_to_the_noise_are_a_shared_density(seed, record_property):
    found, expected = shared_losses(seed, next_to_noise=True)
    record_property("error", abs(found - expected))
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.statement("prop-af-shared", control=True)
@seeds
def test_layers_shared_next_to_the_data_are_not(seed):
    found, expected = shared_losses(seed, next_to_noise=False)
    assert abs(found - expected) > 1e-2


def maps_with_a_shared_flow(seed, *, next_to_noise):
    """T(a) with the shared flow as it is, and with another in its place."""
    roles = dict.fromkeys(("transform", "target_transform", "shared"), (lrmf.Flow, SPEC))
    made, other = models(seed, roles), models(seed + 100, roles)
    last, first = ((("shared", True),), ()) if next_to_noise else ((), (("shared", True),))
    meeting = Meeting(maps=tuple((domain, (*first, *chain, *last)) for domain, chain in OWN))
    x = batch(seed)["source"]
    return meeting(made, x, "source"), meeting(made | {"shared": other["shared"]}, x, "source")


@pytest.mark.statement("prop-af-shared")
@seeds
def test_the_map_does_not_contain_layers_shared_next_to_the_noise(seed, record_property):
    one, other = maps_with_a_shared_flow(seed, next_to_noise=True)
    error = np.abs(one - other).max()
    record_property("error", float(error))
    assert error < 1e-9


@pytest.mark.statement("prop-af-shared", control=True)
@seeds
def test_it_contains_layers_shared_next_to_the_data(seed):
    one, other = maps_with_a_shared_flow(seed, next_to_noise=False)
    assert np.abs(one - other).max() > 0.05
