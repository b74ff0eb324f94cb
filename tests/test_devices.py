"""Fits whose batches are divided over several devices, of one process and of two.

JAX decides about its devices once in a process, so each fit here has processes of its own.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrmf
from lrmf.fitting import FitConfig

SETTINGS = {
    "transform": lrmf.RealNVP(blocks=2, hidden=(8,)),
    "density": lrmf.Gaussian(),
    "steps": 200,
    "private_steps": 100,
    "refit_steps": 100,
    "batch_size": 64,
    "learning_rate": 0.01,
    "progress": False,
}
PAIR = lrmf.data.blobs(n=200, seed=0)


def fit(path, *, checkpoint=None, kill_at=None, **changes):
    """Fit, and write what a test looks at to a file."""
    if kill_at is not None:
        learning_rates = FitConfig.learning_rates

        def dies(self, start, stop):
            if stop >= kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return learning_rates(self, start, stop)

        FitConfig.learning_rates = dies
    # One side is drawn from, the other is smaller than a batch and used whole.
    model = lrmf.LRMF(**SETTINGS | changes).fit(
        Xs=PAIR.source, Xt=PAIR.target[:50], checkpoint=checkpoint
    )
    found = {
        "loss": model.history_["loss"].tolist(),
        "status": model.status_,
        "moved": model.transform(PAIR.source).tolist(),
        "lrd": model.family_certificate(PAIR.source, PAIR.target).lrd,
    }
    Path(path).write_text(json.dumps(found))


def check_others():
    """Losses that compare points with each other, and densities that look them up."""
    few = {"steps": 3, "batch_size": 64, "progress": False}
    histogram = lrmf.Histogram(edges=[np.linspace(-50.0, 50.0, 9)] * 2)
    for make in (
        lambda **o: lrmf.MMDFlow(transform=lrmf.Affine(), **few, **o),
        lambda **o: lrmf.EMDFlow(transform=lrmf.Affine(), **few, **o),
        lambda **o: lrmf.BackToBackFlow(transform=lrmf.FFJORD(hidden=(4,)), **few, **o),
        lambda **o: lrmf.LRMF(
            transform=lrmf.Affine(), density=histogram, private_steps=0, refit_steps=0, **few, **o
        ),
    ):
        losses = [
            make(devices=devices).fit(Xs=PAIR.source, Xt=PAIR.target[:50]).history_["loss"]
            for devices in (None, 2)
        ]
        np.testing.assert_allclose(*losses, rtol=1e-4, atol=1e-5)


def start(code, **environment):
    here = Path(__file__)
    return subprocess.Popen(
        [sys.executable, "-c", f"import {here.stem}\n{code}"],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here.parent)])}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def call(path, **options):
    return f"{Path(__file__).stem}.fit({str(path)!r}, **{options!r})"


def two_processes(folder, *, patience=100, **options):
    """Two processes that fit together over gloo, and wait so many seconds for each other."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = []
    for k in range(2):
        own = dict(options)
        if k == 0:
            own.pop("kill_at", None)
        code = (
            "import jax\n"
            'jax.config.update("jax_cpu_collectives_implementation", "gloo")\n'
            f'jax.distributed.initialize("{address}", 2, {k}, '
            f"heartbeat_timeout_seconds={patience}, shutdown_timeout_seconds={patience})\n"
            + call(folder / f"process_{k}.json", devices="all", **own)
        )
        processes.append(start(code))
    return processes


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same fit on one device."""
    path = tmp_path_factory.mktemp("alone") / "one.json"
    fit(path)
    return json.loads(path.read_text())


def assert_same(found, expected):
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["moved"], expected["moved"], atol=1e-2)
    assert found["lrd"] == pytest.approx(expected["lrd"], abs=1e-2)
    assert found["status"] == expected["status"]


def test_two_devices_of_one_process_learn_what_one_learns(alone, tmp_path):
    code = (
        "import jax; assert jax.device_count() == 2\n"
        + call(tmp_path / "two.json", devices=2)
        + "\n"
        + call(tmp_path / "saved.json", devices="all", checkpoint=str(tmp_path / "fit.ckpt"))
        + f"\n{Path(__file__).stem}.check_others()"
    )
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    process = start(code, XLA_FLAGS=flags)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert_same(json.loads((tmp_path / "two.json").read_text()), alone)


def test_two_processes_learn_what_one_learns_and_one_goes_on_from_their_checkpoint(alone, tmp_path):
    checkpoint = tmp_path / "fit.ckpt"
    processes = two_processes(tmp_path, checkpoint=str(checkpoint))
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    results = [json.loads((tmp_path / f"process_{k}.json").read_text()) for k in range(2)]
    assert results[0] == results[1]
    assert_same(results[0], alone)
    fit(tmp_path / "one.json", checkpoint=str(checkpoint))
    resumed = json.loads((tmp_path / "one.json").read_text())
    assert resumed["loss"] == results[0]["loss"]  # nothing was left to learn


def test_a_killed_process_ends_the_other_with_an_error(tmp_path):
    first, second = two_processes(
        tmp_path, patience=10, kill_at=200, steps=1_000_000, private_steps=0
    )
    try:
        second.communicate(timeout=60)
        assert second.returncode == -signal.SIGKILL
        output, _ = first.communicate(timeout=60)  # where it hung, this would raise
        assert first.returncode != 0, output
    finally:
        first.kill()
        first.communicate()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"devices": 999}, r"devices=999, but JAX has \d+ .*; lower it, or start the other hosts'"),
        ({"devices": 0}, "devices must be a positive integer, got 0"),
        ({"devices": "two"}, "devices must be a positive integer, got 'two'"),
        ({"devices": True}, "devices must be a positive integer, got True"),
        ({"devices": 1, "backend": "tfp"}, "devices=1: the TFP backend fits on one device"),
    ],
)
def test_bad_devices(changes, message):
    with pytest.raises(ValueError, match="^" + message):
        lrmf.LRMF(**SETTINGS | changes).fit(Xs=PAIR.source, Xt=PAIR.target)


def test_a_batch_must_be_divisible(monkeypatch):
    monkeypatch.setattr(type(lrmf.get_backend("jax")), "count_devices", lambda *_: 3)
    with pytest.raises(ValueError, match=r"^batch_size must be a multiple of the 3 devices"):
        lrmf.LRMF(**SETTINGS, devices=3).fit(Xs=PAIR.source, Xt=PAIR.target)
