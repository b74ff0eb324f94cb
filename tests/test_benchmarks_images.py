"""Glow beside normflows: what `benchmarks.images` counts and shows."""

import json

import numpy as np
import pytest

from benchmarks import images, report
from benchmarks.glows import Noisy, Size, build
from benchmarks.glows.worker import _Session
from book.machinery import benchmarks_page

TINY = {"pixels": 4, "levels": 1, "steps": 2, "filters": 4}
SIZE = Size(**TINY)


@pytest.fixture(scope="module")
def uniform():
    """Images of every value alike, whose bits per dimension are known."""
    return np.random.default_rng(0).integers(0, 256, (4000, 4, 4, 1), dtype=np.uint8)


@pytest.fixture(params=["lrmf-jax", "normflows"])
def peer(request):
    if request.param == "normflows":
        pytest.importorskip("normflows")
    return request.param


def test_noise_belongs_to_the_rows_that_are_asked_for(uniform):
    data = Noisy(uniform, mean=0.5, deviation=0.25, seed=3)
    rows = np.array([[5, 7], [7, 5]])
    assert (data[rows] == data[rows]).all()
    levels = (data[rows] * 0.25 + 0.5) * 256
    assert (np.floor(levels) == uniform[rows]).all()
    assert (data[rows][0, 0] != data[rows][1, 1]).any()
    assert data.log_scale == pytest.approx(16 * np.log(4))


def test_bits_of_a_flow_that_has_learned_nothing(peer, uniform, tmp_path):
    """Of uniform pixels 8; a normal density of their moments needs more, as entropies tell."""
    path = tmp_path / "images.npz"
    np.savez(path, learned=uniform, held_out=uniform[:1000])
    found = _Session().density(peer, str(path), TINY, batch=8, rates=[1e-12] * 2, seed=0)
    excess = (0.5 * np.log(2 * np.pi * np.e) - 0.5 * np.log(12)) / np.log(2)
    assert found["bits_per_dimension"] == pytest.approx(8 + excess, abs=0.02)
    assert found["bits_at_the_end"] == pytest.approx(8 + excess, abs=0.3)
    assert 0 < found["standard_error"] < 0.02


def test_steps_raise_the_likelihood(peer, uniform):
    dark = uniform // np.array([1, 16], np.uint8).repeat(2)[:, np.newaxis]  # rows of two kinds
    data = Noisy(dark, mean=dark.mean() / 256, deviation=dark.std() / 256, seed=0)
    model = build(peer, "density", SIZE, data, np.arange(500), 0)
    before = model.log_prob(data[np.arange(500)]).mean()
    rng = np.random.default_rng(0)
    losses = model.run(rng.integers(4000, size=(40, 1, 64)), 1e-2)
    assert losses.shape == (40,)
    after = model.log_prob(data[np.arange(500)]).mean()
    assert after > before + 0.5
    assert -losses[-5:].mean() == pytest.approx(after, abs=1.5)


def test_both_align_with_as_many_numbers(uniform):
    pytest.importorskip("normflows")
    noise = np.random.default_rng(0).normal(size=(2, 100, 4, 4, 1)).astype(np.float32)
    rows = np.random.default_rng(1).integers(100, size=(3, 2, 8))
    counts = []
    for name in ("lrmf-jax", "normflows"):
        run, count = build(name, "aligner", SIZE, noise)
        assert np.isfinite(run(rows, 1e-3)).all()
        counts.append(count)
    assert counts[0] == counts[1]


def test_a_turn_counts_steps():
    session = _Session()
    built = session.aligner("lrmf-jax", TINY, batch=4)
    assert built["network_parameters"] > 0
    assert set(built["versions"]) == {"lrmf", "jax", "tensorflow"}
    turn = session.time(0.05)
    assert turn["steps"] % 5 == 0
    assert turn["cpu_seconds"] >= 0.05
    assert session.memory()["bytes"] > 1e7


def test_ratios_are_those_of_a_turn():
    def turn(steps, seconds):
        return {"steps": steps, "seconds": 2 * seconds, "cpu_seconds": seconds}

    found = images.summarised(
        {"lrmf-jax": [turn(10, 1), turn(10, 10)], "normflows": [turn(5, 1), turn(5, 10)]}
    )
    # The second turn was ten times as slow, for both.
    ratio = found["lrmf-jax"]["steps_per_cpu_second"]["ratio_to_normflows"]
    assert ratio == {"median": 2.0, "min": 2.0, "max": 2.0}
    assert found["lrmf-jax"]["steps_per_second"]["max"] == 5.0
    assert "ratio_to_normflows" not in found["normflows"]["steps_per_second"]


def test_learning_rates_rise_and_fall():
    found = images.rates(400, 1e-2)
    assert found[0] < 1e-3 < 0.9e-2 < max(found) <= 1e-2
    assert found[-1] < 1e-6
    assert np.argmax(found) == images.WARM_UP - 1


def test_the_grid_grows_until_the_best_lies_inside():
    first, _, third = images.LEARNING_RATES
    tried = {}
    for rate, value in zip(images.LEARNING_RATES, (3.0, 2.0, 1.0), strict=True):
        assert images._next_rate(tried) == rate
        tried[rate] = {"bits_per_dimension": value}
    assert images._next_rate(tried) == 4 * third
    tried[4 * third] = {"bits_per_dimension": 1.5}
    assert images._next_rate(tried) is None
    tried[4 * third] = {"bits_per_dimension": None}  # it diverged
    assert images._next_rate(tried) is None
    low = {rate: {"bits_per_dimension": rate} for rate in images.LEARNING_RATES}
    assert images._next_rate(low) == first / 4


def test_paths_of_a_machine_are_not_written_down():
    arguments = ["--rounds", "2", "--peer-python", "/somewhere/python", "--output", "/x"]
    assert images._without_paths(arguments) == ["--rounds", "2"]


def test_flow_matching_that_was_measured_by_itself_counts_where_it_is_newer(tmp_path):
    whole = {"matching": {"lrmf-jax": 1}, "date": "2026-02-02"}
    files = {"b.json": whole, "matching/a.json": {"matching": {"lrmf-jax": 0}, "date": "older"}}
    files["matching/c.json"] = {"matching": {"lrmf-jax": 2}, "date": "newer"}
    files["matching/d.json"] = {"matching": {}, "date": "of nothing"}
    (tmp_path / "matching").mkdir()
    for name, run in files.items():
        (tmp_path / name).write_text(json.dumps(run))
    found = benchmarks_page.document(tmp_path)
    assert found == whole | {"matching": {"lrmf-jax": 2}, "matching_date": "newer"}
    (tmp_path / "matching" / "c.json").unlink()
    assert benchmarks_page.document(tmp_path) == whole


def test_a_slow_run_is_told_on_the_page_and_misses_its_budget():
    found = benchmarks_page.document()
    document = json.loads(json.dumps(found))
    speed = document["images"]["speed"]["peers"]["lrmf-jax"]["steps_per_cpu_second"]
    what = "lrmf-jax to normflows, Glow of 16 × 16 pixels"
    assert any(budget["what"] == what for budget in report.budgets({"continuous": {}, **found}))
    speed["ratio_to_normflows"] = {"median": 1.2, "min": 1.1, "max": 1.3}
    text = benchmarks_page.page_text(document)
    assert f"| {what} | >= 1.5x | 1.2x | **no** |" in text
    assert "that is 1.20 (1.10 to 1.30) times normflows." in text
    del document["images"]
    assert "## Images" not in benchmarks_page.page_text(document)
