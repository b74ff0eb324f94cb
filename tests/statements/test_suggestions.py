"""Checks of the statements of the chapter "Two suggestions, and why they fail"."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

import lrmf
from lrmf.theory import gaussian

SEEDS = range(3)
DIMENSIONS = (1, 2, 5)
BACKENDS = ("jax", "tfp")

cases = pytest.mark.parametrize(("d", "seed"), [(d, seed) for d in DIMENSIONS for seed in SEEDS])
seeds = pytest.mark.parametrize("seed", SEEDS)
backends = pytest.mark.parametrize("backend", BACKENDS)


# prop-likelihood-mode


def in_ball(d, radius, n, rng):
    y = rng.normal(size=(n, d))
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    return radius * rng.uniform(size=(n, 1)) ** (1 / d) * y


@pytest.mark.statement("prop-likelihood-mode")
@pytest.mark.parametrize("d", [1, 2, 10, 50])
@seeds
def test_a_small_ball_is_more_likely_than_the_sample(d, seed, record_property):
    rng = np.random.default_rng([d, seed])
    radius = 0.5 * np.sqrt(d)
    y = in_ball(d, radius, 100_000, rng)
    difference = stats.norm.logpdf(y).sum(axis=1).mean() + 0.5 * d * np.log(2 * np.pi * np.e)
    formula = 0.5 * d * (1 - radius**2 / (d + 2))
    cov = np.cov(y.T, bias=True).reshape(d, d)
    apart = float(gaussian.distance(y.mean(axis=0), cov, np.zeros(d), np.eye(d)))
    claimed = d * np.log(np.cosh(0.5 * np.log(radius**2 / (d + 2))))
    record_property("error", max(abs(difference - formula) / d, abs(apart - claimed) / d))
    assert difference == pytest.approx(formula, abs=5e-3 * d)
    assert apart == pytest.approx(claimed, abs=1e-2 * d)
    x = rng.normal(size=(20_000, d))
    inside = (np.linalg.norm(x, axis=1) <= radius).mean()
    assert inside == pytest.approx(stats.chi2(d).cdf(radius**2), abs=0.02)


@pytest.mark.statement("prop-likelihood-mode")
@pytest.mark.parametrize("shape", [stats.laplace(), stats.logistic(), stats.t(5), stats.gamma(3)])
def test_a_sample_is_not_what_its_density_likes_best(shape, record_property):
    start = shape.ppf(0.3)
    mode = optimize.minimize(lambda x: -shape.logpdf(x[0]), [start], method="Nelder-Mead").x[0]
    top = shape.logpdf(mode)
    own = integrate.quad(lambda u: shape.logpdf(shape.ppf(u)), 0, 1, epsabs=1e-9, limit=200)[0]
    record_property("error", abs(own + float(shape.entropy())))
    assert own == pytest.approx(-float(shape.entropy()), abs=1e-5)
    assert own < top - 0.1
    width = 1e-3
    y = np.linspace(mode - width, mode + width, 101)
    assert shape.logpdf(y).mean() > top - 0.01
    assert shape.cdf(mode + width) - shape.cdf(mode - width) < 0.01


@pytest.mark.statement("prop-likelihood-mode", control=True)
def test_a_constant_density_is_the_exception():
    box = stats.uniform(0, 2)
    assert -float(box.entropy()) == pytest.approx(box.logpdf(1.0))
    # And in a ball of more than the shell's radius the points are less likely than the sample.
    assert 0.5 * 10 * (1 - 4 * 10 / 12) < 0


# prop-cross-score


def cross_score(x, s):
    """log P(T_s(A); θ_B) + log P(B; θ_AT) for A = B = x and the normal family."""
    centre = x.mean(axis=0)
    moved = centre + s * (x - centre)
    of_b, of_a = (
        stats.multivariate_normal(centre, np.cov(v.T, bias=True).reshape(2 * (x.shape[1],)))
        for v in (x, moved)
    )
    return of_b.logpdf(moved).mean() + of_a.logpdf(x).mean()


@pytest.mark.statement("prop-cross-score")
@cases
def test_the_symmetric_score_is_largest_at_the_golden_ratio(d, seed, record_property):
    x = np.random.default_rng([d, seed]).exponential(size=(200, d))
    for weight, best in ((0, np.sqrt((np.sqrt(5) - 1) / 2)), (1, 1.0)):
        found = optimize.minimize_scalar(
            lambda s, weight=weight: -cross_score(x, s) - weight * d * np.log(s),
            bounds=(0.3, 3.0),
            method="bounded",
            options={"xatol": 1e-8},
        )
        record_property("error", abs(found.x - best))
        assert found.x == pytest.approx(best, abs=1e-5)


@pytest.mark.statement("prop-cross-score", control=True)
@cases
def test_with_different_covariances_the_ratio_is_another(d, seed):
    x = np.random.default_rng([d, seed]).normal(size=(500, d))
    of_b = 4.0  # B has four times the covariance of A

    def curve(s):
        return 0.5 * d * (s**2 / of_b + of_b / s**2) + d * np.log(s)

    found = optimize.minimize_scalar(curve, bounds=(0.3, 5), method="bounded").x
    assert abs(found**2 - (np.sqrt(5) - 1) / 2) > 0.5
    one_sided = [stats.norm.logpdf(s * x).sum(axis=1).mean() for s in (0.01, 0.5, 1.0)]
    assert one_sided[0] > one_sided[1] > one_sided[2]


# prop-relu-symmetries


SPEC = lrmf.RealNVP(blocks=3, hidden=(7, 6))


def twisted(arrays, rng, *, layer, permute=True, factor=None, forget=False):
    """Permute the units of a hidden layer in every block, and rescale them by c > 0."""
    new = {name: value.copy() for name, value in arrays.items()}
    for block in range(SPEC.blocks):
        first, second = (f"block_{block}/layer_{layer + i}/" for i in (0, 1))
        count = len(arrays[first + "bias"])
        units = rng.permutation(count) if permute else np.arange(count)
        scale = np.exp(rng.normal(size=count)) if factor is None else np.full(count, factor)
        new[first + "weight"] = arrays[first + "weight"][:, units] * scale
        new[first + "bias"] = arrays[first + "bias"][units] * scale
        if not forget:
            new[second + "weight"] = arrays[second + "weight"][units] / scale[:, None]
    return new


def apart(first, second):
    return np.sqrt(sum(np.sum((first[name] - second[name]) ** 2) for name in first))


def network(d, seed):
    rng = np.random.default_rng([d, seed])
    arrays = {k: v + 0.3 * rng.normal(size=v.shape) for k, v in SPEC.init((d,), rng).items()}
    return arrays, rng.normal(size=(100, d)), rng


@pytest.mark.statement("prop-relu-symmetries")
@backends
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("d", [2, 3])
@seeds
def test_the_same_density_has_distant_parameters(d, seed, layer, backend, record_property):
    arrays, x, rng = network(d, seed)
    engine = lrmf.get_backend(backend)
    before = engine.density(SPEC, arrays, dtype="float64").log_prob(x)
    worst, far = 0.0, []
    for options in ({}, {"factor": 1.0}, {"factor": 1e3, "permute": False}):
        other = twisted(arrays, rng, layer=layer, **options)
        after = engine.density(SPEC, other, dtype="float64").log_prob(x)
        worst = max(worst, float(np.abs(after - before).max()))
        far.append(apart(arrays, other))
    record_property("error", worst)
    assert worst < 1e-8
    assert min(far) > 0.3 * apart(arrays, {k: np.zeros_like(v) for k, v in arrays.items()})
    assert far[-1] > 1e3


@pytest.mark.statement("prop-relu-symmetries", control=True)
@backends
@seeds
def test_moving_one_side_only_or_a_negative_factor_changes_the_density(seed, backend):
    arrays, x, rng = network(2, seed)
    engine = lrmf.get_backend(backend)
    before = engine.density(SPEC, arrays, dtype="float64").log_prob(x)
    for options in ({"forget": True}, {"factor": -1.0}):
        other = twisted(arrays, rng, layer=0, **options)
        after = engine.density(SPEC, other, dtype="float64").log_prob(x)
        assert np.abs(after - before).max() > 1e-2
