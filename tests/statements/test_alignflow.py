"""Checks of "AlignFlow and its kin"."""

import numpy as np
import pytest
from scipy import integrate, special, stats

import lrmf
from lrmf.backends.base import Role
from lrmf.objectives import Alignment, alignment_loss
from lrmf.translation import Meeting, Networks, cycle_loss

seeds = pytest.mark.parametrize("seed", range(5))
SPEC = lrmf.RealNVP(blocks=2, hidden=(8,))
OWN = (("source", (("transform", True),)), ("target", (("target_transform", True),)))


def models(seed, roles):
    """Models far from their start, in double precision."""
    engine, rng = lrmf.get_backend("jax"), np.random.default_rng(seed)
    made = {}
    for name, (kind, spec) in roles.items():
        arrays = {k: v + 0.3 * rng.normal(size=v.shape) for k, v in spec.init((2,), rng).items()}
        made[name] = engine.model(Role(name, kind, spec, (2,)), arrays, "float64")
    return made


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


# thm-af-automorphisms


def twist(z, rate):
    """Turn each point of the plane by an angle that depends on its distance from the middle."""
    angle = rate * (z**2).sum(axis=1)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * z[:, 0] - s * z[:, 1], s * z[:, 0] + c * z[:, 1]], axis=1)


def log_density_after(h, z, step=1e-5):
    """log of the density of h^-1 of N(0, I) at z: of N(0, I) at h(z), plus log|det|."""
    columns = [(h(z + step * e) - h(z - step * e)) / (2 * step) for e in np.eye(2)]
    log_det = np.log(np.abs(np.linalg.det(np.stack(columns, axis=-1))))
    return -0.5 * (h(z) ** 2).sum(axis=1) - np.log(2.0 * np.pi) + log_det


@pytest.mark.statement("thm-af-automorphisms")
@seeds
def test_a_twist_of_the_noise_changes_no_likelihood_but_the_map(seed, record_property):
    z = np.random.default_rng(seed).normal(size=(500, 2))
    normal = -0.5 * (z**2).sum(axis=1) - np.log(2.0 * np.pi)
    rate = 0.3 + 0.2 * seed
    error = np.abs(log_density_after(lambda x: twist(x, rate), z) - normal).max()
    record_property("error", error)
    assert error < 1e-6
    # With G_A = G_B the identity, T is the identity or the twist: far apart, point by point.
    assert ((twist(z, rate) - z) ** 2).sum(axis=1).mean() > 0.5


@pytest.mark.statement("thm-af-automorphisms")
@pytest.mark.parametrize("d", [2, 3, 6])
@seeds
def test_two_maps_between_the_same_laws_differ_by_an_automorphism(seed, d, record_property):
    # Between normal laws the maps by Cholesky factors and by Monge differ by an orthogonal map.
    rng = np.random.default_rng(seed)
    factors = [np.linalg.cholesky(m @ m.T + np.eye(d)) for m in rng.normal(size=(2, d, d))]
    a, b = (f @ f.T for f in factors)
    monge = lrmf.theory.gaussian.monge_map(np.zeros(d), a, np.zeros(d), b)[0]
    h = np.linalg.solve(factors[1], monge @ factors[0])
    error = np.abs(h @ h.T - np.eye(d)).max()
    record_property("error", error)
    assert error < 1e-8
    assert np.abs(h - np.eye(d)).max() > 0.01


@pytest.mark.statement("thm-af-automorphisms", control=True)
@seeds
def test_to_preserve_volume_is_not_enough(seed):
    z = np.random.default_rng(seed).normal(size=(500, 2))
    normal = -0.5 * (z**2).sum(axis=1) - np.log(2.0 * np.pi)
    found = log_density_after(lambda x: x + 0.5 * x[:, ::-1] * np.array([1.0, 0.0]), z)
    assert np.abs(found - normal).max() > 0.1


# thm-af-critics


def critics(a, b, scale, shift):
    """Optimal critics of the flow T(x) = scale x + shift at points, and what the formulas need."""
    x = np.linspace(-2.0, 3.0, 101)
    y = scale * x + shift
    moved = a.pdf(x) / scale  # the density of T(A) at y
    home = b.pdf(y) * scale  # that of the inverse's image of B at x
    return x, y, a.pdf(x) / (a.pdf(x) + home), b.pdf(y) / (b.pdf(y) + moved)


CASES = [
    (stats.norm(0.0, 1.0), stats.norm(1.0, 0.6), 0.8, 0.4),
    (stats.logistic(0.5, 0.6), stats.gumbel_r(0.0, 1.0), 1.5, -0.3),
    (stats.t(4.0), stats.norm(-0.5, 1.4), 0.5, 0.0),
]


@pytest.mark.statement("thm-af-critics")
@pytest.mark.parametrize(("a", "b", "scale", "shift"), CASES, ids=range(len(CASES)))
def test_critics_of_translated_points_add_up_to_one(a, b, scale, shift, record_property):
    _, _, in_a, in_b = critics(a, b, scale, shift)
    error = np.abs(in_a + in_b - 1.0).max()
    record_property("error", error)
    assert error < 1e-14


def of_samples(a, b, model_b, scale, shift):
    """Optimal critics that see real points beside samples of flows with G_B = T o G_A."""
    x = np.linspace(-2.0, 3.0, 101)
    y = scale * x + shift
    model_a = model_b.pdf(y) * scale
    in_a, in_b = a.pdf(x) / (a.pdf(x) + model_a), b.pdf(y) / (b.pdf(y) + model_b.pdf(y))
    return a.pdf(x), b.pdf(y), in_a, in_b


@pytest.mark.statement("thm-af-critics")
@pytest.mark.parametrize(("a", "b", "scale", "shift"), CASES, ids=range(len(CASES)))
def test_critics_of_samples_need_the_jacobian(a, b, scale, shift, record_property):
    p_a, p_b, in_a, in_b = of_samples(a, b, stats.norm(0.3, 1.1), scale, shift)
    expected = in_b * p_a / (in_b * p_a + (1.0 - in_b) * p_b * scale)
    error = np.abs(in_a - expected).max()
    record_property("error", error)
    assert error < 1e-14


@pytest.mark.statement("thm-af-critics", control=True)
@pytest.mark.parametrize(("a", "b", "scale", "shift"), CASES, ids=range(len(CASES)))
def test_the_formula_as_printed_holds_for_neither(a, b, scale, shift):
    x, y, in_a, in_b = critics(a, b, scale, shift)
    printed = in_b * a.pdf(x) / (a.pdf(x) + b.pdf(y) * (1.0 - in_b) * scale)
    assert np.abs(in_a - printed).max() > 0.1
    p_a, p_b, in_a, in_b = of_samples(a, b, stats.norm(0.3, 1.1), scale, shift)
    printed = in_b * p_a / (p_a + p_b * (1.0 - in_b) * scale)
    assert np.abs(in_a - printed).max() > 0.1


@pytest.mark.statement("thm-af-critics")
@pytest.mark.parametrize(("a", "b", "scale", "shift"), CASES, ids=range(len(CASES)))
def test_both_games_have_one_value(a, b, scale, shift, record_property):
    # That of the critic of B, an integral over B's domain, and of A's, over A's.
    def value(real, fake):
        def integrand(t):
            p, q = real(t), fake(t)
            return special.xlogy(p, p / (p + q)) + special.xlogy(q, q / (p + q))

        return integrate.quad(integrand, -30.0, 30.0, limit=400, points=[-2.0, 0.0, 2.0])[0]

    in_b = value(b.pdf, lambda y: a.pdf((y - shift) / scale) / scale)
    in_a = value(a.pdf, lambda x: b.pdf(scale * x + shift) * scale)
    record_property("error", abs(in_a - in_b))
    assert in_a == pytest.approx(in_b, abs=1e-6)
    assert in_a > -np.log(4.0) + 1e-3


# prop-af-extremes

SCALES = np.linspace(0.3, 3.0, 541)
GRID = np.linspace(-14.0, 14.0, 4001)


def terms(seed):
    """V = 2 JSD and N = -E log p of normal models of a mixture, one for each of `SCALES`."""
    rng = np.random.default_rng(seed)
    means, shares = rng.uniform(-2.0, 2.0, size=2), rng.dirichlet([4.0, 4.0])
    data = sum(s * stats.norm(m, 0.4).pdf(GRID) for s, m in zip(shares, means, strict=True))
    models = stats.norm(0.0, SCALES[:, None]).pdf(GRID)
    middle = 0.5 * (data + models)
    jsd = special.rel_entr(data, middle) + special.rel_entr(models, middle)
    step = GRID[1] - GRID[0]
    log_models = stats.norm(0.0, SCALES[:, None]).logpdf(GRID)
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
    # Then what is minimised is not the game, and not the same for each weight.
    game, likelihood = terms(seed)
    lags = np.random.default_rng(seed).normal(scale=np.ptp(game), size=(len(WEIGHTS), len(game)))
    chosen = [
        int(np.argmin(game + lag + w * likelihood)) for lag, w in zip(lags, WEIGHTS, strict=True)
    ]
    assert (np.diff(likelihood[chosen]) > 1e-6).any()


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
