"""The benchmarks count, compare and report what they say they do."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lrmf
from benchmarks import hardware, matching, peers, scaling, training
from benchmarks.peers import ours
from benchmarks.worker import Worker
from benchmarks.workload import PARITY_STEPS, Arrays, Data, Workload
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

    def test_devices_do_the_work_of_one(self) -> None:
        found = scaling.steps_on_devices(1, 0.01, hidden=8, batch=32)
        assert found["steps_per_second"] > 0
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
        found = scaling._child("devices", "2", "0.01", "8", "32")
        assert found["steps_per_second"] > 0


class TestMatching:
    def test_pairs_are_those_of_the_plan(self) -> None:
        pytest.importorskip("ott")
        from book.results.comparison.flow_matching import pairing

        rng = np.random.default_rng(0)
        x0, order = rng.normal(size=(20, 2)), rng.permutation(20)
        np.testing.assert_array_equal(pairing(x0, x0[order] + 0.01)[order], range(20))

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
        specs = [lrmf.default_transform((2,)), lrmf.LRMF().density]
        shapes = [shape for spec in specs for shape in spec.shapes((2,)).values()]
        assert parameters == sum(math.prod(shape) for shape in shapes)
        assert move(points[0]).shape == (100, 2)


def test_data_are_the_same_for_every_peer() -> None:
    first, again = SMALL.data(), SMALL.data()
    pairs: list[tuple[Data, Data]] = list(zip(first, again, strict=True))
    assert all(np.array_equal(*pair) for pair in pairs)
    assert all(rows.dtype == np.float32 and rows.shape == (200, 2) for rows in first)
