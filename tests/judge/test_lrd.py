"""`lrmf.lrd` on data whose distance is known, and on data that cannot be judged."""

import warnings

import numpy as np
import pytest
from scipy import stats

import lrmf
from lrmf.judge import cross_fitting, lrd, pair
from lrmf.judge.pair import MINIMUM

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(2, 500, 3))


def same(law, n=400, seed=0):
    return law(np.random.default_rng(seed), n), law(np.random.default_rng(seed + 1), n)


# What a judge by refitted copies called "not aligned", with distances up to 163.
ONE_LAW = {
    "normal": lambda rng, n: rng.normal(size=(n, 2)),
    "heavy tails": lambda rng, n: rng.standard_cauchy(size=(n, 3)),
    "a grid": lambda rng, n: rng.integers(0, 4, size=(n, 2)),
    "a constant feature": lambda rng, n: np.stack([rng.normal(size=n), np.ones(n)], axis=1),
    "counts": lambda rng, n: rng.poisson(3.0, size=(n, 2)),
    "yes or no": lambda rng, n: rng.random((n, 1)) < 0.5,
    "16 features": lambda rng, n: rng.normal(size=(n, 16)),
    "moons": lambda rng, n: lrmf.data.moons(n=n, seed=int(rng.integers(1000))).source,
}


@pytest.mark.parametrize("law", ONE_LAW.values(), ids=ONE_LAW)
def test_one_law(law):
    assert abs(lrd(*same(law), controls=False).lrd) < 0.01


@pytest.mark.parametrize("law", ["normal", "counts"])
def test_one_law_is_aligned(law):
    found = lrd(*same(ONE_LAW[law], n=1000))
    assert found.decision == "aligned", found.verdict
    assert [c.truth for c in found.controls] == pytest.approx([0.0, 0.1, 0.1, 0.2, 0.2], abs=1e-6)


def test_the_same_array_twice():
    points = np.random.default_rng(0).normal(size=(600, 64))
    found = lrd(points, points.copy(), controls=False)
    assert abs(found.lrd) < 0.005


def test_one_law_in_too_many_dimensions_is_not_decided():
    found = lrd(*same(lambda rng, n: rng.normal(size=(n, 200)), n=100))
    assert found.decision == "not decided"
    assert abs(found.lrd) < 0.02
    assert "cause: too few points" in found.verdict


def test_a_hundred_points_are_too_few():
    found = lrd(*same(ONE_LAW["normal"], n=50))
    assert found.decision == "not decided"
    assert "cause: too few points" in found.verdict


@pytest.mark.parametrize("d", [1, 16])
def test_a_shift_is_measured(d):
    # 2·JSD of N(0, 1) and N(2, 1), along one direction.
    x = stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)
    truth = 2.0 * (np.log(2.0) - np.mean(np.logaddexp(0.0, 2.0 * x - 2.0)))
    a, b = same(lambda rng, n: rng.normal(size=(n, d)))
    found = lrd(a, b + 2.0 / np.sqrt(d), controls=d == 1)
    assert (found.decision == "not aligned") == (d == 1)
    assert found.lrd == pytest.approx(truth, abs=4.0 * found.lrd_stderr)
    assert found.lrd > 0.9 * truth


SHAPES_OF_DIFFERENCE = {
    "scale": lambda x: 1.6 * x,
    "rotation": lambda x: x @ [[1.0, 0.9], [0.0, 1.0]],
    "a cluster": lambda x: np.where(np.arange(len(x))[:, None] % 4 == 0, 0.3 * x + 4.0, x),
    "rare values": lambda x: np.where(np.arange(len(x))[:, None] % 3 == 0, np.round(x), x),
}


@pytest.mark.parametrize("change", SHAPES_OF_DIFFERENCE.values(), ids=SHAPES_OF_DIFFERENCE)
def test_it_sees(change):
    a, b = same(ONE_LAW["normal"])
    found = lrd(a, change(b), controls=False)
    assert found.lrd - 3.0 * found.lrd_stderr > 0.0


def test_units_drop_out():
    a, b = NORMAL[0, :60], 1.3 * NORMAL[1, :60] + 0.3
    scales = np.array([1e-6, 1.0, 1e6])
    plain, scaled = (lrd(s * a + 100.0 * s, s * b + 100.0 * s) for s in (1.0, scales))
    assert scaled.lrd == pytest.approx(plain.lrd, abs=1e-9)
    assert scaled.lrd_stderr == pytest.approx(plain.lrd_stderr, abs=1e-9)
    assert [c.lrd for c in scaled.controls] == pytest.approx([c.lrd for c in plain.controls])


def test_single_precision_far_from_the_origin():
    a, b = (NORMAL + 1e4).astype(np.float32)
    assert abs(lrd(a, b, controls=False).lrd) < 0.01
    assert lrd(a, b + np.float32(2.0), controls=False).lrd > 0.5


def test_the_seed_decides():
    a, b = NORMAL[0, :100], NORMAL[1, :100] + 0.5
    first, again, other = (lrd(a, b, seed=seed) for seed in (1, 1, 2))
    assert first == again
    np.testing.assert_array_equal(first.log_ratio_source, again.log_ratio_source)
    assert first.lrd != other.lrd
    assert first.controls[1] != other.controls[1]


def test_sides_change_places():
    a, b = NORMAL[0], NORMAL[1] + 0.5
    there, back = lrd(a, b, controls=False), lrd(b, a, controls=False)
    assert there.lrd == pytest.approx(back.lrd, abs=0.05)


def test_images_are_flattened():
    a, b = NORMAL[:, :, :2]
    images = lrd(a.reshape(-1, 2, 1), b.reshape(-1, 2, 1), controls=False)
    assert images == lrd(a, b, controls=False)


def test_unequal_sides():
    a, b = RNG.normal(size=(150, 2)), RNG.normal(size=(1500, 2))
    found = lrd(a, b)
    assert (found.n_source, found.n_target) == (150, 1500)
    assert abs(found.lrd) < 0.02
    # A control has sides of the same sizes, and an error of the same size as a real difference.
    assert found.controls[1].lrd_stderr > 0.012
    assert lrd(a, b + 1.5, controls=False).lrd > 0.4


class TestWeights:
    # Two clusters, of which A has three times as many points of the first as B.
    rng = np.random.default_rng(3)
    first = rng.random(600) < 0.75
    second = rng.random(600) < 0.25
    a = rng.normal(size=(600, 2)) + 5.0 * first[:, None]
    b = rng.normal(size=(600, 2)) + 5.0 * second[:, None]

    def test_they_make_up_for_proportions(self):
        assert lrd(self.a, self.b, controls=False).lrd > 0.2
        weights = np.where(self.first, 1.0, 9.0)
        assert lrd(self.a, self.b, sample_weight_s=weights, controls=False).lrd < 0.02
        back = np.where(self.second, 9.0, 1.0)
        assert lrd(self.a, self.b, sample_weight_t=7.0 * back, controls=False).lrd < 0.02

    def test_equal_weights_are_none(self):
        plain = lrd(self.a, self.b, controls=False)
        assert lrd(self.a, self.b, controls=False, sample_weight_s=np.full(600, 3.0)) == plain

    def test_a_point_without_weight_is_left_out(self):
        spoiled = np.concatenate([self.a, np.full((100, 2), 99.0)])
        weights = np.concatenate([np.ones(600), np.zeros(100)])
        found = lrd(spoiled, self.b, sample_weight_s=weights, controls=False)
        assert found == lrd(self.a, self.b, controls=False)
        assert np.isnan(found.log_ratio_source[600:]).all()

    @pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
    @pytest.mark.parametrize("side", ["s", "t"])
    def test_bad_values(self, bad, side):
        weights = np.ones(600)
        weights[3] = bad
        with pytest.raises(
            ValueError, match=f"sample_weight_{side} must be finite and zero or more"
        ):
            lrd(self.a, self.b, **{f"sample_weight_{side}": weights})

    def test_bad_shapes(self):
        with pytest.raises(ValueError, match="not all zero"):
            lrd(self.a, self.b, sample_weight_s=np.zeros(600))
        with pytest.raises(ValueError, match=r"of shape \(600,\), one weight a point, got \(7,\)"):
            lrd(self.a, self.b, sample_weight_s=np.ones(7))
        with pytest.raises(TypeError, match="sample_weight_t must hold real numbers"):
            lrd(self.a, self.b, sample_weight_t=["many"] * 600)


def test_the_log_ratio_shows_where():
    a, b = NORMAL[0], NORMAL[1].copy()
    b[:50] += 6.0
    found = lrd(a, b, controls=False)
    assert found.log_ratio_target[:50].max() < -1.0
    assert np.abs(np.median(found.log_ratio_target[50:])) < 0.5


def test_experts_need_no_more_than_so_many_points(monkeypatch):
    a, b = NORMAL
    whole = lrd(a, b + 0.5, controls=False)
    monkeypatch.setattr(cross_fitting, "_ENOUGH", 300)
    part = lrd(a, b + 0.5, controls=False)
    assert part.lrd != whole.lrd
    assert part.lrd == pytest.approx(whole.lrd, abs=0.1)


def test_the_filters_of_warnings_stay(recwarn):
    before = list(warnings.filters)
    lrd(NORMAL[0, :50], NORMAL[1, :50], controls=False)
    assert warnings.filters == before


def test_of_many_points_some_are_drawn(monkeypatch):
    monkeypatch.setattr(pair, "MAXIMUM", 100)
    found = lrd(NORMAL[0], NORMAL[1, :90], controls=False)
    assert (found.n_source, found.n_target) == (100, 90)
    assert found.log_ratio_source.shape == (500,)
    assert np.isfinite(found.log_ratio_source).sum() == 100


def test_of_many_features_some_directions_are_seen():
    a, b = np.random.default_rng(0).normal(size=(2, 300, 200))
    b[:, 150] += 2.0
    assert lrd(a, b, controls=False).lrd > 0.5


def test_without_controls_nothing_is_decided():
    found = lrd(*NORMAL, controls=False)
    assert found.controls == ()
    assert found.decision == "not decided"


class TestBadInput:
    good = NORMAL[0]

    @pytest.mark.parametrize("n", [2, MINIMUM - 1])
    def test_too_few(self, n):
        for arguments, name in (
            ((self.good[:n], self.good), "Xs"),
            ((self.good, self.good[:n]), "Xt"),
        ):
            with pytest.raises(
                ValueError, match=f"{name} has {n} points; the judge needs {MINIMUM}"
            ):
                lrd(*arguments)

    def test_too_few_with_a_weight(self):
        weights = np.arange(500) < 5
        with pytest.raises(ValueError, match="Xs has 5 points with a weight"):
            lrd(self.good, self.good, sample_weight_s=weights)

    def test_nothing_varies(self):
        with pytest.raises(ValueError, match="all points of both sides are equal"):
            lrd(np.ones((100, 2)), np.ones((100, 2)))

    def test_not_finite(self):
        bad = self.good.copy()
        bad[7, 1] = np.nan
        with pytest.raises(ValueError, match="Xt holds 1 NaN or infinite values"):
            lrd(self.good, bad)

    def test_other_features(self):
        with pytest.raises(ValueError, match="expected Xt with 3 features like Xs, got 2"):
            lrd(self.good, self.good[:, :2])

    @pytest.mark.parametrize("tolerance", [0.0, -1.0, np.nan, "low"])
    def test_tolerance(self, tolerance):
        with pytest.raises(ValueError, match="tolerance must be a positive number"):
            lrd(self.good, self.good, tolerance=tolerance)

    def test_a_tolerance_that_all_but_disjoint_data_pass(self):
        with pytest.raises(ValueError, match=r"tolerance must lie below 0\.5 nats"):
            lrd(self.good, self.good, tolerance=0.5)

    def test_seed(self):
        with pytest.raises(ValueError, match="seed must be a non-negative integer"):
            lrd(self.good, self.good, seed=-1)

    def test_sides_without_spread(self):
        apart = lrd(np.zeros((100, 1)), np.ones((100, 1)))
        assert apart.decision == "not aligned"
        assert apart.lrd == pytest.approx(2.0 * np.log(2.0), abs=0.2)

    def test_a_side_inside_the_other_s_support(self):
        rng = np.random.default_rng(0)
        wide, narrow = rng.uniform(-1.0, 1.0, size=(400, 2)), rng.uniform(-0.3, 0.3, size=(400, 2))
        assert lrd(wide, narrow, controls=False).lrd > 0.8

    def test_features_that_repeat(self):
        twice = lrd(*(x[:, [0, 0, 1]] for x in NORMAL), controls=False)
        assert abs(twice.lrd) < 0.01


def test_public_names():
    assert lrmf.lrd is lrd
    assert lrmf.Certificate is lrmf.judge.Certificate
