"""The command behind "Glow in pixel space", on tiny images."""

import numpy as np
import pytest

import lrmf
from book.results.network import Network
from book.results.pixels import experiments, remedies
from book.results.pixels.__main__ import main
from lrmf.data import Dequantized

TINY = {"size": 8, "levels": 1, "flow_steps": 1, "couplings": 2, "hidden": 4, "network_steps": 20}
TINY |= {"steps": 8, "refit_steps": 2, "batch_size": 16, "devices": None, "seed": 0}


@pytest.fixture(scope="module", autouse=True)
def squares():
    """Ten kinds of bars, thin ones and thick ones, instead of the digits."""
    rng = np.random.default_rng(0)

    def bars(n, width):
        labels = np.arange(n) % 10
        x = rng.integers(0, 20, (n, 8, 8), dtype=np.uint8)
        for k, label in enumerate(labels):
            at = label % 5
            x[k, :, at : at + width] = 230
            x[k] = x[k].T if label > 4 else x[k]
        return x, labels

    parts = {
        name: bars(n, width)
        for name, n, width in (("a", 400, 1), ("b", 400, 3), ("a_test", 200, 1), ("b_test", 200, 3))
    }
    images = experiments.Images(
        **{name: x for name, (x, _) in parts.items()},
        **{f"{name}_labels": y for name, (_, y) in parts.items()},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "digits", lambda size: images)
        patch.setattr(experiments, "SEEN", 400)
        yield images
    experiments.judge_of.cache_clear()
    experiments.back_to_back.cache_clear()


@pytest.mark.parametrize("start", ["back to back", "continued", "annealed", "coarse to fine"])
@pytest.mark.filterwarnings("ignore::lrmf.DataWarning")
def test_a_run_measures_everything(start):
    numbers, arrays = experiments.compute(start=start, **TINY)
    wanted = {"loss", "bound", "lrd", "domain_accuracy", "labels_kept", "stroke", "log_det_mean"}
    assert wanted <= set(numbers)
    assert ("family_lrd" in numbers) == (start != "back to back")
    assert all(np.isfinite(v) for v in numbers.values() if isinstance(v, float))
    assert arrays["images"].shape == (10, 8, 8)
    # Of T = F ∘ G⁻¹ and S the density of F the loss is zero, whatever they are.
    if start == "back to back":
        assert abs(numbers["bound"]) < 1e-3
    elif start == "annealed":
        assert abs(numbers["bound"]) > 0.1


@pytest.mark.filterwarnings("ignore::lrmf.DataWarning")
def test_coarse_to_fine_tells_its_volume(squares):
    """Against differences in every direction, and its averages move by the coarser flows alone."""
    spec = lrmf.Jet(couplings=2, hidden=4)
    rng = np.random.default_rng(1)
    flows = []
    for size in (4, 8):
        arrays = spec.init((size, size, 1), rng)
        arrays = {k: v + 0.1 * rng.normal(size=v.shape) for k, v in arrays.items()}
        flows.append(lrmf.get_backend("jax").flow(spec, arrays, dtype="float64"))
    moved, x, h = remedies.Moved(flows), Dequantized(squares.a)[:1], 1e-5
    step = h * np.eye(64).reshape(64, 8, 8, 1)
    columns = (moved.forward(x + step)[0] - moved.forward(x - step)[0]).reshape(64, 64) / (2 * h)
    assert moved.forward(x)[1][0] == pytest.approx(np.linalg.slogdet(columns)[1], abs=1e-5)
    assert abs(moved.forward(x)[1][0]) > 0.01


def test_split_and_join_are_inverse(squares):
    x = Dequantized(squares.a)[:5]
    mean, details = remedies.split(x)
    assert mean.shape == (5, 4, 4, 1)
    assert np.allclose(remedies.join(mean, details), x)
    assert np.allclose(remedies.split(remedies.join(mean + 1, details))[0], mean + 1)
    assert not np.allclose(remedies.join(mean + 1, details), x)


def test_noise_has_its_deviation_and_is_repeatable(squares):
    noisy = remedies.Noisy(squares.a, deviation=0.3, seed=0)
    plain = Dequantized(squares.a, seed=0)
    rows = np.arange(50)
    assert (noisy[rows] - plain[rows]).std() == pytest.approx(0.3, rel=0.05)
    assert (noisy[rows] == noisy[rows]).all()
    assert (noisy[rows] - plain[rows] != noisy[rows[::-1]][::-1] - plain[rows[::-1]][::-1]).any()


def test_stroke_is_the_width_of_bars():
    for width in (1, 2, 3):
        x = np.zeros((1, 40, 40, 1))
        x[0, 5:35, 10 : 10 + width] = 1.0
        # The ends of the bars are edges, too.
        assert experiments.stroke(x) == pytest.approx(30 * width / (30 + width), rel=0.02)


def test_the_network_learns_and_is_repeatable(squares):
    options = {"seed": 3, "steps": 300}
    x, tested = squares.a / 255, squares.a_test / 255
    network = Network(x, squares.a_labels, **options)
    assert network.accuracy(tested, squares.a_test_labels) > 0.95
    again = Network(x, squares.a_labels, **options)
    assert (again.names(squares.b_test / 255) == network.names(squares.b_test / 255)).all()
    shuffled = np.random.default_rng(0).permutation(squares.a_labels)
    blind = Network(x, shuffled, **options)
    assert blind.accuracy(tested, squares.a_test_labels) < 0.5


def test_the_paper_s_size_is_a_command_of_its_own(capsys):
    assert main(["--size", "paper", "--devices", "all", "--list"]) == 0
    assert "to do  identity seed=0" in capsys.readouterr().out
    settings = next(experiments.runs(size="paper", devices="all")).settings
    assert (settings["size"], settings["levels"], settings["flow_steps"]) == (32, 3, 8)
    assert (settings["hidden"], settings["devices"]) == (512, "all")
