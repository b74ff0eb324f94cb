"""The commands behind the saved results, and whether these are complete."""

import importlib
import json
import os
import tempfile
import time

import joblib
import numpy as np
import pytest
from joblib.parallel import ThreadingBackend

from book.machinery.config import ROOT
from book.results import __main__ as every, runner
from book.results.comparison import experiments as comparison, methods
from book.results.meshes import experiments as meshes
from book.results.runner import Run, rounded

RESULTS = ROOT / "book" / "results"


def compute(*, value, wait=0.0, fails=False):
    if fails:
        raise KeyboardInterrupt
    time.sleep(wait)
    return {"half": value / 2, "process": os.getpid()}, {"values": np.full(3, value)}


def plan(**settings):
    """Runs by name; a number of steps makes their value tiny."""

    def runs(steps=None):
        for name, of_run in settings.items():
            tiny = {} if steps is None else {"value": steps}
            yield Run(name=name, compute=compute, settings=of_run | tiny)

    return runs


THREE = plan(a={"value": 1.0}, b={"value": 2.0}, ab={"value": 3.0})


@pytest.fixture
def command(tmp_path):
    """Runs a plan in the same folder each time."""

    def run(runs, *arguments):
        folder = tmp_path / "somewhere"
        return runner.main(
            folder, runs, packages=("numpy",), arguments=arguments, description="Some runs.", fact=7
        )

    run.folder = tmp_path / "somewhere"
    return run


def saved(command):
    document, arrays = runner.load(command.folder)
    return document, document["runs"], arrays


def test_a_command_writes_numbers_arrays_and_what_they_depend_on(command):
    assert command(THREE) == 0
    document, made, arrays = saved(command)
    assert document["command"] == "python -m book.results.somewhere"
    assert document["fact"] == 7
    assert document["environment"]["packages"] == {"numpy": np.__version__}
    assert list(made) == ["a", "b", "ab"]
    assert made["b"] == {"settings": {"value": 2.0}, "half": 1.0, "process": os.getpid()}
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "a/values": [1.0] * 3, "b/values": [2.0] * 3, "ab/values": [3.0] * 3
    }  # fmt: skip


def test_numbers_have_six_digits(command):
    assert command(plan(a={"value": 1 / 3})) == 0
    _, made, _ = saved(command)
    assert made["a"]["half"] == 0.166667
    # Which is also how its settings are recognized again.
    assert command(plan(a={"value": 1 / 3})) == 0
    nested = rounded({"a": [np.float32(0.1), (2 / 3,)], "b": "text", "c": True, "d": np.int64(3)})
    assert nested == {"a": [0.1, [0.666667]], "b": "text", "c": True, "d": 3}
    assert json.loads(json.dumps(nested)) == nested


def test_an_interrupted_command_keeps_what_was_made_and_goes_on(command, capsys):
    stops = plan(a={"value": 1.0}, b={"value": 2.0, "fails": True}, c={"value": 3.0})
    with pytest.raises(KeyboardInterrupt):
        command(stops)
    document, made, arrays = saved(command)
    assert list(made) == ["a"]
    assert list(arrays) == ["a/values"]
    # A mark, by which one sees that this run is not made again.
    made["a"]["half"], document["seconds"] = 99.0, 1000.0
    runner.save(command.folder, document, arrays)
    assert command(plan(a={"value": 1.0}, b={"value": 2.0}, c={"value": 3.0})) == 0
    document, made, arrays = saved(command)
    assert {name: run["half"] for name, run in made.items()} == {"a": 99.0, "b": 1.0, "c": 1.5}
    assert list(arrays) == ["a/values", "b/values", "c/values"]
    assert 1000.0 <= document["seconds"] < 1100.0
    assert "for 3 runs" in capsys.readouterr().out


def test_changed_settings_are_refused(command, capsys):
    assert command(THREE) == 0
    before = (command.folder / "runs.json").read_bytes()
    changed = plan(a={"value": 1.0}, b={"value": 2.5}, ab={"value": 3.0})
    for arguments in ((), ("--list",)):
        assert command(changed, *arguments) == 1
        assert capsys.readouterr().err == "b was made with other settings: use --fresh\n"
    assert (command.folder / "runs.json").read_bytes() == before
    assert command(changed, "--fresh") == 0
    assert [run["half"] for run in saved(command)[1].values()] == [0.5, 1.25, 1.5]


def test_a_list_says_what_is_made_and_makes_nothing(command, capsys):
    assert command(THREE, "--only", "a") == 0
    capsys.readouterr()
    before = (command.folder / "runs.json").read_bytes()
    assert command(THREE, "--list") == 0
    assert capsys.readouterr().out == "made   a\nto do  b\nmade   ab\n"
    assert (command.folder / "runs.json").read_bytes() == before


def test_runs_stand_in_the_order_of_the_plan(command):
    assert command(THREE, "--only", "ab") == 0
    assert command(THREE) == 0
    assert list(saved(command)[1]) == ["a", "b", "ab"]


def test_two_workers_make_the_same_in_other_processes(command):
    slow = plan(a={"value": 1.0, "wait": 1.0}, b={"value": 2.0, "wait": 0.0}, c={"value": 3.0})
    assert command(slow, "--workers", "2") == 0
    _, made, arrays = saved(command)
    assert {name: run["half"] for name, run in made.items()} == {"a": 0.5, "b": 1.0, "c": 1.5}
    assert list(made) == ["a", "b", "c"]
    assert set(arrays) == {"a/values", "b/values", "c/values"}
    assert os.getpid() not in {run["process"] for run in made.values()}


class _AllAtOnce(ThreadingBackend):
    """Like Ray's, a backend of joblib's that gives no result before it has them all."""

    supports_return_generator = False


def test_a_backend_that_gives_all_at_once_keeps_what_was_made_before_a_failure(command):
    joblib.register_parallel_backend("all at once", _AllAtOnce)
    fails = plan(**{name: {"value": 1.0} for name in "abc"}, d={"value": 1.0, "fails": True})
    with joblib.parallel_config("all at once", n_jobs=2):
        with pytest.raises(KeyboardInterrupt):
            command(fails)
        assert list(saved(command)[1]) == ["a", "b"]
        assert command(plan(**{name: {"value": 1.0} for name in "abcd"})) == 0
    assert list(saved(command)[1]) == ["a", "b", "c", "d"]


def test_starting_over_forgets_the_runs_that_are_asked_for_and_no_others(command):
    assert command(THREE) == 0
    document, made, arrays = saved(command)
    for run in made.values():
        run["half"] = 99.0
    document["seconds"] = 1000.0
    runner.save(command.folder, document, arrays | {"gone/values": np.zeros(3)})
    assert command(THREE, "--fresh", "--only", "a") == 0
    document, made, arrays = saved(command)
    assert [run["half"] for run in made.values()] == [0.5, 99.0, 1.5]
    assert document["seconds"] >= 1000.0
    assert set(arrays) == {"a/values", "b/values", "ab/values"}
    assert command(THREE, "--fresh") == 0
    document, made, _ = saved(command)
    assert [run["half"] for run in made.values()] == [0.5, 1.0, 1.5]
    assert document["seconds"] < 100.0


def test_tiny_runs_are_written_elsewhere(command, tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    assert command(THREE, "--steps", "5", "--only", "b") == 0
    assert not command.folder.exists()
    (file,) = (tmp_path / "scratch").glob("somewhere-*/runs.json")
    document = json.loads(file.read_text(encoding="utf8"))
    assert document["command"] == "python -m book.results.somewhere"
    assert {name: run["settings"] for name, run in document["runs"].items()} == {
        "b": {"value": 5},
        "ab": {"value": 5},
    }


# All commands.


@pytest.fixture
def calls(monkeypatch):
    """The commands that were called; those named in ``codes`` fail."""
    made = []

    def call(arguments):
        made.append(arguments)
        return call.codes.get(arguments[2], 0)

    call.codes = {}
    call.made = made
    monkeypatch.setattr(every.subprocess, "call", call)
    return call


def test_all_commands_run_with_the_options_of_the_one(calls, capsys):
    assert every.main(["--workers", "2", "--only", "seed 3"]) == 0
    assert [arguments[2] for arguments in calls.made] == [
        f"book.results.{name}" for name in every.COMMANDS
    ]
    assert {tuple(arguments[3:]) for arguments in calls.made} == {
        ("--workers", "2", "--only", "seed 3")
    }
    assert "== python -m book.results.comparison\n" in capsys.readouterr().out


def test_the_first_failure_stops_them(calls, capsys):
    calls.codes["book.results.ffjord"] = 3
    assert every.main([]) == 3
    assert calls.made[-1][2] == "book.results.ffjord"
    assert len(calls.made) == 1 + every.COMMANDS.index("ffjord") < len(every.COMMANDS)
    assert "python -m book.results.ffjord failed with exit code 3" in capsys.readouterr().err


def test_an_option_that_none_has_is_refused_before_any_runs(calls, capsys):
    with pytest.raises(SystemExit, match="2"):
        every.main(["--worker-count", "2"])
    assert not calls.made
    assert "unrecognized arguments: --worker-count" in capsys.readouterr().err


def test_a_command_is_called_for_real(monkeypatch, capfd):
    monkeypatch.setattr(every, "COMMANDS", ("affine",))
    monkeypatch.chdir(ROOT)
    assert every.main(["--list"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("== python -m book.results.affine\nmade   blobs jax seed 0\n")


def test_every_folder_with_runs_has_its_command():
    assert {file.parent.name for file in RESULTS.glob("*/runs.json")} == set(every.COMMANDS)


@pytest.mark.parametrize("name", every.COMMANDS)
def test_the_saved_runs_are_those_that_the_command_makes(name):
    """After a change of the plan, run the command."""
    command = importlib.import_module(f"book.results.{name}.__main__")
    document, _ = runner.load(RESULTS / name)
    planned = {run.name: rounded(run.settings) for run in command.runs()}
    made = {run: numbers["settings"] for run, numbers in document["runs"].items()}
    if not getattr(command, "COMPLETE", True):
        planned = {run: settings for run, settings in planned.items() if run in made}
        assert planned
    assert made == planned
    assert document["command"] == f"python -m book.results.{name}"
    assert document["environment"]["packages"].keys() == set(command.PACKAGES)


@pytest.mark.parametrize("name", every.COMMANDS)
def test_arrays_belong_to_saved_runs(name):
    document, arrays = runner.load(RESULTS / name)
    assert {array.rpartition("/")[0] for array in arrays} <= document["runs"].keys()


def test_the_meshes_report_the_rates_that_their_search_chose():
    document = json.loads((RESULTS / "meshes" / "runs.json").read_text(encoding="utf8"))
    assert meshes.choose(document["runs"]) == meshes.CHOSEN
    assert document["chosen"] == rounded(meshes.CHOSEN)
    assert meshes.TUNING_SEED not in meshes.SEEDS
    for method, rate in meshes.CHOSEN.items():
        tried = [
            run["settings"]["learning_rate"]
            for name, run in document["runs"].items()
            if name.startswith("tuning") and run["settings"]["method"] == method
        ]
        assert set(meshes.RATES) <= set(tried)
        assert min(tried) < rate < max(tried), f"{method}: nothing was tried beyond the best rate"


# The search of the comparison.


@pytest.fixture
def searched():
    """What a search made, as far as its rule looks at it, by method and run; all alike."""
    found = {method: {} for method in comparison.GRIDS}
    for run in comparison.runs():
        if run.name.startswith("tuning"):
            numbers = {"accuracy": 0.5, "sliced_wasserstein": 0.5}
            found[run.settings["method"]][run.name] = run.settings | numbers
    return found


def chosen(searched, method, **options):
    made = {name: run for runs in searched.values() for name, run in runs.items()}
    return comparison.choose(made, **options)[method]


def own(run):
    told = ("method", "seed", "accuracy", "sliced_wasserstein")
    return {name: value for name, value in run.items() if name not in told}


def test_the_search_takes_the_least_distance_whatever_the_labels_say(searched):
    near, right = list(searched["lrmf"].values())[3:5]
    near |= {"sliced_wasserstein": 0.1, "accuracy": 0.2}
    right |= {"sliced_wasserstein": 0.2, "accuracy": 0.9}
    assert chosen(searched, "lrmf") == own(near)


def test_by_labels_it_takes_the_most_then_the_nearest(searched):
    _, near, right, nearer = list(searched["emd"].values())[:4]
    near |= {"sliced_wasserstein": 0.1}
    right |= {"accuracy": 0.9}
    nearer |= {"accuracy": 0.9, "sliced_wasserstein": 0.4}
    assert chosen(searched, "emd", labels=True) == own(nearer)


@pytest.mark.parametrize(
    ("settings", "edges"),
    [
        ({"density_blocks": 8, "learning_rate": 1e-3}, []),
        ({"density_blocks": 4, "learning_rate": 1e-2}, ["density_blocks=4", "learning_rate=0.01"]),
        (
            {"density_blocks": 16, "learning_rate": 3e-4},
            ["density_blocks=16", "learning_rate=0.0003"],
        ),
    ],
)
def test_the_least_and_the_largest_that_were_tried_are_edges(settings, edges):
    assert comparison.at_an_edge({"lrmf": settings}) == [f"lrmf {edge}" for edge in edges]


def test_words_and_lists_have_no_edges():
    settings = {"bandwidths": [0.5, 1.0, 2.0], "learning_rate": 1e-3}
    assert comparison.at_an_edge({"mmd": settings}) == []
    assert comparison.at_an_edge({"emd": {"cost": "euclidean", "learning_rate": 1e-3}}) == []


def test_no_chosen_setting_lies_at_an_edge_but_those_that_the_chapter_names():
    assert comparison.at_an_edge(methods.CHOSEN) == [
        "sinkhorn regularization=0.02",  # its limit is the method "emd"
        "flow-matching width=128",  # of two
        "ot-flow-matching width=128",
        "entropic-ot regularization=0.003",  # its limit is "emd-plan"
    ]


def test_each_method_has_twelve_settings_before_its_grid_is_extended():
    assert {
        method: len(grid) - len(methods.FURTHER.get(method, ()))
        for method, grid in methods.GRIDS.items()
    } == dict.fromkeys(methods.GRIDS, 12)


def test_no_setting_is_tried_twice():
    for grid in methods.GRIDS.values():
        assert len({json.dumps(settings) for settings in grid}) == len(grid)


def test_no_data_of_the_search_are_reported():
    tuned, reported = set(), set()
    for run in comparison.runs():
        seed = run.settings["seed"]
        kind = tuned if run.name.startswith("tuning") else reported
        kind |= {seed, seed + comparison.HELD_OUT}
    assert tuned
    assert not tuned & reported


@pytest.mark.parametrize("labels", [False, True])
def test_the_comparison_reports_the_settings_that_its_search_chose(labels):
    document, _ = runner.load(RESULTS / "comparison")
    found = comparison.choose(document["runs"], labels=labels)
    if labels:  # named where it is another choice
        found = {m: own for m, own in found.items() if own != methods.CHOSEN[m]}
    reported = methods.BY_LABELS if labels else methods.CHOSEN
    assert found == reported
    assert document["by_labels" if labels else "chosen"] == rounded(reported)
