"""What carries out recipes: all or nothing, whatever fails, from any source, with any weights."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import lrmf
from lrmf import objectives
from lrmf.aligners import recipe, stages
from lrmf.points import Rows
from tests.aligners.aligner_cases import CASES

PAIR = lrmf.data.blobs(n=300, seed=0)
OTHER = lrmf.data.blobs(n=300, seed=1)
TRAINED = [name for name, case in CASES.items() if "steps" in case.parameters()]


def make(name, **changes):
    case = CASES[name]
    steps = {k: 3 for k in ("steps", "private_steps", "refit_steps") if k in case.parameters()}
    return case.kind(**case.settings | steps | changes)


@pytest.fixture(scope="module", params=TRAINED)
def fitted(request):
    """A fitted aligner, and the stages and functions that its fit went through."""
    model, seen = make(request.param), []
    patch = pytest.MonkeyPatch()
    run = stages.fit

    def watched(*args, name, **options):
        seen.append(name)
        return run(*args, name=name, **options)

    with patch.context() as context:
        context.setattr(stages, "fit", watched)
        model.fit(Xs=PAIR.source, Xt=PAIR.target)
    return model, seen


def test_a_fit_that_fails_in_any_stage_leaves_the_aligner_as_it_was(fitted, monkeypatch):
    model, seen = fitted
    # What is no `Exception`; of one aligner also what a `try` may catch.
    errors = [KeyboardInterrupt]
    if type(model) is lrmf.LRMF:
        errors += [MemoryError, OSError]
    for error in errors:
        check_failures(model, seen, monkeypatch, error)


def check_failures(model, seen, monkeypatch, error):
    before = dict(vars(model))
    run = stages.fit

    def fails(place):
        def fit(*args, name, **options):
            if name == place:
                raise error("planted")
            return run(*args, name=name, **options)

        return fit

    def planted(*_, **__):
        raise error("planted")

    places = {(stages, "fit", name): fails(name) for name in seen}
    for owner, function in (
        (recipe, "split"),
        (recipe, "_images"),
        (recipe, "mean_log_prob"),
        (recipe, "restored_history"),
        (Rows, "check_unchanged"),
        (type(lrmf.get_backend("jax")), "init"),
        (type(lrmf.get_backend("jax")), "model"),
    ):
        places[owner, function, ""] = planted
    for (owner, function, _), replacement in places.items():
        with monkeypatch.context() as context:
            context.setattr(owner, function, replacement)
            # Not all aligners have images, or a constant.
            try:
                model.fit(Xs=OTHER.source, Xt=OTHER.target)
            except error:
                assert vars(model).keys() == before.keys()
                for attribute, value in before.items():
                    assert vars(model)[attribute] is value, (function, attribute)
            else:
                assert function in ("_images", "mean_log_prob")
                model.__dict__.update(before)


def test_ctrl_c_in_a_stage_is_a_result_that_says_so(monkeypatch):
    model = make("lrmf").fit(Xs=PAIR.source, Xt=PAIR.target)
    before = model.density_
    run = stages.fit

    def interrupted(*args, name, stop, **options):
        if name == "refit source":
            stop.set()
        return run(*args, name=name, stop=stop, **options)

    monkeypatch.setattr(stages, "fit", interrupted)
    model.fit(Xs=OTHER.source, Xt=OTHER.target)
    assert not model.complete_
    assert model.outcome_ == "interrupted"
    assert model.status_.startswith("refit source: interrupted at step 0 of 3")
    assert model.density_ is not before


def test_it_can_be_pickled(fitted):
    model, _ = fitted
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(OTHER.source), model.transform(OTHER.source))


class TestNumberOfPoints:
    def test_a_new_number_compiles_nothing(self, backend, monkeypatch):
        traced = []
        for name in ("alignment_loss", "negative_log_likelihood"):
            real = getattr(objectives, name)

            def counted(*args, real=real, **options):
                traced.append(real)
                return real(*args, **options)

            monkeypatch.setattr(objectives, name, counted)
        # Settings that no other test has: the first fit has everything to trace.
        model = make("lrmf", backend=backend, batch_size=111, gradient_clip=9.75)
        if backend == "jax":  # the other evaluates held-out points operation by operation
            model.set_params(validation_fraction=0.25)
        # A side below the size of a batch has weights, one above has none.
        for n in (60, 300):
            model.fit(Xs=PAIR.source[:n], Xt=PAIR.target[:n])
            assert len(set(traced)) == 2
            traced.clear()
        for n in (*range(61, 71), 111, *range(260, 265)):
            model.fit(Xs=PAIR.source[:n], Xt=PAIR.target[: n + 3])
            model.family_certificate(OTHER.source[:n], OTHER.target[: n + 1])
        assert traced == []

    def test_many_fits_map_no_more_memory(self):
        def mapped():
            with open("/proc/self/maps", "rb") as maps:
                return sum(1 for _ in maps)

        model = make("lrmf", steps=1, private_steps=1, refit_steps=1, validation_fraction=0.1)
        counts = []
        for n in range(50, 150):
            model.fit(Xs=PAIR.source[:n], Xt=PAIR.target[: n + 3])
            counts.append(mapped())
        # The first fits compile; threads come and go.
        assert counts[-1] - counts[20] < 100

    def test_the_result_is_that_of_the_points(self):
        """What fills a batch up changes nothing but the last digits."""
        # Where pooled means are zero, Adam's first steps follow the signs of rounding errors.
        model = make("lrmf", batch_size=64, steps=100, standardize=False)
        expected = model.fit(Xs=PAIR.source[:64], Xt=PAIR.target[:64]).history_["loss"]
        model.set_params(batch_size=100)
        found = model.fit(Xs=PAIR.source[:64], Xt=PAIR.target[:64]).history_["loss"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_held_out_points_and_the_others_are_apart(monkeypatch):
    seen = {}

    def watched(loss, roles, arrays, data, *, name, validation, **options):
        seen[name] = data, validation
        return run(loss, roles, arrays, data, name=name, validation=validation, **options)

    run = stages.fit
    monkeypatch.setattr(stages, "fit", watched)
    make("lrmf", validation_fraction=0.25, standardize=False).fit(Xs=PAIR.source, Xt=PAIR.target)
    data, held_out = seen["flow"]
    for side, x in (("source", PAIR.source), ("target", PAIR.target)):
        kept, held = data[side][:], held_out[side][: round(0.25 * len(x))]
        together = np.concatenate([kept, held])
        np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(x, axis=0))
        assert not np.array_equal(held, x[: len(held)])  # drawn, not cut off


def test_weights_are_split_with_their_points(monkeypatch):
    seen = {}

    def watched(loss, roles, arrays, data, *, name, weights, validation, **options):
        seen[name] = data, weights, validation
        return run(
            loss, roles, arrays, data,
            name=name, weights=weights, validation=validation, **options,
        )  # fmt: skip

    run = stages.fit
    monkeypatch.setattr(stages, "fit", watched)
    # Each point's weight can be told from the point.
    weights = np.exp(PAIR.source[:, 0] / 10)
    make("lrmf", validation_fraction=0.25, standardize=False).fit(
        Xs=PAIR.source, Xt=PAIR.target, sample_weight_s=weights
    )
    data, kept, held_out = seen["flow"]
    scale = kept["source"] / np.exp(data["source"][:][:, 0] / 10)
    np.testing.assert_allclose(scale, scale[0])
    own = held_out["source_weight"]
    scale = own[own > 0] / np.exp(held_out["source"][own > 0, 0] / 10)
    np.testing.assert_allclose(scale, scale[0])


class TestSources:
    def test_points_on_disk_give_the_same_fit(self, tmp_path):
        files = []
        for name, x in (("a", PAIR.source), ("b", PAIR.target)):
            np.save(tmp_path / f"{name}.npy", x)
            files.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
        options = {"validation_fraction": 0.2, "checkpoint_every": 1}
        expected = make("aub", **options).fit(Xs=PAIR.source, Xt=PAIR.target)
        found = make("aub", **options).fit(
            Xs=files[0], Xt=files[1], checkpoint=tmp_path / "fit.ckpt"
        )
        np.testing.assert_equal(found.history_, expected.history_)
        moved = found.transform(files[0])
        np.testing.assert_array_equal(moved, expected.transform(PAIR.source))
        np.testing.assert_array_equal(
            found.inverse_transform(files[0]), expected.inverse_transform(PAIR.source)
        )
        assert found.family_certificate(*files) == expected.family_certificate(
            PAIR.source, PAIR.target
        )

    def test_points_that_change_during_the_fit_are_refused(self, monkeypatch):
        model = make("lrmf").fit(Xs=PAIR.source, Xt=PAIR.target)
        before, x = dict(vars(model)), PAIR.source.copy()
        images = recipe._images

        def moves(*args):
            x[3] += 1.0
            return images(*args)

        monkeypatch.setattr(recipe, "_images", moves)
        with pytest.raises(ValueError, match=r"^Xs changed while it was being read"):
            model.fit(Xs=x, Xt=PAIR.target)
        assert vars(model) == before


class TestWeights:
    COUNTS = np.random.default_rng(0).integers(0, 4, size=300)

    # Of each kind of loss one: tests/test_games.py and tests/test_objectives.py have them all.
    @pytest.mark.parametrize("name", ["lrmf", "aub", "adversarial-discriminator"])
    def test_weights_of_whole_data_are_those_of_repeated_points(self, name):
        settings = {"batch_size": 1024, "steps": 20, "standardize": False}
        rows = np.repeat(np.arange(300), self.COUNTS)
        expected = make(name, **settings).fit(Xs=PAIR.source[rows], Xt=PAIR.target)
        found = make(name, **settings).fit(
            Xs=PAIR.source, Xt=PAIR.target, sample_weight_s=self.COUNTS * 0.1
        )
        np.testing.assert_allclose(
            found.history_["loss"], expected.history_["loss"], rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(
            found.transform(OTHER.source), expected.transform(OTHER.source), atol=2e-3
        )
        if name in ("lrmf", "aub"):
            pairs = [
                found.family_certificate(PAIR.source, PAIR.target, sample_weight_s=self.COUNTS),
                expected.family_certificate(PAIR.source[rows], PAIR.target),
            ]
            assert pairs[0].lrd == pytest.approx(pairs[1].lrd, abs=1e-3)
            assert pairs[0].bound == pytest.approx(pairs[1].bound, abs=1e-3)

    @pytest.mark.parametrize("name", ["lrmf", "mmd-gaussian", "emd", "sinkhorn"])
    @pytest.mark.parametrize("fraction", [0.0, 0.2])
    def test_a_point_of_weight_zero_is_never_seen(self, name, fraction):
        """It lies where it would be noticed."""
        source, weights = PAIR.source.copy(), np.ones(300)
        source[::7], weights[::7] = 1e25, 0.0
        model = make(name, validation_fraction=fraction)
        model.fit(Xs=source, Xt=PAIR.target, sample_weight_s=weights)
        without = make(name, validation_fraction=fraction)
        without.fit(Xs=source[weights > 0], Xt=PAIR.target)
        np.testing.assert_equal(model.history_, without.history_)

    @pytest.mark.parametrize("batch_size", [32, 512])
    def test_weights_move_the_mean(self, batch_size):
        """Two clusters in one sample: the weights say how many points each counts for."""
        rng = np.random.default_rng(0)
        a = np.concatenate([rng.normal(-4, 1, size=(200, 1)), rng.normal(4, 1, size=(200, 1))])
        weights = np.repeat([1.0, 3.0], 200)
        model = make(
            "lrmf", steps=1500, private_steps=1500, batch_size=batch_size, standardize=False
        )
        model.fit(Xs=a, Xt=rng.normal(size=(300, 1)), sample_weight_s=weights)
        mean = float(model.private_source_.arrays["mean"][0])
        assert mean == pytest.approx(np.average(a[:, 0], weights=weights), abs=0.15)
        own = np.average(model.private_source_.log_prob(a), weights=weights)
        # What is left is the target's: the mean log-density of N(0, 1).
        assert model.constant_ - own == pytest.approx(-0.5 * np.log(2 * np.pi * np.e), abs=0.15)

    def test_bad_weights_are_refused(self, nothing_compiles):
        for name in TRAINED:
            with pytest.raises(ValueError, match=r"^expected sample_weight_t of shape \(300,\)"):
                make(name).fit(Xs=PAIR.source, Xt=PAIR.target, sample_weight_t=np.ones(3))
        weights = np.zeros(300)
        weights[0] = 1.0
        with pytest.raises(ValueError, match=r"^sample_weight_s leave a single point above zero"):
            make("lrmf").fit(Xs=PAIR.source, Xt=PAIR.target, sample_weight_s=weights)


class TestParametersSetAfterwards:
    def test_nothing_of_an_earlier_fit_is_left(self):
        model = make("aub").fit(Xs=PAIR.source, Xt=PAIR.target)
        x = PAIR.source
        model.set_params(private_steps=0, refit_steps=0).fit(domains=[x, x, PAIR.target])
        assert not [name for name in vars(model) if "private" in name and name.endswith("_")]
        assert not hasattr(model, "source_map_")
        assert len(model.maps_) == 3
        with pytest.raises(NotFittedError, match="no private densities or refitted copies"):
            model.family_certificate(domains=[x, x, PAIR.target])
        assert model.certificate(domains=[x, x, PAIR.target], controls=False).bound is None

    def test_points_are_checked_for_the_dtype_of_the_fit(self):
        model = make("lrmf").fit(Xs=PAIR.source, Xt=PAIR.target).set_params(dtype="float64")
        with pytest.raises(ValueError, match="too large for float32"):
            model.transform([[1e200, 1e200]])

    def test_a_file_holds_those_of_the_fit(self, tmp_path):
        model = make("aub").fit(Xs=PAIR.source, Xt=PAIR.target)
        moved = model.transform(OTHER.source)
        model.set_params(
            transform=lrmf.RealNVP(), target_transform=lrmf.Identity(), density=lrmf.RealNVP()
        )
        certificate = model.family_certificate(OTHER.source, OTHER.target)
        model.save(tmp_path / "model.lrmf")
        loaded = lrmf.AUB.load(tmp_path / "model.lrmf")
        np.testing.assert_array_equal(loaded.transform(OTHER.source), moved)
        assert loaded.family_certificate(OTHER.source, OTHER.target) == certificate
