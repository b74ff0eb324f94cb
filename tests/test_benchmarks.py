"""The benchmarks count, compare and report what they say they do."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lrmf
from benchmarks import continuous, hardware, matching, peers, report, scaling, training
from benchmarks.__main__ import main, parse, workloads
from benchmarks.peers import ours
from benchmarks.worker import Worker
from benchmarks.workload import PARITY_STEPS, Arrays, Data, Workload
from book.machinery import benchmarks_page
from lrmf.fitting import FitConfig

# TFP asks for TensorFlow's version this way when it is first used.
pytestmark = pytest.mark.filterwarnings(
    "ignore:distutils Version classes are deprecated:DeprecationWarning"
)

SMALL = Workload(hidden=16, batch=32, rows=200)
WIDE = Workload(hidden=8, features=4, blocks=3, batch=16, rows=100)


@functools.cache
def losses(name: str, workload: Workload) -> list[float]:
    """First losses of a peer, on the batches that all peers get."""
    return losses_from(name, workload, workload.initial_arrays())


def losses_from(name: str, workload: Workload, arrays: tuple[Arrays, Arrays]) -> list[float]:
    """The same from other arrays than the workload's own."""
    for package in peers.PEERS[name].requires:
        pytest.importorskip(package)
    peer = peers.build(name, workload, arrays=arrays, data=workload.data())
    assert peer.parameters == workload.parameter_count()
    batches = workload.batches(PARITY_STEPS, np.random.default_rng(3))
    return peer.step(batches).tolist()


def numpy_loss(workload: Workload) -> float:
    """The loss of the first batch, written from the definition in float64."""

    def network(arrays: Arrays, block: int, x: Any) -> tuple[Any, Any]:
        for layer in range(3):
            name = f"block_{block}/layer_{layer}"
            x = x @ arrays[f"{name}/weight"] + arrays[f"{name}/bias"]
            x = np.maximum(x, 0.0) if layer < 2 else x
        shift, raw = np.split(x, 2, axis=1)
        return shift, 2.0 * np.tanh(raw / 2.0)

    def halves(block: int) -> tuple[slice, slice]:
        first, last = slice(0, workload.split), slice(workload.split, None)
        return (first, last) if block % 2 == 0 else (last, first)

    transform, density = workload.initial_arrays()
    source, target = (rows.astype(np.float64) for rows in workload.data())
    batch = workload.batches(1, np.random.default_rng(3))[0]

    y, log_det = source[batch[0]].copy(), 0.0
    for block in range(workload.blocks):
        given, moved = halves(block)
        shift, log_scale = network(transform, block, y[:, given])
        y[:, moved] = y[:, moved] * np.exp(log_scale) + shift
        log_det += log_scale.sum(axis=1).mean()

    def score(x: Any) -> float:
        z, total = x.copy(), 0.0
        for block in reversed(range(workload.blocks)):
            given, moved = halves(block)
            shift, log_scale = network(density, block, z[:, given])
            z[:, moved] = (z[:, moved] - shift) * np.exp(-log_scale)
            total = total - log_scale.sum(axis=1)
        normal = -0.5 * (z**2).sum(axis=1) - 0.5 * workload.features * math.log(2 * math.pi)
        return float((normal + total).mean())

    return -log_det - score(y) - score(target[batch[1]])


class TestWorkload:
    @pytest.mark.parametrize("workload", [SMALL, WIDE, replace(WIDE, features=5)])
    def test_parameters_are_those_of_the_library_s_spec(self, workload: Workload) -> None:
        spec = lrmf.RealNVP(blocks=workload.blocks, hidden=(workload.hidden, workload.hidden))
        shapes = spec.shapes((workload.features,))
        assert workload.parameter_count() == 2 * sum(math.prod(s) for s in shapes.values())
        for arrays in workload.initial_arrays():
            assert {name: array.shape for name, array in arrays.items()} == shapes

    @pytest.mark.parametrize("workload", [SMALL, WIDE, replace(WIDE, features=5, blocks=4)])
    def test_flops_are_those_of_the_products_that_jax_traces(self, workload: Workload) -> None:
        jax = pytest.importorskip("jax")
        backend = lrmf.get_backend("jax")
        spec = lrmf.RealNVP(blocks=workload.blocks, hidden=(workload.hidden, workload.hidden))

        def loss(arrays: Any, a: Any, b: Any) -> Any:
            y, log_det = backend.flow(spec, arrays[0]).forward(a)
            # Separate calls: on the concatenation, b's rows get an input gradient for nothing.
            density = backend.density(spec, arrays[1])
            return -log_det.mean() - density.log_prob(y).mean() - density.log_prob(b).mean()

        arrays = [
            {name: array.astype(np.float32) for name, array in named.items()}
            for named in workload.initial_arrays()
        ]
        rows = [x[: workload.batch] for x in workload.data()]
        traced = jax.make_jaxpr(jax.grad(loss))(arrays, *rows)
        assert workload.flops_per_step() == dot_flops(traced.jaxpr)

    def test_flops_of_the_budget_s_step(self) -> None:
        # A rough count by hand: 6 operations a weight and row, 256 rows in T and 512 in S.
        weights = 4 * (1 * 512 + 512 * 512 + 512 * 2)
        assert Workload(hidden=512).flops_per_step() == pytest.approx(6 * weights * 768, rel=1e-3)

    @pytest.mark.parametrize("name", ["hidden", "blocks", "batch", "rows"])
    def test_refuses_nothing(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            Workload(**{"hidden": 8, name: 0})

    def test_refuses_one_feature(self) -> None:
        with pytest.raises(ValueError, match="at least 2 features, got 1"):
            Workload(hidden=8, features=1)


def dot_flops(jaxpr: Any) -> int:
    """Operations in all matrix products of a jaxpr."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
            total += 2 * math.prod(out) * math.prod(left[axis] for axis in contracted)
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                total += dot_flops(inner)
    return total


class TestPeers:
    @pytest.mark.parametrize("name", list(peers.PEERS))
    def test_first_loss_is_that_of_the_definition(self, name: str) -> None:
        assert losses(name, SMALL)[0] == pytest.approx(numpy_loss(SMALL), rel=1e-4)

    # Those on TensorFlow share the code that takes the data, and compile for ten seconds.
    @pytest.mark.parametrize("name", [name for name in peers.PEERS if "tfp" not in name])
    def test_more_features(self, name: str) -> None:
        assert losses(name, WIDE)[0] == pytest.approx(numpy_loss(WIDE), rel=1e-4)

    @pytest.mark.parametrize("name", [name for name in peers.PEERS if name != "lrmf-jax"])
    def test_same_work_as_ours(self, name: str) -> None:
        found = {"lrmf-jax": losses("lrmf-jax", SMALL), name: losses(name, SMALL)}
        counts = dict.fromkeys(found, SMALL.parameter_count())
        assert training.check_parity(SMALL, counts, found) < training.LOSS_TOLERANCE

    def test_chunks_of_ours_are_those_of_a_fit(self) -> None:
        for backend in ("jax", "tfp"):
            assert peers.PEERS[f"lrmf-{backend}"].chunk == FitConfig().chunk

    def test_unknown_name(self) -> None:
        with pytest.raises(ValueError, match="unknown peer 'nflows'; choose from lrmf-jax"):
            peers.build("nflows", SMALL, arrays=SMALL.initial_arrays(), data=SMALL.data())

    def test_missing_package_is_seen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        entry = peers.Entry(module="x", requires=("numpy", "no_such_package"), description="")
        monkeypatch.setattr(peers, "PEERS", {"absent": entry})
        assert not peers.available("absent")

    def test_normflows_needs_even_features(self) -> None:
        pytest.importorskip("normflows")
        with pytest.raises(ValueError, match="splits features evenly, got 5"):
            losses("normflows", replace(WIDE, features=5))

    def test_wrong_depth_of_a_network(self) -> None:
        torch = pytest.importorskip("torch")
        from benchmarks.peers.torch_loop import copy_network

        with pytest.raises(ValueError, match="expected a network of 3 linear layers, got 1"):
            copy_network(torch.nn.Linear(1, 2), SMALL.initial_arrays()[0], 0)


class TestParity:
    """Each way of doing other work is caught."""

    def check(self, other: list, parameters: int | None = None) -> None:
        count = SMALL.parameter_count()
        training.check_parity(
            SMALL,
            {"ours": count, "other": count if parameters is None else parameters},
            {"ours": losses("lrmf-jax", SMALL), "other": other},
        )

    def test_other_count(self) -> None:
        with pytest.raises(ValueError, match="other trains 1 numbers"):
            self.check(losses("lrmf-jax", SMALL), parameters=1)

    @pytest.mark.parametrize("model", [0, 1])
    @pytest.mark.parametrize("layer", [0, 1, 2])
    def test_other_network(self, model: int, layer: int) -> None:
        arrays = SMALL.initial_arrays()
        arrays[model][f"block_3/layer_{layer}/weight"] *= 1.1
        with pytest.raises(ValueError, match="first losses of other and ours differ"):
            self.check(losses_from("lrmf-jax", SMALL, arrays))

    # Clipping every step at another norm only rescales all gradients, which Adam ignores.
    @pytest.mark.parametrize("change", [{"learning_rate": 1.1e-4}, {"clip": 1e9}])
    def test_other_optimiser(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="later losses of other and ours differ"):
            self.check(losses("lrmf-jax", replace(SMALL, **change)))

    def test_not_a_number(self) -> None:
        with pytest.raises(ValueError, match="first losses of other"):
            self.check([math.nan] * PARITY_STEPS)


class TestHardware:
    def test_describes_the_machine(self) -> None:
        machine = hardware.describe()
        assert machine["cores"] >= 1
        assert machine["memory_bytes"] > 2**28
        assert all(machine[name] for name in ("processor", "blas", "system"))
        assert hardware.versions()["numpy"] == np.__version__

    def test_rate_grows_with_size(self) -> None:
        rates = [
            hardware.matmul_rate("numpy", (size, size, size), seconds=0.02) for size in (4, 256)
        ]
        assert rates[1] > 3 * rates[0] > 0

    def test_unknown_library(self) -> None:
        with pytest.raises(ValueError, match="unknown library 'cupy'; choose from numpy"):
            hardware.matmul_rate("cupy", (2, 2, 2), seconds=0.01)

    def test_own_shapes_hold_the_step_s_operations(self) -> None:
        work = Workload(hidden=512)
        total = sum(
            2 * math.prod(shape) * (2 if name.endswith("forward") else 1)
            for name, shape in hardware.own_shapes(512, work.batch).items()
        )
        assert work.blocks * total == pytest.approx(work.flops_per_step(), rel=0.01)


class TestWorker:
    def test_answers(self) -> None:
        with Worker("numpy") as worker:
            shapes = [[8, 8, 8], [8, 16, 8]]
            found = worker.ask("matmul", library="numpy", shapes=shapes, seconds=0.01)
            assert len(found["rates"]) == 2
            assert min(found["rates"]) > 0

    def test_memory_is_the_child_s_own(self) -> None:
        block = np.ones(2**26)
        with Worker("numpy") as worker:
            assert 2**24 < worker.peak_memory() < block.nbytes

    def test_failure_tells_why(self) -> None:
        with (
            Worker("numpy") as worker,
            pytest.raises(RuntimeError, match=r"(?s)numpy failed:.*unknown library 'cupy'"),
        ):
            worker.ask("matmul", library="cupy", shapes=[[2, 2, 2]], seconds=0.01)


def spread(value: float) -> dict[str, float]:
    return {"median": value, "min": 0.9 * value, "max": 1.1 * value}


def document(
    *, ratio: float, share: float, wall: float, seconds: float, compiled: float
) -> dict[str, Any]:
    """What a run would have measured, without the budgets."""

    def peer(others: list[str]) -> dict[str, Any]:
        return {
            "steps_per_second": {"rounds": [100.0], **spread(100.0)},
            "share_on_own_shapes": spread(share),
            "ratio_to": {other: spread(ratio) for other in others},
            "peak_memory_bytes": 10**9,
        }

    entry = {
        "batch": 256,
        "blocks": 4,
        "features": 2,
        "parameters": 1,
        "flops_per_step": 10**9,
        "largest_relative_loss_difference": 1e-6,
        "matmul": {"rounds": [], "on_own_shapes": spread(1e11)},
        "peers": {
            "lrmf-jax": peer(["lrmf-tfp", "normflows"]),
            "lrmf-tfp": peer(["lrmf-jax", "normflows"]),
            "normflows": peer(["lrmf-jax", "lrmf-tfp"]),
        },
    }
    moons = {
        "wall_seconds": {"runs": [wall], **spread(wall)},
        "fit_seconds": {"runs": [wall], **spread(wall)},
        "peak_memory_bytes": {"runs": [1], **spread(1e9)},
        "verdicts": ["aligned within noise"],
    }
    return {
        "date": "2026-01-02T03:04:05+00:00",
        "command": "python -m benchmarks",
        "machine": {"processor": "p", "cores": 2, "blas": "b", "load_average_before": 0.1},
        "versions": {},
        "unavailable": ["zuko"],
        "training": [{"hidden": hidden, **entry} for hidden in (64, 128, 512)],
        "continuous": {
            "jax": {
                "tolerance": 1e-4,
                "steps_per_second": {"rounds": [50.0], **spread(50.0)},
                "compile_seconds": {"runs": [compiled], **spread(compiled)},
                "ratio_to": {"tfp": spread(ratio)},
            }
        },
        "scaling": {
            "transform": {
                "jax": {"1000000": {"seconds": spread(wall), "added_memory_bytes": spread(1e8)}}
            },
            "judge": {"5000": {"seconds": spread(0.8 * wall), "peak_memory_bytes": spread(1e9)}},
            "devices": {"2": {"kind": "cpu", "steps_per_second": spread(20.0)}},
        },
        "matching": {
            name: {
                "fit_seconds": spread(9.0),
                "transform_seconds": spread(0.5),
                "parameters": 1234,
                "lrd": {"runs": [0.1], **spread(0.1)},
                "labels": spread(0.9),
            }
            for name in ("lrmf-jax", "matching")
        },
        "moons": {"jax": moons},
        "imports": {
            "lrmf": {
                "import_seconds": {"runs": [seconds], **spread(seconds)},
                "wall_seconds": {"runs": [seconds], **spread(seconds)},
                "heavy": [],
            }
        },
    }


GOOD: dict[str, float] = {
    "ratio": 6.7, "share": 0.95, "wall": 9.0, "seconds": 0.1, "compiled": 8.0,
}  # fmt: skip


class TestReport:
    def test_all_budgets_of_the_design_are_stated(self) -> None:
        found = report.budgets(document(**GOOD))
        assert [budget["what"] for budget in found] == [
            "import lrmf",
            "import lrmf loads neither JAX nor TensorFlow",
            "lrmf-jax to normflows, hidden 64",
            "lrmf-tfp to normflows, hidden 64",
            "lrmf-tfp to normflows, hidden 512",
            "lrmf-jax, share of the rate on its own shapes, hidden 512",
            "lrmf.lrd of 5,000 + 5,000 points in 16 dimensions",
            "memory that a million rows on disk add, jax",
            "moons, cold process to certificate, jax",
            "moons certified as aligned, jax",
        ]
        assert all(budget["met"] for budget in found)

    @pytest.mark.parametrize(
        ("worse", "missed"),
        [
            ({"ratio": 5.9}, {"lrmf-jax to normflows, hidden 64"}),
            (
                {"ratio": 0.9},
                {
                    "lrmf-jax to normflows, hidden 64",
                    "lrmf-tfp to normflows, hidden 64",
                    "lrmf-tfp to normflows, hidden 512",
                },
            ),
            ({"share": 0.89}, {"lrmf-jax, share of the rate on its own shapes, hidden 512"}),
            ({"wall": 10.1}, {"moons, cold process to certificate, jax"}),
            (
                {"wall": 13.0},
                {
                    "moons, cold process to certificate, jax",
                    "lrmf.lrd of 5,000 + 5,000 points in 16 dimensions",
                },
            ),
            ({"seconds": 0.21}, {"import lrmf"}),
        ],
    )
    def test_a_missed_budget_is_called_missed(
        self, worse: dict[str, float], missed: set[str]
    ) -> None:
        measured = document(**{**GOOD, **worse})
        measured["budgets"] = report.budgets(measured)
        assert {b["what"] for b in measured["budgets"] if not b["met"]} == missed
        assert report.text(measured).count("NOT met") == len(missed)

    def test_a_million_rows_that_stay_in_memory_miss(self) -> None:
        measured = document(**GOOD)
        rows = measured["scaling"]["transform"]["jax"]["1000000"]
        rows["added_memory_bytes"]["max"] = 1.2e9
        missed = [b for b in report.budgets(measured) if not b["met"]]
        assert [b["measured"] for b in missed] == ["1.2 GB"]

    def test_other_batches_and_dimensions_have_no_budget(self) -> None:
        measured = document(**GOOD)
        narrow = measured["training"][0]
        slow = json.loads(json.dumps(narrow["peers"]).replace("6.7", "0.1"))
        for change in ({"features": 8}, {"batch": 64}):
            measured["training"].append({**narrow, **change, "peers": slow})
        assert all(budget["met"] for budget in report.budgets(measured))

    def test_loaded_backends_and_unaligned_moons_miss(self) -> None:
        measured = document(**GOOD)
        measured["imports"]["lrmf"]["heavy"] = ["jax"]
        measured["moons"]["jax"]["verdicts"] = ["not aligned: lrd 0.3"]
        missed = {b["what"]: b["measured"] for b in report.budgets(measured) if not b["met"]}
        assert missed == {
            "import lrmf loads neither JAX nor TensorFlow": "jax",
            "moons certified as aligned, jax": "0 of 1",
        }

    def test_text_gives_ratio_share_and_verdict(self) -> None:
        measured = document(**GOOD)
        measured["budgets"] = report.budgets(measured)
        text = report.text(measured)
        assert "budget >= 6x: 6.7x met" in text
        assert "5,000 + 5,000 points 7.2 (6.5-7.9) s" in text
        assert "1,000,000 rows 9.00" in text
        assert "2 cpu devices 20.0" in text
        assert "matching         fit 9.0" in text
        assert "100.0 (90.0-110.0)" in text
        assert "95%" in text
        assert "not installed, not timed: zuko" in text
        assert "BUSY" not in text
        measured["machine"]["load_average_before"] = 3.0
        assert "BUSY" in report.text(measured)

    def test_writes_one_dated_file(self, tmp_path: Any) -> None:
        measured = document(**GOOD)
        measured["budgets"] = report.budgets(measured)
        path = report.write(measured, tmp_path / "results")
        assert path.name == "2026-01-02T030405+0000.json"
        assert json.loads(path.read_text()) == measured

    def test_refuses_a_missing_part(self, tmp_path: Any) -> None:
        with pytest.raises(ValueError, match=r"must have exactly .*check \['budgets'\]"):
            report.write(document(**GOOD), tmp_path)

    def test_refuses_a_number_that_json_cannot_hold(self, tmp_path: Any) -> None:
        measured = {**document(**GOOD), "budgets": [math.nan]}
        with pytest.raises(ValueError, match="not JSON compliant"):
            report.write(measured, tmp_path)


def test_the_page_has_a_table_for_what_was_measured() -> None:
    measured = document(**GOOD)
    measured["machine"]["memory_bytes"] = 2**34
    measured["versions"] = dict.fromkeys(("jax", "tensorflow", "lrmf", "ott-jax"), "1.0")
    assert "nothing yet on other dimensions and batches." in benchmarks_page.page_text(measured)
    usual = measured["training"][0]
    measured["training"] += [{**usual, "features": 32}, {**usual, "batch": 4096}]
    text = benchmarks_page.page_text(measured)
    for row in (
        "| 32 | 100 (1.0 GB) | 100 (1.0 GB) | 100 (1.0 GB) |",
        "| 4,096 | 100 (1.0 GB) |",
        "| 1,000,000 | 9.00 s (0.11 GB) |",
        "| 5,000 | 7.2 | 1.1 GB |",
        "| 2 | 20 |",
        "| flow matching (1,234) | 9.0 | 0.5 | 0.10 (0.09 to 0.11) | 0.90 (0.81 to 0.99) |",
    ):
        assert row in text
    assert "nothing yet" not in text


class TestContinuous:
    def test_backends_that_do_other_work_are_refused(self) -> None:
        continuous.check_losses({"jax": [3.0, 2.0], "tfp": [3.001, 2.001]})
        for wrong in ([3.0, 2.1], [3.0, math.nan]):
            with pytest.raises(
                ValueError, match=r"losses of tfp and jax differ .* not do the same"
            ):
                continuous.check_losses({"jax": [3.0, 2.0], "tfp": wrong})


class TestScaling:
    """Small sizes of what is timed; the children are the same functions."""

    def test_transform_reads_rows_from_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scaling, "ROWS", (300, 2500))
        rows = scaling.transform("jax")["rows"]
        assert list(rows) == ["300", "2500"]
        assert all(own["seconds"] > 0 and own["added_memory_bytes"] >= 0 for own in rows.values())

    def test_judge(self) -> None:
        found = scaling.judge(100)
        assert found["decision"] in ("aligned", "not aligned", "not decided")
        assert found["seconds"] > 0

    def test_devices_do_the_work_of_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scaling, "WIDE", {"hidden": 8, "batch": 32})
        assert scaling.steps_on_devices(1, 0.01)["steps_per_second"] > 0
        losses = []
        for devices in (None, 1):
            peer = ours.build(
                SMALL,
                arrays=SMALL.initial_arrays(),
                data=SMALL.data(),
                backend="jax",
                devices=devices,
            )
            losses.append(peer.step(SMALL.batches(3, np.random.default_rng(0))))
        np.testing.assert_allclose(*losses, rtol=1e-5)
        with pytest.raises(ValueError, match="devices=99, but JAX has"):
            scaling.steps_on_devices(99, 0.01)

    def test_several_devices_in_a_process_of_their_own(self) -> None:
        found = scaling._child("devices", "2", "0.01")
        assert found["steps_per_second"] > 0


class TestMatching:
    def test_pairs_are_those_of_the_plan(self) -> None:
        rng = np.random.default_rng(0)
        x0, order = rng.normal(size=(20, 2)), rng.permutation(20)
        np.testing.assert_array_equal(matching.pairing(x0, x0[order] + 0.01)[order], range(20))

    # ott-jax 0.6 calls what optax has renamed.
    @pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated:DeprecationWarning")
    def test_a_field_moves_source_to_target(self) -> None:
        pytest.importorskip("ott")
        rng = np.random.default_rng(0)
        source, target = rng.normal(size=(2, 500, 2))
        move, parameters = matching.flow_matching(
            source, target + 3.0, seed=0, plans=True, steps=150
        )
        assert parameters > 10_000
        np.testing.assert_allclose(move(source).mean(axis=0), 3.0, atol=0.3)

    def test_lrmf_counts_its_numbers(self) -> None:
        rng = np.random.default_rng(0)
        points = rng.normal(size=(2, 100, 2))
        move, parameters = matching.likelihood_ratio(points[0], points[1], seed=0, steps=5)
        specs = [lrmf.LRMF().get_params()[name] for name in ("transform", "density")]
        shapes = [shape for spec in specs for shape in spec.shapes((2,)).values()]
        assert parameters == sum(math.prod(shape) for shape in shapes)
        assert move(points[0]).shape == (100, 2)


class TestCommand:
    def test_defaults_are_the_full_run(self) -> None:
        options = parse([])
        assert options.hidden == [64, 128, 512]
        asked = workloads(options.hidden, options.features, options.batch)
        assert asked[0] == Workload(hidden=64)
        assert len(asked) == len(set(asked)) == 9
        assert {work.features for work in asked} == {2, 8, 32, 128}
        assert {work.batch for work in asked} == {64, 256, 1024, 4096}
        assert options.peers == list(peers.PEERS)
        assert options.repeats >= 3
        assert options.output.parts[-2:] == ("benchmarks", "results")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--hidden", "0"], "must be at least 1, got 0"),
            (["--repeats", "-1"], "must not be negative, got -1"),
            (["--seconds", "0"], "must be between 0 and 3600, got 0"),
            (["--seconds", "nan"], "must be between 0 and 3600, got nan"),
            (["--peers", "nflows"], "invalid choice: 'nflows'"),
        ],
    )
    def test_refuses(
        self, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            parse(arguments)
        assert message in capsys.readouterr().err

    def test_import_part(self, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["--repeats", "0", "--cold-repeats", "0", "--import-repeats", "2"]
        arguments += ["--continuous-repeats", "0", "--scaling-repeats", "0"]
        arguments += ["--matching-repeats", "0"]
        assert main([*arguments, "--output", str(tmp_path)]) == 0
        (path,) = tmp_path.iterdir()
        written = json.loads(path.read_text())
        assert set(written) == set(report.KEYS)
        assert written["command"].startswith("python -m benchmarks --repeats 0")
        assert len(written["imports"]["lrmf"]["import_seconds"]["runs"]) == 2
        assert written["imports"]["lrmf"]["heavy"] == []
        assert "import lrmf: budget <= 0.2 s" in capsys.readouterr().out

    @pytest.mark.slow
    def test_training_part(
        self,
        tmp_path: Any,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        pytest.importorskip("jax")
        # The products are not what is tested, and the large ones take seconds.
        monkeypatch.setattr(training, "MATMUL_SECONDS", 0.01)
        monkeypatch.setattr(training, "available_libraries", lambda: ["numpy"])
        arguments = ["--hidden", "8", "--peers", "lrmf-jax", "--repeats", "2", "--seconds", "0.05"]
        arguments += ["--cold-repeats", "0", "--import-repeats", "0", "--output", str(tmp_path)]
        arguments += ["--continuous-repeats", "0", "--scaling-repeats", "0"]
        arguments += ["--matching-repeats", "0", "--features", "--batch"]
        assert main(arguments) == 0
        (path,) = tmp_path.iterdir()
        (entry,) = json.loads(path.read_text())["training"]
        peer = entry["peers"]["lrmf-jax"]
        speeds = peer["steps_per_second"]
        assert len(speeds["rounds"]) == len(entry["matmul"]["rounds"]) == 2
        assert 0 < speeds["min"] <= speeds["median"] <= speeds["max"]
        assert peer["share_on_own_shapes"]["median"] > 0
        assert "lrmf, JAX backend" in capsys.readouterr().out


def test_data_are_the_same_for_every_peer() -> None:
    first, again = SMALL.data(), SMALL.data()
    pairs: list[tuple[Data, Data]] = list(zip(first, again, strict=True))
    assert all(np.array_equal(*pair) for pair in pairs)
    assert all(rows.dtype == np.float32 and rows.shape == (200, 2) for rows in first)
