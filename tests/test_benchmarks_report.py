"""What the command of the benchmarks measures, reports and writes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from benchmarks import continuous, peers, report, training
from benchmarks.__main__ import main, parse

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
            "share_of_peak": spread(share),
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
        "matmul": {"rounds": [], "peak": spread(2e11), "on_own_shapes": spread(1e11)},
        "peers": {
            "lrmf-jax": peer(["lrmf-tfp", "tfp-loop"]),
            "lrmf-tfp": peer(["lrmf-jax", "tfp-loop"]),
            "tfp-loop": peer(["lrmf-jax", "lrmf-tfp"]),
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
    "ratio": 5.7, "share": 0.95, "wall": 12.0, "seconds": 0.1, "compiled": 8.0,
}  # fmt: skip


class TestReport:
    def test_all_budgets_of_the_design_are_stated(self) -> None:
        found = report.budgets(document(**GOOD))
        assert [budget["what"] for budget in found] == [
            "import lrmf",
            "import lrmf loads neither JAX nor TensorFlow",
            "lrmf-jax to tfp-loop, hidden 64",
            "lrmf-tfp to tfp-loop, hidden 64",
            "lrmf-tfp to tfp-loop, hidden 512",
            "lrmf-jax share of the matmul rate, hidden 512",
            "FFJORD, jax to tfp",
            "FFJORD, compilation, jax",
            "moons, cold process to certificate, jax",
            "moons certified as aligned, jax",
        ]
        assert all(budget["met"] for budget in found)

    @pytest.mark.parametrize(
        ("worse", "missed"),
        [
            ({"ratio": 3.9}, {"lrmf-jax to tfp-loop, hidden 64", "FFJORD, jax to tfp"}),
            ({"compiled": 10.1}, {"FFJORD, compilation, jax"}),
            ({"share": 0.89}, {"lrmf-jax share of the matmul rate, hidden 512"}),
            ({"wall": 20.1}, {"moons, cold process to certificate, jax"}),
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
        assert "budget >= 4x: 5.7x met" in text
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
        arguments += ["--continuous-repeats", "0"]
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
        monkeypatch.setattr(training, "SQUARE_SIZES", (64,))
        monkeypatch.setattr(training, "MATMUL_SECONDS", 0.01)
        monkeypatch.setattr(training, "available_libraries", lambda: ["numpy"])
        arguments = ["--hidden", "8", "--peers", "lrmf-jax", "--repeats", "2", "--seconds", "0.05"]
        arguments += ["--cold-repeats", "0", "--import-repeats", "0", "--output", str(tmp_path)]
        arguments += ["--continuous-repeats", "0"]
        assert main(arguments) == 0
        (path,) = tmp_path.iterdir()
        (entry,) = json.loads(path.read_text())["training"]
        peer = entry["peers"]["lrmf-jax"]
        speeds = peer["steps_per_second"]
        assert len(speeds["rounds"]) == len(entry["matmul"]["rounds"]) == 2
        assert 0 < speeds["min"] <= speeds["median"] <= speeds["max"]
        assert peer["share_of_peak"]["median"] > 0
        assert "lrmf, JAX backend" in capsys.readouterr().out
