"""KL, JSD and total variation against closed forms, SciPy's own, and mpmath."""

import mpmath
import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial import distance

from lrmf.theory import divergences

LOG_2 = np.log(2.0)


def normal(mean=0.0, std=1.0):
    """A fast log-density; SciPy's takes 60 µs a number."""
    constant = np.log(std) + 0.5 * np.log(2 * np.pi)
    return lambda x: -0.5 * ((x - mean) / std) ** 2 - constant


def uniform(low, high):
    return lambda x: -np.log(high - low) if low <= x <= high else -np.inf


def cauchy(location):
    return lambda x: -np.log(np.pi * (1 + (x - location) ** 2))


def laplace(location):
    return lambda x: -abs(x - location) - LOG_2


NORMALS = [
    ((0.0, 1.0), (1.0, 1.0)),
    ((0.0, 1.0), (0.0, 3.0)),
    ((2.0, 0.5), (-1.0, 2.0)),
    ((0.0, 1.0), (30.0, 1.0)),
    ((0.0, 1.0), (1e-4, 1.0)),
    ((100.0, 1e-3), (100.0, 2e-3)),
]


@pytest.mark.parametrize(("p", "q"), NORMALS)
def test_kl_of_normals_is_the_closed_form(p, q):
    value = divergences.kl(normal(*p), normal(*q), breakpoints=[p[0], q[0]])
    closed = np.log(q[1] / p[1]) + (p[1] ** 2 + (p[0] - q[0]) ** 2) / (2 * q[1] ** 2) - 0.5
    with mpmath.workdps(30):
        (m, s), (n, t) = [[mpmath.mpf(number) for number in pair] for pair in (p, q)]
        exact = mpmath.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5
    assert value == pytest.approx(float(exact), rel=1e-8, abs=0)
    assert closed == pytest.approx(float(exact), rel=1e-6)
    by_formula = divergences.gaussian_kl_1d(*p, *q)
    assert float(by_formula) == pytest.approx(float(exact), rel=1e-12, abs=0)


@pytest.mark.parametrize(("p", "q"), NORMALS[:4])
def test_jsd_and_total_variation_of_normals_agree_with_mpmath(p, q):
    with mpmath.workdps(20):

        def jsd(x):
            a, b = mpmath.npdf(x, *p), mpmath.npdf(x, *q)
            return (a * mpmath.log(2 * a / (a + b)) + b * mpmath.log(2 * b / (a + b))) / 2

        low, high = min(p[0], q[0]) - 10 * max(p[1], q[1]), max(p[0], q[0]) + 10 * max(p[1], q[1])
        exact = mpmath.quad(jsd, mpmath.linspace(low, high, 17))
    value = divergences.jsd(normal(*p), normal(*q), breakpoints=[p[0], q[0]])
    assert value == pytest.approx(float(exact), rel=1e-8)
    assert 0 <= value <= LOG_2 + 1e-12


def test_total_variation_of_shifted_normals():
    # The densities cross halfway: TV = 2Φ(gap/2) − 1.
    for gap in (1e-3, 1.0, 7.0):
        value = divergences.total_variation(normal(), normal(gap), breakpoints=[0, gap])
        assert value == pytest.approx(special.erf(gap / 2 / np.sqrt(2)), rel=1e-8)


def test_closed_forms_of_other_families():
    # Cauchy: log(1 + gap²/4) (Chyzak and Nielsen, 2019); Laplace: gap + exp(−gap) − 1.
    assert divergences.kl(cauchy(3), cauchy(0)) == pytest.approx(np.log(13 / 4), rel=1e-8)
    value = divergences.kl(laplace(0), laplace(2), breakpoints=[0, 2])
    assert value == pytest.approx(2 + np.exp(-2) - 1, rel=1e-8)
    # Exponential densities of rate 1 and 3: log(1/3) + 3 − 1.
    value = divergences.kl(
        stats.expon.logpdf, stats.expon(scale=1 / 3).logpdf, support=(0.0, np.inf)
    )
    assert value == pytest.approx(2 - np.log(3), rel=1e-8)
    # A density that is infinite at the ends: arcsine against uniform, log(4/π) by its entropy.
    value = divergences.kl(stats.beta(0.5, 0.5).logpdf, uniform(0, 1), support=(0, 1))
    assert value == pytest.approx(-np.log(np.pi / 4), rel=1e-6)


def test_kl_is_not_symmetric_and_the_others_are():
    p, q = normal(0, 1), normal(1, 2)
    assert abs(divergences.kl(p, q) - divergences.kl(q, p)) > 0.1
    assert divergences.jsd(p, q) == pytest.approx(divergences.jsd(q, p), rel=1e-12)
    tv = divergences.total_variation(p, q)
    assert tv == pytest.approx(divergences.total_variation(q, p), rel=1e-12)
    # Pinsker: TV² ≤ KL/2, and it would fail for the square root's double.
    assert tv**2 <= divergences.kl(p, q) / 2 < (2 * tv) ** 2


def test_equal_densities_have_no_divergence():
    for function in (divergences.kl, divergences.jsd, divergences.total_variation):
        assert function(normal(), normal()) == 0


@pytest.mark.parametrize("gap", [0.5, 3.0, 1e3])
def test_disjoint_supports_saturate_at_any_distance(gap):
    p, q = uniform(0, 1), uniform(1 + gap, 2 + gap)
    inside = {"support": (0, 2 + gap), "breakpoints": [1, 1 + gap]}
    assert divergences.kl(p, q, **inside) == np.inf
    assert divergences.jsd(p, q, **inside) == pytest.approx(LOG_2, rel=1e-12)
    assert divergences.total_variation(p, q, **inside) == pytest.approx(1, rel=1e-12)


def test_overlapping_uniforms():
    inside = {"support": (0, 3), "breakpoints": [1, 2]}
    p, q = uniform(0, 2), uniform(1, 3)
    assert divergences.jsd(p, q, **inside) == pytest.approx(LOG_2 / 2, rel=1e-12)
    assert divergences.total_variation(p, q, **inside) == pytest.approx(0.5, rel=1e-12)
    assert divergences.kl(p, q, **inside) == np.inf
    # q covers p: finite this way round, infinite the other.
    wide = uniform(0, 3)
    assert divergences.kl(p, wide, **inside) == pytest.approx(np.log(1.5), rel=1e-12)
    assert divergences.kl(wide, p, **inside) == np.inf


def test_half_of_the_jsd_is_kl_to_the_mixture():
    p, q = normal(-1, 0.5), normal(1, 1.5)

    def mixture(x):
        return np.logaddexp(p(x), q(x)) - LOG_2

    at = {"breakpoints": [-1, 1]}
    expected = 0.5 * divergences.kl(p, mixture, **at) + 0.5 * divergences.kl(q, mixture, **at)
    assert divergences.jsd(p, q, **at) == pytest.approx(expected, rel=1e-9)


def random_histograms(seed, shape=(7,)):
    rng = np.random.default_rng(seed)
    p, q = rng.gamma(0.7, size=(2, *shape))
    return p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
def test_histograms_against_scipy(seed):
    p, q = random_histograms(seed, shape=(3, 9))
    kl = divergences.histogram_kl(p, q)
    np.testing.assert_allclose(kl, special.rel_entr(p, q).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(kl, stats.entropy(p, q, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(
        divergences.histogram_jsd(p, q), distance.jensenshannon(p, q, axis=-1) ** 2, rtol=1e-11
    )
    np.testing.assert_allclose(
        divergences.histogram_total_variation(p, q), 0.5 * np.abs(p - q).sum(-1), rtol=1e-14
    )
    # Control: the other direction is another number.
    assert (np.abs(kl - stats.entropy(q, p, axis=-1)) > 1e-3).all()


def test_histograms_with_empty_bins():
    p, q = [0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.5, 0.0]
    assert divergences.histogram_kl(p, q) == pytest.approx(LOG_2, rel=1e-14)
    assert divergences.histogram_kl(q, p) == np.inf
    assert divergences.histogram_kl(p, p) == 0
    disjoint = [0.0, 0.0, 0.0, 1.0]
    assert divergences.histogram_jsd(p, disjoint) == pytest.approx(LOG_2, rel=1e-14)
    assert divergences.histogram_total_variation(p, disjoint) == 1
    both = divergences.histogram_kl([p, q], p)
    assert both.tolist() == [0.0, np.inf]


@pytest.mark.parametrize("step", [1e-3, 1e-7])
def test_close_histograms_keep_their_digits(step):
    p = np.array([0.2, 0.3, 0.5])
    q = p + step * np.array([1.0, 1.0, -2.0])
    with mpmath.workdps(50):
        a = [mpmath.mpf(x) for x in p]
        b = [mpmath.mpf(x) for x in q]
        kl = sum(x * mpmath.log(x / y) - x + y for x, y in zip(a, b, strict=True))
        jsd = sum(
            x * mpmath.log(2 * x / (x + y)) + y * mpmath.log(2 * y / (x + y))
            for x, y in zip(a, b, strict=True)
        )
    assert float(divergences.histogram_kl(p, q)) == pytest.approx(float(kl), rel=1e-12, abs=0)
    assert float(divergences.histogram_jsd(p, q)) == pytest.approx(float(jsd / 2), rel=1e-9, abs=0)


def test_a_fine_histogram_approaches_the_density():
    edges = np.linspace(-9, 10, 400)
    p, q = (np.diff(stats.norm(mean, 1).cdf(edges)) for mean in (0, 1))
    p, q = p / p.sum(), q / q.sum()
    binned = divergences.histogram_jsd(p, q)
    exact = divergences.jsd(normal(), normal(1))
    # Merging cells can only lose divergence.
    assert 0 < exact - binned < 1e-3 * exact
    coarse = divergences.histogram_jsd(p[:-1].reshape(-1, 2).sum(1), q[:-1].reshape(-1, 2).sum(1))
    assert coarse < binned


@pytest.mark.parametrize("d", [1, 2, 5])
def test_gaussian_kl_against_sampling_and_one_dimension(d):
    rng = np.random.default_rng(d)
    roots = rng.normal(size=(2, d, d)) + 2 * np.eye(d)
    cov_p, cov_q = roots @ np.swapaxes(roots, -1, -2) / 4
    mean_p, mean_q = rng.normal(size=(2, d))
    value = float(divergences.gaussian_kl(mean_p, cov_p, mean_q, cov_q))
    x = rng.multivariate_normal(mean_p, cov_p, size=200_000)
    log_ratio = stats.multivariate_normal(mean_p, cov_p).logpdf(x)
    log_ratio -= stats.multivariate_normal(mean_q, cov_q).logpdf(x)
    assert abs(log_ratio.mean() - value) < 5 * log_ratio.std() / np.sqrt(len(x))
    assert abs(divergences.gaussian_kl(mean_q, cov_q, mean_p, cov_p) - value) > 1e-3
    # tr, log det and the quadratic form, by SciPy's own determinant and solver.
    inverse = np.linalg.inv(cov_q)
    gap = mean_p - mean_q
    formula = np.trace(inverse @ cov_p) - d - np.linalg.slogdet(inverse @ cov_p)[1]
    assert value == pytest.approx(0.5 * (formula + gap @ inverse @ gap), rel=1e-10)
    if d == 1:
        stds = np.sqrt([cov_p[0, 0], cov_q[0, 0]])
        one = divergences.gaussian_kl_1d(mean_p[0], stds[0], mean_q[0], stds[1])
        assert float(one) == pytest.approx(value, rel=1e-12)


def test_gaussian_kl_broadcasts():
    covs = np.array([np.eye(2), 4 * np.eye(2)])
    values = divergences.gaussian_kl(np.zeros(2), covs, np.zeros((3, 1, 2)), np.eye(2))
    assert values.shape == (3, 2)
    np.testing.assert_allclose(values, np.broadcast_to([0, 3 - np.log(4)], (3, 2)), atol=1e-14)


def test_densities_that_are_none_are_refused():
    for function in (divergences.kl, divergences.jsd, divergences.total_variation):
        with pytest.raises(TypeError, match="log_q must be a function of one number, got ndarray"):
            function(normal(), np.ones(3))
        with pytest.raises(ValueError, match=r"log_q must integrate to one .* got 2"):
            function(normal(), lambda x: normal()(x) + LOG_2)
        # A narrow peak that quadrature steps over, and its cure.
        with pytest.raises(ValueError, match=r"log_p must integrate to one.*as breakpoints"):
            function(normal(50, 0.1), normal())
        assert function(normal(50, 0.1), normal(), breakpoints=[0, 50]) > 0.5
        with pytest.raises(ValueError, match="log_p must integrate to one"):
            function(normal(), normal(), support=(-1, 1))
        with pytest.raises(ValueError, match="log_p is nan at x = "):
            function(lambda x: np.nan, normal())
        with pytest.raises(ValueError, match=r"log_p is inf at x = .*as breakpoints"):
            function(lambda x: np.inf, normal())
        with pytest.raises(ValueError, match=r"log_p must return one number.*\(2,\)"):
            function(lambda x: np.zeros(2), normal())


def test_supports_and_breakpoints_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="support must be a pair"):
        divergences.kl(normal(), normal(), support=(1, 0))
    with pytest.raises(ValueError, match="support must be a pair"):
        divergences.kl(normal(), normal(), support=(0, 1, 2))
    with pytest.raises(ValueError, match="breakpoints must lie inside the support, got -1 … 3"):
        divergences.kl(uniform(0, 2), uniform(0, 2), support=(0, 2), breakpoints=[3, -1])
    with pytest.raises(ValueError, match="breakpoints has 1 of 2 values that are not finite"):
        divergences.kl(normal(), normal(), breakpoints=[0, np.inf])


def test_integrals_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"KL\(p ‖ q\) falls no faster than 1/x .* heavier tail"):
        divergences.kl(cauchy(0), normal())
    assert 0 < divergences.kl(normal(), cauchy(0)) < 1

    # An integral without end at a finite point: q vanishes too fast at 0.
    def log_q(x):
        return -1 / x - np.log(0.14849550677592204)  # ∫₀¹ exp(−1/x) dx = E₂(1)

    assert special.expn(2, 1) == pytest.approx(0.14849550677592204, rel=1e-14)
    with pytest.raises(ValueError, match=r"KL\(p ‖ q\) did not converge"):
        divergences.kl(uniform(0, 1), log_q, support=(0, 1))


def test_histograms_that_are_none_are_refused():
    for function in (
        divergences.histogram_kl,
        divergences.histogram_jsd,
        divergences.histogram_total_variation,
    ):
        with pytest.raises(ValueError, match=r"p must sum to one .* got 10; divide counts"):
            function([4, 6], [0.5, 0.5])
        with pytest.raises(ValueError, match="q must not be negative"):
            function([0.5, 0.5], [1.5, -0.5])
        with pytest.raises(ValueError, match="q has 1 of 2 values that are not finite"):
            function([0.5, 0.5], [np.nan, 0.5])
        with pytest.raises(ValueError, match=r"same bins, got 2 and 3.*same edges"):
            function([0.5, 0.5], [0.5, 0.5, 0.0])
        with pytest.raises(ValueError, match="leading axes"):
            function(np.full((2, 2), 0.5), np.full((3, 2), 0.5))
        with pytest.raises(ValueError, match="p must be of shape"):
            function(1.0, [1.0])


def test_gaussian_kl_refuses_what_is_no_normal_density():
    with pytest.raises(ValueError, match="cov_q must be positive definite"):
        divergences.gaussian_kl([0.0], [[1.0]], [0.0], [[0.0]])
    with pytest.raises(ValueError, match="same number of features"):
        divergences.gaussian_kl([0.0, 1.0], [[1.0]], [0.0], [[1.0]])
    with pytest.raises(ValueError, match="std_p must be positive"):
        divergences.gaussian_kl_1d(0.0, 0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="mean_q has 1 of 1"):
        divergences.gaussian_kl_1d(0.0, 1.0, np.inf, 1.0)


def test_means_beyond_all_deviations_are_told():
    with pytest.raises(ValueError, match="too many standard deviations apart for float64"):
        divergences.gaussian_kl([0.0], [[1.0]], [1e60], [[1e-250]])
