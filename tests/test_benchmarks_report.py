"""What the command of the benchmarks measures, reports and writes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from benchmarks import continuous, peers, report, training
from benchmarks.__main__ import main, parse, workloads
from benchmarks.workload import Workload
from book.machinery import benchmarks_page

# TFP asks for TensorFlow's version this way when it is first used.
pytestmark = pytest.mark.filterwarnings(
    "ignore:distutils Version classes are deprecated:DeprecationWarning"
)


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
