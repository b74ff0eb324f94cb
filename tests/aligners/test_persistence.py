"""Saved aligners: the same numbers after loading, in either backend, and nothing else loads."""

import builtins
import json
import os
import pickle

import numpy as np
import pytest
import safetensors.numpy

import lrmf
from lrmf import storage

PAIR, TEST = lrmf.data.blobs(n=100, seed=0), lrmf.data.blobs(n=80, seed=1)
OTHER = {"jax": "tfp", "tfp": "jax"}
#: What backends may differ by, relative and absolute.
ACCURACY = {"float32": 1e-5, "float64": 1e-10}


def fit(model):
    return model.fit(Xs=PAIR.source, Xt=PAIR.target)


@pytest.fixture(
    scope="module",
    params=[("jax", "float32"), ("tfp", "float64")],
    ids="-".join,
)
def saved(request, tmp_path_factory):
    """A fitted model with as much that can be lost as possible, and its file."""
    backend, dtype = request.param
    model = lrmf.LRMF(
        transform=lrmf.RealNVP(blocks=2, hidden=(8, 4)),
        density=lrmf.RealNVP(blocks=2, hidden=[8], split=1),
        backend=backend,
        dtype=dtype,
        steps=np.int64(200),
        private_steps=100,
        refit_steps=100,
        learning_rate=np.float64(0.01),
        validation_fraction=0.2,
        tolerance=0.25,
        snapshot_every=100,
        progress=False,
    )
    path = tmp_path_factory.mktemp("models") / "blobs.lrmf"
    fit(model).save(path)
    return model, path


def numbers(model):
    certificate = model.family_certificate(TEST.source, TEST.target)
    return np.array(
        [certificate.lrd, certificate.lrd_stderr, certificate.bound, certificate.bound_stderr]
    )


class TestRoundTrip:
    def test_same_backend(self, saved):
        model, path = saved
        loaded = lrmf.LRMF.load(path)
        assert loaded is not model
        assert loaded.get_params() == model.get_params()
        for name in ("status_", "outcome_", "complete_", "constant_", "n_steps_", "seconds_"):
            assert getattr(loaded, name) == getattr(model, name), name
            assert type(getattr(loaded, name)) is type(getattr(model, name)), name
        np.testing.assert_equal(loaded.history_, model.history_)
        assert loaded.event_shape_ == model.event_shape_ == (2,)
        np.testing.assert_array_equal(loaded.transform(TEST.source), model.transform(TEST.source))
        np.testing.assert_array_equal(
            loaded.inverse_transform(TEST.target), model.inverse_transform(TEST.target)
        )
        np.testing.assert_array_equal(numbers(loaded), numbers(model))
        verdicts = [m.family_certificate(TEST.source, TEST.target).verdict for m in (loaded, model)]
        assert verdicts[0] == verdicts[1]
        np.testing.assert_array_equal(loaded.density_.sample(5, 3), model.density_.sample(5, 3))

    def test_every_array_comes_back_bit_for_bit(self, saved):
        model, path = saved
        loaded = lrmf.LRMF.load(path)
        for name in (
            "transform_", "density_", "private_source_", "private_target_",
            "refitted_source_", "refitted_target_",
        ):  # fmt: skip
            arrays = getattr(model, name).arrays
            assert all(x.dtype == model.dtype for x in arrays.values())
            np.testing.assert_equal(getattr(loaded, name).arrays, arrays)

    def test_other_backend(self, saved):
        model, path = saved
        loaded = lrmf.LRMF.load(path, backend=OTHER[model.backend])
        assert loaded.backend == OTHER[model.backend]
        assert loaded.transform_.backend.name == OTHER[model.backend]
        expected = model.get_params() | {"backend": loaded.backend}
        assert loaded.get_params() == expected
        assert loaded.status_ == model.status_
        np.testing.assert_equal(loaded.history_, model.history_)
        accuracy = ACCURACY[model.dtype]
        np.testing.assert_allclose(
            loaded.transform(TEST.source),
            model.transform(TEST.source),
            rtol=accuracy,
            atol=accuracy,
        )
        np.testing.assert_allclose(
            loaded.inverse_transform(TEST.target),
            model.inverse_transform(TEST.target),
            rtol=accuracy,
            atol=accuracy,
        )
        np.testing.assert_allclose(numbers(loaded), numbers(model), rtol=accuracy, atol=accuracy)

    def test_there_and_back_again_is_the_same_file(self, saved, tmp_path):
        model, path = saved
        lrmf.LRMF.load(path, backend=OTHER[model.backend]).save(tmp_path / "other.lrmf")
        lrmf.LRMF.load(tmp_path / "other.lrmf", backend=model.backend).save(tmp_path / "same.lrmf")
        first, second = (storage.read(p, "LRMF") for p in (path, tmp_path / "same.lrmf"))
        np.testing.assert_equal(first, second)

    def test_a_loaded_model_can_be_fitted_again(self, saved):
        model, path = saved
        again = fit(lrmf.LRMF.load(path))
        np.testing.assert_equal(again.transform_.arrays, model.transform_.arrays)

    def test_snapshots_come_back(self, saved):
        model, path = saved
        loaded = lrmf.LRMF.load(path)
        assert [step for step, *_ in loaded.snapshots_] == [0, 100, 200]
        for found, expected in zip(loaded.snapshots_, model.snapshots_, strict=True):
            for own, other in zip(found[1:], expected[1:], strict=True):
                np.testing.assert_equal(own.arrays, other.arrays)
        x = TEST.source
        np.testing.assert_array_equal(
            loaded.snapshots_[1][1].forward(x)[0], model.snapshots_[1][1].forward(x)[0]
        )

    def test_the_file_is_data_not_a_program(self, saved):
        _, path = saved
        assert all(x.dtype.kind == "f" or x.dtype.kind == "i"
                   for x in safetensors.numpy.load_file(path).values())  # fmt: skip
        # By the file's first bytes, the length of its header, pickle tells what is wrong.
        with pytest.raises((pickle.UnpicklingError, ValueError, IndexError, EOFError)):
            pickle.loads(path.read_bytes())


class TestSaving:
    def test_missing_folder(self, file, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
            lrmf.LRMF.load(file).save(tmp_path / "nowhere" / "model.lrmf")

    def test_read_only_folder(self, file, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "access", lambda *_, **__: False)
        with pytest.raises(PermissionError, match="is read-only"):
            lrmf.LRMF.load(file).save(tmp_path / "model.lrmf")

    def test_a_failed_save_keeps_the_old_file(self, file, damaged, monkeypatch):
        before = damaged.read_bytes()
        model = lrmf.LRMF.load(file)
        model.status_ = "changed"

        def fail(*_):
            raise OSError("no space left on device")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="no space left"):
            model.save(damaged)
        assert damaged.read_bytes() == before
        assert os.listdir(damaged.parent) == [damaged.name]

    def test_saving_again_replaces(self, file, damaged):
        model = lrmf.LRMF.load(file)
        model.status_ = "changed"
        model.save(damaged)
        assert lrmf.LRMF.load(damaged).status_ == "changed"

    def test_a_name_may_be_text(self, file, tmp_path):
        lrmf.LRMF.load(str(file)).save(str(tmp_path / "model.lrmf"))
        assert lrmf.LRMF.load(str(tmp_path / "model.lrmf")).outcome_ == "finished"


def flowjax_parts():
    import jax
    from flowjax.bijections import Affine
    from flowjax.distributions import Normal, Transformed

    def transform(scale=1.0):
        return Affine(np.zeros(2), np.full(2, scale))

    def density(scale=1.0):
        return Transformed(Normal(np.zeros(2)), Affine(np.zeros(2), np.full(2, scale)))

    assert jax.devices()
    return transform, density


def tfp_parts():
    import tensorflow as tf
    import tensorflow_probability as tfp

    tfb, tfd = tfp.bijectors, tfp.distributions

    def transform(scale=1.0):
        return tfb.Shift(tf.Variable([0.0, 0.0]))(
            tfb.Scale(tf.Variable([scale, scale], name="scale"))
        )

    def density(scale=1.0):
        return tfd.MultivariateNormalDiag(
            tf.Variable([0.0, 0.0], name="loc"), tf.Variable([scale, scale], name="scale")
        )

    return transform, density


FOREIGN = {"jax": flowjax_parts, "tfp": tfp_parts}


class TestForeignObjects:
    @pytest.fixture(scope="class", params=["jax", "tfp"])
    @classmethod
    def foreign(cls, request, tmp_path_factory):
        transform, density = FOREIGN[request.param]()
        model = lrmf.LRMF(
            transform=transform(),
            density=density(),
            backend=request.param,
            start="identity",
            steps=300,
            private_steps=200,
            refit_steps=200,
            learning_rate=0.02,
            progress=False,
        )
        path = tmp_path_factory.mktemp("models") / "foreign.lrmf"
        fit(model).save(path)
        return model, path, transform, density

    def test_it_learned(self, foreign):
        model, *_ = foreign
        assert model.outcome_ == "finished"
        assert model.history_["loss"][-50:].mean() < model.history_["loss"][:50].mean() - 0.5

    def test_round_trip(self, foreign):
        model, path, transform, density = foreign
        # Other values of the same structure: the file's count.
        loaded = lrmf.LRMF.load(path, transform=transform(2.0), density=density(3.0))
        np.testing.assert_array_equal(loaded.transform(TEST.source), model.transform(TEST.source))
        np.testing.assert_array_equal(numbers(loaded), numbers(model))
        np.testing.assert_equal(loaded.history_, model.history_)

    @pytest.mark.parametrize("name", ["transform", "density"])
    def test_the_object_is_asked_for(self, foreign, name):
        model, path, transform, density = foreign
        given = {"transform": transform(), "density": density()}
        del given[name]
        cls = type(getattr(model, "transform_spec" if name == "transform" else name)).__name__
        message = rf"the {name} in .* was a .*{cls}, which the file can't hold; pass.*{name}=\.\.\."
        with pytest.raises(ValueError, match=message):
            lrmf.LRMF.load(path, **given)

    def test_another_structure_is_refused(self, foreign):
        model, path, transform, _ = foreign
        with pytest.raises(ValueError, match="do not fit the density"):
            lrmf.LRMF.load(path, transform=transform(), density=lrmf.Gaussian())
        assert model.complete_

    def test_objects_of_the_other_backend_are_refused(self, foreign):
        model, path, transform, density = foreign
        with pytest.raises(TypeError, match="backend takes lrmf specs and"):
            lrmf.LRMF.load(
                path, backend=OTHER[model.backend], transform=transform(), density=density()
            )

    def test_a_checkpoint_of_other_initial_values_is_refused(self, foreign, tmp_path):
        model, _, transform, density = foreign
        path = tmp_path / "fit.ckpt"
        settings = model.get_params(deep=False) | {"steps": 1, "private_steps": 1, "refit_steps": 1}
        first = lrmf.LRMF(**settings | {"transform": transform(), "density": density()})
        first.fit(Xs=PAIR.source, Xt=PAIR.target, checkpoint=path)
        again = lrmf.LRMF(**settings | {"transform": transform(), "density": density()})
        again.fit(Xs=PAIR.source, Xt=PAIR.target, checkpoint=path)
        other = lrmf.LRMF(**settings | {"transform": transform(2.0), "density": density()})
        with pytest.raises(ValueError, match="belongs to another fit"):
            other.fit(Xs=PAIR.source, Xt=PAIR.target, checkpoint=path)


def test_saving_asks_for_no_pickle(file, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("pickle was used")

    for name in ("dump", "dumps", "load", "loads"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(builtins, "exec", refuse)
    lrmf.LRMF.load(file).save(tmp_path / "model.lrmf")
    lrmf.LRMF.load(tmp_path / "model.lrmf")


def test_the_document_is_json(file):
    _, document = storage.read(file, "LRMF")
    assert json.loads(json.dumps(document)) == document
    assert document["parameters"]["density"] == {"spec": {"name": "Gaussian"}}
