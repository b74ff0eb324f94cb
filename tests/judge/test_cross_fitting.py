"""J of given logits by hand, what shrinks them, and who has seen what."""

import numpy as np
import pytest
from scipy import special
from threadpoolctl import ThreadpoolController, threadpool_limits

from lrmf.judge import cross_fitting
from lrmf.judge.cross_fitting import FOLDS, distance, measure, shrink

LOG_2 = np.log(2.0)


def test_j_by_hand():
    logit, is_a = np.array([1.0, -2.0, 3.0]), np.array([True, True, False])
    weight = np.array([1.0, 3.0, 5.0])
    entropy_a = -(np.log(special.expit(1.0)) + 3.0 * np.log(special.expit(-2.0))) / 4.0
    entropy_b = -np.log(special.expit(-3.0))
    is_both = np.append(is_a, False)  # two points a side, for an error
    value, stderr = distance(np.append(logit, 3.0), is_both, np.append(weight, 5.0))
    assert value == pytest.approx(2.0 * LOG_2 - entropy_a - entropy_b)
    gains = np.log(special.expit([1.0, -2.0])) + LOG_2
    squares = (gains - (gains[0] + 3.0 * gains[1]) / 4.0) ** 2
    assert stderr**2 == pytest.approx((squares[0] + 9.0 * squares[1]) / 16.0 / (1.0 - 10.0 / 16.0))


def test_its_error_is_the_mean_s_for_equal_weights():
    rng = np.random.default_rng(0)
    logit, is_a = rng.normal(size=50), np.arange(50) < 20
    gain = LOG_2 - np.logaddexp(0.0, np.where(is_a, -logit, logit))
    variance = sum(np.var(gain[s], ddof=1) / s.sum() for s in (is_a, ~is_a))
    assert distance(logit, is_a, np.ones(50))[1] == pytest.approx(np.sqrt(variance))


@pytest.mark.parametrize(("logit", "expected"), [(0.0, 0.0), (40.0, 2.0 * LOG_2)])
def test_its_ends(logit, expected):
    is_a = np.arange(6) < 2
    assert distance(np.where(is_a, logit, -logit), is_a, np.ones(6))[0] == pytest.approx(expected)


class TestShrink:
    rng = np.random.default_rng(0)
    right = rng.normal(size=20_000)
    is_a = rng.random(20_000) < special.expit(right)
    ones = np.ones(20_000)

    def test_an_overconfident_logit_is_calibrated(self):
        slopes = shrink(3.0 * self.right[:, None], self.is_a, self.ones)
        assert slopes == pytest.approx([1.0 / 3.0], rel=0.1)

    def test_a_wrong_sign_and_noise_get_zero(self):
        noise = np.random.default_rng(1).normal(size=20_000)
        noise -= self.right * (noise @ self.right) / (self.right @ self.right)
        columns = np.stack([-self.right, np.sign(noise @ self.is_a) * -noise, 0.0 * noise], axis=1)
        np.testing.assert_array_equal(shrink(columns, self.is_a, self.ones), 0.0)

    def test_noise_mostly_gets_exactly_zero(self):
        noise = np.random.default_rng(2).normal(size=(200, 500, 1))
        is_a = np.arange(500) < 250
        zero = [shrink(x, is_a, np.ones(500))[0] == 0.0 for x in noise]
        assert 0.75 < np.mean(zero) < 0.92  # what one standard deviation leaves out: 0.84

    def test_units_of_logits_drop_out(self):
        columns = np.stack([self.right, self.right + self.rng.normal(size=20_000)], axis=1)
        units = np.array([1e-6, 1e6])
        first, second = (shrink(x, self.is_a, self.ones) for x in (columns, columns * units))
        np.testing.assert_allclose(first, second * units, rtol=1e-3, atol=1e-4)


class Parrot:
    """An expert that remembers the sides of the points it learned from, by their number."""

    def __init__(self):
        self.asked = []

    def __call__(self, x, is_a, weight, rng):
        known = dict(zip(x[:, 0].astype(int), is_a, strict=True))

        def logits(new):
            numbers = new[:, 0].astype(int)
            self.asked.append((set(known), set(numbers), weight))
            return np.array([[0.0 if i not in known else 9.0 * known[i] - 4.5] for i in numbers])

        return logits


@pytest.fixture
def parrot(monkeypatch):
    parrot = Parrot()
    monkeypatch.setattr(cross_fitting, "EXPERTS", {"parrot": parrot})
    return parrot


def judged(is_a, weight=None):
    points = np.arange(float(len(is_a)))[:, None]
    weight = np.ones(len(is_a)) if weight is None else weight
    return measure([points], is_a, weight, np.random.SeedSequence(0))


def test_no_point_is_judged_by_what_has_seen_it(parrot):
    is_a = np.arange(60) < 25
    found = judged(is_a)
    assert found.value == 0.0
    np.testing.assert_array_equal(found.log_ratio, 0.0)
    assert len(parrot.asked) == FOLDS * (FOLDS - 1)
    for known, asked, _ in parrot.asked:
        assert not known & asked
        assert len(known) == 36
        assert sum(is_a[sorted(known)]) == 15  # a fold has its share of either side


def test_sides_count_equally_whatever_their_weights(parrot):
    is_a = np.arange(60) < 25
    judged(is_a, np.where(is_a, 1e6, 1e-3))
    *_, weight = parrot.asked[0]
    assert weight[:15] == pytest.approx(1.2)
    assert weight[15:] == pytest.approx(30.0 / 35.0)


def test_experts_and_slopes_are_learned_by_one_thread(monkeypatch):
    threads = {"expert": set(), "shrink": set()}

    def count(who):
        threads[who] |= {library["num_threads"] for library in ThreadpoolController().info()}

    def expert(x, is_a, weight, rng):
        count("expert")
        return lambda new: np.zeros((len(new), 1))

    def shrink(logits, is_a, weight):
        count("shrink")
        return np.zeros(1)

    monkeypatch.setattr(cross_fitting, "EXPERTS", {"none": expert})
    monkeypatch.setattr(cross_fitting, "shrink", shrink)
    with threadpool_limits(limits=2):
        judged(np.arange(60) < 25)
    assert threads == {"expert": {1}, "shrink": {1}}


def test_slopes_have_not_seen_the_fold(monkeypatch):
    number = np.arange(500.0)
    known, calls = [], []

    def expert(x, is_a, weight, rng):
        known.append(set(x[:, 0]))
        which = len(known) - 1.0
        return lambda new: np.full((len(new), 1), which)

    def shrink(logits, is_a, weight):
        calls.append((set(logits[:, 0].astype(int)), set(np.round(weight - 1.0, 9))))
        return np.ones(1)

    monkeypatch.setattr(cross_fitting, "EXPERTS", {"which": expert})
    monkeypatch.setattr(cross_fitting, "shrink", shrink)
    # Weights that tell the points apart, and that measure leaves as they are.
    mark = np.tile(np.arange(1.0, 126.0) * 1e-3, 4) * np.repeat([1.0, -1.0, 1.0, -1.0], 125)
    measure([number[:, None]], number < 250, 1.0 + mark, np.random.SeedSequence(0))
    assert len(calls) == FOLDS
    for experts, marks in calls:
        learned = np.isin(np.round(mark, 9), list(marks))
        assert len(experts) == FOLDS - 1
        for index in experts:
            # A mark is that of a point of either side; who is in neither is in the fold.
            assert not known[index] & set(number[~learned])
