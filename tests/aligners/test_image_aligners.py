"""Aligners of images: integers with noise, norms that see the data, files."""

import numpy as np
import pytest

import lrmf
from lrmf.data import Dequantized

SHAPE = (4, 4, 1)


def integers(seed, low=0):
    rng = np.random.default_rng(seed)
    return rng.integers(low, low + 128, size=(60, *SHAPE), dtype=np.uint8)


def aligner(**changes):
    options = {
        "transform": lrmf.Jet(couplings=2, hidden=(4,)),
        "density": lrmf.Glow(levels=1, steps=1, hidden=(4,), start="data"),
        "steps": 3,
        "private_steps": 3,
        "refit_steps": 2,
        "batch_size": 16,
        "progress": False,
    }
    return lrmf.LRMF(**options | changes)


@pytest.fixture(scope="module")
def fitted():
    return aligner().fit(Xs=Dequantized(integers(0)), Xt=Dequantized(integers(1, low=128)))


def test_integers_with_noise_are_aligned_as_images(fitted):
    assert fitted.status_.startswith("finished")
    assert fitted.event_shape_ == SHAPE
    x = Dequantized(integers(2))[:]
    moved = fitted.transform(x)
    np.testing.assert_allclose(fitted.inverse_transform(moved), x, atol=1e-4)
    # A new read has new noise; the same points are the same fit.
    again = aligner().fit(Xs=Dequantized(integers(0)), Xt=Dequantized(integers(1, low=128)))
    np.testing.assert_array_equal(again.history_["loss"], fitted.history_["loss"])


def test_norms_have_seen_the_standardised_points_of_both_sides(fitted):
    # After three steps they are still about where they started.
    domains = {"source": Dequantized(integers(0)), "target": Dequantized(integers(1, low=128))}
    units = fitted.standardizations_
    standard = np.concatenate([units[domain].apply(x[:]) for domain, x in domains.items()])
    inside = lrmf.specs.images.squeeze(standard)
    arrays = fitted.density_.arrays
    np.testing.assert_allclose(
        arrays["step_0/norm/shift"], inside.mean(axis=(0, 1, 2)), rtol=0, atol=0.05
    )
    np.testing.assert_allclose(
        np.exp(arrays["step_0/norm/log_scale"]), inside.std(axis=(0, 1, 2)), atol=0.05
    )


def test_an_aligner_of_images_is_loaded_into_the_other_backend(fitted, tmp_path):
    fitted.save(tmp_path / "images.lrmf")
    loaded = lrmf.LRMF.load(tmp_path / "images.lrmf", backend="tfp")
    assert loaded.density == fitted.density
    x = Dequantized(integers(3))[:]
    np.testing.assert_allclose(loaded.transform(x), fitted.transform(x), rtol=0, atol=1e-4)
    found, expected = loaded.density_.log_prob(x), fitted.density_.log_prob(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_integers_without_noise_are_refused(dtype):
    x = integers(0).astype(dtype)
    with pytest.raises(
        ValueError, match=r"Xs holds integers.*fit to lrmf\.data\.Dequantized\(Xs\)"
    ):
        aligner().fit(Xs=x, Xt=x + 0.5)
    with pytest.raises(ValueError, match=r"Xt holds integers.*density of Jet"):
        aligner(density=lrmf.Jet(hidden=(4,))).fit(Xs=x + 0.5, Xt=x)
    # As many data sets come: integers, told by no dtype.
    with pytest.raises(ValueError, match=r"Xs holds integers \(dtype float32\).*dtypes of integ"):
        aligner().fit(Xs=x.astype(np.float32), Xt=x + 0.5)


def test_images_whose_size_does_not_fit_are_refused():
    x = np.random.default_rng(0).normal(size=(20, 6, 6, 1))
    with pytest.raises(ValueError, match=r"multiples of 4, got \(6, 6, 1\).*fewer levels"):
        aligner(density=lrmf.Glow(levels=2, hidden=(4,))).fit(Xs=x, Xt=x)
    with pytest.raises(ValueError, match="channels seem to come first"):
        aligner().fit(Xs=x.reshape(20, 1, 6, 6), Xt=x.reshape(20, 1, 6, 6))
