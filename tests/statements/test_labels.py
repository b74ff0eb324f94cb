"""Checks of "Aligned distributions, wrong labels"."""

import itertools

import numpy as np
import pytest
from judge_cases import entropy, laws, twice_jsd
from scipy import stats

seeds = pytest.mark.parametrize("seed", range(5))
LOG_2 = np.log(2.0)


# prop-labels


@pytest.mark.statement("prop-labels")
@seeds
def test_no_alignment_takes_more_points_to_their_label_than_both_sides_have(seed, record_property):
    rng = np.random.default_rng(seed)
    ours, theirs = rng.dirichlet(np.ones(4), size=2)
    most = np.minimum(ours, theirs).sum()
    plan = np.diag(np.minimum(ours, theirs))  # attains it
    left, right = ours - plan.sum(axis=1), theirs - plan.sum(axis=0)
    plan += np.outer(left, right) / left.sum()
    found = [np.trace(plan)]
    for _ in range(20):
        plan = rng.exponential(size=(4, 4)) + 20.0 * rng.uniform() * np.eye(4)
        for _ in range(200):  # to a plan with these sides
            plan *= (ours / plan.sum(axis=1))[:, None]
            plan *= theirs / plan.sum(axis=0)
        found.append(np.trace(plan))
    record_property("error", max(found) - most)
    assert abs(found[0] - most) < 1e-12
    assert max(found) < most + 1e-9


class TwoLabels:
    """A on the line, by its quantiles; T(x) = sinh x; and R, which turns A's quantiles around."""

    SHARES, MEANS, SCALES = np.array([0.3, 0.7]), np.array([-2.0, 1.0]), np.array([0.5, 0.8])

    def __init__(self, n=20_000):
        levels = (np.arange(n) + 0.5) / n
        grid = np.linspace(-8.0, 8.0, 200_001)
        self.x = np.interp(levels, self.SHARES @ self._each(stats.norm.cdf, grid), grid)
        self.turned = self.x[::-1]
        self.log_slope = np.log(self.density(self.x) / self.density(self.turned))

    def _each(self, function, x):
        return np.stack([function(x, *at) for at in zip(self.MEANS, self.SCALES, strict=True)])

    def density(self, x):
        return self.SHARES @ self._each(stats.norm.pdf, x)

    def label(self, x):
        """Densities of A_u, one row a label."""
        return self._each(stats.norm.pdf, x)

    def marginal_loss(self, moved, log_slope, b):
        """With the best normal density, and without c(A, B)."""
        image, target = np.sinh(moved), np.sinh(b)
        pooled = np.concatenate([image, target])
        volume = np.mean(log_slope + np.log(np.cosh(moved)))
        return -volume + np.log(2.0 * np.pi * np.e * pooled.var())


def loss_of_labels(law):
    """F(T∘R) by the definition of the pairs' losses, and what the proposition says it is."""
    found, expected = 0.0, 0.0
    slope = np.exp(law.log_slope)
    at, there = law.label(law.x), law.label(law.turned)
    # Of R(A_u) at x: R is its own inverse.
    image = there * slope
    for share, p, q, of_turned in zip(law.SHARES, at, image, there, strict=True):
        own = p / law.density(law.x) / len(p)  # weights of A's quantiles that make it A_u
        stretch = np.cosh(law.x), np.cosh(law.turned)
        # The image of a under T∘R is T(turned), where the mixture of T∘R(A_u) and T(A_u) is
        there_too = of_turned, p / slope
        mixture = sum(there_too) / 2.0 / stretch[1]
        at_target = (p + q) / 2.0 / stretch[0]
        terms = law.log_slope + np.log(stretch[1]) + np.log(mixture) + np.log(at_target)
        entropies = np.log(p) + np.log(p / stretch[0])
        found += share * own @ (entropies - terms)
        weight = (p + q) / 2.0 / law.density(law.x) / len(p)
        expected += share * 2.0 * weight @ (LOG_2 - entropy(p / (p + q)))
    return found, expected


@pytest.mark.statement("prop-labels")
def test_an_automorphism_leaves_the_marginals_loss_and_raises_that_of_labels(record_property):
    law = TwoLabels()
    b = np.random.default_rng(0).normal(size=1000)
    plain = law.marginal_loss(law.x, 0.0, b)
    turned = law.marginal_loss(law.turned, law.log_slope, b)
    found, expected = loss_of_labels(law)
    record_property("error", max(abs(plain - turned), abs(found - expected)))
    assert abs(plain - turned) < 1e-6
    assert abs(found - expected) < 1e-3
    assert found > 0.5


@pytest.mark.statement("prop-labels", control=True)
def test_a_shift_that_is_no_automorphism_changes_the_marginals_loss():
    law = TwoLabels()
    b = np.random.default_rng(0).normal(size=1000)
    plain = law.marginal_loss(law.x, 0.0, b)
    assert abs(law.marginal_loss(law.x + 1.0, 0.0, b) - plain) > 0.01


@pytest.mark.statement("prop-labels", control=True)
def test_a_map_that_does_not_align_may_take_every_point_to_its_label():
    ours, theirs = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.2, 0.7])
    plan = np.diag(ours)  # the identity, where clusters lie in the same places
    assert np.trace(plan) == pytest.approx(1.0)
    assert np.minimum(ours, theirs).sum() == pytest.approx(0.4)
    assert np.abs(plan.sum(axis=0) - theirs).max() > 0.5


# prop-ben-david


def excess(seed, *, weight=1.0, cells=6):
    """The largest R_B(h) minus its bound, with some weight on λ; labels are drawn at random."""
    a, b, _ = laws(seed, cells)
    rng = np.random.default_rng(seed)
    ones_a, ones_b = rng.uniform(size=(2, cells))  # probability of label 1 in a cell
    h = np.array(list(itertools.product((0, 1), repeat=cells)))
    h = h[rng.random(len(h)) < 0.5]
    risk_a, risk_b = (
        np.where(h, 1.0 - ones, ones) @ law for law, ones in ((a, ones_a), (b, ones_b))
    )
    bound = risk_a + np.sqrt(twice_jsd(a, b)) + weight * (risk_a + risk_b).min()
    return (risk_b - bound).max()


@pytest.mark.statement("prop-ben-david")
@seeds
def test_the_distance_and_the_best_common_classifier_bound_the_risk(seed):
    assert max(excess(100 * seed + k) for k in range(50)) <= 0.0


@pytest.mark.statement("prop-ben-david", control=True)
def test_without_the_best_common_classifier_the_bound_fails():
    assert max(excess(k, weight=0.0) for k in range(50)) > 0.0


def sharp(epsilon=0.01):
    """Two cells, label 0 everywhere, h wrong in the second: R_B - R_A and the distance."""
    a, b = np.array([0.5 + epsilon, 0.5 - epsilon]), np.array([0.5 - epsilon, 0.5 + epsilon])
    return b[1] - a[1], twice_jsd(a, b)


@pytest.mark.statement("prop-ben-david")
def test_the_bound_is_sharp_where_two_cells_differ_a_little(record_property):
    gap, distance = sharp()
    record_property("error", abs(np.sqrt(distance) - gap))
    assert gap <= np.sqrt(distance) < gap + 1e-5


@pytest.mark.statement("prop-ben-david", control=True)
def test_half_the_distance_is_no_bound():
    gap, distance = sharp()
    assert gap > np.sqrt(distance / 2.0)
