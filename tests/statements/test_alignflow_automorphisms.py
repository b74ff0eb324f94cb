"""Checks of "AlignFlow and its kin": what no term of any flows can see."""

import numpy as np
import pytest
from alignflow_cases import models
from scipy import stats

import lrmf

seeds = pytest.mark.parametrize("seed", range(5))
SPEC = lrmf.RealNVP(blocks=2, hidden=(8,))


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


def shear(z):
    return z + 0.5 * z[:, ::-1] * np.array([1.0, 0.0])


def with_noise_moved(seed, back):
    """log q_B at points of B, as it is and with G_B o h for G_B, where ``back`` is h^-1; and T's.

    The points of B are G_B(z): both flows are consistent. What the critic of B sees, the density of
    translated points, is q_B as well, and so all terms are functions of these numbers.
    """
    made = models(seed, dict.fromkeys(("a", "b"), (lrmf.Flow, SPEC)))
    z = np.random.default_rng([seed, 2]).normal(size=(500, 2))
    (b, _), (a, _) = made["b"].forward(z), made["a"].forward(z)
    inner, log_det = made["b"].inverse(b)
    plain = -0.5 * (inner**2).sum(axis=1) - np.log(2.0 * np.pi) + log_det
    moved = log_density_after(back, inner) + log_det
    translated = [made["b"].forward(h)[0] for h in (z, back(z))]
    return plain, moved, translated, a


@pytest.mark.statement("thm-af-automorphisms")
@seeds
def test_no_term_of_any_flows_sees_a_twist(seed, record_property):
    plain, moved, (one, other), _ = with_noise_moved(seed, lambda z: twist(z, -0.4 - 0.2 * seed))
    error = np.abs(plain - moved).max()
    record_property("error", error)
    assert error < 1e-6
    assert ((one - other) ** 2).sum(axis=1).mean() > 0.2  # two maps, far apart


@pytest.mark.statement("thm-af-automorphisms", control=True)
@seeds
def test_all_see_a_shear_although_it_preserves_volume(seed):
    plain, moved, *_ = with_noise_moved(seed, shear)
    assert np.abs(plain - moved).max() > 0.1
    assert moved.mean() < plain.mean() - 0.05


class Mixture:
    """A law of the plane with two consistent flows: coordinate by coordinate, in either order."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.shares = rng.dirichlet([5.0, 5.0, 5.0])
        self.means, self.scales = rng.normal(size=(3, 2)), rng.uniform(0.5, 1.2, size=(3, 2))

    def cdf(self, x, axis, given=None):
        """P(x_axis <= x), given the other coordinate, if any."""
        weights = np.broadcast_to(self.shares, (len(x), 3))
        if given is not None:
            other = 1 - axis
            own = stats.norm(self.means[:, other], self.scales[:, other]).pdf(given[:, None])
            weights = weights * own / (weights * own).sum(axis=1, keepdims=True)
        parts = stats.norm(self.means[:, axis], self.scales[:, axis]).cdf(x[:, None])
        return (weights * parts).sum(axis=1)

    def quantile(self, u, axis, given=None):
        low, high = np.full(len(u), -20.0), np.full(len(u), 20.0)
        for _ in range(80):
            middle = 0.5 * (low + high)
            below = self.cdf(middle, axis, given) < u
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

    def flow(self, z, first):
        x = np.empty_like(z)
        x[:, first] = self.quantile(stats.norm.cdf(z[:, first]), first)
        x[:, 1 - first] = self.quantile(
            stats.norm.cdf(z[:, 1 - first]), 1 - first, given=x[:, first]
        )
        return x

    def noise(self, x, first):
        z = np.empty_like(x)
        z[:, first] = stats.norm.ppf(self.cdf(x[:, first], first))
        z[:, 1 - first] = stats.norm.ppf(self.cdf(x[:, 1 - first], 1 - first, given=x[:, first]))
        return z


@pytest.mark.statement("thm-af-automorphisms")
@seeds
def test_two_flows_of_one_mixture_differ_by_an_automorphism(seed, record_property):
    law, z = Mixture(seed), np.clip(np.random.default_rng(seed).normal(size=(300, 2)), -2.5, 2.5)

    def h(z):
        return law.noise(law.flow(z, first=0), first=1)

    normal = -0.5 * (z**2).sum(axis=1) - np.log(2.0 * np.pi)
    error = np.abs(log_density_after(h, z, step=1e-4) - normal).max()
    record_property("error", error)
    assert error < 1e-4
    assert np.abs(h(z) - z).max() > 0.05


@pytest.mark.statement("thm-af-automorphisms", control=True)
@seeds
def test_flows_of_two_mixtures_do_not(seed):
    one, two = Mixture(seed), Mixture(seed + 100)
    z = np.clip(np.random.default_rng(seed).normal(size=(300, 2)), -1.0, 1.0)

    def h(z):
        return two.noise(one.flow(z, first=0), first=1)

    normal = -0.5 * (z**2).sum(axis=1) - np.log(2.0 * np.pi)
    assert np.abs(log_density_after(h, z, step=1e-4) - normal).max() > 0.1
