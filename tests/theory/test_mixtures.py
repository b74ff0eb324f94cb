"""Example 2.2: quadrature against mpmath, the law against quadrature, the paper's simulation."""

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from lrmf.theory import divergences, mixtures

PAPER = {"delta": 1.0, "sigma0": 0.5}

# (δ, σ₀) on both sides of σ₀ = δ, on it, and at the edges.
SHAPES = [(1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (0.0, 1.0), (2.0, 0.1), (0.7, 0.65)]


def mp_log_gradient(mu, delta, sigma0, power=1):
    """log E_B[(r(x)(μ − x)/v)ᵖ] by tanh-sinh in 30 digits; rescaled, as mpmath stops on 1e-30."""
    with mpmath.workdps(30):
        m, d, s = mpmath.mpf(mu), mpmath.mpf(delta), mpmath.mpf(sigma0)
        v = s**2 + d**2
        # The largest exponent, roughly: at the tilted mean or at the halfway point.
        peak = min(d + power * s**2 * m / v, max(m / 2, d))
        scale = (peak - d) ** 2 / (2 * s**2) - power * min(m * (peak - m / 2) / v, 0)

        def integrand(x):
            share = 1 / (1 + mpmath.exp(-m * (x - m / 2) / v))
            density = sum(mpmath.exp(scale - ((x - c) / s) ** 2 / 2) for c in (d, -d))
            return density * (share * (m - x) / v) ** power

        points = {-d, d, m / 2, -m / 2, peak, -peak}
        points |= {peak + s * k for k in range(-12, 13, 4)} | {-d - 12 * s, d + 12 * s}
        points |= {m / 2 + sign * v / m * 4**k for k in range(5) for sign in (1, -1)}
        total = mpmath.quad(integrand, sorted(points))
        return mpmath.log(total / (2 * s * mpmath.sqrt(2 * mpmath.pi))) - scale


@pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
@pytest.mark.parametrize("mu", [0.5, 16.0, 200.0])
def test_gradient_agrees_with_mpmath(mu, delta, sigma0):
    expected = mp_log_gradient(mu, delta, sigma0)
    ours = mixtures.log_cross_entropy_gradient(mu, delta=delta, sigma0=sigma0)
    # A difference of logs is the relative error of the gradient.
    assert abs(mpmath.mpf(float(ours)) - expected) < 1e-11
    loss = mixtures.log_gradient(mu, delta=delta, sigma0=sigma0)
    assert float(loss - ours) == pytest.approx(np.log(2), abs=1e-10)


def test_naive_quadrature_would_fail_the_same_check():
    """Control: SciPy's quad loses the gradient at μ = 16 where the log-space quadrature has it."""

    def integrand(x):
        log_density = mixtures.log_density(x, means=[-1.0, 1.0], std=0.5)
        return np.exp(log_density + special.log_expit(16 / 1.25 * (x - 8))) * (16 - x) / 1.25

    naive, _ = integrate.quad(integrand, -np.inf, np.inf, epsabs=1e-8)
    exact = np.exp(float(mp_log_gradient(16.0, 1.0, 0.5)))
    assert abs(naive / exact - 1) > 1e-8
    ours = mixtures.log_cross_entropy_gradient(16.0, **PAPER)
    assert abs(np.exp(ours) / exact - 1) < 1e-11


def test_tiny_mu_does_not_cancel():
    # g(μ) = μ/(4v) (1 + O(μ²)): E_B[x²] = v removes half of μ/(2v).
    for delta, sigma0 in SHAPES:
        gradient = mixtures.loss_gradient(1e-7, delta=delta, sigma0=sigma0)
        assert gradient == pytest.approx(0.5e-7 / (sigma0**2 + delta**2), rel=1e-11)


@pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
def test_loss_rises_with_distance(delta, sigma0):
    mu = np.geomspace(1e-3, 300.0, 60)
    reach = mu < 15
    kind = {"delta": delta, "sigma0": sigma0}
    assert (mixtures.loss_gradient(mu[reach], **kind) > 0).all()
    np.testing.assert_allclose(
        mixtures.loss_gradient(-mu, **kind), -mixtures.loss_gradient(mu, **kind), rtol=1e-10
    )
    np.testing.assert_allclose(
        mixtures.log_gradient(-mu, **kind), mixtures.log_gradient(mu, **kind), rtol=1e-13
    )
    assert mixtures.log_gradient(0.0, **kind) == -np.inf
    assert mixtures.loss_gradient(0.0, **kind) == 0


@pytest.mark.parametrize(("delta", "sigma0"), [(1.0, 0.5), (1.0, 2.0), (0.0, 1.0)])
def test_loss_is_twice_the_divergence_from_the_shared_model(delta, sigma0):
    for mu in (1.0, 7.0):
        means, std = mixtures.shared_parameters(mu, delta=delta, sigma0=sigma0)
        expected = 2 * divergences.kl(
            lambda x: mixtures.log_density(x, means=[delta, -delta], std=sigma0),
            lambda x, means=means, std=std: mixtures.log_density(x, means=means, std=std),
            breakpoints=[-delta, 0, delta, mu / 2, mu],
        )
        ours = mixtures.loss(mu, delta=delta, sigma0=sigma0)
        assert float(ours) == pytest.approx(expected, rel=1e-8, abs=1e-13)


def test_loss_limit_is_two_log_two_beyond_the_fit_of_one_component():
    for delta, sigma0 in SHAPES:
        fit = divergences.kl(
            lambda x, d=delta, s=sigma0: mixtures.log_density(x, means=[d, -d], std=s),
            stats.norm(0, np.hypot(delta, sigma0)).logpdf,
            breakpoints=[-delta, 0, delta],
        )
        limit = mixtures.loss_limit(delta=delta, sigma0=sigma0)
        assert float(limit) == pytest.approx(2 * np.log(2) + 2 * fit, rel=1e-9)


@pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
@pytest.mark.parametrize("mu", [2.0, 40.0])
def test_gradient_is_the_derivative_of_the_loss(mu, delta, sigma0):
    # d gap / dμ = −∂L/∂μ, so d log gap / dμ = −|∂L/∂μ| / gap, at any size of either.
    kind = {"delta": delta, "sigma0": sigma0}
    h = 1e-4
    up, down = mixtures.log_loss_gap([mu + h, mu - h], **kind)
    rate = np.exp(mixtures.log_gradient(mu, **kind) - mixtures.log_loss_gap(mu, **kind))
    assert -(up - down) / (2 * h) == pytest.approx(float(rate), rel=2e-6)


def test_shared_parameters_are_optimal_far_apart_and_not_near():
    """The paper's θ* is the optimum up to the square of something exponentially small."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    x = 1.0 + 0.5 * nodes
    weights = weights / weights.sum()

    def exact_excess(mu):
        """By how much the best shared model beats θ*, with A and B mirror images."""

        def cross_entropy(theta):
            std = np.exp(theta[1])
            sides = [
                mixtures.log_density(sign * x, means=[mu - theta[0], theta[0]], std=std)
                for sign in (1, -1)
            ]
            return -np.sum(weights * (sides[0] + sides[1]))

        start = np.array([0.0, 0.5 * np.log(1.25)])
        best = optimize.minimize(cross_entropy, start, method="BFGS", options={"gtol": 1e-9})
        return cross_entropy(start) - best.fun

    gap = np.exp(mixtures.log_loss_gap([4.0, 7.0], **PAPER))
    assert exact_excess(4.0) > 0.1 * gap[0]
    # The square carries a power of μ as well: some 20 at μ = 7.
    assert exact_excess(7.0) < 30 * gap[1] ** 2 < 2e-3 * gap[1]


@pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
def test_the_law_is_the_limit(delta, sigma0):
    kind = {"delta": delta, "sigma0": sigma0}
    mu = np.array([1e2, 1e3, 1e4, 1e5])
    root = np.sqrt(-mixtures.log_gradient(mu, **kind))
    slope = mixtures.asymptotic_slope(**kind)
    rest = np.abs(root - slope * mu - mixtures.asymptotic_intercept(**kind))
    # o(1) like log μ / μ: a decade of μ takes away most of it.
    assert (rest[1:] < 0.35 * rest[:-1]).all()
    assert rest[-1] < 1e-3
    # Two distances determine slope and intercept without our formulas.
    assert (root[-1] - root[-2]) / (mu[-1] - mu[-2]) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.parametrize("wrong", ["no intercept", "other regime", "variance of the model"])
def test_a_wrong_law_is_seen(wrong):
    """Control: laws that forget one step of the derivation miss the limit by a constant or more."""
    delta, sigma0, mu = 1.0, 2.0, 1e5
    slope = mixtures.asymptotic_slope(delta=delta, sigma0=sigma0)
    intercept = mixtures.asymptotic_intercept(delta=delta, sigma0=sigma0)
    if wrong == "no intercept":
        intercept = 0.0
    elif wrong == "other regime":  # the saddle point beyond the halfway point
        slope = delta / (np.sqrt(2) * (sigma0**2 + delta**2))
    else:  # the component of B with the spread of the model
        slope = 1 / (2 * np.sqrt(2 * (sigma0**2 + delta**2)))
    root = np.sqrt(-mixtures.log_gradient(mu, delta=delta, sigma0=sigma0))
    assert abs(root - slope * mu - intercept) > 0.3


@pytest.mark.parametrize(("delta", "sigma0"), SHAPES)
def test_leading_term(delta, sigma0):
    kind = {"delta": delta, "sigma0": sigma0}
    mu = np.array([40.0, 400.0, 4000.0])
    error = np.abs(
        mixtures.log_cross_entropy_gradient(mu, **kind)
        - mixtures.asymptotic_log_cross_entropy_gradient(mu, **kind)
    )
    if sigma0 < 0.8 * delta:
        assert (error < [1e-9, 1e-9, 1e-7]).all()  # exponentially small, then rounding
    else:
        assert (error[1:] < 0.3 * error[:-1] + 1e-9).all()
        assert error[-1] < 2e-3
    # Where σ₀ ≤ δ the term needs δμ > v.
    near = mixtures.asymptotic_log_cross_entropy_gradient(0.1 * delta, **kind)
    assert np.isnan(near) == (sigma0 <= delta)


@pytest.mark.parametrize("delta", [0.0, 1.0])
@pytest.mark.parametrize("sigma0", [0.5, 1.0])
@pytest.mark.parametrize("ratio", [0.6, 1.7, 2.0, 2.5, 9.0])
def test_law_for_another_model_variance(delta, sigma0, ratio):
    kind = {"delta": delta, "sigma0": sigma0, "model_variance": ratio * sigma0**2}
    mu = np.array([1e3, 1e4, 1e5])
    exact = mixtures.log_gradient(mu, **kind)
    root = np.sqrt(-exact)
    line = mixtures.asymptotic_slope(**kind) * mu + mixtures.asymptotic_intercept(**kind)
    assert np.abs(root - line)[-1] < 2e-3
    term = mixtures.asymptotic_log_cross_entropy_gradient(mu, **kind) + np.log(2)
    assert np.abs(exact - term)[0] < 0.05
    assert (np.abs(exact - term)[1:] < 5e-3).all()


@pytest.mark.parametrize("ratio", [0.7, 2.0, 5.0])
def test_gradient_for_another_model_variance_agrees_with_mpmath(ratio):
    mu, delta, sigma0 = 6.0, 1.0, 0.7
    w = ratio * sigma0**2
    with mpmath.workdps(30):

        def integrand(x):
            density = sum(mpmath.exp(-(((x - c) / sigma0) ** 2) / 2) for c in (delta, -delta))
            share = 1 / (1 + mpmath.exp(-mpmath.mpf(mu) * (x - mu / 2) / w))
            return density * share * (mu - x) / w

        total = mpmath.quad(integrand, [-9, -1, 0, 1, 2, 3, 4, 6, 12])
        expected = mpmath.log(total / (2 * sigma0 * mpmath.sqrt(2 * mpmath.pi)))
    kind = {"delta": delta, "sigma0": sigma0, "model_variance": w}
    ours = mixtures.log_cross_entropy_gradient(mu, **kind)
    assert abs(mpmath.mpf(float(ours)) - expected) < 1e-10


def test_model_variance_defaults_to_that_of_the_mixture():
    by_name = mixtures.log_gradient(9.0, **PAPER, model_variance=1.25)
    assert float(by_name) == float(mixtures.log_gradient(9.0, **PAPER))
    with pytest.raises(ValueError, match="model_variance must be positive, got 0"):
        mixtures.log_gradient(9.0, **PAPER, model_variance=0.0)
    with pytest.raises(ValueError, match="model_variance has 1 of 1 values"):
        mixtures.asymptotic_slope(**PAPER, model_variance=np.inf)
    with pytest.raises(ValueError, match=r"must broadcast.*\(3,\) in model_variance"):
        mixtures.log_gradient([1.0, 2.0], **PAPER, model_variance=np.ones(3))


def test_the_law_is_continuous_between_its_regimes():
    delta = 0.8
    sigma0 = delta * np.array([1 - 1e-9, 1.0, 1 + 1e-9])
    for law in (mixtures.asymptotic_slope, mixtures.asymptotic_intercept):
        values = law(delta=delta, sigma0=sigma0)
        np.testing.assert_allclose(values, values[1], rtol=1e-8)
    # And units do not matter: slope · length is free of the unit, the intercept is.
    double = mixtures.asymptotic_slope(delta=2 * delta, sigma0=2 * sigma0)
    np.testing.assert_allclose(2 * double, mixtures.asymptotic_slope(delta=delta, sigma0=sigma0))


@pytest.mark.parametrize(("delta", "sigma0"), [(1.0, 0.5), (1.0, 0.9), (1.0, 2.0)])
def test_number_of_samples_agrees_with_mpmath(delta, sigma0):
    for mu in (3.0, 60.0):
        ratio = mp_log_gradient(mu, delta, sigma0, 2) - 2 * mp_log_gradient(mu, delta, sigma0)
        expected = mpmath.log10((mpmath.exp(ratio) - 1) / mpmath.mpf("0.01"))
        ours = mixtures.log_samples(mu, delta=delta, sigma0=sigma0)
        assert float(ours) == pytest.approx(float(expected), rel=1e-10)
    growth = np.diff(mixtures.log_samples([400.0, 401.0], delta=1.0, sigma0=0.5))
    assert growth == pytest.approx(0.16 * 801 / np.log(10), rel=1e-2)


def test_log_density_against_scipy():
    x = np.linspace(-40, 40, 41)
    by_hand = 0.5 * (stats.norm.pdf(x[10:30], 3, 2) + stats.norm.pdf(x[10:30], -1, 2))
    ours = mixtures.log_density(x, means=[3.0, -1.0], std=2.0)
    np.testing.assert_allclose(ours[10:30], np.log(by_hand), rtol=1e-12)
    # No underflow far out.
    far = mixtures.log_density(1e4, means=[0.0, 1.0], std=0.1)
    assert float(far) == pytest.approx(stats.norm.logpdf(1e4, 1, 0.1) - np.log(2), rel=1e-12)
    batch = mixtures.log_density(x[:, None], means=np.zeros((3, 4)), std=[1.0, 2.0, 3.0])
    np.testing.assert_allclose(batch, stats.norm.logpdf(x[:, None], 0, [1.0, 2.0, 3.0]))


def test_arguments_broadcast():
    mu, delta, sigma0 = np.array([5.0, 50.0])[:, None, None], np.ones((3, 1)), np.array([0.5, 2.0])
    for function in (
        mixtures.loss,
        mixtures.log_loss_gap,
        mixtures.log_gradient,
        mixtures.log_samples,
        mixtures.asymptotic_log_cross_entropy_gradient,
    ):
        table = function(mu, delta=delta, sigma0=sigma0)
        assert table.shape == (2, 3, 2)
        one = function(50.0, delta=1.0, sigma0=2.0)
        assert one.shape == ()
        assert float(table[1, 2, 1]) == pytest.approx(float(one), rel=1e-12)
    # More parameter sets than are handled at once.
    many = mixtures.log_gradient(np.linspace(1, 60, 600), **PAPER)
    assert float(many[-1]) == pytest.approx(float(mixtures.log_gradient(60.0, **PAPER)), rel=1e-13)


@pytest.mark.parametrize(
    "function",
    [
        mixtures.loss,
        mixtures.log_loss_gap,
        mixtures.log_gradient,
        mixtures.log_cross_entropy_gradient,
        mixtures.loss_gradient,
        mixtures.log_samples,
        mixtures.shared_parameters,
        mixtures.simulated_log_gradient,
        mixtures.asymptotic_log_cross_entropy_gradient,
    ],
)
def test_bad_parameters_are_refused(function):
    with pytest.raises(ValueError, match="sigma0 must be positive, got 0"):
        function(5.0, delta=1.0, sigma0=0.0)
    with pytest.raises(ValueError, match=r"delta must not be negative, got -1.*abs"):
        function(5.0, delta=-1.0, sigma0=1.0)
    with pytest.raises(ValueError, match="mu has 1 of 2 values that are not finite"):
        function([5.0, np.nan], delta=1.0, sigma0=1.0)
    if function is not mixtures.simulated_log_gradient:
        with pytest.raises(ValueError, match=r"up to 1e\+08 times sigma0, above 1e\+07, .* larger"):
            function(5.0, delta=1.0, sigma0=5e-8)


@pytest.mark.parametrize(
    "function", [mixtures.asymptotic_slope, mixtures.asymptotic_intercept, mixtures.loss_limit]
)
def test_bad_shapes_are_refused(function):
    with pytest.raises(ValueError, match="sigma0 must be positive"):
        function(delta=1.0, sigma0=-1.0)
    with pytest.raises(ValueError, match="delta must not be negative"):
        function(delta=-1e-3, sigma0=1.0)
    with pytest.raises(ValueError, match=r"must broadcast.*\(2,\) in delta.*\(3,\) in sigma0"):
        function(delta=np.ones(2), sigma0=np.ones(3))


def test_other_bad_input():
    with pytest.raises(ValueError, match="mu must not be zero"):
        mixtures.log_samples([1.0, 0.0], **PAPER)
    with pytest.raises(ValueError, match="relative_error must be a positive number"):
        mixtures.log_samples(1.0, **PAPER, relative_error=0.0)
    with pytest.raises(ValueError, match="n must be a positive integer"):
        mixtures.simulated_log_gradient(1.0, **PAPER, n=0)
    with pytest.raises(ValueError, match="seed must be a non-negative integer"):
        mixtures.simulated_log_gradient(1.0, **PAPER, seed=-1)
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64', got 'float16'"):
        mixtures.simulated_log_gradient(1.0, **PAPER, dtype="float16")
    with pytest.raises(ValueError, match="delta and sigma0 must be numbers here"):
        mixtures.simulated_log_gradient(1.0, delta=[1.0, 2.0], sigma0=0.5)
    with pytest.raises(ValueError, match=r"must lie below 1\.8e\+18, or their squares are too la"):
        mixtures.simulated_log_gradient(1e20, **PAPER)
    with pytest.raises(ValueError, match=r"sigma0 must lie above 1\.1e-18, or its square vanishes"):
        mixtures.simulated_log_gradient(1.0, delta=0.0, sigma0=1e-20)
    with pytest.raises(ValueError, match=r"model_variance is up to 1e\+08² times or a part of sig"):
        mixtures.log_cross_entropy_gradient(1.0, delta=0.0, sigma0=1.0, model_variance=1e-16)
    with pytest.raises(ValueError, match=r"means must be of shape \(\.\.\., k\)"):
        mixtures.log_density(0.0, means=1.0, std=1.0)
    with pytest.raises(ValueError, match="std must be positive"):
        mixtures.log_density(0.0, means=[1.0], std=0.0)
    with pytest.raises(ValueError, match="must broadcast"):
        mixtures.log_density(np.zeros(2), means=[1.0], std=np.ones(3))


def test_fit_line_refuses_what_has_no_line():
    with pytest.raises(ValueError, match="three or more"):
        mixtures.fit_line([1.0, 2.0], [-1.0, -2.0])
    with pytest.raises(ValueError, match="one shape"):
        mixtures.fit_line([1.0, 2.0, 3.0], [-1.0, -2.0])
    with pytest.raises(ValueError, match="more than one value"):
        mixtures.fit_line(np.ones(3), -np.ones(3))
    with pytest.raises(ValueError, match="log_gradient must not be positive"):
        mixtures.fit_line([1.0, 2.0, 3.0], [-1.0, -2.0, 0.5])
    with pytest.raises(ValueError, match="log_gradient has 1 of 3 values"):
        mixtures.fit_line([1.0, 2.0, 3.0], [-1.0, -2.0, -np.inf])
