"""The embeddings of digits that come with the book, and the command that makes them."""

import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import lrmf
from book.machinery.config import ROOT
from book.results import runner
from book.results.embedded_digits import experiments
from book.results.embedded_digits.classifiers import nearest
from book.results.embedded_digits.embedding import DIM, Embedding
from book.results.embedded_digits.maps import MAPS, fitted
from book.results.embedded_digits.pictures import SIZES, pictures

FOLDER = ROOT / "book" / "results" / "embedded_digits"
MEGABYTE = 1e6


@pytest.fixture(scope="module")
def saved():
    return runner.load(FOLDER)


@pytest.fixture(scope="module", params=SIZES)
def bundle(request, saved):
    """The number and the arrays of the embedding of the first seed."""
    name = f"embedding {request.param} seed=0"
    document, arrays = saved
    own = {
        key.rpartition("/")[2]: value
        for key, value in arrays.items()
        if key.rpartition("/")[0] == name
    }
    return request.param, document["runs"][name], own


@pytest.fixture(scope="module")
def train():
    """In a process of its own: Keras takes the backend of whoever imported it first."""
    function = importlib.import_module("book.results.embedded_digits.training").train
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield lambda *arguments, **options: pool.submit(function, *arguments, **options).result()


@pytest.fixture(scope="module")
def digits():
    """Some bright squares in one place or another, and their place."""
    rng = np.random.default_rng(0)
    places = rng.integers(10, size=400)
    x = rng.uniform(0, 0.1, (400, 16, 16)).astype(np.float32)
    for k, place in enumerate(places):
        x[k, place : place + 6, 3:9] += 0.8
    return x, places


def test_the_bundle_is_small_and_in_sixteen_bits(bundle, saved):
    _, _, arrays = bundle
    for name in arrays:
        if name.startswith(("encoder.", "decoder.")) or name.endswith((".mean", ".scale")):
            assert arrays[name].dtype == np.float16, name
    assert (FOLDER / "arrays.npz").stat().st_size < 2 * MEGABYTE


def test_the_bundle_is_what_was_saved(bundle):
    _, numbers, arrays = bundle
    assert experiments.digest(arrays) == numbers["sha256"]
    changed = arrays | {"decoder.0": arrays["decoder.0"] + np.float16(1)}
    assert experiments.digest(changed) != numbers["sha256"]


def test_the_bundle_has_as_many_digits_as_it_says(bundle):
    _, _, arrays = bundle
    for side, count in experiments.BUNDLED.items():
        assert arrays[f"{side}.mean"].shape == arrays[f"{side}.scale"].shape == (count, DIM)
        assert (arrays[f"{side}.scale"] > 0).all()
        assert len(np.unique(arrays[f"{side}.rows"])) == count
        assert set(arrays[f"{side}.labels"]) == set(range(10))


def test_bundled_codes_are_those_of_the_bundled_weights(bundle):
    """Without the pictures: what the decoder makes of a code is encoded near it again."""
    _, numbers, arrays = bundle
    model = Embedding({k: v for k, v in arrays.items() if k.startswith(("encoder", "decoder"))})
    assert sum(array.size for array in model.arrays.values()) == numbers["parameters"]
    mean = arrays["b_test.mean"].astype(np.float32)
    again, _ = model.encode(model.decode(mean))
    error = np.mean((again - mean) ** 2) / np.mean(mean**2)
    assert error < 0.2
    wrong = np.mean((again[::-1] - mean) ** 2) / np.mean(mean**2)
    assert wrong > 4 * error


def test_bundled_codes_are_those_of_the_digits(bundle):
    size, numbers, arrays = bundle
    try:
        data = pictures(size)
    except lrmf.data.DataUnavailableError:
        pytest.skip("the digits cannot be had")
    model = Embedding({k: v for k, v in arrays.items() if k.startswith(("encoder", "decoder"))})
    for side in experiments.BUNDLED:
        rows = arrays[f"{side}.rows"]
        mean, scale = model.encode(getattr(data, side)[rows])
        assert np.abs(mean - arrays[f"{side}.mean"]).max() < 0.02
        assert np.abs(scale - arrays[f"{side}.scale"]).max() < 0.02
        assert (arrays[f"{side}.labels"] == data.labels[side][rows]).all()
    error = np.sqrt(np.mean((model.decode(model.encode(data.b_test)[0]) - data.b_test) ** 2))
    assert error == pytest.approx(numbers["error_b_test"], rel=1e-3)


def test_answers_belong_to_accuracies(saved):
    document, arrays = saved
    for name, run in document["runs"].items():
        if "embedding" not in run["settings"]:
            continue
        answers = {
            key.rpartition(".")[2]: np.unpackbits(bits, count=1996)
            for key, bits in arrays.items()
            if key.startswith(f"{name}/right.")
        }
        assert answers, name
        for kind, right in answers.items():
            assert right.mean() == pytest.approx(run[kind], abs=1e-5)


def test_both_ways_to_one_size_show_the_same_digits():
    try:
        whole, box = map(pictures, SIZES)
    except lrmf.data.DataUnavailableError:
        pytest.skip("the digits cannot be had")
    assert (whole.a == box.a).all()
    assert (whole.labels["b_test"] == box.labels["b_test"]).all()
    # The margin is gone, so there is more ink on the border and in all.
    assert box.b[:, 0].mean() > 5 * whole.b[:, 0].mean()
    assert box.b.mean() > 1.5 * whole.b.mean()


def test_training_learns_to_copy_and_is_repeatable(digits, train):
    x, _ = digits
    options = {"seed": 3, "features": 0.1, "adversary": 1.0}
    model, curves = train(x, x[::-1], steps=150, **options)
    assert curves["error"][-1] < 0.5 * curves["error"][0]
    mean, scale = model.encode(x)
    assert mean.shape == scale.shape == (400, DIM)
    assert (scale > 0).all()
    assert model.decode(mean).shape == x.shape
    few, _ = train(x, x[::-1], steps=50, **options)
    again, _ = train(x, x[::-1], steps=50, **options)
    other, _ = train(x, x[::-1], steps=50, **options | {"seed": 4})
    assert all((few.arrays[name] == again.arrays[name]).all() for name in few.arrays)
    assert any((few.arrays[name] != other.arrays[name]).any() for name in few.arrays)


def test_a_game_of_weight_zero_is_a_vae(digits, train):
    """The weights w and v reach encoder and decoder, and only these terms do."""
    x, _ = digits
    options = {"seed": 0, "steps": 50}
    plain, _ = train(x, x, features=0.0, adversary=0.0, **options)
    for change in ({"features": 1.0}, {"adversary": 5.0}):
        other, _ = train(x, x, **{"features": 0.0, "adversary": 0.0} | change | options)
        assert any((plain.arrays[k] != other.arrays[k]).any() for k in plain.arrays), change


def test_the_neighbours_know_labels(digits):
    x, places = digits
    flat = x.reshape(len(x), -1)
    assert (nearest(flat[:300], places[:300], flat[300:]) == places[300:]).mean() > 0.95


@pytest.mark.parametrize("name", MAPS[:4])
def test_closed_forms_and_plans_move_codes(name):
    a, b = np.random.default_rng(0).normal(size=(2, 300, 3)).astype(np.float32)
    moved = fitted(name, a, b + 3, seed=0, steps=5).transform(a)
    assert moved.shape == a.shape
    assert np.isfinite(moved).all()
    assert np.abs(moved.mean(axis=0) - 3).max() < 0.3
