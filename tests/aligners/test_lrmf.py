"""What a fitted LRMF aligner says, against closed forms and by hand from its models."""

import numpy as np
import pytest

import lrmf
import lrmf.fitting
from lrmf.theory import gaussian

TRAIN, TEST = lrmf.data.blobs(n=400, seed=0), lrmf.data.blobs(n=300, seed=1)

#: Whole data sets as batches: no noise, so closed forms hold to the optimiser's accuracy.
EXACT = {
    "steps": 1500,
    "private_steps": 1500,
    "refit_steps": 300,
    "batch_size": 400,
    "learning_rate": 0.05,
    "dtype": "float64",
}


@pytest.fixture(scope="module", params=["jax", "tfp"])
def fitted(request):
    model = lrmf.LRMF(
        transform=lrmf.Affine(),
        density=lrmf.Gaussian(),
        backend=request.param,
        standardize=False,
        start="identity",
        progress=False,
        **EXACT,
    )
    return model.fit(Xs=TRAIN.source, Xt=TRAIN.target)


@pytest.fixture(scope="module")
def half_trained():
    """Neither number is near zero, and no part of either is known in advance.

    Of one backend: certificates are made of the numbers that either gives.
    """
    model = lrmf.LRMF(
        transform=lrmf.Affine(),
        density=lrmf.RealNVP(blocks=2, hidden=(16,)),
        steps=100,
        private_steps=300,
        refit_steps=200,
        learning_rate=0.01,
        progress=False,
    )
    return model.fit(Xs=TRAIN.source, Xt=TRAIN.target)


def moments(x):
    return x.mean(axis=0), np.cov(x.T, bias=True)


def gaussian_log_prob(x, mean, covariance):
    """Written out, apart from the library's own form."""
    centered = x - mean
    mahalanobis = np.sum(centered * np.linalg.solve(covariance, centered.T).T, axis=1)
    return -0.5 * (mahalanobis + np.linalg.slogdet(2 * np.pi * covariance)[1])


def test_private_models_are_the_maximum_likelihood_normals(fitted):
    for model, x in (
        (fitted.private_source_, TRAIN.source),
        (fitted.private_target_, TRAIN.target),
    ):
        mean, covariance = moments(x)
        expected = gaussian_log_prob(TEST.source, mean, covariance)
        np.testing.assert_allclose(model.log_prob(TEST.source), expected, rtol=1e-3, atol=1e-3)


def test_shared_model_fits_the_mixture_of_transformed_and_target(fitted):
    mixture = np.concatenate([fitted.transform(TRAIN.source), TRAIN.target])
    expected = gaussian_log_prob(TEST.target, *moments(mixture))
    np.testing.assert_allclose(fitted.density_.log_prob(TEST.target), expected, atol=1e-3)


def test_moments_are_aligned(fitted):
    mean, covariance = moments(fitted.transform(TRAIN.source))
    np.testing.assert_allclose(mean, TRAIN.target.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(covariance, np.cov(TRAIN.target.T, bias=True), atol=1e-3)


def test_constant_is_that_of_the_private_models(fitted):
    expected = gaussian.constant(
        np.cov(TRAIN.source.T, bias=True), np.cov(TRAIN.target.T, bias=True)
    )
    assert fitted.constant_ == pytest.approx(float(expected), abs=1e-4)


def test_history_holds_the_constant_so_that_zero_means_aligned(fitted):
    history = fitted.history_
    np.testing.assert_array_equal(history["step"], np.arange(1, 1501))
    assert abs(history["loss"][-1]) < 1e-3
    # The first entry is the loss of the initial arrays: T the identity, S standard normal.
    start = np.zeros(2), np.eye(2)
    expected = (
        -gaussian_log_prob(TRAIN.source, *start).mean()
        - gaussian_log_prob(TRAIN.target, *start).mean()
        + fitted.constant_
    )
    assert history["loss"][0] == pytest.approx(expected)
    assert history["loss"][0] > 1.0


def test_transform_is_the_flow_and_inverse_transform_undoes_it(fitted):
    moved = fitted.transform(TEST.source)
    arrays = fitted.transform_.arrays
    np.testing.assert_allclose(moved, TEST.source @ arrays["matrix"].T + arrays["shift"])
    np.testing.assert_allclose(fitted.inverse_transform(moved), TEST.source)
    assert moved.dtype == np.float64


def test_one_row_can_be_transformed(fitted):
    np.testing.assert_allclose(fitted.transform(TEST.source[:1]), fitted.transform(TEST.source)[:1])


def test_refitted_copies_fit_their_side(fitted):
    moved = fitted.transform(TRAIN.source)
    for model, x in ((fitted.refitted_source_, moved), (fitted.refitted_target_, TRAIN.target)):
        np.testing.assert_allclose(
            model.log_prob(x), gaussian_log_prob(x, *moments(x)), rtol=2e-3, atol=2e-3
        )


def test_refitted_copies_start_from_the_shared_density(small):
    model = small(refit_learning_rate=1e-12)
    model.fit(Xs=TRAIN.source, Xt=TRAIN.target)
    for name, value in model.density_.arrays.items():
        for copy in (model.refitted_source_, model.refitted_target_):
            np.testing.assert_allclose(copy.arrays[name], value, atol=1e-6)
    assert np.abs(model.density_.arrays["mean"]).max() > 0.1


def terms(model, a, b):
    """Per-point terms of both numbers, from log-densities alone."""
    moved, log_det = model.transform_.forward(a)
    shared = {"source": model.density_.log_prob(moved), "target": model.density_.log_prob(b)}
    refitted = {
        "source": model.refitted_source_.log_prob(moved),
        "target": model.refitted_target_.log_prob(b),
    }
    private = {
        "source": model.private_source_.log_prob(a) - log_det,
        "target": model.private_target_.log_prob(b),
    }
    gain = {side: np.log(0.99 * np.exp(refitted[side] - shared[side]) + 0.01) for side in shared}
    bound = {side: private[side] - shared[side] for side in shared}
    return gain, bound


def sum_and_error(terms):
    value = sum(x.mean() for x in terms.values())
    return value, np.sqrt(sum(x.var(ddof=1) / len(x) for x in terms.values()))


def test_certificate_by_hand(half_trained):
    a, b = TEST.source[:200], TEST.target
    certificate = half_trained.family_certificate(a, b)
    gain, bound = terms(half_trained, a, b)
    assert (certificate.lrd, certificate.lrd_stderr) == pytest.approx(sum_and_error(gain), rel=1e-4)
    assert (certificate.bound, certificate.bound_stderr) == pytest.approx(
        sum_and_error(bound), rel=1e-4
    )
    assert (certificate.n_source, certificate.n_target) == (200, 300)
    assert certificate.tolerance == 0.1
    # Large enough to tell the terms apart.
    assert min(abs(x.mean()) for x in (*gain.values(), *bound.values())) > 0.02
    assert certificate.verdict.startswith("not aligned")


def test_bound_is_the_loss_with_its_held_out_constant(half_trained):
    constant = (
        half_trained.private_source_.log_prob(TEST.source).mean()
        + half_trained.private_target_.log_prob(TEST.target).mean()
    )
    loss = lrmf.lrmf_loss(
        half_trained.transform_, half_trained.density_, TEST.source, TEST.target, constant=constant
    )
    bound = half_trained.family_certificate(TEST.source, TEST.target).bound
    assert bound == pytest.approx(float(loss), rel=1e-4)
    assert abs(bound) > 0.1


def test_an_aligned_pair_is_certified(fitted):
    certificate = fitted.family_certificate(TEST.source, TEST.target)
    assert certificate.verdict.startswith("aligned")
    assert "not" not in certificate.verdict.split()
    # Affine images of normal densities are normal, so these bounds are zero at every point.
    assert abs(certificate.bound) < 1e-3
    assert certificate.bound_stderr < 1e-3


def test_certificate_on_training_data_is_the_test_statistic_and_not_negative(fitted):
    certificate = fitted.family_certificate(TRAIN.source, TRAIN.target)
    assert -1e-6 < certificate.lrd < 1e-3
    assert abs(certificate.bound) < 1e-3


def test_tolerance_is_the_certificates(fitted):
    fitted.set_params(tolerance=1e-9)
    try:
        certificate = fitted.family_certificate(TEST.source, TEST.target)
        assert certificate.tolerance == 1e-9
        assert not certificate.verdict.startswith("aligned")
    finally:
        fitted.set_params(tolerance=0.1)


NEW_DATA = {
    "features": (
        np.zeros((5, 3)),
        ValueError,
        "expected {} with 2 features like the data of fit, ",
    ),
    "rank": (np.zeros(5), ValueError, r"expected {} of shape \(n, features\), got \(5,\)"),
    "NaN": (np.array([[0.0, np.nan]] * 3), ValueError, "{} holds 3 NaN or infinite values in 3"),
    "strings": ([["a", "b"]] * 3, TypeError, "{} must hold real numbers"),
    "missing": (None, TypeError, "{} is missing"),
    "empty": (np.zeros((0, 2)), ValueError, "{} has no rows"),
}


@pytest.mark.parametrize(("data", "error", "message"), NEW_DATA.values(), ids=NEW_DATA)
def test_bad_new_data(fitted, data, error, message):
    for method in (fitted.transform, fitted.inverse_transform):
        with pytest.raises(error, match="^" + message.format("X")):
            method(data)
    for method in (fitted.certificate, fitted.score):
        with pytest.raises(error, match="^" + message.format("Xs")):
            method(data, TEST.target)
        with pytest.raises(error, match="^" + message.format("Xt")):
            method(TEST.source, data)


def test_a_certificate_needs_two_points_a_side(fitted):
    with pytest.raises(ValueError, match="Xs has only 1 row"):
        fitted.family_certificate(TEST.source[:1], TEST.target)
    with pytest.raises(ValueError, match="Xt has only 1 row"):
        fitted.family_certificate(TEST.source, TEST.target[:1])


def test_values_too_large_for_float32(small):
    model = small().fit(Xs=TRAIN.source, Xt=TRAIN.target)
    with pytest.raises(ValueError, match=r"^X holds values up to 1e\+39, .* too large for float32"):
        model.transform(np.full((2, 2), -1e39))


def test_overflow_is_not_decided(small, backend):
    model = small(backend=backend).fit(Xs=TRAIN.source, Xt=TRAIN.target)
    far = TEST.source.copy()
    far[0] = 1e25
    certificate = model.family_certificate(far, TEST.target)
    assert certificate.verdict.startswith("not decided")
    assert "log-densities overflow" in certificate.verdict


def test_identity_on_distant_data_is_not_aligned(small, backend):
    model = small(backend=backend, transform=lrmf.Identity(), steps=600, learning_rate=0.05)
    model.fit(Xs=TRAIN.source, Xt=TRAIN.target)
    np.testing.assert_allclose(model.transform(TEST.source), TEST.source, rtol=1e-6)
    certificate = model.family_certificate(TEST.source, TEST.target)
    expected = gaussian.distance(*moments(TRAIN.source), *moments(TRAIN.target))
    assert certificate.lrd == pytest.approx(float(expected), abs=4 * certificate.lrd_stderr)
    assert certificate.verdict.startswith("not aligned")


def test_no_snapshots_unless_asked(fitted):
    assert fitted.snapshots_ == []
