"""`lrd` against the closed form for normal densities."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import NotFittedError

import lrmf
from lrmf.aligners.family import FamilyCertificate
from lrmf.theory import gaussian


def normals(n, *, shift=1.0, scale=1.0, seed=0, features=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)), shift + scale * rng.normal(size=(n, features))


def moments(x):
    return x.mean(axis=0), np.atleast_2d(np.cov(x.T, bias=True))


def closed_form(a, b):
    return float(gaussian.distance(*moments(a), *moments(b)))


def mixed_closed_form(a, b):
    """The same, with 1% of the shared density mixed into the private ones."""
    shared = multivariate_normal(*moments(np.concatenate([a, b])))
    return sum(
        np.mean(np.log(0.99 * multivariate_normal(*moments(x)).pdf(x) / shared.pdf(x) + 0.01))
        for x in (a, b)
    )


def distance(a, b, **changes):
    settings = {"steps": 800, "refit_steps": 600, "learning_rate": 0.05, "progress": False}
    return lrmf.family_lrd(a, b, **settings | changes)


# `test_lrmf.py` compares the backends' fits and certificates.
@pytest.mark.parametrize(
    ("backend", "features", "shift", "scale"),
    [("jax", 1, 2.0, 1.0), ("jax", 2, 1.0, 1.0), ("jax", 2, 0.0, 2.0), ("tfp", 2, 1.0, 1.0)],
)
def test_in_sample_it_is_the_closed_form_of_the_sample_moments(backend, features, shift, scale):
    # Batches hold all the points, so there is no noise.
    a, b = normals(300, shift=shift, scale=scale, features=features)
    result = distance(a, b, backend=backend, held_out=0, batch_size=300)
    assert result.value == pytest.approx(mixed_closed_form(a, b), abs=1e-3)
    assert result.value == pytest.approx(closed_form(a, b), abs=0.02)
    assert result.value > 0.3


def test_held_out_it_is_the_closed_form_within_noise():
    a, b = normals(2000)
    result = distance(a, b)
    expected = float(gaussian.distance(np.zeros(2), np.eye(2), np.ones(2), np.eye(2)))
    assert result.stderr < 0.05
    assert abs(result.value - expected) < 4 * result.stderr + 0.02


def test_equal_distributions_are_at_distance_zero():
    a, b = normals(2000, shift=0.0)
    result = distance(a, b)
    assert abs(result.value) < 0.02
    assert 0.0 < result.stderr < 0.02


def test_far_apart_it_exceeds_what_a_rich_family_gives():
    # 2 log 2 bounds rich families. One normal density for both costs more.
    a, b = normals(300, shift=10.0)
    result = distance(a, b, held_out=0, batch_size=300, steps=1500)
    assert result.value > 2 * np.log(2)
    assert result.value == pytest.approx(closed_form(a, b), abs=0.05)


def test_symmetric():
    a, b = normals(300, scale=1.5)
    there, back = (distance(*pair, held_out=0, batch_size=300) for pair in ((a, b), (b, a)))
    assert there.value == pytest.approx(back.value, abs=1e-4)
    assert there.stderr == pytest.approx(back.stderr, abs=1e-4)


class TestHeldOut:
    def measured(self, monkeypatch, **changes):
        """The points that were fitted to, and those that were measured on."""
        seen = {}

        def fit(self, *, Xs, Xt):
            seen["fit"] = (Xs, Xt)
            self.told.append(self.get_params())
            return self

        def family_certificate(self, Xs, Xt):
            seen["measure"] = (Xs, Xt)
            zeros = [np.zeros(2)] * 2
            return FamilyCertificate.from_terms(
                gains=zeros, bounds=zeros, weights=[None, None], tolerance=0.1
            )

        monkeypatch.setattr(lrmf.LRMF, "told", [], raising=False)
        monkeypatch.setattr(lrmf.LRMF, "fit", fit)
        monkeypatch.setattr(lrmf.LRMF, "family_certificate", family_certificate)
        a, b = np.arange(100.0)[:, None], np.arange(200.0, 240.0)[:, None]
        lrmf.family_lrd(a, b, **changes)
        return (a, b), seen["fit"], seen["measure"]

    @pytest.mark.parametrize("held_out", [0.5, 0.25])
    def test_the_parts_are_apart(self, monkeypatch, held_out):
        data, fitted, measured = self.measured(monkeypatch, held_out=held_out)
        for x, train, test in zip(data, fitted, measured, strict=True):
            assert len(test) == held_out * len(x)
            np.testing.assert_array_equal(np.sort(np.concatenate([train, test]), axis=0), x)
            assert not np.array_equal(np.sort(test, axis=0), test)  # drawn, not cut off

    def test_the_seed_decides_the_parts(self, monkeypatch):
        (_, _, first), (_, _, second), (_, _, third) = (
            self.measured(monkeypatch, seed=seed) for seed in (0, 0, 1)
        )
        np.testing.assert_equal(first, second)
        assert not np.array_equal(first[0], third[0])

    def test_zero_measures_on_all_points(self, monkeypatch):
        data, fitted, measured = self.measured(monkeypatch, held_out=0)
        for x, train, test in zip(data, fitted, measured, strict=True):
            np.testing.assert_array_equal(np.sort(train, axis=0), x)
            np.testing.assert_array_equal(test, x)

    def test_what_the_aligner_is_told(self, monkeypatch):
        changes = {
            "density": lrmf.Gaussian(),
            "backend": "tfp",
            "steps": 7,
            "seed": 5,
            "refit_steps": 9,
            "learning_rate": 0.3,
        }
        self.measured(monkeypatch, **changes)
        (told,) = lrmf.LRMF.told
        own = {"transform": lrmf.Identity(), "private_steps": 1, "schedule": "cosine"}
        expected = changes | own
        assert told == lrmf.LRMF(**expected).get_params()


def test_options_reach_the_aligner():
    a, b = normals(50)
    with pytest.raises(ValueError, match="refit_steps must be zero or a positive integer, got -1"):
        lrmf.family_lrd(a, b, refit_steps=-1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'learning_rte'"):
        lrmf.family_lrd(a, b, learning_rte=0.1)


def test_another_family():
    # Equal moments: a normal density sees nothing, a flow does.
    rng = np.random.default_rng(0)
    a = np.sign(rng.normal(size=(1000, 2))) + 0.1 * rng.normal(size=(1000, 2))
    b = np.sqrt(1.01) * rng.normal(size=(1000, 2))
    options = {"steps": 600, "refit_steps": 600, "batch_size": 128}
    assert distance(a, b, **options).value < 0.05
    flow = lrmf.RealNVP(hidden=(16,))
    result = distance(
        a, b, density=flow, learning_rate=1e-2, refit_learning_rate=1e-2,
        **options,
    )  # fmt: skip
    assert result.value > 0.3


@pytest.mark.filterwarnings("ignore::lrmf.DivergenceWarning")
def test_a_fit_that_fails_gives_no_number():
    a, b = normals(50)
    with pytest.raises(NotFittedError, match=r"diverged.*Lower learning_rate"):
        distance(a, b, learning_rate=1e30)
